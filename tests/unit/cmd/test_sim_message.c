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

/* The sequence that the request says, read as the gateway reads it; "" for none. */
static const char *sequence_of(const struct sim_message_shape *shape, uint32_t seq)
{
    static char text[DELIVERY_SEQUENCE_TEXT_MAX];
    static uint8_t memory[256];
    struct message_writer writer;
    struct message message;
    struct query_parameter query[4];
    struct sequence sequence = {0};
    text[0] = '\0';
    parse(sim_message_request(&writer, shape, 41, seq, 1), &message);
    message_query(&message, query, memory);
    for (unsigned i = 0; i < message.query_count; i++)
        if (bytes_equal_text(query[i].name, "n"))
            cr_assert(delivery_parse_sequence(query[i].value, &sequence));
    if (message.has_sequence)
        cr_assert(delivery_parse_option(message.sequence, &sequence));
    struct arena *arena = arena_new(1 << 20);
    struct format_input input = {.payload = message.payload, .limits = FORMAT_LIMITS_DEFAULT};
    struct observation_list list;
    cr_assert_eq(format_by_content_format(message.content_format)->decode(&input, arena, &list, NULL), OUTCOME_CHANGED);
    cr_assert_eq(list.count, 1);
    cr_assert(bytes_equal_text(list.items[0].name, "sim-0123456789abcdef"));
    if (list.sequence.given)
        sequence = list.sequence;
    if (sequence.given)
        delivery_write_sequence(&sequence, text);
    arena_free(arena);
    return text;
}

Test(sim_message, the_sequence_is_said_where_it_is_wanted)
{
    for (int cbor = 0; cbor <= 1; cbor++)
        for (enum sim_sequence i = SIM_SEQUENCE_NONE; i <= SIM_SEQUENCE_SENML; i++) {
            struct sim_message_shape shape = {.run_name = "sim-0123456789abcdef", .cbor = cbor, .names_device = true,
                                              .sequence = i, .epoch = UINT32_MAX};
            bool none = i == SIM_SEQUENCE_NONE;
            cr_expect_str_eq(sequence_of(&shape, UINT32_MAX), none ? "" : "4294967295.4294967295", "%d", i);
            shape.epoch = 3;
            cr_expect_str_eq(sequence_of(&shape, 17), none ? "" : "3.17", "%d", i);
        }
}

Test(sim_message, a_level_is_asked_for_and_told)
{
    struct sim_message_shape shape = {.run_name = "sim-1", .level = "stored"};
    struct message_writer writer;
    struct message message;
    struct query_parameter query;
    struct sim_receipt receipt;
    uint8_t text[32];
    parse(sim_message_request(&writer, &shape, 1, 1, 1), &message);
    cr_assert_eq(message.query_count, 1);
    message_query(&message, &query, text);
    cr_expect(bytes_equal_text(query.name, "level") && bytes_equal_text(query.value, "stored"));

    message.content_format = CONTENT_FORMAT_JSON;
    message.payload = BYTES_LITERAL("{\"level\":\"stored\",\"n\":1}");
    cr_assert(sim_message_receipt(&message, &receipt));
    cr_expect(receipt.level == LEVEL_STORED && !receipt.duplicate);
    message.payload = BYTES_LITERAL("{\"level\":\"spooled\",\"n\":1,\"duplicate\":true}");
    cr_assert(sim_message_receipt(&message, &receipt));
    cr_expect(receipt.level == LEVEL_SPOOLED && receipt.duplicate);
    message.payload = (struct bytes){0};
    cr_expect(!sim_message_receipt(&message, &receipt));
    message.payload = BYTES_LITERAL("{\"level\":\"x\"}");
    cr_expect(!sim_message_receipt(&message, &receipt));
}
