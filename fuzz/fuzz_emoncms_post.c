// SPDX-License-Identifier: GPL-3.0-or-later
/* input/post of emonCMS: see request_property.h for the form of the input. */
#include "fuzz/request_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    request_decode(CONTENT_FORMAT_EMONCMS_POST, data, size);
    return 0;
}
