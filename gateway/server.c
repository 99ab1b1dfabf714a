// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Start is one ladder, stop is the same ladder backwards: folder locked, ports looked at, Redis, registry, workers
 * built, threads started. Whatever fails on the way up says why once and goes
 * down from there.
 */
#include "gateway/server.h"

#include "gateway/clerk.h"
#include "gateway/clocks.h"
#include "gateway/dtls.h"
#include "gateway/endpoint.h"
#include "gateway/follow.h"
#include "gateway/quarantine.h"
#include "gateway/recent.h"
#include "gateway/redis_check.h"
#include "gateway/redis_child.h"
#include "gateway/retention.h"
#include "gateway/rt/log.h"
#include "gateway/state_lock.h"
#include "gateway/store.h"
#include "gateway/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATE_DIR_DEFAULT "state"
#define LOCK_WAIT_MS 2000 /* another one may just be ending */
#define REGISTRY_WAIT_MS 5000
#define STORE_WAIT_MS 3000
#define STOP_MAX_S 9
#define CLERK_TIMEOUT_MAX_MS 3000 /* a stop waits for the job under way */
#define STATUS_UNCLEAN 3

struct server {
    const struct server_config *config;
    char state_dir[SETTINGS_TEXT_MAX];
    int lock_fd;
    struct settings settings; /* with state_dir resolved */
    struct shared shared;
    struct loop *loop;
    struct loop_watch signals;
    struct redis_child *redis;
    struct redis_check *check;
    struct follow *follow;
    bool is_gone; /* devices were removed that the spool may still remember */
    struct warm *warm;
    struct retention *retention;
    bool stopping;
    char error[SETTINGS_ERROR_MAX];
};

static void on_signal(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct server *server = (struct server *)((char *)watch - offsetof(struct server, signals));
    struct signalfd_siginfo info;
    if (read(watch->fd, &info, sizeof info) == sizeof info)
        log_write(LOG_INFO, "server", "stopping", "signal=%u", info.ssi_signo);
    server->stopping = true;
}

static bool watch_signals(struct server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    /* Blocked before any thread starts, so that all inherit it and only the descriptor hears them. */
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    server->signals = (struct loop_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal};
    return server->signals.fd >= 0 && loop_add(server->loop, &server->signals, EPOLLIN);
}

/* No core with keys in it, and as many descriptors as the system gives. */
static void set_limits(void)
{
    struct rlimit files;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static bool lock_state(struct server *server)
{
    char holder[STATE_LOCK_HOLDER_MAX];
    server->lock_fd = state_lock_take(server->state_dir, LOCK_WAIT_MS, holder);
    if (server->lock_fd < 0 && holder[0])
        snprintf(server->error, sizeof server->error,
                 "another weir (process %s) uses state_dir %s; stop it, or choose another state_dir and other ports",
                 holder, server->state_dir);
    return server->lock_fd >= 0;
}

static bool open_state(struct server *server)
{
    const char *wanted = server->config->settings->state_dir;
    snprintf(server->state_dir, sizeof server->state_dir, "%s", wanted[0] ? wanted : STATE_DIR_DEFAULT);
    server->settings = *server->config->settings;
    snprintf(server->settings.state_dir, sizeof server->settings.state_dir, "%s", server->state_dir);
    if ((mkdir(server->state_dir, 0700) == 0 || errno == EEXIST) && lock_state(server))
        return true;
    if (!server->error[0])
        snprintf(server->error, sizeof server->error,
                 "state_dir %s: %s; choose a folder that this user can write, in one that exists", server->state_dir,
                 strerror(errno));
    return false;
}

/* A secret that others on the box can read is told, not refused: a container may have a reason. */
static void look_at_secret_files(const struct settings *settings)
{
    const struct {
        const char *setting, *path;
    } files[] = {
        {"redis_password_file", settings->redis_password_file},
        {"redis_tls_key", settings->redis_tls_key},
        {"spool_key_file", settings->spool_key_file},
        {"dtls_key", settings->dtls_key},
    };
    struct stat found;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i].path[0] && stat(files[i].path, &found) == 0 && found.st_mode & (S_IRWXG | S_IRWXO))
            log_write(LOG_WARN, "server", "a secret can be read by others on this machine; chmod 600",
                      "setting=%s file=%s mode=%o", files[i].setting, files[i].path, found.st_mode & 0777u);
}

