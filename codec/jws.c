// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The three parts are cut out of the text, then the protected header is read by a table that has a row for each member
 * that matters. Only then are payload and signature decoded.
 */
#include "codec/jws.h"

#include "codec/base64url.h"
#include "codec/json.h"
#include "codec/jsonout.h"
#include "codec/sequence.h"

static const struct format_limits header_limits = {.depth = 4, .items = 64};
static const struct format_limits json_limits = {.depth = 8, .items = 256};

static bool refuse_value(struct refusal *reterr, const char *detail)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, detail, SIZE_MAX);
}

static bool refuse_form(struct refusal *reterr, const char *detail)
{
    return refuse(reterr, OUTCOME_MALFORMED, detail, SIZE_MAX);
}

static const struct node *find(const struct node *map, struct bytes name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        if (bytes_equal(key->data, name))
            return key + 1;
    }
    return NULL;
}

/* --- the members of the protected header --- */

typedef bool read_member(const struct node *value, struct arena *arena, struct signed_message *message,
                         struct refusal *reterr);

static bool read_alg(const struct node *value, struct arena *arena, struct signed_message *message,
                     struct refusal *reterr)
{
    static const struct {
        const char *name;
        enum signed_algorithm algorithm;
    } rows[] = {{"HS256", SIGNED_HS256}, {"ES256", SIGNED_ES256}, {"EdDSA", SIGNED_EDDSA}, {"Ed25519", SIGNED_EDDSA}};
    (void)arena;
    if (value->kind == NODE_TEXT && bytes_equal_any_case(value->data, "none"))
        return refuse_value(reterr, "alg is none: nobody signed this.");
    for (size_t i = 0; value->kind == NODE_TEXT && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (bytes_equal_text(value->data, rows[i].name)) {
            message->algorithm = rows[i].algorithm;
            return true;
        }
    }
    return refuse_value(reterr, "alg has to be HS256, ES256 or EdDSA.");
}

static bool read_kid(const struct node *value, struct arena *arena, struct signed_message *message,
                     struct refusal *reterr)
{
    (void)arena;
    if (value->kind != NODE_TEXT || value->data.len > SIGNED_KID_MAX)
        return refuse_value(reterr, "kid has to be a text of at most 64 octets.");
    message->kid = value->data;
    return true;
}

static struct bytes without_application(struct bytes type)
{
    static const char prefix[] = "application/";
    size_t len = sizeof(prefix) - 1;
    return type.len > len && bytes_equal_any_case(bytes_of(type.ptr, len), prefix)
               ? bytes_of(type.ptr + len, type.len - len)
               : type;
}

/* What was signed for another purpose (a login, a manifest) says so here, and is no observation. */
static bool read_typ(const struct node *value, struct arena *arena, struct signed_message *message,
                     struct refusal *reterr)
{
    static const char *const types[] = {"jose", "jose+json", "weir"};
    (void)arena;
    (void)message;
    for (size_t i = 0; value->kind == NODE_TEXT && i < sizeof(types) / sizeof(types[0]); i++) {
        if (bytes_equal_any_case(without_application(value->data), types[i]))
            return true;
    }
    return refuse_value(reterr, "typ says that this was signed for another purpose.");
}

/* "application/" may be left out where no other '/' is (RFC 7515 4.1.10). */
static bool read_cty(const struct node *value, struct arena *arena, struct signed_message *message,
                     struct refusal *reterr)
{
    struct builder full;
    struct bytes type = value->data;
    if (value->kind != NODE_TEXT)
        return refuse_value(reterr, "cty has to be a text.");
    if (!type.len || !memchr(type.ptr, '/', type.len)) {
        builder_init(&full, arena, type.len + 16);
        builder_put_text(&full, "application/");
        builder_put(&full, type);
        if (!builder_finish(&full, &type))
            return refuse_memory(reterr);
    }
    message->content_format = format_by_media_type(type);
    return message->content_format != CONTENT_FORMAT_NONE ||
           refuse(reterr, OUTCOME_UNSUPPORTED, "cty is no media type that is known here.", SIZE_MAX);
}

