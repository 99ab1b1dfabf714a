// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * SenML FETCH and PATCH (RFC 8790), JSON (320) and CBOR (322): packs that select records of another pack, the target,
 * and packs that change it.
 *
 * Records meet in resolved form: the same series, and the same time and unit where the fetch or patch record says
 * one. What it does not say matches anything. What is invalid is OUTCOME_UNPROCESSABLE (4.22).
 */
#pragma once

#include "codec/format.h"

struct etch_record {
    /* Resolved. Of a fetch record, and of one that removes: name, unit and time only. */
    struct observation observation;
    /* What it is matched by: the name, unless whoever knows better (a local name has an owner) sets it anew. */
    struct bytes series;
    bool has_time, has_unit; /* said, so they are matched too */
    bool removes;            /* "v": null */
    size_t offset;           /* in the payload, SIZE_MAX: not known */
};

struct etch_pack {
    struct etch_record *items;
    size_t count;
    struct sequence sequence; /* of a patch pack that has one */
};

/* Whether the number is one of the two of RFC 8790. */
static inline bool etch_is_format(int content_format)
{
    return content_format == CONTENT_FORMAT_ETCH_JSON || content_format == CONTENT_FORMAT_ETCH_CBOR;
}

/* content_format: one that etch_is_format. OUTCOME_CHANGED, or why not; ret is set on success only. */
enum outcome etch_read_fetch(int content_format, const struct format_input *input, struct arena *arena,
                             struct etch_pack *ret, struct format_error *reterr);
enum outcome etch_read_patch(int content_format, const struct format_input *input, struct arena *arena,
                             struct etch_pack *ret, struct format_error *reterr);

/* The records of the target that the pack selects, each once, in the target's order. False: out of memory. */
bool etch_select(const struct etch_pack *fetch, const struct observation_list *target, struct arena *arena,
                 struct observation_list *ret);

/* A change of a target: a patch record and what it does. */
struct etch_change {
    const struct etch_record *record;
    struct timestamp removed; /* of a record that removes: the time of what it removed */
};
struct etch_changes {
    struct etch_change *items;
    size_t count;
};
/*
 * What the pack changes, in its order: each record that adds or replaces, and each that removes something; those that
 * remove nothing are left out. Applied one after the other: a record meets what those before it have added. The target
 * stays as it is. OUTCOME_CHANGED; OUTCOME_UNPROCESSABLE: a record matches more than one target.
 */
enum outcome etch_apply(const struct etch_pack *patch, const struct observation_list *target, struct arena *arena,
                        struct etch_changes *ret, struct format_error *reterr);
