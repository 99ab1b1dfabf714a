// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Where a Redis is and how one proves oneself to it: what the settings redis, redis_user, redis_password_file and
 * redis_tls* say. The password itself is never here: its file is read at each connect, so that a changed one is taken
 * without a restart.
 *
 * Forms of an address:
 *   unix:/path                              a unix socket
 *   HOST:PORT, [HOST]:PORT                  numeric, "localhost" or a name, which is resolved at each connect
 *   HOST:PORT,HOST:PORT                     the one of them that is a primary (ROLE)
 *   sentinel:HOST:PORT,HOST:PORT/MASTER     the primary that these Sentinels name
 *   cluster:HOST:PORT,HOST:PORT             any nodes of a cluster
 */
#pragma once

#include "codec/bytes.h"

/* Borrowed texts, which must live as long as what was made of them; NULL is the same as empty. */
struct store_target {
    const char *address;
    const char *user;          /* empty: the default user */
    const char *password_file; /* empty: no password */
    bool tls;
    const char *tls_ca;          /* PEM file of authorities; must be given with tls */
    const char *tls_certificate; /* PEM files of our own, if Redis wants to see one; else empty */
    const char *tls_key;
    const char *tls_name; /* in the certificate of Redis; empty: the host */
};

#define STORE_ADDRESS_MAX 256 /* with NUL */
#define STORE_HOST_MAX 254    /* with NUL */
#define STORE_PATH_MAX 108    /* of a unix socket, with NUL */
#define STORE_ENDPOINTS_MAX 16
#define STORE_PASSWORD_MAX 512

/* One socket address; the host may be a name. */
struct store_endpoint {
    char host[STORE_HOST_MAX]; /* empty: unix */
    uint16_t port;
    char path[STORE_PATH_MAX];
};

enum store_form { STORE_FORM_PLAIN, STORE_FORM_SENTINEL, STORE_FORM_CLUSTER };

/* An address taken apart. */
struct store_places {
    enum store_form form;
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    size_t count;
    char master[64]; /* name of what the Sentinels watch */
};

/* False: no address. */
bool store_target_parse(const char *address, struct store_places *ret);
/* One HOST:PORT or unix:/path. */
bool store_target_parse_endpoint(struct bytes text, struct store_endpoint *ret);
bool store_endpoint_is_numeric(const struct store_endpoint *endpoint);
bool store_endpoint_equal(const struct store_endpoint *a, const struct store_endpoint *b);
/* "127.0.0.1:6379", "[::1]:6379", "unix:/path"; returns ret. */
const char *store_endpoint_text(const struct store_endpoint *endpoint, char ret[static STORE_ADDRESS_MAX + 16]);
/* For people, where an address is refused. */
#define STORE_TARGET_FORMS \
    "unix:/path, host:port, host:port,host:port, sentinel:host:port,.../master or cluster:host:port,..."

#define STORE_TARGET_ERROR_MAX 256
/* Whether all of it makes sense together; the files are not looked at. False: reterr names the setting. */
bool store_target_check(const struct store_target *target, char reterr[static STORE_TARGET_ERROR_MAX]);

/* The first line of the password file, without its end. To be wiped by the caller with explicit_bzero. */
struct store_password {
    char text[STORE_PASSWORD_MAX];
    size_t len;
};
/* False: the file cannot be read, is empty or its line is too long; errno is set. No file given: an empty password. */
bool store_target_read_password(const struct store_target *target, struct store_password *ret);

/* A copy with its own texts, in one block that free() frees; NULL: out of memory. */
struct store_target *store_target_copy(const struct store_target *target);
