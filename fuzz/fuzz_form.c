// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Forms of legacy senders. Properties: no more fields than are allowed, no text longer than the form, no NUL; what has
 * neither '%' nor '+' is taken as it stands.
 */
#include "gateway/form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct bytes text, struct bytes body)
{
    must(text.len <= body.len && !(text.len && memchr(text.ptr, 0, text.len)));
    if (text.len && !memchr(body.ptr, '%', body.len) && !memchr(body.ptr, '+', body.len))
        must(memmem(body.ptr, body.len, text.ptr, text.len) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = bytes_of(data, size);
    struct arena *arena = arena_new((size_t)1 << 20);
    struct form form = {.count = 77};
    struct refusal refusal;
    must(arena != NULL);
    if (form_read(body, arena, &form, &refusal)) {
        must(form.count <= FORM_PARAMETERS_MAX);
        for (size_t i = 0; i < form.count; i++) {
            check_text(form.items[i].name, body);
            check_text(form.items[i].value, body);
        }
    } else {
        must(form.count == 77 && refusal.detail);
    }
    arena_free(arena);
    return 0;
}
