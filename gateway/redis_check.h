// SPDX-License-Identifier: GPL-3.0-or-later
/* Says at start where a Redis that the operator brought keeps less than an acknowledgement promises. */
#pragma once

#include <stdint.h>

/* Warns in the log, one line per setting: no append-only file, fsync not before the answer, eviction of keys. Goes on in
 * any case: the operator may have replication or a battery. Blocks for at most timeout_ms; silent if Redis is away. */
void redis_check(const char *redis_address, uint64_t timeout_ms);
