// SPDX-License-Identifier: GPL-3.0-or-later
/* Filters of /.well-known/core. The input up to the first line feed is the filter's name, what follows its value. */
#include "codec/link.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct link links[] = {
    {"/obs", "rt=\"weir.obs core.s\";if=sensor;ct=\"110 112\";obs"},
    {"/time", "title=\"a, b; rt=x\";ct=60"},
    {"/", ""},
};

#define LINK_COUNT (sizeof(links) / sizeof(links[0]))

/* The link's text is somewhere in the answer only if the answer is not longer than all links together. */
static void check_answer(struct bytes filtered, struct bytes all)
{
    if (filtered.len > all.len)
        abort();
    if (filtered.len && (filtered.ptr[0] != '<' || filtered.ptr[filtered.len - 1] == ','))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(1 << 20);
    struct bytes input, filtered, all;
    if (!arena || !arena_copy(arena, bytes_of(data, size), &input))
        abort();
    const uint8_t *border = size ? memchr(input.ptr, '\n', size) : NULL;
    size_t name_len = border ? (size_t)(border - input.ptr) : size;
    struct bytes name = bytes_of(input.ptr, name_len);
    struct bytes value = border ? bytes_of(border + 1, size - name_len - 1) : bytes_of(NULL, 0);

    if (!link_format(links, LINK_COUNT, bytes_of(NULL, 0), bytes_of(NULL, 0), arena, &all) ||
        !link_format(links, LINK_COUNT, name, value, arena, &filtered))
        abort();
    check_answer(filtered, all);
    arena_free(arena);
    return 0;
}
