// SPDX-License-Identifier: GPL-3.0-or-later
/* The keys and their forms are those of gateway/function.lua. */
#include "gateway/history.h"

#include "codec/digits.h"
#include "codec/timestamp.h"

#include <stdio.h>

#define FIELDS_MAX 64
#define EPOCH_DIGITS_MAX 10

static void add(struct history_question *question, struct bytes argument)
{
    question->arguments[question->count++] = argument;
}

/* "ID EPOCH" or "ID:EPOCH". */
static struct bytes name_of_epoch(struct history_question *question, struct bytes device, char between, uint32_t epoch)
{
    int len = snprintf(question->text, sizeof question->text, "%.*s%c%u", (int)device.len, (const char *)device.ptr,
                       between, epoch);
    return bytes_of(question->text, (size_t)len);
}

bool history_ask(enum history_part part, struct bytes tenant, struct bytes device, const struct history *so_far,
                 struct history_question *ret)
{
    static const char *const words[HISTORY_PARTS] = {"HGET", "ZCARD", "XREVRANGE", "HGETALL", "ZRANGEBYSCORE", "HGET"};
    static const char *const suffixes[HISTORY_PARTS] = {
        [HISTORY_EPOCH] = SCHEMA_SUFFIX_EPOCH,
        [HISTORY_CONFLICTS] = SCHEMA_SUFFIX_CONFLICTS,
        [HISTORY_STATE] = SCHEMA_SUFFIX_SEEN,
    };
    if ((part >= HISTORY_HOLES && !so_far->has_epoch) || (part == HISTORY_TOTALS && !so_far->arena))
        return false;
    ret->count = 0;
    add(ret, bytes_of_text(words[part]));
    if (suffixes[part])
        add(ret, bytes_of(ret->key, schema_key(ret->key, tenant, suffixes[part])));
    switch (part) {
    case HISTORY_EPOCH:
        add(ret, device);
        break;
    case HISTORY_ONCE:
        add(ret, bytes_of(ret->key, schema_key_of(ret->key, tenant, SCHEMA_KIND_ONCE, device)));
        break;
    case HISTORY_CONFLICTS:
        add(ret, BYTES_LITERAL("+"));
        add(ret, BYTES_LITERAL("-"));
        add(ret, BYTES_LITERAL("COUNT"));
        add(ret, BYTES_LITERAL(HISTORY_CONFLICTS_LOOKED_AT));
        break;
    case HISTORY_TOTALS:
        add(ret, bytes_of(ret->key, schema_key_of(ret->key, tenant, SCHEMA_KIND_TOTAL, device)));
        break;
    case HISTORY_HOLES:
        add(ret, bytes_of(ret->key, schema_key_of(ret->key, tenant, SCHEMA_KIND_HOLES,
                                                  name_of_epoch(ret, device, ':', so_far->epoch))));
        add(ret, BYTES_LITERAL("-inf"));
        add(ret, BYTES_LITERAL("+inf"));
        break;
    case HISTORY_STATE:
        add(ret, name_of_epoch(ret, device, ' ', so_far->epoch));
        break;
    case HISTORY_PARTS:
        return false;
    }
    return true;
}

static bool take_epoch(const struct store_reply *reply, struct history *history)
{
    uint64_t epoch = 0;
    if (reply->type == STORE_NIL)
        return true;
    if (reply->type != STORE_TEXT || !digits_read(reply->text, EPOCH_DIGITS_MAX, &epoch))
        return false;
    history->has_epoch = true;
    history->epoch = (uint32_t)epoch;
    return epoch <= UINT32_MAX;
}

static struct bytes field(const struct store_reply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->count && i < FIELDS_MAX; i += 2)
        if (bytes_equal_text(fields->items[i].text, name))
            return fields->items[i + 1].text;
    return (struct bytes){0};
}

