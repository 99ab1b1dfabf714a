// SPDX-License-Identifier: GPL-3.0-or-later
/* GET /obs: the latest values of a device or a tenant, as SenML; observable over CoAP. */
#pragma once

#include "gateway/request.h"

/* Handler of the route table. Query: device, name, limit. */
void recall_handle(struct request *request);
