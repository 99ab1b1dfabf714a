// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The array of four is taken apart, then both headers are read by one table that has a row for each label that matters.
 * What is signed is written anew around the protected header as it was received (RFC 9052 4.4, 6.3).
 */
#include "codec/cose.h"

#include "codec/cborin.h"
#include "codec/cborout.h"
#include "codec/sequence.h"

static const struct format_limits message_limits = {.depth = 8, .items = 128};
static const struct format_limits header_limits = {.depth = 4, .items = 64};

enum { PARTS = 4, PROTECTED = 0, UNPROTECTED, PAYLOAD, SIGNATURE };

static bool refuse_value(struct refusal *reterr, const char *detail)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, detail, SIZE_MAX);
}

static bool refuse_form(struct refusal *reterr, const char *detail)
{
    return refuse(reterr, OUTCOME_MALFORMED, detail, SIZE_MAX);
}

/* --- algorithms --- */

/* The first row of an algorithm is the one that is written; the others are its fully-specified names (RFC 9864). */
static const struct {
    int number;
    enum signed_algorithm algorithm;
} algorithms[] = {
    {-7, SIGNED_ES256},   {-8, SIGNED_EDDSA}, {5, SIGNED_HS256},
    {4, SIGNED_HS256_64}, {-9, SIGNED_ES256}, {-19, SIGNED_EDDSA},
};
#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

static bool is_integer(const struct node *node, int number)
{
    return node->kind == NODE_INTEGER && node->negative == (number < 0) &&
           node->integer == (uint64_t)(number < 0 ? -1 - number : number);
}

bool cose_msg_algorithm(const struct node *node, enum signed_algorithm *ret)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (is_integer(node, algorithms[i].number)) {
            *ret = algorithms[i].algorithm;
            return true;
        }
    }
    return false;
}

int cose_msg_algorithm_number(enum signed_algorithm algorithm)
{
    size_t i = 0;
    while (algorithms[i].algorithm != algorithm)
        i++;
    return algorithms[i].number;
}

static enum cose_msg_kind kind_of(enum signed_algorithm algorithm)
{
    return algorithm == SIGNED_ES256 || algorithm == SIGNED_EDDSA ? COSE_MSG_SIGN1 : COSE_MSG_MAC0;
}

/* --- headers --- */

typedef bool read_label(const struct node *value, struct signed_message *message, struct refusal *reterr);

static bool read_alg(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    return cose_msg_algorithm(value, &message->algorithm) ||
           refuse_value(reterr, "alg has to be ES256, EdDSA, HS256 or HS256/64.");
}

static bool read_kid(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    if (value->kind != NODE_BYTES || value->data.len > SIGNED_KID_MAX)
        return refuse_value(reterr, "kid has to be a byte string of at most 64 octets.");
    message->kid = value->data;
    return true;
}

static bool read_content_type(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    uint64_t number;
    if (node_uint(value, UINT16_MAX, &number)) {
        message->content_format = (int)number;
        return true;
    }
    if (value->kind != NODE_TEXT)
        return refuse_value(reterr, "The content type has to be a Content-Format number or a media type.");
    message->content_format = format_by_media_type(value->data);
    return message->content_format != CONTENT_FORMAT_NONE ||
           refuse(reterr, OUTCOME_UNSUPPORTED, "The content type is no media type that is known here.", SIZE_MAX);
}

static bool read_seq(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    if (value->kind != NODE_ARRAY || value->count != 2)
        return refuse_value(reterr, "seq has to be an array of epoch and seq.");
    const struct node *epoch = node_first(value);
    const struct sequence_members members = {.epoch = epoch, .seq = node_next(epoch)};
    return sequence_read(&members, &message->sequence, reterr);
}

/* RFC 9596. What was signed for another purpose (a token, a manifest) says so here, and is no observation. */
static bool read_typ(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    (void)message;
    return (value->kind == NODE_TEXT && bytes_equal_text(value->data, "application/weir")) ||
           refuse_value(reterr, "typ says that this was signed for another purpose.");
}

static bool refuse_critical(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    (void)value, (void)message;
    return refuse(reterr, OUTCOME_MUST_UNDERSTAND, "crit names extensions, and none is understood here.", SIZE_MAX);
}

static bool refuse_iv(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    (void)value, (void)message;
    return refuse_value(reterr, "An IV is not for signatures and MACs.");
}

static bool refuse_key(const struct node *value, struct signed_message *message, struct refusal *reterr)
{
    (void)value, (void)message;
    return refuse_value(reterr, "The header brings or names a key or certificate: only kid may select one.");
}

/*
 * In this order, whatever the order of the headers: what is refused by its nature comes first. The kid may stand in
 * either header: it only says which key to try, and a message that was moved to another kid fits no key.
 */
