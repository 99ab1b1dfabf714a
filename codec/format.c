// SPDX-License-Identifier: GPL-3.0-or-later
/* The rows of the format table, and media types as HTTP writes them (RFC 9110 section 8.3.1). */
#include "codec/format.h"

#include "codec/plain.h"
#include "codec/senml.h"
#include "codec/senml_write.h"
#include "codec/text.h"

static const struct format formats[] = {
    {"text", CONTENT_FORMAT_TEXT, "text/plain", text_decode, NULL},
    {"json", CONTENT_FORMAT_JSON, "application/json", plain_decode_json, NULL},
    {"cbor", CONTENT_FORMAT_CBOR, "application/cbor", plain_decode_cbor, NULL},
    {"senml-json", CONTENT_FORMAT_SENML_JSON, "application/senml+json", senml_decode_json, senml_write_json},
    {"sensml-json", CONTENT_FORMAT_SENSML_JSON, "application/sensml+json", senml_decode_json,
     senml_write_json},
    {"senml-cbor", CONTENT_FORMAT_SENML_CBOR, "application/senml+cbor", senml_decode_cbor, senml_write_cbor},
    {"sensml-cbor", CONTENT_FORMAT_SENSML_CBOR, "application/sensml+cbor", senml_decode_cbor,
     senml_write_cbor},
};

#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

/* Numbers that weir sends or names without reading them as observations. */
static const struct {
    int content_format;
    const char *media_type;
} other_media_types[] = {
    {CONTENT_FORMAT_LINK, "application/link-format"},
    {CONTENT_FORMAT_OCTETS, "application/octet-stream"},
    {CONTENT_FORMAT_PROBLEM_CBOR, "application/concise-problem-details+cbor"},
    {CONTENT_FORMAT_PROMETHEUS, "text/plain; version=0.0.4"},
    {CONTENT_FORMAT_PROBLEM_JSON, "application/problem+json"},
};

const struct format *format_table(size_t *ret_count)
{
    *ret_count = FORMAT_COUNT;
    return formats;
}

const struct format *format_by_content_format(int content_format)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (formats[i].content_format == content_format)
            return &formats[i];
    }
    return NULL;
}

const char *format_media_type(int content_format)
{
    const struct format *format = format_by_content_format(content_format);
    if (format)
        return format->media_type;
    for (size_t i = 0; i < sizeof(other_media_types) / sizeof(other_media_types[0]); i++) {
        if (other_media_types[i].content_format == content_format)
            return other_media_types[i].media_type;
    }
    return NULL;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool equal_any_case(struct bytes a, const char *lower_case)
{
    if (a.len != strlen(lower_case))
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != (uint8_t)lower_case[i])
            return false;
    }
    return true;
}

static void skip_spaces(struct bytes *rest)
{
    while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t')) {
        rest->ptr++;
        rest->len--;
    }
}

/* The characters up to one of the stops; they leave the rest. */
static struct bytes take_until(struct bytes *rest, const char *stops)
{
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] && !strchr(stops, rest->ptr[len]))
        len++;
    struct bytes taken = bytes_of(rest->ptr, len);
    *rest = bytes_of(rest->ptr + len, rest->len - len);
    return taken;
}

static bool take_byte(struct bytes *rest, uint8_t byte)
{
    if (!rest->len || rest->ptr[0] != byte)
        return false;
    rest->ptr++;
    rest->len--;
    return true;
}

/* A value in quotes or without. Escapes in quotes are not undone: no value that matters here has one. */
static bool take_value(struct bytes *rest, struct bytes *ret)
{
    if (!take_byte(rest, '"')) {
        *ret = take_until(rest, "; \t\"");
        return ret->len > 0;
    }
    *ret = take_until(rest, "\"");
    return take_byte(rest, '"');
}

/* The parameters behind a media type. Any are fine but another charset than UTF-8. */
static bool check_parameters(struct bytes rest)
{
    for (;;) {
        struct bytes value;
        skip_spaces(&rest);
        if (!rest.len)
            return true;
        if (!take_byte(&rest, ';'))
            return false;
        skip_spaces(&rest);
        struct bytes name = take_until(&rest, "=; \t\"");
        if (!name.len) {
            /* An empty parameter is legal; RFC 9110 section 5.6.6. */
            continue;
        }
        if (!take_byte(&rest, '=') || !take_value(&rest, &value))
            return false;
        if (equal_any_case(name, "charset") && !equal_any_case(value, "utf-8"))
            return false;
    }
}

const struct format *format_by_media_type(struct bytes media_type)
{
    struct bytes rest = media_type;
    skip_spaces(&rest);
    struct bytes type = take_until(&rest, "; \t");
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (equal_any_case(type, formats[i].media_type))
            return check_parameters(rest) ? &formats[i] : NULL;
    }
    return NULL;
}
