// SPDX-License-Identifier: GPL-3.0-or-later
/* emonHub's lines, decoded by node tables as in emonhub.conf. NOW is 1763692800.125. */
#include "codec/custom.h"

#include "tests/unit/codec/oem_support.h"

#define X " @1763692800.125x\n"

/* The table of emonHub's documentation for the emonTx v3 with the continuous monitoring firmware. */
#define EMONTX3CM                                                                                                  \
    "\"15\":{\"nodename\":\"emonTx3cm15\","                                                                        \
    "\"names\":\"MSG, Vrms, P1, P2, P3, P4, E1, E2, E3, E4, T1, T2, T3, pulse\","                                  \
    "\"datacodes\":\"L,h,h,h,h,h,l,l,l,l,h,h,h,L\","                                                               \
    "\"scales\":\"1,0.01,1,1,1,1,1,1,1,1,0.01,0.01,0.01,1\","                                                      \
    "\"units\":\"n,V,W,W,W,W,Wh,Wh,Wh,Wh,C,C,C,p\",\"missing\":[300,\"302\",304.00]}"
#define WITH(members, examples) "{\"name\":\"hub\",\"kind\":\"emonhub\"," members ",\"examples\":[" examples "]}"
#define DEFINITION(members) WITH(members, "{\"input\":\"x:1\",\"senml\":[{\"n\":\"x\",\"v\":1}]}")

static const char *decoded_by(const struct custom *custom, const char *line, struct arena *arena)
{
    struct observation_list list;
    struct custom_steps steps;
    struct format_error error = {NULL, 0};
    struct format_input input = {.now = NOW, .limits = FORMAT_LIMITS_DEFAULT};
    cr_assert(arena_copy(arena, bytes_of_text(line), &input.payload));
    enum outcome outcome = custom_decode(custom, &input, arena, &list, &error);
    cr_expect_eq(custom_explain(custom, &input, arena, &steps, &list, NULL), outcome);
    if (outcome == OUTCOME_CHANGED)
        return list_text(&list, arena);
    cr_assert(error.detail && (error.offset == SIZE_MAX || error.offset <= strlen(line)));
    return outcome_row(outcome)->slug;
}

static void check_lines(const char *definition, const struct expectation *table, size_t count)
{
    struct custom_error error;
    struct custom *custom = custom_compile(bytes_of_text(definition), &error);
    cr_assert(custom, "%s at %s", error.detail, error.pointer);
    cr_expect(custom_by_line(custom) && custom_kind(custom) == CUSTOM_EMONHUB);
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = decoded_by(custom, table[i].payload, arena);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s\n not   %s", table[i].payload, result, table[i].result);
        arena_free(arena);
    }
    custom_free(custom);
}

#define N "emonTx3cm15/"
/* MSG 7; 240.11 V; 100, -25, 0, 1500 W; 1234, 0, -1, 100000 Wh; 21.5, 300 (no sensor), -1.25 Cel; 70000 pulses */
#define FRAME "7 0 0 0 203 93 100 0 231 255 0 0 220 5 210 4 0 0 0 0 0 0 255 255 255 255 160 134 1 0 " \
              "102 8 48 117 131 255 112 17 1 0"
#define VALUES                                                                                                     \
    N "MSG=7" X N "Vrms=240.11 V" X N "P1=100 W" X N "P2=-25 W" X N "P3=0 W" X N "P4=1500 W" X                     \
    N "E1=4442400 J @1763692800.125x cumulative\n" N "E2=0 J @1763692800.125x cumulative\n"                        \
    N "E3=-3600 J @1763692800.125x cumulative\n" N "E4=360000000 J @1763692800.125x cumulative\n"                  \
    N "T1=21.5 Cel" X N "T3=-1.25 Cel" X N "pulse=70000 count @1763692800.125x cumulative\n"

