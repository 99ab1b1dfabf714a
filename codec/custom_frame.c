// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads a binary frame by a compiled definition: whitening off, length and checksum, then item by item. There
 * is one position, in bits, which only "at" moves back; each time through a repeated group has to move it on,
 * and everything that is looked at counts against the run's bound, so no definition and no payload makes it
 * go on for long. A length or count from the payload is compared with what is there before it is used.
 */
#include "codec/custom_binary.h"

#include "codec/utf8.h"

/* What is being read: the payload, or the part of it that a group has. */
struct frame {
    struct custom_run *run;
    const uint8_t *data; /* the payload without whitening; as long as the payload */
    size_t begin, end;   /* octets of data */
    uint64_t at;         /* bits of data */
};

static bool refuse_at(const struct frame *frame, enum outcome outcome, const char *detail)
{
    return custom_refuse(frame->run, outcome, detail, (size_t)(frame->at / 8));
}

static bool refuse_short(const struct frame *frame)
{
    return refuse_at(frame, OUTCOME_MALFORMED, "The payload ends too early.");
}

static uint64_t bits_left(const struct frame *frame)
{
    uint64_t end = (uint64_t)frame->end * 8;
    return frame->at < end ? end - frame->at : 0;
}

/* Integers. */

uint64_t binary_integer(const uint8_t *octets, size_t len, enum binary_endian endian)
{
    uint64_t value = 0;
    bool registers = len % 2 == 0;
    for (size_t i = 0; i < len; i++) {
        size_t from = i;
        if (endian == BINARY_LITTLE)
            from = len - 1 - i;
        else if (endian == BINARY_CDAB && registers)
            from = (len - 2 - (i & ~(size_t)1)) + (i & 1);
        else if (endian == BINARY_BADC && registers)
            from = i ^ 1;
        value = value << 8 | octets[from];
    }
    return value;
}

/* The most significant bit comes first. */
static uint64_t read_bits(const uint8_t *data, uint64_t at, unsigned bits)
{
    uint64_t value = 0;
    while (bits) {
        unsigned in_octet = 8 - (unsigned)(at % 8);
        unsigned take = bits < in_octet ? bits : in_octet;
        unsigned octet = data[at / 8] >> (in_octet - take) & ((1U << take) - 1);
        value = value << take | octet;
        at += take;
        bits -= take;
    }
    return value;
}

