// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A batch: lines become items until it is full, or until a line names a device, or something of weir:{T}:kids, that the
 * batch has already. So of what an item gets only one other thing of its batch is to be known: that the item which has
 * it gives it up, and is written, too (refuse_borrowers).
 *
 * In a cluster the commands of a batch go to the node of the tenant, which a plain call before has found; a slot that
 * moves in between ends the transaction with an error, and the batch is tried again. weir:changes lies on another node
 * and is told after.
 */
#include "gateway/bulk.h"

#include "codec/json.h"
#include "gateway/kids.h"
#include "gateway/resp.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 5
#define LINE_ARENA_BYTES ((size_t)1 << 20)
#define BATCH_ARENA_BYTES ((size_t)4 << 20)
#define LINE_MAX 32768
#define KEPT_BYTES ((size_t)1 << 20)
/* For those that wait, while they become fewer. A round writes BULK_BATCH of a chain at least, or what is left of one:
 * so this is for chains of any order, and a text that was made to go on for long ends. */
#define ROUNDS (2 * BULK_WAITING_MAX / BULK_BATCH)
#define KID_TAKEN "Another device has a signature key of this id."
#define SHOWN_TAKEN "Another device shows the same key or certificate name."
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

struct item {
    struct draft_device draft;
    uint64_t number;
    struct bytes line;
    char key[SCHEMA_KEY_MAX];
    bool is_stranger; /* if it does not exist */
    bool exists;
    struct draft_error refused; /* why it is not written; without detail: it is */
    struct kids_change kids;
    bool borrows[BULK_BATCH]; /* something of that item */
    const char *borrowed;     /* why it is refused if it cannot */
    bool waits;               /* refused because of a name that the holder has */
    char holder[SCHEMA_DEVICE_MAX + 1];
};

/* A line that another device's name is in the way of. */
struct late {
    struct bytes line;
    uint64_t number;
    char id[SCHEMA_DEVICE_MAX + 1], holder[SCHEMA_DEVICE_MAX + 1];
    bool taken; /* again */
};

struct import {
    struct accounts *accounts;
    const struct bulk_options *options;
    struct bulk_report *report;
    struct arena *arena; /* of one line */
    struct item *items;
    size_t count;
    struct item *judged; /* for is_given_up */
    struct late *late; /* BULK_WAITING_MAX */
    size_t late_count;
    bool may_wait;
    struct resp resp;
    size_t commands; /* in resp */
    bool broken;     /* out of memory while writing to resp */
    char set_key[SCHEMA_KEY_MAX], meta_key[SCHEMA_KEY_MAX], kids_key[SCHEMA_KEY_MAX];
    /* Of the replies. */
    size_t first_item; /* the place of the first item's reply */
    bool has_tenant;
    bool must_enter; /* what older records show is not in weir:{T}:kids yet */
    bool audited; /* something was written, and the audit has it */
    enum accounts_result result;
};

static void command(struct import *import, const struct bytes *arguments, size_t count)
{
    import->broken |= !resp_command(&import->resp, arguments, count);
    import->commands++;
}

static void begin_commands(struct import *import)
{
    if (import->resp.ptr)
        explicit_bzero(import->resp.ptr, import->resp.len);
    resp_clear(&import->resp, KEPT_BYTES);
    import->commands = 0;
}

static void refuse_line(struct bulk_report *report, uint64_t line, const struct draft_error *error)
{
    if (report->refused < BULK_REFUSALS_MAX)
        report->refusals[report->refused] = (struct bulk_refusal){line, *error};
    report->refused++;
}

/* Reading what is there. */

/* Of all, because what exists is not read yet: that is watched, and what others change while this is asked would be in
 * the way. */
static enum accounts_result look_for_strangers(struct import *import)
{
    const struct bulk_options *options = import->options;
    enum accounts_result result = ACCOUNTS_DONE;
    for (size_t i = 0; i < import->count && result == ACCOUNTS_DONE; i++) {
        struct item *item = &import->items[i];
        item->is_stranger = false;
        if (options->is_stranger)
            result = options->is_stranger(options->ctx, import->accounts, bytes_of_text(item->draft.record.id),
                                          &item->is_stranger);
    }
    return result;
}

