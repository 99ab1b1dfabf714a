// SPDX-License-Identifier: GPL-3.0-or-later
/* What a newcomer asks first: which resources there are (RFC 6690), and what time it is. */
#pragma once

#include "gateway/request.h"

/* GET /.well-known/core, with one filter in the query (RFC 6690 4.1). */
void discovery_handle_core(struct request *request);
/* GET /time: seconds since the Unix epoch as text, or an object with t, ts and ts_ns in JSON or CBOR. */
void discovery_handle_time(struct request *request);
