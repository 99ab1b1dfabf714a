// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The sink over a real spool on a disk in memory, without a push: the test reads the log and gives the verdicts that
 * the push would give.
 */
#include "gateway/sink_spool.h"

#include "gateway/parcel.h"
#include "gateway/push_private.h"
#include "tests/unit/gateway/fake_disk.h"

#include <criterion/criterion.h>
#include <errno.h>

#define TURNS_MAX 3000
#define WORKER 5

struct bench {
    struct settings settings;
    struct metrics metrics;
    struct fake_disk *fake;
    struct spool_log *log;
    struct spool *spool;
    struct recent *recent;
    struct loop *loop;
    struct sink_spool *sink;
    struct push push; /* of which the sink sees only why_not */
};

/* What became of one message. */
struct told {
    unsigned times;
    enum outcome outcome;
    bool has_receipt;
    struct sink_receipt receipt;
};

static struct bench *bench_new(void)
{
    struct spool_recovery found;
    struct bench *bench = calloc(1, sizeof *bench);
    settings_default(&bench->settings);
    bench->settings.stored_wait_ms = 100;
    bench->settings.in_flight_max = 16;
    bench->fake = fake_disk_new();
    struct spool_log_config log = {.disk = &bench->fake->disk, .segment_bytes = 1 << 20, .gateway = 1,
                                   .incarnation = 2, .max_bytes = bench->settings.spool_max_bytes};
    bench->log = spool_log_open(&log, &found);
    bench->spool = spool_new(bench->log, &bench->settings);
    bench->recent = recent_new(1024);
    bench->loop = loop_new();
    struct sink_config config = {.loop = bench->loop, .settings = &bench->settings, .metrics = &bench->metrics,
                                 .random_seed = {1, 2, 3, 4}, .index = WORKER, .spool = bench->spool,
                                 .recent = bench->recent, .push = &bench->push};
    bench->sink = sink_spool_new(&config);
    cr_assert_not_null(bench->sink);
    return bench;
}

static void bench_free(struct bench *bench)
{
    spool_stop(bench->spool);
    sink_spool_free(bench->sink);
    loop_free(bench->loop);
    spool_free(bench->spool);
    recent_free(bench->recent);
    spool_log_close(bench->log);
    fake_disk_free(bench->fake);
    free(bench);
}

static void done(void *ctx, enum outcome outcome, const struct sink_receipt *receipt)
{
    struct told *told = ctx;
    told->times++;
    told->outcome = outcome;
    told->has_receipt = receipt != NULL;
    if (receipt)
        told->receipt = *receipt;
}

static const struct observation a_reading = {.name = BYTES_LITERAL("n"), .kind = VALUE_NONE};
static const struct sink_record a_record = {.device = BYTES_LITERAL("d1"), .observation = &a_reading};

static struct sink_message message_of(uint64_t seq, uint32_t fingerprint, enum delivery_level level)
{
    return (struct sink_message){.tenant = BYTES_LITERAL("acme"), .records = &a_record, .count = 1, .class = 't',
                                 .identity_class = CLASS_EXACT, .speaker = BYTES_LITERAL("d1"),
                                 .sequence = {true, 1, seq}, .fingerprint = fingerprint, .level = level,
                                 .confirmable = true};
}

static enum outcome append(struct bench *bench, uint64_t seq, uint32_t fingerprint, enum delivery_level level,
                           struct told *told)
{
    struct sink_message message = message_of(seq, fingerprint, level);
    return sink_spool_append(bench->sink, &message, done, told);
}

static void wait_for(struct bench *bench, const struct told *told)
{
    for (unsigned i = 0; i < TURNS_MAX && !told->times; i++) {
        sink_spool_flush(bench->sink);
        loop_wait(bench->loop, 10, NULL, NULL);
    }
    cr_assert_eq(told->times, 1);
}

