// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages: the vectors of RFC 7252 and libcoap, the rules of RFC 7252 3, 4.2 and 5.4, and writing (M1, M18). */
#include "codec/json.h"
#include "tests/unit/gateway/wire.h"

static struct bytes read_vectors(struct arena *arena, const char *name)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/vectors/coap-messages/%s", root ? root : ".", name);
    FILE *file = fopen(path, "rb");
    cr_assert(file, "cannot open %s", path);
    uint8_t *ptr = arena_alloc(arena, 65536);
    size_t len = fread(ptr, 1, 65536, file);
    fclose(file);
    return bytes_of(ptr, len);
}

static const struct node *member(const struct node *map, const char *name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(node_next(key)))
        if (bytes_equal_text(key->data, name))
            return node_next(key);
    return NULL;
}

static const char *text_of(struct arena *arena, const struct node *map, const char *name)
{
    const struct node *node = member(map, name);
    return node ? arena_text(arena, node->data) : NULL;
}

static const char *hex_of(struct arena *arena, struct bytes bytes)
{
    char *text = arena_alloc(arena, 2 * bytes.len + 1);
    text[0] = '\0';
    for (size_t i = 0; i < bytes.len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes.ptr[i]);
    return text;
}

/* Options and payload are written again from the vector and must give the received bytes: all are minimal. */
static struct bytes rewrite(struct arena *arena, const struct node *vector, const struct message *message)
{
    struct message_writer *writer = arena_alloc(arena, sizeof *writer);
    message_writer_init(writer);
    const struct node *options = member(vector, "options");
    const struct node *option = node_first(options);
    for (uint32_t i = 0; i < options->count; i++, option = node_next(option)) {
        const struct node *number = node_first(option);
        uint8_t value[512];
        size_t len = unhex(arena_text(arena, node_next(number)->data), value, sizeof value);
        message_put(writer, (enum message_option)atoi(arena_text(arena, number->data)), bytes_of(value, len));
    }
    uint8_t payload[512];
    size_t len = unhex(text_of(arena, vector, "payload"), payload, sizeof payload);
    message_put_payload(writer, bytes_of(payload, len));
    return message_finish(writer, message->type, message->code, message->id, &message->token);
}

static void check_vector(struct arena *arena, const struct node *vector)
{
    static const char *const types[] = {"CON", "NON", "ACK", "RST"};
    const char *id = text_of(arena, vector, "id");
    uint8_t octets[512];
    char code[16];
    struct message message;
    size_t len = unhex(text_of(arena, vector, "hex"), octets, sizeof octets);
    struct bytes datagram = bytes_of(octets, len);
    enum message_verdict verdict = message_parse(datagram, &message);
    /* Class 3 has no meaning, whatever libcoap's own parser says of it. */
    bool is_class_3 = octets[1] >> 5 == 3;
    if (!member(vector, "ok")->boolean || is_class_3) {
        cr_expect_eq(verdict, MESSAGE_MALFORMED, "%s", id);
        return;
    }
    cr_assert_eq(verdict, MESSAGE_FINE, "%s", id);
    snprintf(code, sizeof code, "%d.%02d", message.code >> 5, message.code & 31);
    cr_expect_str_eq(types[message.type], text_of(arena, vector, "type"), "%s", id);
    cr_expect_str_eq(code, text_of(arena, vector, "code"), "%s", id);
    cr_expect_eq(message.id, atoi(text_of(arena, vector, "mid")), "%s", id);
    cr_expect_str_eq(hex_of(arena, bytes_of(message.token.octets, message.token.len)),
                     text_of(arena, vector, "token"), "%s", id);
    cr_expect_str_eq(hex_of(arena, message.payload), text_of(arena, vector, "payload"), "%s", id);
    cr_expect_str_eq(hex_of(arena, rewrite(arena, vector, &message)), hex_of(arena, datagram), "%s", id);
}

