// SPDX-License-Identifier: GPL-3.0-or-later
/* Noted by ingest line by line, in the order in which they end. */
#include "gateway/verdict.h"

#include "codec/cborout.h"
#include "codec/jsonout.h"

void verdict_stored(struct verdict *verdict, const struct sink_receipt *receipt, size_t records)
{
    bool first = verdict->stored == 0;
    verdict->stored++;
    verdict->records += records;
    verdict->duplicate = receipt->duplicate && (first || verdict->duplicate);
    if (first || receipt->level < verdict->level)
        verdict->level = receipt->level;
}

void verdict_refused(struct verdict *verdict, size_t line, enum outcome outcome, const char *detail)
{
    verdict->refused++;
    verdict->lines[line - 1] = (struct verdict_line){.is_refused = true, .outcome = outcome, .detail = detail};
}

static bool is_our_failure(enum outcome outcome)
{
    return outcome_row(outcome)->http_status >= 500;
}

void verdict_settle(struct verdict *verdict)
{
    const struct verdict_line *first = NULL;
    for (size_t i = 0; i < verdict->line_count; i++) {
        const struct verdict_line *line = &verdict->lines[i];
        if (!line->is_refused)
            continue;
        if (!first || (is_our_failure(line->outcome) && !is_our_failure(first->outcome)))
            first = line;
    }
    verdict->outcome = OUTCOME_CHANGED;
    if (!first || (verdict->stored && !is_our_failure(first->outcome)))
        return;
    verdict->outcome = first->outcome;
    verdict->error = (struct format_error){first->detail, SIZE_MAX};
}

/* Walks over those that are told. */
static const struct verdict_line *next_refused(const struct verdict *verdict, size_t *at)
{
    while (*at < verdict->line_count && !verdict->lines[*at].is_refused)
        (*at)++;
    return *at < verdict->line_count ? &verdict->lines[(*at)++] : NULL;
}

/* What is written, and how many lines of it. */
struct account {
    const struct verdict *verdict;
    const char *level; /* NULL: not told */
    size_t told;
};

static void write_json_line(struct builder *out, const struct verdict_line *line, size_t number)
{
    builder_put_text(out, "{\"line\":");
    builder_put_uint(out, number);
    builder_put_text(out, ",\"outcome\":\"");
    builder_put_text(out, outcome_row(line->outcome)->slug);
    builder_put_text(out, "\"");
    if (line->detail) {
        builder_put_text(out, ",\"detail\":");
        jsonout_text(out, bytes_of_text(line->detail));
    }
    builder_put_text(out, "}");
}

static void write_json(struct builder *out, const struct account *account)
{
    const struct verdict *verdict = account->verdict;
    size_t at = 0;
    builder_put_text(out, "{\"stored\":");
    builder_put_uint(out, verdict->stored);
    builder_put_text(out, ",\"refused\":");
    builder_put_uint(out, verdict->refused);
    builder_put_text(out, ",\"ignored\":");
    builder_put_uint(out, verdict->ignored);
    if (account->level) {
        builder_put_text(out, ",\"level\":\"");
        builder_put_text(out, account->level);
        builder_put_text(out, "\"");
    }
    builder_put_text(out, ",\"lines\":[");
    for (size_t i = 0; i < account->told; i++) {
        const struct verdict_line *line = next_refused(verdict, &at);
        if (i)
            builder_put_text(out, ",");
        write_json_line(out, line, at);
    }
    builder_put_text(out, "]}");
}

static void put_count(struct builder *out, const char *name, size_t count)
{
    cborout_text(out, bytes_of_text(name));
    cborout_uint(out, count);
}

static void put_text(struct builder *out, const char *name, const char *text)
{
    cborout_text(out, bytes_of_text(name));
    cborout_text(out, bytes_of_text(text));
}

/* Keys in the order of RFC 8949 4.2.1. */
static void write_cbor(struct builder *out, const struct account *account)
{
    const struct verdict *verdict = account->verdict;
    size_t at = 0;
    cborout_map(out, account->level ? 5 : 4);
    if (account->level)
        put_text(out, "level", account->level);
    cborout_text(out, BYTES_LITERAL("lines"));
    cborout_array(out, account->told);
    for (size_t i = 0; i < account->told; i++) {
        const struct verdict_line *line = next_refused(verdict, &at);
        cborout_map(out, line->detail ? 3 : 2);
        put_count(out, "line", at);
        if (line->detail)
            put_text(out, "detail", line->detail);
        put_text(out, "outcome", outcome_row(line->outcome)->slug);
    }
    put_count(out, "stored", verdict->stored);
    put_count(out, "ignored", verdict->ignored);
    put_count(out, "refused", verdict->refused);
}

bool verdict_answer(const struct verdict *verdict, const struct request *request, struct response *response)
{
    size_t most = request->wire == WIRE_COAP ? VERDICT_LINES_MAX_COAP : VERDICT_LINES_MAX;
    struct account account = {
        .verdict = verdict,
        .level = verdict->wants_receipt && verdict->stored ? delivery_level_name(verdict->level) : NULL,
        .told = verdict->refused < most ? verdict->refused : most,
    };
    struct builder out;
    bool cbor = request->accept == CONTENT_FORMAT_CBOR;
    builder_init(&out, request->arena, 64 + 96 * account.told);
    if (cbor)
        write_cbor(&out, &account);
    else
        write_json(&out, &account);
    if (!builder_finish(&out, &response->body))
        return false;
    response->content_format = cbor ? CONTENT_FORMAT_CBOR : CONTENT_FORMAT_JSON;
    return true;
}
