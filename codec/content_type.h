// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the bytes of a data value are, as RFC 9193 says it (fields ct and bct): a Content-Format number, or a media type
 * with parameters and content codings.
 */
#pragma once

#include "codec/bytes.h"

/* RFC 9193 has no bound; each record of a pack repeats its bct in the stream. */
#define CONTENT_TYPE_MAX 255

/*
 * Whether the text is a Content-Format-Spec (RFC 9193 section 4): digits only, then a number from 0 to 65535 without
 * leading zeros; else a media type with "; name=value" and "@coding" behind it. At most CONTENT_TYPE_MAX octets.
 */
bool content_type_is_valid(struct bytes text);