Test(message, vectors_of_rfc_7252_and_libcoap)
{
    struct arena *arena = arena_new(1 << 20);
    const struct node *root;
    struct refusal refusal;
    struct format_limits limits = FORMAT_LIMITS_DEFAULT;
    cr_assert(json_read(read_vectors(arena, "messages.json"), &limits, arena, &root, &refusal));
    cr_assert_geq(root->count, 13);
    const struct node *vector = node_first(root);
    for (uint32_t i = 0; i < root->count; i++, vector = node_next(vector))
        check_vector(arena, vector);
    arena_free(arena);
}

/* One datagram and what it is; for a good one, which critical options were not understood. */
struct row {
    const char *hex;
    enum message_verdict verdict;
    const char *refused;
};

static const struct row rows[] = {
    /* RFC 7252 3: too short, or another version */
    {"", MESSAGE_NOT_COAP, ""},
    {"40", MESSAGE_NOT_COAP, ""},
    {"400112", MESSAGE_NOT_COAP, ""},
    {"00011234", MESSAGE_NOT_COAP, ""},
    {"80011234", MESSAGE_NOT_COAP, ""},
    {"c0011234", MESSAGE_NOT_COAP, ""},
    /* token lengths */
    {"40011234", MESSAGE_FINE, ""},
    {"48011234 0102030405060708", MESSAGE_FINE, ""},
    {"49011234 010203040506070809", MESSAGE_MALFORMED, ""},
    {"4a011234 0102030405060708090a", MESSAGE_MALFORMED, ""},
    {"4c011234 0102030405060708090a0b0c", MESSAGE_MALFORMED, ""},
    {"4d011234 000102030405060708090a0b0c0d0e", MESSAGE_MALFORMED, ""},
    {"4f011234 0102030405060708090a0b0c0d0e0f", MESSAGE_MALFORMED, ""},
    {"48011234 01020304050607", MESSAGE_MALFORMED, ""},
    {"41011234", MESSAGE_MALFORMED, ""},
    /* RFC 7252 4.1: Empty is four bytes */
    {"40001234", MESSAGE_FINE, ""},
    {"50001234", MESSAGE_FINE, ""},
    {"60001234", MESSAGE_FINE, ""},
    {"70001234", MESSAGE_FINE, ""},
    {"41001234 01", MESSAGE_MALFORMED, ""},
    {"40001234 00", MESSAGE_MALFORMED, ""},
    {"40001234 ff", MESSAGE_MALFORMED, ""},
    {"40001234 ff31", MESSAGE_MALFORMED, ""},
    /* classes */
    {"401f1234", MESSAGE_FINE, ""},
    {"40201234", MESSAGE_MALFORMED, ""},
    {"403f1234", MESSAGE_MALFORMED, ""},
    {"40411234", MESSAGE_FINE, ""},
    {"40611234", MESSAGE_MALFORMED, ""},
    {"40841234", MESSAGE_FINE, ""},
    {"40a31234", MESSAGE_FINE, ""},
    {"40c11234", MESSAGE_MALFORMED, ""},
    {"40e11234", MESSAGE_MALFORMED, ""},
    {"40ff1234", MESSAGE_MALFORMED, ""},
    /* options: reserved nibbles, truncated forms, past the end, number above 65535 */
    {"40011234 f0", MESSAGE_MALFORMED, ""},
    {"40011234 f1 01", MESSAGE_MALFORMED, ""},
    {"40011234 0f", MESSAGE_MALFORMED, ""},
    {"40011234 1f 0102", MESSAGE_MALFORMED, ""},
    {"40011234 d0", MESSAGE_MALFORMED, ""},
    {"40011234 e0", MESSAGE_MALFORMED, ""},
    {"40011234 e001", MESSAGE_MALFORMED, ""},
    {"40011234 0d", MESSAGE_MALFORMED, ""},
    {"40011234 0e00", MESSAGE_MALFORMED, ""},
    {"40011234 b4 6f6273", MESSAGE_MALFORMED, ""},
    {"40011234 bd 00 6f", MESSAGE_MALFORMED, ""},
    {"40011234 be ffff 6f", MESSAGE_MALFORMED, ""},
    {"40011234 e0fff2 e0ffff", MESSAGE_MALFORMED, ""},
    {"40011234 e0ffff", MESSAGE_MALFORMED, ""},
    {"40011234 e0fef2 10", MESSAGE_MALFORMED, ""},
    /* forms that are longer than necessary, and option 0 */
    {"40011234 00", MESSAGE_FINE, ""},
    {"40011234 d000", MESSAGE_FINE, "13"},
    {"40011234 b3 6f6273", MESSAGE_FINE, ""},
    /* payload marker */
    {"40021234 ff", MESSAGE_MALFORMED, ""},
    {"40021234 b3 6f6273 ff", MESSAGE_MALFORMED, ""},
    {"40021234 ff 00", MESSAGE_FINE, ""},
    {"40021234 b1 ff ff 31", MESSAGE_FINE, ""},
    {"40021234 ff ff ff", MESSAGE_FINE, ""},
    /* unknown options: critical ones are refused, elective ones ignored */
    {"40011234 91 01", MESSAGE_FINE, "9"},
    {"40011234 d10001", MESSAGE_FINE, "13"},
    {"40011234 d00d", MESSAGE_FINE, ""},
    {"40011234 e0fdda", MESSAGE_FINE, "65255"},
    {"40011234 20", MESSAGE_FINE, ""},
    {"40011234 91 00 40 20 20", MESSAGE_FINE, "9,13"},
    {"40011234 90 40 60 20 20", MESSAGE_FINE, "9,13,19,21"},
    {"40011234 d006", MESSAGE_FINE, "19"},
    {"40011234 d012", MESSAGE_FINE, "31"},
    /* lengths out of range: elective ignored, critical refused */
    {"40011234 19 000102030405060708", MESSAGE_FINE, "1"},
    {"40011234 30", MESSAGE_FINE, "3"},
    {"40011234 40", MESSAGE_FINE, ""},
    {"40011234 49 000102030405060708", MESSAGE_FINE, ""},
    {"40011234 51 00", MESSAGE_FINE, "5"},
    {"40011234 64 00000000", MESSAGE_FINE, ""},
    {"40011234 73 001633", MESSAGE_FINE, "7"},
    {"40021234 c3 00006e", MESSAGE_FINE, ""},
    {"40011234 d501 0000000001", MESSAGE_FINE, ""},
    {"40011234 d304 00006e", MESSAGE_FINE, "17"},
    {"40011234 d40a 00000006", MESSAGE_FINE, "23"},
    {"40021234 d40e 00000006", MESSAGE_FINE, "27"},
    {"40011234 d016", MESSAGE_FINE, "35"},
    {"40011234 d01a", MESSAGE_FINE, "39"},
    {"40011234 d52f 0000000001", MESSAGE_FINE, ""},
    {"40011234 d0ef", MESSAGE_FINE, ""},
    /* repeats: elective ignored, critical refused; If-Match, ETag, Uri-Path, Uri-Query, Request-Tag may repeat */
    {"40011234 10 01 02 00", MESSAGE_FINE, ""},
    {"40011234 11 01 01 02", MESSAGE_FINE, ""},
    {"40011234 31 61 01 62", MESSAGE_FINE, "3"},
    {"40011234 41 61 01 62", MESSAGE_FINE, ""},
    {"40011234 50 00", MESSAGE_FINE, "5"},
    {"40011234 60 01 01", MESSAGE_FINE, ""},
    {"40011234 71 16 01 17", MESSAGE_FINE, "7"},
    {"40021234 c1 6e 01 70", MESSAGE_FINE, ""},
    {"40011234 d1046e 01 70", MESSAGE_FINE, "17"},
    {"40011234 d10a06 01 06", MESSAGE_FINE, "23"},
    {"40021234 d10e06 01 06", MESSAGE_FINE, "27"},
    {"40011234 b16f 016f 4161 0162", MESSAGE_FINE, ""},
    {"40011234 e1001701 0102", MESSAGE_FINE, ""},
    /* Block1 has no meaning in a GET */
    {"40011234 d10e06", MESSAGE_FINE, "27"},
};

