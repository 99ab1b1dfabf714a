// SPDX-License-Identifier: GPL-3.0-or-later
/* The grammar of RFC 9193 section 4. */
#include "codec/content_type.h"

#include "tests/unit/codec/support.h"

Test(content_type, takes_numbers_and_media_types)
{
    static const char *const good[] = {
        "0",
        "60",
        "65535",
        "text/csv",
        "application/vnd.oma.lwm2m+cbor",
        "application/x!#$&-^_.+1",
        "text/plain;charset=utf-8",
        "text/plain ; charset=utf-8  ;  format=flowed",
        "application/cose; cose-type=\"cose-sign\"",
        "text/x; a=\"\\\"; @ \\\\\"",
        "application/json@deflate",
        "application/json;q=1@gzip@br",
        "2d/x",
    };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect(content_type_is_valid(bytes_of_text(good[i])), "%s", good[i]);
}

Test(content_type, refuses_anything_else)
{
    static const char *const bad[] = {
        "", "00", "060", "65536", "99999", "100000", "99999999999999999999", "-1", "1.5", "60@gzip", " 60",
        "text", "text/", "/csv", "text/csv/x", "text /csv", "text/csv ", "text/csv;", "text/csv; charset",
        "text/csv; charset=", "text/csv; =utf-8", "text/csv; a=\"x", "text/csv; a=\"x\\", "text/csv; a=\"\x01\"",
        "text/csv; a=x y", "text/csv@", "text/csv@@gzip", "text/csv@gzip; a=b", "t\xc3\xa4xt/csv", "text/c\x7fv",
        "text/csv; a=\"\xc3\xa4\"", "!text/csv", "text/csv, text/plain", "*/*",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not(content_type_is_valid(bytes_of_text(bad[i])), "%s", bad[i]);
}

Test(content_type, is_bounded)
{
    char text[300] = "a/";
    memset(text + 2, 'b', sizeof(text) - 2);
    cr_expect(content_type_is_valid(bytes_of(text, 2 + 127)));
    cr_expect_not(content_type_is_valid(bytes_of(text, 2 + 128)));
    memcpy(text + 3, ";c=", 3);
    cr_expect(content_type_is_valid(bytes_of(text, CONTENT_TYPE_MAX)));
    cr_expect_not(content_type_is_valid(bytes_of(text, CONTENT_TYPE_MAX + 1)));
    uint8_t zero[] = {'a', '/', 0};
    cr_expect_not(content_type_is_valid(bytes_of(zero, sizeof(zero))));
}
