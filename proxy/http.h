// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * HTTP: the second way into the route table. One listener per worker inside the worker's own loop; worker 0 has the
 * ops listener besides (/health, /ready, /metrics). docs/http-api.md says what clients see.
 */
#pragma once

#include "gateway/worker.h"

/* Makes the workers that are created after it speak HTTP. The process must ignore SIGPIPE. */
void http_register(struct shared *shared);
