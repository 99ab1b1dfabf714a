// SPDX-License-Identifier: GPL-3.0-or-later
/* input/post and input/bulk of emonCMS. NOW is 1763692800.125. */
#include "codec/emoncms.h"

#include "tests/unit/codec/oem_support.h"

#define POST CONTENT_FORMAT_EMONCMS_POST
#define BULK CONTENT_FORMAT_EMONCMS_BULK
#define X " @1763692800.125x\n"

Test(emoncms, post_relaxed)
{
    static const struct request_expectation table[] = {
        {"node=10&json={power1:100,power2:200,power3:300}", "",
         "10/power1=100" X "10/power2=200" X "10/power3=300" X},
        {"node=10&json=power1:100,power2:200", "", "10/power1=100" X "10/power2=200" X},
        {"node=emontx&json={\"power 1\":100.50,'T':-1.5e2, x : \" 7 \" }", "",
         "emontx/power_1=100.50" X "emontx/T=-1.5e2" X "emontx/x=7" X},
        {"json={a:1}", "", "a=1" X},
        {"node=10&json={a:null,b:2}", "", "10/b=2" X},
        {"node=10&json={\"a,b:c\":1}", "", "10/a_b_c=1" X},
        {"node=10&csv=100,200,300", "", "10/1=100" X "10/2=200" X "10/3=300" X},
        {"node=10&csv=  21.50, 05,.5,null,-3", "", "10/1=21.50" X "10/2=5" X "10/3=0.5" X "10/5=-3" X},
        {"node=10&csv=[1,2]", "", "10/1=1" X "10/2=2" X},
        {"node=10&csv=1,a:5,2", "", "10/1=1" X "10/a=5" X "10/2=2" X},
        {"node=10&data=100,200", "", "10/1=100" X "10/2=200" X},
        {"node=10&data={a:1}", "", "10/a=1" X},
        {"node=10", "{a:1}", "10/a=1" X},
        {"", "1,2", "1=1" X "2=2" X},
        {"json={a:1}&csv=2", "", "a=1" X},
        {"data={a:1}", "form=fields", "a=1" X},
        {"node=house/loft:1&json={a/b=1:1}", "", "house_loft_1/a_b_1=1" X},
        {"json={time:5,a:1}", "", "time=5" X "a=1" X},
    };
    check_request_table(POST, table, COUNT_OF(table));
}

Test(emoncms, post_relaxed_refusals)
{
    static const struct request_expectation table[] = {
        {"", "", "bad-value"},
        {"json=", "", "bad-value"},
        {"json={}", "", "bad-value"},
        {"json={a:}", "", "bad-value"},
        {"json={a:b}", "", "bad-value"},
        {"json={a:nan}", "", "bad-value"},
        {"json={a:true}", "", "bad-value"},
        {"json={:1}", "", "bad-name"},
        {"json={a:1,}", "", "malformed"},
        {"json={a:1,,b:2}", "", "bad-value"},
        {"json={a:1", "", "malformed"},
        {"json={a:{b:1}}", "", "malformed"},
        {"json={\"a:1}", "", "malformed"},
        {"json={a:1:2}", "", "bad-value"},
        {"json={a:1,a:2}", "", "duplicate-key"},
        {"json={a b:1,a_b:2}", "", "duplicate-key"},
        {"csv=1,,2", "", "bad-value"},
        {"csv=1,two", "", "bad-value"},
        {"csv=1e400", "", "bad-value"},
        {"node=&csv=1", "", "bad-name"},
        {"node=//&csv=1", "", "bad-name"},
        {"node=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&csv=1", "", "bad-name"},
    };
    check_request_table(POST, table, COUNT_OF(table));
}

