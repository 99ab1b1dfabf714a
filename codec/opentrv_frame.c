// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Structure first, in the order of the text's "Quick integrity checks"; then CRC or key; then the body. Nothing of a
 * secure frame is looked at before its tag has been checked, and who has no key is told the same as who forged.
 */
#include "codec/opentrv_frame.h"

#include "codec/crc7.h"
#include "codec/hex.h"
#include "codec/opentrv_leaf.h"
#include "codec/scale.h"

#define FRAME_MIN 4 /* octets behind the length octet: type, sequence and id length, body length, trailer */
#define ID_MAX 8
#define TYPE_O 0x4f
#define SECURE_BIT 0x80

#define NONCE_BYTES 12
#define NONCE_ID_BYTES 6
#define COUNTER_BYTES 6
#define TAG_BYTES 16
#define SECURE_TRAILER_BYTES (COUNTER_BYTES + TAG_BYTES + 1)
#define SECURE_TRAILER_END 0x80 /* AES-128-GCM as of version 1 */
#define SECURE_BODY_SMALL 16
#define SECURE_BODY_LARGE 32

#define BODY_MIN 2
#define BODY_STATS 2 /* where the stats begin */
#define VALVE_NONE 0x7f
#define VALVE_MAX 100
#define VALVE_CALL_BIT 0x80
#define OCCUPANCY_SHIFT 2
#define OCCUPANCY_MASK 3
/* valve, callForHeat, occupancy and those of flag_names */
#define FIELDS_MAX (3 + sizeof(flag_names) / sizeof(flag_names[0]))

static const struct {
    uint8_t bit;
    const char *name;
} flag_names[] = {{0x80, "fault"}, {0x40, "lowBattery"}, {0x20, "tamper"}, {0x02, "frost"}};

struct frame {
    struct bytes payload;
    bool secure;
    uint8_t sequence; /* 4 bits */
    struct bytes header; /* with the length octet */
    struct bytes id, body, trailer;
    struct bytes node; /* the id as lower-case hexadecimal; empty: anonymous */
};

static bool refuse_frame(const char *detail, size_t offset, struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_MALFORMED, detail, offset);
}

/* The checks that hold for any type. */
static bool split(struct bytes payload, struct frame *ret, struct refusal *reterr)
{
    const uint8_t *p = payload.ptr;
    if (payload.len == 0 || payload.len != (size_t)p[0] + 1)
        return refuse_frame("The length octet does not say how long the frame is.", 0, reterr);
    size_t frame_len = p[0]; /* without the length octet, so that p[frame_len] is the last one */
    if (frame_len < FRAME_MIN)
        return refuse_frame("The frame is too short.", 0, reterr);
    if (p[1] == 0x00 || p[1] == 0x80 || p[1] == 0x7f || p[1] == 0xff)
        return refuse_frame("This frame type is never used.", 1, reterr);
    size_t id_len = p[2] & 0x0f;
    if (id_len > ID_MAX || id_len > frame_len - FRAME_MIN)
        return refuse_frame("The id is too long.", 2, reterr);
    size_t body_len = p[3 + id_len];
    if (body_len > frame_len - FRAME_MIN - id_len)
        return refuse_frame("The body is longer than the frame.", 3 + id_len, reterr);
    if (p[frame_len] == 0x00 || p[frame_len] == 0xff)
        return refuse_frame("The last octet is one that a frame never ends with.", frame_len, reterr);
    size_t body_at = 4 + id_len;
    *ret = (struct frame){
        .payload = payload,
        .secure = (p[1] & SECURE_BIT) != 0,
        .sequence = p[2] >> 4,
        .header = bytes_of(p, body_at),
        .id = bytes_of(p + 3, id_len),
        .body = bytes_of(p + body_at, body_len),
        .trailer = bytes_of(p + body_at + body_len, payload.len - body_at - body_len),
    };
    if (!ret->secure && ret->trailer.len != 1)
        return refuse_frame("An insecure frame ends with one octet behind the body.", body_at + body_len, reterr);
    return true;
}

static size_t offset_in(const struct frame *frame, struct bytes part)
{
    return (size_t)(part.ptr - frame->payload.ptr);
}

/* The checks of type O. */
static bool check_type(const struct frame *frame, struct refusal *reterr)
{
    size_t body_at = offset_in(frame, frame->body), trailer_at = offset_in(frame, frame->trailer);
    if ((frame->payload.ptr[1] & ~SECURE_BIT) != TYPE_O)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The frame is not of type O.", 1);
    if (!frame->secure)
        return frame->body.len >= BODY_MIN || refuse_frame("The body is too short.", body_at, reterr);
    if (frame->id.len == 0)
        return refuse_frame("A secure frame without an id has no key.", 2, reterr);
    if (frame->body.len != SECURE_BODY_SMALL && frame->body.len != SECURE_BODY_LARGE)
        return refuse_frame("A sealed body has 16 or 32 octets.", body_at - 1, reterr);
    if (frame->trailer.len != SECURE_TRAILER_BYTES ||
        frame->trailer.ptr[SECURE_TRAILER_BYTES - 1] != SECURE_TRAILER_END)
        return refuse_frame("The trailer is not that of AES-128-GCM: 23 octets, the last one 80.", trailer_at, reterr);
    if ((frame->trailer.ptr[COUNTER_BYTES - 1] & 0x0f) != frame->sequence)
        return refuse_frame("The sequence number is not the end of the message counter.", 2, reterr);
    return true;
}

