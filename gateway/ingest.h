// SPDX-License-Identifier: GPL-3.0-or-later
/* POST /obs: from a body in some format to records in the sink, all of them or none. */
#pragma once

#include "gateway/request.h"

/* Handler of the route table. Query: d the device (concentrators, mapped networks), n and u name and unit of a bare
 * number. Finishes the request after the sink has confirmed, or at once with why not. */
void ingest_handle(struct request *request);
