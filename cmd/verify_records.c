// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The records are read before the entries are judged: all that have the message id of an entry, wherever they stand in
 * the range, because one that was added later is as false as one that was changed; and all that say that they were
 * signed, because of those that no entry has the message nothing is proved.
 *
 * Compared are the names, units, kinds, values and sums, and the times that the device gave and no profile corrected.
 */
#include "cmd/verify.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE "1000"

/* Places in SCHEMA_OBS_FIELDS. */
enum { DEVICE = 0, NAME = 1, UNIT = 2, TIME = 3, SOURCE = 4, KIND = 5, VALUE = 6, SUM = 7 };
enum { EVIDENCE = 9, MESSAGE = 11, TYPE = 13 };

struct search {
    struct verify_place *place;
    const struct verify_entry *entry;
    struct verify_record *found; /* in place->records */
    size_t count;
    bool is_trimmed; /* some stream has let go of what was of that time */
};

/* Finding them. */

bool verify_find_streams(struct store_client *client, struct bytes tenant, struct verify_place *ret)
{
    char key[SCHEMA_KEY_MAX];
    size_t len = schema_key(key, tenant, SCHEMA_SUFFIX_STREAMS);
    struct bytes arguments[] = {BYTES_LITERAL("SMEMBERS"), bytes_of(key, len)};
    const struct store_reply *reply = store_client_call(client, arguments, 2);
    if (!reply)
        return false;
    ret->client = client;
    ret->stream_count = 0;
    schema_key(ret->streams[ret->stream_count++], tenant, SCHEMA_SUFFIX_OBS);
    schema_key(ret->streams[ret->stream_count++], tenant, SCHEMA_SUFFIX_CONFLICTS);
    for (size_t i = 0; reply->type == STORE_LIST && i < reply->count && ret->stream_count < VERIFY_STREAMS_MAX; i++) {
        struct bytes name = reply->items[i].text;
        if (schema_rule_stream_is_valid(name) && !bytes_equal_text(name, SCHEMA_SUFFIX_OBS))
            schema_key_of_stream(ret->streams[ret->stream_count++], tenant, name);
    }
    return true;
}

/* The value of a field of an entry's list; empty: it is not there. */
static struct bytes field_of(const struct store_reply *list, struct bytes name)
{
    for (size_t i = 0; list->type == STORE_LIST && i + 1 < list->count; i += 2)
        if (bytes_equal(list->items[i].text, name))
            return list->items[i + 1].text;
    return (struct bytes){0};
}

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_messages(const void *a, const void *b)
{
    return compare_bytes(*(const struct bytes *)a, *(const struct bytes *)b);
}

static int compare_records(const void *a, const void *b)
{
    const struct verify_record *x = a, *y = b;
    int order = compare_bytes(x->fields[MESSAGE], y->fields[MESSAGE]);
    return order ? order : streaminfo_compare(x->id, y->id);
}

bool verify_claims_signature(const struct verify_record *record)
{
    struct bytes evidence = record->fields[EVIDENCE];
    for (unsigned form = 0; form < SIGNED_FORMS; form++) {
        struct bytes word = bytes_of_text(signed_form_name((enum signed_form)form));
        if (bytes_starts_with(evidence, word) && (evidence.len == word.len || evidence.ptr[word.len] == ':'))
            return true;
    }
    return false;
}

static bool is_wanted(const struct verify_place *place, const struct verify_record *record)
{
    return verify_claims_signature(record) ||
           (place->message_count && bsearch(&record->fields[MESSAGE], place->messages, place->message_count,
                                            sizeof *place->messages, compare_messages));
}

static bool make_room(struct verify_place *place)
{
    if (place->record_count < place->record_room)
        return true;
    size_t room = place->record_room ? 2 * place->record_room : 1024;
    void *records = room > VERIFY_RECORDS_MAX ? NULL : realloc(place->records, room * sizeof *place->records);
    if (!records)
        return false;
    place->records = records;
    place->record_room = room;
    return true;
}

/* Keeps an entry if it is wanted. False: there is no room. */
static bool keep(struct verify_place *place, const struct store_reply *entry)
{
    struct verify_record record = {.is_known = false};
    const struct store_reply *list = entry->type == STORE_LIST && entry->count == 2 ? &entry->items[1] : NULL;
    if (!list || !streaminfo_parse_id(entry->items[0].text, &record.id))
        return true;
    for (size_t i = 0; i < ENTRY_FIELDS; i++)
        record.fields[i] = field_of(list, entry_names[i]);
    if (!is_wanted(place, &record))
        return true;
    for (size_t i = 0; i < ENTRY_FIELDS; i++)
        if (!arena_copy(place->arena, record.fields[i], &record.fields[i]))
            return false;
    if (!make_room(place))
        return false;
    place->records[place->record_count++] = record;
    return true;
}

