// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The push's thread: a loop that wakes when the spool has committed, when Redis answers and once a second.
 *
 * `position` is how far the log was read, a track's `sent` how far its records were put into batches, its `confirmed`
 * how far Redis has said yes. Going back is always the same: a new generation for the track, so that late answers say nothing,
 * and a seek to its oldest unconfirmed record; records of other tracks on the way are skipped by their `sent`.
 */
#include "gateway/push_private.h"

#include "gateway/rt/crash.h"
#include "gateway/rt/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define TICK_MS 100
#define STOP_WAIT_MS 1000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define ITEMS_HEAD 5 /* a MessagePack array head of fixed length, filled in when the batch is sent */
#define BATCHES_KEPT_OCTETS ((size_t)256 << 10)

struct push_link *push_link_of(struct push *push, const struct track *track)
{
    return &push->links[track->lane % push->link_count];
}

struct bytes push_key_of(const struct track *track, char ret[static SCHEMA_KEY_MAX])
{
    return bytes_of(ret, schema_key(ret, bytes_of_text(track->tenant), SCHEMA_SUFFIX_HWM));
}

/* Batches. */

static struct push_batch *batch_take(struct push *push, struct track *track)
{
    struct push_batch *batch = push->free_list;
    if (batch)
        push->free_list = batch->next;
    else
        batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    batch->push = push;
    batch->track = track;
    batch->next = NULL;
    batch->count = 0;
    batch->wanted = LEVEL_SPOOLED;
    batch->asked = false;
    msgpack_clear(&batch->packed, BATCHES_KEPT_OCTETS);
    msgpack_raw(&batch->packed, bytes_of("\xdd\0\0\0", ITEMS_HEAD));
    return batch;
}

static void batch_give(struct push_batch *batch)
{
    batch->next = batch->push->free_list;
    batch->push->free_list = batch;
}

static bool is_full(const struct push_batch *batch)
{
    return batch->count == PUSH_BATCH_ITEMS || batch->packed.len >= PUSH_BATCH_OCTETS;
}

static void forget_building(struct push *push, const struct track *track)
{
    for (size_t i = 0; i < push->building_count; i++)
        if (push->building[i] == track) {
            push->building[i] = push->building[--push->building_count];
            return;
        }
}

/* Going back. */

static void seek_back(struct push *push, uint64_t lsn)
{
    if (lsn < push->position && (!push->seek || lsn < push->seek))
        push->seek = lsn;
}

void push_rewind(struct push *push, struct track *track)
{
    track->generation++;
    track->first = track->last = NULL;
    track->in_flight = 0;
    track->sent = track->confirmed;
    if (track->passed)
        push->passed--;
    track->passed = 0;
    if (track->building) {
        forget_building(push, track);
        batch_give(track->building);
        track->building = NULL;
    }
    if (track->pending)
        seek_back(push, track->pending);
}

static void block(struct push *push, struct track *track)
{
    track->backoff_ms = track->backoff_ms ? 2 * track->backoff_ms : BACKOFF_MIN_MS;
    if (track->backoff_ms > BACKOFF_MAX_MS)
        track->backoff_ms = BACKOFF_MAX_MS;
    if (!track->blocked_until_ms)
        push->blocked++;
    track->blocked_until_ms = loop_now_ms(push->loop) + track->backoff_ms;
    push_rewind(push, track);
    metrics_add(&push->metrics, METRIC_PUSH_REFUSED, 1);
}

void push_went_back(struct push *push, struct track *track, uint64_t mark)
{
    uint64_t first = spool_log_first_lsn(push->log);
    log_write(LOG_ERROR, "push", "Redis went back in time; what the spool still holds is pushed again",
              "tenant=%s lane=%u had_lsn=%llu has_lsn=%llu", track->tenant, track->lane,
              (unsigned long long)track->confirmed, (unsigned long long)mark);
    if (mark + 1 < first)
        log_write(LOG_ERROR, "push", "Redis went back beyond the safety tail: messages may be lost",
                  "tenant=%s lane=%u from_lsn=%llu to_lsn=%llu", track->tenant, track->lane,
                  (unsigned long long)(mark + 1), (unsigned long long)(first - 1));
    metrics_add(&push->metrics, METRIC_PUSH_REWINDS, 1);
    track->confirmed = mark;
    track->pending = mark + 1;
    push_rewind(push, track);
}

