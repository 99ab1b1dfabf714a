// SPDX-License-Identifier: GPL-3.0-or-later
/* epoch and seq in payloads: where they are read, where not, and what they may be. */
#include "codec/sequence.h"

#include "tests/unit/codec/support.h"

struct example {
    const char *payload;
    const char *expected; /* "EPOCH.SEQ", "-" for none, or the slug of an outcome */
    size_t count;         /* observations that come out */
};

static void check(int content_format, struct bytes payload, const struct example *example)
{
    struct arena *arena = arena_new(1 << 20);
    struct format_input input = {.payload = payload, .now = {1763692800, 0}, .limits = FORMAT_LIMITS_DEFAULT};
    struct observation_list list = {0};
    struct format_error error;
    char text[64] = "-";
    enum outcome outcome = format_by_content_format(content_format)->decode(&input, arena, &list, &error);
    if (!outcome_is_success(outcome))
        snprintf(text, sizeof text, "%s", outcome_row(outcome)->slug);
    else if (list.sequence.given)
        snprintf(text, sizeof text, "%u.%llu", list.sequence.epoch, (unsigned long long)list.sequence.seq);
    cr_expect_str_eq(text, example->expected, "%s: %s instead of %s", example->payload, text, example->expected);
    cr_expect_eq(list.count, example->count, "%s: %zu observations", example->payload, list.count);
    arena_free(arena);
}

static void check_json(int content_format, const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(content_format, bytes_of_text(examples[i].payload), &examples[i]);
}

static void check_cbor(int content_format, const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t octets[128];
        size_t len = strlen(examples[i].payload) / 2;
        for (size_t k = 0; k < len; k++)
            cr_assert_eq(sscanf(examples[i].payload + 2 * k, "%2hhx", &octets[k]), 1);
        check(content_format, bytes_of(octets, len), &examples[i]);
    }
}

Test(sequence, in_senml_json)
{
    static const struct example examples[] = {
        {"[{\"epoch\":3,\"seq\":17,\"n\":\"a\",\"v\":1}]", "3.17", 1},
        {"[{\"n\":\"a\",\"v\":1,\"seq\":0,\"epoch\":0}]", "0.0", 1},
        {"[{\"epoch\":4294967295,\"seq\":9007199254740991,\"n\":\"a\",\"v\":1}]", "4294967295.9007199254740991", 1},
        {"[{\"bn\":\"a\",\"epoch\":3,\"seq\":17},{\"n\":\"b\",\"v\":1},{\"n\":\"c\",\"v\":2}]", "3.17", 2},
        {"[{\"n\":\"b\",\"v\":1,\"t\":1763692900,\"epoch\":3,\"seq\":17},{\"n\":\"c\",\"v\":2,\"t\":1763692800}]", "3.17", 2},
        /* another record's, or one alone, are labels like any other that is not known */
        {"[{\"n\":\"b\",\"v\":1},{\"n\":\"c\",\"v\":2,\"epoch\":3,\"seq\":17}]", "-", 2},
        {"[{\"n\":\"b\",\"v\":1,\"epoch\":3},{\"n\":\"c\",\"v\":2,\"seq\":17}]", "-", 2},
        {"[{\"n\":\"a\",\"v\":1,\"seq\":17}]", "-", 1},
        {"[{\"n\":\"a\",\"v\":1,\"seq\":\"x\"}]", "-", 1},
        {"[{\"n\":\"a\",\"v\":1,\"x\":{\"epoch\":3,\"seq\":17}}]", "-", 1},
        {"[{\"n\":\"a\",\"v\":1,\"Epoch\":3,\"Seq\":17}]", "-", 1},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":17},{\"n\":\"b\",\"v\":1,\"epoch\":9,\"seq\":\"x\"}]", "3.17", 2},
        {"[{\"epoch\":3,\"seq\":17}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":17,\"seq\":17}]", "duplicate-key", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":4294967296,\"seq\":17}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":9007199254740992}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":18446744073709551617}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":17.0}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":1e2}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":-1}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":-0}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":\"3\",\"seq\":17}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":null,\"seq\":17}]", "bad-value", 0},
        {"[{\"n\":\"a\",\"v\":1,\"epoch\":3,\"seq\":[17]}]", "bad-value", 0},
    };
    check_json(CONTENT_FORMAT_SENML_JSON, examples, COUNT_OF(examples));
    check_json(CONTENT_FORMAT_SENSML_JSON, examples, COUNT_OF(examples));
}

#define EPOCH "6565706f6368" /* "epoch" */
#define SEQ "63736571"       /* "seq" */

Test(sequence, in_senml_cbor)
{
    static const struct example examples[] = {
        {"81a4" EPOCH "03" SEQ "11" "0061610201", "3.17", 1},
        {"81a4" "0061610201" EPOCH "1affffffff" SEQ "1b001fffffffffffff", "4294967295.9007199254740991", 1},
        {"81a4" "0061610201" EPOCH "1b0000000100000000" SEQ "11", "bad-value", 0},
        {"81a4" "0061610201" EPOCH "03" SEQ "1b0020000000000000", "bad-value", 0},
        {"81a4" "0061610201" EPOCH "03" SEQ "20", "bad-value", 0},
        {"81a4" "0061610201" EPOCH "03" SEQ "f94c40", "bad-value", 0},   /* 17.0 */
        {"81a4" "0061610201" EPOCH "03" SEQ "41" "11", "bad-value", 0},  /* h'11' */
        {"81a3" "0061610201" SEQ "11", "-", 1},
        {"82a2" "0061610201" "a4" EPOCH "03" SEQ "11" "0061620201", "-", 2},
    };
    check_cbor(CONTENT_FORMAT_SENML_CBOR, examples, COUNT_OF(examples));
}

Test(sequence, in_plain_json)
{
    static const struct example examples[] = {
        {"{\"epoch\":3,\"seq\":17,\"temp\":1}", "3.17", 1},
        {"{\"temp\":1,\"seq\":17,\"ts\":1763692800,\"epoch\":3,\"hum\":2}", "3.17", 2},
        /* one alone is a value, as it always was */
        {"{\"seq\":17}", "-", 1},
        {"{\"epoch\":3,\"temp\":1}", "-", 2},
        {"{\"epoch\":3,\"seq\":17}", "bad-value", 0},
        {"{\"epoch\":3,\"seq\":\"17\",\"temp\":1}", "bad-value", 0},
        {"{\"epoch\":3.5,\"seq\":17,\"temp\":1}", "bad-value", 0},
        {"{\"epoch\":3,\"seq\":9007199254740992,\"temp\":1}", "bad-value", 0},
    };
    check_json(CONTENT_FORMAT_JSON, examples, COUNT_OF(examples));
}

Test(sequence, in_plain_cbor)
{
    static const struct example examples[] = {
        {"a3" EPOCH "03" SEQ "11" "616101", "3.17", 1},
        {"a2" SEQ "11" "616101", "-", 2},
        {"a3" EPOCH "03" SEQ "f5" "616101", "bad-value", 0},
    };
    check_cbor(CONTENT_FORMAT_CBOR, examples, COUNT_OF(examples));
}

Test(sequence, members_of_other_names_are_left_alone)
{
    struct sequence_members members = {0};
    struct node nodes[2] = {{.kind = NODE_TEXT, .data = BYTES_LITERAL("sequence")}, {.kind = NODE_NULL}};
    cr_expect(!sequence_note(&members, nodes));
    nodes[0].kind = NODE_INTEGER;
    cr_expect(!sequence_note(&members, nodes));
    cr_expect(!sequence_is_there(&members));
}
