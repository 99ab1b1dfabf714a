// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The ledger of a run: what the gateway acknowledged, and the proof that the stream holds it.
 *
 * A text file. The first line is a JSON object {"tenant": "...", "name": "..."}: the run's observations carry that
 * name, which no other run has, and their value is the device's sequence number. Each further line is one acknowledged
 * observation, "DEVICE SEQ" and behind it the level that the answer said if it did, in the order of the
 * acknowledgements. Lines of a run that was killed are valid up to the last newline.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/store_target.h"

#define SIM_LEDGER_ERROR_MAX 256
#define SIM_LEDGER_NAME_MAX 32

struct sim_ledger;

/* Makes or truncates the file. NULL: reterr says why. */
struct sim_ledger *sim_ledger_new(const char *path, const char *tenant, const char *name,
                                  char reterr[static SIM_LEDGER_ERROR_MAX]);
/* Writes what is left and closes. False: the file is not complete. NULL is fine. */
bool sim_ledger_free(struct sim_ledger *ledger);
/* Device i of the fleet, its sequence number, the level that was said or NULL. */
void sim_ledger_add(struct sim_ledger *ledger, uint32_t device, uint32_t seq, const char *level);

struct sim_ledger_result {
    uint64_t acknowledged;
    uint64_t stored;  /* entries of the run in the stream */
    uint64_t lost;    /* acknowledged and not in the stream */
    uint64_t doubled; /* observations that are in the stream more than once, acknowledged or not */
};

/* Compares a ledger with the tenant's stream (tenant NULL: the ledger's). False: reterr says why it cannot. */
bool sim_ledger_check(const char *path, const struct store_target *redis, const char *tenant,
                      struct sim_ledger_result *ret, char reterr[static SIM_LEDGER_ERROR_MAX]);

/* Name of device i: "sim-000001" for 0. */
#define SIM_DEVICE_NAME_MAX 16
size_t sim_device_name(char ret[static SIM_DEVICE_NAME_MAX], uint32_t device);
/* The reverse. False: not such a name. */
bool sim_device_parse(struct bytes name, uint32_t *ret);
