// SPDX-License-Identifier: GPL-3.0-or-later
/* Random bytes from the kernel, and xoshiro256** (Blackman and Vigna, 2018) for what need not be secret. */
#include "gateway/rt/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *ret, size_t len)
{
    uint8_t *at = ret;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        at += got;
        len -= (size_t)got;
    }
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

void random_seed(struct random *random, const uint64_t seed[4])
{
    for (unsigned i = 0; i < 4; i++)
        random->state[i] = seed[i];
    /* The one state that the generator never leaves. */
    if ((seed[0] | seed[1] | seed[2] | seed[3]) == 0)
        random->state[0] = 1;
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t below)
{
    if (below < 2)
        return 0;
    /* The high word of a 64 x 64 bit product is uniform once the low words that would be too many are refused
     * (Lemire, "Fast Random Integer Generation in an Interval", 2019). */
    uint64_t refused = -below % below;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)random_next(random) * below;
        if ((uint64_t)product >= refused)
            return (uint64_t)(product >> 64);
    }
}
