// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * OpenTRV's binary frames, as they come and with the checksum that they should have, with keys and without. The cipher
 * opens everything, so that sealed bodies are any. Beyond codec_property.h: only a secure frame is proven, and with its
 * whole counter.
 */
#include "codec/crc7.h"
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All nodes that begin with an odd digit have a key; the id is that of the frame, zeros behind it. */
static bool find(void *ctx, struct bytes node, struct format_frame_key *ret)
{
    (void)ctx;
    property_holds(node.len >= 2 && node.len % 2 == 0 && node.len <= 2 * FORMAT_FRAME_ID_MAX);
    if (node.ptr[0] % 2 == 0)
        return false;
    *ret = (struct format_frame_key){.id_len = FORMAT_FRAME_ID_MAX};
    for (size_t i = 0; i < node.len / 2; i++) {
        char pair[3] = {(char)node.ptr[2 * i], (char)node.ptr[2 * i + 1], '\0'};
        ret->id[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool open_all(const uint8_t key[static FORMAT_FRAME_KEY_BYTES], const uint8_t nonce[static 12], struct bytes aad,
                     struct bytes sealed, uint8_t *ret)
{
    (void)key;
    property_holds(aad.len >= 4 && sealed.len >= 16);
    property_holds(memcmp(nonce, aad.ptr + 3, aad.len - 4 < 6 ? aad.len - 4 : 6) == 0);
    memcpy(ret, sealed.ptr, sealed.len - 16);
    return true;
}

static void check(const struct format_crypto *crypto, const uint8_t *data, size_t size)
{
    struct format_input input = {.now = {1763692800, 0}, .limits = FORMAT_LIMITS_DEFAULT, .crypto = crypto};
    property_decode_in(&input, CONTENT_FORMAT_OPENTRV_FRAME, data, size);
    struct observation_list list;
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    property_holds(arena);
    input.payload = bytes_of(data, size);
    if (format_by_content_format(CONTENT_FORMAT_OPENTRV_FRAME)->decode(&input, arena, &list, NULL) == OUTCOME_CHANGED) {
        property_holds(list.proven == ((data[1] & 0x80) != 0));
        property_holds(list.sequence.given == list.proven);
        property_holds(!list.proven || (list.sequence.seq & 15) == data[2] >> 4);
        property_holds(list.count >= 5);
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct format_crypto crypto = {NULL, find, open_all};
    check(NULL, data, size);
    check(&crypto, data, size);
    if (size < 2 || size > 256)
        return 0;
    uint8_t mended[256];
    memcpy(mended, data, size);
    mended[0] = (uint8_t)(size - 1);
    uint8_t crc = crc7(CRC7_FRAME_START, bytes_of(mended, size - 1));
    mended[size - 1] = crc ? crc : CRC7_ZERO_SENT;
    if (mended[1] & 0x80)
        mended[size - 1] = 0x80;
    check(NULL, mended, size);
    check(&crypto, mended, size);
    return 0;
}