Test(emonhub, frames_of_an_emontx)
{
    static const struct expectation table[] = {
        {"OK 15 " FRAME " (-63)", VALUES N "rssi=-93 dBW" X},
        {"OK 15 " FRAME " (-0)", VALUES},
        {"OK 15 " FRAME, VALUES},
        {"  OK  15 " FRAME " \r", VALUES},
        {"15 " FRAME, VALUES},
        {"OK 15 " FRAME " 0", "malformed"},
        {"OK 15 7 0 0 0", "malformed"},
        {"OK 16 1 2 3", "bad-value"},
        {"16 1 2 3", "bad-value"},
        {"OK", "malformed"},
        {"OK 15", "malformed"},
        {"OK 15 (-63)", "malformed"},
        {"OK 15 256", "malformed"},
        {"OK 15 -1", "malformed"},
        {"OK 15 0x10", "malformed"},
        {"OK 15 x", "malformed"},
        {"OK 15 1 (-63) 2", "malformed"},
        {"OK 15 1 (x)", "malformed"},
        {"OK 15 1 (-63", "malformed"},
        /* Noise of the console. */
        {"", ""},
        {" \t", ""},
        {"[RF12demo.12] A i1 g210 @ 433 MHz", ""},
        {"? 15 1 2 3 4", ""},
        {"> 15", ""},
        {" -> ack", ""},
        {"15", ""},
        {"emonTx V3.4", ""},
        {"\x01", ""},
    };
    check_lines(DEFINITION("\"nodes\":{" EMONTX3CM "}"), table, COUNT_OF(table));
}

Test(emonhub, all_datacodes)
{
    static const struct expectation table[] = {
        {"OK 1 128 128 0 128 0 128 0 0 0 128 0 0 0 128", "1/b=-128" X "1/B=128" X "1/h=-32768" X "1/H=32768" X
         "1/i=-2147483648" X "1/I=2147483648" X},
        {"OK 2 0 0 0 128 0 0 0 128", "2/l=-2147483648" X "2/L=2147483648" X},
        {"OK 3 0 0 0 0 0 0 0 128 255 255 255 255 255 255 255 255",
         "3/q=-9223372036854775808" X "3/Q=18446744073709551615" X},
        {"OK 4 205 204 184 65 0 0 0 0 0 24 55 64 65", "4/f=23.1" X "4/d=23.09375" X "4/c=\"A\"" X},
        /* NaN is no value; NUL is no character. */
        {"OK 4 0 0 192 127 0 0 0 0 0 0 248 127 0", ""},
        {"OK 4 0 0 0 0 0 0 0 0 0 0 0 0 200", "bad-value"},
    };
    check_lines(DEFINITION("\"nodes\":{"
                           "\"1\":{\"names\":[\"b\",\"B\",\"h\",\"H\",\"i\",\"I\"],\"datacodes\":\"b,B,h,H,i,I\"},"
                           "\"2\":{\"names\":[\"l\",\"L\"],\"datacodes\":[\"l\",\"L\"]},"
                           "\"3\":{\"names\":[\"q\",\"Q\"],\"datacodes\":[\"q\",\"Q\"]},"
                           "\"4\":{\"names\":[\"f\",\"d\",\"c\"],\"datacodes\":[\"f\",\"d\",\"c\"]}}"),
                table, COUNT_OF(table));
}

Test(emonhub, options_of_a_table)
{
    static const struct expectation table[] = {
        /* One datacode for all: fewer values are fine, more are not, nor half of one. */
        {"OK 10 100 0 200 0 210 0", "10/power_1=100 W" X "10/Vrms=2 V" X "10/temp=2.1 Cel" X},
        {"OK 10 100 0", "10/power_1=100 W" X},
        {"OK 10 100 0 200", "malformed"},
        {"OK 10 1 0 2 0 3 0 4 0", "malformed"},
        /* 19 is whitened: every octet XOR 0x55. One scale for all. */
        {"OK 19 159 85", "19/x=20.2 count @1763692800.125x cumulative\n"},
        {"OK 20 1 45 10 1 2 3", "bad-value"},
        {"OK 21 45 1 2 0", "21/humidity=0.0301 /" X "21/energy=7200000 J @1763692800.125x cumulative\n"},
    };
    check_lines(DEFINITION("\"nodes\":{"
                           "\"10\":{\"names\":\"power 1,Vrms,temp\",\"datacode\":\"h\",\"scales\":[1,\"0.01\",0.01],"
                           "\"units\":[\"W\",\"V\",\"C\"]},"
                           "\"19\":{\"names\":\"x\",\"datacode\":\"h\",\"scale\":0.1,\"whitening\":true,\"units\":\"count\","
                           "\"cumulative\":\"x\"},"
                           "\"21\":{\"names\":[\"humidity\",\"energy\"],\"datacodes\":[\"h\",\"H\"],\"scales\":\".01\","
                           "\"units\":\"%,kWh\"}}"),
                table, COUNT_OF(table));
}

