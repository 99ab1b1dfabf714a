// SPDX-License-Identifier: GPL-3.0-or-later
/* SGMP: fields and the topic beside them. */
#include "codec/sgmp.h"

#include "tests/unit/codec/legacy.h"

struct topic {
    const char *device_id, *device_name, *timestamp, *kind; /* NULL: not said */
    const char *payload, *result;
    char class;
};

#define AT " @1763692800.25"

static const struct topic topics[] = {
    {"7", "egauge", "1763692800250", "data", "{\"A.Battery\":-120.50,\"B\":3}",
     "egauge.A.Battery=-120.50" AT "; egauge.B=3" AT, 0},
    {"7", "egauge", "1763692800250", "event", "{\"on\":true,\"by\":\"hand\"}",
     "egauge.on=true" AT "; egauge.by='hand'" AT, 'e'},
    {NULL, "egauge", NULL, NULL, "{\"a\":1}", "egauge.a=1", 0},
    {NULL, "egauge", NULL, NULL, "{\"a b\":1,\"a_b\":2}", "duplicate-key", 0},
    {NULL, "egauge", NULL, NULL, "{\"a b\":1,\"a_b\":null}", "egauge.a_b=1", 0},
    {"7", "my lamp", "0", "data", "{\"on off\":1}", "my_lamp.on_off=1 @0", 0},
    {"7", "egauge", "999999999999999", "data", "{\"a\":1}", "egauge.a=1 @999999999999.999", 0},
    {"7", "egauge", "1", "data", "{\"a\":null,\"b\":2}", "egauge.b=2 @0.001", 0},
    {"7", "egauge", "1", "data", "{\"a\":null}", "bad-value", 0},
    {"7", "egauge", "1", "data", "{}", "bad-value", 0},
    {"7", "egauge", "1", "data", "{\"a\":[1]}", "bad-value", 0},
    {"7", "egauge", "1", "data", "{\"a\":{}}", "bad-value", 0},
    {"7", "egauge", "1", "data", "{\"a\":1e999}", "bad-value", 0},
    {"7", "egauge", "1", "data", "{\"a\":1,\"a\":2}", "duplicate-key", 0},
    {"7", "egauge", "1", "data", "[1]", "bad-value", 0},
    {"7", "egauge", "1", "data", "{\"a\":1", "malformed", 0},
    {"7", "egauge", "1", "data", "", "malformed", 0},
    {"7", "egauge", "1", "data", "{\"--\":1}", "bad-name", 0},
    {"7", "egauge", "1", "config", "{\"a\":1}", "bad-value", 0},
    {"7", "egauge", "", "data", "{\"a\":1}", "bad-value", 0},
    {"7", "egauge", "1e3", "data", "{\"a\":1}", "bad-value", 0},
    {"7", "egauge", "-1", "data", "{\"a\":1}", "bad-value", 0},
    {"7", "egauge", "1763692800.25", "data", "{\"a\":1}", "bad-value", 0},
    {"7", "egauge", "1000000000000000", "data", "{\"a\":1}", "bad-value", 0},
    {"7", NULL, "1", "data", "{\"a\":1}", "bad-name", 0},
    {"7", "", "1", "data", "{\"a\":1}", "bad-name", 0},
    {"7", "a+", "1", "data", "{\"a\":1}", "bad-name", 0},
    {"7", "#", "1", "data", "{\"a\":1}", "bad-name", 0},
    {"7", "a/b", "1", "data", "{\"a\":1}", "bad-name", 0},
    {"", "egauge", "1", "data", "{\"a\":1}", "bad-name", 0},
    {"+", "egauge", "1", "data", "{\"a\":1}", "bad-name", 0},
};

Test(sgmp, topics)
{
    for (size_t i = 0; i < COUNT_OF(topics); i++) {
        const struct topic *topic = &topics[i];
        const struct format_parameter said[] = {{BYTES_LITERAL("device_id"), bytes_of_text(topic->device_id)},
                                                {BYTES_LITERAL("device_name"), bytes_of_text(topic->device_name)},
                                                {BYTES_LITERAL("timestamp"), bytes_of_text(topic->timestamp)},
                                                {BYTES_LITERAL("kind"), bytes_of_text(topic->kind)}};
        struct format_parameter parameters[COUNT_OF(said)];
        struct format_input input = {.payload = bytes_of_text(topic->payload), .parameters = parameters};
        struct observation_list list = {0};
        struct format_error error = {NULL, 0};
        struct arena *arena = arena_new(ARENA_BYTES);
        for (size_t k = 0; k < COUNT_OF(said); k++)
            if (said[k].value.ptr)
                parameters[input.parameter_count++] = said[k];
        const char *result = told_of(format_by_content_format(CONTENT_FORMAT_SGMP), input, arena, &list, &error);
        cr_expect_str_eq(result, topic->result, "%zu: %s\n gives %s\n not   %s", i, topic->payload, result,
                         topic->result);
        cr_expect_eq(list.class, topic->class, "%zu", i);
        arena_free(arena);
    }
}

Test(sgmp, limits)
{
    const struct format_parameter name = {BYTES_LITERAL("device_name"), BYTES_LITERAL("a")};
    struct format_input input = {.payload = BYTES_LITERAL("{\"a\":1,\"b\":2,\"c\":3}"), .parameters = &name,
                                 .parameter_count = 1, .limits = {.depth = 16, .items = 64, .records = 2}};
    struct observation_list list = {0};
    struct format_error error = {NULL, 0};
    const struct format *format = format_by_content_format(CONTENT_FORMAT_SGMP);
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_str_eq(told_of(format, input, arena, &list, &error), "too-complex");
    arena_free(arena);
    arena = arena_new(400);
    input.limits.records = 3;
    cr_expect_str_eq(told_of(format, input, arena, &list, &error), "out-of-memory");
    arena_free(arena);
}
