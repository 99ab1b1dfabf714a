// SPDX-License-Identifier: GPL-3.0-or-later
/* Fetch and patch packs: the examples of RFC 8790, what is refused, and what a pack changes, by tables. */
#include "codec/etch.h"

#include "tests/unit/codec/support.h"

static struct observation_list target_of(const char *pack, struct arena *arena)
{
    struct observation_list list;
    cr_assert_eq(decode_as(CONTENT_FORMAT_SENML_JSON, bytes_of_text(pack), arena, &list, NULL), OUTCOME_CHANGED);
    return list;
}

static struct format_input input_of(struct bytes payload, struct arena *arena)
{
    struct format_input input = {.now = NOW, .limits = FORMAT_LIMITS_DEFAULT};
    cr_assert(arena_copy(arena, payload, &input.payload));
    return input;
}

/* Names and values, without times. */
static char *put_record(char *at, const struct observation *o)
{
    at += sprintf(at, "%.*s=", (int)o->name.len, (const char *)o->name.ptr);
    if (o->kind == VALUE_NUMBER)
        at += sprintf(at, "%.*s", (int)o->number.text.len, (const char *)o->number.text.ptr);
    else if (o->kind == VALUE_TEXT)
        at += sprintf(at, "'%.*s'", (int)o->data.len, (const char *)o->data.ptr);
    else if (o->kind == VALUE_BOOLEAN)
        at += sprintf(at, "%s", o->boolean ? "true" : "false");
    if (o->has_sum)
        at += sprintf(at, "+%.*s", (int)o->sum.text.len, (const char *)o->sum.text.ptr);
    return stpcpy(at, " ");
}

#define IPSO                                                                                                 \
    "[{\"bn\":\"2001:db8::2/3311/0/\",\"n\":\"5850\",\"vb\":true},{\"n\":\"5851\",\"v\":42},"                \
    "{\"n\":\"5750\",\"vs\":\"Ceiling light\"}]"
#define P "2001:db8::2/3311/0/"

/* What a fetch pack selects of a target, or the slug. */
static const char *fetched(int format, struct bytes pack, const char *target, struct arena *arena)
{
    struct observation_list list = target_of(target, arena), selected;
    struct format_input input = input_of(pack, arena);
    struct format_error error = {NULL, 0};
    struct etch_pack fetch = {NULL, 77, {0}};
    enum outcome outcome = etch_read_fetch(format, &input, arena, &fetch, &error);
    if (outcome != OUTCOME_CHANGED) {
        cr_assert(error.detail && fetch.count == 77);
        return outcome_row(outcome)->slug;
    }
    char *text = arena_calloc(arena, 1, 4096), *at = text;
    cr_assert(etch_select(&fetch, &list, arena, &selected));
    for (size_t i = 0; i < selected.count; i++)
        at = put_record(at, &selected.items[i]);
    return text;
}

