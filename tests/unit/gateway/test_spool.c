// SPDX-License-Identifier: GPL-3.0-or-later
/* The writer's thread over a disk in memory (fake_disk.h): order, group commit, stopping, a disk that fails. */
#include "gateway/spool.h"

#include "tests/unit/gateway/fake_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define PATIENCE_MS 30000

struct bench {
    struct settings settings;
    struct fake_disk *fake;
    struct spool_log *log;
    struct spool *spool;
};

/* What came back to one outbox. */
struct inbox {
    size_t batches, messages, verdicts;
    uint64_t last_lsn;
    enum spool_result last_result;
    char letters[8];
    uint64_t waiter;
    enum delivery_level level;
};

static void bench_begin(struct bench *bench)
{
    struct spool_recovery found;
    settings_default(&bench->settings);
    bench->fake = fake_disk_new();
    struct spool_log_config config = {.disk = &bench->fake->disk, .segment_bytes = 1 << 20, .gateway = 1,
                                      .incarnation = 2, .max_bytes = bench->settings.spool_max_bytes};
    bench->log = spool_log_open(&config, &found);
    cr_assert_not_null(bench->log);
    bench->spool = spool_new(bench->log, &bench->settings);
    cr_assert_not_null(bench->spool);
}

static void bench_end(struct bench *bench)
{
    spool_free(bench->spool);
    spool_log_close(bench->log);
    fake_disk_free(bench->fake);
}

static void returned(void *ctx, struct spool_batch *batch)
{
    struct inbox *inbox = ctx;
    inbox->batches++;
    inbox->last_result = batch->result;
    if (batch->result == SPOOL_DONE) {
        cr_assert_gt(batch->first_lsn, inbox->last_lsn, "batches come back in the order of their LSNs");
        inbox->last_lsn = batch->first_lsn + batch->count - 1;
        inbox->messages += batch->count;
    }
    spool_batch_free(batch);
}

static void verdict(void *ctx, uint64_t waiter, char letter, enum delivery_level level)
{
    struct inbox *inbox = ctx;
    inbox->letters[inbox->verdicts++] = letter;
    inbox->waiter = waiter;
    inbox->level = level;
}

static struct spool_outbox *outbox_of(struct bench *bench, struct loop *loop, unsigned index, struct inbox *inbox)
{
    struct spool_outbox_config config = {.returned = returned, .verdict = verdict, .ctx = inbox};
    struct spool_outbox *outbox = spool_outbox_new(bench->spool, loop, index, &config);
    cr_assert_not_null(outbox);
    return outbox;
}

static struct spool_batch *batch_of(struct spool_outbox *outbox, uint64_t first, size_t count)
{
    struct spool_batch *batch = spool_batch_new(outbox);
    for (uint64_t i = first; i < first + count; i++) {
        msgpack_raw(&batch->bodies, bytes_of(&i, sizeof i));
        cr_assert(spool_batch_seal(batch, (uint32_t)i));
    }
    return batch;
}

static void wait_for(struct loop *loop, const size_t *counter, size_t wanted)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    time_t until = at.tv_sec + PATIENCE_MS / 1000;
    while (*counter < wanted && at.tv_sec < until) {
        loop_wait(loop, 100, NULL, NULL);
        clock_gettime(CLOCK_MONOTONIC, &at);
    }
    cr_assert_eq(*counter, wanted);
}

static void expect_in_log(struct bench *bench, uint64_t lsn, uint64_t number)
{
    struct spool_reader *reader = spool_reader_new(bench->log);
    struct spool_record record;
    spool_reader_seek(reader, lsn);
    cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_RECORD);
    cr_expect_eq(record.lsn, lsn);
    cr_expect_eq(record.body.len, sizeof number);
    cr_expect_eq(memcmp(record.body.ptr, &number, sizeof number), 0);
    spool_reader_free(reader);
}

Test(spool, what_comes_back_is_in_the_log)
{
    struct bench bench;
    struct inbox inbox = {0};
    bench_begin(&bench);
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(&bench, loop, 0, &inbox);
    for (uint64_t i = 0; i < 300; i++)
        spool_submit(bench.spool, batch_of(outbox, 100 * i, i % 100 + 1));
    wait_for(loop, &inbox.batches, 300);
    cr_expect_eq(inbox.messages, 300 * 101 / 2);
    cr_expect_eq(spool_log_durable_lsn(bench.log), inbox.messages);
    expect_in_log(&bench, 1, 0);
    expect_in_log(&bench, 2, 100);
    expect_in_log(&bench, 3, 101);
    expect_in_log(&bench, inbox.messages, 29999);
    spool_outbox_free(outbox);
    loop_free(loop);
    bench_end(&bench);
}

/* So long as it waits for more, a group is one sync: the disk is not asked once for each batch. */
Test(spool, a_group_is_one_commit)
{
    struct bench bench;
    struct inbox inbox = {0};
    bench_begin(&bench);
    spool_free(bench.spool);
    bench.settings.spool_commit_us = 60000000;
    bench.settings.spool_commit_records = 20;
    bench.spool = spool_new(bench.log, &bench.settings);
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(&bench, loop, 0, &inbox);
    unsigned syncs = bench.fake->calls[FAKE_SYNC];
    for (uint64_t i = 0; i < 10; i++)
        spool_submit(bench.spool, batch_of(outbox, 2 * i, 2));
    wait_for(loop, &inbox.batches, 10);
    cr_expect_eq(bench.fake->calls[FAKE_SYNC] - syncs, 1);
    spool_outbox_free(outbox);
    loop_free(loop);
    bench_end(&bench);
}