static void ask(struct import *import)
{
    struct bytes watch[3 + BULK_BATCH] = {WORD("WATCH"), bytes_of_text(import->meta_key),
                                          bytes_of_text(import->kids_key)};
    struct bytes exists[] = {WORD("EXISTS"), bytes_of_text(import->meta_key)};
    begin_commands(import);
    for (size_t i = 0; i < import->count; i++)
        watch[3 + i] = bytes_of_text(import->items[i].key);
    command(import, watch, 3 + import->count);
    command(import, exists, COUNT_OF(exists));
    import->first_item = import->commands;
    for (size_t i = 0; i < import->count; i++) {
        const struct item *item = &import->items[i];
        struct bytes all[] = {WORD("HGETALL"), bytes_of_text(item->key)};
        command(import, all, COUNT_OF(all));
    }
}

/* Once the records are read. False: there is nothing to ask. */
static bool ask_kids(struct import *import)
{
    size_t names = 0;
    begin_commands(import);
    for (size_t i = 0; i < import->count; i++) {
        const struct kids_change *kids = &import->items[i].kids;
        struct bytes arguments[KIDS_ARGUMENTS_MAX];
        command(import, arguments, kids_ask(kids, arguments));
        names += kids->had_count + kids->wanted_count;
    }
    return names > 0;
}

static void refuse_item(struct item *item, const char *detail)
{
    item->refused = (struct draft_error){.detail = detail};
}

/* An id that is taken. */
static void refuse_taken(const struct import *import, struct item *item, const char *detail)
{
    refuse_item(item, import->options->sees ? "The id is taken." : detail);
}

/* The line as the device that it makes of what is there. */
static void judge(const struct import *import, struct item *item, const struct device_record *old)
{
    const struct bulk_options *options = import->options;
    if (old && options->sees && !options->sees(options->ctx, old))
        refuse_taken(import, item, NULL);
    else if (old && old->role > options->role_max)
        refuse_item(item, "It is not yours to replace.");
    else if (options->allows)
        options->allows(options->ctx, &item->draft.record, old, item->draft.has_keys, &item->refused);
}

/* What is there becomes part of the new record where the line leaves it as it is. */
static void merge(const struct import *import, struct item *item, const struct device_record *old)
{
    if (!item->draft.has_created || !import->options->restores_times)
        item->draft.record.created_s = old->created_s;
}

static void take_existing(const struct import *import, struct item *item, const struct store_reply *reply)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    struct record_room room;
    struct device_record old;
    size_t count = 0;
    item->exists = reply->type == STORE_LIST && reply->count > 0;
    item->kids.had_count = 0;
    item->waits = false;
    memset(item->borrows, 0, sizeof item->borrows);
    refuse_item(item, NULL);
    if (!item->exists) {
        judge(import, item, NULL);
        if (item->is_stranger && !item->refused.detail)
            refuse_taken(import, item, NULL);
        return;
    }
    for (size_t i = 0; i + 1 < reply->count && count < RECORD_FIELDS_MAX; i += 2)
        fields[count++] = (struct record_field){reply->items[i].text, reply->items[i + 1].text};
    if (!import->options->replaces) {
        refuse_taken(import, item, "There is such a device already.");
    } else if (!record_to_device(import->options->tenant, bytes_of_text(item->draft.record.id), fields, count,
                                 import->accounts->vault, &room, &old)) {
        refuse_taken(import, item, "What stands of it is damaged; remove it first.");
    } else {
        judge(import, item, &old);
        merge(import, item, &old);
        if (item->draft.has_keys)
            kids_lose(&item->kids, fields, count, (struct bytes){0});
        record_wipe_room(&room);
    }
}

/* Whether another item of the batch has the name and loses it, if it is written (refuse_borrowers). */
static bool is_given_up(void *ctx, const char *name, struct bytes holder)
{
    struct import *import = ctx;
    for (size_t i = 0; i < import->count; i++) {
        const struct item *lender = &import->items[i];
        if (!bytes_equal_text(holder, lender->draft.record.id) || !kids_gives_up(&lender->kids, name))
            continue;
        import->judged->borrows[i] = true;
        import->judged->borrowed = strchr(name, ':') ? SHOWN_TAKEN : KID_TAKEN;
        return true;
    }
    return false;
}

static void refuse_held(struct item *item, const char *detail, const char *holder)
{
    refuse_item(item, detail);
    item->waits = true;
    strcpy(item->holder, holder);
}

