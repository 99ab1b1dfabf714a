// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The spool over a disk that fails, tears and forgets (fake_disk.h). A ledger knows what was tried, what was confirmed
 * and when; every state that a power cut may leave is opened and compared with it. Failures print the seed; WEIR_SEED
 * sets it.
 */
#include "gateway/spool_log.h"

#include "gateway/spool_format.h"
#include "tests/unit/gateway/fake_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATEWAY 0x6761746577617931
#define SEGMENT_BYTES (SPOOL_RECORDS_AT + 4096)
#define OPENED_S 1763719200
#define ATTEMPTS_MAX 4096
#define BODY_MAX 6000

struct attempt {
    uint64_t lsn;
    size_t len, begun, confirmed; /* changes of the disk when; SIZE_MAX: never */
};

struct release {
    size_t begun;
    uint64_t left_lsn;
};

static struct {
    struct attempt attempts[ATTEMPTS_MAX];
    size_t count;
    struct release releases[512];
    size_t release_count;
    struct attempt cursors[512];
    size_t cursor_count;
} ledger;

static uint64_t seed;

static uint64_t next_incarnation = 1;

static struct secret key = {.octets = "01234567890123456789012345678901", .len = 32};

static void seed_from(struct random *random, uint64_t fallback)
{
    const char *text = getenv("WEIR_SEED");
    seed = text ? strtoull(text, NULL, 10) : fallback;
    random_seed(random, (uint64_t[]){seed, 2, 3, 4});
    for (unsigned i = 0; i < 16; i++)
        random_next(random);
}

static void reset_ledger(void)
{
    ledger.count = ledger.release_count = ledger.cursor_count = 0;
    next_incarnation = 1;
}

/* The body of an attempt is made of its number, which it begins with if there is room. */
static struct bytes body_of(size_t number, size_t len, uint8_t *buffer)
{
    for (size_t i = 0; i < len; i++)
        buffer[i] = i < 4 ? (uint8_t)(number >> 8 * i) : (uint8_t)(number * 31 + i * 7 + i / 256);
    return bytes_of(buffer, len);
}

static struct spool_log *open_on(struct fake_disk *fake, bool encrypted, struct spool_recovery *ret)
{
    struct spool_log_config config = {
        .disk = &fake->disk,
        .segment_bytes = SEGMENT_BYTES,
        .gateway = GATEWAY,
        .incarnation = next_incarnation++ * 0x9e3779b97f4a7c15 | 1,
        .max_bytes = 1 << 30,
        .now_s = OPENED_S,
        .key = encrypted ? &key : NULL,
    };
    return spool_log_open(&config, ret);
}

static enum spool_result commit(struct fake_disk *fake, struct spool_log *log, const size_t *lens, size_t count)
{
    static uint8_t buffers[8][BODY_MAX];
    struct bytes bodies[8];
    size_t first = ledger.count;
    uint64_t first_lsn = 0, expected = spool_log_durable_lsn(log) + 1;
    for (size_t i = 0; i < count; i++) {
        bodies[i] = body_of(first + i, lens[i], buffers[i]);
        cr_assert_lt(ledger.count, ATTEMPTS_MAX);
        ledger.attempts[ledger.count++] = (struct attempt){expected + i, lens[i], fake->change_count, SIZE_MAX};
    }
    enum spool_result result = spool_log_commit(log, bodies, count, &first_lsn);
    if (result != SPOOL_DONE)
        return result;
    cr_assert_eq(first_lsn, expected);
    cr_assert_eq(spool_log_durable_lsn(log), expected + count - 1);
    for (size_t i = 0; i < count; i++)
        ledger.attempts[first + i].confirmed = fake->change_count;
    return result;
}

static enum spool_result commit_one(struct fake_disk *fake, struct spool_log *log, size_t len)
{
    return commit(fake, log, &len, 1);
}

static bool save_cursor(struct fake_disk *fake, struct spool_log *log, uint64_t lsn)
{
    struct attempt *attempt = &ledger.cursors[ledger.cursor_count++];
    *attempt = (struct attempt){.lsn = lsn, .begun = fake->change_count, .confirmed = SIZE_MAX};
    if (!spool_log_save_cursor(log, lsn))
        return false;
    attempt->confirmed = fake->change_count;
    return true;
}

static void release(struct fake_disk *fake, struct spool_log *log, uint64_t below_lsn, uint64_t keep_octets)
{
    size_t begun = fake->change_count;
    uint64_t left_lsn = spool_log_release(log, below_lsn, keep_octets);
    ledger.releases[ledger.release_count++] = (struct release){begun, left_lsn};
}

static bool is_attempt(const struct spool_record *record, size_t changes, size_t number)
{
    uint8_t buffer[BODY_MAX];
    const struct attempt *attempt = &ledger.attempts[number];
    return attempt->lsn == record->lsn && attempt->len == record->body.len && attempt->begun < changes &&
           bytes_equal(record->body, body_of(number, attempt->len, buffer));
}

/* Of what was read: was it written, and which confirmed attempt is it? */
static void check_record(const struct spool_record *record, size_t changes, bool *seen)
{
    bool known = false;
    for (size_t i = 0; i < ledger.count; i++) {
        if (!is_attempt(record, changes, i))
            continue;
        known = true;
        seen[i] = true;
    }
    cr_assert(known, "seed %llu, cut after %zu: LSN %llu was never written so", (unsigned long long)seed, changes,
              (unsigned long long)record->lsn);
}

/* Reads all; the digest is of LSNs and lengths. only_confirmed: what was refused must not be there either. */
static uint64_t check_content(struct spool_log *log, size_t changes, bool only_confirmed)
{
    static bool seen[ATTEMPTS_MAX];
    struct spool_reader *reader = spool_reader_new(log);
    struct spool_record record;
    uint64_t last_lsn = 0, digest = 0, left_lsn = 0;
    enum spool_read read;
    memset(seen, 0, sizeof seen);
    while ((read = spool_reader_next(reader, &record)) == SPOOL_READ_RECORD) {
        cr_assert_gt(record.lsn, last_lsn);
        last_lsn = record.lsn;
        digest = (digest + record.lsn) * 0x9e3779b97f4a7c15 + record.body.len;
        check_record(&record, changes, seen);
    }
    cr_assert_eq(read, SPOOL_READ_END);
    for (size_t i = 0; i < ledger.release_count; i++)
        if (ledger.releases[i].begun < changes && ledger.releases[i].left_lsn > left_lsn)
            left_lsn = ledger.releases[i].left_lsn;
    for (size_t i = 0; i < ledger.count; i++) {
        const struct attempt *attempt = &ledger.attempts[i];
        if (attempt->confirmed <= changes && attempt->lsn >= left_lsn)
            cr_assert(seen[i], "seed %llu, cut after %zu: LSN %llu is lost", (unsigned long long)seed, changes,
                      (unsigned long long)attempt->lsn);
        if (only_confirmed && attempt->confirmed == SIZE_MAX)
            cr_assert_not(seen[i], "seed %llu: LSN %llu was refused and is there", (unsigned long long)seed,
                          (unsigned long long)attempt->lsn);
    }
    spool_reader_free(reader);
    return digest;
}

static uint64_t last_confirmed(size_t changes)
{
    uint64_t lsn = 0;
    for (size_t i = 0; i < ledger.count; i++)
        if (ledger.attempts[i].confirmed <= changes && ledger.attempts[i].lsn > lsn)
            lsn = ledger.attempts[i].lsn;
    return lsn;
}