static bool name_node(struct frame *frame, struct arena *arena, struct refusal *reterr)
{
    char *text = arena_alloc(arena, 2 * frame->id.len);
    if (!text)
        return refuse_memory(reterr);
    frame->node = bytes_of(text, hex_write(frame->id, text));
    return true;
}

static bool has_key(const struct format_crypto *crypto, struct bytes node)
{
    struct format_frame_key key;
    bool found = crypto && node.len && crypto->find(crypto->ctx, node, &key);
    explicit_bzero(&key, sizeof(key));
    return found;
}

static bool check_keyless(const struct format_crypto *crypto, struct bytes node, struct refusal *reterr)
{
    return !has_key(crypto, node) ||
           refuse(reterr, OUTCOME_FORBIDDEN, "This node has a key: its frames have to be secure.", 1);
}

static bool check_insecure(const struct frame *frame, const struct format_crypto *crypto, struct refusal *reterr)
{
    uint8_t crc = crc7(CRC7_FRAME_START, bytes_of(frame->payload.ptr, frame->payload.len - 1));
    if (frame->trailer.ptr[0] != (crc ? crc : CRC7_ZERO_SENT))
        return refuse_frame("The checksum does not match.", frame->payload.len - 1, reterr);
    return check_keyless(crypto, frame->node, reterr);
}

static bool unseal_with(const struct format_frame_key *key, const struct format_crypto *crypto,
                        const struct frame *frame, uint8_t *ret_body)
{
    uint8_t nonce[NONCE_BYTES];
    size_t known = key->id_len < frame->id.len ? key->id_len : frame->id.len;
    if (key->id_len < NONCE_ID_BYTES || memcmp(key->id, frame->id.ptr, known) != 0)
        return false;
    memcpy(nonce, key->id, NONCE_ID_BYTES);
    memcpy(nonce + NONCE_ID_BYTES, frame->trailer.ptr, COUNTER_BYTES);
    /* The tag stands behind the counters, and format_crypto wants it behind the ciphertext. */
    uint8_t sealed[SECURE_BODY_LARGE + TAG_BYTES];
    memcpy(sealed, frame->body.ptr, frame->body.len);
    memcpy(sealed + frame->body.len, frame->trailer.ptr + COUNTER_BYTES, TAG_BYTES);
    return crypto->open(key->key, nonce, frame->header, bytes_of(sealed, frame->body.len + TAG_BYTES), ret_body);
}

/* Zeros up to the last octet, which counts them. */
static bool drop_padding(struct bytes padded, size_t body_at, struct bytes *ret, struct refusal *reterr)
{
    size_t padding = padded.ptr[padded.len - 1];
    if (padding > padded.len - 1 - BODY_MIN)
        return refuse_frame("The body has no room for its padding.", body_at + padded.len - 1, reterr);
    *ret = bytes_of(padded.ptr, padded.len - 1 - padding);
    for (size_t i = ret->len; i < padded.len - 1; i++)
        if (padded.ptr[i] != 0)
            return refuse_frame("The padding of the body is not zero.", body_at + i, reterr);
    return true;
}

static uint32_t read_24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static bool unseal(const struct frame *frame, const struct format_crypto *crypto, struct arena *arena,
                   struct bytes *ret_body, struct sequence *ret_sequence, struct refusal *reterr)
{
    struct format_frame_key key = {.id_len = 0};
    uint8_t *body = arena_alloc(arena, frame->body.len);
    if (!body)
        return refuse_memory(reterr);
    bool opened = crypto && crypto->find(crypto->ctx, frame->node, &key) && unseal_with(&key, crypto, frame, body);
    explicit_bzero(&key, sizeof(key));
    if (!opened)
        return refuse(reterr, OUTCOME_FORBIDDEN, "The frame is not sealed with the key of a device here.", SIZE_MAX);
    *ret_sequence = (struct sequence){
        .given = true,
        .epoch = read_24(frame->trailer.ptr),
        .seq = read_24(frame->trailer.ptr + 3),
    };
    return drop_padding(bytes_of(body, frame->body.len), offset_in(frame, frame->body), ret_body, reterr);
}

/* Stats that begin with another character than { are of a form that nobody has defined yet: the text has them
 * skipped. */
