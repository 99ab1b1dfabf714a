// SPDX-License-Identifier: GPL-3.0-or-later
/* Names of legacy senders made clean. */
#include "codec/naming.h"

#include "codec/senml.h"
#include "tests/unit/codec/support.h"

static const char *clean(struct bytes raw, size_t max, struct arena *arena)
{
    struct bytes ret = BYTES_LITERAL("untouched");
    struct refusal refusal;
    if (!naming_clean(raw, max, arena, &ret, &refusal)) {
        cr_assert(bytes_equal_text(ret, "untouched"));
        cr_assert(refusal.detail && refusal.offset == SIZE_MAX);
        return outcome_row(refusal.outcome)->slug;
    }
    cr_assert(senml_name_is_valid(ret) && ret.len <= max);
    cr_assert(!memchr(ret.ptr, ':', ret.len) && !memchr(ret.ptr, '/', ret.len));
    return arena_text(arena, ret);
}

Test(naming, each_other_character_becomes_one_underscore)
{
    static const struct expectation table[] = {
        {"power1", "power1"},
        {"a-b.c_D9", "a-b.c_D9"},
        {"external temperature", "external_temperature"},
        {"urn:dev/x", "urn_dev_x"},
        {"T|C16", "T_C16"},
        {"gr\xc3\xb6\xc3\x9f" "e", "gr__e"},
        {"a\xe2\x82\xac" "b\xf0\x9f\x98\x80" "c", "a_b_c"},
        {"a\xb0" "b", "a_b"},             /* not UTF-8 */
        {"a\xe2\x82", "a_"},              /* cut off */
        {"a\xe2" "bc", "a_bc"},           /* a lead octet without the rest */
        {"a\xff\xff", "a__"},
        {"a\r\nb\x01", "a__b_"},
        {"1", "1"},
        {"-1", "1"},
        {"_x", "x"},
        {"\xc2\xb0" "C", "C"},
        {"  a ", "a_"},
        {"", "bad-name"},
        {"-._", "bad-name"},
        {"\xc2\xb5", "bad-name"},
        {"\xe6\xb8\xa9\xe5\xba\xa6", "bad-name"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        cr_expect_str_eq(clean(bytes_of_text(table[i].payload), NAMING_NAME_MAX, arena), table[i].result);
        arena_free(arena);
    }
}

Test(naming, clean_names_are_not_copied)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes raw = BYTES_LITERAL("._power1"), ret;
    struct refusal refusal;
    cr_assert(naming_clean(raw, NAMING_NODE_MAX, arena, &ret, &refusal));
    cr_assert_eq(ret.ptr, raw.ptr + 2);
    cr_assert_eq(arena_used(arena), 0);
    arena_free(arena);
}

Test(naming, long_names_are_refused_and_never_cut)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_str_eq(clean(BYTES_LITERAL("abcd"), 4, arena), "abcd");
    cr_expect_str_eq(clean(BYTES_LITERAL("abcde"), 4, arena), "bad-name");
    cr_expect_str_eq(clean(BYTES_LITERAL("a c "), 4, arena), "a_c_");
    cr_expect_str_eq(clean(BYTES_LITERAL("a c e"), 4, arena), "bad-name");
    cr_expect_str_eq(clean(BYTES_LITERAL("a\xc3\xa4\xc3\xa4\xc3\xa4"), 4, arena), "a___");
    cr_expect_str_eq(clean(BYTES_LITERAL("abcde "), 4, arena), "bad-name");
    arena_free(arena);
}

/* A device is found by what was said; what it is made into is a part of a name. */
Test(naming, nodes_are_kept_as_they_were_said)
{
    static const struct {
        const char *raw, *node; /* NULL: refused */
    } table[] = {
        {"aa:bb", "aa_bb"},  {"-meter", "meter"},         {"meter", "meter"}, {"a\x01" "b", NULL}, {"a\nb", NULL},
        {"a\x7f", NULL},     {"gr\xc3\xb6n", "gr_n"},     {"--", NULL},       {"", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation observation = {.unit = BYTES_LITERAL("untouched")};
        struct refusal refusal;
        bool good = naming_node(bytes_of_text(table[i].raw), arena, &observation, &refusal);
        cr_expect_eq(good, table[i].node != NULL, "row %zu", i);
        if (table[i].node) {
            cr_expect(bytes_equal_text(observation.node, table[i].node), "row %zu", i);
            cr_expect(bytes_equal_text(observation_said_node(&observation), table[i].raw), "row %zu", i);
        } else {
            cr_expect_eq(refusal.outcome, OUTCOME_BAD_NAME);
            cr_expect_eq(observation.node.len + observation.node_raw.len, 0);
        }
        arena_free(arena);
    }
}

Test(naming, no_memory)
{
    struct arena *arena = arena_new(1);
    cr_expect_str_eq(clean(BYTES_LITERAL("a b"), NAMING_NAME_MAX, arena), "out-of-memory");
    arena_free(arena);
}

static const char *distinct(size_t count, size_t twice, struct arena *arena)
{
    struct observation *items = arena_calloc(arena, count, sizeof(*items));
    struct refusal refusal;
    for (size_t i = 0; i < count; i++) {
        char *name = arena_alloc(arena, 32);
        snprintf(name, 32, "n%zu", i == twice ? 0 : i);
        items[i].name = bytes_of_text(name);
    }
    return naming_distinct(items, count, arena, &refusal) ? "distinct" : outcome_row(refusal.outcome)->slug;
}

Test(naming, two_of_one_name_are_found)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    static const size_t counts[] = {0, 1, 2, 16, 17, 1000};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        cr_expect_str_eq(distinct(counts[i], SIZE_MAX, arena), "distinct");
        if (counts[i] > 1)
            cr_expect_str_eq(distinct(counts[i], counts[i] - 1, arena), "duplicate-key");
    }
    arena_free(arena);
}
