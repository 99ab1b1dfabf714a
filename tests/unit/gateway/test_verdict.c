// SPDX-License-Identifier: GPL-3.0-or-later
/* What becomes of a log, and how it is told. */
#include "gateway/verdict.h"

#include <criterion/criterion.h>

#define LINES 4

static struct verdict_line lines[LINES];

/* One character per line: s stored, d stored before, - ignored; m malformed, f foreign name, o overloaded. */
static struct verdict make(const char *what)
{
    struct verdict verdict = {.lines = lines, .line_count = strlen(what)};
    memset(lines, 0, sizeof lines);
    for (size_t i = 0; what[i]; i++) {
        struct sink_receipt receipt = {.level = what[i] == 's' ? LEVEL_STORED : LEVEL_REPLICATED,
                                       .duplicate = what[i] == 'd'};
        if (what[i] == '-')
            verdict.ignored++;
        else if (what[i] == 's' || what[i] == 'd')
            verdict_stored(&verdict, &receipt, 2);
        else
            verdict_refused(&verdict, i + 1,
                            what[i] == 'm'   ? OUTCOME_MALFORMED
                            : what[i] == 'f' ? OUTCOME_FOREIGN_NAME
                                             : OUTCOME_OVERLOADED,
                            what[i] == 'm' ? "No \"JSON\"." : NULL);
    }
    verdict_settle(&verdict);
    return verdict;
}

Test(verdict, the_code_of_the_whole)
{
    static const struct {
        const char *what;
        enum outcome outcome;
    } cases[] = {
        {"", OUTCOME_CHANGED},      {"--", OUTCOME_CHANGED},         {"ss", OUTCOME_CHANGED},
        {"sm", OUTCOME_CHANGED},    {"ms", OUTCOME_CHANGED},         {"m-", OUTCOME_MALFORMED},
        {"fm", OUTCOME_FOREIGN_NAME}, {"mf", OUTCOME_MALFORMED},     {"so", OUTCOME_OVERLOADED},
        {"mo", OUTCOME_OVERLOADED}, {"om-s", OUTCOME_OVERLOADED},    {"dm", OUTCOME_CHANGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(make(cases[i].what).outcome, cases[i].outcome, "%s: %s", cases[i].what,
                     outcome_row(make(cases[i].what).outcome)->slug);
    cr_expect_str_eq(make("fm").error.detail ? "" : "none", "none");
    cr_expect_str_eq(make("mf").error.detail, "No \"JSON\".");
}

Test(verdict, level_and_duplicates_are_of_all_lines)
{
    struct verdict verdict = make("ds");
    cr_expect_eq(verdict.level, LEVEL_STORED);
    cr_expect(!verdict.duplicate);
    cr_expect_eq(verdict.records, 4);
    verdict = make("dd-");
    cr_expect_eq(verdict.level, LEVEL_REPLICATED);
    cr_expect(verdict.duplicate);
}

static struct response answer_of(const struct verdict *verdict, struct arena *arena, enum wire wire, int accept)
{
    struct request request = {.wire = wire, .accept = accept, .arena = arena};
    struct response response = response_of(OUTCOME_CHANGED);
    cr_assert(verdict_answer(verdict, &request, &response));
    return response;
}

Test(verdict, bodies)
{
    struct arena *arena = arena_new(1 << 20);
    struct verdict verdict = make("sm-f");
    struct response response = answer_of(&verdict, arena, WIRE_HTTP, CONTENT_FORMAT_NONE);
    cr_expect_eq(response.content_format, CONTENT_FORMAT_JSON);
    cr_expect(bytes_equal_text(response.body,
                               "{\"stored\":1,\"refused\":2,\"ignored\":1,\"lines\":[{\"line\":2,\"outcome\":\"malformed\","
                               "\"detail\":\"No \\\"JSON\\\".\"},{\"line\":4,\"outcome\":\"foreign-name\"}]}"),
              "%.*s", (int)response.body.len, (const char *)response.body.ptr);
    verdict.wants_receipt = true;
    response = answer_of(&verdict, arena, WIRE_COAP, CONTENT_FORMAT_CBOR);
    cr_expect_eq(response.content_format, CONTENT_FORMAT_CBOR);
    static const char expected[] = "\xa5\x65level\x66stored\x65lines\x82"
                                   "\xa3\x64line\x02\x66" "detail\x6aNo \"JSON\".\x67outcome\x69malformed"
                                   "\xa2\x64line\x04\x67outcome\x6c" "foreign-name"
                                   "\x66stored\x01\x67ignored\x01\x67refused\x02";
    cr_expect(bytes_equal(response.body, bytes_of(expected, sizeof expected - 1)));
    arena_free(arena);
}

/* A POST over CoAP has one piece of answer. */
Test(verdict, as_many_lines_as_the_wire_can_tell)
{
    enum { MANY = 300 };
    static struct verdict_line many[MANY];
    struct arena *arena = arena_new(1 << 20);
    struct verdict verdict = {.lines = many, .line_count = MANY};
    for (size_t i = 0; i < MANY; i++)
        verdict_refused(&verdict, i + 1, OUTCOME_TOO_COMPLEX,
                        "A base name or base unit is too long for the number of records that repeat it.");
    verdict_settle(&verdict);
    cr_expect_leq(answer_of(&verdict, arena, WIRE_COAP, CONTENT_FORMAT_JSON).body.len, 1024);
    struct bytes body = answer_of(&verdict, arena, WIRE_HTTP, CONTENT_FORMAT_JSON).body;
    cr_expect(bytes_starts_with(body, BYTES_LITERAL("{\"stored\":0,\"refused\":300,")));
    cr_expect(memmem(body.ptr, body.len, "\"line\":100,", 11) && !memmem(body.ptr, body.len, "\"line\":101,", 11));
    arena_free(arena);
}
