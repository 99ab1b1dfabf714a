// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Messages from any thread to one loop: bounded, first in first out, woken by an eventfd. For rare things (a record
 * that reached the wrong worker, a revoked device, a changed value somebody observes), hence a mutex.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/rt/loop.h"

struct mailbox;

/* receive is called in the loop's thread; the message is the receiver's only during the call. NULL: no memory. */
typedef void mailbox_receive_fn(void *ctx, unsigned kind, struct bytes message);
struct mailbox *mailbox_new(struct loop *loop, size_t max_bytes, mailbox_receive_fn *receive, void *ctx);
void mailbox_free(struct mailbox *mailbox);
/* Any thread; copies the message. False: full or no memory; the sender counts it. */
bool mailbox_post(struct mailbox *mailbox, unsigned kind, struct bytes message);
/* The same for what a stranger can send any number of: leaves a quarter of the mailbox to mailbox_post. */
bool mailbox_offer(struct mailbox *mailbox, unsigned kind, struct bytes message);
