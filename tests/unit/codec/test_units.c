// SPDX-License-Identifier: GPL-3.0-or-later
/* The tables of units against the vectors of RFC 8428 and RFC 8798. */
#include "codec/units.h"

#include "tests/unit/codec/support.h"

#include <math.h>

/* Splits a line of a simple CSV file in place. */
static size_t split(char *line, char *fields[], size_t most)
{
    size_t count = 0;
    while (count < most && line)
        fields[count++] = strsep(&line, ",");
    return count;
}

static double number_of(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash ? strtod(text, NULL) / strtod(slash + 1, NULL) : strtod(text, NULL);
}

Test(units, primary_table_agrees_with_the_registry)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_text(arena, vector_file(arena, "senml-units/units.csv"));
    char *line = strsep(&text, "\r\n");
    size_t checked = 0;
    while ((line = strsep(&text, "\r\n"))) {
        /* A description may have commas in it, so the mark is counted from the end. */
        char *fields[8];
        size_t count = split(line, fields, 8);
        if (count < 4)
            continue;
        const struct unit *unit = units_find(bytes_of_text(fields[0]));
        cr_assert(unit, "%s", fields[0]);
        cr_expect_eq(unit->registry, fields[count - 2][0] == '1' ? UNIT_PRIMARY_NOT_RECOMMENDED : UNIT_PRIMARY);
        cr_expect_str_eq(unit->primary, fields[0]);
        checked++;
    }
    cr_assert_gt(checked, 50);
    arena_free(arena);
}

Test(units, secondary_table_agrees_with_the_registry)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_text(arena, vector_file(arena, "senml-units/secondary-units.csv"));
    char *line = strsep(&text, "\r\n");
    size_t checked = 0;
    while ((line = strsep(&text, "\r\n"))) {
        char *fields[6];
        if (split(line, fields, 6) < 6)
            continue;
        const struct unit *unit = units_find(bytes_of_text(fields[0]));
        cr_assert(unit, "%s", fields[0]);
        cr_expect_eq(unit->registry, UNIT_SECONDARY);
        cr_expect_str_eq(unit->primary, fields[2]);
        cr_expect(fabs(unit->scale - number_of(fields[3])) <= 1e-15 * unit->scale, "%s", fields[0]);
        cr_expect_eq(unit->offset, number_of(fields[4]), "%s", fields[0]);
        cr_expect(units_known(bytes_of_text(unit->primary)));
        checked++;
    }
    cr_assert_eq(checked, 33);
    arena_free(arena);
}

Test(units, has_no_unit_that_is_in_no_registry)
{
    size_t count;
    units_table(&count);
    cr_assert_eq(count, 66 + 33);
    cr_assert_not(units_known(BYTES_LITERAL("cel")));
    cr_assert_not(units_known(bytes_of(NULL, 0)));
}
