// SPDX-License-Identifier: GPL-3.0-or-later
/* The keys and their forms are those of gateway/function.lua. What has another form was written by hand: passed by. */
#include "gateway/forget.h"

#include "codec/digits.h"

#include <stdio.h>
#include <stdlib.h>

#define EPOCH_DIGITS 10
#define SEQ_DIGITS 16
#define AT_ONCE 64 /* epochs in one command */
#define AT_ONCE_LAST "63"
#define PAGE 10000
#define OVERLAP 100 /* the Function takes some away at the front meanwhile */
#define PAGE_TEXT "10000"
#define LISTED ":listed" /* since when the Function writes epochs:ID; no device has such an id */

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

struct forget_epoch {
    char epoch[EPOCH_DIGITS + 1], highest[SEQ_DIGITS + 1]; /* as the Function wrote them; highest: in superseded */
};

static enum accounts_result run(struct accounts *accounts, const struct bytes *arguments, size_t count)
{
    const struct store_reply *ignored;
    return accounts_call(accounts, arguments, count, &ignored);
}

static bool take_digits(struct bytes text, unsigned digits_max, char *ret)
{
    uint64_t ignored;
    if (text.len > digits_max || !digits_read(text, digits_max, &ignored))
        return false;
    memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
    return true;
}

static void hole_key(struct bytes tenant, struct bytes device, const char *epoch, char ret[static SCHEMA_KEY_MAX])
{
    char id[SCHEMA_KEY_MAX];
    int len = snprintf(id, sizeof id, "%.*s:%s", (int)device.len, (const char *)device.ptr, epoch);
    schema_key_of(ret, tenant, SCHEMA_KIND_HOLES, bytes_of(id, (size_t)len));
}

static bool make_room(struct forget *forget, size_t more)
{
    struct forget_epoch *epochs = realloc(forget->epochs, (forget->count + more + 1) * sizeof *epochs);
    if (epochs)
        forget->epochs = epochs;
    return epochs != NULL;
}

static void add_epoch(struct forget *forget, struct bytes epoch, struct bytes highest)
{
    struct forget_epoch *fresh = &forget->epochs[forget->count];
    if (take_digits(epoch, EPOCH_DIGITS, fresh->epoch) && take_digits(highest, SEQ_DIGITS, fresh->highest))
        forget->count++;
}

/* A member of superseded: "DEVICE EPOCH HIGHEST". */
static bool split_member(struct bytes member, struct bytes *ret_device, struct bytes *ret_epoch,
                         struct bytes *ret_highest)
{
    const uint8_t *end = member.ptr + member.len;
    const uint8_t *first = member.len ? memchr(member.ptr, ' ', member.len) : NULL;
    const uint8_t *last = member.len ? memrchr(member.ptr, ' ', member.len) : NULL;
    if (!first || first == last)
        return false;
    *ret_device = bytes_of(member.ptr, (size_t)(first - member.ptr));
    *ret_epoch = bytes_of(first + 1, (size_t)(last - first - 1));
    *ret_highest = bytes_of(last + 1, (size_t)(end - last - 1));
    return schema_device_is_valid(*ret_device);
}

/* Of superseded what has a score up to `until`, page by page. */
static enum accounts_result read_page(struct accounts *accounts, struct bytes tenant, const char *until, size_t from,
                                      const struct store_reply **ret)
{
    char key[SCHEMA_KEY_MAX], offset[24];
    schema_key(key, tenant, SCHEMA_SUFFIX_SUPERSEDED);
    snprintf(offset, sizeof offset, "%zu", from);
    struct bytes arguments[] = {WORD("ZRANGEBYSCORE"), bytes_of_text(key), WORD("-inf"), bytes_of_text(until),
                                WORD("LIMIT"), bytes_of_text(offset), WORD(PAGE_TEXT)};
    return accounts_call(accounts, arguments, COUNT_OF(arguments), ret);
}

static enum accounts_result read_superseded(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                            const char *until, struct forget *forget)
{
    const struct store_reply *reply = NULL;
    for (size_t from = 0;; from += PAGE - OVERLAP) {
        enum accounts_result result = read_page(accounts, tenant, until, from, &reply);
        if (result != ACCOUNTS_DONE)
            return result;
        for (size_t i = 0; i < reply->count; i++) {
            struct bytes of, epoch, highest;
            if (!split_member(reply->items[i].text, &of, &epoch, &highest) || !bytes_equal(of, device))
                continue;
            if (!make_room(forget, 1))
                return ACCOUNTS_AWAY;
            add_epoch(forget, epoch, highest);
        }
        if (reply->count < PAGE)
            return ACCOUNTS_DONE;
    }
}

