// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Crash points: places at which a test lets the process die, as a power cut would, without flushing anything.
 *
 * CRASH_POINT("S4") is true, also in a chain of &&, and nothing else unless the build has the option crash_points. Then
 * the environment
 *
 *   WEIR_CRASH_AT="S4"      dies at the first passage of S4
 *   WEIR_CRASH_AT="S4:17"   dies at the 17th, counted over all threads
 *
 * kills the process (SIGKILL) there. A name that is not in the table ends the process at its start, so that a test
 * with a typing error cannot pass. The points follow the path of an observation; docs/delivery.md says what a device
 * sees and what a restart finds after a death at each.
 */
#pragma once

#include <stdbool.h>

/* X(name, after what the process dies) */
#define CRASH_POINTS_TABLE(X)                                                                                          \
    X("S0", "a message is received and decrypted")                                                                     \
    X("S1", "a request is known to be new on the message layer")                                                       \
    X("S2", "it is translated and authorised")                                                                         \
    X("S3", "its records are handed to the spool's writer")                                                            \
    X("S3b", "a batch is written, not synced")                                                                         \
    X("S4", "a batch is synced, nobody told")                                                                          \
    X("S5", "datagrams with answers are sent")                                                                         \
    X("S6", "a batch is sent to Redis")                                                                                \
    X("S7", "Redis has answered a batch")                                                                              \
    X("S8a", "a small file of the spool (the cursor) is written under its new name")                                   \
    X("S8b", "it is renamed")                                                                                          \
    X("S8c", "the folder is synced after that")                                                                        \
    X("S9a", "a segment is unlinked")                                                                                  \
    X("C1", "the file of a segment is made")                                                                           \
    X("C2", "its blocks are allocated")                                                                                \
    X("C3", "its header is written and synced")                                                                        \
    X("C4", "it has its name")                                                                                         \
    X("R1a", "a segment is full")                                                                                      \
    X("R1b", "it is sealed, the next one not begun")

#ifdef WEIR_CRASH_POINTS
bool crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
#else
static inline bool crash_nothing(void)
{
    return true;
}
#define CRASH_POINT(name) crash_nothing()
#endif
