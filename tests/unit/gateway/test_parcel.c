// SPDX-License-Identifier: GPL-3.0-or-later
/* The body of a spool record: what is written is read, octet for octet as it is documented and for ever. */
#include "gateway/parcel.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct observation reading = {.name = BYTES_LITERAL("temp"), .unit = BYTES_LITERAL("Cel"),
                                           .time = {1763692800, 0}, .time_source = TIME_DEVICE, .kind = VALUE_NUMBER,
                                           .number = {BYTES_LITERAL("21.5"), 21.5}};
static const struct record_field site = {BYTES_LITERAL("site"), BYTES_LITERAL("north")};
static const struct sink_record records[] = {
    {.device = BYTES_LITERAL("boiler-7"), .observation = &reading},
    {.device = BYTES_LITERAL("boiler-8"), .observation = &reading, .stream = BYTES_LITERAL("raw"), .tags = &site,
     .tag_count = 1},
};

static struct sink_message exact_message(void)
{
    return (struct sink_message){
        .tenant = BYTES_LITERAL("acme"), .records = records, .count = 2, .class = 't', .evidence = EVIDENCE_PSK,
        .identity_class = CLASS_EXACT, .speaker = BYTES_LITERAL("boiler-7"), .sequence = {true, 3, 1000},
        .fingerprint = 0x11223344, .level = LEVEL_STORED, .confirmable = true,
    };
}

static const uint8_t some_key[SINK_KEY_BYTES] = "0123456789abcdef";

static struct bytes written(struct msgpack *out, const struct sink_message *message)
{
    struct entry_scratch scratch = {0};
    parcel_write(out, message, some_key, 1763692801, 0xfedcba9876543210, BYTES_LITERAL("00000000000000ab"), &scratch);
    entry_scratch_deinit(&scratch);
    cr_assert(!out->failed);
    return bytes_of(out->ptr, out->len);
}

static void hex(const uint8_t *octets, size_t len, char *ret)
{
    for (size_t i = 0; i < len; i++)
        sprintf(ret + 2 * i, "%02x", octets[i]);
}

Test(parcel, round_trip)
{
    struct msgpack out = {0};
    struct parcel parcel;
    struct sink_message message = exact_message();
    cr_assert(parcel_read(written(&out, &message), &parcel));
    cr_expect_lt(parcel.lane, PARCEL_LANES);
    cr_expect_eq(parcel.identity_class, CLASS_EXACT);
    cr_expect_eq(parcel.level, LEVEL_STORED);
    cr_expect(bytes_equal_text(parcel.tenant, "acme"));
    cr_expect_eq(parcel.fingerprint, 0x11223344);
    cr_expect_eq(memcmp(parcel.key, some_key, sizeof some_key), 0);
    cr_expect_eq(parcel.received_s, 1763692801);
    cr_expect_eq(parcel.records, 2);
    cr_expect_eq(parcel.waiter, 0xfedcba9876543210);
    cr_expect_eq(parcel.message.ptr + parcel.message.len, out.ptr + out.len);
    msgpack_deinit(&out);
}

/* Spools outlive versions of the gateway: if this fails, the version of the parcel must change. */
Test(parcel, the_octets_are_as_documented)
{
    static const char head[] = "\x02\x00" "e\x04" "\x44\x33\x22\x11" "0123456789abcdef"
                               "\x01\xd1\x1f\x69\0\0\0\0" "\x02\0\0\0" "\x01\0\0\0" "\x10\x32\x54\x76\x98\xba\xdc\xfe"
                               "acme";
    static const char message_text[] =
        "\x98\xa1" "e\xa8" "boiler-7\xa1" "3\xcd\x03\xe8\xa2\x22\x66\xb0" "0123456789abcdef\x92"
        "\x9f\xa3" "obs\xa8" "boiler-7\xa4" "temp\xa3" "Cel\xaa" "1763692800\xa1" "d\xa1" "n\xa4" "21.5\xa0\xa1" "t\xa3"
        "psk\xa0\xb0" "00000000000000ab\xa0\xa0"
        "\xdc\0\x11\xaa" "stream:raw\xa8" "boiler-8\xa4" "temp\xa3" "Cel\xaa" "1763692800\xa1" "d\xa1" "n\xa4" "21.5\xa0\xa1"
        "t\xa3" "psk\xa0\xb0" "00000000000000ab\xa0\xa0\xa4" "site\xa5" "north\x90";
    struct msgpack out = {0};
    struct sink_message message = exact_message();
    struct bytes body = written(&out, &message);
    cr_assert_eq(body.len, sizeof head - 1 + sizeof message_text - 1);
    out.ptr[1] = 0; /* the lane has its own test */
    cr_expect_eq(memcmp(body.ptr, head, sizeof head - 1), 0);
    cr_expect_eq(memcmp(body.ptr + sizeof head - 1, message_text, sizeof message_text - 1), 0);
    msgpack_deinit(&out);
}

