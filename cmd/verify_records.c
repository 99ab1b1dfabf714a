// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Evidence and records are appended in one step, so their ids are of the same millisecond, or a little apart where
 * Redis is old or its clock went back: the records are looked for there first, then around it, then far around it.
 *
 * Compared are the names, units, kinds, values and sums, and the times that the device gave and no profile corrected.
 */
#include "cmd/verify.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE "1000"
#define FOUND_MAX 8192

/* Places in SCHEMA_OBS_FIELDS. */
enum { NAME = 1, UNIT = 2, TIME = 3, SOURCE = 4, KIND = 5, VALUE = 6, SUM = 7, EVIDENCE = 9, MESSAGE = 11, TYPE = 13 };

struct found {
    struct bytes fields[ENTRY_FIELDS];
    bool is_matched;
};

struct search {
    const struct verify_place *place;
    const struct verify_entry *entry;
    struct arena *arena;
    struct found *found;
    size_t count;
    bool is_overfull;
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

/* Keeps an entry if it is of the message. False: out of memory. */
static bool keep(struct search *search, const struct store_reply *entry)
{
    const struct store_reply *list = entry->type == STORE_LIST && entry->count == 2 ? &entry->items[1] : NULL;
    if (!list || !bytes_equal(field_of(list, entry_names[MESSAGE]), search->entry->fields[VERIFY_M]))
        return true;
    if (search->count == FOUND_MAX) {
        search->is_overfull = true;
        return true;
    }
    struct found *found = &search->found[search->count++];
    found->is_matched = false;
    for (size_t i = 0; i < ENTRY_FIELDS; i++)
        if (!arena_copy(search->arena, field_of(list, entry_names[i]), &found->fields[i]))
            return false;
    return true;
}

/* False: Redis did not answer, or there is no memory. */
static bool search_stream(struct search *search, const char *key, uint64_t window_ms)
{
    char from[STREAMINFO_ID_MAX], to[STREAMINFO_ID_MAX];
    struct streaminfo_id id = search->entry->id, last;
    struct streaminfo_id low = {id.ms > window_ms ? id.ms - window_ms : 0, 0}, high = {id.ms + window_ms, UINT64_MAX};
    struct bytes arguments[] = {BYTES_LITERAL("XRANGE"), bytes_of_text(key), streaminfo_id_text("", low, from),
                                streaminfo_id_text("", high, to), BYTES_LITERAL("COUNT"), BYTES_LITERAL(PAGE)};
    for (;;) {
        const struct store_reply *reply = store_client_call(search->place->client, arguments, 6);
        if (!reply)
            return false;
        if (reply->type != STORE_LIST || reply->count == 0)
            return true;
        for (size_t i = 0; i < reply->count; i++)
            if (!keep(search, &reply->items[i]))
                return false;
        const struct store_reply *end = &reply->items[reply->count - 1];
        if (end->type != STORE_LIST || end->count == 0 || !streaminfo_parse_id(end->items[0].text, &last))
            return true;
        arguments[2] = streaminfo_id_text("(", last, from);
    }
}

static bool search_streams(struct search *search, uint64_t window_ms)
{
    search->count = 0;
    for (size_t i = 0; i < search->place->stream_count; i++)
        if (!search_stream(search, search->place->streams[i], window_ms))
            return false;
    return true;
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

static bool is_same(const struct found *found, const struct bytes *wanted, struct bytes node, size_t *times)
{
    static const unsigned equal_ones[] = {UNIT, KIND, VALUE, SUM, TYPE};
    for (size_t i = 0; i < sizeof equal_ones / sizeof equal_ones[0]; i++)
        if (!bytes_equal(found->fields[equal_ones[i]], wanted[equal_ones[i]]))
            return false;
    return is_same_name(found->fields[NAME], wanted[NAME], node) && is_same_time(found->fields, wanted, times);
}

/* They mostly stand in the order in which they were signed, so the search begins there. */
static bool match(struct search *search, size_t at, const struct bytes *wanted, struct bytes node, size_t *times)
{
    for (size_t i = 0; i < search->count; i++) {
        struct found *found = &search->found[(at + i) % search->count];
        size_t time = 0;
        if (!found->is_matched && is_same(found, wanted, node, &time)) {
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
    if (search->count > list->count || search->is_overfull)
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

bool verify_records(const struct verify_place *place, const struct verify_entry *entry,
                    const struct signed_message *message, struct arena *arena, struct verify_verdict *verdict)
{
    static const uint64_t windows_ms[] = {0, 20, 60000};
    struct search search = {.place = place, .entry = entry, .arena = arena,
                            .found = arena_calloc(arena, FOUND_MAX, sizeof *search.found)};
    const struct format *format = format_of(place, message);
    struct observation_list list = {0};
    if (!search.found)
        return false;
    if (format && !decode(format, entry, message->payload, arena, &list, verdict))
        return true;
    for (size_t i = 0; i < sizeof windows_ms / sizeof windows_ms[0]; i++) {
        if (!search_streams(&search, windows_ms[i]))
            return false;
        if (judge(&search, format, &list, verdict))
            return true;
    }
    if (!look_for_trimming(&search))
        return false;
    if (search.is_trimmed) {
        for (size_t i = 0; i < search.count; i++)
            search.found[i].is_matched = false;
        (void)judge(&search, format, &list, verdict);
    }
    return true;
}
