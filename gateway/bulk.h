// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Devices by the thousand: JSON lines (gateway/draft) into Redis and out of it. For POST /devices in the
 * clerk's thread and for `weir device import`.
 *
 * BULK_BATCH devices are one transaction and three round trips: WATCH and read them all, ask whose their names
 * are (gateway/kids), then write them all, each with its entry in weir:changes. So a device is there whole and
 * told, or not at all; of a batch that somebody else touched nothing is written, and it is tried again. A line
 * that is refused keeps none of the others back.
 *
 * Of what only one device may have (gateway/kids) a line may get what another line of the text takes from its
 * device, wherever that stands, so that a list that was exported once can be restored over what became of it, also
 * where devices have exchanged theirs. A line whose name another device has still waits for the end of the text, and
 * lines that wait for each other come into one batch then; at most BULK_WAITING_MAX of them, and BULK_BATCH that go
 * round. In a tenant whose devices share names (gateway/kids) nothing is handed from one line to another.
 *
 * Memory: one batch and who waits, whatever the length of the text.
 */
#pragma once

#include "gateway/accounts.h"
#include "gateway/draft.h"

#define BULK_BATCH 128
#define BULK_REFUSALS_MAX 32 /* that are told; all are counted */
#define BULK_WAITING_MAX 1024

struct bulk_options {
    struct bytes tenant;
    bool replaces;       /* what is there; one whose line has no keys keeps those that it has */
    bool restores_times;     /* "created" of a device is taken as it stands */
    bool restores_key_times; /* that of its keys, which says whose a raw key or a name is that two devices show */
    enum role role_max;  /* devices of people above it are refused */
    int64_t now_s;
    /* Whether the device may be made of what is there (old; NULL: nothing); sets_keys: the line has a list of them.
     * False: reterr. NULL: any. */
    bool (*allows)(void *ctx, const struct device_record *record, const struct device_record *old, bool sets_keys,
                   struct draft_error *reterr);
    /* Whether who imports may know of the device that is there. NULL: of all. Else an id that cannot be used is refused
     * in the same words, whoever has it. */
    bool (*sees)(void *ctx, const struct device_record *old);
    /* Whether an id is not theirs if there is no record of it; asks with accounts while nothing is watched. NULL: all
     * are theirs. */
    enum accounts_result (*is_stranger)(void *ctx, struct accounts *accounts, struct bytes id, bool *ret);
    void *ctx;
};

struct bulk_refusal {
    uint64_t line; /* from 1 */
    struct draft_error error;
};

struct bulk_report {
    uint64_t lines, created, replaced, refused;
    struct bulk_refusal refusals[BULK_REFUSALS_MAX]; /* the first ones, those that waited after the others */
};

/*
 * Reads the lines; empty ones are passed over. Adds to the report, so that a text may come in several parts,
 * cut between lines. Other than ACCOUNTS_DONE: it ended there, and what the report counts has happened. The
 * first batch that writes is in the audit with the same MULTI, and stands there for the others.
 */
enum accounts_result bulk_import(struct accounts *accounts, const struct bulk_options *options, struct bytes text,
                                 struct bulk_report *report);

/* All devices of the tenant, one line each, in the order of their ids. put gets whole lines; false from it ends the
 * export with ACCOUNTS_AWAY. seals: with secrets as the vault wraps them. */
enum accounts_result bulk_export(struct accounts *accounts, struct bytes tenant, bool seals,
                                 bool (*put)(void *ctx, struct bytes lines), void *ctx);
