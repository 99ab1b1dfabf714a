// SPDX-License-Identifier: GPL-3.0-or-later
/* The same puts as JSON and as CBOR. */
#include "gateway/report.h"

#include <criterion/criterion.h>

static struct arena *arena;

static void setup(void)
{
    arena = arena_new(4096);
}

static void teardown(void)
{
    arena_free(arena);
}

TestSuite(report, .init = setup, .fini = teardown);

static struct bytes write(bool cbor)
{
    struct report report;
    struct bytes text;
    report_init(&report, arena, cbor);
    report_map(&report, 4);
    report_name(&report, "a");
    report_array(&report, 2);
    report_uint(&report, 1);
    report_int(&report, -2);
    report_array_end(&report);
    report_name(&report, "b");
    report_map(&report, 0);
    report_map_end(&report);
    report_name(&report, "c");
    report_text(&report, "x\"y");
    report_name(&report, "d");
    report_bool(&report, false);
    report_map_end(&report);
    cr_assert(report_finish(&report, &text));
    return text;
}

Test(report, json)
{
    struct bytes text = write(false);
    cr_expect(bytes_equal_text(text, "{\"a\":[1,-2],\"b\":{},\"c\":\"x\\\"y\",\"d\":false}"), "%.*s", (int)text.len, text.ptr);
}

Test(report, cbor)
{
    static const uint8_t expected[] = {0xa4, 0x61, 'a', 0x82, 0x01, 0x21, 0x61, 'b', 0xa0, 0x61,
                                       'c',  0x63, 'x', '"',  'y',  0x61, 'd',  0xf4};
    cr_expect(bytes_equal(write(true), bytes_of(expected, sizeof expected)));
}

Test(report, thousandths)
{
    static const struct {
        int64_t thousandths;
        const char *json;
    } cases[] = {{0, "0"}, {1, "0.001"}, {-1, "-0.001"}, {-500, "-0.5"}, {1000, "1"}, {-41200, "-41.2"}, {10050, "10.05"},
                 {INT64_MIN, "-9223372036854775.808"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct report report;
        struct bytes text;
        arena_reset(arena);
        report_init(&report, arena, false);
        report_thousandths(&report, cases[i].thousandths);
        cr_assert(report_finish(&report, &text));
        cr_expect(bytes_equal_text(text, cases[i].json), "%.*s", (int)text.len, text.ptr);
    }
    static const uint8_t half[] = {0xfb, 0xbf, 0xe0, 0, 0, 0, 0, 0, 0}, two[] = {0x02};
    struct report report;
    struct bytes octets;
    arena_reset(arena);
    report_init(&report, arena, true);
    report_thousandths(&report, -500);
    cr_assert(report_finish(&report, &octets));
    bool short_form = octets.len == 3 && octets.ptr[0] == 0xf9;
    cr_expect(short_form || bytes_equal(octets, bytes_of(half, sizeof half)));
    arena_reset(arena);
    report_init(&report, arena, true);
    report_thousandths(&report, 2000);
    cr_assert(report_finish(&report, &octets) && bytes_equal(octets, bytes_of(two, sizeof two)));
}

Test(report, a_full_arena_is_told_at_the_end)
{
    struct report report;
    struct bytes text;
    report_init(&report, arena, false);
    report_array(&report, 2000);
    for (unsigned i = 0; i < 2000; i++)
        report_text(&report, "something");
    report_array_end(&report);
    cr_expect_not(report_finish(&report, &text));
}
