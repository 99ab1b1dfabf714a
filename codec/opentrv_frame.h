// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * OpenTRV's secureable frame, type 'O', as it comes out of a radio: length octet, header, body, trailer.
 *
 * Insecure frames end with a CRC of 7 bits. Secure ones are AES-128-GCM with a key per node and a counter of 48 bits;
 * such a list is proven, and its sequence is the counter: epoch the restarts, seq the messages since.
 *
 * Source: OpenTRV-standards, SecureBasicFrame-V0.1-201601.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h. */
enum outcome opentrv_frame_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                  struct format_error *reterr);
