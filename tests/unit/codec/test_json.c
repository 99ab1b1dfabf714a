// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * JSON into nodes: what is refused (cases P1, P3, P4, P6, P8 and JSONTestSuite), and what the tree looks
 * like.
 */
#include "codec/json.h"

#include "tests/unit/codec/support.h"

static const char *read_as(struct bytes payload, struct arena *arena, const struct node **ret)
{
    struct refusal refusal;
    struct bytes exact;
    cr_assert(arena_copy(arena, payload, &exact));
    if (json_read(exact, &FORMAT_LIMITS_DEFAULT, arena, ret, &refusal))
        return "read";
    cr_assert(refusal.detail);
    return outcome_row(refusal.outcome)->slug;
}

static void check(const struct expectation *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const struct node *root;
        cr_expect_str_eq(read_as(bytes_of_text(table[i].payload), arena, &root), table[i].result, "%s",
                         table[i].payload);
        arena_free(arena);
    }
}

Test(json, takes_json_and_nothing_else)
{
    static const struct expectation table[] = {
        {"{}", "read"},
        {" [ 1 , 2 ]\r\n\t", "read"},
        {"null", "read"},
        {"-0", "read"},
        {"\"a\\u00e4\\ud834\\udd1e\"", "read"},
        {"1e400", "read"},
        {"", "malformed"},
        {" ", "malformed"},
        {"[1,]", "malformed"},
        {"{\"a\":1,}", "malformed"},
        {"[1]x", "malformed"},
        {"[1][2]", "malformed"},
        {"{'a':1}", "malformed"},
        {"[01]", "malformed"},
        {"[1.]", "malformed"},
        {"[.5]", "malformed"},
        {"[+1]", "malformed"},
        {"[NaN]", "malformed"},
        {"[Infinity]", "malformed"},
        {"[1 /* no */]", "malformed"},
        {"[\"a\nb\"]", "malformed"},
        {"[\"\\ud800\"]", "malformed"},
        {"[\"\xc0\x80\"]", "malformed"},
        {"[\"\xed\xa0\x80\"]", "malformed"},
        {"\xef\xbb\xbf[]", "malformed"},
        {"[", "malformed"},
        {"{\"a\"", "malformed"},
        {"[\"a\\u0000b\"]", "bad-value"},
        {"{\"a\\u0000b\":1}", "bad-value"},
        {"{\"a\":1,\"a\":1}", "duplicate-key"},
        {"{\"a\":1,\"\\u0061\":2}", "duplicate-key"},
        {"[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]", "duplicate-key"},
        {"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "read"},
        {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "too-complex"},
        {"{\"\":{}}", "read"},
    };
    check(table, COUNT_OF(table));
}

Test(json, makes_nodes_in_the_order_of_the_text)
{
    static const char text[] = "{\"a\":[1.50,true,\"x\\n\"],\"b\":{},\"c\":null,\"d\":[[],{\"e\":false}]}";
    static const struct {
        enum node_kind kind;
        uint32_t count, skip;
        const char *data;
    } expected[] = {
        {NODE_MAP, 4, 16, NULL},
        {NODE_TEXT, 0, 1, "a"},
        {NODE_ARRAY, 3, 4, NULL},
        {NODE_NUMBER, 0, 1, "1.50"},
        {NODE_BOOLEAN, 0, 1, NULL},
        {NODE_TEXT, 0, 1, "x\n"},
        {NODE_TEXT, 0, 1, "b"},
        {NODE_MAP, 0, 1, NULL},
        {NODE_TEXT, 0, 1, "c"},
        {NODE_NULL, 0, 1, NULL},
        {NODE_TEXT, 0, 1, "d"},
        {NODE_ARRAY, 2, 5, NULL},
        {NODE_ARRAY, 0, 1, NULL},
        {NODE_MAP, 1, 3, NULL},
        {NODE_TEXT, 0, 1, "e"},
        {NODE_BOOLEAN, 0, 1, NULL},
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *nodes;
    cr_assert_str_eq(read_as(BYTES_LITERAL(text), arena, &nodes), "read");
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        cr_expect_eq(nodes[i].kind, expected[i].kind, "node %zu", i);
        cr_expect_eq(nodes[i].count, expected[i].count, "node %zu", i);
        cr_expect_eq(nodes[i].skip, expected[i].skip, "node %zu: %u", i, nodes[i].skip);
        if (expected[i].data)
            cr_expect(bytes_equal_text(nodes[i].data, expected[i].data), "node %zu", i);
    }
    cr_expect_eq(nodes[3].offset, 6);
    arena_free(arena);
}

/* Text of a repeated piece between two others. */
static struct bytes repeated(struct arena *arena, const char *before, const char *piece, size_t times,
                             const char *after)
{
    size_t one = strlen(piece), total = strlen(before) + one * times + strlen(after);
    char *text = arena_alloc(arena, total + 1);
    cr_assert(text);
    char *at = stpcpy(text, before);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, piece);
    stpcpy(at, after);
    return bytes_of(text, total);
}