/* What an item was to get of one that is not written stays where it is. */
static void refuse_borrowers(struct import *import)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < import->count; i++) {
            struct item *item = &import->items[i];
            for (size_t k = 0; k < import->count && !item->refused.detail; k++)
                if (item->borrows[k] && import->items[k].refused.detail) {
                    refuse_held(item, item->borrowed, import->items[k].draft.record.id);
                    again = true;
                }
        }
    }
}

static void took_kids(void *ctx, size_t index, const struct store_reply *reply)
{
    struct import *import = ctx;
    struct item *item = &import->items[index];
    char holder[SCHEMA_DEVICE_MAX + 1];
    if (reply->type == STORE_ERROR)
        import->result = accounts_refused(import->accounts, reply->text);
    if (reply->type == STORE_ERROR || item->refused.detail)
        return;
    import->judged = item;
    switch (kids_judge(&item->kids, reply, holder)) {
    case ACCOUNTS_DONE:
        break;
    case ACCOUNTS_EXISTS:
        refuse_held(item, KID_TAKEN, holder);
        break;
    case ACCOUNTS_SAME_SECRET:
        refuse_held(item, SHOWN_TAKEN, holder);
        break;
    case ACCOUNTS_NOT_FOUND:
        import->must_enter = true;
        break;
    default:
        import->result = ACCOUNTS_BUSY;
    }
}

static void took_answer(void *ctx, size_t index, const struct store_reply *reply)
{
    struct import *import = ctx;
    if (reply->type == STORE_ERROR) {
        import->result = accounts_refused(import->accounts, reply->text);
    } else if (index == 1) {
        import->has_tenant = reply->integer > 0;
    } else if (index >= import->first_item) {
        take_existing(import, &import->items[index - import->first_item], reply);
    }
}

/* Writing. */

static void write_fields(struct import *import, const struct item *item)
{
    static const char *const plain[] = {"role", "prefix", "site", "tags", "group", "serial", "model", "profile"};
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct bytes set[2 + 2 * RECORD_FIELDS_MAX] = {WORD("HSET"), bytes_of_text(item->key)};
    struct bytes clear[2 + COUNT_OF(plain)] = {WORD("HDEL"), bytes_of_text(item->key)};
    struct bytes remove[] = {WORD("DEL"), bytes_of_text(item->key)};
    size_t count = record_of_device(&item->draft.record, import->accounts->vault, fields, scratch), set_count = 2;
    if (count == 0)
        import->result = ACCOUNTS_NOT_SEALED;
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        clear[2 + i] = bytes_of_text(plain[i]);
    if (item->exists && item->draft.has_keys)
        command(import, remove, COUNT_OF(remove));
    else if (item->exists)
        command(import, clear, COUNT_OF(clear));
    for (size_t i = 0; i < count; i++) {
        set[set_count++] = fields[i].name;
        set[set_count++] = fields[i].value;
    }
    command(import, set, set_count);
    explicit_bzero(scratch, sizeof scratch);
}

static void write_kids(struct import *import, const struct item *item,
                       size_t (*write)(const struct kids_change *, struct bytes[static KIDS_ARGUMENTS_MAX]))
{
    struct bytes arguments[KIDS_ARGUMENTS_MAX];
    size_t count = write(&item->kids, arguments);
    if (count)
        command(import, arguments, count);
}

static void write_audit(struct import *import)
{
    struct audit_command audit;
    audit_command(&(struct audit_deed){.action = "import", .object = SCHEMA_OBJECT_DEVICE,
                                       .tenant = import->options->tenant},
                  import->accounts->actor, import->accounts->audit_max, &audit);
    command(import, audit.arguments, audit.count);
}

static void write_change(struct import *import, const struct item *item)
{
    struct bytes arguments[] = {
        WORD("XADD"), WORD(SCHEMA_KEY_CHANGES), WORD("MAXLEN"), WORD("~"), WORD(SCHEMA_CHANGES_KEPT), WORD("*"),
        WORD(SCHEMA_CHANGE_OBJECT), WORD(SCHEMA_OBJECT_DEVICE),
        WORD(SCHEMA_CHANGE_TENANT), import->options->tenant,
        WORD(SCHEMA_CHANGE_ID), bytes_of_text(item->draft.record.id),
    };
    command(import, arguments, COUNT_OF(arguments));
}

