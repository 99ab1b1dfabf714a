// SPDX-License-Identifier: GPL-3.0-or-later
/* A table of types and two walks over the frame: one to count, one to read. */
#include "codec/cayenne.h"

#include "codec/scale.h"

#define AXES_MAX 3
#define HEADER_BYTES 2 /* channel, type */
#define NAME_MAX_BYTES 32 /* the longest name, '_' and three digits twice */

struct axis {
    const char *name; /* NULL: the type has one value only */
    uint8_t bytes;
    bool is_signed;
    struct scale scale;
    const char *unit; /* NULL: none */
};

struct type {
    uint8_t number;
    const char *name;
    const char *modulus; /* a counter that begins again there, in the unit of the value; NULL: no counter */
    struct axis axes[AXES_MAX];
};

#define ONE(bytes, is_signed, factor, exponent, unit) {{NULL, bytes, is_signed, {factor, exponent}, unit}}
#define ACCELERATION(name) {name, 2, true, {980665, -8}, "m/s2"} /* thousandths of 9.80665 m/s2 */
#define TURNING(name) {name, 2, true, {1, -2}, "deg/s"}
#define COLOUR(name) {name, 1, false, SCALE_ONE, NULL}

/* kWh in thousandths, 32 bits: 2^32 * 3600 J. */
#define ENERGY_MODULUS "15461882265600"

static const struct type types[] = {
    {0, "digital_input", NULL, ONE(1, false, 1, 0, NULL)},
    {1, "digital_output", NULL, ONE(1, false, 1, 0, NULL)},
    {2, "analog_input", NULL, ONE(2, true, 1, -2, NULL)},
    {3, "analog_output", NULL, ONE(2, true, 1, -2, NULL)},
    {100, "generic", NULL, ONE(4, false, 1, 0, NULL)},
    {101, "illuminance", NULL, ONE(2, false, 1, 0, "lx")},
    {102, "presence", NULL, ONE(1, false, 1, 0, NULL)},
    {103, "temperature", NULL, ONE(2, true, 1, -1, "Cel")},
    {104, "humidity", NULL, ONE(1, false, 5, -1, "%RH")},
    {113, "accelerometer", NULL, {ACCELERATION("x"), ACCELERATION("y"), ACCELERATION("z")}},
    {115, "barometer", NULL, ONE(2, false, 10, 0, "Pa")},
    {116, "voltage", NULL, ONE(2, false, 1, -2, "V")},
    {117, "current", NULL, ONE(2, false, 1, -3, "A")},
    {118, "frequency", NULL, ONE(4, false, 1, 0, "Hz")},
    {120, "percentage", NULL, ONE(1, false, 1, -2, "/")},
    {121, "altitude", NULL, ONE(2, true, 1, 0, "m")},
    {122, "load", NULL, ONE(3, true, 1, -3, "kg")},
    {125, "concentration", NULL, ONE(2, false, 1, -6, "/")},
    {128, "power", NULL, ONE(2, false, 1, 0, "W")},
    {130, "distance", NULL, ONE(4, false, 1, -3, "m")},
    {131, "energy", ENERGY_MODULUS, ONE(4, false, 3600, 0, "J")},
    {132, "direction", NULL, ONE(2, false, 1, 0, "deg")},
    {133, "unixtime", NULL, ONE(4, false, 1, 0, "s")},
    {134, "gyrometer", NULL, {TURNING("x"), TURNING("y"), TURNING("z")}},
    {135, "colour", NULL, {COLOUR("r"), COLOUR("g"), COLOUR("b")}},
    {136, "gps", NULL,
     {{"lat", 3, true, {1, -4}, "lat"}, {"lon", 3, true, {1, -4}, "lon"}, {"alt", 3, true, {1, -2}, "m"}}},
    {142, "switch", NULL, ONE(1, false, 1, 0, NULL)},
};

static const struct type *find_type(uint8_t number)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].number == number)
            return &types[i];
    return NULL;
}

static size_t count_axes(const struct type *type, size_t *ret_bytes)
{
    size_t count = 0;
    for (*ret_bytes = 0; count < AXES_MAX && type->axes[count].bytes; count++)
        *ret_bytes += type->axes[count].bytes;
    return count;
}

