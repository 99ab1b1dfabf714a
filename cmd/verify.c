// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * weir verify: whether evidence still holds. A stream's entries, one after the other, with the records beside them; or
 * one message in a file. It needs Redis, or a file, and keys; no gateway, no registry.
 */
#include "cmd/verify.h"

#include "cmd/commands.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE "20" /* entries of up to 16 MiB */
#define PAGE_ARENA ((size_t)512 << 20)
#define MESSAGE_ARENA ((size_t)512 << 20)
#define RECORDS_ARENA ((size_t)2 << 30)
#define FILE_MAX ((size_t)16 << 20)
#define BEFORE_MS 60000 /* the clock of Redis may go back */
#define WINDOW_S 600

struct verify {
    struct cli *cli;
    struct keyring keyring;
    struct verify_place place;
    struct arena *page;    /* entries that were read */
    struct arena *message; /* the one that is looked at */
    const char *device;    /* NULL: all */
    size_t results[VERIFY_RESULTS];
    size_t nameless;            /* not checked, and with no key that could be asked for */
    struct streaminfo_id first, last; /* of the entries whose records were read */
    bool is_first_pass;
    size_t message_room;
};

static const char *const words[VERIFY_RESULTS] = {
    [VERIFY_HOLDS] = "holds", [VERIFY_FAILS] = "DOES NOT HOLD", [VERIFY_NO_KEY] = "not checked"};

/* Texts come from whoever wrote into Redis. */
static void put_text(struct bytes text)
{
    for (size_t i = 0; i < text.len && i < SCHEMA_DEVICE_MAX; i++)
        putchar(text.ptr[i] > ' ' && text.ptr[i] < 0x7f ? text.ptr[i] : '?');
    if (text.len == 0)
        putchar('-');
}

static void put_verdict(struct verify *verify, const struct verify_entry *entry, const struct verify_verdict *message,
                        const struct verify_verdict *records)
{
    const struct verify_verdict *last = message->result == VERIFY_HOLDS ? records : message;
    printf("%llu-%llu  %s  ", (unsigned long long)entry->id.ms, (unsigned long long)entry->id.seq, words[last->result]);
    put_text(entry->fields[VERIFY_D]);
    putchar(' ');
    put_text(entry->fields[VERIFY_F]);
    putchar(':');
    put_text(entry->fields[VERIFY_K]);
    putchar(' ');
    put_text(entry->fields[VERIFY_M]);
    printf(": %s%s%s\n", message->why, last == records ? "; " : "", last == records ? records->why : "");
    verify->results[last->result]++;
    verify->nameless += last->result == VERIFY_NO_KEY && entry->fields[VERIFY_K].len == 0;
}

/* Entries of the stream. */

static bool copy_entry(struct verify *verify, const struct store_reply *reply, struct verify_entry *ret)
{
    static const struct bytes names[ENTRY_EVIDENCE_FIELDS] = {
#define X(name) {(const uint8_t *)#name, sizeof #name - 1},
        SCHEMA_EVIDENCE_FIELDS(X)
#undef X
    };
    *ret = (struct verify_entry){0};
    if (reply->type != STORE_LIST || reply->count != 2 || !streaminfo_parse_id(reply->items[0].text, &ret->id))
        return false;
    const struct store_reply *list = &reply->items[1];
    for (size_t i = 0; list->type == STORE_LIST && i + 1 < list->count; i += 2)
        for (size_t field = 0; field < ENTRY_EVIDENCE_FIELDS; field++)
            if (bytes_equal(list->items[i].text, names[field]) &&
                !arena_copy(verify->page, list->items[i + 1].text, &ret->fields[field]))
                return false;
    return true;
}

