// SPDX-License-Identifier: GPL-3.0-or-later
/* Writes the pieces of JSON that are more than punctuation. */
#pragma once

#include "codec/builder.h"

/* A string with quotes; text is UTF-8 and goes through as it is but for what RFC 8259 wants escaped. */
void jsonout_text(struct builder *out, struct bytes text);
/* The same in ASCII: all else as escapes of UTF-16 code units, in lower case. The text is UTF-8, also with U+0000. */
void jsonout_ascii(struct builder *out, struct bytes text);
/* A string with quotes that is the base64url of the bytes. */
void jsonout_base64url(struct builder *out, struct bytes bytes);
