// SPDX-License-Identifier: GPL-3.0-or-later
/* Questions as Redis gets them, answers as it gives them. */
#include "gateway/history.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct bytes tenant = {(const uint8_t *)"acme", 4}, device = {(const uint8_t *)"boiler-7", 8};

static const char *ask(enum history_part part, const struct history *so_far)
{
    static char text[512];
    struct history_question question;
    size_t at = 0;
    text[0] = '\0';
    if (!history_ask(part, tenant, device, so_far, &question))
        return "nothing";
    for (size_t i = 0; i < question.count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", i ? "," : "", (int)question.arguments[i].len,
                               (const char *)question.arguments[i].ptr);
    return text;
}

Test(history, questions)
{
    struct history none = {0}, some = {.has_epoch = true, .epoch = 3};
    cr_expect_str_eq(ask(HISTORY_EPOCH, &none), "HGET,weir:{acme}:epoch,boiler-7");
    cr_expect_str_eq(ask(HISTORY_ONCE, &none), "ZCARD,weir:{acme}:once:boiler-7");
    cr_expect_str_eq(ask(HISTORY_CONFLICTS, &none), "XREVRANGE,weir:{acme}:conflicts,+,-,COUNT,200");
    cr_expect_str_eq(ask(HISTORY_TOTALS, &none), "nothing");
    cr_expect_str_eq(ask(HISTORY_HOLES, &none), "nothing");
    cr_expect_str_eq(ask(HISTORY_STATE, &none), "nothing");
    cr_expect_str_eq(ask(HISTORY_HOLES, &some), "ZRANGEBYSCORE,weir:{acme}:holes:boiler-7:3,-inf,+inf");
    cr_expect_str_eq(ask(HISTORY_STATE, &some), "HGET,weir:{acme}:seen,boiler-7 3");
}

static struct store_reply text_reply(const char *text)
{
    return (struct store_reply){.type = STORE_TEXT, .text = bytes_of_text(text)};
}

Test(history, the_class_is_the_strongest_that_is_used)
{
    struct history history = {0};
    struct store_reply nil = {.type = STORE_NIL}, seven = {.type = STORE_INTEGER, .integer = 7}, three = text_reply("3");
    cr_expect(history_take(HISTORY_EPOCH, device, &nil, &history));
    cr_expect_eq(history_class(&history), CLASS_TRANSPORT);
    cr_expect(history_take(HISTORY_ONCE, device, &seven, &history));
    cr_expect_eq(history_class(&history), CLASS_WINDOWED);
    cr_expect(history_take(HISTORY_EPOCH, device, &three, &history));
    cr_expect_eq(history_class(&history), CLASS_EXACT);
    cr_expect_eq(history.epoch, 3);
}

Test(history, what_is_no_answer_is_refused)
{
    struct history history = {0};
    struct store_reply error = {.type = STORE_ERROR, .text = BYTES_LITERAL("WRONGTYPE")}, word = text_reply("x"),
                       large = text_reply("4294967296");
    for (enum history_part part = 0; part < HISTORY_PARTS; part++)
        cr_expect_not(history_take(part, device, &error, &history), "%d", (int)part);
    cr_expect_not(history_take(HISTORY_EPOCH, device, &word, &history));
    cr_expect_not(history_take(HISTORY_EPOCH, device, &large, &history));
}

/* An entry of weir:{T}:conflicts with the fields that matter. */
static struct store_reply entry(const char *d, const char *b, const char *m, struct store_reply room[static 8])
{
    room[0] = (struct store_reply){.type = STORE_TEXT, .text = BYTES_LITERAL("1-1")};
    room[1] = (struct store_reply){.type = STORE_LIST, .items = room + 2, .count = 6};
    room[2] = text_reply("d");
    room[3] = text_reply(d);
    room[4] = text_reply("b");
    room[5] = text_reply(b);
    room[6] = text_reply("m");
    room[7] = text_reply(m);
    return (struct store_reply){.type = STORE_LIST, .items = room, .count = 2};
}

Test(history, conflicts_are_messages_of_the_device_that_spoke)
{
    struct store_reply room[5][8];
    struct history history = {0};
    struct store_reply items[] = {
        entry("boiler-7", "", "m1", room[0]), entry("boiler-7", "", "m1", room[1]),   /* two records of one message */
        entry("boiler-7", "hub", "m2", room[2]), entry("other", "", "m3", room[3]), /* others spoke */
        entry("lamp", "boiler-7", "m4", room[4]),
    };
    struct store_reply list = {.type = STORE_LIST, .items = items, .count = 5};
    cr_expect(history_take(HISTORY_CONFLICTS, device, &list, &history));
    cr_expect_eq(history.conflicts, 2);
}

Test(history, totals_are_the_first_by_name)
{
    static struct store_reply items[2 * (HISTORY_TOTALS_MAX + 20)];
    static char names[HISTORY_TOTALS_MAX + 20][8];
    struct history history = {.arena = arena_new(65536)};
    struct store_reply list = {.type = STORE_LIST, .items = items};
    cr_expect_str_eq(ask(HISTORY_TOTALS, &history), "HGETALL,weir:{acme}:total:boiler-7");
    static const char *const not_totals[] = {"", "1", "1 2", "x 1 2", "1 2 x", "1 2 "};
    for (size_t i = 0; i < HISTORY_TOTALS_MAX + 20; i++) {
        snprintf(names[i], sizeof names[i], "c%03zu", HISTORY_TOTALS_MAX + 19 - i);
        items[list.count++] = text_reply(names[i]);
        items[list.count++] = text_reply(i < 6 ? not_totals[i] : "-1.5 12.5 1234567890123456789012345678901234567890.5");
    }
    cr_expect(history_take(HISTORY_TOTALS, device, &list, &history));
    cr_expect_eq(history.total_count, HISTORY_TOTALS_MAX);
    cr_expect(bytes_equal_text(history.totals[0].name, "c000"));
    cr_expect(bytes_equal_text(history.totals[HISTORY_TOTALS_MAX - 1].name, "c099"));
    cr_expect(bytes_equal_text(history.totals[7].total, "1234567890123456789012345678901234567890.5"));
    cr_expect_eq(history.totals[7].time_s, -2);
    arena_free(history.arena);
}

Test(history, holes_are_added_up)
{
    struct history history = {0};
    struct store_reply items[] = {text_reply("3-5"), text_reply("9-9")}, bad = text_reply("9");
    struct store_reply list = {.type = STORE_LIST, .items = items, .count = 2}, broken = {.type = STORE_LIST, .items = &bad,
                                                                                          .count = 1};
    cr_expect(history_take(HISTORY_HOLES, device, &list, &history));
    cr_expect_eq(history.seen.missing, 4);
    cr_expect_not(history_take(HISTORY_HOLES, device, &broken, &history));
}