Test(json, bounds_depth_and_items_without_much_memory)
{
    static const struct {
        const char *before, *piece, *after;
        size_t times;
        const char *result;
    } cases[] = {
        {"", "[", "", 10000, "too-complex"},
        {"", "{\"a\":", "", 200000, "too-complex"},
        {"[1", ",[]", "]", 300000, "too-complex"},
        {"[1", ",1", "]", 4094, "read"},
        {"[1", ",1", "]", 4095, "too-complex"},
        {"[\"", "[,:{", "\"]", 100000, "read"},
        {"[\"", "\\\"[", "\"]", 100000, "read"},
        {"[\"\\", "\\\\", "\"", 5000, "malformed"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const struct node *root;
        struct bytes text = repeated(arena, cases[i].before, cases[i].piece, cases[i].times, cases[i].after);
        cr_expect_str_eq(read_as(text, arena, &root), cases[i].result, "case %zu", i);
        arena_free(arena);
    }
}

Test(json, answers_out_of_memory)
{
    struct arena *arena = arena_new(200);
    const struct node *root;
    cr_assert_str_eq(read_as(BYTES_LITERAL("[1,2,3,4,5,6,7,8,9,10]"), arena, &root), "out-of-memory");
    arena_free(arena);
}

/* The decisions of docs/formats.md for the cases that RFC 8259 leaves to the implementation. */
Test(json, implementation_defined_cases_of_the_test_suite)
{
    static const struct expectation table[] = {
        {"i_number_double_huge_neg_exp.json", "read"},
        {"i_number_huge_exp.json", "read"},
        {"i_number_neg_int_huge_exp.json", "read"},
        {"i_number_pos_double_huge_exp.json", "read"},
        {"i_number_real_neg_overflow.json", "read"},
        {"i_number_real_pos_overflow.json", "read"},
        {"i_number_real_underflow.json", "read"},
        {"i_number_too_big_neg_int.json", "read"},
        {"i_number_too_big_pos_int.json", "read"},
        {"i_number_very_big_negative_int.json", "read"},
        {"i_object_key_lone_2nd_surrogate.json", "malformed"},
        {"i_string_1st_surrogate_but_2nd_missing.json", "malformed"},
        {"i_string_1st_valid_surrogate_2nd_invalid.json", "malformed"},
        {"i_string_UTF-16LE_with_BOM.json", "malformed"},
        {"i_string_UTF-8_invalid_sequence.json", "malformed"},
        {"i_string_UTF8_surrogate_U+D800.json", "malformed"},
        {"i_string_incomplete_surrogate_and_escape_valid.json", "malformed"},
        {"i_string_incomplete_surrogate_pair.json", "malformed"},
        {"i_string_incomplete_surrogates_escape_valid.json", "malformed"},
        {"i_string_invalid_lonely_surrogate.json", "malformed"},
        {"i_string_invalid_surrogate.json", "malformed"},
        {"i_string_invalid_utf-8.json", "malformed"},
        {"i_string_inverted_surrogates_U+1D11E.json", "malformed"},
        {"i_string_iso_latin_1.json", "malformed"},
        {"i_string_lone_second_surrogate.json", "malformed"},
        {"i_string_lone_utf8_continuation_byte.json", "malformed"},
        {"i_string_not_in_unicode_range.json", "malformed"},
        {"i_string_overlong_sequence_2_bytes.json", "malformed"},
        {"i_string_overlong_sequence_6_bytes.json", "malformed"},
        {"i_string_overlong_sequence_6_bytes_null.json", "malformed"},
        {"i_string_truncated-utf-8.json", "malformed"},
        {"i_string_utf16BE_no_BOM.json", "malformed"},
        {"i_string_utf16LE_no_BOM.json", "malformed"},
        {"i_structure_500_nested_arrays.json", "too-complex"},
        {"i_structure_UTF-8_BOM_empty_object.json", "malformed"},
        {"transform/number_-9223372036854775808.json", "read"},
        {"transform/number_-9223372036854775809.json", "read"},
        {"transform/number_1.0.json", "read"},
        {"transform/number_1.000000000000000005.json", "read"},
        {"transform/number_1000000000000000.json", "read"},
        {"transform/number_10000000000000000999.json", "read"},
        {"transform/number_1e-999.json", "read"},
        {"transform/number_1e6.json", "read"},
        {"transform/number_9223372036854775807.json", "read"},
        {"transform/number_9223372036854775808.json", "read"},
        {"transform/object_key_nfc_nfd.json", "read"},
        {"transform/object_key_nfd_nfc.json", "read"},
        {"transform/object_same_key_different_values.json", "duplicate-key"},
        {"transform/object_same_key_same_value.json", "duplicate-key"},
        {"transform/object_same_key_unclear_values.json", "duplicate-key"},
        {"transform/string_1_escaped_invalid_codepoint.json", "malformed"},
        {"transform/string_1_invalid_codepoint.json", "malformed"},
        {"transform/string_2_escaped_invalid_codepoints.json", "malformed"},
        {"transform/string_2_invalid_codepoints.json", "malformed"},
        {"transform/string_3_escaped_invalid_codepoints.json", "malformed"},
        {"transform/string_3_invalid_codepoints.json", "malformed"},
        {"transform/string_with_escaped_NULL.json", "bad-value"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const struct node *root;
        char path[256];
        snprintf(path, sizeof(path), "json-testsuite-i/%s", table[i].payload);
        cr_expect_str_eq(read_as(vector_file(arena, path), arena, &root), table[i].result, "%s", path);
        arena_free(arena);
    }
}

/* P8: keys chosen so that a table without a secret key would put them all into one place. */
Test(json, many_similar_keys_are_sorted_and_not_hashed)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_alloc(arena, 2048 * 24), *at = text;
    *at++ = '{';
    for (int i = 0; i < 2000; i++)
        at += sprintf(at, "%s\"k%010d\":0", i ? "," : "", i * 65536);
    *at++ = '}';
    const struct node *root;
    cr_assert_str_eq(read_as(bytes_of(text, (size_t)(at - text)), arena, &root), "read");
    cr_assert_eq(root->count, 2000);
    arena_free(arena);
}

Test(json, nul_only_where_it_is_asked_for)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *root;
    struct refusal refusal;
    struct bytes text = BYTES_LITERAL("{\"a\\u0000\":\"\\u0000b\"}");
    cr_expect(!json_read(text, &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_BAD_VALUE);
    cr_assert(json_read_with_nul(text, &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
    cr_expect(bytes_equal(node_first(root)->data, BYTES_LITERAL("a\0")));
    cr_expect(bytes_equal(node_first(root)[1].data, BYTES_LITERAL("\0b")));
    arena_free(arena);
}

Test(json, text_of_a_value)
{
    static const char *const values[] = {
        "1.50", "null", "-1e5", "\"a\\\"}\"", "\"\"", "{}", "[ ]", "{ \"a\" : [ \"]\" , {\"b\":\"\\\\\"} ] }",
        "[[1],[2]]",
    };
    static const char *const around[][2] = {
        {"{\"k\":", "}"}, {" { \"\\u006b\\\"\" : ", " } "}, {"{\"k\"\n:\t", " ,\"z\":[1]}"}, {"{\"\":", ",\"z\":1}"},
    };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        for (size_t k = 0; k < COUNT_OF(around); k++) {
            struct arena *arena = arena_new(ARENA_BYTES);
            const struct node *root;
            struct refusal refusal;
            struct bytes exact;
            char text[256];
            int len = snprintf(text, sizeof(text), "%s%s%s", around[k][0], values[i], around[k][1]);
            cr_assert(arena_copy(arena, bytes_of(text, (size_t)len), &exact));
            cr_assert(json_read(exact, &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal), "%s", text);
            struct bytes value = json_value_text(exact, node_first(root));
            cr_expect(bytes_equal_text(value, values[i]), "%s gives %s", text, arena_text(arena, value));
            arena_free(arena);
        }
    }
}

Test(json, text_of_an_array)
{
    static const char *const values[] = {
        "[1]", "[ \"a\" , 2 ]", "[\t\"\",[\"]\"]]", "[-1e5,{\"a\":[{}]},null]", "[\"[\\\"\",\"]\"]",
    };
    static const char *const around[][2] = {{"", ""}, {" [ ", " , [2]]"}, {"[[],[3],\n", "]"}, {"[\"[\",", "]"}};
    static const unsigned before[] = {0, 0, 2, 1};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        for (size_t k = 0; k < COUNT_OF(around); k++) {
            struct arena *arena = arena_new(ARENA_BYTES);
            const struct node *node;
            struct refusal refusal;
            struct bytes exact;
            char text[256];
            int len = snprintf(text, sizeof(text), "%s%s%s", around[k][0], values[i], around[k][1]);
            cr_assert(arena_copy(arena, bytes_of(text, (size_t)len), &exact));
            cr_assert(json_read(exact, &FORMAT_LIMITS_DEFAULT, arena, &node, &refusal), "%s", text);
            node = k ? node_first(node) : node;
            for (unsigned skipped = 0; skipped < before[k]; skipped++)
                node = node_next(node);
            struct bytes array = json_array_text(exact, node);
            cr_expect(bytes_equal_text(array, values[i]), "%s gives %s", text, arena_text(arena, array));
            arena_free(arena);
        }
    }
}