static bool read_seq(const struct node *value, struct arena *arena, struct signed_message *message,
                     struct refusal *reterr)
{
    (void)arena;
    if (value->kind != NODE_ARRAY || value->count != 2)
        return refuse_value(reterr, "seq has to be an array of epoch and seq.");
    const struct node *epoch = node_first(value);
    const struct sequence_members members = {.epoch = epoch, .seq = node_next(epoch)};
    return sequence_read(&members, &message->sequence, reterr);
}

static bool refuse_critical(const struct node *value, struct arena *arena, struct signed_message *message,
                            struct refusal *reterr)
{
    (void)value, (void)arena, (void)message;
    return refuse(reterr, OUTCOME_MUST_UNDERSTAND, "crit names extensions, and none is understood here.", SIZE_MAX);
}

static bool refuse_b64(const struct node *value, struct arena *arena, struct signed_message *message,
                       struct refusal *reterr)
{
    (void)value, (void)arena, (void)message;
    return refuse(reterr, OUTCOME_MUST_UNDERSTAND, "b64 is not understood: the payload has to be base64url.", SIZE_MAX);
}

static bool refuse_key(const struct node *value, struct arena *arena, struct signed_message *message,
                       struct refusal *reterr)
{
    (void)value, (void)arena, (void)message;
    return refuse_value(reterr, "The header brings or names a key (jwk, jku, x5u, x5c, x5t): only kid may select one.");
}

/* In this order, whatever the order of the header: what is refused by its nature comes first. */
static const struct member {
    const char *name;
    read_member *read;
    bool decides; /* and so has to be protected */
} header_members[] = {
    {"jwk", refuse_key, false},
    {"jku", refuse_key, false},
    {"x5u", refuse_key, false},
    {"x5c", refuse_key, false},
    {"x5t", refuse_key, false},
    {"x5t#S256", refuse_key, false},
    {"crit", refuse_critical, true},
    {"b64", refuse_b64, true},
    {"alg", read_alg, true},
    {"kid", read_kid, true},
    {"typ", read_typ, true},
    {"cty", read_cty, true},
    {"seq", read_seq, true},
};
#define MEMBER_COUNT (sizeof(header_members) / sizeof(header_members[0]))

/* What the JSON reader says of "the payload" is said of the header; positions inside of base64url help nobody. */
static bool refuse_header(struct refusal *reterr)
{
    switch (reterr->outcome) {
    case OUTCOME_MALFORMED:
        return refuse_form(reterr, "The protected header is not JSON.");
    case OUTCOME_DUPLICATE_KEY:
        return refuse(reterr, OUTCOME_DUPLICATE_KEY, "The protected header has a member twice.", SIZE_MAX);
    case OUTCOME_TOO_COMPLEX:
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "The protected header is too deep or has too many members.",
                      SIZE_MAX);
    default:
        reterr->offset = SIZE_MAX;
        return false;
    }
}

static bool read_protected(struct bytes json, struct arena *arena, const struct node **ret_header,
                           struct signed_message *message, struct refusal *reterr)
{
    const struct node *header;
    if (json.len > JWS_HEADER_MAX)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "The protected header is too long.", SIZE_MAX);
    if (!json_read(json, &header_limits, arena, &header, reterr))
        return refuse_header(reterr);
    if (header->kind != NODE_MAP)
        return refuse_form(reterr, "The protected header is no JSON object.");
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        const struct node *value = find(header, bytes_of_text(header_members[i].name));
        if (value && !header_members[i].read(value, arena, message, reterr)) {
            reterr->offset = SIZE_MAX;
            return false;
        }
    }
    *ret_header = header;
    return message->algorithm != SIGNED_ALGORITHMS || refuse_value(reterr, "The protected header has no alg.");
}