/* Answers. */

/* How one knows that what Redis has answered is on its disk. */
enum durability { DURABLE_BY_ANSWER, DURABLE_BY_WAITAOF, DURABLE_NOT };

#define VERSION_WITH_WAITAOF 70200

static enum durability durability(const struct push *push)
{
    const struct redis_facts *facts = push->config.facts;
    if (!facts)
        return DURABLE_NOT;
    if (facts->appendonly == REDIS_YES && facts->appendfsync_always == REDIS_YES)
        return DURABLE_BY_ANSWER;
    return facts->appendonly == REDIS_YES && facts->version >= VERSION_WITH_WAITAOF ? DURABLE_BY_WAITAOF : DURABLE_NOT;
}

/* Those who wait for at most `wanted`, once. */
static void tell_waiters(struct push_batch *batch, enum delivery_level wanted, enum delivery_level reached)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct push_item *item = &batch->items[i];
        if (item->waiter && item->level <= wanted)
            spool_tell_verdict(batch->push->config.spool, (unsigned)(item->waiter >> 56), item->waiter,
                               batch->letters[i], reached);
        if (item->level <= wanted)
            item->waiter = 0;
    }
}

static int64_t integer_of(const struct store_reply *reply)
{
    return reply->type == STORE_INTEGER ? reply->integer : 0;
}

/* WAIT answers with a number of replicas, WAITAOF with the server itself (0 or 1) and that number. */
static void level_told(void *ctx, const struct store_reply *reply)
{
    struct push_batch *batch = ctx;
    const struct push *push = batch->push;
    bool is_pair = reply && reply->type == STORE_LIST && reply->count == 2;
    int64_t replicas = is_pair ? integer_of(&reply->items[1]) : reply ? integer_of(reply) : 0;
    bool local = is_pair ? integer_of(&reply->items[0]) > 0 : reply && durability(push) == DURABLE_BY_ANSWER;
    enum delivery_level reached = !local                                                   ? LEVEL_SPOOLED
                                  : replicas >= (int64_t)push->settings->redis_replicas ? LEVEL_REPLICATED
                                                                                           : LEVEL_STORED;
    tell_waiters(batch, LEVEL_REPLICATED, reached);
    batch_give(batch);
}

static void count_letter(struct push *push, char letter, const struct push_item *item, const struct track *track)
{
    switch (letter) {
    case 'n':
        metrics_add(&push->metrics, METRIC_PUSH_RECORDS, 1);
        metrics_add(&push->metrics, METRIC_RECORDS_STORED, item->records);
        metrics_add(&push->metrics, METRIC_MESSAGES_STORED, 1);
        break;
    case 'd':
        metrics_add(&push->metrics, METRIC_PUSH_DUPLICATES, 1);
        break;
    case 'c':
        metrics_add(&push->metrics, METRIC_PUSH_CONFLICTS, 1);
        LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push",
                  "a sequence number came again with other content; it is kept in the stream conflicts",
                  "tenant=%s lsn=%llu", track->tenant, (unsigned long long)item->lsn);
        break;
    default:
        metrics_add(&push->metrics, METRIC_PUSH_REPEATED, 1);
        break;
    }
}

