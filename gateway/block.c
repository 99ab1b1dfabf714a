// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A block fits when it begins where the bytes so far end; block numbers are only a way to say the offset, so that a
 * client may change the block size at any time (RFC 7959 2.4). The last block taken may come again with the same bytes,
 * everything else that does not fit is 4.08, and leaves what is there untouched for a client that only mixed up order.
 */
#include "gateway/block.h"

#include <stdlib.h>

enum transfer_state {
    TRANSFER_COLLECTING,
    TRANSFER_RUNNING,  /* whole, not answered yet */
    TRANSFER_ANSWERED, /* code and rest are the final answer */
};

TAILQ_HEAD(transfer_queue, block_transfer);

struct block_transfer {
    struct block_table *table;
    struct exchange_attachments *of;
    TAILQ_ENTRY(block_transfer) queued;
    struct transfer_queue *queue; /* NULL: running */
    struct timer timer;
    uint64_t key;
    uint64_t begun_ms;
    uint64_t last_fingerprint; /* of the payload of the last block */
    size_t last_offset;
    uint8_t *octets; /* the body, later the rest of the answer */
    size_t len, room;
    uint32_t serial;
    enum transfer_state state;
    bool secure, if_none_match;
    uint8_t code;
};

struct block_table {
    struct block_environment env;
    struct transfer_queue answered;      /* by the time of the answer */
    struct transfer_queue collecting[2]; /* by begun_ms; [1]: of DTLS peers */
    size_t bytes;
    uint32_t last_serial;
};

bool block_option_read(uint32_t value, struct block_option *ret)
{
    *ret = (struct block_option){.num = value >> 4, .more = value >> 3 & 1, .szx = value & 7};
    return ret->szx <= BLOCK_SZX_MAX;
}

uint32_t block_option_value(struct block_option option)
{
    return option.num << 4 | (uint32_t)option.more << 3 | option.szx;
}

/* Lives of transfers */

static void put_on(struct block_transfer *transfer, struct transfer_queue *queue)
{
    if (transfer->queue)
        TAILQ_REMOVE(transfer->queue, transfer, queued);
    if (queue)
        TAILQ_INSERT_TAIL(queue, transfer, queued);
    transfer->queue = queue;
}

static void release(struct block_transfer *transfer)
{
    struct block_table *table = transfer->table;
    timers_cancel(table->env.timers, &transfer->timer);
    put_on(transfer, NULL);
    if (transfer->state == TRANSFER_COLLECTING)
        metrics_add(table->env.metrics, METRIC_BLOCK_ABORTED, 1);
    table->bytes -= sizeof *transfer + transfer->room;
    transfer->of->transfer = NULL;
    free(transfer->octets);
    free(transfer);
}

static void time_out(struct timer *timer)
{
    release((struct block_transfer *)(void *)((char *)timer - offsetof(struct block_transfer, timer)));
}

/* Until the whole body must be there, or EXCHANGE_LIFETIME after its last block (RFC 7959 2.4). */
static void wait_for_next(struct block_transfer *transfer)
{
    const struct block_environment *env = &transfer->table->env;
    uint64_t idle_ms = timers_now(env->timers) + EXCHANGE_LIFETIME_S * 1000;
    uint64_t whole_ms = transfer->begun_ms + env->settings->body_timeout_s * 1000;
    bool waits = transfer->state == TRANSFER_COLLECTING;
    timers_set(env->timers, &transfer->timer, waits && whole_ms < idle_ms ? whole_ms : idle_ms);
}

static struct block_transfer *oldest_but(const struct transfer_queue *queue, const struct block_transfer *spared)
{
    struct block_transfer *oldest = TAILQ_FIRST(queue);
    return oldest && oldest == spared ? TAILQ_NEXT(oldest, queued) : oldest;
}

/* Ends older transfers until there is room for so many bytes more: first those that are only remembered. */
static bool charge(struct block_table *table, size_t bytes, bool secure, const struct block_transfer *spared)
{
    while (table->bytes + bytes > table->env.settings->bodies_max_bytes) {
        struct block_transfer *victim = oldest_but(&table->answered, spared);
        if (!victim)
            victim = oldest_but(&table->collecting[0], spared);
        if (!victim && secure)
            victim = oldest_but(&table->collecting[1], spared);
        if (!victim)
            return false;
        release(victim);
    }
    table->bytes += bytes;
    return true;
}

