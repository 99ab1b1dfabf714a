// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/unit/gateway/fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define SECTOR ((size_t)512)
#define NONE SIZE_MAX

enum change_kind { NAMED, RENAMED, UNNAMED, WRITTEN, RESIZED, SYNCED, SYNC_REFUSED, FOLDER_SYNCED };

struct fake_change {
    enum change_kind kind;
    size_t file;
    char name[40], to[40];
    uint64_t offset; /* or size */
    uint8_t *data;
    size_t len;
};

struct fake_file {
    char name[40]; /* "": unlinked */
    uint8_t *content;
    uint64_t len, room;
};

static struct fake_disk *of(struct disk *disk)
{
    return (struct fake_disk *)disk;
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool refused(struct fake_disk *fake, enum fake_call call)
{
    unsigned n = ++fake->calls[call], at = fake->fail_at[call];
    if (at == 0 || (n != at && !(fake->fail_on && n > at)))
        return false;
    errno = fake->error;
    return true;
}

static struct fake_change *log_change(struct fake_disk *fake, enum change_kind kind, size_t file)
{
    if (fake->change_count == fake->change_room) {
        fake->change_room = fake->change_room ? 2 * fake->change_room : 256;
        fake->changes = realloc(fake->changes, fake->change_room * sizeof *fake->changes);
        must(fake->changes);
    }
    struct fake_change *change = &fake->changes[fake->change_count++];
    *change = (struct fake_change){.kind = kind, .file = file};
    return change;
}

static size_t find(const struct fake_disk *fake, const char *name)
{
    for (size_t i = 0; i < fake->file_count; i++)
        if (strcmp(fake->files[i].name, name) == 0)
            return i;
    return NONE;
}

static size_t add_file(struct fake_disk *fake, const char *name)
{
    if (fake->file_count == fake->file_room) {
        fake->file_room = fake->file_room ? 2 * fake->file_room : 32;
        fake->files = realloc(fake->files, fake->file_room * sizeof *fake->files);
        must(fake->files);
    }
    struct fake_file *file = &fake->files[fake->file_count];
    *file = (struct fake_file){.room = 64, .content = calloc(1, 64)};
    snprintf(file->name, sizeof file->name, "%s", name);
    return fake->file_count++;
}

static void resize(struct fake_file *file, uint64_t len)
{
    if (len > file->room) {
        uint64_t room = len + len / 2;
        file->content = realloc(file->content, room);
        must(file->content);
        file->room = room;
    }
    if (len > file->len)
        memset(file->content + file->len, 0, len - file->len);
    file->len = len;
}

static void apply_write(struct fake_file *file, const uint8_t *data, size_t len, uint64_t offset)
{
    if (offset + len > file->len)
        resize(file, offset + len);
    if (len > 0)
        memcpy(file->content + offset, data, len);
}

static bool has_space(const struct fake_disk *fake, size_t file, uint64_t len)
{
    uint64_t total = 0;
    for (size_t i = 0; i < fake->file_count; i++)
        total += fake->files[i].name[0] && i != file ? fake->files[i].len : 0;
    if (fake->space == 0 || len <= fake->files[file].len || total + len <= fake->space)
        return true;
    errno = ENOSPC;
    return false;
}

static int fake_open(struct disk *disk, const char *name, int flags)
{
    struct fake_disk *fake = of(disk);
    if (refused(fake, FAKE_OPEN))
        return -1;
    size_t file = find(fake, name);
    if (file == NONE && !(flags & O_CREAT)) {
        errno = ENOENT;
        return -1;
    }
    if (file == NONE) {
        file = add_file(fake, name);
        snprintf(log_change(fake, NAMED, file)->to, 40, "%s", name);
    }
    if (flags & O_TRUNC && fake->files[file].len > 0) {
        resize(&fake->files[file], 0);
        log_change(fake, RESIZED, file)->offset = 0;
    }
    for (int i = 0; i < 64; i++)
        if (!fake->opened[i].used) {
            fake->opened[i] = (struct fake_open){.file = file, .used = true};
            return 1000 + i;
        }
    abort();
}

static size_t file_of(const struct fake_disk *fake, int fd)
{
    must(fd >= 1000 && fd < 1064 && fake->opened[fd - 1000].used);
    return fake->opened[fd - 1000].file;
}

static void fake_close(struct disk *disk, int fd)
{
    (void)file_of(of(disk), fd);
    of(disk)->opened[fd - 1000].used = false;
}

static ssize_t fake_read(struct disk *disk, int fd, void *buffer, size_t len, uint64_t offset)
{
    const struct fake_file *file = &of(disk)->files[file_of(of(disk), fd)];
    if (refused(of(disk), FAKE_READ))
        return -1;
    if (offset >= file->len)
        return 0;
    len = len < file->len - offset ? len : (size_t)(file->len - offset);
    memcpy(buffer, file->content + offset, len);
    return (ssize_t)len;
}

static bool fake_write(struct disk *disk, int fd, struct bytes data, uint64_t offset)
{
    struct fake_disk *fake = of(disk);
    size_t file = file_of(fake, fd);
    bool fails = refused(fake, FAKE_WRITE);
    if (!fails && !has_space(fake, file, offset + data.len))
        return false;
    if (fails) /* half of it may be there */
        data.len /= 2;
    struct fake_change *change = log_change(fake, WRITTEN, file);
    change->data = malloc(data.len ? data.len : 1);
    must(change->data);
    memcpy(change->data, data.ptr, data.len);
    change->len = data.len;
    change->offset = offset;
    apply_write(&fake->files[file], data.ptr, data.len, offset);
    return !fails;
}

static bool fake_sync(struct disk *disk, int fd)
{
    size_t file = file_of(of(disk), fd);
    bool fails = refused(of(disk), FAKE_SYNC);
    log_change(of(disk), fails ? SYNC_REFUSED : SYNCED, file);
    return !fails;
}

static bool fake_allocate(struct disk *disk, int fd, uint64_t len)
{
    struct fake_disk *fake = of(disk);
    size_t file = file_of(fake, fd);
    if (refused(fake, FAKE_ALLOCATE) || !has_space(fake, file, len))
        return false;
    if (len <= fake->files[file].len)
        return true;
    resize(&fake->files[file], len);
    log_change(fake, RESIZED, file)->offset = len;
    return true;
}

static bool fake_truncate(struct disk *disk, int fd, uint64_t len)
{
    struct fake_disk *fake = of(disk);
    size_t file = file_of(fake, fd);
    if (refused(fake, FAKE_TRUNCATE))
        return false;
    resize(&fake->files[file], len);
    log_change(fake, RESIZED, file)->offset = len;
    return true;
}

static int64_t fake_size(struct disk *disk, int fd)
{
    return (int64_t)of(disk)->files[file_of(of(disk), fd)].len;
}

static void apply_rename(struct fake_disk *fake, size_t file, const char *from, const char *to)
{
    size_t replaced = find(fake, to);
    if (replaced != NONE && replaced != file)
        fake->files[replaced].name[0] = 0;
    if (strcmp(fake->files[file].name, from) == 0 || fake->files[file].name[0] == 0)
        snprintf(fake->files[file].name, sizeof fake->files[file].name, "%s", to);
}

static bool fake_rename(struct disk *disk, const char *from, const char *to)
{
    struct fake_disk *fake = of(disk);
    if (refused(fake, FAKE_RENAME))
        return false;
    size_t file = find(fake, from);
    if (file == NONE) {
        errno = ENOENT;
        return false;
    }
    struct fake_change *change = log_change(fake, RENAMED, file);
    snprintf(change->name, sizeof change->name, "%s", from);
    snprintf(change->to, sizeof change->to, "%s", to);
    apply_rename(fake, file, from, to);
    return true;
}

static bool fake_unlink(struct disk *disk, const char *name)
{
    struct fake_disk *fake = of(disk);
    if (refused(fake, FAKE_UNLINK))
        return false;
    size_t file = find(fake, name);
    if (file == NONE) {
        errno = ENOENT;
        return false;
    }
    snprintf(log_change(fake, UNNAMED, file)->name, 40, "%s", name);
    fake->files[file].name[0] = 0;
    return true;
}

static bool fake_sync_folder(struct disk *disk)
{
    if (refused(of(disk), FAKE_SYNC_FOLDER))
        return false;
    log_change(of(disk), FOLDER_SYNCED, NONE);
    return true;
}

static bool fake_list(struct disk *disk, void (*told)(void *ctx, const char *name), void *ctx)
{
    struct fake_disk *fake = of(disk);
    if (refused(fake, FAKE_LIST))
        return false;
    for (size_t i = fake->file_count; i-- > 0;)
        if (fake->files[i].name[0])
            told(ctx, fake->files[i].name);
    return true;
}

struct fake_disk *fake_disk_new(void)
{
    struct fake_disk *fake = calloc(1, sizeof *fake);
    must(fake);
    fake->error = EIO;
    fake->disk = (struct disk){
        .open = fake_open,
        .close = fake_close,
        .read = fake_read,
        .write = fake_write,
        .sync = fake_sync,
        .allocate = fake_allocate,
        .truncate = fake_truncate,
        .size = fake_size,
        .rename = fake_rename,
        .unlink = fake_unlink,
        .sync_folder = fake_sync_folder,
        .list = fake_list,
    };
    return fake;
}

void fake_disk_free(struct fake_disk *fake)
{
    for (size_t i = 0; i < fake->change_count; i++)
        free(fake->changes[i].data);
    for (size_t i = 0; i < fake->file_count; i++)
        free(fake->files[i].content);
    free(fake->changes);
    free(fake->files);
    free(fake);
}

/* Of which nothing can be lost any more. */
static bool is_durable(const struct fake_disk *fake, size_t index, size_t changes)
{
    const struct fake_change *change = &fake->changes[index];
    bool of_folder = change->kind == NAMED || change->kind == RENAMED || change->kind == UNNAMED;
    for (size_t i = index + 1; i < changes; i++) {
        const struct fake_change *later = &fake->changes[i];
        if (of_folder ? later->kind == FOLDER_SYNCED : later->kind == SYNCED && later->file == change->file)
            return true;
        if (!of_folder && later->kind == SYNC_REFUSED && later->file == change->file)
            return false;
    }
    return false;
}

struct cut {
    enum fake_keep keep;
    size_t sectors, last;
    struct random *random;
};

static bool is_kept(const struct cut *cut, size_t index, size_t sector)
{
    switch (cut->keep) {
    case FAKE_KEEP_NONE:
        return false;
    case FAKE_KEEP_RANDOM:
        return random_below(cut->random, 2);
    case FAKE_KEEP_SECTORS:
        return index != cut->last || sector < cut->sectors;
    case FAKE_DROP_SECTORS:
        return index != cut->last || sector >= cut->sectors;
    default:
        return true;
    }
}

/* Sectors are those of the file, so what a write leaves is torn where the disk tears. */
static void redo_write(struct fake_disk *to, const struct fake_change *change, const struct cut *cut, size_t index,
                       bool durable)
{
    for (size_t done = 0, sector = 0, len; done < change->len; done += len, sector++) {
        len = SECTOR - (change->offset + done) % SECTOR;
        len = len < change->len - done ? len : change->len - done;
        if (durable || is_kept(cut, index, sector))
            apply_write(&to->files[change->file], change->data + done, len, change->offset + done);
    }
}

static void redo(struct fake_disk *to, const struct fake_change *change, const struct cut *cut, size_t index,
                 bool durable)
{
    if (change->kind == WRITTEN) {
        redo_write(to, change, cut, index, durable);
        return;
    }
    if (!durable && !is_kept(cut, index, 0))
        return;
    switch (change->kind) {
    case NAMED:
    case RENAMED:
        apply_rename(to, change->file, change->name, change->to);
        break;
    case UNNAMED:
        if (strcmp(to->files[change->file].name, change->name) == 0)
            to->files[change->file].name[0] = 0;
        break;
    case RESIZED:
        resize(&to->files[change->file], change->offset);
        break;
    default:
        break;
    }
}

struct fake_disk *fake_disk_after_cut(const struct fake_disk *fake, size_t changes, enum fake_keep keep,
                                      size_t sectors, struct random *random)
{
    struct fake_disk *to = fake_disk_new();
    struct cut cut = {.keep = keep, .sectors = sectors, .last = changes - 1, .random = random};
    for (size_t i = 0; i < fake->file_count; i++)
        add_file(to, "");
    for (size_t i = 0; i < changes; i++)
        redo(to, &fake->changes[i], &cut, i, is_durable(fake, i, changes));
    return to;
}

size_t fake_disk_torn_sectors(const struct fake_disk *fake, size_t changes)
{
    const struct fake_change *last = changes ? &fake->changes[changes - 1] : NULL;
    if (!last || last->kind != WRITTEN || last->len == 0)
        return 0;
    return (size_t)((last->offset + last->len - 1) / SECTOR - last->offset / SECTOR) + 1;
}

struct fake_disk *fake_disk_copy(const struct fake_disk *fake)
{
    struct fake_disk *to = fake_disk_new();
    for (size_t i = 0; i < fake->file_count; i++)
        if (fake->files[i].name[0]) {
            size_t file = add_file(to, fake->files[i].name);
            apply_write(&to->files[file], fake->files[i].content, (size_t)fake->files[i].len, 0);
        }
    return to;
}

uint8_t *fake_disk_content(struct fake_disk *fake, const char *name, uint64_t **ret_len)
{
    size_t file = find(fake, name);
    if (file == NONE)
        return NULL;
    *ret_len = &fake->files[file].len;
    return fake->files[file].content;
}

void fake_disk_put(struct fake_disk *fake, const char *name, struct bytes content)
{
    int fd = fake_open(&fake->disk, name, O_RDWR | O_CREAT | O_TRUNC);
    must(fd >= 0 && fake_write(&fake->disk, fd, content, 0) && fake_sync(&fake->disk, fd));
    must(fake_sync_folder(&fake->disk));
    fake_close(&fake->disk, fd);
}

size_t fake_disk_open_count(const struct fake_disk *fake)
{
    size_t count = 0;
    for (unsigned i = 0; i < 64; i++)
        count += fake->opened[i].used;
    return count;
}
