// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys of legacy senders: where they stand in Authorization, and whom they speak for. */
#include "gateway/keys.h"

#include "gateway/worker.h"

#include <criterion/criterion.h>

Test(keys, schemes)
{
    static const char *const cases[][2] = {
        {"Bearer abc", "abc"},          {"bEARER   abc", "abc"},        {"Token abc", "abc"},
        {"Token", ""},                  {"Bearer", ""},                 {"Bearerabc", ""},
        {"Basic dXNlcjpwYXNz", "pass"}, {"basic dTpwOnc=", "p:w"},      {"Basic dXNlcjo=", ""},
        {"Basic dXNlcg==", ""},         {"Basic !", ""},                {"Basic ", ""},
        {"Digest abc", ""},             {"abc", ""},                    {"", ""},
        {"Basic Oj4+Pj8/Pw==", ">>>???"}, {"Token telegraf:abc", "abc"},  {"token :abc", "abc"},
        {"Token telegraf:", ""},        {"Token a:b:c", "b:c"},         {"Bearer a:b", "a:b"},
    };
    struct arena *arena = arena_new(1 << 16);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect(bytes_equal_text(keys_in_authorization(bytes_of_text(cases[i][0]), arena), cases[i][1]), "%s",
                  cases[i][0]);
    arena_free(arena);
}

static const char key_text[] = "0123456789abcdef0123456789abcdef";

static struct registry *make_registry(void)
{
    struct registry *registry = registry_new(&(struct hash_key){1, 2});
    struct tenant_record tenant = {.id = "home"};
    struct device_record device = {.tenant = "home", .id = "meter"};
    struct token_record token = {.tenant = "home", .id = "00112233445566aa", .role = ROLE_DEVICE, .device = "meter"};
    cr_assert(secret_set(&token.apikey, bytes_of_text(key_text)));
    cr_assert(registry_put_tenant(registry, &tenant) && registry_put_device(registry, &device) &&
              registry_put_token(registry, &token));
    return registry;
}

Test(keys, whom_a_key_speaks_for)
{
    struct shared shared = {.registry = make_registry()};
    struct worker worker = {.shared = &shared};
    struct request request = {.worker = &worker, .received = {1763692800, 0}};
    struct identity who = {.kind = IDENTITY_NONE};
    cr_assert(keys_check(&request, bytes_of_text(key_text), &who));
    cr_expect_eq(who.kind, IDENTITY_DEVICE);
    cr_expect_eq(who.evidence, EVIDENCE_APIKEY);
    cr_expect_str_eq(who.device, "meter");
    static const char *const others[] = {"", "0123456789abcdef0123456789abcdee", "0123456789abcdef0123456789abcde",
                                         "00112233445566aa"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect(!keys_check(&request, bytes_of_text(others[i]), &who), "%s", others[i]);
    registry_free(shared.registry);
}

Test(keys, of_a_token)
{
    struct shared shared = {.registry = make_registry()};
    struct worker worker = {.shared = &shared};
    struct request request = {.worker = &worker};
    struct bytes id = BYTES_LITERAL("00112233445566aa");
    cr_expect(bytes_equal_text(keys_of_token(&request, BYTES_LITERAL("home"), id), key_text));
    cr_expect_eq(keys_of_token(&request, BYTES_LITERAL("other"), id).len, 0);
    cr_expect_eq(keys_of_token(&request, BYTES_LITERAL("home"), BYTES_LITERAL("meter")).len, 0);
    registry_free(shared.registry);
}