Test(message, table_of_good_and_bad_datagrams)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t octets[64], *copy;
        struct message message;
        char refused[64] = "";
        size_t len = unhex(rows[i].hex, octets, sizeof octets);
        copy = malloc(len ? len : 1);
        memcpy(copy, octets, len);
        enum message_verdict verdict = message_parse(bytes_of(copy, len), &message);
        cr_expect_eq(verdict, rows[i].verdict, "%s gives %d", rows[i].hex, verdict);
        for (unsigned k = 0; verdict == MESSAGE_FINE && k < message.refused_count; k++)
            snprintf(refused + strlen(refused), sizeof refused - strlen(refused), "%s%u", k ? "," : "",
                     message.refused[k]);
        cr_expect_str_eq(refused, rows[i].refused, "%s refuses %s", rows[i].hex, refused);
        free(copy);
    }
}

Test(message, a_long_segment_is_refused_and_one_of_255_bytes_is_not)
{
    for (size_t len = 255; len <= 256; len++) {
        struct message_writer writer;
        struct message message;
        uint8_t segment[256];
        memset(segment, 'a', sizeof segment);
        message_writer_init(&writer);
        message_put(&writer, MESSAGE_URI_PATH, bytes_of(segment, len));
        message_put(&writer, MESSAGE_URI_QUERY, bytes_of(segment, len));
        struct message_token token = {.len = 0};
        cr_assert_eq(message_parse(message_finish(&writer, MESSAGE_CON, METHOD_GET, 1, &token), &message),
                     MESSAGE_FINE);
        cr_expect_eq(message.refused_count, len == 256 ? 2 : 0);
        cr_expect_eq(message.path_segments, len == 256 ? 0 : 1);
    }
}

