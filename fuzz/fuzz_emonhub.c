// SPDX-License-Identifier: GPL-3.0-or-later
/* A line of emonHub, read with one definition that has all there is: see codec_property.h for what is checked. */
#include "codec/custom.h"
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char definition[] =
    "{\"name\":\"hub\",\"kind\":\"emonhub\",\"node\":\"tx\","
    "\"units\":{\"Vrms\":\"V\",\"E1\":\"Wh\",\"T1\":\"C\"},\"missing\":[300],"
    "\"nodes\":{"
    "\"1\":{\"names\":\"b,B,h,H,i,I\",\"datacodes\":\"b,B,h,H,i,I\",\"scale\":0.1},"
    "\"2\":{\"names\":\"l,L,q,Q\",\"datacodes\":\"l,L,q,Q\",\"units\":\"Wh,kWh,p,n\"},"
    "\"3\":{\"names\":\"f,d,c\",\"datacodes\":\"f,d,c\",\"whitening\":true},"
    "\"4\":{\"nodename\":\"th\",\"names\":\"a,b,c\",\"datacode\":\"h\","
    "\"scales\":\"0.01\",\"units\":\"C,%,V\",\"missing\":\"300\"}},"
    "\"examples\":[{\"input\":\"x:1\",\"senml\":[{\"n\":\"x\",\"v\":1}]}]}";

static struct custom *codec(void)
{
    static struct custom *custom;
    struct custom_error error;
    if (!custom)
        custom = custom_compile(BYTES_LITERAL(definition), &error);
    property_holds(custom != NULL);
    return custom;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    struct observation_list list = {.items = NULL, .count = 77};
    struct format_error error = {NULL, 0};
    struct custom_steps steps;
    property_holds(exact && arena);
    if (size)
        memcpy(exact, data, size);
    const struct format_input input = {
        .payload = {exact, size},
        .now = {1763692800, 125000000},
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    enum outcome outcome = custom_decode(codec(), &input, arena, &list, &error);
    if (outcome == OUTCOME_CHANGED) {
        for (size_t i = 0; i < list.count; i++)
            property_observation(&list.items[i]);
    } else {
        property_holds(outcome_row(outcome)->coap_code >= OUTCOME_COAP(4, 0) && outcome != OUTCOME_CODEC_FAULT);
        property_holds(list.items == NULL && list.count == 77);
        property_holds(error.detail && (error.offset == SIZE_MAX || error.offset <= size));
    }
    property_holds(custom_explain(codec(), &input, arena, &steps, &list, NULL) == outcome);
    arena_free(arena);
    free(exact);
    return 0;
}
