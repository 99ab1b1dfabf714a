// SPDX-License-Identifier: GPL-3.0-or-later
/* A ladder up and the same ladder down; no logic of its own but ids and keys. */
#include "gateway/pipeline.h"

#include "gateway/parcel.h"
#include "gateway/rt/file.h"
#include "gateway/rt/log.h"
#include "gateway/rt/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEY_OCTETS 32
#define SEGMENTS_MIN 8

struct pipeline {
    struct disk *disk;
    struct secret key;
    struct spool_log *log;
    struct spool *spool;
    struct recent *recent;
    struct push *push;
};

static size_t read_whole(const char *path, char *ret, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, ret, room) : -1;
    if (fd >= 0)
        close(fd);
    return len > 0 ? (size_t)len : 0;
}

uint64_t pipeline_gateway_id(const char *state_dir, bool make)
{
    char path[SETTINGS_TEXT_MAX + 16], text[32] = "";
    uint64_t id = 0;
    snprintf(path, sizeof path, "%s/gateway.id", state_dir);
    errno = 0;
    if (read_whole(path, text, sizeof text - 1))
        return sscanf(text, "%16" SCNx64, &id) == 1 ? id : 0;
    if (!make || (errno && errno != ENOENT))
        return 0;
    while (id == 0)
        random_bytes(&id, sizeof id);
    snprintf(text, sizeof text, "%016" PRIx64 "\n", id);
    return file_replace(path, bytes_of_text(text)) ? id : 0;
}

bool pipeline_key(const struct settings *settings, struct secret *ret)
{
    char text[2 * KEY_OCTETS + 2] = "";
    *ret = (struct secret){0};
    if (!settings->spool_key_file[0])
        return true;
    size_t len = read_whole(settings->spool_key_file, text, sizeof text);
    bool ok = len == KEY_OCTETS       ? secret_set(ret, bytes_of(text, KEY_OCTETS))
              : len >= 2 * KEY_OCTETS ? secret_set_hex(ret, bytes_of(text, 2 * KEY_OCTETS))
                                      : false;
    if (len && !ok)
        errno = EINVAL;
    explicit_bzero(text, sizeof text);
    return ok;
}

static void say_recovery(const struct spool_recovery *found)
{
    bool bad = found->quarantined || found->missing || found->foreign;
    log_write(bad ? LOG_ERROR : LOG_INFO, "pipeline", bad ? "the spool was damaged" : "the spool is open",
              "messages=%llu to_push=%llu torn_octets=%llu quarantined=%llu missing=%llu foreign_files=%llu "
              "lost=%llu lost_from_lsn=%llu lost_to_lsn=%llu",
              (unsigned long long)found->records,
              (unsigned long long)(found->next_lsn > found->cursor_lsn ? found->next_lsn - 1 - found->cursor_lsn : 0),
              (unsigned long long)found->torn_octets, (unsigned long long)found->quarantined,
              (unsigned long long)found->missing, (unsigned long long)found->foreign, (unsigned long long)found->lost,
              (unsigned long long)found->lost_first, (unsigned long long)found->lost_last);
}

static const char *explain(int error)
{
    switch (error) {
    case ESTALE:
        return "this spool is another gateway's; take it over with weir spool adopt";
    case ENOKEY:
        return "this spool is encrypted with another key; give its key as spool_key_file";
    case EINVAL:
        return "spool_key_file must hold 32 octets or 64 hexadecimal digits";
    case EOVERFLOW:
        return "this segment has the highest serial there is, none can follow it; if it is not the gateway's "
               "own, move it "
               "out of the folder";
    case EMEDIUMTYPE:
        return "not a regular file";
    default:
        return strerror(error);
    }
}

