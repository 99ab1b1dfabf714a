// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Runs every file of the given folders through one fuzz harness, without libFuzzer: the corpus as an ordinary test,
 * with any compiler. Each input is copied to a heap block of exactly its size, so that ASan sees a read past the end.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static void die(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) < 0)
        die("open", path);
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size);
    if (!data && size > 0)
        die("allocate for", path);
    if (size > 0 && fread(data, 1, size, file) != size)
        die("read", path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Returns the number of inputs. In order of their names, so that a failure repeats. */
static int replay_folder(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, alphasort);
    if (n < 0)
        die("open", folder);
    for (int i = 0; i < n; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (length < 0 || (size_t)length >= sizeof path) {
            errno = ENAMETOOLONG;
            die("open", folder);
        }
        /* Printed before it runs: the last line names the input that crashed. */
        printf("%s\n", entries[i]->d_name);
        fflush(stdout);
        replay_file(path);
        free(entries[i]);
    }
    free(entries);
    return n;
}

int main(int argc, char **argv)
{
    int total = 0;
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);
        if (n == 0) {
            fprintf(stderr, "%s is empty\n", argv[i]);
            return 1;
        }
        total += n;
    }
    if (total == 0) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER...\n", argv[0]);
        return 1;
    }
    printf("%d inputs\n", total);
    return 0;
}