/* Records of one message have the same id and stand together. Who spoke is b, or d where nobody else did. */
static bool take_conflicts(struct bytes device, const struct store_reply *reply, struct history *history)
{
    struct bytes last = {0};
    if (reply->type != STORE_LIST)
        return false;
    for (size_t i = 0; i < reply->count; i++) {
        const struct store_reply *entry = &reply->items[i];
        if (entry->type != STORE_LIST || entry->count != 2 || entry->items[1].type != STORE_LIST)
            return false;
        struct bytes brought_by = field(&entry->items[1], "b"), message = field(&entry->items[1], "m");
        struct bytes speaker = brought_by.len ? brought_by : field(&entry->items[1], "d");
        if (!bytes_equal(speaker, device) || bytes_equal(message, last))
            continue;
        history->conflicts++;
        last = message;
    }
    return true;
}

static bool is_decimal(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] < '0' || text.ptr[i] > '9') && text.ptr[i] != '.')
            return false;
    return text.len > 0;
}

/* "TIME RAW TOTAL". False: not that, as a hand may have written it. */
static bool parse_total(struct bytes state, struct history_total *ret)
{
    struct decimal decimal;
    timestamp_atto atto;
    struct timestamp time;
    const uint8_t *space = memchr(state.ptr, ' ', state.len), *last = memrchr(state.ptr, ' ', state.len);
    if (!space || space == last)
        return false;
    ret->total = bytes_of(last + 1, (size_t)(state.ptr + state.len - last - 1));
    struct bytes moment = bytes_of(state.ptr, (size_t)(space - state.ptr));
    if (!is_decimal(ret->total) || decimal_parse(moment, &decimal) != DECIMAL_OK ||
        !timestamp_from_decimal(&decimal, &atto) || !timestamp_from_atto(atto, &time))
        return false;
    ret->time_s = time.s;
    return true;
}

static bool comes_before(struct bytes a, struct bytes b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order < 0 : a.len < b.len;
}

/* Keeps those with the lowest names, sorted. */
static void insert_total(struct history *history, const struct history_total *total)
{
    size_t at = history->total_count;
    while (at > 0 && comes_before(total->name, history->totals[at - 1].name))
        at--;
    if (at == HISTORY_TOTALS_MAX)
        return;
    history->total_count += history->total_count < HISTORY_TOTALS_MAX;
    memmove(&history->totals[at + 1], &history->totals[at],
            (history->total_count - at - 1) * sizeof history->totals[0]);
    history->totals[at] = *total;
}

static bool take_totals(const struct store_reply *reply, struct history *history)
{
    if (reply->type != STORE_LIST)
        return false;
    for (size_t i = 0; i + 1 < reply->count; i += 2) {
        struct history_total total = {.name = reply->items[i].text};
        if (total.name.len && parse_total(reply->items[i + 1].text, &total))
            insert_total(history, &total);
    }
    for (size_t i = 0; i < history->total_count; i++)
        if (!arena_copy(history->arena, history->totals[i].name, &history->totals[i].name) ||
            !arena_copy(history->arena, history->totals[i].total, &history->totals[i].total))
            return false;
    return true;
}

static bool take_holes(const struct store_reply *reply, struct history *history)
{
    bool ok = reply->type == STORE_LIST;
    for (size_t i = 0; ok && i < reply->count; i++)
        ok = seen_add_hole(&history->seen, reply->items[i].text);
    return ok;
}

bool history_take(enum history_part part, struct bytes device, const struct store_reply *reply,
                  struct history *history)
{
    switch (part) {
    case HISTORY_EPOCH:
        return take_epoch(reply, history);
    case HISTORY_ONCE:
        history->windowed = reply->integer > 0;
        return reply->type == STORE_INTEGER;
    case HISTORY_CONFLICTS:
        return take_conflicts(device, reply, history);
    case HISTORY_TOTALS:
        return take_totals(reply, history);
    case HISTORY_HOLES:
        return take_holes(reply, history);
    case HISTORY_STATE:
        return reply->type == STORE_NIL || (reply->type == STORE_TEXT && seen_add_state(&history->seen, reply->text));
    case HISTORY_PARTS:
        break;
    }
    return false;
}

enum delivery_class history_class(const struct history *history)
{
    return history->has_epoch ? CLASS_EXACT : history->windowed ? CLASS_WINDOWED : CLASS_TRANSPORT;
}
