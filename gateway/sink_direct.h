// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The sink without a spool (settings.spool off): one XADD per record, all records of a message in one
 * MULTI/EXEC (a single record needs none), fields in the order of registry/schema.h. Messages of one loop
 * turn are pipelined and spread over the worker's connections. A message is confirmed only after Redis has
 * answered every one of its XADDs; the private Redis answers after its fsync. No memory of duplicates: a
 * message that comes again is appended again. No totals of counters: only the Redis Function keeps them, so
 * the field w is empty.
 *
 * Redis away: OUTCOME_STORE_AWAY at once. An answer that never comes: OUTCOME_STORE_TIMEOUT, the record may
 * or may not be there. Full: OUTCOME_OVERLOADED.
 */
#pragma once

#include "gateway/sink.h"

struct sink_direct;

/* As the functions of gateway/sink.h. */
struct sink_direct *sink_direct_new(const struct sink_config *config);
void sink_direct_free(struct sink_direct *sink);
enum outcome sink_direct_append(struct sink_direct *sink, const struct sink_message *message, sink_done_fn *done,
                                void *ctx);
void sink_direct_flush(struct sink_direct *sink);
