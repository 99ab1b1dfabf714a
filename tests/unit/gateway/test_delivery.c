// SPDX-License-Identifier: GPL-3.0-or-later
/* Words and spellings of the delivery contract: each has one, and nothing else is taken for it. */
#include "gateway/delivery.h"

#include "registry/record.h"

#include <criterion/criterion.h>

Test(delivery, levels_have_words)
{
    static const char *const words[LEVEL_COUNT] = {"spooled", "stored", "replicated"};
    for (enum delivery_level level = LEVEL_SPOOLED; level < LEVEL_COUNT; level++) {
        enum delivery_level read = LEVEL_COUNT;
        cr_expect_str_eq(delivery_level_name(level), words[level]);
        cr_expect(delivery_level_parse(bytes_of_text(words[level]), &read));
        cr_expect_eq(read, level);
    }
    static const char *const bad[] = {"", "Stored", "store", "stored ", "spooled,stored", "2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum delivery_level read = LEVEL_COUNT;
        cr_expect(!delivery_level_parse(bytes_of_text(bad[i]), &read), "%s", bad[i]);
        cr_expect_eq(read, LEVEL_COUNT);
    }
}

Test(delivery, the_registry_says_the_same_levels)
{
    for (enum delivery_level level = LEVEL_SPOOLED; level < LEVEL_COUNT; level++) {
        struct record_field field = {BYTES_LITERAL("level"), bytes_of_text(delivery_level_name(level))};
        struct tenant_record record;
        cr_assert(record_to_tenant(BYTES_LITERAL("acme"), &field, 1, &record), "%s", delivery_level_name(level));
        cr_expect_eq(record.level, level);
    }
}

Test(delivery, classes_have_words)
{
    cr_expect_str_eq(delivery_class_name(CLASS_EXACT), "exact");
    cr_expect_str_eq(delivery_class_name(CLASS_WINDOWED), "windowed");
    cr_expect_str_eq(delivery_class_name(CLASS_TRANSPORT), "transport");
}

struct spelling {
    const char *text;
    uint32_t epoch;
    uint64_t seq;
};

static const struct spelling good_texts[] = {
    {"0.0", 0, 0},
    {"1.2", 1, 2},
    {"3.17", 3, 17},
    {"4294967295.9007199254740991", UINT32_MAX, SEQUENCE_MAX},
    {"10.100", 10, 100},
};

Test(delivery, texts_of_sequences)
{
    for (size_t i = 0; i < sizeof good_texts / sizeof good_texts[0]; i++) {
        struct sequence sequence = {0};
        char text[DELIVERY_SEQUENCE_TEXT_MAX];
        cr_assert(delivery_parse_sequence(bytes_of_text(good_texts[i].text), &sequence), "%s", good_texts[i].text);
        cr_expect(sequence.given);
        cr_expect_eq(sequence.epoch, good_texts[i].epoch);
        cr_expect_eq(sequence.seq, good_texts[i].seq);
        cr_expect_eq(delivery_write_sequence(&sequence, text), strlen(good_texts[i].text));
        cr_expect_str_eq(text, good_texts[i].text);
    }
}

/* Meant as a sequence, and refused. */
static const char *const bad_texts[] = {
    "00.1", "01.1", "0.00", "1.01", "1.9007199254740992", "1.18446744073709551617", "4294967296.1",
    "99999999999999999999.1", "1.99999999999999999999999999999999",
};

/* Not a sequence at all: names, for all we know. */
static const char *const other_texts[] = {
    "", ".", "1", "1.", ".1", "+1.2", "-1.2", "1.-2", "1.+2", " 1.2", "1.2 ", "1.2.3", "1..2", "1,2", "0x1.2", "1.2e3", "temp", "v1.2",
    "1.2a", "1/2", "\xd9\xa1.1",
};

static bool is_refused(struct bytes text)
{
    struct sequence sequence = {.seq = 77};
    return !delivery_parse_sequence(text, &sequence) && !sequence.given && sequence.seq == 77;
}

Test(delivery, texts_that_are_no_sequence)
{
    for (size_t i = 0; i < sizeof bad_texts / sizeof bad_texts[0]; i++) {
        cr_expect(is_refused(bytes_of_text(bad_texts[i])), "%s", bad_texts[i]);
        cr_expect(delivery_resembles_sequence(bytes_of_text(bad_texts[i])), "%s", bad_texts[i]);
    }
    for (size_t i = 0; i < sizeof other_texts / sizeof other_texts[0]; i++) {
        cr_expect(is_refused(bytes_of_text(other_texts[i])), "%s", other_texts[i]);
        cr_expect(!delivery_resembles_sequence(bytes_of_text(other_texts[i])), "%s", other_texts[i]);
    }
    cr_expect(is_refused(bytes_of("1.2\0", 4)), "a NUL is a character like any other");
    cr_expect(!delivery_resembles_sequence(bytes_of(NULL, 0)));
}

