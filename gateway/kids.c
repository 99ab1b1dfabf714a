// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names are read from the fields of records (record_peek_credential), never from what could be opened of them: a name
 * whose secret this vault does not open is the device's all the same.
 */
#include "gateway/kids.h"

#include "codec/hex.h"
#include "gateway/crypto.h"
#include "gateway/resp.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The field that says that all names are entered; no id of a key and no name begins with a colon. While they are being
 * entered it has 16 random digits. */
#define FIELD_ENTERED ":entered"
#define ENTERED_ALL "1"
#define ENTERED_SHARED "shared" /* and some names are of more than one device */
#define ENTERED_LEFT "left"     /* not any more: a name was given up that another device may show */
#define DIGITS 16

#define TRIES 5
#define PORTION 64 /* records that are watched, and entered, at a time */
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

bool kids_shown_name(const struct credential *credential, char ret[static KIDS_NAME_MAX + 1])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct bytes name = credential_name(credential), tenant, device;
    /* The name alone: a certificate shows all that any credential of its name says of it, and is of one device. */
    struct bytes shown = name.len ? name : bytes_of(credential->public, credential->public_len);
    if (credential_is_secret(credential->kind) || shown.len == 0 || credential_own_name(name, &tenant, &device) ||
        !crypto_sha256(shown, (struct bytes){0}, digest))
        return false;
    memcpy(ret, credential->kind == CREDENTIAL_RPK ? "rpk:" : name.len ? "crt:" : "pub:", 4);
    ret[4 + hex_write(bytes_of(digest, sizeof digest), ret + 4)] = '\0';
    return true;
}

size_t kids_names(const struct credential *credential, char ret[static KIDS_NAMES][KIDS_NAME_MAX + 1])
{
    size_t count = 0;
    if (credential_is_signature(credential->kind))
        strcpy(ret[count++], credential->id);
    return count + kids_shown_name(credential, ret[count]);
}

void kids_begin(struct bytes tenant, struct bytes device, struct kids_change *ret)
{
    ret->device = device;
    ret->had_count = ret->wanted_count = 0;
    ret->enters_anew = false;
    ret->is_given_up = NULL;
    schema_key(ret->key, tenant, SCHEMA_SUFFIX_KIDS);
}

void kids_want(struct kids_change *change, const struct credential *fresh, size_t count)
{
    char names[KIDS_NAMES][KIDS_NAME_MAX + 1];
    change->wanted_count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t found = kids_names(&fresh[i], names);
        for (size_t k = 0; k < found && change->wanted_count < KIDS_WANTED_MAX; k++)
            strcpy(change->wanted[change->wanted_count++].text, names[k]);
    }
}

static struct kids_name *find_had(struct kids_change *change, const char *name)
{
    for (size_t i = 0; i < change->had_count; i++)
        if (strcmp(change->had[i].text, name) == 0)
            return &change->had[i];
    return NULL;
}

/* What it loses and is to have again it keeps all the while. */
static bool is_wanted(const struct kids_change *change, const char *name)
{
    for (size_t i = 0; i < change->wanted_count; i++)
        if (strcmp(change->wanted[i].text, name) == 0)
            return true;
    return false;
}

bool kids_gives_up(const struct kids_change *change, const char *name)
{
    for (size_t i = 0; i < change->had_count; i++)
        if (strcmp(change->had[i].text, name) == 0)
            return change->had[i].writes && !is_wanted(change, name);
    return false;
}

/* Each name once: what any credential that stays shows is not lost. */
static void add_had(struct kids_change *change, const char *name, bool is_lost)
{
    struct kids_name *had = find_had(change, name);
    if (had) {
        had->writes &= is_lost;
    } else if (change->had_count < KIDS_LOST_MAX) {
        had = &change->had[change->had_count++];
        strcpy(had->text, name);
        had->writes = is_lost;
    }
}

bool kids_lose(struct kids_change *change, const struct record_field *fields, size_t count, struct bytes only)
{
    char names[KIDS_NAMES][KIDS_NAME_MAX + 1], name[CREDENTIAL_NAME_MAX + 1];
    struct credential credential;
    struct bytes id;
    bool found = false;
    change->had_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!record_is_credential_field(fields[i].name, &id))
            continue;
        bool is_lost = only.len == 0 || bytes_equal(id, only);
        found |= only.len && is_lost;
        if (record_peek_credential(&fields[i], name, &credential))
            for (size_t k = kids_names(&credential, names); k > 0; k--)
                add_had(change, names[k - 1], is_lost);
    }
    return found;
}

