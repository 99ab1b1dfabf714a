// SPDX-License-Identifier: GPL-3.0-or-later
/* Bodies of forms: cut first, decoded once. */
#include "gateway/form.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena *arena;

static void setup(void)
{
    arena = arena_new(1 << 20);
}

static void teardown(void)
{
    arena_free(arena);
}

TestSuite(form, .init = setup, .fini = teardown);

/* "name=value|..." or the slug of the refusal. */
static const char *read_form(const char *body)
{
    static char text[512];
    struct form form;
    struct refusal refusal;
    size_t len = 0;
    if (!form_read(bytes_of_text(body), arena, &form, &refusal))
        return outcome_row(refusal.outcome)->slug;
    text[0] = '\0';
    for (size_t i = 0; i < form.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.*s", i ? "|" : "", (int)form.items[i].name.len,
                                (const char *)form.items[i].name.ptr, (int)form.items[i].value.len,
                                (const char *)form.items[i].value.ptr);
    return text;
}

Test(form, table)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a=1&b=2", "a=1|b=2"},
        {"a=1&&b=2&", "a=1|b=2"},
        {"a", "a="},
        {"a=", "a="},
        {"=1", "=1"},
        {"a=b=c", "a=b=c"},
        {"data=%5B%5B0%2C16%5D%5D&sentat=5", "data=[[0,16]]|sentat=5"},
        {"json={power1:100,power2:200}", "json={power1:100,power2:200}"},
        {"a+b=c+d%2B", "a b=c d+"},
        {"a=%26b%3D1", "a=&b=1"},
        {"a=%2541", "a=%41"},
        {"a=%c3%A9\xc3\xa9", "a=\xc3\xa9\xc3\xa9"},
        {"a=%0a\n", "a=\n\n"},
        {"a=%", "malformed"},
        {"a=%4", "malformed"},
        {"a=%4g", "malformed"},
        {"a%zz=1", "malformed"},
        {"a=%00", "malformed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(read_form(cases[i][0]), cases[i][1], "%s", cases[i][0]);
}

Test(form, bounded)
{
    char body[4 * (FORM_PARAMETERS_MAX + 1) + 1] = "";
    struct form form;
    struct refusal refusal;
    for (size_t i = 0; i < FORM_PARAMETERS_MAX; i++)
        memcpy(body + 4 * i, "a=1&", 4);
    cr_expect(form_read(bytes_of_text(body), arena, &form, &refusal));
    cr_expect_eq(form.count, FORM_PARAMETERS_MAX);
    memcpy(body + (size_t)4 * FORM_PARAMETERS_MAX, "a=1&", 4);
    cr_expect(!form_read(bytes_of_text(body), arena, &form, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_TOO_COMPLEX);
    struct arena *small = arena_new(64);
    cr_expect(!form_read(BYTES_LITERAL("a=1"), small, &form, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_OUT_OF_MEMORY);
    arena_free(small);
}

Test(form, a_nul_is_no_text)
{
    struct form form;
    struct refusal refusal;
    cr_expect(!form_read(BYTES_LITERAL("a=\0"), arena, &form, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_MALFORMED);
}
