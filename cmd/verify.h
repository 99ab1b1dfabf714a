// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the files of `weir verify` share. Nothing that a gateway concluded is believed: a message is read again from
 * the octets that were received, its signature is checked with the keys that the person has, and what was signed is
 * compared with the records.
 */
#pragma once

#include "cmd/keyring.h"
#include "gateway/entry.h"
#include "gateway/streaminfo.h"

/* An entry of weir:{T}:evidence (docs/streams.md). */
struct verify_entry {
    struct streaminfo_id id;
    struct bytes fields[ENTRY_EVIDENCE_FIELDS];
};
/* Their places, in the order of SCHEMA_EVIDENCE_FIELDS. */
enum verify_field { VERIFY_M, VERIFY_D, VERIFY_F, VERIFY_K, VERIFY_CT, VERIFY_R, VERIFY_P, VERIFY_V };

enum verify_result { VERIFY_HOLDS, VERIFY_FAILS, VERIFY_NO_KEY, VERIFY_RESULTS };

#define VERIFY_WHY_MAX 256
struct verify_verdict {
    enum verify_result result;
    char why[VERIFY_WHY_MAX]; /* a sentence for people: why not, or what was found */
};

/* Fills it in; returns whether it holds. */
bool verify_say(struct verify_verdict *verdict, enum verify_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads the octets of an entry, or of a file: fields f, k, ct and p count; empty ones are not compared. True: the
 * signature holds, message is what was signed. */
bool verify_message(const struct verify_entry *entry, const struct keyring *keyring, struct arena *arena,
                    struct signed_message *ret_message, struct verify_verdict *verdict);

/* A record of a stream that has the message id of an entry, or says that it was signed. */
struct verify_record {
    struct streaminfo_id id;
    struct bytes fields[ENTRY_FIELDS];
    bool is_matched; /* by what was signed */
    bool is_known;   /* there is evidence of its message */
};
#define VERIFY_RECORDS_MAX ((size_t)1 << 20)

/* Where the records of a tenant are, and what was found there: in one pass, before entries are looked at. */
#define VERIFY_STREAMS_MAX 256
struct verify_place {
    struct store_client *client;
    char streams[VERIFY_STREAMS_MAX][SCHEMA_KEY_MAX];
    size_t stream_count;
    const struct format *format; /* of payloads that do not say it; NULL: they are not compared */
    struct bytes *messages;      /* m of the entries, sorted */
    size_t message_count;
    struct arena *arena;         /* texts of records */
    struct verify_record *records; /* sorted by m, then as they stand */
    size_t record_count, record_room;
};

/* Which streams the tenant has. False: Redis did not answer. */
bool verify_find_streams(struct store_client *client, struct bytes tenant, struct verify_place *ret);
/* Sorts messages, and reads the records of these, and all that say that they were signed, between two ids.
 * False: Redis did not answer, or there are more than VERIFY_RECORDS_MAX. */
bool verify_read_records(struct verify_place *place, struct streaminfo_id from, struct streaminfo_id to);
void verify_drop_records(struct verify_place *place);
/* There is evidence of the records with this message id. */
void verify_note_known(struct verify_place *place, struct bytes message);
/* Whether the record says that it was signed: a is jws, cose or hmac, or one of these and a key. */
bool verify_claims_signature(const struct verify_record *record);
/* Whether the records of that message id are what was signed. False: Redis did not answer. */
bool verify_records(struct verify_place *place, const struct verify_entry *entry,
                    const struct signed_message *message, struct arena *arena, struct verify_verdict *verdict);
