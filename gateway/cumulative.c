// SPDX-License-Identifier: GPL-3.0-or-later
/* Called for every record between rights and sink. What is no counter costs a look at its kind and at its unit. */
#include "gateway/cumulative.h"

#include "gateway/latest.h"
#include "gateway/rights.h"

/* Takes a word up to the next comma off the list. False: the list is at its end. */
static bool take_word(struct bytes *list, struct bytes *ret)
{
    if (list->len == 0)
        return false;
    const uint8_t *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    *ret = bytes_of(list->ptr, len);
    size_t taken = comma ? len + 1 : len;
    *list = bytes_of(list->ptr + taken, list->len - taken);
    return true;
}

/* For every record with a unit: a few octets are walked over faster than they are searched. wanted is not empty. */
static bool has_word(struct bytes list, struct bytes wanted)
{
    for (size_t at = 0; at + wanted.len <= list.len;) {
        size_t end = at + wanted.len;
        if (list.ptr[at] == wanted.ptr[0] && (end == list.len || list.ptr[end] == ',') &&
            memcmp(list.ptr + at, wanted.ptr, wanted.len) == 0)
            return true;
        while (at < list.len && list.ptr[at++] != ',')
            ;
    }
    return false;
}

/* Whether the list of a profile, "energy,pulses=65536", has the name. ret_modulus: empty if it has none. */
static bool find_series(struct bytes series, struct bytes name, struct bytes *ret_modulus)
{
    struct bytes word;
    while (take_word(&series, &word)) {
        if (!bytes_starts_with(word, name) || (word.len > name.len && word.ptr[name.len] != '='))
            continue;
        bool has_modulus = word.len > name.len;
        *ret_modulus = has_modulus ? bytes_of(word.ptr + name.len + 1, word.len - name.len - 1) : (struct bytes){0};
        return true;
    }
    return false;
}

void cumulative_mark(struct bytes units, struct bytes series, struct bytes device, struct timestamp received,
                     struct observation *observation)
{
    struct bytes modulus = {0};
    bool is_number = observation->has_sum || observation->kind == VALUE_NUMBER;
    bool counts = observation->has_sum || (is_number && observation->cumulative);
    if (is_number && !counts && observation->unit.len)
        counts = has_word(units, observation->unit);
    if (is_number && series.len && find_series(series, rights_local_name(device, observation->name), &modulus))
        counts = true;
    if (modulus.len)
        observation->modulus = (struct number){.text = modulus};
    observation->cumulative = counts && latest_is_plausible(observation->time, received) &&
                              rights_local_name(device, observation->name).len <= CUMULATIVE_NAME_MAX;
}

/* What the profile of a device lists; empty without one. */
static struct bytes series_of(const struct cumulative_question *question, struct bytes device)
{
    const struct device_record *record = registry_device(question->registry, question->tenant, device);
    const struct profile_record *profile =
        record && record->profile[0]
            ? registry_profile(question->registry, question->tenant, bytes_of_text(record->profile))
            : NULL;
    return profile ? bytes_of_text(profile->cumulative) : (struct bytes){0};
}

bool cumulative_mark_all(const struct cumulative_question *question, struct observation *observations,
                         const struct sink_record *records, size_t count)
{
    bool has_profiles = registry_count(question->registry).profiles > 0;
    struct bytes series = {0}, device = {0};
    for (size_t i = 0; i < count; i++) {
        if (has_profiles && !bytes_equal(records[i].device, device)) {
            device = records[i].device;
            /* The registry may change before the sink confirms. */
            if (!arena_copy(question->arena, series_of(question, device), &series))
                return false;
        }
        cumulative_mark(question->units, series, records[i].device, question->received, &observations[i]);
    }
    return true;
}

size_t cumulative_text(const struct number *number, char ret[static CUMULATIVE_TEXT_MAX])
{
    struct decimal decimal;
    if (decimal_parse(number->text, &decimal) != DECIMAL_OK)
        return 0;
    if (decimal.negative || decimal_is_zero(&decimal)) {
        ret[0] = '0';
        return 1;
    }
    while (decimal.exponent < 0 && decimal.digits[decimal.count - 1] == 0) {
        decimal.count--;
        decimal.exponent++;
    }
    int whole = decimal.count + decimal.exponent, fraction = decimal.exponent < 0 ? -decimal.exponent : 0;
    if ((whole > 0 ? whole : 1) + fraction > DECIMAL_DIGITS_MAX)
        return 0;
    size_t len = 0;
    for (int place = whole > 0 ? whole : 1; place > -fraction; place--) {
        int at = whole - place; /* of the digit before this place; the places of a number below 1 begin before it */
        if (place == 0)
            ret[len++] = '.';
        ret[len++] = (char)('0' + (at >= 0 && at < decimal.count ? decimal.digits[at] : 0));
    }
    return len;
}
