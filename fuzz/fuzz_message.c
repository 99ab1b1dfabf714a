// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Any datagram as a CoAP message. What parses must give up path and query of the lengths it says, and, written again
 * from what was understood, parse to the same.
 */
#include "gateway/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_texts(const struct message *message)
{
    size_t path_len = message_path_len(message);
    uint8_t *path = malloc(path_len), *text = malloc(message->query_bytes + 1);
    struct query_parameter *query = calloc(message->query_count + 1, sizeof *query);
    if (!path || !text || !query)
        abort();
    message_path(message, path);
    if (path[0] != '/')
        abort();
    message_query(message, query, text);
    for (unsigned i = 0; i < message->query_count; i++)
        if (query[i].name.ptr < text || query[i].value.ptr + query[i].value.len > text + message->query_bytes)
            abort();
    free(path);
    free(text);
    free(query);
}

/* The numbers of a request that weir uses, through a writer and back. */
static void check_round_trip(const struct message *message)
{
    struct message_writer writer;
    struct message again;
    message_writer_init(&writer);
    if (message->observe >= 0)
        message_put_uint(&writer, MESSAGE_OBSERVE, (uint32_t)message->observe);
    if (message->content_format >= 0)
        message_put_uint(&writer, MESSAGE_CONTENT_FORMAT, (uint32_t)message->content_format);
    if (message->block2 >= 0)
        message_put_uint(&writer, MESSAGE_BLOCK2, (uint32_t)message->block2);
    if (message->size1 >= 0)
        message_put_uint(&writer, MESSAGE_SIZE1, (uint32_t)message->size1);
    if (message->echo.len)
        message_put(&writer, MESSAGE_ECHO, message->echo);
    if (message->payload.len <= 1024)
        message_put_payload(&writer, message->payload);
    struct bytes written = message_finish(&writer, message->type, message->code, message->id, &message->token);
    if (writer.failed || message_parse(written, &again) != MESSAGE_FINE)
        abort();
    if (again.observe != message->observe || again.content_format != message->content_format ||
        again.block2 != message->block2 || again.size1 != message->size1 || !bytes_equal(again.echo, message->echo) ||
        again.id != message->id || again.type != message->type || again.token.len != message->token.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message;
    struct hash_key key = {1, 2};
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    if (message_parse(bytes_of(copy, size), &message) == MESSAGE_FINE) {
        if (message.code != MESSAGE_EMPTY) {
            check_texts(&message);
            check_round_trip(&message);
        }
        (void)message_transfer_key(&message, &key);
    }
    free(copy);
    return 0;
}
