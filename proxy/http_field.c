// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Field values into the numbers that routes know. A value that cannot be read is never an error of the program, and
 * mostly not one of the request either: an unreadable Accept is a wish that weir cannot fulfil.
 */
#include "proxy/http_field.h"

#include "codec/hex.h"
#include "proxy/http_text.h"

#define BEARER_CHARACTERS_MAX 256

/* --- media types --- */

static int number_of(struct bytes type)
{
    int number = format_by_media_type(type);
    return number == CONTENT_FORMAT_NONE ? REQUEST_FORMAT_UNKNOWN : number;
}

/* "name=value" of a parameter list; quotes around the value are taken off. */
static bool take_parameter(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value)
{
    struct bytes part;
    if (!http_text_take_list_part(rest, ';', &part))
        return false;
    http_text_take_until(&part, '=', ret_name);
    *ret_name = http_text_trim(*ret_name);
    *ret_value = http_text_trim(part);
    if (ret_value->len >= 2 && ret_value->ptr[0] == '"' && ret_value->ptr[ret_value->len - 1] == '"')
        *ret_value = bytes_of(ret_value->ptr + 1, ret_value->len - 2);
    return true;
}

/* Forms are ASCII, and what is encoded in them is UTF-8 whatever some clients say of it: Apache's HttpClient says
 * ISO-8859-1 of every form. */
static bool takes_charset(struct bytes type, struct bytes charset)
{
    if (http_text_equal_ignoring_case(charset, "utf-8"))
        return true;
    return http_text_equal_ignoring_case(type, "application/x-www-form-urlencoded") &&
           (http_text_equal_ignoring_case(charset, "iso-8859-1") || http_text_equal_ignoring_case(charset, "us-ascii"));
}

int http_field_media_type(struct bytes value)
{
    struct bytes rest = value.ptr ? value : BYTES_LITERAL(""), type, name, parameter, cose_type = {0};
    http_text_take_list_part(&rest, ';', &type);
    while (take_parameter(&rest, &name, &parameter)) {
        if (http_text_equal_ignoring_case(name, "charset") && !takes_charset(type, parameter))
            return REQUEST_FORMAT_UNKNOWN;
        if (http_text_equal_ignoring_case(name, "cose-type"))
            cose_type = parameter;
    }
    if (!http_text_equal_ignoring_case(type, "application/cose"))
        return number_of(type);
    int number = format_of_cose(cose_type);
    return number == CONTENT_FORMAT_NONE ? REQUEST_FORMAT_UNKNOWN : number;
}

/* --- Accept --- */

/* "0.5" in thousandths (RFC 9110 12.4.2); -1: not a weight. */
static int parse_weight(struct bytes text)
{
    if (text.len == 0 || text.len > 5 || text.ptr[0] > '1' || text.ptr[0] < '0' || (text.len > 1 && text.ptr[1] != '.'))
        return -1;
    int weight = 0, place = 1000;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1)
            continue;
        if (!http_text_is_digit(text.ptr[i]))
            return -1;
        weight += place * (text.ptr[i] - '0');
        place /= 10;
    }
    return weight > 1000 ? -1 : weight;
}

/* One media range. "type/" followed by a star is taken as "anything": weir then says what it prefers. */
static int parse_range(struct bytes range, int *ret_weight)
{
    struct bytes rest = range, type, name, value;
    *ret_weight = 1000;
    http_text_take_list_part(&rest, ';', &type);
    while (take_parameter(&rest, &name, &value))
        if (http_text_equal_ignoring_case(name, "q"))
            *ret_weight = parse_weight(value);
    if (type.len >= 3 && type.ptr[type.len - 1] == '*' && type.ptr[type.len - 2] == '/')
        return CONTENT_FORMAT_NONE;
    int number = number_of(type);
    return format_is_written(number) ? number : REQUEST_FORMAT_UNKNOWN;
}