Test(etch, fetches)
{
    static const struct {
        const char *target, *pack, *result;
    } table[] = {
        {IPSO, "[{\"bn\":\"" P "\",\"n\":\"5850\"},{\"n\":\"5851\"}]", P "5850=true " P "5851=42 "},
        /* in the order of the target, each once */
        {IPSO, "[{\"n\":\"" P "5851\"},{\"n\":\"" P "5850\"},{\"n\":\"" P "5851\"}]", P "5850=true " P "5851=42 "},
        {IPSO, "[{\"n\":\"nothing\"}]", ""},
        {IPSO, "[{\"bn\":\"" P "\"}]", ""},
        {IPSO, "[{\"bn\":\"" P "5850\"}]", P "5850=true "},
        {IPSO, "[{\"n\":\"" P "5850\",\"foo\":1}]", "unprocessable"},
        {IPSO, "[{\"n\":\"" P "5850\",\"v\":1}]", "unprocessable"},
        {IPSO, "[{\"n\":\"" P "5850\",\"v\":null}]", "unprocessable"},
        {IPSO, "[{\"n\":\"" P "5850\",\"bver\":10}]", "unprocessable"},
        {IPSO, "[{\"n\":\"" P "5850\",\"x_\":1}]", "unprocessable"},
        {IPSO, "[{\"n\":\"/5850\"}]", "unprocessable"},
        {IPSO, "[{\"n\":7}]", "unprocessable"},
        {IPSO, "[{\"t\":1}]", "unprocessable"},
        {IPSO, "[{}]", "unprocessable"},
        {IPSO, "[]", "unprocessable"},
        {IPSO, "{\"n\":\"a\"}", "unprocessable"},
        {IPSO, "[{\"n\":\"a\"}", "malformed"},
        {IPSO, "[{\"n\":\"a\",\"n\":\"b\"}]", "duplicate-key"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = fetched(CONTENT_FORMAT_ETCH_JSON, bytes_of_text(table[i].pack), table[i].target, arena);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s", table[i].pack, result);
        arena_free(arena);
    }
}

#define TIMES                                                                                                \
    "[{\"bt\":1763692000,\"n\":\"a\",\"u\":\"Cel\",\"v\":1},{\"n\":\"a\",\"t\":10,\"u\":\"V\",\"v\":2},"     \
    "{\"n\":\"a\",\"t\":10.5,\"v\":3}]"

Test(etch, fetches_by_time_and_unit_in_resolved_form)
{
    static const char *const table[][2] = {
        {"[{\"n\":\"a\"}]", "a=1 a=2 a=3 "},
        {"[{\"n\":\"a\",\"t\":1763692000}]", "a=1 "},
        {"[{\"bt\":1763692010,\"n\":\"a\",\"t\":0.5}]", "a=3 "},
        {"[{\"bt\":1763692010},{\"n\":\"a\"}]", "unprocessable"}, /* the first has no name */
        {"[{\"n\":\"a\",\"t\":-790.125}]", "a=2 "},               /* an offset to now */
        {"[{\"n\":\"a\",\"u\":\"V\"}]", "a=2 "},
        {"[{\"bu\":\"V\",\"n\":\"a\"}]", "a=2 "},
        {"[{\"bu\":\"V\",\"n\":\"a\",\"u\":\"\"}]", "a=3 "},
        {"[{\"n\":\"a\",\"u\":\"V\",\"t\":1763692000}]", ""},
        {"[{\"n\":\"a\",\"u\":\"V\"},{\"n\":\"a\",\"t\":1763692000}]", "a=1 a=2 "},
        {"[{\"n\":\"a\",\"t\":1e16}]", "unprocessable"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = fetched(CONTENT_FORMAT_ETCH_JSON, bytes_of_text(table[i][0]), TIMES, arena);
        cr_expect_str_eq(result, table[i][1], "%s\n gives %s", table[i][0], result);
        arena_free(arena);
    }
}

Test(etch, fetches_in_cbor)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_str_eq(fetched(CONTENT_FORMAT_ETCH_CBOR, hex_bytes(arena, "81a2006161016156"), TIMES, arena), "a=2 ");
    cr_expect_str_eq(fetched(CONTENT_FORMAT_ETCH_CBOR, hex_bytes(arena, "81a20061610201"), TIMES, arena),
                     "unprocessable");
    cr_expect_str_eq(fetched(CONTENT_FORMAT_ETCH_CBOR, BYTES_LITERAL("[{\"n\":\"a\"}]"), TIMES, arena), "malformed");
    arena_free(arena);
}

/* What a patch pack changes: "name=value", or "-name" for what it removes. */
static const char *patched(int format, struct bytes pack, const char *target, struct arena *arena)
{
    struct observation_list list = target_of(target, arena);
    struct format_input input = input_of(pack, arena);
    struct format_error error = {NULL, 0};
    struct etch_pack patch = {NULL, 77, {0}};
    struct etch_changes changes = {NULL, 77};
    enum outcome outcome = etch_read_patch(format, &input, arena, &patch, &error);
    if (outcome == OUTCOME_CHANGED)
        outcome = etch_apply(&patch, &list, arena, &changes, &error);
    if (outcome != OUTCOME_CHANGED) {
        cr_assert(error.detail && changes.count == 77);
        return outcome_row(outcome)->slug;
    }
    char *text = arena_calloc(arena, 1, 4096), *at = text;
    for (size_t i = 0; i < changes.count; i++) {
        const struct etch_record *record = changes.items[i].record;
        if (record->removes)
            at += sprintf(at, "-%.*s@%lld ", (int)record->series.len, (const char *)record->series.ptr,
                          (long long)changes.items[i].removed.s);
        else
            at = put_record(at, &record->observation);
    }
    return text;
}

static void check_patches(const char *target, const char *const table[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = patched(CONTENT_FORMAT_ETCH_JSON, bytes_of_text(table[i][0]), target, arena);
        cr_expect_str_eq(result, table[i][1], "%s\n gives %s", table[i][0], result);
        arena_free(arena);
    }
}

Test(etch, patches)
{
    static const char *const table[][2] = {
        {"[{\"bn\":\"" P "\",\"n\":\"5850\",\"vb\":false},{\"n\":\"5851\",\"v\":10}]", P "5850=false " P "5851=10 "},
        {"[{\"bn\":\"" P "\",\"n\":\"5850\",\"v\":null},{\"n\":\"5851\",\"v\":null}]",
         "-" P "5850@1763692800 -" P "5851@1763692800 "},
        {"[{\"n\":\"new\",\"v\":1,\"s\":2}]", "new=1+2 "},
        {"[{\"n\":\"new\",\"v\":null}]", ""},
        {"[{\"n\":\"" P "5850\",\"v\":null,\"s\":2}]", "-" P "5850@1763692800 "},
        /* labels that end in _ need not be understood here */
        {"[{\"n\":\"new\",\"v\":1,\"x_\":2}]", "new=1 "},
        {"[{\"bver\":26,\"n\":\"new\",\"u\":\"kW\",\"v\":1.5}]", "new=1500 "},
        {"[{\"bver\":42,\"n\":\"new\",\"v\":1}]", "unprocessable"},
        {"[{\"n\":\"new\"}]", "unprocessable"},
        {"[{\"bn\":\"new\"},{\"v\":1}]", "unprocessable"},
        {"[{\"bv\":1,\"n\":\"new\"}]", "unprocessable"},
        {"[{\"n\":\"new\",\"v\":null,\"vs\":\"x\"}]", "unprocessable"},
        {"[{\"n\":\"new\",\"vs\":null}]", "unprocessable"},
        {"[{\"n\":\"new\",\"s\":null}]", "unprocessable"},
        {"[{\"n\":\"new\",\"v\":\"1\"}]", "unprocessable"},
        {"[{\"n\":\"n w\",\"v\":1}]", "unprocessable"},
        {"[{\"n\":\"a\",\"v\":1},{\"n\":\"b\"}]", "unprocessable"},
        {"[]", "unprocessable"},
        {"[{\"n\":\"a\",\"v\":1},]", "malformed"},
    };
    check_patches(IPSO, table, COUNT_OF(table));
}

Test(etch, patches_one_after_the_other)
{
    static const char *const table[][2] = {
        {"[{\"n\":\"b\",\"v\":1},{\"n\":\"b\",\"v\":2}]", "b=1 b=2 "},
        {"[{\"n\":\"b\",\"v\":1},{\"n\":\"b\",\"v\":null}]", "b=1 -b@1763692800 "},
        {"[{\"n\":\"b\",\"v\":1},{\"n\":\"b\",\"v\":null},{\"n\":\"b\",\"v\":null}]", "b=1 -b@1763692800 "},
        {"[{\"n\":\"b\",\"v\":null},{\"n\":\"b\",\"v\":2}]", "b=2 "},
        /* more than one is there, before or because of the pack */
        {"[{\"n\":\"a\",\"v\":9}]", "unprocessable"},
        {"[{\"n\":\"a\",\"v\":null}]", "unprocessable"},
        {"[{\"n\":\"a\",\"u\":\"V\",\"v\":9}]", "a=9 "},
        {"[{\"n\":\"a\",\"t\":1763692000,\"v\":null}]", "-a@1763692000 "},
        {"[{\"n\":\"a\",\"t\":1763692000,\"u\":\"V\",\"v\":null}]", ""},
        {"[{\"n\":\"a\",\"t\":1763692000,\"v\":null},{\"n\":\"a\",\"t\":1763692010.5,\"v\":null},{\"n\":\"a\",\"v\":4}]",
         "-a@1763692000 -a@1763692010 a=4 "},
        {"[{\"n\":\"b\",\"t\":1763692000,\"v\":1},{\"n\":\"b\",\"t\":1763692001,\"v\":2}]", "b=1 b=2 "},
        {"[{\"n\":\"b\",\"t\":1763692000,\"v\":1},{\"n\":\"b\",\"t\":1763692001,\"v\":2},{\"n\":\"b\",\"v\":3}]",
         "unprocessable"},
        /* in a pack of version 26 units meet in their primary form */
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"mV\",\"v\":null}]", "-a@1763692010 "},
        {"[{\"n\":\"a\",\"u\":\"mV\",\"v\":null}]", ""},
    };
    check_patches(TIMES, table, COUNT_OF(table));
}