/* Before any is judged: whose records are to be read. False: out of memory. */
static bool note_entry(struct verify *verify, const struct verify_entry *entry)
{
    struct verify_place *place = &verify->place;
    if (place->message_count == verify->message_room) {
        size_t room = verify->message_room ? 2 * verify->message_room : 1024;
        void *messages = realloc(place->messages, room * sizeof *place->messages);
        if (!messages)
            return false;
        place->messages = messages;
        verify->message_room = room;
    }
    if (place->message_count == 0)
        verify->first = entry->id;
    verify->last = entry->id;
    return arena_copy(place->arena, entry->fields[VERIFY_M], &place->messages[place->message_count++]);
}

/* False: Redis did not answer. What came after the records were read is not judged: its records were not there yet. */
static bool check_entry(struct verify *verify, const struct verify_entry *entry)
{
    struct verify_verdict message_verdict, records_verdict;
    struct signed_message message;
    if (verify->is_first_pass)
        return note_entry(verify, entry);
    arena_reset(verify->message);
    verify_note_known(&verify->place, entry->fields[VERIFY_M]);
    if (streaminfo_compare(entry->id, verify->last) > 0)
        return true;
    if (verify->device && !bytes_equal_text(entry->fields[VERIFY_D], verify->device))
        return true;
    if (verify_message(entry, &verify->keyring, verify->message, &message, &message_verdict) &&
        !verify_records(&verify->place, entry, &message, verify->message, &records_verdict))
        return false;
    put_verdict(verify, entry, &message_verdict, &records_verdict);
    return true;
}

static int away(const struct verify *verify)
{
    return cli_fail(verify->cli, CLI_AWAY, "Redis did not answer, or an answer was too large");
}

static int check_page(struct verify *verify, const struct store_reply *reply, struct streaminfo_id *ret_last)
{
    size_t count = reply->count;
    arena_reset(verify->page);
    struct verify_entry *entries = arena_calloc(verify->page, count, sizeof *entries);
    for (size_t i = 0; i < count; i++)
        if (!entries || !copy_entry(verify, &reply->items[i], &entries[i]))
            return cli_fail(verify->cli, CLI_REFUSED, "an answer of Redis cannot be read");
    for (size_t i = 0; i < count; i++)
        if (!check_entry(verify, &entries[i]))
            return away(verify);
    *ret_last = entries[count - 1].id;
    return CLI_OK;
}

static int check_range(struct verify *verify, const char *key, const char *from, const char *to)
{
    char next[STREAMINFO_ID_MAX];
    struct bytes arguments[] = {BYTES_LITERAL("XRANGE"), bytes_of_text(key), bytes_of_text(from), bytes_of_text(to),
                                BYTES_LITERAL("COUNT"), BYTES_LITERAL(PAGE)};
    for (;;) {
        struct streaminfo_id last;
        const struct store_reply *reply = store_client_call(verify->place.client, arguments, 6);
        if (!reply)
            return away(verify);
        if (reply->type != STORE_LIST)
            return cli_fail(verify->cli, CLI_REFUSED, "Redis refused to read %s from %s to %s: %.*s", key, from, to,
                            (int)(reply->text.len < 120 ? reply->text.len : 120), (const char *)reply->text.ptr);
        if (reply->count == 0)
            return CLI_OK;
        int status = check_page(verify, reply, &last);
        if (status != CLI_OK)
            return status;
        arguments[2] = streaminfo_id_text("(", last, next);
    }
}

/* Records that say they were signed, of which there is no evidence. What is older than the evidence that
 * retention has left is not judged. */
