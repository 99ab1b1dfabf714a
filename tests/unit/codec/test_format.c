// SPDX-License-Identifier: GPL-3.0-or-later
/* The format table: its rows, and the numbers against IANA's registry. */
#include "codec/format.h"

#include "tests/unit/codec/support.h"

Test(format, rows_are_complete_and_found)
{
    size_t count;
    const struct format *table = format_table(&count);
    cr_assert_eq(count, 7);
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