static void wait_for_log(struct bench *bench, uint64_t lsn)
{
    sink_spool_flush(bench->sink);
    for (unsigned i = 0; i < TURNS_MAX && spool_log_durable_lsn(bench->log) < lsn; i++)
        loop_wait(bench->loop, 10, NULL, NULL);
    cr_assert_eq(spool_log_durable_lsn(bench->log), lsn);
}

static void expect_told(const struct told *told, enum outcome outcome, enum delivery_level level, bool duplicate)
{
    cr_assert_eq(told->times, 1);
    cr_expect_eq(told->outcome, outcome);
    cr_expect_eq(told->has_receipt, outcome_is_success(outcome));
    if (told->has_receipt) {
        cr_expect_eq(told->receipt.level, level);
        cr_expect_eq(told->receipt.duplicate, duplicate);
    }
}

static uint64_t waiter_at(struct bench *bench, uint64_t lsn)
{
    struct spool_reader *reader = spool_reader_new(bench->log);
    struct spool_record record;
    struct parcel parcel;
    spool_reader_seek(reader, lsn);
    cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_RECORD);
    cr_assert(parcel_read(record.body, &parcel));
    spool_reader_free(reader);
    return parcel.waiter;
}

static void give_verdict(struct bench *bench, uint64_t waiter, char letter, enum delivery_level level)
{
    cr_assert_eq(waiter >> 56, WORKER);
    spool_tell_verdict(bench->spool, (unsigned)(waiter >> 56), waiter, letter, level);
}

static void some_turns(struct bench *bench)
{
    for (unsigned i = 0; i < 3; i++) {
        sink_spool_flush(bench->sink);
        loop_wait(bench->loop, 10, NULL, NULL);
    }
}

Test(sink_spool, told_when_durable_and_not_before)
{
    struct bench *bench = bench_new();
    struct told told[3] = {0};
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(append(bench, i, 1, LEVEL_SPOOLED, &told[i]), OUTCOME_CHANGED);
    cr_expect_eq(told[0].times, 0);
    cr_expect_eq(spool_log_durable_lsn(bench->log), 0);
    wait_for(bench, &told[2]);
    for (unsigned i = 0; i < 3; i++)
        expect_told(&told[i], OUTCOME_CHANGED, LEVEL_SPOOLED, false);
    cr_expect_eq(spool_log_durable_lsn(bench->log), 3);
    cr_expect_eq(waiter_at(bench, 1), 0, "nobody waits for a verdict");
    bench_free(bench);
}

Test(sink_spool, a_repetition_is_not_spooled_again)
{
    struct bench *bench = bench_new();
    struct told first = {0}, again = {0}, other = {0};
    append(bench, 1, 1, LEVEL_SPOOLED, &first);
    wait_for(bench, &first);
    cr_assert_eq(append(bench, 1, 1, LEVEL_SPOOLED, &again), OUTCOME_CHANGED);
    cr_expect_eq(again.times, 0, "never from within append");
    sink_spool_flush(bench->sink);
    expect_told(&again, OUTCOME_CHANGED, LEVEL_SPOOLED, true);
    cr_expect_eq(append(bench, 1, 2, LEVEL_SPOOLED, &other), OUTCOME_SEQUENCE_CONFLICT);
    some_turns(bench);
    cr_expect_eq(other.times, 0);
    cr_expect_eq(spool_log_durable_lsn(bench->log), 1);
    bench_free(bench);
}

Test(sink_spool, what_is_in_dispute_is_asked_again)
{
    struct bench *bench = bench_new();
    struct told first = {0}, same = {0}, other = {0};
    uint8_t key[SINK_KEY_BYTES];
    struct sink_message message = message_of(1, 1, LEVEL_SPOOLED);
    append(bench, 1, 1, LEVEL_SPOOLED, &first);
    wait_for(bench, &first);
    parcel_key(&message, key);
    recent_dispute(bench->recent, key);
    cr_assert_eq(append(bench, 1, 1, LEVEL_SPOOLED, &same), OUTCOME_CHANGED);
    wait_for(bench, &same);
    expect_told(&same, OUTCOME_CHANGED, LEVEL_SPOOLED, false);
    cr_assert_eq(append(bench, 1, 2, LEVEL_SPOOLED, &other), OUTCOME_CHANGED, "Redis decides, not this memory");
    wait_for(bench, &other);
    cr_expect_eq(spool_log_durable_lsn(bench->log), 3);
    bench_free(bench);
}