static struct block_transfer *begin(struct block_table *table, const struct block_request *request)
{
    struct exchange_attachments *of = exchange_attach(table->env.exchanges, request->peer);
    if (!of)
        return NULL;
    if (of->transfer)
        release(of->transfer);
    if (!charge(table, sizeof *of->transfer, request->peer->secure, NULL))
        return NULL;
    struct block_transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) {
        table->bytes -= sizeof *transfer;
        return NULL;
    }
    transfer->table = table;
    transfer->of = of;
    transfer->timer.fire = time_out;
    transfer->key = request->key;
    transfer->begun_ms = timers_now(table->env.timers);
    transfer->secure = request->peer->secure;
    transfer->if_none_match = request->if_none_match;
    if (++table->last_serial == 0)
        table->last_serial = 1;
    transfer->serial = table->last_serial;
    put_on(transfer, &table->collecting[transfer->secure]);
    of->transfer = transfer;
    return transfer;
}

/* Doubles the room, within the limit of the body, if it does not suffice. */
static bool grow(struct block_transfer *transfer, size_t needed, size_t limit)
{
    if (needed <= transfer->room)
        return true;
    size_t room = transfer->room * 2;
    if (room < needed)
        room = needed;
    if (room > limit)
        room = limit;
    size_t more = room - transfer->room;
    if (!charge(transfer->table, more, transfer->secure, transfer))
        return false;
    uint8_t *octets = realloc(transfer->octets, room);
    if (!octets) {
        transfer->table->bytes -= more;
        return false;
    }
    transfer->octets = octets;
    transfer->room = room;
    return true;
}

/* One block */

static void refuse_block(struct block_step *ret, enum outcome outcome, const char *detail)
{
    ret->verdict = BLOCK_REFUSED;
    ret->outcome = outcome;
    ret->detail = detail;
}

static uint64_t fingerprint(const struct block_table *table, struct bytes payload)
{
    return hash_bytes(table->env.hash_key, payload);
}

static void hand_over(struct block_transfer *transfer, struct block_step *ret)
{
    struct block_table *table = transfer->table;
    put_on(transfer, NULL);
    metrics_add(table->env.metrics, METRIC_BLOCK_BODIES, 1);
    ret->verdict = BLOCK_WHOLE;
    ret->body = bytes_of(transfer->octets, transfer->len);
    ret->owned = transfer->octets;
    ret->owned_bytes = transfer->room;
    ret->if_none_match = transfer->if_none_match;
    ret->serial = transfer->serial;
    transfer->state = TRANSFER_RUNNING;
    transfer->octets = NULL;
    transfer->room = 0;
}

static void append(struct block_transfer *transfer, const struct block_request *request, struct block_step *ret)
{
    struct bytes payload = request->payload;
    if (!grow(transfer, transfer->len + payload.len, request->limit_bytes)) {
        release(transfer);
        refuse_block(ret, OUTCOME_OVERLOADED, "There is no room for more bodies now.");
        return;
    }
    if (payload.len)
        memcpy(transfer->octets + transfer->len, payload.ptr, payload.len);
    transfer->last_offset = transfer->len;
    transfer->last_fingerprint = fingerprint(transfer->table, payload);
    transfer->len += payload.len;
    ret->verdict = BLOCK_CONTINUE;
    if (!request->option.more)
        hand_over(transfer, ret);
    wait_for_next(transfer);
}

static void take_first(struct block_table *table, const struct block_request *request, struct block_step *ret)
{
    struct exchange_attachments *of = exchange_attached(request->peer);
    if (request->option.more) {
        struct block_transfer *transfer = begin(table, request);
        if (transfer)
            append(transfer, request, ret);
        else
            refuse_block(ret, OUTCOME_OVERLOADED, "There is no room for more bodies now.");
        return;
    }
    if (of && of->transfer && of->transfer->key == request->key)
        release(of->transfer);
    ret->verdict = BLOCK_WHOLE;
    ret->body = request->payload;
    ret->if_none_match = request->if_none_match;
}