/* A message that says nothing but its number. */
Test(parcel, without_records)
{
    static const char end[] = "0123456789abcdef\x90\x90";
    struct msgpack out = {0};
    struct sink_message message = exact_message();
    struct parcel parcel;
    message.records = NULL;
    message.count = 0;
    struct bytes body = written(&out, &message);
    cr_assert(parcel_read(body, &parcel));
    cr_expect(parcel.records == 0 && parcel.identity_class == CLASS_EXACT);
    cr_expect_eq(memcmp(body.ptr + body.len - (sizeof end - 1), end, sizeof end - 1), 0);
    msgpack_deinit(&out);
}

/* What stands behind the records. */
static struct bytes counters_of(struct msgpack *out, const struct observation *observations, size_t count,
                                struct bytes behind)
{
    struct sink_record of[4];
    struct sink_message message = exact_message();
    for (size_t i = 0; i < count; i++)
        of[i] = (struct sink_record){.device = BYTES_LITERAL("boiler-7"), .observation = &observations[i]};
    message.records = of;
    message.count = count;
    struct bytes body = written(out, &message);
    cr_assert_gt(body.len, behind.len);
    return bytes_of(body.ptr + body.len - behind.len, behind.len);
}

Test(parcel, counters_stand_behind_the_records)
{
    static const struct observation observations[] = {
        {.name = {(const uint8_t *)"temp", 4}, .kind = VALUE_NUMBER, .number = {{(const uint8_t *)"21.50", 5}, 21.5}},
        {.name = {(const uint8_t *)"boiler-7:pulse", 14}, .kind = VALUE_NUMBER, .cumulative = true,
         .number = {{(const uint8_t *)"1.20e1", 6}, 12}, .modulus = {.text = {(const uint8_t *)"65536", 5}}},
        {.name = {(const uint8_t *)"heat", 4}, .kind = VALUE_NUMBER, .number = {{(const uint8_t *)"7", 1}, 7},
         .has_sum = true, .sum = {{(const uint8_t *)"8.5", 3}, 8.5}, .cumulative = true},
        {.name = {(const uint8_t *)"huge", 4}, .kind = VALUE_NUMBER, .number = {{(const uint8_t *)"1e300", 5}, 1e300},
         .cumulative = true},
    };
    static const char expected[] = "\x9c\x02\x09\xa2" "12\xa5" "65536" "\x03\0\xa3" "8.5\xa0" "\x04\0\xa0\xa0";
    struct bytes behind = bytes_of(expected, sizeof expected - 1);
    struct msgpack out = {0};
    cr_expect(bytes_equal(counters_of(&out, observations, 4, behind), behind));
    msgpack_deinit(&out);
}

/* A spool outlives the gateway that wrote it: what version 1 has left is pushed after an upgrade. */
Test(parcel, version_1_is_read)
{
    static const char body[] = "\x01\x03" "e\x04" "\x44\x33\x22\x11" "0123456789abcdef" "\x01\xd1\x1f\x69\0\0\0\0"
                               "\x01\0\0\0" "\x01\0\0\0" "\x10\x32\x54\x76\x98\xba\xdc\xfe" "acme"
                               "\x97\xa1" "e\xa8" "boiler-7\xa1" "3\xcd\x03\xe8\xa2\x22\x66\xb0" "0123456789abcdef\x91";
    struct parcel parcel;
    cr_assert(parcel_read(bytes_of(body, sizeof body - 1), &parcel));
    cr_expect_eq(parcel.lane, 3);
    cr_expect_eq(parcel.records, 1);
    cr_expect(bytes_equal_text(parcel.tenant, "acme"));
    cr_expect_eq(parcel.message.ptr[0], 0x97);
}

/* Only a signed message has its evidence behind the counters, and only it is of version 3. */
Test(parcel, evidence_stands_at_the_end)
{
    static const char expected[] = "\x90\x98\xb0" "00000000000000ab\xa8" "boiler-7\xa3" "jws\xa5" "key-1\xa5" "65000\xaa"
                                   "1763692801\xa7" "a.\0b\xff\n.\xa2" "ok";
    static const struct sink_proof proof = {BYTES_LITERAL("key-1"), BYTES_LITERAL("boiler-7"), 65000,
                                            {(const uint8_t *)"a.\0b\xff\n.", 7}};
    struct msgpack out = {0};
    struct parcel parcel;
    struct sink_message message = exact_message();
    message.evidence = EVIDENCE_JWS;
    message.proof = &proof;
    struct bytes body = written(&out, &message), behind = bytes_of(expected, sizeof expected - 1);
    cr_assert(parcel_read(body, &parcel));
    cr_expect_eq(body.ptr[0], 3);
    cr_expect_eq(parcel.message.ptr[0], 0x99);
    cr_expect_eq(memcmp(body.ptr + body.len - behind.len, behind.ptr, behind.len), 0);
    msgpack_deinit(&out);
}

static unsigned lane_of(const char *speaker)
{
    struct msgpack out = {0};
    struct parcel parcel;
    struct sink_message message = exact_message();
    message.speaker = bytes_of_text(speaker);
    cr_assert(parcel_read(written(&out, &message), &parcel));
    msgpack_deinit(&out);
    return parcel.lane;
}

