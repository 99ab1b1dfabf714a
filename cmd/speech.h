// SPDX-License-Identifier: GPL-3.0-or-later
/* Whether a name says how a device speaks: a profile or a codec of the tenant, or a format that weir reads. */
#pragma once

#include "cmd/cli.h"

/* CLI_OK, or a status after having said which names there are. */
int speech_check_format(struct cli *cli, const char *tenant, const char *name);
/* The same; a profile will do too. */
int speech_check_profile(struct cli *cli, const char *tenant, const char *name);
