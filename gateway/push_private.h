// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of the push share; its thread alone touches any of it but the atomics. */
#pragma once

#include "gateway/function.h"
#include "gateway/push.h"
#include "gateway/redis.h"
#include "gateway/track.h"

#include <pthread.h>

#define PUSH_LINKS_MAX 16
#define PUSH_BATCH_ITEMS 256
#define PUSH_BATCH_OCTETS ((size_t)128 << 10)
#define PUSH_LINK_IN_FLIGHT 8
#define PUSH_TRACK_IN_FLIGHT 2
#define PUSH_SAMPLES 4096
#define PUSH_BACKOFF_MAX_MS 5000

/* Messages of one track, in one call of the Function. */
struct push_item {
    uint64_t lsn, waiter;
    uint32_t records;
    enum delivery_level level; /* demanded */
    uint8_t key[SINK_KEY_BYTES];
};

struct push_batch {
    struct push_batch *next;
    struct push *push;
    struct track *track;
    unsigned generation; /* of the track when it was sent */
    size_t count;
    enum delivery_level wanted;     /* the highest that somebody waits for */
    char letters[PUSH_BATCH_ITEMS]; /* verdicts */
    struct push_item items[PUSH_BATCH_ITEMS];
    struct msgpack packed;
};

/* A way to Redis; a cluster has one connection per primary in it. */
struct push_link {
    struct push *push;
    struct redis *redis;
    bool ready; /* some node has the library, and its marks were compared */
    unsigned in_flight;
    unsigned checks;        /* of the library, under way */
    unsigned marks_awaited;
    bool marks_failed;
    bool marks_partial; /* some node of the cluster was away */
    bool marks_again;   /* asked for while they were being compared */
    unsigned serial; /* grows when the link is lost: answers to older questions are not counted */
    uint64_t retry_ms; /* when to look for the library again; 0: not planned */
};

/* When a record was committed, to a second or so. */
struct push_sample {
    uint64_t ms, lsn;
};

struct push {
    struct push_config config;
    const struct settings *settings;
    struct spool_log *log;
    struct spool_reader *reader;
    struct loop *loop;
    struct random random;
    struct loop_watch committed; /* the spool's eventfd */
    struct timer tick;

    struct tracks tracks;
    struct push_link links[PUSH_LINKS_MAX];
    unsigned link_count;
    struct push_batch *free_list;
    struct redis *waits; /* for WAIT and WAITAOF */
    struct push_batch *to_ask, *asked; /* answered, but not known to be at the level somebody waits for */
    struct track *building[PARCEL_LANES * 64]; /* tracks with a batch that is being filled */
    size_t building_count;

    uint64_t position; /* LSN of the next record to be taken from the reader */
    uint64_t seek;     /* where to go back to before the next read; 0: go on */
    bool sent;         /* a batch, since the last flush */
    bool holding;      /* `held` was read and found no place yet */
    struct spool_record held;
    unsigned blocked;  /* tracks that wait for a second try */
    unsigned passed;   /* tracks of which records were passed by */

    bool inherited_is_pushed; /* all of them */
    uint64_t inherited; /* LSN of the last record of earlier runs */
    uint64_t cursor_saved;
    _Atomic uint64_t confirmed_lsn; /* the cursor at the last tick, for others */
    struct push_sample samples[PUSH_SAMPLES];
    size_t sample_count; /* ever taken */
    uint64_t sample_ms, next_sample_ms;
    uint64_t next_upkeep_ms, next_compare_ms;
    bool release_is_due; /* marks are being compared for it */

    pthread_t thread;
    bool started;
    _Atomic bool stop;
    const char *_Atomic why_not;
    struct metrics metrics;
};

/* push_batch.c */
void push_batch_give(struct push_batch *batch);
void push_forget_building(struct push *push, const struct track *track);
/* False: not now. */
bool push_send_building(struct push *push, struct track *track);
/* False: the record found no place; it is held and offered again. */
bool push_place(struct push *push, const struct spool_record *record);

/* push_answer.c */
/* A store_answer_fn; ctx is the batch. */
void push_answered(void *ctx, const struct store_reply *reply);
/* Gives up what is in flight and being filled of a track; it is read again from `confirmed`. */
void push_rewind(struct push *push, struct track *track);
/* Redis has less than it once had. */
void push_went_back(struct push *push, struct track *track, uint64_t mark);

/* push_level.c */
bool push_level_open(struct push *push);
void push_level_close(struct push *push);
/* Tells those who wait for the verdicts of a batch, at once or when replicas or a disk have answered; then
 * gives it back. */
void push_level_settle(struct push_batch *batch);

/* push_link.c */
extern const char push_refuses[], push_lacks_library[], push_is_away[]; /* values of why_not */
bool push_open_links(struct push *push);
struct push_link *push_link_of(struct push *push, const struct track *track);
/* The key that decides where the track's records go. */
struct bytes push_key_of(const struct track *track, char ret[static SCHEMA_KEY_MAX]);
bool push_any_ready(const struct push *push);
bool push_can_reach(struct push *push, const struct track *track);
void push_look_for_library(struct push_link *link, struct store *store);
void push_look_again(struct push_link *link);

/* push_upkeep.c */
bool push_scan(struct push *push, uint64_t cursor_lsn);
void push_upkeep(struct push *push);
/* The LSN up to which everything is confirmed. */
uint64_t push_cursor(struct push *push);
void push_save_cursor(struct push *push);
/* A store_answer_fn for what nobody waits for. */
void push_ignore(void *ctx, const struct store_reply *reply);
/* Asks Redis for the marks of all tracks of a link. Its answers end in push_link_ready. */
void push_compare_marks(struct push_link *link);
void push_link_ready(struct push_link *link);
