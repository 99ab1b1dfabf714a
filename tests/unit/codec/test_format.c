// SPDX-License-Identifier: GPL-3.0-or-later
/* The format table: its rows, and the numbers against IANA's registry. */
#include "codec/format.h"

#include "tests/unit/codec/support.h"

#include <stdio.h>
#include <stdlib.h>

Test(format, rows_are_complete_and_found)
{
    size_t count;
    const struct format *table = format_table(&count);
    cr_assert_geq(count, 7);
    for (size_t i = 0; i < count; i++) {
        cr_assert(table[i].name && table[i].decode && table[i].media_type);
        cr_assert_eq(format_by_content_format(table[i].content_format), &table[i]);
        cr_assert_str_eq(format_media_type(table[i].content_format), table[i].media_type);
    }
    cr_assert_null(format_by_content_format(CONTENT_FORMAT_NONE));
    cr_assert_null(format_by_content_format(CONTENT_FORMAT_LINK));
    cr_assert_null(format_by_content_format(65535));
    cr_assert_null(format_media_type(CONTENT_FORMAT_NONE));
    cr_assert_null(format_media_type(12345));
}

/* docs/formats.md has the rows of the table, and no others. */
Test(format, the_document_has_the_table)
{
    static char text[262144];
    char path[4096];
    size_t count, documented = 0;
    const struct format *table = format_table(&count);
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof(path), "%s/docs/formats.md", root ? root : ".");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (size_t i = 0; i < count; i++) {
        char row[256];
        snprintf(row, sizeof(row), "| `%s` | %d | `%s` | %d | %s| %s| `codec/", table[i].name, table[i].content_format,
                 table[i].media_type, table[i].carrier, table[i].by_line ? "yes " : "", table[i].encode ? "yes " : "");
        cr_expect(strstr(text, row), "docs/formats.md lacks: %s", row);
    }
    for (const char *at = text; (at = strstr(at, "| `codec/")); at++)
        documented++;
    cr_expect_eq(documented, count, "docs/formats.md has formats that are not there");
}

Test(format, names_and_media_types_find_their_row)
{
    size_t count;
    const struct format *table = format_table(&count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_eq(format_by_name(bytes_of_text(table[i].name)), &table[i]);
        cr_expect_eq(format_by_media_type(bytes_of_text(table[i].media_type)), table[i].content_format);
        cr_expect(table[i].carrier == table[i].content_format || format_media_type(table[i].carrier));
    }
    cr_expect_eq(format_by_media_type(BYTES_LITERAL("Application/SenML+XML")), CONTENT_FORMAT_SENML_XML);
    cr_expect_eq(format_by_media_type(BYTES_LITERAL("application/json2")), CONTENT_FORMAT_NONE);
    cr_expect_eq(format_by_media_type(BYTES_LITERAL("")), CONTENT_FORMAT_NONE);
    cr_expect_null(format_by_name(BYTES_LITERAL("senml")));
}

/* Finds "media/type...,,NUMBER," in the registry; experimental numbers are not in it. */
Test(format, numbers_agree_with_the_registry)
{
    static const int numbers[] = {0, 40, 42, 50, 60, 110, 111, 112, 113};
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_text(arena, vector_file(arena, "iana-content-formats/content-formats.csv"));
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char number[16];
        snprintf(number, sizeof(number), ",,%d,", numbers[i]);
        const char *at = strstr(text, number);
        cr_assert(at, "%s", number);
        while (at > text && at[-1] != '\n')
            at--;
        const char *type = format_media_type(numbers[i]);
        cr_expect(strncmp(at, type, strlen(type)) == 0, "%d is %.40s", numbers[i], at);
    }
    arena_free(arena);
}
