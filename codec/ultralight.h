// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Ultralight 2.0 (FIWARE): t|15|k|abc, groups between #, each with a time before it if it has one.
 *
 * The node is the request's parameter i, the time of groups without their own its parameter t, and the payload its
 * parameter d where the body is empty. Source: manual and parser of telefonicaid/iotagent-ul; docs/formats.md has the
 * decisions.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h. */
enum outcome ultralight_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                               struct format_error *reterr);
