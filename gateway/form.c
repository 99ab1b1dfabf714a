// SPDX-License-Identifier: GPL-3.0-or-later
/* Cut at the separators first, then each part is decoded: no decoded character can act as a separator. */
#include "gateway/form.h"

#include "codec/hex.h"

/* One octet, decoded; -1: not one. */
static int take_octet(struct bytes *rest)
{
    uint8_t c = rest->ptr[0];
    size_t taken = 1;
    int octet = c == '+' ? ' ' : c;
    if (c == '%') {
        octet = rest->len > 2 ? hex_octet(rest->ptr + 1) : -1;
        if (octet < 0)
            return -1;
        taken = 3;
    }
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    return octet == 0 ? -1 : octet;
}

static bool decode(struct bytes raw, struct arena *arena, struct bytes *ret, struct refusal *reterr)
{
    uint8_t *text = arena_alloc(arena, raw.len);
    size_t len = 0;
    if (!text)
        return refuse_memory(reterr);
    while (raw.len) {
        int octet = take_octet(&raw);
        if (octet < 0)
            return refuse(reterr, OUTCOME_MALFORMED, "The form has a NUL, or a percent sign that encodes nothing.",
                          SIZE_MAX);
        text[len++] = (uint8_t)octet;
    }
    *ret = bytes_of(text, len);
    return true;
}

/* Takes what stands before the separator, and the separator, off the front. */
static struct bytes take_until(struct bytes *rest, uint8_t separator)
{
    const uint8_t *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t len = at ? (size_t)(at - rest->ptr) : rest->len, past = at ? len + 1 : len;
    struct bytes part = bytes_of(rest->ptr, len);
    *rest = bytes_of(rest->ptr + past, rest->len - past);
    return part;
}

bool form_read(struct bytes body, struct arena *arena, struct form *ret, struct refusal *reterr)
{
    struct form form = {.items = arena_calloc(arena, FORM_PARAMETERS_MAX, sizeof *form.items)};
    if (!form.items)
        return refuse_memory(reterr);
    while (body.len) {
        struct bytes value = take_until(&body, '&'), name;
        if (value.len == 0)
            continue;
        if (form.count == FORM_PARAMETERS_MAX)
            return refuse(reterr, OUTCOME_TOO_COMPLEX, "A form has at most 64 fields.", SIZE_MAX);
        struct format_parameter *to = &form.items[form.count++];
        name = take_until(&value, '=');
        if (!decode(name, arena, &to->name, reterr) || !decode(value, arena, &to->value, reterr))
            return false;
    }
    *ret = form;
    return true;
}
