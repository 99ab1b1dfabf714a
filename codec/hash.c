// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * SipHash-1-3 (Aumasson and Bernstein; one round per word, three at the end, the parameters that Rust, Ruby
 * and Python chose for hash tables). The result does not depend on the byte order of the machine.
 */
#include "codec/hash.h"

#include <endian.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(struct state *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* One load where the loop below would be eight: most of a hash is here. */
static uint64_t whole_word(const uint8_t *ptr)
{
    uint64_t word;
    memcpy(&word, ptr, sizeof word);
    return le64toh(word);
}

static uint64_t little_endian(const uint8_t *ptr, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)ptr[i] << (8 * i);
    return word;
}

uint64_t hash_bytes(const struct hash_key *key, struct bytes input)
{
    struct state s = {
        .v0 = key->k0 ^ 0x736f6d6570736575,
        .v1 = key->k1 ^ 0x646f72616e646f6d,
        .v2 = key->k0 ^ 0x6c7967656e657261,
        .v3 = key->k1 ^ 0x7465646279746573,
    };
    size_t whole = input.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8)
        absorb(&s, whole_word(input.ptr + i));

    size_t rest = input.len - whole;
    uint64_t tail = rest ? little_endian(input.ptr + whole, rest) : 0;
    absorb(&s, tail | (uint64_t)input.len << 56);

    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_parts(const struct hash_key *key, const struct bytes *parts, size_t count)
{
    /* The hash of each run keys that of the next: no bytes can move over a border unnoticed. */
    struct hash_key next = *key;
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        hash = hash_bytes(&next, parts[i]);
        next = (struct hash_key){key->k0 ^ hash, ~next.k1};
    }
    return hash;
}

uint64_t hash_pair(const struct hash_key *key, struct bytes a, struct bytes b)
{
    const struct bytes parts[] = {a, b};
    return hash_parts(key, parts, 2);
}