static bool check_unprotected(const struct node *header, const struct node *protected_header, struct refusal *reterr)
{
    if (header->kind != NODE_MAP)
        return refuse_form(reterr, "The unprotected header is no object.");
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (!find(header, bytes_of_text(header_members[i].name)))
            continue;
        if (header_members[i].decides)
            return refuse_value(reterr, "alg, kid, crit, b64, typ, cty and seq have to be in the protected header.");
        return refuse_key(NULL, NULL, NULL, reterr);
    }
    const struct node *key = node_first(header);
    for (uint32_t i = 0; i < header->count; i++, key = node_next(key + 1)) {
        if (find(protected_header, key->data))
            return refuse(reterr, OUTCOME_DUPLICATE_KEY, "A member is in both headers.", SIZE_MAX);
    }
    return true;
}

/* --- the three parts --- */

struct parts {
    struct bytes protected_header, payload, signature; /* base64url */
    const struct node *unprotected;                    /* NULL: none */
};

static bool decode(struct bytes text, struct arena *arena, struct bytes *ret, const char *detail,
                   struct refusal *reterr)
{
    enum base64url result = base64url_decode(text, arena, ret);
    if (result == BASE64URL_MEMORY)
        return refuse_memory(reterr);
    return result == BASE64URL_OK || refuse_form(reterr, detail);
}

/* All but covered. */
static bool read_parts(const struct parts *parts, struct arena *arena, struct signed_message *message,
                       struct refusal *reterr)
{
    struct bytes json;
    const struct node *header;
    *message = (struct signed_message){
        .form = SIGNED_JWS, .algorithm = SIGNED_ALGORITHMS, .content_format = CONTENT_FORMAT_NONE};
    if (!parts->payload.len)
        return refuse_form(reterr, "The payload is missing or detached; it has to be inside.");
    if (!parts->protected_header.len)
        return refuse_form(reterr, "There is no protected header.");
    if (!decode(parts->protected_header, arena, &json, "The protected header is not canonical base64url.", reterr) ||
        !read_protected(json, arena, &header, message, reterr) ||
        (parts->unprotected && !check_unprotected(parts->unprotected, header, reterr)) ||
        !decode(parts->payload, arena, &message->payload, "The payload is not canonical base64url.", reterr) ||
        !decode(parts->signature, arena, &message->signature, "The signature is not canonical base64url.", reterr))
        return false;
    return message->signature.len == signed_signature_len(message->algorithm) ||
           refuse_value(reterr, "The signature does not have the length of its alg.");
}

/* Up to the dot, which is taken off too. False: no dot. */
static bool take_part(struct bytes *rest, struct bytes *ret)
{
    const uint8_t *dot = rest->len ? memchr(rest->ptr, '.', rest->len) : NULL;
    if (!dot)
        return false;
    *ret = bytes_of(rest->ptr, (size_t)(dot - rest->ptr));
    *rest = bytes_of(dot + 1, rest->len - ret->len - 1);
    return true;
}

bool jws_read_compact(struct bytes text, struct arena *arena, struct signed_message *ret, struct refusal *reterr)
{
    struct parts parts = {.signature = text};
    struct signed_message message;
    if (!take_part(&parts.signature, &parts.protected_header) || !take_part(&parts.signature, &parts.payload) ||
        (parts.signature.len && memchr(parts.signature.ptr, '.', parts.signature.len)))
        return refuse_form(reterr, "A compact JWS has exactly two dots.");
    if (!read_parts(&parts, arena, &message, reterr))
        return false;
    message.covered = bytes_of(text.ptr, text.len - parts.signature.len - 1);
    *ret = message;
    return true;
}

static bool join(struct bytes protected_header, struct bytes payload, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, protected_header.len + 1 + payload.len);
    builder_put(&out, protected_header);
    builder_put_byte(&out, '.');
    builder_put(&out, payload);
    return builder_finish(&out, ret);
}

/* A member that is a text, or not there. */
static bool take_text(const struct node *map, const char *name, struct bytes *ret, struct refusal *reterr)
{
    const struct node *value = find(map, bytes_of_text(name));
    *ret = value && value->kind == NODE_TEXT ? value->data : (struct bytes){0};
    return !value || value->kind == NODE_TEXT ||
           refuse_value(reterr, "protected, payload and signature have to be texts.");
}

