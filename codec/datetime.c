// SPDX-License-Identifier: GPL-3.0-or-later
/* Reads from the left; whatever is left over at the end makes the text no time. */
#include "codec/datetime.h"

#define S_PER_DAY 86400
#define DAYS_TO_1970 719468 /* from 0000-03-01 */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool take_byte(struct bytes *rest, uint8_t byte)
{
    if (rest->len == 0 || rest->ptr[0] != byte)
        return false;
    *rest = bytes_of(rest->ptr + 1, rest->len - 1);
    return true;
}

/* A number of exactly that many digits. */
static bool take_number(struct bytes *rest, unsigned digits, unsigned max, unsigned *ret)
{
    unsigned number = 0;
    if (rest->len < digits)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        if (!is_digit(rest->ptr[i]))
            return false;
        number = number * 10 + (rest->ptr[i] - '0');
    }
    *rest = bytes_of(rest->ptr + digits, rest->len - digits);
    *ret = number;
    return number <= max;
}

static bool is_leap_year(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since 1970-01-01. Years begin in March, so that the leap day is the last one. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - DAYS_TO_1970;
}

/* Basic is without separators. */
static bool take_date(struct bytes *rest, bool *ret_basic, int64_t *ret_days)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    if (!take_number(rest, 4, 9999, &year))
        return false;
    bool basic = *ret_basic = rest->len && is_digit(rest->ptr[0]);
    if (!(basic || take_byte(rest, '-')) || !take_number(rest, 2, 12, &month) || !(basic || take_byte(rest, '-')) ||
        !take_number(rest, 2, 31, &day) || year == 0 || month == 0 || day == 0)
        return false;
    if (day > lengths[month - 1] + (month == 2 && is_leap_year(year) ? 1u : 0u))
        return false;
    *ret_days = days_since_1970(year, month, day);
    return true;
}

static bool take_fraction(struct bytes *rest, uint32_t *ret_ns)
{
    uint32_t ns = 0, place = 100000000;
    if (rest->len == 0 || !is_digit(rest->ptr[0]))
        return false;
    for (unsigned digit; rest->len && is_digit(rest->ptr[0]); place /= 10) {
        if (!take_number(rest, 1, 9, &digit))
            return false;
        ns += digit * place;
    }
    *ret_ns = ns;
    return true;
}

/* HH:MM[:SS[.fraction]], basic HHMM[SS[.fraction]] */
static bool take_clock(struct bytes *rest, bool basic, unsigned *ret_s, uint32_t *ret_ns)
{
    unsigned hour, minute, second = 0;
    if (!take_number(rest, 2, 23, &hour) || !(basic || take_byte(rest, ':')) || !take_number(rest, 2, 59, &minute))
        return false;
    if (basic ? rest->len && is_digit(rest->ptr[0]) : take_byte(rest, ':')) {
        if (!take_number(rest, 2, 59, &second) || (take_byte(rest, '.') && !take_fraction(rest, ret_ns)))
            return false;
    }
    *ret_s = hour * 3600 + minute * 60 + second;
    return true;
}

/* Seconds east of Greenwich; plus may stand for the sign. */
static bool take_offset(struct bytes *rest, uint8_t plus, int *ret_s)
{
    unsigned hour, minute = 0;
    if (rest->len == 0 || take_byte(rest, 'Z') || take_byte(rest, 'z'))
        return true;
    bool west = take_byte(rest, '-');
    if ((!west && !take_byte(rest, '+') && !take_byte(rest, plus)) || !take_number(rest, 2, 23, &hour))
        return false;
    bool colon = take_byte(rest, ':');
    if ((colon || rest->len) && !take_number(rest, 2, 59, &minute))
        return false;
    int s = (int)(hour * 3600 + minute * 60);
    *ret_s = west ? -s : s;
    return true;
}

static bool parse(struct bytes text, uint8_t plus, struct timestamp *ret)
{
    int64_t days;
    unsigned clock_s = 0;
    uint32_t ns = 0;
    int offset_s = 0;
    bool basic;
    if (!take_date(&text, &basic, &days))
        return false;
    if (take_byte(&text, 'T') || take_byte(&text, 't') || (!basic && take_byte(&text, ' '))) {
        if (!take_clock(&text, basic, &clock_s, &ns) || !take_offset(&text, plus, &offset_s))
            return false;
    } else if (basic) {
        return false;
    }
    if (text.len > 0)
        return false;
    *ret = (struct timestamp){.s = days * S_PER_DAY + clock_s - offset_s, .ns = ns};
    return true;
}

bool datetime_parse(struct bytes text, struct timestamp *ret)
{
    return parse(text, '+', ret);
}

bool datetime_parse_query(struct bytes text, struct timestamp *ret)
{
    return parse(text, ' ', ret);
}
