// SPDX-License-Identifier: GPL-3.0-or-later
/* Where the definition of a declarative codec comes from: a file, or Redis by TENANT/NAME. */
#pragma once

#include "cmd/cli.h"
#include "codec/custom.h"

#define CODEC_SOURCE_ARENA_BYTES ((size_t)16 << 20)

struct codec_source {
    uint8_t *text; /* the definition, with a NUL behind it */
    size_t len;
    struct custom *custom;
};

/* These return an exit status, having said what is wrong. A source that was filled is freed in any case. */
int codec_source_from_file(const struct cli *cli, const char *path, struct codec_source *ret);
int codec_source_from_redis(struct cli *cli, const char *name, struct codec_source *ret); /* connected */
/* Compiles it and tries the examples; origin is for the message. */
int codec_source_compile(const struct cli *cli, const char *origin, struct codec_source *source);
/* One that was compiled: whether it may come in. */
int codec_source_check(const struct cli *cli, const char *origin, const struct codec_source *source);
void codec_source_free(struct codec_source *source);
