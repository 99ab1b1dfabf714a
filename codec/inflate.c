// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The output has its whole room at once: the room follows from the length of what came, which is there, and never
 * from what the stream says about itself.
 */
#include "codec/inflate.h"

#include <zlib.h>

#define EITHER_HEADER 32 /* zlib.h, inflateInit2: zlib and gzip are told apart by their headers */

static voidpf take(voidpf arena, uInt items, uInt size)
{
    return arena_calloc(arena, items, size);
}

static void give_back(voidpf arena, voidpf memory)
{
    (void)arena;
    (void)memory;
}

static bool refuse_stream(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_MALFORMED, "The compressed data is no complete zlib or gzip stream.", SIZE_MAX);
}

static bool refuse_room(size_t room, size_t max_bytes, struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_TOO_LARGE,
                  room == max_bytes ? "The data is too large when it is decompressed."
                                    : "The data is compressed too well to be taken.",
                  SIZE_MAX);
}

static bool is_gzip(struct bytes data)
{
    return data.len >= 2 && data.ptr[0] == 0x1f && data.ptr[1] == 0x8b;
}

/* All members of a gzip file; of zlib there is one stream. */
static int inflate_members(z_stream *stream)
{
    bool has_members = is_gzip(bytes_of(stream->next_in, stream->avail_in));
    int result = inflate(stream, Z_FINISH);
    while (has_members && result == Z_STREAM_END && is_gzip(bytes_of(stream->next_in, stream->avail_in))) {
        (void)inflateReset(stream);
        result = inflate(stream, Z_FINISH);
    }
    return result;
}

bool inflate_whole(struct bytes compressed, size_t max_bytes, struct arena *arena, struct bytes *ret,
                   struct refusal *reterr)
{
    if (compressed.len > UINT32_MAX / INFLATE_RATIO_MAX)
        return refuse(reterr, OUTCOME_TOO_LARGE, "The payload is too large.", SIZE_MAX);
    size_t room = compressed.len * INFLATE_RATIO_MAX;
    if (room > max_bytes)
        room = max_bytes;
    /* One octet more tells a stream that fits exactly from one that goes on. */
    uint8_t *out = arena_alloc(arena, room + 1);
    if (!out)
        return refuse_memory(reterr);
    z_stream stream = {
        .zalloc = take,
        .zfree = give_back,
        .opaque = arena,
        .next_in = (Bytef *)(uintptr_t)compressed.ptr,
        .avail_in = (uInt)compressed.len,
        .next_out = out,
        .avail_out = (uInt)room + 1,
    };
    if (inflateInit2(&stream, MAX_WBITS + EITHER_HEADER) != Z_OK)
        return refuse_memory(reterr);
    int result = inflate_members(&stream);
    (void)inflateEnd(&stream);
    size_t len = room + 1 - stream.avail_out;
    if (len > room)
        return refuse_room(room, max_bytes, reterr);
    if (result == Z_MEM_ERROR)
        return refuse_memory(reterr);
    if (result != Z_STREAM_END || stream.avail_in > 0)
        return refuse_stream(reterr);
    *ret = bytes_of(out, len);
    return true;
}
