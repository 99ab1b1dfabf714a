// SPDX-License-Identifier: GPL-3.0-or-later
/* Problem details in both forms. */
#include "codec/problem.h"

#include "codec/cborin.h"
#include "codec/json.h"
#include "tests/unit/codec/support.h"

static const char *cbor_of(const struct problem *problem, struct arena *arena)
{
    struct bytes out;
    cr_assert(problem_cbor(problem, arena, &out));
    return to_hex(arena, out);
}

static const char *json_of(const struct problem *problem, struct arena *arena)
{
    struct bytes out;
    cr_assert(problem_json(problem, arena, &out));
    return arena_text(arena, out);
}

Test(problem, says_what_is_known)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct problem problem = {.outcome = OUTCOME_NOT_FOUND, .offset = SIZE_MAX};
    cr_expect_str_eq(cbor_of(&problem, arena), "a220694e6f7420666f756e64231884");
    cr_expect_str_eq(json_of(&problem, arena),
                     "{\"type\":\"urn:weir:problem:not-found\",\"title\":\"Not found\",\"status\":404}");
    problem.detail = "Gone.";
    problem.offset = 17;
    cr_expect_str_eq(cbor_of(&problem, arena),
                     "a320694e6f7420666f756e64216f476f6e652e20286279746520313729231884");
    cr_expect_str_eq(json_of(&problem, arena),
                     "{\"type\":\"urn:weir:problem:not-found\",\"title\":\"Not found\",\"status\":404,"
                     "\"detail\":\"Gone.\",\"offset\":17}");
    arena_free(arena);
}

Test(problem, one_option_is_a_number_and_several_are_an_array)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct problem problem = {
        .outcome = OUTCOME_NOT_FOUND,
        .unprocessed_options = {9, 2049, 1, 2},
        .unprocessed_option_count = 1,
        .offset = SIZE_MAX,
    };
    cr_expect_str_eq(cbor_of(&problem, arena), "a320694e6f7420666f756e642318842709");
    problem.unprocessed_option_count = 2;
    cr_expect_str_eq(cbor_of(&problem, arena), "a320694e6f7420666f756e64231884278209190801");
    problem.unprocessed_option_count = 99;
    cr_expect_str_eq(cbor_of(&problem, arena), "a320694e6f7420666f756e642318842784091908010102");
    arena_free(arena);
}

Test(problem, every_outcome_gives_two_readable_bodies)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct problem problem = {.outcome = (enum outcome)i, .detail = "Why \"it\" is so.", .offset = 0};
        struct bytes cbor, json;
        const struct node *root;
        struct refusal refusal;
        cr_assert(problem_cbor(&problem, arena, &cbor));
        cr_assert(cborin_read(cbor, &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
        cr_assert_eq(root->count, 3);
        cr_assert_eq(root[6].integer, outcome_row((enum outcome)i)->coap_code);
        cr_assert(problem_json(&problem, arena, &json));
        cr_assert(json_read(json, &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
        cr_assert_eq(root->count, 5);
        arena_free(arena);
    }
}

/* The examples of RFC 9290: what others send us is readable. */
Test(problem, examples_of_the_rfc_are_read)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *vectors, *root;
    struct refusal refusal;
    cr_assert(json_read(vector_file(arena, "problem-details/rfc9290.json"), &FORMAT_LIMITS_DEFAULT, arena, &vectors,
                        &refusal));
    const struct node *vector = node_first(vectors);
    for (uint32_t i = 0; i < vectors->count; i++, vector = node_next(vector)) {
        const struct node *hex = &vector[vector->skip - 1];
        cr_assert(cborin_read(from_hex(arena, hex->data), &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
        cr_assert_eq(root->kind, NODE_MAP);
        cr_assert_eq(root->count, 5);
        cr_assert(bytes_equal_text(root[2].data, "title of the error"));
    }
    arena_free(arena);
}

Test(problem, says_when_memory_is_used_up)
{
    struct arena *arena = arena_new(64);
    struct problem problem = {.outcome = OUTCOME_BAD_VALUE, .detail = "x", .offset = 1};
    struct bytes untouched = {NULL, 77};
    cr_assert_not(problem_cbor(&problem, arena, &untouched));
    cr_assert_not(problem_json(&problem, arena, &untouched));
    cr_assert_eq(untouched.len, 77);
    arena_free(arena);
}