/* Made at the first start, so that no secret ever stands in Redis as it is. */
static bool open_vault(struct server *server)
{
    char path[VAULT_PATH_MAX];
    const char *kek = server->settings.kek;
    vault_path(kek, server->state_dir, path);
    server->shared.vault = vault_new(path, !kek[0], server->error);
    return server->shared.vault != NULL;
}

static bool open_redis(struct server *server)
{
    look_at_secret_files(&server->settings);
    struct shared *shared = &server->shared;
    if (server->settings.redis[0]) {
        shared->redis = settings_redis(&server->settings);
        if (!store_target_check(&shared->redis, server->error))
            return false;
    } else {
        server->redis =
            redis_child_start(server->loop, server->settings.redis_server, server->state_dir, server->error);
        if (!server->redis)
            return false;
        shared->redis = redis_child_target(server->redis);
    }
    shared->redis_address = shared->redis.address;
    return true;
}

static bool open_check(struct server *server)
{
    uint64_t seed[4];
    random_bytes(seed, sizeof seed);
    server->check = redis_check_new(server->loop, &server->shared.redis, &server->shared.redis_facts, seed);
    if (!server->check)
        snprintf(server->error, sizeof server->error, "out of memory");
    return server->check != NULL;
}

static void registry_changed(void *ctx, struct bytes tenant, struct bytes device)
{
    struct server *server = ctx;
    worker_review_all(&server->shared, tenant, device);
}

static void registry_fresh(void *ctx, bool fresh)
{
    struct server *server = ctx;
    server->shared.registry_fresh = fresh;
    if (fresh)
        server->shared.registry_loaded = true;
}

/* Whoever has the id of a removed device now is judged by Redis. */
static void registry_gone(void *ctx)
{
    struct server *server = ctx;
    server->is_gone = true;
    if (server->shared.pipeline)
        recent_forget(pipeline_recent(server->shared.pipeline));
}

/* Waits a moment for the registry, so that the first hello of a known device is not refused; goes on without it. */
static bool open_registry(struct server *server)
{
    struct follow_config config = {
        .redis = &server->shared.redis,
        .registry = server->shared.registry,
        .vault = server->shared.vault,
        .metrics = &server->shared.metrics,
        .changed = registry_changed,
        .fresh = registry_fresh,
        .gone = registry_gone,
        .ctx = server,
    };
    random_bytes(config.random_seed, sizeof config.random_seed);
    server->follow = follow_new(server->loop, &config);
    server->warm = warm_new(server->loop, &server->shared.redis, server->shared.latest);
    if (!server->follow || !server->warm) {
        snprintf(server->error, sizeof server->error, "out of memory");
        return false;
    }
    uint64_t until = loop_now_ms(server->loop) + REGISTRY_WAIT_MS;
    while (!server->shared.registry_loaded && !server->stopping && loop_now_ms(server->loop) < until)
        loop_wait(server->loop, 100, registry_offline, registry_online);
    if (!server->shared.registry_loaded)
        log_write(LOG_WARN, "server", "Redis does not answer yet; nobody is known until it does", "redis=%s",
                  server->shared.redis_address);
    return true;
}

static void wake_worker(void *ctx, unsigned worker)
{
    struct shared *shared = ctx;
    if (shared->workers[worker])
        worker_wake(shared->workers[worker]);
}

