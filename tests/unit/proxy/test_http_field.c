// SPDX-License-Identifier: GPL-3.0-or-later
#include "proxy/http_field.h"

#include <criterion/criterion.h>

Test(http_field, media_types)
{
    static const struct {
        const char *text;
        int number;
    } rows[] = {
        {"application/senml+json", CONTENT_FORMAT_SENML_JSON},
        {" Application/SenML+CBOR ", CONTENT_FORMAT_SENML_CBOR},
        {"application/json; charset=UTF-8", CONTENT_FORMAT_JSON},
        {"application/json;charset=\"utf-8\"", CONTENT_FORMAT_JSON},
        {"application/json; charset=latin1", REQUEST_FORMAT_UNKNOWN},
        {"text/plain", CONTENT_FORMAT_TEXT},
        {"application/link-format", CONTENT_FORMAT_LINK},
        {"text/html", REQUEST_FORMAT_UNKNOWN},
        {"application/x-www-form-urlencoded", CONTENT_FORMAT_FORM},
        {"application/x-www-form-urlencoded; charset=UTF-8", CONTENT_FORMAT_FORM},
        {"Application/x-www-form-urlencoded;charset=\"iso-8859-1\"", CONTENT_FORMAT_FORM},
        {"application/x-www-form-urlencoded; charset=ISO-8859-1", CONTENT_FORMAT_FORM},
        {"application/x-www-form-urlencoded; charset=US-ASCII", CONTENT_FORMAT_FORM},
        {"application/x-www-form-urlencoded; charset=utf-16", REQUEST_FORMAT_UNKNOWN},
        {"application/vnd.weir.sgmp", CONTENT_FORMAT_SGMP},
        {"AES128CBC", CONTENT_FORMAT_SEALED},
        {"application/jsonx", REQUEST_FORMAT_UNKNOWN},
        {"application/jose", CONTENT_FORMAT_JOSE},
        {"application/jose+json", CONTENT_FORMAT_JOSE_JSON},
        {"application/cose; cose-type=\"cose-sign1\"", CONTENT_FORMAT_COSE_SIGN1},
        {"Application/COSE;Cose-Type=cose-mac0", CONTENT_FORMAT_COSE_MAC0},
        {"application/cose; charset=utf-8; cose-type=\"cose-mac0\"", CONTENT_FORMAT_COSE_MAC0},
        {"application/cose; cose-type=\"cose-encrypt\"", REQUEST_FORMAT_UNKNOWN},
        {"application/cose", REQUEST_FORMAT_UNKNOWN},
        {"application/json; cose-type=\"cose-mac0\"", CONTENT_FORMAT_JSON},
        {"", REQUEST_FORMAT_UNKNOWN},
        {";", REQUEST_FORMAT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(http_field_media_type(bytes_of_text(rows[i].text)), rows[i].number, "%s", rows[i].text);
    cr_assert_eq(http_field_media_type((struct bytes){0}), REQUEST_FORMAT_UNKNOWN);
}

Test(http_field, accept)
{
    static const struct {
        const char *text;
        int number;
    } rows[] = {
        {"", CONTENT_FORMAT_NONE},
        {"*/*", CONTENT_FORMAT_NONE},
        {"text/html, */*;q=0.1", CONTENT_FORMAT_NONE},
        {"text/html", REQUEST_FORMAT_UNKNOWN},
        {"application/cbor;q=0.2, application/json;q=0.9", CONTENT_FORMAT_JSON},
        {"application/cbor, application/json", CONTENT_FORMAT_CBOR},
        {"application/json;q=0.500, application/cbor;q=0.501", CONTENT_FORMAT_CBOR},
        {"application/json;q=0", REQUEST_FORMAT_UNKNOWN},
        {"application/json;q=0.0, application/cbor ; q=0.001", CONTENT_FORMAT_CBOR},
        {"application/json;q=2, application/cbor;q=0.1", CONTENT_FORMAT_CBOR},
        {"application/json;q=abc", REQUEST_FORMAT_UNKNOWN},
        {"text/plain;a=\"x,y;q=0\", application/json;q=0.5", CONTENT_FORMAT_TEXT},
        {",,application/json,", CONTENT_FORMAT_JSON},
        {"application/senml+json;q=0.5,application/*;q=1", CONTENT_FORMAT_NONE},
        {"application/senml+xml,application/senml+cbor;q=0.5", CONTENT_FORMAT_SENML_CBOR}, /* read is not written */
        {"application/senml-etch+json", REQUEST_FORMAT_UNKNOWN},
        {"application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         CONTENT_FORMAT_TEXT},
        {"\"", REQUEST_FORMAT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(http_field_accept(bytes_of_text(rows[i].text)), rows[i].number, "%s", rows[i].text);
}

Test(http_field, etag_text_comes_back)
{
    const struct etag etag = {{0x00, 0x1f, 0xff, 4, 5, 6, 7, 0x80}, 8};
    char text[HTTP_FIELD_ETAG_TEXT_MAX];
    struct http_field_etags etags;
    cr_assert_str_eq(http_field_etag_text(&etag, text), "\"001fff0405060780\"");
    cr_assert(http_field_etags(bytes_of_text(text), false, &etags));
    cr_assert_eq(etags.count, 1);
    cr_assert_eq(memcmp(&etags.list[0], &etag, sizeof etag), 0);
}

Test(http_field, etags)
{
    struct http_field_etags etags;
    cr_assert(http_field_etags(BYTES_LITERAL("\"0a\", W/\"0b\" ,\"x,y\",\"0A\",\"\",\"112233445566778899\""), true,
                               &etags));
    cr_assert_eq(etags.count, 2);
    cr_assert_eq(etags.list[1].octets[0], 0x0b);
    cr_assert(http_field_etags(BYTES_LITERAL("\"0a\", W/\"0b\""), false, &etags));
    cr_assert_eq(etags.count, 1, "If-Match compares strongly");
    cr_assert(http_field_etags(BYTES_LITERAL(" * "), false, &etags));
    cr_assert(etags.any && etags.count == 0);
    cr_assert(http_field_etags(BYTES_LITERAL("\"1a\",\"1a\",\"1a\",\"1a\",\"1a\",\"1a\",\"1a\",\"1a\",\"1a\""), true,
                               &etags));
    cr_assert_eq(etags.count, REQUEST_ETAGS_MAX);

    static const char *const bad[] = {"", "0a", "\"0a", "\"0a\" \"0b\"", "*, \"0a\"", "W/0a", "w/\"0a\"", "W/", "\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(http_field_etags(bytes_of_text(bad[i]), true, &etags), "%s", bad[i]);
}

Test(http_field, bearer)
{
    struct bytes token;
    cr_assert(http_field_bearer(BYTES_LITERAL("BEARER  weir_ab-12 "), &token));
    cr_assert(bytes_equal_text(token, "weir_ab-12"));
    static const char *const bad[] = {"", "Bearer", "Bearer ", "Basic eA==", "Bearer a b", "Bearer a,b", "weir_ab"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(http_field_bearer(bytes_of_text(bad[i]), &token), "%s", bad[i]);
    char text[300] = "Bearer ";
    memset(text + 7, 'a', 257);
    cr_assert_not(http_field_bearer(bytes_of_text(text), &token));
    text[7 + 256] = 0;
    cr_assert(http_field_bearer(bytes_of_text(text), &token));
}

Test(http_field, media_types_with_parameters)
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
        {"application/json; charset=iso-8859-1", REQUEST_FORMAT_UNKNOWN},
        {"application/json; charset=\"utf-16\"", REQUEST_FORMAT_UNKNOWN},
        {"application/json; charset", REQUEST_FORMAT_UNKNOWN},
        {"application/json; charset=", REQUEST_FORMAT_UNKNOWN},
        {"application/json; charset=\"utf-8", REQUEST_FORMAT_UNKNOWN},
        {"application/json, text/plain", REQUEST_FORMAT_UNKNOWN},
        {"application/json x", REQUEST_FORMAT_UNKNOWN},
        {"text/plain", 0},
        {"text/plain;charset=us-ascii", REQUEST_FORMAT_UNKNOWN},
        {"application/senml+xml", CONTENT_FORMAT_SENML_XML},
        {"application/senml-etch+json", CONTENT_FORMAT_ETCH_JSON},
        {"application/senml-etch+cbor", CONTENT_FORMAT_ETCH_CBOR},
        {"application/problem+json", CONTENT_FORMAT_PROBLEM_JSON},
        {"application/jsonx", REQUEST_FORMAT_UNKNOWN},
        {"application/jso", REQUEST_FORMAT_UNKNOWN},
        {"", REQUEST_FORMAT_UNKNOWN},
        {";charset=utf-8", REQUEST_FORMAT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(http_field_media_type(bytes_of_text(cases[i].media_type)), cases[i].content_format, "%s",
                     cases[i].media_type);
    cr_expect_eq(http_field_media_type(BYTES_LITERAL("application/json\0;charset=utf-8")), REQUEST_FORMAT_UNKNOWN);
}
