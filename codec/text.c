// SPDX-License-Identifier: GPL-3.0-or-later
/* The smallest format: what a shell script or a sketch on a microcontroller can print. */
#include "codec/text.h"

#include "codec/node.h"
#include "codec/senml.h"
#include "codec/utf8.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(struct bytes text)
{
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    while (text.len && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

static bool read_number(const struct format_input *input, struct bytes text, struct arena *arena,
                        struct number *ret, struct refusal *reterr)
{
    size_t offset = (size_t)(text.ptr - input->payload.ptr);
    struct decimal decimal;
    if (decimal_parse(text, &decimal) == DECIMAL_MALFORMED)
        return refuse(reterr, OUTCOME_MALFORMED, "The payload is no number, true or false.", offset);
    struct node node = {.kind = NODE_NUMBER, .data = text, .offset = (uint32_t)offset};
    return node_number(&node, arena, &decimal, ret, reterr);
}

static bool resolve(const struct format_input *input, struct arena *arena, struct observation *ret,
                    struct refusal *reterr)
{
    struct bytes text = trim(input->payload);
    *ret = (struct observation){
        .name = input->name,
        .unit = input->unit,
        .time = input->now,
        .time_source = TIME_RECEIPT,
        .kind = VALUE_BOOLEAN,
    };
    if (!senml_name_is_valid(input->name))
        return refuse(reterr, OUTCOME_BAD_NAME,
                      "The request has no name, or one with a character not allowed.", SIZE_MAX);
    if (!utf8_is_text(input->unit))
        return refuse(reterr, OUTCOME_BAD_VALUE,
                      utf8_is_valid(input->unit) ? "The unit has the character U+0000." : "The unit is not UTF-8.",
                      SIZE_MAX);
    if (text.len == 0)
        return refuse(reterr, OUTCOME_MALFORMED, "The payload is empty.", 0);
    if (bytes_equal(text, BYTES_LITERAL("true"))) {
        ret->boolean = true;
        return true;
    }
    if (bytes_equal(text, BYTES_LITERAL("false")))
        return true;
    ret->kind = VALUE_NUMBER;
    return read_number(input, text, arena, &ret->number, reterr);
}

enum outcome text_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                         struct format_error *reterr)
{
    struct refusal refusal;
    struct observation *observation = arena_alloc(arena, sizeof(*observation));
    bool good = observation ? resolve(input, arena, observation, &refusal) : refuse_memory(&refusal);
    if (!good)
        return refusal_report(&refusal, reterr);
    *ret = (struct observation_list){.items = observation, .count = 1};
    return OUTCOME_CHANGED;
}