/* The first `done` messages of a batch have their verdicts. */
static void take_verdicts(struct push_batch *batch, const struct store_reply *reply, size_t done)
{
    struct push *push = batch->push;
    struct track *track = batch->track;
    for (size_t i = 0; i < done; i++) {
        batch->letters[i] = (char)reply->items[1].text.ptr[i];
        count_letter(push, batch->letters[i], &batch->items[i], track);
    }
    if (reply->items[2].type == STORE_INTEGER)
        metrics_add(&push->metrics, METRIC_SEQUENCE_MISSING, reply->items[2].integer);
    if (reply->items[3].type == STORE_INTEGER)
        metrics_add(&push->metrics, METRIC_SEQUENCE_LATE, reply->items[3].integer);
    if (done)
        track->confirmed = batch->items[done - 1].lsn;
    batch->count = done;
    bool durable = durability(push) == DURABLE_BY_ANSWER;
    if (!batch->asked)
        tell_waiters(batch, LEVEL_REPLICATED, durable ? LEVEL_STORED : LEVEL_SPOOLED);
    else if (durable)
        tell_waiters(batch, LEVEL_STORED, LEVEL_STORED);
}

static void next_pending(struct track *track)
{
    const struct push_batch *next = track->first ? track->first : track->building;
    track->pending = next ? next->items[0].lsn : track->passed;
}

static void behind(struct push *push, struct track *track, struct bytes text)
{
    char digits[24] = "";
    memcpy(digits, text.ptr, text.len < sizeof digits - 1 ? text.len : sizeof digits - 1);
    uint64_t mark = strtoull(digits, NULL, 10);
    if (mark < track->confirmed)
        push_went_back(push, track, mark);
    else
        push_rewind(push, track);
}

static const char refuses[] = "Redis refuses to append; see the log.";
static const char lacks_library[] = "Redis lacks the Function library weir; see the log.";
static const char is_away[] = "Redis cannot be reached.";

static void refused(struct push *push, struct track *track, struct bytes reason)
{
    char quoted[LOG_QUOTED_MAX];
    if (!push->why_not)
        push->why_not = refuses;
    LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push", "Redis refused a batch; it is tried again",
              "tenant=%s lane=%u reason=%s", track->tenant, track->lane, log_quote(quoted, reason));
    block(push, track);
}

static void library_told(void *ctx, const char *reason);

static void look_for_library(struct push_link *link, struct store *store)
{
    if (function_ensure(store, library_told, link))
        link->checks++;
    else
        link->retry_ms = loop_now_ms(link->push->loop) + BACKOFF_MAX_MS;
}

/* After somebody removed it. */
static void library_is_missing(struct push *push, struct track *track)
{
    char key[SCHEMA_KEY_MAX];
    struct push_link *link = push_link_of(push, track);
    struct store *store = redis_store(link->redis, push_key_of(track, key));
    refused(push, track, BYTES_LITERAL("the Function library weir is not there"));
    if (store && !link->checks)
        look_for_library(link, store);
}

/* The answer to the oldest batch in flight of its track, in its present generation. */
static void judge_answer(struct push_batch *batch, const struct store_reply *reply)
{
    struct push *push = batch->push;
    struct track *track = batch->track;
    bool is_list = reply && reply->type == STORE_LIST && reply->count >= 2 && reply->items[1].type == STORE_TEXT;
    struct bytes word = is_list ? reply->items[0].text : (struct bytes){0};
    struct bytes letters = is_list ? reply->items[1].text : (struct bytes){0};
    batch->count = is_list && reply->count >= 4 ? batch->count : 0;
    if (batch->count && bytes_equal_text(word, "done") && letters.len == batch->count) {
        take_verdicts(batch, reply, batch->count);
        track->backoff_ms = 0;
        next_pending(track);
        if (push->why_not == refuses && !push->blocked)
            push->why_not = NULL;
    } else if (batch->count && bytes_equal_text(word, "stopped") && reply->count >= 5 && letters.len < batch->count) {
        uint64_t stopped_at = batch->items[letters.len].lsn;
        take_verdicts(batch, reply, letters.len);
        track->pending = stopped_at;
        refused(push, track, reply->items[4].text);
    } else if (bytes_equal_text(word, "behind")) {
        behind(push, track, letters);
    } else if (!reply) {
        push_rewind(push, track);
    } else if (function_is_missing(reply)) {
        library_is_missing(push, track);
    } else {
        refused(push, track, reply->type == STORE_ERROR ? reply->text : BYTES_LITERAL("an answer that is not the Function's"));
    }
}

