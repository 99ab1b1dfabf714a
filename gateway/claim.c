// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Nothing here may differ from one process to the next: a message that is repeated to another gateway, or to this one
 * after a restart, must be recognised. So all hash keys are constants. Whoever makes two messages of his own look like
 * one harms himself only: keys are looked up within one tenant and speaker.
 */
#include "gateway/claim.h"

#include "codec/cborout.h"
#include "codec/hash.h"
#include "gateway/crypto.h"

static const struct hash_key fingerprint_key = {0x452821e638d01377, 0xbe5466cf34e90c6c};

#define DISAGREEMENT "The sequence is said twice, differently."

/* False: another one was said before. */
static bool merge(const struct sequence *said, struct sequence *all)
{
    if (!said->given)
        return true;
    if (all->given && (all->epoch != said->epoch || all->seq != said->seq))
        return false;
    *all = *said;
    return true;
}

/* All ?n= that are no names. */
static const char *merge_query(const struct request *request, struct sequence *all)
{
    for (size_t i = 0; i < request->query_count; i++) {
        const struct query_parameter *parameter = &request->query[i];
        struct sequence said;
        if (!bytes_equal_text(parameter->name, "n") || !delivery_resembles_sequence(parameter->value))
            continue;
        if (!delivery_parse_sequence(parameter->value, &said))
            return "The sequence in the query has leading zeros, or its epoch or seq is too large.";
        if (!merge(&said, all))
            return DISAGREEMENT;
    }
    return NULL;
}

static const char *read_sequence(const struct request *request, const struct sequence *of_payload,
                                 struct sequence *ret)
{
    *ret = *of_payload;
    if (request->bad_sequence)
        return request->bad_sequence;
    if (!merge(&request->sequence, ret))
        return DISAGREEMENT;
    return merge_query(request, ret);
}

/* The highest of those that are said; a request can ask for more than its tenant demands, not for less. */
static const char *read_level(const struct request *request, struct claim *claim)
{
    for (size_t i = 0; i < request->query_count; i++) {
        const struct query_parameter *parameter = &request->query[i];
        enum delivery_level level;
        if (!bytes_equal_text(parameter->name, "level"))
            continue;
        claim->wants_receipt = true;
        if (parameter->value.len == 0)
            continue;
        if (!delivery_level_parse(parameter->value, &level))
            return "The level is none of spooled, stored and replicated.";
        if (level > claim->level)
            claim->level = level;
    }
    return NULL;
}

bool claim_read(const struct request *request, const struct sequence *of_payload, enum delivery_level of_tenant,
                struct claim *ret, const char **ret_detail)
{
    struct claim claim = {.level = of_tenant};
    const char *wrong = read_sequence(request, of_payload, &claim.sequence);
    if (!wrong)
        wrong = read_level(request, &claim);
    if (wrong)
        *ret_detail = wrong;
    else
        *ret = claim;
    return !wrong;
}

struct bytes claim_name(const struct request *request)
{
    for (size_t i = 0; i < request->query_count; i++)
        if (bytes_equal_text(request->query[i].name, "n") && !delivery_resembles_sequence(request->query[i].value))
            return request->query[i].value;
    return (struct bytes){0};
}

static bool all_have_own_time(const struct sink_message *message)
{
    for (size_t i = 0; i < message->count; i++)
        if (message->records[i].observation->time_source != TIME_DEVICE)
            return false;
    return true;
}

struct format_octets {
    uint8_t octets[4];
};

/* Big-endian: the same on every machine. */
static struct format_octets format_of(const struct request *request)
{
    uint32_t number = (uint32_t)request->content_format;
    return (struct format_octets){
        {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

/* What makes another message of the same body: its format, and what the query says about it. */
static uint32_t fingerprint(const struct request *request)
{
    struct format_octets format = format_of(request);
    const struct bytes parts[] = {bytes_of(format.octets, sizeof format.octets), request_named_device(request, NULL),
                                  claim_name(request), request_query(request, "u", NULL), request->body};
    uint32_t low = (uint32_t)hash_parts(&fingerprint_key, parts, sizeof parts / sizeof parts[0]);
    return low ? low : 1;
}

static bool windowed_key(const struct request *request, const struct sink_message *message,
                         uint8_t ret[static SINK_KEY_BYTES])
{
    struct format_octets format = format_of(request);
    const struct bytes border = bytes_of("", 1);
    const struct bytes parts[] = {message->tenant, border,
                                  message->speaker, border,
                                  request->path, border,
                                  request_named_device(request, NULL), border,
                                  bytes_of(format.octets, sizeof format.octets), request->body};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!crypto_sha256_parts(parts, sizeof parts / sizeof parts[0], digest))
        return false;
    memcpy(ret, digest, SINK_KEY_BYTES);
    return true;
}

_Static_assert(REQUEST_KEY_BYTES == SINK_KEY_BYTES, "a wire's key is a key of the sink");

bool claim_identify(const struct claim *claim, const struct request *request, struct sink_message *message)
{
    message->level = claim->level;
    message->confirmable = !request->best_effort;
    message->fingerprint = fingerprint(request);
    memset(message->key, 0, sizeof message->key);
    if (claim->sequence.given) {
        message->identity_class = CLASS_EXACT;
        message->sequence = claim->sequence;
        return true;
    }
    if (all_have_own_time(message)) {
        message->identity_class = CLASS_WINDOWED;
        return windowed_key(request, message, message->key);
    }
    message->identity_class = CLASS_TRANSPORT;
    request_exchange_key(request, message->key);
    return true;
}

static void write_json(struct builder *out, const struct sink_receipt *receipt, size_t records)
{
    builder_put_text(out, "{\"level\":\"");
    builder_put_text(out, delivery_level_name(receipt->level));
    builder_put_text(out, "\",\"n\":");
    builder_put_uint(out, records);
    builder_put_text(out, receipt->duplicate ? ",\"duplicate\":true}" : "}");
}

/* Keys in the order of RFC 8949 4.2.1. */
static void write_cbor(struct builder *out, const struct sink_receipt *receipt, size_t records)
{
    cborout_map(out, receipt->duplicate ? 3 : 2);
    cborout_text(out, BYTES_LITERAL("n"));
    cborout_uint(out, records);
    cborout_text(out, BYTES_LITERAL("level"));
    cborout_text(out, bytes_of_text(delivery_level_name(receipt->level)));
    if (receipt->duplicate) {
        cborout_text(out, BYTES_LITERAL("duplicate"));
        cborout_bool(out, true);
    }
}

bool claim_receipt_body(const struct request *request, const struct sink_receipt *receipt, size_t records,
                        struct response *response)
{
    struct builder out;
    bool cbor = request->accept == CONTENT_FORMAT_CBOR;
    builder_init(&out, request->arena, 64);
    if (cbor)
        write_cbor(&out, receipt, records);
    else
        write_json(&out, receipt, records);
    if (!builder_finish(&out, &response->body))
        return false;
    response->content_format = cbor ? CONTENT_FORMAT_CBOR : CONTENT_FORMAT_JSON;
    return true;
}
