// SPDX-License-Identifier: GPL-3.0-or-later
/* Text only, but for the one function that reads the password file. */
#include "gateway/store_target.h"

#include "codec/digits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(STORE_PATH_MAX == sizeof((struct sockaddr_un *)0)->sun_path, "the length of a socket's path");

static bool is_given(const char *text)
{
    return text && text[0];
}

static bool parse_port(struct bytes text, uint16_t *ret)
{
    uint64_t port;
    if (!digits_read(text, 5, &port))
        return false;
    *ret = (uint16_t)port;
    return port >= 1 && port <= 65535;
}

static bool is_number_address(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* Letters, digits, dots, hyphens, and underscores, which names of containers have. */
static bool is_host_name(const char *host)
{
    size_t len = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    return len > 0 && !host[len] && host[0] != '.' && host[0] != '-' && host[strspn(host, "0123456789.")];
}

static bool parse_host(struct bytes text, char ret[static STORE_HOST_MAX])
{
    bool brackets = text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    if (brackets)
        text = bytes_of(text.ptr + 1, text.len - 2);
    if (text.len == 0 || text.len >= STORE_HOST_MAX || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
    if (strcmp(ret, "localhost") == 0)
        strcpy(ret, "127.0.0.1");
    return is_number_address(ret) || (!brackets && is_host_name(ret));
}

bool store_target_parse_endpoint(struct bytes text, struct store_endpoint *ret)
{
    static const struct bytes scheme = {(const uint8_t *)"unix:", 5};
    struct store_endpoint endpoint = {0};
    if (bytes_starts_with(text, scheme)) {
        struct bytes path = bytes_of(text.ptr + scheme.len, text.len - scheme.len);
        if (path.len == 0 || path.len >= sizeof endpoint.path)
            return false;
        memcpy(endpoint.path, path.ptr, path.len);
    } else {
        const uint8_t *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
        if (!colon)
            return false;
        size_t before = (size_t)(colon - text.ptr);
        if (!parse_port(bytes_of(colon + 1, text.len - before - 1), &endpoint.port) ||
            !parse_host(bytes_of(text.ptr, before), endpoint.host))
            return false;
    }
    *ret = endpoint;
    return true;
}

static bool parse_list(struct bytes text, struct store_places *places)
{
    for (;;) {
        const uint8_t *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        if (places->count == STORE_ENDPOINTS_MAX ||
            !store_target_parse_endpoint(bytes_of(text.ptr, len), &places->endpoints[places->count++]))
            return false;
        if (!comma)
            return true;
        text = bytes_of(comma + 1, text.len - len - 1);
    }
}

static bool take_word(struct bytes *text, const char *word)
{
    struct bytes wanted = bytes_of_text(word);
    if (!bytes_starts_with(*text, wanted))
        return false;
    *text = bytes_of(text->ptr + wanted.len, text->len - wanted.len);
    return true;
}

/* Takes "/MASTER" off the end. */
static bool take_master(struct bytes *text, char ret[static 64])
{
    const uint8_t *slash = text->len ? memrchr(text->ptr, '/', text->len) : NULL;
    if (!slash)
        return false;
    size_t before = (size_t)(slash - text->ptr), len = text->len - before - 1;
    if (len == 0 || len >= 64)
        return false;
    memcpy(ret, slash + 1, len);
    *text = bytes_of(text->ptr, before);
    return true;
}

bool store_target_parse(const char *address, struct store_places *ret)
{
    struct store_places places = {0};
    struct bytes text = bytes_of_text(address ? address : "");
    if (text.len >= STORE_ADDRESS_MAX)
        return false;
    if (take_word(&text, "sentinel:")) {
        places.form = STORE_FORM_SENTINEL;
        if (!take_master(&text, places.master))
            return false;
    } else if (take_word(&text, "cluster:")) {
        places.form = STORE_FORM_CLUSTER;
    } else if (bytes_starts_with(text, BYTES_LITERAL("unix:"))) {
        places.count = 1; /* a path may have commas */
        if (!store_target_parse_endpoint(text, &places.endpoints[0]))
            return false;
        *ret = places;
        return true;
    }
    if (!parse_list(text, &places))
        return false;
    *ret = places;
    return true;
}

bool store_endpoint_is_numeric(const struct store_endpoint *endpoint)
{
    return !endpoint->host[0] || is_number_address(endpoint->host);
}

bool store_endpoint_equal(const struct store_endpoint *a, const struct store_endpoint *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0;
}

const char *store_endpoint_text(const struct store_endpoint *endpoint, char ret[static STORE_ADDRESS_MAX + 16])
{
    size_t size = STORE_ADDRESS_MAX + 16;
    if (!endpoint->host[0])
        snprintf(ret, size, "unix:%s", endpoint->path);
    else if (strchr(endpoint->host, ':'))
        snprintf(ret, size, "[%s]:%u", endpoint->host, endpoint->port);
    else
        snprintf(ret, size, "%s:%u", endpoint->host, endpoint->port);
    return ret;
}

bool store_target_check(const struct store_target *target, char reterr[static STORE_TARGET_ERROR_MAX])
{
    struct store_places places;
    const char *wrong = NULL;
    if (!store_target_parse(target->address, &places)) {
        snprintf(reterr, STORE_TARGET_ERROR_MAX, "redis is \"%.100s\"; give " STORE_TARGET_FORMS,
                 target->address ? target->address : "");
        return false;
    }
    if (target->tls && !is_given(target->tls_ca))
        wrong = "redis_tls needs redis_tls_ca, a PEM file of the authorities that Redis' certificate may come from";
    else if (target->tls && !places.endpoints[0].host[0])
        wrong = "redis_tls is for addresses of the form host:port; a unix socket needs none";
    else if (is_given(target->tls_certificate) != is_given(target->tls_key))
        wrong = "redis_tls_certificate and redis_tls_key go together: give both or neither";
    if (wrong)
        snprintf(reterr, STORE_TARGET_ERROR_MAX, "%s", wrong);
    return !wrong;
}

bool store_target_read_password(const struct store_target *target, struct store_password *ret)
{
    *ret = (struct store_password){0};
    if (!is_given(target->password_file))
        return true;
    int fd = open(target->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, ret->text, sizeof ret->text);
    int error = errno;
    close(fd);
    errno = got < 0 ? error : EINVAL;
    const char *end = got > 0 ? memchr(ret->text, '\n', (size_t)got) : NULL;
    size_t len = end ? (size_t)(end - ret->text) : got > 0 ? (size_t)got : 0;
    if (len > 0 && ret->text[len - 1] == '\r')
        len--;
    if (len > 0 && len < sizeof ret->text) {
        ret->len = len;
        return true;
    }
    explicit_bzero(ret, sizeof *ret);
    return false;
}

struct store_target *store_target_copy(const struct store_target *target)
{
    const char *const texts[] = {target->address, target->user, target->password_file, target->tls_ca,
                                 target->tls_certificate, target->tls_key, target->tls_name};
    enum { COUNT = sizeof texts / sizeof texts[0] };
    size_t size = sizeof *target;
    for (unsigned i = 0; i < COUNT; i++)
        size += (texts[i] ? strlen(texts[i]) : 0) + 1;
    struct store_target *copy = malloc(size);
    if (!copy)
        return NULL;
    const char *places[COUNT];
    char *at = (char *)(copy + 1);
    for (unsigned i = 0; i < COUNT; i++) {
        places[i] = at;
        at = stpcpy(at, texts[i] ? texts[i] : "") + 1;
    }
    *copy = (struct store_target){places[0], places[1], places[2], target->tls,
                                  places[3], places[4], places[5], places[6]};
    return copy;
}