static struct message parse(const char *hex)
{
    static uint8_t octets[512];
    struct message message;
    size_t len = unhex(hex, octets, sizeof octets);
    cr_assert_eq(message_parse(bytes_of(octets, len), &message), MESSAGE_FINE);
    return message;
}

Test(message, numbers_may_have_leading_zeros_and_may_be_absent)
{
    struct message message = parse("40011234 63000000 630000 6e 52006e");
    cr_expect_eq(message.observe, 0);
    message = parse("40011234 60 60 5100 d1f26e");
    cr_expect_eq(message.observe, 0);
    cr_expect_eq(message.content_format, 0);
    cr_expect_eq(message.accept, 0);
    message = parse("40011234");
    cr_expect_eq(message.observe, -1);
    cr_expect_eq(message.content_format, CONTENT_FORMAT_NONE);
    cr_expect_eq(message.accept, CONTENT_FORMAT_NONE);
    cr_expect_eq(message.block1, -1);
    cr_expect_eq(message.size1, -1);
    message = parse("40021234 d4 2f 00000100");
    cr_expect_eq(message.size1, 256);
    message = parse("40021234 c3 00006e 02 006e");
    cr_expect_eq(message.content_format, CONTENT_FORMAT_NONE, "a repeat of what was ignored is ignored too");
}

static const char *path_of(const struct message *message)
{
    static char text[512];
    size_t len = message_path_len(message);
    message_path(message, (uint8_t *)text);
    text[len] = '\0';
    return text;
}

Test(message, paths)
{
    struct message message = parse("40011234");
    cr_expect_str_eq(path_of(&message), "/");
    cr_expect(!message.path_opaque);
    message = parse("40011234 b36f6273");
    cr_expect_str_eq(path_of(&message), "/obs");
    message = parse("40011234 b36f6273 0161 00 0162");
    cr_expect_str_eq(path_of(&message), "/obs/a//b");
    message = parse("40011234 b36f6273 00");
    cr_expect_str_eq(path_of(&message), "/obs/", "a trailing slash is a segment");
    message = parse("40011234 b0");
    cr_expect(message.path_opaque, "one empty segment is not the root");
    message = parse("40011234 b0 00");
    cr_expect(!message.path_opaque);
    cr_expect_str_eq(path_of(&message), "//");
    message = parse("40011234 b3612f62");
    cr_expect(message.path_opaque, "a slash inside a segment is not a border of segments");
    message = parse("40011234 b3253265");
    cr_expect_str_eq(path_of(&message), "/%2e", "no percent-decoding");
    cr_expect(!message.path_dotted);
    message = parse("40011234 b12e");
    cr_expect(message.path_dotted);
    message = parse("40011234 b161 022e2e");
    cr_expect(message.path_dotted);
    message = parse("40011234 b32e2e2e");
    cr_expect(!message.path_dotted);
}

