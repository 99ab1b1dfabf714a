// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records and keys of a fleet. A device's pre-shared key is HMAC-SHA256(fleet key, device id): the simulator knows a
 * million keys by one, and the gateway has each of them as an ordinary device.
 */
#pragma once

#include "gateway/store_target.h"
#include "registry/record.h"

#define SIM_PROVISION_ERROR_MAX 256

/* Reads the fleet key: a file with 32 to 128 hexadecimal digits. False: reterr says why. */
bool sim_provision_key(const char *path, struct secret *ret, char reterr[static SIM_PROVISION_ERROR_MAX]);
/* The key of device i (cmd/sim_ledger.h names it). */
bool sim_provision_psk(const struct secret *fleet_key, uint32_t device, struct secret *ret);
/* Writes tenant and devices into Redis, pipelined; what is there already is overwritten. False: reterr says why. */
bool sim_provision_write(const struct store_target *redis, const struct record_vault *vault,
                         const char *tenant, uint32_t devices, const struct secret *fleet_key,
                         char reterr[static SIM_PROVISION_ERROR_MAX]);
