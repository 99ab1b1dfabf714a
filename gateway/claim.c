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

bool claim_merge(const struct sequence *said, struct sequence *all, const char **ret_detail)
{
    if (merge(said, all))
        return true;
    *ret_detail = DISAGREEMENT;
    return false;
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

struct number_octets {
    uint8_t octets[4];
};

/* Big-endian: the same on every machine. */
static struct number_octets octets_of(uint32_t number)
{
    return (struct number_octets){
        {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

#define FIXED_PARTS_MAX 16

/* Runs of bytes that are hashed together. */
struct parts {
    struct bytes *items;
    size_t count;
    struct bytes fixed[FIXED_PARTS_MAX];
};

static bool parts_init(struct parts *parts, const struct request *request, const struct claim_content *content)
{
    parts->items = parts->fixed;
    if (content->parameter_count)
        parts->items = arena_calloc(request->arena, FIXED_PARTS_MAX + 4 * content->parameter_count,
                                    sizeof *parts->items);
    return parts->items != NULL;
}

static void add(struct parts *parts, struct bytes part)
{
    parts->items[parts->count++] = part;
}

/* Which message it is and how it is to be answered: said of it, not by it. */
static bool is_of_delivery(const struct format_parameter *parameter)
{
    return bytes_equal_text(parameter->name, "level") ||
           (bytes_equal_text(parameter->name, "n") && delivery_resembles_sequence(parameter->value));
}

/* Behind the payload, so that what has neither of them is hashed as it always was. */
static void add_extras(struct parts *parts, const struct claim_content *content)
{
    const struct bytes border = bytes_of("", 1);
    if (content->codec.len) {
        add(parts, border);
        add(parts, content->codec);
    }
    for (size_t i = 0; i < content->parameter_count; i++) {
        if (is_of_delivery(&content->parameters[i]))
            continue;
        add(parts, border);
        add(parts, content->parameters[i].name);
        add(parts, border);
        add(parts, content->parameters[i].value);
    }
}

static uint32_t fingerprint(struct parts *parts, const struct claim_content *content)
{
    struct number_octets format = octets_of((uint32_t)content->content_format);
    parts->count = 0;
    add(parts, bytes_of(format.octets, sizeof format.octets));
    add(parts, content->device);
    add(parts, content->name);
    add(parts, content->unit);
    add(parts, content->payload);
    add_extras(parts, content);
    uint32_t low = (uint32_t)hash_parts(&fingerprint_key, parts->items, parts->count);
    return low ? low : 1;
}

static bool digest(const struct parts *parts, uint8_t ret[static SINK_KEY_BYTES])
{
    uint8_t whole[CRYPTO_SHA256_BYTES];
    if (!crypto_sha256_parts(parts->items, parts->count, whole))
        return false;
    memcpy(ret, whole, SINK_KEY_BYTES);
    return true;
}

static bool windowed_key(struct parts *parts, const struct request *request, const struct claim_content *content,
                         const struct sink_message *message, uint8_t ret[static SINK_KEY_BYTES])
{
    struct number_octets format = octets_of((uint32_t)content->content_format);
    const struct bytes who[] = {message->tenant, message->speaker, request->path, content->device};
    parts->count = 0;
    for (size_t i = 0; i < sizeof who / sizeof who[0]; i++) {
        add(parts, who[i]);
        add(parts, bytes_of("", 1));
    }
    add(parts, bytes_of(format.octets, sizeof format.octets));
    add(parts, content->payload);
    add_extras(parts, content);
    return digest(parts, ret);
}

/* The key of the exchange; the lines of one exchange are told apart by their numbers. */
static bool transport_key(struct parts *parts, const struct request *request, size_t line,
                          uint8_t ret[static SINK_KEY_BYTES])
{
    struct number_octets number = octets_of((uint32_t)line);
    request_exchange_key(request, ret);
    if (line == 0)
        return true;
    parts->count = 0;
    add(parts, bytes_of(ret, REQUEST_KEY_BYTES));
    add(parts, bytes_of(number.octets, sizeof number.octets));
    return digest(parts, ret);
}

_Static_assert(REQUEST_KEY_BYTES == SINK_KEY_BYTES, "a wire's key is a key of the sink");

bool claim_identify(const struct claim *claim, const struct request *request, const struct claim_content *content,
                    struct sink_message *message)
{
    struct parts parts;
    struct claim_content said = *content;
    if (bytes_equal(said.device, message->speaker))
        said.device = (struct bytes){0};
    content = &said;
    if (!parts_init(&parts, request, content))
        return false;
    message->level = claim->level;
    message->confirmable = !request->best_effort;
    message->fingerprint = fingerprint(&parts, content);
    memset(message->key, 0, sizeof message->key);
    if (claim->sequence.given) {
        message->identity_class = CLASS_EXACT;
        message->sequence = claim->sequence;
        return true;
    }
    if (!content->by_exchange && (content->has_own_time || all_have_own_time(message))) {
        message->identity_class = CLASS_WINDOWED;
        return windowed_key(&parts, request, content, message, message->key);
    }
    message->identity_class = CLASS_TRANSPORT;
    return transport_key(&parts, request, content->line, message->key);
}

#define AHEAD_MAX_S 3600

enum outcome claim_judge_replay(const struct sink_message *message, struct timestamp received, uint64_t window_s,
                                const char **ret_detail)
{
    int64_t ahead = window_s / 4 < AHEAD_MAX_S ? (int64_t)(window_s / 4) : AHEAD_MAX_S;
    int64_t latest = received.s + ahead, earliest = latest - (int64_t)window_s + 1;
    if (message->identity_class == CLASS_EXACT)
        return OUTCOME_CHANGED;
    if (message->identity_class == CLASS_TRANSPORT) {
        *ret_detail = "A signed message needs a sequence number, or a time of its own in each record.";
        return OUTCOME_UNPROCESSABLE;
    }
    for (size_t i = 0; i < message->count; i++) {
        int64_t at = message->records[i].observation->time.s;
        if (at < earliest || at > latest) {
            *ret_detail = "A signed message without a sequence number is too far from the time of receipt.";
            return OUTCOME_TIME_OUTSIDE;
        }
    }
    return OUTCOME_CHANGED;
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
