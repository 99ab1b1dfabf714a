// SPDX-License-Identifier: GPL-3.0-or-later
/* Connections to Redis: against a real one, and against a fake one that misbehaves in every way we could think of. */
#include "gateway/store.h"
#include "tests/unit/gateway/redis_fixture.h"

struct seen {
    struct loop *loop;
    struct store *store;
    unsigned connects, losses;
    unsigned answers, failures;
    char last[256];
    bool refuses; /* whether store_send said no when it was called from a failed answer */
};

static void state(void *ctx, bool connected)
{
    struct seen *seen = ctx;
    seen->connects += connected;
    seen->losses += !connected;
}

/* A reply as text: lists in brackets. */
static void describe(const struct store_reply *reply, char *ret, size_t size)
{
    size_t len = strlen(ret);
    switch (reply->type) {
    case STORE_NIL:
        snprintf(ret + len, size - len, "nil ");
        return;
    case STORE_INTEGER:
        snprintf(ret + len, size - len, "%lld ", (long long)reply->integer);
        return;
    case STORE_TEXT:
    case STORE_ERROR:
        snprintf(ret + len, size - len, "%s%.*s ", reply->type == STORE_ERROR ? "!" : "", (int)reply->text.len,
                 (const char *)reply->text.ptr);
        return;
    case STORE_LIST:
        snprintf(ret + len, size - len, "[ ");
        for (size_t i = 0; i < reply->count; i++)
            describe(&reply->items[i], ret, size);
        len = strlen(ret);
        snprintf(ret + len, size - len, "] ");
    }
}

static void answer(void *ctx, const struct store_reply *reply)
{
    struct seen *seen = ctx;
    struct bytes ping = BYTES_LITERAL("PING");
    if (!reply) {
        seen->failures++;
        seen->refuses = !store_send(seen->store, &ping, 1, answer, ctx);
        return;
    }
    seen->answers++;
    seen->last[0] = '\0';
    describe(reply, seen->last, sizeof seen->last);
}

static void open_store(struct seen *seen, const char *address, uint64_t timeout_ms, size_t reply_max_bytes)
{
    *seen = (struct seen){.loop = loop_new()};
    struct store_config config = {
        .address = address, .timeout_ms = timeout_ms, .state = state, .ctx = seen, .random_seed = {1, 2, 3, 4},
        .reply_max_bytes = reply_max_bytes,
    };
    seen->store = store_new(seen->loop, &config);
    cr_assert(seen->store);
}

static void close_store(struct seen *seen)
{
    store_free(seen->store);
    loop_free(seen->loop);
}

static bool send_words(struct seen *seen, const char *text)
{
    struct bytes arguments[64];
    size_t count;
    words(arguments, &count, text);
    return store_send(seen->store, arguments, count, answer, seen);
}

static void ask(struct seen *seen, const char *text)
{
    unsigned before = seen->answers + seen->failures;
    cr_assert(send_words(seen, text));
    store_flush(seen->store);
    RUN_UNTIL(seen->loop, seen->answers + seen->failures > before, text);
}