/* The last that was saved, or one that was being saved after it. */
static bool is_cursor(uint64_t lsn, size_t changes)
{
    for (size_t i = ledger.cursor_count; i-- > 0;) {
        const struct attempt *cursor = &ledger.cursors[i];
        if (cursor->begun < changes && cursor->lsn == lsn)
            return true;
        if (cursor->confirmed <= changes)
            return false;
    }
    return lsn == 0;
}

static void check_recovery(const struct spool_recovery *recovery, size_t changes)
{
    cr_assert(is_cursor(recovery->cursor_lsn, changes), "seed %llu, cut after %zu: cursor %llu",
              (unsigned long long)seed, changes, (unsigned long long)recovery->cursor_lsn);
    cr_assert(recovery->missing == 0 && recovery->foreign == 0, "seed %llu, cut after %zu: %llu missing",
              (unsigned long long)seed, changes, (unsigned long long)recovery->missing);
    cr_assert_gt(recovery->next_lsn, last_confirmed(changes));
}

/* Opens what a cut has left, twice, and writes on. Consumes the disk. */
static void check_cut(struct fake_disk *cut, size_t changes, bool encrypted)
{
    struct spool_recovery first, second;
    size_t count = ledger.count;
    struct spool_log *log = open_on(cut, encrypted, &first);
    cr_assert(log, "seed %llu, cut after %zu: %s", (unsigned long long)seed, changes, strerror(errno));
    check_recovery(&first, changes);
    uint64_t digest = check_content(log, changes, false);
    spool_log_close(log);
    log = open_on(cut, encrypted, &second);
    cr_assert(log);
    cr_assert_eq(check_content(log, changes, false), digest);
    cr_assert(first.records == second.records && first.next_lsn == second.next_lsn &&
              first.first_lsn == second.first_lsn && first.quarantined == second.quarantined &&
              second.torn_octets == 0);
    cr_assert_eq(commit_one(cut, log, 10), SPOOL_DONE);
    cr_assert_eq(ledger.attempts[count].lsn, second.next_lsn);
    ledger.attempts[count].begun = ledger.attempts[count].confirmed = 0;
    check_content(log, changes ? changes : 1, false);
    ledger.count = count;
    spool_log_close(log);
    cr_assert_eq(fake_disk_open_count(cut), 0);
    fake_disk_free(cut);
}

struct scenario {
    struct fake_disk *fake;
    struct spool_log *log;
    struct spool_reader *reader;
    struct random random;
    uint64_t read_lsn;
    bool encrypted, faults;
};

static void reopen(struct scenario *scenario)
{
    struct spool_recovery recovery;
    spool_reader_free(scenario->reader);
    spool_log_close(scenario->log);
    scenario->reader = NULL;
    scenario->log = NULL;
    for (unsigned tries = 0; tries < 3 && !scenario->log; tries++)
        scenario->log = open_on(scenario->fake, scenario->encrypted, &recovery);
    if (!scenario->log)
        return;
    scenario->reader = spool_reader_new(scenario->log);
    spool_reader_seek(scenario->reader, recovery.cursor_lsn + 1);
}

static void step_commit(struct scenario *scenario)
{
    size_t lens[6], count = 1 + random_below(&scenario->random, 6);
    for (size_t i = 0; i < count; i++)
        lens[i] = random_below(&scenario->random, random_below(&scenario->random, 8) ? 300 : 1200);
    if (random_below(&scenario->random, 25) == 0)
        lens[0] = BODY_MAX; /* more than a segment */
    if (scenario->faults && random_below(&scenario->random, 8) == 0) {
        enum fake_call call = random_below(&scenario->random, 2) ? FAKE_SYNC : FAKE_WRITE;
        scenario->fake->fail_at[call] = scenario->fake->calls[call] + 1 + (unsigned)random_below(&scenario->random, 3);
    }
    commit(scenario->fake, scenario->log, lens, count);
    if (scenario->faults)
        memset(scenario->fake->fail_at, 0, sizeof scenario->fake->fail_at);
}

static void step_read(struct scenario *scenario)
{
    struct spool_record record;
    for (size_t n = random_below(&scenario->random, 12); n > 0; n--) {
        if (spool_reader_next(scenario->reader, &record) != SPOOL_READ_RECORD)
            break;
        scenario->read_lsn = record.lsn;
    }
}

static void step(struct scenario *scenario)
{
    switch (random_below(&scenario->random, 12)) {
    case 0:
        if (scenario->read_lsn)
            save_cursor(scenario->fake, scenario->log, scenario->read_lsn);
        break;
    case 1:
        release(scenario->fake, scenario->log, scenario->read_lsn + 1, random_below(&scenario->random, 40000));
        break;
    case 2:
        if (random_below(&scenario->random, 3) == 0)
            reopen(scenario);
        break;
    case 3:
    case 4:
    case 5:
        step_read(scenario);
        break;
    default:
        step_commit(scenario);
        break;
    }
}

static void run(struct scenario *scenario, unsigned steps)
{
    scenario->read_lsn = 0;
    reopen(scenario);
    for (unsigned i = 0; i < steps && scenario->log; i++)
        step(scenario);
}

static void end(struct scenario *scenario)
{
    spool_reader_free(scenario->reader);
    spool_log_close(scenario->log);
    cr_assert_eq(fake_disk_open_count(scenario->fake), 0);
    fake_disk_free(scenario->fake);
}

static void check_every_cut(struct scenario *scenario)
{
    struct fake_disk *fake = scenario->fake;
    struct random *random = &scenario->random;
    for (size_t changes = 0; changes <= fake->change_count; changes++) {
        for (enum fake_keep keep = FAKE_KEEP_NONE; keep <= FAKE_KEEP_RANDOM; keep++)
            check_cut(fake_disk_after_cut(fake, changes, keep, 0, random), changes, scenario->encrypted);
        size_t sectors = fake_disk_torn_sectors(fake, changes);
        for (size_t kept = 1; kept < sectors && kept < 12; kept++) {
            check_cut(fake_disk_after_cut(fake, changes, FAKE_KEEP_SECTORS, kept, random), changes,
                      scenario->encrypted);
            check_cut(fake_disk_after_cut(fake, changes, FAKE_DROP_SECTORS, kept, random), changes,
                      scenario->encrypted);
        }
    }
}

static void replay(uint64_t fallback_seed, bool faults, bool encrypted, unsigned steps)
{
    struct scenario scenario = {.fake = fake_disk_new(), .faults = faults, .encrypted = encrypted};
    reset_ledger();
    seed_from(&scenario.random, fallback_seed);
    run(&scenario, steps);
    cr_assert(scenario.log);
    check_content(scenario.log, SIZE_MAX - 1, true);
    check_every_cut(&scenario);
    end(&scenario);
}

Test(spool_log, every_power_cut_of_a_run_leaves_all_that_was_confirmed, .timeout = 100)
{
    replay(1, false, false, 60);
    replay(2, false, false, 60);
}

Test(spool_log, every_power_cut_of_a_run_on_a_failing_disk_leaves_all_that_was_confirmed, .timeout = 100)
{
    replay(3, true, false, 60);
    replay(4, true, true, 40);
}

/* One run with the n-th call of a kind failing, once or from then on. False: there is no n-th call. */
static bool run_with_failure(enum fake_call call, unsigned n, bool on, int error)
{
    struct scenario scenario = {.fake = fake_disk_new()};
    struct fake_disk *fake = scenario.fake;
    reset_ledger();
    seed_from(&scenario.random, 7);
    fake->fail_at[call] = n;
    fake->fail_on = on;
    fake->error = error;
    run(&scenario, 50);
    bool reached = fake->calls[call] >= n;
    memset(fake->fail_at, 0, sizeof fake->fail_at);
    size_t changes = fake->change_count;
    if (scenario.log)
        check_content(scenario.log, SIZE_MAX - 1, true);
    for (enum fake_keep keep = FAKE_KEEP_NONE; keep <= FAKE_KEEP_RANDOM; keep++)
        check_cut(fake_disk_after_cut(fake, changes, keep, 0, &scenario.random), changes, false);
    if (scenario.log && call != FAKE_LIST) /* it recovers by itself */
        cr_assert_eq(commit_one(fake, scenario.log, 10), SPOOL_DONE, "call %d, n %u", call, n);
    end(&scenario);
    return reached;
}

