// SPDX-License-Identifier: GPL-3.0-or-later
/* Random bytes from the kernel. Passed in where tests must own randomness. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills the buffer from getrandom(2), or ends the process: there is nothing safe to do without. */
void random_bytes(void *ret, size_t len);

/* A fast generator for what need not be secret (message ids, jitter): xoshiro256**, seeded by the owner. */
struct random {
    uint64_t state[4];
};
void random_seed(struct random *random, const uint64_t seed[4]);
uint64_t random_next(struct random *random);
/* Uniform in [0, below). */
uint64_t random_below(struct random *random, uint64_t below);
