// SPDX-License-Identifier: GPL-3.0-or-later
/* Plain JSON and CBOR objects. */
#include "codec/plain.h"

#include "tests/unit/codec/support.h"

#define T ",\"t\":1763692800.125}]"

Test(plain, json)
{
    static const struct expectation table[] = {
        {"{\"temp\":21.50}", "[{\"n\":\"temp\",\"v\":21.50" T},
        {"{\"a\":1,\"b\":\"x\",\"c\":true}",
         "[{\"n\":\"a\",\"v\":1,\"t\":1763692800.125},{\"n\":\"b\",\"vs\":\"x\",\"t\":1763692800.125},"
         "{\"n\":\"c\",\"vb\":true" T},
        {"{\"a\":1,\"ts\":1276020076}", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076}]"},
        {"{\"ts\":1276020076.5,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076.5}]"},
        {"{\"ts\":60,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":60}]"},
        {"{\"ts\":-1.5,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":-1.5}]"},
        {"{\"ts\":1276020076,\"ts_ns\":1,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076.000000001}]"},
        {"{\"ts\":1276020076,\"ts_ns\":999999999,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076.999999999}]"},
        {"{\"ts_ns\":0,\"ts\":1276020076,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076}]"},
        {"{\"ts\":1276020076,\"ts_ns\":1000000000,\"a\":1}", "bad-value"},
        {"{\"ts\":1276020076,\"ts_ns\":-1,\"a\":1}", "bad-value"},
        {"{\"ts\":1276020076,\"ts_ns\":0.5,\"a\":1}", "bad-value"},
        {"{\"ts\":1276020076.0,\"ts_ns\":5,\"a\":1}", "bad-value"},
        {"{\"ts_ns\":5,\"a\":1}", "bad-value"},
        {"{\"ts\":\"now\",\"a\":1}", "bad-value"},
        {"{\"ts\":null,\"a\":1}", "bad-value"},
        {"{\"ts\":1e16,\"a\":1}", "bad-value"},
        {"{\"ts\":1276020076,\"t\":0,\"a\":1}", "bad-value"},
        {"{\"t\":-5,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":1763692795.125}]"},
        {"{\"t\":0,\"a\":1}", "[{\"n\":\"a\",\"v\":1" T},
        {"{\"t\":1276020076.25,\"a\":1}", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076.25}]"},
        {"{\"t\":1e300,\"a\":1}", "bad-value"},
        {"{\"t\":true,\"a\":1}", "bad-value"},
        {"{}", "bad-value"},
        {"{\"ts\":1276020076}", "bad-value"},
        {"[]", "bad-value"},
        {"[{\"a\":1}]", "bad-value"},
        {"7", "bad-value"},
        {"{\"a\":null}", "bad-value"},
        {"{\"a\":[1]}", "bad-value"},
        {"{\"a\":{\"b\":1}}", "bad-value"},
        {"{\"a\":1,\"b\":null}", "bad-value"},
        {"{\"a b\":1}", "bad-name"},
        {"{\"\":1}", "bad-name"},
        {"{\"_a\":1}", "bad-name"},
        {"{\"a\":1e309}", "bad-value"},
        {"{\"a\":1,\"a\":2}", "duplicate-key"},
        {"{\"ts\":1276020076,\"ts\":1276020076,\"a\":1}", "duplicate-key"},
        {"{\"a\":1}}", "malformed"},
        {"", "malformed"},
    };
    check_json_table(CONTENT_FORMAT_JSON, table, COUNT_OF(table));
}

Test(plain, cbor)
{
    static const struct expectation table[] = {
        {"a1616101", "[{\"n\":\"a\",\"v\":1" T},
        {"bf616101ff", "[{\"n\":\"a\",\"v\":1" T},
        {"a16161f94d60", "[{\"n\":\"a\",\"v\":21.5" T},
        {"a16161c48221190866", "[{\"n\":\"a\",\"v\":21.50" T},
        {"a161617f61786179ff", "[{\"n\":\"a\",\"vs\":\"xy\"" T},
        {"a16161f5", "[{\"n\":\"a\",\"vb\":true" T},
        {"a1616141ff", "[{\"n\":\"a\",\"vd\":\"_w\"" T},
        {"a26161016274731a4c0e856c", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076}]"},
        {"a36161016274731a4c0e856c6574735f6e7305", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076.000000005}]"},
        {"a2616101617424", "[{\"n\":\"a\",\"v\":1,\"t\":1763692795.125}]"},
        {"a16161f6", "bad-value"},
        {"a16161f7", "bad-value"},
        {"a16161f97e00", "bad-value"},
        {"a1616180", "bad-value"},
        {"a16161c100", "bad-value"},
        {"a10101", "bad-name"},
        {"a1416101", "bad-name"},
        {"a2616101616102", "duplicate-key"},
        {"a0", "bad-value"},
        {"80", "bad-value"},
        {"a161ff01", "malformed"},
    };
    check_hex_table(CONTENT_FORMAT_CBOR, table, COUNT_OF(table));
}

Test(plain, bounds_the_number_of_values)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_alloc(arena, 1100 * 12), *at = text;
    *at++ = '{';
    for (int i = 0; i < 1025; i++)
        at += sprintf(at, "%s\"a%d\":1", i ? "," : "", i);
    *at++ = '}';
    cr_expect_str_eq(decoded(CONTENT_FORMAT_JSON, bytes_of(text, (size_t)(at - text)), arena), "too-complex");
    arena_free(arena);
}

Test(plain, says_what_kind_of_time_it_was)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    static const struct {
        const char *payload;
        enum time_source source;
    } cases[] = {
        {"{\"a\":1}", TIME_RECEIPT},
        {"{\"a\":1,\"t\":-1}", TIME_RELATIVE},
        {"{\"a\":1,\"ts\":5}", TIME_DEVICE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert_eq(decode_as(CONTENT_FORMAT_JSON, bytes_of_text(cases[i].payload), arena, &list, NULL),
                     OUTCOME_CHANGED);
        cr_expect_eq(list.items[0].time_source, cases[i].source);
        cr_expect_eq(list.items[0].base_name.len, 0);
    }
    arena_free(arena);
}
