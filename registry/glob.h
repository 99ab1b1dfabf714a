// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Patterns of rules: * stands for any run of characters, also none; every other character for itself. Pure.
 * Linear: the text between two stars is looked for once, leftmost, and never again.
 */
#pragma once

#include "codec/bytes.h"

bool glob_matches(struct bytes pattern, struct bytes text);
