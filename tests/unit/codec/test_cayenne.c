// SPDX-License-Identifier: GPL-3.0-or-later
/* Cayenne LPP: every type, exact. */
#include "codec/cayenne.h"

#include "codec/json.h"
#include "tests/unit/codec/legacy.h"

Test(cayenne, types)
{
    static const struct expectation table[] = {
        {"03670110056700ff", "temperature_3=27.2 Cel; temperature_5=25.5 Cel"},
        {"0167ffd7", "temperature_1=-4.1 Cel"},
        {"067104d2fb2e0000",
         "accelerometer_6_x=12.1014061 m/s2; accelerometer_6_y=-12.1014061 m/s2; accelerometer_6_z=0 m/s2"},
        {"000000", "digital_input_0=0"},
        {"0a0101", "digital_output_10=1"},
        {"ff00ff", "digital_input_255=255"},
        {"01028000", "analog_input_1=-327.68"},
        {"010304d2", "analog_output_1=12.34"},
        {"0164ffffffff", "generic_1=4294967295"},
        {"0165ffff", "illuminance_1=65535 lx"},
        {"016601", "presence_1=1"},
        {"016881", "humidity_1=64.5 %RH"},
        {"016814", "humidity_1=10 %RH"},
        {"01732776", "barometer_1=101020 Pa"},
        {"01740149", "voltage_1=3.29 V"},
        {"017503e8", "current_1=1 A"},
        {"0176000f4240", "frequency_1=1000000 Hz"},
        {"017864", "percentage_1=1 /"},
        {"017832", "percentage_1=0.5 /"},
        {"0179ffff", "altitude_1=-1 m"},
        {"017affffff", "load_1=-0.001 kg"},
        {"017d0190", "concentration_1=0.0004 /"},
        {"018009c4", "power_1=2500 W"},
        {"0182000003e9", "distance_1=1.001 m"},
        {"0183000003e9", "energy_1=3603600 J +"},
        {"018400b4", "direction_1=180 deg"},
        {"018569209f00", "unixtime_1=1763745536 s"},
        {"0186fffe00010000", "gyrometer_1_x=-0.02 deg/s; gyrometer_1_y=0.01 deg/s; gyrometer_1_z=0 deg/s"},
        {"0187ff8000", "colour_1_r=255; colour_1_g=128; colour_1_b=0"},
        {"018806765ff2960a0003e8", "gps_1_lat=42.3519 lat; gps_1_lon=-87.9094 lon; gps_1_alt=10 m"},
        {"018e01", "switch_1=1"},
        {"01670110016700ff", "temperature_1=27.2 Cel; temperature_1=25.5 Cel"},
    };
    check_told(CONTENT_FORMAT_CAYENNE_LPP, table, COUNT_OF(table), true);
}

Test(cayenne, refuses_the_whole_frame)
{
    static const struct {
        const char *hex;
        const char *result;
        size_t offset;
    } table[] = {
        {"", "malformed", 0},
        {"01", "malformed", 0},
        {"0167", "malformed", 2},
        {"016701", "malformed", 2},
        {"0367011005", "malformed", 4},
        {"03670110056700", "malformed", 6},
        {"03670110056900ff", "bad-value", 5},
        {"01f0", "bad-value", 1},
        {"018806765ff2960a0003", "malformed", 2},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation_list list = {0};
        struct format_error error = {NULL, 0};
        cr_expect_str_eq(told_of(format_by_content_format(CONTENT_FORMAT_CAYENNE_LPP),
                                 (struct format_input){.payload = hex_bytes(arena, table[i].hex)}, arena, &list, &error),
                         table[i].result);
        cr_expect_eq(error.offset, table[i].offset, "%s: %zu", table[i].hex, error.offset);
        arena_free(arena);
    }
}

Test(cayenne, energy_is_a_counter_of_32_bits)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list = {0};
    struct format_error error = {NULL, 0};
    (void)told_of(format_by_content_format(CONTENT_FORMAT_CAYENNE_LPP),
                  (struct format_input){.payload = hex_bytes(arena, "0183ffffffff016700ff")}, arena, &list, &error);
    cr_assert_eq(list.count, 2);
    cr_expect(list.items[0].cumulative);
    cr_expect_eq(list.items[0].modulus.approx, 4294967296.0 * 3600);
    cr_expect_eq(list.items[0].number.approx, 4294967295.0 * 3600);
    cr_expect_not(list.items[1].cumulative);
    cr_expect_eq(list.items[1].modulus.text.len, 0);
    arena_free(arena);
}

Test(cayenne, bounds_the_number_of_values)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    uint8_t *frame = arena_calloc(arena, 1025, 3);
    cr_expect_str_eq(told(CONTENT_FORMAT_CAYENNE_LPP, bytes_of(frame, 3 * 1025), arena), "too-complex");
    cr_expect_str_neq(told(CONTENT_FORMAT_CAYENNE_LPP, bytes_of(frame, 3 * 1024), arena), "too-complex");
    arena_free(arena);
}

static const struct node *member(const struct node *object, const char *name)
{
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1))
        if (bytes_equal_text(key->data, name))
            return key + 1;
    return NULL;
}

static void check_axis(const struct observation *value, const struct node *record, const char *axis, double unit)
{
    double expected = strtod((const char *)member(record, axis)->data.ptr, NULL) * unit;
    cr_expect_float_eq(value->number.approx, expected, 1e-9, "%g not %g", value->number.approx, expected);
}

Test(cayenne, vectors)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *root;
    struct refusal refusal;
    struct format_limits limits = FORMAT_LIMITS_DEFAULT;
    cr_assert(json_read(vector_file(arena, "cayenne-lpp/vectors.json"), &limits, arena, &root, &refusal));
    const struct node *frames = member(root, "frames"), *frame = node_first(frames);
    for (uint32_t i = 0; i < frames->count; i++, frame = node_next(frame)) {
        struct observation_list list;
        struct bytes payload = from_hex(arena, member(frame, "hex")->data);
        cr_assert_eq(decode_as(CONTENT_FORMAT_CAYENNE_LPP, payload, arena, &list, NULL), OUTCOME_CHANGED);
        const struct observation *value = list.items;
        const struct node *records = member(frame, "records"), *record = node_first(records);
        for (uint32_t k = 0; k < records->count; k++, record = node_next(record)) {
            if (member(record, "value")) {
                cr_expect(bytes_equal(value->unit, member(record, "unit")->data));
                check_axis(value++, record, "value", 1);
                continue;
            }
            check_axis(value++, record, "x", 9.80665);
            check_axis(value++, record, "y", 9.80665);
            check_axis(value++, record, "z", 9.80665);
        }
        cr_expect_eq((size_t)(value - list.items), list.count);
    }
    arena_free(arena);
}
