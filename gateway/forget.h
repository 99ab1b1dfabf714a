// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What Redis remembers of the messages of a device (gateway/function.lua) goes with its record: another device under
 * its id counts from where it likes, and must not be judged by the numbers of the one before. Counters go with it, too.
 * What is in streams stays.
 *
 * For gateway/accounts, which removes the record in the same transaction. Of one of a million devices only what is its
 * own is looked at: epoch, epochs:ID. Epochs that were replaced before the Function wrote them there are looked for in
 * superseded; 30 days later there are none left.
 */
#pragma once

#include "gateway/accounts.h"

struct forget_epoch;

/* All zero: nothing was read yet. */
struct forget {
    struct forget_epoch *epochs;
    size_t count;
    bool has_current; /* the last of them */
};

/* Before MULTI. What it reads is not watched, or a device that begins epochs all the time could not be removed; what
 * changes before EXEC is left as it is: a message that comes at the same moment is as one that came after it. May be
 * called again. */
enum accounts_result forget_read(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                 struct forget *forget);
/* Between MULTI and EXEC. */
enum accounts_result forget_write(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                  const struct forget *forget);
void forget_deinit(struct forget *forget);

/* Of a tenant that was removed: what of all its devices is in one key, and the holes of these. No transaction. */
enum accounts_result forget_tenant(struct accounts *accounts, struct bytes tenant, const struct accounts_ids *ids);
