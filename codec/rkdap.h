// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * RKDAP 1.1: what OpenTRV's concentrators posted upstream.
 *
 *   {"method":"dad_data","ver":"1.1","dad_id":"ED_25",
 *    "data":[{"id":"A45_T","period":"2014-08-23T10:25:12","value":21.75}]}
 *
 * id is the node in upper case, '_' and the leaf's key without its unit; period is UTC. docs/formats.md has the rest.
 * Source: RkdapPayload and its test in OpenTRV's Java sources.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h. */
enum outcome rkdap_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                          struct format_error *reterr);
