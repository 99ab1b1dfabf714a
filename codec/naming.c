// SPDX-License-Identifier: GPL-3.0-or-later
/* Most names are clean: one look at each byte, nothing copied. */
#include "codec/naming.h"

#include "codec/sort.h"

#define FEW_NAMES 16

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_allowed(uint8_t c)
{
    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
}

static bool is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* Octets of the character at the beginning, as its first octet announces them and as far as they are there. */
static size_t character_len(struct bytes text)
{
    size_t announced = text.ptr[0] >= 0xf0 ? 4 : text.ptr[0] >= 0xe0 ? 3 : text.ptr[0] >= 0xc0 ? 2 : 1;
    size_t len = 1;
    while (len < announced && len < text.len && is_continuation(text.ptr[len]))
        len++;
    return len;
}

static struct bytes skip(struct bytes text, size_t len)
{
    return bytes_of(text.ptr + len, text.len - len);
}

static size_t count_allowed(struct bytes text)
{
    size_t len = 0;
    while (len < text.len && is_allowed(text.ptr[len]))
        len++;
    return len;
}

static bool refuse_length(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_BAD_NAME, "A name is too long.", SIZE_MAX);
}

bool naming_clean(struct bytes raw, size_t max, struct arena *arena, struct bytes *ret, struct refusal *reterr)
{
    while (raw.len && !is_alphanumeric(raw.ptr[0]))
        raw = skip(raw, character_len(raw));
    if (raw.len == 0)
        return refuse(reterr, OUTCOME_BAD_NAME, "A name has no letter and no digit.", SIZE_MAX);
    size_t len = count_allowed(raw);
    if (len > max)
        return refuse_length(reterr);
    if (len == raw.len) {
        *ret = raw;
        return true;
    }
    uint8_t *clean = arena_alloc(arena, max);
    if (!clean)
        return refuse_memory(reterr);
    for (len = 0; raw.len; raw = skip(raw, character_len(raw))) {
        if (len == max)
            return refuse_length(reterr);
        clean[len++] = is_allowed(raw.ptr[0]) ? raw.ptr[0] : '_';
    }
    *ret = bytes_of(clean, len);
    return true;
}

static bool has_control_character(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return true;
    return false;
}

bool naming_node(struct bytes raw, struct arena *arena, struct observation *observation, struct refusal *reterr)
{
    if (has_control_character(raw))
        return refuse(reterr, OUTCOME_BAD_NAME, "A node has a control character.", SIZE_MAX);
    if (!naming_clean(raw, NAMING_NODE_MAX, arena, &observation->node, reterr))
        return false;
    observation->node_raw = raw;
    return true;
}

bool naming_join_node(struct arena *arena, struct observation *observation)
{
    return arena_join(arena, observation->node, '.', observation->name, &observation->name);
}

static int compare_names(const void *a, const void *b)
{
    struct bytes x = ((const struct observation *)a)->name, y = ((const struct observation *)b)->name;
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    return x.len ? memcmp(x.ptr, y.ptr, x.len) : 0;
}

static bool refuse_twice(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_DUPLICATE_KEY, "A name is there twice.", SIZE_MAX);
}

static bool distinct_few(const struct observation *items, size_t count, struct refusal *reterr)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (compare_names(&items[k], &items[i]) == 0)
                return refuse_twice(reterr);
        }
    }
    return true;
}

bool naming_distinct(const struct observation *items, size_t count, struct arena *arena, struct refusal *reterr)
{
    if (count <= FEW_NAMES)
        return distinct_few(items, count, reterr);
    const void **sorted = arena_calloc(arena, count, sizeof(*sorted));
    if (!sorted)
        return refuse_memory(reterr);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &items[i];
    if (!sort_pointers(sorted, count, compare_names, arena))
        return refuse_memory(reterr);
    for (size_t i = 1; i < count; i++) {
        if (compare_names(sorted[i - 1], sorted[i]) == 0)
            return refuse_twice(reterr);
    }
    return true;
}