static bool read_stats(const struct format_input *input, const struct frame *frame, struct bytes body,
                       struct arena *arena, struct opentrv_leaf *ret, struct refusal *reterr)
{
    static const struct node nothing = {.kind = NODE_MAP, .skip = 1};
    *ret = (struct opentrv_leaf){.object = &nothing};
    if (body.len <= BODY_STATS || body.ptr[BODY_STATS] != '{')
        return true;
    struct bytes stats = bytes_of(body.ptr + BODY_STATS, body.len - BODY_STATS);
    char *text = arena_alloc(arena, stats.len + 1);
    if (!text)
        return refuse_memory(reterr);
    memcpy(text, stats.ptr, stats.len);
    text[stats.len] = '}';
    if (opentrv_leaf_parse(bytes_of(text, stats.len + 1), &input->limits, arena, ret, reterr))
        return true;
    if (reterr->offset != SIZE_MAX)
        reterr->offset += offset_in(frame, frame->body) + BODY_STATS;
    return false;
}

/* "@" in the stats may only repeat the id of the header, or the beginning of one of them that of the other. */
static bool is_same_node(struct bytes node, struct bytes other)
{
    size_t len = node.len < other.len ? node.len : other.len;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = other.ptr[i];
        if (node.ptr[i] != (c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c))
            return false;
    }
    return true;
}

static bool put_number(struct observation_list *list, const struct observation *common, const char *name,
                       unsigned number, struct scale scale, struct arena *arena, struct refusal *reterr)
{
    struct decimal raw;
    struct observation *item = &list->items[list->count++];
    *item = *common;
    item->name = bytes_of_text(name);
    item->kind = VALUE_NUMBER;
    decimal_from_uint(number, false, &raw);
    return scale_number(&raw, scale, arena, &item->number, reterr);
}

static void put_flag(struct observation_list *list, const struct observation *common, const char *name, bool set)
{
    struct observation *item = &list->items[list->count++];
    *item = *common;
    item->name = bytes_of_text(name);
    item->kind = VALUE_BOOLEAN;
    item->boolean = set;
}

static bool put_fields(struct bytes body, const struct observation *common, size_t body_at, struct arena *arena,
                       struct observation_list *list, struct refusal *reterr)
{
    unsigned valve = body.ptr[0] & ~VALVE_CALL_BIT & 0xff, flags = body.ptr[1];
    unsigned occupancy = (flags >> OCCUPANCY_SHIFT) & OCCUPANCY_MASK;
    struct observation ratio = *common;
    ratio.unit = BYTES_LITERAL("/");
    if (valve != VALVE_NONE && valve > VALVE_MAX)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The valve is open by more than 100 percent.", body_at);
    if (valve != VALVE_NONE && !put_number(list, &ratio, "valve", valve, (struct scale){1, -2}, arena, reterr))
        return false;
    put_flag(list, common, "callForHeat", (body.ptr[0] & VALVE_CALL_BIT) != 0);
    for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++)
        put_flag(list, common, flag_names[i].name, (flags & flag_names[i].bit) != 0);
    return occupancy == 0 || put_number(list, common, "occupancy", occupancy, (struct scale)SCALE_ONE, arena, reterr);
}

static bool take_body(const struct format_input *input, const struct frame *frame, struct bytes body,
                      struct arena *arena, struct observation_list *list, struct refusal *reterr)
{
    struct opentrv_leaf leaf;
    struct observation common = {.node = frame->node, .time = input->now, .time_source = TIME_RECEIPT};
    if (!read_stats(input, frame, body, arena, &leaf, reterr))
        return false;
    if (leaf.node.len && frame->node.len && !is_same_node(frame->node, leaf.node))
        return refuse(reterr, OUTCOME_BAD_NAME, "The stats name another node than the frame.", SIZE_MAX);
    if (frame->node.len == 0) {
        if (!check_keyless(input->crypto, leaf.node, reterr))
            return false;
        common.node = leaf.node;
    }
    list->items = arena_calloc(arena, FIELDS_MAX + leaf.values, sizeof(*list->items));
    if (!list->items)
        return refuse_memory(reterr);
    if (!put_fields(body, &common, offset_in(frame, frame->body), arena, list, reterr) ||
        !opentrv_leaf_take(&leaf, &common, arena, &list->items[list->count], reterr))
        return false;
    list->count += leaf.values;
    return list->count <= input->limits.records ||
           refuse(reterr, OUTCOME_TOO_COMPLEX, "The frame has too many values.", SIZE_MAX);
}

static bool decode(const struct format_input *input, struct arena *arena, struct observation_list *list,
                   struct refusal *reterr)
{
    struct frame frame;
    struct bytes body;
    if (!split(input->payload, &frame, reterr) || !check_type(&frame, reterr) || !name_node(&frame, arena, reterr))
        return false;
    body = frame.body;
    list->proven = frame.secure;
    if (frame.secure ? !unseal(&frame, input->crypto, arena, &body, &list->sequence, reterr)
                     : !check_insecure(&frame, input->crypto, reterr))
        return false;
    return take_body(input, &frame, body, arena, list, reterr);
}

enum outcome opentrv_frame_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                  struct format_error *reterr)
{
    struct refusal refusal;
    struct observation_list list = {0};
    if (!decode(input, arena, &list, &refusal))
        return refusal_report(&refusal, reterr);
    *ret = list;
    return OUTCOME_CHANGED;
}
