// SPDX-License-Identifier: GPL-3.0-or-later
/* The rows of the format table, and the media type of every number that an answer may have. */
#include "codec/format.h"

#include "codec/cayenne.h"
#include "codec/emoncms.h"
#include "codec/envelope.h"
#include "codec/influx.h"
#include "codec/opentrv.h"
#include "codec/opentrv_frame.h"
#include "codec/plain.h"
#include "codec/rkdap.h"
#include "codec/senml.h"
#include "codec/senml_write.h"
#include "codec/sgmp.h"
#include "codec/text.h"
#include "codec/ultralight.h"

/* emonHub sends up to a thousand frames at once, and what it was refused again for ever, or never. Named values are
 * two items each, and each row is three more. */
static const struct format_limits bulk_limits = {.depth = 16, .items = 65536, .records = 16384};

static const struct format formats[] = {
    {"text", CONTENT_FORMAT_TEXT, "text/plain", CONTENT_FORMAT_TEXT, false, text_decode, NULL, NULL, false},
    {"json", CONTENT_FORMAT_JSON, "application/json", CONTENT_FORMAT_JSON, false, plain_decode_json, NULL, NULL, false},
    {"cbor", CONTENT_FORMAT_CBOR, "application/cbor", CONTENT_FORMAT_CBOR, false, plain_decode_cbor, NULL, NULL, false},
    {"senml-json", CONTENT_FORMAT_SENML_JSON, "application/senml+json", CONTENT_FORMAT_SENML_JSON, false,
     senml_decode_json, senml_write_json, NULL, false},
    {"sensml-json", CONTENT_FORMAT_SENSML_JSON, "application/sensml+json", CONTENT_FORMAT_SENSML_JSON, false,
     senml_decode_json, senml_write_json, NULL, false},
    {"senml-cbor", CONTENT_FORMAT_SENML_CBOR, "application/senml+cbor", CONTENT_FORMAT_SENML_CBOR, false,
     senml_decode_cbor, senml_write_cbor, NULL, false},
    {"sensml-cbor", CONTENT_FORMAT_SENSML_CBOR, "application/sensml+cbor", CONTENT_FORMAT_SENSML_CBOR, false,
     senml_decode_cbor, senml_write_cbor, NULL, false},
    {"emoncms-post", CONTENT_FORMAT_EMONCMS_POST, "application/vnd.weir.emoncms-post", CONTENT_FORMAT_TEXT, false,
     emoncms_decode_post, NULL, NULL, true},
    {"emoncms-bulk", CONTENT_FORMAT_EMONCMS_BULK, "application/vnd.weir.emoncms-bulk", CONTENT_FORMAT_JSON, false,
     emoncms_decode_bulk, NULL, &bulk_limits, true},
    {"influx", CONTENT_FORMAT_INFLUX, "application/vnd.weir.influx", CONTENT_FORMAT_TEXT, true, influx_decode, NULL,
     NULL, true},
    {"opentrv-json", CONTENT_FORMAT_OPENTRV_JSON, "application/vnd.weir.opentrv-json", CONTENT_FORMAT_JSON, false,
     opentrv_decode_json, NULL, NULL, false},
    {"opentrv-ascii", CONTENT_FORMAT_OPENTRV_ASCII, "application/vnd.weir.opentrv-ascii", CONTENT_FORMAT_TEXT, false,
     opentrv_decode_ascii, NULL, NULL, false},
    {"opentrv-log", CONTENT_FORMAT_OPENTRV_LOG, "application/vnd.weir.opentrv-log", CONTENT_FORMAT_TEXT, true,
     opentrv_decode_log, NULL, NULL, false},
    {"opentrv-frame", CONTENT_FORMAT_OPENTRV_FRAME, "application/vnd.weir.opentrv-frame", CONTENT_FORMAT_OCTETS, false,
     opentrv_frame_decode, NULL, NULL, false},
    {"opentrv-raw", CONTENT_FORMAT_OPENTRV_RAW, "application/vnd.weir.opentrv-raw", CONTENT_FORMAT_OCTETS, false,
     opentrv_decode_raw, NULL, NULL, false},
    {"rkdap", CONTENT_FORMAT_RKDAP, "application/vnd.weir.rkdap", CONTENT_FORMAT_JSON, false, rkdap_decode, NULL,
     NULL, false},
    {"ultralight", CONTENT_FORMAT_ULTRALIGHT, "application/vnd.weir.ultralight", CONTENT_FORMAT_TEXT, false,
     ultralight_decode, NULL, NULL, true},
    {"cayenne-lpp", CONTENT_FORMAT_CAYENNE_LPP, "application/vnd.weir.cayenne-lpp", CONTENT_FORMAT_OCTETS, false,
     cayenne_decode, NULL, NULL, false},
    {"sgmp", CONTENT_FORMAT_SGMP, "application/vnd.weir.sgmp", CONTENT_FORMAT_JSON, false, sgmp_decode, NULL, NULL,
     true},
    {"fields", CONTENT_FORMAT_FIELDS, "application/vnd.weir.fields", CONTENT_FORMAT_JSON, false,
     envelope_decode_fields, NULL, NULL, false},
};

