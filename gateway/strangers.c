// SPDX-License-Identifier: GPL-3.0-or-later
/* What cannot be read is outside. Nothing is watched: what others make beside the id meanwhile came after it. */
#include "gateway/strangers.h"

#include "registry/glob.h"

#include <ctype.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct bytes tenant_of(const struct strangers *strangers)
{
    return bytes_of_text(strangers->scope->tenant);
}

/* Of a group or a batch: what is damaged is nobody's. */
static enum accounts_result take_pattern(struct strangers *strangers, enum accounts_result result, const char *pattern,
                                         const char *site)
{
    if (result == ACCOUNTS_DONE && !scope_has_site(strangers->scope, bytes_of_text(site)))
        strcpy(strangers->patterns[strangers->count++], pattern);
    return result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_DAMAGED ? ACCOUNTS_DONE : result;
}

static enum accounts_result read_group(struct strangers *strangers, struct accounts *accounts, struct bytes id)
{
    struct group_record group = {0};
    enum accounts_result result = accounts_get_group(accounts, tenant_of(strangers), id, &group);
    result = take_pattern(strangers, result, group.pattern, group.site);
    secret_wipe(&group.key);
    return result;
}

static enum accounts_result read_batch(struct strangers *strangers, struct accounts *accounts, struct bytes id)
{
    struct batch_record batch = {0};
    enum accounts_result result = accounts_get_batch(accounts, tenant_of(strangers), id, &batch);
    if (result != ACCOUNTS_DONE || strcmp(batch.pattern, "*") != 0)
        result = take_pattern(strangers, result, batch.pattern, batch.site);
    secret_wipe(&batch.secret);
    secret_wipe(&batch.claim);
    return result;
}

static enum accounts_result read_all(struct strangers *strangers, struct accounts *accounts,
                                     const struct accounts_ids *groups, const struct accounts_ids *batches)
{
    enum accounts_result result = ACCOUNTS_DONE;
    strangers->patterns = calloc(groups->count + batches->count + 1, sizeof *strangers->patterns);
    if (!strangers->patterns)
        return ACCOUNTS_AWAY;
    for (size_t i = 0; i < groups->count && result == ACCOUNTS_DONE; i++)
        result = read_group(strangers, accounts, bytes_of_text(groups->ids[i]));
    for (size_t i = 0; i < batches->count && result == ACCOUNTS_DONE; i++)
        result = read_batch(strangers, accounts, bytes_of_text(batches->ids[i]));
    return result;
}

enum accounts_result strangers_init(struct strangers *strangers, const struct scope *scope, struct latest *latest,
                                    struct accounts *accounts)
{
    struct accounts_ids groups = {0}, batches = {0};
    *strangers = (struct strangers){.scope = scope, .latest = latest};
    if (!scope_is_limited(scope))
        return ACCOUNTS_DONE;
    enum accounts_result result = accounts_list_groups(accounts, tenant_of(strangers), &groups);
    if (result == ACCOUNTS_DONE)
        result = accounts_list_batches(accounts, tenant_of(strangers), &batches);
    if (result == ACCOUNTS_DONE)
        result = read_all(strangers, accounts, &groups, &batches);
    free(groups.ids);
    free(batches.ids);
    return result;
}

void strangers_deinit(struct strangers *strangers)
{
    free(strangers->patterns);
    *strangers = (struct strangers){0};
}

/* An id and those beside it. in_memory: a pattern or a value says that it is in use, if there is no record of it. */
struct family {
    char ids[1 + STRANGERS_BESIDE_MAX][SCHEMA_DEVICE_MAX + 1];
    bool in_memory[1 + STRANGERS_BESIDE_MAX];
    size_t count;
};

static bool is_in_memory(const struct strangers *strangers, struct bytes id)
{
    struct timestamp ignored;
    for (size_t i = 0; i < strangers->count; i++)
        if (glob_matches(bytes_of_text(strangers->patterns[i]), id))
            return true;
    return latest_newest(strangers->latest, tenant_of(strangers), id, &ignored);
}

static void gather_family(const struct strangers *strangers, struct bytes id, struct family *ret)
{
    memcpy(ret->ids[0], id.ptr, id.len);
    ret->ids[0][id.len] = '\0';
    ret->count = 1 + strangers_beside(id, ret->ids + 1);
    for (size_t i = 0; i < ret->count; i++)
        ret->in_memory[i] = is_in_memory(strangers, bytes_of_text(ret->ids[i]));
}

