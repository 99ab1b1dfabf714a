// SPDX-License-Identifier: GPL-3.0-or-later
/* text/plain: one number or boolean. */
#include "codec/text.h"

#include "tests/unit/codec/support.h"

#define A "[{\"n\":\"temp\",\"u\":\"Cel\","
#define T ",\"t\":1763692800.125}]"

Test(text, payloads)
{
    static const struct expectation table[] = {
        {"21.50", A "\"v\":21.50" T},
        {" \t\r\n-1E-2\n", A "\"v\":-1e-2" T},
        {"0", A "\"v\":0" T},
        {"true", A "\"vb\":true" T},
        {"false\n", A "\"vb\":false" T},
        {"", "malformed"},
        {" \n", "malformed"},
        {"1 2", "malformed"},
        {"1,5", "malformed"},
        {"+1", "malformed"},
        {".5", "malformed"},
        {"5.", "malformed"},
        {"01", "malformed"},
        {"0x10", "malformed"},
        {"NaN", "malformed"},
        {"TRUE", "malformed"},
        {"hello", "malformed"},
        {"\"1\"", "malformed"},
        {"\xef\xbb\xbf" "1", "malformed"},
        {"1\v", "malformed"},
        {"1e309", "bad-value"},
        {"1e99999999999", "bad-value"},
    };
    check_json_table(CONTENT_FORMAT_TEXT, table, COUNT_OF(table));
}

static enum outcome with_name(const char *name, struct bytes unit)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list = {.items = NULL, .count = 77};
    struct format_input input = {
        .payload = BYTES_LITERAL("1"),
        .now = NOW,
        .name = bytes_of_text(name),
        .unit = unit,
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    enum outcome outcome = text_decode(&input, arena, &list, NULL);
    cr_assert_eq(list.count, outcome == OUTCOME_CHANGED ? 1 : 77);
    arena_free(arena);
    return outcome;
}

Test(text, name_and_unit_come_with_the_request)
{
    cr_expect_eq(with_name("a", bytes_of(NULL, 0)), OUTCOME_CHANGED);
    cr_expect_eq(with_name("", bytes_of(NULL, 0)), OUTCOME_BAD_NAME);
    cr_expect_eq(with_name("a b", bytes_of(NULL, 0)), OUTCOME_BAD_NAME);
    cr_expect_eq(with_name("a", BYTES_LITERAL("\xff")), OUTCOME_BAD_VALUE);
    cr_expect_eq(with_name("a", BYTES_LITERAL("C\0l")), OUTCOME_BAD_VALUE);
}
