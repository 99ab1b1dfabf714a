// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the push does beside pushing: reading the spool at start, comparing marks after a connect, and once a second
 * the cursor, the safety tail and the gauges.
 *
 * The cursor is the LSN before the oldest record that any lane still waits for. It is saved before segments below it
 * are unlinked, so a crash in between only makes some records be pushed again, which the Function skips.
 */
#include "gateway/push_private.h"

#include "gateway/rt/log.h"
#include "gateway/shed.h"

#include <stdlib.h>

#define UPKEEP_MS 1000
#define COMPARE_MS 10000 /* and one more for each track */
#define EXCHANGE_LIFETIME_MS 247000 /* RFC 7252 section 4.8.2 */

/* Start. */

static void remember(struct push *push, const struct parcel *parcel)
{
    uint64_t now_ms = loop_now_ms(push->loop);
    int64_t age_s = loop_wall(push->loop).s - parcel->received_s;
    if (age_s < 0)
        age_s = 0; /* the clock was set back, as it is by a boot without one: as if it had just come */
    uint64_t lifetime_ms = parcel->identity_class == CLASS_TRANSPORT ? EXCHANGE_LIFETIME_MS
                                                                     : push->settings->once_window_s * 1000;
    if (parcel->identity_class == CLASS_EXACT &&
        recent_find(push->config.recent, parcel->key, parcel->fingerprint, now_ms) == RECENT_OTHER_CONTENT)
        recent_dispute(push->config.recent, parcel->key); /* only Redis knows which of them is stored */
    else if (parcel->identity_class == CLASS_EXACT)
        recent_put(push->config.recent, parcel->key, parcel->fingerprint, RECENT_FOR_EVER);
    else if ((uint64_t)age_s * 1000 < lifetime_ms)
        recent_put(push->config.recent, parcel->key, parcel->fingerprint,
                   now_ms + lifetime_ms - (uint64_t)age_s * 1000);
}

bool push_scan(struct push *push, uint64_t cursor_lsn)
{
    struct spool_record record;
    struct parcel parcel;
    enum spool_read read;
    spool_reader_seek(push->reader, 1);
    while ((read = spool_reader_next(push->reader, &record)) == SPOOL_READ_RECORD) {
        if (!parcel_read(record.body, &parcel))
            continue;
        remember(push, &parcel);
        if (record.lsn > cursor_lsn)
            continue;
        struct track *track = tracks_get(&push->tracks, record.incarnation, parcel.tenant, parcel.lane);
        if (!track)
            return false;
        track->confirmed = track->sent = record.lsn;
    }
    push->position = cursor_lsn + 1;
    spool_reader_seek(push->reader, push->position);
    return read == SPOOL_READ_END;
}

/* Marks: what Redis has of each lane. */

struct mark_question {
    struct push_link *link;
    struct track *track;
    uint64_t confirmed;
    unsigned serial;
};

static void mark_done(struct push_link *link)
{
    if (--link->marks_awaited > 0)
        return;
    if (link->marks_again) {
        link->marks_again = false;
        push_compare_marks(link);
    } else if (link->marks_failed)
        link->retry_ms = loop_now_ms(link->push->loop) + 1;
    else
        push_link_ready(link);
}

static void mark_told(void *ctx, const struct store_reply *reply)
{
    struct mark_question *question = ctx;
    struct push_link *link = question->link;
    struct track *track = question->track;
    bool told = reply && (reply->type == STORE_TEXT || reply->type == STORE_NIL);
    track->batches--;
    if (told && question->serial == link->serial) {
        char digits[24] = "";
        if (reply->type == STORE_TEXT)
            memcpy(digits, reply->text.ptr, reply->text.len < sizeof digits - 1 ? reply->text.len : sizeof digits - 1);
        uint64_t mark = strtoull(digits, NULL, 10);
        if (mark < question->confirmed && track->confirmed == question->confirmed)
            push_went_back(link->push, track, mark);
    }
    if (question->serial == link->serial) {
        link->marks_failed |= !told;
        mark_done(link);
    }
    free(question);
}

static bool ask_mark(void *ctx, struct track *track)
{
    struct push_link *link = ctx;
    char key[SCHEMA_KEY_MAX], field[TRACK_FIELD_MAX];
    if (push_link_of(link->push, track) != link || track->confirmed == 0)
        return true;
    if (!redis_is_connected(link->redis, push_key_of(track, key))) {
        link->marks_partial = true;
        return true;
    }
    struct mark_question *question = malloc(sizeof *question);
    struct bytes arguments[] = {
        BYTES_LITERAL("HGET"),
        push_key_of(track, key),
        bytes_of(field, track_field(track, field)),
    };
    if (question)
        *question = (struct mark_question){link, track, track->confirmed, link->serial};
    if (!question || !redis_send(link->redis, arguments[1], arguments, 3, mark_told, question)) {
        free(question);
        link->marks_failed = true;
        return false;
    }
    track->batches++; /* the track stays while the question is under way */
    link->marks_awaited++;
    return true;
}