/* The object that has protected, header and signature: of a general JWS the one of its signatures. */
static bool find_signature(const struct node *root, const struct node **ret, struct refusal *reterr)
{
    const struct node *signatures = find(root, BYTES_LITERAL("signatures"));
    *ret = root;
    if (!signatures)
        return true;
    if (find(root, BYTES_LITERAL("signature")) || find(root, BYTES_LITERAL("protected")) ||
        find(root, BYTES_LITERAL("header")))
        return refuse_form(reterr, "It is a flattened and a general JWS at once.");
    if (signatures->kind != NODE_ARRAY || signatures->count != 1)
        return refuse_value(reterr, "signatures has to have exactly one signature.");
    *ret = node_first(signatures);
    return (*ret)->kind == NODE_MAP || refuse_form(reterr, "A signature has to be an object.");
}

bool jws_read_json(struct bytes text, struct arena *arena, struct signed_message *ret, struct refusal *reterr)
{
    const struct node *root, *signature;
    struct parts parts;
    struct signed_message message;
    if (!json_read(text, &json_limits, arena, &root, reterr))
        return false;
    if (root->kind != NODE_MAP)
        return refuse_form(reterr, "A JWS in JSON is an object.");
    if (!find_signature(root, &signature, reterr) || !take_text(root, "payload", &parts.payload, reterr) ||
        !take_text(signature, "protected", &parts.protected_header, reterr) ||
        !take_text(signature, "signature", &parts.signature, reterr))
        return false;
    parts.unprotected = find(signature, BYTES_LITERAL("header"));
    if (!read_parts(&parts, arena, &message, reterr))
        return false;
    if (!join(parts.protected_header, parts.payload, arena, &message.covered))
        return refuse_memory(reterr);
    *ret = message;
    return true;
}

/* --- writing --- */

static void put_member(struct builder *out, const char *name, struct bytes value)
{
    builder_put_byte(out, out->len ? ',' : '{');
    jsonout_text(out, bytes_of_text(name));
    builder_put_byte(out, ':');
    jsonout_text(out, value);
}

static void put_base64url(struct builder *out, struct bytes bytes)
{
    char *at = (char *)builder_reserve(out, base64url_length(bytes.len));
    if (at)
        base64url_encode(bytes, at);
}

bool jws_begin(const struct jws_header *header, struct bytes payload, struct arena *arena, struct bytes *ret_covered)
{
    struct builder json, out;
    struct bytes text;
    builder_init(&json, arena, 128);
    put_member(&json, "alg", bytes_of_text(signed_algorithm_name(header->algorithm)));
    put_member(&json, "typ", BYTES_LITERAL("weir"));
    if (header->kid.len)
        put_member(&json, "kid", header->kid);
    if (header->content_type.len)
        put_member(&json, "cty", header->content_type);
    if (header->sequence.given) {
        builder_put_text(&json, ",\"seq\":[");
        builder_put_uint(&json, header->sequence.epoch);
        builder_put_byte(&json, ',');
        builder_put_uint(&json, header->sequence.seq);
        builder_put_byte(&json, ']');
    }
    builder_put_byte(&json, '}');
    if (!builder_finish(&json, &text))
        return false;
    builder_init(&out, arena, base64url_length(text.len) + 1 + base64url_length(payload.len));
    put_base64url(&out, text);
    builder_put_byte(&out, '.');
    put_base64url(&out, payload);
    return builder_finish(&out, ret_covered);
}

bool jws_end_compact(struct bytes covered, struct bytes signature, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, covered.len + 1 + base64url_length(signature.len));
    builder_put(&out, covered);
    builder_put_byte(&out, '.');
    put_base64url(&out, signature);
    return builder_finish(&out, ret);
}

bool jws_end_json(struct bytes covered, struct bytes signature, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    struct bytes protected_header = {0};
    builder_init(&out, arena, covered.len + base64url_length(signature.len) + 64);
    if (!take_part(&covered, &protected_header))
        return false;
    put_member(&out, "payload", covered);
    put_member(&out, "protected", protected_header);
    builder_put_text(&out, ",\"signature\":");
    jsonout_base64url(&out, signature);
    builder_put_byte(&out, '}');
    return builder_finish(&out, ret);
}
