// SPDX-License-Identifier: GPL-3.0-or-later
/* What handlers do with any request. */
#include "gateway/request.h"

#include <criterion/criterion.h>

static struct response answer;
static unsigned answers;

static void finish(struct request *request, const struct response *response)
{
    (void)request;
    answer = *response;
    answers++;
}

Test(request, the_first_parameter_of_a_name_counts)
{
    struct query_parameter query[] = {{BYTES_LITERAL("a"), BYTES_LITERAL("1")},
                                      {BYTES_LITERAL("b"), {NULL, 0}},
                                      {BYTES_LITERAL("a"), BYTES_LITERAL("2")}};
    struct request request = {.query = query, .query_count = 3};
    bool found;
    cr_expect(bytes_equal_text(request_query(&request, "a", &found), "1"));
    cr_expect(found);
    cr_expect_eq(request_query(&request, "b", &found).len, 0);
    cr_expect(found);
    cr_expect_eq(request_query(&request, "c", &found).len, 0);
    cr_expect(!found);
    cr_expect_eq(request_query(&request, "", NULL).len, 0);
}

Test(request, a_refusal_has_outcome_and_sentence_and_no_body)
{
    struct request request = {.finish = finish};
    request_refuse(&request, OUTCOME_CONFLICT, "No.");
    cr_expect_eq(answers, 1);
    cr_expect_eq(answer.outcome, OUTCOME_CONFLICT);
    cr_expect_str_eq(answer.detail, "No.");
    cr_expect_eq(answer.content_format, CONTENT_FORMAT_NONE);
    cr_expect_eq(answer.body.len, 0);
    cr_expect_eq(answer.max_age_s, -1);
    cr_expect_eq(answer.offset, SIZE_MAX);
}

Test(request, a_sentence_that_is_not_ours_is_made_harmless)
{
    static const struct {
        struct bytes said, told;
    } rows[] = {
        {BYTES_LITERAL("/fields/0: 27.2 \"x\""), BYTES_LITERAL("/fields/0: 27.2 \"x\"")},
        {BYTES_LITERAL("21 \xc2\xb0""C \xe2\x82\xac \xf0\x9f\x8c\xa1"), BYTES_LITERAL("21 \xc2\xb0""C \xe2\x82\xac \xf0\x9f\x8c\xa1")},
        {BYTES_LITERAL("a\x1b[2Jb\r\nc\x7f\x00"), BYTES_LITERAL("a?[2Jb??c??")},
        {BYTES_LITERAL("\xff\xc2 \xc0\x80 \xed\xa0\x80 \xe2\x82"), BYTES_LITERAL("?? ?? ??? ??")},
        {BYTES_LITERAL("\xc2\x9b""1m"), BYTES_LITERAL("??1m")},
        {BYTES_LITERAL(""), BYTES_LITERAL("")},
    };
    struct arena *arena = arena_new(1 << 16);
    struct request request = {.finish = finish, .arena = arena};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        request_refuse_with(&request, OUTCOME_UNPROCESSABLE, rows[i].said);
        cr_expect(bytes_equal(bytes_of_text(answer.detail), rows[i].told), "%zu: %s", i, answer.detail);
        cr_expect_eq(answer.outcome, OUTCOME_UNPROCESSABLE);
    }
    uint8_t *much = arena_alloc(arena, 1001);
    for (size_t i = 0; i < 1001; i++)
        much[i] = i % 2 ? 0xc3 : 0xa4; /* begins in the middle of a character */
    request_refuse_with(&request, OUTCOME_UNPROCESSABLE, bytes_of(much, 1001));
    cr_expect_eq(strlen(answer.detail), REQUEST_DETAIL_MAX - 1, "no half character at the end");
    arena_free(arena);
    struct arena *full = arena_new(0);
    request.arena = full;
    request_refuse_with(&request, OUTCOME_UNPROCESSABLE, BYTES_LITERAL("x"));
    cr_expect_null(answer.detail, "the outcome alone must do");
    arena_free(full);
}