static uint64_t mask_of(unsigned bits)
{
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static void set_integer(struct custom_raw *raw, uint64_t pattern, unsigned bits, bool is_signed)
{
    raw->kind = CUSTOM_RAW_INTEGER;
    raw->has_pattern = true;
    raw->pattern = raw->magnitude = pattern;
    raw->negative = is_signed && pattern >> (bits - 1) & 1;
    if (raw->negative)
        raw->magnitude = (0 - pattern) & mask_of(bits);
}

/* The digits of BCD; false: a half octet above 9. */
static bool decode_bcd(uint64_t pattern, unsigned bits, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = bits; i > 0; i -= 4) {
        unsigned digit = pattern >> (i - 4) & 15;
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

/* Fields of numbers. */

static bool read_pattern(struct frame *frame, const struct binary_field *field, struct custom_raw *raw,
                         uint64_t *ret)
{
    bool whole = field->bits % 8 == 0 && frame->at % 8 == 0;
    if (bits_left(frame) < field->bits)
        return refuse_short(frame);
    if (!whole && field->bits > 8 && field->bits % 8 == 0 && field->endian != BINARY_BIG)
        return refuse_at(frame, OUTCOME_MALFORMED,
                         "A field with an order of octets does not begin at a whole octet.");
    raw->place.offset = (size_t)(frame->at / 8);
    if (whole) {
        raw->place.len = field->bits / 8;
        *ret = binary_integer(frame->data + frame->at / 8, field->bits / 8, field->endian);
    } else {
        raw->place.bit = (unsigned)(frame->at % 8);
        raw->place.bits = field->bits;
        raw->place.len = (raw->place.bit + field->bits + 7) / 8;
        *ret = read_bits(frame->data, frame->at, field->bits);
    }
    frame->at += field->bits;
    return true;
}

static bool read_number(struct frame *frame, const struct binary_field *field, struct custom_raw *raw)
{
    uint64_t pattern = 0;
    if (!read_pattern(frame, field, raw, &pattern))
        return false;
    set_integer(raw, pattern, field->bits, field->type == BINARY_SIGNED);
    if (field->type == BINARY_FLOAT && !custom_count_values(frame->run, CUSTOM_FLOAT_VALUES - 1))
        return false;
    if (field->type == BINARY_FLOAT)
        raw->kind = custom_decimal_of_float(pattern, field->bits, &raw->decimal) ? CUSTOM_RAW_NUMBER
                                                                                 : CUSTOM_RAW_NOT_A_NUMBER;
    if (field->type == BINARY_BCD && !decode_bcd(pattern, field->bits, &raw->magnitude))
        raw->kind = CUSTOM_RAW_NOT_A_NUMBER;
    return true;
}

/* How many; never more than most, which is what is there. */
static bool read_amount(const struct frame *frame, const struct binary_amount *amount, uint64_t most,
                        uint64_t *ret)
{
    uint64_t from_field = 0;
    if (amount->rest) {
        *ret = most;
        return true;
    }
    if (amount->field && !custom_slot_uint(frame->run, amount->field, &from_field))
        return refuse_at(frame, OUTCOME_MALFORMED, "A length or count is not there.");
    /* Both are far below what 64 bits hold once the one from the payload is known to be. */
    if (from_field > UINT32_MAX)
        return refuse_short(frame);
    int64_t count = (int64_t)from_field + amount->count;
    if (count < 0)
        return refuse_at(frame, OUTCOME_MALFORMED, "A length or count is too small.");
    if ((uint64_t)count > most)
        return refuse_short(frame);
    *ret = (uint64_t)count;
    return true;
}

static bool check_whole(const struct frame *frame)
{
    return frame->at % 8 == 0 ||
           refuse_at(frame, OUTCOME_MALFORMED, "A field of whole octets does not begin at one.");
}

/* A text of C: up to its NUL; spaces that fill it up do not count. */
static bool cut_text(const struct frame *frame, struct bytes *text)
{
    const uint8_t *nul = text->len ? memchr(text->ptr, 0, text->len) : NULL;
    if (nul)
        text->len = (size_t)(nul - text->ptr);
    while (text->len && text->ptr[text->len - 1] == ' ')
        text->len--;
    return utf8_is_text(*text) || refuse_at(frame, OUTCOME_BAD_VALUE, utf8_why_no_text(*text));
}

static bool read_octets(struct frame *frame, const struct binary_field *field, struct custom_raw *raw)
{
    uint64_t len;
    if (!check_whole(frame) || !read_amount(frame, &field->length, bits_left(frame) / 8, &len))
        return false;
    raw->place = (struct custom_place){.offset = (size_t)(frame->at / 8), .len = (size_t)len};
    raw->data = bytes_of(frame->data + raw->place.offset, (size_t)len);
    raw->kind = field->type == BINARY_TEXT ? CUSTOM_RAW_TEXT : CUSTOM_RAW_OCTETS;
    if (len > 0 && len <= 8) {
        raw->has_pattern = true;
        raw->pattern = binary_integer(raw->data.ptr, (size_t)len, BINARY_BIG);
    }
    if (field->type == BINARY_TEXT && !cut_text(frame, &raw->data))
        return false;
    frame->at += len * 8;
    return true;
}

static bool check_expected(const struct frame *frame, const struct custom_matches *expect,
                           const struct custom_raw *raw)
{
    if (expect->count == 0 || custom_matches_have(expect, raw))
        return true;
    return custom_refuse(frame->run, OUTCOME_MALFORMED, "A constant of the frame is another one.",
                         raw->place.offset);
}

static bool take_parts(struct frame *frame, const struct binary_field *field, const struct custom_raw *whole)
{
    for (size_t i = 0; i < field->part_count; i++) {
        const struct binary_part *part = &field->parts[i];
        struct custom_raw raw = {.kind = CUSTOM_RAW_ABSENT};
        if (whole->kind != CUSTOM_RAW_ABSENT) {
            set_integer(&raw, whole->pattern >> part->bit & mask_of(part->width), part->width,
                        part->is_signed);
            raw.place = whole->place;
            raw.place.bit = part->bit;
            raw.place.bits = part->width;
            if (!check_expected(frame, &part->expect, &raw))
                return false;
        }
        if (!custom_field_take(frame->run, &part->common, &raw))
            return false;
    }
    return true;
}

static bool take_field(struct frame *frame, const struct binary_field *field)
{
    struct custom_raw raw;
    raw.kind = CUSTOM_RAW_ABSENT;
    raw.negative = raw.has_pattern = false;
    raw.magnitude = raw.pattern = 0;
    raw.data = (struct bytes){0};
    raw.place = (struct custom_place){0};
    bool ends_here = field->optional && bits_left(frame) == 0;
    if (!ends_here && !(field->bits ? read_number(frame, field, &raw) : read_octets(frame, field, &raw)))
        return false;
    if (!ends_here && !check_expected(frame, &field->expect, &raw))
        return false;
    return custom_field_take(frame->run, &field->common, &raw) && take_parts(frame, field, &raw);
}

/* Conditions and places. */

static bool holds(const struct frame *frame, const struct binary_when *when)
{
    const struct custom_slot *slot = &frame->run->slots[when->field->slot];
    bool is = true;
    if (!slot->set)
        return false;
    if (when->has_bit) {
        is = slot->is_integer && slot->magnitude >> when->bit & 1;
    } else if (when->is.count) {
        struct custom_raw raw = {
            .kind = CUSTOM_RAW_ABSENT, .magnitude = slot->magnitude, .negative = slot->negative};
        if (slot->is_integer) {
            raw.kind = CUSTOM_RAW_INTEGER;
        } else if (slot->value.kind == VALUE_TEXT) {
            raw.kind = CUSTOM_RAW_TEXT;
            raw.data = slot->value.data;
        } else if (slot->value.kind == VALUE_NUMBER) {
            raw.kind = CUSTOM_RAW_NUMBER;
            raw.decimal = slot->value.decimal;
        }
        is = custom_matches_have(&when->is, &raw);
    }
    return is != when->not;
}

static bool move_to(struct frame *frame, const struct binary_item *item)
{
    int64_t octet = (int64_t)(item->at < 0 ? frame->end : frame->begin) + item->at;
    if (octet < (int64_t)frame->begin || octet > (int64_t)frame->end)
        return refuse_short(frame);
    frame->at = (uint64_t)octet * 8 + item->at_bit;
    return true;
}

static bool skip(struct frame *frame, const struct binary_amount *amount)
{
    uint64_t len;
    if (!check_whole(frame) || !read_amount(frame, amount, bits_left(frame) / 8, &len))
        return false;
    struct custom_place place = {.offset = (size_t)(frame->at / 8), .len = (size_t)len};
    frame->at += len * 8;
    return custom_note(frame->run, place, "skipped");
}

/* Groups. */

static bool take_items(struct frame *frame, const struct binary_items *items);

static bool check_trailing(const struct frame *frame, bool ignored)
{
    /* The rest of an octet of which bits were used is nothing. */
    return ignored || bits_left(frame) < 8 ||
           refuse_at(frame, OUTCOME_MALFORMED, "There is more than the codec reads.");
}

static bool take_group_once(struct frame *frame, const struct binary_group *group)
{
    struct frame inner = *frame;
    uint64_t len;
    inner.begin = (size_t)(frame->at / 8);
    if (group->length.given) {
        if (!check_whole(frame) || !read_amount(frame, &group->length, bits_left(frame) / 8, &len))
            return false;
        inner.end = inner.begin + (size_t)len;
    }
    struct custom_scope scope = custom_scope_begin(frame->run, &group->list);
    if (!take_items(&inner, &group->items))
        return false;
    if (group->length.given) {
        if (!check_trailing(&inner, group->trailing_ignored))
            return false;
        inner.at = (uint64_t)inner.end * 8;
    }
    frame->at = inner.at;
    return custom_scope_end(frame->run, &group->list, scope);
}

static bool take_group(struct frame *frame, const struct binary_group *group)
{
    uint64_t outer_index = frame->run->index;
    uint64_t count = 1;
    if (group->repeat.given && !group->repeat.rest &&
        !read_amount(frame, &group->repeat, bits_left(frame), &count))
        return false;
    for (uint64_t i = 0; group->repeat.rest ? bits_left(frame) > 0 : i < count; i++) {
        uint64_t before = frame->at;
        if (group->repeat.given)
            frame->run->index = group->list.first_index + i;
        if (!take_group_once(frame, group))
            return false;
        if (group->repeat.given && frame->at <= before)
            return refuse_at(frame, OUTCOME_MALFORMED, "A group that is repeated takes nothing.");
    }
    frame->run->index = outer_index;
    return true;
}

/* NULL: there is no such case. */
static const struct binary_items *find_case(const struct binary_switch *choice,
                                            const struct custom_slot *slot)
{
    size_t low = 0, high = choice->case_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct custom_integer *value = &choice->cases[middle].value;
        if (value->magnitude == slot->magnitude && value->negative == slot->negative)
            return choice->cases[middle].items;
        bool below = value->negative != slot->negative ? value->negative : value->magnitude < slot->magnitude;
        low = below ? middle + 1 : low;
        high = below ? high : middle;
    }
    return choice->otherwise;
}

static bool take_switch(struct frame *frame, const struct binary_switch *choice)
{
    const struct custom_slot *slot = &frame->run->slots[choice->on->slot];
    if (!slot->set || !slot->is_integer)
        return refuse_at(frame, OUTCOME_MALFORMED, "A value that decides what follows is not there.");
    const struct binary_items *items = find_case(choice, slot);
    if (!items)
        return refuse_at(frame, OUTCOME_MALFORMED,
                         "A value that decides what follows is not one of the codec's.");
    return take_items(frame, items);
}

static bool take_item(struct frame *frame, const struct binary_item *item)
{
    if (item->when && !custom_look(frame->run))
        return false;
    if (item->when && !holds(frame, item->when))
        return true;
    if (item->has_at && !move_to(frame, item))
        return false;
    switch (item->kind) {
    case BINARY_ITEM_FIELD:
        return take_field(frame, item->field);
    case BINARY_ITEM_SKIP:
        return skip(frame, &item->skip);
    case BINARY_ITEM_GROUP:
        return take_group(frame, item->group);
    case BINARY_ITEM_SWITCH:
        return custom_look(frame->run) && take_switch(frame, item->choice);
    }
    return false;
}

static bool take_items(struct frame *frame, const struct binary_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        if (!take_item(frame, &items->items[i]))
            return false;
    }
    return true;
}