static bool open_clerk(struct server *server)
{
    struct shared *shared = &server->shared;
    uint64_t timeout_ms = server->settings.redis_timeout_ms;
    shared->clerk = clerk_new(&(struct clerk_config){
        .target = &shared->redis,
        .vault = vault_of_records(shared->vault),
        .timeout_ms = timeout_ms < CLERK_TIMEOUT_MAX_MS ? timeout_ms : CLERK_TIMEOUT_MAX_MS,
        .audit_max = shared->settings->audit_max,
        .workers = shared->worker_count,
        .wake = wake_worker,
        .ctx = shared,
    });
    shared->appear = appear_new(shared->registry, shared->clerk, &shared->hash_key);
    if (!shared->clerk || !shared->appear)
        snprintf(server->error, sizeof server->error, "out of memory");
    return shared->clerk && shared->appear;
}

static bool open_retention(struct server *server)
{
    struct retention_config config = {
        .redis = &server->shared.redis,
        .registry = server->shared.registry,
        .metrics = &server->shared.metrics,
        .period_ms = server->settings.retention_period_s * 1000,
    };
    random_bytes(config.random_seed, sizeof config.random_seed);
    server->retention = retention_new(server->loop, &config);
    if (!server->retention)
        snprintf(server->error, sizeof server->error, "out of memory");
    return server->retention != NULL;
}

static bool make_shared(struct server *server)
{
    struct shared *shared = &server->shared;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t workers = server->settings.workers ? server->settings.workers : (uint64_t)(cores > 0 ? cores : 1);
    shared->settings = &server->settings;
    shared->worker_count = (unsigned)(workers < WORKERS_MAX ? workers : WORKERS_MAX);
    random_bytes(&shared->hash_key, sizeof shared->hash_key);
    random_bytes(shared->echo_key, sizeof shared->echo_key);
    random_bytes(shared->cookie_root, sizeof shared->cookie_root);
    shared->latest = latest_new(&shared->hash_key, server->settings.latest_max);
    shared->clocks = clocks_new(&shared->hash_key, server->settings.clock_devices_max);
    shared->presence = presence_new(&shared->hash_key, (unsigned)server->settings.sessions_per_device);
    shared->registry = registry_new(&shared->hash_key);
    shared->quarantine = quarantine_new(&shared->hash_key);
    shared->choice = dtls_choice_new(&shared->hash_key);
    if (server->config->register_http)
        server->config->register_http(shared);
    if (!shared->latest || !shared->clocks || !shared->presence || !shared->registry || !shared->quarantine ||
        !shared->choice) {
        snprintf(server->error, sizeof server->error, "out of memory");
        return false;
    }
    return mapped_parse(&shared->mapped, server->settings.map_network, server->error);
}

static bool open_pipeline(struct server *server)
{
    if (!server->settings.spool)
        return true;
    server->shared.pipeline = pipeline_open(&server->settings, &server->shared.redis, &server->shared.redis_facts,
                                            server->error);
    if (server->shared.pipeline && server->is_gone)
        recent_forget(pipeline_recent(server->shared.pipeline));
    return server->shared.pipeline != NULL;
}

static bool build_workers(struct server *server)
{
    snprintf(server->error, sizeof server->error, "out of memory"); /* what fails without a word */
    for (unsigned i = 0; i < server->shared.worker_count; i++)
        if (!worker_new(&server->shared, i, server->error))
            return false;
    for (unsigned i = 0; i < server->shared.worker_count; i++)
        if (!worker_start(server->shared.workers[i])) {
            snprintf(server->error, sizeof server->error, "cannot start a thread: %s", strerror(errno));
            return false;
        }
    return true;
}

static bool all_reach_the_store(const struct shared *shared)
{
    if (shared->pipeline)
        return !push_why_not(pipeline_push(shared->pipeline)) && shared->redis_facts.appendonly != REDIS_UNKNOWN;
    for (unsigned i = 0; i < shared->worker_count; i++) {
        const struct metrics *one = &shared->workers[i]->metrics;
        if (metrics_sum(&one, 1, METRIC_STORE_CONNECTED) == 0)
            return false;
    }
    return true;
}

