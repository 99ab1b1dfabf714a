// SPDX-License-Identifier: GPL-3.0-or-later
/* Records to play with: tenant demo, device demo/sensor-1 with a PSK, a token for it and one for an operator. */
#pragma once

#include "gateway/settings.h"
#include "registry/record.h"

#include <stdio.h>

#define DEMO_ERROR_MAX 256
#define DEMO_TOKEN_MAX 96

struct demo {
    char psk_hex[2 * SECRET_MAX + 1];
    char psk_text[SECRET_MAX + 1];
    char device_token[DEMO_TOKEN_MAX];
    char operator_token[DEMO_TOKEN_MAX];
};

/* Reads state_dir/demo.env, or makes the records and writes it (mode 0600). Records that are gone from Redis are made
 * again with new secrets. False: reterr says why. */
bool demo_prepare(struct demo *ret, const struct store_target *redis, const struct record_vault *vault,
                  const char *state_dir, char reterr[static DEMO_ERROR_MAX]);
/* Lines to paste, with the addresses of the settings. */
void demo_print(const struct demo *demo, const struct settings *settings, const char *state_dir, FILE *out);
