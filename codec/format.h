// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The table of payload formats: one row and one file per format.
 *
 * A decoder is pure: bytes, a moment and limits go in; resolved observations in the caller's arena come out, or
 * an outcome and a sentence. All or nothing: on failure nothing of the list may be used. Limits count what is there,
 * never what a header claims. To add a format: one file, one row, vectors in tests/vectors.
 */
#pragma once

#include "codec/arena.h"
#include "codec/observation.h"
#include "codec/outcome.h"

/* CoAP Content-Format numbers (IANA registry "CoAP Content-Formats"). */
enum content_format {
    CONTENT_FORMAT_NONE = -1, /* the option is absent */
    CONTENT_FORMAT_TEXT = 0,
    CONTENT_FORMAT_COSE_MAC0 = 17,
    CONTENT_FORMAT_COSE_SIGN1 = 18,
    CONTENT_FORMAT_LINK = 40,
    CONTENT_FORMAT_OCTETS = 42,
    CONTENT_FORMAT_JSON = 50,
    CONTENT_FORMAT_MERGE_PATCH = 52, /* RFC 7396 */
    CONTENT_FORMAT_CBOR = 60,
    CONTENT_FORMAT_SENML_JSON = 110,
    CONTENT_FORMAT_SENSML_JSON = 111,
    CONTENT_FORMAT_SENML_CBOR = 112,
    CONTENT_FORMAT_SENSML_CBOR = 113,
    CONTENT_FORMAT_SENML_EXI = 114, /* known by name so that they are refused whoever speaks, as the XML ones */
    CONTENT_FORMAT_SENSML_EXI = 115,
    CONTENT_FORMAT_PROBLEM_CBOR = 257,
    CONTENT_FORMAT_SENML_XML = 310,
    CONTENT_FORMAT_SENSML_XML = 311,
    CONTENT_FORMAT_ETCH_JSON = 320, /* RFC 8790 */
    CONTENT_FORMAT_ETCH_CBOR = 322,
    CONTENT_FORMAT_JOSE = 65000, /* experimental range: application/jose, a compact JWS */
    CONTENT_FORMAT_JOSE_JSON = 65001, /* application/jose+json */
    CONTENT_FORMAT_PROMETHEUS = 65002, /* experimental range, HTTP only: text/plain; version=0.0.4 */
    CONTENT_FORMAT_PROBLEM_JSON = 65003, /* experimental range, HTTP only: application/problem+json */
    CONTENT_FORMAT_NDJSON = 65004, /* experimental range: application/x-ndjson, lists of devices */
    /* Formats without a number of their own, in the experimental range too; docs/formats.md lists them. */
    CONTENT_FORMAT_OPENTRV_JSON = 65010,
    CONTENT_FORMAT_OPENTRV_ASCII,
    CONTENT_FORMAT_OPENTRV_LOG,
    CONTENT_FORMAT_OPENTRV_FRAME,
    CONTENT_FORMAT_OPENTRV_RAW,
    CONTENT_FORMAT_RKDAP,
    CONTENT_FORMAT_EMONCMS_POST,
    CONTENT_FORMAT_EMONCMS_BULK,
    CONTENT_FORMAT_ULTRALIGHT,
    CONTENT_FORMAT_CAYENNE_LPP,
    CONTENT_FORMAT_SGMP,
    CONTENT_FORMAT_INFLUX,
    CONTENT_FORMAT_FIELDS,
    /* Bodies of legacy senders that are no format by themselves, HTTP only. */
    CONTENT_FORMAT_FORM = 65030,   /* application/x-www-form-urlencoded */
    CONTENT_FORMAT_SEALED = 65031, /* aes128cbc: gateway/emoncms_sealed */
    CONTENT_FORMAT_SEALED_ZLIB = 65032,
};

struct format_limits {
    unsigned depth;   /* nesting, SenML packs need 2 */
    unsigned items;   /* values and keys of all kinds in one payload */
    unsigned records; /* observations that come out */
};

#define FORMAT_LIMITS_DEFAULT ((struct format_limits){.depth = 16, .items = 4096, .records = 1024})

