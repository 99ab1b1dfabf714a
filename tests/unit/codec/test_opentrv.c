// SPDX-License-Identifier: GPL-3.0-or-later
/* OpenTRV's text forms: leaf JSON, ASCII, log lines, raw JSON with its CRC. */
#include "codec/opentrv.h"

#include "codec/crc7.h"
#include "codec/json.h"
#include "tests/unit/codec/legacy.h"

Test(opentrv, json)
{
    static const struct expectation table[] = {
        {"{\"@\":\"414a\",\"+\":2,\"L\":130,\"vC|%\":1158,\"T|C16\":255}",
         "414a.L=130; 414a.vC=11.58 / +; 414a.T=15.9375 Cel"},
        {"{\"@\":\"2d1a\",\"+\":4,\"L\":78,\"T|C16\":326,\"O\":2,\"vac|h\":2}",
         "2d1a.L=78; 2d1a.T=20.375 Cel; 2d1a.O=2; 2d1a.vac=7200 s"},
        {"{\"@\":\"0D49\",\"B|cV\":259,\"v|%\":100,\"tT|C\":6,\"tS|C\":1}",
         "0D49.B=2.59 V; 0D49.v=1 /; 0D49.tT=6 Cel; 0D49.tS=1 Cel"},
        {"{\"@\":\"819c\",\"B|mV\":3300,\"H|%\":67,\"occ|%\":50,\"T|C16\":-4}",
         "819c.B=3.3 V; 819c.H=67 %RH; 819c.occ=0.5 /; 819c.T=-0.25 Cel"},
        {"{\"gE\":3,\"err\":0,\"av\":21,\"T|C16\":0}", "gE=3; err=0; av=21; T=0 Cel"},
        {" {\"a b\":1,\"x|furlong\":2,\"p|kW\":1.5,\"q|Pa\":100.0}\r\n", "a_b=1; x=2 furlong; p=1500 W; q=100.0 Pa"},
        {"{\"s\":\"on|off\",\"ok\":true,\"t|C16\":\"x\"}", "s='on|off'; ok=true; t='x'"},
        {"{\"@\":\"E091B7DC8FEDC7A9\",\"+\":15,\"O\":1}", "E091B7DC8FEDC7A9.O=1"},
        {"{\"@\":\"414a\",\"+\":7}", ""},
        {"{}", ""},
        {"{\"x|C16\":1e400}", "bad-value"},
        {"{\"x|C16\":1e308,\"y|h\":1e306}", "bad-value"},
        {"{\"@\":\"414g\",\"L\":1}", "bad-name"},
        {"{\"@\":\"\",\"L\":1}", "bad-name"},
        {"{\"@\":\"00112233445566778\",\"L\":1}", "bad-name"},
        {"{\"@\":414,\"L\":1}", "bad-name"},
        {"{\"+\":16,\"L\":1}", "bad-value"},
        {"{\"+\":-1,\"L\":1}", "bad-value"},
        {"{\"+\":1.0,\"L\":1}", "bad-value"},
        {"{\"+\":\"1\",\"L\":1}", "bad-value"},
        {"{\"|%\":1}", "bad-name"},
        {"{\"\":1}", "bad-name"},
        {"{\"L\":null}", "bad-value"},
        {"{\"L\":[1]}", "bad-value"},
        {"{\"L\":1,\"L\":2}", "duplicate-key"},
        {"{\"T|C16\":1,\"T|C\":2}", "duplicate-key"},
        {"{\"a b\":1,\"a_b\":2}", "duplicate-key"},
        {"{\"L\":1", "malformed"},
        {"{\"L\":1}{}", "malformed"},
        {"{\"L\":\"\xc3\xa9\"}", "malformed"},
        {"{\"L\":1,\n\"O\":1}", "malformed"},
        {"[]", "bad-value"},
        {"", "malformed"},
    };
    check_told(CONTENT_FORMAT_OPENTRV_JSON, table, COUNT_OF(table), false);
}

