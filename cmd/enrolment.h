// SPDX-License-Identifier: GPL-3.0-or-later
/* Subcommands of `weir device` about devices that are enrolling. */
#pragma once

#include "cmd/cli.h"

int enrolment_approve(struct cli *cli);
int enrolment_reject(struct cli *cli);
int enrolment_waiting(struct cli *cli);
