// SPDX-License-Identifier: GPL-3.0-or-later
/* Exact times in 128 bits; the limit of 10^15 s leaves four digits of head-room for sums. */
#include "codec/timestamp.h"

#define ATTO_PER_S ((timestamp_atto)1000000000 * 1000000000)
#define ATTO_PER_NS ((timestamp_atto)1000000000)
#define ATTO_DECIMALS 18

static bool within_limit(timestamp_atto time)
{
    timestamp_atto limit = TIMESTAMP_LIMIT_S * ATTO_PER_S;
    return time <= limit && time >= -limit;
}

bool timestamp_from_decimal(const struct decimal *seconds, timestamp_atto *ret)
{
    /* More than 10^16 s; checked before the digits are summed up, so that the sum cannot overflow. */
    if (!decimal_is_zero(seconds) && seconds->count + seconds->exponent > 16)
        return false;
    /* Zeros to append to the digits; negative: digits to drop. */
    int missing = seconds->exponent + ATTO_DECIMALS;
    timestamp_atto time = 0;
    if (decimal_is_zero(seconds)) {
        missing = 0;
    } else if (missing >= 0 && seconds->count <= DECIMAL_SMALL_MAX) {
        time = seconds->small;
    } else {
        int used = missing < 0 ? seconds->count + missing : seconds->count;
        for (int i = 0; i < used; i++)
            time = time * 10 + seconds->digits[i];
    }
    for (; missing >= 9; missing -= 9)
        time *= 1000000000;
    for (; missing > 0; missing--)
        time *= 10;
    time = seconds->negative ? -time : time;
    if (!within_limit(time))
        return false;
    *ret = time;
    return true;
}

timestamp_atto timestamp_to_atto(struct timestamp time)
{
    return time.s * ATTO_PER_S + time.ns * ATTO_PER_NS;
}

bool timestamp_from_atto(timestamp_atto time, struct timestamp *ret)
{
    if (!within_limit(time))
        return false;
    time += ATTO_PER_NS / 2;
    timestamp_atto s = time / ATTO_PER_S;
    timestamp_atto rest = time - s * ATTO_PER_S;
    if (rest < 0) {
        rest += ATTO_PER_S;
        s--;
    }
    *ret = (struct timestamp){(int64_t)s, (uint32_t)((uint64_t)rest / (uint64_t)ATTO_PER_NS)};
    return true;
}

bool timestamp_resolve(timestamp_atto time, struct timestamp now, struct timestamp *ret,
                       enum time_source *ret_source)
{
    bool relative = time < TIMESTAMP_RELATIVE_BELOW_S * ATTO_PER_S;
    if (relative)
        time += timestamp_to_atto(now);
    if (!timestamp_from_atto(time, ret))
        return false;
    *ret_source = relative ? TIME_RELATIVE : TIME_DEVICE;
    return true;
}

size_t timestamp_write(struct timestamp time, char out[static TIMESTAMP_TEXT_MAX])
{
    /* ns counts forward from s: -1.5 s is s = -2 and ns = 500,000,000. */
    bool negative = time.s < 0;
    uint64_t s = (uint64_t)(negative ? -time.s : time.s);
    uint64_t ns = time.ns;
    if (negative && ns) {
        s--;
        ns = 1000000000 - ns;
    }
    char *at = out;
    if (negative)
        *at++ = '-';
    char reversed[24];
    unsigned count = 0;
    do {
        reversed[count++] = (char)('0' + s % 10);
        s /= 10;
    } while (s);
    while (count)
        *at++ = reversed[--count];
    if (!ns)
        return (size_t)(at - out);
    *at++ = '.';
    for (uint64_t unit = 100000000; ns; unit /= 10) {
        *at++ = (char)('0' + ns / unit);
        ns %= unit;
    }
    return (size_t)(at - out);
}

int timestamp_compare(struct timestamp a, struct timestamp b)
{
    if (a.s != b.s)
        return a.s < b.s ? -1 : 1;
    return (a.ns > b.ns) - (a.ns < b.ns);
}