static void answered(void *ctx, const struct store_reply *reply)
{
    struct push_batch *batch = ctx;
    struct push *push = batch->push;
    struct track *track = batch->track;
    push_link_of(push, track)->in_flight--;
    track->batches--;
    CRASH_POINT("S7");
    if (batch->generation == track->generation) {
        track->first = batch->next;
        if (!track->first)
            track->last = NULL;
        track->in_flight--;
        judge_answer(batch, reply);
    } else {
        batch->count = 0;
    }
    if (!batch->asked)
        batch_give(batch);
}

/* Sending. */

static bool write_call(struct push *push, struct push_batch *batch)
{
    struct track *track = batch->track;
    struct bytes tenant = bytes_of_text(track->tenant);
    char hwm[SCHEMA_KEY_MAX], seen[SCHEMA_KEY_MAX], prefix[SCHEMA_KEY_MAX], lane[TRACK_FIELD_MAX], numbers[3][24];
    uint64_t expected = track->last ? track->last->items[track->last->count - 1].lsn : track->confirmed;
    uint32_t values = (uint32_t)(2 * batch->count);
    for (unsigned i = 0; i < 4; i++)
        batch->packed.ptr[1 + i] = (uint8_t)(values >> (24 - 8 * i));
    struct bytes arguments[] = {
        BYTES_LITERAL("FCALL"),
        BYTES_LITERAL("weir_append"),
        BYTES_LITERAL("2"),
        bytes_of(hwm, schema_key(hwm, tenant, SCHEMA_SUFFIX_HWM)),
        bytes_of(seen, schema_key(seen, tenant, SCHEMA_SUFFIX_SEEN)),
        bytes_of(prefix, schema_key(prefix, tenant, "")),
        bytes_of(lane, track_field(track, lane)),
        bytes_of(numbers[0], (size_t)sprintf(numbers[0], "%llu", (unsigned long long)expected)),
        bytes_of(numbers[1], (size_t)sprintf(numbers[1], "%llu", (unsigned long long)push->settings->once_window_s)),
        bytes_of(numbers[2], (size_t)sprintf(numbers[2], "%llu", (unsigned long long)push->settings->once_per_device_max)),
        bytes_of(batch->packed.ptr, batch->packed.len),
    };
    return redis_send(push_link_of(push, track)->redis, arguments[3], arguments, sizeof arguments / sizeof arguments[0],
                      answered, batch);
}

/* On the same connection, behind the call it speaks of, if the answer to that does not say enough. */
static void ask_level(struct push *push, struct push_batch *batch)
{
    char replicas[24] = "0", wait_ms[24], key[SCHEMA_KEY_MAX];
    enum durability by = durability(push);
    bool wants_replicas = batch->wanted == LEVEL_REPLICATED;
    if (batch->wanted == LEVEL_SPOOLED || (by != DURABLE_BY_WAITAOF && !wants_replicas))
        return;
    if (wants_replicas)
        sprintf(replicas, "%llu", (unsigned long long)push->settings->redis_replicas);
    sprintf(wait_ms, "%llu", (unsigned long long)push->settings->redis_replica_wait_ms);
    struct bytes wait[] = {BYTES_LITERAL("WAIT"), bytes_of_text(replicas), bytes_of_text(wait_ms)};
    struct bytes waitaof[] = {BYTES_LITERAL("WAITAOF"), BYTES_LITERAL("1"), bytes_of_text(replicas),
                              bytes_of_text(wait_ms)};
    batch->asked = redis_send(push_link_of(push, batch->track)->redis, push_key_of(batch->track, key),
                              by == DURABLE_BY_WAITAOF ? waitaof : wait, by == DURABLE_BY_WAITAOF ? 4 : 3, level_told,
                              batch);
}

