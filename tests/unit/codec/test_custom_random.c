// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Random binary definitions and frames against a reference decoder that knows nothing of codec/custom: it reads one bit
 * at a time, computes in integers of 128 bits and forgets nothing by design. Also: floats against the C library.
 */
#include "tests/unit/codec/custom_support.h"

#define DEFINITIONS 2000
#define FRAMES_EACH 3
#define ITEMS_MAX 64
#define FRAME_MAX 96
#define TEXT_MAX 65536

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 wide_unsigned;

enum type { UNSIGNED, SIGNED, BCD, OCTETS, GROUP, SWITCH, SKIP };
enum endian { BIG, LITTLE, CDAB, BADC };

static const char *const endian_words[] = {"big", "little", "cdab", "badc"};

struct item {
    enum type type;
    unsigned id;    /* of the name, and where its value is kept; from 1, 0 where there is none */
    unsigned width; /* bits; OCTETS, SKIP: octets */
    int by_field;   /* OCTETS, GROUP: id of the field that says how many; -1: width */
    enum endian endian;
    bool hidden, has_missing, has_offset, optional;
    int scale_digits; /* 0: no scale */
    long scale, offset;
    uint64_t missing;
    int when; /* id of a field, -1: always */
    bool when_bit, when_not;
    uint64_t when_value;
    bool rest; /* GROUP: repeat "rest" */
    bool once;
    size_t count; /* GROUP: items in it; SWITCH: cases, each of one item */
    struct item *items;
};

struct world {
    uint64_t seed;
    struct arena *arena;
    unsigned ids;
    unsigned fields; /* of the definition */
    char *text;      /* the definition */
    size_t len;
};

static uint64_t random_below(struct world *world, uint64_t n)
{
    return next_random(&world->seed) % n;
}

static bool chance(struct world *world, unsigned percent)
{
    return random_below(world, 100) < percent;
}

static void put(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    world->len += (size_t)vsnprintf(world->text + world->len, TEXT_MAX - world->len, format, arguments);
    va_end(arguments);
    cr_assert(world->len < TEXT_MAX);
}

/* Ids of earlier unsigned fields of the same list or one around it. */
struct seen {
    unsigned ids[ITEMS_MAX];
    size_t count;
};

static uint64_t some_value(struct world *world, unsigned width)
{
    uint64_t mask = width >= 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    return chance(world, 60) ? random_below(world, 4) & mask : next_random(&world->seed) & mask;
}

static void make_number(struct world *world, struct item *item)
{
    item->width = chance(world, 70) ? 8 * (1 + (unsigned)random_below(world, 8))
                                    : 2 + (unsigned)random_below(world, 63);
    item->endian = item->width % 8 == 0 ? (enum endian)random_below(world, 2) : BIG;
    if (item->width % 16 == 0 && chance(world, 30))
        item->endian = chance(world, 50) ? CDAB : BADC;
    if (item->type == BCD) {
        item->width = 8 * (1 + (unsigned)random_below(world, 8));
        item->endian = chance(world, 50) ? BIG : LITTLE;
    }
    if (chance(world, 40)) {
        item->scale_digits = 1 + (int)random_below(world, 4);
        item->scale = (long)random_below(world, 2001) - 1000;
    }
    item->has_offset = chance(world, 20);
    item->offset = (long)random_below(world, 20001) - 10000;
    item->has_missing = chance(world, 15);
    item->missing = some_value(world, item->width);
    item->hidden = chance(world, 20);
    item->optional = chance(world, 5);
}

static void put_number_member(struct world *world, const char *name, long mantissa, int digits)
{
    long divisor = 1;
    for (int i = 0; i < digits; i++)
        divisor *= 10;
    long whole = labs(mantissa) / divisor, part = labs(mantissa) % divisor;
    if (digits)
        put(world, ",\"%s\":\"%s%ld.%0*ld\"", name, mantissa < 0 ? "-" : "", whole, digits, part);
    else
        put(world, ",\"%s\":%ld", name, mantissa);
}

static void put_item(struct world *world, struct item *item, struct seen *seen, int depth, bool indexed);