/* A restart must not move a device to another lane while its old records are still being pushed. */
Test(parcel, lanes_never_change)
{
    static const unsigned expected[8] = {1, 1, 3, 2, 2, 0, 0, 3};
    unsigned used = 0;
    for (unsigned i = 0; i < 8; i++) {
        char speaker[16];
        snprintf(speaker, sizeof speaker, "device-%u", i);
        unsigned lane = lane_of(speaker);
        cr_expect_eq(lane, expected[i], "%s is in lane %u", speaker, lane);
        used |= 1U << lane;
    }
    cr_expect_eq(used, (1U << PARCEL_LANES) - 1);
}

/* A concentrator counts for all that it brings: its messages are one row, whoever they are about. */
Test(parcel, the_lane_is_of_the_speaker)
{
    struct msgpack one = {0}, two = {0};
    struct sink_message message = exact_message();
    struct parcel first, second;
    message.speaker = BYTES_LITERAL("concentrator");
    cr_assert(parcel_read(written(&one, &message), &first));
    for (unsigned i = 0; i < 32; i++) {
        char device[16];
        struct sink_record record = records[0];
        snprintf(device, sizeof device, "device-%u", i);
        record.device = bytes_of_text(device);
        message.records = &record;
        message.count = 1;
        msgpack_clear(&two, 65536);
        cr_assert(parcel_read(written(&two, &message), &second));
        cr_expect_eq(second.lane, first.lane);
    }
    msgpack_deinit(&one);
    msgpack_deinit(&two);
}

static void expect_key(const struct sink_message *message, const char *expected)
{
    uint8_t key[SINK_KEY_BYTES];
    char text[2 * SINK_KEY_BYTES + 1];
    parcel_key(message, key);
    hex(key, sizeof key, text);
    cr_expect_str_eq(text, expected);
}

/* Compared with keys in old spools, so these values may never change. */
Test(parcel, keys_never_change)
{
    struct sink_message message = exact_message();
    expect_key(&message, "35ecf416957ad6d0d29deba96823fda6");
    message.sequence.seq = 1001;
    expect_key(&message, "6ce2268733a40878b961b6f339d1418d");
    message.sequence = (struct sequence){true, 4, 1000};
    expect_key(&message, "b9d08fb78b06e1384f86691e4a03b842");
    message.sequence = (struct sequence){true, UINT32_MAX, SEQUENCE_MAX};
    expect_key(&message, "ba2940b03d788b7b1726e93c4c1c7bd6");
}

Test(parcel, keys_tell_tenants_and_speakers_apart)
{
    struct sink_message message = exact_message();
    uint8_t one[SINK_KEY_BYTES], two[SINK_KEY_BYTES];
    message.tenant = BYTES_LITERAL("ac");
    message.speaker = BYTES_LITERAL("meboiler-7");
    parcel_key(&message, one);
    message.tenant = BYTES_LITERAL("acme");
    message.speaker = BYTES_LITERAL("boiler-7");
    parcel_key(&message, two);
    cr_expect_neq(memcmp(one, two, sizeof one), 0);
    message.identity_class = CLASS_WINDOWED;
    memcpy(message.key, some_key, sizeof some_key);
    parcel_key(&message, one);
    cr_expect_eq(memcmp(one, some_key, sizeof one), 0);
}

Test(parcel, the_mark_is_never_zero)
{
    struct sink_message message = exact_message();
    static const struct {
        uint32_t fingerprint;
        const char *mark;
    } cases[] = {{0x12341234, "\xa2\0\x01"}, {1, "\xa2\0\x01"}, {0x00010000, "\xa2\0\x01"}, {0x0100ffff, "\xa2\xfe\xff"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct msgpack out = {0};
        message.fingerprint = cases[i].fingerprint;
        struct bytes body = written(&out, &message);
        cr_expect_eq(memcmp(body.ptr + PARCEL_HEAD + 4 + 17, cases[i].mark, 3), 0, "%08x", cases[i].fingerprint);
        msgpack_deinit(&out);
    }
}

Test(parcel, bad_bodies)
{
    struct msgpack out = {0};
    struct parcel parcel;
    struct sink_message message = exact_message();
    struct bytes body = written(&out, &message);
    for (size_t len = 0; len < PARCEL_HEAD + 4; len++)
        cr_expect(!parcel_read(bytes_of(body.ptr, len), &parcel), "%zu octets", len);
    static const struct {
        size_t at;
        uint8_t octet;
    } changes[] = {{0, 0}, {0, 4}, {1, PARCEL_LANES}, {2, 'q'}, {2, 0}, {3, 0}, {3, 255}, {36, LEVEL_COUNT},
                   {PARCEL_HEAD, '{'}, {PARCEL_HEAD + 1, 0}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t was = out.ptr[changes[i].at];
        out.ptr[changes[i].at] = changes[i].octet;
        cr_expect(!parcel_read(body, &parcel), "octet %zu is %u", changes[i].at, changes[i].octet);
        out.ptr[changes[i].at] = was;
    }
    cr_expect(parcel_read(body, &parcel));
    msgpack_deinit(&out);
}