static int check_orphans(struct verify *verify, const char *key)
{
    struct bytes arguments[] = {BYTES_LITERAL("XINFO"), BYTES_LITERAL("STREAM"), bytes_of_text(key)};
    const struct store_reply *reply = store_client_call(verify->place.client, arguments, 3);
    struct streaminfo info = {.length = 0};
    bool is_trimmed = false;
    if (!reply)
        return away(verify);
    if (streaminfo_parse(reply, &info))
        for (size_t at = 0; at + 1 < reply->count; at += 2)
            is_trimmed |= bytes_equal_text(reply->items[at].text, "entries-added") &&
                          (uint64_t)reply->items[at + 1].integer > info.length;
    for (size_t i = 0; i < verify->place.record_count; i++) {
        const struct verify_record *record = &verify->place.records[i];
        if (record->is_known || !verify_claims_signature(record) ||
            (verify->device && !bytes_equal_text(record->fields[0], verify->device)) ||
            (is_trimmed && (info.length == 0 || streaminfo_compare(record->id, info.first) < 0)))
            continue;
        printf("%llu-%llu  %s  ", (unsigned long long)record->id.ms, (unsigned long long)record->id.seq,
               words[VERIFY_FAILS]);
        put_text(record->fields[0]);
        printf(": a record says that it was signed, and there is no evidence of its message\n");
        verify->results[VERIFY_FAILS]++;
    }
    return CLI_OK;
}

/* Nothing that was checked is no proof of anything; nor is an entry that names no key, of which nobody can
 * say whether its key was forgotten. */
static int conclude(const struct verify *verify)
{
    printf("%zu hold, %zu do not, %zu not checked\n", verify->results[VERIFY_HOLDS], verify->results[VERIFY_FAILS],
           verify->results[VERIFY_NO_KEY]);
    return verify->results[VERIFY_FAILS] || verify->nameless || !verify->results[VERIFY_HOLDS] ? CLI_REFUSED : CLI_OK;
}

