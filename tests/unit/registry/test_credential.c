// SPDX-License-Identifier: GPL-3.0-or-later
/* What a credential may be. */
#include "registry/credential.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(credential, kinds_have_names)
{
    for (enum credential_kind kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        enum credential_kind found = CREDENTIAL_KINDS;
        cr_expect(credential_kind_of_name(bytes_of_text(credential_kind_name(kind)), &found));
        cr_expect_eq(found, kind);
    }
    enum credential_kind untouched = CREDENTIAL_KINDS;
    cr_expect_not(credential_kind_of_name(BYTES_LITERAL("none"), &untouched));
    cr_expect_eq(untouched, CREDENTIAL_KINDS);
    cr_expect(credential_is_secret(CREDENTIAL_HS256) && credential_is_signature(CREDENTIAL_HS256));
    cr_expect(credential_is_secret(CREDENTIAL_HMAC) && !credential_is_signature(CREDENTIAL_HMAC));
    cr_expect(!credential_is_secret(CREDENTIAL_ES256) && credential_is_signature(CREDENTIAL_ES256));
}

Test(credential, ids)
{
    static const struct {
        const char *id;
        bool valid;
    } cases[] = {{"a", true}, {"Key_1.2-x", true}, {"0", true}, {"", false}, {".a", false}, {"-a", false}, {"a/b", false},
                 {"a b", false}, {"a:b", false}, {"\xc3\xbc", false},
                 {"12345678901234567890123456789012", true}, {"123456789012345678901234567890123", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(credential_id_is_valid(bytes_of_text(cases[i].id)), cases[i].valid, "%s", cases[i].id);
}

Test(credential, lengths_are_those_of_the_kind)
{
    static const struct {
        enum credential_kind kind;
        unsigned min, max;
        bool has_name;
    } cases[] = {
        {CREDENTIAL_PSK, 1, 64, false},     {CREDENTIAL_FRAME, 22, 24, false}, {CREDENTIAL_HS256, 32, 64, false},
        {CREDENTIAL_HS256_64, 32, 64, false}, {CREDENTIAL_HMAC, 16, 64, false}, {CREDENTIAL_X509, 0, 0, true},
        {CREDENTIAL_CA, 32, 64, true},      {CREDENTIAL_RPK, 32, 32, false},   {CREDENTIAL_ES256, 64, 64, false},
        {CREDENTIAL_EDDSA, 32, 32, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned len = 0; len <= 64; len++) {
            struct credential credential = {.id = "k", .kind = cases[i].kind, .name = cases[i].has_name ? "n" : NULL};
            bool is_secret = credential_is_secret(cases[i].kind), fits = len >= cases[i].min && len <= cases[i].max;
            fits = fits && (cases[i].kind != CREDENTIAL_CA || len % 32 == 0);
            if (is_secret)
                credential.secret.len = (uint8_t)len;
            else
                credential.public_len = (uint8_t)len;
            cr_expect_eq(credential_is_sound(&credential), fits, "%s %u", credential_kind_name(cases[i].kind), len);
            credential.name = cases[i].has_name ? NULL : "n";
            cr_expect_not(credential_is_sound(&credential), "name of %s", credential_kind_name(cases[i].kind));
        }
}

Test(credential, names_and_ids_are_checked)
{
    char longest[CREDENTIAL_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[CREDENTIAL_NAME_MAX + 1] = '\0';
    struct credential credential = {.id = "k", .kind = CREDENTIAL_X509, .name = longest + 1};
    cr_expect(credential_is_sound(&credential));
    credential.name = longest;
    cr_expect_not(credential_is_sound(&credential));
    credential.name = "a\tb";
    cr_expect_not(credential_is_sound(&credential));
    credential.name = "";
    cr_expect_not(credential_is_sound(&credential));
    credential.name = "a";
    credential.id[0] = '.';
    cr_expect_not(credential_is_sound(&credential));
    credential = (struct credential){.id = "k", .kind = CREDENTIAL_PSK, .secret.len = 9, .public_len = 1};
    cr_expect_not(credential_is_sound(&credential), "both");
}

Test(credential, is_good_between_its_bounds)
{
    struct credential credential = {.not_before_s = 10, .not_after_s = 20};
    cr_expect_not(credential_is_good_at(&credential, 9));
    cr_expect(credential_is_good_at(&credential, 10));
    cr_expect(credential_is_good_at(&credential, 19));
    cr_expect_not(credential_is_good_at(&credential, 20));
    credential.not_after_s = 0;
    cr_expect(credential_is_good_at(&credential, INT64_MAX));
}

Test(credential, differs_in_anything)
{
    struct credential a = {.id = "k", .kind = CREDENTIAL_CA, .public_len = 32, .name = "n"}, b;
    char same[] = "n";
    b = a;
    b.name = same;
    cr_expect(credential_equal(&a, &b));
    b.public[31] = 1;
    cr_expect_not(credential_equal(&a, &b));
    b = a, b.name = "m";
    cr_expect_not(credential_equal(&a, &b));
    b = a, b.not_after_s = 1;
    cr_expect_not(credential_equal(&a, &b));
    b = a, b.offered = true;
    cr_expect_not(credential_equal(&a, &b));
    a = (struct credential){.id = "k", .kind = CREDENTIAL_PSK, .secret.len = 3};
    b = a;
    cr_expect(credential_equal(&a, &b));
    b.secret.octets[2] = 1;
    cr_expect_not(credential_equal(&a, &b));
    credential_wipe(&b);
    cr_expect_eq(b.secret.len, 0);
}

Test(credential, a_symmetric_key_of_zeros_is_sound_but_not_taken_anew)
{
    for (enum credential_kind kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        bool is_secret = credential_is_secret(kind), has_name = kind == CREDENTIAL_X509 || kind == CREDENTIAL_CA;
        struct credential credential = {.id = "k", .kind = kind, .name = has_name ? "n" : NULL};
        if (is_secret)
            credential.secret.len = kind == CREDENTIAL_FRAME ? 24 : 32;
        else
            credential.public_len = kind == CREDENTIAL_X509 ? 0 : kind == CREDENTIAL_ES256 ? 64 : 32;
        if (kind == CREDENTIAL_FRAME)
            credential.secret.octets[16] = 1; /* the node's id is not the key */
        cr_expect(credential_is_sound(&credential), "%s", credential_kind_name(kind));
        cr_expect_eq(credential_is_acceptable(&credential), !is_secret, "%s", credential_kind_name(kind));
        if (is_secret)
            credential.secret.octets[15] = 1;
        cr_expect(credential_is_acceptable(&credential), "%s", credential_kind_name(kind));
        credential.id[0] = '\0';
        cr_expect_not(credential_is_acceptable(&credential), "not sound");
    }
}

Test(credential, a_name_may_say_the_device)
{
    static const char *const others[] = {"", "weir", "weir:/", "weir://", "weir:///", "weir://acme", "weir://acme/",
                                         "weir:///d1", "Weir://acme/d1", "xweir://acme/d1", "weir://acme/line1/pump3",
                                         "weir://Acme/d1"};
    struct bytes tenant, id;
    cr_assert(credential_own_name(BYTES_LITERAL("weir://acme/d1"), &tenant, &id));
    cr_expect(bytes_equal_text(tenant, "acme") && bytes_equal_text(id, "d1"));
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_not(credential_own_name(bytes_of_text(others[i]), &tenant, &id), "%s", others[i]);
}