/* False: not now. */
static bool send_building(struct push *push, struct track *track)
{
    struct push_link *link = push_link_of(push, track);
    struct push_batch *batch = track->building;
    if (!link->ready || link->in_flight >= PUSH_LINK_IN_FLIGHT || track->in_flight >= PUSH_TRACK_IN_FLIGHT)
        return false;
    if (batch->packed.failed) {
        push_rewind(push, track);
        return false;
    }
    if (!write_call(push, batch))
        return false;
    ask_level(push, batch);
    forget_building(push, track);
    track->building = NULL;
    batch->generation = track->generation;
    batch->next = NULL;
    *(track->last ? &track->last->next : &track->first) = batch;
    track->last = batch;
    track->in_flight++;
    track->batches++;
    link->in_flight++;
    metrics_add(&push->metrics, METRIC_PUSH_BATCHES, 1);
    push->sent = true;
    return true;
}

/* A batch to put a record of the track into. NULL: not now. */
static struct push_batch *batch_for(struct push *push, struct track *track)
{
    if (track->building && is_full(track->building) && !send_building(push, track))
        return NULL;
    if (track->building)
        return track->building;
    if (push->building_count == sizeof push->building / sizeof push->building[0])
        return NULL;
    track->building = batch_take(push, track);
    if (track->building)
        push->building[push->building_count++] = track;
    return track->building;
}

static bool can_be_reached(struct push *push, const struct track *track)
{
    char key[SCHEMA_KEY_MAX];
    const struct push_link *link = push_link_of(push, track);
    return link->ready && redis_is_connected(link->redis, push_key_of(track, key));
}

/* Not now, and so none of the track that come after it, or the mark would pass over it too. Until the track is rewound. */
static void pass_by(struct push *push, struct track *track, uint64_t lsn)
{
    if (!track->passed) {
        track->passed = lsn;
        push->passed++;
    }
    if (!track->pending)
        track->pending = lsn;
}

/* False: the record found no place; it is held and offered again. */
static bool place(struct push *push, const struct spool_record *record)
{
    struct parcel parcel;
    if (!parcel_read(record->body, &parcel)) {
        LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push", "a spool record that this version does not know is left out",
                  "lsn=%llu", (unsigned long long)record->lsn);
        metrics_add(&push->metrics, METRIC_SPOOL_DAMAGED, 1);
        return true;
    }
    struct track *track = tracks_get(&push->tracks, record->incarnation, parcel.tenant, parcel.lane);
    if (!track)
        return false;
    if (record->lsn <= track->sent)
        return true;
    if (track->passed || track->blocked_until_ms || !can_be_reached(push, track)) {
        pass_by(push, track, record->lsn);
        return true;
    }
    struct push_batch *batch = batch_for(push, track);
    if (!batch)
        return false;
    bool is_ours = record->incarnation == push->config.incarnation;
    batch->items[batch->count++] = (struct push_item){record->lsn, is_ours ? parcel.waiter : 0, parcel.records, parcel.level};
    if (is_ours && parcel.waiter && parcel.level > batch->wanted)
        batch->wanted = parcel.level;
    msgpack_uint(&batch->packed, record->lsn);
    msgpack_raw(&batch->packed, parcel.message);
    track->sent = record->lsn;
    if (!track->pending)
        track->pending = record->lsn;
    return true;
}

static bool any_ready(const struct push *push)
{
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].ready)
            return true;
    return false;
}

static bool next_record(struct push *push)
{
    if (push->seek) {
        spool_reader_seek(push->reader, push->seek);
        push->position = push->seek;
        push->seek = 0;
        push->holding = false;
    }
    if (push->holding)
        return true;
    enum spool_read read = spool_reader_next(push->reader, &push->held);
    if (read == SPOOL_READ_FAILED)
        LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push", "the spool cannot be read", "position=%llu",
                  (unsigned long long)push->position);
    push->holding = read == SPOOL_READ_RECORD;
    return push->holding;
}

