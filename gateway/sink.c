// SPDX-License-Identifier: GPL-3.0-or-later
/* Chooses the way at start; after that one branch per message. */
#include "gateway/sink.h"

#include "gateway/sink_direct.h"
#include "gateway/sink_spool.h"

#include <stdlib.h>

struct sink {
    struct sink_spool *spool; /* NULL: direct */
    struct sink_direct *direct;
};

struct sink *sink_new(const struct sink_config *config)
{
    struct sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return NULL;
    if (config->spool)
        sink->spool = sink_spool_new(config);
    else
        sink->direct = sink_direct_new(config);
    if (sink->spool || sink->direct)
        return sink;
    free(sink);
    return NULL;
}

void sink_free(struct sink *sink)
{
    if (!sink)
        return;
    sink_spool_free(sink->spool);
    sink_direct_free(sink->direct);
    free(sink);
}

enum outcome sink_append(struct sink *sink, const struct sink_message *message, sink_done_fn *done, void *ctx)
{
    return sink->spool ? sink_spool_append(sink->spool, message, done, ctx)
                       : sink_direct_append(sink->direct, message, done, ctx);
}

void sink_flush(struct sink *sink)
{
    if (sink->spool)
        sink_spool_flush(sink->spool);
    else
        sink_direct_flush(sink->direct);
}
