// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Cayenne LPP: channel, type and data, repeated; numbers big-endian with a fixed scale.
 *
 * A value of channel 3 and type temperature is temperature_3; one of several parts has their names behind it, such as
 * accelerometer_6_x. Source: myDevicesIoT/CayenneLPP; the later types as in ElectronicCats/CayenneLPP. docs/formats.md
 * lists the types with their units.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h. */
enum outcome cayenne_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                            struct format_error *reterr);
