// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Ids that somebody who is limited to sites may make no record of, because it would give them what lies outside: for
 * gateway/rest_device, in the clerk's thread. An id without a record is in use if it has values here, if counters of it
 * are kept, if it is enrolling, or if it is of a group or a batch of other sites. And a new id takes from those beside
 * it (gateway/rights): global names from an id that it begins with, nodes from the same one in other letters.
 *
 * A batch whose pattern is * alone says nothing of an id, and takes none.
 */
#pragma once

#include "gateway/accounts.h"
#include "gateway/latest.h"
#include "gateway/scope.h"

/* Borrows scope and latest. */
struct strangers {
    const struct scope *scope;
    struct latest *latest;
    char (*patterns)[RECORD_PATTERN_MAX + 1]; /* of groups and batches of other sites */
    size_t count;
};

/* Reads groups and batches as they stand; of who is not limited nothing. To be deinited, whatever comes of it. */
enum accounts_result strangers_init(struct strangers *strangers, const struct scope *scope, struct latest *latest,
                                    struct accounts *accounts);
void strangers_deinit(struct strangers *strangers);
/* Whether the id, of which there is no record, lies outside; never for who is not limited. */
enum accounts_result strangers_have(const struct strangers *strangers, struct accounts *accounts, struct bytes id,
                                    bool *ret);

/* The ids beside a valid one, whether they are there or not. How many. */
#define STRANGERS_BESIDE_MAX (SCHEMA_DEVICE_MAX + 2)
size_t strangers_beside(struct bytes id, char ret[static STRANGERS_BESIDE_MAX][SCHEMA_DEVICE_MAX + 1]);
