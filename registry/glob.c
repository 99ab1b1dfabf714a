// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Without other wildcards the leftmost place of a piece is always the best one: whatever fits behind a later place
 * fits behind the leftmost too. So nothing is ever tried twice, whatever an operator or a peer writes.
 */
#include "registry/glob.h"

static struct bytes skip(struct bytes text, size_t len)
{
    return bytes_of(text.ptr + len, text.len - len);
}

/* Where the piece ends in the text, leftmost; false: it is not there. memmem is linear (two-way). */
static bool find_piece(struct bytes text, struct bytes piece, size_t *ret_end)
{
    const uint8_t *at = text.len >= piece.len ? memmem(text.ptr, text.len, piece.ptr, piece.len) : NULL;
    if (at)
        *ret_end = (size_t)(at - text.ptr) + piece.len;
    return at != NULL;
}

bool glob_matches(struct bytes pattern, struct bytes text)
{
    const uint8_t *star = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL;
    if (!star)
        return bytes_equal(pattern, text);
    struct bytes head = bytes_of(pattern.ptr, (size_t)(star - pattern.ptr));
    if (!bytes_starts_with(text, head))
        return false;
    pattern = skip(pattern, head.len + 1);
    text = skip(text, head.len);
    while ((star = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL)) {
        struct bytes piece = bytes_of(pattern.ptr, (size_t)(star - pattern.ptr));
        size_t end = 0;
        if (piece.len > 0 && !find_piece(text, piece, &end))
            return false;
        pattern = skip(pattern, piece.len + 1);
        text = skip(text, end);
    }
    return text.len >= pattern.len && bytes_equal(skip(text, text.len - pattern.len), pattern);
}