/* The frame as a whole. */

/* Where a range lies in the payload. False: not in it. */
static bool find_range(const struct binary_range *range, size_t len, size_t *ret_from, size_t *ret_to)
{
    int64_t from = range->from < 0 ? (int64_t)len + range->from : range->from;
    int64_t to = range->to_end ? (int64_t)len : range->to < 0 ? (int64_t)len + range->to : range->to;
    if (from < 0 || to < from || to > (int64_t)len)
        return false;
    *ret_from = (size_t)from;
    *ret_to = (size_t)to;
    return true;
}

static bool take_whitening_off(struct frame *frame, const struct binary *binary)
{
    size_t from, to;
    struct bytes payload = frame->run->input->payload;
    if (binary->whitening.len == 0 || payload.len == 0)
        return true;
    if (!find_range(&binary->whitened, payload.len, &from, &to))
        return refuse_short(frame);
    uint8_t *plain = arena_alloc(frame->run->arena, payload.len);
    if (!plain)
        return refuse_memory(&frame->run->refusal);
    memcpy(plain, payload.ptr, payload.len);
    for (size_t i = from, k = 0; i < to; i++) {
        plain[i] ^= binary->whitening.ptr[k];
        k = k + 1 < binary->whitening.len ? k + 1 : 0;
    }
    frame->data = plain;
    return true;
}