Test(spool_log, no_call_that_fails_loses_what_was_confirmed, .timeout = 100)
{
    for (enum fake_call call = 0; call < FAKE_CALLS; call++) {
        for (unsigned n = 1; run_with_failure(call, n, false, EIO); n++)
            ;
        for (unsigned n = 1; run_with_failure(call, n, true, call == FAKE_ALLOCATE ? ENOSPC : EIO); n += 3)
            ;
    }
}

static struct spool_segment_info listed[64];
static size_t listed_count;

static void take_info(void *ctx, const struct spool_segment_info *info)
{
    (void)ctx;
    listed[listed_count++] = *info;
}

static void list(struct spool_log *log)
{
    listed_count = 0;
    cr_assert(spool_log_list(log, take_info, NULL));
}

static struct fake_disk *begin(struct spool_log **ret, bool encrypted)
{
    struct spool_recovery recovery;
    struct fake_disk *fake = fake_disk_new();
    reset_ledger();
    *ret = open_on(fake, encrypted, &recovery);
    cr_assert(*ret);
    return fake;
}

Test(spool_log, a_segment_on_which_a_sync_failed_is_sealed_and_the_batch_is_in_the_next)
{
    struct spool_log *log;
    struct fake_disk *fake = begin(&log, false);
    cr_assert_eq(commit(fake, log, (size_t[]){10, 20}, 2), SPOOL_DONE);
    fake->fail_at[FAKE_SYNC] = fake->calls[FAKE_SYNC] + 1;
    cr_assert_eq(commit(fake, log, (size_t[]){30, 40}, 2), SPOOL_DONE);
    cr_assert_eq(commit_one(fake, log, 50), SPOOL_DONE);
    list(log);
    cr_assert_eq(listed_count, 2);
    cr_assert(listed[0].suspect && !listed[0].open && listed[0].first_lsn == 1 && listed[0].last_lsn == 2);
    cr_assert(!listed[1].suspect && listed[1].open && listed[1].first_lsn == 3 && listed[1].records == 3);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    struct spool_recovery recovery;
    log = open_on(fake, false, &recovery);
    list(log);
    cr_assert(listed[0].suspect && !listed[1].suspect && recovery.records == 5);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, a_batch_that_fails_twice_is_refused_as_a_whole_and_its_lsns_are_used_by_the_next)
{
    static const struct {
        enum fake_call call;
        int error;
        enum spool_result result;
    } cases[] = {{FAKE_SYNC, EIO, SPOOL_FAILED}, {FAKE_WRITE, EIO, SPOOL_FAILED}, {FAKE_WRITE, ENOSPC, SPOOL_FULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spool_log *log;
        struct fake_disk *fake = begin(&log, false);
        cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
        fake->fail_at[cases[i].call] = fake->calls[cases[i].call] + 1;
        fake->fail_on = true;
        fake->error = cases[i].error;
        cr_assert_eq(commit(fake, log, (size_t[]){30, 40}, 2), cases[i].result);
        cr_assert_eq(errno, cases[i].error);
        cr_assert_eq(spool_log_durable_lsn(log), 1);
        memset(fake->fail_at, 0, sizeof fake->fail_at);
        cr_assert_eq(commit_one(fake, log, 50), SPOOL_DONE);
        cr_assert_eq(spool_log_durable_lsn(log), 2);
        check_content(log, SIZE_MAX - 1, true);
        spool_log_close(log);
        fake_disk_free(fake);
    }
}

/* F21 */
Test(spool_log, a_full_disk_refuses_and_takes_again_when_there_is_space)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    unsigned done = 0;
    fake->space = 6 * SEGMENT_BYTES + 100;
    while (commit_one(fake, log, 500) == SPOOL_DONE)
        done++;
    cr_assert_gt(done, 30);
    cr_assert_eq(commit_one(fake, log, 500), SPOOL_FULL);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    log = open_on(fake, false, &recovery); /* no space for a segment: it can still be read */
    cr_assert(log && recovery.records == done);
    check_content(log, SIZE_MAX - 1, true);
    fake->space = 6 * SEGMENT_BYTES - 2000;
    cr_assert_eq(commit_one(fake, log, 4000), SPOOL_FULL);
    fake->space = 7 * SEGMENT_BYTES;
    cr_assert(save_cursor(fake, log, done));
    release(fake, log, done + 1, 0);
    cr_assert_eq(commit_one(fake, log, 500), SPOOL_DONE);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, the_spare_is_given_up_for_the_cursor_when_the_disk_is_full)
{
    struct spool_log *log;
    uint64_t *len;
    struct fake_disk *fake = begin(&log, false);
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
    cr_assert(fake_disk_content(fake, "spare", &len) && *len == SEGMENT_BYTES);
    fake->space = 2 * SEGMENT_BYTES + 20;
    cr_assert(save_cursor(fake, log, 1));
    cr_assert_null(fake_disk_content(fake, "spare", &len));
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, no_more_than_max_bytes)
{
    struct fake_disk *fake = fake_disk_new();
    struct spool_recovery recovery;
    struct spool_log_config config = {.disk = &fake->disk, .segment_bytes = SEGMENT_BYTES, .gateway = 1,
                                      .incarnation = 1, .max_bytes = SPOOL_RECORDS_AT + 1024};
    struct spool_log *log = spool_log_open(&config, &recovery);
    reset_ledger();
    cr_assert_eq(commit_one(fake, log, 1024 - 24 + 1), SPOOL_FULL);
    cr_assert_eq(commit_one(fake, log, 1024 - 24), SPOOL_DONE);
    cr_assert_eq(spool_log_octets(log), SPOOL_RECORDS_AT + 1024);
    cr_assert_eq(commit_one(fake, log, 0), SPOOL_FULL);
    spool_log_close(log);
    fake_disk_free(fake);
}

/* The last segment took all that was left: there is no spare, and not an octet for another file. */
Test(spool_log, the_cursor_is_overwritten_when_the_disk_is_full_to_the_last_octet)
{
    struct spool_recovery recovery;
    struct spool_log *log;
    uint64_t *len;
    struct fake_disk *fake = begin(&log, false);
    fake->space = 1;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
        cr_assert(save_cursor(fake, log, i + 1));
    }
    cr_assert_null(fake_disk_content(fake, "spare", &len));
    spool_log_close(log);
    log = open_on(fake, false, &recovery);
    cr_assert(log && recovery.cursor_lsn == 2);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, nothing_is_released_above_the_saved_cursor)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    for (unsigned i = 0; i < 30; i++)
        cr_assert_eq(commit_one(fake, log, 1000), SPOOL_DONE);
    list(log);
    cr_assert_gt(listed_count, 4);
    cr_assert_eq(spool_log_release(log, 31, 0), 1);
    cr_assert(save_cursor(fake, log, listed[2].last_lsn - 1));
    cr_assert_eq(spool_log_release(log, 31, UINT64_MAX), 1);
    cr_assert_eq(spool_log_release(log, listed[1].last_lsn, 0), listed[1].first_lsn);
    cr_assert_eq(spool_log_release(log, 31, 0), listed[2].first_lsn);
    cr_assert(save_cursor(fake, log, 30));
    cr_assert_eq(spool_log_release(log, 31, 0), listed[listed_count - 1].first_lsn);
    spool_log_close(log);
    log = open_on(fake, false, &recovery);
    cr_assert(recovery.missing == 0 && recovery.cursor_lsn == 30 && recovery.next_lsn == 31);
    spool_log_close(log);
    fake_disk_free(fake);
}

