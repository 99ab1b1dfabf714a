// SPDX-License-Identifier: GPL-3.0-or-later
/* Writes docs/settings.md: `ninja docs-settings`. tests/unit/gateway/test_settings.c compares. */
#include "gateway/settings.h"

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 1;
    }
    settings_markdown(out);
    return fclose(out) == 0 ? 0 : 1;
}
