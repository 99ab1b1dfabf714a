// SPDX-License-Identifier: GPL-3.0-or-later
/* Numbers of declarative codecs: as people write them, as IEEE 754 has them, and which of two is larger. */
#include "codec/custom_private.h"

#include <math.h>
#include <stdio.h>

bool custom_parse_number(struct bytes text, bool comma, struct decimal *ret)
{
    char json[DECIMAL_TEXT_MAX];
    size_t at = 0, len = 0;
    if (text.len == 0 || text.len > sizeof(json) - 2)
        return false;
    if (text.ptr[0] == '-' || text.ptr[0] == '+') {
        if (text.ptr[0] == '-')
            json[len++] = '-';
        at++;
        if (at == text.len || text.ptr[at] == '-')
            return false;
    }
    uint8_t point = comma ? ',' : '.';
    while (at + 1 < text.len && text.ptr[at] == '0' && text.ptr[at + 1] >= '0' && text.ptr[at + 1] <= '9')
        at++;
    /* JSON wants a digit on both sides of the point. */
    if (at + 1 < text.len && text.ptr[at] == point && text.ptr[at + 1] >= '0' && text.ptr[at + 1] <= '9')
        json[len++] = '0';
    for (; at < text.len; at++) {
        bool is_point = text.ptr[at] == point;
        bool last = at + 1 == text.len || (text.ptr[at + 1] | 0x20) == 'e';
        if (is_point && last && len && json[len - 1] != '-')
            continue;
        if (comma && text.ptr[at] == '.')
            return false;
        json[len++] = is_point ? '.' : (char)text.ptr[at];
    }
    return decimal_parse(bytes_of(json, len), ret) == DECIMAL_OK;
}

/* The value of a float without sign; exact, since a double holds all of both widths. */
static double widen(uint64_t magnitude, unsigned bits)
{
    if (bits == 32) {
        uint32_t pattern = (uint32_t)magnitude;
        float narrow;
        memcpy(&narrow, &pattern, sizeof(narrow));
        return (double)narrow;
    }
    unsigned exponent = (unsigned)(magnitude >> 10), fraction = magnitude & 0x3ff;
    if (exponent == 0)
        return ldexp(fraction, -24);
    if (exponent == 31)
        return (double)INFINITY;
    return ldexp(fraction + 1024, (int)exponent - 25);
}

/* The fewest digits behind the point that are still this float. False: too large or too small for that. */
static bool few_decimals(double value, double below, double above, struct decimal *ret)
{
    double power = 1;
    for (int places = 0; places <= 22; places++, power *= 10) {
        double scaled = value * power;
        if (scaled >= 1e15)
            return false;
        uint64_t digits = (uint64_t)(scaled + 0.5);
        double again = (double)digits / power;
        if (digits && again > below && again < above) {
            decimal_from_uint(digits, false, ret);
            ret->exponent = -places;
            return true;
        }
    }
    return false;
}

static bool few_digits(double value, double below, double above, struct decimal *ret)
{
    for (int digits = 1; digits < 17; digits++) {
        char printed[40], json[40];
        double again;
        size_t len = 0;
        snprintf(printed, sizeof(printed), "%.*e", digits - 1, value);
        /* Whatever the decimal point of the process looks like. */
        for (const char *at = printed; *at; at++)
            json[len++] = (*at >= '0' && *at <= '9') || *at == 'e' || *at == '-' || *at == '+' ? *at : '.';
        if (decimal_parse(bytes_of(json, len), ret) == DECIMAL_OK && decimal_to_double(ret, &again) &&
            again > below && again < above)
            return true;
    }
    return decimal_from_double(value, ret);
}

bool custom_decimal_of_float(uint64_t pattern, unsigned bits, struct decimal *ret)
{
    if (bits == 64) {
        double wide;
        memcpy(&wide, &pattern, sizeof(wide));
        return decimal_from_double(wide, ret);
    }
    uint64_t sign = UINT64_C(1) << (bits - 1);
    uint64_t magnitude = pattern & (sign - 1);
    double value = widen(magnitude, bits);
    if (!isfinite(value))
        return false;
    if (magnitude == 0) {
        decimal_from_uint(0, (pattern & sign) != 0, ret);
        return true;
    }
    /* What lies between the middles to the neighbours is read as this float; the middles need one bit
     * more. */
    double lower = widen(magnitude - 1, bits), upper = widen(magnitude + 1, bits);
    double below = (value + lower) / 2;
    double above = isfinite(upper) ? (value + upper) / 2 : value + (value - lower) / 2;
    if (!few_decimals(value, below, above, ret) && !few_digits(value, below, above, ret))
        return false;
    ret->negative = (pattern & sign) != 0;
    return true;
}

static int compare_magnitudes(const struct decimal *a, const struct decimal *b)
{
    bool a_zero = decimal_is_zero(a), b_zero = decimal_is_zero(b);
    if (a_zero || b_zero)
        return b_zero - a_zero;
    int a_top = a->count + a->exponent, b_top = b->count + b->exponent;
    if (a_top != b_top)
        return a_top < b_top ? -1 : 1;
    for (unsigned i = 0; i < a->count || i < b->count; i++) {
        int a_digit = i < a->count ? a->digits[i] : 0, b_digit = i < b->count ? b->digits[i] : 0;
        if (a_digit != b_digit)
            return a_digit < b_digit ? -1 : 1;
    }
    return 0;
}

int custom_decimal_compare(const struct decimal *a, const struct decimal *b)
{
    bool a_negative = a->negative && !decimal_is_zero(a), b_negative = b->negative && !decimal_is_zero(b);
    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    int magnitudes = compare_magnitudes(a, b);
    return a_negative ? -magnitudes : magnitudes;
}