/* F19: a segment in the middle, below and above the cursor; the folder emptied but for the cursor. */
Test(spool_log, a_segment_that_is_gone_is_missing_above_the_cursor_only)
{
    for (uint64_t cursor = 0; cursor < 12; cursor += 4) {
        struct spool_log *log;
        struct spool_recovery recovery;
        struct fake_disk *fake = begin(&log, false);
        for (unsigned i = 0; i < 11; i++)
            cr_assert_eq(commit_one(fake, log, 1100), SPOOL_DONE);
        if (cursor)
            cr_assert(save_cursor(fake, log, cursor));
        list(log);
        spool_log_close(log);
        uint64_t first = listed[1].first_lsn, last = listed[1].last_lsn;
        cr_assert(first == 4 && last == 6);
        cr_assert(fake->disk.unlink(&fake->disk, listed[1].name));
        log = open_on(fake, false, &recovery);
        cr_assert_eq(recovery.missing, cursor < first ? 3 : cursor < last ? last - cursor : 0);
        cr_assert_eq(recovery.records, 8);
        cr_assert_eq(recovery.next_lsn, 12);
        spool_log_close(log);
        for (size_t i = 0; i < listed_count; i++)
            fake->disk.unlink(&fake->disk, listed[i].name);
        fake_disk_put(fake, "cursor", BYTES_LITERAL("rubbish"));
        log = open_on(fake, false, &recovery);
        cr_assert(recovery.cursor_lsn == 0 && recovery.records == 0 && recovery.next_lsn == 12);
        spool_log_close(log);
        fake_disk_free(fake);
    }
}

Test(spool_log, a_folder_of_another_gateway_is_refused_until_it_is_adopted)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    struct spool_log_config config = {.disk = &fake->disk, .segment_bytes = SEGMENT_BYTES, .gateway = 77,
                                      .incarnation = 5, .max_bytes = 1 << 20};
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
    spool_log_close(log);
    cr_assert_null(spool_log_open(&config, &recovery));
    cr_assert_eq(errno, ESTALE);
    cr_assert_null(spool_log_open_readonly(&config, &recovery));
    cr_assert_eq(errno, ESTALE);
    cr_assert(spool_log_adopt(&fake->disk, 77) && spool_log_adopt(&fake->disk, 77));
    log = spool_log_open(&config, &recovery);
    cr_assert(log && recovery.records == 1 && recovery.foreign == 0);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    fake_disk_put(fake, "identity", BYTES_LITERAL("000000000000004d\n")); /* 77 alone: the other is foreign */
    log = spool_log_open(&config, &recovery);
    cr_assert(log && recovery.records == 0 && recovery.foreign == 1);
    spool_log_close(log);
    fake_disk_put(fake, "identity", BYTES_LITERAL("4d\n"));
    cr_assert_null(spool_log_open(&config, &recovery));
    cr_assert_eq(errno, EBADMSG);
    fake_disk_free(fake);
}

Test(spool_log, without_the_key_a_spool_with_something_to_push_is_not_opened)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, true);
    struct spool_log_config config = {.disk = &fake->disk};
    cr_assert_eq(commit(fake, log, (size_t[]){0, 40, 400}, 3), SPOOL_DONE);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    cr_assert_null(open_on(fake, false, &recovery));
    cr_assert_eq(errno, ENOKEY);
    key.octets[0] ^= 1;
    cr_assert_null(open_on(fake, true, &recovery));
    cr_assert_eq(errno, ENOKEY);
    key.octets[0] ^= 1;
    log = spool_log_open_readonly(&config, &recovery);
    cr_assert(log && recovery.foreign == 1 && recovery.records == 0 && recovery.next_lsn == 4);
    spool_log_close(log);
    log = open_on(fake, true, &recovery);
    cr_assert(log && recovery.records == 3);
    check_content(log, SIZE_MAX - 1, true);
    cr_assert(save_cursor(fake, log, 3));
    spool_log_close(log);
    log = open_on(fake, false, &recovery);
    cr_assert(log && recovery.foreign > 0 && recovery.missing == 0 && recovery.next_lsn == 4);
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, what_is_encrypted_cannot_be_seen_and_not_changed)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, true);
    struct bytes body = BYTES_LITERAL("temperature=21.5");
    uint64_t lsn, *len;
    struct spool_record record;
    cr_assert_eq(spool_log_commit(log, (struct bytes[]){body, body}, 2, &lsn), SPOOL_DONE);
    list(log);
    spool_log_close(log);
    uint8_t *content = fake_disk_content(fake, listed[0].name, &len), *at = content + SPOOL_RECORDS_AT;
    cr_assert_null(memmem(content, *len, body.ptr, body.len));
    struct spool_head head;
    cr_assert(spool_head_decode(bytes_of(content, *len), &head));
    at[SPOOL_RECORD_HEAD] ^= 1; /* by somebody who can make CRCs */
    spool_entry_finish(head.crc, at);
    log = open_on(fake, true, &recovery);
    struct spool_reader *reader = spool_reader_new(log);
    cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_RECORD);
    cr_assert(record.lsn == 2 && bytes_equal(record.body, body));
    cr_assert_eq(spool_reader_damaged(reader), 1);
    spool_reader_free(reader);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, looking_changes_nothing)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    struct spool_log_config config = {.disk = &fake->disk};
    uint64_t lsn;
    cr_assert_eq(commit(fake, log, (size_t[]){10, 20, 30}, 3), SPOOL_DONE);
    size_t changes = fake->change_count; /* beside the writer, in the middle of its segment */
    struct spool_log *look = spool_log_open_readonly(&config, &recovery);
    cr_assert(look && recovery.records == 3);
    check_content(look, SIZE_MAX - 1, true);
    list(look);
    cr_assert(listed_count == 1 && listed[0].records == 3 && !listed[0].open);
    cr_assert_eq(spool_log_commit(look, &(struct bytes){0}, 1, &lsn), SPOOL_FAILED);
    cr_assert_eq(errno, EROFS);
    spool_log_close(look);
    cr_assert_eq(fake->change_count, changes);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, a_reader_goes_where_it_is_sent)
{
    struct spool_log *log;
    struct fake_disk *fake = begin(&log, false);
    struct spool_record record;
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(commit_one(fake, log, 900), SPOOL_DONE);
    struct spool_reader *reader = spool_reader_new(log);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t lsn = 1 + i * 7 % 20;
        spool_reader_seek(reader, lsn);
        cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_RECORD);
        cr_assert_eq(record.lsn, lsn);
    }
    spool_reader_seek(reader, 21);
    cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_END);
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
    cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_RECORD);
    cr_assert(record.lsn == 21 && record.body.len == 10);
    cr_assert(save_cursor(fake, log, 21));
    uint64_t left = spool_log_release(log, 22, 0);
    spool_reader_seek(reader, 1);
    cr_assert_eq(spool_reader_next(reader, &record), SPOOL_READ_RECORD);
    cr_assert_eq(record.lsn, left);
    cr_assert_eq(spool_reader_damaged(reader), 0);
    spool_reader_free(reader);
    spool_log_close(log);
    fake_disk_free(fake);
}

