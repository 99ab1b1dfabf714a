// SPDX-License-Identifier: GPL-3.0-or-later
/* The SenML encoders: what they write, and that decoding it gives the same list. */
#include "codec/senml_write.h"

#include "codec/decimal.h"
#include "codec/timestamp.h"
#include "tests/unit/codec/support.h"

static struct number number_of(struct arena *arena, const char *text)
{
    struct decimal decimal;
    struct number number = {.text = bytes_of_text(arena_text(arena, bytes_of_text(text)))};
    cr_assert_eq(decimal_parse(number.text, &decimal), DECIMAL_OK, "%s", text);
    cr_assert(decimal_to_double(&decimal, &number.approx));
    return number;
}

Test(senml_write, writes_every_kind)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation items[] = {
        {.name = BYTES_LITERAL("a"), .unit = BYTES_LITERAL("Cel"), .time = NOW, .kind = VALUE_NUMBER,
         .number = number_of(arena, "21.50")},
        {.name = BYTES_LITERAL("b"), .time = {-2, 500000000}, .kind = VALUE_TEXT,
         .data = BYTES_LITERAL("\"\\\n\x1b\xc3\xbc")},
        {.name = BYTES_LITERAL("c"), .time = {1763692800, 0}, .kind = VALUE_BOOLEAN, .boolean = true},
        {.name = BYTES_LITERAL("d"), .time = {1763692800, 1}, .kind = VALUE_BYTES, .data = BYTES_LITERAL("\xff"),
         .content_type = BYTES_LITERAL("text/x; a=\"b\"")},
        {.name = BYTES_LITERAL("e"), .time = {1763692800, 0}, .kind = VALUE_NONE, .has_sum = true,
         .sum = number_of(arena, "7")},
    };
    struct observation_list list = {.items = items, .count = COUNT_OF(items)};
    struct bytes out;
    cr_assert_eq(senml_write_json(&list, arena, &out), OUTCOME_CONTENT);
    cr_expect_str_eq(arena_text(arena, out),
                     "[{\"n\":\"a\",\"u\":\"Cel\",\"v\":21.50,\"t\":1763692800.125},"
                     "{\"n\":\"b\",\"vs\":\"\\\"\\\\\\n\\u001b\xc3\xbc\",\"t\":-1.5},"
                     "{\"n\":\"c\",\"vb\":true,\"t\":1763692800},"
                     "{\"n\":\"d\",\"vd\":\"_w\",\"ct\":\"text/x; a=\\\"b\\\"\",\"t\":1763692800.000000001},"
                     "{\"n\":\"e\",\"s\":7,\"t\":1763692800}]");
    arena_free(arena);
}

Test(senml_write, cbor_form)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation items[] = {
        {.name = BYTES_LITERAL("a"), .unit = BYTES_LITERAL("V"), .time = {1763692800, 0}, .kind = VALUE_NUMBER,
         .number = number_of(arena, "21.50"), .has_sum = true, .sum = number_of(arena, "-3")},
        {.name = BYTES_LITERAL("d"), .time = {1763692800, 500000000}, .kind = VALUE_BYTES,
         .data = BYTES_LITERAL("\xff"), .content_type = BYTES_LITERAL("60")},
    };
    struct observation_list list = {.items = items, .count = COUNT_OF(items)};
    struct bytes out;
    cr_assert_eq(senml_write_cbor(&list, arena, &out), OUTCOME_CONTENT);
    cr_expect_str_eq(to_hex(arena, out), "82"
                                         "a500616101615602c482211908660522061a691fd100"
                                         "a400616406fb41da47f4402000000841ff626374623630");
    arena_free(arena);
}

Test(senml_write, an_empty_list_is_an_empty_array)
{
    struct arena *arena = arena_new(1000);
    struct observation_list list = {.items = NULL, .count = 0};
    struct bytes out;
    cr_assert_eq(senml_write_json(&list, arena, &out), OUTCOME_CONTENT);
    cr_assert(bytes_equal_text(out, "[]"));
    cr_assert_eq(senml_write_cbor(&list, arena, &out), OUTCOME_CONTENT);
    cr_assert_str_eq(to_hex(arena, out), "80");
    arena_free(arena);
}

Test(senml_write, says_when_memory_is_used_up)
{
    struct arena *arena = arena_new(32);
    struct observation item = {.name = BYTES_LITERAL("abcdefghijklmnopqrstuvwxyz"), .time = NOW, .kind = VALUE_NONE};
    struct observation_list list = {.items = &item, .count = 1};
    struct bytes untouched = {NULL, 77};
    cr_assert_eq(senml_write_json(&list, arena, &untouched), OUTCOME_OUT_OF_MEMORY);
    cr_assert_eq(senml_write_cbor(&list, arena, &untouched), OUTCOME_OUT_OF_MEMORY);
    cr_assert_eq(untouched.len, 77);
    arena_free(arena);
}