Test(emoncms, post_strict)
{
    static const struct request_expectation table[] = {
        {"node=5&fulljson={\"power\":1.50,\"T\":-2}", "", "5/power=1.50" X "5/T=-2" X},
        {"node=5&fulljson={\"power\":\"12.0\",\"s\":\"on\",\"b\":true,\"n\":null,\"e\":\"\"}", "",
         "5/power=12.0" X "5/s=\"on\"" X "5/b=true" X},
        {"fulljson={\"a\":1,\"time\":1387730127}", "", "a=1 @1387730127d\n"},
        {"fulljson={\"a\":1,\"time\":1387730127.25}", "", "a=1 @1387730127.25d\n"},
        {"fulljson={\"a\":1,\"time\":\"2016-06-13T00:35:30Z\"}", "", "a=1 @1465778130d\n"},
        {"fulljson={\"a\":1,\"time\":\"2016-06-13T02:35:30 02:00\"}", "", "a=1 @1465778130d\n"},
        {"time=2016-06-13T02:35:30 02:00&csv=1", "", "1=1 @1465778130d\n"},
        {"time=20160613T003530Z&csv=1", "", "1=1 @1465778130d\n"},
        {"time=20160613&csv=1", "", "1=1 @20160613d\n"},
        {"fulljson={\"a\":1,\"time\":null}", "", "a=1" X},
        {"time=1000000000&fulljson={\"a\":1,\"time\":1387730127}", "", "a=1 @1000000000d\n"},
        {"fulljson={\"time\":1387730127}", "", ""},
        {"fulljson={}", "", ""},
        {"fulljson={a:1}", "", "malformed"},
        {"fulljson={\"a\":1}x", "", "malformed"},
        {"fulljson={\"a\":1,\"a\":2}", "", "duplicate-key"},
        {"fulljson={\"a b\":1,\"a_b\":2}", "", "duplicate-key"},
        {"fulljson={\"a\":[1]}", "", "bad-value"},
        {"fulljson={\"a\":{\"b\":1}}", "", "bad-value"},
        {"fulljson={\"a\":1e999}", "", "bad-value"},
        {"fulljson={\"a\":1,\"time\":\"soon\"}", "", "bad-value"},
        {"fulljson={\"a\":1,\"time\":true}", "", "bad-value"},
        {"fulljson=[1]", "", "bad-value"},
        {"fulljson=", "", "malformed"},
    };
    check_request_table(POST, table, COUNT_OF(table));
}

Test(emoncms, post_time)
{
    static const struct request_expectation table[] = {
        {"time=1387730127&csv=1", "", "1=1 @1387730127d\n"},
        {"time=1387730127.5&csv=1", "", "1=1 @1387730127.5d\n"},
        {"time= 1387730127 &csv=1", "", "1=1 @1387730127d\n"},
        {"time=0&csv=1", "", "1=1 @0d\n"},
        {"time=2016-06-13 00:35:30&csv=1", "", "1=1 @1465778130d\n"},
        {"time=2016-06-13T02:35:30+02:00&csv=1", "", "1=1 @1465778130d\n"},
        {"time=&csv=1", "", "bad-value"},
        {"time=now&csv=1", "", "bad-value"},
        {"time=1e300&csv=1", "", "bad-value"},
    };
    check_request_table(POST, table, COUNT_OF(table));
}

#define BULK_B(s) " @" s ".125b\n"
#define ROWS "[[-10,16,1137],[-8,17,1437,3164],[-6,19,1412,3077]]"
#define FROM_0 "[[0,16,1137],[2,17,1437,3164],[4,19,1412,3077]]"

