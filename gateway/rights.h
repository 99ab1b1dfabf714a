// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Whose name is it, and may the speaker write it? One rule for all wires and formats (docs/streams.md,
 * "Names").
 *
 * A name without ':' and '/' is local: it belongs to whoever speaks, or to the device that the query names.
 * Any other name is global and belongs to the device whose prefix it is or begins with (the prefix, then one
 * of : / . _ -). A device writes its own names only; a concentrator those of every device of its tenant that
 * is known and enabled; on a mapped network nobody is known, so the query or the base name names the device.
 *
 * Who has no prefix other than the id has the names of the id but those that begin with the longer id of a
 * device that has a record, disabled or not: "box-12:temp" is never of "box" where "box-12" is known, whoever
 * speaks, brings or names "box". A prefix was given for what it says, whatever ids begin with it.
 *
 * A node (codec/observation.h) is whose the record is in the words of a legacy format, beside a local name.
 * It is the device that the query names or, without one, the speaker, if it is the id or the prefix of that
 * device; what a concentrator brings is the device whose id the node is; on a mapped network the node names
 * the device as a base name does. Any other node is a word of the sender's own, and becomes the first part of
 * the name: NODE.NAME.
 *
 * A node of hexadecimal digits only names a device in either case: RKDAP writes its ids in upper case,
 * OpenTRV's frames have theirs in lower case. A device whose id is spelt as the node is comes first.
 *
 * A device whose key is derived from that of its group speaks for itself before anybody has made a record of
 * it.
 *
 * A node that the payload itself proves (observation_list.proven) is the device whose key proved it, and no
 * other: it speaks for itself whoever brings it, as long as that may bring records of others.
 */
#pragma once

#include "codec/observation.h"
#include "codec/outcome.h"
#include "gateway/identity.h"
#include "registry/registry.h"

struct rights_question {
    const struct registry *registry;
    const struct identity *who;
    struct bytes named_device; /* ?d=, empty if absent */
    const struct observation *observation;
    bool proven; /* by the payload: the node is who it says */
};

struct rights_answer {
    struct bytes device; /* borrowed from the question or the registry */
    bool keeps_node;     /* the name of the series is NODE.NAME */
};

/* The known device whose id is the node; NULL: none. Disabled ones, too. */
const struct device_record *rights_device_of_node(const struct registry *registry, struct bytes tenant,
                                                  struct bytes node);

/* OUTCOME_CHANGED: may be written. Else OUTCOME_FOREIGN_NAME, OUTCOME_FORBIDDEN (disabled), OUTCOME_BAD_NAME
 * (nothing names a device). */
enum outcome rights_judge(const struct rights_question *question, struct rights_answer *ret);

/* The name as the device itself would say it: "boiler-7:temp" of boiler-7 is its local "temp", so that what
 * GET /obs answers and what devices post are one series. Other names stay as they are. */
struct bytes rights_local_name(struct bytes device, struct bytes name);

/* Whether a name is global, that is, has a ':' or a '/'. */
bool rights_name_is_global(struct bytes name);