void push_pump(struct push *push)
{
    while (any_ready(push) && next_record(push)) {
        push->position = push->held.lsn;
        if (!place(push, &push->held))
            break;
        push->position = push->held.lsn + 1;
        push->holding = false;
    }
    for (size_t i = push->building_count; i > 0; i--)
        send_building(push, push->building[i - 1]);
    for (unsigned i = 0; i < push->link_count; i++)
        redis_flush(push->links[i].redis);
    if (push->sent)
        CRASH_POINT("S6");
    push->sent = false;
}

/* Links. */

static bool rewind_of_link(void *ctx, struct track *track)
{
    struct push_link *link = ctx;
    if (push_link_of(link->push, track) == link)
        push_rewind(link->push, track);
    return true;
}

static void lose_link(struct push_link *link)
{
    link->serial++;
    link->ready = false;
    link->retry_ms = 0;
    tracks_each(&link->push->tracks, rewind_of_link, link);
}

static void library_told(void *ctx, const char *reason)
{
    struct push_link *link = ctx;
    struct push *push = link->push;
    struct store *any;
    link->checks--;
    if (!reason) {
        if (!link->checks)
            push_compare_marks(link);
        return;
    }
    if (redis_stores(link->redis, &any, 1) == 0)
        return;
    char quoted[LOG_QUOTED_MAX];
    LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push",
              "Redis has no library weir of this version and it cannot be loaded; nothing is pushed", "reason=%s",
              log_quote(quoted, bytes_of_text(reason)));
    push->why_not = lacks_library;
    if (!redis_is_cluster(link->redis))
        lose_link(link);
    link->retry_ms = loop_now_ms(push->loop) + BACKOFF_MAX_MS;
}

void push_link_ready(struct push_link *link)
{
    link->ready = true;
    link->push->why_not = NULL;
}


static void node_connected(void *ctx, struct store *store)
{
    struct push_link *link = ctx;
    metrics_add(&link->push->metrics, METRIC_STORE_CONNECTS, 1);
    look_for_library(link, store);
}

/* Of a cluster false means that some slot is away: the others go on, can_be_reached looks at each. */
static void connection_changed(void *ctx, bool connected)
{
    struct push_link *link = ctx;
    struct push *push = link->push;
    metrics_add(&push->metrics, METRIC_STORE_CONNECTED, connected ? 1 : -1);
    if (connected)
        return;
    struct store *any;
    if (redis_stores(link->redis, &any, 1) > 0)
        return;
    lose_link(link);
    if (!any_ready(push))
        push->why_not = is_away;
}

static bool open_links(struct push *push)
{
    for (unsigned i = 0; i < push->settings->redis_connections && i < PUSH_LINKS_MAX; i++) {
        struct push_link *link = &push->links[i];
        link->push = push;
        struct redis_config config = {
            .target = push->config.redis,
            .timeout_ms = push->settings->redis_timeout_ms,
            .state = connection_changed,
            .node = node_connected,
            .ctx = link,
        };
        for (unsigned k = 0; k < 4; k++)
            config.random_seed[k] = random_next(&push->random);
        push->link_count = i + 1;
        link->redis = redis_new(push->loop, &config);
        if (!link->redis) {
            push->link_count = i;
            return false;
        }
    }
    return push->link_count > 0;
}

static void look_again(struct push_link *link)
{
    struct store *stores[PUSH_LINKS_MAX];
    size_t count = redis_stores(link->redis, stores, PUSH_LINKS_MAX);
    link->retry_ms = 0;
    for (size_t i = 0; i < count && !link->checks; i++)
        look_for_library(link, stores[i]);
}

/* The thread. */

static bool try_again(void *ctx, struct track *track)
{
    struct push *push = ctx;
    if (track->blocked_until_ms && track->blocked_until_ms <= loop_now_ms(push->loop)) {
        track->blocked_until_ms = 0;
        push->blocked--;
    }
    if (track->passed && !track->blocked_until_ms && can_be_reached(push, track))
        push_rewind(push, track);
    return true;
}