static void take_next(struct block_table *table, const struct block_request *request, struct block_step *ret)
{
    struct exchange_attachments *of = exchange_attached(request->peer);
    struct block_transfer *transfer = of ? of->transfer : NULL;
    size_t offset = (size_t)request->option.num * block_size(request->option);
    if (!transfer || transfer->key != request->key) {
        refuse_block(ret, OUTCOME_INCOMPLETE, "No earlier block of this body is here.");
        return;
    }
    bool collecting = transfer->state == TRANSFER_COLLECTING;
    if (collecting && offset == transfer->len) {
        append(transfer, request, ret);
        return;
    }
    bool is_last_again = offset == transfer->last_offset && request->option.more == collecting &&
                         fingerprint(table, request->payload) == transfer->last_fingerprint;
    if (!is_last_again) {
        refuse_block(ret, OUTCOME_INCOMPLETE, "This block does not follow the one before.");
    } else if (collecting) {
        ret->verdict = BLOCK_CONTINUE;
    } else if (transfer->state == TRANSFER_RUNNING) {
        refuse_block(ret, OUTCOME_OVERLOADED, "The answer to this body is not there yet.");
    } else {
        ret->verdict = BLOCK_REPEATED;
        ret->code = transfer->code;
        ret->rest = bytes_of(transfer->octets, transfer->len);
    }
}

static bool is_too_large(const struct block_request *request)
{
    uint64_t end = (uint64_t)request->option.num * block_size(request->option) + request->payload.len;
    return end > request->limit_bytes || (request->size1 >= 0 && (uint64_t)request->size1 > request->limit_bytes);
}

void block_receive(struct block_table *table, const struct block_request *request, struct block_step *ret)
{
    size_t size = block_size(request->option);
    *ret = (struct block_step){.verdict = BLOCK_REFUSED};
    if (request->payload.len > size || (request->option.more && request->payload.len != size)) {
        refuse_block(ret, OUTCOME_BAD_REQUEST, "The payload is not as long as the block size says.");
        return;
    }
    if (is_too_large(request)) {
        struct exchange_attachments *of = exchange_attached(request->peer);
        if (of && of->transfer && of->transfer->key == request->key &&
            of->transfer->state == TRANSFER_COLLECTING)
            release(of->transfer);
        refuse_block(ret, OUTCOME_TOO_LARGE, NULL);
        ret->size1 = (uint32_t)request->limit_bytes;
        return;
    }
    if (request->option.num == 0)
        take_first(table, request, ret);
    else if (request->if_none_match)
        refuse_block(ret, OUTCOME_BAD_REQUEST, "If-None-Match comes with the first block only.");
    else
        take_next(table, request, ret);
}

void block_body_free(struct block_table *table, uint8_t *owned, size_t owned_bytes)
{
    free(owned);
    table->bytes -= owned_bytes;
}

void block_answered(struct block_table *table, const struct peer *peer, uint32_t serial, uint8_t code,
                    struct bytes rest)
{
    struct exchange_attachments *of = exchange_attached(peer);
    struct block_transfer *transfer = of ? of->transfer : NULL;
    if (!transfer || transfer->serial != serial || transfer->state != TRANSFER_RUNNING)
        return;
    /* Without room for the answer the transfer goes; a repetition then gets 4.08, and runs nothing. */
    if (!charge(table, rest.len, transfer->secure, transfer)) {
        release(transfer);
        return;
    }
    transfer->room = rest.len;
    transfer->len = rest.len;
    transfer->octets = malloc(rest.len ? rest.len : 1);
    if (!transfer->octets) {
        release(transfer);
        return;
    }
    if (rest.len)
        memcpy(transfer->octets, rest.ptr, rest.len);
    transfer->code = code;
    transfer->state = TRANSFER_ANSWERED;
    put_on(transfer, &table->answered);
    wait_for_next(transfer);
}

void block_peer_gone(struct block_table *table, struct peer *peer)
{
    struct exchange_attachments *of = exchange_attached(peer);
    (void)table;
    if (of && of->transfer)
        release(of->transfer);
}

size_t block_memory_bytes(const struct block_table *table)
{
    return table->bytes;
}

struct block_table *block_table_new(const struct block_environment *environment)
{
    struct block_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->env = *environment;
    TAILQ_INIT(&table->answered);
    TAILQ_INIT(&table->collecting[0]);
    TAILQ_INIT(&table->collecting[1]);
    return table;
}

void block_table_free(struct block_table *table)
{
    free(table);
}

bool block_slice(struct bytes body, const struct block_option *asked, struct block_option *ret_option,
                 struct bytes *ret_piece)
{
    struct block_option option = asked ? *asked : (struct block_option){.szx = BLOCK_SZX_MAX};
    size_t size = block_size(option);
    size_t offset = (size_t)option.num * size;
    if (offset > 0 && offset >= body.len)
        return false;
    size_t rest = body.len - offset;
    option.more = rest > size;
    *ret_option = option;
    *ret_piece = rest ? bytes_of(body.ptr + offset, option.more ? size : rest) : (struct bytes){0};
    return true;
}
