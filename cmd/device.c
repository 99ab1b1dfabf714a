// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir device`: devices, their credentials and how they speak. A key is printed when it is made or given, and never
 * again: `show` and `list` say only that there is one.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/enrolment.h"
#include "cmd/keyring.h"
#include "cmd/speech.h"
#include "cmd/thing.h"
#include "codec/base64url.h"
#include "gateway/bulk.h"
#include "gateway/crypto.h"
#include "gateway/cumulative.h"
#include "gateway/history.h"
#include "gateway/rt/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A key that is made: 192 random bits as 32 characters, because many clients take keys as text only. */
#define MADE_KEY_RANDOM 24
#define MADE_KEY_LEN 32
#define TOTALS_MEMORY_BYTES ((size_t)1 << 20)
#define FRAME_KEY_OCTETS 16 /* AES-128; the id follows */

/* Adding: each take_ reads its options into the draft and returns an exit status. */

struct draft {
    struct device_record record;
    struct record_room room;
};

static struct credential *draft_credential(struct draft *draft, const char *id, enum credential_kind kind)
{
    struct credential *credential = &draft->room.credentials[draft->record.credential_count++];
    *credential = (struct credential){.kind = kind, .created_s = time(NULL)};
    strcpy(credential->id, id);
    draft->record.credentials = draft->room.credentials;
    return credential;
}

static int take_psk(const struct cli *cli, struct draft *ret)
{
    const char *hex = cli_value(cli, "--psk");
    bool other = cli_value(cli, "--x509") || cli_value(cli, "--rpk") || cli_value(cli, "--rpk-file");
    bool generate = cli_value(cli, "--psk-generate") != NULL;
    if (hex && generate)
        return cli_fail(cli, CLI_USAGE, "either --psk or --psk-generate");
    if (hex) {
        struct credential *psk = draft_credential(ret, "psk", CREDENTIAL_PSK);
        if (!secret_set_hex(&psk->secret, bytes_of_text(hex)))
            return cli_fail(cli, CLI_USAGE, "--psk needs 2 to %d hexadecimal digits, an even number", 2 * SECRET_MAX);
        return credential_is_acceptable(psk) ? CLI_OK : cli_fail(cli, CLI_USAGE, "--psk is nothing but zeros");
    }
    if (!generate && other)
        return CLI_OK;
    uint8_t random[MADE_KEY_RANDOM];
    char text[MADE_KEY_LEN];
    random_bytes(random, sizeof random);
    base64url_encode(bytes_of(random, sizeof random), text);
    secret_set(&draft_credential(ret, "psk", CREDENTIAL_PSK)->secret, bytes_of(text, sizeof text));
    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    return CLI_OK;
}

static int take_rpk(const struct cli *cli, struct draft *ret)
{
    const char *hex = cli_value(cli, "--rpk"), *path = cli_value(cli, "--rpk-file");
    struct secret digest = {0};
    if (hex && path)
        return cli_fail(cli, CLI_USAGE, "either --rpk or --rpk-file");
    if (!hex && !path)
        return CLI_OK;
    struct credential *rpk = draft_credential(ret, "rpk", CREDENTIAL_RPK);
    rpk->public_len = RECORD_DIGEST_BYTES;
    if (path)
        return keyring_read_digest(cli, path, rpk->public);
    if (!secret_set_hex(&digest, bytes_of_text(hex)) || digest.len != RECORD_DIGEST_BYTES)
        return cli_fail(cli, CLI_USAGE, "--rpk needs %d hexadecimal digits: SHA-256 of the SubjectPublicKeyInfo",
                        2 * RECORD_DIGEST_BYTES);
    memcpy(rpk->public, digest.octets, RECORD_DIGEST_BYTES);
    return CLI_OK;
}

static int take_x509(const struct cli *cli, struct draft *ret)
{
    char *name = ret->room.names[0];
    const char *given = cli_value(cli, "--x509");
    if (given && !given[0]) /* nothing would prove who the device is */
        return cli_fail(cli, CLI_USAGE, "--x509 \"\": a name of the certificate");
    int status = cli_take_text(cli, "--x509", CREDENTIAL_NAME_MAX, record_text_is_valid, name);
    if (status == CLI_OK && name[0])
        draft_credential(ret, "x509", CREDENTIAL_X509)->name = name;
    return status;
}

