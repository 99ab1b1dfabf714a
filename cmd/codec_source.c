// SPDX-License-Identifier: GPL-3.0-or-later
/* Says what is wrong with a definition the way a compiler does: where, what was expected, what came instead. */
#include "cmd/codec_source.h"

#include <stdlib.h>

int codec_source_from_file(const struct cli *cli, const char *path, struct codec_source *ret)
{
    *ret = (struct codec_source){0};
    ret->text = cli_read_file(cli, path, RECORD_DEFINITION_MAX, &ret->len);
    return ret->text ? CLI_OK : CLI_REFUSED;
}

int codec_source_from_redis(struct cli *cli, const char *name, struct codec_source *ret)
{
    struct cli_name parts;
    struct codec_record record;
    *ret = (struct codec_source){0};
    if (!cli_split_profile(cli, name, &parts))
        return CLI_USAGE;
    int status = cli_judge(
        cli, accounts_get_codec(&cli->accounts, bytes_of_text(parts.tenant), bytes_of_text(parts.id), &record), "codec",
        name);
    if (status != CLI_OK)
        return status;
    ret->text = malloc(record.definition.len + 1);
    if (!ret->text)
        return cli_fail(cli, CLI_REFUSED, "out of memory");
    memcpy(ret->text, record.definition.ptr, record.definition.len);
    ret->text[record.definition.len] = '\0';
    ret->len = record.definition.len;
    return CLI_OK;
}

static int fail(const struct cli *cli, const char *origin, const struct custom_error *error)
{
    return cli_fail(cli, CLI_REFUSED, "%s: %s%s%s", origin, error->pointer, error->pointer[0] ? ": " : "",
                    error->detail);
}

int codec_source_compile(const struct cli *cli, const char *origin, struct codec_source *source)
{
    struct custom_error error = {0};
    struct arena *arena = arena_new(CODEC_SOURCE_ARENA_BYTES);
    source->custom = custom_compile(bytes_of(source->text, source->len), &error);
    bool holds = source->custom && arena && custom_check(source->custom, arena, &error);
    arena_free(arena);
    return holds ? CLI_OK : fail(cli, origin, &error);
}

int codec_source_check(const struct cli *cli, const char *origin, const struct codec_source *source)
{
    struct custom_error error = {0};
    return custom_check_parameters(source->custom, &error) ? CLI_OK : fail(cli, origin, &error);
}

void codec_source_free(struct codec_source *source)
{
    custom_free(source->custom);
    free(source->text);
    *source = (struct codec_source){0};
}
