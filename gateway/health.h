// SPDX-License-Identifier: GPL-3.0-or-later
/* The ops listener: is the process alive, can it take observations, what has it counted. */
#pragma once

#include "gateway/request.h"

/* GET /health: 200 as long as the loop turns. */
void health_handle_health(struct request *request);
/* GET /ready: 200 if the registry is loaded and every worker reaches the store; else 503 and why. */
void health_handle_ready(struct request *request);
/* GET /metrics: Prometheus text. */
void health_handle_metrics(struct request *request);