/* Key and id, one behind the other. */
static int take_frame_key(const struct cli *cli, struct draft *ret)
{
    const char *key = cli_value(cli, "--frame-key"), *id = cli_value(cli, "--frame-id");
    struct secret key_part = {0}, id_part = {0};
    if ((!key || !key[0]) && (!id || !id[0]))
        return CLI_OK;
    bool ok = key && id && secret_set_hex(&key_part, bytes_of_text(key)) &&
              secret_set_hex(&id_part, bytes_of_text(id)) && key_part.len == FRAME_KEY_OCTETS &&
              key_part.len + id_part.len >= RECORD_FRAME_KEY_MIN && key_part.len + id_part.len <= RECORD_FRAME_KEY_MAX;
    if (ok) {
        memcpy(key_part.octets + key_part.len, id_part.octets, id_part.len);
        key_part.len = (uint8_t)(key_part.len + id_part.len);
        draft_credential(ret, "frame_key", CREDENTIAL_FRAME)->secret = key_part;
    }
    secret_wipe(&key_part);
    return ok ? CLI_OK
              : cli_fail(cli, CLI_USAGE,
                         "--frame-key needs %d hexadecimal digits and --frame-id the node's whole id, %d "
                         "to %d of them",
                         2 * FRAME_KEY_OCTETS, 2 * (RECORD_FRAME_KEY_MIN - FRAME_KEY_OCTETS),
                         2 * (RECORD_FRAME_KEY_MAX - FRAME_KEY_OCTETS));
}

/* What `set` can change too, but for --concentrator. */
static int take_fields(struct cli *cli, struct draft *draft)
{
    struct device_record *ret = &draft->record;
    const struct cli_text texts[] = {
        {"--prefix", SCHEMA_DEVICE_MAX, record_prefix_is_valid, ret->prefix},
        {"--site", RECORD_SITE_MAX, record_text_is_valid, ret->site},
        {"--tags", RECORD_TAGS_MAX, record_tags_are_valid, ret->tags},
    };
    int status = cli_take_texts(cli, texts, sizeof texts / sizeof texts[0]);
    if (status == CLI_OK)
        status = take_frame_key(cli, draft);
    return status == CLI_OK ? speech_take_profile(cli, ret->tenant, ret->profile) : status;
}

/* Of people who come over DTLS; what a device has enrolled with is no role that a record may have. */
static int take_role(const struct cli *cli, struct device_record *ret)
{
    const char *role = cli_value(cli, "--role");
    if (!role || !role[0])
        return CLI_OK;
    if (!role_of_name(bytes_of_text(role), &ret->role) || ret->role == ROLE_BOOTSTRAP)
        return cli_fail(cli, CLI_USAGE, "--role \"%s\": device, viewer, operator or admin", role);
    return CLI_OK;
}

static int take_options(struct cli *cli, struct draft *ret)
{
    int status = take_role(cli, &ret->record);
    if (status == CLI_OK)
        status = take_psk(cli, ret);
    if (status == CLI_OK)
        status = take_rpk(cli, ret);
    if (status == CLI_OK)
        status = take_x509(cli, ret);
    if (status == CLI_OK)
        status = take_fields(cli, ret);
    ret->record.concentrator = cli_value(cli, "--concentrator") != NULL;
    return status;
}

static const struct credential *first_of(const struct device_record *record, enum credential_kind kind)
{
    for (size_t i = 0; i < record->credential_count; i++)
        if (record->credentials[i].kind == kind)
            return &record->credentials[i];
    return NULL;
}

static bool is_typeable(const struct secret *psk)
{
    for (size_t i = 0; i < psk->len; i++)
        if (psk->octets[i] <= ' ' || psk->octets[i] >= 0x7f || psk->octets[i] == '\'')
            return false;
    return true;
}

