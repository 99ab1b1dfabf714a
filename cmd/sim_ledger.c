// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Both sides become sorted lists of (device, seq) in 8 bytes each; comparing is then one walk over the two. The stream
 * is read in pages of XRANGE, so memory grows with the run and not with the stream.
 */
#include "cmd/sim_ledger.h"

#include "gateway/store.h"
#include "registry/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_TIMEOUT_MS 60000
#define PAGE "2000"
#define LINE_MAX_BYTES 128

struct sim_ledger {
    FILE *file;
};

struct list {
    uint64_t *items; /* device << 32 | seq */
    size_t count, room;
};

size_t sim_device_name(char ret[static SIM_DEVICE_NAME_MAX], uint32_t device)
{
    return (size_t)snprintf(ret, SIM_DEVICE_NAME_MAX, "sim-%06" PRIu32, device + 1);
}

bool sim_device_parse(struct bytes name, uint32_t *ret)
{
    uint64_t number = 0;
    if (name.len < 10 || name.len > 13 || memcmp(name.ptr, "sim-", 4) != 0)
        return false;
    for (size_t i = 4; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9')
            return false;
        number = number * 10 + (name.ptr[i] - '0');
    }
    if (number == 0)
        return false;
    *ret = (uint32_t)(number - 1);
    return true;
}

struct sim_ledger *sim_ledger_new(const char *path, const char *tenant, const char *name,
                                  char reterr[static SIM_LEDGER_ERROR_MAX])
{
    struct sim_ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger && (ledger->file = fopen(path, "w"))) {
        fprintf(ledger->file, "{\"tenant\": \"%s\", \"name\": \"%s\"}\n", tenant, name);
        return ledger;
    }
    snprintf(reterr, SIM_LEDGER_ERROR_MAX, "cannot write %s: %s", path, strerror(errno));
    free(ledger);
    return NULL;
}

bool sim_ledger_free(struct sim_ledger *ledger)
{
    if (!ledger)
        return true;
    bool ok = !ferror(ledger->file);
    ok &= fclose(ledger->file) == 0;
    free(ledger);
    return ok;
}

void sim_ledger_add(struct sim_ledger *ledger, uint32_t device, uint32_t seq, const char *level)
{
    char name[SIM_DEVICE_NAME_MAX];
    sim_device_name(name, device);
    fprintf(ledger->file, "%s %" PRIu32 "%s%s\n", name, seq, level ? " " : "", level ? level : "");
}

static bool list_add(struct list *list, uint32_t device, uint32_t seq)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 4096;
        uint64_t *items = realloc(list->items, room * sizeof *items);
        if (!items)
            return false;
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = (uint64_t)device << 32 | seq;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void list_sort(struct list *list)
{
    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, compare);
}

static bool parse_seq(struct bytes text, uint32_t *ret)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret = (uint32_t)value;
    return value <= UINT32_MAX;
}

static bool add_line(struct list *list, const char *line)
{
    const char *space = strchr(line, ' ');
    uint32_t device, seq;
    if (!space || !sim_device_parse(bytes_of(line, (size_t)(space - line)), &device) ||
        !parse_seq(bytes_of(space + 1, strcspn(space + 1, " \n")), &seq))
        return false;
    return list_add(list, device, seq);
}

