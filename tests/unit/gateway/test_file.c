// SPDX-License-Identifier: GPL-3.0-or-later
/* A file is whole or not at all, is its owner's alone, and what is there already is not lost. */
#include "gateway/rt/file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[80];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/weir-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(file, .init = setup, .fini = teardown);

static void expect_content(const char *text, mode_t mode)
{
    char content[64] = "";
    struct stat status;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    cr_expect_str_eq(content, text);
    cr_expect_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, mode);
}

static void expect_files(size_t count)
{
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    while ((entry = readdir(listing)))
        if (entry->d_name[0] != '.')
            count--;
    closedir(listing);
    cr_expect_eq(count, 0, "nothing is left beside it");
}

Test(file, one_that_is_there_is_not_made_again)
{
    cr_expect(file_make(path, BYTES_LITERAL("first")));
    expect_content("first", 0600);
    cr_expect_not(file_make(path, BYTES_LITERAL("second")));
    cr_expect_eq(errno, EEXIST);
    expect_content("first", 0600);
    expect_files(1);
}

Test(file, one_that_is_replaced_hands_its_mode_on)
{
    cr_expect(file_replace(path, BYTES_LITERAL("first")));
    expect_content("first", 0600);
    chmod(path, 0400);
    cr_expect(file_replace(path, BYTES_LITERAL("second")));
    expect_content("second", 0400);
    expect_files(1);
}

Test(file, its_owner_stays)
{
    struct stat status;
    if (geteuid() != 0)
        cr_skip_test("only root gives files away");
    cr_expect(file_replace(path, BYTES_LITERAL("first")));
    cr_assert_eq(chown(path, 1234, 1235), 0);
    cr_expect(file_replace(path, BYTES_LITERAL("second")));
    cr_expect_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_uid, 1234);
    cr_expect_eq(status.st_gid, 1235);
}

Test(file, what_cannot_be_written_leaves_what_was)
{
    char elsewhere[96], endless[FILE_PATH_MAX + 8];
    snprintf(elsewhere, sizeof elsewhere, "%s/no/key", folder);
    cr_expect_not(file_make(elsewhere, BYTES_LITERAL("x")));
    cr_expect_eq(errno, ENOENT);
    cr_expect_not(file_replace(elsewhere, BYTES_LITERAL("x")));
    cr_expect_eq(errno, ENOENT);
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    cr_expect_not(file_replace(endless, BYTES_LITERAL("x")));
    cr_expect_eq(errno, ENAMETOOLONG);
    expect_files(0);
}

Test(file, what_a_dead_process_left_beside_it_is_no_obstacle)
{
    char left[96];
    snprintf(left, sizeof left, "%s.%ld.new", path, (long)getpid());
    FILE *file = fopen(left, "w");
    fputs("half of a ke", file);
    fclose(file);
    cr_expect(file_replace(path, BYTES_LITERAL("whole")));
    expect_content("whole", 0600);
    expect_files(1);
}

Test(file, what_others_left_goes_and_what_they_write_stays)
{
    char left[2][96];
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    snprintf(left[0], sizeof left[0], "%s.%ld.new", path, (long)child);
    snprintf(left[1], sizeof left[1], "%s.%ld.new", path, (long)getppid());
    for (unsigned i = 0; i < 2; i++)
        fclose(fopen(left[i], "w"));
    cr_expect(file_replace(path, BYTES_LITERAL("whole")));
    cr_expect_neq(access(left[0], F_OK), 0);
    cr_expect_eq(access(left[1], F_OK), 0);
    unlink(left[1]);
    expect_files(1);
}

Test(file, of_a_link_it_is_what_it_names)
{
    char target[96], content[8] = "";
    struct stat status;
    snprintf(target, sizeof target, "%s-target", path);
    cr_expect(file_replace(target, BYTES_LITERAL("old")));
    cr_assert_eq(symlink(target, path), 0);
    cr_expect(file_replace(path, BYTES_LITERAL("new")));
    cr_expect(lstat(path, &status) == 0 && S_ISLNK(status.st_mode));
    FILE *file = fopen(target, "r");
    cr_expect_eq(fread(content, 1, 7, file), 3);
    fclose(file);
    cr_expect_str_eq(content, "new");
    unlink(target);
}