Test(emonhub, unknown_nodes_may_be_ignored)
{
    static const struct expectation table[] = {
        {"OK 6 1 0", ""},
        {"OK 5 1 0", "5/a=1" X},
        {"OK 5 1", "malformed"},
    };
    check_lines(DEFINITION("\"unknown\":\"ignore\",\"nodes\":{\"5\":{\"names\":\"a\",\"datacodes\":\"h\"}}"), table,
                COUNT_OF(table));
}

Test(emonhub, lines_with_names)
{
    static const struct expectation table[] = {
        {"MSG:7,Vrms:240.10,P1:-5,E1:12,T1:300.00,pulse:3",
         "tx/MSG=7" X "tx/Vrms=240.10 V" X "tx/P1=-5 W" X "tx/E1=43200 J @1763692800.125x cumulative\n"
         "tx/pulse=3 count @1763692800.125x cumulative\n"},
        {"MSG:7, T1:21.5 ,x:", "tx/MSG=7" X "tx/T1=21.5 Cel" X},
        {"a:1E3,b:05,c:.5", "tx/a=1000" X "tx/b=5" X "tx/c=0.5" X},
        {"{\"MSG\":7,\"P1\":\"100\",\"E1\":1.50,\"on\":true,\"state\":\"ok\",\"n\":null,\"a b\":1E3}",
         "tx/MSG=7" X "tx/P1=100 W" X "tx/E1=5400 J @1763692800.125x cumulative\n" "tx/on=true" X "tx/state=\"ok\"" X
         "tx/a_b=1000" X},
        {"{}", ""},
        {"MSG:7,P1:x", "bad-value"},
        /* Never the codec's fault. */
        {"E1:1e308,a:1", "bad-value"},
        {"E1:1e-200,a:1", "bad-value"},
        {"E1:12345678901234567890123456789012345678901,a:1", "bad-value"},
        {"{\"E1\":1e308}", "bad-value"},
        {"{\"E1\":\"1e308\"}", "bad-value"},
        {"MSG:7,MSG:8", "duplicate-key"},
        {"{\"a b\":1,\"a_b\":2}", "duplicate-key"},
        {"{\"MSG\":7,\"MSG\":8}", "duplicate-key"},
        {"{\"a\":[1]}", "bad-value"},
        {"{\"P1\":\"x\"}", "bad-value"},
        {"{\"a\":1", "malformed"},
        {"{a:1}", "malformed"},
        /* For people. */
        {"Firmware: V2.3", ""},
        {"AC RMS voltage detected: 240.1", ""},
        {"vCal = 268.97, assumedVrms: 240", ""},
        {"a:1,b", ""},
        {"a:1:2", ""},
        {":1", ""},
        {"a:,b:", ""},
    };
    check_lines(DEFINITION("\"node\":\"tx\",\"missing\":[300],\"units\":{\"Vrms\":\"V\",\"P1\":\"W\",\"E1\":\"Wh\","
                           "\"T1\":\"C\",\"pulse\":\"p\"}"),
                table, COUNT_OF(table));
}

