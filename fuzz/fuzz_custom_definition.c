// SPDX-License-Identifier: GPL-3.0-or-later
/* A definition of a declarative codec: it is taken or refused with a sentence and a pointer, and its examples are tried. */
#include "codec/custom.h"

#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct custom_error *error)
{
    property_holds(error->detail[0] && memchr(error->detail, 0, sizeof(error->detail)));
    property_holds(memchr(error->pointer, 0, sizeof(error->pointer)));
    property_holds(utf8_is_valid(bytes_of_text(error->detail)) &&
                   utf8_is_valid(bytes_of_text(error->pointer)));
    property_holds(error->pointer[0] == '\0' || error->pointer[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    struct custom_error error;
    property_holds(exact && arena);
    if (size)
        memcpy(exact, data, size);
    struct custom *custom = custom_compile(bytes_of(exact, size), &error);
    free(exact);
    if (!custom)
        check_error(&error);
    else if (!custom_check(custom, arena, &error))
        check_error(&error);
    custom_free(custom);
    arena_free(arena);
    return 0;
}
