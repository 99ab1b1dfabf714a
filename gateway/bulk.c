// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A batch: lines become items until it is full, or until a line names a device, or something of weir:{T}:kids, that the
 * batch has already, so that within a batch nothing depends on another item.
 *
 * In a cluster the commands of a batch go to the node of the tenant, which a plain call before has found; a slot that
 * moves in between ends the transaction with an error, and the batch is tried again. weir:changes lies on another node
 * and is told after.
 */
#include "gateway/bulk.h"

#include "codec/json.h"
#include "gateway/resp.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 5
#define LINE_ARENA_BYTES ((size_t)1 << 20)
#define BATCH_ARENA_BYTES ((size_t)4 << 20)
#define LINE_MAX 32768
#define KEPT_BYTES ((size_t)1 << 20)
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

#define NAMES_MAX (ACCOUNTS_KIDS_NAMES * CREDENTIALS_MAX)

struct item {
    struct draft_device draft;
    uint64_t line;
    char key[SCHEMA_KEY_MAX];
    bool exists;
    struct draft_error refused; /* why it is not written; without detail: it is */
    char names[NAMES_MAX][ACCOUNTS_KIDS_NAME_MAX + 1]; /* of its keys, in kids */
    size_t name_count;
    char gone[2 * RECORD_FIELDS_MAX][ACCOUNTS_KIDS_NAME_MAX + 1]; /* that it has in kids, and loses or gets again */
    size_t gone_count;
};

#define ASKED_MAX (BULK_BATCH * NAMES_MAX)

struct import {
    struct accounts *accounts;
    const struct bulk_options *options;
    struct bulk_report *report;
    struct arena *arena; /* of one line */
    struct item *items;
    size_t count;
    struct resp resp;
    size_t commands; /* in resp */
    bool broken;     /* out of memory while writing to resp */
    char set_key[SCHEMA_KEY_MAX], meta_key[SCHEMA_KEY_MAX], kids_key[SCHEMA_KEY_MAX];
    /* Of the replies. */
    size_t first_item; /* the place of the first item's reply */
    bool has_tenant;
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

static void ask(struct import *import)
{
    size_t asked = 2;
    struct bytes watch[3 + BULK_BATCH] = {WORD("WATCH"), bytes_of_text(import->meta_key),
                                          bytes_of_text(import->kids_key)};
    struct bytes exists[] = {WORD("EXISTS"), bytes_of_text(import->meta_key)};
    struct bytes kids[2 + ASKED_MAX] = {WORD("HMGET"), bytes_of_text(import->kids_key)};
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
        for (size_t k = 0; k < item->name_count; k++)
            kids[asked++] = bytes_of_text(item->names[k]);
    }
    if (asked > 2)
        command(import, kids, asked);
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
    for (size_t i = 0; i < old->credential_count && item->draft.has_keys; i++)
        item->gone_count += accounts_kids_names(&old->credentials[i], &item->gone[item->gone_count]);
}

static void take_existing(const struct import *import, struct item *item, const struct store_reply *reply)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    struct record_room room;
    struct device_record old;
    size_t count = 0;
    item->exists = reply->type == STORE_LIST && reply->count > 0;
    item->gone_count = 0;
    refuse_item(item, NULL);
    if (!item->exists) {
        judge(import, item, NULL);
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
        record_wipe_room(&room);
    }
}

