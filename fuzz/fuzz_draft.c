// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Lines of an import from anybody who may import: a device with its keys. Property: what is refused has a place and a
 * sentence; what is taken is a record that Redis' form keeps, and written as a line it is read as the same.
 */
#include "codec/json.h"
#include "gateway/draft.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool so)
{
    if (!so)
        abort();
}

static bool read_line(struct bytes line, struct arena *arena, struct draft_device *ret)
{
    const struct format_limits limits = DRAFT_LIMITS;
    const struct node *map;
    struct refusal refusal;
    struct draft_error error = {.detail = NULL};
    struct draft_rules rules = {.payload = line, .arena = arena, .now_s = 1};
    draft_begin_device(ret, BYTES_LITERAL("acme"));
    if (!json_read(line, &limits, arena, &map, &refusal))
        return false;
    bool ok = draft_read_device(map, &rules, true, ret, &error);
    require(ok || (error.detail && strlen(error.pointer) < DRAFT_POINTER_MAX));
    return ok;
}

static void try_again(struct draft_device *one, struct arena *arena)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct record_room room;
    struct device_record record;
    struct draft_device *two = arena_alloc(arena, sizeof *two);
    struct report report;
    struct bytes line = {0};
    size_t count = record_of_device(&one->record, NULL, fields, scratch);
    require(count > 0 && record_to_device(BYTES_LITERAL("acme"), bytes_of_text(one->record.id), fields, count, NULL,
                                          &room, &record));
    report_init(&report, arena, false);
    require(two && draft_write_device(&report, &one->record, DRAFT_NO_KEYS, NULL) && report_finish(&report, &line));
    require(read_line(line, arena, two));
    require(strcmp(one->record.site, two->record.site) == 0 && strcmp(one->record.id, two->record.id) == 0 &&
            one->record.role == two->record.role && one->record.created_s == two->record.created_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct draft_device *draft = arena ? arena_alloc(arena, sizeof *draft) : NULL;
    if (draft && read_line(bytes_of(data, size), arena, draft))
        try_again(draft, arena);
    arena_free(arena);
    return 0;
}
