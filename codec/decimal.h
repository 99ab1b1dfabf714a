// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Numbers as people and sensors write them: exact decimals of bounded length, and their way to and from IEEE
 * 754.
 *
 * A sensor's 21.50 must come out as 21.50, and 0.1 + 0.2 as 0.3, so weir adds in decimal and keeps the double
 * only beside the text. All numbers are bounded (constants below): nobody can cause work or memory with an
 * exponent. Nothing here depends on the locale of the process.
 *
 * Text rule. A number that was text stays as written, but that `E` becomes `e`. A number that had none (CBOR)
 * or that came out of an addition is written by decimal_write: digits and a point where the exponent is
 * small, else digits and an exponent without sign `+`. "-0" stays "-0".
 */
#pragma once

#include "codec/arena.h"
#include "codec/observation.h"
#include "codec/outcome.h"

#define DECIMAL_DIGITS_MAX 64    /* significant digits, the zeros at the end counted */
#define DECIMAL_EXPONENT_MAX 400 /* of the exponent as written and of the last digit's place, either sign */
#define DECIMAL_TEXT_MAX 128     /* characters of a number */
#define DECIMAL_MAGNITUDE_MAX 27 /* bytes that 64 digits take as a binary integer */
#define DECIMAL_SMALL_MAX 19     /* digits that 64 bits hold, whichever they are */
#define DECIMAL_FACTOR_MAX 18    /* digits of a divisor; a factor of as many is multiplied by quickly */

/*
 * digits * 10^exponent; digits[0] is the most significant one and is 0 only in a zero, which has one digit.
 */
struct decimal {
    uint64_t small; /* the digits as an integer if count <= DECIMAL_SMALL_MAX, else undefined */
    int exponent;
    uint8_t count; /* 1..DECIMAL_DIGITS_MAX */
    bool negative;
    uint8_t digits[DECIMAL_DIGITS_MAX]; /* 0..9 each */
};

enum decimal_error {
    DECIMAL_OK,
    DECIMAL_MALFORMED, /* not a number by the grammar of RFC 8259 section 6 */
    DECIMAL_TOO_LONG,  /* a number, but beyond the bounds above */
};

/* Reads a JSON number, the whole text. */
enum decimal_error decimal_parse(struct bytes text, struct decimal *ret);

/* Writes the number by the text rule, without NUL; the result is its length. */
size_t decimal_write(const struct decimal *decimal, char out[static DECIMAL_TEXT_MAX]);

/* The nearest double, ties to even. False: it would be infinite. Too small becomes zero. */
bool decimal_to_double(const struct decimal *decimal, double *ret);
/* The same for a JSON number of any length, with its NUL. False: it would be infinite. */
bool decimal_text_to_double(const char *text, double *ret);
/* The shortest decimal that reads back as this double. False: not finite. */
bool decimal_from_double(double number, struct decimal *ret);

/* From an integer that 64 bits hold. */
void decimal_from_uint(uint64_t magnitude, bool negative, struct decimal *ret);
/*
 * From an integer of any sign whose magnitude is given big-endian. False: more than DECIMAL_DIGITS_MAX
 * digits.
 */
bool decimal_from_magnitude(struct bytes magnitude, bool negative, struct decimal *ret);
/*
 * The digits as a big-endian integer without leading zero bytes (zero: no byte); sign and exponent are not in
 * it.
 */
size_t decimal_to_magnitude(const struct decimal *decimal, uint8_t out[static DECIMAL_MAGNITUDE_MAX]);

/* The exact sum. False: it needs more than DECIMAL_DIGITS_MAX digits. */
bool decimal_add(const struct decimal *a, const struct decimal *b, struct decimal *ret);
/* The exact product. False: beyond the bounds of digits or exponent. ret may be a or b, also below. */
bool decimal_multiply(const struct decimal *a, const struct decimal *b, struct decimal *ret);
#define DECIMAL_ROUNDED_DIGITS 20
/*
 * The quotient a / b: exact where it ends within DECIMAL_DIGITS_MAX digits, else rounded half even to
 * DECIMAL_ROUNDED_DIGITS. False: b is zero or has more than DECIMAL_FACTOR_MAX digits, or the exponent is
 * beyond the bounds.
 */
bool decimal_divide(const struct decimal *a, const struct decimal *b, struct decimal *ret);
/* Drops the zeros at the end that are behind the point: 21.50 becomes 21.5, 2.00 becomes 2, 100 stays. */
void decimal_normalise(struct decimal *decimal);

static inline bool decimal_is_zero(const struct decimal *decimal)
{
    return decimal->digits[0] == 0;
}
