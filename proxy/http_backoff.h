// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who guesses tokens has to wait: a budget of failures per address (IPv6: per /64), refilled with time.
 *
 * Fixed size: a set-associative table. When more addresses fail than fit, the one with the most budget left is
 * forgotten, so that an attacker with many addresses frees guesses of others at worst, never memory. Pure; time comes
 * in.
 */
#pragma once

#include "codec/hash.h"
#include "gateway/address.h"

#define HTTP_BACKOFF_FAILURES_MAX 10
#define HTTP_BACKOFF_REFILL_MS 6000 /* one failure is forgiven after this: 10 a minute */
#define HTTP_BACKOFF_SETS 256
#define HTTP_BACKOFF_WAYS 4

struct http_backoff {
    struct hash_key key;
    struct http_backoff_entry {
        uint64_t address_hash; /* 0: free */
        uint64_t forgiven_ms;  /* when all failures are forgiven */
    } entries[HTTP_BACKOFF_SETS][HTTP_BACKOFF_WAYS];
};

/* The bytes that make an address one client: IPv4 whole, IPv6 the first 64 bits. Borrows from the address. */
struct bytes http_backoff_client(const struct address *address);

void http_backoff_init(struct http_backoff *backoff, const struct hash_key *key);
/* 0: may try; else seconds until it may. */
int64_t http_backoff_wait_s(const struct http_backoff *backoff, const struct address *address, uint64_t now_ms);
void http_backoff_failed(struct http_backoff *backoff, const struct address *address, uint64_t now_ms);
/* A failure: counted if another try was free. 0, or seconds until the next one is. */
int64_t http_backoff_try(struct http_backoff *backoff, const struct address *address, uint64_t now_ms);