static void ticked(struct timer *timer)
{
    struct push *push = (struct push *)((char *)timer - offsetof(struct push, tick));
    timers_set(loop_timers(push->loop), timer, loop_now_ms(push->loop) + TICK_MS);
    if (push->blocked || push->passed)
        tracks_each(&push->tracks, try_again, push);
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].retry_ms && push->links[i].retry_ms <= loop_now_ms(push->loop))
            look_again(&push->links[i]);
    metrics_set(&push->metrics, METRIC_PUSH_CIRCUIT, !any_ready(push));
    push_upkeep(push);
}

static void committed(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    eventfd_t count;
    (void)eventfd_read(watch->fd, &count);
}

static bool anything_in_flight(const struct push *push)
{
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].in_flight)
            return true;
    return false;
}

static void *run(void *ctx)
{
    struct push *push = ctx;
    while (!push->stop) {
        loop_wait(push->loop, TICK_MS, NULL, NULL);
        push_pump(push);
    }
    uint64_t until = loop_now_ms(push->loop) + STOP_WAIT_MS;
    do {
        push_pump(push);
        loop_wait(push->loop, 10, NULL, NULL);
    } while (loop_now_ms(push->loop) < until && any_ready(push) &&
             (anything_in_flight(push) || push_cursor(push) < spool_log_durable_lsn(push->log)));
    push_save_cursor(push);
    return NULL;
}

struct push *push_new(const struct push_config *config, uint64_t cursor_lsn)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return NULL;
    push->config = *config;
    push->settings = config->settings;
    push->log = spool_log_of(config->spool);
    push->why_not = is_away;
    push->cursor_saved = push->confirmed_lsn = cursor_lsn;
    metrics_set(&push->metrics, METRIC_SPOOL_UNPUSHED, 0 - cursor_lsn);
    push->sample_ms = config->settings->spool_tail_s * 1000 / (PUSH_SAMPLES - 1) + 1000;
    random_seed(&push->random, config->random_seed);
    push->tick.fire = ticked;
    push->committed = (struct loop_watch){.fd = spool_committed_fd(config->spool), .ready = committed};
    push->loop = loop_new();
    push->reader = spool_reader_new(push->log);
    if (!push->loop || !push->reader || !tracks_init(&push->tracks) || !push_scan(push, cursor_lsn) ||
        !loop_add(push->loop, &push->committed, EPOLLIN) || !open_links(push)) {
        push_free(push);
        return NULL;
    }
    timers_set(loop_timers(push->loop), &push->tick, loop_now_ms(push->loop) + TICK_MS);
    return push;
}

bool push_start(struct push *push)
{
    push->started = pthread_create(&push->thread, NULL, run, push) == 0;
    return push->started;
}

void push_stop(struct push *push)
{
    if (!push || !push->started)
        return;
    push->stop = true;
    (void)eventfd_write(push->committed.fd, 1);
    pthread_join(push->thread, NULL);
    push->started = false;
}

static bool free_building(void *ctx, struct track *track)
{
    (void)ctx;
    if (track->building)
        batch_give(track->building);
    track->building = NULL;
    return true;
}

void push_free(struct push *push)
{
    if (!push)
        return;
    push_stop(push);
    for (unsigned i = 0; i < push->link_count; i++)
        redis_free(push->links[i].redis);
    if (push->tracks.buckets)
        tracks_each(&push->tracks, free_building, push);
    tracks_deinit(&push->tracks);
    while (push->free_list) {
        struct push_batch *next = push->free_list->next;
        msgpack_deinit(&push->free_list->packed);
        free(push->free_list);
        push->free_list = next;
    }
    spool_reader_free(push->reader);
    loop_free(push->loop);
    free(push);
}

const struct metrics *push_metrics(const struct push *push)
{
    return &push->metrics;
}

const char *push_why_not(const struct push *push)
{
    return push->why_not;
}

uint64_t push_confirmed_lsn(const struct push *push)
{
    return atomic_load_explicit(&push->confirmed_lsn, memory_order_relaxed);
}

bool push_needs_operator(const struct push *push)
{
    return push->why_not == lacks_library;
}

bool push_reaches_redis(const struct push *push)
{
    const char *why_not = push->why_not;
    return !why_not || why_not == refuses;
}