Test(spool, stopping_commits_what_waits)
{
    struct bench bench;
    struct inbox inbox = {0};
    bench_begin(&bench);
    spool_free(bench.spool);
    bench.settings.spool_commit_us = 60000000;
    bench.settings.spool_commit_records = 1000;
    bench.spool = spool_new(bench.log, &bench.settings);
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(&bench, loop, 0, &inbox);
    for (uint64_t i = 0; i < 50; i++)
        spool_submit(bench.spool, batch_of(outbox, i, 1));
    spool_stop(bench.spool);
    cr_expect_eq(spool_log_durable_lsn(bench.log), 50);
    spool_submit(bench.spool, batch_of(outbox, 50, 1));
    spool_outbox_free(outbox); /* tells what came back */
    cr_expect_eq(inbox.messages, 50);
    cr_expect_eq(inbox.batches, 51);
    cr_expect_eq(inbox.last_result, SPOOL_FAILED, "what came too late is refused");
    cr_expect_eq(spool_log_durable_lsn(bench.log), 50);
    loop_free(loop);
    bench_end(&bench);
}

struct worker {
    struct bench *bench;
    unsigned index;
    struct inbox inbox;
};

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(worker->bench, loop, worker->index, &worker->inbox);
    for (uint64_t i = 0; i < 200; i++)
        spool_submit(worker->bench->spool, batch_of(outbox, i, 3));
    wait_for(loop, &worker->inbox.batches, 200);
    spool_outbox_free(outbox);
    loop_free(loop);
    return NULL;
}

Test(spool, several_workers)
{
    struct bench bench;
    struct worker workers[4] = {0};
    pthread_t threads[4];
    bench_begin(&bench);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){.bench = &bench, .index = i};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(workers[i].inbox.messages, 600);
    }
    cr_expect_eq(spool_log_durable_lsn(bench.log), 2400);
    bench_end(&bench);
}

Test(spool, a_disk_that_fails_and_recovers)
{
    struct bench bench;
    struct inbox inbox = {0};
    bench_begin(&bench);
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(&bench, loop, 0, &inbox);
    spool_submit(bench.spool, batch_of(outbox, 0, 1));
    wait_for(loop, &inbox.batches, 1);
    bench.fake->error = EIO;
    bench.fake->fail_on = true;
    bench.fake->fail_at[FAKE_SYNC] = bench.fake->calls[FAKE_SYNC] + 1;
    spool_submit(bench.spool, batch_of(outbox, 1, 2));
    wait_for(loop, &inbox.batches, 2);
    cr_expect_eq(inbox.last_result, SPOOL_FAILED);
    cr_expect_eq(inbox.messages, 1);
    bench.fake->fail_at[FAKE_SYNC] = 0;
    bench.fake->fail_on = false;
    spool_submit(bench.spool, batch_of(outbox, 3, 1));
    wait_for(loop, &inbox.batches, 3);
    cr_expect_eq(inbox.last_result, SPOOL_DONE);
    expect_in_log(&bench, inbox.last_lsn, 3);
    spool_outbox_free(outbox);
    loop_free(loop);
    bench_end(&bench);
}

Test(spool, a_full_spool_says_so)
{
    struct bench bench;
    struct inbox inbox = {0};
    bench_begin(&bench);
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(&bench, loop, 0, &inbox);
    bench.fake->space = 1;
    for (uint64_t i = 0; i < 40 && inbox.last_result == SPOOL_DONE; i++) {
        struct spool_batch *batch = spool_batch_new(outbox);
        static const uint8_t large[100000];
        msgpack_raw(&batch->bodies, bytes_of(large, sizeof large));
        cr_assert(spool_batch_seal(batch, 0));
        spool_submit(bench.spool, batch);
        wait_for(loop, &inbox.batches, i + 1);
    }
    cr_expect_eq(inbox.last_result, SPOOL_FULL);
    spool_outbox_free(outbox);
    loop_free(loop);
    bench_end(&bench);
}

Test(spool, a_message_without_memory_is_taken_out_again)
{
    struct spool_batch *batch = spool_batch_new(NULL);
    msgpack_uint(&batch->bodies, 1);
    cr_assert(spool_batch_seal(batch, 7));
    msgpack_uint(&batch->bodies, 2);
    batch->bodies.failed = true;
    cr_expect(!spool_batch_seal(batch, 8));
    msgpack_uint(&batch->bodies, 3);
    cr_assert(spool_batch_seal(batch, 9));
    cr_expect_eq(batch->count, 2);
    cr_expect_eq(batch->ends[1], 2);
    cr_expect_eq(batch->bodies.ptr[1], 3);
    cr_expect_eq(batch->tags[1], 9);
    spool_batch_clear(batch);
    cr_expect_eq(batch->count, 0);
    spool_batch_free(batch);
}

Test(spool, verdicts_reach_their_loop)
{
    struct bench bench;
    struct inbox inbox = {0};
    bench_begin(&bench);
    struct loop *loop = loop_new();
    struct spool_outbox *outbox = outbox_of(&bench, loop, 3, &inbox);
    spool_tell_verdict(bench.spool, 2, 1, 'x', LEVEL_STORED); /* nobody is there */
    spool_tell_verdict(bench.spool, 1000, 1, 'x', LEVEL_STORED);
    spool_tell_verdict(bench.spool, 3, 77, 'n', LEVEL_STORED);
    spool_tell_verdict(bench.spool, 3, UINT64_MAX, 'd', LEVEL_REPLICATED);
    wait_for(loop, &inbox.verdicts, 2);
    cr_expect_str_eq(inbox.letters, "nd");
    cr_expect_eq(inbox.waiter, UINT64_MAX);
    cr_expect_eq(inbox.level, LEVEL_REPLICATED);
    spool_outbox_free(outbox);
    spool_tell_verdict(bench.spool, 3, 77, 'n', LEVEL_STORED);
    loop_free(loop);
    bench_end(&bench);
}
