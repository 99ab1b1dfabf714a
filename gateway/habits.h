// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Routes that legacy senders know by heart, so that only their host name has to change: which format each of them
 * brings, where its key stands, and the words of the answer that the sender waits for (docs/http-api.md, "Legacy
 * routes").
 *
 *   /input/post, /input/bulk ...   emonCMS, also behind /emoncms: apikey in query, form or Authorization; answers "ok"
 *   /iot/d                         Ultralight 2.0 of FIWARE: i, k, t, d; answers nothing with a 200
 *   /write, /api/v2/write          InfluxDB 1 and 2; answer 204
 *   /rkdap                         OpenTRV's concentrators
 *   /gismolab_sgmp_read/...        SGMP: the path says house, device and time
 *
 * Who speaks is judged here and not by the wire, because the key may stand in the body. Keys in other places than
 * Authorization mean nothing on any other route, and nothing at all over CoAP, where DTLS or the network says who it
 * is. A GET that writes is what these protocols have; it is there over HTTP only, without HEAD, and no answer may be
 * cached.
 */
#pragma once

#include "gateway/request.h"

/* Handler of all of them; request->route says which. */
void habits_handle(struct request *request);
/* GET /ping of InfluxDB: somebody is here. */
void habits_handle_ping(struct request *request);

/* Paths as in the route table, for tests. */
const char *const *habits_paths(size_t *ret_count);
