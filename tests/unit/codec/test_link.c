// SPDX-License-Identifier: GPL-3.0-or-later
/* Link format with the filters of RFC 6690 section 4.1. */
#include "codec/link.h"

#include "tests/unit/codec/support.h"

static const struct link links[] = {
    {"/obs", "rt=\"weir.obs core.s\";if=sensor;ct=\"110 112\";obs"},
    {"/time", "rt=\"weir.time\";title=\"a, b; rt=x\";ct=60"},
    {"/", ""},
};

static const char *filtered(const char *name, const char *value)
{
    static char text[400];
    struct arena *arena = arena_new(10000);
    struct bytes out;
    cr_assert(link_format(links, COUNT_OF(links), bytes_of_text(name), bytes_of_text(value), arena, &out));
    snprintf(text, sizeof(text), "%.*s", (int)out.len, (const char *)out.ptr);
    arena_free(arena);
    return text;
}

#define OBS "</obs>;rt=\"weir.obs core.s\";if=sensor;ct=\"110 112\";obs"
#define TIME "</time>;rt=\"weir.time\";title=\"a, b; rt=x\";ct=60"

Test(link, filters)
{
    static const char *const cases[][3] = {
        {"", "", OBS "," TIME ",</>"},
        {"rt", "weir.obs", OBS},
        {"rt", "core.s", OBS},
        {"rt", "weir.obs core.s", OBS},
        {"rt", "weir.*", OBS "," TIME},
        {"rt", "core*", OBS},
        {"rt", "*", OBS "," TIME},
        {"rt", "weir", ""},
        {"rt", "x", ""},
        {"rt", "", ""},
        {"RT", "core.s", ""},
        {"if", "sensor", OBS},
        {"ct", "60", TIME},
        {"ct", "112", OBS},
        {"ct", "11*", OBS},
        {"obs", "", OBS},
        {"obs", "1", ""},
        {"title", "a, b; rt=x", TIME},
        {"title", "b;", TIME},
        {"href", "/obs", OBS},
        {"href", "/o*", OBS},
        {"href", "*", OBS "," TIME ",</>"},
        {"href", "/", "</>"},
        {"href", "obs", ""},
        {"foo", "*", ""},
        {"\"", "*", ""},
        {"=", "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_str_eq(filtered(cases[i][0], cases[i][1]), cases[i][2], "%s=%s gives %s", cases[i][0], cases[i][1],
                         filtered(cases[i][0], cases[i][1]));
}

Test(link, says_when_memory_is_used_up)
{
    struct arena *arena = arena_new(200);
    struct bytes untouched = {NULL, 77};
    struct link many[100];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = links[0];
    cr_assert_not(link_format(many, COUNT_OF(many), bytes_of(NULL, 0), bytes_of(NULL, 0), arena, &untouched));
    cr_assert_eq(untouched.len, 77);
    arena_free(arena);
}