/* Whether Redis has anything of these: a record (but not of the id itself, of which there is none), counters, or an
 * enrolment. */
static enum accounts_result ask_for(const struct strangers *strangers, struct accounts *accounts,
                                    const struct family *family, size_t first, size_t count, bool *ret)
{
    static const char *const kinds[] = {SCHEMA_KIND_DEVICE, SCHEMA_KIND_TOTAL, SCHEMA_KIND_ENROLMENT};
    char keys[COUNT_OF(kinds) * (1 + STRANGERS_BESIDE_MAX)][SCHEMA_KEY_MAX];
    struct bytes exists[1 + COUNT_OF(keys)] = {BYTES_LITERAL("EXISTS")};
    const struct store_reply *reply = NULL;
    size_t asked = 0;
    for (size_t i = first; i < first + count; i++)
        for (size_t k = i == 0; k < COUNT_OF(kinds); k++) {
            schema_key_of(keys[asked], tenant_of(strangers), kinds[k], bytes_of_text(family->ids[i]));
            exists[1 + asked] = bytes_of_text(keys[asked]);
            asked++;
        }
    enum accounts_result result = accounts_call(accounts, exists, 1 + asked, &reply);
    *ret = result != ACCOUNTS_DONE || reply->integer > 0;
    return result;
}

/* Of one that is in use, or has a record. */
static enum accounts_result judge(const struct strangers *strangers, struct accounts *accounts, struct bytes id,
                                  bool *ret)
{
    struct record_room room = {0};
    struct device_record record;
    enum accounts_result result = accounts_get_device(accounts, tenant_of(strangers), id, &room, &record);
    *ret = result != ACCOUNTS_DONE || !scope_has_device(strangers->scope, &record);
    record_wipe_room(&room);
    return result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_DAMAGED ? ACCOUNTS_DONE : result;
}

/* Mostly there is nothing, and one question says so; else it goes on by halves. */
static enum accounts_result look_at(const struct strangers *strangers, struct accounts *accounts,
                                    const struct family *family, size_t first, size_t count, bool *ret)
{
    bool in_use = false;
    size_t half = count / 2;
    for (size_t i = first; i < first + count; i++)
        in_use |= family->in_memory[i];
    enum accounts_result result = ACCOUNTS_DONE;
    if (!in_use)
        result = ask_for(strangers, accounts, family, first, count, &in_use);
    *ret = in_use;
    if (result != ACCOUNTS_DONE || !in_use || first + count == 1)
        return result;
    if (count == 1)
        return judge(strangers, accounts, bytes_of_text(family->ids[first]), ret);
    result = look_at(strangers, accounts, family, first, half, ret);
    if (result == ACCOUNTS_DONE && !*ret)
        result = look_at(strangers, accounts, family, first + half, count - half, ret);
    return result;
}

enum accounts_result strangers_have(const struct strangers *strangers, struct accounts *accounts, struct bytes id,
                                    bool *ret)
{
    struct family family;
    *ret = false;
    if (!scope_is_limited(strangers->scope))
        return ACCOUNTS_DONE;
    gather_family(strangers, id, &family);
    *ret = family.in_memory[0];
    return *ret ? ACCOUNTS_DONE : look_at(strangers, accounts, &family, 0, family.count, ret);
}

static size_t put_in_case(struct bytes id, int (*convert)(int), char ret[static SCHEMA_DEVICE_MAX + 1])
{
    for (size_t i = 0; i < id.len; i++)
        ret[i] = (char)convert(id.ptr[i]);
    ret[id.len] = '\0';
    return !bytes_equal_text(id, ret);
}

size_t strangers_beside(struct bytes id, char ret[static STRANGERS_BESIDE_MAX][SCHEMA_DEVICE_MAX + 1])
{
    size_t count = put_in_case(id, tolower, ret[0]);
    count += put_in_case(id, toupper, ret[count]);
    for (size_t len = 1; len < id.len; len++) {
        if (!memchr(":._-", id.ptr[len], 4))
            continue;
        memcpy(ret[count], id.ptr, len);
        ret[count++][len] = '\0';
    }
    return count;
}