static void write_all(struct import *import)
{
    struct bytes multi = WORD("MULTI"), exec = WORD("EXEC");
    struct bytes enter[2 + BULK_BATCH] = {WORD("SADD"), bytes_of_text(import->set_key)};
    size_t entered = 2;
    begin_commands(import);
    command(import, &multi, 1);
    for (size_t i = 0; i < import->count; i++) {
        struct item *item = &import->items[i];
        if (item->refused.detail)
            continue;
        write_fields(import, item);
        write_kids(import, item, kids_release);
        enter[entered++] = bytes_of_text(item->draft.record.id);
        if (!store_client_is_cluster(import->accounts->client))
            write_change(import, item);
    }
    for (size_t i = 0; i < import->count; i++)
        if (!import->items[i].refused.detail)
            write_kids(import, &import->items[i], kids_claim);
    command(import, enter, entered);
    if (!import->audited)
        write_audit(import);
    command(import, &exec, 1);
}

static void took_written(void *ctx, size_t index, const struct store_reply *reply)
{
    struct import *import = ctx;
    bool is_exec = index + 1 == import->commands;
    if (reply->type == STORE_ERROR && (import->result == ACCOUNTS_DONE || !is_exec))
        import->result = accounts_refused(import->accounts, reply->text);
    else if (is_exec && reply->type != STORE_LIST && import->result == ACCOUNTS_DONE)
        import->result = ACCOUNTS_BUSY;
    for (size_t i = 0; is_exec && reply->type == STORE_LIST && i < reply->count; i++)
        if (reply->items[i].type == STORE_ERROR)
            import->result = accounts_refused(import->accounts, reply->items[i].text);
}

static void took_told(void *ctx, size_t index, const struct store_reply *reply)
{
    struct import *import = ctx;
    (void)index;
    if (reply->type == STORE_ERROR)
        import->result = accounts_refused(import->accounts, reply->text);
}

static enum accounts_result hand_over(struct import *import,
                                      void (*took)(void *ctx, size_t index, const struct store_reply *reply))
{
    if (import->broken)
        return ACCOUNTS_AWAY;
    if (import->result != ACCOUNTS_DONE)
        return import->result;
    return store_client_pipeline(import->accounts->client, bytes_of(import->resp.ptr, import->resp.len),
                                 import->commands, took, import)
               ? import->result
               : ACCOUNTS_AWAY;
}

/* One plain call to a key, so that the client is at the node where that lies. */
static enum accounts_result go_to_key(struct import *import, const char *key)
{
    struct bytes exists[] = {WORD("EXISTS"), bytes_of_text(key)};
    if (!store_client_is_cluster(import->accounts->client))
        return ACCOUNTS_DONE;
    const struct store_reply *reply = store_client_call(import->accounts->client, exists, COUNT_OF(exists));
    if (!reply)
        return ACCOUNTS_AWAY;
    return reply->type == STORE_ERROR ? accounts_refused(import->accounts, reply->text) : ACCOUNTS_DONE;
}

static enum accounts_result tell_apart(struct import *import)
{
    if (!store_client_is_cluster(import->accounts->client))
        return ACCOUNTS_DONE;
    enum accounts_result result = go_to_key(import, SCHEMA_KEY_CHANGES);
    begin_commands(import);
    for (size_t i = 0; i < import->count; i++)
        if (!import->items[i].refused.detail)
            write_change(import, &import->items[i]);
    return result == ACCOUNTS_DONE && import->commands ? hand_over(import, took_told) : result;
}

static size_t count_good(const struct import *import)
{
    size_t good = 0;
    for (size_t i = 0; i < import->count; i++)
        good += !import->items[i].refused.detail;
    return good;
}

/* What decides, under WATCH. */
static enum accounts_result look(struct import *import)
{
    import->must_enter = false;
    import->result = go_to_key(import, import->meta_key);
    ask(import);
    enum accounts_result result = hand_over(import, took_answer);
    if (result == ACCOUNTS_DONE && import->has_tenant && ask_kids(import))
        result = hand_over(import, took_kids);
    refuse_borrowers(import);
    return result;
}

