// SPDX-License-Identifier: GPL-3.0-or-later
/* Ultralight 2.0: measures, groups, times, what the request says beside them. */
#include "codec/ultralight.h"

#include "tests/unit/codec/legacy.h"

Test(ultralight, measures)
{
    static const struct expectation table[] = {
        {"t|15|k|abc", "t=15; k='abc'"},
        {"|t|15|k|abc\r\n", "t=15; k='abc'"},
        {"gps|1.2/3.4#h|45", "gps='1.2/3.4'; h=45"},
        {"a|1#|b|2", "a=1; b=2"},
        {"2016-06-13T00:35:30Z|lle|100", "lle=100 @1465778130"},
        {"2016-06-13T00:35:30Z|a|1#b|2#2016-06-13T00:35:31.5Z|c|3|d|4",
         "a=1 @1465778130; b=2; c=3 @1465778131.5; d=4 @1465778131.5"},
        {"a|21.50|b|-3|c|1E3|d| 7 |e|007|f|.5", "a=21.50; b=-3; c=1e3; d=7; e='007'; f='.5'"},
        {"a|true|b|false|c|null|d|True", "a=true; b=false; d='True'"},
        {"a|null", ""},
        {"a|\"x y\"|b|\"x|c|\"x\"y", "a='x y'; b='\"x'; c='\"x\"y'"},
        {"a|{\"x\":1}|b|[1]", "a='{\"x\":1}'; b='[1]'"},
        {"a|dev@home", "a='dev@home'"},
        {"power 1|1|\xc2\xb0"
         "C|2|t:x/y|3",
         "power_1=1; C=2; t_x_y=3"},
        {"a|\xc3\xa9", "a='\xc3\xa9'"},
        {"20160613T003530Z|lle|100", "lle=100 @1465778130"},
        {"t|1|t|2#t|3", "t=1; t=2; t=3"},
        {"a b|1#a b|2", "a_b=1; a_b=2"},
        {"a b|1|a_b|2", "duplicate-key"},
        {"a|1|_x|2#b|3#x|4", "duplicate-key"},
        {"room-\xd0\xba|1|c|2|room-\xd0\xb2|3", "duplicate-key"},
        {"2016-06-13T00:35:30 02:00|a|1", "malformed"},
        {"", "malformed"},
        {"\n", "malformed"},
        {"a", "malformed"},
        {"a|", "malformed"},
        {"a||b|1", "malformed"},
        {"|", "malformed"},
        {"||a|1", "malformed"},
        {"a|1#", "malformed"},
        {"#a|1", "malformed"},
        {"a|1##b|2", "malformed"},
        {"a|1|b", "malformed"}, /* a is no time */
        {"2016-06-13T00:35:30Z", "malformed"},
        {"a|1#b", "malformed"},
        {"a|1e999", "bad-value"},
        {"a|\"\\u0000\"", "bad-value"},
        {"--|1", "bad-name"},
        {"a|\xff", "malformed"},
        {"dev@ping|ok", "bad-value"},
        {"a|1#dev@ping|ok", "bad-value"},
    };
    check_told(CONTENT_FORMAT_ULTRALIGHT, table, COUNT_OF(table), false);
}

Test(ultralight, parameters)
{
    static const struct {
        const char *body, *i, *t, *d, *result;
    } table[] = {
        {"t|15", "room 1", NULL, NULL, "room_1.t=15"},
        {"", "motion1", NULL, "t|15", "motion1.t=15"},
        {"a|1", "motion1", NULL, "t|15", "motion1.a=1"},
        {"a|1#2016-06-13T00:35:30Z|b|2", NULL, "2016-06-13T00:00:00Z", NULL, "a=1 @1465776000; b=2 @1465778130"},
        {"a|1", NULL, "20160613T003530Z", NULL, "a=1 @1465778130"},
        {"a|1", NULL, "2016-06-13T02:35:30 02:00", NULL, "a=1 @1465778130"},
        {"", NULL, NULL, "2016-06-13T02:35:30 02:00|a|1", "a=1 @1465778130"},
        {"a|1", NULL, "", NULL, "a=1"},
        {"a|1", NULL, "soon", NULL, "bad-value"},
        {"a|1", "", NULL, NULL, "bad-name"},
        {"", NULL, NULL, "a|", "malformed"},
        {"", NULL, NULL, "--|1", "bad-name"},
        {"", NULL, NULL, "a|1e999", "bad-value"},
        {"", NULL, NULL, "", "malformed"},
    };
    for (size_t k = 0; k < COUNT_OF(table); k++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation_list list = {0};
        struct format_error error = {NULL, 0};
        struct format_parameter parameters[3];
        size_t count = 0;
        if (table[k].i)
            parameters[count++] = (struct format_parameter){BYTES_LITERAL("i"), bytes_of_text(table[k].i)};
        if (table[k].t)
            parameters[count++] = (struct format_parameter){BYTES_LITERAL("t"), bytes_of_text(table[k].t)};
        if (table[k].d)
            parameters[count++] = (struct format_parameter){BYTES_LITERAL("d"), bytes_of_text(table[k].d)};
        struct format_input input = {
            .payload = bytes_of_text(table[k].body), .parameters = parameters, .parameter_count = count};
        cr_expect_str_eq(told_of(format_by_content_format(CONTENT_FORMAT_ULTRALIGHT), input, arena, &list, &error),
                         table[k].result);
        arena_free(arena);
    }
}

Test(ultralight, bounds_the_number_of_measures)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_alloc(arena, 4 * 1025), *at = text;
    for (int i = 0; i < 1025; i++)
        at += sprintf(at, "%sa|1", i ? "#" : "");
    cr_expect_str_eq(told(CONTENT_FORMAT_ULTRALIGHT, bytes_of(text, (size_t)(at - text)), arena), "too-complex");
    cr_expect_str_neq(told(CONTENT_FORMAT_ULTRALIGHT, bytes_of(text, (size_t)(at - text) - 4), arena), "too-complex");
    arena_free(arena);
}

Test(ultralight, says_where)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list = {0};
    struct format_error error = {NULL, 0};
    (void)told_of(format_by_content_format(CONTENT_FORMAT_ULTRALIGHT),
                  (struct format_input){.payload = BYTES_LITERAL("a|1#b|1e999")}, arena, &list, &error);
    cr_expect_eq(error.offset, 6);
    (void)told_of(format_by_content_format(CONTENT_FORMAT_ULTRALIGHT),
                  (struct format_input){.payload = BYTES_LITERAL("a|1#--|1")}, arena, &list, &error);
    cr_expect_eq(error.offset, 4);
    arena_free(arena);
}
