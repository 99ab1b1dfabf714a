// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Fetch and patch packs. An input is read as JSON and as CBOR, as a fetch and as a patch, and applied to a target of its
 * own making. What must hold: a refusal leaves the result alone and says why; a fetch record selects what it describes,
 * and what is selected is in the order of the target; a record that adds or replaces is always a change, one that
 * removes only after another.
 */
#include "codec/etch.h"
#include "fuzz/codec_property.h"

#define RECORDS_MAX 64 /* of one pack: a target is as large */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum outcome read_pack(int content_format, const struct format_input *input, struct arena *arena,
                               struct etch_pack *ret, struct format_error *reterr);

static bool read_checked(read_pack *read, int format, const struct format_input *input, struct arena *arena,
                         struct etch_pack *ret)
{
    struct format_error error = {NULL, 0};
    *ret = (struct etch_pack){.count = 77};
    enum outcome outcome = read(format, input, arena, ret, &error);
    if (outcome == OUTCOME_CHANGED) {
        property_holds(ret->count > 0 && ret->count <= RECORDS_MAX);
        return true;
    }
    property_holds(outcome_row(outcome)->coap_code >= OUTCOME_COAP(4, 0));
    property_holds(!ret->items && ret->count == 77);
    property_holds(error.detail && (error.offset == SIZE_MAX || error.offset <= input->payload.len));
    return false;
}

/* Every record of the pack that is whole. */
static struct observation_list target_of(const struct etch_pack *pack, struct arena *arena)
{
    struct observation_list list = {.items = arena_calloc(arena, pack->count, sizeof(*list.items))};
    property_holds(list.items);
    for (size_t i = 0; i < pack->count; i++) {
        if (!pack->items[i].removes)
            list.items[list.count++] = pack->items[i].observation;
    }
    return list;
}

static void check_fetch(const struct etch_pack *fetch, struct arena *arena)
{
    struct observation_list target = target_of(fetch, arena), selected;
    property_holds(etch_select(fetch, &target, arena, &selected));
    property_holds(selected.count == target.count); /* each is selected by the record it was made of */
    for (size_t i = 0; i < selected.count; i++)
        property_same(&selected.items[i], &target.items[i]);
}

static void check_patch(const struct etch_pack *patch, struct arena *arena)
{
    struct observation_list nothing = {0}, target = target_of(patch, arena);
    struct etch_changes changes;
    struct format_error error = {NULL, 0};
    for (size_t i = 0; i < patch->count; i++) {
        property_holds(senml_name_is_valid(patch->items[i].observation.name));
        if (!patch->items[i].removes)
            property_observation(&patch->items[i].observation);
    }
    if (etch_apply(patch, &nothing, arena, &changes, &error) == OUTCOME_CHANGED) {
        property_holds(changes.count >= target.count && changes.count <= patch->count);
        property_holds(changes.count == 0 || !changes.items[0].record->removes);
    } else {
        property_holds(error.detail);
    }
    (void)etch_apply(patch, &target, arena, &changes, &error);
}

static void check(int format, const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    struct etch_pack pack;
    property_holds(exact && arena);
    if (size)
        memcpy(exact, data, size);
    struct format_input input = {.payload = {exact, size},
                                 .now = {1763692800, 125000000},
                                 .limits = {.depth = 16, .items = 4096, .records = RECORDS_MAX}};
    if (read_checked(etch_read_fetch, format, &input, arena, &pack))
        check_fetch(&pack, arena);
    if (read_checked(etch_read_patch, format, &input, arena, &pack))
        check_patch(&pack, arena);
    arena_free(arena);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(CONTENT_FORMAT_ETCH_JSON, data, size);
    check(CONTENT_FORMAT_ETCH_CBOR, data, size);
    return 0;
}