static const struct label {
    int number;
    const char *text; /* NULL: the label is the number */
    read_label *read;
    bool decides; /* and so has to be protected */
} labels[] = {
    {13, NULL, refuse_key, false}, /* kcwt, kccs: RFC 9528 9.6 */
    {14, NULL, refuse_key, false},
    {32, NULL, refuse_key, false}, /* x5bag, x5chain, x5t, x5u: RFC 9360 2 */
    {33, NULL, refuse_key, false},
    {34, NULL, refuse_key, false},
    {35, NULL, refuse_key, false},
    {2, NULL, refuse_critical, false},
    {5, NULL, refuse_iv, false}, /* IV, Partial IV */
    {6, NULL, refuse_iv, false},
    {1, NULL, read_alg, true},
    {3, NULL, read_content_type, true},
    {4, NULL, read_kid, false},
    {16, NULL, read_typ, true},
    {0, "seq", read_seq, true},
};
#define LABEL_COUNT (sizeof(labels) / sizeof(labels[0]))

static bool is_label(const struct node *key, const struct label *label)
{
    return label->text ? key->kind == NODE_TEXT && bytes_equal_text(key->data, label->text)
                       : is_integer(key, label->number);
}

static const struct node *find(const struct node *map, const struct label *label)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        if (is_label(key, label))
            return key + 1;
    }
    return NULL;
}

static bool is_same_key(const struct node *a, const struct node *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == NODE_INTEGER ? a->negative == b->negative && a->integer == b->integer
                                   : bytes_equal(a->data, b->data);
}

/* RFC 9052 3: labels are integers or texts, and none is in both headers. */
static bool check_labels(const struct node *protected_header, const struct node *unprotected, struct refusal *reterr)
{
    const struct node *const headers[] = {protected_header, unprotected};
    for (size_t which = 0; which < 2; which++) {
        const struct node *key = node_first(headers[which]);
        for (uint32_t i = 0; i < headers[which]->count; i++, key = node_next(key + 1))
            if (key->kind != NODE_INTEGER && key->kind != NODE_TEXT)
                return refuse_form(reterr, "A label of a header has to be an integer or a text.");
    }
    const struct node *mine = node_first(protected_header);
    for (uint32_t i = 0; i < protected_header->count; i++, mine = node_next(mine + 1)) {
        const struct node *other = node_first(unprotected);
        for (uint32_t j = 0; j < unprotected->count; j++, other = node_next(other + 1))
            if (is_same_key(mine, other))
                return refuse(reterr, OUTCOME_DUPLICATE_KEY, "A label is in both headers.", SIZE_MAX);
    }
    return true;
}

static bool read_headers(const struct node *protected_header, const struct node *unprotected,
                         struct signed_message *message, struct refusal *reterr)
{
    if (!check_labels(protected_header, unprotected, reterr))
        return false;
    for (size_t i = 0; i < LABEL_COUNT; i++) {
        const struct node *value = find(protected_header, &labels[i]);
        const struct node *open = find(unprotected, &labels[i]);
        if (open && labels[i].decides)
            return refuse_value(reterr, "alg, content type, typ and seq have to be in the protected header.");
        if (open)
            value = open;
        if (value && !labels[i].read(value, message, reterr)) {
            reterr->offset = SIZE_MAX; /* of the protected header's own octets */
            return false;
        }
    }
    return message->algorithm != SIGNED_ALGORITHMS || refuse_value(reterr, "The protected header has no alg.");
}

/* A header without octets is an empty map (RFC 9052 3). */
static bool read_protected(struct bytes octets, struct arena *arena, const struct node **ret, struct refusal *reterr)
{
    static const struct node empty = {.kind = NODE_MAP, .skip = 1};
    *ret = &empty;
    if (!octets.len)
        return true;
    if (octets.len > COSE_MSG_HEADER_MAX)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "The protected header is too long.", SIZE_MAX);
    if (!cborin_read(octets, &header_limits, arena, ret, reterr)) {
        reterr->offset = SIZE_MAX;
        if (reterr->outcome == OUTCOME_MALFORMED)
            reterr->detail = "The protected header is not well-formed CBOR.";
        return false;
    }
    return (*ret)->kind == NODE_MAP || refuse_form(reterr, "The protected header is no map.");
}

/* --- the structure that is signed --- */

static void put_octets(struct builder *out, struct bytes octets)
{
    cborout_bytes(out, octets.len ? octets : bytes_of("", 0));
}

/*
 * Sig_structure or MAC_structure, without external data. The protected header of a message that is taken has alg, so
 * it is never empty, and the rule for empty ones (h'a0' is signed as h'') has no case here.
 */
static bool cover(enum cose_msg_kind kind, struct bytes protected_header, struct bytes payload, struct arena *arena,
                  struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, protected_header.len + payload.len + 32);
    cborout_array(&out, PARTS);
    cborout_text(&out, kind == COSE_MSG_SIGN1 ? BYTES_LITERAL("Signature1") : BYTES_LITERAL("MAC0"));
    put_octets(&out, protected_header);
    put_octets(&out, (struct bytes){0});
    put_octets(&out, payload);
    return builder_finish(&out, ret);
}

/* --- reading --- */