/* The worked examples of emonCMS' own documentation. */
Test(emoncms, bulk_examples)
{
    static const struct request_expectation table[] = {
        {"data=" FROM_0, "",
         "16/1=1137" BULK_B("1763692796") "17/1=1437" BULK_B("1763692798") "17/2=3164" BULK_B("1763692798")
         "19/1=1412" BULK_B("1763692800") "19/2=3077" BULK_B("1763692800")},
        {"offset=-10&data=" ROWS, "",
         "16/1=1137" BULK_B("1763692800") "17/1=1437" BULK_B("1763692802") "17/2=3164" BULK_B("1763692802")
         "19/1=1412" BULK_B("1763692804") "19/2=3077" BULK_B("1763692804")},
        {"time=1387730127&data=" ROWS, "",
         "16/1=1137 @1387730117d\n17/1=1437 @1387730119d\n17/2=3164 @1387730119d\n"
         "19/1=1412 @1387730121d\n19/2=3077 @1387730121d\n"},
        {"sentat=543&data=[[520,16,1137],[530,17,1437,3164],[535,19,1412,3077]]", "",
         "16/1=1137" BULK_B("1763692777") "17/1=1437" BULK_B("1763692787") "17/2=3164" BULK_B("1763692787")
         "19/1=1412" BULK_B("1763692792") "19/2=3077" BULK_B("1763692792")},
        /* emonHub: absolute times by its own clock, which is a day behind. */
        {"data=[[1763606390,10,150,250]]&sentat=1763606400", "",
         "10/1=150" BULK_B("1763692790") "10/2=250" BULK_B("1763692790")},
        /* The parameter counts before the payload; without one the payload is the data. */
        {"data=[[0,1,2]]", "[[0,1,3]]", "1/1=2" BULK_B("1763692800")},
        {"sentat=5", "[[0,1,3]]", "1/1=3" BULK_B("1763692795")},
        {"time=2016-06-13T00:35:30Z", "[[0.5,1,3]]", "1/1=3 @1465778130.5d\n"},
        {"sentat=0.025", "[[0,1,3]]", "1/1=3 @1763692800.1b\n"},
        {"sentat=1&offset=2&time=3", "[[0,1,3]]", "1/1=3" BULK_B("1763692799")},
    };
    check_request_table(BULK, table, COUNT_OF(table));
}

#define B BULK_B("1763692800")

Test(emoncms, bulk_rows)
{
    static const struct request_expectation table[] = {
        {"", "[[0,\"emontx 3\",{\"power 1\":5},7,{\"T\":1.50,\"u\":2}]]",
         "emontx_3/power_1=5" B "emontx_3/1=7" B "emontx_3/T=1.50" B "emontx_3/u=2" B},
        {"", "[[0,5,1,null,\"\",4]]", "5/1=1" B "5/4=4" B},
        {"", "[[0,5,{\"a\":null,\"time\":3}]]", "5/time=3" B},
        {"", "[[0,5,\"12\",\"on\",true,false]]", "5/1=12" B "5/2=\"on\"" B "5/3=true" B "5/4=false" B},
        {"", "[[\"0\",5,1]]", "5/1=1" B},
        {"", "[[],[0],[0,5],[0,5,1]]", "5/1=1" B},
        {"", "[[0,5]]", ""},
        {"", "[[\"x\",{}],[0,5,1]]", "5/1=1" B},
        {"", "[[0,5,1],[0,5,2]]", "5/1=1" B "5/1=2" B},
        {"", "[[0,5,null]]", ""},
        {"", "[[0,5,{}]]", ""},
        {"", "[]", "bad-value"},
        {"", "", "malformed"},
        {"", "{}", "bad-value"},
        {"", "[1]", "bad-value"},
        {"", "[[0,5,1],5]", "bad-value"},
        {"", "[[0,5,1],[]]", "bad-value"},
        {"", "[[0,5,1],[null]]", "bad-value"},
        {"sentat=1", "[[null,5,1]]", "bad-value"},
        {"sentat=1", "[[0,5,1],[]]", "5/1=1" BULK_B("1763692799")},
        {"", "[[true,5,1]]", "bad-value"},
        {"", "[[0,{},1]]", "bad-value"},
        {"", "[[0,null,1]]", "bad-value"},
        {"", "[[0,\"\",1]]", "bad-name"},
        {"", "[[0,5,[1]]]", "bad-value"},
        {"", "[[0,5,{\"a\":{}}]]", "bad-value"},
        {"", "[[0,5,{\"a\":1},{\"a\":2}]]", "duplicate-key"},
        {"", "[[0,5,7,{\"1\":2}]]", "duplicate-key"},
        {"", "[[0,5,1]", "malformed"},
        {"", "[[0,5,NaN]]", "malformed"},
        {"", "[[1e99,5,1]]", "bad-value"},
        {"sentat=x", "[[0,5,1]]", "bad-value"},
        {"offset=", "[[0,5,1]]", "bad-value"},
        {"time=x", "[[0,5,1]]", "bad-value"},
        {"sentat=-1e15", "[[1e15,5,1]]", "bad-value"},
    };
    check_request_table(BULK, table, COUNT_OF(table));
}

