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

/* Of one without a record. */
static enum accounts_result is_in_use(const struct strangers *strangers, struct accounts *accounts, struct bytes id,
                                      bool *ret)
{
    struct timestamp ignored;
    char total_key[SCHEMA_KEY_MAX], enrolment_key[SCHEMA_KEY_MAX];
    const struct store_reply *reply = NULL;
    *ret = true;
    for (size_t i = 0; i < strangers->count; i++)
        if (glob_matches(bytes_of_text(strangers->patterns[i]), id))
            return ACCOUNTS_DONE;
    if (latest_newest(strangers->latest, tenant_of(strangers), id, &ignored))
        return ACCOUNTS_DONE;
    schema_key_of(total_key, tenant_of(strangers), SCHEMA_KIND_TOTAL, id);
    schema_key_of(enrolment_key, tenant_of(strangers), SCHEMA_KIND_ENROLMENT, id);
    struct bytes exists[] = {BYTES_LITERAL("EXISTS"), bytes_of_text(total_key), bytes_of_text(enrolment_key)};
    enum accounts_result result = accounts_call(accounts, exists, COUNT_OF(exists), &reply);
    *ret = result != ACCOUNTS_DONE || reply->integer > 0;
    return result;
}

static enum accounts_result is_outside(const struct strangers *strangers, struct accounts *accounts, struct bytes id,
                                       bool *ret)
{
    struct record_room room = {0};
    struct device_record record;
    enum accounts_result result = accounts_get_device(accounts, tenant_of(strangers), id, &room, &record);
    *ret = result != ACCOUNTS_DONE || !scope_has_device(strangers->scope, &record);
    record_wipe_room(&room);
    if (result == ACCOUNTS_NOT_FOUND)
        return is_in_use(strangers, accounts, id, ret);
    return result == ACCOUNTS_DAMAGED ? ACCOUNTS_DONE : result;
}

enum accounts_result strangers_have(const struct strangers *strangers, struct accounts *accounts, struct bytes id,
                                    bool *ret)
{
    char beside[STRANGERS_BESIDE_MAX][SCHEMA_DEVICE_MAX + 1];
    *ret = false;
    if (!scope_is_limited(strangers->scope))
        return ACCOUNTS_DONE;
    size_t count = strangers_beside(id, beside);
    enum accounts_result result = is_in_use(strangers, accounts, id, ret);
    for (size_t i = 0; i < count && result == ACCOUNTS_DONE && !*ret; i++)
        result = is_outside(strangers, accounts, bytes_of_text(beside[i]), ret);
    return result;
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