/* A segment of eight records, closed, and one after it that is as a crash has left it. */
static struct fake_disk *damage_lab(struct spool_segment_info ret[2])
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    cr_assert_eq(commit(fake, log, (size_t[]){0, 1, 60, 7}, 4), SPOOL_DONE);
    cr_assert_eq(commit(fake, log, (size_t[]){8, 33, 90, 13}, 4), SPOOL_DONE);
    spool_log_close(log);
    log = open_on(fake, false, &recovery);
    cr_assert_eq(commit(fake, log, (size_t[]){40, 50, 41}, 3), SPOOL_DONE);
    list(log);
    cr_assert_eq(listed_count, 2);
    memcpy(ret, listed, 2 * sizeof *ret);
    struct fake_disk *crashed = fake_disk_copy(fake);
    spool_log_close(log);
    fake_disk_free(fake);
    return crashed;
}

/* The attempts whose header or body (not padding) has changed in the file, or is cut off. */
static uint64_t touched(const uint8_t *before, const uint8_t *after, uint64_t len, const struct spool_segment_info *info)
{
    uint64_t set = 0, at = SPOOL_RECORDS_AT;
    for (uint64_t lsn = info->first_lsn; lsn <= info->last_lsn; lsn++) {
        size_t used = SPOOL_RECORD_HEAD + ledger.attempts[lsn - 1].len;
        if (at + used > len || memcmp(before + at, after + at, used) != 0)
            set |= (uint64_t)1 << lsn;
        at += spool_entry_octets(ledger.attempts[lsn - 1].len);
    }
    return set;
}

static uint64_t read_set(struct spool_log *log, uint64_t *ret_damaged)
{
    struct spool_reader *reader = spool_reader_new(log);
    struct spool_record record;
    uint64_t set = 0;
    while (spool_reader_next(reader, &record) == SPOOL_READ_RECORD) {
        cr_assert(is_attempt(&record, SIZE_MAX, record.lsn - 1));
        set |= (uint64_t)1 << record.lsn;
    }
    *ret_damaged = spool_reader_damaged(reader);
    spool_reader_free(reader);
    return set;
}

enum damage { FLIPPED, ZEROED, CUT };

static void check_damaged(struct fake_disk *fake, uint64_t lost, bool last, uint64_t at, enum damage damage)
{
    struct spool_recovery recovery, again;
    uint64_t damaged, *len, all = ((uint64_t)1 << 12) - 2, expected = all & ~lost;
    struct spool_log *log = open_on(fake, false, &recovery);
    cr_assert(log, "at %llu", (unsigned long long)at);
    cr_assert_eq(read_set(log, &damaged), expected, "at %llu", (unsigned long long)at);
    cr_assert_eq(recovery.records, (unsigned)__builtin_popcountll(expected), "at %llu", (unsigned long long)at);
    uint64_t counted = recovery.quarantined + recovery.missing, gone = (unsigned)__builtin_popcountll(lost);
    if (last && damage == CUT) /* how many there were nobody knows, but that it was cut */
        cr_assert(counted == 1 && recovery.missing == 1, "at %llu: %llu", (unsigned long long)at,
                  (unsigned long long)counted);
    else if (last) /* behind the last that is whole nobody knows */
        cr_assert(counted <= gone && (counted == gone || recovery.next_lsn <= 11), "at %llu", (unsigned long long)at);
    else
        cr_assert_eq(counted, gone, "at %llu: %llu", (unsigned long long)at, (unsigned long long)counted);
    uint8_t *kept = fake_disk_content(fake, "quarantine", &len);
    cr_assert(kept ? counted > 0 : recovery.quarantined == 0, "at %llu", (unsigned long long)at);
    uint64_t kept_len = kept ? *len : 0;
    spool_log_close(log);
    log = open_on(fake, false, &again);
    cr_assert_eq(read_set(log, &damaged), expected);
    kept = fake_disk_content(fake, "quarantine", &len);
    cr_assert_eq(kept ? *len : 0, kept_len);
    cr_assert(again.quarantined + again.missing == counted && again.next_lsn == recovery.next_lsn);
    spool_log_close(log);
}

static void damage_at(const struct fake_disk *whole, const struct spool_segment_info *info, bool last, uint64_t at,
                      enum damage damage)
{
    uint64_t *len, *before_len;
    struct fake_disk *fake = fake_disk_copy(whole);
    uint8_t *content = fake_disk_content(fake, info->name, &len);
    const uint8_t *before = fake_disk_content((struct fake_disk *)whole, info->name, &before_len);
    if (damage == FLIPPED)
        content[at] ^= (uint8_t)(1 << at % 8);
    else if (damage == ZEROED)
        memset(content + at, 0, at + 16 < *len ? 16 : *len - at);
    else
        *len = at;
    uint64_t lost = touched(before, content, *len, info);
    if (*len < SPOOL_HEAD_BYTES)
        cr_assert_neq(lost, 0);
    check_damaged(fake, lost, last, at, damage);
    fake_disk_free(fake);
}

Test(spool_log, damage_anywhere_costs_the_records_it_touches_and_no_other, .timeout = 100)
{
    struct spool_segment_info infos[2];
    struct fake_disk *whole = damage_lab(infos);
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t at = 0; at < infos[i].octets; at++) {
            bool is_head = at < SPOOL_RECORDS_AT && at % SPOOL_HEAD_COPY_AT > SPOOL_HEAD_BYTES;
            if (is_head && at % 67 != 0) /* zeros that say nothing */
                continue;
            for (enum damage damage = FLIPPED; damage <= CUT; damage++)
                damage_at(whole, &infos[i], i == 1, at, damage);
        }
    }
    fake_disk_free(whole);
}

/* Messages that were lost. */

static struct spool_lost lost_lines[8];
static size_t lost_line_count;

static void take_lost(void *ctx, const struct spool_lost *lost)
{
    (void)ctx;
    cr_assert_lt(lost_line_count, 8);
    lost_lines[lost_line_count++] = *lost;
}

static bool read_lost(struct fake_disk *fake)
{
    lost_line_count = 0;
    return spool_lost_list(&fake->disk, take_lost, NULL);
}

/* Spoils the body of one of the lab's records. Returns its place. */
static uint64_t spoil(struct fake_disk *fake, const char *name, uint64_t first_lsn, uint64_t lsn)
{
    uint64_t at = SPOOL_RECORDS_AT, *len;
    for (uint64_t i = first_lsn; i < lsn; i++)
        at += spool_entry_octets(ledger.attempts[i - 1].len);
    fake_disk_content(fake, name, &len)[at + SPOOL_RECORD_HEAD] ^= 1;
    return at;
}

