// SPDX-License-Identifier: GPL-3.0-or-later
/* Order, bound, posting from other threads and from the receiver itself. */
#include "gateway/rt/mailbox.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>

#define THREADS 4
#define POSTS 2000

struct post {
    unsigned thread, number;
};

struct seen {
    struct mailbox *mailbox;
    unsigned count;
    unsigned next[THREADS];
    char text[64];
    unsigned echoes;
};

static void on_post(void *ctx, unsigned kind, struct bytes message)
{
    struct seen *seen = ctx;
    struct post post;
    cr_assert_eq(message.len, sizeof post);
    cr_assert_eq((uintptr_t)message.ptr % alignof(max_align_t), 0);
    memcpy(&post, message.ptr, sizeof post);
    cr_assert_eq(kind, post.thread);
    cr_assert_eq(post.number, seen->next[post.thread]++);
    seen->count++;
}

static void *poster(void *ctx)
{
    static _Atomic unsigned threads;
    struct post post = {threads++, 0};
    while (post.number < POSTS) {
        if (mailbox_post(ctx, post.thread, bytes_of(&post, sizeof post)))
            post.number++;
    }
    return NULL;
}

Test(mailbox, each_sender_keeps_its_order)
{
    struct loop *loop = loop_new();
    struct seen seen = {0};
    struct mailbox *mailbox = mailbox_new(loop, 4096, on_post, &seen);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, poster, mailbox);
    while (seen.count < THREADS * POSTS)
        loop_wait(loop, 1000, NULL, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mailbox_free(mailbox);
    loop_free(loop);
}

static void on_text(void *ctx, unsigned kind, struct bytes message)
{
    struct seen *seen = ctx;
    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%u:%.*s ", kind,
             (int)message.len, (const char *)message.ptr);
    if (seen->echoes > 0) {
        seen->echoes--;
        cr_assert(mailbox_post(seen->mailbox, kind + 1, message));
    }
}

Test(mailbox, first_in_first_out_in_one_turn)
{
    struct loop *loop = loop_new();
    struct seen seen = {0};
    struct mailbox *mailbox = mailbox_new(loop, 4096, on_text, &seen);
    cr_assert(mailbox_post(mailbox, 1, BYTES_LITERAL("one")));
    cr_assert(mailbox_post(mailbox, 2, (struct bytes){0}));
    cr_assert(mailbox_post(mailbox, 3, BYTES_LITERAL("a message that is longer")));
    loop_wait(loop, 1000, NULL, NULL);
    cr_assert_str_eq(seen.text, "1:one 2: 3:a message that is longer ");
    loop_wait(loop, 0, NULL, NULL);
    cr_assert_str_eq(seen.text, "1:one 2: 3:a message that is longer ");
    mailbox_free(mailbox);
    loop_free(loop);
}

Test(mailbox, the_receiver_may_post_to_itself)
{
    struct loop *loop = loop_new();
    struct seen seen = {.echoes = 2};
    struct mailbox *mailbox = seen.mailbox = mailbox_new(loop, 4096, on_text, &seen);
    cr_assert(mailbox_post(mailbox, 1, BYTES_LITERAL("x")));
    loop_wait(loop, 1000, NULL, NULL);
    cr_assert_str_eq(seen.text, "1:x ");
    loop_wait(loop, 1000, NULL, NULL);
    loop_wait(loop, 1000, NULL, NULL);
    cr_assert_str_eq(seen.text, "1:x 2:x 3:x ");
    mailbox_free(mailbox);
    loop_free(loop);
}

Test(mailbox, an_offer_leaves_room_for_posts)
{
    struct loop *loop = loop_new();
    struct seen seen = {0};
    struct mailbox *mailbox = mailbox_new(loop, 1024, on_text, &seen);
    unsigned offered = 0;
    while (mailbox_offer(mailbox, 1, BYTES_LITERAL("y")))
        offered++;
    cr_assert_gt(offered, 8);
    cr_assert(mailbox_post(mailbox, 2, BYTES_LITERAL("z")));
    cr_assert(!mailbox_offer(mailbox, 1, BYTES_LITERAL("y")));
    cr_assert(mailbox_post(mailbox, 2, BYTES_LITERAL("z")));
    mailbox_free(mailbox);
    loop_free(loop);
}

Test(mailbox, is_bounded_and_usable_again)
{
    struct loop *loop = loop_new();
    struct seen seen = {0};
    struct mailbox *mailbox = mailbox_new(loop, 256, on_text, &seen);
    uint8_t large[257] = {0};
    cr_assert(!mailbox_post(mailbox, 0, bytes_of(large, sizeof large)));
    cr_assert(!mailbox_post(mailbox, 0, bytes_of(large, 256)), "the header needs room too");
    unsigned posted = 0;
    while (mailbox_post(mailbox, posted, BYTES_LITERAL("y")))
        posted++;
    cr_assert(posted >= 4 && posted <= 16);
    loop_wait(loop, 1000, NULL, NULL);
    cr_assert(strncmp(seen.text, "0:y 1:y 2:y 3:y ", 16) == 0);
    cr_assert(mailbox_post(mailbox, 0, BYTES_LITERAL("y")));
    mailbox_free(mailbox);
    loop_free(loop);
    mailbox_free(NULL);
}