/* How many values the frame has. Nothing behind an unknown type can be found, so the whole of it is refused. */
static bool count_values(const struct format_input *input, size_t *ret, struct refusal *reterr)
{
    struct bytes payload = input->payload;
    size_t count = 0;
    if (payload.len == 0)
        return refuse(reterr, OUTCOME_MALFORMED, "The payload is empty.", 0);
    for (size_t at = 0, bytes; at < payload.len; at += HEADER_BYTES + bytes) {
        if (payload.len - at < HEADER_BYTES)
            return refuse(reterr, OUTCOME_MALFORMED, "The frame ends behind a channel.", at);
        const struct type *type = find_type(payload.ptr[at + 1]);
        if (!type)
            return refuse(reterr, OUTCOME_BAD_VALUE, "The type of a value is not known.", at + 1);
        count += count_axes(type, &bytes);
        if (payload.len - at - HEADER_BYTES < bytes)
            return refuse(reterr, OUTCOME_MALFORMED, "The frame ends in the middle of a value.", at + HEADER_BYTES);
        if (count > input->limits.records)
            return refuse(reterr, OUTCOME_TOO_COMPLEX, "The frame has too many values.", at);
    }
    *ret = count;
    return true;
}

static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

static bool make_name(const struct type *type, const struct axis *axis, uint8_t channel, struct arena *arena,
                      struct bytes *ret)
{
    char *name = arena_alloc(arena, NAME_MAX_BYTES), *at = name;
    if (!name)
        return false;
    at = put_text(at, type->name);
    *at++ = '_';
    if (channel >= 100)
        *at++ = (char)('0' + channel / 100);
    if (channel >= 10)
        *at++ = (char)('0' + channel / 10 % 10);
    *at++ = (char)('0' + channel % 10);
    if (axis->name) {
        *at++ = '_';
        at = put_text(at, axis->name);
    }
    *ret = bytes_of(name, (size_t)(at - name));
    return true;
}

static void read_integer(const uint8_t *data, const struct axis *axis, struct decimal *ret)
{
    uint64_t number = 0, modulus = UINT64_C(1) << (8 * axis->bytes);
    for (size_t i = 0; i < axis->bytes; i++)
        number = number << 8 | data[i];
    bool negative = axis->is_signed && number >= modulus / 2;
    decimal_from_uint(negative ? modulus - number : number, negative, ret);
}

static bool set_modulus(const char *text, struct arena *arena, struct observation *value, struct refusal *reterr)
{
    struct decimal decimal;
    struct node node = {.kind = NODE_NUMBER, .data = bytes_of_text(text), .skip = 1};
    value->cumulative = true;
    return node_number(&node, arena, &decimal, &value->modulus, reterr);
}

static bool read_value(const struct type *type, const struct axis *axis, uint8_t channel, const uint8_t *data,
                       struct arena *arena, struct observation *value, struct refusal *reterr)
{
    struct decimal raw;
    value->kind = VALUE_NUMBER;
    value->unit = bytes_of_text(axis->unit);
    if (!make_name(type, axis, channel, arena, &value->name))
        return refuse_memory(reterr);
    if (type->modulus && !set_modulus(type->modulus, arena, value, reterr))
        return false;
    read_integer(data, axis, &raw);
    return scale_number(&raw, axis->scale, arena, &value->number, reterr);
}

static bool read_values(const struct format_input *input, struct arena *arena, struct observation *value,
                        struct refusal *reterr)
{
    struct bytes payload = input->payload;
    for (size_t at = 0; at < payload.len;) {
        uint8_t channel = payload.ptr[at];
        const struct type *type = find_type(payload.ptr[at + 1]);
        at += HEADER_BYTES;
        for (const struct axis *axis = type->axes; axis < type->axes + AXES_MAX && axis->bytes; axis++, value++) {
            *value = (struct observation){.time = input->now, .time_source = TIME_RECEIPT};
            if (!read_value(type, axis, channel, payload.ptr + at, arena, value, reterr))
                return false;
            at += axis->bytes;
        }
    }
    return true;
}

enum outcome cayenne_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                            struct format_error *reterr)
{
    size_t count;
    struct refusal refusal;
    struct observation_list list = {0};
    if (!count_values(input, &count, &refusal))
        return refusal_report(&refusal, reterr);
    list = (struct observation_list){.items = arena_calloc(arena, count, sizeof(*list.items)), .count = count};
    if (!list.items)
        (void)refuse_memory(&refusal);
    if (!list.items || !read_values(input, arena, list.items, &refusal))
        return refusal_report(&refusal, reterr);
    *ret = list;
    return OUTCOME_CHANGED;
}
