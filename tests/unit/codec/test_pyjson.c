// SPDX-License-Identifier: GPL-3.0-or-later
/* Python's canonical JSON: all of tests/vectors/pyjson-hmac, and the shortest digits of tests/vectors/jcs. */
#include "codec/pyjson.h"

#include "codec/json.h"
#include "tests/unit/codec/support.h"

/* Its slug where it is refused. */
static const char *canonical(struct bytes text, struct arena *arena)
{
    struct bytes exact, out;
    struct refusal refusal;
    cr_assert(arena_copy(arena, text, &exact));
    if (pyjson_canonical(exact, &FORMAT_LIMITS_DEFAULT, arena, &out, &refusal))
        return arena_text(arena, out);
    cr_assert(refusal.detail);
    return outcome_row(refusal.outcome)->slug;
}

static const struct node *member(const struct node *map, const char *name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1))
        if (bytes_equal_text(key->data, name))
            return key + 1;
    cr_assert_fail("no member %s", name);
    return NULL;
}

static const struct node *read_vectors(struct bytes text, struct arena *arena)
{
    const struct format_limits wide = {.depth = 16, .items = 65536};
    struct refusal refusal;
    const struct node *root;
    cr_assert(json_read_with_nul(text, &wide, arena, &root, &refusal));
    return root;
}

Test(pyjson, cases)
{
    struct arena *arena = arena_new(8 * ARENA_BYTES);
    const struct node *cases = member(read_vectors(vector_file(arena, "pyjson-hmac/cases.json"), arena), "cases");
    const struct node *item = node_first(cases);
    unsigned refused = 0;
    for (uint32_t i = 0; i < cases->count; i++, item = node_next(item)) {
        const char *name = arena_text(arena, member(item, "name")->data);
        const char *result = canonical(member(item, "payload_raw")->data, arena);
        bool is_object = strncmp(name, "payload-", 8) != 0; /* those are refused as envelopes, not as JSON */
        if (bytes_equal_text(member(item, "recommended")->data, "accept") || !is_object) {
            cr_expect(bytes_equal_text(member(item, "canonical")->data, result), "%s: %s", name, result);
        } else {
            cr_expect(strcmp(result, "malformed") == 0 || strcmp(result, "bad-value") == 0 ||
                      strcmp(result, "duplicate-key") == 0, "%s: %s", name, result);
            refused++;
        }
    }
    cr_expect_eq(cases->count, 53);
    cr_expect_eq(refused, 17);
    arena_free(arena);
}

/* Each line has an envelope; its payload's canonical text stands beside it. */
Test(pyjson, random_payloads)
{
    struct arena *arena = arena_new(16 * ARENA_BYTES);
    struct bytes lines = vector_file(arena, "pyjson-hmac/random.jsonl");
    unsigned count = 0;
    while (lines.len) {
        const uint8_t *end = memchr(lines.ptr, '\n', lines.len);
        struct bytes line = bytes_of(lines.ptr, end ? (size_t)(end - lines.ptr) : lines.len);
        size_t taken = line.len + (end != NULL);
        const struct node *root = read_vectors(line, arena);
        const struct node *envelope = read_vectors(member(root, "envelope")->data, arena);
        struct bytes out;
        struct refusal refusal;
        cr_assert(pyjson_write(member(envelope, "payload"), 0, arena, &out, &refusal));
        cr_expect(bytes_equal(out, member(root, "canonical")->data), "line %u", count + 1);
        lines = bytes_of(lines.ptr + taken, lines.len - taken);
        count++;
    }
    cr_expect_eq(count, 400);
    arena_free(arena);
}

/* Significant digits of a number's text, without the zeros around them. */
static const char *digits_of(const char *text, char ret[static 64])
{
    size_t len = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (len || *text != '0'))
            ret[len++] = *text;
    while (len && ret[len - 1] == '0')
        len--;
    ret[len] = '\0';
    return ret;
}

/* The digits are the same everywhere; the layout is Python's own. */
Test(pyjson, digits_are_those_of_es6)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const char *lines = arena_text(arena, vector_file(arena, "jcs/es6_numbers_1000.txt"));
    unsigned long long bits;
    char text[64], own[PYJSON_FLOAT_MAX], digits[64], own_digits[64];
    int taken;
    unsigned count = 0, same = 0;
    for (; sscanf(lines, "%llx,%63s\n%n", &bits, text, &taken) == 2; lines += taken, count++) {
        uint64_t octets = bits;
        double number;
        memcpy(&number, &octets, sizeof(number));
        cr_expect_eq(pyjson_float(number, own), strlen(own));
        cr_expect_str_eq(digits_of(own, own_digits), digits_of(text, digits), "%llx: %s, ES6 has %s", bits, own, text);
        same += strcmp(own, text) == 0;
    }
    cr_expect_eq(count, 1000);
    cr_expect_gt(same, 500);
    arena_free(arena);
}

