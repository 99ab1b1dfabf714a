// SPDX-License-Identifier: GPL-3.0-or-later
/* Names by table; sequences digit by digit, so that each has one spelling and no other text is taken for one. */
#include "gateway/delivery.h"

#include <inttypes.h>
#include <stdio.h>

const char *delivery_level_name(enum delivery_level level)
{
    static const char *const names[LEVEL_COUNT] = {
        [LEVEL_SPOOLED] = "spooled", [LEVEL_STORED] = "stored", [LEVEL_REPLICATED] = "replicated"};
    return names[level];
}

bool delivery_level_parse(struct bytes text, enum delivery_level *ret)
{
    for (enum delivery_level level = LEVEL_SPOOLED; level < LEVEL_COUNT; level++)
        if (bytes_equal_text(text, delivery_level_name(level))) {
            *ret = level;
            return true;
        }
    return false;
}

const char *delivery_class_name(enum delivery_class class)
{
    switch (class) {
    case CLASS_EXACT:
        return "exact";
    case CLASS_WINDOWED:
        return "windowed";
    case CLASS_TRANSPORT:
        break;
    }
    return "transport";
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Takes a run of digits off the text. */
static struct bytes take_digits(struct bytes *text)
{
    struct bytes digits = bytes_of(text->ptr, 0);
    while (digits.len < text->len && is_digit(text->ptr[digits.len]))
        digits.len++;
    *text = bytes_of(text->ptr + digits.len, text->len - digits.len);
    return digits;
}

/* EPOCH and SEQ of the text; false: it is not two runs of digits with a point between them. */
static bool split(struct bytes text, struct bytes *ret_epoch, struct bytes *ret_seq)
{
    if (text.len == 0)
        return false;
    *ret_epoch = take_digits(&text);
    if (ret_epoch->len == 0 || text.len == 0 || text.ptr[0] != '.')
        return false;
    text = bytes_of(text.ptr + 1, text.len - 1);
    *ret_seq = take_digits(&text);
    return ret_seq->len > 0 && text.len == 0;
}

/* max has room for another digit in 64 bits. */
static bool read_number(struct bytes digits, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;
    if (digits.len > 1 && digits.ptr[0] == '0')
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        number = 10 * number + (uint64_t)(digits.ptr[i] - '0');
        if (number > max)
            return false;
    }
    *ret = number;
    return true;
}

bool delivery_resembles_sequence(struct bytes text)
{
    struct bytes epoch, seq;
    return split(text, &epoch, &seq);
}

bool delivery_parse_sequence(struct bytes text, struct sequence *ret)
{
    struct bytes epoch_digits, seq_digits;
    uint64_t epoch, seq;
    if (!split(text, &epoch_digits, &seq_digits) || !read_number(epoch_digits, UINT32_MAX, &epoch) ||
        !read_number(seq_digits, SEQUENCE_MAX, &seq))
        return false;
    *ret = (struct sequence){.given = true, .epoch = (uint32_t)epoch, .seq = seq};
    return true;
}

size_t delivery_write_sequence(const struct sequence *sequence, char ret[static DELIVERY_SEQUENCE_TEXT_MAX])
{
    return (size_t)snprintf(ret, DELIVERY_SEQUENCE_TEXT_MAX, "%" PRIu32 ".%" PRIu64, sequence->epoch, sequence->seq);
}

/* Big-endian; false: too long, or with a leading zero octet. */
static bool read_octets(struct bytes octets, size_t max_len, uint64_t *ret)
{
    uint64_t number = 0;
    if (octets.len > max_len || (octets.len > 0 && octets.ptr[0] == 0))
        return false;
    for (size_t i = 0; i < octets.len; i++)
        number = number << 8 | octets.ptr[i];
    *ret = number;
    return true;
}

bool delivery_parse_option(struct bytes value, struct sequence *ret)
{
    uint64_t epoch, seq;
    if (value.len == 0 || value.ptr[0] > value.len - 1)
        return false;
    size_t epoch_len = value.ptr[0];
    if (!read_octets(bytes_of(value.ptr + 1, epoch_len), 4, &epoch) ||
        !read_octets(bytes_of(value.ptr + 1 + epoch_len, value.len - 1 - epoch_len), 7, &seq) || seq > SEQUENCE_MAX)
        return false;
    *ret = (struct sequence){.given = true, .epoch = (uint32_t)epoch, .seq = seq};
    return true;
}

static size_t write_octets(uint64_t number, uint8_t *ret)
{
    size_t len = 0;
    while (len < 8 && number >> (8 * len))
        len++;
    for (size_t i = 0; i < len; i++)
        ret[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
    return len;
}

size_t delivery_write_option(const struct sequence *sequence, uint8_t ret[static DELIVERY_OPTION_MAX])
{
    ret[0] = (uint8_t)write_octets(sequence->epoch, ret + 1);
    return 1 + (size_t)ret[0] + write_octets(sequence->seq, ret + 1 + ret[0]);
}
