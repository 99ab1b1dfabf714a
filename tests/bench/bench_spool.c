// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a commit to the spool costs, by the number of its records, and what reading them back; then what one sync costs
 * in space that was only reserved and in space that was written with zeros before, which is why the spool writes zeros
 * ahead. On the disk that holds the folder of the first argument, or of the temporary files. Means and medians: a disk has
 * other work, too.
 */
#include "gateway/spool_format.h"
#include "gateway/spool_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES 300
#define BATCH_MAX 512
#define COMMITS 1500

static struct disk *disk;

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_spool: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts them. */
static void report(const char *what, size_t records, double *took_us, size_t count)
{
    double sum_us = 0;
    for (size_t i = 0; i < count; i++)
        sum_us += took_us[i];
    qsort(took_us, count, sizeof *took_us, by_value);
    printf("%-28s %5zu %9.0f %9.0f %9.0f %12.0f\n", what, records, sum_us / (double)count, took_us[count / 2],
           took_us[count * 99 / 100], (double)(records * count) / sum_us * 1e6);
}

static void remove_file(void *ctx, const char *name)
{
    (void)ctx;
    disk->unlink(disk, name);
}

static struct spool_log *open_log(const struct secret *key, struct spool_recovery *ret)
{
    struct spool_log_config config = {
        .disk = disk,
        .segment_bytes = SPOOL_SEGMENT_BYTES,
        .gateway = 1,
        .incarnation = 1,
        .max_bytes = UINT64_MAX,
        .key = key,
    };
    struct spool_log *log = spool_log_open(&config, ret);
    must(log, "open");
    return log;
}

static void bench_read(struct spool_log *log, const char *what)
{
    struct spool_reader *reader = spool_reader_new(log);
    struct spool_record record;
    size_t count = 0;
    must(reader, "reader");
    double start_us = now_us();
    while (spool_reader_next(reader, &record) == SPOOL_READ_RECORD)
        count++;
    printf("%-28s %.0f ns per record\n", what, (now_us() - start_us) / (double)count * 1e3);
    spool_reader_free(reader);
}

static void bench_commit(size_t records, const struct secret *key)
{
    static double took_us[COMMITS];
    static uint8_t body[BODY_BYTES];
    struct bytes bodies[BATCH_MAX];
    struct spool_recovery recovery;
    struct spool_log *log = open_log(key, &recovery);
    uint64_t lsn;
    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = (uint8_t)(i * 37);
    for (size_t i = 0; i < records; i++)
        bodies[i] = bytes_of(body, sizeof body);
    for (size_t i = 0; i < COMMITS; i++) {
        double start_us = now_us();
        must(spool_log_commit(log, bodies, records, &lsn) == SPOOL_DONE, "commit");
        took_us[i] = now_us() - start_us;
    }
    report(key ? "commit, encrypted" : "commit", records, took_us, COMMITS);
    bench_read(log, key ? "  read back, encrypted" : "  read back");
    spool_log_close(log);
    double start_us = now_us();
    log = open_log(key, &recovery);
    printf("%-28s %.1f ms for %llu records\n", "  open again", (now_us() - start_us) / 1e3,
           (unsigned long long)recovery.records);
    spool_log_close(log);
    disk->list(disk, remove_file, NULL);
}

static void bench_space(bool zeros, size_t octets)
{
    static double took_us[COMMITS];
    static uint8_t buffer[1 << 20];
    int fd = disk->open(disk, "space", O_RDWR | O_CREAT | O_TRUNC);
    double start_us = now_us();
    must(fd >= 0 && disk->allocate(disk, fd, SPOOL_SEGMENT_BYTES), "allocate");
    memset(buffer, 0, sizeof buffer);
    for (uint64_t at = 0; zeros && at < SPOOL_SEGMENT_BYTES; at += sizeof buffer)
        must(disk->write(disk, fd, bytes_of(buffer, sizeof buffer), at), "write");
    must(disk->sync(disk, fd), "sync");
    double prepared_us = now_us() - start_us;
    memset(buffer, 1, sizeof buffer);
    for (size_t i = 0; i < COMMITS; i++) {
        start_us = now_us();
        must(disk->write(disk, fd, bytes_of(buffer, octets), SPOOL_RECORDS_AT + i * octets) && disk->sync(disk, fd),
             "write");
        took_us[i] = now_us() - start_us;
    }
    report(zeros ? "sync, zeros written before" : "sync, space reserved", octets / 324, took_us, COMMITS);
    printf("%-28s %.0f us\n", "  preparing 64 MiB", prepared_us);
    disk->close(disk, fd);
    disk->unlink(disk, "space");
}

int main(int argc, char **argv)
{
    static const size_t batches[] = {1, 8, 64, 512};
    static const struct secret key = {.octets = "01234567890123456789012345678901", .len = 32};
    char path[4096];
    snprintf(path, sizeof path, "%s/weir-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    must(mkdtemp(path) && (disk = disk_open(path)), path);
    printf("%-28s %5s %9s %9s %9s %12s\n", "", "rec.", "mean us", "median", "99 %", "records/s");
    for (unsigned i = 0; i < 4; i++)
        bench_commit(batches[i], NULL);
    bench_commit(64, &key);
    for (unsigned i = 0; i < 2; i++) {
        bench_space(i, 324);
        bench_space(i, (size_t)64 * 324);
    }
    disk_close(disk);
    must(rmdir(path) == 0, path);
    return 0;
}