Test(emonhub, definitions_that_are_refused)
{
#define NODE(members) DEFINITION("\"nodes\":{\"5\":{" members "}}")
    static const struct {
        const char *definition, *pointer;
    } table[] = {
        {NODE(""), "/nodes/5"},
        {NODE("\"names\":\"a\""), "/nodes/5"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"datacodes\":\"h\""), "/nodes/5"},
        {NODE("\"names\":\"a,b\",\"datacodes\":\"h\""), "/nodes/5/datacodes"},
        {NODE("\"names\":\"a,b\",\"datacodes\":\"h,x\""), "/nodes/5/datacodes/1"},
        {NODE("\"names\":\"a\",\"datacode\":\"hh\""), "/nodes/5"},
        {NODE("\"names\":\"a,-\",\"datacode\":\"h\""), "/nodes/5/names/1"},
        {NODE("\"names\":\"a b,a_b\",\"datacode\":\"h\""), "/nodes/5/names"},
        {NODE("\"names\":[],\"datacode\":\"h\""), "/nodes/5/names"},
        {NODE("\"names\":[true],\"datacode\":\"h\""), "/nodes/5/names"},
        {NODE("\"names\":5,\"datacode\":\"h\""), "/nodes/5/names"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"scales\":\"1,2\""), "/nodes/5"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"scales\":\"x\""), "/nodes/5/scales/0"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"scales\":\"0\""), "/nodes/5/scales/0"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"scales\":\"1\",\"scale\":1"), "/nodes/5"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"scale\":0"), "/nodes/5/scale"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"units\":\"Watt\""), "/nodes/5/units/0"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"cumulative\":\"b\""), "/nodes/5/cumulative"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"units\":\"C\",\"missing\":\"x\""), "/nodes/5/missing/0"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"nodename\":\"//\""), "/nodes/5"},
        {NODE("\"names\":\"a\",\"datacode\":\"h\",\"firmware\":\"x\""), "/nodes/5/firmware"},
        {DEFINITION("\"nodes\":{\"x\":{}}"), "/nodes/x"},
        {DEFINITION("\"nodes\":{\"70000\":{}}"), "/nodes/70000"},
        {DEFINITION("\"nodes\":{\"5\":{\"names\":\"a\",\"datacode\":\"h\"},\"05\":{\"names\":\"a\",\"datacode\":\"h\"}}"),
         "/nodes/05"},
        {DEFINITION("\"nodes\":{}"), "/nodes"},
        {DEFINITION("\"nodes\":[]"), "/nodes"},
        {DEFINITION("\"units\":{\"a\":\"Watt\"}"), "/units/a"},
        {DEFINITION("\"units\":{\"a\":5}"), "/units/a"},
        {DEFINITION("\"units\":\"W\""), "/units"},
        {DEFINITION("\"unknown\":\"guess\""), "/unknown"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct custom_error error = {.detail = ""};
        struct custom *custom = custom_compile(bytes_of_text(table[i].definition), &error);
        cr_expect_null(custom, "%s", table[i].definition);
        cr_expect_str_eq(error.pointer, table[i].pointer, "%s: %s at %s", table[i].definition, error.detail,
                         error.pointer);
        custom_free(custom);
    }
}

/* The example of the definition is checked like any other. */
Test(emonhub, examples)
{
    static const char definition[] = WITH(
        "\"nodes\":{\"5\":{\"names\":\"power\",\"datacodes\":\"h\",\"units\":\"W\"}}",
        "{\"input\":\"OK 5 232 3 (-70)\",\"senml\":[{\"node\":\"5\",\"n\":\"power\",\"u\":\"W\",\"v\":1000},"
        "{\"node\":\"5\",\"n\":\"rssi\",\"u\":\"dBW\",\"v\":-100}]},"
        "{\"input\":\"OK 5 1\",\"refused\":\"malformed\"}");
    struct custom_error error;
    struct custom *custom = custom_compile(BYTES_LITERAL(definition), &error);
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_assert(custom, "%s at %s", error.detail, error.pointer);
    cr_expect(custom_check(custom, arena, &error), "%s at %s", error.detail, error.pointer);
    arena_free(arena);
    custom_free(custom);
}