static bool read_ledger(const char *path, char tenant[static SCHEMA_TENANT_MAX + 1],
                        char name[static SIM_LEDGER_NAME_MAX], struct list *ret,
                        char reterr[static SIM_LEDGER_ERROR_MAX])
{
    FILE *file = fopen(path, "r");
    if (!file) {
        snprintf(reterr, SIM_LEDGER_ERROR_MAX, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    char line[LINE_MAX_BYTES];
    bool ok = fgets(line, sizeof line, file) &&
              sscanf(line, "{\"tenant\": \"%32[^\"]\", \"name\": \"%31[^\"]\"}", tenant, name) == 2;
    while (ok && fgets(line, sizeof line, file) && strchr(line, '\n'))
        ok = add_line(ret, line);
    if (!ok)
        snprintf(reterr, SIM_LEDGER_ERROR_MAX, "%s is not a ledger of weir sim", path);
    fclose(file);
    return ok;
}

/* One entry [id, [field, value, ...]] of the run becomes (device, seq); others are passed over. */
static bool add_entry(struct list *list, const struct store_reply *entry, const char *name)
{
    struct bytes device = {0}, observation = {0}, value = {0};
    const struct store_reply *fields = &entry->items[1];
    for (size_t i = 0; i + 1 < fields->count; i += 2) {
        if (bytes_equal_text(fields->items[i].text, "d"))
            device = fields->items[i + 1].text;
        else if (bytes_equal_text(fields->items[i].text, "n"))
            observation = fields->items[i + 1].text;
        else if (bytes_equal_text(fields->items[i].text, "v"))
            value = fields->items[i + 1].text;
    }
    uint32_t index, seq;
    if (!bytes_equal_text(observation, name) || !sim_device_parse(device, &index) || !parse_seq(value, &seq))
        return true;
    return list_add(list, index, seq);
}

static bool read_page(struct store_client *client, struct bytes key, char start[static 64], const char *name,
                      struct list *ret, size_t *ret_count)
{
    const struct bytes arguments[] = {BYTES_LITERAL("XRANGE"), key, bytes_of_text(start), BYTES_LITERAL("+"),
                                      BYTES_LITERAL("COUNT"), BYTES_LITERAL(PAGE)};
    const struct store_reply *page = store_client_call(client, arguments, sizeof arguments / sizeof arguments[0]);
    if (!page || page->type != STORE_LIST)
        return false;
    for (size_t i = 0; i < page->count; i++) {
        const struct store_reply *entry = &page->items[i];
        if (entry->type != STORE_LIST || entry->count != 2 || !add_entry(ret, entry, name))
            return false;
        snprintf(start, 64, "(%.*s", (int)entry->items[0].text.len, (const char *)entry->items[0].text.ptr);
    }
    *ret_count = page->count;
    return true;
}

static bool read_stream(const struct store_target *redis, const char *tenant, const char *name, struct list *ret,
                        char reterr[static SIM_LEDGER_ERROR_MAX])
{
    struct store_client *client = store_client_open_target(redis, STORE_TIMEOUT_MS, reterr);
    if (!client)
        return false;
    char key[SCHEMA_KEY_MAX], start[64] = "-";
    size_t key_len = schema_key(key, bytes_of_text(tenant), "obs"), count;
    bool ok;
    do {
        ok = read_page(client, bytes_of(key, key_len), start, name, ret, &count);
    } while (ok && count > 0);
    if (!ok)
        snprintf(reterr, SIM_LEDGER_ERROR_MAX, "cannot read %s from %s", key, redis->address);
    store_client_close(client);
    return ok;
}

static size_t run_length(const struct list *list, size_t at)
{
    size_t end = at + 1;
    while (end < list->count && list->items[end] == list->items[at])
        end++;
    return end - at;
}

static struct sim_ledger_result compare_lists(const struct list *ledger, const struct list *stream)
{
    struct sim_ledger_result result = {.acknowledged = ledger->count, .stored = stream->count};
    size_t s = 0;
    for (size_t l = 0; l < ledger->count; l++) {
        while (s < stream->count && stream->items[s] < ledger->items[l])
            s++;
        result.lost += s == stream->count || stream->items[s] != ledger->items[l];
    }
    for (size_t i = 0; i < stream->count;) {
        size_t run = run_length(stream, i);
        result.doubled += run > 1;
        i += run;
    }
    return result;
}

bool sim_ledger_check(const char *path, const struct store_target *redis, const char *tenant,
                      struct sim_ledger_result *ret, char reterr[static SIM_LEDGER_ERROR_MAX])
{
    char own_tenant[SCHEMA_TENANT_MAX + 1], name[SIM_LEDGER_NAME_MAX];
    struct list ledger = {0}, stream = {0};
    bool ok = read_ledger(path, own_tenant, name, &ledger, reterr) &&
              read_stream(redis, tenant ? tenant : own_tenant, name, &stream, reterr);
    if (ok) {
        list_sort(&ledger);
        list_sort(&stream);
        *ret = compare_lists(&ledger, &stream);
    }
    free(ledger.items);
    free(stream.items);
    return ok;
}
