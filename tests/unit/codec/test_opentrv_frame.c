// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * OpenTRV's binary frame. The cipher is a stand-in that knows one frame, that of the protocol's text, and checks that it
 * is asked the right question; gateway tests run the same frame through AES.
 */
#include "codec/opentrv_frame.h"

#include "codec/crc7.h"
#include "tests/unit/codec/legacy.h"

#define EXAMPLE_3                                                                                                    \
    "3ecf94aaaaaaaa20b345f92969570cb8286614b4f069b00871dad8fe47c1c353834888037d58757500002a000319293b3152c326d26dd0" \
    "8d701e4b680dcb80"
#define EXAMPLE_3_BODY "7f117b2262223a31000000000000000000000000000000000000000000000017"

static struct {
    const char *node;  /* whom find knows */
    const char *id;    /* hex */
    const char *nonce; /* what open wants, hex; NULL: anything */
    const char *aad;
    const char *sealed;
    const char *body; /* what open gives, hex */
    size_t finds, opens;
} world;

static void put_hex(uint8_t *out, const char *hex)
{
    for (size_t i = 0; hex[2 * i]; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static bool find(void *ctx, struct bytes node, struct format_frame_key *ret)
{
    cr_assert_eq(ctx, &world);
    world.finds++;
    if (!world.node || !bytes_equal_text(node, world.node))
        return false;
    *ret = (struct format_frame_key){.id_len = strlen(world.id) / 2};
    put_hex(ret->id, world.id);
    return true;
}

static bool is_hex(struct bytes bytes, const char *hex)
{
    uint8_t expected[128];
    put_hex(expected, hex);
    return bytes.len == strlen(hex) / 2 && memcmp(bytes.ptr, expected, bytes.len) == 0;
}

static bool open_example(const uint8_t key[static FORMAT_FRAME_KEY_BYTES], const uint8_t nonce[static 12],
                         struct bytes aad, struct bytes sealed, uint8_t *ret)
{
    static const uint8_t zero[FORMAT_FRAME_KEY_BYTES];
    world.opens++;
    if (memcmp(key, zero, sizeof(zero)) != 0)
        return false;
    if (world.nonce && (!is_hex(bytes_of(nonce, 12), world.nonce) || !is_hex(aad, world.aad) ||
                        !is_hex(sealed, world.sealed)))
        return false;
    cr_assert_eq(sealed.len - 16, strlen(world.body) / 2);
    put_hex(ret, world.body);
    return true;
}

static const struct format_crypto crypto = {&world, find, open_example};

static const char *told_frame(struct bytes frame, const struct format_crypto *keys, struct arena *arena,
                              struct observation_list *ret)
{
    struct format_error error = {NULL, 0};
    *ret = (struct observation_list){0};
    return told_of(format_by_content_format(CONTENT_FORMAT_OPENTRV_FRAME),
                   (struct format_input){.payload = frame, .crypto = keys}, arena, ret, &error);
}

/* Hexadecimal of all but the length octet and the CRC. */
static struct bytes framed(struct arena *arena, const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *frame = arena_alloc(arena, len + 2);
    frame[0] = (uint8_t)(len + 1);
    put_hex(frame + 1, hex);
    uint8_t crc = crc7(CRC7_FRAME_START, bytes_of(frame, len + 1));
    frame[len + 1] = crc ? crc : CRC7_ZERO_SENT;
    return bytes_of(frame, len + 2);
}

#define FLAGS(node, cfh, fault, low, tamper, frost)                                                                  \
    node "callForHeat=" #cfh "; " node "fault=" #fault "; " node "lowBattery=" #low "; " node "tamper=" #tamper "; " node \
         "frost=" #frost

Test(opentrv_frame, insecure_examples)
{
    static const struct expectation table[] = {
        {"084f02808102000123", "8081.valve=0 /; " FLAGS("8081.", false, false, false, false, false)},
        {"0e4f028081087f117b2262223a3161", FLAGS("8081.", false, false, false, false, false) "; 8081.b=1"},
    };
    check_told(CONTENT_FORMAT_OPENTRV_FRAME, table, COUNT_OF(table), true);
}

Test(opentrv_frame, bodies)
{
    static const struct expectation table[] = {
        {"4f128081022a00", "8081.valve=0.42 /; " FLAGS("8081.", false, false, false, false, false)},
        {"4f00023200", "valve=0.5 /; " FLAGS("", false, false, false, false, false)},
        {"4f0102e4e2", "malformed"},
        {"4f018002e4e2", "80.valve=1 /; " FLAGS("80.", true, true, true, true, true)},
        {"4f018002ff0c", FLAGS("80.", true, false, false, false, false) "; 80.occupancy=3"},
        {"4f0180027f08", FLAGS("80.", false, false, false, false, false) "; 80.occupancy=2"},
        {"4f0180026500", "bad-value"}, /* 101 % */
        {"4f01800165", "malformed"},   /* a body of one octet */
        {"4f018005001001aabb", "80.valve=0 /; " FLAGS("80.", false, false, false, false, false)}, /* unknown stats */
        /* {"@":"80AB","T|C16":255 */
        {"4f0280ab197f107b2240223a2238304142222c22547c433136223a323535",
         FLAGS("80ab.", false, false, false, false, false) "; 80ab.T=15.9375 Cel"},
        {"4f00197f107b2240223a2238304142222c22547c433136223a323535",
         FLAGS("80AB.", false, false, false, false, false) "; 80AB.T=15.9375 Cel"},
        /* {"@":"80AB" in a frame of 81 */
        {"4f01810d7f107b2240223a223830414222", "bad-name"},
        {"4f0181057f107b224c", "malformed"},
        {"4f0181047f107bff", "malformed"},
        {"4e018002e4e2", "bad-value"}, /* another type */
        {"00018002e4e2", "malformed"},
        {"7f018002e4e2", "malformed"},
        {"4f0980808080808080808080020000", "malformed"}, /* an id of 9 */
        {"4f0f808002", "malformed"},
        {"4f018003e4e2", "malformed"}, /* a body longer than the frame */
        {"4f018001e4e2", "malformed"}, /* two octets behind the body */
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation_list list;
        cr_expect_str_eq(told_frame(framed(arena, table[i].payload), NULL, arena, &list), table[i].result, "%s: %s",
                         table[i].payload, told_frame(framed(arena, table[i].payload), NULL, arena, &list));
        cr_expect_not(list.proven || list.sequence.given);
        arena_free(arena);
    }
}

Test(opentrv_frame, integrity)
{
    static const struct expectation table[] = {
        {"", "malformed"},
        {"00", "malformed"},
        {"03000000", "malformed"},
        {"044f000000", "malformed"},           /* the last octet is 00 */
        {"084f0280810200012300", "malformed"}, /* something behind it */
        {"084f028081020001", "malformed"},
        {"084f028081020001ff", "malformed"},
        {"084f02808102000100", "malformed"},
        {"084f028081020001a3", "malformed"}, /* the unused bit of the checksum */
    };
    check_told(CONTENT_FORMAT_OPENTRV_FRAME, table, COUNT_OF(table), true);
}

Test(opentrv_frame, every_wrong_bit_is_seen)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    struct bytes good = framed(arena, "4f028081087f117b2262223a31");
    for (size_t bit = 0; bit < 8 * good.len; bit++) {
        uint8_t bad[64];
        memcpy(bad, good.ptr, good.len);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const char *result = told_frame(bytes_of(bad, good.len), NULL, arena, &list);
        cr_expect(strchr(result, '=') == NULL, "bit %zu: %s", bit, result);
    }
    arena_free(arena);
}

static void expect_example_3(void)
{
    world.node = "aaaaaaaa";
    world.id = "aaaaaaaa5555";
    world.nonce = "aaaaaaaa555500002a000319";
    world.aad = "3ecf94aaaaaaaa20";
    world.sealed = "b345f92969570cb8286614b4f069b00871dad8fe47c1c353834888037d587575293b3152c326d26dd08d701e4b680dcb";
    world.body = EXAMPLE_3_BODY;
}

Test(opentrv_frame, secure_example)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    struct bytes frame = hex_bytes(arena, EXAMPLE_3);
    expect_example_3();
    cr_expect_str_eq(told_frame(frame, &crypto, arena, &list),
                     FLAGS("aaaaaaaa.", false, false, false, false, false) "; aaaaaaaa.b=1");
    cr_expect(list.proven);
    cr_expect(list.sequence.given);
    cr_expect_eq(list.sequence.epoch, 42);
    cr_expect_eq(list.sequence.seq, 793);

    /* No keys, no such node, another id, an id too short for a nonce: all the same answer. */
    cr_expect_str_eq(told_frame(frame, NULL, arena, &list), "forbidden");
    world.node = "aaaaaaab";
    cr_expect_str_eq(told_frame(frame, &crypto, arena, &list), "forbidden");
    world.node = "aaaaaaaa";
    world.id = "aaaaaaab5555";
    cr_expect_str_eq(told_frame(frame, &crypto, arena, &list), "forbidden");
    world.id = "aaaaaaaa55";
    cr_expect_str_eq(told_frame(frame, &crypto, arena, &list), "forbidden");
    world.id = "aaaaaaaa5556";
    cr_expect_str_eq(told_frame(frame, &crypto, arena, &list), "forbidden");
    arena_free(arena);
}