/* In the order in which they were asked for. */
static void take_kids(struct import *import, const struct store_reply *reply)
{
    size_t at = 0;
    for (size_t i = 0; i < import->count; i++) {
        struct item *item = &import->items[i];
        for (size_t k = 0; k < item->name_count && at < reply->count; k++, at++) {
            struct bytes owner = reply->items[at].text;
            if (owner.len && !bytes_equal_text(owner, item->draft.record.id) && !item->refused.detail)
                refuse_item(item, strchr(item->names[k], ':') ? "Another device shows the same key or certificate name."
                                                              : "Another device has a signature key of this id.");
        }
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
        size_t at = index - import->first_item;
        if (at < import->count)
            take_existing(import, &import->items[at], reply);
        else
            take_kids(import, reply);
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

static void write_kids(struct import *import, struct item *item)
{
    const struct device_record *record = &item->draft.record;
    struct accounts_kids kids;
    accounts_kids_of(import->options->tenant, bytes_of_text(record->id), record->credentials, record->credential_count,
                     item->gone, item->gone_count, &kids);
    if (kids.gone_count)
        command(import, kids.gone, kids.gone_count);
    if (kids.claimed_count)
        command(import, kids.claimed, kids.claimed_count);
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
        write_kids(import, item);
        enter[entered++] = bytes_of_text(item->draft.record.id);
        if (!store_client_is_cluster(import->accounts->client))
            write_change(import, item);
    }
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

static enum accounts_result try_batch(struct import *import)
{
    struct bytes unwatch = WORD("UNWATCH");
    import->result = go_to_key(import, import->meta_key);
    ask(import);
    enum accounts_result result = hand_over(import, took_answer);
    if (result != ACCOUNTS_DONE)
        return result;
    if (!import->has_tenant || count_good(import) == 0) {
        (void)store_client_call(import->accounts->client, &unwatch, 1);
        return import->has_tenant ? ACCOUNTS_DONE : ACCOUNTS_NO_TENANT;
    }
    write_all(import);
    result = hand_over(import, took_written);
    if (result == ACCOUNTS_NOT_SEALED || import->broken)
        (void)store_client_call(import->accounts->client, &unwatch, 1);
    import->audited |= result == ACCOUNTS_DONE;
    return result == ACCOUNTS_DONE ? tell_apart(import) : result;
}

static enum accounts_result flush(struct import *import)
{
    enum accounts_result result = import->count ? ACCOUNTS_BUSY : ACCOUNTS_DONE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++)
        result = try_batch(import);
    for (size_t i = 0; i < import->count; i++) {
        struct item *item = &import->items[i];
        if (result == ACCOUNTS_DONE && item->refused.detail)
            refuse_line(import->report, item->line, &item->refused);
        else if (result == ACCOUNTS_DONE && item->exists)
            import->report->replaced++;
        else if (result == ACCOUNTS_DONE)
            import->report->created++;
        record_wipe_room(&item->draft.room);
    }
    import->count = 0;
    return result;
}

static void name_keys(struct item *item)
{
    const struct device_record *record = &item->draft.record;
    item->name_count = 0;
    for (size_t i = 0; i < record->credential_count; i++)
        item->name_count += accounts_kids_names(&record->credentials[i], &item->names[item->name_count]);
}

static bool have_name_in_common(const struct item *a, const struct item *b)
{
    for (size_t i = 0; i < a->name_count; i++)
        for (size_t k = 0; k < b->name_count; k++)
            if (strcmp(a->names[i], b->names[k]) == 0)
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

static enum accounts_result take_line(struct import *import, struct bytes line)
{
    struct item *item = &import->items[import->count];
    struct draft_error error;
    enum accounts_result result = ACCOUNTS_DONE;
    if (!read_line(import, line, &item->draft, &error)) {
        refuse_line(import->report, import->report->lines, &error);
        return ACCOUNTS_DONE;
    }
    name_keys(item);
    if (collides(import, item)) {
        result = flush(import);
        if (result != ACCOUNTS_DONE || !read_line(import, line, &import->items[0].draft, &error))
            return result;
        item = &import->items[0];
        name_keys(item);
    }
    item->line = import->report->lines;
    refuse_item(item, NULL);
    schema_key_of(item->key, import->options->tenant, SCHEMA_KIND_DEVICE, bytes_of_text(item->draft.record.id));
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
            result = take_line(import, line);
    }
    return result == ACCOUNTS_DONE ? flush(import) : result;
}

enum accounts_result bulk_import(struct accounts *accounts, const struct bulk_options *options, struct bytes text,
                                 struct bulk_report *report)
{
    struct import *import = calloc(1, sizeof *import);
    enum accounts_result result = ACCOUNTS_AWAY;
    if (import) {
        *import = (struct import){.accounts = accounts, .options = options, .report = report};
        import->items = calloc(BULK_BATCH, sizeof *import->items);
        import->arena = arena_new(LINE_ARENA_BYTES);
        schema_key(import->set_key, options->tenant, SCHEMA_SUFFIX_DEVICES);
        schema_key(import->meta_key, options->tenant, SCHEMA_SUFFIX_META);
        schema_key(import->kids_key, options->tenant, SCHEMA_SUFFIX_KIDS);
    }
    if (import && import->items && import->arena)
        result = take_lines(import, text);
    if (import) {
        begin_commands(import);
        resp_deinit(&import->resp);
        arena_free(import->arena);
        for (size_t i = 0; import->items && i < BULK_BATCH; i++)
            record_wipe_room(&import->items[i].draft.room);
        free(import->items);
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
