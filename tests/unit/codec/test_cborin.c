// SPDX-License-Identifier: GPL-3.0-or-later
/* CBOR into nodes and back: RFC 8949 appendix A, and everything that has to be refused (cases P1 to P6). */
#include "codec/cborin.h"

#include "codec/cborout.h"
#include "codec/json.h"
#include "tests/unit/codec/support.h"

static const char *read_as(struct bytes payload, struct arena *arena, const struct node **ret)
{
    struct refusal refusal;
    struct bytes exact;
    cr_assert(arena_copy(arena, payload, &exact));
    if (cborin_read(exact, &FORMAT_LIMITS_DEFAULT, arena, ret, &refusal))
        return "read";
    cr_assert(refusal.detail);
    return outcome_row(refusal.outcome)->slug;
}

Test(cborin, refuses_what_is_not_well_formed_or_not_valid)
{
    static const struct expectation table[] = {
        /* ends too early */
        {"", "malformed"},
        {"18", "malformed"},
        {"1901", "malformed"},
        {"1b00000000000000", "malformed"},
        {"6261", "malformed"},
        {"82", "malformed"},
        {"8201", "malformed"},
        {"a1", "malformed"},
        {"a101", "malformed"},
        {"c1", "malformed"},
        {"9f01", "malformed"},
        {"bf", "malformed"},
        {"5f4100", "malformed"},
        {"7f", "malformed"},
        {"f9", "malformed"},
        {"fa000000", "malformed"},
        /* reserved forms */
        {"1c", "malformed"},
        {"3d", "malformed"},
        {"5e", "malformed"},
        {"7c", "malformed"},
        {"9d", "malformed"},
        {"be", "malformed"},
        {"dc", "malformed"},
        {"fc", "malformed"},
        {"1f", "malformed"},
        {"3f", "malformed"},
        {"df", "malformed"},
        /* simple values: reserved, or assigned by nobody */
        {"f800", "malformed"},
        {"f814", "malformed"},
        {"f81f", "malformed"},
        {"e0", "malformed"},
        {"f0", "malformed"},
        {"f3", "malformed"},
        {"f820", "malformed"},
        {"f8ff", "malformed"},
        /* breaks and chunks */
        {"ff", "malformed"},
        {"81ff", "malformed"},
        {"a1ff", "malformed"},
        {"a101ff", "malformed"},
        {"c1ff", "malformed"},
        {"bf01ff", "malformed"},
        {"bf010203ff", "malformed"},
        {"5f01ff", "malformed"},
        {"5f6161ff", "malformed"},
        {"7f4161ff", "malformed"},
        {"5f5f4100ffff", "malformed"},
        {"7f7f6161ffff", "malformed"},
        {"7f80ff", "malformed"},
        {"7ff6ff", "malformed"},
        /* more than one item */
        {"0000", "malformed"},
        {"80ff", "malformed"},
        {"a0a0", "malformed"},
        /* text */
        {"61ff", "malformed"},
        {"62c080", "malformed"},
        {"63eda080", "malformed"},
        {"64f4908080", "malformed"},
        {"7f61c361bfff", "malformed"},
        {"6100", "bad-value"},
        {"a1610001", "bad-value"},
        {"7f61c3ff", "malformed"},
        /* keys */
        {"a201020103", "duplicate-key"},
        {"a20102180103", "duplicate-key"},
        {"bf61610161617f616102ff", "malformed"},
        {"bf616101616102ff", "duplicate-key"},
        {"a26161017f6161ff02", "duplicate-key"},
        {"a2200120f6", "duplicate-key"},
        {"81a2410001410002", "duplicate-key"},
        {"a3010241010361010a", "read"},
        {"a1f400", "bad-value"},
        {"a1f93c0000", "bad-value"},
        {"a18000", "bad-value"},
        {"a1c10000", "bad-value"},
        {"a1c24100f6", "bad-value"},
        /* tagged numbers */
        {"c24100", "read"},
        {"c25f41004101ff", "read"},
        {"c200", "bad-value"},
        {"c26161", "bad-value"},
        {"c2581c0fffffffffffffffffffffffffffffffffffffffffffffffffffffff", "bad-value"},
        {"c482211903e8", "read"},
        {"c49f211903e8ff", "read"},
        {"c48221c249010000000000000000", "read"},
        {"c4820000", "read"},
        {"c48100", "bad-value"},
        {"c483000000", "bad-value"},
        {"c482f93c0001", "bad-value"},
        {"c4820061", "malformed"},
        {"c482016131", "bad-value"},
        {"c48200f93c00", "bad-value"},
        {"c482c24101183c", "bad-value"},
        {"c4821b7fffffffffffffff01", "bad-value"},
        {"c4823b7fffffffffffffff01", "bad-value"},
        {"c4821a7fffffff01", "bad-value"},
        {"c48200c48200c48200", "malformed"},
        {"c400", "bad-value"},
        {"c4a0", "bad-value"},
        {"c58221196ab3", "read"},
        /* lengths that nobody could have sent */
        {"9bffffffffffffffff", "malformed"},
        {"9b7fffffffffffffff00", "malformed"},
        {"9a7fffffff00", "malformed"},
        {"bbffffffffffffffff", "malformed"},
        {"bb80000000000000000000", "malformed"},
        {"5bffffffffffffffff00", "malformed"},
        {"7bffffffffffffffff00", "malformed"},
        {"5b7fffffffffffffff00", "malformed"},
        {"7a7fffffff00", "malformed"},
        {"5fff", "read"},
        {"7fff", "read"},
        {"9fff", "read"},
        {"bfff", "read"},
        {"d9d9f780", "read"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const struct node *root;
        const char *result = read_as(hex_bytes(arena, table[i].payload), arena, &root);
        cr_expect_str_eq(result, table[i].result, "%s gives %s", table[i].payload, result);
        arena_free(arena);
    }
}

Test(cborin, bounds_depth_and_items)
{
    static const struct {
        uint8_t byte;
        const char *name;
    } nests[] = {
        {0x81, "array"}, {0x9f, "indefinite array"}, {0xc1, "tag"}, {0xa1, "map"}, {0xbf, "indefinite map"},
    };
    static uint8_t payload[1 << 20];
    const struct node *root;
    for (size_t i = 0; i < COUNT_OF(nests); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        /* In maps a key stands before the next level: 00 is the integer key 0. */
        bool map = nests[i].byte == 0xa1 || nests[i].byte == 0xbf;
        for (size_t k = 0; k < 10000; k++)
            payload[k] = map && k % 2 ? 0x00 : nests[i].byte;
        cr_expect_str_eq(read_as(bytes_of(payload, 10000), arena, &root), "too-complex", "%s", nests[i].name);
        arena_free(arena);
    }
    /* A million empty arrays; indefinite strings of a million chunks of one byte. */
    struct arena *arena = arena_new(ARENA_BYTES);
    memset(payload, 0x80, sizeof(payload));
    payload[0] = 0x9f;
    payload[sizeof(payload) - 1] = 0xff;
    cr_expect_str_eq(read_as(bytes_of(payload, sizeof(payload)), arena, &root), "too-complex");
    for (size_t k = 1; k + 1 < sizeof(payload); k++)
        payload[k] = k % 2 ? 0x41 : 0x00;
    payload[0] = 0x5f;
    cr_expect_str_eq(read_as(bytes_of(payload, sizeof(payload)), arena, &root), "too-complex");
    arena_free(arena);
}

Test(cborin, takes_memory_for_what_is_there_only)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *root;
    struct bytes payload = hex_bytes(arena, "9b00000000ffffffff00");
    size_t before = arena_used(arena);
    cr_assert_str_eq(read_as(payload, arena, &root), "malformed");
    cr_assert_lt(arena_used(arena) - before, 1000);
    arena_free(arena);
}

