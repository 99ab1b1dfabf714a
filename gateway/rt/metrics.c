// SPDX-License-Identifier: GPL-3.0-or-later
/* The table as Prometheus text. */
#include "gateway/rt/metrics.h"

#include "codec/builder.h"

struct row {
    const char *type, *name, *labels, *help;
};

static const struct row rows[METRIC_COUNT] = {
#define X(id, type, name, labels, help) [id] = {#type, name, labels, help},
    METRICS_TABLE(X)
#undef X
};

/* About 100 bytes a line; a better guess only saves copies. */
#define EXPECTED_TEXT_BYTES 16384

uint64_t metrics_sum(const struct metrics *const *blocks, size_t count, enum metric metric)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += __atomic_load_n((const uint64_t *)&blocks[i]->values[metric], __ATOMIC_RELAXED);
    return sum;
}

static uint64_t sum_outcome(const struct metrics *const *blocks, size_t count, enum outcome outcome)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += __atomic_load_n((const uint64_t *)&blocks[i]->outcomes[outcome], __ATOMIC_RELAXED);
    return sum;
}

static void put_head(struct builder *text, const char *name, const char *type, const char *help)
{
    builder_put_text(text, "# HELP ");
    builder_put_text(text, name);
    builder_put_text(text, " ");
    builder_put_text(text, help);
    builder_put_text(text, "\n# TYPE ");
    builder_put_text(text, name);
    builder_put_text(text, " ");
    builder_put_text(text, type);
    builder_put_text(text, "\n");
}

/* Gauges may be below zero: their sum has wrapped around. */
static void put_value(struct builder *text, const struct row *row, uint64_t value)
{
    bool negative = row->type[0] == 'g' && value > INT64_MAX;
    if (negative)
        builder_put_text(text, "-");
    builder_put_uint(text, negative ? 0 - value : value);
}

static void put_row(struct builder *text, const struct row *row, uint64_t value)
{
    builder_put_text(text, row->name);
    if (row->labels[0] != '\0') {
        builder_put_text(text, "{");
        builder_put_text(text, row->labels);
        builder_put_text(text, "}");
    }
    builder_put_text(text, " ");
    put_value(text, row, value);
    builder_put_text(text, "\n");
}

static void put_outcomes(struct builder *text, const struct metrics *const *blocks, size_t count)
{
    put_head(text, "weir_outcomes_total", "counter", "Requests by outcome.");
    for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        builder_put_text(text, "weir_outcomes_total{outcome=\"");
        builder_put_text(text, outcome_row(outcome)->slug);
        builder_put_text(text, "\"} ");
        builder_put_uint(text, sum_outcome(blocks, count, outcome));
        builder_put_text(text, "\n");
    }
}

bool metrics_text(const struct metrics *const *blocks, size_t count, struct arena *arena, struct bytes *ret)
{
    struct builder text;
    builder_init(&text, arena, EXPECTED_TEXT_BYTES);
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        const struct row *row = &rows[metric];
        if (metric == 0 || strcmp(row->name, rows[metric - 1].name) != 0)
            put_head(&text, row->name, row->type, row->help);
        put_row(&text, row, metrics_sum(blocks, count, metric));
    }
    put_outcomes(&text, blocks, count);
    return builder_finish(&text, ret);
}