void push_compare_marks(struct push_link *link)
{
    if (link->marks_awaited) {
        link->marks_again = true;
        return;
    }
    link->marks_awaited = 1;
    link->marks_failed = link->marks_partial = false;
    tracks_each(&link->push->tracks, ask_mark, link);
    mark_done(link);
}

/* Cursor. */

static bool lower_cursor(void *ctx, struct track *track)
{
    uint64_t *cursor = ctx;
    if (track->pending && track->pending - 1 < *cursor)
        *cursor = track->pending - 1;
    return true;
}

uint64_t push_cursor(struct push *push)
{
    uint64_t cursor = (push->seek ? push->seek : push->position) - 1;
    tracks_each(&push->tracks, lower_cursor, &cursor);
    return cursor;
}

void push_save_cursor(struct push *push)
{
    uint64_t cursor = push_cursor(push);
    if (cursor == push->cursor_saved)
        return;
    if (spool_log_save_cursor(push->log, cursor))
        push->cursor_saved = cursor;
    else
        LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push", "the cursor cannot be saved", "lsn=%llu",
                  (unsigned long long)cursor);
}

/* A track that was set back but has nothing left in the spool waits for nothing. */
static bool forget_pending(void *ctx, struct track *track)
{
    (void)ctx;
    if (track->pending && !track->in_flight && !track->building && !track->blocked_until_ms && !track->passed)
        track->pending = 0;
    return true;
}

/* Tail. */

static void take_sample(struct push *push, uint64_t now_ms)
{
    if (now_ms < push->next_sample_ms)
        return;
    push->samples[push->sample_count++ % PUSH_SAMPLES] = (struct push_sample){now_ms, spool_log_durable_lsn(push->log)};
    push->next_sample_ms = now_ms + push->sample_ms;
}

static size_t oldest_sample(const struct push *push)
{
    return push->sample_count > PUSH_SAMPLES ? push->sample_count - PUSH_SAMPLES : 0;
}

/* The LSN that was the newest at least so long ago; 0: not known. */
static uint64_t lsn_before(const struct push *push, uint64_t moment_ms)
{
    for (size_t i = push->sample_count; i > oldest_sample(push); i--)
        if (push->samples[(i - 1) % PUSH_SAMPLES].ms <= moment_ms)
            return push->samples[(i - 1) % PUSH_SAMPLES].lsn;
    return 0;
}

static uint64_t age_s_of(const struct push *push, uint64_t lsn, uint64_t now_ms)
{
    for (size_t i = oldest_sample(push); i < push->sample_count; i++)
        if (push->samples[i % PUSH_SAMPLES].lsn >= lsn)
            return (now_ms - push->samples[i % PUSH_SAMPLES].ms) / 1000;
    return 0;
}

/* A mark of a run whose records are all gone from the spool counts nothing any more. Not while anything of an
 * earlier run is in the spool: it may not have been read yet, and without its mark what Redis has of it would
 * be executed again. */
static bool drop_mark(void *ctx, struct track *track)
{
    struct push *push = ctx;
    char key[SCHEMA_KEY_MAX], field[TRACK_FIELD_MAX];
    if (track->incarnation == push->config.incarnation || track->batches || track->pending || track->building ||
        spool_log_first_lsn(push->log) <= push->inherited)
        return false;
    struct bytes arguments[] = {
        BYTES_LITERAL("HDEL"),
        push_key_of(track, key),
        bytes_of(field, track_field(track, field)),
    };
    return redis_send(push_link_of(push, track)->redis, arguments[1], arguments, 3, push_ignore, NULL);
}

void push_ignore(void *ctx, const struct store_reply *reply)
{
    (void)ctx;
    (void)reply;
}

static void release(struct push *push, uint64_t now_ms)
{
    const struct settings *settings = push->settings;
    uint64_t first = spool_log_first_lsn(push->log), tail_ms = settings->spool_tail_s * 1000;
    uint64_t tail_octets = settings->spool_tail_bytes;
    if (tail_octets > settings->spool_max_bytes / 4)
        tail_octets = settings->spool_max_bytes / 4;
    uint64_t pushed = push->cursor_saved + 1, old = now_ms > tail_ms ? lsn_before(push, now_ms - tail_ms) + 1 : 0;
    if (old > 1)
        spool_log_release(push->log, old < pushed ? old : pushed, 0);
    /* Room for new messages comes before the safety of old ones. */
    spool_log_release(push->log, pushed, spool_is_full(push->config.spool, now_ms) ? 0 : tail_octets);
    if (spool_log_first_lsn(push->log) != first)
        tracks_remove_if(&push->tracks, drop_mark, push);
}

