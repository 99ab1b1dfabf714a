// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two buffers: senders fill one under the mutex; the receiver swaps them and reads the other without it, so
 * that a slow receiver never stops a sender and every message is in one piece. A receiver that posts to its
 * own mailbox reads that in its next turn.
 *
 * The eventfd is written when the first message enters an empty buffer and read before the buffers are
 * swapped: a message that comes in between is taken along, one that comes after the swap writes again.
 */
#include "gateway/rt/mailbox.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct buffer {
    uint8_t *memory;
    size_t used;
};

/* Before each message; both are aligned for any type. */
struct header {
    alignas(max_align_t) size_t len;
    unsigned kind;
};

struct mailbox {
    struct loop_watch watch; /* first: the callback gets only this */
    struct loop *loop;
    mailbox_receive_fn *receive;
    void *ctx;
    size_t max_bytes;
    struct buffer reading; /* the receiver's */
    pthread_mutex_t lock;
    struct buffer filling; /* guarded by lock */
};

static size_t aligned(size_t len)
{
    return (len + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static void deliver(struct mailbox *mailbox)
{
    for (size_t at = 0; at < mailbox->reading.used;) {
        struct header *header = (struct header *)(mailbox->reading.memory + at);
        mailbox->receive(mailbox->ctx, header->kind, bytes_of(header + 1, header->len));
        at += sizeof *header + aligned(header->len);
    }
    mailbox->reading.used = 0;
}

static void on_ready(struct loop_watch *watch, uint32_t epoll_events)
{
    (void)epoll_events;
    struct mailbox *mailbox = (struct mailbox *)watch;
    eventfd_t count;
    (void)eventfd_read(watch->fd, &count);

    pthread_mutex_lock(&mailbox->lock);
    struct buffer filled = mailbox->filling;
    mailbox->filling = mailbox->reading;
    mailbox->reading = filled;
    pthread_mutex_unlock(&mailbox->lock);
    deliver(mailbox);
}

struct mailbox *mailbox_new(struct loop *loop, size_t max_bytes, mailbox_receive_fn *receive, void *ctx)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox)
        return NULL;
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->watch = (struct loop_watch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = on_ready};
    mailbox->loop = loop;
    mailbox->receive = receive;
    mailbox->ctx = ctx;
    mailbox->max_bytes = max_bytes;
    mailbox->reading.memory = malloc(max_bytes);
    mailbox->filling.memory = malloc(max_bytes);
    if (mailbox->watch.fd < 0 || !mailbox->reading.memory || !mailbox->filling.memory ||
        !loop_add(loop, &mailbox->watch, EPOLLIN)) {
        mailbox_free(mailbox);
        return NULL;
    }
    return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    if (mailbox->watch.fd >= 0) {
        loop_remove(mailbox->loop, &mailbox->watch);
        close(mailbox->watch.fd);
    }
    free(mailbox->reading.memory);
    free(mailbox->filling.memory);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

/* The caller holds the lock. */
static bool append(struct mailbox *mailbox, size_t max_bytes, unsigned kind, struct bytes message)
{
    struct buffer *buffer = &mailbox->filling;
    size_t room = buffer->used < max_bytes ? max_bytes - buffer->used : 0;
    if (message.len > room || sizeof(struct header) + aligned(message.len) > room)
        return false;
    struct header *header = (struct header *)(buffer->memory + buffer->used);
    header->len = message.len;
    header->kind = kind;
    if (message.len > 0)
        memcpy(header + 1, message.ptr, message.len);
    buffer->used += sizeof *header + aligned(message.len);
    return true;
}

static bool post(struct mailbox *mailbox, size_t max_bytes, unsigned kind, struct bytes message)
{
    pthread_mutex_lock(&mailbox->lock);
    bool was_empty = mailbox->filling.used == 0;
    bool posted = append(mailbox, max_bytes, kind, message);
    if (posted && was_empty)
        (void)eventfd_write(mailbox->watch.fd, 1);
    pthread_mutex_unlock(&mailbox->lock);
    return posted;
}

bool mailbox_post(struct mailbox *mailbox, unsigned kind, struct bytes message)
{
    return post(mailbox, mailbox->max_bytes, kind, message);
}

bool mailbox_offer(struct mailbox *mailbox, unsigned kind, struct bytes message)
{
    return post(mailbox, mailbox->max_bytes - mailbox->max_bytes / 4, kind, message);
}
