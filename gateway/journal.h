// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * "Why was it refused?": the last refusals and acceptances of each device, in memory, for people (GET
 * /devices/{id}/log). Of this gateway since its start; bounded: JOURNAL_DEVICES_MAX devices of each worker
 * with JOURNAL_EVENTS_MAX events each. When there are more, a refusal takes the place of the device that was
 * silent for longest, and an acceptance takes none.
 *
 * Each worker has its own and is its only writer, so a note takes a short uncontended lock at most; who reads
 * takes them one after the other. Every refusal is noted, repeated ones as a count; of acceptances the first
 * after a refusal and one a minute, with the number of those between, which are counted without a lock. Never
 * a secret, never a payload: its length only.
 */
#pragma once

#include "codec/hash.h"
#include "codec/outcome.h"
#include "codec/timestamp.h"
#include "gateway/request.h"

#define JOURNAL_DEVICES_MAX 4096 /* of one worker */
#define JOURNAL_EVENTS_MAX 16
#define JOURNAL_DETAIL_MAX 120
#define JOURNAL_ACCEPTED_S 60

struct journal;

enum journal_stage { JOURNAL_HANDSHAKE, JOURNAL_TOKEN, JOURNAL_SIGNATURE, JOURNAL_REQUEST, JOURNAL_STAGES };

struct journal_event {
    struct timestamp at; /* of the first of those that are counted together */
    enum journal_stage stage;
    enum outcome outcome;
    enum evidence evidence;
    char key[CREDENTIAL_ID_MAX + 1];     /* which was used; may be empty */
    char detail[JOURNAL_DETAIL_MAX + 1]; /* a sentence; may be empty */
    struct address remote;
    uint32_t octets;  /* of the body */
    uint32_t repeats; /* more of the same behind it */
};
void journal_set_detail(struct journal_event *event, const char *detail);

/* NULL: out of memory. */
struct journal *journal_new(const struct hash_key *key);
void journal_free(struct journal *journal);
/* The owner's thread. Without memory the event is lost. */
void journal_note(struct journal *journal, struct bytes tenant, struct bytes device,
                  const struct journal_event *event);
/* The owner's thread. An acceptance that needs no event, because it is counted with the newest: most of them.
 * False: it has to be noted. */
bool journal_count_acceptance(struct journal *journal, struct bytes tenant, struct bytes device,
                              struct timestamp at);
/* Any thread. The newest first; returns how many, at most max. */
size_t journal_read(struct journal *journal, struct bytes tenant, struct bytes device,
                    struct journal_event *ret, size_t max);

/* What happens at the end of each request: noted if it is known which device it is of. */
void journal_finished(const struct request *request, const struct response *response);

/* GET /devices/{id}/log */
void journal_handle(struct request *request);