Test(opentrv, ascii)
{
    static const struct expectation table[] = {
        {"@D49;T19C7;L61;O1", "D49.T=19.4375 Cel; D49.L=61; D49.O=1"},
        {"@A45;P;T21CC;L62;O1", "A45.lowBattery=true; A45.T=21.75 Cel; A45.L=62; A45.O=1"},
        {"@a45;T21Cc;H50;B256", "a45.T=21.75 Cel; a45.H=50 %RH; a45.B=2.56 V"},
        {"@A45;T-5C4", "A45.T=-4.75 Cel"},
        {"@A45;T-1CF", "A45.T=-0.0625 Cel"},
        {"@A45;T0C0", "A45.T=0 Cel"},
        {"@A45; L62 ;x1.50\r\n", "A45.L=62; A45.x=1.50"},
        {"@A45;X", "A45.X=true"},
        {"@A45", ""},
        {"@A45;T-0C4", "malformed"},
        {"@A45;T21", "malformed"},
        {"@A45;T21C", "malformed"},
        {"@A45;TC1", "malformed"},
        {"@A45;T-C1", "malformed"},
        {"@A45;T21CG", "malformed"},
        {"@A45;T21C11", "malformed"},
        {"@A45;T12345C1", "malformed"},
        {"@A45;T", "malformed"},
        {"@A45;L62;L63", "duplicate-key"},
        {"@A45;;L62", "malformed"},
        {"@A45;L62;", "malformed"},
        {"@A45;@A46", "malformed"},
        {"@A45;7", "malformed"},
        {"@A45;L6x", "malformed"},
        {"@A45;L1e999", "bad-value"},
        {"@;L62", "malformed"},
        {"@A4Z;L62", "malformed"},
        {"T21CC;@A45", "malformed"},
        {"", "malformed"},
    };
    check_told(CONTENT_FORMAT_OPENTRV_ASCII, table, COUNT_OF(table), false);
}

Test(opentrv, log)
{
    static const struct expectation table[] = {
        {"[ \"2014-12-19T15:39:50Z\", \"\", {\"@\":\"414a\",\"L\":130,\"T|C16\":255} ]",
         "414a.L=130 @1419003590; 414a.T=15.9375 Cel @1419003590"},
        {"[\"2014-12-19T15:39:50.5Z\",\"hub\",{\"@\":\"414a\",\"L\":1}]\r", "414a.L=1 @1419003590.5"},
        {"{\"@\":\"414a\",\"L\":130}", "414a.L=130"},
        {"@D49;T19C7", "D49.T=19.4375 Cel"},
        {"", ""},
        {"  \r", ""},
        {"!RX ERR", ""},
        {"=F0%@18C7;T1 5 W255 0", ""},
        {">", ""},
        {"{\"@\":\"414a\",\"L\":13", "malformed"},
        {"[ \"2014-12-19T15:39:50Z\", \"\", {\"@\":\"414a\",\"L\":1} ", "malformed"},
        {"[ \"2014-12-19T15:39:50Z\", \"\" ]", "bad-value"},
        {"[ \"2014-12-19T15:39:50Z\", \"\", {}, 1 ]", "bad-value"},
        {"[ \"2014-13-19T15:39:50Z\", \"\", {\"L\":1} ]", "bad-value"},
        {"[ 1419003590, \"\", {\"L\":1} ]", "bad-value"},
        {"[ \"2014-12-19T15:39:50Z\", null, {\"L\":1} ]", "bad-value"},
        {"[ \"2014-12-19T15:39:50Z\", \"\", 7 ]", "bad-value"},
        {"[]", "bad-value"},
        {"T21CC", "malformed"},
        {"hello", "malformed"},
        {"{\"L\":1}\n{\"L\":2}", "malformed"},
    };
    check_told(CONTENT_FORMAT_OPENTRV_LOG, table, COUNT_OF(table), false);
}

/* The example log of DeviceJSON: ten lines of a concentrator, all of which are data. */
Test(opentrv, log_of_the_project)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_text(arena, vector_file(arena, "opentrv/DeviceJSON-README.txt"));
    size_t lines = 0, values = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        struct observation_list list = {0};
        struct format_error error = {NULL, 0};
        if (line[0] != '[')
            continue;
        const char *result = told_of(format_by_content_format(CONTENT_FORMAT_OPENTRV_LOG),
                                     (struct format_input){.payload = bytes_of_text(line)}, arena, &list, &error);
        cr_expect(list.count > 0, "%s gives %s", line, result);
        if (lines == 0)
            cr_expect_str_eq(result, "414a.L=130 @1455792340; 414a.vC=11.58 / + @1455792340; "
                                     "414a.T=15.9375 Cel @1455792340");
        lines++;
        values += list.count;
    }
    cr_expect_eq(lines, 10);
    cr_expect_eq(values, 35);
    arena_free(arena);
}

static struct bytes as_sent(struct arena *arena, const char *text)
{
    size_t len = strlen(text);
    uint8_t *sent = arena_alloc(arena, len + 1);
    memcpy(sent, text, len);
    sent[len - 1] = 0xfd;
    sent[len] = crc7(CRC7_RAW_JSON_START, bytes_of(sent + 1, len - 1));
    return bytes_of(sent, len + 1);
}

static struct bytes member(const struct node *object, const char *name)
{
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1))
        if (bytes_equal_text(key->data, name))
            return key[1].data;
    return (struct bytes){0};
}

