// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * /codecs: an operator reads and changes the declarative codecs of the tenant. What is read comes from the registry in
 * memory (GET of the list asks Redis for the names); what is changed goes through gateway/clerk to Redis and comes back
 * to every gateway through weir:changes, within a second and without a restart.
 *
 * A definition is compiled and all its examples are tried before anything is written, in the clerk's thread, so that
 * a large one holds up no device. The ETag of a codec is a digest of its definition, the same on every gateway.
 */
#pragma once

#include "gateway/request.h"

void codecs_handle_list(struct request *request);
/* request->path_parameter is the name. */
void codecs_handle_one(struct request *request);
void codecs_handle_put(struct request *request);
void codecs_handle_delete(struct request *request);
void codecs_handle_release(struct request *request);