/* Takes the tag off. ret_kind is what the message is by its tag, or by what was expected. */
static bool take_tag(const struct node *root, enum cose_msg_kind expected, const struct node **ret,
                     enum cose_msg_kind *ret_kind, struct refusal *reterr)
{
    *ret = root;
    *ret_kind = expected;
    if (root->kind != NODE_TAG)
        return expected != COSE_MSG_ANY || refuse_form(reterr, "There is no tag that says what this is.");
    if (root->integer != COSE_MSG_MAC0 && root->integer != COSE_MSG_SIGN1)
        return refuse_form(reterr, "The tag is not that of COSE_Sign1 (18) or COSE_Mac0 (17).");
    *ret_kind = (enum cose_msg_kind)root->integer;
    if (expected != COSE_MSG_ANY && expected != *ret_kind)
        return refuse_form(reterr, "The tag is not that of the Content-Format.");
    *ret = node_first(root);
    return true;
}

static bool take_parts(const struct node *array, const struct node *ret[static PARTS], struct refusal *reterr)
{
    static const enum node_kind kinds[PARTS] = {NODE_BYTES, NODE_MAP, NODE_BYTES, NODE_BYTES};
    static const char *const details[PARTS] = {
        "The protected header has to be a byte string.",
        "The unprotected header has to be a map.",
        "The payload has to be a byte string.",
        "The signature or MAC has to be a byte string.",
    };
    if (array->kind != NODE_ARRAY || array->count != PARTS)
        return refuse_form(reterr, "COSE_Sign1 and COSE_Mac0 are arrays of four.");
    const struct node *part = node_first(array);
    for (size_t i = 0; i < PARTS; i++, part = node_next(part)) {
        if (i == PAYLOAD && part->kind == NODE_NULL)
            return refuse_form(reterr, "The payload is detached; it has to be inside.");
        if (part->kind != kinds[i])
            return refuse_form(reterr, details[i]);
        ret[i] = part;
    }
    return true;
}

bool cose_msg_read(struct bytes payload, enum cose_msg_kind expected, struct arena *arena, struct signed_message *ret,
                   struct refusal *reterr)
{
    const struct node *root, *array, *parts[PARTS], *protected_header;
    enum cose_msg_kind kind;
    struct signed_message message = {
        .form = SIGNED_COSE, .algorithm = SIGNED_ALGORITHMS, .content_format = CONTENT_FORMAT_NONE};
    if (!cborin_read(payload, &message_limits, arena, &root, reterr) ||
        !take_tag(root, expected, &array, &kind, reterr) || !take_parts(array, parts, reterr) ||
        !read_protected(parts[PROTECTED]->data, arena, &protected_header, reterr) ||
        !read_headers(protected_header, parts[UNPROTECTED], &message, reterr))
        return false;
    if (kind_of(message.algorithm) != kind)
        return refuse_value(reterr, "alg does not go with the kind of the message.");
    message.payload = parts[PAYLOAD]->data;
    message.signature = parts[SIGNATURE]->data;
    if (message.signature.len != signed_signature_len(message.algorithm))
        return refuse_value(reterr, "The signature does not have the length of its alg.");
    if (!cover(kind, parts[PROTECTED]->data, message.payload, arena, &message.covered))
        return refuse_memory(reterr);
    *ret = message;
    return true;
}

/* --- writing --- */

bool cose_msg_begin(const struct cose_msg_header *header, struct bytes payload, struct arena *arena,
                    struct bytes *ret_protected, struct bytes *ret_covered)
{
    struct builder out;
    bool typed = header->content_format != CONTENT_FORMAT_NONE;
    builder_init(&out, arena, 64 + header->kid.len);
    cborout_map(&out, 1u + typed + (header->kid.len > 0) + header->sequence.given);
    cborout_uint(&out, 1);
    cborout_int(&out, cose_msg_algorithm_number(header->algorithm));
    if (typed) {
        cborout_uint(&out, 3);
        cborout_uint(&out, (uint64_t)header->content_format);
    }
    if (header->kid.len) {
        cborout_uint(&out, 4);
        cborout_bytes(&out, header->kid);
    }
    if (header->sequence.given) {
        cborout_text(&out, BYTES_LITERAL("seq"));
        cborout_array(&out, 2);
        cborout_uint(&out, header->sequence.epoch);
        cborout_uint(&out, header->sequence.seq);
    }
    return builder_finish(&out, ret_protected) &&
           cover(kind_of(header->algorithm), *ret_protected, payload, arena, ret_covered);
}

bool cose_msg_end(const struct cose_msg_header *header, struct bytes protected_header, struct bytes payload,
                  struct bytes signature, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, protected_header.len + payload.len + signature.len + 16);
    cborout_tag(&out, kind_of(header->algorithm));
    cborout_array(&out, PARTS);
    put_octets(&out, protected_header);
    cborout_map(&out, 0);
    put_octets(&out, payload);
    put_octets(&out, signature);
    return builder_finish(&out, ret);
}