Test(opentrv_frame, secure_integrity)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    struct bytes good = hex_bytes(arena, EXAMPLE_3);
    expect_example_3();
    for (size_t bit = 0; bit < 8 * good.len; bit++) {
        uint8_t bad[64];
        memcpy(bad, good.ptr, good.len);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const char *result = told_frame(bytes_of(bad, good.len), &crypto, arena, &list);
        cr_expect(strchr(result, '=') == NULL, "bit %zu: %s", bit, result);
    }
    arena_free(arena);
}

/* Bodies that are authentic and still wrong. */
Test(opentrv_frame, padding)
{
    static const struct expectation table[] = {
        {EXAMPLE_3_BODY, FLAGS("aaaaaaaa.", false, false, false, false, false) "; aaaaaaaa.b=1"},
        {"320000000000000000000000000000000000000000000000000000000000001d",
         "aaaaaaaa.valve=0.5 /; " FLAGS("aaaaaaaa.", false, false, false, false, false)},
        {"320000000000000000000000000000000000000000000000000000000000001e", "malformed"},
        {"32000000000000000000000000000000000000000000000000000000000000ff", "malformed"},
        {"320000000000000000000000000000000000000000000000000000000001001d", "malformed"},
        {"3200000000000000000000000000000000000000000000000000000000000000",
         "aaaaaaaa.valve=0.5 /; " FLAGS("aaaaaaaa.", false, false, false, false, false)},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct observation_list list;
        expect_example_3();
        world.body = table[i].payload;
        cr_expect_str_eq(told_frame(hex_bytes(arena, EXAMPLE_3), &crypto, arena, &list), table[i].result);
        arena_free(arena);
    }
}

/* Whoever has a key may not be spoken for without it. */
Test(opentrv_frame, a_node_with_a_key_has_to_use_it)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    world.node = "8081";
    world.id = "808182838485";
    cr_expect_str_eq(told_frame(hex_bytes(arena, "084f02808102000123"), &crypto, arena, &list), "forbidden");
    world.node = "8082";
    cr_expect_str_neq(told_frame(hex_bytes(arena, "084f02808102000123"), &crypto, arena, &list), "forbidden");
    cr_expect_eq(world.finds, 2);
    cr_expect_eq(world.opens, 0);
    /* A damaged frame asks nobody. */
    cr_expect_str_eq(told_frame(hex_bytes(arena, "084f02808102000124"), &crypto, arena, &list), "malformed");
    cr_expect_eq(world.finds, 2);
    /* {"@":"80AB" in a frame without an id */
    struct bytes anonymous = framed(arena, "4f000d7f107b2240223a223830414222");
    world.node = "80AB";
    cr_expect_str_eq(told_frame(anonymous, &crypto, arena, &list), "forbidden");
    world.node = "80AC";
    cr_expect_str_neq(told_frame(anonymous, &crypto, arena, &list), "forbidden");
    cr_expect_eq(world.finds, 4);
    arena_free(arena);
}
