// SPDX-License-Identifier: GPL-3.0-or-later
/* A token bucket kept as one moment: each failure moves "all forgiven" by one refill into the future. */
#include "proxy/http_backoff.h"

struct bytes http_backoff_client(const struct address *address)
{
    if (address->any.sa_family == AF_INET6)
        return bytes_of(&address->in6.sin6_addr, 8);
    return bytes_of(&address->in.sin_addr, 4);
}

void http_backoff_init(struct http_backoff *backoff, const struct hash_key *key)
{
    *backoff = (struct http_backoff){.key = *key};
}

static uint64_t hash_of(const struct http_backoff *backoff, const struct address *address)
{
    uint64_t hash = hash_bytes(&backoff->key, http_backoff_client(address));
    return hash ? hash : 1;
}

int64_t http_backoff_wait_s(const struct http_backoff *backoff, const struct address *address, uint64_t now_ms)
{
    const uint64_t hash = hash_of(backoff, address);
    const struct http_backoff_entry *set = backoff->entries[hash % HTTP_BACKOFF_SETS];
    const uint64_t full_ms = now_ms + (HTTP_BACKOFF_FAILURES_MAX - 1) * HTTP_BACKOFF_REFILL_MS;
    for (size_t i = 0; i < HTTP_BACKOFF_WAYS; i++)
        if (set[i].address_hash == hash && set[i].forgiven_ms > full_ms)
            return (int64_t)((set[i].forgiven_ms - full_ms + 999) / 1000);
    return 0;
}

void http_backoff_failed(struct http_backoff *backoff, const struct address *address, uint64_t now_ms)
{
    const uint64_t hash = hash_of(backoff, address);
    struct http_backoff_entry *set = backoff->entries[hash % HTTP_BACKOFF_SETS], *entry = &set[0];
    for (size_t i = 0; i < HTTP_BACKOFF_WAYS; i++) {
        if (set[i].address_hash == hash) {
            entry = &set[i];
            break;
        }
        if (set[i].forgiven_ms < entry->forgiven_ms)
            entry = &set[i];
    }
    if (entry->address_hash != hash || entry->forgiven_ms < now_ms)
        *entry = (struct http_backoff_entry){hash, now_ms};
    entry->forgiven_ms += HTTP_BACKOFF_REFILL_MS;
}

int64_t http_backoff_try(struct http_backoff *backoff, const struct address *address, uint64_t now_ms)
{
    int64_t wait_s = http_backoff_wait_s(backoff, address, now_ms);
    if (wait_s == 0)
        http_backoff_failed(backoff, address, now_ms);
    return wait_s;
}