static void put_when(struct world *world, struct item *item, const struct seen *seen)
{
    item->when = -1;
    if (seen->count == 0 || !chance(world, 15))
        return;
    item->when = (int)seen->ids[random_below(world, seen->count)];
    item->when_bit = chance(world, 50);
    item->when_not = chance(world, 30);
    item->when_value = random_below(world, item->when_bit ? 8 : 4);
    put(world, "\"when\":{\"field\":\"f%d\",\"%s\":%ju%s},", item->when, item->when_bit ? "bit" : "is",
        (uintmax_t)item->when_value, item->when_not ? ",\"not\":true" : "");
}

static void put_items(struct world *world, struct item *item, struct seen *seen, int depth, bool indexed)
{
    size_t before = seen->count;
    for (size_t i = 0; i < item->count; i++) {
        if (i)
            put(world, ",");
        put_item(world, &item->items[i], seen, depth + 1, indexed);
    }
    seen->count = before;
}

static void put_amount(struct world *world, struct item *item, const struct seen *seen, const char *name,
                       unsigned most)
{
    item->by_field = -1;
    item->width = 1 + (unsigned)random_below(world, most);
    if (seen->count && chance(world, 40))
        item->by_field = (int)seen->ids[random_below(world, seen->count)];
    if (item->by_field >= 0)
        put(world, ",\"%s\":\"f%d\"", name, item->by_field);
    else
        put(world, ",\"%s\":%u", name, item->width);
}

static void put_group(struct world *world, struct item *item, struct seen *seen, int depth, bool indexed)
{
    item->once = chance(world, 30);
    item->rest = !item->once && chance(world, 30);
    item->by_field = -1;
    item->width = 1;
    item->count = 1 + (size_t)random_below(world, 3);
    item->items = arena_calloc(world->arena, item->count, sizeof(*item->items));
    put(world, "\"description\":\"g\"");
    if (item->rest)
        put(world, ",\"repeat\":\"rest\"");
    else if (!item->once)
        put_amount(world, item, seen, "repeat", 4);
    put(world, ",\"group\":[");
    /* Once only: the index of the group around it, if there is one. */
    put_items(world, item, seen, depth, indexed || !item->once);
    put(world, "]}");
}

static void put_switch(struct world *world, struct item *item, struct seen *seen, int depth, bool indexed)
{
    item->by_field = (int)seen->ids[random_below(world, seen->count)];
    item->count = 1 + (size_t)random_below(world, 3);
    item->items = arena_calloc(world->arena, item->count, sizeof(*item->items));
    put(world, "\"switch\":\"f%d\",\"cases\":{", item->by_field);
    for (size_t i = 0; i < item->count; i++) {
        size_t before = seen->count;
        put(world, "%s\"%zu\":[", i ? "," : "", i);
        put_item(world, &item->items[i], seen, depth + 1, indexed);
        put(world, "]");
        seen->count = before;
    }
    item->rest = chance(world, 50);
    put(world, "}%s}", item->rest ? ",\"default\":[]" : "");
}

static void put_field(struct world *world, struct item *item, struct seen *seen, bool indexed)
{
    static const char letters[] = {'u', 'i'};
    if (item->type == OCTETS) {
        put(world, "\"type\":\"bytes\"");
        put_amount(world, item, seen, "length", 6);
        item->hidden = chance(world, 20);
    } else {
        make_number(world, item);
        if (item->type == BCD)
            put(world, "\"type\":\"bcd\",\"length\":%u", item->width / 8);
        else
            put(world, "\"type\":\"%c%u\"", letters[item->type], item->width);
        put(world, ",\"endian\":\"%s\"", endian_words[item->endian]);
        if (item->scale_digits)
            put_number_member(world, "scale", item->scale, item->scale_digits);
        if (item->has_offset)
            put_number_member(world, "offset", item->offset, 2);
        if (item->has_missing)
            put(world, ",\"missing\":\"0x%jx\"", (uintmax_t)item->missing);
        if (item->optional)
            put(world, ",\"optional\":true");
    }
    item->id = world->ids++;
    /* Hidden fields have no index, so that they can be referred to by their name. */
    bool referable = item->type == UNSIGNED && (!indexed || item->hidden);
    put(world, ",\"name\":\"f%u%s\"%s}", item->id, indexed && !referable ? ".{i}" : "",
        item->hidden ? ",\"hidden\":true" : "");
    if (referable)
        seen->ids[seen->count++] = item->id;
}