static void append_windowed(struct bench *bench, uint32_t fingerprint, bool duplicate)
{
    struct told told = {0};
    struct sink_message message = message_of(0, fingerprint, LEVEL_SPOOLED);
    message.identity_class = CLASS_WINDOWED;
    message.sequence = (struct sequence){0};
    message.key[0] = 7;
    cr_assert_eq(sink_spool_append(bench->sink, &message, done, &told), OUTCOME_CHANGED);
    wait_for(bench, &told);
    expect_told(&told, OUTCOME_CHANGED, LEVEL_SPOOLED, duplicate);
}

Test(sink_spool, only_a_sequence_number_makes_a_conflict)
{
    struct bench *bench = bench_new();
    append_windowed(bench, 1, false);
    append_windowed(bench, 2, false);
    append_windowed(bench, 1, true);
    cr_expect_eq(spool_log_durable_lsn(bench->log), 2);
    bench_free(bench);
}

static void check_verdict(char letter, enum delivery_level reached, enum delivery_level demanded, enum outcome outcome,
                          bool duplicate)
{
    struct bench *bench = bench_new();
    struct told told = {0};
    bench->settings.stored_wait_ms = 30000;
    append(bench, 1, 1, demanded, &told);
    wait_for_log(bench, 1);
    some_turns(bench);
    cr_assert_eq(told.times, 0, "spooled is not enough");
    give_verdict(bench, waiter_at(bench, 1), letter, reached);
    wait_for(bench, &told);
    expect_told(&told, outcome, reached, duplicate);
    bench_free(bench);
}

Test(sink_spool, verdicts)
{
    check_verdict('n', LEVEL_STORED, LEVEL_STORED, OUTCOME_CHANGED, false);
    check_verdict('r', LEVEL_STORED, LEVEL_STORED, OUTCOME_CHANGED, false);
    check_verdict('d', LEVEL_STORED, LEVEL_STORED, OUTCOME_CHANGED, true);
    check_verdict('c', LEVEL_STORED, LEVEL_STORED, OUTCOME_SEQUENCE_CONFLICT, false);
    check_verdict('x', LEVEL_STORED, LEVEL_STORED, OUTCOME_SEQUENCE_CONFLICT, false);
    check_verdict('n', LEVEL_REPLICATED, LEVEL_REPLICATED, OUTCOME_CHANGED, false);
    check_verdict('n', LEVEL_STORED, LEVEL_REPLICATED, OUTCOME_LEVEL_MISSED, false);
}

Test(sink_spool, a_verdict_may_overtake_the_commit)
{
    struct bench *bench = bench_new();
    struct told told = {0};
    append(bench, 1, 1, LEVEL_STORED, &told);
    give_verdict(bench, (uint64_t)WORKER << 56 | 1, 'd', LEVEL_STORED); /* the first slot, for the first time */
    loop_wait(bench->loop, 100, NULL, NULL);
    cr_expect_eq(told.times, 0);
    wait_for(bench, &told);
    expect_told(&told, OUTCOME_CHANGED, LEVEL_STORED, true);
    bench_free(bench);
}

