// SPDX-License-Identifier: GPL-3.0-or-later
/* The state is written by Lua's struct.pack: doubles, because Redis' Lua has no other numbers. */
#include "gateway/seen.h"

#include "codec/observation.h"

#include <math.h>

#define DOUBLE_OCTETS 8
#define HEAD_OCTETS ((size_t)2 * DOUBLE_OCTETS)
#define MARK_OCTETS 2
#define WINDOW 64

static void add_range(struct seen *seen, uint64_t lo, uint64_t hi)
{
    seen->missing += hi - lo + 1;
    struct seen_range *last = seen->range_count ? &seen->ranges[seen->range_count - 1] : NULL;
    if (last && last->hi + 1 == lo)
        last->hi = hi;
    else if (seen->range_count < SEEN_RANGES_MAX)
        seen->ranges[seen->range_count++] = (struct seen_range){lo, hi};
}

/* Takes a sequence number off the text. */
static bool take_number(struct bytes *text, uint64_t *ret)
{
    size_t digits = 0;
    *ret = 0;
    while (digits < text->len && text->ptr[digits] >= '0' && text->ptr[digits] <= '9' && *ret <= SEQUENCE_MAX)
        *ret = 10 * *ret + (uint64_t)(text->ptr[digits++] - '0');
    *text = bytes_of(text->ptr + digits, text->len - digits);
    return digits > 0 && *ret <= SEQUENCE_MAX;
}

bool seen_add_hole(struct seen *seen, struct bytes member)
{
    uint64_t lo, hi;
    if (!take_number(&member, &lo) || member.len == 0 || member.ptr[0] != '-')
        return false;
    member = bytes_of(member.ptr + 1, member.len - 1);
    if (!take_number(&member, &hi) || member.len > 0 || hi < lo)
        return false;
    add_range(seen, lo, hi);
    return true;
}

static bool read_double(const uint8_t *at, uint64_t *ret)
{
    uint64_t bits = 0;
    double number;
    for (unsigned i = 0; i < DOUBLE_OCTETS; i++)
        bits = bits << 8 | at[i];
    memcpy(&number, &bits, sizeof number);
    if (!(number >= 0 && number <= (double)SEQUENCE_MAX) || floor(number) != number)
        return false;
    *ret = (uint64_t)number;
    return true;
}

/* Newest first: mark i is that of highest - i. */
static bool is_unseen(struct bytes marks, size_t i)
{
    return marks.ptr[MARK_OCTETS * i] == 0 && marks.ptr[MARK_OCTETS * i + 1] == 0;
}

static void add_window(struct seen *seen, struct bytes marks)
{
    for (size_t i = marks.len / MARK_OCTETS; i-- > 0;) {
        if (!is_unseen(marks, i))
            continue;
        size_t from = i;
        while (i > 0 && is_unseen(marks, i - 1))
            i--;
        add_range(seen, seen->highest - from, seen->highest - i);
    }
}

bool seen_add_state(struct seen *seen, struct bytes state)
{
    if (state.len < HEAD_OCTETS + MARK_OCTETS || state.len > HEAD_OCTETS + MARK_OCTETS * WINDOW ||
        (state.len - HEAD_OCTETS) % MARK_OCTETS != 0 || !read_double(state.ptr, &seen->highest) ||
        !read_double(state.ptr + DOUBLE_OCTETS, &seen->lowest) || seen->lowest > seen->highest)
        return false;
    struct bytes marks = bytes_of(state.ptr + HEAD_OCTETS, state.len - HEAD_OCTETS);
    if (marks.len / MARK_OCTETS > seen->highest + 1)
        return false;
    add_window(seen, marks);
    return true;
}
