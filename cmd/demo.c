// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Runs once per start, before the workers, on a connection of its own. The secrets stand in
 * state_dir/demo.env in a form that a shell can source; there is no default secret, each state folder gets
 * its own.
 */
#include "cmd/demo.h"

#include "codec/base64url.h"
#include "codec/hex.h"
#include "gateway/accounts.h"
#include "gateway/rt/random.h"
#include "gateway/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEMO_TENANT "demo"
#define DEMO_DEVICE "sensor-1"
#define PSK_RANDOM_BYTES 24
#define REDIS_TIMEOUT_MS 5000
#define PATH_TEXT_MAX (SETTINGS_TEXT_MAX + 32)

static bool copy_value(const char *line, const char *name, char *ret, size_t ret_size)
{
    size_t name_len = strlen(name);
    if (strncmp(line, name, name_len) != 0 || line[name_len] != '=')
        return false;
    const char *value = line + name_len + 1;
    size_t len = strcspn(value, "\r\n");
    if (len >= ret_size)
        return false;
    memcpy(ret, value, len);
    ret[len] = '\0';
    return true;
}

static bool read_env(const char *path, struct demo *ret)
{
    FILE *file = fopen(path, "re");
    struct demo demo = {0};
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        (void)(copy_value(line, "WEIR_DEMO_PSK", demo.psk_hex, sizeof demo.psk_hex) ||
               copy_value(line, "WEIR_DEMO_PSK_TEXT", demo.psk_text, sizeof demo.psk_text) ||
               copy_value(line, "WEIR_DEMO_DEVICE_TOKEN", demo.device_token, sizeof demo.device_token) ||
               copy_value(line, "WEIR_DEMO_OPERATOR_TOKEN", demo.operator_token, sizeof demo.operator_token));
    }
    if (file)
        fclose(file);
    explicit_bzero(line, sizeof line);
    if (!demo.psk_hex[0] || !demo.psk_text[0] || !demo.device_token[0] || !demo.operator_token[0])
        return false;
    *ret = demo;
    return true;
}

static bool write_env(const char *path, const struct demo *demo)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file)
        return false;
    fprintf(file,
            "WEIR_DEMO_PSK_IDENTITY=" DEMO_TENANT "/" DEMO_DEVICE "\nWEIR_DEMO_PSK=%s\nWEIR_DEMO_PSK_TEXT=%s\n"
            "WEIR_DEMO_DEVICE_TOKEN=%s\nWEIR_DEMO_OPERATOR_TOKEN=%s\n",
            demo->psk_hex, demo->psk_text, demo->device_token, demo->operator_token);
    return fclose(file) == 0;
}

static bool add_token(struct accounts *accounts, enum role role, char ret[static DEMO_TOKEN_MAX])
{
    struct token_record record = {.tenant = DEMO_TENANT, .role = role, .created_s = time(NULL)};
    uint8_t random[TOKENS_RANDOM_BYTES];
    char text[TOKENS_TEXT_LEN + 1];
    if (role == ROLE_DEVICE)
        snprintf(record.device, sizeof record.device, DEMO_DEVICE);
    random_bytes(random, sizeof random);
    bool ok = tokens_make(random, &record, text) && accounts_add_token(accounts, &record) == ACCOUNTS_DONE;
    snprintf(ret, DEMO_TOKEN_MAX, "%s", text);
    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    return ok;
}

