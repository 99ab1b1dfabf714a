// SPDX-License-Identifier: GPL-3.0-or-later
/* A cluster of two nodes that say what we want: maps, MOVED, ASK, errors. (A real one: integration, test_redis_setups.) */
#include "gateway/redirect.h"
#include "gateway/redis.h"
#include "tests/unit/gateway/redis_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct node {
    int listener, fd;
    unsigned port;
};

struct seen {
    struct loop *loop;
    struct redis *redis;
    struct node nodes[2];
    unsigned connects, losses, met, answers, failures;
    char last[128];
};

static void node_listen(struct node *node)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    node->fd = -1;
    node->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(node->listener, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(node->listener, 8), 0);
    cr_assert_eq(getsockname(node->listener, (struct sockaddr *)&name, &len), 0);
    node->port = ntohs(name.sin_port);
}

static void say(struct node *node, const char *text)
{
    cr_assert_eq(write(node->fd, text, strlen(text)), (ssize_t)strlen(text));
}

static const char *hear(struct node *node)
{
    static char heard[4096];
    ssize_t len = node->fd < 0 ? -1 : read(node->fd, heard, sizeof heard - 1);
    heard[len > 0 ? len : 0] = '\0';
    return heard;
}

static bool accepted(struct node *node)
{
    if (node->fd < 0)
        node->fd = accept4(node->listener, NULL, NULL, SOCK_NONBLOCK);
    return node->fd >= 0;
}

static void state(void *ctx, bool connected)
{
    struct seen *seen = ctx;
    seen->connects += connected;
    seen->losses += !connected;
}

static void met(void *ctx, struct store *store)
{
    struct seen *seen = ctx;
    seen->met += store_is_connected(store);
}

static void answer(void *ctx, const struct store_reply *reply)
{
    struct seen *seen = ctx;
    seen->answers += reply != NULL;
    seen->failures += reply == NULL;
    snprintf(seen->last, sizeof seen->last, "%.*s", reply ? (int)reply->text.len : 0,
             reply ? (const char *)reply->text.ptr : "");
}

static void greet(struct seen *seen, struct node *node)
{
    RUN_UNTIL(seen->loop, accepted(node), "accept");
    RUN_UNTIL(seen->loop, strstr(hear(node), "PING"), "greeting");
    say(node, "+PONG\r\n");
}

/* All slots up to `split` are the first node's, the rest the other's. */
static void say_map(struct seen *seen, struct node *to, unsigned split)
{
    char text[256];
    snprintf(text, sizeof text,
             "*2\r\n*3\r\n:0\r\n:%u\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n*3\r\n:%u\r\n:16383\r\n*2\r\n$0\r\n\r\n:%u\r\n", split,
             seen->nodes[0].port, split + 1, seen->nodes[1].port);
    say(to, text);
}

/* The key foo has slot 12182: on the second node, with this map. */
static void meet(struct seen *seen)
{
    char address[64];
    *seen = (struct seen){.loop = loop_new()};
    signal(SIGPIPE, SIG_IGN);
    node_listen(&seen->nodes[0]);
    node_listen(&seen->nodes[1]);
    snprintf(address, sizeof address, "cluster:127.0.0.1:%u", seen->nodes[0].port);
    struct redis_config config = {.target = &(struct store_target){.address = address}, .timeout_ms = 5000, .state = state,
                                  .node = met, .ctx = seen, .random_seed = {1}};
    seen->redis = redis_new(seen->loop, &config);
    cr_assert(seen->redis && redis_is_cluster(seen->redis));
    greet(seen, &seen->nodes[0]);
    RUN_UNTIL(seen->loop, strstr(hear(&seen->nodes[0]), "SLOTS"), "asks for the map");
    say_map(seen, &seen->nodes[0], 8000);
    greet(seen, &seen->nodes[1]);
    RUN_UNTIL(seen->loop, seen->connects == 1, "all slots are reached");
    cr_assert_eq(seen->met, 2);
}

static void part(struct seen *seen)
{
    redis_free(seen->redis);
    loop_free(seen->loop);
    for (unsigned i = 0; i < 2; i++) {
        close(seen->nodes[i].listener);
        if (seen->nodes[i].fd >= 0)
            close(seen->nodes[i].fd);
    }
}

static void send_get(struct seen *seen)
{
    struct bytes arguments[] = {BYTES_LITERAL("GET"), BYTES_LITERAL("foo")};
    cr_assert(redis_send(seen->redis, arguments[1], arguments, 2, answer, seen));
    redis_flush(seen->redis);
}

static void redirect_to(struct node *from, const char *word, struct node *to)
{
    char text[64];
    snprintf(text, sizeof text, "-%s 12182 127.0.0.1:%u\r\n", word, to->port);
    say(from, text);
}

Test(redis, a_command_goes_to_the_node_of_its_slot)
{
    struct seen seen;
    meet(&seen);
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "GET"), "the second node");
    say(&seen.nodes[1], "$3\r\nyes\r\n");
    RUN_UNTIL(seen.loop, seen.answers == 1, "answer");
    cr_assert_str_eq(seen.last, "yes");
    cr_assert_eq(redis_pending(seen.redis), 0);
    part(&seen);
}

