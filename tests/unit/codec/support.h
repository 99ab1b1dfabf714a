// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests of the codec share: vectors, hexadecimal, random numbers that repeat, decoding in one call.
 */
#pragma once

#include "codec/format.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES ((size_t)4 << 20)
#define NOW ((struct timestamp){1763692800, 125000000})
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A file below tests/vectors. */
static inline struct bytes vector_file(struct arena *arena, const char *name)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof(path), "%s/tests/vectors/%s", root ? root : ".", name);
    FILE *file = fopen(path, "rb");
    cr_assert(file, "cannot open %s", path);
    size_t room = 1 << 20, len;
    uint8_t *ptr = arena_alloc(arena, room);
    cr_assert(ptr);
    len = fread(ptr, 1, room, file);
    cr_assert(len < room);
    fclose(file);
    return bytes_of(ptr, len);
}

static inline struct bytes from_hex(struct arena *arena, struct bytes hex)
{
    uint8_t *out = arena_alloc(arena, hex.len / 2);
    cr_assert(out);
    for (size_t i = 0; i < hex.len / 2; i++) {
        char pair[3] = {(char)hex.ptr[2 * i], (char)hex.ptr[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return bytes_of(out, hex.len / 2);
}

static inline struct bytes hex_bytes(struct arena *arena, const char *hex)
{
    return from_hex(arena, bytes_of_text(hex));
}

static inline char *to_hex(struct arena *arena, struct bytes bytes)
{
    char *out = arena_alloc(arena, 2 * bytes.len + 1);
    cr_assert(out);
    for (size_t i = 0; i < bytes.len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes.ptr[i]);
    out[2 * bytes.len] = '\0';
    return out;
}

/* xorshift64*; the same seed gives the same numbers everywhere. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

/* Decodes as one request would; name and unit are those of the query. */
static inline enum outcome decode_as(int content_format, struct bytes payload, struct arena *arena,
                                     struct observation_list *ret, struct format_error *reterr)
{
    /* An exact copy, so that a read behind the end is seen by AddressSanitizer. */
    struct format_input input = {
        .now = NOW,
        .name = BYTES_LITERAL("temp"),
        .unit = BYTES_LITERAL("Cel"),
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    cr_assert(arena_copy(arena, payload, &input.payload));
    return format_by_content_format(content_format)->decode(&input, arena, ret, reterr);
}

/* The outcome's slug, or, when it decodes, the list as SenML JSON: what a test compares in one line. */
static inline const char *decoded(int content_format, struct bytes payload, struct arena *arena)
{
    struct observation_list list;
    struct format_error error = {NULL, 0};
    struct bytes json;
    enum outcome outcome = decode_as(content_format, payload, arena, &list, &error);
    if (outcome != OUTCOME_CHANGED) {
        cr_assert(error.detail, "a refusal without a detail");
        cr_assert(error.offset == SIZE_MAX || error.offset <= payload.len);
        return outcome_row(outcome)->slug;
    }
    const struct format *senml = format_by_content_format(CONTENT_FORMAT_SENML_JSON);
    cr_assert_eq(senml->encode(&list, arena, &json), OUTCOME_CONTENT);
    return arena_text(arena, json);
}

/* One line of a table of payloads. */
struct expectation {
    const char *payload;
    const char *result; /* see decoded() */
};

static inline void check_json_table(int content_format, const struct expectation *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = decoded(content_format, bytes_of_text(table[i].payload), arena);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s\n not   %s", table[i].payload, result,
                         table[i].result);
        arena_free(arena);
    }
}

static inline void check_hex_table(int content_format, const struct expectation *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = decoded(content_format, hex_bytes(arena, table[i].payload), arena);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s\n not   %s", table[i].payload, result,
                         table[i].result);
        arena_free(arena);
    }
}
