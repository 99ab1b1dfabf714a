// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Link format (RFC 6690): links are ours, the filter is a peer's. The attributes of a link are searched in
 * their written form: name, then = and a token or a string in quotes, separated by semicolons.
 */
#include "codec/link.h"

#include "codec/builder.h"

/* One attribute of a link; an attribute without a value has an empty one. */
struct attribute {
    struct bytes name;
    struct bytes value;
};

static struct bytes take(struct bytes *rest, size_t len)
{
    struct bytes taken = bytes_of(rest->ptr, len);
    *rest = bytes_of(rest->ptr + len, rest->len - len);
    return taken;
}

static size_t find(struct bytes text, const char *any)
{
    size_t len = 0;
    while (len < text.len && !strchr(any, text.ptr[len]))
        len++;
    return len;
}

/* The next attribute of the rest; false at the end. */
static bool next_attribute(struct bytes *rest, struct attribute *ret)
{
    if (!rest->len)
        return false;
    ret->name = take(rest, find(*rest, "=;"));
    ret->value = bytes_of(NULL, 0);
    if (rest->len && rest->ptr[0] == '=') {
        take(rest, 1);
        bool quoted = rest->len && rest->ptr[0] == '"';
        if (quoted)
            take(rest, 1);
        ret->value = take(rest, find(*rest, quoted ? "\"" : ";"));
        if (quoted && rest->len)
            take(rest, 1);
    }
    if (rest->len)
        take(rest, 1);
    return true;
}

/* One value against the filter; a trailing star is a prefix match. */
static bool value_matches(struct bytes value, struct bytes filter)
{
    if (filter.len && filter.ptr[filter.len - 1] == '*')
        return bytes_starts_with(value, bytes_of(filter.ptr, filter.len - 1));
    return bytes_equal(value, filter);
}

/* The whole value, or one of the values in it that spaces separate. */
static bool any_value_matches(struct bytes values, struct bytes filter)
{
    if (value_matches(values, filter))
        return true;
    while (values.len) {
        if (value_matches(take(&values, find(values, " ")), filter))
            return true;
        if (values.len)
            take(&values, 1);
    }
    return false;
}

static bool link_matches(const struct link *link, struct bytes name, struct bytes filter)
{
    if (!name.len)
        return true;
    if (bytes_equal(name, BYTES_LITERAL("href")))
        return value_matches(bytes_of_text(link->target), filter);
    struct bytes rest = bytes_of_text(link->attributes);
    struct attribute attribute;
    while (next_attribute(&rest, &attribute)) {
        if (bytes_equal(attribute.name, name) && any_value_matches(attribute.value, filter))
            return true;
    }
    return false;
}

bool link_format(const struct link *links, size_t count, struct bytes filter_name, struct bytes filter_value,
                 struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, 64 * count);
    for (size_t i = 0; i < count; i++) {
        if (!link_matches(&links[i], filter_name, filter_value))
            continue;
        if (out.len)
            builder_put_byte(&out, ',');
        builder_put_byte(&out, '<');
        builder_put_text(&out, links[i].target);
        builder_put_byte(&out, '>');
        if (links[i].attributes[0]) {
            builder_put_byte(&out, ';');
            builder_put_text(&out, links[i].attributes);
        }
    }
    return builder_finish(&out, ret);
}