/* So that "ready" means it: the first observation shall not meet a connection that is still being made. */
static void wait_for_the_store(struct server *server)
{
    uint64_t until = loop_now_ms(server->loop) + STORE_WAIT_MS;
    while (!all_reach_the_store(&server->shared) && !server->stopping && loop_now_ms(server->loop) < until)
        loop_wait(server->loop, 5, registry_offline, registry_online);
}

static bool start(struct server *server)
{
    const struct server_config *config = server->config;
    server->loop = loop_new();
    if (!server->loop || !dtls_global_init() || !watch_signals(server)) {
        snprintf(server->error, sizeof server->error, "cannot set up the main loop: %s", strerror(errno));
        return false;
    }
    if (!open_state(server) || !endpoint_ports_are_free(&server->settings, server->error) || !make_shared(server) ||
        !open_vault(server) || !open_redis(server))
        return false;
    if (config->prepare && !config->prepare(config->ctx, &server->shared.redis, vault_of_records(server->shared.vault),
                                            server->state_dir)) {
        snprintf(server->error, sizeof server->error, "see the line before");
        return false;
    }
    if (!open_check(server) || !open_registry(server) || !open_retention(server) || !open_pipeline(server) ||
        !open_clerk(server) || !build_workers(server))
        return false;
    wait_for_the_store(server);
    log_write(LOG_INFO, "server", "ready", "workers=%u coap=%llu coaps=%llu http=%llu https=%llu ops=%llu redis=%s",
              server->shared.worker_count, (unsigned long long)server->settings.coap_port,
              (unsigned long long)server->settings.coaps_port, (unsigned long long)server->settings.http_port,
              (unsigned long long)server->settings.https_port,
              (unsigned long long)server->settings.ops_port, server->shared.redis_address);
    if (config->ready)
        config->ready(config->ctx);
    return true;
}

/* A disk that does not come back must not keep whoever waits for the end; what was acknowledged is in the spool. */
static void give_up(int signal)
{
    static const char text[] = "level=error mod=server msg=\"the end took too long and is not a clean one\"\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(STATUS_UNCLEAN);
}

static void stop(struct server *server)
{
    struct shared *shared = &server->shared;
    signal(SIGALRM, give_up);
    alarm(STOP_MAX_S);
    for (unsigned i = 0; i < shared->worker_count; i++)
        if (shared->workers[i])
            worker_stop(shared->workers[i]);
    pipeline_stop(shared->pipeline);
    clerk_stop(shared->clerk);
    for (unsigned i = 0; i < shared->worker_count; i++)
        worker_free(shared->workers[i]);
    clerk_free(shared->clerk);
    appear_free(shared->appear);
    pipeline_close(shared->pipeline);
    retention_free(server->retention);
    warm_free(server->warm);
    follow_free(server->follow);
    redis_check_free(server->check);
    registry_free(shared->registry);
    latest_free(shared->latest);
    clocks_free(shared->clocks);
    presence_free(shared->presence);
    dtls_choice_free(shared->choice);
    quarantine_free(shared->quarantine);
    vault_free(shared->vault);
    redis_child_stop(server->redis);
    if (server->lock_fd >= 0)
        close(server->lock_fd);
    if (server->signals.fd > 0)
        close(server->signals.fd);
    loop_free(server->loop);
    explicit_bzero(shared->cookie_root, sizeof shared->cookie_root);
    alarm(0);
}

int server_run(const struct server_config *config)
{
    struct server *server = calloc(1, sizeof *server);
    if (!server)
        return 1;
    server->config = config;
    server->lock_fd = -1;
    set_limits();
    bool started = start(server);
    if (!started) {
        for (char *at = server->error; (at = strchr(at, '"')) != NULL;)
            *at = '\''; /* not log_quote: that would cut a long reason, and what to do comes last */
        log_write(LOG_ERROR, "server", "cannot start", "reason=\"%s\"", server->error);
    }
    while (started && !server->stopping)
        loop_wait(server->loop, 1000, registry_offline, registry_online);
    stop(server);
    if (started)
        log_write(LOG_INFO, "server", "stopped", "state_dir=%s", server->state_dir);
    free(server);
    return started ? 0 : 1;
}