Test(store, addresses)
{
    static const char *const good[] = {"unix:/a", "127.0.0.1:6379", "localhost:1", "[::1]:6379", "::1:6379",
                                       "redis.example:6379", "a:1,b:2", "sentinel:a:1/m", "cluster:a:1"};
    static const char *const bad[] = {"", "unix:", "/a", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                                      ":6379", "[::1]", "127.0.0.1:6379x", "[]:1"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect(store_address_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not(store_address_is_valid(bad[i]), "%s", bad[i]);
}

Test(store, talks_to_a_real_redis)
{
    struct redis_fixture redis;
    struct seen seen;
    redis_start(&redis);
    open_store(&seen, redis.address, 20000, 0);
    cr_assert_not(store_is_connected(seen.store));
    cr_assert_not(send_words(&seen, "PING"));
    RUN_UNTIL(seen.loop, store_is_connected(seen.store), "connected");
    cr_assert_eq(seen.connects, 1);
    ask(&seen, "SET a 1");
    cr_assert_str_eq(seen.last, "OK ");
    ask(&seen, "INCR a");
    cr_assert_str_eq(seen.last, "2 ");
    ask(&seen, "GET none");
    cr_assert_str_eq(seen.last, "nil ");
    ask(&seen, "LPUSH a x");
    cr_assert(strncmp(seen.last, "!WRONGTYPE", 10) == 0);
    ask(&seen, "XADD s 1-1 f v");
    ask(&seen, "XRANGE s - +");
    cr_assert_str_eq(seen.last, "[ [ 1-1 [ f v ] ] ] ");
    cr_assert_eq(store_pending(seen.store), 0);
    close_store(&seen);
    redis_remove(&redis);
}

Test(store, transactions_and_order)
{
    struct redis_fixture redis;
    struct seen seen;
    redis_start(&redis);
    open_store(&seen, redis.address, 20000, 0);
    RUN_UNTIL(seen.loop, store_is_connected(seen.store), "connected");
    cr_assert(send_words(&seen, "MULTI"));
    cr_assert(send_words(&seen, "XADD s 1-1 f v"));
    cr_assert(send_words(&seen, "XADD s 1-2 f v"));
    cr_assert(send_words(&seen, "EXEC"));
    cr_assert_eq(store_pending(seen.store), 4);
    store_flush(seen.store);
    RUN_UNTIL(seen.loop, seen.answers == 4, "four answers");
    cr_assert_str_eq(seen.last, "[ 1-1 1-2 ] ");
    struct bytes raw = BYTES_LITERAL("*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
    cr_assert(store_send_raw(seen.store, raw, 2, answer, &seen));
    store_flush(seen.store);
    RUN_UNTIL(seen.loop, seen.answers == 6, "two more");
    cr_assert_str_eq(seen.last, "2 ");
    close_store(&seen);
    redis_remove(&redis);
}

Test(store, a_large_batch_goes_through_a_full_socket)
{
    struct redis_fixture redis;
    struct seen seen;
    static char value[20000];
    redis_start(&redis);
    open_store(&seen, redis.address, 10000, 0);
    RUN_UNTIL(seen.loop, store_is_connected(seen.store), "connected");
    memset(value, 'v', sizeof value);
    struct bytes arguments[] = {BYTES_LITERAL("APPEND"), BYTES_LITERAL("k"), bytes_of(value, sizeof value)};
    for (unsigned i = 0; i < 500; i++)
        cr_assert(store_send(seen.store, arguments, 3, answer, &seen));
    store_flush(seen.store);
    cr_assert(send_words(&seen, "STRLEN k"));
    store_flush(seen.store);
    RUN_UNTIL(seen.loop, seen.answers == 501, "all answers");
    cr_assert_str_eq(seen.last, "10000000 ");
    ask(&seen, "GETRANGE k 0 200");
    close_store(&seen);
    redis_remove(&redis);
}

Test(store, comes_back_after_a_restart)
{
    struct redis_fixture redis;
    struct seen seen;
    redis_start(&redis);
    open_store(&seen, redis.address, 20000, 0);
    RUN_UNTIL(seen.loop, store_is_connected(seen.store), "connected");
    redis_stop(&redis);
    RUN_UNTIL(seen.loop, seen.losses == 1, "lost");
    cr_assert_not(send_words(&seen, "PING"));
    redis_launch(&redis);
    RUN_UNTIL(seen.loop, seen.connects == 2, "connected again");
    ask(&seen, "PING");
    cr_assert_str_eq(seen.last, "PONG ");
    close_store(&seen);
    redis_remove(&redis);
}

Test(store, nothing_listens)
{
    struct seen seen;
    open_store(&seen, "unix:/nonexistent/socket", 1000, 0);
    for (unsigned i = 0; i < 50; i++)
        loop_wait(seen.loop, 5, NULL, NULL);
    cr_assert_eq(seen.connects + seen.losses, 0);
    close_store(&seen);
}

/* A fake server up to the point where the store is connected. */
static void meet(struct fake *fake, struct seen *seen, uint64_t timeout_ms, size_t reply_max_bytes)
{
    fake_listen(fake);
    open_store(seen, fake->address, timeout_ms, reply_max_bytes);
    RUN_UNTIL(seen->loop, fake_accept(fake), "accept");
    RUN_UNTIL(seen->loop, strstr(fake_hear(fake), "PING"), "greeting");
    fake_say(fake, "+PONG\r\n");
    RUN_UNTIL(seen->loop, store_is_connected(seen->store), "connected");
}

static void part(struct fake *fake, struct seen *seen)
{
    close_store(seen);
    fake_remove(fake);
}

/* Two commands under way, then the server does something wrong: both fail once, and the store comes back. */
static void expect_loss(const char *said, uint64_t timeout_ms, size_t reply_max_bytes, unsigned answers)
{
    struct fake fake;
    struct seen seen;
    meet(&fake, &seen, timeout_ms, reply_max_bytes);
    cr_assert(send_words(&seen, "GET a") && send_words(&seen, "GET b"));
    store_flush(seen.store);
    if (said)
        fake_say(&fake, said);
    RUN_UNTIL(seen.loop, seen.losses == 1, said ? said : "(silence)");
    cr_expect_eq(seen.answers, answers, "%s", said);
    cr_expect_eq(seen.failures, 2 - answers, "%s", said);
    cr_expect(seen.refuses || answers == 2);
    fake_close(&fake);
    RUN_UNTIL(seen.loop, fake_accept(&fake), "comes back");
    RUN_UNTIL(seen.loop, strstr(fake_hear(&fake), "PING"), "greets again");
    fake_say(&fake, "+PONG\r\n");
    RUN_UNTIL(seen.loop, seen.connects == 2, "connected again");
    part(&fake, &seen);
}

Test(store, no_answer)
{
    expect_loss(NULL, 50, 0, 0);
}

Test(store, one_answer_and_then_none)
{
    expect_loss("$1\r\nx\r\n", 50, 0, 1);
}

Test(store, half_an_answer)
{
    expect_loss("$5\r\nhel", 50, 0, 0);
}

Test(store, not_the_protocol)
{
    expect_loss("HTTP/1.1 400 Bad Request\r\n\r\n", 5000, 0, 0);
    expect_loss(":12x\r\n", 5000, 0, 0);
    expect_loss("$-2\r\n", 5000, 0, 0);
    expect_loss("*-2\r\n", 5000, 0, 0);
}

Test(store, types_of_another_protocol_version)
{
    expect_loss("%1\r\n+a\r\n+b\r\n", 5000, 0, 0);
    expect_loss(">2\r\n+message\r\n+b\r\n", 5000, 0, 0);
    expect_loss("#t\r\n", 5000, 0, 0);
    expect_loss(",1.5\r\n", 5000, 0, 0);
    expect_loss("=5\r\ntxt:x\r\n", 5000, 0, 0);
}

Test(store, an_answer_that_nobody_asked_for)
{
    expect_loss("+OK\r\n+OK\r\n+OK\r\n", 5000, 0, 2);
}

Test(store, claimed_sizes)
{
    expect_loss("*1048577\r\n", 5000, 0, 0);
    expect_loss("*9223372036854775807\r\n", 5000, 0, 0);
    expect_loss("$9223372036854775807\r\nx", 50, 0, 0);
    expect_loss("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
                "*1\r\n:1\r\n",
                5000, 0, 0);
}

Test(store, an_answer_that_is_too_large)
{
    static char huge[6000];
    memset(huge, 'x', sizeof huge - 1);
    memcpy(huge, "$100000\r\n", 9);
    expect_loss(huge, 5000, 4096, 0);
}

Test(store, an_answer_in_single_bytes)
{
    struct fake fake;
    struct seen seen;
    static const char said[] = "*2\r\n$5\r\nhello\r\n*2\r\n:42\r\n$-1\r\n";
    meet(&fake, &seen, 20000, 0);
    cr_assert(send_words(&seen, "GET a"));
    store_flush(seen.store);
    for (size_t i = 0; said[i]; i++) {
        char one[2] = {said[i], '\0'};
        cr_assert_eq(seen.answers, 0);
        fake_say(&fake, one);
        loop_wait(seen.loop, 0, NULL, NULL);
    }
    RUN_UNTIL(seen.loop, seen.answers == 1, "answer");
    cr_assert_str_eq(seen.last, "[ hello [ 42 nil ] ] ");
    part(&fake, &seen);
}

Test(store, closed_after_receiving)
{
    struct fake fake;
    struct seen seen;
    meet(&fake, &seen, 20000, 0);
    cr_assert(send_words(&seen, "GET a"));
    store_flush(seen.store);
    fake_hear(&fake);
    fake_close(&fake);
    RUN_UNTIL(seen.loop, seen.losses == 1, "lost");
    cr_assert_eq(seen.failures, 1);
    part(&fake, &seen);
}

Test(store, a_redis_that_loads_is_away)
{
    struct fake fake;
    struct seen seen;
    fake_listen(&fake);
    open_store(&seen, fake.address, 5000, 0);
    for (unsigned i = 0; i < 3; i++) {
        RUN_UNTIL(seen.loop, fake_accept(&fake), "accept");
        RUN_UNTIL(seen.loop, strstr(fake_hear(&fake), "PING"), "greeting");
        fake_say(&fake, "-LOADING Redis is loading the dataset in memory\r\n");
        RUN_UNTIL(seen.loop, read(fake.fd, seen.last, 1) == 0, "hangs up");
        fake_close(&fake);
    }
    cr_assert_eq(seen.connects + seen.losses, 0);
    part(&fake, &seen);
}

Test(store, commands_without_a_deadline_wait)
{
    struct fake fake;
    struct seen seen;
    meet(&fake, &seen, 0, 0);
    cr_assert(send_words(&seen, "XREAD BLOCK 0"));
    store_flush(seen.store);
    for (unsigned i = 0; i < 40; i++)
        loop_wait(seen.loop, 5, NULL, NULL);
    cr_assert_eq(seen.failures, 0);
    store_free(seen.store);
    cr_assert_eq(seen.failures, 1);
    loop_free(seen.loop);
    fake_remove(&fake);
}

static void send_more(void *ctx, const struct store_reply *reply)
{
    struct seen *seen = ctx;
    seen->answers++;
    if (reply && seen->answers < 10)
        cr_assert(store_send(seen->store, &(struct bytes)BYTES_LITERAL("PING"), 1, send_more, ctx));
}

Test(store, an_answer_may_send_without_a_flush)
{
    struct redis_fixture redis;
    struct seen seen;
    redis_start(&redis);
    open_store(&seen, redis.address, 20000, 0);
    RUN_UNTIL(seen.loop, store_is_connected(seen.store), "connected");
    cr_assert(store_send(seen.store, &(struct bytes)BYTES_LITERAL("PING"), 1, send_more, &seen));
    store_flush(seen.store);
    RUN_UNTIL(seen.loop, seen.answers == 10, "ten answers");
    close_store(&seen);
    redis_remove(&redis);
}

Test(store, what_was_sent_can_be_taken_back)
{
    struct redis_fixture redis;
    struct seen seen;
    redis_start(&redis);
    open_store(&seen, redis.address, 20000, 0);
    RUN_UNTIL(seen.loop, store_is_connected(seen.store), "connected");
    cr_assert(send_words(&seen, "SET a 1"));
    struct store_mark mark = store_mark(seen.store);
    cr_assert(send_words(&seen, "MULTI"));
    cr_assert(send_words(&seen, "SET a 2"));
    store_take_back(seen.store, mark);
    cr_assert_eq(store_pending(seen.store), 1);
    cr_assert(send_words(&seen, "GET a"));
    store_flush(seen.store);
    RUN_UNTIL(seen.loop, seen.answers == 2, "both answers");
    cr_assert_str_eq(seen.last, "1 ");
    cr_assert_eq(seen.failures, 0);
    close_store(&seen);
    redis_remove(&redis);
}

/* Answers the greeting of a store that wants a primary. */
static void greet_as(struct fake *fake, struct seen *seen, const char *role)
{
    char said[64];
    RUN_UNTIL(seen->loop, fake_accept(fake), "accept");
    RUN_UNTIL(seen->loop, strstr(fake_hear(fake), "ROLE"), "asks for the role");
    snprintf(said, sizeof said, "+PONG\r\n*1\r\n$%zu\r\n%s\r\n", strlen(role), role);
    fake_say(fake, said);
}

Test(store, a_replica_is_left_and_met_again_only_as_primary)
{
    struct fake fake;
    struct seen seen;
    meet(&fake, &seen, 5000, 0);
    cr_assert(send_words(&seen, "XADD s"));
    cr_assert(send_words(&seen, "XADD s"));
    store_flush(seen.store);
    fake_say(&fake, "-READONLY You can't write against a read only replica.\r\n+1-1\r\n");
    RUN_UNTIL(seen.loop, seen.losses == 1, "lost");
    cr_assert_eq(seen.answers, 1, "the refusal is told");
    cr_assert_eq(seen.failures, 1, "what follows it is not believed");
    fake_close(&fake);
    greet_as(&fake, &seen, "slave");
    RUN_UNTIL(seen.loop, read(fake.fd, seen.last, 1) == 0, "hangs up");
    cr_assert_eq(seen.connects, 1);
    fake_close(&fake);
    greet_as(&fake, &seen, "master");
    RUN_UNTIL(seen.loop, seen.connects == 2, "connected again");
    part(&fake, &seen);
}

Test(store, an_idle_connection_is_asked_for_life)
{
    struct fake fake;
    struct seen seen;
    meet(&fake, &seen, 20000, 0);
    RUN_UNTIL(seen.loop, strstr(fake_hear(&fake), "PING"), "asked");
    fake_say(&fake, "+PONG\r\n");
    uint64_t began_ms = real_ms();
    RUN_UNTIL(seen.loop, strstr(fake_hear(&fake), "PING"), "asked again");
    RUN_UNTIL(seen.loop, seen.losses == 1, "silence is noticed");
    cr_expect_leq(real_ms() - began_ms, 5000 + 10000 /* of a busy machine; the time-out of a request is longer */);
    part(&fake, &seen);
}

Test(store, a_password_and_a_refusal)
{
    struct fake fake;
    struct seen seen = {.loop = loop_new()};
    char path[] = "/tmp/weir-test-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "first\n", 6) == 6);
    fake_listen(&fake);
    struct store_target target = {.address = fake.address, .user = "weir", .password_file = path};
    struct store_config config = {.target = &target, .timeout_ms = 5000, .state = state, .ctx = &seen, .random_seed = {1}};
    seen.store = store_new(seen.loop, &config);
    RUN_UNTIL(seen.loop, fake_accept(&fake), "accept");
    RUN_UNTIL(seen.loop, strstr(fake_hear(&fake), "AUTH\r\n$4\r\nweir\r\n$5\r\nfirst\r\n"), "password");
    cr_assert(pwrite(fd, "other\n", 6, 0) == 6);
    fake_say(&fake, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    RUN_UNTIL(seen.loop, read(fake.fd, seen.last, 1) == 0, "hangs up");
    cr_assert_eq(seen.connects, 0);
    fake_close(&fake);
    RUN_UNTIL(seen.loop, fake_accept(&fake), "tries again");
    RUN_UNTIL(seen.loop, strstr(fake_hear(&fake), "other\r\n"), "the changed password");
    fake_say(&fake, "+OK\r\n+PONG\r\n");
    RUN_UNTIL(seen.loop, seen.connects == 1, "connected");
    close(fd);
    unlink(path);
    part(&fake, &seen);
}

Test(store, a_name_that_does_not_resolve)
{
    struct seen seen;
    open_store(&seen, "no-such-host.invalid:6379", 1000, 0);
    for (unsigned i = 0; i < 50; i++)
        loop_wait(seen.loop, 5, NULL, NULL);
    cr_assert_eq(seen.connects + seen.losses, 0);
    close_store(&seen);
}

Test(store, the_client_for_commands)
{
    struct redis_fixture redis;
    char error[STORE_CLIENT_ERROR_MAX];
    redis_start(&redis);
    struct store_client *client = redis_client(&redis);
    cr_assert_eq(redis_call(client, "INCR n")->integer, 1);
    cr_assert_eq(redis_call(client, "NOSUCH")->type, STORE_ERROR);
    cr_assert(bytes_equal_text(redis_call(client, "GET n")->text, "1"));
    redis_stop(&redis);
    cr_assert_null(redis_call(client, "GET n"));
    cr_assert_null(redis_call(client, "GET n"));
    store_client_close(client);
    cr_assert_null(store_client_open(redis.address, 1000, error));
    cr_assert(strstr(error, redis.address), "%s", error);
    cr_assert_null(store_client_open("no:where", 1000, error));
    redis_launch(&redis);
    redis_remove(&redis);
}
