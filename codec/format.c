// SPDX-License-Identifier: GPL-3.0-or-later
/* The rows of the format table, and the media type of every number that an answer may have. */
#include "codec/format.h"

#include "codec/plain.h"
#include "codec/senml.h"
#include "codec/senml_write.h"
#include "codec/text.h"

static const struct format formats[] = {
    {"text", CONTENT_FORMAT_TEXT, "text/plain", CONTENT_FORMAT_TEXT, false, text_decode, NULL},
    {"json", CONTENT_FORMAT_JSON, "application/json", CONTENT_FORMAT_JSON, false, plain_decode_json, NULL},
    {"cbor", CONTENT_FORMAT_CBOR, "application/cbor", CONTENT_FORMAT_CBOR, false, plain_decode_cbor, NULL},
    {"senml-json", CONTENT_FORMAT_SENML_JSON, "application/senml+json", CONTENT_FORMAT_SENML_JSON, false,
     senml_decode_json, senml_write_json},
    {"sensml-json", CONTENT_FORMAT_SENSML_JSON, "application/sensml+json", CONTENT_FORMAT_SENSML_JSON, false,
     senml_decode_json, senml_write_json},
    {"senml-cbor", CONTENT_FORMAT_SENML_CBOR, "application/senml+cbor", CONTENT_FORMAT_SENML_CBOR, false,
     senml_decode_cbor, senml_write_cbor},
    {"sensml-cbor", CONTENT_FORMAT_SENSML_CBOR, "application/sensml+cbor", CONTENT_FORMAT_SENSML_CBOR, false,
     senml_decode_cbor, senml_write_cbor},
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
    {CONTENT_FORMAT_ETCH_JSON, "application/senml-etch+json"},
    {CONTENT_FORMAT_ETCH_CBOR, "application/senml-etch+cbor"},
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

const struct format *format_by_name(struct bytes name)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (bytes_equal_text(name, formats[i].name))
            return &formats[i];
    }
    return NULL;
}

struct bytes format_parameter(const struct format_input *input, const char *name, bool *ret_found)
{
    size_t i = 0;
    while (i < input->parameter_count && !bytes_equal_text(input->parameters[i].name, name))
        i++;
    if (ret_found)
        *ret_found = i < input->parameter_count;
    return i < input->parameter_count ? input->parameters[i].value : (struct bytes){0};
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
