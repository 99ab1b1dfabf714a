// SPDX-License-Identifier: GPL-3.0-or-later
/* The Prometheus text: sums, one head for each name, all outcomes. */
#include "gateway/rt/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

static struct metrics first, second;
static const struct metrics *const both[] = {&first, &second};

static const char *text_of(struct arena *arena)
{
    struct bytes text;
    cr_assert(metrics_text(both, 2, arena, &text));
    return arena_text(arena, text);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

Test(metrics, sums_the_workers)
{
    struct arena *arena = arena_new(1 << 20);
    metrics_add(&first, METRIC_DATAGRAMS_IN, 40);
    metrics_add(&second, METRIC_DATAGRAMS_IN, 2);
    metrics_add(&first, METRIC_SESSIONS_DTLS, 3);
    metrics_add(&first, METRIC_SESSIONS_DTLS, -1);
    metrics_outcome(&second, OUTCOME_CHANGED);
    cr_assert_eq(metrics_sum(both, 2, METRIC_DATAGRAMS_IN), 42);
    const char *text = text_of(arena);
    cr_assert(strstr(text, "\nweir_datagrams_received_total 42\n"));
    cr_assert(strstr(text, "\nweir_sessions{kind=\"dtls\"} 2\n"));
    cr_assert(strstr(text, "\nweir_outcomes_total{outcome=\"changed\"} 1\n"));
    cr_assert(strstr(text, "\nweir_outcomes_total{outcome=\"internal\"} 0\n"));
    cr_assert_eq(count_of(text, "\nweir_outcomes_total{"), OUTCOME_COUNT);
    arena_free(arena);
}

Test(metrics, every_name_has_one_head_before_its_rows)
{
    struct arena *arena = arena_new(1 << 20);
    const char *text = text_of(arena);
    cr_assert(strstr(text, "# HELP weir_datagrams_dropped_total Datagrams dropped, by reason.\n"
                           "# TYPE weir_datagrams_dropped_total counter\n"
                           "weir_datagrams_dropped_total{reason=\"kernel\"} 0\n"));
#define X(id, type, name, labels, help)                                                                                \
    cr_assert_eq(count_of(text, "# TYPE " name " " #type "\n"), 1, name);                                              \
    cr_assert_eq(count_of(text, "# HELP " name " "), 1, name);                                                         \
    cr_assert_eq(count_of(text, "# HELP " name " \n"), 0, name " has no help");                                        \
    cr_assert(strstr(text, labels[0] ? "\n" name "{" labels "} 0\n" : "\n" name " 0\n"), name labels);
    METRICS_TABLE(X)
#undef X
    arena_free(arena);
}

Test(metrics, a_gauge_may_be_negative)
{
    static struct metrics one, other;
    const struct metrics *blocks[] = {&one, &other};
    struct arena *arena = arena_new(1 << 20);
    struct bytes text;
    metrics_set(&one, METRIC_REDIS_MEMORY_FULL_S, 5);
    metrics_set(&one, METRIC_REDIS_MEMORY_FULL_S, -1);
    cr_assert(metrics_text(blocks, 2, arena, &text));
    cr_assert(memmem(text.ptr, text.len, "\nweir_redis_memory_full_seconds -1\n", 35));
    arena_free(arena);
}

Test(metrics, a_full_arena_is_an_answer)
{
    struct arena *arena = arena_new(1000);
    struct bytes text;
    cr_assert(!metrics_text(both, 2, arena, &text));
    arena_free(arena);
}