/*
 * The one place that shows a key: whoever adds the device has to bring it there. A key that begins with "-" needs no
 * care: coap-client takes what follows -k as its value (getopt), whatever it is.
 */
static void print_psk(const struct device_record *record, const struct secret *psk)
{
    printf("psk (hex): ");
    cli_put_hex(bytes_of(psk->octets, psk->len));
    putchar('\n');
    if (!is_typeable(psk)) {
        puts("coap-client takes keys as text only, and this one is not text; use it in the device, or --psk-generate");
        return;
    }
    printf("psk (text): %.*s\n", psk->len, (const char *)psk->octets);
    printf("try: coap-client-openssl -m post -u '%s/%s' -k '%.*s' -t 110 -e "
           "'[{\"n\":\"temp\",\"u\":\"Cel\",\"v\":21.5}]' "
           "coaps://127.0.0.1/obs\n",
           record->tenant, record->id, psk->len, (const char *)psk->octets);
    puts("Keep the key; it is not shown again.");
}

/* A replaced record is the same device: its tokens, which are no older than it, stay good. */
static void keep_age(struct cli *cli, struct device_record *record)
{
    struct device_record old;
    struct record_room room;
    if (accounts_get_device(&cli->accounts, bytes_of_text(record->tenant), bytes_of_text(record->id), &room, &old) ==
        ACCOUNTS_DONE)
        record->created_s = old.created_s;
    record_wipe_room(&room);
}

static int device_add(struct cli *cli)
{
    struct draft draft = {.record.created_s = time(NULL)};
    struct device_record *record = &draft.record;
    struct cli_name device;
    if (!cli_split_device(cli, cli->operands[0], &device))
        return CLI_USAGE;
    strcpy(record->tenant, device.tenant);
    strcpy(record->id, device.id);
    int status = take_options(cli, &draft);
    if (status == CLI_OK && cli_value(cli, "--replace"))
        keep_age(cli, record);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_device(&cli->accounts, record, cli_value(cli, "--replace") != NULL),
                           "device", cli->operands[0]);
    if (status == CLI_OK) {
        printf("device %s added\nidentity: %s\n", cli->operands[0], cli->operands[0]);
        const struct credential *psk = first_of(record, CREDENTIAL_PSK);
        if (psk)
            print_psk(record, &psk->secret);
    }
    record_wipe_room(&draft.room);
    return status;
}

/* Showing. */

static void print_digest(const struct credential *rpk)
{
    if (rpk)
        cli_put_hex(bytes_of(rpk->public, rpk->public_len));
}

/* Behind the key, which is never printed. */
static void print_frame_id(const struct credential *frame)
{
    if (frame && frame->secret.len > FRAME_KEY_OCTETS)
        cli_put_hex(bytes_of(frame->secret.octets + FRAME_KEY_OCTETS, frame->secret.len - FRAME_KEY_OCTETS));
}

/* What others may know of it; never a secret. */
static void print_public_part(const struct credential *credential)
{
    if (credential->name)
        printf(" %s", credential->name);
    if (credential->kind == CREDENTIAL_RPK) {
        putchar(' ');
        print_digest(credential);
    }
    if (credential->kind == CREDENTIAL_FRAME) {
        printf(" of id ");
        print_frame_id(credential);
    }
}

/* weir key list tells more. */
static void print_credential(const struct credential *credential)
{
    char until[32];
    printf("key:          %s (%s)", credential->id, credential_kind_name(credential->kind));
    print_public_part(credential);
    printf("%s%s%s\n", credential_is_good_at(credential, time(NULL)) ? "" : ", not good now",
           credential->not_after_s ? ", until " : "",
           credential->not_after_s ? cli_time_text(credential->not_after_s, until) : "");
}

static void print_json_keys(const struct device_record *record)
{
    printf(",\"keys\":[");
    for (size_t i = 0; i < record->credential_count; i++) {
        const struct credential *credential = &record->credentials[i];
        printf("%s{\"id\":\"%s\",\"kind\":\"%s\",\"not_before\":%lld,\"not_after\":%lld}", i ? "," : "",
               credential->id, credential_kind_name(credential->kind), (long long)credential->not_before_s,
               (long long)credential->not_after_s);
    }
    putchar(']');
}

