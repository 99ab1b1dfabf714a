// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Request targets. Property: a path that is taken has one spelling: it is text, begins with a slash, has no empty and
 * no dot segment, and encoding all of it and decoding that gives the same path.
 */
#include "codec/utf8.h"
#include "proxy/http_target.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_habit(struct bytes path)
{
    return path.len % 2 == 0;
}

static void check_path(struct bytes path)
{
    must(path.len > 0 && path.ptr[0] == '/' && utf8_is_text(path));
    for (size_t i = 0; i + 1 < path.len; i++) {
        if (path.ptr[i] != '/')
            continue;
        struct bytes rest = bytes_of(path.ptr + i + 1, path.len - i - 1);
        size_t dots = 0;
        while (dots < rest.len && rest.ptr[dots] == '.')
            dots++;
        bool is_whole = dots == rest.len || rest.ptr[dots] == '/';
        must(!(is_whole && dots <= 2));
    }
}

static void check_spelling(struct bytes path, struct arena *arena)
{
    char *encoded = arena_alloc(arena, 3 * path.len + 1);
    struct http_target again;
    struct http_refusal refusal;
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '/')
            encoded[len++] = '/';
        else
            len += (size_t)sprintf(encoded + len, "%%%02x", path.ptr[i]);
    }
    if (len > HTTP_HEAD_TARGET_BYTES_MAX)
        return;
    must(http_target_decode(bytes_of(encoded, len), is_habit, arena, &again, &refusal));
    must(bytes_equal(again.path, path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(1 << 20);
    struct http_target target;
    struct http_refusal refusal;
    if (http_target_decode(bytes_of(data, size), is_habit, arena, &target, &refusal)) {
        check_path(target.path);
        check_spelling(target.path, arena);
        must(target.query_count <= HTTP_HEAD_QUERY_MAX);
    }
    arena_free(arena);
    return 0;
}