Test(spool_log, what_is_lost_above_the_cursor_is_remembered_when_the_cursor_has_passed_it)
{
    struct spool_segment_info infos[2];
    struct spool_recovery recovery;
    struct fake_disk *fake = damage_lab(infos);
    struct spool_log *log = open_on(fake, false, &recovery);
    cr_assert(recovery.lost == 0 && recovery.lost_first == 0 && !read_lost(fake));
    cr_assert(save_cursor(fake, log, 2));
    spool_log_close(log);
    spoil(fake, infos[0].name, 1, 2); /* pushed */
    uint64_t at = spoil(fake, infos[0].name, 1, 5);
    spoil(fake, infos[0].name, 1, 6);
    spoil(fake, infos[1].name, 9, 10);
    struct spool_log_config look = {.disk = &fake->disk};
    log = spool_log_open_readonly(&look, &recovery);
    cr_assert(recovery.lost == 3 && recovery.lost_first == 5 && recovery.lost_last == 10 && !read_lost(fake));
    spool_log_close(log);
    for (uint64_t cursor = 5; cursor < 8; cursor++) { /* within the first range, behind it */
        log = open_on(fake, false, &recovery);
        cr_assert_eq(recovery.quarantined, 4);
        cr_assert_eq(recovery.lost, cursor == 5 ? 3 : cursor == 6 ? 2 : 1);
        cr_assert(read_lost(fake) && lost_line_count == 2);
        cr_assert(lost_lines[0].first_lsn == 5 && lost_lines[0].last_lsn == 6 && lost_lines[0].found_s == OPENED_S);
        cr_assert(strcmp(lost_lines[0].segment, infos[0].name) == 0 && lost_lines[0].offset == at);
        cr_assert(lost_lines[1].first_lsn == 10 && lost_lines[1].last_lsn == 10);
        cr_assert(save_cursor(fake, log, cursor));
        spool_log_close(log);
    }
    cr_assert(fake->disk.unlink(&fake->disk, "lost"));
    log = open_on(fake, false, &recovery);
    cr_assert(save_cursor(fake, log, 11) && read_lost(fake) && lost_line_count == 1);
    spool_log_close(log);
    cr_assert(fake->disk.unlink(&fake->disk, "lost"));
    log = open_on(fake, false, &recovery);
    cr_assert(recovery.lost == 0 && recovery.quarantined == 4 && !read_lost(fake));
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, lsns_that_are_nowhere_are_lost_and_a_disk_that_cannot_note_it_does_not_hold_up_the_open)
{
    struct spool_segment_info infos[2];
    struct spool_recovery recovery;
    struct fake_disk *fake = damage_lab(infos);
    struct spool_log *log = open_on(fake, false, &recovery);
    cr_assert(save_cursor(fake, log, 3));
    spool_log_close(log);
    cr_assert(fake->disk.unlink(&fake->disk, infos[0].name));
    fake_disk_put(fake, "lost", BYTES_LITERAL("1 2 1763719000 - 0\nrubbish\n7 6 1 - 0"));
    fake->fail_at[FAKE_RENAME] = fake->calls[FAKE_RENAME] + 1;
    log = open_on(fake, false, &recovery);
    cr_assert(log && recovery.missing == 5 && recovery.lost == 5 && recovery.lost_first == 4 && recovery.lost_last == 8);
    cr_assert(read_lost(fake) && lost_line_count == 1);
    spool_log_close(log);
    log = open_on(fake, false, &recovery);
    cr_assert(read_lost(fake) && lost_line_count == 2);
    cr_assert(lost_lines[0].first_lsn == 1 && lost_lines[1].first_lsn == 4 && lost_lines[1].last_lsn == 8);
    cr_assert_str_eq(lost_lines[1].segment, "-");
    spool_log_close(log);
    fake_disk_free(fake);
}

/* Files that are not read. */

static struct spool_unread unread_files[8];
static size_t unread_count;

static void take_unread(void *ctx, const struct spool_unread *unread)
{
    (void)ctx;
    cr_assert_lt(unread_count, 8);
    unread_files[unread_count++] = *unread;
}

static void look_at(struct fake_disk *fake, uint64_t gateway, const struct secret *with, struct spool_recovery *ret)
{
    struct spool_log_config config = {.disk = &fake->disk, .gateway = gateway, .key = with};
    struct spool_log *log = spool_log_open_readonly(&config, ret);
    cr_assert(log);
    unread_count = 0;
    spool_log_unread(log, take_unread, NULL);
    cr_assert_eq(unread_count, ret->foreign);
    spool_log_close(log);
}

Test(spool_log, a_file_that_is_not_read_is_named_with_the_reason_and_not_taken_for_lost)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    uint64_t *len;
    struct secret wrong = {.octets = "another key of thirty-two octets", .len = 32};
    struct fake_disk *fake = begin(&log, true);
    cr_assert_eq(commit(fake, log, (size_t[]){10, 40, 400}, 3), SPOOL_DONE);
    list(log);
    spool_log_close(log);
    look_at(fake, 0, NULL, &recovery);
    cr_assert(unread_files[0].why == SPOOL_UNREAD_NO_KEY && strcmp(unread_files[0].name, listed[0].name) == 0);
    cr_assert(unread_files[0].first_lsn == 1 && unread_files[0].last_lsn == 3);
    cr_assert(recovery.missing == 0 && recovery.lost == 0 && recovery.next_lsn == 4);
    look_at(fake, 0, &wrong, &recovery);
    cr_assert(unread_count == 1 && unread_files[0].why == SPOOL_UNREAD_KEY && recovery.lost == 0);
    look_at(fake, 0, &key, &recovery);
    cr_assert(unread_count == 0 && recovery.records == 3);
    fake_disk_put(fake, "identity", BYTES_LITERAL("000000000000004d\n"));
    look_at(fake, 77, &key, &recovery);
    cr_assert(unread_count == 1 && unread_files[0].why == SPOOL_UNREAD_GATEWAY);
    cr_assert(unread_files[0].first_lsn == 1 && unread_files[0].last_lsn == 3);
    cr_assert(fake->disk.rename(&fake->disk, listed[0].name, "00000009-0000000000000001.seg"));
    uint8_t *content = fake_disk_content(fake, "00000009-0000000000000001.seg", &len);
    content[0] ^= 1;
    content[SPOOL_HEAD_COPY_AT] ^= 1;
    look_at(fake, 77, &key, &recovery);
    cr_assert(unread_count == 1 && unread_files[0].why == SPOOL_UNREAD_DAMAGED);
    fake_disk_free(fake);
}

/* The last segment of a run that closed the log: its end is known, and so is what was before it. */
Test(spool_log, of_a_segment_that_was_closed_no_record_is_lost_unnoticed, .timeout = 60)
{
    struct spool_segment_info infos[2];
    struct spool_recovery recovery;
    struct fake_disk *whole = damage_lab(infos);
    struct spool_log *log = open_on(whole, false, &recovery); /* seals it */
    cr_assert(log && recovery.records == 11);
    list(log);
    spool_log_close(log);
    cr_assert(whole->disk.unlink(&whole->disk, listed[2].name)); /* empty: it would say what the last LSN was */
    uint64_t *len, *before_len;
    const uint8_t *before = fake_disk_content(whole, infos[1].name, &before_len);
    cr_assert_eq(*before_len, infos[1].octets + SPOOL_SEAL_BYTES);
    for (uint64_t at = SPOOL_RECORDS_AT; at < *before_len; at++) {
        for (enum damage damage = FLIPPED; damage <= CUT; damage++) {
            struct fake_disk *fake = fake_disk_copy(whole);
            uint8_t *content = fake_disk_content(fake, infos[1].name, &len);
            if (damage == FLIPPED)
                content[at] ^= (uint8_t)(1 << at % 8);
            else if (damage == ZEROED)
                memset(content + at, 0, at + 16 < *len ? 16 : *len - at);
            else
                *len = at;
            uint64_t damaged, lost = touched(before, content, *len, &infos[1]);
            log = open_on(fake, false, &recovery);
            cr_assert(log);
            cr_assert_eq(read_set(log, &damaged), (((uint64_t)1 << 12) - 2) & ~lost, "at %llu", (unsigned long long)at);
            uint64_t gone = (unsigned)__builtin_popcountll(lost), counted = recovery.missing + recovery.quarantined;
            cr_assert(counted >= (gone > 0) && (damage == CUT || at + 16 > infos[1].octets || counted == gone),
                      "at %llu: %llu", (unsigned long long)at, (unsigned long long)counted);
            cr_assert(damage != CUT || recovery.missing >= 1, "at %llu", (unsigned long long)at);
            spool_log_close(log);
            fake_disk_free(fake);
        }
    }
    fake_disk_free(whole);
}

