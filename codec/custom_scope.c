// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Time and node of the observations of a list of fields. Both may stand behind the values in the payload, so
 * they are given when the list is over, from the inside out: a list inside another one may have an absolute
 * time, then its observations have theirs; or a distance to the time of what is around, then they wait for
 * it; in the end the time of receipt is around everything.
 */
#include "codec/custom_private.h"
#include "codec/datetime.h"

struct custom_scope custom_scope_begin(struct custom_run *run, const struct custom_list *list)
{
    for (unsigned i = list ? list->slot_from : 0; list && i < list->slot_to; i++)
        run->slots[i].set = false;
    return (struct custom_scope){run->count};
}

/* Times. */

static bool refuse_time(struct custom_run *run, const char *detail)
{
    return custom_refuse(run, OUTCOME_BAD_VALUE, detail, SIZE_MAX);
}

static bool read_time(struct custom_run *run, const struct custom_time *time, timestamp_atto *ret)
{
    static const int exponents[] = {
        [CUSTOM_UNIT_S] = 0, [CUSTOM_UNIT_MS] = -3, [CUSTOM_UNIT_US] = -6, [CUSTOM_UNIT_NS] = -9};
    const struct custom_value *value = &run->slots[time->field->slot].value;
    if (time->unit == CUSTOM_UNIT_RFC3339) {
        struct timestamp date;
        if (value->kind != VALUE_TEXT || !datetime_parse(value->data, &date))
            return refuse_time(run, "A time is not a date of RFC 3339.");
        *ret = timestamp_to_atto(date);
        return true;
    }
    if (value->kind != VALUE_NUMBER)
        return refuse_time(run, "A time is not a number.");
    struct decimal decimal = value->decimal;
    decimal.exponent += exponents[time->unit];
    if (!timestamp_from_decimal(&decimal, ret))
        return refuse_time(run, "A time is too far away.");
    return true;
}

static bool settle(struct custom_run *run, size_t i, timestamp_atto around, enum time_source moved,
                   enum time_source own)
{
    struct custom_pending *pending = &run->pending[i];
    if (!timestamp_from_atto(around + pending->delta, &run->items[i].time))
        return refuse_time(run, "A time is too far away.");
    run->items[i].time_source = pending->moved ? moved : own;
    pending->settled = true;
    return true;
}

static bool end_time(struct custom_run *run, const struct custom_time *time, size_t first)
{
    timestamp_atto read;
    if (!run->slots[time->field->slot].set)
        return true;
    if (!read_time(run, time, &read))
        return false;
    for (size_t i = first; i < run->count; i++) {
        struct custom_pending *pending = &run->pending[i];
        if (pending->settled)
            continue;
        if (time->as == CUSTOM_TIME_ABSOLUTE) {
            if (!settle(run, i, read + time->epoch, TIME_BATCH, TIME_DEVICE))
                return false;
            continue;
        }
        pending->moved = true;
        pending->delta += time->as == CUSTOM_TIME_AGE ? -read : read;
    }
    return true;
}

bool custom_scope_node(struct custom_run *run, struct custom_scope scope, struct bytes node)
{
    struct observation named;
    /* The text may be the codec's. */
    if (!arena_copy(run->arena, node, &node))
        return refuse_memory(&run->refusal);
    if (!naming_node(node, run->arena, &named, &run->refusal))
        return false;
    for (size_t i = scope.first; i < run->count; i++) {
        if (run->items[i].node.len > 0)
            continue;
        run->items[i].node = named.node;
        run->items[i].node_raw = named.node_raw;
    }
    return true;
}

bool custom_scope_end(struct custom_run *run, const struct custom_list *list, struct custom_scope scope)
{
    struct bytes node;
    bool found;
    if (list->time.given && !end_time(run, &list->time, scope.first))
        return false;
    if (list->node.count == 0 || scope.first == run->count)
        return true;
    if (!custom_template_write(run, &list->node, &node, &found))
        return false;
    return !found || custom_scope_node(run, scope, node);
}

bool custom_scope_settle(struct custom_run *run)
{
    timestamp_atto now = timestamp_to_atto(run->input->now);
    for (size_t i = 0; i < run->count; i++) {
        if (!run->pending[i].settled && !settle(run, i, now, TIME_RELATIVE, TIME_RECEIPT))
            return false;
    }
    return true;
}
