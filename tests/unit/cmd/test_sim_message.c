// SPDX-License-Identifier: GPL-3.0-or-later
/* The simulator's request: its bytes, the same each time, and which answer is its own. */
#include "cmd/sim_message.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct sim_message_shape plain = {.run_name = "sim-1", .names_device = true};

static void parse(struct bytes bytes, struct message *ret)
{
    cr_assert_eq(message_parse(bytes, ret), MESSAGE_FINE);
}

Test(sim_message, json_on_a_mapped_network)
{
    struct message_writer writer;
    struct message message;
    parse(sim_message_request(&writer, &plain, 41, 7, 0x1234), &message);
    cr_assert_eq(message.type, MESSAGE_CON);
    cr_assert_eq(message.code, METHOD_POST);
    cr_assert_eq(message.id, 0x1234);
    cr_assert_eq(message.content_format, CONTENT_FORMAT_SENML_JSON);
    cr_assert(bytes_equal_text(message.payload, "[{\"n\":\"sim-1\",\"u\":\"count\",\"v\":7}]"));
    uint8_t path[8], text[32];
    cr_assert_eq(message_path_len(&message), 4);
    message_path(&message, path);
    cr_assert_arr_eq(path, "/obs", 4);
    struct query_parameter query;
    cr_assert_eq(message.query_count, 1);
    message_query(&message, &query, text);
    cr_assert(bytes_equal_text(query.name, "d") && bytes_equal_text(query.value, "sim-000042"));
}

Test(sim_message, cbor_without_a_device)
{
    const struct sim_message_shape shape = {.run_name = "sim-1", .cbor = true, .non = true};
    static const uint8_t expected[] = {0x81, 0xa3, 0x00, 0x78, 5,   's', 'i', 'm', '-', '1', 0x01, 0x65,
                                       'c',  'o',  'u',  'n',  't', 0x02, 0x1a, 0, 1, 0, 2};
    struct message_writer writer;
    struct message message;
    parse(sim_message_request(&writer, &shape, 0, 0x10002, 1), &message);
    cr_assert_eq(message.type, MESSAGE_NON);
    cr_assert_eq(message.content_format, CONTENT_FORMAT_SENML_CBOR);
    cr_assert_eq(message.query_count, 0);
    cr_assert(bytes_equal(message.payload, bytes_of(expected, sizeof expected)));
}

Test(sim_message, a_repetition_has_the_same_bytes)
{
    struct message_writer first, second;
    struct bytes a = sim_message_request(&first, &plain, 3, 9, 77);
    struct bytes b = sim_message_request(&second, &plain, 3, 9, 77);
    cr_assert(bytes_equal(a, b));
    cr_assert_not(bytes_equal(a, sim_message_request(&second, &plain, 3, 10, 77)));
}

Test(sim_message, answers_are_told_apart_by_device_and_sequence)
{
    struct message_writer writer;
    struct message message;
    parse(sim_message_request(&writer, &plain, 3, 9, 77), &message);
    cr_assert(sim_message_matches(&message, 3, 9));
    cr_assert_not(sim_message_matches(&message, 3, 8));
    cr_assert_not(sim_message_matches(&message, 2, 9));
    message.token.len = 7;
    cr_assert_not(sim_message_matches(&message, 3, 9));
}
