// SPDX-License-Identifier: GPL-3.0-or-later
/* A growing run of bytes in an arena, with a sticky error. */
#include "codec/builder.h"

void builder_init(struct builder *builder, struct arena *arena, size_t expected_len)
{
    *builder = (struct builder){.arena = arena};
    builder->ptr = arena_alloc(arena, expected_len);
    builder->room = expected_len;
    builder->failed = !builder->ptr;
}

static bool grow(struct builder *builder, size_t more)
{
    size_t wanted;
    if (__builtin_add_overflow(builder->len, more, &wanted) || wanted > SIZE_MAX / 2)
        return false;
    size_t room = wanted > builder->room * 2 ? wanted : builder->room * 2;
    uint8_t *ptr = arena_alloc(builder->arena, room);
    if (!ptr)
        return false;
    memcpy(ptr, builder->ptr, builder->len);
    builder->ptr = ptr;
    builder->room = room;
    return true;
}

uint8_t *builder_reserve(struct builder *builder, size_t len)
{
    if (builder->failed)
        return NULL;
    if (len > builder->room - builder->len && !grow(builder, len)) {
        builder->failed = true;
        return NULL;
    }
    uint8_t *at = builder->ptr + builder->len;
    builder->len += len;
    return at;
}

void builder_put(struct builder *builder, struct bytes more)
{
    uint8_t *at = builder_reserve(builder, more.len);
    if (at && more.len)
        memcpy(at, more.ptr, more.len);
}

void builder_put_text(struct builder *builder, const char *text)
{
    builder_put(builder, bytes_of_text(text));
}

void builder_put_byte(struct builder *builder, uint8_t byte)
{
    builder_put(builder, bytes_of(&byte, 1));
}

void builder_put_uint(struct builder *builder, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    builder_put(builder, bytes_of(digits + at, sizeof(digits) - at));
}

bool builder_finish(const struct builder *builder, struct bytes *ret)
{
    if (builder->failed)
        return false;
    *ret = bytes_of(builder->ptr, builder->len);
    return true;
}