/* A random number text with up to 30 digits, a point and an exponent. */
static const char *random_number(uint64_t *random, struct arena *arena)
{
    char text[80], *at = text;
    if (next_random(random) % 2)
        *at++ = '-';
    size_t digits = 1 + next_random(random) % 15, fraction = next_random(random) % 15;
    *at++ = (char)('1' + next_random(random) % 9);
    for (size_t i = 1; i < digits; i++)
        *at++ = (char)('0' + next_random(random) % 10);
    if (fraction)
        *at++ = '.';
    for (size_t i = 0; i < fraction; i++)
        *at++ = (char)('0' + next_random(random) % 10);
    if (next_random(random) % 3 == 0)
        at += sprintf(at, "e%d", (int)(next_random(random) % 500) - 250);
    return arena_text(arena, bytes_of(text, (size_t)(at - text)));
}

static struct observation random_observation(uint64_t *random, struct arena *arena, size_t place)
{
    static const char *const names[] = {"a", "urn:dev:x:1", "b_2/c.d"};
    static const char *const texts[] = {"", "x", "\"q\" \\ \t", "\xe2\x82\xac\xf0\x9f\x98\x80"};
    static const enum value_kind kinds[] = {VALUE_NONE, VALUE_NUMBER, VALUE_TEXT, VALUE_BOOLEAN, VALUE_BYTES};
    struct observation item = {
        .name = bytes_of_text(names[next_random(random) % 3]),
        .unit = next_random(random) % 2 ? BYTES_LITERAL("Cel") : bytes_of(NULL, 0),
        .time = {1763692800 + (int64_t)place, (uint32_t)(next_random(random) % 1000000000)},
        .kind = kinds[next_random(random) % 5],
    };
    item.has_sum = item.kind == VALUE_NONE || next_random(random) % 4 == 0;
    if (item.has_sum)
        item.sum = number_of(arena, random_number(random, arena));
    if (item.kind == VALUE_NUMBER)
        item.number = number_of(arena, random_number(random, arena));
    if (item.kind == VALUE_BOOLEAN)
        item.boolean = next_random(random) % 2;
    if (item.kind == VALUE_TEXT || item.kind == VALUE_BYTES)
        item.data = bytes_of_text(texts[next_random(random) % 4]);
    return item;
}

static bool same_bytes_of_numbers(const struct number *a, const struct number *b, bool exact_text)
{
    return exact_text ? bytes_equal(a->text, b->text) : a->approx == b->approx;
}

static void check_round_trip(const struct observation_list *list, int content_format, struct arena *arena)
{
    const struct format *format = format_by_content_format(content_format);
    bool json = content_format == CONTENT_FORMAT_SENML_JSON;
    struct bytes out;
    struct observation_list again;
    cr_assert_eq(format->encode(list, arena, &out), OUTCOME_CONTENT);
    cr_assert_eq(decode_as(content_format, out, arena, &again, NULL), OUTCOME_CHANGED);
    cr_assert_eq(again.count, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct observation *x = &list->items[i], *y = &again.items[i];
        cr_assert(bytes_equal(x->name, y->name));
        cr_assert(bytes_equal(x->unit, y->unit));
        cr_assert_eq(timestamp_compare(x->time, y->time), 0);
        cr_assert_eq(x->kind, y->kind);
        cr_assert_eq(x->boolean, y->boolean);
        cr_assert(bytes_equal(x->data, y->data));
        cr_assert_eq(x->has_sum, y->has_sum);
        cr_assert(!x->has_sum || same_bytes_of_numbers(&x->sum, &y->sum, json));
        cr_assert(x->kind != VALUE_NUMBER || same_bytes_of_numbers(&x->number, &y->number, json));
    }
}

Test(senml_write, round_trips)
{
    uint64_t random = 17;
    for (int round = 0; round < 300; round++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation items[20];
        size_t count = 1 + next_random(&random) % COUNT_OF(items);
        for (size_t i = 0; i < count; i++)
            items[i] = random_observation(&random, arena, i);
        struct observation_list list = {.items = items, .count = count};
        check_round_trip(&list, CONTENT_FORMAT_SENML_JSON, arena);
        check_round_trip(&list, CONTENT_FORMAT_SENML_CBOR, arena);
        arena_free(arena);
    }
}