Test(redis, moved_is_followed_and_remembered)
{
    struct seen seen;
    meet(&seen);
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "GET"), "the old node");
    redirect_to(&seen.nodes[1], "MOVED", &seen.nodes[0]);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[0]), "GET"), "the new node");
    cr_assert_eq(seen.answers, 0, "the redirect is not told");
    say(&seen.nodes[0], "$3\r\nyes\r\n");
    RUN_UNTIL(seen.loop, seen.answers == 1, "answer");
    cr_assert_str_eq(seen.last, "yes");
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[0]), "GET"), "the new node at once");
    part(&seen);
}

Test(redis, ask_is_followed_for_one_command)
{
    struct seen seen;
    meet(&seen);
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "GET"), "the old node");
    redirect_to(&seen.nodes[1], "ASK", &seen.nodes[0]);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[0]), "ASKING\r\n*2\r\n$3\r\nGET"), "the other node");
    say(&seen.nodes[0], "+OK\r\n$3\r\nyes\r\n");
    RUN_UNTIL(seen.loop, seen.answers == 1, "answer");
    cr_assert_str_eq(seen.last, "yes");
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "GET"), "the old node again");
    part(&seen);
}

Test(redis, redirects_end)
{
    struct seen seen;
    meet(&seen);
    send_get(&seen);
    for (unsigned i = 0; i < 6; i++) {
        struct node *from = &seen.nodes[(i + 1) % 2], *to = &seen.nodes[i % 2];
        RUN_UNTIL(seen.loop, strstr(hear(from), "GET"), "round and round");
        cr_assert_eq(seen.answers, 0);
        if (i > 0)
            say(from, "+OK\r\n"); /* of ASKING */
        redirect_to(from, "ASK", to);
    }
    RUN_UNTIL(seen.loop, seen.answers == 1, "the last one is told");
    cr_assert(strncmp(seen.last, "ASK ", 4) == 0);
    part(&seen);
}

Test(redis, other_errors_are_told)
{
    struct seen seen;
    meet(&seen);
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "GET"), "sent");
    say(&seen.nodes[1], "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    RUN_UNTIL(seen.loop, seen.answers == 1, "told");
    cr_assert(strncmp(seen.last, "TRYAGAIN", 8) == 0);
    part(&seen);
}

Test(redis, a_node_goes)
{
    struct seen seen;
    meet(&seen);
    send_get(&seen);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "GET"), "sent");
    close(seen.nodes[1].fd);
    seen.nodes[1].fd = -1;
    RUN_UNTIL(seen.loop, seen.losses == 1, "not all slots are reached");
    cr_assert_eq(seen.failures, 1);
    cr_assert_not(redis_is_connected(seen.redis, BYTES_LITERAL("foo")));
    cr_assert(redis_is_connected(seen.redis, BYTES_LITERAL("bar")), "slot 5061 is the other node's");
    greet(&seen, &seen.nodes[1]);
    RUN_UNTIL(seen.loop, seen.connects == 2, "reached again");
    part(&seen);
}

Test(redis, several_commands_in_one_run)
{
    struct seen seen;
    static const char run[] = "*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n*2\r\n$4\r\nINCR\r\n$3\r\nfoo\r\n";
    meet(&seen);
    cr_assert(redis_send_raw(seen.redis, BYTES_LITERAL("foo"), bytes_of_text(run), 2, answer, &seen));
    cr_assert_not(redis_send_raw(seen.redis, BYTES_LITERAL("foo"), bytes_of_text(run), 3, answer, &seen), "only two there");
    redis_flush(seen.redis);
    RUN_UNTIL(seen.loop, strstr(hear(&seen.nodes[1]), "INCR"), "sent");
    say(&seen.nodes[1], "$1\r\n1\r\n:2\r\n");
    RUN_UNTIL(seen.loop, seen.answers == 2, "both answered");
    cr_assert_eq(redis_pending(seen.redis), 0);
    part(&seen);
}

Test(redis, one_server_is_just_a_store)
{
    struct redis_fixture server;
    struct seen seen = {.loop = loop_new()};
    redis_start(&server);
    struct redis_config config = {.target = &(struct store_target){.address = server.address}, .timeout_ms = 5000,
                                  .state = state, .node = met, .ctx = &seen, .random_seed = {1}};
    seen.redis = redis_new(seen.loop, &config);
    RUN_UNTIL(seen.loop, seen.connects == 1, "connected");
    cr_assert_eq(seen.met, 1);
    cr_assert_not(redis_is_cluster(seen.redis));
    cr_assert(redis_store(seen.redis, BYTES_LITERAL("foo")));
    struct bytes arguments[] = {BYTES_LITERAL("SET"), BYTES_LITERAL("foo"), BYTES_LITERAL("1")};
    cr_assert(redis_send(seen.redis, arguments[1], arguments, 3, answer, &seen));
    redis_flush(seen.redis);
    RUN_UNTIL(seen.loop, seen.answers == 1, "answered");
    cr_assert_str_eq(seen.last, "OK");
    redis_free(seen.redis);
    loop_free(seen.loop);
    redis_remove(&server);
}