int http_field_accept(struct bytes value)
{
    int best = REQUEST_FORMAT_UNKNOWN, best_weight = 0;
    bool empty = true;
    struct bytes rest = value, range;
    while (http_text_take_list_part(&rest, ',', &range)) {
        if (range.len == 0)
            continue;
        empty = false;
        int weight, number = parse_range(range, &weight);
        if (number != REQUEST_FORMAT_UNKNOWN && weight > best_weight) {
            best = number;
            best_weight = weight;
        }
    }
    return empty ? CONTENT_FORMAT_NONE : best;
}

/* --- entity tags --- */

const char *http_field_etag_text(const struct etag *etag, char ret[static HTTP_FIELD_ETAG_TEXT_MAX])
{
    char *to = ret;
    *to++ = '"';
    to += hex_write(bytes_of(etag->octets, etag->len < ETAG_BYTES ? etag->len : ETAG_BYTES), to);
    *to++ = '"';
    *to = 0;
    return ret;
}

/* False: a tag that weir never gave out. Upper case is not ours either: tags are compared byte for byte. */
static bool parse_own_etag(struct bytes opaque, struct etag *ret)
{
    struct etag etag = {.len = 0};
    char text[2 * ETAG_BYTES];
    size_t len;
    if (opaque.len == 0 || !hex_read(opaque, etag.octets, sizeof etag.octets, &len) ||
        !bytes_equal(opaque, bytes_of(text, hex_write(bytes_of(etag.octets, len), text))))
        return false;
    etag.len = (uint8_t)len;
    *ret = etag;
    return true;
}

/* Takes `"opaque"` or `W/"opaque"` off the front; a backslash is no escape here, a comma may be inside. */
static bool take_etag(struct bytes *rest, bool *ret_weak, struct bytes *ret_opaque)
{
    *ret_weak = bytes_starts_with(*rest, BYTES_LITERAL("W/"));
    struct bytes text = *ret_weak ? bytes_of(rest->ptr + 2, rest->len - 2) : *rest;
    if (text.len < 2 || text.ptr[0] != '"')
        return false;
    text = bytes_of(text.ptr + 1, text.len - 1);
    const uint8_t *end = memchr(text.ptr, '"', text.len);
    if (!end)
        return false;
    *ret_opaque = bytes_of(text.ptr, (size_t)(end - text.ptr));
    *rest = http_text_trim(bytes_of(end + 1, text.len - ret_opaque->len - 1));
    return true;
}

bool http_field_etags(struct bytes value, bool take_weak, struct http_field_etags *ret)
{
    struct http_field_etags etags = {.count = 0};
    struct bytes rest = http_text_trim(value), opaque;
    etags.any = bytes_equal(rest, BYTES_LITERAL("*"));
    if (etags.any)
        rest.len = 0;
    else if (rest.len == 0)
        return false;
    while (rest.len) {
        bool weak;
        struct etag etag;
        if (!take_etag(&rest, &weak, &opaque) || (rest.len && rest.ptr[0] != ','))
            return false;
        if (rest.len)
            rest = http_text_trim(bytes_of(rest.ptr + 1, rest.len - 1));
        if ((take_weak || !weak) && etags.count < REQUEST_ETAGS_MAX && parse_own_etag(opaque, &etag))
            etags.list[etags.count++] = etag;
    }
    *ret = etags;
    return true;
}

/* --- Authorization --- */

bool http_field_bearer(struct bytes value, struct bytes *ret)
{
    struct bytes rest = http_text_trim(value), scheme;
    if (!http_text_take_until(&rest, ' ', &scheme) || !http_text_equal_ignoring_case(scheme, "bearer"))
        return false;
    rest = http_text_trim(rest);
    if (rest.len == 0 || rest.len > BEARER_CHARACTERS_MAX)
        return false;
    /* token68 of RFC 9110 11.2. */
    for (size_t i = 0; i < rest.len; i++)
        if (!http_text_is_alpha(rest.ptr[i]) && !http_text_is_digit(rest.ptr[i]) && !memchr("-._~+/=", rest.ptr[i], 7))
            return false;
    *ret = rest;
    return true;
}
