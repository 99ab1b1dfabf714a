// SPDX-License-Identifier: GPL-3.0-or-later
/* The format table: its rows, the numbers against IANA's registry, and media types as HTTP writes them. */
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
        cr_assert_eq(format_by_media_type(bytes_of_text(table[i].media_type)), &table[i]);
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

Test(format, media_types_with_parameters)
{
    static const struct {
        const char *media_type;
        int content_format;
    } cases[] = {
        {"application/senml+json", 110},
        {"Application/SenML+JSON", 110},
        {" application/senml+json ", 110},
        {"application/json; charset=utf-8", 50},
        {"application/json;charset=UTF-8", 50},
        {"application/json; Charset=\"utf-8\"", 50},
        {"application/json ;; charset=utf-8 ; x=1", 50},
        {"application/json; charset=iso-8859-1", -1},
        {"application/json; charset=\"utf-16\"", -1},
        {"application/json; charset", -1},
        {"application/json; charset=", -1},
        {"application/json; charset=\"utf-8", -1},
        {"application/json, text/plain", -1},
        {"application/json x", -1},
        {"text/plain", 0},
        {"text/plain;charset=us-ascii", -1},
        {"application/senml+xml", -1},
        {"application/problem+json", -1},
        {"application/jsonx", -1},
        {"application/jso", -1},
        {"", -1},
        {";charset=utf-8", -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct format *format = format_by_media_type(bytes_of_text(cases[i].media_type));
        cr_expect_eq(format ? format->content_format : -1, cases[i].content_format, "%s", cases[i].media_type);
    }
    cr_expect_null(format_by_media_type(BYTES_LITERAL("application/json\0;charset=utf-8")));
}
