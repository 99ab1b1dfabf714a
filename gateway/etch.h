// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * FETCH, PATCH and iPATCH /obs (RFC 8132, RFC 8790): parts of the pack of latest values read and changed. What such a
 * pack says is codec/etch; here it meets the latest values, the rights and the sink.
 *
 * A patch record that adds or replaces is an observation like any other. One that removes is an observation without
 * value and sum: it goes to the stream, where it stays as a trace, and hides its series from the latest values, after a
 * restart too (gateway/latest, gateway/warm). PATCH and iPATCH do the same.
 */
#pragma once

#include "gateway/request.h"

/* Handlers of the route table. */
void etch_handle_fetch(struct request *request); /* query as GET /obs */
void etch_handle_patch(struct request *request); /* query as POST /obs, but for names and formats */
