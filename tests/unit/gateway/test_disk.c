// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char parent[] = "/tmp/weir-disk-XXXXXX", path[64];
static struct disk *disk;

static void setup(void)
{
    cr_assert(mkdtemp(parent));
    snprintf(path, sizeof path, "%s/spool", parent);
    cr_assert((disk = disk_open(path)) != NULL);
}

static void remove_one(void *ctx, const char *name)
{
    (void)ctx;
    disk->unlink(disk, name);
}

static void teardown(void)
{
    disk->list(disk, remove_one, NULL);
    disk_close(disk);
    rmdir(path);
    rmdir(parent);
}

TestSuite(disk, .init = setup, .fini = teardown);

static unsigned mode_of(const char *name)
{
    struct stat st;
    char full[96];
    snprintf(full, sizeof full, "%s/%s", path, name);
    cr_assert_eq(stat(full, &st), 0);
    return st.st_mode & 0777;
}

Test(disk, folder_and_files_are_the_owners_only)
{
    int fd = disk->open(disk, "a", O_RDWR | O_CREAT);
    cr_assert_geq(fd, 0);
    cr_assert_eq(mode_of("."), 0700);
    cr_assert_eq(mode_of("a"), 0600);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    disk->close(disk, fd);
}

Test(disk, reads_are_short_at_the_end_of_the_file_only)
{
    uint8_t buffer[16];
    int fd = disk->open(disk, "a", O_RDWR | O_CREAT);
    cr_assert(disk->write(disk, fd, BYTES_LITERAL("56789"), 5) && disk->write(disk, fd, BYTES_LITERAL("01234"), 0));
    cr_assert_eq(disk->read(disk, fd, buffer, sizeof buffer, 2), 8);
    cr_assert(bytes_equal_text(bytes_of(buffer, 8), "23456789"));
    cr_assert_eq(disk->read(disk, fd, buffer, 3, 7), 3);
    cr_assert_eq(disk->read(disk, fd, buffer, 3, 10), 0);
    cr_assert(disk->sync(disk, fd) && disk->truncate(disk, fd, 4));
    cr_assert_eq(disk->size(disk, fd), 4);
    disk->close(disk, fd);
    cr_assert_eq(disk->read(disk, fd, buffer, 3, 0), -1);
    cr_assert_eq(errno, EBADF);
}

Test(disk, allocated_space_is_zero_and_what_was_there_stays)
{
    uint8_t buffer[8192], zeros[8192] = {0};
    int fd = disk->open(disk, "a", O_RDWR | O_CREAT);
    cr_assert(disk->write(disk, fd, BYTES_LITERAL("weir"), 0) && disk->allocate(disk, fd, sizeof buffer));
    cr_assert_eq(disk->size(disk, fd), sizeof buffer);
    cr_assert_eq(disk->read(disk, fd, buffer, sizeof buffer, 0), sizeof buffer);
    cr_assert(bytes_equal_text(bytes_of(buffer, 4), "weir"));
    cr_assert_eq(memcmp(buffer + 4, zeros, sizeof buffer - 4), 0);
    disk->close(disk, fd);
}

static void count_one(void *ctx, const char *name)
{
    (void)name;
    ++*(unsigned *)ctx;
}

/* A FIFO would hold up whoever opens it, and a link leads out of the folder. */
Test(disk, what_is_no_regular_file_is_not_opened)
{
    static const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC};
    char full[96];
    snprintf(full, sizeof full, "%s/fifo", path);
    cr_assert_eq(mkfifo(full, 0600), 0);
    snprintf(full, sizeof full, "%s/link", path);
    cr_assert_eq(symlink("/dev/null", full), 0);
    snprintf(full, sizeof full, "%s/folder", path);
    cr_assert_eq(mkdir(full, 0700), 0);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        static const char *const names[] = {"fifo", "link", "folder"};
        for (size_t n = 0; n < 3; n++) {
            cr_assert_eq(disk->open(disk, names[n], flags[i]), -1);
            cr_assert_eq(errno, EMEDIUMTYPE, "%s: %s", names[n], strerror(errno));
        }
    }
    cr_assert_eq(rmdir(full), 0);
}

Test(disk, names_come_change_and_go)
{
    unsigned count = 0;
    disk->close(disk, disk->open(disk, "a", O_RDWR | O_CREAT));
    disk->close(disk, disk->open(disk, "b", O_RDWR | O_CREAT));
    cr_assert(disk->rename(disk, "a", "b") && disk->sync_folder(disk));
    cr_assert(disk->list(disk, count_one, &count));
    cr_assert_eq(count, 1);
    cr_assert_eq(disk->open(disk, "a", O_RDONLY), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert(disk->unlink(disk, "b"));
    cr_assert_not(disk->unlink(disk, "b"));
    cr_assert_eq(errno, ENOENT);
}

Test(disk, a_folder_that_is_there_is_opened_and_what_is_none_is_refused)
{
    char file[96];
    struct disk *again = disk_open(path);
    cr_assert(again);
    disk_close(again);
    disk->close(disk, disk->open(disk, "a", O_RDWR | O_CREAT));
    snprintf(file, sizeof file, "%s/a", path);
    cr_assert_null(disk_open(file));
    cr_assert_eq(errno, ENOTDIR);
    snprintf(file, sizeof file, "%s/none/below", path);
    cr_assert_null(disk_open(file));
    cr_assert_eq(errno, ENOENT);
}
