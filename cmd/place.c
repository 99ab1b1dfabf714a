// SPDX-License-Identifier: GPL-3.0-or-later
/* What goes with an address is a table of settings by name, so that file, environment and help agree. */
#include "cmd/place.h"

#include <ctype.h>
#include <stdlib.h>

static const char *const names[] = {"redis_user", "redis_password_file", "redis_tls", "redis_tls_ca",
                                    "redis_tls_certificate", "redis_tls_key", "redis_tls_name", "kek"};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Paths are written whole, because the reader may stand in another folder. */
static void write_path(FILE *file, const char *name, const char *path)
{
    char *whole = path && path[0] ? realpath(path, NULL) : NULL;
    if (path && path[0])
        fprintf(file, "%s = %s\n", name, whole ? whole : path);
    free(whole);
}

static void write_text(FILE *file, const char *name, const char *text)
{
    if (text && text[0])
        fprintf(file, "%s = %s\n", name, text);
}

bool place_write(const char *state_dir, const struct store_target *redis, const char *kek)
{
    char path[SETTINGS_TEXT_MAX + 32], fresh[sizeof path + 8];
    snprintf(path, sizeof path, "%s/redis.address", state_dir);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "we");
    if (!file)
        return false;
    fprintf(file, "%s\n", redis->address);
    write_text(file, "redis_user", redis->user);
    write_path(file, "redis_password_file", redis->password_file);
    write_text(file, "redis_tls", redis->tls ? "true" : "");
    write_path(file, "redis_tls_ca", redis->tls_ca);
    write_path(file, "redis_tls_certificate", redis->tls_certificate);
    write_path(file, "redis_tls_key", redis->tls_key);
    write_text(file, "redis_tls_name", redis->tls_name);
    write_path(file, "kek", kek);
    bool ok = !ferror(file);
    return fclose(file) == 0 && ok && rename(fresh, path) == 0;
}

static bool is_ours(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (bytes_equal_text(name, names[i]))
            return true;
    return false;
}

/* "name = value\n"; what is not ours is from a later weir and passed over. */
static bool take_line(struct settings *settings, char *line, char reterr[static SETTINGS_ERROR_MAX])
{
    char *equals = strstr(line, " = ");
    line[strcspn(line, "\r\n")] = '\0';
    if (!equals || !is_ours(bytes_of(line, (size_t)(equals - line))))
        return true;
    return settings_set(settings, bytes_of(line, (size_t)(equals - line)), bytes_of_text(equals + 3), reterr);
}

bool place_read(struct settings *settings, const char *state_dir, char reterr[static SETTINGS_ERROR_MAX])
{
    char path[512], line[1024] = "";
    snprintf(path, sizeof path, "%s/redis.address", state_dir);
    reterr[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, sizeof line, file) != NULL;
    line[strcspn(line, "\r\n")] = '\0';
    ok = ok && line[0] && settings_set(settings, BYTES_LITERAL("redis"), bytes_of_text(line), reterr);
    while (ok && fgets(line, sizeof line, file))
        ok = take_line(settings, line, reterr);
    fclose(file);
    return ok;
}

bool place_from_environment(struct settings *settings, char reterr[static SETTINGS_ERROR_MAX])
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char variable[64];
        int len = snprintf(variable, sizeof variable, "WEIR_%s", names[i]);
        for (int k = 0; k < len; k++)
            variable[k] = (char)toupper((unsigned char)variable[k]);
        const char *value = getenv(variable);
        if (value && !settings_set(settings, bytes_of_text(names[i]), bytes_of_text(value), reterr))
            return false;
    }
    return true;
}
