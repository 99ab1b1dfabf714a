// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What Redis says to a batch, and going back: always the same, a new generation for the track, so that late answers
 * say nothing, and a seek to its oldest unconfirmed record.
 */
#include "gateway/push_private.h"

#include "gateway/rt/crash.h"
#include "gateway/rt/log.h"

#include <stdlib.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_FAR_MAX_MS 60000
#define RECORDS_PER_MS 100 /* that are passed by while a lane is read again, roughly, at a tenth of the time */

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
        push_forget_building(push, track);
        push_batch_give(track->building);
        track->building = NULL;
    }
    if (track->pending)
        seek_back(push, track->pending);
}

/* Each try reads the log again from the oldest record of the lane, so one that is far behind is tried less often. */
static uint64_t backoff_max_ms(const struct push *push, const struct track *track)
{
    uint64_t behind = track->pending ? spool_log_durable_lsn(push->log) - track->pending : 0;
    uint64_t max_ms = PUSH_BACKOFF_MAX_MS + behind / RECORDS_PER_MS;
    return max_ms < BACKOFF_FAR_MAX_MS ? max_ms : BACKOFF_FAR_MAX_MS;
}

static void block(struct push *push, struct track *track)
{
    uint64_t max_ms = backoff_max_ms(push, track);
    track->backoff_ms = track->backoff_ms ? 2 * track->backoff_ms : BACKOFF_MIN_MS;
    if (track->backoff_ms > max_ms)
        track->backoff_ms = max_ms;
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
    push->inherited_is_pushed = false;
    push->release_is_due = false;
    push->next_compare_ms = 0; /* all other lanes have very likely lost something, too */
    track->confirmed = mark;
    track->pending = mark + 1;
    push_rewind(push, track);
}

/* Answers. */

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
        recent_dispute(push->config.recent, item->key);
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

static void refused(struct push *push, struct track *track, struct bytes reason)
{
    char quoted[LOG_QUOTED_MAX];
    if (!push->why_not)
        push->why_not = push_refuses;
    LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push", "Redis refused a batch; it is tried again",
              "tenant=%s lane=%u reason=%s", track->tenant, track->lane, log_quote(quoted, reason));
    block(push, track);
}

/* After somebody removed it. */
static void library_is_missing(struct push *push, struct track *track)
{
    char key[SCHEMA_KEY_MAX];
    struct push_link *link = push_link_of(push, track);
    struct store *store = redis_store(link->redis, push_key_of(track, key));
    refused(push, track, BYTES_LITERAL("the Function library weir is not there"));
    if (store && !link->checks)
        push_look_for_library(link, store);
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
        if (push->why_not == push_refuses && !push->blocked)
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
        refused(push, track,
                reply->type == STORE_ERROR ? reply->text : BYTES_LITERAL("an answer that is not the Function's"));
    }
}

void push_answered(void *ctx, const struct store_reply *reply)
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
    push_level_settle(batch);
}
