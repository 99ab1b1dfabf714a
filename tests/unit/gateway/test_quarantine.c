// SPDX-License-Identifier: GPL-3.0-or-later
/* When a codec is put aside: the counting as a table, and what the path sees of it. */
#include "gateway/quarantine.h"

#include "gateway/worker.h"

#include <criterion/criterion.h>

/* A story: small letter a failure of that speaker, capital a success of it; '!' behind a failure: put aside there;
 * "=vw|": v and w are witnesses. */
static const struct {
    const char *story, *why;
} stories[] = {
    {"aaa!", "alone and never read"},
    {"aaAaa", "a success takes all away"},
    {"aaAaaa!", "and then as many again"},
    {"aaBaa", "of whomever the success is"},
    {"aaa!aaa!", "put aside begins anew"},
    {"Baaaaaaaaaaaa", "one that fails for ever cannot do it alone"},
    {"Baaabbb!", "but with the other one"},
    {"Baaabb", "not a moment earlier"},
    {"Bbbb!", "alone, and read before"},
    {"aabb", "three for each: two speakers need six"},
    {"aabbba!", "in any order"},
    {"BCDaaabbbcccdd", "four speakers need twelve"},
    {"BCDaaabbbcccddd!", "which they have here"},
    {"ABCDE", "successes only"},
    {"ABCDeee", "a fifth that fails takes the place of one that does not"},
    {"ABCDeeefffggghhh!", "until all who are remembered fail"},
    {"abcdabcdabcd!", "four, one after the other"},
    {"abcdefghijkl!", "a fleet in which nobody is read, each device once"},
    {"abcdefghiJklmnopq", "and one that is read in between"},
    {"=w|aaaaaaaaa", "a witness that was read elsewhere stands against one that fails"},
    {"=w|aaawww!", "until it fails too"},
    {"=vw|aaawwwvvv!", "and so do two"},
    {"=w|www!", "for itself it does not stand"},
    {"=w|aaabbbcccdddeeefff", "nobody takes its place"},
    {"aaa!=w|aaaaaa", "told of later"},
    {"abcdabcabc=w|ddddwww!", "in the place of whoever failed least"},
};

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

Test(quarantine, stories)
{
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct quarantine_count count = {0};
        for (const char *at = stories[i].story; *at; at++) {
            uint64_t speaker = (uint64_t)(*at | 0x20);
            if (*at == '=') {
                uint64_t witnesses[2];
                size_t witness_count = 0;
                while (*++at != '|')
                    witnesses[witness_count++] = (uint64_t)*at;
                quarantine_count_witnesses(&count, witnesses, witness_count);
                continue;
            }
            if (is_capital(*at)) {
                quarantine_count_success(&count, speaker);
                continue;
            }
            bool aside = quarantine_count_failure(&count, speaker), expected = at[1] == '!';
            cr_expect_eq(aside, expected, "%s at %zu: %s", stories[i].story, (size_t)(at - stories[i].story),
                         stories[i].why);
            at += expected;
        }
    }
}

/* The path. */

static struct settings settings;
static struct shared shared;
static struct worker worker;

static void setup(void)
{
    settings_default(&settings);
    shared.settings = &settings;
    shared.registry = registry_new(&shared.hash_key);
    shared.quarantine = quarantine_new(&shared.hash_key);
    worker.shared = &shared;
}

static void teardown(void)
{
    quarantine_free(shared.quarantine);
    registry_free(shared.registry);
}

TestSuite(quarantine_path, .init = setup, .fini = teardown);

static struct request request_of(const char *tenant, const char *device)
{
    struct request request = {.worker = &worker, .content_format = CONTENT_FORMAT_NONE,
                              .who = {.kind = IDENTITY_DEVICE}};
    strcpy(request.who.tenant, tenant);
    strcpy(request.who.device, device);
    return request;
}

static uint64_t failures(const char *tenant, const char *codec)
{
    return quarantine_failures(shared.quarantine, bytes_of_text(tenant), bytes_of_text(codec));
}

static void fail(const char *tenant, const char *codec, enum outcome outcome)
{
    struct request request = request_of(tenant, "d1");
    quarantine_failed(&request, &(struct quarantine_case){.codec = bytes_of_text(codec), .outcome = outcome,
                                                         .error = {.offset = SIZE_MAX}});
}

Test(quarantine_path, counts_each_codec_of_each_tenant_apart)
{
    fail("acme", "th", OUTCOME_MALFORMED);
    fail("acme", "th", OUTCOME_BAD_VALUE);
    fail("acme", "power", OUTCOME_MALFORMED);
    cr_expect_eq(failures("acme", "th"), 2);
    cr_expect_eq(failures("acme", "power"), 1);
    cr_expect_eq(failures("other", "th"), 0);
    cr_expect_eq(worker.metrics.values[METRIC_CODEC_FAILURES], 3);
}

Test(quarantine_path, what_is_our_own_failure_is_not_held_against_a_codec)
{
    fail("acme", "th", OUTCOME_OUT_OF_MEMORY);
    fail("acme", "th", OUTCOME_OVERLOADED);
    cr_expect_eq(failures("acme", "th"), 0);
    cr_expect_eq(worker.metrics.values[METRIC_CODEC_FAILURES], 0);
}

Test(quarantine_path, successes_do_not_undo_the_number_for_people)
{
    struct request request = request_of("acme", "d1");
    fail("acme", "th", OUTCOME_MALFORMED);
    quarantine_succeeded(&request, BYTES_LITERAL("th"), NULL);
    cr_expect_eq(failures("acme", "th"), 1);
}

Test(quarantine_path, more_codecs_than_there_is_room_for_are_bounded)
{
    char codec[16];
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(codec, sizeof codec, "c%u", i);
        fail("acme", codec, OUTCOME_MALFORMED);
        cr_assert_eq(failures("acme", codec), 1, "the newest is there");
    }
}

Test(quarantine_path, a_codec_that_nobody_made_is_unknown)
{
    const struct custom *custom = NULL;
    cr_expect_eq(quarantine_ask(&worker, BYTES_LITERAL("acme"), BYTES_LITERAL("th"), &custom), QUARANTINE_UNKNOWN);
    cr_expect_null(custom);
}

Test(quarantine_path, one_that_does_not_compile_is_held)
{
    const struct custom *custom = NULL;
    struct tenant_record tenant = {.id = "acme"};
    struct codec_record codec = {.tenant = "acme", .id = "th", .definition = BYTES_LITERAL("{}")};
    struct request request = request_of("acme", "d1");
    cr_assert(registry_put_tenant(shared.registry, &tenant));
    cr_assert(registry_put_codec(shared.registry, &codec));
    cr_expect_eq(quarantine_ask(&worker, BYTES_LITERAL("acme"), BYTES_LITERAL("th"), &custom), QUARANTINE_HELD);
    cr_expect_eq(quarantine_hold(&request, BYTES_LITERAL("th"), BYTES_LITERAL("x")), OUTCOME_CODEC_QUARANTINED);
}
