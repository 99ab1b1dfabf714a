// SPDX-License-Identifier: GPL-3.0-or-later
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include "codec/bytes.h"

/* Whether all of it is UTF-8. U+0000 is a character like any other here. */
bool utf8_is_valid(struct bytes text);
/* Whether it is UTF-8 without U+0000: what weir takes as text anywhere. */
bool utf8_is_text(struct bytes text);
/* The sentence of a refusal; of what utf8_is_text is false for. */
const char *utf8_why_no_text(struct bytes text);
