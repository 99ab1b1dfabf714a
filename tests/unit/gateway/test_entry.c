// SPDX-License-Identifier: GPL-3.0-or-later
/* The fields of a stream entry: always all of them, in the order of the schema; and back again (gateway/warm). */
#include "gateway/entry.h"
#include "gateway/warm.h"

#include <criterion/criterion.h>

#define NAME(name) #name,
static const char *const field_names[] = {SCHEMA_OBS_FIELDS(NAME)};

static const struct sink_message message = {.tenant = {(const uint8_t *)"acme", 4}, .class = 't', .evidence = EVIDENCE_PSK};

#define ENTRY_ARGUMENTS (3 + 2 * ENTRY_FIELDS)

static void arguments_of(const struct observation *observation, struct entry_scratch *scratch, struct bytes *ret)
{
    struct sink_record record = {.device = BYTES_LITERAL("boiler-7"), .observation = observation};
    size_t count = entry_arguments(BYTES_LITERAL("weir:{acme}:obs"), &message, &record,
                                   BYTES_LITERAL("0c41000000000001"), scratch, ret);
    cr_assert_eq(count, ENTRY_ARGUMENTS);
}

static void expect_field(const struct bytes *arguments, char name, const char *value)
{
    for (size_t i = 3; i + 1 < ENTRY_ARGUMENTS; i += 2)
        if (arguments[i].ptr[0] == (uint8_t)name) {
            cr_expect(bytes_equal_text(arguments[i + 1], value), "%c: %.*s is not %s", name,
                      (int)arguments[i + 1].len, arguments[i + 1].ptr, value);
            return;
        }
    cr_assert_fail("no field %c", name);
}

Test(entry, all_fields_in_order)
{
    struct observation observation = {.name = BYTES_LITERAL("temp"), .unit = BYTES_LITERAL("Cel"),
                                      .time = {1763692800, 125000000}, .time_source = TIME_DEVICE,
                                      .kind = VALUE_NUMBER, .number = {BYTES_LITERAL("21.50"), 21.5}};
    struct entry_scratch scratch = {0};
    struct bytes arguments[ENTRY_ARGUMENTS_MAX];
    arguments_of(&observation, &scratch, arguments);
    cr_assert_eq(sizeof field_names / sizeof field_names[0], ENTRY_FIELDS);
    for (size_t i = 0; i < ENTRY_FIELDS; i++)
        cr_expect(bytes_equal_text(arguments[3 + 2 * i], field_names[i]));
    expect_field(arguments, 'd', "boiler-7");
    expect_field(arguments, 'n', "temp");
    expect_field(arguments, 'u', "Cel");
    expect_field(arguments, 't', "1763692800.125");
    expect_field(arguments, 'q', "d");
    expect_field(arguments, 'k', "n");
    expect_field(arguments, 'v', "21.50");
    expect_field(arguments, 's', "");
    expect_field(arguments, 'c', "t");
    expect_field(arguments, 'a', "psk");
    expect_field(arguments, 'b', "");
    expect_field(arguments, 'm', "0c41000000000001");
    expect_field(arguments, 'w', "");
    expect_field(arguments, 'y', "");
    entry_scratch_deinit(&scratch);
}

Test(entry, tags_stand_behind_the_fixed_fields)
{
    struct record_field tags[RECORD_RULE_TAGS_MAX];
    for (size_t i = 0; i < RECORD_RULE_TAGS_MAX; i++)
        tags[i] = (struct record_field){BYTES_LITERAL("site"), BYTES_LITERAL("north")};
    struct sink_record record = {.device = BYTES_LITERAL("d1"), .observation = &(struct observation){.kind = VALUE_NONE},
                                 .tags = tags, .tag_count = RECORD_RULE_TAGS_MAX};
    struct entry_scratch scratch = {0};
    struct bytes arguments[ENTRY_ARGUMENTS_MAX], values[ENTRY_FIELDS];
    size_t count = entry_arguments(BYTES_LITERAL("k"), &message, &record, BYTES_LITERAL("0"), &scratch, arguments);
    cr_assert_eq(count, ENTRY_ARGUMENTS_MAX);
    cr_expect(bytes_equal_text(arguments[ENTRY_ARGUMENTS], "site"));
    cr_expect(bytes_equal_text(arguments[ENTRY_ARGUMENTS + 1], "north"));
    cr_assert(entry_values(&message, &record, BYTES_LITERAL("0"), &scratch, values));
    for (size_t i = 0; i < ENTRY_FIELDS; i++)
        cr_expect(bytes_equal(values[i], arguments[4 + 2 * i]), "%zu", i);
    entry_scratch_deinit(&scratch);
}

Test(entry, peer_text_stays_one_argument)
{
    struct observation observation = {.name = BYTES_LITERAL("x"), .kind = VALUE_TEXT, .time_source = TIME_RECEIPT,
                                      .data = BYTES_LITERAL("\r\n*1\r\n$8\r\nFLUSHALL\r\n\x1b[2J")};
    struct entry_scratch scratch = {0};
    struct bytes arguments[ENTRY_ARGUMENTS_MAX];
    arguments_of(&observation, &scratch, arguments);
    expect_field(arguments, 'v', "\r\n*1\r\n$8\r\nFLUSHALL\r\n\x1b[2J");
    entry_scratch_deinit(&scratch);
}