Test(pyjson, floats)
{
    static const struct {
        double number;
        const char *text;
    } table[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {20, "20.0"},
        {1e15, "1000000000000000.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e16, "1e+16"},
        {1.2345e16, "1.2345e+16"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {0.000123456, "0.000123456"},
        {0.1 + 0.2, "0.30000000000000004"},
        {5e-324, "5e-324"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {1e100, "1e+100"},
        /* Powers of two: the nearest decimal of 16 digits is another double's, the next one up is not. */
        {0x1p-1017, "7.120236347223045e-307"},
        {0x1p-44, "5.684341886080802e-14"},
        {0x1p89, "6.189700196426902e+26"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char text[PYJSON_FLOAT_MAX];
        cr_expect_eq(pyjson_float(table[i].number, text), strlen(table[i].text));
        cr_expect_str_eq(text, table[i].text);
    }
}

static char *repeated(struct arena *arena, const char *before, char c, size_t count, const char *after)
{
    char *text = arena_alloc(arena, strlen(before) + count + strlen(after) + 1);
    cr_assert(text);
    strcpy(text, before);
    memset(text + strlen(before), c, count);
    strcpy(text + strlen(before) + count, after);
    return text;
}

Test(pyjson, long_numbers)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const char *longest = repeated(arena, "-", '7', PYJSON_DIGITS_MAX, "");
    cr_expect_str_eq(canonical(bytes_of_text(longest), arena), longest);
    cr_expect_str_eq(canonical(bytes_of_text(repeated(arena, "7", '7', PYJSON_DIGITS_MAX, "")), arena), "bad-value");
    /* Beyond the bounds of codec/decimal, but doubles like any others. */
    cr_expect_str_eq(canonical(bytes_of_text(repeated(arena, "0.", '0', 320, "1")), arena), "1e-321");
    cr_expect_str_eq(canonical(bytes_of_text(repeated(arena, "0.", '3', 200, "")), arena), "0.3333333333333333");
    cr_expect_str_eq(canonical(bytes_of_text(repeated(arena, "9007199254740993.", '0', 99, "1")), arena),
                     "9007199254740994.0");
    cr_expect_str_eq(canonical(BYTES_LITERAL("[1e-999999999999,-1e-500,0e500]"), arena), "[0.0,-0.0,0.0]");
    cr_expect_str_eq(canonical(BYTES_LITERAL("1e999999999999"), arena), "bad-value");
    cr_expect_str_eq(canonical(BYTES_LITERAL("1e309"), arena), "bad-value");
    arena_free(arena);
}

Test(pyjson, whatever_is_no_object)
{
    static const struct expectation table[] = {
        {" null ", "null"},       {"[ ]", "[]"},
        {"[[],{},[{}]]", "[[],{},[{}]]"}, {"\"\\u0000\"", "\"\\u0000\""},
        {"[1,2", "malformed"},    {"{\"\\u0000\":1,\"\":2}", "{\"\":2,\"\\u0000\":1}"},
        {"{\"\\u0000\":1,\"\\u0000\":2}", "duplicate-key"}, {"\xff", "malformed"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        cr_expect_str_eq(canonical(bytes_of_text(table[i].payload), arena), table[i].result, "%s", table[i].payload);
        arena_free(arena);
    }
}

Test(pyjson, depth)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes out;
    struct refusal refusal;
    char text[2 * 65 + 1] = "";
    const struct format_limits limits = {.depth = 1000, .items = 1000};
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    cr_assert(pyjson_canonical(bytes_of_text(text), &limits, arena, &out, &refusal));
    cr_expect(bytes_equal_text(out, text));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    cr_expect(!pyjson_canonical(bytes_of_text(text), &limits, arena, &out, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_TOO_COMPLEX);
    arena_free(arena);
}

Test(pyjson, memory)
{
    static const char text[] = "{\"b\":[1.5,\"\\u20ac\"],\"a\":{\"d\":1e5,\"c\":1e-999}}";
    bool done = false;
    for (size_t bytes = 16; bytes < 8192; bytes += 16) {
        struct arena *arena = arena_new(bytes);
        struct bytes out;
        struct refusal refusal = {.outcome = OUTCOME_CHANGED};
        done = pyjson_canonical(BYTES_LITERAL(text), &FORMAT_LIMITS_DEFAULT, arena, &out, &refusal);
        cr_expect(done || refusal.outcome == OUTCOME_OUT_OF_MEMORY);
        arena_free(arena);
    }
    cr_expect(done);
}
