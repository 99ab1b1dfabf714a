// SPDX-License-Identifier: GPL-3.0-or-later
/* What keeps a gateway from starting with the spool that it finds. */
#include "gateway/pipeline.h"

#include "gateway/parcel.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char state[] = "/tmp/weir-pipeline-XXXXXX";
static char folder[sizeof state + 8];

/* Puts bodies of these versions into the spool; the first `pushed` of them are in Redis. */
static void fill(const uint8_t *versions, size_t count, uint64_t pushed)
{
    uint8_t body[PARCEL_HEAD] = {0};
    uint64_t lsn;
    struct spool_recovery found;
    struct disk *disk = disk_open(folder);
    struct spool_log_config config = {.disk = disk, .segment_bytes = SPOOL_SEGMENT_BYTES, .incarnation = 7,
                                      .gateway = pipeline_gateway_id(state, true), .max_bytes = UINT64_C(1) << 30};
    struct spool_log *log = spool_log_open(&config, &found);
    cr_assert(log);
    for (size_t i = 0; i < count; i++) {
        struct bytes bodies = bytes_of(body, sizeof body);
        body[0] = versions[i];
        cr_assert_eq(spool_log_commit(log, &bodies, 1, &lsn), SPOOL_DONE);
    }
    cr_assert(pushed == 0 || spool_log_save_cursor(log, pushed));
    spool_log_close(log);
    disk_close(disk);
}

static struct pipeline *open_it(char reterr[static SETTINGS_ERROR_MAX])
{
    static struct settings settings;
    struct redis_facts facts = {0};
    struct store_target target = {0};
    settings_default(&settings);
    snprintf(settings.state_dir, sizeof settings.state_dir, "%s", state);
    return pipeline_open(&settings, &target, &facts, reterr);
}

Test(pipeline, what_a_newer_version_left_is_not_left_out)
{
    char error[SETTINGS_ERROR_MAX];
    cr_assert(mkdtemp(state));
    snprintf(folder, sizeof folder, "%s/spool", state);
    cr_assert_eq(mkdir(folder, 0700), 0);
    fill((const uint8_t[]){9, 2, 9, 2}, 4, 1);
    cr_expect_null(open_it(error));
    cr_expect(strstr(error, "a newer version of weir") && strstr(error, "LSN 3"), "%s", error);
}
