// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * GET /devices and GET /devices/{id}: what an operator sees of the tenant's devices. Records come from the registry in
 * memory and never have a secret in them; how deliveries of one device stand is asked of Redis (gateway/history), and
 * is left out when Redis does not answer. What lies in another tenant is not there.
 */
#pragma once

#include "gateway/request.h"

/* ?limit=N (1 to 1000, 100 without it) and ?after=ID. */
void devices_handle_list(struct request *request);
/* request->path_parameter is the id. */
void devices_handle_one(struct request *request);