/* A checksum at the very end is none of the fields; one elsewhere is skipped by the definition. */
static bool take_checksum(struct frame *frame, const struct binary_checksum *checksum)
{
    struct bytes payload = frame->run->input->payload;
    size_t octets = checksum->bits / 8, from, to;
    int64_t at = checksum->at < 0 ? (int64_t)payload.len + checksum->at : checksum->at;
    if (at < 0 || at + (int64_t)octets > (int64_t)payload.len)
        return refuse_short(frame);
    bool at_the_end = (size_t)at + octets == payload.len;
    if (!find_range(&checksum->over, payload.len, &from, &to))
        return refuse_short(frame);
    if (checksum->over.to_end && at_the_end)
        to = (size_t)at;
    if (from > to)
        return refuse_short(frame);
    const uint8_t *over_data = checksum->of_sent ? payload.ptr : frame->data;
    uint32_t computed = binary_checksum_of(checksum, bytes_of(over_data + from, to - from));
    /* It is sent as it is where it was computed of what is sent. */
    uint64_t sent =
        binary_integer((checksum->of_sent ? payload.ptr : frame->data) + at, octets, checksum->endian);
    if (!custom_note(frame->run, (struct custom_place){.offset = (size_t)at, .len = octets}, "checksum"))
        return false;
    if (computed != sent)
        return custom_refuse_with(frame->run, OUTCOME_MALFORMED, (size_t)at, "The checksum does not fit.",
                                  "The checksum does not fit: it is 0x%0*jx, and of these octets 0x%0*x.",
                                  (int)(2 * octets), (uintmax_t)sent, (int)(2 * octets), (unsigned)computed);
    if (at_the_end)
        frame->end = (size_t)at;
    return true;
}

bool binary_decode(const void *compiled, struct custom_run *run)
{
    const struct binary *binary = compiled;
    struct bytes payload = run->input->payload.len ? run->input->payload : BYTES_LITERAL("");
    struct frame frame = {.run = run, .data = payload.ptr, .end = payload.len};
    if (frame.end < binary->length_min || frame.end > binary->length_max)
        return custom_refuse(run, OUTCOME_MALFORMED,
                             "The payload has another length than the codec's frames.", 0);
    return take_whitening_off(&frame, binary) &&
           (!binary->checksum || take_checksum(&frame, binary->checksum)) &&
           take_items(&frame, &binary->items) && check_trailing(&frame, binary->trailing_ignored);
}
