// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct hash_key key = {1, 2};
static struct journal *journal;

static void setup(void)
{
    journal = journal_new(&key);
}

static void teardown(void)
{
    journal_free(journal);
}

TestSuite(journal, .init = setup, .fini = teardown);

static void note(const char *device, int64_t at_s, enum outcome outcome, const char *detail)
{
    struct journal_event event = {.at = {at_s, 0}, .stage = JOURNAL_REQUEST, .outcome = outcome, .octets = 7};
    journal_set_detail(&event, detail);
    journal_note(journal, BYTES_LITERAL("acme"), bytes_of_text(device), &event);
}

static size_t read_log(const char *device, struct journal_event *ret)
{
    return journal_read(journal, BYTES_LITERAL("acme"), bytes_of_text(device), ret, JOURNAL_EVENTS_MAX);
}

Test(journal, acceptances_are_one_a_minute)
{
    struct journal_event events[JOURNAL_EVENTS_MAX];
    for (int64_t s = 100; s < 220; s++)
        note("d", s, OUTCOME_CHANGED, NULL);
    cr_assert_eq(read_log("d", events), 2);
    cr_expect_eq(events[0].at.s, 160);
    cr_expect_eq(events[0].repeats, 59);
    cr_expect_eq(events[1].repeats, 59);
    note("d", 220, OUTCOME_FORBIDDEN, "no");
    note("d", 221, OUTCOME_CHANGED, NULL);
    cr_assert_eq(read_log("d", events), 4);
    cr_expect_eq(events[0].outcome, OUTCOME_CHANGED, "the first after a refusal");
}

Test(journal, an_acceptance_needs_an_event_unless_the_newest_counts_it)
{
    struct journal_event events[JOURNAL_EVENTS_MAX];
    const struct bytes tenant = BYTES_LITERAL("acme"), device = BYTES_LITERAL("d");
    cr_expect(!journal_count_acceptance(journal, tenant, device, (struct timestamp){100, 0}), "of nobody yet");
    cr_expect_eq(read_log("d", events), 0);
    note("d", 100, OUTCOME_CHANGED, NULL);
    cr_expect(journal_count_acceptance(journal, tenant, device, (struct timestamp){100, 0}));
    cr_expect(journal_count_acceptance(journal, tenant, device, (struct timestamp){159, 0}));
    cr_expect(!journal_count_acceptance(journal, tenant, device, (struct timestamp){160, 0}), "a minute later");
    cr_expect(!journal_count_acceptance(journal, tenant, device, (struct timestamp){99, 0}), "the clock went back");
    cr_expect(!journal_count_acceptance(journal, tenant, BYTES_LITERAL("e"), (struct timestamp){100, 0}));
    cr_assert_eq(read_log("d", events), 1);
    cr_expect_eq(events[0].repeats, 2);
    note("d", 101, OUTCOME_FORBIDDEN, "no");
    cr_expect(!journal_count_acceptance(journal, tenant, device, (struct timestamp){102, 0}), "after a refusal");
    cr_assert_eq(read_log("d", events), 2);
    cr_expect_eq(events[0].repeats, 0);
}

Test(journal, every_refusal_is_told)
{
    struct journal_event events[JOURNAL_EVENTS_MAX];
    for (int64_t s = 0; s < 100; s++)
        note("d", s, s % 2 ? OUTCOME_FORBIDDEN : OUTCOME_BAD_NAME, "no");
    cr_assert_eq(read_log("d", events), JOURNAL_EVENTS_MAX);
    cr_expect_eq(events[0].at.s, 99, "the newest first");
    cr_expect_eq(events[0].outcome, OUTCOME_FORBIDDEN);
    cr_expect_eq(events[JOURNAL_EVENTS_MAX - 1].at.s, 100 - JOURNAL_EVENTS_MAX);
    for (int64_t s = 0; s < 10; s++)
        note("e", s, OUTCOME_FORBIDDEN, "no");
    cr_assert_eq(read_log("e", events), 1);
    cr_expect_eq(events[0].repeats, 9);
    cr_expect_str_eq(events[0].detail, "no");
    note("e", 11, OUTCOME_FORBIDDEN, "for another reason");
    cr_expect_eq(read_log("e", events), 2);
}

Test(journal, those_that_were_silent_for_longest_go)
{
    struct journal_event events[JOURNAL_EVENTS_MAX];
    char device[16];
    for (unsigned i = 0; i < JOURNAL_DEVICES_MAX; i++) {
        snprintf(device, sizeof device, "d%u", i);
        note(device, 1, OUTCOME_CHANGED, NULL);
    }
    note("d0", 2, OUTCOME_CHANGED, NULL); /* only counted, but heard of */
    note("well", 3, OUTCOME_CHANGED, NULL);
    note("new", 3, OUTCOME_FORBIDDEN, NULL);
    cr_expect_eq(read_log("well", events), 0, "an acceptance drives nobody out");
    cr_expect_eq(read_log("d0", events), 1);
    cr_expect_eq(read_log("d1", events), 0);
    cr_expect_eq(read_log("new", events), 1);
    cr_expect_eq(journal_read(journal, BYTES_LITERAL("other"), BYTES_LITERAL("new"), events, 1), 0);
}

Test(journal, a_long_detail_is_cut_where_a_character_begins)
{
    struct journal_event event;
    char text[200] = "";
    memset(text, 'x', JOURNAL_DETAIL_MAX - 1);
    strcat(text, "\xc3\xa4 and more");
    journal_set_detail(&event, text);
    cr_expect_eq(strlen(event.detail), JOURNAL_DETAIL_MAX - 1);
}

Test(journal, names_that_cannot_be_are_not_noted)
{
    struct journal_event event = {.outcome = OUTCOME_CHANGED};
    uint8_t long_name[SCHEMA_DEVICE_MAX + 1] = {0};
    memset(long_name, 'x', sizeof long_name);
    journal_note(journal, BYTES_LITERAL("acme"), bytes_of(long_name, sizeof long_name), &event);
    journal_note(journal, BYTES_LITERAL(""), BYTES_LITERAL("d"), &event);
    journal_note(journal, BYTES_LITERAL("acme"), BYTES_LITERAL(""), &event);
    journal_note(NULL, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &event);
    cr_expect_eq(journal_read(journal, BYTES_LITERAL("acme"), BYTES_LITERAL(""), &event, 1), 0);
}