static void print_record(const struct device_record *record)
{
    char time_text[32];
    printf("device:       %s/%s\n", record->tenant, record->id);
    printf("state:        %s\n", record->disabled ? "disabled" : "enabled");
    printf("created:      %s\n", cli_time_text(record->created_s, time_text));
    printf("prefix:       %s\n", record->prefix[0] ? record->prefix : record->id);
    printf("site:         %s\n", record->site);
    printf("tags:         %s\n", record->tags);
    printf("concentrator: %s\n", record->concentrator ? "yes" : "no");
    printf("role:         %s\n", role_name(record->role));
    if (record->group[0])
        printf("group:        %s\n", record->group);
    printf("profile:      %s\n", record->profile[0] ? record->profile : "none");
    for (size_t i = 0; i < record->credential_count; i++)
        print_credential(&record->credentials[i]);
    if (record->credential_count == 0)
        puts("key:          none");
}

/* Without the closing brace. */
static void print_json(const struct device_record *record)
{
    printf("{\"device\":");
    cli_put_json(record->id);
    printf(",\"disabled\":%s,\"concentrator\":%s", record->disabled ? "true" : "false",
           record->concentrator ? "true" : "false");
    cli_put_member("prefix", record->prefix[0] ? record->prefix : record->id);
    cli_put_member("site", record->site);
    cli_put_member("tags", record->tags);
    const struct credential *x509 = first_of(record, CREDENTIAL_X509), *frame = first_of(record, CREDENTIAL_FRAME);
    cli_put_member("x509", x509 ? x509->name : "");
    printf(",\"psk\":%s,\"rpk\":\"", first_of(record, CREDENTIAL_PSK) ? "true" : "false");
    print_digest(first_of(record, CREDENTIAL_RPK));
    printf("\",\"frame_key\":%s,\"frame_id\":\"", frame ? "true" : "false");
    print_frame_id(frame);
    putchar('"');
    cli_put_member("profile", record->profile);
    cli_put_member("role", role_name(record->role));
    cli_put_member("group", record->group);
    print_json_keys(record);
    printf(",\"created\":%lld", (long long)record->created_s);
}

/* How its deliveries stand; level: of the tenant, NULL: not known. */
struct delivery {
    const char *level;
    bool known;
    struct history history;
};

static struct delivery read_delivery(struct cli *cli, struct bytes tenant, struct bytes id, struct arena *arena)
{
    struct delivery delivery = {.known = true, .history.arena = arena};
    struct tenant_record record;
    struct history_question question;
    if (accounts_get_tenant(&cli->accounts, tenant, &record) == ACCOUNTS_DONE)
        delivery.level = delivery_level_name((enum delivery_level)record.level);
    for (enum history_part part = 0; part < HISTORY_PARTS && delivery.known; part++) {
        if (!history_ask(part, tenant, id, &delivery.history, &question))
            continue;
        const struct store_reply *reply = store_client_call(cli->accounts.client, question.arguments, question.count);
        delivery.known = reply && history_take(part, id, reply, &delivery.history);
    }
    return delivery;
}

static void print_totals(const struct history *history)
{
    char moment[32];
    for (size_t i = 0; i < history->total_count; i++) {
        const struct history_total *total = &history->totals[i];
        printf("counter:      %.*s %.*s (%s)\n", (int)total->name.len, (const char *)total->name.ptr,
               (int)total->total.len, (const char *)total->total.ptr, cli_time_text(total->time_s, moment));
    }
}

/* "12 (3-9, 14, 16-19)" */
static void print_missing(const struct seen *seen)
{
    printf("missing:      %llu", (unsigned long long)seen->missing);
    for (size_t i = 0; i < seen->range_count; i++) {
        printf("%s%llu", i ? ", " : " (", (unsigned long long)seen->ranges[i].lo);
        if (seen->ranges[i].hi > seen->ranges[i].lo)
            printf("-%llu", (unsigned long long)seen->ranges[i].hi);
    }
    puts(seen->range_count == 0 ? "" : seen->range_count == SEEN_RANGES_MAX ? ", ...)" : ")");
}