static enum accounts_result try_batch(struct import *import)
{
    struct bytes unwatch = WORD("UNWATCH");
    enum accounts_result result = look_for_strangers(import);
    if (result != ACCOUNTS_DONE)
        return result;
    result = look(import);
    if (result != ACCOUNTS_DONE) {
        if (result != ACCOUNTS_AWAY || import->broken)
            (void)store_client_call(import->accounts->client, &unwatch, 1);
        return result;
    }
    if (!import->has_tenant || import->must_enter || count_good(import) == 0) {
        (void)store_client_call(import->accounts->client, &unwatch, 1);
        if (!import->must_enter)
            return import->has_tenant ? ACCOUNTS_DONE : ACCOUNTS_NO_TENANT;
        result = kids_enter(import->accounts, import->options->tenant);
        return result == ACCOUNTS_DONE ? ACCOUNTS_BUSY : result;
    }
    write_all(import);
    result = hand_over(import, took_written);
    if (result == ACCOUNTS_NOT_SEALED || import->broken)
        (void)store_client_call(import->accounts->client, &unwatch, 1);
    import->audited |= result == ACCOUNTS_DONE;
    return result == ACCOUNTS_DONE ? tell_apart(import) : result;
}

/* False: there is no place, or nothing to wait for. */
static bool put_off(struct import *import, struct bytes line, uint64_t number, const char *id, const char *holder)
{
    if (!import->may_wait || import->late_count == BULK_WAITING_MAX)
        return false;
    struct late *late = &import->late[import->late_count++];
    *late = (struct late){.line = line, .number = number};
    strcpy(late->id, id);
    strcpy(late->holder, holder);
    return true;
}

static void count_item(struct import *import, const struct item *item)
{
    if (!item->refused.detail && item->exists)
        import->report->replaced++;
    else if (!item->refused.detail)
        import->report->created++;
    else if (!item->waits || !put_off(import, item->line, item->number, item->draft.record.id, item->holder))
        refuse_line(import->report, item->number, &item->refused);
}

static enum accounts_result flush(struct import *import)
{
    enum accounts_result result = import->count ? ACCOUNTS_BUSY : ACCOUNTS_DONE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++)
        result = try_batch(import);
    for (size_t i = 0; i < import->count; i++) {
        if (result == ACCOUNTS_DONE)
            count_item(import, &import->items[i]);
        record_wipe_room(&import->items[i].draft.room);
    }
    import->count = 0;
    return result;
}

static void name_keys(struct import *import, struct item *item)
{
    const struct device_record *record = &item->draft.record;
    kids_begin(import->options->tenant, bytes_of_text(record->id), &item->kids);
    kids_want(&item->kids, record->credentials, record->credential_count);
    item->kids.is_given_up = is_given_up;
    item->kids.ctx = import;
}

static bool have_name_in_common(const struct item *a, const struct item *b)
{
    for (size_t i = 0; i < a->kids.wanted_count; i++)
        for (size_t k = 0; k < b->kids.wanted_count; k++)
            if (strcmp(a->kids.wanted[i].text, b->kids.wanted[k].text) == 0)
                return true;
    return false;
}

/* Whether the batch has the device, or something that only one device has. */
static bool collides(const struct import *import, const struct item *item)
{
    for (size_t i = 0; i < import->count; i++)
        if (strcmp(import->items[i].draft.record.id, item->draft.record.id) == 0 ||
            have_name_in_common(&import->items[i], item))
            return true;
    return false;
}

/* A line into the draft. */
static bool read_line(struct import *import, struct bytes line, struct draft_device *draft, struct draft_error *reterr)
{
    const struct bulk_options *options = import->options;
    const struct format_limits limits = DRAFT_LIMITS;
    const struct node *map;
    struct refusal refusal = {.detail = "The line is too long."};
    struct draft_rules rules = {
        .payload = line, .arena = import->arena, .vault = import->accounts->vault, .now_s = options->now_s,
        .restores_times = options->restores_key_times, .takes_ended = true};
    arena_reset(import->arena);
    *reterr = (struct draft_error){.detail = NULL};
    draft_begin_device(draft, options->tenant);
    draft->record.created_s = options->now_s;
    if (line.len > LINE_MAX || !json_read(line, &limits, import->arena, &map, &refusal)) {
        reterr->detail = refusal.detail;
        return false;
    }
    if (!draft_read_device(map, &rules, true, draft, reterr))
        return false;
    if (!options->restores_times || !draft->has_created)
        draft->record.created_s = options->now_s;
    if (draft->record.role > options->role_max)
        *reterr = (struct draft_error){"/role", "It is above your own."};
    return reterr->detail == NULL;
}