Test(message, queries)
{
    struct query_parameter query[8];
    uint8_t text[64];
    /* d=boiler-7, n, =x, a=b=c, and an empty one */
    struct message message = parse("40011234 b36f6273 4a643d626f696c65722d37 016e 023d78 05613d623d63 00");
    cr_assert_eq(message.query_count, 5);
    cr_assert_eq(message.query_bytes, 18);
    message_query(&message, query, text);
    cr_expect(bytes_equal_text(query[0].name, "d") && bytes_equal_text(query[0].value, "boiler-7"));
    cr_expect(bytes_equal_text(query[1].name, "n") && query[1].value.len == 0);
    cr_expect(query[2].name.len == 0 && bytes_equal_text(query[2].value, "x"));
    cr_expect(bytes_equal_text(query[3].name, "a") && bytes_equal_text(query[3].value, "b=c"));
    cr_expect(query[4].name.len == 0 && query[4].value.len == 0);
}

Test(message, etags_and_conditions)
{
    struct message message = parse("40011234 10 020102 3161 0161 016200 e00000");
    cr_expect_eq(message.if_match_count, 2);
    cr_expect_eq(message.if_match[0].len, 0);
    cr_expect_eq(message.if_match[1].len, 2);
    cr_expect_eq(message.etag_count, 3);
    message = parse("40011234 50 d1e99a");
    cr_expect(message.if_none_match);
    cr_expect_eq(message.echo.len, 0, "option 250 is unknown");
    message = parse("40011234 d4ef01020304");
    cr_expect_eq(message.echo.len, 4);
    /* more ETags than are kept are no error */
    message = parse("40011234 4101 0102 0103 0104 0105 0106 0107 0108 0109 010a");
    cr_expect_eq(message.etag_count, REQUEST_ETAGS_MAX);
    cr_expect_eq(message.refused_count, 0);
}

Test(message, a_sequence_is_handed_on_as_it_came)
{
    struct message message = parse("40021234 e3fd3f 010311"); /* 65100 = 269 + 0xfd3f */
    cr_expect(message.has_sequence);
    cr_expect(bytes_equal(message.sequence, BYTES_LITERAL("\x01\x03\x11")));
    message = parse("40021234 e0fd3f");
    cr_expect(message.has_sequence, "empty is not absent");
    cr_expect_eq(message.sequence.len, 0);
    message = parse("40021234 edfd3f02 000102030405060708090a0b0c0d0e");
    cr_expect_eq(message.sequence.len, 15, "whoever reads it says what is wrong");
    message = parse("40021234 e20000 0103 e3fd3f 010311");
    cr_expect(!message.has_sequence && message.refused_count == 2, "65369 is another option, and critical as 269 is");
    message = parse("40021234 e3fd3f 010311 03 010312");
    cr_expect(bytes_equal(message.sequence, BYTES_LITERAL("\x01\x03\x11")), "a second one is passed over");
    message = parse("40021234");
    cr_expect(!message.has_sequence);
}

Test(message, proxy_options_are_seen)
{
    struct message message = parse("40011234 d116 61");
    cr_expect(message.proxied);
    cr_expect_eq(message.refused_count, 0);
    message = parse("40011234 d41a 636f6170");
    cr_expect(message.proxied);
}

Test(message, the_option_table_is_that_of_the_standards)
{
    size_t count;
    const struct message_option_row *table = message_option_table(&count);
    for (size_t i = 1; i < count; i++)
        cr_expect_lt(table[i - 1].number, table[i].number, "%s", table[i].name);
    for (size_t i = 0; i < count; i++)
        cr_expect_leq(table[i].min_len, table[i].max_len, "%s", table[i].name);
}