/* Roughly: records are taken to be of one size. */
static uint64_t octets_waiting(const struct push *push, uint64_t cursor)
{
    uint64_t durable = spool_log_durable_lsn(push->log), octets = spool_log_octets(push->log);
    uint64_t first = spool_log_first_lsn(push->log);
    uint64_t unpushed = durable > cursor ? durable - cursor : 0;
    uint64_t kept = durable >= first ? durable - first + 1 : 1;
    return unpushed < kept ? (uint64_t)((double)octets * (double)unpushed / (double)kept) : octets;
}

static void set_gauges(struct push *push, uint64_t cursor, uint64_t now_ms)
{
    uint64_t octets = spool_log_octets(push->log), waiting_octets = octets_waiting(push, cursor);
    bool is_waiting = spool_log_durable_lsn(push->log) > cursor;
    uint64_t fill = 100 * waiting_octets / push->settings->spool_max_bytes;
    atomic_store_explicit(&push->confirmed_lsn, cursor, memory_order_relaxed);
    spool_set_fill(push->config.spool, (unsigned)(fill < 100 ? fill : 100));
    metrics_set(&push->metrics, METRIC_PUSH_BLOCKED, push->blocked);
    metrics_set(&push->metrics, METRIC_SPOOL_UNPUSHED, 0 - cursor); /* the spool's writer has the other half */
    metrics_set(&push->metrics, METRIC_SPOOL_OLDEST, is_waiting ? age_s_of(push, cursor + 1, now_ms) : 0);
    metrics_set(&push->metrics, METRIC_SPOOL_BYTES, octets);
    metrics_set(&push->metrics, METRIC_SPOOL_FILL, fill);
    metrics_set(&push->metrics, METRIC_SPOOL_PRESSURE, shed_pressure((unsigned)fill));
}

static bool is_comparing(const struct push *push)
{
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].marks_awaited)
            return true;
    return false;
}

/* Half of the spool is used and it is the tail that uses it: room is made before senders meet the end of it. */
static bool is_tight(const struct push *push, uint64_t cursor)
{
    uint64_t octets = spool_log_octets(push->log), max = push->settings->spool_max_bytes;
    return octets > max / 2 && octets - octets_waiting(push, cursor) > max / 4;
}

/* A lane that is silent would not notice that Redis went back in time while it was connected. */
static void compare_marks(struct push *push, uint64_t now_ms, bool tight)
{
    uint64_t early_ms = tight && !push->release_is_due ? COMPARE_MS : 0;
    if (now_ms + early_ms < push->next_compare_ms || is_comparing(push))
        return;
    push->next_compare_ms = now_ms + COMPARE_MS + push->tracks.count;
    push->release_is_due = true;
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].ready)
            push_compare_marks(&push->links[i]);
}

/*
 * The tail is only let go when all lanes have just said that Redis still has what was pushed. While Redis is
 * away nobody can say that; then it goes only where there would be no room for new messages.
 */
static void release_if_due(struct push *push, uint64_t now_ms)
{
    bool all_said = push->release_is_due && !is_comparing(push), is_full = spool_is_full(push->config.spool, now_ms);
    for (unsigned i = 0; i < push->link_count; i++)
        all_said = all_said && push->links[i].ready && !push->links[i].marks_failed && !push->links[i].marks_partial;
    if (all_said || (is_full && !push_any_ready(push))) {
        push->release_is_due = false;
        release(push, now_ms);
    } else if (is_full && !push->release_is_due) {
        push->next_compare_ms = 0; /* once: a comparison begun anew at each tick would never be looked at */
    }
}

void push_upkeep(struct push *push)
{
    uint64_t now_ms = loop_now_ms(push->loop);
    bool tight = is_tight(push, push_cursor(push));
    push->inherited_is_pushed = push_cursor(push) >= push->inherited;
    compare_marks(push, now_ms, tight);
    take_sample(push, now_ms);
    if (!push->seek && !push->holding && push->position > spool_log_durable_lsn(push->log))
        tracks_each(&push->tracks, forget_pending, NULL);
    set_gauges(push, push_cursor(push), now_ms);
    if (now_ms < push->next_upkeep_ms && !(tight && push->release_is_due))
        return;
    push->next_upkeep_ms = now_ms + UPKEEP_MS;
    push_save_cursor(push);
    release_if_due(push, now_ms);
}
