// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by registry: the lookups once for each message of a device that has a profile, the rest by its one writer.
 *
 * An entry never changes once it is published. A codec is compiled here, in the writer's thread, so that no message
 * waits for it and none is read by one whose examples do not hold.
 */
#include "registry/speech.h"

#include "codec/arena.h"
#include "codec/custom.h"

#include <stdio.h>
#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

/* What trying the examples of one codec may take. */
#define CHECK_MEMORY_BYTES ((size_t)4 << 20)

struct profile_entry {
    struct rcu_head rcu;
    uint32_t generation; /* of the last put; of the writer */
    struct profile_record record;
};

struct codec_entry {
    struct rcu_head rcu;
    uint32_t generation;
    struct codec_record record; /* its definition is the one below */
    struct custom *custom;
    char fault[2 * CUSTOM_TEXT_MAX + 8]; /* why custom is NULL */
    uint8_t definition[];
};

static void free_profile(struct rcu_head *head)
{
    free(caa_container_of(head, struct profile_entry, rcu));
}

static void free_codec(struct rcu_head *head)
{
    struct codec_entry *codec = caa_container_of(head, struct codec_entry, rcu);
    custom_free(codec->custom);
    free(codec);
}

static bool is_profile(const void *entry, const void *key)
{
    const struct profile_entry *profile = entry;
    const struct speech_key *wanted = key;
    return bytes_equal_text(wanted->id, profile->record.id) && bytes_equal_text(wanted->tenant, profile->record.tenant);
}

static bool is_codec(const void *entry, const void *key)
{
    const struct codec_entry *codec = entry;
    const struct speech_key *wanted = key;
    return bytes_equal_text(wanted->id, codec->record.id) && bytes_equal_text(wanted->tenant, codec->record.tenant);
}

/* Lifecycle. */

bool speech_init(struct speech *speech)
{
    speech->profile_count = speech->codec_count = 0;
    return table_init(&speech->profiles) && table_init(&speech->codecs);
}

void speech_deinit(struct speech *speech)
{
    struct profile_entry *profile;
    for (size_t cursor = 0; speech->profiles.slots && (profile = table_next(&speech->profiles, &cursor));)
        free_profile(&profile->rcu);
    struct codec_entry *codec;
    for (size_t cursor = 0; speech->codecs.slots && (codec = table_next(&speech->codecs, &cursor));)
        free_codec(&codec->rcu);
    table_deinit(&speech->profiles);
    table_deinit(&speech->codecs);
}

static void count_all(struct speech *speech)
{
    __atomic_store_n(&speech->profile_count, speech->profiles.used, __ATOMIC_RELAXED);
    __atomic_store_n(&speech->codec_count, speech->codecs.used, __ATOMIC_RELAXED);
}

/* Lookups. */

const struct profile_record *speech_profile(const struct speech *speech, uint64_t hash, const struct speech_key *key)
{
    const struct profile_entry *profile = table_find(&speech->profiles, hash, is_profile, key);
    return profile ? &profile->record : NULL;
}

bool speech_codec(const struct speech *speech, uint64_t hash, const struct speech_key *key, struct registry_codec *ret)
{
    const struct codec_entry *codec = table_find(&speech->codecs, hash, is_codec, key);
    if (!codec)
        return false;
    *ret = (struct registry_codec){
        .custom = codec->custom,
        .quarantined = codec->record.quarantined,
        .reason = codec->custom ? codec->record.reason : codec->fault,
        .record = &codec->record,
    };
    return true;
}

/* Puts. */

bool speech_put_profile(struct speech *speech, uint64_t hash, const struct profile_record *record, uint32_t generation)
{
    struct speech_key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    struct profile_entry *fresh = table_reserve(&speech->profiles, 1) ? calloc(1, sizeof *fresh) : NULL;
    if (!fresh)
        return false;
    fresh->generation = generation;
    fresh->record = *record;
    struct profile_entry *old = table_put(&speech->profiles, hash, is_profile, &key, fresh);
    count_all(speech);
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_profile);
    return true;
}

static bool is_same(const struct codec_record *a, const struct codec_record *b)
{
    return a->quarantined == b->quarantined && a->created_s == b->created_s && strcmp(a->reason, b->reason) == 0 &&
           strcmp(a->witnesses, b->witnesses) == 0 && bytes_equal(a->definition, b->definition);
}

static void set_fault(struct codec_entry *codec, const struct custom_error *error)
{
    snprintf(codec->fault, sizeof codec->fault, "%s%s%s", error->pointer, error->pointer[0] ? ": " : "", error->detail);
}