Test(cborin, joins_chunks)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *root;
    struct bytes payload = hex_bytes(arena, "827f657374726561646d696e67ff5f42010243030405ff");
    cr_assert_str_eq(read_as(payload, arena, &root), "read");
    cr_assert_eq(root->skip, 3);
    cr_assert(bytes_equal_text(root[1].data, "streaming"));
    cr_assert(root[1].indefinite);
    cr_assert(bytes_equal(root[2].data, hex_bytes(arena, "0102030405")));
    arena_free(arena);
}

/* Appendix A: decoded values as JSON beside the bytes. */

static const struct node *member(const struct node *map, const char *name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        if (key->kind == NODE_TEXT && bytes_equal_text(key->data, name))
            return key + 1;
    }
    return NULL;
}

/* The same number, however written: zeros at the end taken off. Floats are compared as such. */
static bool same_number(const struct node *a, const struct node *b)
{
    struct decimal x, y;
    struct refusal refusal;
    double number;
    if (!node_decimal(a, &x, &refusal) || !node_decimal(b, &y, &refusal))
        return false;
    if (a->kind == NODE_FLOAT)
        return decimal_to_double(&y, &number) && number == a->real;
    struct decimal *both[] = {&x, &y};
    for (int i = 0; i < 2; i++) {
        while (both[i]->count > 1 && both[i]->digits[both[i]->count - 1] == 0) {
            both[i]->count--;
            both[i]->exponent++;
        }
        if (decimal_is_zero(both[i]))
            both[i]->exponent = 0;
    }
    return x.negative == y.negative && x.exponent == y.exponent && x.count == y.count &&
           memcmp(x.digits, y.digits, x.count) == 0;
}

static bool same(const struct node *cbor, const struct node *json)
{
    if (node_is_number(cbor) || node_is_number(json))
        return node_is_number(cbor) && node_is_number(json) && same_number(cbor, json);
    if (cbor->kind != json->kind || cbor->count != json->count)
        return false;
    const struct node *x = node_first(cbor), *y = node_first(json);
    switch (cbor->kind) {
    case NODE_BOOLEAN:
        return cbor->boolean == json->boolean;
    case NODE_TEXT:
        return bytes_equal(cbor->data, json->data);
    case NODE_ARRAY:
        for (uint32_t i = 0; i < cbor->count; i++, x = node_next(x), y = node_next(y)) {
            if (!same(x, y))
                return false;
        }
        return true;
    case NODE_MAP:
        for (uint32_t i = 0; i < cbor->count; i++, x = node_next(x + 1), y = node_next(y + 1)) {
            if (!same(x, y) || !same(x + 1, y + 1))
                return false;
        }
        return true;
    default:
        return true;
    }
}

