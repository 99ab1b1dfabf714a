// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir spool show`: one message in words. The MessagePack is read as gateway/parcel.h has it; what is not of that
 * form is said to be so, never guessed. Texts come from devices: what is not printable is shown as \xNN.
 */
#include "cmd/spool_command.h"
#include "gateway/parcel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELDS_OF_VERSION_1 12 /* of a record: without w and y */

enum kind { KIND_STRING, KIND_NUMBER, KIND_ARRAY };

struct value {
    enum kind kind;
    struct bytes string;
    uint64_t number; /* also the length of an array */
};

static struct bytes skip(struct bytes from, size_t octets)
{
    return bytes_of(from.ptr + octets, from.len - octets);
}

/* A big-endian number of so many octets. */
static bool take_number(struct bytes *from, unsigned octets, uint64_t *ret)
{
    if (from->len < octets)
        return false;
    *ret = 0;
    for (unsigned i = 0; i < octets; i++)
        *ret = *ret << 8 | from->ptr[i];
    *from = skip(*from, octets);
    return true;
}

/* What gateway/msgpack writes. False: the end, or something else. */
static bool take(struct bytes *from, struct value *ret)
{
    static const struct form {
        uint8_t first, last;
        enum kind kind;
        unsigned octets; /* of the number behind the type; 0: it is in the type */
    } forms[] = {{0x00, 0x7f, KIND_NUMBER, 0}, {0x90, 0x9f, KIND_ARRAY, 0},  {0xa0, 0xbf, KIND_STRING, 0},
                 {0xcc, 0xcc, KIND_NUMBER, 1}, {0xcd, 0xcd, KIND_NUMBER, 2}, {0xce, 0xce, KIND_NUMBER, 4},
                 {0xcf, 0xcf, KIND_NUMBER, 8}, {0xd9, 0xd9, KIND_STRING, 1}, {0xda, 0xda, KIND_STRING, 2},
                 {0xdb, 0xdb, KIND_STRING, 4}, {0xdc, 0xdc, KIND_ARRAY, 2},  {0xdd, 0xdd, KIND_ARRAY, 4}};
    if (from->len == 0)
        return false;
    uint8_t type = from->ptr[0];
    const struct form *form = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (type >= forms[i].first && type <= forms[i].last)
            form = &forms[i];
    if (!form)
        return false;
    *from = skip(*from, 1);
    *ret = (struct value){.kind = form->kind, .number = (uint64_t)(type - form->first)};
    if (form->octets && !take_number(from, form->octets, &ret->number))
        return false;
    if (form->kind != KIND_STRING)
        return true;
    if (ret->number > from->len)
        return false;
    ret->string = bytes_of(from->ptr, (size_t)ret->number);
    *from = skip(*from, ret->string.len);
    return true;
}

static bool take_string(struct bytes *from, struct bytes *ret)
{
    struct value value;
    bool ok = take(from, &value) && value.kind == KIND_STRING;
    *ret = ok ? value.string : (struct bytes){0};
    return ok;
}

static bool take_array(struct bytes *from, uint64_t *ret_count)
{
    struct value value;
    bool ok = take(from, &value) && value.kind == KIND_ARRAY;
    *ret_count = ok ? value.number : 0;
    return ok;
}

static void put_text(struct bytes text)
{
    putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '"' || c == '\\' || c < ' ' || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('"');
}

/* [stream, values of the fixed fields, name, value, ...]; fixed: how many fields this message's version has. */
static bool put_record(struct bytes *from, uint64_t fixed)
{
    static const char *const names[] = {
#define X(name) #name,
        SCHEMA_OBS_FIELDS(X)
#undef X
    };
    uint64_t count;
    struct bytes name, value;
    if (!take_array(from, &count) || count < 1 + fixed || (count - 1 - fixed) % 2 ||
        !take_string(from, &value))
        return false;
    printf("  %.*s", (int)value.len, (const char *)value.ptr);
    for (uint64_t at = 0; at < count - 1; at++) {
        bool is_fixed = at < fixed;
        name = is_fixed ? bytes_of_text(names[at]) : (struct bytes){0};
        if ((!is_fixed && !take_string(from, &name)) || !take_string(from, &value))
            return false;
        at += !is_fixed;
        printf(" %.*s=", (int)name.len, (const char *)name.ptr);
        put_text(value);
    }
    putchar('\n');
    return true;
}

/* The number of a record, octets before its local name, its reading, its modulus. */
static bool put_counters(struct bytes *from)
{
    uint64_t count;
    if (!take_array(from, &count) || count % 4)
        return false;
    for (uint64_t i = 0; i < count / 4; i++) {
        struct value record, skipped;
        struct bytes reading, modulus;
        if (!take(from, &record) || record.kind != KIND_NUMBER || !take(from, &skipped) ||
            skipped.kind != KIND_NUMBER || !take_string(from, &reading) || !take_string(from, &modulus))
            return false;
        printf("counter:     record %" PRIu64 " reads ", record.number);
        put_text(reading);
        if (modulus.len) {
            fputs(", modulus ", stdout);
            put_text(modulus);
        }
        putchar('\n');
    }
    return true;
}