Test(entry, bytes_say_what_they_are)
{
    struct observation observation = {.name = BYTES_LITERAL("x"), .kind = VALUE_BYTES, .data = BYTES_LITERAL("{}"),
                                      .content_type = BYTES_LITERAL("application/json"), .time_source = TIME_RECEIPT};
    struct entry_scratch scratch = {0};
    struct bytes arguments[ENTRY_ARGUMENTS_MAX];
    arguments_of(&observation, &scratch, arguments);
    expect_field(arguments, 'v', "e30");
    expect_field(arguments, 'y', "application/json");
    entry_scratch_deinit(&scratch);
}

static const struct observation samples[] = {
    {.name = {(const uint8_t *)"a", 1}, .kind = VALUE_NUMBER, .time = {-1, 500000000}, .time_source = TIME_DEVICE,
     .number = {{(const uint8_t *)"1e-7", 4}, 1e-7}},
    {.name = {(const uint8_t *)"b", 1}, .kind = VALUE_BOOLEAN, .boolean = true, .time_source = TIME_RELATIVE},
    {.name = {(const uint8_t *)"c", 1}, .kind = VALUE_TEXT, .data = {(const uint8_t *)"gr\xc3\xbcn", 5},
     .time_source = TIME_RECEIPT},
    {.name = {(const uint8_t *)"d", 1}, .kind = VALUE_BYTES, .data = {(const uint8_t *)"\x00\xff\x10", 3},
     .time_source = TIME_DEVICE, .unit = {(const uint8_t *)"W", 1}, .content_type = {(const uint8_t *)"60", 2}},
    {.name = {(const uint8_t *)"e", 1}, .kind = VALUE_NONE, .has_sum = true, .sum = {{(const uint8_t *)"12.5", 4}, 12.5},
     .time_source = TIME_DEVICE, .time = {1763692800, 0}},
    {.name = {(const uint8_t *)"removed", 7}, .kind = VALUE_NONE, .time_source = TIME_RECEIPT, .time = {1763692800, 0}},
};

Test(entry, reads_back)
{
    struct arena *arena = arena_new(65536);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct entry_scratch scratch = {0};
        struct bytes arguments[ENTRY_ARGUMENTS_MAX], device;
        struct observation back;
        arguments_of(&samples[i], &scratch, arguments);
        cr_assert(warm_observation(arguments + 3, ENTRY_ARGUMENTS - 3, arena, &device, &back), "sample %zu", i);
        cr_expect(bytes_equal_text(device, "boiler-7"));
        cr_expect(bytes_equal(back.name, samples[i].name));
        cr_expect(bytes_equal(back.unit, samples[i].unit));
        cr_expect(bytes_equal(back.content_type, samples[i].content_type));
        cr_expect_eq(back.kind, samples[i].kind);
        cr_expect_eq(back.time.s, samples[i].time.s);
        cr_expect_eq(back.time.ns, samples[i].time.ns);
        cr_expect_eq(back.time_source, samples[i].time_source);
        cr_expect_eq(back.boolean, samples[i].boolean);
        cr_expect_eq(back.has_sum, samples[i].has_sum);
        cr_expect_eq(back.number.approx, samples[i].number.approx);
        cr_expect_eq(back.sum.approx, samples[i].sum.approx);
        if (samples[i].kind == VALUE_TEXT || samples[i].kind == VALUE_BYTES)
            cr_expect(bytes_equal(back.data, samples[i].data));
        entry_scratch_deinit(&scratch);
    }
    arena_free(arena);
}

Test(entry, foreign_entries_are_not_read)
{
    struct arena *arena = arena_new(4096);
    struct bytes device, none[] = {BYTES_LITERAL("d"), BYTES_LITERAL("x")};
    struct observation observation;
    cr_expect_not(warm_observation(none, 2, arena, &device, &observation));
    cr_expect_not(warm_observation(NULL, 0, arena, &device, &observation));
    arena_free(arena);
}

Test(entry, a_signature_is_named_with_its_key)
{
    struct observation observation = {.name = BYTES_LITERAL("x"), .kind = VALUE_NONE, .time_source = TIME_DEVICE};
    struct sink_proof proof = {.kid = BYTES_LITERAL("0123456789abcdef0123456789abcdef")};
    struct sink_record record = {.device = BYTES_LITERAL("d"), .observation = &observation};
    struct sink_message by_key = {.records = &record, .count = 1, .class = 't', .evidence = EVIDENCE_COSE,
                                  .proof = &proof};
    struct entry_scratch scratch = {0};
    struct bytes values[ENTRY_FIELDS];
    cr_assert(entry_values(&by_key, &record, BYTES_LITERAL("0000000000000001"), &scratch, values));
    cr_expect(bytes_equal_text(values[9], "cose:0123456789abcdef0123456789abcdef"));
    proof.kid = (struct bytes){0};
    cr_assert(entry_values(&by_key, &record, BYTES_LITERAL("0000000000000001"), &scratch, values));
    cr_expect(bytes_equal_text(values[9], "cose"), "a derived key has no name");
    entry_scratch_deinit(&scratch);
}