static void put_item(struct world *world, struct item *item, struct seen *seen, int depth, bool indexed)
{
    static const enum type types[] = {UNSIGNED, UNSIGNED, UNSIGNED, SIGNED, BCD, OCTETS, SKIP, GROUP, SWITCH};
    item->type = types[random_below(world, COUNT_OF(types))];
    world->fields++;
    bool too_much = depth > 2 || world->fields > 30;
    if ((item->type == GROUP && too_much) || (item->type == SWITCH && (too_much || seen->count == 0)))
        item->type = UNSIGNED;
    put(world, "{");
    put_when(world, item, seen);
    if (item->type == GROUP) {
        put_group(world, item, seen, depth, indexed);
    } else if (item->type == SWITCH) {
        put_switch(world, item, seen, depth, indexed);
    } else if (item->type == SKIP) {
        item->width = 1 + (unsigned)random_below(world, 3);
        item->by_field = -1;
        put(world, "\"skip\":%u}", item->width);
    } else {
        put_field(world, item, seen, indexed);
    }
}

/* The reference. */

enum verdict { GOOD, MALFORMED, BAD_VALUE };
static const char *const verdicts[] = {"", "malformed", "bad-value"};

struct reference {
    const uint8_t *frame;
    size_t bits, at;
    bool set[ITEMS_MAX * 8];
    uint64_t values[ITEMS_MAX * 8];
    char line[TEXT_MAX];
    size_t len;
    unsigned index;
};

static void say(struct reference *reference, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct reference *reference, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reference->len +=
        (size_t)vsnprintf(reference->line + reference->len, TEXT_MAX - reference->len, format, arguments);
    va_end(arguments);
    cr_assert(reference->len < TEXT_MAX);
}

static void say_name(struct reference *reference, const struct item *item, bool indexed)
{
    bool referable = item->type == UNSIGNED && (!indexed || item->hidden);
    say(reference, "%sf%u", reference->len ? "; " : "", item->id);
    if (indexed && !referable)
        say(reference, ".%u", reference->index);
    say(reference, "=");
}

