// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/streaminfo.h"

#include <criterion/criterion.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define TEXT(literal) {.type = STORE_TEXT, .text = BYTES_LITERAL(literal)}
#define NUMBER(n) {.type = STORE_INTEGER, .integer = (n)}
#define LIST(array) {.type = STORE_LIST, .items = (array), .count = COUNT_OF(array)}

Test(streaminfo, ids)
{
    static const char *const bad[] = {"", "-", "1", "1-", "-1", "a-1", "1-1-1", " 1-1", "99999999999999999999-1"};
    struct streaminfo_id id = {0}, max = {UINT64_MAX, UINT64_MAX};
    char text[STREAMINFO_ID_MAX];
    cr_assert(streaminfo_parse_id(BYTES_LITERAL("1763692800123-7"), &id));
    cr_expect_eq(id.ms, 1763692800123);
    cr_expect_eq(id.seq, 7);
    cr_expect(bytes_equal_text(streaminfo_id_text("(", id, text), "(1763692800123-7"));
    cr_assert(streaminfo_parse_id(streaminfo_id_text("", max, text), &id));
    cr_expect_eq(streaminfo_compare(id, max), 0);
    struct streaminfo_id next = streaminfo_next((struct streaminfo_id){5, UINT64_MAX});
    cr_expect_eq(next.ms, 6);
    cr_expect_eq(next.seq, 0);
    cr_expect(streaminfo_compare((struct streaminfo_id){5, 1}, (struct streaminfo_id){5, 2}) < 0);
    cr_expect(streaminfo_compare((struct streaminfo_id){6, 0}, (struct streaminfo_id){5, 2}) > 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not(streaminfo_parse_id(bytes_of_text(bad[i]), &id), "%s", bad[i]);
}

Test(streaminfo, stream)
{
    struct store_reply first[] = {TEXT("5-1"), {.type = STORE_LIST}}, last[] = {TEXT("9-0"), {.type = STORE_LIST}};
    struct store_reply fields[] = {TEXT("length"), NUMBER(3), TEXT("first-entry"), LIST(first), TEXT("last-entry"),
                                   LIST(last)};
    struct store_reply reply = LIST(fields), error = {.type = STORE_ERROR, .text = BYTES_LITERAL("ERR no such key")};
    struct streaminfo info;
    cr_assert(streaminfo_parse(&reply, &info));
    cr_expect_eq(info.length, 3);
    cr_expect_eq(info.first.ms, 5);
    cr_expect_eq(info.last.ms, 9);
    cr_expect_not(streaminfo_parse(&error, &info));
    fields[3] = fields[5] = (struct store_reply){.type = STORE_NIL};
    cr_assert(streaminfo_parse(&reply, &info), "an empty stream");
    cr_expect_eq(info.first.ms, 0);
    fields[1].integer = -1;
    cr_expect_not(streaminfo_parse(&reply, &info));
}

Test(streaminfo, groups)
{
    struct store_reply fields[] = {TEXT("name"), TEXT("g"), TEXT("pending"), NUMBER(2), TEXT("last-delivered-id"),
                                   TEXT("7-1"), TEXT("lag"), NUMBER(4)};
    struct store_reply item = LIST(fields);
    struct streaminfo_group group;
    cr_assert(streaminfo_parse_group(&item, &group));
    cr_expect(bytes_equal_text(group.name, "g"));
    cr_expect_eq(group.pending, 2);
    cr_expect_eq(group.delivered.seq, 1);
    cr_expect_eq(group.lag, 4);
    fields[7] = (struct store_reply){.type = STORE_NIL};
    cr_assert(streaminfo_parse_group(&item, &group));
    cr_expect_eq(group.lag, -1, "Redis does not know");
    item.count = 4;
    cr_expect_not(streaminfo_parse_group(&item, &group));
}

Test(streaminfo, pending)
{
    struct store_reply some[] = {NUMBER(2), TEXT("3-0"), TEXT("8-0"), {.type = STORE_LIST}};
    struct store_reply none[] = {NUMBER(0), {.type = STORE_NIL}, {.type = STORE_NIL}, {.type = STORE_NIL}};
    struct store_reply with = LIST(some), without = LIST(none);
    struct streaminfo_id lowest;
    cr_assert(streaminfo_parse_pending(&with, &lowest));
    cr_expect_eq(lowest.ms, 3);
    cr_expect_not(streaminfo_parse_pending(&without, &lowest));
}
