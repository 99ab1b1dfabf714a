// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Members of a definition. Strict: a member that nobody asked for is a mistake in writing, a value of another
 * type too. What is kept is copied into the codec's arena, because the tree of the definition goes when the
 * codec is compiled.
 */
#include "codec/custom_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/hex.h"
#include "codec/utf8.h"

/* A text that was cut off in the middle of a character is no UTF-8, and goes into answers that must be. */
static void keep_utf8(char *text)
{
    if (utf8_is_valid(bytes_of_text(text)))
        return;
    for (char *at = text; *at; at++) {
        if ((uint8_t)*at >= 0x80)
            *at = '?';
    }
}

static bool fail(struct custom_compiler *compiler, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static bool fail(struct custom_compiler *compiler, const char *format, va_list arguments)
{
    struct custom_error *error = compiler->reterr;
    vsnprintf(error->detail, sizeof(error->detail), format, arguments);
    memcpy(error->pointer, compiler->path, compiler->path_len);
    error->pointer[compiler->path_len] = '\0';
    keep_utf8(error->detail);
    keep_utf8(error->pointer);
    return false;
}

bool custom_fail(struct custom_compiler *compiler, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(compiler, format, arguments);
    va_end(arguments);
    return false;
}

bool custom_fail_at(struct custom_compiler *compiler, const char *member, const char *format, ...)
{
    va_list arguments;
    custom_enter(compiler, bytes_of_text(member));
    va_start(arguments, format);
    fail(compiler, format, arguments);
    va_end(arguments);
    return false;
}

bool custom_fail_memory(struct custom_compiler *compiler)
{
    return custom_fail(compiler, "Out of memory.");
}

static void path_put(struct custom_compiler *compiler, const char *text)
{
    size_t len = strlen(text);
    if (compiler->path_len + len >= sizeof(compiler->path))
        len = sizeof(compiler->path) - 1 - compiler->path_len;
    memcpy(compiler->path + compiler->path_len, text, len);
    compiler->path_len += len;
}

size_t custom_enter(struct custom_compiler *compiler, struct bytes member)
{
    size_t mark = compiler->path_len;
    path_put(compiler, "/");
    for (size_t i = 0; i < member.len; i++) {
        const char character[2] = {(char)member.ptr[i], '\0'};
        path_put(compiler, *character == '~' ? "~0" : *character == '/' ? "~1" : character);
    }
    return mark;
}

size_t custom_enter_index(struct custom_compiler *compiler, size_t index)
{
    char text[24];
    snprintf(text, sizeof(text), "%zu", index);
    return custom_enter(compiler, bytes_of_text(text));
}

void custom_leave(struct custom_compiler *compiler, size_t mark)
{
    compiler->path_len = mark;
}

bool custom_open(struct custom_compiler *compiler, const struct node *node, struct custom_object *ret)
{
    if (node->kind != NODE_MAP)
        return custom_fail(compiler, "An object is expected here.");
    if (node->count > CUSTOM_MEMBERS_MAX)
        return custom_fail(compiler, "An object has more than %d members.", CUSTOM_MEMBERS_MAX);
    *ret = (struct custom_object){compiler, node, 0};
    return true;
}

const struct node *custom_get(struct custom_object *object, const char *name)
{
    const struct node *key = node_first(object->map);
    for (uint32_t i = 0; i < object->map->count; i++, key = node_next(key + 1)) {
        if (bytes_equal_text(key->data, name)) {
            object->asked |= UINT64_C(1) << i;
            return key + 1;
        }
    }
    return NULL;
}

bool custom_close(const struct custom_object *object)
{
    const struct node *key = node_first(object->map);
    for (uint32_t i = 0; i < object->map->count; i++, key = node_next(key + 1)) {
        if (!(object->asked & UINT64_C(1) << i) && !bytes_equal_text(key->data, "description")) {
            custom_enter(object->compiler, key->data);
            return custom_fail(object->compiler, "There is no such member here.");
        }
    }
    return true;
}

/* The member, with the reader stepped into it; NULL: there is none. */
static const struct node *get_and_enter(struct custom_object *object, const char *name, size_t *ret_mark)
{
    const struct node *node = custom_get(object, name);
    if (node)
        *ret_mark = custom_enter(object->compiler, bytes_of_text(name));
    return node;
}

bool custom_read_text(struct custom_compiler *compiler, const struct node *node, struct bytes *ret)
{
    if (node->kind != NODE_TEXT)
        return custom_fail(compiler, "A text is expected here.");
    if (!arena_copy(compiler->arena, node->data, ret))
        return custom_fail_memory(compiler);
    return true;
}

bool custom_get_text(struct custom_object *object, const char *name, struct bytes *ret)
{
    size_t mark;
    const struct node *node = get_and_enter(object, name, &mark);
    if (!node)
        return true;
    if (!custom_read_text(object->compiler, node, ret))
        return false;
    custom_leave(object->compiler, mark);
    return true;
}

bool custom_get_bool(struct custom_object *object, const char *name, bool *ret)
{
    const struct node *node = custom_get(object, name);
    if (!node)
        return true;
    if (node->kind != NODE_BOOLEAN)
        return custom_fail_at(object->compiler, name, "true or false is expected here.");
    *ret = node->boolean;
    return true;
}

bool custom_parse_integer(struct bytes text, struct custom_integer *ret)
{
    struct custom_integer integer = {0};
    size_t at = 0;
    if (text.len && text.ptr[0] == '-') {
        integer.negative = true;
        at = 1;
    }
    if (text.len >= at + 2 && text.ptr[at] == '0' && (text.ptr[at + 1] | 0x20) == 'x') {
        integer.hex = true;
        at += 2;
    }
    if (at == text.len || (integer.hex && integer.negative))
        return false;
    unsigned base = integer.hex ? 16 : 10;
    for (; at < text.len; at++) {
        int digit = hex_value(text.ptr[at]);
        if (digit < 0 || (unsigned)digit >= base ||
            __builtin_mul_overflow(integer.magnitude, base, &integer.magnitude) ||
            __builtin_add_overflow(integer.magnitude, (unsigned)digit, &integer.magnitude))
            return false;
    }
    integer.negative = integer.negative && integer.magnitude;
    *ret = integer;
    return true;
}

bool custom_read_integer(struct custom_compiler *compiler, const struct node *node,
                         struct custom_integer *ret)
{
    if ((node->kind != NODE_NUMBER && node->kind != NODE_TEXT) || !custom_parse_integer(node->data, ret))
        return custom_fail(compiler, "An integer is expected here.");
    return true;
}

bool custom_get_uint(struct custom_object *object, const char *name, uint64_t min, uint64_t max,
                     uint64_t *ret)
{
    struct custom_integer integer;
    size_t mark;
    const struct node *node = get_and_enter(object, name, &mark);
    if (!node)
        return true;
    if (!custom_read_integer(object->compiler, node, &integer))
        return false;
    if (integer.negative || integer.magnitude < min || integer.magnitude > max)
        return custom_fail(object->compiler, "An integer from %ju to %ju is expected here.", (uintmax_t)min,
                           (uintmax_t)max);
    custom_leave(object->compiler, mark);
    *ret = integer.magnitude;
    return true;
}

bool custom_read_decimal(struct custom_compiler *compiler, const struct node *node, struct decimal *ret)
{
    if ((node->kind != NODE_NUMBER && node->kind != NODE_TEXT) ||
        decimal_parse(node->data, ret) != DECIMAL_OK)
        return custom_fail(compiler, "A number is expected here.");
    return true;
}

bool custom_get_decimal(struct custom_object *object, const char *name, bool *ret_found, struct decimal *ret)
{
    size_t mark;
    const struct node *node = get_and_enter(object, name, &mark);
    *ret_found = node != NULL;
    if (!node)
        return true;
    if (!custom_read_decimal(object->compiler, node, ret))
        return false;
    custom_leave(object->compiler, mark);
    return true;
}

bool custom_get_choice(struct custom_object *object, const char *name, const char *const *words, size_t count,
                       unsigned *ret)
{
    const struct node *node = custom_get(object, name);
    char all[CUSTOM_TEXT_MAX] = "";
    if (!node)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (node->kind == NODE_TEXT && bytes_equal_text(node->data, words[i])) {
            *ret = (unsigned)i;
            return true;
        }
        size_t len = strlen(all);
        snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", words[i]);
    }
    return custom_fail_at(object->compiler, name, "One of these is expected here: %s.", all);
}