struct option_spelling {
    const char *octets;
    size_t len;
    uint32_t epoch;
    uint64_t seq;
};

#define OCTETS(text) text, sizeof text - 1

static const struct option_spelling good_options[] = {
    {OCTETS("\x00"), 0, 0},
    {OCTETS("\x00\x01"), 0, 1},
    {OCTETS("\x01\x03\x11"), 3, 17},
    {OCTETS("\x02\x01\x00\x01\x00"), 256, 256},
    {OCTETS("\x04\xff\xff\xff\xff\x1f\xff\xff\xff\xff\xff\xff"), UINT32_MAX, SEQUENCE_MAX},
};

Test(delivery, values_of_the_option)
{
    for (size_t i = 0; i < sizeof good_options / sizeof good_options[0]; i++) {
        const struct option_spelling *good = &good_options[i];
        struct sequence sequence = {0};
        uint8_t written[DELIVERY_OPTION_MAX];
        cr_assert(delivery_parse_option(bytes_of(good->octets, good->len), &sequence), "%zu", i);
        cr_expect(sequence.given);
        cr_expect_eq(sequence.epoch, good->epoch, "%zu", i);
        cr_expect_eq(sequence.seq, good->seq, "%zu", i);
        cr_assert_eq(delivery_write_option(&sequence, written), good->len, "%zu", i);
        cr_expect_arr_eq(written, good->octets, good->len);
    }
}

static const struct {
    const char *octets;
    size_t len;
    const char *what;
} bad_options[] = {
    {OCTETS(""), "nothing"},
    {OCTETS("\x01"), "no epoch"},
    {OCTETS("\x04\x01\x02\x03"), "an epoch that is cut off"},
    {OCTETS("\x05\x01\x02\x03\x04\x05\x01"), "an epoch of 5 octets"},
    {OCTETS("\xff\x01\x02"), "a length beyond the end"},
    {OCTETS("\x01\x00\x01"), "an epoch with a leading zero"},
    {OCTETS("\x02\x00\x01\x01"), "an epoch with a leading zero octet"},
    {OCTETS("\x01\x01\x00"), "a seq with a leading zero"},
    {OCTETS("\x00\x00\x01"), "a seq with a leading zero octet"},
    {OCTETS("\x00\x20\x00\x00\x00\x00\x00\x00"), "a seq of 2^53"},
    {OCTETS("\x00\x01\x00\x00\x00\x00\x00\x00\x00"), "a seq of 8 octets"},
    {OCTETS("\x04\x01\x01\x01\x01\x1f\xff\xff\xff\xff\xff\xff\x01"), "13 octets"},
};

Test(delivery, values_that_are_no_sequence)
{
    for (size_t i = 0; i < sizeof bad_options / sizeof bad_options[0]; i++) {
        struct sequence sequence = {.seq = 77};
        cr_expect(!delivery_parse_option(bytes_of(bad_options[i].octets, bad_options[i].len), &sequence), "%s",
                  bad_options[i].what);
        cr_expect(!sequence.given && sequence.seq == 77, "%s", bad_options[i].what);
    }
}

/* Every power of two and its neighbours, both ways, both spellings. */
Test(delivery, round_trips)
{
    for (unsigned bit = 0; bit < 53; bit++)
        for (int more = -1; more <= 1; more++) {
            struct sequence sequence = {true, (uint32_t)(UINT64_C(1) << (bit % 32)), ((uint64_t)1 << bit) + (uint64_t)more};
            struct sequence again = {0};
            char text[DELIVERY_SEQUENCE_TEXT_MAX];
            uint8_t octets[DELIVERY_OPTION_MAX];
            if (sequence.seq > SEQUENCE_MAX)
                continue;
            cr_assert(delivery_parse_sequence(bytes_of(text, delivery_write_sequence(&sequence, text)), &again));
            cr_expect(again.given && again.epoch == sequence.epoch && again.seq == sequence.seq, "%s", text);
            again = (struct sequence){0};
            cr_assert(delivery_parse_option(bytes_of(octets, delivery_write_option(&sequence, octets)), &again));
            cr_expect(again.given && again.epoch == sequence.epoch && again.seq == sequence.seq, "%s", text);
        }
}