/* False: Redis did not answer, or there is no room. */
static bool read_stream(struct verify_place *place, const char *key, struct streaminfo_id low,
                        struct streaminfo_id high)
{
    char from[STREAMINFO_ID_MAX], to[STREAMINFO_ID_MAX];
    struct streaminfo_id last;
    struct bytes arguments[] = {BYTES_LITERAL("XRANGE"), bytes_of_text(key), streaminfo_id_text("", low, from),
                                streaminfo_id_text("", high, to), BYTES_LITERAL("COUNT"), BYTES_LITERAL(PAGE)};
    for (;;) {
        const struct store_reply *reply = store_client_call(place->client, arguments, 6);
        if (!reply)
            return false;
        if (reply->type != STORE_LIST || reply->count == 0)
            return true;
        for (size_t i = 0; i < reply->count; i++)
            if (!keep(place, &reply->items[i]))
                return false;
        const struct store_reply *end = &reply->items[reply->count - 1];
        if (end->type != STORE_LIST || end->count == 0 || !streaminfo_parse_id(end->items[0].text, &last))
            return true;
        arguments[2] = streaminfo_id_text("(", last, from);
    }
}

bool verify_read_records(struct verify_place *place, struct streaminfo_id from, struct streaminfo_id to)
{
    if (place->message_count)
        qsort(place->messages, place->message_count, sizeof *place->messages, compare_messages);
    for (size_t i = 0; i < place->stream_count; i++)
        if (!read_stream(place, place->streams[i], from, to))
            return false;
    if (place->record_count)
        qsort(place->records, place->record_count, sizeof *place->records, compare_records);
    return true;
}

void verify_drop_records(struct verify_place *place)
{
    free(place->messages);
    free(place->records);
    arena_free(place->arena);
}

/* Those of a message stand together. Returns the first, or NULL. */
static struct verify_record *find_records(struct verify_place *place, struct bytes message, size_t *ret_count)
{
    size_t low = 0, high = place->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_bytes(place->records[middle].fields[MESSAGE], message) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < place->record_count && bytes_equal(place->records[end].fields[MESSAGE], message))
        end++;
    *ret_count = end - low;
    return end > low ? &place->records[low] : NULL;
}

void verify_note_known(struct verify_place *place, struct bytes message)
{
    size_t count;
    struct verify_record *found = find_records(place, message, &count);
    for (size_t i = 0; i < count; i++)
        found[i].is_known = true;
}

/* Whether retention has taken entries as old as this one. */
static bool look_for_trimming(struct search *search)
{
    for (size_t i = 0; i < search->place->stream_count && !search->is_trimmed; i++) {
        struct bytes arguments[] = {BYTES_LITERAL("XINFO"), BYTES_LITERAL("STREAM"),
                                    bytes_of_text(search->place->streams[i])};
        const struct store_reply *reply = store_client_call(search->place->client, arguments, 3);
        struct streaminfo info;
        if (!reply)
            return false;
        if (!streaminfo_parse(reply, &info))
            continue;
        for (size_t at = 0; at + 1 < reply->count; at += 2)
            if (bytes_equal_text(reply->items[at].text, "entries-added"))
                search->is_trimmed = reply->items[at + 1].type == STORE_INTEGER &&
                                     (uint64_t)reply->items[at + 1].integer > info.length &&
                                     (info.length == 0 || streaminfo_compare(search->entry->id, info.first) < 0);
    }
    return true;
}

/* Comparing. */

/* What is compared only if both sides have it from the device. */
static bool is_same_time(const struct bytes *found, const struct bytes *wanted, size_t *times)
{
    if (!bytes_equal_text(found[SOURCE], "d"))
        return true;
    *times += 1;
    return bytes_equal(found[SOURCE], wanted[SOURCE]) && bytes_equal(found[TIME], wanted[TIME]);
}

/* The name as it was signed, or NODE.NAME where the sender's words for its node had no device of their own. */
static bool is_same_name(struct bytes found, struct bytes wanted, struct bytes node)
{
    return bytes_equal(found, wanted) ||
           (node.len && found.len == node.len + 1 + wanted.len && bytes_starts_with(found, node) &&
            found.ptr[node.len] == '.' && memcmp(found.ptr + node.len + 1, wanted.ptr, wanted.len) == 0);
}

static bool is_same(const struct verify_record *found, const struct bytes *wanted, struct bytes node, size_t *times)
{
    static const unsigned equal_ones[] = {UNIT, KIND, VALUE, SUM, TYPE};
    for (size_t i = 0; i < sizeof equal_ones / sizeof equal_ones[0]; i++)
        if (!bytes_equal(found->fields[equal_ones[i]], wanted[equal_ones[i]]))
            return false;
    return is_same_name(found->fields[NAME], wanted[NAME], node) && is_same_time(found->fields, wanted, times);
}

/* A local name is of the device that signed. A name that begins with the id of another device is that
 * device's; which one a node's is, the registry says. */
static bool is_of_device(const struct verify_record *found, struct bytes device, struct bytes node)
{
    struct bytes filed = found->fields[DEVICE];
    return bytes_equal(filed, device) || node.len || (filed.len && bytes_starts_with(found->fields[NAME], filed));
}