bool custom_read_hex(struct custom_compiler *compiler, struct bytes digits, struct bytes *ret)
{
    uint8_t *octets = arena_alloc(compiler->arena, digits.len / 2 + 1);
    size_t count = 0;
    if (!octets)
        return custom_fail_memory(compiler);
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_value(digits.ptr[i]);
        if (digit < 0 && memchr(" \t\r\n", digits.ptr[i], 4))
            continue;
        if (digit < 0)
            return custom_fail(compiler, "Hexadecimal digits are expected here.");
        octets[count / 2] = (uint8_t)(count % 2 ? octets[count / 2] << 4 | digit : digit);
        count++;
    }
    if (count % 2)
        return custom_fail(compiler, "There is half an octet: an odd number of hexadecimal digits.");
    *ret = bytes_of(octets, count / 2);
    return true;
}

bool custom_get_hex(struct custom_object *object, const char *name, struct bytes *ret)
{
    size_t mark;
    const struct node *node = get_and_enter(object, name, &mark);
    if (!node)
        return true;
    if (node->kind != NODE_TEXT)
        return custom_fail(object->compiler, "Hexadecimal digits are expected here.");
    if (!custom_read_hex(object->compiler, node->data, ret))
        return false;
    custom_leave(object->compiler, mark);
    return true;
}
