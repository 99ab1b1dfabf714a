// SPDX-License-Identifier: GPL-3.0-or-later
/* Whether a name says how a device speaks: a profile or a codec of the tenant, or a format that weir reads. */
#pragma once

#include "cmd/cli.h"

/* The name that --format says; ret as it was if there is none. CLI_OK, or a status after having said which
 * there are. */
int speech_take_format(struct cli *cli, const char *tenant, char ret[static SCHEMA_PROFILE_MAX + 1]);
/* The same of --profile, where a profile will do too. */
int speech_take_profile(struct cli *cli, const char *tenant, char ret[static SCHEMA_PROFILE_MAX + 1]);
