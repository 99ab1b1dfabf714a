// SPDX-License-Identifier: GPL-3.0-or-later
/* The tables of units against the vectors of RFC 8428 and RFC 8798. */
#include "codec/units.h"

#include "tests/unit/codec/support.h"

/* Splits a line of a simple CSV file in place. */
static size_t split(char *line, char *fields[], size_t most)
{
    size_t count = 0;
    while (count < most && line)
        fields[count++] = strsep(&line, ",");
    return count;
}

static struct decimal decimal_of(const char *text)
{
    struct decimal decimal;
    cr_assert_eq(decimal_parse(bytes_of_text(text), &decimal), DECIMAL_OK, "%s", text);
    return decimal;
}

static const char *written(const struct decimal *decimal)
{
    static char text[DECIMAL_TEXT_MAX + 1];
    text[decimal_write(decimal, text)] = '\0';
    return text;
}

/* Whether numerator / denominator is exactly the scale of the registry, which is "x" or "1/x". */
static bool is_scale(const struct unit *unit, char *scale)
{
    struct decimal numerator, denominator, left, right;
    char *slash = strchr(scale, '/');
    if (slash)
        *slash = '\0';
    struct decimal over = decimal_of(scale), under = decimal_of(slash ? slash + 1 : "1");
    decimal_from_uint(unit->numerator, false, &numerator);
    decimal_from_uint(unit->denominator, false, &denominator);
    cr_assert(decimal_multiply(&numerator, &under, &left));
    cr_assert(decimal_multiply(&denominator, &over, &right));
    right.negative = true;
    cr_assert(decimal_add(&left, &right, &left));
    return decimal_is_zero(&left);
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
        cr_expect(is_scale(unit, fields[3]), "%s", fields[0]);
        cr_expect_eq(unit->offset, atoi(fields[4]), "%s", fields[0]);
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

/* unit, value, the value in the primary unit, and the same as a sum */
Test(units, converts_exactly)
{
    static const char *const rows[][4] = {
        {"Cel", "21.50", "21.50", "21.50"},
        {"l", "3.0", "3.0", "3.0"},
        {"ms", "250", "0.25", "0.25"},
        {"kWh", "12.345", "44442000", "44442000"},
        {"Wh/km", "1", "3.6", "3.6"},
        {"km/h", "36", "10", "10"},
        {"km/h", "-9", "-2.5", "-2.5"},
        {"km/h", "1", "0.27777777777777777778", "0.27777777777777777778"},
        {"km/h", "0.00", "0", "0"},
        {"mm/h", "3.6", "0.000001", "0.000001"},
        {"dBm", "10.0", "-20", "10"},
        {"dBm", "30", "0", "30"},
        {"ppm", "415", "0.000415", "0.000415"},
        {"/100", "55.50", "0.555", "0.555"},
        {"hPa", "1013.25", "101325", "101325"},
        {"GB", "1.5", "1500000000", "1500000000"},
        {"ug/m3", "12", "0.000000012", "0.000000012"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct unit *unit = units_find(bytes_of_text(rows[i][0]));
        struct decimal value = decimal_of(rows[i][1]), converted;
        cr_assert(units_convert(unit, &value, &converted));
        cr_expect_str_eq(written(&converted), rows[i][2], "%s %s", rows[i][1], rows[i][0]);
        cr_assert(units_convert_sum(unit, &value, &value));
        cr_expect_str_eq(written(&value), rows[i][3], "sum of %s %s", rows[i][1], rows[i][0]);
    }
}

/* (value - offset) * denominator / numerator gives the value again wherever nothing was rounded. */
Test(units, converts_any_value_and_back)
{
    uint64_t state = 12;
    size_t count;
    const struct unit *table = units_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct decimal numerator, denominator, offset;
        decimal_from_uint(table[i].numerator, false, &numerator);
        decimal_from_uint(table[i].denominator, false, &denominator);
        decimal_from_uint((uint64_t)abs(table[i].offset), table[i].offset > 0, &offset);
        for (unsigned round = 0; round < 50; round++) {
            struct decimal value, there, back;
            decimal_from_uint(next_random(&state) >> (next_random(&state) % 60), next_random(&state) % 2, &value);
            value.exponent = -(int)(next_random(&state) % 6);
            /* A multiple of 9 goes through 5/18 and 1/3600000 without a rest. */
            decimal_from_uint(9, false, &there);
            cr_assert(decimal_multiply(&value, &there, &value));
            cr_assert(units_convert(&table[i], &value, &there));
            cr_assert(decimal_add(&there, &offset, &back) && decimal_multiply(&back, &denominator, &back) &&
                      decimal_divide(&back, &numerator, &back));
            back.negative = !back.negative;
            cr_assert(decimal_add(&value, &back, &back));
            cr_assert(decimal_is_zero(&back), "%s %s", written(&value), table[i].symbol);
        }
    }
}

Test(units, refuses_what_has_no_room)
{
    struct decimal value = decimal_of("1111111111111111111111111111111111111111111111111111111111111111");
    cr_assert_not(units_convert(units_find(BYTES_LITERAL("h")), &value, &value));
    value = decimal_of("1e399");
    cr_assert(units_convert(units_find(BYTES_LITERAL("kW")), &value, &value));
    cr_expect_str_eq(written(&value), "1000e399");
    value = decimal_of("1e-400");
    cr_assert_not(units_convert(units_find(BYTES_LITERAL("mA")), &value, &value));
}