static enum accounts_result read_replaced(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                          struct forget *forget)
{
    char key[SCHEMA_KEY_MAX];
    const struct store_reply *reply = NULL;
    schema_key_of(key, tenant, SCHEMA_KIND_EPOCHS, device);
    struct bytes read[] = {WORD("HGETALL"), bytes_of_text(key)};
    enum accounts_result result = accounts_call(accounts, read, COUNT_OF(read), &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    if (!make_room(forget, reply->count))
        return ACCOUNTS_AWAY;
    for (size_t i = 0; i + 1 < reply->count; i += 2)
        add_epoch(forget, reply->items[i].text, reply->items[i + 1].text);
    return ACCOUNTS_DONE;
}

enum accounts_result forget_read(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                 struct forget *forget)
{
    char key[SCHEMA_KEY_MAX], until[24] = "+inf";
    struct forget_epoch current = {0};
    const struct store_reply *reply = NULL;
    forget->count = 0;
    enum accounts_result result = read_replaced(accounts, tenant, device, forget);
    schema_key(key, tenant, SCHEMA_SUFFIX_EPOCH);
    struct bytes arguments[] = {WORD("HMGET"), bytes_of_text(key), device, WORD(LISTED)};
    if (result == ACCOUNTS_DONE)
        result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    forget->has_current = reply->count == 2 && take_digits(reply->items[0].text, EPOCH_DIGITS, current.epoch);
    if (reply->count == 2 && reply->items[1].text.len && reply->items[1].text.len < sizeof until - 1)
        snprintf(until, sizeof until, "(%.*s", (int)reply->items[1].text.len, (const char *)reply->items[1].text.ptr);
    result = read_superseded(accounts, tenant, device, until, forget);
    if (result == ACCOUNTS_DONE && forget->has_current)
        forget->epochs[forget->count++] = current; /* make_room leaves one over */
    return result;
}

/* Their states, their holes, and where they stand; the current one is not in superseded nor in epochs:ID. What came
 * to be there meanwhile stays. */
static enum accounts_result write_some(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                       const struct forget_epoch *epochs, size_t count)
{
    char seen[SCHEMA_KEY_MAX], superseded[SCHEMA_KEY_MAX], replaced[SCHEMA_KEY_MAX];
    char fields[AT_ONCE][SCHEMA_KEY_MAX], members[AT_ONCE][SCHEMA_KEY_MAX], holes[AT_ONCE][SCHEMA_KEY_MAX];
    struct bytes hdel[2 + AT_ONCE] = {WORD("HDEL")}, zrem[2 + AT_ONCE] = {WORD("ZREM")};
    struct bytes unlink[1 + AT_ONCE] = {WORD("UNLINK")}, strike[2 + AT_ONCE] = {WORD("HDEL")};
    schema_key_of(replaced, tenant, SCHEMA_KIND_EPOCHS, device);
    strike[1] = bytes_of_text(replaced);
    hdel[1] = bytes_of(seen, schema_key(seen, tenant, SCHEMA_SUFFIX_SEEN));
    zrem[1] = bytes_of(superseded, schema_key(superseded, tenant, SCHEMA_SUFFIX_SUPERSEDED));
    for (size_t i = 0; i < count; i++) {
        int id_len = (int)device.len;
        const char *id = (const char *)device.ptr;
        snprintf(fields[i], SCHEMA_KEY_MAX, "%.*s %s", id_len, id, epochs[i].epoch);
        snprintf(members[i], SCHEMA_KEY_MAX, "%.*s %s %s", id_len, id, epochs[i].epoch, epochs[i].highest);
        hole_key(tenant, device, epochs[i].epoch, holes[i]);
        hdel[2 + i] = bytes_of_text(fields[i]);
        zrem[2 + i] = bytes_of_text(members[i]);
        unlink[1 + i] = bytes_of_text(holes[i]);
        strike[2 + i] = bytes_of_text(epochs[i].epoch);
    }
    enum accounts_result result = run(accounts, hdel, 2 + count);
    if (result == ACCOUNTS_DONE)
        result = run(accounts, zrem, 2 + count);
    if (result == ACCOUNTS_DONE)
        result = run(accounts, strike, 2 + count);
    return result == ACCOUNTS_DONE ? run(accounts, unlink, 1 + count) : result;
}

enum accounts_result forget_write(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                  const struct forget *forget)
{
    char epoch[SCHEMA_KEY_MAX], total[SCHEMA_KEY_MAX], once[SCHEMA_KEY_MAX];
    schema_key(epoch, tenant, SCHEMA_SUFFIX_EPOCH);
    schema_key_of(total, tenant, SCHEMA_KIND_TOTAL, device);
    schema_key_of(once, tenant, SCHEMA_KIND_ONCE, device);
    struct bytes drop[] = {WORD("HDEL"), bytes_of_text(epoch), device};
    struct bytes unlink[] = {WORD("UNLINK"), bytes_of_text(total), bytes_of_text(once)};
    enum accounts_result result = run(accounts, unlink, COUNT_OF(unlink));
    if (result == ACCOUNTS_DONE && forget->has_current)
        result = run(accounts, drop, COUNT_OF(drop));
    for (size_t i = 0; i < forget->count && result == ACCOUNTS_DONE; i += AT_ONCE) {
        size_t left = forget->count - i;
        result = write_some(accounts, tenant, device, forget->epochs + i, left < AT_ONCE ? left : AT_ONCE);
    }
    return result;
}

void forget_deinit(struct forget *forget)
{
    free(forget->epochs);
    *forget = (struct forget){0};
}

/* A tenant. */

/* From the front of superseded; how many there were. */
static enum accounts_result forget_some(struct accounts *accounts, struct bytes tenant, const char *key, size_t *ret)
{
    char holes[AT_ONCE][SCHEMA_KEY_MAX];
    size_t count = 0;
    const struct store_reply *reply = NULL;
    struct bytes read[] = {WORD("ZRANGE"), bytes_of_text(key), WORD("0"), WORD(AT_ONCE_LAST)};
    struct bytes clear[] = {WORD("ZREMRANGEBYRANK"), bytes_of_text(key), WORD("0"), WORD(AT_ONCE_LAST)};
    struct bytes unlink[1 + AT_ONCE] = {WORD("UNLINK")};
    enum accounts_result result = accounts_call(accounts, read, COUNT_OF(read), &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    *ret = reply->count;
    for (size_t i = 0; i < reply->count && count < AT_ONCE; i++) {
        struct bytes device, epoch, highest;
        char digits[EPOCH_DIGITS + 1];
        if (!split_member(reply->items[i].text, &device, &epoch, &highest) || !take_digits(epoch, EPOCH_DIGITS, digits))
            continue;
        hole_key(tenant, device, digits, holes[count]);
        unlink[1 + count] = bytes_of_text(holes[count]);
        count++;
    }
    if (count)
        result = run(accounts, unlink, 1 + count);
    return result == ACCOUNTS_DONE && *ret ? run(accounts, clear, COUNT_OF(clear)) : result;
}

/* The holes of the epochs that some devices are in. */
static enum accounts_result forget_current(struct accounts *accounts, struct bytes tenant,
                                           const struct accounts_ids *ids, size_t from, size_t count)
{
    char key[SCHEMA_KEY_MAX], holes[AT_ONCE][SCHEMA_KEY_MAX];
    size_t found = 0;
    const struct store_reply *reply = NULL;
    struct bytes read[2 + AT_ONCE] = {WORD("HMGET")}, unlink[1 + AT_ONCE] = {WORD("UNLINK")};
    read[1] = bytes_of(key, schema_key(key, tenant, SCHEMA_SUFFIX_EPOCH));
    for (size_t i = 0; i < count; i++)
        read[2 + i] = bytes_of_text(ids->ids[from + i]);
    enum accounts_result result = accounts_call(accounts, read, 2 + count, &reply);
    for (size_t i = 0; result == ACCOUNTS_DONE && i < reply->count && i < count; i++) {
        char digits[EPOCH_DIGITS + 1];
        if (!take_digits(reply->items[i].text, EPOCH_DIGITS, digits))
            continue;
        hole_key(tenant, bytes_of_text(ids->ids[from + i]), digits, holes[found]);
        unlink[1 + found] = bytes_of_text(holes[found]);
        found++;
    }
    return result == ACCOUNTS_DONE && found ? run(accounts, unlink, 1 + found) : result;
}

enum accounts_result forget_tenant(struct accounts *accounts, struct bytes tenant, const struct accounts_ids *ids)
{
    static const char *const suffixes[] = {SCHEMA_SUFFIX_SEEN, SCHEMA_SUFFIX_EPOCH, SCHEMA_SUFFIX_CONFLICTED};
    char key[SCHEMA_KEY_MAX], keys[COUNT_OF(suffixes)][SCHEMA_KEY_MAX];
    struct bytes unlink[1 + COUNT_OF(suffixes)] = {WORD("UNLINK")};
    enum accounts_result result = ACCOUNTS_DONE;
    schema_key(key, tenant, SCHEMA_SUFFIX_SUPERSEDED);
    for (size_t left = 1; left && result == ACCOUNTS_DONE;)
        result = forget_some(accounts, tenant, key, &left);
    for (size_t i = 0; i < ids->count && result == ACCOUNTS_DONE; i += AT_ONCE)
        result = forget_current(accounts, tenant, ids, i, ids->count - i < AT_ONCE ? ids->count - i : AT_ONCE);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        unlink[1 + i] = bytes_of(keys[i], schema_key(keys[i], tenant, suffixes[i]));
    return result == ACCOUNTS_DONE ? run(accounts, unlink, COUNT_OF(unlink)) : result;
}