Test(etch, patches_in_cbor)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_str_eq(patched(CONTENT_FORMAT_ETCH_CBOR, hex_bytes(arena, "82a20061620201a301615600616102f6"), TIMES, arena),
                     "b=1 -a@1763692010 ");
    cr_expect_str_eq(patched(CONTENT_FORMAT_ETCH_CBOR, hex_bytes(arena, "81a200616202f7"), TIMES, arena), "");
    arena_free(arena);
}

Test(etch, has_a_sequence)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct format_input input = input_of(BYTES_LITERAL("[{\"epoch\":3,\"seq\":17,\"n\":\"a\",\"v\":null}]"), arena);
    struct etch_pack patch;
    struct format_error error;
    cr_assert_eq(etch_read_patch(CONTENT_FORMAT_ETCH_JSON, &input, arena, &patch, &error), OUTCOME_CHANGED);
    cr_expect(patch.sequence.given && patch.sequence.epoch == 3 && patch.sequence.seq == 17);
    arena_free(arena);
}

/* A thousand records of one series meet a thousand others of it. */
Test(etch, is_bounded)
{
    struct arena *arena = arena_new(8 * ARENA_BYTES);
    char *text = arena_alloc(arena, 1100 * 64), *at = text;
    *at++ = '[';
    for (int i = 0; i < 1024; i++)
        at += sprintf(at, "%s{\"n\":\"a\",\"t\":%d,\"v\":1}", i ? "," : "", 1763692000 + i);
    char *end = stpcpy(at, "]");
    struct format_input input = {.payload = bytes_of(text, (size_t)(end - text)), .now = NOW,
                                 .limits = {.depth = 16, .items = 1 << 20, .records = 1024}};
    struct observation_list nothing = {0};
    struct etch_pack patch;
    struct etch_changes changes;
    struct format_error error;
    cr_assert_eq(etch_read_patch(CONTENT_FORMAT_ETCH_JSON, &input, arena, &patch, &error), OUTCOME_CHANGED);
    cr_assert_eq(etch_apply(&patch, &nothing, arena, &changes, &error), OUTCOME_CHANGED);
    cr_expect_eq(changes.count, 1024);
    end = stpcpy(at, ",{\"n\":\"a\",\"v\":1}]");
    input.payload.len = (size_t)(end - text);
    cr_expect_eq(etch_read_patch(CONTENT_FORMAT_ETCH_JSON, &input, arena, &patch, &error), OUTCOME_TOO_COMPLEX);
    arena_free(arena);
}