static void write_again(const struct node *node, struct builder *out)
{
    const struct node *child = node_first(node);
    struct decimal decimal;
    switch (node->kind) {
    case NODE_NULL:
        builder_put_byte(out, 0xf6);
        break;
    case NODE_BOOLEAN:
        cborout_bool(out, node->boolean);
        break;
    case NODE_INTEGER:
        if (node->negative && node->integer > INT64_MAX) {
            builder_put_byte(out, 0x3b);
            for (int i = 7; i >= 0; i--)
                builder_put_byte(out, (uint8_t)(node->integer >> (8 * i)));
        } else if (node->negative) {
            cborout_int(out, -1 - (int64_t)node->integer);
        } else {
            cborout_uint(out, node->integer);
        }
        break;
    case NODE_FLOAT:
        cborout_double(out, node->real);
        break;
    case NODE_NUMBER:
        cr_assert_eq(decimal_parse(node->data, &decimal), DECIMAL_OK);
        cborout_decimal(out, node->data, &decimal);
        break;
    case NODE_TEXT:
        cborout_text(out, node->data);
        break;
    case NODE_BYTES:
        cborout_bytes(out, node->data);
        break;
    case NODE_ARRAY:
        cborout_array(out, node->count);
        for (uint32_t i = 0; i < node->count; i++, child = node_next(child))
            write_again(child, out);
        break;
    case NODE_MAP:
        cborout_map(out, node->count);
        for (uint32_t i = 0; i < 2 * node->count; i++, child = node_next(child))
            write_again(child, out);
        break;
    case NODE_TAG:
        cborout_tag(out, node->integer);
        write_again(child, out);
        break;
    }
}

/* Simple values that no RFC has assigned; two of them are not even well-formed since RFC 8949. */
static bool expected_refusal(struct bytes hex)
{
    return bytes_equal_text(hex, "f0") || bytes_equal_text(hex, "f818") || bytes_equal_text(hex, "f8ff");
}

/* 0 to 23, though the library knows some of them only; 2 to 4 want a number. */
Test(cborin, every_short_tag)
{
    static const struct format_limits limits = {.depth = 4, .items = 8};
    for (unsigned tag = 0; tag < 24; tag++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const uint8_t bytes[] = {(uint8_t)(0xc0 + tag), 0x81, 0x07};
        const struct node *root;
        struct refusal refusal;
        bool number = tag >= 2 && tag <= 4;
        cr_assert_eq(cborin_read(bytes_of(bytes, sizeof bytes), &limits, arena, &root, &refusal), !number, "%u", tag);
        if (!number) {
            cr_assert(root->kind == NODE_TAG && root->integer == tag && root->skip == 3);
            cr_assert(node_first(root)->kind == NODE_ARRAY && node_first(root)->count == 1);
        }
        cr_assert_not(cborin_read(bytes_of(bytes, 1), &limits, arena, &root, &refusal));
        arena_free(arena);
    }
}

Test(cborin, appendix_a)
{
    struct arena *arena = arena_new(ARENA_BYTES * 4);
    const struct node *vectors, *root;
    struct refusal refusal;
    struct format_limits wide = {.depth = 16, .items = 100000, .records = 1};
    cr_assert(json_read(vector_file(arena, "cbor-appendix-a/appendix_a.json"), &wide, arena, &vectors, &refusal));
    unsigned compared = 0, written = 0, refused = 0;
    const struct node *vector = node_first(vectors);
    for (uint32_t i = 0; i < vectors->count; i++, vector = node_next(vector)) {
        struct bytes hex = member(vector, "hex")->data;
        struct bytes cbor = from_hex(arena, hex), again;
        const char *result = read_as(cbor, arena, &root);
        if (expected_refusal(hex)) {
            cr_expect_str_eq(result, "malformed");
            refused++;
            continue;
        }
        cr_expect_str_eq(result, "read", "%.*s", (int)hex.len, hex.ptr);
        const struct node *value = member(vector, "decoded");
        if (value) {
            cr_expect(same(root, value), "%.*s", (int)hex.len, hex.ptr);
            compared++;
        }
        /* undefined is read as null and is never written */
        if (!member(vector, "roundtrip")->boolean || bytes_equal_text(hex, "f7"))
            continue;
        struct builder out;
        builder_init(&out, arena, 64);
        write_again(root, &out);
        cr_assert(builder_finish(&out, &again));
        cr_expect(bytes_equal(again, cbor), "%.*s becomes %s", (int)hex.len, hex.ptr, to_hex(arena, again));
        written++;
    }
    cr_assert_eq(refused, 3);
    cr_assert_geq(compared, 55);
    cr_assert_geq(written, 55);
    arena_free(arena);
}