#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

/* Numbers that weir sends or names without reading them as observations. */
static const struct {
    int content_format;
    const char *media_type;
} other_media_types[] = {
    {CONTENT_FORMAT_COSE_MAC0, "application/cose; cose-type=\"cose-mac0\""},
    {CONTENT_FORMAT_COSE_SIGN1, "application/cose; cose-type=\"cose-sign1\""},
    {CONTENT_FORMAT_LINK, "application/link-format"},
    {CONTENT_FORMAT_OCTETS, "application/octet-stream"},
    {CONTENT_FORMAT_SENML_EXI, "application/senml-exi"},
    {CONTENT_FORMAT_SENSML_EXI, "application/sensml-exi"},
    {CONTENT_FORMAT_SENML_XML, "application/senml+xml"},
    {CONTENT_FORMAT_SENSML_XML, "application/sensml+xml"},
    {CONTENT_FORMAT_FORM, "application/x-www-form-urlencoded"},
    {CONTENT_FORMAT_SEALED, "aes128cbc"},
    {CONTENT_FORMAT_SEALED_ZLIB, "aes128cbcgz"},
    {CONTENT_FORMAT_PROBLEM_CBOR, "application/concise-problem-details+cbor"},
    {CONTENT_FORMAT_ETCH_JSON, "application/senml-etch+json"},
    {CONTENT_FORMAT_ETCH_CBOR, "application/senml-etch+cbor"},
    {CONTENT_FORMAT_JOSE, "application/jose"},
    {CONTENT_FORMAT_JOSE_JSON, "application/jose+json"},
    {CONTENT_FORMAT_PROMETHEUS, "text/plain; version=0.0.4"},
    {CONTENT_FORMAT_PROBLEM_JSON, "application/problem+json"},
    {CONTENT_FORMAT_NDJSON, "application/x-ndjson"},
    {CONTENT_FORMAT_MERGE_PATCH, "application/merge-patch+json"},
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

const char *format_why_not(int content_format)
{
    switch (content_format) {
    case CONTENT_FORMAT_SENML_EXI:
    case CONTENT_FORMAT_SENSML_EXI:
    case CONTENT_FORMAT_SENML_XML:
    case CONTENT_FORMAT_SENSML_XML:
        return "SenML is read in JSON and CBOR (110 to 113), not in XML or EXI.";
    case CONTENT_FORMAT_ETCH_JSON:
    case CONTENT_FORMAT_ETCH_CBOR:
        return "senml-etch is for FETCH and PATCH; a POST takes SenML packs (110 to 113).";
    default:
        return "The content format is missing or not one that is read here.";
    }
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

bool format_is_written(int content_format)
{
    switch (content_format) {
    case CONTENT_FORMAT_TEXT:
    case CONTENT_FORMAT_JSON:
    case CONTENT_FORMAT_CBOR:
    case CONTENT_FORMAT_LINK:
    case CONTENT_FORMAT_PROBLEM_CBOR:
    case CONTENT_FORMAT_PROBLEM_JSON:
    case CONTENT_FORMAT_NDJSON:
    case CONTENT_FORMAT_PROMETHEUS:
        return true;
    default: {
        const struct format *format = format_by_content_format(content_format);
        return format && format->encode;
    }
    }
}

int format_of_cose(struct bytes cose_type)
{
    if (bytes_equal_any_case(cose_type, "cose-mac0"))
        return CONTENT_FORMAT_COSE_MAC0;
    return bytes_equal_any_case(cose_type, "cose-sign1") ? CONTENT_FORMAT_COSE_SIGN1 : CONTENT_FORMAT_NONE;
}

int format_by_media_type(struct bytes type)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (bytes_equal_any_case(type, formats[i].media_type))
            return formats[i].content_format;
    for (size_t i = 0; i < sizeof(other_media_types) / sizeof(other_media_types[0]); i++)
        if (bytes_equal_any_case(type, other_media_types[i].media_type))
            return other_media_types[i].content_format;
    return CONTENT_FORMAT_NONE;
}