static bool is_late(const struct import *import, const char *id)
{
    for (size_t i = 0; i < import->late_count; i++)
        if (strcmp(import->late[i].id, id) == 0)
            return true;
    return false;
}

static enum accounts_result take_line(struct import *import, struct bytes line, uint64_t number)
{
    struct item *item = &import->items[import->count];
    struct draft_error error;
    enum accounts_result result = ACCOUNTS_DONE;
    if (!read_line(import, line, &item->draft, &error)) {
        refuse_line(import->report, number, &error);
        return ACCOUNTS_DONE;
    }
    name_keys(import, item);
    if (collides(import, item)) {
        result = flush(import);
        if (result != ACCOUNTS_DONE || !read_line(import, line, &import->items[0].draft, &error))
            return result;
        item = &import->items[0];
        name_keys(import, item);
    }
    item->line = line;
    item->number = number;
    refuse_item(item, NULL);
    schema_key_of(item->key, import->options->tenant, SCHEMA_KIND_DEVICE, bytes_of_text(item->draft.record.id));
    if (is_late(import, item->draft.record.id)) {
        refuse_item(item, "An earlier line of this device waits for a name.");
        item->waits = true; /* the last line of a device is the last that is written */
        item->holder[0] = '\0';
        count_item(import, item);
        record_wipe_room(&item->draft.room);
        return ACCOUNTS_DONE;
    }
    import->count++;
    return import->count == BULK_BATCH ? flush(import) : ACCOUNTS_DONE;
}

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\r')
            return false;
    return true;
}

/* What still waits. */

static size_t find_late(const struct late *late, size_t count, const char *id)
{
    size_t at = 0;
    while (at < count && (late[at].taken || strcmp(late[at].id, id) != 0))
        at++;
    return at;
}

/* Each with those that it waits for behind it, in a batch of their own: so what goes round is written at once. */
static enum accounts_result take_again(struct import *import, struct late *late, size_t count)
{
    enum accounts_result result = ACCOUNTS_DONE;
    for (size_t first = 0; first < count && result == ACCOUNTS_DONE; first++) {
        if (!late[first].taken)
            result = flush(import);
        for (size_t at = late[first].taken ? count : first; at < count && result == ACCOUNTS_DONE;
             at = find_late(late, count, late[at].holder)) {
            late[at].taken = true;
            result = take_line(import, late[at].line, late[at].number);
        }
    }
    return result == ACCOUNTS_DONE ? flush(import) : result;
}

static enum accounts_result take_late(struct import *import)
{
    enum accounts_result result = ACCOUNTS_DONE;
    struct late *again = import->late_count ? calloc(BULK_WAITING_MAX, sizeof *again) : NULL;
    if (import->late_count && !again)
        return ACCOUNTS_AWAY;
    size_t before = SIZE_MAX;
    for (unsigned round = 1; import->late_count && result == ACCOUNTS_DONE; round++) {
        size_t count = import->late_count;
        memcpy(again, import->late, count * sizeof *again);
        import->late_count = 0;
        import->may_wait = round < ROUNDS && count < before;
        before = count;
        result = take_again(import, again, count);
    }
    free(again);
    return result;
}

static enum accounts_result take_lines(struct import *import, struct bytes text)
{
    enum accounts_result result = ACCOUNTS_DONE;
    while (text.len && result == ACCOUNTS_DONE) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        struct bytes line = bytes_of(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
        size_t taken = line.len + (end != NULL);
        text = bytes_of(text.ptr + taken, text.len - taken);
        import->report->lines++;
        if (!is_blank(line))
            result = take_line(import, line, import->report->lines);
    }
    if (result == ACCOUNTS_DONE)
        result = flush(import);
    return result == ACCOUNTS_DONE ? take_late(import) : result;
}

enum accounts_result bulk_import(struct accounts *accounts, const struct bulk_options *options, struct bytes text,
                                 struct bulk_report *report)
{
    struct import *import = calloc(1, sizeof *import);
    enum accounts_result result = ACCOUNTS_AWAY;
    if (import) {
        *import = (struct import){.accounts = accounts, .options = options, .report = report};
        import->may_wait = options->replaces; /* else no line takes anything from a device */
        import->items = calloc(BULK_BATCH, sizeof *import->items);
        import->late = calloc(BULK_WAITING_MAX, sizeof *import->late);
        import->arena = arena_new(LINE_ARENA_BYTES);
        schema_key(import->set_key, options->tenant, SCHEMA_SUFFIX_DEVICES);
        schema_key(import->meta_key, options->tenant, SCHEMA_SUFFIX_META);
        schema_key(import->kids_key, options->tenant, SCHEMA_SUFFIX_KIDS);
    }
    if (import && import->items && import->late && import->arena)
        result = take_lines(import, text);
    if (import) {
        begin_commands(import);
        resp_deinit(&import->resp);
        arena_free(import->arena);
        for (size_t i = 0; import->items && i < BULK_BATCH; i++)
            record_wipe_room(&import->items[i].draft.room);
        free(import->items);
        free(import->late);
    }
    free(import);
    return result;
}

