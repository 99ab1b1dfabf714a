// SPDX-License-Identifier: GPL-3.0-or-later
/* JSON first, since nearly all numbers are; only what is none is written anew. */
#include "codec/relaxed.h"

#include "codec/node.h"

/* A number that is written anew: what is put beyond the room is only counted. */
struct rewrite {
    struct bytes from;
    char text[DECIMAL_TEXT_MAX];
    size_t len;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes relaxed_trim(struct bytes text)
{
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    while (text.len && is_space(text.ptr[0]))
        text = bytes_of(text.ptr + 1, text.len - 1);
    return text;
}

static bool next_is(const struct rewrite *rewrite, uint8_t low, uint8_t high)
{
    return rewrite->from.len && rewrite->from.ptr[0] >= low && rewrite->from.ptr[0] <= high;
}

static void put(struct rewrite *rewrite, uint8_t c)
{
    if (rewrite->len < sizeof(rewrite->text))
        rewrite->text[rewrite->len] = (char)c;
    rewrite->len++;
}

static uint8_t take(struct rewrite *rewrite)
{
    uint8_t c = rewrite->from.ptr[0];
    rewrite->from = bytes_of(rewrite->from.ptr + 1, rewrite->from.len - 1);
    return c;
}

/* How many there were. */
static size_t copy_digits(struct rewrite *rewrite)
{
    size_t count = 0;
    for (; next_is(rewrite, '0', '9'); count++)
        put(rewrite, take(rewrite));
    return count;
}

/* The digits before the point without zeros that lead, but at least one. */
static bool copy_whole(struct rewrite *rewrite)
{
    bool any = false;
    while (next_is(rewrite, '0', '0')) {
        (void)take(rewrite);
        any = true;
    }
    size_t count = copy_digits(rewrite);
    if (count == 0)
        put(rewrite, '0');
    return any || count > 0;
}

static bool copy_mantissa(struct rewrite *rewrite)
{
    bool any = copy_whole(rewrite);
    if (!next_is(rewrite, '.', '.'))
        return any;
    (void)take(rewrite);
    if (!next_is(rewrite, '0', '9'))
        return any;
    put(rewrite, '.');
    return copy_digits(rewrite) > 0;
}

static bool copy_exponent(struct rewrite *rewrite)
{
    if (!next_is(rewrite, 'e', 'e') && !next_is(rewrite, 'E', 'E'))
        return true;
    put(rewrite, 'e');
    (void)take(rewrite);
    if (next_is(rewrite, '-', '-'))
        put(rewrite, take(rewrite));
    else if (next_is(rewrite, '+', '+'))
        (void)take(rewrite);
    return copy_digits(rewrite) > 0;
}

static bool rewrite_number(struct rewrite *rewrite)
{
    if (next_is(rewrite, '-', '-'))
        put(rewrite, take(rewrite));
    else if (next_is(rewrite, '+', '+'))
        (void)take(rewrite);
    return copy_mantissa(rewrite) && copy_exponent(rewrite) && rewrite->from.len == 0;
}

static bool refuse_bounds(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, "A number has too many digits or too large an exponent.", SIZE_MAX);
}

/* Parses; ret_text is the argument or, where it had to be written anew, lies in the rewrite. */
static bool parse(struct bytes text, struct rewrite *rewrite, struct decimal *ret, struct bytes *ret_text,
                  struct refusal *reterr)
{
    enum decimal_error error = decimal_parse(text, ret);
    *ret_text = text;
    if (error != DECIMAL_OK) {
        *rewrite = (struct rewrite){.from = text};
        if (!rewrite_number(rewrite))
            return refuse(reterr, OUTCOME_BAD_VALUE, "A value is no number.", SIZE_MAX);
        if (rewrite->len > sizeof(rewrite->text))
            return refuse_bounds(reterr);
        *ret_text = bytes_of(rewrite->text, rewrite->len);
        error = decimal_parse(*ret_text, ret);
    }
    return error == DECIMAL_OK || refuse_bounds(reterr);
}

bool relaxed_decimal(struct bytes text, struct decimal *ret, struct refusal *reterr)
{
    struct rewrite rewrite;
    struct bytes written;
    return parse(text, &rewrite, ret, &written, reterr);
}

bool relaxed_number(struct bytes text, struct arena *arena, struct number *ret, struct refusal *reterr)
{
    struct rewrite rewrite;
    struct decimal decimal;
    struct bytes written;
    if (!parse(text, &rewrite, &decimal, &written, reterr))
        return false;
    if (written.ptr != text.ptr && !arena_copy(arena, written, &written))
        return refuse_memory(reterr);
    struct node node = {.kind = NODE_NUMBER, .data = written, .offset = NODE_OFFSET_UNKNOWN};
    return node_number(&node, arena, &decimal, ret, reterr);
}
