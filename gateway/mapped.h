// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Source networks that the operator trusts by their address: settings.map_network, "CIDR=TENANT, ...". For old sensors
 * on a closed LAN that can neither encrypt nor sign. Off by default.
 */
#pragma once

#include "gateway/address.h"
#include "gateway/settings.h"
#include "registry/schema.h"

#define MAPPED_MAX 16

struct mapped {
    struct mapped_row {
        struct address_network network;
        char tenant[SCHEMA_TENANT_MAX + 1];
    } rows[MAPPED_MAX];
    unsigned count;
};

/* False: reterr names the part that is wrong. */
bool mapped_parse(struct mapped *ret, const char *text, char reterr[static SETTINGS_ERROR_MAX]);
/* The tenant of the first network that contains the address; empty if none. */
struct bytes mapped_lookup(const struct mapped *mapped, const struct address *remote);