size_t kids_ask(const struct kids_change *change, struct bytes ret[static KIDS_ARGUMENTS_MAX])
{
    size_t count = 0;
    ret[count++] = WORD("HMGET");
    ret[count++] = bytes_of_text(change->key);
    ret[count++] = WORD(FIELD_ENTERED);
    for (size_t i = 0; i < change->had_count; i++)
        ret[count++] = bytes_of_text(change->had[i].text);
    for (size_t i = 0; i < change->wanted_count; i++)
        ret[count++] = bytes_of_text(change->wanted[i].text);
    return count;
}

static bool is_entered(struct bytes state)
{
    return bytes_equal_text(state, ENTERED_ALL) || bytes_equal_text(state, ENTERED_SHARED);
}

static void set_holder(struct bytes device, char holder[static SCHEMA_DEVICE_MAX + 1])
{
    holder[0] = '\0';
    if (!schema_device_is_valid(device))
        return;
    memcpy(holder, device.ptr, device.len);
    holder[device.len] = '\0';
}

enum accounts_result kids_judge(struct kids_change *change, const struct store_reply *reply,
                                char holder[static SCHEMA_DEVICE_MAX + 1])
{
    holder[0] = '\0';
    if (reply->type != STORE_LIST || reply->count != 1 + change->had_count + change->wanted_count)
        return ACCOUNTS_BUSY;
    struct bytes state = reply->items[0].text;
    if (change->wanted_count && !is_entered(state))
        return ACCOUNTS_NOT_FOUND;
    bool shares = bytes_equal_text(state, ENTERED_SHARED);
    bool says_left = shares || state.len == DIGITS;
    change->enters_anew = false;
    for (size_t i = 0; i < change->had_count; i++) {
        struct kids_name *had = &change->had[i];
        had->writes &= bytes_equal(reply->items[1 + i].text, change->device) && !is_wanted(change, had->text);
        change->enters_anew |= had->writes && says_left;
    }
    for (size_t i = 0; i < change->wanted_count; i++) {
        struct kids_name *name = &change->wanted[i];
        struct bytes found = reply->items[1 + change->had_count + i].text;
        name->writes = found.len == 0;
        if (name->writes || bytes_equal(found, change->device) || find_had(change, name->text))
            continue;
        name->writes = !shares && change->is_given_up && change->is_given_up(change->ctx, name->text, found);
        if (name->writes)
            continue;
        set_holder(found, holder);
        return strchr(name->text, ':') ? ACCOUNTS_SAME_SECRET : ACCOUNTS_EXISTS;
    }
    return ACCOUNTS_DONE;
}

size_t kids_release(const struct kids_change *change, struct bytes ret[static KIDS_ARGUMENTS_MAX])
{
    size_t count = 0;
    ret[count++] = WORD("HDEL");
    ret[count++] = bytes_of_text(change->key);
    for (size_t i = 0; i < change->had_count; i++)
        if (change->had[i].writes)
            ret[count++] = bytes_of_text(change->had[i].text);
    return count > 2 ? count : 0;
}

size_t kids_claim(const struct kids_change *change, struct bytes ret[static KIDS_ARGUMENTS_MAX])
{
    size_t count = 0;
    ret[count++] = WORD("HSET");
    ret[count++] = bytes_of_text(change->key);
    for (size_t i = 0; i < change->wanted_count; i++)
        if (change->wanted[i].writes) {
            ret[count++] = bytes_of_text(change->wanted[i].text);
            ret[count++] = change->device;
        }
    if (change->enters_anew) {
        ret[count++] = WORD(FIELD_ENTERED);
        ret[count++] = WORD(ENTERED_LEFT);
    }
    return count > 2 ? count : 0;
}

/* What older records show. HSETNX would do, but is no right that the user of an older weir has (docs/weir.acl). */

struct entering {
    struct accounts *accounts;
    struct bytes tenant;
    char key[SCHEMA_KEY_MAX];
    char (*ids)[SCHEMA_DEVICE_MAX + 1]; /* of the portion */
    size_t count;
    struct kids_change changes[PORTION]; /* had: what is shown; writes: it is to be entered */
    struct resp resp;
    size_t commands; /* in it */
    bool broken;     /* out of memory */
    bool shares;     /* some name is another device's */
    bool portion_shares;
    char digits[DIGITS + 1]; /* what the field has meanwhile */
    enum accounts_result result;
};

static void begin_commands(struct entering *entering)
{
    resp_clear(&entering->resp, SIZE_MAX);
    entering->commands = 0;
}

static void command(struct entering *entering, const struct bytes *arguments, size_t count)
{
    entering->broken |= !resp_command(&entering->resp, arguments, count);
    entering->commands++;
}

static enum accounts_result hand_over(struct entering *entering,
                                      void (*took)(void *ctx, size_t index, const struct store_reply *reply))
{
    entering->result = ACCOUNTS_DONE;
    return !entering->broken && store_client_pipeline(entering->accounts->client,
                                                      bytes_of(entering->resp.ptr, entering->resp.len),
                                                      entering->commands, took, entering)
               ? entering->result
               : ACCOUNTS_AWAY;
}

