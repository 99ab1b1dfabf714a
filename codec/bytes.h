// SPDX-License-Identifier: GPL-3.0-or-later
/* A borrowed run of bytes. Nobody owns memory through it; whoever hands one over says how long it lives. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *ptr; /* may be NULL when len is 0 */
    size_t len;
};

/* The characters of a string literal, without its NUL. */
#define BYTES_LITERAL(text) ((struct bytes){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){ptr, len};
}

static inline struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool bytes_equal_text(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_of_text(text));
}

/* ASCII letters of a in any case; text has small ones. */
static inline bool bytes_equal_any_case(struct bytes a, const char *text)
{
    size_t i = 0;
    for (; i < a.len && text[i]; i++) {
        uint8_t c = a.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)text[i])
            return false;
    }
    return i == a.len && !text[i];
}

static inline bool bytes_starts_with(struct bytes a, struct bytes prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}