/* Export. */

struct export {
    struct accounts *accounts;
    struct bytes tenant;
    bool seals;
    const struct accounts_ids *ids;
    size_t first; /* of the batch, in ids */
    struct arena *arena;
    struct builder lines;
    enum accounts_result result;
};

static void took_record(void *ctx, size_t index, const struct store_reply *reply)
{
    struct export *export = ctx;
    struct record_field fields[RECORD_FIELDS_MAX];
    struct record_room room;
    struct device_record record;
    struct report report;
    struct bytes line;
    size_t count = 0;
    if (reply->type == STORE_ERROR)
        export->result = ACCOUNTS_REFUSED;
    for (size_t i = 0; reply->type == STORE_LIST && i + 1 < reply->count && count < RECORD_FIELDS_MAX; i += 2)
        fields[count++] = (struct record_field){reply->items[i].text, reply->items[i + 1].text};
    if (count == 0) /* removed meanwhile */
        return;
    if (!record_to_device(export->tenant, bytes_of_text(export->ids->ids[export->first + index]), fields, count,
                          export->accounts->vault, &room, &record)) {
        export->result = export->result == ACCOUNTS_DONE ? ACCOUNTS_DAMAGED : export->result;
        return;
    }
    report_init(&report, export->arena, false);
    if (!draft_write_device(&report, &record, export->seals ? DRAFT_SEALED_KEYS : DRAFT_NO_KEYS,
                            export->accounts->vault))
        export->result = ACCOUNTS_NOT_SEALED;
    else if (!report_finish(&report, &line))
        export->result = ACCOUNTS_AWAY;
    else
        builder_put(&export->lines, line);
    builder_put_byte(&export->lines, '\n');
    record_wipe_room(&room);
}

static enum accounts_result export_batch(struct export *export, size_t count, struct bytes *ret)
{
    struct resp resp = {0};
    bool ok = true;
    char key[SCHEMA_KEY_MAX];
    arena_reset(export->arena);
    builder_init(&export->lines, export->arena, BULK_BATCH * 256);
    for (size_t i = 0; i < count; i++) {
        schema_key_of(key, export->tenant, SCHEMA_KIND_DEVICE, bytes_of_text(export->ids->ids[export->first + i]));
        struct bytes all[] = {WORD("HGETALL"), bytes_of_text(key)};
        ok &= resp_command(&resp, all, COUNT_OF(all));
    }
    ok = ok && store_client_pipeline(export->accounts->client, bytes_of(resp.ptr, resp.len), count, took_record,
                                     export);
    resp_deinit(&resp);
    return ok && builder_finish(&export->lines, ret) ? export->result : ACCOUNTS_AWAY;
}

enum accounts_result bulk_export(struct accounts *accounts, struct bytes tenant, bool seals,
                                 bool (*put)(void *ctx, struct bytes lines), void *ctx)
{
    struct accounts_ids ids = {0};
    enum accounts_result result = accounts_list_devices(accounts, tenant, &ids);
    struct export export = {.accounts = accounts, .tenant = tenant, .seals = seals, .ids = &ids,
                            .arena = arena_new(BATCH_ARENA_BYTES)};
    if (result == ACCOUNTS_DONE && !export.arena)
        result = ACCOUNTS_AWAY;
    for (; result == ACCOUNTS_DONE && export.first < ids.count; export.first += BULK_BATCH) {
        struct bytes lines = {0};
        size_t left = ids.count - export.first;
        result = export_batch(&export, left < BULK_BATCH ? left : BULK_BATCH, &lines);
        if (result == ACCOUNTS_DONE && !put(ctx, lines))
            result = ACCOUNTS_AWAY;
    }
    arena_free(export.arena);
    free(ids.ids);
    return result;
}