static const struct node *vectors(struct arena *arena, const char *name)
{
    const struct node *root;
    struct refusal refusal;
    cr_assert(json_read(vector_file(arena, "opentrv/frames.json"), &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
    const struct node *key = node_first(root);
    while (!bytes_equal_text(key->data, name))
        key = node_next(key + 1);
    return key + 1;
}

Test(opentrv, raw_vectors)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *list = vectors(arena, "raw_json_crc"), *item = node_first(list);
    for (uint32_t i = 0; i < list->count; i++, item = node_next(item)) {
        struct bytes sent = as_sent(arena, arena_text(arena, member(item, "text")));
        char crc[8];
        snprintf(crc, sizeof(crc), "%u", sent.ptr[sent.len - 1]);
        cr_expect(bytes_equal_text(member(item, "crc"), crc), "%s", crc);
        if (member(item, "tx_hex").len)
            cr_expect(bytes_equal(sent, from_hex(arena, member(item, "tx_hex"))));
        cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, sent, arena),
                         i ? "cdfb.T=18.6875 Cel; cdfb.H=83 %RH; cdfb.L=255; cdfb.B=2.56 V" : "");
    }
    arena_free(arena);
}

Test(opentrv, ascii_vectors)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *list = vectors(arena, "ascii_stats"), *item = node_first(list);
    static const char *const expected[] = {"A45.T=21.75 Cel; A45.L=35; A45.O=1",
                                           "cdfb.T=18.625 Cel; cdfb.H=87 %RH; cdfb.L=231; cdfb.B=2.56 V"};
    cr_assert_eq(list->count, COUNT_OF(expected));
    for (uint32_t i = 0; i < list->count; i++, item = node_next(item))
        cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_LOG, member(item, "text"), arena), expected[i]);
    arena_free(arena);
}

Test(opentrv, raw)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes good = as_sent(arena, "{\"L\":1}");
    uint8_t bad[16];
    cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, good, arena), "L=1");
    for (size_t bit = 0; bit < 8 * good.len; bit++) {
        memcpy(bad, good.ptr, good.len);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, bytes_of(bad, good.len), arena), "malformed");
    }
    cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, bytes_of(good.ptr, good.len - 1), arena), "malformed");
    cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, bytes_of("", 0), arena), "malformed");
    cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, bytes_of("{", 1), arena), "malformed");
    struct bytes longest = as_sent(arena, "{\"L\":1234567890123456789012345678901234567890123456789}");
    cr_assert_eq(longest.len, OPENTRV_RAW_JSON_MAX + 1);
    cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, longest, arena),
                     "L=1234567890123456789012345678901234567890123456789");
    cr_expect_str_eq(
        told(CONTENT_FORMAT_OPENTRV_RAW, as_sent(arena, "{\"L\":12345678901234567890123456789012345678901234567890}"),
             arena),
        "malformed");
    arena_free(arena);
}

/* A checksum of 0 may be sent as it is or as 80. */
Test(opentrv, raw_checksum_of_zero)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    size_t found = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char text[24];
        snprintf(text, sizeof(text), "{\"L\":%u}", i);
        struct bytes sent = as_sent(arena, text);
        if (sent.ptr[sent.len - 1] != 0)
            continue;
        found++;
        cr_expect_str_neq(told(CONTENT_FORMAT_OPENTRV_RAW, sent, arena), "malformed");
        ((uint8_t *)(uintptr_t)sent.ptr)[sent.len - 1] = CRC7_ZERO_SENT;
        cr_expect_str_neq(told(CONTENT_FORMAT_OPENTRV_RAW, sent, arena), "malformed");
        ((uint8_t *)(uintptr_t)sent.ptr)[sent.len - 1] = 0xff;
        cr_expect_str_eq(told(CONTENT_FORMAT_OPENTRV_RAW, sent, arena), "malformed");
    }
    cr_expect_gt(found, 0);
    arena_free(arena);
}

Test(opentrv, says_where)
{
    static const struct {
        int content_format;
        const char *payload;
        size_t offset;
    } table[] = {
        {CONTENT_FORMAT_OPENTRV_JSON, "  {\"L\":1,\"+\":99}", 13},
        {CONTENT_FORMAT_OPENTRV_JSON, " {\"L\":\x01}", 6},
        {CONTENT_FORMAT_OPENTRV_ASCII, " @A45;L62;L63", 10},
        {CONTENT_FORMAT_OPENTRV_ASCII, "@A45;", 5},
        {CONTENT_FORMAT_OPENTRV_LOG, "[\"x\",\"\",{}]", 2},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation_list list = {0};
        struct format_error error = {NULL, 0};
        (void)told_of(format_by_content_format(table[i].content_format),
                      (struct format_input){.payload = bytes_of_text(table[i].payload)}, arena, &list, &error);
        cr_expect_eq(error.offset, table[i].offset, "%s: %zu", table[i].payload, error.offset);
        arena_free(arena);
    }
}