/* [[0,16,1137],[2,17,1437,3164],[4,19,1412,3077]] by Python's zlib.compress. */
#define ZLIB "789c0dc8b10d00300803b087321082887a0be2ff378a47cf04d820e5c52468b064885d1705be0b2614f6ee07fa2b0a6a"
#define DECODED                                                                                                    \
    "16/1=1137" BULK_B("1763692796") "17/1=1437" BULK_B("1763692798") "17/2=3164" BULK_B("1763692798")             \
    "19/1=1412" BULK_B("1763692800") "19/2=3077" BULK_B("1763692800")

Test(emoncms, bulk_compressed)
{
    static const struct request_expectation table[] = {
        {"c=1&data=" ZLIB, "", DECODED},
        {"c=1", ZLIB, DECODED},
        {"c=0&data=" FROM_0, "", DECODED},
        {"c=1&data=" ZLIB "0", "", "malformed"},
        {"c=1&data=" ZLIB "00", "", "malformed"},
        {"c=1&data=789G", "", "malformed"},
        {"c=1&data=", "", "malformed"},
        {"c=1&data=" FROM_0, "", "malformed"},
        {"cb=1", FROM_0, "malformed"},
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    check_request_table(BULK, table, COUNT_OF(table));
    cr_expect_str_eq(decoded_with(BULK, "cb=1", hex_bytes(arena, ZLIB), arena), DECODED);
    cr_expect_str_eq(decoded_with(BULK, "c=1&cb=1", hex_bytes(arena, ZLIB), arena), DECODED);
    arena_free(arena);
}

/* "2 [row]\n" of each part, with the number of its observations. */
static const char *parts_with(const char *parameters, struct bytes payload, struct arena *arena)
{
    struct format_parameter items[PARAMETERS_MAX];
    struct observation_list list;
    struct builder builder;
    struct bytes text;
    struct format_input input = {
        .payload = payload, .now = NOW, .limits = FORMAT_LIMITS_DEFAULT, .parameters = items};
    size_t sum = 0;
    input.parameter_count = parameters_of(bytes_of_text(parameters), items);
    cr_assert_eq(emoncms_decode_bulk(&input, arena, &list, NULL), OUTCOME_CHANGED, "%s", parameters);
    builder_init(&builder, arena, 64);
    for (size_t i = 0; i < list.part_count; sum += list.parts[i++].count) {
        builder_put_uint(&builder, list.parts[i].count);
        builder_put_text(&builder, " ");
        builder_put(&builder, list.parts[i].text);
        builder_put_text(&builder, "\n");
    }
    cr_expect(list.part_count == 0 || sum == list.count);
    cr_assert(builder_finish(&builder, &text));
    return arena_text(arena, text);
}

/* By a clock that shows what ours shows a row is the same whenever it comes; by any other it is an offset. */
Test(emoncms, rows_that_are_messages)
{
    static const struct request_expectation table[] = {
        {"sentat=1763692800", "[[1763692790,5,1,2], [ 1763692795.25 , \"a]\" , {\"T\":1} ]]",
         "2 [1763692790,5,1,2]\n1 [ 1763692795.25 , \"a]\" , {\"T\":1} ]\n"},
        {"offset=1763692800", "[[\"1763692790\",5,1]]", "1 [\"1763692790\",5,1]\n"},
        {"sentat=1763692800&data=[[1763692790,5,1]]", "", "1 [1763692790,5,1]\n"},
        {"sentat=1763692800", "[[],[1],[1763692790,5,null],[1763692790,5,null,1],[1763692790,5]]",
         "1 [1763692790,5,null,1]\n"},
        {"sentat=1763692500.125", "[[1763692490,5,1]]", "1 [1763692490,5,1]\n"},
        {"sentat=1763693100.125", "[[268435456,5,1]]", "1 [268435456,5,1]\n"},
        {"sentat=1763692500.124", "[[1763692490,5,1]]", ""},
        {"sentat=1763693100.126", "[[1763692490,5,1]]", ""},
        {"sentat=1763692800", "[[1763692790,5,1],[268435455,5,1]]", ""},
        {"sentat=1763692800", "[[268435455,5,1],[1763692790,5,1]]", ""},
        {"sentat=543", "[[520,5,1]]", ""},
        {"", "[[1763692800,5,1]]", ""},
        {"time=1763692800", "[[1763692790,5,1]]", ""},
        {"time=0", "[[1763692790,5,1]]", ""},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = parts_with(table[i].parameters, bytes_of_text(table[i].payload), arena);
        cr_expect_str_eq(result, table[i].result, "%s %s gives %s", table[i].parameters, table[i].payload, result);
        arena_free(arena);
    }
}

Test(emoncms, limits)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct format_limits limits = {.depth = 16, .items = 4096, .records = 3};
    struct format_input input = {.now = NOW, .limits = limits, .payload = BYTES_LITERAL("1,2,3")};
    struct observation_list list;
    cr_expect_eq(emoncms_decode_post(&input, arena, &list, NULL), OUTCOME_CHANGED);
    input.payload = BYTES_LITERAL("1,2,3,4");
    cr_expect_eq(emoncms_decode_post(&input, arena, &list, NULL), OUTCOME_TOO_COMPLEX);
    input.payload = BYTES_LITERAL("[[0,1,2,3],[0,1,4]]");
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, NULL), OUTCOME_CHANGED);
    input.payload = BYTES_LITERAL("[[0,1,2,3],[0,1,4,5]]");
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, NULL), OUTCOME_TOO_LARGE);
    input.limits = (struct format_limits){.depth = 16, .items = 9, .records = 100};
    input.payload = BYTES_LITERAL("[[0,1,2,3],[0,1]]");
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, NULL), OUTCOME_CHANGED);
    input.payload = BYTES_LITERAL("[[0,1,2,3],[0,1,null]]");
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, NULL), OUTCOME_TOO_LARGE);
    arena_free(arena);
}

