// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Every way a request can end, with the one CoAP code and the one HTTP status that say so.
 *
 * All stages of the path, on both wires, return these and nothing else; the wires translate them through this
 * table only. The slug is the same word in the log, in the metric label and in problem details.
 * To add one: add a row; tests iterate over the table.
 */
#pragma once

#include <stdint.h>

#define OUTCOME_COAP(class, detail) ((class) * 32 + (detail))

/*        name                 slug                    CoAP    HTTP  title (RFC 9290 -1, RFC 9457 title) */
#define OUTCOME_TABLE(X)                                                                                           \
    X(OUTCOME_CHANGED,          "changed",              2, 4,  204, "Changed")                                      \
    X(OUTCOME_CREATED,          "created",              2, 1,  201, "Created")                                      \
    X(OUTCOME_DELETED,          "deleted",              2, 2,  204, "Deleted")                                      \
    X(OUTCOME_VALID,            "valid",                2, 3,  304, "Not modified")                                 \
    X(OUTCOME_CONTENT,          "content",              2, 5,  200, "Content")                                      \
    X(OUTCOME_CONTINUE,         "continue",             2, 31, 100, "Continue")                                     \
    X(OUTCOME_ACCEPTED,         "accepted",             2, 4,  202, "Accepted, not decided yet")                     \
    X(OUTCOME_BAD_REQUEST,      "bad-request",          4, 0,  400, "Bad request")                                  \
    X(OUTCOME_MALFORMED,        "malformed",            4, 0,  400, "Payload is not well-formed")                   \
    X(OUTCOME_TOO_COMPLEX,      "too-complex",          4, 0,  400, "Payload is too deep or has too many items")    \
    X(OUTCOME_DUPLICATE_KEY,    "duplicate-key",        4, 0,  400, "Payload repeats a key")                        \
    X(OUTCOME_BAD_VALUE,        "bad-value",            4, 0,  400, "Payload has a value that is not allowed")      \
    X(OUTCOME_BAD_NAME,         "bad-name",             4, 0,  400, "Payload has a name that is not allowed")       \
    X(OUTCOME_BAD_VERSION,      "bad-version",          4, 0,  400, "Payload has a version that is not understood") \
    X(OUTCOME_MUST_UNDERSTAND,  "must-understand",      4, 0,  400, "Payload has a field that must be understood")  \
    X(OUTCOME_UNAUTHENTICATED,  "unauthenticated",      4, 1,  401, "Unauthenticated")                              \
    X(OUTCOME_ECHO_REQUIRED,    "echo-required",        4, 1,  401, "Repeat with the Echo option")                  \
    X(OUTCOME_BAD_OPTION,       "bad-option",           4, 2,  400, "Option is not understood")                     \
    X(OUTCOME_FORBIDDEN,        "forbidden",            4, 3,  403, "Forbidden")                                    \
    X(OUTCOME_FOREIGN_NAME,     "foreign-name",         4, 3,  403, "Name belongs to another device")               \
    X(OUTCOME_NOT_FOUND,        "not-found",            4, 4,  404, "Not found")                                    \
    X(OUTCOME_BAD_METHOD,       "bad-method",           4, 5,  405, "Method not allowed")                           \
    X(OUTCOME_NOT_ACCEPTABLE,   "not-acceptable",       4, 6,  406, "Not acceptable")                               \
    X(OUTCOME_INCOMPLETE,       "incomplete",           4, 8,  408, "Request entity incomplete")                    \
    X(OUTCOME_CONFLICT,         "conflict",             4, 9,  409, "Conflict")                                     \
    X(OUTCOME_SEQUENCE_CONFLICT,"sequence-conflict",    4, 9,  409, "This sequence number was used for other content") \
    X(OUTCOME_PRECONDITION,     "precondition-failed",  4, 12, 412, "Precondition failed")                          \
    X(OUTCOME_TOO_LARGE,        "too-large",            4, 13, 413, "Request entity too large")                     \
    X(OUTCOME_UNSUPPORTED,      "unsupported-format",   4, 15, 415, "Unsupported content format")                   \
    X(OUTCOME_UNPROCESSABLE,    "unprocessable",        4, 22, 422, "Unprocessable")                                \
    X(OUTCOME_TIME_OUTSIDE,     "time-outside",         4, 22, 422, "A time is too far from the time of receipt")   \
    X(OUTCOME_CODEC_FAULT,      "codec-fault",          4, 22, 422,                                                    \
      "The codec of this device does not fit the payload")                                                             \
    X(OUTCOME_CODEC_QUARANTINED,"codec-quarantined",    5, 3,  503, "The codec of this device is quarantined")       \
    X(OUTCOME_TOO_MANY,         "too-many",             4, 29, 429, "Too many requests")                            \
    X(OUTCOME_HEADERS_TOO_LARGE,"headers-too-large",    4, 0,  431, "Header fields too large")                      \
    X(OUTCOME_INTERNAL,         "internal",             5, 0,  500, "Internal error")                               \
    X(OUTCOME_NOT_IMPLEMENTED,  "not-implemented",      5, 1,  501, "Not implemented")                              \
    X(OUTCOME_OUT_OF_MEMORY,    "out-of-memory",        5, 3,  503, "Out of memory")                                \
    X(OUTCOME_STORE_AWAY,       "store-away",           5, 3,  503, "The store cannot be reached")                  \
    X(OUTCOME_STORE_REFUSED,    "store-refused",        5, 3,  503, "The store refused to append")                  \
    X(OUTCOME_OVERLOADED,       "overloaded",           5, 3,  503, "Overloaded")                                   \
    X(OUTCOME_STORE_TIMEOUT,    "store-timeout",        5, 3,  503, "The store did not answer in time")             \
    X(OUTCOME_SPOOL_FULL,       "spool-full",           5, 3,  503, "The spool is filling up")                      \
    X(OUTCOME_SPOOL_FAILED,     "spool-failed",         5, 3,  503, "The disk of the spool failed")                 \
    X(OUTCOME_LEVEL_MISSED,     "level-missed",         5, 3,  503, "Stored, but not at the level that was asked for") \
    X(OUTCOME_NO_PROXY,         "no-proxy",             5, 5,  502, "Proxying is not supported")

enum outcome {
#define X(name, slug, class, detail, http, title) name,
    OUTCOME_TABLE(X)
#undef X
    OUTCOME_COUNT
};

struct outcome_row {
    const char *slug;
    const char *title;
    uint8_t coap_code; /* class * 32 + detail, as on the wire */
    uint16_t http_status;
};

/* The row of an outcome; the pointer is static. */
const struct outcome_row *outcome_row(enum outcome outcome);

/* Whether the outcome is a 2.xx. */
static inline int outcome_is_success(enum outcome outcome)
{
    return outcome < OUTCOME_BAD_REQUEST;
}