static bool add_device(struct accounts *accounts, struct demo *demo)
{
    int64_t now_s = time(NULL);
    struct credential psk = {.id = "psk", .kind = CREDENTIAL_PSK, .created_s = now_s};
    struct device_record device = {
        .tenant = DEMO_TENANT, .id = DEMO_DEVICE, .created_s = now_s, .credentials = &psk, .credential_count = 1};
    uint8_t random[PSK_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    /* As text, because coap-client takes keys as text only; one that begins with "-" is fine after -k. */
    base64url_encode(bytes_of(random, sizeof random), demo->psk_text);
    demo->psk_text[base64url_length(sizeof random)] = '\0';
    secret_set(&psk.secret, bytes_of_text(demo->psk_text));
    demo->psk_hex[hex_write(bytes_of(psk.secret.octets, psk.secret.len), demo->psk_hex)] = '\0';
    bool ok = accounts_add_device(accounts, &device, true) == ACCOUNTS_DONE;
    credential_wipe(&psk);
    explicit_bzero(random, sizeof random);
    return ok;
}

static bool make_records(struct accounts *accounts, struct demo *demo)
{
    struct tenant_record tenant = {.id = DEMO_TENANT, .created_s = time(NULL)};
    enum accounts_result added = accounts_add_tenant(accounts, &tenant, false);
    return (added == ACCOUNTS_DONE || added == ACCOUNTS_EXISTS) && add_device(accounts, demo) &&
           add_token(accounts, ROLE_DEVICE, demo->device_token) &&
           add_token(accounts, ROLE_OPERATOR, demo->operator_token);
}

bool demo_prepare(struct demo *ret, const struct store_target *redis, const struct record_vault *vault,
                  const char *state_dir, char reterr[static DEMO_ERROR_MAX])
{
    char path[PATH_TEXT_MAX];
    struct device_record device;
    struct record_room room;
    snprintf(path, sizeof path, "%s/demo.env", state_dir);
    struct accounts accounts = {.client = store_client_open_target(redis, REDIS_TIMEOUT_MS, reterr), .vault = vault};
    if (!accounts.client)
        return false;
    bool ok = read_env(path, ret) && accounts_get_device(&accounts, BYTES_LITERAL(DEMO_TENANT),
                                                         BYTES_LITERAL(DEMO_DEVICE), &room, &device) == ACCOUNTS_DONE;
    record_wipe_room(&room);
    if (!ok) {
        errno = 0;
        ok = make_records(&accounts, ret) && write_env(path, ret);
        if (!ok)
            snprintf(reterr, DEMO_ERROR_MAX, "Redis did not take the records, or %.180s cannot be written: %s", path,
                     errno ? strerror(errno) : "no error of the file");
    }
    store_client_close(accounts.client);
    return ok;
}

/* Where the first of these addresses is reached from this machine, as it stands in a URL. */
static void print_host(FILE *out, const char *addresses)
{
    size_t skip = strspn(addresses, " ["), len = strcspn(addresses + skip, "], ");
    struct bytes address = bytes_of(addresses + skip, len);
    if (len == 0 || bytes_equal_text(address, "0.0.0.0"))
        fputs("127.0.0.1", out);
    else if (bytes_equal_text(address, "::"))
        fputs("[::1]", out);
    else if (memchr(address.ptr, ':', len))
        fprintf(out, "[%.*s]", (int)len, (const char *)address.ptr);
    else
        fprintf(out, "%.*s", (int)len, (const char *)address.ptr);
}

static void print_url(FILE *out, const char *scheme, const char *addresses, uint64_t port)
{
    fprintf(out, "%s://", scheme);
    print_host(out, addresses);
    fprintf(out, ":%llu/obs", (unsigned long long)port);
}

static void print_coap(const struct demo *demo, const struct settings *settings, FILE *out)
{
    if (settings->coaps_port == 0)
        return;
    fprintf(out,
            "  # a sensor posts over DTLS; no output means 2.04: on disk\n"
            "  coap-client-openssl -m post -u " DEMO_TENANT "/" DEMO_DEVICE " -k %s -t 110 \\\n"
            "    -e '[{\"n\":\"temp\",\"u\":\"Cel\",\"v\":21.5}]' ",
            demo->psk_text);
    print_url(out, "coaps", settings->listen, settings->coaps_port);
    fputs("\n\n", out);
}

static void print_http(const struct demo *demo, const struct settings *settings, FILE *out)
{
    if (settings->http_port == 0)
        return;
    fprintf(out,
            "  # the same device over HTTP; 204 means on disk, too\n"
            "  curl -i -H 'Authorization: Bearer %s' \\\n"
            "    -H 'Content-Type: application/senml+json' -d '[{\"n\":\"humidity\",\"u\":\"%%RH\",\"v\":58.5}]' ",
            demo->device_token);
    print_url(out, "http", settings->http_listen, settings->http_port);
    fprintf(out, "\n\n  # an operator reads the latest values\n  curl -H 'Authorization: Bearer %s' ",
            demo->operator_token);
    print_url(out, "http", settings->http_listen, settings->http_port);
    fputs("; echo\n\n", out);
}

/* Without user and TLS, which redis-cli has words of its own for; where Sentinels say where Redis is, they do. */
static void print_stream(const struct settings *settings, const char *state_dir, FILE *out)
{
    struct store_places places = {0};
    bool is_given = settings->redis[0] && store_target_parse(settings->redis, &places);
    const struct store_endpoint *endpoint = &places.endpoints[0];
    if (places.form == STORE_FORM_SENTINEL)
        return;
    fputs("  # your program reads the stream\n  redis-cli ", out);
    if (!is_given)
        fprintf(out, "-s %s/redis/redis.sock", state_dir);
    else if (!endpoint->host[0])
        fprintf(out, "-s %s", endpoint->path);
    else
        fprintf(out, "%s-h %s -p %u", places.form == STORE_FORM_CLUSTER ? "-c " : "", endpoint->host, endpoint->port);
    fputs(" XREAD COUNT 10 STREAMS 'weir:{" DEMO_TENANT "}:obs' 0\n\n", out);
}

void demo_print(const struct demo *demo, const struct settings *settings, const char *state_dir, FILE *out)
{
    char folder[PATH_TEXT_MAX];
    fprintf(out, "\nweir is running. Paste into another terminal:\n\n");
    if (getcwd(folder, sizeof folder))
        fprintf(out, "  cd '%s'\n\n", folder);
    print_coap(demo, settings, out);
    print_http(demo, settings, out);
    print_stream(settings, state_dir, out);
    fprintf(out, "The secrets are in %s/demo.env; README.md goes on with them. Ctrl-C stops everything.\n\n",
            state_dir);
}
