// SPDX-License-Identifier: GPL-3.0-or-later
/* Slots, MOVED and ASK, rows of CLUSTER SLOTS. Slots as `redis-cli cluster keyslot` tells them. */
#include "gateway/redirect.h"

#include <criterion/criterion.h>

static struct store_reply text(const char *words)
{
    return (struct store_reply){.type = STORE_TEXT, .text = bytes_of_text(words)};
}

static struct store_reply error(const char *words)
{
    return (struct store_reply){.type = STORE_ERROR, .text = bytes_of_text(words)};
}

static struct store_reply integer(int64_t number)
{
    return (struct store_reply){.type = STORE_INTEGER, .integer = number};
}

Test(redirect, crc16)
{
    cr_assert_eq(redirect_crc16(BYTES_LITERAL("123456789")), 0x31c3);
    cr_assert_eq(redirect_crc16((struct bytes){0}), 0);
}

Test(redirect, slots)
{
    static const struct {
        const char *key;
        unsigned slot;
    } known[] = {
        {"foo", 12182}, {"bar", 5061}, {"{foo}", 12182}, {"weir:{foo}:obs", 12182}, {"x{foo}{bar}", 12182},
        {"123456789", 0x31c3},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_expect_eq(redirect_slot_of(bytes_of_text(known[i].key)), known[i].slot, "%s", known[i].key);
    /* Nothing between the braces, or no end: all of the key counts. */
    cr_expect_eq(redirect_slot_of(BYTES_LITERAL("foo{}{bar}")), redirect_crc16(BYTES_LITERAL("foo{}{bar}")) % 16384);
    cr_expect_eq(redirect_slot_of(BYTES_LITERAL("foo{bar")), redirect_crc16(BYTES_LITERAL("foo{bar")) % 16384);
    cr_expect_eq(redirect_slot_of(BYTES_LITERAL("foo{")), redirect_crc16(BYTES_LITERAL("foo{")) % 16384);
    cr_expect_eq(redirect_slot_of(BYTES_LITERAL("foo{{bar}}zap")), redirect_crc16(BYTES_LITERAL("{bar")) % 16384);
    cr_expect_eq(redirect_slot_of((struct bytes){0}), 0);
}

Test(redirect, replies)
{
    struct redirect redirect;
    struct store_reply reply = error("MOVED 3999 127.0.0.1:6381");
    cr_assert(redirect_parse(&reply, &redirect));
    cr_expect_eq(redirect.slot, 3999);
    cr_expect_not(redirect.is_ask);
    cr_expect_str_eq(redirect.endpoint.host, "127.0.0.1");
    cr_expect_eq(redirect.endpoint.port, 6381);
    reply = error("ASK 16383 ::1:7000");
    cr_assert(redirect_parse(&reply, &redirect));
    cr_expect(redirect.is_ask);
    cr_expect_str_eq(redirect.endpoint.host, "::1");
    reply = error("MOVED 1 redis-2.internal:7000");
    cr_assert(redirect_parse(&reply, &redirect));
    cr_expect_str_eq(redirect.endpoint.host, "redis-2.internal");
    reply = error("MOVED 1 :7001");
    cr_assert(redirect_parse(&reply, &redirect));
    cr_expect_str_eq(redirect.endpoint.host, "");
    cr_expect_eq(redirect.endpoint.port, 7001);
}

Test(redirect, what_is_none)
{
    static const char *const none[] = {
        "", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 1 host", "MOVED 16384 h:1", "MOVED x h:1", "MOVED 1 h:0",
        "MOVED 1 h:65536", "MOVED -1 h:1", "MOVEDX 1 h:1", "moved 1 h:1", "ERR MOVED 1 h:1", "MOVED 1 unix:/x",
        "MOVED 1 a b:1",
    };
    struct redirect redirect;
    struct store_reply reply;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        reply = error(none[i]);
        cr_expect_not(redirect_parse(&reply, &redirect), "%s", none[i]);
    }
    reply = text("MOVED 3999 127.0.0.1:6381");
    cr_expect_not(redirect_parse(&reply, &redirect), "a text is no error");
}

Test(redirect, ranges)
{
    struct store_reply node[] = {text("127.0.0.1"), integer(7000), text("id")};
    struct store_reply row[] = {integer(0), integer(5460), {.type = STORE_LIST, .items = node, .count = 3}};
    struct store_reply reply = {.type = STORE_LIST, .items = row, .count = 3};
    struct redirect_range range;
    cr_assert(redirect_parse_range(&reply, &range));
    cr_expect_eq(range.first, 0);
    cr_expect_eq(range.last, 5460);
    cr_expect_eq(range.primary.port, 7000);
    node[0] = (struct store_reply){.type = STORE_NIL};
    cr_assert(redirect_parse_range(&reply, &range));
    cr_expect_str_eq(range.primary.host, "");
    row[1] = integer(16384);
    cr_expect_not(redirect_parse_range(&reply, &range));
    row[1] = integer(-1);
    cr_expect_not(redirect_parse_range(&reply, &range));
    row[1] = text("5460");
    cr_expect_not(redirect_parse_range(&reply, &range));
    row[1] = integer(5460);
    reply.count = 2;
    cr_expect_not(redirect_parse_range(&reply, &range));
    reply.count = 3;
    node[1] = integer(0);
    cr_expect_not(redirect_parse_range(&reply, &range));
}
