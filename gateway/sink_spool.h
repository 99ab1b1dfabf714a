// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The sink over the spool: the messages of a turn become one batch; when the spool has made it durable those are
 * confirmed that asked for no more, the others wait for the verdict of the Redis Function, at most
 * settings.stored_wait_ms.
 *
 * A repetition of what this gateway knows to be durable is confirmed without being spooled again; other content
 * under a known sequence is OUTCOME_SEQUENCE_CONFLICT. The spool fills up: OUTCOME_SPOOL_FULL by the order of
 * gateway/shed. The disk fails: OUTCOME_SPOOL_FAILED. A level above spooled while Redis is away: OUTCOME_STORE_AWAY,
 * at once.
 */
#pragma once

#include "gateway/sink.h"

struct sink_spool;

/* As the functions of gateway/sink.h. */
struct sink_spool *sink_spool_new(const struct sink_config *config);
void sink_spool_free(struct sink_spool *sink);
enum outcome sink_spool_append(struct sink_spool *sink, const struct sink_message *message, sink_done_fn *done,
                               void *ctx);
void sink_spool_flush(struct sink_spool *sink);
