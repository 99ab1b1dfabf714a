// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The places are tried one after the other, once around; of several, the one that is a primary. In a cluster `current`
 * is the node that the last command went to: the next is asked there first, and MOVED says where it should have gone.
 * That costs a round trip when the slot changes, and nothing has to be known about slots.
 */
#include "gateway/store_client.h"

#include "gateway/redirect.h"
#include "gateway/resp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX 16
#define REDIRECTS_MAX 5
#define COMMAND_KEPT_BYTES ((size_t)1 << 20)

struct node {
    struct store_endpoint endpoint;
    struct store_wire *wire;
};

struct store_client {
    struct store_target *target;
    struct store_places places;
    uint64_t timeout_ms;
    struct node nodes[NODES_MAX]; /* one, unless it is a cluster */
    size_t count, current;
    bool in_transaction; /* a redirect would tear it */
    struct resp command;
    char error[STORE_WIRE_ERROR_MAX];
};

static const struct store_reply *call_words(struct store_wire *wire, const char *const *words, size_t count)
{
    struct bytes arguments[4];
    struct resp resp = {0};
    const struct store_reply *reply = NULL;
    for (size_t i = 0; i < count; i++)
        arguments[i] = bytes_of_text(words[i]);
    bool ok = resp_command(&resp, arguments, count) && store_wire_call(wire, bytes_of(resp.ptr, resp.len), &reply);
    resp_deinit(&resp);
    return ok ? reply : NULL;
}

static bool refuse(struct store_client *client, const char *reason)
{
    snprintf(client->error, sizeof client->error, "%s", reason);
    return false;
}

/* False: error says why. optional: for a Sentinel, which need not have a password. */
static bool authenticate(struct store_client *client, struct store_wire *wire, bool optional)
{
    struct store_password password;
    const char *user = client->target->user;
    const struct store_reply *reply = NULL;
    struct bytes arguments[3] = {BYTES_LITERAL("AUTH")};
    struct resp resp = {0};
    size_t count = 1;
    if (!store_target_read_password(client->target, &password)) {
        snprintf(client->error, sizeof client->error, "redis_password_file %.100s cannot be used: %s",
                 client->target->password_file, strerror(errno));
        return false;
    }
    if (!user[0] && password.len == 0)
        return true;
    if (user[0])
        arguments[count++] = bytes_of_text(user);
    arguments[count++] = bytes_of(password.text, password.len);
    bool ok = resp_command(&resp, arguments, count) &&
              store_wire_write_secret(wire, bytes_of(resp.ptr, resp.len)) &&
              store_wire_call(wire, BYTES_LITERAL(""), &reply);
    explicit_bzero(&password, sizeof password);
    if (resp.ptr)
        explicit_bzero(resp.ptr, resp.room);
    resp_deinit(&resp);
    if (!ok)
        return refuse(client, store_wire_error(wire));
    return reply->type != STORE_ERROR || optional || refuse(client, "Redis refused the password");
}

/* NULL: error says why. */
static struct store_wire *open_wire(struct store_client *client, const struct store_endpoint *endpoint, bool sentinel)
{
    struct store_wire_config config = {
        .endpoint = endpoint,
        .target = client->target,
        .host = endpoint->host,
        .blocking = true,
        .timeout_ms = client->timeout_ms,
        .reply_max_bytes = STORE_REPLY_MAX_BYTES,
    };
    struct store_wire *wire = store_wire_open(&config, client->error);
    if (wire && authenticate(client, wire, sentinel))
        return wire;
    store_wire_close(wire);
    return NULL;
}

static bool is_primary(struct store_client *client, struct store_wire *wire)
{
    static const char *const words[] = {"ROLE"};
    const struct store_reply *reply = call_words(wire, words, 1);
    if (!reply)
        return refuse(client, store_wire_error(wire));
    bool is_told = reply->type == STORE_LIST && reply->count > 0;
    return !is_told || bytes_equal_text(reply->items[0].text, "master") ||
           refuse(client, "Redis is a replica here, not the primary");
}

