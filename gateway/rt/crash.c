// SPDX-License-Identifier: GPL-3.0-or-later
/* The environment is read once, before main; a passage that is not the armed one costs a comparison. */
#include "gateway/rt/crash.h"

#ifdef WEIR_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 16

static const char *const names[] = {
#define X(name, after) name,
    CRASH_POINTS_TABLE(X)
#undef X
};

static char armed[NAME_MAX_BYTES];
static atomic_ulong passages_left;

static _Noreturn void refuse(const char *what)
{
    fprintf(stderr, "WEIR_CRASH_AT=%s: not a crash point of gateway/rt/crash.h\n", what);
    abort();
}

static bool is_listed(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

__attribute__((constructor)) static void arm(void)
{
    const char *wanted = getenv("WEIR_CRASH_AT");
    if (!wanted || !*wanted)
        return;
    size_t len = strcspn(wanted, ":");
    unsigned long passage = wanted[len] ? strtoul(wanted + len + 1, NULL, 10) : 1;
    if (len >= sizeof armed || passage == 0)
        refuse(wanted);
    memcpy(armed, wanted, len);
    if (!is_listed(armed))
        refuse(wanted);
    atomic_store(&passages_left, passage);
}

bool crash_point(const char *name)
{
    if (strcmp(name, armed) == 0 && atomic_fetch_sub(&passages_left, 1) == 1)
        raise(SIGKILL);
    return true;
}

#endif
