// SPDX-License-Identifier: GPL-3.0-or-later
/* A deterministic CBOR encoder, complete for what weir sends. */
#include "codec/cborout.h"

#include <math.h>

enum major {
    MAJOR_UINT = 0,
    MAJOR_NEGINT = 1,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
    MAJOR_ARRAY = 4,
    MAJOR_MAP = 5,
    MAJOR_TAG = 6,
};

#define BYTE_FALSE 0xf4
#define BYTE_TRUE 0xf5
#define BYTE_HALF 0xf9
#define BYTE_SINGLE 0xfa
#define BYTE_DOUBLE 0xfb

static void put_big_endian(struct builder *out, uint64_t number, unsigned width)
{
    uint8_t *at = builder_reserve(out, width);
    if (!at)
        return;
    for (unsigned i = 0; i < width; i++)
        at[i] = (uint8_t)(number >> (8 * (width - 1 - i)));
}

static void put_head(struct builder *out, enum major major, uint64_t argument)
{
    static const struct {
        uint64_t below_or_equal;
        uint8_t info;
        uint8_t width;
    } forms[] = {{UINT8_MAX, 24, 1}, {UINT16_MAX, 25, 2}, {UINT32_MAX, 26, 4}, {UINT64_MAX, 27, 8}};

    if (argument < 24) {
        builder_put_byte(out, (uint8_t)(major << 5 | argument));
        return;
    }
    unsigned i = 0;
    while (argument > forms[i].below_or_equal)
        i++;
    builder_put_byte(out, (uint8_t)(major << 5 | forms[i].info));
    put_big_endian(out, argument, forms[i].width);
}

void cborout_bool(struct builder *out, bool boolean)
{
    builder_put_byte(out, boolean ? BYTE_TRUE : BYTE_FALSE);
}

void cborout_uint(struct builder *out, uint64_t number)
{
    put_head(out, MAJOR_UINT, number);
}

void cborout_int(struct builder *out, int64_t number)
{
    if (number < 0)
        put_head(out, MAJOR_NEGINT, (uint64_t)(-1 - number));
    else
        put_head(out, MAJOR_UINT, (uint64_t)number);
}

/*
 * The half-precision form of a float, if it has one: 5 bits of exponent (bias 15) and 10 of fraction.
 * Subnormal halves are fraction * 2^-24.
 */
static bool to_half(float single, uint16_t *ret)
{
    uint32_t bits;
    memcpy(&bits, &single, sizeof(bits));
    uint32_t sign = bits >> 31 << 15;
    uint32_t fraction = bits & 0x7fffff;
    int exponent = (int)(bits >> 23 & 0xff) - 127;
    uint32_t half;

    if ((bits & 0x7fffffff) == 0) {
        half = 0;
    } else if (exponent == 128) {
        half = 0x7c00; /* infinite; NaN never comes here */
    } else if (exponent >= -14 && exponent <= 15) {
        if (fraction & 0x1fff)
            return false;
        half = (uint32_t)(exponent + 15) << 10 | fraction >> 13;
    } else if (exponent >= -24 && exponent < -14) {
        unsigned drop = (unsigned)(-1 - exponent);
        uint32_t whole = fraction | 0x800000;
        if (whole & ((1U << drop) - 1))
            return false;
        half = whole >> drop;
    } else {
        return false;
    }
    *ret = (uint16_t)(sign | half);
    return true;
}

void cborout_double(struct builder *out, double number)
{
    uint16_t half;
    float single = (float)number;
    if (isnan(number)) {
        builder_put_byte(out, BYTE_HALF);
        put_big_endian(out, 0x7e00, 2);
    } else if ((double)single != number) {
        uint64_t bits;
        memcpy(&bits, &number, sizeof(bits));
        builder_put_byte(out, BYTE_DOUBLE);
        put_big_endian(out, bits, 8);
    } else if (to_half(single, &half)) {
        builder_put_byte(out, BYTE_HALF);
        put_big_endian(out, half, 2);
    } else {
        uint32_t bits;
        memcpy(&bits, &single, sizeof(bits));
        builder_put_byte(out, BYTE_SINGLE);
        put_big_endian(out, bits, 4);
    }
}

void cborout_text(struct builder *out, struct bytes text)
{
    put_head(out, MAJOR_TEXT, text.len);
    builder_put(out, text);
}

void cborout_bytes(struct builder *out, struct bytes bytes)
{
    put_head(out, MAJOR_BYTES, bytes.len);
    builder_put(out, bytes);
}

void cborout_array(struct builder *out, size_t count)
{
    put_head(out, MAJOR_ARRAY, count);
}

void cborout_map(struct builder *out, size_t count)
{
    put_head(out, MAJOR_MAP, count);
}

void cborout_tag(struct builder *out, uint64_t tag)
{
    put_head(out, MAJOR_TAG, tag);
}

/* Takes one from a big-endian integer that is not zero; the result is its new length. */
static size_t decrement(uint8_t *magnitude, size_t len)
{
    for (size_t i = len; i-- > 0;) {
        if (magnitude[i]--)
            break;
    }
    if (magnitude[0])
        return len;
    memmove(magnitude, magnitude + 1, len - 1);
    return len - 1;
}

/* The digits of a decimal, sign included and exponent left out. */
static void put_digits(struct builder *out, const struct decimal *decimal)
{
    uint8_t magnitude[DECIMAL_MAGNITUDE_MAX];
    bool negative = decimal->negative && !decimal_is_zero(decimal);
    if (decimal->count <= DECIMAL_SMALL_MAX) {
        put_head(out, negative ? MAJOR_NEGINT : MAJOR_UINT, decimal->small - negative);
        return;
    }
    size_t len = decimal_to_magnitude(decimal, magnitude);
    if (negative)
        len = decrement(magnitude, len);
    if (len > 8) {
        cborout_tag(out, negative ? 3 : 2);
        cborout_bytes(out, bytes_of(magnitude, len));
        return;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++)
        number = number << 8 | magnitude[i];
    put_head(out, negative ? MAJOR_NEGINT : MAJOR_UINT, number);
}

static bool is_text_of(struct bytes text, double number)
{
    struct decimal shortest;
    char written[DECIMAL_TEXT_MAX];
    return decimal_from_double(number, &shortest) &&
           bytes_equal(text, bytes_of(written, decimal_write(&shortest, written)));
}

void cborout_decimal(struct builder *out, struct bytes text, const struct decimal *decimal)
{
    double number;
    bool negative_zero = decimal->negative && decimal_is_zero(decimal);
    if (decimal->exponent == 0 && !negative_zero) {
        put_digits(out, decimal);
    } else if (decimal_to_double(decimal, &number) && (negative_zero || is_text_of(text, number))) {
        cborout_double(out, number);
    } else {
        cborout_tag(out, 4);
        cborout_array(out, 2);
        cborout_int(out, decimal->exponent);
        put_digits(out, decimal);
    }
}
