// SPDX-License-Identifier: GPL-3.0-or-later
/* JSON strings: every character comes back, and no control character goes out. */
#include "codec/jsonout.h"

#include "codec/json.h"
#include "tests/unit/codec/support.h"

Test(jsonout, every_character_comes_back)
{
    for (uint32_t c = 1; c < 0x80; c++) {
        struct arena *arena = arena_new(10000);
        const uint8_t text[] = {'a', (uint8_t)c, (uint8_t)c, 'b'};
        struct builder out;
        struct bytes json;
        const struct node *root;
        struct refusal refusal;
        builder_init(&out, arena, 8);
        jsonout_text(&out, bytes_of(text, sizeof(text)));
        cr_assert(builder_finish(&out, &json));
        for (size_t i = 0; i < json.len; i++)
            cr_assert(json.ptr[i] >= 0x20 && json.ptr[i] < 0x7f);
        cr_assert(json_read(json, &FORMAT_LIMITS_DEFAULT, arena, &root, &refusal));
        cr_assert(bytes_equal(root->data, bytes_of(text, sizeof(text))));
        arena_free(arena);
    }
}

Test(jsonout, other_text_goes_through_as_it_is)
{
    struct arena *arena = arena_new(10000);
    struct builder out;
    struct bytes json;
    builder_init(&out, arena, 8);
    jsonout_text(&out, BYTES_LITERAL("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"));
    jsonout_text(&out, bytes_of(NULL, 0));
    jsonout_base64url(&out, BYTES_LITERAL("\xfb\xff"));
    cr_assert(builder_finish(&out, &json));
    cr_assert(bytes_equal_text(json, "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"\"\"\"-_8\""));
    arena_free(arena);
}

Test(jsonout, ascii)
{
    struct arena *arena = arena_new(10000);
    struct builder out;
    struct bytes json;
    builder_init(&out, arena, 8);
    jsonout_ascii(&out, BYTES_LITERAL("a\xc2\x80 \xe2\x82\xac\xef\xbf\xbf\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\0\x7f"));
    jsonout_ascii(&out, BYTES_LITERAL("\"\n/z"));
    jsonout_ascii(&out, bytes_of(NULL, 0));
    cr_assert(builder_finish(&out, &json));
    cr_expect(bytes_equal_text(json, "\"a\\u0080 \\u20ac\\uffff\\ud83d\\ude00\\udbff\\udfff\\u0000\\u007f\""
                                     "\"\\\"\\n/z\"\"\""));
    arena_free(arena);
}
