// SPDX-License-Identifier: GPL-3.0-or-later
/* A line of InfluxDB's line protocol, behind a line of parameters. */
#include "fuzz/request_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    request_decode(CONTENT_FORMAT_INFLUX, data, size);
    return 0;
}