/* WATCH, then the records. What is no hash was not written by us, and nobody is found by it. */
static void took_record(void *ctx, size_t index, const struct store_reply *reply)
{
    struct entering *entering = ctx;
    struct record_field fields[RECORD_FIELDS_MAX];
    size_t count = 0;
    if (reply->type == STORE_ERROR && !bytes_starts_with(reply->text, WORD("WRONGTYPE")))
        entering->result = accounts_refused(entering->accounts, reply->text);
    if (reply->type != STORE_LIST || index == 0)
        return;
    for (size_t i = 0; i + 1 < reply->count && count < RECORD_FIELDS_MAX; i += 2)
        fields[count++] = (struct record_field){reply->items[i].text, reply->items[i + 1].text};
    kids_lose(&entering->changes[index - 1], fields, count, (struct bytes){0});
}

static enum accounts_result read_records(struct entering *entering)
{
    char keys[PORTION][SCHEMA_KEY_MAX];
    struct bytes watch[2 + PORTION] = {WORD("WATCH"), bytes_of_text(entering->key)};
    begin_commands(entering);
    for (size_t i = 0; i < entering->count; i++) {
        struct bytes id = bytes_of_text(entering->ids[i]);
        kids_begin(entering->tenant, id, &entering->changes[i]);
        schema_key_of(keys[i], entering->tenant, SCHEMA_KIND_DEVICE, id);
        watch[2 + i] = bytes_of_text(keys[i]);
    }
    command(entering, watch, 2 + entering->count);
    for (size_t i = 0; i < entering->count; i++) {
        struct bytes all[] = {WORD("HGETALL"), watch[2 + i]};
        command(entering, all, COUNT_OF(all));
    }
    return hand_over(entering, took_record);
}

static bool is_entered_before(struct entering *entering, size_t which, const char *name)
{
    for (size_t i = 0; i < which; i++) {
        const struct kids_name *had = find_had(&entering->changes[i], name);
        if (had && had->writes)
            return true;
    }
    return false;
}

/* Whose the names of one device are. */
static void took_holders(void *ctx, size_t index, const struct store_reply *reply)
{
    struct entering *entering = ctx;
    struct kids_change *change = &entering->changes[index];
    if (reply->type == STORE_ERROR)
        entering->result = accounts_refused(entering->accounts, reply->text);
    else if (reply->type != STORE_LIST || reply->count != 1 + change->had_count)
        entering->result = ACCOUNTS_BUSY;
    for (size_t i = 0; i < change->had_count && entering->result == ACCOUNTS_DONE; i++) {
        struct bytes holder = reply->items[1 + i].text;
        bool is_taken = is_entered_before(entering, index, change->had[i].text);
        change->had[i].writes = holder.len == 0 && !is_taken;
        entering->portion_shares |= is_taken || (holder.len && !bytes_equal(holder, change->device));
    }
}

static enum accounts_result read_holders(struct entering *entering)
{
    struct bytes arguments[KIDS_ARGUMENTS_MAX];
    begin_commands(entering);
    for (size_t i = 0; i < entering->count; i++)
        command(entering, arguments, kids_ask(&entering->changes[i], arguments));
    return hand_over(entering, took_holders);
}

static void took_entered(void *ctx, size_t index, const struct store_reply *reply)
{
    struct entering *entering = ctx;
    if (reply->type == STORE_ERROR && entering->result == ACCOUNTS_DONE)
        entering->result = accounts_refused(entering->accounts, reply->text);
    else if (index + 1 == entering->commands && reply->type != STORE_LIST && entering->result == ACCOUNTS_DONE)
        entering->result = ACCOUNTS_BUSY;
}

static enum accounts_result write_names(struct entering *entering)
{
    struct bytes multi = WORD("MULTI"), exec = WORD("EXEC");
    begin_commands(entering);
    command(entering, &multi, 1);
    for (size_t i = 0; i < entering->count; i++)
        for (size_t k = 0; k < entering->changes[i].had_count; k++) {
            const struct kids_name *had = &entering->changes[i].had[k];
            struct bytes enter[] = {WORD("HSET"), bytes_of_text(entering->key), bytes_of_text(had->text),
                                    entering->changes[i].device};
            if (had->writes)
                command(entering, enter, COUNT_OF(enter));
        }
    command(entering, &exec, 1);
    return hand_over(entering, took_entered);
}

static void unwatch(struct entering *entering, enum accounts_result result)
{
    struct bytes word = WORD("UNWATCH");
    const struct store_reply *ignored;
    if (result != ACCOUNTS_AWAY)
        (void)accounts_call(entering->accounts, &word, 1, &ignored);
}