static bool open_log(struct pipeline *pipeline, const struct settings *settings, uint64_t incarnation,
                     struct spool_recovery *ret, char reterr[static SETTINGS_ERROR_MAX])
{
    char path[SETTINGS_TEXT_MAX + 8 + sizeof ret->where];
    snprintf(path, sizeof path, "%s/spool", settings->state_dir);
    struct spool_log_config config = {
        /* Only whole segments can be released, so several must fit. */
        .segment_bytes = settings->spool_segment_bytes < settings->spool_max_bytes / SEGMENTS_MIN
                             ? settings->spool_segment_bytes
                             : settings->spool_max_bytes / SEGMENTS_MIN,
        .gateway = pipeline_gateway_id(settings->state_dir, true),
        .incarnation = incarnation,
        .max_bytes = settings->spool_max_bytes,
        .now_s = time(NULL),
    };
    const char *what = "gateway.id";
    if (config.gateway) {
        what = settings->spool_key_file;
        if (pipeline_key(settings, &pipeline->key)) {
            what = path;
            if (settings->spool_key_file[0])
                config.key = &pipeline->key;
            config.disk = pipeline->disk = disk_open(path);
            if (pipeline->disk)
                pipeline->log = spool_log_open(&config, ret);
            if (pipeline->disk && !pipeline->log && ret->where[0]) {
                int error = errno;
                snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", ret->where);
                errno = error;
            }
        }
    }
    if (!pipeline->log)
        snprintf(reterr, SETTINGS_ERROR_MAX, "%.255s: %s", what, explain(errno));
    return pipeline->log != NULL;
}

/* What a newer version has acknowledged must not be left out by this one. False: there is such, or it cannot
 * be said. */
static bool check_versions(struct spool_log *log, uint64_t cursor_lsn, char reterr[static SETTINGS_ERROR_MAX])
{
    struct spool_reader *reader = spool_reader_new(log);
    struct spool_record record;
    enum spool_read read = reader ? SPOOL_READ_RECORD : SPOOL_READ_FAILED;
    if (reader)
        spool_reader_seek(reader, cursor_lsn + 1);
    while (read == SPOOL_READ_RECORD && (read = spool_reader_next(reader, &record)) == SPOOL_READ_RECORD) {
        if (!parcel_is_newer(record.body))
            continue;
        snprintf(reterr, SETTINGS_ERROR_MAX,
                 "the spool has messages of a newer version of weir that are not pushed, the first with LSN "
                 "%llu: start "
                 "that version until weir_spool_unpushed_records is 0",
                 (unsigned long long)record.lsn);
        spool_reader_free(reader);
        return false;
    }
    if (read == SPOOL_READ_FAILED)
        snprintf(reterr, SETTINGS_ERROR_MAX, "the spool cannot be read: %s", strerror(errno));
    spool_reader_free(reader);
    return read == SPOOL_READ_END;
}

struct pipeline *pipeline_open(const struct settings *settings, const struct store_target *redis,
                               const struct redis_facts *facts, char reterr[static SETTINGS_ERROR_MAX])
{
    struct spool_recovery found;
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    struct push_config push = {.settings = settings, .redis = redis, .facts = facts};
    snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
    if (!pipeline)
        return NULL;
    while (push.incarnation == 0)
        random_bytes(&push.incarnation, sizeof push.incarnation);
    random_bytes(push.random_seed, sizeof push.random_seed);
    if (!open_log(pipeline, settings, push.incarnation, &found, reterr))
        goto fail;
    say_recovery(&found);
    if (!check_versions(pipeline->log, found.cursor_lsn, reterr))
        goto fail;
    snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
    push.lost = found.lost;
    pipeline->recent = push.recent = recent_new(settings->recent_max);
    pipeline->spool = push.spool = spool_new(pipeline->log, settings);
    if (!pipeline->recent || !pipeline->spool)
        goto fail;
    pipeline->push = push_new(&push, found.cursor_lsn);
    if (!pipeline->push || !push_start(pipeline->push))
        goto fail;
    return pipeline;
fail:
    pipeline_close(pipeline);
    return NULL;
}

void pipeline_stop(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    spool_stop(pipeline->spool);
    push_stop(pipeline->push);
}

void pipeline_close(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    push_free(pipeline->push);
    spool_free(pipeline->spool);
    spool_log_close(pipeline->log);
    disk_close(pipeline->disk);
    recent_free(pipeline->recent);
    secret_wipe(&pipeline->key);
    free(pipeline);
}

struct spool *pipeline_spool(struct pipeline *pipeline)
{
    return pipeline->spool;
}

struct recent *pipeline_recent(struct pipeline *pipeline)
{
    return pipeline->recent;
}

const struct push *pipeline_push(const struct pipeline *pipeline)
{
    return pipeline->push;
}

void pipeline_metrics(const struct pipeline *pipeline, const struct metrics *ret[static PIPELINE_METRICS])
{
    /* In this order: the cursor that is read first is never ahead of what the spool says after it. */
    ret[0] = push_metrics(pipeline->push);
    ret[1] = spool_metrics(pipeline->spool);
}
