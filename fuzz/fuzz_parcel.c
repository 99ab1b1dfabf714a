// SPDX-License-Identifier: GPL-3.0-or-later
/* The body of a spool record, from a disk that may hold anything. Property: what is read lies within the body, and is
 * what the push may use without a further look. */
#include "gateway/parcel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool so)
{
    if (!so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parcel parcel;
    if (!parcel_read(bytes_of(data, size), &parcel))
        return 0;
    require(parcel.lane < PARCEL_LANES && parcel.level < LEVEL_COUNT);
    require(parcel.identity_class == CLASS_EXACT || parcel.identity_class == CLASS_WINDOWED ||
            parcel.identity_class == CLASS_TRANSPORT);
    require(schema_tenant_is_valid(parcel.tenant));
    require(parcel.tenant.ptr == data + PARCEL_HEAD && parcel.tenant.len <= SCHEMA_TENANT_MAX);
    require(parcel.message.ptr == parcel.tenant.ptr + parcel.tenant.len);
    require(parcel.message.ptr + parcel.message.len == data + size);
    return 0;
}