static void print_delivery(const struct delivery *delivery)
{
    const struct history *history = &delivery->history;
    const char *level = delivery->level ? delivery->level : "unknown";
    printf("level:        telemetry %s, alarm %s, action %s\n", level, level, level);
    if (!delivery->known) {
        puts("delivery:     unknown");
        return;
    }
    printf("identity:     %s\n", delivery_class_name(history_class(history)));
    printf("conflicts:    %u\n", history->conflicts);
    print_totals(history);
    if (!history->has_epoch)
        return;
    printf("sequence:     epoch %u, highest %llu\n", history->epoch, (unsigned long long)history->seen.highest);
    print_missing(&history->seen);
}

static void print_json_totals(const struct history *history)
{
    printf(",\"totals\":[");
    for (size_t i = 0; i < history->total_count; i++) {
        const struct history_total *total = &history->totals[i];
        char name[CUMULATIVE_NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)total->name.len, (const char *)total->name.ptr);
        printf("%s{\"name\":", i ? "," : "");
        cli_put_json(name);
        printf(",\"time\":%lld,\"total\":\"%.*s\"}", (long long)total->time_s, (int)total->total.len,
               (const char *)total->total.ptr);
    }
    putchar(']');
}

static void print_json_delivery(const struct delivery *delivery)
{
    const struct history *history = &delivery->history;
    const char *level = delivery->level ? delivery->level : "unknown";
    printf(",\"delivery_state\":\"%s\",\"delivery\":{\"level\":\"%s\",\"levels\":{\"telemetry\":\"%s\","
           "\"alarm\":\"%s\",\"action\":\"%s\"}",
           delivery->known ? "known" : "unknown", level, level, level, level);
    if (delivery->known)
        printf(",\"identity\":\"%s\",\"conflicts\":%u", delivery_class_name(history_class(history)),
               history->conflicts);
    if (delivery->known && history->has_epoch) {
        printf(",\"epoch\":%u,\"highest\":%llu,\"missing\":%llu,\"ranges\":[", history->epoch,
               (unsigned long long)history->seen.highest, (unsigned long long)history->seen.missing);
        for (size_t i = 0; i < history->seen.range_count; i++)
            printf("%s[%llu,%llu]", i ? "," : "", (unsigned long long)history->seen.ranges[i].lo,
                   (unsigned long long)history->seen.ranges[i].hi);
        putchar(']');
    }
    putchar('}');
    if (delivery->known)
        print_json_totals(history);
}