/* As on a disk that is full: so many bytes of a file are written, and no more. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(file, what_is_written_in_part_is_not_written)
{
    static const struct {
        rlim_t limit;
        int error;
    } cases[] = {{4, EIO}, {0, EFBIG}};
    char other[96];
    snprintf(other, sizeof other, "%s-other", path);
    cr_expect(file_make(path, BYTES_LITERAL("first")));
    for (unsigned i = 0; i < 2; i++) {
        errno = 0;
        limit_files(cases[i].limit);
        bool replaced = file_replace(path, BYTES_LITERAL("second"));
        int replace_error = errno;
        bool made = file_make(other, BYTES_LITERAL("second"));
        int make_error = errno;
        limit_files(RLIM_INFINITY);
        cr_expect(!replaced && !made);
        cr_expect_eq(replace_error, cases[i].error);
        cr_expect_eq(make_error, cases[i].error);
        expect_content("first", 0600);
        expect_files(1);
    }
}

/* Or whoever reads it could no longer. */
Test(file, one_whose_owner_cannot_be_handed_on_is_not_replaced)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become another");
    cr_expect(file_make(path, BYTES_LITERAL("first")));
    cr_assert_eq(chmod(folder, 0777), 0);
    cr_assert_eq(seteuid(1234), 0);
    bool replaced = file_replace(path, BYTES_LITERAL("second"));
    int error = errno;
    cr_assert_eq(seteuid(0), 0);
    cr_expect_not(replaced);
    cr_expect_eq(error, EPERM);
    expect_content("first", 0600);
    expect_files(1);
}

/* What somebody put there before does not say who reads it. */
Test(file, one_that_is_put_takes_nothing_over_and_follows_no_link)
{
    char target[96];
    struct stat status;
    snprintf(target, sizeof target, "%s-target", path);
    cr_expect(file_put(path, BYTES_LITERAL("first")));
    expect_content("first", 0600);
    chmod(path, 0666);
    cr_expect(file_put(path, BYTES_LITERAL("second")));
    expect_content("second", 0600);
    unlink(path);
    cr_assert_eq(symlink(target, path), 0);
    cr_expect_not(file_put(path, BYTES_LITERAL("secret")));
    cr_expect_eq(errno, ELOOP);
    cr_expect_neq(access(target, F_OK), 0, "of nothing yet");
    cr_expect(file_make(target, BYTES_LITERAL("old")));
    cr_expect_not(file_put(path, BYTES_LITERAL("secret")));
    cr_expect_eq(errno, ELOOP);
    cr_expect(lstat(path, &status) == 0 && S_ISLNK(status.st_mode));
    expect_content("old", 0600);
    expect_files(2);
    unlink(target);
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_not(file_put(path, BYTES_LITERAL("secret")));
    cr_expect_eq(errno, ELOOP);
    rmdir(path);
}

Test(file, one_that_locks_waits_for_the_other)
{
    int pipes[2], lock = file_lock(path);
    char done = 0;
    cr_assert_geq(lock, 0);
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        close(lock); /* a copy of the lock is the lock */
        int other = file_lock(path);
        (void)!write(pipes[1], other >= 0 ? "y" : "n", 1);
        _exit(0);
    }
    struct pollfd fd = {.fd = pipes[0], .events = POLLIN};
    cr_expect_eq(poll(&fd, 1, 100), 0, "it waits");
    file_unlock(lock);
    cr_expect_eq(read(pipes[0], &done, 1), 1);
    cr_expect_eq(done, 'y');
    waitpid(child, NULL, 0);
    cr_expect_eq(file_lock("/nowhere/at/all"), -1);
    cr_expect_eq(errno, ENOENT);
}

Test(file, what_only_looks_left_stays_and_what_fails_leaves_nothing)
{
    static const char *const names[] = {"%s.%ld.old", "%s.%ld.new2", "%s-%ld.new"};
    char stays[3][112], folder_there[96];
    for (unsigned i = 0; i < 3; i++) {
        snprintf(stays[i], sizeof stays[i], names[i], path, (long)getpid());
        fclose(fopen(stays[i], "w"));
    }
    cr_expect(file_replace(path, BYTES_LITERAL("whole")));
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(access(stays[i], F_OK), 0, "%s", stays[i]);
        unlink(stays[i]);
    }
    snprintf(folder_there, sizeof folder_there, "%s/there", folder);
    cr_assert_eq(mkdir(folder_there, 0700), 0);
    cr_expect_not(file_replace(folder_there, BYTES_LITERAL("x")));
    cr_expect_eq(errno, EISDIR);
    rmdir(folder_there);
    expect_files(1);
}

Test(file, a_link_and_what_it_names_have_one_lock)
{
    char other[64] = "/tmp/weir-file-XXXXXX", link[96];
    int pipes[2];
    char done = 0;
    cr_assert_not_null(mkdtemp(other));
    snprintf(link, sizeof link, "%s/link", other);
    cr_expect(file_make(path, BYTES_LITERAL("x")));
    cr_assert_eq(symlink(path, link), 0);
    int lock = file_lock(link);
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        close(lock);
        (void)!write(pipes[1], file_lock(path) >= 0 ? "y" : "n", 1);
        _exit(0);
    }
    struct pollfd fd = {.fd = pipes[0], .events = POLLIN};
    cr_expect_eq(poll(&fd, 1, 100), 0, "it waits");
    file_unlock(lock);
    cr_expect(read(pipes[0], &done, 1) == 1 && done == 'y');
    waitpid(child, NULL, 0);
    unlink(link);
    rmdir(other);
}
