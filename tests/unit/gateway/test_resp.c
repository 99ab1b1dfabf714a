// SPDX-License-Identifier: GPL-3.0-or-later
/* Commands in the form of the protocol. */
#include "gateway/resp.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(resp, writes_a_command)
{
    struct resp resp = {0};
    struct bytes arguments[] = {BYTES_LITERAL("XADD"), BYTES_LITERAL(""), bytes_of("a\r\n\0b", 5)};
    static const char expected[] = "*3\r\n$4\r\nXADD\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n";
    cr_assert(resp_command(&resp, arguments, 3));
    cr_assert_eq(resp.len, sizeof expected - 1);
    cr_assert_arr_eq(resp.ptr, expected, sizeof expected - 1);
    resp_deinit(&resp);
}

Test(resp, lengths_of_every_size_stay_in_their_room)
{
    struct resp resp = {0};
    size_t most = 1200000;
    uint8_t *text = malloc(most);
    memset(text, 'x', most);
    for (size_t len = 1; len <= most; len = len * 10 + len % 7) {
        struct bytes argument = bytes_of(text, len);
        resp_clear(&resp, 0);
        cr_assert(resp_command(&resp, &argument, 1));
        cr_assert_leq(resp.len, resp.room);
        cr_assert_eq(strtoul((char *)resp.ptr + 5, NULL, 10), len);
    }
    free(text);
    resp_deinit(&resp);
}

Test(resp, clearing_keeps_little)
{
    struct resp resp = {0};
    struct bytes argument = BYTES_LITERAL("PING");
    cr_assert(resp_command(&resp, &argument, 1));
    resp_clear(&resp, 1 << 20);
    cr_assert_eq(resp.len, 0);
    cr_assert_not_null(resp.ptr);
    cr_assert(resp_append(&resp, BYTES_LITERAL("*1\r\n$4\r\nPING\r\n")));
    cr_assert_eq(resp.len, 14);
    resp_clear(&resp, 16);
    cr_assert_null(resp.ptr);
}
