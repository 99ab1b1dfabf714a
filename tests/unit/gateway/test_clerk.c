// SPDX-License-Identifier: GPL-3.0-or-later
/* Every job comes back once, to its worker, with what became of it: done, refused, Redis away, too many, the end. */
#include "gateway/clerk.h"
#include "tests/unit/gateway/redis_fixture.h"

#include <pthread.h>

static struct redis_fixture redis;
static struct clerk *clerk;
static _Atomic unsigned wakes[2];

static void wake(void *ctx, unsigned worker)
{
    (void)ctx;
    wakes[worker]++;
}

static struct clerk *make(const char *address)
{
    struct store_target target = {.address = address};
    struct clerk *made =
        clerk_new(&(struct clerk_config){.target = &target, .timeout_ms = 20000, .workers = 2, .wake = wake});
    cr_assert(made);
    return made;
}

static void setup(void)
{
    redis_start(&redis);
    clerk = make(redis.address);
}

static void teardown(void)
{
    clerk_free(clerk);
    redis_remove(&redis);
}

TestSuite(clerk, .init = setup, .fini = teardown);

struct errand {
    struct clerk_job job;
    unsigned runs, dones;
    pthread_t ran_in;
};

static enum accounts_result add_tenant(struct clerk_job *job, struct accounts *accounts)
{
    struct errand *errand = (struct errand *)job;
    struct tenant_record record = {.id = "acme"};
    errand->runs++;
    errand->ran_in = pthread_self();
    return accounts_add_tenant(accounts, &record, false);
}

/* An error of Redis's own. */
static enum accounts_result read_wrong_type(struct clerk_job *job, struct accounts *accounts)
{
    struct device_record record;
    ((struct errand *)job)->runs++;
    static struct record_room room;
    return accounts_get_device(accounts, BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), &room, &record);
}

static void done(struct clerk_job *job)
{
    ((struct errand *)job)->dones++;
}

static struct errand errand_of(enum accounts_result (*run)(struct clerk_job *job, struct accounts *accounts))
{
    return (struct errand){.job = {.run = run, .done = done}};
}

static void wait_for(struct clerk *whose, unsigned worker, struct errand *errand)
{
    uint64_t give_up_ms = real_ms() + GIVE_UP_MS;
    while (errand->dones == 0) {
        cr_assert_lt(real_ms(), give_up_ms);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        clerk_collect(whose, worker);
    }
}

Test(clerk, does_a_job_in_its_own_thread_and_hands_it_back_to_its_worker)
{
    struct errand errand = errand_of(add_tenant);
    cr_assert(clerk_give(clerk, 1, &errand.job));
    uint64_t give_up_ms = real_ms() + GIVE_UP_MS;
    while (wakes[1] == 0)
        cr_assert_lt(real_ms(), give_up_ms);
    clerk_collect(clerk, 0);
    cr_expect_eq(errand.dones, 0, "it is not the other worker's");
    clerk_collect(clerk, 1);
    cr_expect_eq(errand.dones, 1);
    cr_expect_eq(errand.job.result, ACCOUNTS_DONE);
    cr_expect(!pthread_equal(errand.ran_in, pthread_self()));
    cr_expect_eq(wakes[0], 0);
}

Test(clerk, tells_what_redis_refused_and_lives_on)
{
    struct store_client *client = redis_client(&redis);
    redis_call(client, "SET weir:{acme}:dev:d1 x");
    store_client_close(client);
    struct errand refused = errand_of(read_wrong_type), next = errand_of(add_tenant);
    cr_assert(clerk_give(clerk, 0, &refused.job));
    wait_for(clerk, 0, &refused);
    cr_expect_eq(refused.job.result, ACCOUNTS_REFUSED);
    cr_expect(strstr(refused.job.error, "WRONGTYPE"), "%s", refused.job.error);
    cr_assert(clerk_give(clerk, 0, &next.job));
    wait_for(clerk, 0, &next);
    cr_expect_eq(next.job.result, ACCOUNTS_DONE);
}

Test(clerk, a_connection_that_died_in_between_is_made_anew_and_nothing_is_done_twice)
{
    struct errand first = errand_of(add_tenant), second = errand_of(add_tenant);
    cr_assert(clerk_give(clerk, 0, &first.job));
    wait_for(clerk, 0, &first);
    redis_stop(&redis);
    redis_launch(&redis);
    cr_assert(clerk_give(clerk, 0, &second.job));
    wait_for(clerk, 0, &second);
    cr_expect_eq(second.job.result, ACCOUNTS_EXISTS, "the tenant outlived the restart");
    cr_expect_eq(second.runs, 1);
}

Test(clerk, everything_that_waits_is_handed_back_when_redis_is_away)
{
    struct clerk *lost = make("unix:/nowhere/at/all");
    struct errand errands[3];
    for (size_t i = 0; i < COUNT_OF(errands); i++) {
        errands[i] = errand_of(add_tenant);
        cr_assert(clerk_give(lost, 0, &errands[i].job));
    }
    for (size_t i = 0; i < COUNT_OF(errands); i++) {
        wait_for(lost, 0, &errands[i]);
        cr_expect_eq(errands[i].job.result, ACCOUNTS_AWAY);
        cr_expect_eq(errands[i].runs, 0);
    }
    clerk_free(lost);
}

/* A job that stands in the way until the test lets it go. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static enum accounts_result stand(struct clerk_job *job, struct accounts *accounts)
{
    (void)accounts;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    ((struct errand *)job)->runs++;
    return ACCOUNTS_DONE;
}

Test(clerk, more_than_may_wait_are_refused_and_a_stop_hands_back_what_was_not_begun)
{
    static struct errand errands[CLERK_JOBS_MAX + 2];
    unsigned given = 0, dones = 0, runs = 0;
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < COUNT_OF(errands); i++) {
        errands[i] = errand_of(stand);
        given += clerk_give(clerk, i % 2, &errands[i].job);
    }
    cr_expect_geq(given, CLERK_JOBS_MAX);
    cr_expect_leq(given, CLERK_JOBS_MAX + 1, "one may be under way");
    pthread_mutex_unlock(&gate);
    clerk_stop(clerk);
    cr_expect_not(clerk_give(clerk, 0, &errands[0].job), "not after the end");
    clerk_collect(clerk, 0);
    clerk_collect(clerk, 1);
    for (size_t i = 0; i < COUNT_OF(errands); i++) {
        dones += errands[i].dones;
        runs += errands[i].runs;
        cr_expect_leq(errands[i].dones, 1);
    }
    cr_expect_eq(dones, given);
    cr_expect_leq(runs, given);
}

Test(clerk, without_a_clerk_nothing_is_taken, .init = NULL, .fini = NULL)
{
    struct errand errand = errand_of(add_tenant);
    cr_expect_not(clerk_give(NULL, 0, &errand.job));
    clerk_collect(NULL, 0);
    clerk_stop(NULL);
    clerk_free(NULL);
}

Test(clerk, every_result_has_an_outcome, .init = NULL, .fini = NULL)
{
    for (int i = ACCOUNTS_DONE; i <= ACCOUNTS_AWAY; i++)
        cr_expect_eq(outcome_is_success(clerk_outcome((enum accounts_result)i)), i == ACCOUNTS_DONE, "%d", i);
    cr_expect_eq(clerk_outcome(ACCOUNTS_AWAY), OUTCOME_STORE_AWAY);
}