/* Serials and names. */

static void put_head(struct fake_disk *fake, uint64_t gateway, uint32_t serial, uint64_t first_lsn, const char *name)
{
    uint8_t octets[SPOOL_RECORDS_AT];
    struct spool_head head = {.gateway = gateway, .incarnation = 9, .serial = serial, .first_lsn = first_lsn};
    spool_head_encode(&head, octets);
    fake_disk_put(fake, name, bytes_of(octets, sizeof octets));
}

static void use_up_serials(void)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    struct spool_log_config look = {.disk = &fake->disk};
    unsigned done = 0;
    spool_log_close(log);
    put_head(fake, GATEWAY, UINT32_MAX - 1, 1, "fffffffe-0000000000000001.seg");
    log = open_on(fake, false, &recovery);
    while (commit_one(fake, log, 900) == SPOOL_DONE)
        done++;
    cr_assert(done == 4 && errno == EOVERFLOW, "%u", done);
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_FAILED);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    cr_assert_null(open_on(fake, false, &recovery));
    cr_assert_eq(errno, EOVERFLOW);
    cr_assert_str_eq(recovery.where, "ffffffff-0000000000000001.seg");
    log = spool_log_open_readonly(&look, &recovery);
    cr_assert(log && recovery.records == done);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, serials_are_those_of_headers_and_never_wrap)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
    spool_log_close(log);
    fake_disk_put(fake, "ffffffff-0000000000000001.seg", BYTES_LITERAL("junk"));
    fake_disk_put(fake, "00000002-0000000000000002.seg", BYTES_LITERAL("junk"));
    for (unsigned i = 0; i < 4; i++) {
        log = open_on(fake, false, &recovery);
        cr_assert(log && recovery.foreign == 2);
        check_content(log, SIZE_MAX - 1, true);
        for (unsigned n = 0; n < 8; n++)
            cr_assert_eq(commit_one(fake, log, 900), SPOOL_DONE);
        check_content(log, SIZE_MAX - 1, true);
        spool_log_close(log);
    }
    fake_disk_free(fake);
    use_up_serials();
}

Test(spool_log, an_open_that_fails_uses_up_no_serial)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    list(log);
    cr_assert_str_eq(listed[0].name, "00000001-0000000000000001.seg");
    fake->space = 2 * SEGMENT_BYTES + 100;
    while (commit_one(fake, log, 500) == SPOOL_DONE)
        ;
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(commit_one(fake, log, 500), SPOOL_FULL);
    fake->space = 0;
    uint64_t next_lsn = spool_log_durable_lsn(log) + 1;
    cr_assert_eq(commit_one(fake, log, 500), SPOOL_DONE);
    list(log);
    cr_assert_eq(listed[listed_count - 1].first_lsn, next_lsn);
    cr_assert_eq(strtoul(listed[listed_count - 1].name, NULL, 16), listed_count);
    spool_log_close(log);
    log = open_on(fake, false, &recovery);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    fake_disk_free(fake);
}

Test(spool_log, a_segment_under_another_name_is_read_in_its_place)
{
    static const char *const names[] = {"00000001-00000000000000ff.seg", "000000ff-0000000000000001.seg",
                                        "00000000-0000000000000001.seg", "00000005-0000000000000012.seg"};
    for (size_t segment = 0; segment < 3; segment++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            struct spool_log *log;
            struct spool_recovery recovery;
            struct fake_disk *fake = begin(&log, false);
            for (unsigned n = 0; n < 9; n++)
                cr_assert_eq(commit_one(fake, log, 1100), SPOOL_DONE);
            list(log);
            struct spool_segment_info moved = listed[segment];
            spool_log_close(log);
            cr_assert(fake->disk.rename(&fake->disk, moved.name, names[i]));
            for (unsigned n = 0; n < 3; n++) {
                log = open_on(fake, false, &recovery);
                cr_assert(log && recovery.foreign == 0 && recovery.missing == 0 && recovery.records == 9 + 5 * n);
                check_content(log, SIZE_MAX - 1, true);
                for (unsigned k = 0; k < 5; k++)
                    cr_assert_eq(commit_one(fake, log, 1100), SPOOL_DONE);
                check_content(log, SIZE_MAX - 1, true);
                spool_log_close(log);
            }
            cr_assert(fake->disk.rename(&fake->disk, names[i], moved.name));
            log = open_on(fake, false, &recovery);
            cr_assert(recovery.records == 24 && recovery.foreign == 0 && recovery.lost == 0);
            check_content(log, SIZE_MAX - 1, true);
            spool_log_close(log);
            fake_disk_free(fake);
        }
    }
}

Test(spool_log, of_a_segment_and_its_copy_the_one_with_the_right_name_is_read)
{
    struct spool_segment_info infos[2];
    struct spool_recovery recovery;
    uint64_t *len;
    struct fake_disk *fake = damage_lab(infos);
    uint8_t *content = fake_disk_content(fake, infos[0].name, &len);
    fake_disk_put(fake, "00000000-0000000000000001.seg", bytes_of(content, *len));
    fake_disk_put(fake, "00000077-0000000000000001.seg", bytes_of(content, *len));
    for (unsigned i = 0; i < 2; i++) {
        struct spool_log *log = open_on(fake, false, &recovery);
        cr_assert(log && recovery.records == 11 && recovery.foreign == 2 && recovery.missing == 0);
        check_content(log, SIZE_MAX - 1, true);
        list(log);
        cr_assert_str_eq(listed[0].name, infos[0].name);
        spool_log_close(log);
    }
    fake_disk_free(fake);
}

/* They may be adopted one day. */
Test(spool_log, the_lsns_of_another_gateways_segment_are_not_used)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    struct spool_log_config config = {.disk = &fake->disk, .segment_bytes = SEGMENT_BYTES, .gateway = 77,
                                      .incarnation = 5, .max_bytes = 1 << 20};
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(commit_one(fake, log, 900), SPOOL_DONE);
    spool_log_close(log);
    fake_disk_put(fake, "identity", BYTES_LITERAL("000000000000004d\n"));
    log = spool_log_open(&config, &recovery);
    cr_assert(log && recovery.foreign == 2 && recovery.next_lsn == 9 && recovery.missing == 0 && recovery.lost == 0);
    cr_assert_eq(commit_one(fake, log, 10), SPOOL_DONE);
    spool_log_close(log);
    char adopted[64];
    snprintf(adopted, sizeof adopted, "000000000000004d\n%016llx\n", (unsigned long long)GATEWAY);
    fake_disk_put(fake, "identity", bytes_of_text(adopted));
    log = spool_log_open(&config, &recovery);
    cr_assert(log && recovery.records == 9 && recovery.foreign == 0 && recovery.missing == 0);
    check_content(log, SIZE_MAX - 1, true);
    spool_log_close(log);
    fake_disk_free(fake);
}

