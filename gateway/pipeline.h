// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The durable half of the path as one thing to open and close: spool log, its writer, the recent keys, the push.
 * What the server starts before the workers and stops after them.
 *
 * The spool is the folder "spool" in the state folder. The gateway's id is made at the first start and kept in the
 * file "gateway.id"; a spool of another id is refused (`weir spool adopt`).
 */
#pragma once

#include "gateway/push.h"
#include "gateway/store_target.h"

struct pipeline;

/* Opens the spool, recovers what is in it, starts the writer; reads up to spool_tail_bytes, so it may take seconds.
 * NULL: reterr. */
struct pipeline *pipeline_open(const struct settings *settings, const struct store_target *redis,
                               const struct redis_facts *facts, char reterr[static SETTINGS_ERROR_MAX]);
/* Makes durable what the workers' sinks have handed over; call when the workers' threads have ended, before they are
 * freed. */
void pipeline_stop(struct pipeline *pipeline);
/* NULL is fine. */
void pipeline_close(struct pipeline *pipeline);

struct spool *pipeline_spool(struct pipeline *pipeline);
struct recent *pipeline_recent(struct pipeline *pipeline);
const struct push *pipeline_push(const struct pipeline *pipeline);
/* Counters of the spool's writer and of the push. */
#define PIPELINE_METRICS 2
void pipeline_metrics(const struct pipeline *pipeline, const struct metrics *ret[static PIPELINE_METRICS]);

/* The id of the gateway in a state folder, made if there is none and make is set. 0: errno. */
uint64_t pipeline_gateway_id(const char *state_dir, bool make);
/* Reads settings.spool_key_file. False: errno; true with *ret not set: none is configured. */
bool pipeline_key(const struct settings *settings, struct secret *ret);