/* [m, d, f, k, ct, r, p, v] of a signed message. */
static bool put_evidence(struct bytes *from)
{
    enum { DEVICE = 1, FORM = 2, KEY = 3, OCTETS = 6 };
    struct bytes values[ENTRY_EVIDENCE_FIELDS];
    uint64_t count;
    if (!take_array(from, &count) || count != ENTRY_EVIDENCE_FIELDS)
        return false;
    for (size_t i = 0; i < ENTRY_EVIDENCE_FIELDS; i++)
        if (!take_string(from, &values[i]))
            return false;
    fputs("evidence:    ", stdout);
    put_text(values[FORM]);
    fputs(" by ", stdout);
    put_text(values[DEVICE]);
    fputs(" with key ", stdout);
    put_text(values[KEY]);
    printf(", %zu octets\n", values[OCTETS].len);
    return true;
}

/* [class, speaker, epoch, seq, mark, key, records, counters, evidence]; the last of version 3, version 1
 * without both. */
static bool put_message(const struct parcel *parcel)
{
    struct bytes from = parcel->message, class, speaker, epoch, octets;
    struct value seq;
    uint64_t parts, count;
    if (!take_array(&from, &parts) || parts < 7 || parts > 9 || !take_string(&from, &class) ||
        !take_string(&from, &speaker) ||
        !take_string(&from, &epoch) || !take(&from, &seq) || seq.kind != KIND_NUMBER || !take_string(&from, &octets) ||
        !take_string(&from, &octets) || !take_array(&from, &count))
        return false;
    fputs("speaker:     ", stdout);
    put_text(speaker);
    printf("\nidentity:    %s\n", delivery_class_name(parcel->identity_class));
    if (parcel->identity_class == CLASS_EXACT)
        printf("sequence:    %.*s.%" PRIu64 "\n", (int)epoch.len, (const char *)epoch.ptr, seq.number);
    printf("records:     %" PRIu64 "\n", count);
    for (uint64_t i = 0; i < count; i++)
        if (!put_record(&from, parts == 7 ? FIELDS_OF_VERSION_1 : ENTRY_FIELDS))
            return false;
    return parts == 7 || (put_counters(&from) && (parts == 8 || put_evidence(&from)));
}

static int show(const struct cli *cli, const struct spool_place *place, uint64_t lsn)
{
    struct spool_reader *reader = spool_reader_new(place->log);
    struct spool_record record = {0};
    struct parcel parcel;
    char moment[32];
    int status = CLI_OK;
    if (reader)
        spool_reader_seek(reader, lsn);
    if (!reader || spool_reader_next(reader, &record) != SPOOL_READ_RECORD || record.lsn != lsn) {
        status = cli_fail(cli, CLI_REFUSED,
                          "there is no message with LSN %" PRIu64 " that can be read; see weir spool list", lsn);
    } else if (!parcel_read(record.body, &parcel)) {
        status = cli_fail(cli, CLI_REFUSED, "this message is of a version that this weir does not know");
    } else {
        printf("lsn:         %" PRIu64 ", %s\n", lsn, lsn > place->found.cursor_lsn ? "to be pushed" : "pushed");
        printf("incarnation: %016" PRIx64 ", lane %u\n", record.incarnation, parcel.lane);
        printf("received:    %s\n", cli_time_text(parcel.received_s, moment));
        printf("tenant:      %.*s\n", (int)parcel.tenant.len, (const char *)parcel.tenant.ptr);
        printf("level:       %s\n", delivery_level_name(parcel.level));
        if (!put_message(&parcel))
            status = cli_fail(cli, CLI_REFUSED, "the rest is not of the form that this weir knows");
    }
    spool_reader_free(reader);
    return status;
}

int spool_show(struct cli *cli)
{
    struct spool_place place;
    char *end;
    errno = 0;
    uint64_t lsn = strtoull(cli->operands[1], &end, 10);
    if (*end || end == cli->operands[1] || lsn == 0 || errno || cli->operands[1][0] == '-')
        return cli_fail(cli, CLI_USAGE, "%s is no LSN: a number from 1 on", cli->operands[1]);
    int status = spool_place_find(cli, cli->operands[0], &place);
    if (status != CLI_OK)
        return status;
    status = spool_place_open(cli, &place);
    if (status == CLI_OK)
        status = show(cli, &place, lsn);
    spool_place_close(&place);
    return status;
}