/* Half of a file, as a copy that was broken off leaves it. */
Test(spool_log, a_segment_that_was_cut_is_missing_and_stays_so_until_the_push_is_beyond)
{
    for (unsigned closed = 0; closed < 2; closed++) {
        struct spool_log *log;
        struct spool_recovery recovery;
        struct fake_disk *fake = begin(&log, false);
        uint64_t *len;
        for (unsigned i = 0; i < 6; i++)
            cr_assert_eq(commit_one(fake, log, 400), SPOOL_DONE);
        list(log);
        struct fake_disk *crashed = fake_disk_copy(fake);
        spool_log_close(log);
        struct fake_disk *cut = closed ? fake : crashed;
        (void)fake_disk_content(cut, listed[0].name, &len);
        *len = SPOOL_RECORDS_AT + 3 * 424 + 100;
        for (unsigned i = 0; i < 3; i++) {
            log = open_on(cut, false, &recovery);
            cr_assert(log && recovery.records == 3 && recovery.missing == 1 && recovery.quarantined == 0);
            cr_assert(recovery.lost == 1 && recovery.lost_first == 4 && recovery.torn_octets == 0);
            cr_assert(recovery.next_lsn == 5 && fake_disk_content(cut, "quarantine", &len));
            cr_assert(read_lost(cut) && lost_line_count == 1 && strcmp(lost_lines[0].segment, listed[0].name) == 0);
            spool_log_close(log);
        }
        log = open_on(cut, false, &recovery);
        cr_assert(spool_log_save_cursor(log, 4));
        spool_log_close(log);
        log = open_on(cut, false, &recovery);
        cr_assert(recovery.missing == 0 && recovery.lost == 0);
        spool_log_close(log);
        fake_disk_free(fake);
        fake_disk_free(crashed);
    }
}

/* What a device sends may look like a record, and be found when its own record is damaged. */
Test(spool_log, a_record_within_a_body_does_not_count)
{
    struct spool_log *log;
    struct spool_recovery recovery;
    struct fake_disk *fake = begin(&log, false);
    uint8_t body[200] = {0};
    uint64_t lsn, *len;
    for (unsigned i = 0; i < 4; i++) { /* with a CRC that begins with 0, and two that are tried */
        spool_entry_begin(i < 3 ? 2 : 1, 8, body + 40 * i);
        spool_entry_finish(i == 0 ? 0 : i, body + 40 * i);
    }
    cr_assert_eq(spool_log_commit(log, (struct bytes[]){bytes_of(body, sizeof body), BYTES_LITERAL("x")}, 2, &lsn),
                 SPOOL_DONE);
    list(log);
    spool_log_close(log);
    fake_disk_content(fake, listed[0].name, &len)[SPOOL_RECORDS_AT + 2] ^= 1;
    log = open_on(fake, false, &recovery);
    cr_assert(recovery.records == 1 && recovery.first_lsn == 2 && recovery.quarantined == 1);
    spool_log_close(log);
    fake_disk_free(fake);
}

/* A disk that cannot be read is not taken for one that has lost its data. */
Test(spool_log, what_cannot_be_read_is_not_cut)
{
    struct spool_segment_info infos[2];
    struct spool_recovery recovery;
    struct fake_disk *fake = damage_lab(infos);
    struct spool_log *log = NULL;
    fake->fail_on = true;
    for (unsigned n = 1; !log; n++) {
        fake->calls[FAKE_READ] = 0;
        fake->fail_at[FAKE_READ] = n;
        log = open_on(fake, false, &recovery);
        cr_assert(log ? n > 5 && fake->calls[FAKE_READ] < n : errno == EIO, "from read %u", n);
    }
    cr_assert(log && recovery.records == 11 && recovery.quarantined == 0);
    spool_log_close(log);
    fake_disk_free(fake);
}

/* On a real disk, both threads at work. */
enum { THREADED = 20000, BATCH = 16 };

static void *read_all(void *ctx)
{
    struct spool_log *log = ctx;
    struct spool_reader *reader = spool_reader_new(log);
    struct spool_record record;
    uint64_t expected = 1;
    while (expected <= THREADED) {
        enum spool_read read = spool_reader_next(reader, &record);
        if (read == SPOOL_READ_END)
            continue;
        uint8_t buffer[BODY_MAX];
        if (read != SPOOL_READ_RECORD || record.lsn != expected ||
            !bytes_equal(record.body, body_of(record.lsn, record.lsn % 400, buffer)))
            break;
        if (expected % 1000 == 0) {
            spool_log_save_cursor(log, expected);
            spool_log_release(log, expected + 1, 100000);
        }
        expected++;
    }
    spool_reader_free(reader);
    return (void *)(uintptr_t)expected;
}

static void remove_file(void *ctx, const char *name)
{
    struct disk *disk = ctx;
    disk->unlink(disk, name);
}

/* On a real disk, because the other one has none. */
Test(spool_log, what_is_no_file_is_foreign_and_an_open_that_fails_says_where, .timeout = 20)
{
    static const char *const names[] = {"00000001-0000000000000001.seg", "00000002-0000000000000001.seg",
                                        "00000003-0000000000000001.seg", "spare", "cursor", "identity"};
    char path[] = "/tmp/weir-spool-XXXXXX";
    cr_assert(mkdtemp(path));
    int folder = open(path, O_RDONLY | O_DIRECTORY);
    struct disk *disk = disk_open(path);
    struct spool_recovery recovery;
    struct spool_log_config config = {.disk = disk, .segment_bytes = 200000, .gateway = 1, .incarnation = 1,
                                      .max_bytes = 1 << 30};
    cr_assert_eq(mkfifoat(folder, names[0], 0600), 0);
    cr_assert_eq(mkdirat(folder, names[1], 0700), 0);
    cr_assert_eq(symlinkat("/dev/zero", folder, names[2]), 0);
    struct spool_log *log = spool_log_open(&config, &recovery);
    cr_assert(log && recovery.foreign == 3 && recovery.missing == 0 && recovery.next_lsn == 1);
    reset_ledger();
    list(log);
    cr_assert_str_eq(listed[0].name, "00000004-0000000000000001.seg");
    spool_log_close(log);
    for (size_t i = 0; i < 3; i++) {
        struct stat st;
        cr_assert(fstatat(folder, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode));
    }
    for (size_t i = 3; i < 6; i++) {
        unlinkat(folder, names[i], 0);
        cr_assert_eq(mkdirat(folder, names[i], 0700), 0);
        cr_assert_null(spool_log_open(&config, &recovery));
        cr_assert_eq(errno, EMEDIUMTYPE);
        cr_assert_str_eq(recovery.where, names[i]);
        cr_assert_eq(unlinkat(folder, names[i], AT_REMOVEDIR), 0);
    }
    cr_assert_eq(unlinkat(folder, names[1], AT_REMOVEDIR), 0);
    disk->list(disk, remove_file, disk);
    disk_close(disk);
    close(folder);
    cr_assert_eq(rmdir(path), 0);
}

Test(spool_log, a_reader_follows_the_writer_in_another_thread, .timeout = 60)
{
    char path[] = "/tmp/weir-spool-XXXXXX";
    cr_assert(mkdtemp(path));
    struct disk *disk = disk_open(path);
    struct spool_recovery recovery;
    struct spool_log_config config = {.disk = disk, .segment_bytes = 200000, .gateway = 1, .incarnation = 1,
                                      .max_bytes = 1 << 30};
    struct spool_log *log = spool_log_open(&config, &recovery);
    pthread_t thread;
    void *reached;
    static uint8_t buffers[BATCH][BODY_MAX];
    cr_assert_eq(pthread_create(&thread, NULL, read_all, log), 0);
    for (uint64_t lsn = 1; lsn <= THREADED; lsn += BATCH) {
        struct bytes bodies[BATCH];
        uint64_t first_lsn;
        for (unsigned i = 0; i < BATCH; i++)
            bodies[i] = body_of(lsn + i, (lsn + i) % 400, buffers[i]);
        cr_assert_eq(spool_log_commit(log, bodies, BATCH, &first_lsn), SPOOL_DONE);
    }
    pthread_join(thread, &reached);
    cr_assert_eq((uintptr_t)reached, THREADED + 1);
    cr_assert_gt(spool_log_first_lsn(log), 1);
    spool_log_close(log);
    disk->list(disk, remove_file, disk);
    disk_close(disk);
    cr_assert_eq(rmdir(path), 0);
}