Test(message, the_document_has_the_option_table)
{
    char path[4096], row[256], text[65536];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/docs/coap-api.md", root ? root : ".");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    size_t count, found = 0;
    const struct message_option_row *table = message_option_table(&count);
    for (size_t i = 0; i < count; i++) {
        snprintf(row, sizeof row, "| %u | %s | %s | %s | %u to %u |", table[i].number, table[i].name,
                 table[i].number & 1 ? "critical" : "elective", table[i].repeatable ? "yes" : "no", table[i].min_len,
                 table[i].max_len);
        cr_expect(strstr(text, row), "docs/coap-api.md lacks: %s", row);
    }
    for (const char *at = text; (at = strstr(at, "| elective | ")); at++)
        found++;
    for (const char *at = text; (at = strstr(at, "| critical | ")); at++)
        found++;
    cr_expect_eq(found, count, "docs/coap-api.md has options that the table lacks");
}

Test(message, transfer_key_is_of_method_and_cache_key_options)
{
    struct hash_key key = {1, 2};
    struct message a = parse("44020001 746f6b31 b16f d10308 ff 30");
    uint64_t first = message_transfer_key(&a, &key);
    struct message other_token = parse("44020002 746f6b32 b16f d10318 ff 31");
    cr_expect_eq(message_transfer_key(&other_token, &key), first, "token, block number and payload do not count");
    struct message with_size = parse("44020002 746f6b32 b16f d10318 d11410 ff 31");
    cr_expect_eq(message_transfer_key(&with_size, &key), first, "Size1 does not count");
    struct message other_path = parse("44020001 746f6b31 b170 d10308 ff 30");
    cr_expect_neq(message_transfer_key(&other_path, &key), first);
    struct message other_method = parse("44030001 746f6b31 b16f d10308 ff 30");
    cr_expect_neq(message_transfer_key(&other_method, &key), first);
    struct message other_format = parse("44020001 746f6b31 b16f 113c d1020800 ff 30");
    cr_expect_neq(message_transfer_key(&other_format, &key), first);
    struct message tagged = parse("44020001 746f6b31 b16f d10308 e0fc00 ff 30");
    cr_expect_neq(message_transfer_key(&tagged, &key), first, "an empty Request-Tag is not none");
    struct message tagged_twice = parse("44020001 746f6b31 b16f d10308 e0fc00 00 ff 30");
    cr_expect_neq(message_transfer_key(&tagged_twice, &key), message_transfer_key(&tagged, &key));
    struct message counted = parse("44020001 746f6b31 b16f d10308 e3fd24 010311 ff 30");
    cr_expect_neq(message_transfer_key(&counted, &key), first, "a body under another sequence is another body");
}

Test(message, uint_options_are_written_without_leading_zeros)
{
    struct message_writer writer;
    struct message_token token = {.len = 0};
    struct message message;
    static const uint32_t numbers[] = {0, 1, 255, 256, 65535, 65536, 0xffffff, 0x1000000, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        message_writer_init(&writer);
        message_put_uint(&writer, MESSAGE_SIZE1, numbers[i]);
        struct bytes datagram = message_finish(&writer, MESSAGE_CON, METHOD_POST, 7, &token);
        size_t want = 0;
        for (uint32_t rest = numbers[i]; rest; rest >>= 8)
            want++;
        cr_expect_eq(datagram.len, 4 + 2 + want);
        cr_assert_eq(message_parse(datagram, &message), MESSAGE_FINE);
        cr_expect_eq(message.size1, numbers[i]);
    }
}

Test(message, a_writer_that_is_full_says_so)
{
    struct message_writer writer;
    uint8_t value[MESSAGE_WRITE_MAX] = {0};
    message_writer_init(&writer);
    message_put_payload(&writer, bytes_of(value, MESSAGE_WRITE_MAX - MESSAGE_HEAD_MAX));
    cr_expect(writer.failed);
    message_writer_init(&writer);
    message_put_payload(&writer, bytes_of(value, MESSAGE_WRITE_MAX - MESSAGE_HEAD_MAX - 1));
    cr_expect(!writer.failed);
    message_put(&writer, MESSAGE_ECHO, bytes_of(value, 8));
    cr_expect(writer.failed);
}