static int take_window(const struct verify *verify, uint64_t *ret_ms)
{
    const char *text = cli_value(verify->cli, "--window");
    *ret_ms = WINDOW_S * 1000;
    if (!text)
        return CLI_OK;
    if (!text[0] || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
        return cli_fail(verify->cli, CLI_USAGE, "--window \"%s\": seconds", text);
    *ret_ms = strtoull(text, NULL, 10) * 1000;
    return CLI_OK;
}

/* In three passes: what entries there are, their records, and whether they agree. */
static int check_all(struct verify *verify, const char *key, const char *from, const char *to)
{
    uint64_t window_ms;
    bool is_open = to[0] == '+' && !to[1], is_whole = is_open && from[0] == '-' && !from[1];
    struct streaminfo_id low = {0}, high = {UINT64_MAX, UINT64_MAX};
    int status = take_window(verify, &window_ms);
    verify->is_first_pass = true;
    if (status == CLI_OK)
        status = check_range(verify, key, from, to);
    verify->is_first_pass = false;
    if (status != CLI_OK || (verify->place.message_count == 0 && !is_whole))
        return status;
    if (!is_whole)
        low.ms = verify->first.ms > BEFORE_MS ? verify->first.ms - BEFORE_MS : 0;
    if (!is_open)
        high.ms = verify->last.ms + window_ms;
    if (!verify_read_records(&verify->place, low, high))
        return cli_fail(verify->cli, CLI_AWAY, "Redis did not answer, or the range has more than %zu signed records: "
                        "--from and --to take a part of it", VERIFY_RECORDS_MAX);
    status = check_range(verify, key, from, to);
    return status == CLI_OK && is_whole ? check_orphans(verify, key) : status;
}

static int take_format(struct verify *verify)
{
    const char *name = cli_value(verify->cli, "--format");
    verify->place.format = name ? format_by_name(bytes_of_text(name)) : NULL;
    if (!name || (verify->place.format && !verify->place.format->by_line))
        return CLI_OK;
    return cli_fail(verify->cli, CLI_USAGE, "--format \"%s\" is no format for one message; see docs/formats.md", name);
}

static int check_stream(struct verify *verify)
{
    const struct cli *cli = verify->cli;
    const char *tenant = cli->operands[0], *entry = cli_value(cli, "--entry"), *from = cli_value(cli, "--from"),
               *to = cli_value(cli, "--to");
    char key[SCHEMA_KEY_MAX];
    if (!tenant || (entry && (from || to)))
        return cli_fail(cli, CLI_USAGE, "needs TENANT, or --file; and --entry or --from and --to, not both");
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = take_format(verify);
    if (status == CLI_OK)
        status = cli_connect(verify->cli);
    if (status != CLI_OK)
        return status;
    if (!verify_find_streams(cli->accounts.client, bytes_of_text(tenant), &verify->place))
        return away(verify);
    schema_key(key, bytes_of_text(tenant), SCHEMA_SUFFIX_EVIDENCE);
    status = check_all(verify, key, entry ? entry : from ? from : "-", entry ? entry : to ? to : "+");
    return status == CLI_OK ? conclude(verify) : status;
}

/* One message in a file. */

static int check_file(struct verify *verify)
{
    const char *path = cli_value(verify->cli, "--file"), *form = cli_value(verify->cli, "--form");
    struct verify_entry entry = {.fields = {[VERIFY_F] = bytes_of_text(form ? form : "jws")}};
    struct verify_verdict verdict;
    struct signed_message message;
    size_t len;
    uint8_t *content = cli_read_file(verify->cli, path, FILE_MAX, &len);
    if (!content)
        return CLI_REFUSED;
    entry.fields[VERIFY_P] = bytes_of(content, len);
    bool holds = verify_message(&entry, &verify->keyring, verify->message, &message, &verdict);
    printf("%s  %s: %s", words[verdict.result], path, verdict.why);
    if (holds) {
        const char *type = format_media_type(message.content_format);
        printf(", key ");
        put_text(message.kid);
        printf(", %zu octets of %s", message.payload.len, type ? type : "a type that is not said");
    }
    putchar('\n');
    free(content);
    return holds ? CLI_OK : CLI_REFUSED;
}

static int run(struct cli *cli)
{
    struct verify *verify = calloc(1, sizeof *verify);
    if (!verify)
        return cli_fail(cli, CLI_REFUSED, "out of memory");
    verify->cli = cli;
    verify->device = cli_value(cli, "--device");
    verify->page = arena_new(PAGE_ARENA);
    verify->message = arena_new(MESSAGE_ARENA);
    verify->place.arena = arena_new(RECORDS_ARENA);
    int status = keyring_take(cli, &verify->keyring);
    if (status == CLI_OK && verify->keyring.count == 0)
        status = cli_fail(cli, CLI_USAGE, "needs keys: --key=FILE or --hex=DIGITS");
    if (status == CLI_OK && (!verify->page || !verify->message || !verify->place.arena))
        status = cli_fail(cli, CLI_REFUSED, "out of memory");
    if (status == CLI_OK)
        status = cli_value(cli, "--file") ? check_file(verify) : check_stream(verify);
    keyring_deinit(&verify->keyring);
    arena_free(verify->page);
    arena_free(verify->message);
    verify_drop_records(&verify->place);
    free(verify);
    return status;
}

static const struct cli_option options[] = {
    {"--key", "[KID=]FILE,...", "keys: PEM, DER, JWK; without KID for every entry of its algorithm"},
    {"--hex", "[KID=]DIGITS,...", "secrets in hexadecimal; others can see them while this runs"},
    {"--alg", "ALGORITHM", "of --hex: HS256 (or not given) or HS256/64"},
    {"--entry", "ID", "one entry of the stream"},
    {"--from", "ID", "the first entry; milliseconds alone will do"},
    {"--to", "ID", "the last entry"},
    {"--window", "SECONDS", "how long after the last entry its records are looked for; 600 if not given"},
    {"--device", "ID", "only what this device has signed"},
    {"--format", "NAME", "the format of payloads that do not say it, or that a profile names (docs/formats.md)"},
    {"--file", "FILE", "one message in a file, - for stdin, instead of the stream"},
    {"--form", "FORM", "of --file: jws (or not given), cose, hmac"},
    {NULL, NULL, NULL},
};

int cmd_verify(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"", "[TENANT]", "check the evidence of signed messages again; exit 1 if an entry does not hold", options, run},
    };
    static const struct cli_group group = {"verify", "whether what signed messages prove still holds",
                                           commands, 1, NULL};
    return cli_main_offline(&group, argc, argv);
}