/* Where in the payload it went wrong is known also where the data is a part of it. */
Test(emoncms, position_of_what_is_wrong)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct format_error error;
    struct observation_list list;
    struct bytes body = BYTES_LITERAL("data=[[0,5,1],[0,\"s\",[]]]");
    struct format_parameter data = {BYTES_LITERAL("data"), bytes_of(body.ptr + 5, body.len - 5)};
    struct format_input input = {
        .now = NOW, .limits = FORMAT_LIMITS_DEFAULT, .payload = body, .parameters = &data, .parameter_count = 1};
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, &error), OUTCOME_BAD_VALUE);
    cr_expect(error.offset == SIZE_MAX || error.offset <= body.len);
    data.value = BYTES_LITERAL("[[0,5,1],[0,\"s\" 5]]");
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, &error), OUTCOME_MALFORMED);
    cr_expect_eq(error.offset, SIZE_MAX);
    data.value = bytes_of(body.ptr + 5, 8);
    cr_expect_eq(emoncms_decode_bulk(&input, arena, &list, &error), OUTCOME_MALFORMED);
    cr_expect(error.offset >= 5 && error.offset <= body.len, "%zu", error.offset);
    arena_free(arena);
}

Test(emoncms, no_memory)
{
    static const size_t limits[] = {1, 64, 512, 4096, 16384};
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct arena *arena = arena_new(limits[i]);
        struct format_input input = {.now = NOW, .limits = FORMAT_LIMITS_DEFAULT, .payload = BYTES_LITERAL(ROWS)};
        struct observation_list list;
        enum outcome outcome = emoncms_decode_bulk(&input, arena, &list, NULL);
        cr_expect(outcome == OUTCOME_OUT_OF_MEMORY || (outcome == OUTCOME_CHANGED && i > 2));
        arena_free(arena);
    }
}