/* Sets custom, or fault. False: out of memory. */
static bool compile(struct codec_entry *codec)
{
    struct arena *arena = arena_new(CHECK_MEMORY_BYTES);
    struct custom_error error = {0};
    if (!arena)
        return false;
    codec->custom = custom_compile(codec->record.definition, &error);
    if (codec->custom && !bytes_equal_text(custom_name(codec->custom), codec->record.id)) {
        snprintf(error.detail, sizeof error.detail, "its name is not \"%s\"", codec->record.id);
        snprintf(error.pointer, sizeof error.pointer, "/name");
    } else if (codec->custom && custom_check(codec->custom, arena, &error)) {
        arena_free(arena);
        return true;
    }
    set_fault(codec, &error);
    custom_free(codec->custom);
    codec->custom = NULL;
    arena_free(arena);
    return true;
}

static struct codec_entry *make_codec(const struct codec_record *record, uint32_t generation)
{
    struct codec_entry *codec = calloc(1, sizeof *codec + record->definition.len);
    if (!codec)
        return NULL;
    codec->generation = generation;
    codec->record = *record;
    if (record->definition.len)
        memcpy(codec->definition, record->definition.ptr, record->definition.len);
    codec->record.definition = bytes_of(codec->definition, record->definition.len);
    if (compile(codec))
        return codec;
    free_codec(&codec->rcu);
    return NULL;
}

bool speech_put_codec(struct speech *speech, uint64_t hash, const struct codec_record *record, uint32_t generation)
{
    struct speech_key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    struct codec_entry *old = table_find(&speech->codecs, hash, is_codec, &key);
    if (old && is_same(&old->record, record)) {
        old->generation = generation;
        return true;
    }
    struct codec_entry *fresh = table_reserve(&speech->codecs, 1) ? make_codec(record, generation) : NULL;
    if (!fresh)
        return false;
    table_put(&speech->codecs, hash, is_codec, &key, fresh);
    count_all(speech);
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_codec);
    return true;
}

/* Removals. */

static void drop_profile(struct speech *speech, uint64_t hash, struct profile_entry *profile)
{
    table_remove(&speech->profiles, hash, profile);
    count_all(speech);
    urcu_qsbr_call_rcu(&profile->rcu, free_profile);
}

static void drop_codec(struct speech *speech, uint64_t hash, struct codec_entry *codec)
{
    table_remove(&speech->codecs, hash, codec);
    count_all(speech);
    urcu_qsbr_call_rcu(&codec->rcu, free_codec);
}

void speech_remove_profile(struct speech *speech, uint64_t hash, const struct speech_key *key)
{
    struct profile_entry *profile = table_find(&speech->profiles, hash, is_profile, key);
    if (profile)
        drop_profile(speech, hash, profile);
}

void speech_remove_codec(struct speech *speech, uint64_t hash, const struct speech_key *key)
{
    struct codec_entry *codec = table_find(&speech->codecs, hash, is_codec, key);
    if (codec)
        drop_codec(speech, hash, codec);
}

/* What goes: all of a tenant, or, without one, what is of another generation. */
struct doomed {
    struct bytes tenant;
    uint32_t generation;
    speech_hash_fn *hash_of;
    const void *ctx;
};

static bool goes(const struct doomed *doomed, const char *tenant, uint32_t generation)
{
    return doomed->tenant.len ? bytes_equal_text(doomed->tenant, tenant) : generation != doomed->generation;
}

static void remove_doomed(struct speech *speech, const struct doomed *doomed)
{
    struct profile_entry *profile;
    for (size_t cursor = 0; (profile = table_next(&speech->profiles, &cursor));) {
        struct speech_key key = {bytes_of_text(profile->record.tenant), bytes_of_text(profile->record.id)};
        if (goes(doomed, profile->record.tenant, profile->generation))
            drop_profile(speech, doomed->hash_of(doomed->ctx, &key), profile);
    }
    struct codec_entry *codec;
    for (size_t cursor = 0; (codec = table_next(&speech->codecs, &cursor));) {
        struct speech_key key = {bytes_of_text(codec->record.tenant), bytes_of_text(codec->record.id)};
        if (goes(doomed, codec->record.tenant, codec->generation))
            drop_codec(speech, doomed->hash_of(doomed->ctx, &key), codec);
    }
}

void speech_remove_tenant(struct speech *speech, struct bytes tenant, speech_hash_fn *hash_of, const void *ctx)
{
    if (tenant.len)
        remove_doomed(speech, &(struct doomed){.tenant = tenant, .hash_of = hash_of, .ctx = ctx});
}

void speech_sweep(struct speech *speech, uint32_t generation, speech_hash_fn *hash_of, const void *ctx)
{
    remove_doomed(speech, &(struct doomed){.generation = generation, .hash_of = hash_of, .ctx = ctx});
}
