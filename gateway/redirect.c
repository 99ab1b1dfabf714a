// SPDX-License-Identifier: GPL-3.0-or-later
/* A host that a node does not know of itself comes as an empty text, as "?" or as nil: then it is the one we asked. */
#include "gateway/redirect.h"

#include <stdio.h>

/* Four bits at a time: a table of 16 is as good as one of 256 for keys of 30 characters. */
uint16_t redirect_crc16(struct bytes data)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                       0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < data.len; i++) {
        crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ data.ptr[i] >> 4) & 15]);
        crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ data.ptr[i]) & 15]);
    }
    return crc;
}

unsigned redirect_slot_of(struct bytes key)
{
    const uint8_t *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
    if (open) {
        size_t rest = key.len - (size_t)(open + 1 - key.ptr);
        const uint8_t *close = rest ? memchr(open + 1, '}', rest) : NULL;
        if (close && close > open + 1)
            key = bytes_of(open + 1, (size_t)(close - open - 1));
    }
    return redirect_crc16(key) % REDIRECT_SLOTS;
}

static bool parse_number(struct bytes text, unsigned long max, unsigned long *ret)
{
    unsigned long number = 0;
    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = 10 * number + (text.ptr[i] - '0');
    }
    *ret = number;
    return number <= max;
}

static bool set_endpoint(struct bytes host, struct bytes port, struct store_endpoint *ret)
{
    char text[STORE_ADDRESS_MAX + 16];
    unsigned long number;
    if (host.len == 0 || bytes_equal_text(host, "?")) {
        if (!parse_number(port, 65535, &number) || number == 0)
            return false;
        *ret = (struct store_endpoint){.port = (uint16_t)number};
        return true;
    }
    int len = snprintf(text, sizeof text, "%.*s:%.*s", (int)host.len, (const char *)host.ptr, (int)port.len,
                       (const char *)port.ptr);
    return len > 0 && (size_t)len < sizeof text && store_target_parse_endpoint(bytes_of(text, (size_t)len), ret) &&
           ret->host[0];
}

static struct bytes take_word(struct bytes *rest)
{
    const uint8_t *space = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
    size_t len = space ? (size_t)(space - rest->ptr) : rest->len, skip = len + (space != NULL);
    struct bytes word = bytes_of(rest->ptr, len);
    *rest = bytes_of(rest->ptr + skip, rest->len - skip);
    return word;
}

bool redirect_parse(const struct store_reply *reply, struct redirect *ret)
{
    if (reply->type != STORE_ERROR)
        return false;
    struct bytes rest = reply->text, word = take_word(&rest);
    bool is_ask = bytes_equal_text(word, "ASK");
    unsigned long slot;
    if ((!is_ask && !bytes_equal_text(word, "MOVED")) || !parse_number(take_word(&rest), REDIRECT_SLOTS - 1, &slot))
        return false;
    struct bytes where = take_word(&rest);
    const uint8_t *colon = where.len ? memrchr(where.ptr, ':', where.len) : NULL;
    if (!colon)
        return false;
    size_t before = (size_t)(colon - where.ptr);
    ret->slot = (unsigned)slot;
    ret->is_ask = is_ask;
    return set_endpoint(bytes_of(where.ptr, before), bytes_of(colon + 1, where.len - before - 1), &ret->endpoint);
}

bool redirect_parse_pair(const struct store_reply *reply, struct store_endpoint *ret)
{
    char digits[24];
    if (reply->type != STORE_LIST || reply->count < 2)
        return false;
    const struct store_reply *host = &reply->items[0], *port = &reply->items[1];
    struct bytes number = port->text;
    if (port->type == STORE_INTEGER)
        number = bytes_of(digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)port->integer));
    return set_endpoint(host->type == STORE_TEXT ? host->text : (struct bytes){0}, number, ret);
}

bool redirect_parse_range(const struct store_reply *row, struct redirect_range *ret)
{
    if (row->type != STORE_LIST || row->count < 3)
        return false;
    const struct store_reply *first = &row->items[0], *last = &row->items[1];
    if (first->type != STORE_INTEGER || last->type != STORE_INTEGER || first->integer < 0 ||
        first->integer > last->integer || last->integer >= REDIRECT_SLOTS)
        return false;
    ret->first = (unsigned)first->integer;
    ret->last = (unsigned)last->integer;
    return redirect_parse_pair(&row->items[2], &ret->primary);
}
