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
