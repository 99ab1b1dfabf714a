// SPDX-License-Identifier: GPL-3.0-or-later
/* Numbers have a NUL behind them while they are written; it is counted as used, as the room was asserted with it. */
#include "registry/fields.h"

#include "codec/digits.h"
#include "codec/hex.h"

#include <inttypes.h>
#include <stdio.h>

/* Writing. */

void fields_put(struct fields_writer *w, const char *name, struct bytes value)
{
    if (value.len > 0)
        w->fields[w->count++] = (struct record_field){bytes_of_text(name), value};
}

void fields_put_text(struct fields_writer *w, const char *name, const char *value)
{
    fields_put(w, name, bytes_of_text(value));
}

void fields_put_flag(struct fields_writer *w, const char *name, bool flag)
{
    fields_put(w, name, flag ? BYTES_LITERAL("1") : BYTES_LITERAL("0"));
}

void fields_put_number(struct fields_writer *w, const char *name, int64_t number)
{
    char *text = w->text + w->used;
    int len = snprintf(text, RECORD_TEXT_MAX - w->used, "%" PRId64, number);
    w->used += (size_t)len + 1;
    fields_put(w, name, bytes_of(text, (size_t)len));
}

struct bytes fields_add(struct fields_writer *w, struct bytes text)
{
    char *at = w->text + w->used;
    if (text.len)
        memcpy(at, text.ptr, text.len);
    w->used += text.len;
    return bytes_of(at, text.len);
}

struct bytes fields_add_hex(struct fields_writer *w, const uint8_t *octets, size_t len)
{
    char *text = w->text + w->used;
    size_t text_len = hex_write(bytes_of(octets, len), text);
    w->used += text_len;
    return bytes_of(text, text_len);
}

void fields_put_hex(struct fields_writer *w, const char *name, const uint8_t *octets, size_t len)
{
    fields_put(w, name, fields_add_hex(w, octets, len));
}

struct bytes fields_add_secret(struct fields_writer *w, const struct fields_owner *owner, struct bytes label,
                               const struct secret *secret)
{
    char sealed[RECORD_SEALED_MAX];
    const struct record_vault *vault = owner->vault;
    if (!vault)
        return fields_add_hex(w, secret->octets, secret->len);
    return fields_add(w, bytes_of(sealed, vault->seal(vault->ctx, owner->tenant, owner->id, label, secret, sealed)));
}

bool fields_put_secret(struct fields_writer *w, const struct fields_owner *owner, const char *name, const char *label,
                       const struct secret *secret)
{
    struct bytes value = fields_add_secret(w, owner, bytes_of_text(label), secret);
    fields_put(w, name, value);
    return value.len > 0;
}

/* Reading. */

struct bytes fields_find(const struct fields_reader *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (bytes_equal_text(r->fields[i].name, name))
            return r->fields[i].value;
    return bytes_of(NULL, 0);
}

bool fields_read_flag(const struct fields_reader *r, const char *name, bool *ret)
{
    struct bytes value = fields_find(r, name);
    *ret = bytes_equal_text(value, "1");
    return value.len == 0 || *ret || bytes_equal_text(value, "0");
}

bool fields_parse_number(struct bytes text, int64_t *ret)
{
    uint64_t number = 0;
    if (text.len && !digits_read(text, 12, &number))
        return false;
    *ret = (int64_t)number;
    return true;
}

bool fields_read_number(const struct fields_reader *r, const char *name, int64_t *ret)
{
    return fields_parse_number(fields_find(r, name), ret);
}

bool fields_read_text(const struct fields_reader *r, const char *name, size_t max, bool (*is_valid)(struct bytes),
                      char *ret)
{
    struct bytes value = fields_find(r, name);
    if (value.len > max || (value.len && !is_valid(value)))
        return false;
    if (value.len)
        memcpy(ret, value.ptr, value.len);
    ret[value.len] = '\0';
    return true;
}

bool fields_read_hex(const struct fields_reader *r, const char *name, size_t max, uint8_t *ret, size_t *ret_len)
{
    return hex_read(fields_find(r, name), ret, max, ret_len);
}

enum fields_secret fields_open_secret(const struct fields_owner *owner, struct bytes label, struct bytes text,
                                      struct secret *ret)
{
    const struct record_vault *vault = owner->vault;
    if (!bytes_starts_with(text, BYTES_LITERAL(RECORD_SEALED_PREFIX)))
        return secret_set_hex(ret, text) ? FIELDS_SECRET_OPEN : FIELDS_SECRET_BAD;
    return vault && vault->open(vault->ctx, owner->tenant, owner->id, label, text, ret) ? FIELDS_SECRET_OPEN
                                                                                       : FIELDS_SECRET_CLOSED;
}
