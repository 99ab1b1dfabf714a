// SPDX-License-Identifier: GPL-3.0-or-later
/* RKDAP documents: see codec_property.h for what is checked. */
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    property_decode(CONTENT_FORMAT_RKDAP, data, size);
    return 0;
}