/* They mostly stand in the order in which they were signed, so the search begins there. */
static bool match(struct search *search, size_t at, const struct bytes *wanted, struct bytes node, size_t *times)
{
    for (size_t i = 0; i < search->count; i++) {
        struct verify_record *found = &search->found[(at + i) % search->count];
        size_t time = 0;
        if (!found->is_matched && is_same(found, wanted, node, &time) &&
            is_of_device(found, search->entry->fields[VERIFY_D], node)) {
            *times += time;
            return found->is_matched = true;
        }
    }
    return false;
}

static bool compare_all(struct search *search, const struct observation_list *list, struct verify_verdict *verdict)
{
    struct entry_scratch scratch = {0};
    struct sink_message message = {.class = 't'};
    size_t times = 0, matched = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct sink_record record = {.observation = &list->items[i]};
        struct bytes wanted[ENTRY_FIELDS];
        if (entry_values(&message, &record, (struct bytes){0}, &scratch, wanted))
            matched += match(search, i, wanted, list->items[i].node, &times);
    }
    entry_scratch_deinit(&scratch);
    if (search->count > list->count)
        return verify_say(verdict, VERIFY_FAILS, "%zu records were signed, %zu are in the streams", list->count,
                          search->count);
    if (matched < search->count)
        return verify_say(verdict, VERIFY_FAILS, "%zu of %zu records are not as they were signed",
                          search->count - matched, search->count);
    if (matched == list->count)
        return verify_say(verdict, VERIFY_HOLDS, "%zu record%s as signed: names, units, values, %zu times", matched,
                          matched == 1 ? "" : "s", times);
    if (search->is_trimmed)
        return verify_say(verdict, VERIFY_HOLDS, "%zu of %zu records as signed, the others went by retention", matched,
                          list->count);
    return verify_say(verdict, VERIFY_FAILS, "%zu records were signed, %zu are in the streams", list->count, matched);
}

/* Formats whose payload alone says everything. A carrier (JSON, text) may be read by a profile: not known here. */
static const struct format *format_of(const struct verify_place *place, const struct signed_message *message)
{
    if (message->form == SIGNED_ENVELOPE)
        return format_by_content_format(CONTENT_FORMAT_FIELDS);
    const struct format *format = format_by_content_format(message->content_format);
    bool says_all = format && format->content_format >= CONTENT_FORMAT_SENML_JSON && !format->by_line;
    return says_all ? format : place->format;
}

/* "jws", or "jws:KID". */
static bool is_by(struct bytes evidence, const struct verify_entry *entry)
{
    struct bytes form = entry->fields[VERIFY_F], kid = entry->fields[VERIFY_K];
    if (kid.len == 0)
        return bytes_equal(evidence, form);
    return evidence.len == form.len + 1 + kid.len && bytes_starts_with(evidence, form) &&
           evidence.ptr[form.len] == ':' && memcmp(evidence.ptr + form.len + 1, kid.ptr, kid.len) == 0;
}

static bool judge(struct search *search, const struct format *format, const struct observation_list *list,
                  struct verify_verdict *verdict)
{
    for (size_t i = 0; i < search->count; i++)
        if (!is_by(search->found[i].fields[EVIDENCE], search->entry))
            return verify_say(verdict, VERIFY_FAILS, "a record names another signature than this one");
    if (format)
        return compare_all(search, list, verdict);
    if (search->count == 0 && !search->is_trimmed)
        return verify_say(verdict, VERIFY_FAILS, "none of its records is in the streams");
    return verify_say(verdict, VERIFY_HOLDS, "%zu records; what is in them was not compared, see --format",
                      search->count);
}

/* Relative times count from the receipt, to the second; they are not compared. */
static bool decode(const struct format *format, const struct verify_entry *entry, struct bytes payload,
                   struct arena *arena, struct observation_list *ret, struct verify_verdict *verdict)
{
    char digits[24] = "";
    struct bytes received = entry->fields[VERIFY_R];
    struct format_error error = {.detail = "It cannot be read."};
    memcpy(digits, received.ptr ? received.ptr : (const uint8_t *)"", received.len < 23 ? received.len : 23);
    struct format_input input = {
        .payload = payload,
        .now = {strtoll(digits, NULL, 10), 0},
        .limits = format->limits ? *format->limits : FORMAT_LIMITS_DEFAULT,
    };
    return outcome_is_success(format->decode(&input, arena, ret, &error)) ||
           verify_say(verdict, VERIFY_FAILS, "what was signed is no %s: %s", format->name,
                      error.detail ? error.detail : "it cannot be read");
}

bool verify_records(struct verify_place *place, const struct verify_entry *entry, const struct signed_message *message,
                    struct arena *arena, struct verify_verdict *verdict)
{
    struct search search = {.place = place, .entry = entry};
    const struct format *format = format_of(place, message);
    struct observation_list list = {0};
    search.found = find_records(place, entry->fields[VERIFY_M], &search.count);
    for (size_t i = 0; i < search.count; i++)
        search.found[i].is_matched = false;
    if (format && !decode(format, entry, message->payload, arena, &list, verdict))
        return true;
    if (!look_for_trimming(&search))
        return false;
    (void)judge(&search, format, &list, verdict);
    return true;
}