/* What may still be done for one request: decoders of formats that are data take off it what they do. */
struct format_work {
    uint64_t looks;  /* fields and the like looked at, there or not */
    uint64_t values; /* worked out, whether they come out or not */
};

/* What a request says beside its payload: query, form fields, parts of the path; decoded. */
struct format_parameter {
    struct bytes name, value;
};

/* Keys for formats that prove their sender (OpenTRV's secure frame). Pure code gets them and the cipher as functions.
 * */
#define FORMAT_FRAME_KEY_BYTES 16
#define FORMAT_FRAME_ID_MAX 8
struct format_frame_key {
    uint8_t key[FORMAT_FRAME_KEY_BYTES]; /* AES-128; the decoder wipes it */
    uint8_t id[FORMAT_FRAME_ID_MAX];     /* the node's whole id, of which a frame may carry the beginning only */
    size_t id_len;
};
struct format_crypto {
    void *ctx;
    /* node: hexadecimal of the id in the frame; names a device in either case. False: no such device here, or it has
     * no key. */
    bool (*find)(void *ctx, struct bytes node, struct format_frame_key *ret);
    /* AES-128-GCM: sealed is ciphertext, then a tag of 16. False: forged. ret has sealed.len - 16 octets. */
    bool (*open)(const uint8_t key[static FORMAT_FRAME_KEY_BYTES], const uint8_t nonce[static 12], struct bytes aad,
                 struct bytes sealed, uint8_t *ret);
};

struct format_input {
    struct bytes payload;
    struct timestamp now;   /* one instant for the whole payload; relative times count from it */
    struct bytes name;      /* for formats without names (text/plain): from the query; may be empty */
    struct bytes unit;      /* the same for the unit */
    struct format_limits limits;
    struct format_work *work; /* for all payloads that share it; NULL: as much as the limits allow for this one */
    const struct format_parameter *parameters;
    size_t parameter_count;
    const struct format_crypto *crypto; /* NULL: no keys here */
};

/* Why a payload was refused, for problem details: a sentence, and a position in the payload where known. */
struct format_error {
    const char *detail; /* static, or in the arena that decode was given */
    size_t offset; /* SIZE_MAX: not known */
};

struct format {
    const char *name; /* in logs, metrics, docs */
    int content_format;
    const char *media_type; /* without parameters, lower case */
    /* What it is to a sender that knows no better: CONTENT_FORMAT_JSON for JSON of a form of its own, _TEXT, _OCTETS. A
     * device whose profile names the format may declare it as that, or not at all. */
    int carrier;
    /*
     * A log of independent lines: decode gets one line at a time, without its end of line; each line is a message of
     * its own with a verdict of its own. OUTCOME_CHANGED with nothing in the list: a line without data (noise, a
     * comment, an empty one).
     */
    bool by_line;
    enum outcome (*decode)(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                           struct format_error *reterr);
    /* Writes resolved observations in this format; NULL where weir only reads it. */
    enum outcome (*encode)(const struct observation_list *list, struct arena *arena, struct bytes *ret);
    const struct format_limits *limits; /* NULL: FORMAT_LIMITS_DEFAULT */
    bool reads_parameters; /* what the query says is part of the message */
};

/* All rows; *ret_count is set. */
const struct format *format_table(size_t *ret_count);
/* NULL if weir does not read it. */
const struct format *format_by_content_format(int content_format);
const struct format *format_by_name(struct bytes name);
/* The first parameter of that name; ret_found says whether there is one (may be NULL). */
struct bytes format_parameter(const struct format_input *input, const char *name, bool *ret_found);
/* Why a payload of that number is not read as observations: a static sentence. */
const char *format_why_not(int content_format);
/* The media type of any number in enum content_format, or NULL. */
const char *format_media_type(int content_format);
/* Whether answers are written in it: a wish for another one may be passed over where there is a second wish. */
bool format_is_written(int content_format);
/* The number of a media type without parameters, in any case; CONTENT_FORMAT_NONE: none has it. */
int format_by_media_type(struct bytes type);
/* The number of application/cose by its parameter cose-type (RFC 9052 10.2); CONTENT_FORMAT_NONE: weir reads
 * no such. */
int format_of_cose(struct bytes cose_type);
