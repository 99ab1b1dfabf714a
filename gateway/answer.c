// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The answer is settled first (what representation, which piece of it), then written in one column of puts in the order
 * of option numbers. Whatever turns out to be wrong while settling becomes an error without a body.
 */
#include "gateway/answer.h"

#include "codec/problem.h"

/* A response, settled. */
struct settled {
    struct response response;
    struct bytes payload;
    struct block_option block2;
    bool has_block2;
};

static void fail(struct settled *settled, enum outcome outcome, const char *detail)
{
    settled->response = response_of(outcome);
    settled->response.detail = detail;
    settled->payload = (struct bytes){0};
    settled->has_block2 = false;
}

static void make_etag(const struct answer_terms *terms, struct response *response)
{
    uint64_t digest = hash_bytes(terms->hash_key, response->body);
    response->etag.len = sizeof digest;
    memcpy(response->etag.octets, &digest, sizeof digest);
}

/* RFC 7252 5.10.6.2: the client has it already. */
static void settle_validity(const struct answer_terms *terms, struct response *response)
{
    if (response->outcome != OUTCOME_CONTENT || response->etag.len == 0 ||
        !etag_is_in(&response->etag, terms->etags, terms->etag_count))
        return;
    response->outcome = OUTCOME_VALID;
    response->content_format = CONTENT_FORMAT_NONE;
    response->body = (struct bytes){0};
}

static void settle_success(const struct answer_terms *terms, struct settled *settled)
{
    struct response *response = &settled->response;
    const struct block_option *asked = terms->has_block2 ? &terms->block2 : NULL;
    size_t size = block_size(asked ? *asked : (struct block_option){.szx = BLOCK_SZX_MAX});
    bool cut = response->body.len > size;
    if (cut && response->etag.len == 0)
        make_etag(terms, response);
    settle_validity(terms, response);
    if (response->outcome == OUTCOME_VALID)
        return;
    if (!block_slice(response->body, asked, &settled->block2, &settled->payload)) {
        fail(settled, OUTCOME_BAD_REQUEST, "The Block2 number lies behind the end.");
        return;
    }
    settled->has_block2 = cut || (asked && response->body.len > 0);
}

/* A body of its own, or problem details if the client may take them (RFC 9290 section 4). */
static void settle_error(const struct answer_terms *terms, struct settled *settled)
{
    struct response *response = &settled->response;
    struct problem problem = {.outcome = response->outcome, .detail = response->detail, .offset = response->offset};
    if (response->content_format != CONTENT_FORMAT_NONE &&
        (terms->accept == CONTENT_FORMAT_NONE || terms->accept == response->content_format)) {
        settled->payload = response->body;
        return;
    }
    response->content_format = CONTENT_FORMAT_NONE;
    if (terms->accept != CONTENT_FORMAT_NONE && terms->accept != CONTENT_FORMAT_PROBLEM_CBOR)
        return;
    for (unsigned i = 0; i < terms->unprocessed_option_count; i++)
        problem.unprocessed_options[problem.unprocessed_option_count++] = terms->unprocessed_options[i];
    if (problem_cbor(&problem, terms->arena, &settled->payload))
        response->content_format = CONTENT_FORMAT_PROBLEM_CBOR;
}

/* RFC 7959 2.3: which block this answers; M says that more are expected. */
static void put_block1(const struct answer_terms *terms, enum outcome outcome, struct message_writer *writer)
{
    struct block_option option = terms->block1;
    option.more = outcome == OUTCOME_CONTINUE;
    message_put_uint(writer, MESSAGE_BLOCK1, block_option_value(option));
}

/* RFC 7252 5.8.2: segments without their slashes; of the query what is behind the '?'. */
static void put_location_path(const struct response *response, struct message_writer *writer)
{
    const uint8_t *at = response->location.ptr, *end = at + response->location.len;
    while (at < end && *at == '/') {
        const uint8_t *start = ++at;
        while (at < end && *at != '/' && *at != '?')
            at++;
        message_put(writer, MESSAGE_LOCATION_PATH, bytes_of(start, (size_t)(at - start)));
    }
}

static void put_location_query(const struct response *response, struct message_writer *writer)
{
    struct bytes whole = response->location;
    const uint8_t *mark = whole.len ? memchr(whole.ptr, '?', whole.len) : NULL;
    if (mark)
        message_put(writer, MESSAGE_LOCATION_QUERY, bytes_of(mark + 1, whole.len - (size_t)(mark + 1 - whole.ptr)));
}

static void write_settled(const struct answer_terms *terms, const struct settled *settled,
                          struct message_writer *writer)
{
    const struct response *response = &settled->response;
    bool tells_size2 = settled->has_block2 && settled->block2.num == 0 && settled->block2.more;
    message_writer_init(writer);
    if (response->etag.len)
        message_put(writer, MESSAGE_ETAG, bytes_of(response->etag.octets, response->etag.len));
    if (terms->observe >= 0)
        message_put_uint(writer, MESSAGE_OBSERVE, (uint32_t)terms->observe);
    if (response->outcome == OUTCOME_CREATED)
        put_location_path(response, writer);
    if (response->content_format >= 0)
        message_put_uint(writer, MESSAGE_CONTENT_FORMAT, (uint32_t)response->content_format);
    if (response->max_age_s >= 0)
        message_put_uint(writer, MESSAGE_MAX_AGE, (uint32_t)response->max_age_s);
    if (response->outcome == OUTCOME_CREATED)
        put_location_query(response, writer);
    if (settled->has_block2)
        message_put_uint(writer, MESSAGE_BLOCK2, block_option_value(settled->block2));
    if (terms->has_block1)
        put_block1(terms, response->outcome, writer);
    if (tells_size2 || (terms->wants_size2 && response->outcome == OUTCOME_CONTENT))
        message_put_uint(writer, MESSAGE_SIZE2, (uint32_t)response->body.len);
    if (response->size1)
        message_put_uint(writer, MESSAGE_SIZE1, response->size1);
    if (terms->echo.len)
        message_put(writer, MESSAGE_ECHO, terms->echo);
    message_put_payload(writer, settled->payload);
}

static bool fits(const struct answer_terms *terms, const struct message_writer *writer)
{
    return !writer->failed && terms->head_bytes + writer->len <= terms->limit_bytes;
}

bool answer_write(const struct answer_terms *terms, const struct response *response, struct message_writer *writer,
                  uint8_t *ret_code)
{
    struct settled settled = {.response = *response};
    if (outcome_is_success(response->outcome))
        settle_success(terms, &settled);
    if (!outcome_is_success(settled.response.outcome))
        settle_error(terms, &settled);
    write_settled(terms, &settled, writer);
    if (!fits(terms, writer)) {
        if (outcome_is_success(settled.response.outcome))
            return false;
        settled.payload = (struct bytes){0};
        settled.response.content_format = CONTENT_FORMAT_NONE;
        write_settled(terms, &settled, writer);
    }
    *ret_code = outcome_row(settled.response.outcome)->coap_code;
    return true;
}