/* mantissa / 10^digits, without zeros at the end. */
static void say_decimal(struct reference *reference, wide mantissa, int digits)
{
    char reversed[64];
    int count = 0, places = digits;
    bool negative = mantissa < 0;
    wide_unsigned rest = negative ? -(wide_unsigned)mantissa : (wide_unsigned)mantissa;
    while (places > 0 && rest % 10 == 0) {
        rest /= 10;
        places--;
    }
    do {
        reversed[count++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
        if (count == places)
            reversed[count++] = '.';
    } while (rest || count <= places);
    if (reversed[count - 1] == '.')
        reversed[count++] = '0';
    say(reference, "%s", negative ? "-" : "");
    while (count)
        say(reference, "%c", reversed[--count]);
}

static bool bit_at(const struct reference *reference, size_t i)
{
    return reference->frame[i / 8] >> (7 - i % 8) & 1;
}

static uint64_t take_bits(struct reference *reference, unsigned width, enum endian endian)
{
    uint64_t value = 0;
    unsigned octets = width / 8;
    bool whole = reference->at % 8 == 0 && width % 8 == 0;
    for (unsigned i = 0; i < width; i++) {
        unsigned from = i;
        if (whole && endian != BIG) {
            unsigned octet = i / 8, bit = i % 8;
            if (endian == LITTLE)
                octet = octets - 1 - octet;
            if (endian == BADC)
                octet = octet % 2 ? octet - 1 : octet + 1;
            if (endian == CDAB)
                octet = (octets / 2 - 1 - octet / 2) * 2 + octet % 2;
            from = octet * 8 + bit;
        }
        value = value * 2 + bit_at(reference, reference->at + from);
    }
    reference->at += width;
    return value;
}

static enum verdict refer_number(struct reference *reference, const struct item *item, bool indexed)
{
    if (item->optional && reference->at == reference->bits) {
        reference->set[item->id] = false;
        return GOOD;
    }
    if (reference->bits - reference->at < item->width)
        return MALFORMED;
    if (item->width > 8 && item->width % 8 == 0 && reference->at % 8 && item->endian != BIG)
        return MALFORMED;
    uint64_t raw = take_bits(reference, item->width, item->endian);
    wide value = raw;
    if (item->type == SIGNED && raw >> (item->width - 1))
        value = (wide)raw - ((wide)1 << item->width);
    reference->set[item->id] = false;
    if (item->has_missing && raw == item->missing)
        return GOOD;
    if (item->type == BCD) {
        value = 0;
        for (int i = (int)item->width - 4; i >= 0; i -= 4) {
            if ((raw >> i & 15) > 9)
                return BAD_VALUE;
            value = value * 10 + (int)(raw >> i & 15);
        }
    }
    reference->set[item->id] = true;
    reference->values[item->id] = raw;
    if (item->hidden)
        return GOOD;
    say_name(reference, item, indexed);
    int digits = item->scale_digits;
    if (item->scale_digits)
        value *= item->scale;
    if (item->has_offset) {
        for (; digits < 2; digits++)
            value *= 10;
        wide offset = item->offset;
        for (int i = 2; i < digits; i++)
            offset *= 10;
        value += offset;
    }
    say_decimal(reference, value, digits);
    return GOOD;
}

static enum verdict refer_octets(struct reference *reference, const struct item *item, bool indexed)
{
    uint64_t count = item->width;
    if (reference->at % 8)
        return MALFORMED;
    if (item->by_field >= 0) {
        if (!reference->set[item->by_field])
            return MALFORMED;
        count = reference->values[item->by_field];
    }
    if (count > (reference->bits - reference->at) / 8)
        return MALFORMED;
    size_t at = reference->at / 8;
    reference->at += count * 8;
    if (item->type == SKIP || item->hidden)
        return GOOD;
    say_name(reference, item, indexed);
    for (uint64_t i = 0; i < count; i++)
        say(reference, "%02x", reference->frame[at + i]);
    return GOOD;
}

static void forget(struct reference *reference, const struct item *item)
{
    for (size_t i = 0; i < item->count; i++) {
        const struct item *inner = &item->items[i];
        if (inner->type == GROUP || inner->type == SWITCH)
            forget(reference, inner);
        else
            reference->set[inner->id] = false;
    }
}

static enum verdict refer_item(struct reference *reference, const struct item *item, bool indexed);

static enum verdict refer_group(struct reference *reference, const struct item *item, bool indexed)
{
    uint64_t count = item->width;
    if (!item->rest && !item->once && item->by_field >= 0) {
        if (!reference->set[item->by_field])
            return MALFORMED;
        count = reference->values[item->by_field];
    }
    if (!item->rest && !item->once && count > reference->bits - reference->at)
        return MALFORMED;
    unsigned outer = reference->index;
    for (uint64_t i = 0; item->rest ? reference->at < reference->bits : i < count; i++) {
        size_t before = reference->at;
        if (!item->once)
            reference->index = (unsigned)i;
        forget(reference, item);
        for (size_t k = 0; k < item->count; k++) {
            enum verdict verdict = refer_item(reference, &item->items[k], indexed || !item->once);
            if (verdict != GOOD)
                return verdict;
        }
        if (!item->once && reference->at == before)
            return MALFORMED;
    }
    reference->index = outer;
    return GOOD;
}

static enum verdict refer_item(struct reference *reference, const struct item *item, bool indexed)
{
    if (item->when >= 0) {
        uint64_t value = reference->values[item->when];
        bool holds = item->when_bit ? value >> item->when_value & 1 : value == item->when_value;
        if (!reference->set[item->when] || holds == item->when_not)
            return GOOD;
    }
    if (item->type == GROUP)
        return refer_group(reference, item, indexed);
    if (item->type == OCTETS || item->type == SKIP)
        return refer_octets(reference, item, indexed);
    if (item->type != SWITCH)
        return refer_number(reference, item, indexed);
    if (!reference->set[item->by_field])
        return MALFORMED;
    uint64_t value = reference->values[item->by_field];
    if (value < item->count)
        return refer_item(reference, &item->items[value], indexed);
    return item->rest ? GOOD : MALFORMED;
}

static const char *refer(struct reference *reference, const struct item *items, struct bytes frame)
{
    memset(reference, 0, offsetof(struct reference, line));
    reference->len = 0;
    reference->line[0] = '\0';
    reference->index = 0;
    reference->frame = frame.ptr;
    reference->bits = frame.len * 8;
    for (size_t i = 0; i < items->count; i++) {
        enum verdict verdict = refer_item(reference, &items->items[i], false);
        if (verdict != GOOD)
            return verdicts[verdict];
    }
    return reference->bits - reference->at >= 8 ? "malformed" : reference->line;
}

/* Frames around the plain one: whitening and a checksum of one of two kinds. */

struct wrapping {
    uint8_t whitening[4];
    size_t whitening_len;
    int checksum; /* 0 none, 1 xor8, 2 crc16-modbus little-endian */
};

static size_t wrap(const struct wrapping *wrapping, const uint8_t *plain, size_t len, uint8_t *ret)
{
    memcpy(ret, plain, len);
    if (wrapping->checksum == 1) {
        uint8_t sum = 0;
        for (size_t i = 0; i < len; i++)
            sum ^= plain[i];
        ret[len++] = sum;
    } else if (wrapping->checksum == 2) {
        uint16_t crc = 0xffff;
        for (size_t i = 0; i < len; i++) {
            crc ^= plain[i];
            for (int bit = 0; bit < 8; bit++)
                crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
        }
        ret[len++] = (uint8_t)crc;
        ret[len++] = (uint8_t)(crc >> 8);
    }
    for (size_t i = 0; i < len && wrapping->whitening_len; i++)
        ret[i] ^= wrapping->whitening[i % wrapping->whitening_len];
    return len;
}

static void make_definition(struct world *world, struct item *items, struct wrapping *wrapping)
{
    static const char *const checksums[] = {
        "", ",\"checksum\":{\"type\":\"xor8\"}",
        ",\"checksum\":{\"type\":\"crc16-modbus\",\"endian\":\"little\"}"};
    struct seen seen = {.count = 0};
    wrapping->checksum = (int)random_below(world, 3);
    wrapping->whitening_len = chance(world, 30) ? 1 + (size_t)random_below(world, 4) : 0;
    put(world,
        "{\"name\":\"x\",\"kind\":\"binary\",\"examples\":[{\"input\":\"00\",\"senml\":[" RECORD_OF_EXAMPLE
        "]}]%s",
        checksums[wrapping->checksum]);
    if (wrapping->whitening_len) {
        put(world, ",\"whitening\":{\"xor\":\"");
        for (size_t i = 0; i < wrapping->whitening_len; i++) {
            wrapping->whitening[i] = (uint8_t)next_random(&world->seed);
            put(world, "%02x", wrapping->whitening[i]);
        }
        put(world, "\"}");
    }
    items->count = 1 + (size_t)random_below(world, 6);
    items->items = arena_calloc(world->arena, items->count, sizeof(*items->items));
    put(world, ",\"fields\":[");
    put_items(world, items, &seen, 0, false);
    put(world, "]}");
}

/* Random octets, often small ones, because they are counts and tags. */
static struct bytes make_frame(struct world *world, uint8_t frame[static FRAME_MAX])
{
    size_t len = (size_t)random_below(world, FRAME_MAX - 4);
    for (size_t i = 0; i < len; i++)
        frame[i] = (uint8_t)(chance(world, 60) ? random_below(world, 4) : next_random(&world->seed));
    return bytes_of(frame, len);
}

/* A frame of the length that the definition reads, where it reads one without complaint. */
static struct bytes fit(struct reference *reference, const struct item *items, struct bytes frame)
{
    (void)refer(reference, items, frame);
    size_t used = (reference->at + 7) / 8;
    return used <= frame.len ? bytes_of(frame.ptr, used) : frame;
}

Test(custom_random, definitions_agree_with_the_reference)
{
    struct world world = {.seed = 20251121};
    struct reference *reference = malloc(sizeof(*reference));
    char *text = malloc(TEXT_MAX);
    size_t outcomes[3] = {0}, records = 0;
    cr_assert(reference && text);
    for (int i = 0; i < DEFINITIONS; i++) {
        struct item items = {0};
        struct wrapping wrapping;
        struct custom_error error;
        world = (struct world){.seed = world.seed, .arena = arena_new(ARENA_BYTES), .ids = 1, .text = text};
        make_definition(&world, &items, &wrapping);
        struct custom *custom = custom_compile(bytes_of(world.text, world.len), &error);
        cr_assert(custom, "%s\n%s: %s", world.text, error.pointer, error.detail);
        for (int k = 0; k < FRAMES_EACH; k++) {
            uint8_t plain[FRAME_MAX], sent[FRAME_MAX];
            struct bytes frame = make_frame(&world, plain);
            if (k)
                frame = fit(reference, &items, frame);
            const char *expected = refer(reference, &items, frame);
            struct format_input input =
                custom_input(bytes_of(sent, wrap(&wrapping, frame.ptr, frame.len, sent)));
            const char *result = custom_result_of(custom, &input, world.arena);
            cr_assert_str_eq(result, expected, "%s\n%s\n gives %s\n not   %s", world.text,
                             to_hex(world.arena, frame), result, expected);
            outcomes[strcmp(expected, "malformed") == 0 ? 1 : strcmp(expected, "bad-value") == 0 ? 2 : 0]++;
            records += strchr(expected, '=') != NULL;
            if (wrapping.checksum && frame.len) {
                sent[random_below(&world, frame.len)] ^= (uint8_t)(1 << random_below(&world, 8));
                cr_assert_str_eq(custom_result_of(custom, &input, world.arena), "malformed");
            }
        }
        custom_free(custom);
        arena_free(world.arena);
    }
    free(text);
    free(reference);
    /* All ways to end were gone often enough to mean something. */
    cr_expect(outcomes[0] > 1000 && outcomes[1] > 500 && outcomes[2] > 50,
              "%zu taken, %zu malformed, %zu bad values", outcomes[0], outcomes[1], outcomes[2]);
    cr_expect_gt(records, 1000);
}

/* What comes out of a float of 32 bits reads back as that float, and no decimal with fewer decimals would. */
Test(custom_random, floats_read_back)
{
    uint64_t seed = 42;
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    struct custom *custom =
        custom_compile(custom_wrap(arena, "binary", "'fields':[{'type':'f32','name':'a'}]"), &error);
    cr_assert(custom);
    for (int i = 0; i < 5000; i++) {
        uint32_t pattern = (uint32_t)next_random(&seed);
        float number, again;
        if (i % 2) {
            number = (float)((int)(pattern % 2000001) - 1000000) / 1000;
            memcpy(&pattern, &number, sizeof(pattern));
        }
        memcpy(&number, &pattern, sizeof(number));
        if ((pattern & 0x7f800000) == 0x7f800000)
            continue;
        struct arena *one = arena_new(ARENA_BYTES);
        const uint8_t octets[] = {(uint8_t)(pattern >> 24), (uint8_t)(pattern >> 16), (uint8_t)(pattern >> 8),
                                  (uint8_t)pattern};
        struct format_input input = custom_input(bytes_of(octets, 4));
        const char *result = custom_result_of(custom, &input, one);
        cr_assert_eq(strncmp(result, "a=", 2), 0, "%s", result);
        again = strtof(result + 2, NULL);
        cr_assert_eq(memcmp(&again, &number, sizeof(again)), 0, "%08x gives %s", pattern, result);
        const char *point = strchr(result, '.');
        cr_assert(i % 2 == 0 || !point || strlen(point) <= 4, "%08x gives %s", pattern, result);
        arena_free(one);
    }
    custom_free(custom);
    arena_free(arena);
}
