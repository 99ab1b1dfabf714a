// SPDX-License-Identifier: GPL-3.0-or-later
/* Moments on the command line: as dates (codec/datetime) or as Unix seconds. */
#pragma once

#include "cmd/cli.h"

/* Unix seconds; 0 if the option is not there. Returns an exit status, having said why. */
int moment_take(const struct cli *cli, const char *option, int64_t *ret);