Test(sink_spool, nobody_waits_for_ever)
{
    struct bench *bench = bench_new();
    struct told late[3] = {0}, next = {0};
    for (unsigned i = 0; i < 3; i++)
        append(bench, i, 1, LEVEL_STORED, &late[i]);
    wait_for_log(bench, 3);
    uint64_t waiter = waiter_at(bench, 3);
    wait_for(bench, &late[2]);
    for (unsigned i = 0; i < 3; i++)
        expect_told(&late[i], OUTCOME_STORE_TIMEOUT, 0, false);
    /* The slot is used again; the verdict that comes late is not for the newcomer. */
    bench->settings.stored_wait_ms = 30000;
    append(bench, 10, 1, LEVEL_STORED, &next);
    wait_for_log(bench, 4);
    some_turns(bench);
    cr_assert_eq((uint32_t)waiter_at(bench, 4), (uint32_t)waiter, "the same slot");
    give_verdict(bench, waiter, 'c', LEVEL_STORED);
    some_turns(bench);
    cr_expect_eq(next.times, 0);
    give_verdict(bench, waiter_at(bench, 4), 'n', LEVEL_STORED);
    wait_for(bench, &next);
    expect_told(&next, OUTCOME_CHANGED, LEVEL_STORED, false);
    bench_free(bench);
}

Test(sink_spool, stored_is_refused_at_once_while_redis_is_away)
{
    struct bench *bench = bench_new();
    struct told told = {0};
    bench->push.why_not = "Redis cannot be reached.";
    cr_expect_eq(append(bench, 1, 1, LEVEL_STORED, &told), OUTCOME_STORE_AWAY);
    cr_expect_eq(append(bench, 1, 1, LEVEL_SPOOLED, &told), OUTCOME_CHANGED);
    wait_for(bench, &told);
    expect_told(&told, OUTCOME_CHANGED, LEVEL_SPOOLED, false);
    bench_free(bench);
}

Test(sink_spool, full)
{
    struct bench *bench = bench_new();
    struct told told[17] = {0};
    spool_set_fill(bench->spool, 95);
    cr_expect_eq(append(bench, 1, 1, LEVEL_SPOOLED, &told[0]), OUTCOME_SPOOL_FULL);
    spool_set_fill(bench->spool, 94);
    for (unsigned i = 0; i < 16; i++)
        cr_expect_eq(append(bench, i, 1, LEVEL_SPOOLED, &told[i]), OUTCOME_CHANGED);
    cr_expect_eq(append(bench, 16, 1, LEVEL_SPOOLED, &told[16]), OUTCOME_OVERLOADED);
    wait_for(bench, &told[15]);
    cr_expect_eq(append(bench, 16, 1, LEVEL_SPOOLED, &told[16]), OUTCOME_CHANGED);
    wait_for(bench, &told[16]);
    bench_free(bench);
}

Test(sink_spool, a_failed_disk_is_told_and_nothing_remembered)
{
    struct bench *bench = bench_new();
    struct told first = {0}, second = {0}, third = {0};
    append(bench, 1, 1, LEVEL_SPOOLED, &first);
    wait_for(bench, &first);
    bench->fake->error = EIO;
    bench->fake->fail_on = true;
    bench->fake->fail_at[FAKE_SYNC] = bench->fake->calls[FAKE_SYNC] + 1;
    append(bench, 2, 1, LEVEL_SPOOLED, &second);
    wait_for(bench, &second);
    expect_told(&second, OUTCOME_SPOOL_FAILED, 0, false);
    bench->fake->fail_on = false;
    bench->fake->fail_at[FAKE_SYNC] = 0;
    cr_assert_eq(append(bench, 2, 2, LEVEL_SPOOLED, &third), OUTCOME_CHANGED, "other content is no conflict");
    wait_for(bench, &third);
    expect_told(&third, OUTCOME_CHANGED, LEVEL_SPOOLED, false);
    bench_free(bench);
}

Test(sink_spool, the_end_answers_everybody)
{
    struct bench *bench = bench_new();
    struct told waiting = {0}, unflushed = {0};
    bench->settings.stored_wait_ms = 30000;
    append(bench, 1, 1, LEVEL_STORED, &waiting);
    wait_for_log(bench, 1);
    append(bench, 2, 1, LEVEL_SPOOLED, &unflushed);
    bench_free(bench);
    expect_told(&waiting, OUTCOME_STORE_TIMEOUT, 0, false);
    expect_told(&unflushed, OUTCOME_STORE_TIMEOUT, 0, false);
}