static enum accounts_result try_portion(struct entering *entering)
{
    entering->portion_shares = false;
    enum accounts_result result = read_records(entering);
    if (result == ACCOUNTS_DONE)
        result = read_holders(entering);
    if (result == ACCOUNTS_DONE)
        return write_names(entering);
    unwatch(entering, result);
    return result;
}

/* The field as it is, until the next call. */
static enum accounts_result read_state(struct entering *entering, struct bytes *ret)
{
    struct bytes get[] = {WORD("HGET"), bytes_of_text(entering->key), WORD(FIELD_ENTERED)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(entering->accounts, get, COUNT_OF(get), &reply);
    *ret = result == ACCOUNTS_DONE && reply->type == STORE_TEXT ? reply->text : (struct bytes){0};
    return result;
}

/* Digits into the field, or those that somebody else who enters put there: they stand until a name is given up. */
static enum accounts_result begin_entering(struct entering *entering, bool *ret_entered)
{
    const struct store_reply *ignored;
    struct bytes state;
    uint64_t number;
    enum accounts_result result = read_state(entering, &state);
    *ret_entered = is_entered(state);
    if (result != ACCOUNTS_DONE || *ret_entered)
        return result;
    if (state.len == DIGITS) {
        memcpy(entering->digits, state.ptr, DIGITS);
        return ACCOUNTS_DONE;
    }
    if (getentropy(&number, sizeof number) != 0)
        return ACCOUNTS_AWAY;
    hex_write_number(number, entering->digits);
    struct bytes set[] = {WORD("HSET"), bytes_of_text(entering->key), WORD(FIELD_ENTERED),
                          bytes_of_text(entering->digits)};
    return accounts_call(entering->accounts, set, COUNT_OF(set), &ignored);
}

/*
 * A name that was given up after the portion of another one that shows it is nobody's now: then it was for nothing, and
 * ACCOUNTS_BUSY. Not if none was shared; so only who changes shared names hinders a large tenant's. And if the whole
 * hash went in between (an empty field), what was entered before went with it.
 */
static enum accounts_result end_entering(struct entering *entering)
{
    struct bytes watch[] = {WORD("WATCH"), bytes_of_text(entering->key)}, multi = WORD("MULTI"), exec = WORD("EXEC");
    struct bytes set[] = {WORD("HSET"), bytes_of_text(entering->key), WORD(FIELD_ENTERED),
                          entering->shares ? WORD(ENTERED_SHARED) : WORD(ENTERED_ALL)};
    const struct store_reply *ignored;
    struct bytes state = {0};
    enum accounts_result result = accounts_call(entering->accounts, watch, COUNT_OF(watch), &ignored);
    if (result == ACCOUNTS_DONE)
        result = read_state(entering, &state);
    bool is_done = is_entered(state); /* by somebody else */
    bool stands = bytes_equal_text(state, entering->digits) ||
                  (!entering->shares && bytes_equal_text(state, ENTERED_LEFT));
    if (result == ACCOUNTS_DONE && !is_done && !stands)
        result = ACCOUNTS_BUSY;
    if (result != ACCOUNTS_DONE || is_done) {
        unwatch(entering, result);
        return result;
    }
    begin_commands(entering);
    command(entering, &multi, 1);
    command(entering, set, COUNT_OF(set));
    command(entering, &exec, 1);
    return hand_over(entering, took_entered);
}

static enum accounts_result enter_all(struct entering *entering, const struct accounts_ids *ids)
{
    enum accounts_result result = ACCOUNTS_DONE;
    for (size_t first = 0; first < ids->count && result == ACCOUNTS_DONE; first += PORTION) {
        entering->ids = ids->ids + first;
        entering->count = ids->count - first < PORTION ? ids->count - first : PORTION;
        result = ACCOUNTS_BUSY;
        for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++)
            result = try_portion(entering);
        entering->shares |= entering->portion_shares;
    }
    if (result != ACCOUNTS_DONE)
        return result;
    result = ACCOUNTS_BUSY;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++)
        result = end_entering(entering);
    return result;
}

enum accounts_result kids_enter(struct accounts *accounts, struct bytes tenant)
{
    struct accounts_ids ids = {0};
    struct entering *entering = calloc(1, sizeof *entering);
    if (!entering)
        return ACCOUNTS_AWAY;
    *entering = (struct entering){.accounts = accounts, .tenant = tenant};
    schema_key(entering->key, tenant, SCHEMA_SUFFIX_KIDS);
    bool is_done = false;
    enum accounts_result result = begin_entering(entering, &is_done);
    if (result == ACCOUNTS_DONE && !is_done)
        result = accounts_list_devices(accounts, tenant, &ids);
    if (result == ACCOUNTS_DONE && !is_done)
        result = enter_all(entering, &ids);
    free(ids.ids);
    resp_deinit(&entering->resp);
    free(entering);
    return result;
}
