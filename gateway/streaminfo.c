// SPDX-License-Identifier: GPL-3.0-or-later
/* Fields that are not there or not of the right type make an answer one that is not understood. */
#include "gateway/streaminfo.h"

#include <stdio.h>

int streaminfo_compare(struct streaminfo_id a, struct streaminfo_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

static bool parse_number(struct bytes text, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = (uint8_t)(text.ptr[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, digit, &number))
            return false;
    }
    *ret = number;
    return text.len > 0;
}

bool streaminfo_parse_id(struct bytes text, struct streaminfo_id *ret)
{
    const uint8_t *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    if (!dash)
        return false;
    size_t before = (size_t)(dash - text.ptr);
    return parse_number(bytes_of(text.ptr, before), &ret->ms) &&
           parse_number(bytes_of(dash + 1, text.len - before - 1), &ret->seq);
}

struct bytes streaminfo_id_text(const char *prefix, struct streaminfo_id id, char ret[static STREAMINFO_ID_MAX])
{
    int len = snprintf(ret, STREAMINFO_ID_MAX, "%s%llu-%llu", prefix, (unsigned long long)id.ms,
                       (unsigned long long)id.seq);
    return bytes_of(ret, (size_t)len);
}

struct streaminfo_id streaminfo_next(struct streaminfo_id id)
{
    return id.seq < UINT64_MAX ? (struct streaminfo_id){id.ms, id.seq + 1} : (struct streaminfo_id){id.ms + 1, 0};
}

static const struct store_reply *find(const struct store_reply *map, const char *name)
{
    for (size_t i = 0; map->type == STORE_LIST && i + 1 < map->count; i += 2)
        if (bytes_equal_text(map->items[i].text, name))
            return &map->items[i + 1];
    return NULL;
}

static bool find_number(const struct store_reply *map, const char *name, uint64_t *ret)
{
    const struct store_reply *value = find(map, name);
    if (!value || value->type != STORE_INTEGER || value->integer < 0)
        return false;
    *ret = (uint64_t)value->integer;
    return true;
}

/* The id of an entry, [id, fields]; 0-0 for nil: the stream is empty. */
static bool find_entry_id(const struct store_reply *map, const char *name, struct streaminfo_id *ret)
{
    const struct store_reply *entry = find(map, name);
    *ret = (struct streaminfo_id){0};
    if (!entry || entry->type == STORE_NIL)
        return entry != NULL;
    return entry->type == STORE_LIST && entry->count > 0 && streaminfo_parse_id(entry->items[0].text, ret);
}

bool streaminfo_parse(const struct store_reply *reply, struct streaminfo *ret)
{
    return find_number(reply, "length", &ret->length) && find_entry_id(reply, "first-entry", &ret->first) &&
           find_entry_id(reply, "last-entry", &ret->last);
}

bool streaminfo_parse_group(const struct store_reply *item, struct streaminfo_group *ret)
{
    const struct store_reply *name = find(item, "name"), *delivered = find(item, "last-delivered-id");
    uint64_t lag;
    if (!name || name->type != STORE_TEXT || !delivered || !find_number(item, "pending", &ret->pending) ||
        !streaminfo_parse_id(delivered->text, &ret->delivered))
        return false;
    ret->name = name->text;
    ret->lag = find_number(item, "lag", &lag) ? (int64_t)lag : -1;
    return true;
}

bool streaminfo_parse_pending(const struct store_reply *reply, struct streaminfo_id *ret)
{
    return reply->type == STORE_LIST && reply->count >= 2 && reply->items[0].type == STORE_INTEGER &&
           reply->items[0].integer > 0 && streaminfo_parse_id(reply->items[1].text, ret);
}
