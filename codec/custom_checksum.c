// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Checksums of binary frames. A CRC is its parameters (Williams, "A painless guide to CRC error detection
 * algorithms", 1993); the presets are rows, their names those of the catalogue of parametrised CRCs where
 * devices have none.
 */
#include "codec/custom_binary.h"

static const struct preset {
    const char *name;
    int kind;
    unsigned bits;
    uint32_t poly, init, xorout;
    bool reflected;
} presets[] = {
    {"sum8", BINARY_SUM, 8, 0, 0, 0, false},
    {"sum16", BINARY_SUM, 16, 0, 0, 0, false},
    {"xor8", BINARY_XOR, 8, 0, 0, 0, false},
    {"lrc8", BINARY_NEGATIVE_SUM, 8, 0, 0, 0, false},
    {"crc8", BINARY_CRC, 8, 0x07, 0, 0, false},
    {"crc8-maxim", BINARY_CRC, 8, 0x31, 0, 0, true},
    {"crc16", BINARY_CRC, 16, 0x8005, 0, 0, true},
    {"crc16-ccitt", BINARY_CRC, 16, 0x1021, 0xffff, 0, false},
    {"crc16-xmodem", BINARY_CRC, 16, 0x1021, 0, 0, false},
    {"crc16-kermit", BINARY_CRC, 16, 0x1021, 0, 0, true},
    {"crc16-x25", BINARY_CRC, 16, 0x1021, 0xffff, 0xffff, true},
    {"crc16-modbus", BINARY_CRC, 16, 0x8005, 0xffff, 0, true},
    {"crc32", BINARY_CRC, 32, 0x04c11db7, 0xffffffff, 0xffffffff, true},
};

#define PRESET_COUNT (sizeof(presets) / sizeof(presets[0]))

static uint32_t mask_of(unsigned bits)
{
    return bits == 32 ? UINT32_MAX : (UINT32_C(1) << bits) - 1;
}

static uint32_t reflect(uint32_t value, unsigned bits)
{
    uint32_t ret = 0;
    for (unsigned i = 0; i < bits; i++)
        ret |= (value >> i & 1) << (bits - 1 - i);
    return ret;
}

static void fill_table(const struct binary_checksum *crc)
{
    uint32_t mask = mask_of(crc->bits), top = UINT32_C(1) << (crc->bits - 1);
    uint32_t reflected = reflect(crc->poly, crc->bits);
    for (uint32_t octet = 0; octet < 256; octet++) {
        uint32_t value = crc->refin ? octet : octet << (crc->bits - 8);
        for (int bit = 0; bit < 8; bit++) {
            if (crc->refin)
                value = value >> 1 ^ (value & 1 ? reflected : 0);
            else
                value = (value << 1 ^ (value & top ? crc->poly : 0)) & mask;
        }
        crc->table[octet] = value;
    }
}

static uint32_t crc_of(const struct binary_checksum *crc, struct bytes octets)
{
    uint32_t value = crc->refin ? reflect(crc->init, crc->bits) : crc->init;
    for (size_t i = 0; i < octets.len; i++) {
        if (crc->refin)
            value = (crc->bits > 8 ? value >> 8 : 0) ^ crc->table[(value ^ octets.ptr[i]) & 0xff];
        else
            value = (crc->bits > 8 ? value << 8 : 0) ^
                    crc->table[(value >> (crc->bits - 8) ^ octets.ptr[i]) & 0xff];
        value &= mask_of(crc->bits);
    }
    return crc->refin == crc->refout ? value : reflect(value, crc->bits);
}

uint32_t binary_checksum_of(const struct binary_checksum *checksum, struct bytes octets)
{
    uint32_t value = checksum->init;
    if (checksum->kind == BINARY_CRC) {
        value = crc_of(checksum, octets);
    } else {
        for (size_t i = 0; i < octets.len; i++)
            value = checksum->kind == BINARY_XOR ? value ^ octets.ptr[i] : value + octets.ptr[i];
        value = checksum->kind == BINARY_NEGATIVE_SUM ? 0 - value : value;
    }
    return (value ^ checksum->xorout) & mask_of(checksum->bits);
}

static bool get_parameter(struct custom_object *object, const char *name, unsigned bits, uint32_t *ret)
{
    uint64_t value = *ret;
    if (!custom_get_uint(object, name, 0, mask_of(bits), &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool read_checksum(struct custom_object *object, struct binary_checksum *ret)
{
    static const char *const of[] = {"plain", "sent"};
    const char *names[PRESET_COUNT];
    unsigned type = PRESET_COUNT, endian = ret->endian, sent = 0;
    for (size_t i = 0; i < PRESET_COUNT; i++)
        names[i] = presets[i].name;
    if (!custom_get_choice(object, "type", names, PRESET_COUNT, &type))
        return false;
    if (type == PRESET_COUNT)
        return custom_fail_at(object->compiler, "type",
                              "A checksum needs a type like \"crc16-modbus\" or \"sum8\".");
    const struct preset *preset = &presets[type];
    ret->kind = preset->kind;
    ret->bits = preset->bits;
    ret->poly = preset->poly;
    ret->init = preset->init;
    ret->xorout = preset->xorout;
    ret->refin = ret->refout = preset->reflected;
    ret->at = -(int64_t)(preset->bits / 8);
    ret->over.to_end = custom_get(object, "to") == NULL;
    if (preset->kind == BINARY_CRC &&
        (!get_parameter(object, "poly", ret->bits, &ret->poly) ||
         !custom_get_bool(object, "refin", &ret->refin) || !custom_get_bool(object, "refout", &ret->refout)))
        return false;
    if (!get_parameter(object, "init", ret->bits, &ret->init) ||
        !get_parameter(object, "xorout", ret->bits, &ret->xorout) ||
        !binary_get_int(object, "at", &ret->at) || !binary_get_int(object, "from", &ret->over.from) ||
        !binary_get_int(object, "to", &ret->over.to) ||
        !custom_get_choice(object, "endian", binary_endian_words, 2, &endian) ||
        !custom_get_choice(object, "of", of, 2, &sent))
        return false;
    ret->endian = (enum binary_endian)endian;
    ret->of_sent = sent == 1;
    return custom_close(object);
}

bool binary_checksum_read(struct custom_object *definition, enum binary_endian endian,
                          struct binary_checksum **ret)
{
    struct custom_compiler *compiler = definition->compiler;
    const struct node *node = custom_get(definition, "checksum");
    struct custom_object object;
    *ret = NULL;
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("checksum"));
    struct binary_checksum *checksum = arena_calloc(compiler->arena, 1, sizeof(*checksum));
    if (!checksum)
        return custom_fail_memory(compiler);
    checksum->endian = endian == BINARY_LITTLE ? BINARY_LITTLE : BINARY_BIG;
    if (!custom_open(compiler, node, &object) || !read_checksum(&object, checksum))
        return false;
    if (checksum->kind == BINARY_CRC) {
        checksum->table = arena_alloc(compiler->arena, 256 * sizeof(*checksum->table));
        if (!checksum->table)
            return custom_fail_memory(compiler);
        fill_table(checksum);
    }
    custom_leave(compiler, mark);
    *ret = checksum;
    return true;
}
