// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a message of observations says about its delivery: which one it is (sequence), how safe it must be (level), and
 * how it is recognised when it comes again. Between the wires, which know where it is said, and the sink, which keeps
 * the promise (docs/delivery.md). Pure but for the key of the exchange.
 */
#pragma once

#include "gateway/request.h"
#include "gateway/sink.h"

struct claim {
    struct sequence sequence;
    enum delivery_level level; /* to reach before the answer */
    bool wants_receipt;        /* ?level: the answer says what was reached */
};

/*
 * The sequence of the payload, of the wire (option 65100, Weir-Seq) and of ?n=EPOCH.SEQ, which must agree where there
 * is more than one; the level of the tenant, raised by ?level. False: bad-value, and why in a static sentence.
 */
bool claim_read(const struct request *request, const struct sequence *of_payload, enum delivery_level of_tenant,
                struct claim *ret, const char **ret_detail);

/* Joins what is said in two places. False: they differ; nothing is changed, ret_detail says so. */
bool claim_merge(const struct sequence *said, struct sequence *all, const char **ret_detail);

/* The name of a bare number: the first ?n= that is no sequence. Empty: none. */
struct bytes claim_name(const struct request *request);

/* What a message is made of, apart from who says it: all that makes another one of it. */
struct claim_content {
    int content_format; /* of the format that reads it; CONTENT_FORMAT_NONE: a codec of the tenant */
    struct bytes codec; /* its name, then; else empty */
    struct bytes device, name, unit; /* what the query names; the speaker itself as device makes no other message */
    const struct format_parameter *parameters; /* of a legacy sender all but its key; of a format that reads them;
                                                  level and a sequence among them are passed over */
    size_t parameter_count;
    struct bytes payload; /* as it was sent; of a log one line; what was signed: signed_content */
    size_t line;          /* of a log: from 1; else 0 */
    bool by_exchange;     /* its times do not say which message it is */
    bool has_own_time;    /* the payload says when it was, whatever its records' times are counted from */
};

/* identity_class, sequence, key, fingerprint and level of a message whose tenant, speaker and records are set, their
 * times as they were sent, while the body is there. A line of a log has the same windowed key wherever it stands.
 * False: the digest failed, or out of memory. */
bool claim_identify(const struct claim *claim, const struct request *request, const struct claim_content *content,
                    struct sink_message *message);

/*
 * Whether somebody who has seen a message of claim_identify could have it stored again. One without a sequence is
 * recognised for window_s after its receipt, so its own times have to be so near that it is refused afterwards; the
 * future counts, because a message from there would stay fresh for longer. OUTCOME_CHANGED: it could not;
 * OUTCOME_UNPROCESSABLE: it has neither; OUTCOME_TIME_OUTSIDE.
 */
enum outcome claim_judge_replay(const struct sink_message *message, struct timestamp received, uint64_t window_s,
                                const char **ret_detail);

/* The answer to whoever asked: {"level":"spooled","n":3}, "duplicate":true in it if so, n the number of records; in
 * request->accept, or in JSON. False: out of memory. */
bool claim_receipt_body(const struct request *request, const struct sink_receipt *receipt, size_t records,
                        struct response *response);