static bool ask_sentinel(struct store_client *client, const struct store_endpoint *sentinel, struct store_endpoint *ret)
{
    const char *const words[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", client->places.master};
    struct store_wire *wire = open_wire(client, sentinel, true);
    if (!wire)
        return false;
    const struct store_reply *reply = call_words(wire, words, 3);
    bool found = reply && redirect_parse_pair(reply, ret);
    if (!found)
        refuse(client, reply ? "the Sentinel does not know this master" : store_wire_error(wire));
    store_wire_close(wire);
    return found;
}

static bool open_place(struct store_client *client, const struct store_endpoint *place)
{
    struct store_endpoint endpoint = *place;
    bool plain = client->places.form == STORE_FORM_PLAIN, sentinel = client->places.form == STORE_FORM_SENTINEL;
    if (sentinel && !ask_sentinel(client, place, &endpoint))
        return false;
    struct store_wire *wire = open_wire(client, &endpoint, false);
    if (wire && (sentinel || (plain && client->places.count > 1)) && !is_primary(client, wire)) {
        store_wire_close(wire);
        wire = NULL;
    }
    if (!wire)
        return false;
    client->nodes[0] = (struct node){endpoint, wire};
    client->count = 1;
    return true;
}

struct store_client *store_client_open_target(const struct store_target *target, uint64_t timeout_ms,
                                              char reterr[static STORE_CLIENT_ERROR_MAX])
{
    if (!store_target_check(target, reterr))
        return NULL;
    struct store_client *client = calloc(1, sizeof *client);
    if (client)
        client->target = store_target_copy(target);
    if (!client || !client->target) {
        free(client);
        snprintf(reterr, STORE_CLIENT_ERROR_MAX, "out of memory");
        return NULL;
    }
    client->timeout_ms = timeout_ms;
    store_target_parse(target->address, &client->places);
    for (size_t i = 0; i < client->places.count; i++)
        if (open_place(client, &client->places.endpoints[i]))
            return client;
    snprintf(reterr, STORE_CLIENT_ERROR_MAX, "cannot connect to Redis at %.90s: %.120s", target->address,
             client->error);
    store_client_close(client);
    return NULL;
}

struct store_client *store_client_open(const char *address, uint64_t timeout_ms,
                                       char reterr[static STORE_CLIENT_ERROR_MAX])
{
    return store_client_open_target(&(struct store_target){.address = address}, timeout_ms, reterr);
}

void store_client_close(struct store_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->count; i++)
        store_wire_close(client->nodes[i].wire);
    resp_deinit(&client->command);
    free(client->target);
    free(client);
}

bool store_client_is_cluster(const struct store_client *client)
{
    return client->places.form == STORE_FORM_CLUSTER;
}

/* The connection to a node, made if there is none. False: it cannot be reached. */
static bool go_to(struct store_client *client, const struct store_endpoint *endpoint)
{
    size_t i = 0;
    while (i < client->count && !store_endpoint_equal(&client->nodes[i].endpoint, endpoint))
        i++;
    if (i == NODES_MAX)
        return false;
    if (i == client->count) {
        struct store_wire *wire = open_wire(client, endpoint, false);
        if (!wire)
            return false;
        client->nodes[client->count++] = (struct node){*endpoint, wire};
    }
    client->current = i;
    return true;
}

static const struct store_reply *ask_current(struct store_client *client)
{
    const struct store_reply *reply = NULL;
    struct bytes resp = bytes_of(client->command.ptr, client->command.len);
    return store_wire_call(client->nodes[client->current].wire, resp, &reply) ? reply : NULL;
}

/* Follows MOVED and ASK. NULL: a connection failed. */
static const struct store_reply *follow(struct store_client *client, const struct store_reply *reply)
{
    static const char *const asking[] = {"ASKING"};
    struct redirect redirect;
    for (unsigned i = 0; i < REDIRECTS_MAX && reply && redirect_parse(reply, &redirect); i++) {
        size_t before = client->current;
        if (!redirect.endpoint.host[0])
            memcpy(redirect.endpoint.host, client->nodes[before].endpoint.host, STORE_HOST_MAX);
        if (!go_to(client, &redirect.endpoint))
            return NULL;
        if (redirect.is_ask && !call_words(client->nodes[client->current].wire, asking, 1))
            return NULL;
        reply = ask_current(client);
        if (redirect.is_ask)
            client->current = before;
    }
    return reply;
}

static void note_transaction(struct store_client *client, struct bytes command)
{
    if (bytes_equal_text(command, "MULTI"))
        client->in_transaction = true;
    else if (bytes_equal_text(command, "EXEC") || bytes_equal_text(command, "DISCARD"))
        client->in_transaction = false;
}

const struct store_reply *store_client_call(struct store_client *client, const struct bytes *arguments, size_t count)
{
    if (!resp_command(&client->command, arguments, count))
        return NULL;
    const struct store_reply *reply = ask_current(client);
    if (store_client_is_cluster(client) && !client->in_transaction)
        reply = follow(client, reply);
    note_transaction(client, arguments[0]);
    /* The CLI sends keys of devices. */
    explicit_bzero(client->command.ptr, client->command.len);
    resp_clear(&client->command, COMMAND_KEPT_BYTES);
    return reply;
}

bool store_client_pipeline(struct store_client *client, struct bytes commands, size_t count,
                           void (*took)(void *ctx, size_t index, const struct store_reply *reply), void *ctx)
{
    struct store_wire *wire = client->nodes[client->current].wire;
    for (size_t i = 0; i < count; i++) {
        const struct store_reply *reply = NULL;
        if (!store_wire_call(wire, i == 0 ? commands : BYTES_LITERAL(""), &reply))
            return false;
        took(ctx, i, reply);
    }
    return true;
}