static enum accounts_result show(struct cli *cli, struct bytes tenant, struct bytes id)
{
    struct device_record record;
    struct record_room room;
    enum accounts_result result = accounts_get_device(&cli->accounts, tenant, id, &room, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    struct arena *arena = arena_new(TOTALS_MEMORY_BYTES);
    struct delivery delivery = read_delivery(cli, tenant, id, arena);
    if (cli_value(cli, "--json")) {
        print_json(&record);
        print_json_delivery(&delivery);
        puts("}");
    } else {
        print_record(&record);
        print_delivery(&delivery);
    }
    arena_free(arena);
    record_wipe_room(&room);
    return result;
}

static int device_show(struct cli *cli)
{
    return thing_do(cli, show);
}

static void append_word(char *text, size_t size, const char *word)
{
    size_t len = strlen(text);
    snprintf(text + len, size - len, " %s", word);
}

static void print_line(const struct device_record *record)
{
    char proofs[160] = "";
    for (enum credential_kind kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (first_of(record, kind))
            append_word(proofs, sizeof proofs, credential_kind_name(kind));
    if (record->concentrator)
        append_word(proofs, sizeof proofs, "concentrator");
    if (record->role != ROLE_DEVICE)
        append_word(proofs, sizeof proofs, role_name(record->role));
    if (record->group[0])
        append_word(proofs, sizeof proofs, "group");
    printf("%-32s %-8s %-15s %-16s %s%s%s%s\n", record->id, record->disabled ? "disabled" : "enabled", proofs,
           record->site, record->tags, record->profile[0] && record->tags[0] ? " " : "",
           record->profile[0] ? "profile=" : "", record->profile);
}

/* As it stands in a list, where nothing is told of its deliveries. */
static void print_json_alone(const struct device_record *record)
{
    print_json(record);
    putchar('}');
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    static void (*const print[])(const struct device_record *record) = {
        [THING_LINE] = print_line, [THING_JSON] = print_json_alone};
    struct device_record record;
    struct record_room room;
    enum accounts_result result = accounts_get_device(&cli->accounts, tenant, id, &room, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    fputs(form.before, stdout);
    print[form.shape](&record);
    record_wipe_room(&room);
    return result;
}

/* Changing. */

/* --concentrator of `set` has a value. */
static int take_concentrator(const struct cli *cli, struct device_record *ret)
{
    const char *text = cli_value(cli, "--concentrator");
    ret->concentrator = text && strcmp(text, "yes") == 0;
    if (!text || ret->concentrator || strcmp(text, "no") == 0)
        return CLI_OK;
    return cli_fail(cli, CLI_USAGE, "--concentrator \"%s\": yes or no", text);
}

/* The fields whose options were given, out of all of the record; an empty one is to go. */
static size_t fields_given(const struct cli *cli, const struct device_record *record,
                           char scratch[static RECORD_TEXT_MAX], struct record_field ret[static RECORD_FIELDS_MAX])
{
    static const char *const settable[][2] = {
        {"--prefix", "prefix"}, {"--site", "site"},           {"--tags", "tags"},
        {"--profile", "profile"}, {"--concentrator", "concentrator"},
    };
    struct record_field all[RECORD_FIELDS_MAX];
    size_t given = 0, count = record_of_device(record, NULL, all, scratch);
    for (size_t i = 0; i < sizeof settable / sizeof settable[0]; i++) {
        if (!cli_value(cli, settable[i][0]))
            continue;
        ret[given] = (struct record_field){bytes_of_text(settable[i][1]), bytes_of(NULL, 0)};
        for (size_t j = 0; j < count; j++)
            if (bytes_equal_text(all[j].name, settable[i][1]))
                ret[given].value = all[j].value;
        given++;
    }
    return given;
}

/* Its key is a credential, with a place of its own; an empty option takes it away. */
static enum accounts_result set_frame_key(struct cli *cli, const struct cli_name *device, const struct draft *draft)
{
    struct bytes tenant = bytes_of_text(device->tenant), id = bytes_of_text(device->id);
    const struct credential *frame = first_of(&draft->record, CREDENTIAL_FRAME);
    if (!cli_value(cli, "--frame-key"))
        return ACCOUNTS_DONE;
    if (frame)
        return accounts_put_credential(&cli->accounts, tenant, id, frame, true);
    enum accounts_result result =
        accounts_remove_credential(&cli->accounts, tenant, id, BYTES_LITERAL("frame_key"));
    return result == ACCOUNTS_NOT_FOUND ? ACCOUNTS_DONE : result;
}

static int device_set(struct cli *cli)
{
    struct draft draft = {0};
    struct device_record *record = &draft.record;
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct cli_name device;
    if (!cli_split_device(cli, cli->operands[0], &device))
        return CLI_USAGE;
    strcpy(record->tenant, device.tenant);
    int status = take_concentrator(cli, record);
    if (status == CLI_OK)
        status = take_fields(cli, &draft);
    size_t count = fields_given(cli, record, scratch, fields);
    bool sets_key = cli_value(cli, "--frame-key") != NULL;
    if (status == CLI_OK && count == 0 && !sets_key)
        status = cli_fail(cli, CLI_USAGE, "what is to be changed? See --help");
    if (status == CLI_OK && (count > 0 || sets_key))
        status = cli_judge(cli,
                           accounts_set_device_fields(&cli->accounts, bytes_of_text(device.tenant),
                                                      bytes_of_text(device.id), fields, count),
                           "device", cli->operands[0]);
    if (status == CLI_OK)
        status = cli_judge(cli, set_frame_key(cli, &device, &draft), "key of device", cli->operands[0]);
    if (status == CLI_OK)
        printf("device %s changed\n", cli->operands[0]);
    explicit_bzero(scratch, sizeof scratch);
    record_wipe_room(&draft.room);
    return status;
}

/* Import and export. */

#define IMPORT_CHUNK ((size_t)16 << 20) /* of one bulk_import, whose lines may exchange names; a line is shorter */

/* Whole lines of the file, chunk by chunk, into the report. Returns an exit status. */
static int import_file(struct cli *cli, FILE *file, const struct bulk_options *options, struct bulk_report *report)
{
    uint8_t *chunk = malloc(IMPORT_CHUNK);
    size_t held = 0, got;
    enum accounts_result result = chunk ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    while (result == ACCOUNTS_DONE && (got = fread(chunk + held, 1, IMPORT_CHUNK - held, file)) > 0) {
        held += got;
        const uint8_t *end = memrchr(chunk, '\n', held);
        size_t whole = end ? (size_t)(end + 1 - chunk) : held == IMPORT_CHUNK ? held : 0;
        if (whole)
            result = bulk_import(&cli->accounts, options, bytes_of(chunk, whole), report);
        held -= whole;
        memmove(chunk, chunk + whole, held);
    }
    if (result == ACCOUNTS_DONE && held)
        result = bulk_import(&cli->accounts, options, bytes_of(chunk, held), report);
    if (chunk)
        explicit_bzero(chunk, IMPORT_CHUNK);
    free(chunk);
    if (result == ACCOUNTS_DONE && ferror(file))
        return cli_fail(cli, CLI_REFUSED, "%s cannot be read to its end", cli->operands[1]);
    return cli_judge(cli, result, "devices of tenant", cli->operands[0]);
}

static int device_import(struct cli *cli)
{
    const char *path = cli->operands[1];
    struct bulk_report report = {0};
    if (!cli_tenant_is_valid(cli, cli->operands[0]))
        return CLI_USAGE;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    if (!file)
        return cli_fail(cli, CLI_REFUSED, "%s: %s", path, strerror(errno));
    struct bulk_options options = {.tenant = bytes_of_text(cli->operands[0]), .restores_times = true,
                                   .restores_key_times = true, .replaces = cli_value(cli, "--replace") != NULL,
                                   .role_max = ROLE_ADMIN, .now_s = time(NULL)};
    int status = import_file(cli, file, &options, &report);
    if (!is_stdin)
        fclose(file);
    for (size_t i = 0; i < report.refused && i < BULK_REFUSALS_MAX; i++)
        cli_put_line(stderr, "line %llu: %s%s%s", (unsigned long long)report.refusals[i].line,
                     report.refusals[i].error.pointer, report.refusals[i].error.pointer[0] ? ": " : "",
                     report.refusals[i].error.detail);
    printf("%llu devices added, %llu replaced, %llu lines refused\n", (unsigned long long)report.created,
           (unsigned long long)report.replaced, (unsigned long long)report.refused);
    return status == CLI_OK && report.refused ? CLI_REFUSED : status;
}

static bool print_lines(void *ctx, struct bytes lines)
{
    (void)ctx;
    return fwrite(lines.ptr, 1, lines.len, stdout) == lines.len;
}

static int device_export(struct cli *cli)
{
    if (!cli_tenant_is_valid(cli, cli->operands[0]))
        return CLI_USAGE;
    return cli_judge(cli,
                     bulk_export(&cli->accounts, bytes_of_text(cli->operands[0]),
                                 cli_value(cli, "--wrapped-secrets") != NULL, print_lines, NULL),
                     "devices of tenant", cli->operands[0]);
}

static const struct cli_option import_options[] = {
    {"--replace", NULL, "also devices that exist; a line without keys leaves theirs"},
    {NULL, NULL, NULL},
};

static const struct cli_option export_options[] = {
    {"--wrapped-secrets", NULL, "with keys, their secrets as this key-encryption key wraps them: a backup"},
    {NULL, NULL, NULL},
};

static const struct cli_option add_options[] = {
    {"--psk", "HEX", "pre-shared key, 2 to 128 hexadecimal digits"},
    {"--psk-generate", NULL, "make a key; the default without another credential"},
    {"--x509", "NAME", "certificate: SubjectAltName URI or DNS name, else CN"},
    {"--rpk", "HEXDIGEST", "raw public key: SHA-256 of its SubjectPublicKeyInfo"},
    {"--rpk-file", "FILE", "the same from a public key or certificate, PEM or DER"},
    {"--prefix", "P", "names it may write begin with this; \"*\": any; default: its id"},
    {"--site", "S", "building or house"},
    {"--tags", "A,B", "words without spaces"},
    {"--concentrator", NULL, "may write for the other devices of its tenant"},
    {"--role", "ROLE", "viewer, operator or admin: a person who comes over DTLS, limited to --site"},
    {"--profile", "P", "how it speaks: a profile or codec of the tenant, or a format"},
    {"--frame-key", "HEX", "key of its OpenTRV secure frames, 32 hexadecimal digits"},
    {"--frame-id", "HEX", "and the node's whole id, 12 to 16 of them"},
    {"--replace", NULL, "if it exists, make it anew with these options only"},
    {NULL, NULL, NULL},
};

static const struct cli_option set_options[] = {
    {"--prefix", "P", "names it may write begin with this; \"*\": any"},
    {"--site", "S", "building or house"},
    {"--tags", "A,B", "words without spaces"},
    {"--concentrator", "yes|no", "whether it may write for the other devices of its tenant"},
    {"--profile", "P", "how it speaks: a profile or codec of the tenant, or a format"},
    {"--frame-key", "HEX", "key of its OpenTRV secure frames, 32 hexadecimal digits"},
    {"--frame-id", "HEX", "and the node's whole id, 12 to 16 of them"},
    {NULL, NULL, NULL},
};

static const struct cli_option reject_options[] = {
    {"--forget", NULL, "forget that it asked: its serial number may be asked for again, by anybody"},
    {NULL, NULL, NULL},
};

static const struct thing_kind kind = {
    .name = "device",
    .all = "devices of",
    .split = cli_split_device,
    .list = accounts_list_devices,
    .print = print_one,
    .set_disabled = accounts_set_device_disabled,
    .if_disabled = "its sessions end within seconds",
    .remove = accounts_remove_device,
    .if_removed = "what it has sent stays; another under its id counts from where it likes",
};

static const struct cli_command commands[] = {
    {"add", "TENANT/ID", "add a device and print its key, once", add_options, device_add},
    {"list", "TENANT", "the tenant's devices", thing_json_options, thing_list},
    {"show", "TENANT/ID", "one device, without its secrets, and what is missing of it", thing_json_options,
     device_show},
    {"set", "TENANT/ID", "change single fields; an empty value (--site=) takes one away", set_options, device_set},
    {"disable", "TENANT/ID", "it may not speak any more; its sessions end", NULL, thing_disable},
    {"enable", "TENANT/ID", "takes that back", NULL, thing_enable},
    {"waiting", "TENANT", "devices that are enrolling", NULL, enrolment_waiting},
    {"approve", "TENANT/DEVICE", "one that waits gets its credential when it asks again; its serial number does too, "
     "if no other enrols with it", NULL, enrolment_approve},
    {"reject", "TENANT/DEVICE", "one that waits gets none", reject_options, enrolment_reject},
    {"remove", "TENANT/ID", "forget the device, its sequence numbers and its totals; what it sent stays", NULL, thing_remove},
    {"import", "TENANT FILE", "add devices from lines of JSON; - is standard input", import_options, device_import},
    {"export", "TENANT", "all devices as lines of JSON", export_options, device_export},
};

int cmd_device(int argc, char **argv)
{
    static const struct cli_group group = {
        "device", "devices, their credentials and rights", commands, sizeof commands / sizeof commands[0], &kind,
    };
    return cli_main(&group, argc, argv);
}
