// SPDX-License-Identifier: GPL-3.0-or-later
/* Who says it: every step of prove_request against a registry of two tenants, and what it says to whom. */
#include "gateway/prove.h"

#include "codec/cose.h"
#include "codec/envelope.h"
#include "codec/jws.h"
#include "gateway/crypto.h"
#include "gateway/crypto_sign.h"
#include "gateway/derive.h"
#include "gateway/journal.h"
#include "gateway/worker.h"

#include <criterion/criterion.h>
#include <unistd.h>

#define NOW 1763692800
#define PAYLOAD "[{\"n\":\"temp\",\"v\":21.5,\"t\":1763692800}]"

static struct shared shared;
static struct worker worker;
static struct arena *arena;
static struct settings settings;
static struct crypto_sign_key es256, eddsa, hs256, short_hs256, mac;
static struct group_record group = {.tenant = "home", .id = "batch", .pattern = "lamp-*"};
static const uint8_t random32[32] = {7};

static struct credential credential_of(const char *id, enum credential_kind kind, const struct crypto_sign_key *key)
{
    struct credential credential = {.kind = kind};
    strcpy(credential.id, id);
    if (credential_is_secret(kind)) {
        credential.secret = key->secret;
    } else {
        memcpy(credential.public, key->public, key->public_len);
        credential.public_len = (uint8_t)key->public_len;
    }
    return credential;
}

static void put(const char *tenant, const char *id, const struct credential *credentials, unsigned count,
                bool concentrator, bool disabled)
{
    struct device_record record = {.concentrator = concentrator, .disabled = disabled, .credentials = credentials,
                                   .credential_count = (uint8_t)count};
    strcpy(record.tenant, tenant);
    strcpy(record.id, id);
    cr_assert(registry_put_device(shared.registry, &record));
}

static void put_registry(void)
{
    struct tenant_record home = {.id = "home"}, work = {.id = "work"};
    struct profile_record profile = {.tenant = "home", .id = "old", .format = "hmac"};
    struct device_record old = {.tenant = "home", .id = "old-1", .profile = "old"};
    struct device_record banned = {.tenant = "home", .id = "lamp-9", .group = "batch", .disabled = true};
    cr_assert(registry_put_tenant(shared.registry, &home) && registry_put_tenant(shared.registry, &work));
    cr_assert(registry_put_profile(shared.registry, &profile) && registry_put_device(shared.registry, &old));
    struct credential a[] = {
        credential_of("ed", CREDENTIAL_EDDSA, &eddsa),  credential_of("es", CREDENTIAL_ES256, &es256),
        credential_of("hs", CREDENTIAL_HS256, &hs256),  credential_of("hs64", CREDENTIAL_HS256_64, &short_hs256),
        credential_of("mac", CREDENTIAL_HMAC, &mac),    credential_of("past", CREDENTIAL_HS256, &hs256),
    };
    a[5].not_after_s = NOW;
    put("home", "a", a, 6, false, false);
    struct credential off[] = {
        credential_of("off", CREDENTIAL_HS256, &hs256),
        credential_of("off-mac", CREDENTIAL_HMAC, &mac),
    };
    put("home", "off", off, 2, false, true);
    struct credential b = credential_of("b-key", CREDENTIAL_HS256, &hs256);
    put("home", "b", &b, 1, false, false);
    put("home", "hub", NULL, 0, true, false);
    put("home", "hub-2", NULL, 0, true, false);
    struct credential w = credential_of("w-key", CREDENTIAL_HS256, &hs256);
    put("work", "w", &w, 1, false, false);
    cr_assert(secret_set(&group.key, bytes_of(random32, 32)) && registry_put_group(shared.registry, &group));
    cr_assert(registry_put_device(shared.registry, &banned));
}

static void setup(void)
{
    settings_default(&settings);
    shared.settings = &settings;
    shared.registry = registry_new(&(struct hash_key){1, 2});
    shared.registry_loaded = true;
    worker.shared = &shared;
    worker.loop = loop_new();
    worker.guard = prove_guard_new(&(struct hash_key){3, 4});
    arena = arena_new(1 << 20);
    cr_assert(arena && worker.loop && worker.guard);
    cr_assert(crypto_sign_generate(SIGNED_ES256, &es256) && crypto_sign_generate(SIGNED_EDDSA, &eddsa) &&
              crypto_sign_generate(SIGNED_HS256, &hs256) && crypto_sign_generate(SIGNED_HS256, &mac));
    short_hs256 = hs256;
    short_hs256.algorithm = SIGNED_HS256_64;
    put_registry();
}

static void teardown(void)
{
    arena_free(arena);
    prove_guard_free(worker.guard);
    loop_free(worker.loop);
    registry_free(shared.registry);
}

TestSuite(prove, .init = setup, .fini = teardown);

static struct query_parameter query[4];

/* Query as "t=home&d=a". */
static struct request request_of(struct bytes body, int content_format, const char *query_text)
{
    struct request request = {.wire = WIRE_COAP, .method = METHOD_POST, .path = BYTES_LITERAL("/obs"), .arena = arena,
                              .content_format = content_format, .accept = CONTENT_FORMAT_NONE, .worker = &worker,
                              .received = {NOW, 0}, .body = body, .query = query};
    for (const char *at = query_text; *at; at += *at == '&') {
        size_t len = strcspn(at, "&"), name = strcspn(at, "=&");
        query[request.query_count++] = (struct query_parameter){
            bytes_of(at, name), bytes_of(at + name + (name < len), name < len ? len - name - 1 : 0)};
        at += len;
    }
    request.remote.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = 1, .sin_addr = {0x0100007f}};
    return request;
}

static void speak_as(struct request *request, const char *device)
{
    request->who = (struct identity){.kind = IDENTITY_DEVICE, .evidence = EVIDENCE_PSK, .tenant = "home"};
    strcpy(request->who.device, device);
}

static struct bytes jws(const struct crypto_sign_key *key, const char *kid)
{
    struct jws_header header = {.algorithm = key->algorithm, .kid = bytes_of_text(kid),
                                .content_type = BYTES_LITERAL("senml+json"), .sequence = {true, 1, 2}};
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes covered, text;
    cr_assert(jws_begin(&header, BYTES_LITERAL(PAYLOAD), arena, &covered));
    cr_assert(crypto_sign_make(key, covered, random32, signature, &len));
    cr_assert(jws_end_compact(covered, bytes_of(signature, len), arena, &text));
    return text;
}

static struct bytes cose(const struct crypto_sign_key *key, const char *kid)
{
    struct cose_msg_header header = {.algorithm = key->algorithm, .kid = bytes_of_text(kid),
                                     .content_format = CONTENT_FORMAT_SENML_JSON, .sequence = {true, 1, 2}};
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes protected_header, covered, message;
    cr_assert(cose_msg_begin(&header, BYTES_LITERAL(PAYLOAD), arena, &protected_header, &covered));
    cr_assert(crypto_sign_make(key, covered, random32, signature, &len));
    cr_assert(cose_msg_end(&header, protected_header, BYTES_LITERAL(PAYLOAD), bytes_of(signature, len), arena,
                           &message));
    return message;
}

static struct bytes envelope(const struct secret *key)
{
    /* As the canonical text has it. */
    static const char payload[] = "{\"power\":21.5,\"ts\":1763692800,\"ts_ns\":5}";
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct bytes text;
    cr_assert(crypto_hmac_sha256(bytes_of(key->octets, key->len), BYTES_LITERAL(payload), (struct bytes){0}, digest));
    cr_assert(envelope_write(BYTES_LITERAL(payload), digest, arena, &text));
    return text;
}

static struct proof proof;
static struct refusal refusal;

static enum outcome ask(struct request *request)
{
    enum signed_form form;
    cr_assert(prove_is_wanted(request, &form), "it is said to be signed");
    return prove_request(request, form, &proof, &refusal);
}

static enum outcome ask_jws(const struct crypto_sign_key *key, const char *kid, const char *query_text)
{
    struct request request = request_of(jws(key, kid), CONTENT_FORMAT_JOSE, query_text);
    return ask(&request);
}

static struct crypto_sign_key derived_of(const char *device)
{
    struct crypto_sign_key key = {.algorithm = SIGNED_HS256};
    cr_assert(derive_mac_key(&group, bytes_of_text(device), &key.secret));
    return key;
}

static enum outcome bring(const char *session, const struct crypto_sign_key *key, const char *kid)
{
    struct request request = request_of(jws(key, kid), CONTENT_FORMAT_JOSE, "");
    speak_as(&request, session);
    return ask(&request);
}

Test(prove, each_form_and_algorithm)
{
    struct request rows[] = {
        request_of(jws(&hs256, "hs"), CONTENT_FORMAT_JOSE, ""),
        request_of(jws(&es256, "es"), CONTENT_FORMAT_JOSE, ""),
        request_of(jws(&eddsa, "ed"), CONTENT_FORMAT_JOSE, ""),
        request_of(cose(&hs256, "hs"), CONTENT_FORMAT_COSE_MAC0, ""),
        request_of(cose(&short_hs256, "hs64"), CONTENT_FORMAT_COSE_MAC0, ""),
        request_of(cose(&es256, "es"), CONTENT_FORMAT_COSE_SIGN1, ""),
        request_of(cose(&eddsa, "ed"), CONTENT_FORMAT_COSE_SIGN1, ""),
    };
    static const char *const kids[] = {"hs", "es", "ed", "hs", "hs64", "es", "ed"};
    static struct query_parameter tenant[] = {{{(const uint8_t *)"t", 1}, {(const uint8_t *)"home", 4}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rows[i].query = tenant;
        rows[i].query_count = 1;
        cr_assert_eq(ask(&rows[i]), OUTCOME_CHANGED, "%zu: %s", i, refusal.detail);
        cr_expect_eq(proof.who.kind, IDENTITY_DEVICE);
        cr_expect_str_eq(proof.who.tenant, "home");
        cr_expect_str_eq(proof.who.device, "a");
        cr_expect_str_eq(proof.who.key, kids[i]);
        cr_expect_eq(proof.who.evidence, i < 3 ? EVIDENCE_JWS : EVIDENCE_COSE);
        cr_expect(bytes_equal_text(proof.message.payload, PAYLOAD));
        cr_expect_eq(proof.message.content_format, CONTENT_FORMAT_SENML_JSON);
        cr_expect(proof.message.sequence.given && proof.message.sequence.seq == 2);
        cr_expect(bytes_equal_text(proof.sink.kid, kids[i]) && bytes_equal_text(proof.sink.device, "a"));
        cr_expect(bytes_equal(proof.sink.octets, rows[i].body));
        cr_expect_eq(proof.sink.content_format, rows[i].content_format);
    }
}

Test(prove, an_envelope_by_query_by_profile_and_by_session)
{
    struct request request = request_of(envelope(&mac.secret), CONTENT_FORMAT_JSON, "t=home&d=a&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_CHANGED, "%s", refusal.detail);
    cr_expect_str_eq(proof.who.device, "a");
    cr_expect_str_eq(proof.who.key, "mac");
    cr_expect_eq(proof.who.evidence, EVIDENCE_HMAC);
    cr_expect_eq(proof.sink.content_format, CONTENT_FORMAT_JSON);
    request = request_of(envelope(&mac.secret), CONTENT_FORMAT_JSON, "f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED, "no tenant");
    request = request_of(envelope(&mac.secret), CONTENT_FORMAT_JSON, "f=hmac&t=home");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED, "no device");
    speak_as(&request, "a");
    cr_expect_eq(ask(&request), OUTCOME_CHANGED);
    request = request_of(envelope(&mac.secret), CONTENT_FORMAT_JSON, "t=home&d=old-1");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED, "the profile says that it is one; the device has no key");
    request = request_of(envelope(&hs256.secret), CONTENT_FORMAT_JSON, "t=home&d=a&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED, "a key has one use");
    request = request_of(envelope(&mac.secret), CONTENT_FORMAT_JSON, "t=home&d=off&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED, "disabled");
}

Test(prove, a_tenant_that_is_disabled_has_no_devices)
{
    struct tenant_record home = {.id = "home", .disabled = true};
    const struct crypto_sign_key lamp = derived_of("lamp-1");
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home"), OUTCOME_CHANGED);
    cr_assert(registry_put_tenant(shared.registry, &home));
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home"), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(ask_jws(&lamp, "lamp-1", "t=home"), OUTCOME_UNAUTHENTICATED);
    struct request request = request_of(envelope(&mac.secret), CONTENT_FORMAT_JSON, "t=home&d=a&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED);
}

Test(prove, what_is_not_said_to_be_signed)
{
    enum signed_form form;
    struct request request = request_of(BYTES_LITERAL("{}"), CONTENT_FORMAT_JSON, "t=home&d=a");
    cr_expect(!prove_is_wanted(&request, &form));
    request = request_of(BYTES_LITERAL("{}"), CONTENT_FORMAT_SENML_JSON, "f=jws");
    cr_expect(!prove_is_wanted(&request, &form), "declared as something else");
    request = request_of(BYTES_LITERAL("{}"), CONTENT_FORMAT_CBOR, "f=jws");
    cr_expect(!prove_is_wanted(&request, &form));
    request = request_of(BYTES_LITERAL("{}"), CONTENT_FORMAT_CBOR, "f=cose");
    cr_expect(prove_is_wanted(&request, &form) && form == SIGNED_COSE);
}

Test(prove, the_tenant_is_said_somewhere_and_once)
{
    cr_expect_eq(ask_jws(&hs256, "home/hs", ""), OUTCOME_CHANGED, "%s", refusal.detail);
    cr_expect_eq(ask_jws(&hs256, "home/hs", "t=home"), OUTCOME_CHANGED);
    cr_expect_eq(ask_jws(&hs256, "home/hs", "t=work"), OUTCOME_FORBIDDEN);
    cr_expect_eq(ask_jws(&hs256, "hs", ""), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home&t=work"), OUTCOME_FORBIDDEN);
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home&t=home"), OUTCOME_CHANGED);
    cr_expect_eq(ask_jws(&hs256, "/hs", "t=home"), OUTCOME_FORBIDDEN, "a tenant without a name");
    struct request request = request_of(jws(&hs256, "work/w-key"), CONTENT_FORMAT_JOSE, "");
    speak_as(&request, "hub");
    cr_expect_eq(ask(&request), OUTCOME_FORBIDDEN, "a concentrator of one tenant brings nothing of another");
    request = request_of(jws(&hs256, "w-key"), CONTENT_FORMAT_JOSE, "");
    speak_as(&request, "hub");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED, "kid is looked up inside of the tenant");
}

Test(prove, what_cannot_prove_is_one_answer)
{
    struct crypto_sign_key public_as_secret = {.algorithm = SIGNED_HS256};
    cr_assert(secret_set(&public_as_secret.secret, bytes_of(es256.public, es256.public_len)));
    const struct {
        const struct crypto_sign_key *key;
        const char *kid;
    } rows[] = {
        {&hs256, "nobody"},    {&es256, "nobody"},           {&eddsa, "nobody"},  {&hs256, "past"},
        {&hs256, "off"},       {&public_as_secret, "es"},    {&es256, "hs"},      {&hs256, "mac"},
        {&hs256, "..dev.null"}, {&hs256, "*"},                {&mac, "hs"},        {&hs256, "w-key"},
        {&hs256, "a"},         {&hs256, "home/home/hs"},     {&hs256, "lamp-9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(ask_jws(rows[i].key, rows[i].kid, "t=home"), OUTCOME_UNAUTHENTICATED, "%s", rows[i].kid);
        cr_expect_str_eq(refusal.detail, "The key is not known here, or the signature does not hold.", "%s",
                         rows[i].kid);
    }
    cr_expect_eq(ask_jws(&hs256, "hs", "t=nobody"), OUTCOME_UNAUTHENTICATED);
}

/* The header says one algorithm, the key is of another: also where both have signatures of 64 octets. */
static enum outcome ask_mislabelled(bool is_cose, const struct crypto_sign_key *key, const char *kid,
                                    enum signed_algorithm said)
{
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes protected_header, covered, body;
    struct jws_header jws_header = {.algorithm = said, .kid = bytes_of_text(kid),
                                    .content_type = BYTES_LITERAL("senml+json")};
    struct cose_msg_header cose_header = {.algorithm = said, .kid = bytes_of_text(kid),
                                          .content_format = CONTENT_FORMAT_SENML_JSON};
    cr_assert(is_cose ? cose_msg_begin(&cose_header, BYTES_LITERAL(PAYLOAD), arena, &protected_header, &covered)
                      : jws_begin(&jws_header, BYTES_LITERAL(PAYLOAD), arena, &covered));
    cr_assert(crypto_sign_make(key, covered, random32, signature, &len));
    cr_assert_eq(len, signed_signature_len(said), "else it would be malformed");
    struct bytes octets = bytes_of(signature, len);
    cr_assert(is_cose ? cose_msg_end(&cose_header, protected_header, BYTES_LITERAL(PAYLOAD), octets, arena, &body)
                      : jws_end_compact(covered, octets, arena, &body));
    bool is_mac = said == SIGNED_HS256 || said == SIGNED_HS256_64;
    struct request request = request_of(body, !is_cose ? CONTENT_FORMAT_JOSE : is_mac ? CONTENT_FORMAT_COSE_MAC0
                                                                                      : CONTENT_FORMAT_COSE_SIGN1,
                                        "t=home");
    return ask(&request);
}

Test(prove, a_key_is_good_for_its_own_algorithm_only)
{
    struct crypto_sign_key public_as_secret = {.algorithm = SIGNED_HS256}, cut;
    cr_assert(secret_set(&public_as_secret.secret, bytes_of(es256.public, es256.public_len)));
    cut = public_as_secret;
    cut.algorithm = SIGNED_HS256_64;
    const struct {
        const struct crypto_sign_key *key;
        const char *kid;
        enum signed_algorithm said;
        bool cose_only;
        enum outcome outcome;
    } rows[] = {
        {&es256, "es", SIGNED_ES256, false, OUTCOME_CHANGED},
        {&eddsa, "ed", SIGNED_EDDSA, false, OUTCOME_CHANGED},
        {&es256, "es", SIGNED_EDDSA, false, OUTCOME_UNAUTHENTICATED},
        {&eddsa, "ed", SIGNED_ES256, false, OUTCOME_UNAUTHENTICATED},
        {&eddsa, "es", SIGNED_EDDSA, false, OUTCOME_UNAUTHENTICATED},
        {&es256, "ed", SIGNED_ES256, false, OUTCOME_UNAUTHENTICATED},
        {&public_as_secret, "es", SIGNED_HS256, false, OUTCOME_UNAUTHENTICATED},
        {&cut, "es", SIGNED_HS256_64, true, OUTCOME_UNAUTHENTICATED},
        {&short_hs256, "hs", SIGNED_HS256_64, true, OUTCOME_UNAUTHENTICATED},
        {&hs256, "hs64", SIGNED_HS256, false, OUTCOME_UNAUTHENTICATED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned is_cose = rows[i].cose_only; is_cose < 2; is_cose++)
            cr_expect_eq(ask_mislabelled(is_cose, rows[i].key, rows[i].kid, rows[i].said), rows[i].outcome,
                         "%zu, %s: %s", i, is_cose ? "COSE" : "JWS", refusal.detail ? refusal.detail : "");
}

Test(prove, over_the_session_of_another_device_only_by_a_concentrator)
{
    struct request request = request_of(jws(&hs256, "hs"), CONTENT_FORMAT_JOSE, "");
    speak_as(&request, "b");
    cr_expect_eq(ask(&request), OUTCOME_FORBIDDEN);
    speak_as(&request, "hub");
    cr_expect_eq(ask(&request), OUTCOME_CHANGED);
    cr_expect_str_eq(proof.who.device, "a");
    speak_as(&request, "a");
    cr_expect_eq(ask(&request), OUTCOME_CHANGED);
}

/* One after the other over a session, one more than are looked at: a letter for each answer. */
static void probe(const char *session, const char *form, const char *name, char ret[static PROVE_FAILURES_MAX + 2])
{
    for (unsigned i = 0; i <= PROVE_FAILURES_MAX; i++) {
        char query_text[32] = "";
        bool is_envelope = strcmp(form, "hmac") == 0;
        if (is_envelope)
            snprintf(query_text, sizeof query_text, "f=hmac&d=%s", name);
        struct request request = is_envelope ? request_of(envelope(&short_hs256.secret), CONTENT_FORMAT_JSON, query_text)
                                             : request_of(jws(&mac, name), CONTENT_FORMAT_JOSE, "");
        speak_as(&request, session);
        enum outcome outcome = ask(&request);
        ret[i] = outcome == OUTCOME_UNAUTHENTICATED ? 'u' : outcome == OUTCOME_TOO_MANY ? 'h' : '?';
    }
    ret[PROVE_FAILURES_MAX + 1] = '\0';
}

/* Whether there is such a key, and whether it could be brought, is for those who can sign with it. */
Test(prove, who_cannot_sign_learns_of_no_key)
{
    static const char *const names[] = {"nobody", "hs", "no-one", "w-key", "es", "off", "lamp-1", "lamp-9"};
    static const char *const envelopes[] = {"x-1", "a", "x-2", "b", "old-1", "lamp-2"};
    char seen[PROVE_FAILURES_MAX + 2];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        probe("hub", "jws", names[i], seen);
        cr_expect_str_eq(seen, "uuuuuh", "%s", names[i]);
        probe("b", "jws", names[i], seen);
        cr_expect_str_eq(seen, i ? "hhhhhh" : "uuuuuh", "%s", names[i]);
    }
    for (size_t i = 0; i < sizeof envelopes / sizeof envelopes[0]; i++) {
        probe("hub-2", "hmac", envelopes[i], seen);
        cr_expect_str_eq(seen, "uuuuuh", "%s", envelopes[i]);
    }
}

Test(prove, what_the_query_may_say)
{
    static const struct {
        const char *query;
        enum outcome outcome;
    } rows[] = {{"t=home&d=a", OUTCOME_CHANGED},         {"t=home&d=b", OUTCOME_FOREIGN_NAME},
                {"t=home&n=1.2", OUTCOME_CHANGED},       {"t=home&n=temp", OUTCOME_BAD_VALUE},
                {"t=home&u=Cel", OUTCOME_BAD_VALUE},     {"t=home&level", OUTCOME_CHANGED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(ask_jws(&hs256, "hs", rows[i].query), rows[i].outcome, "%s", rows[i].query);
}

Test(prove, a_device_of_a_group_has_a_derived_key_while_its_group_is_not_switched_off)
{
    struct crypto_sign_key key = derived_of("lamp-1");
    cr_expect_eq(ask_jws(&key, "lamp-1", "t=home"), OUTCOME_CHANGED, "%s", refusal.detail);
    cr_expect_str_eq(proof.who.device, "lamp-1");
    cr_expect_str_eq(proof.who.key, "");
    cr_expect_eq(proof.sink.kid.len, 0);
    struct request request = request_of(envelope(&key.secret), CONTENT_FORMAT_JSON, "t=home&d=lamp-1&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_CHANGED);
    cr_expect_eq(ask_jws(&key, "lamp-2", "t=home"), OUTCOME_UNAUTHENTICATED, "another device's key");
    key = derived_of("lamp-9");
    cr_expect_eq(ask_jws(&key, "lamp-9", "t=home"), OUTCOME_UNAUTHENTICATED, "banned");
    group.disabled = true;
    cr_assert(registry_put_group(shared.registry, &group));
    key = derived_of("lamp-1");
    cr_expect_eq(ask_jws(&key, "lamp-1", "t=home"), OUTCOME_UNAUTHENTICATED, "switched off");
    group.disabled = false;
}

/* Signed by key and named lamp-1: whose it is then, in each form that has a kid, from wherever it comes. */
static void expect_lamp(const struct crypto_sign_key *key, const char *device, const char *kid)
{
    bool is_mac = key->algorithm == SIGNED_HS256;
    struct request requests[] = {
        request_of(jws(key, "lamp-1"), CONTENT_FORMAT_JOSE, ""),
        request_of(cose(key, "lamp-1"), is_mac ? CONTENT_FORMAT_COSE_MAC0 : CONTENT_FORMAT_COSE_SIGN1, ""),
        request_of(jws(key, "home/lamp-1"), CONTENT_FORMAT_JOSE, ""),
    };
    speak_as(&requests[0], "hub");
    speak_as(&requests[1], "hub");
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        cr_expect_eq(ask(&requests[i]), OUTCOME_CHANGED, "%zu: %s", i, refusal.detail);
        cr_expect_str_eq(proof.who.device, device);
        cr_expect_str_eq(proof.who.key, kid);
        cr_expect(bytes_equal_text(proof.sink.device, device) && bytes_equal_text(proof.sink.kid, kid));
    }
}

Test(prove, the_name_of_another_s_key_takes_no_word_from_a_device_of_a_group)
{
    const struct crypto_sign_key lamp = derived_of("lamp-1");
    struct credential shadow = credential_of("lamp-1", CREDENTIAL_HS256, &hs256);
    put("home", "b", &shadow, 1, false, false);
    expect_lamp(&lamp, "lamp-1", "");
    expect_lamp(&hs256, "b", "lamp-1");
    cr_expect_eq(bring("b", &lamp, "lamp-1"), OUTCOME_FORBIDDEN, "not b's, though the name is");
    cr_expect_eq(bring("b", &hs256, "lamp-1"), OUTCOME_CHANGED);
    struct request request = request_of(envelope(&lamp.secret), CONTENT_FORMAT_JSON, "t=home&d=lamp-1&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_CHANGED);
    request = request_of(envelope(&hs256.secret), CONTENT_FORMAT_JSON, "t=home&d=lamp-1&f=hmac");
    cr_expect_eq(ask(&request), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(ask_jws(&lamp, "lamp-1", "t=home&d=b"), OUTCOME_FOREIGN_NAME);
    cr_expect_eq(ask_jws(&mac, "lamp-1", "t=home"), OUTCOME_UNAUTHENTICATED);
    shadow = credential_of("lamp-1", CREDENTIAL_ES256, &es256);
    put("home", "b", &shadow, 1, false, false);
    expect_lamp(&lamp, "lamp-1", "");
    expect_lamp(&es256, "b", "lamp-1");
    put("home", "b", &shadow, 1, false, true);
    expect_lamp(&lamp, "lamp-1", "");
    cr_expect_eq(ask_jws(&es256, "lamp-1", "t=home"), OUTCOME_UNAUTHENTICATED, "b is disabled");
}

Test(prove, a_pattern_of_a_group_takes_no_key_that_it_fits_from_a_device)
{
    struct credential fits = credential_of("lamp-key", CREDENTIAL_HS256, &hs256);
    put("home", "b", &fits, 1, false, false);
    cr_expect_eq(ask_jws(&hs256, "lamp-key", "t=home"), OUTCOME_CHANGED, "%s", refusal.detail);
    cr_expect_str_eq(proof.who.device, "b");
    fits = credential_of("lamp-9", CREDENTIAL_HS256, &hs256);
    put("home", "b", &fits, 1, false, false);
    const struct crypto_sign_key banned = derived_of("lamp-9");
    cr_expect_eq(ask_jws(&banned, "lamp-9", "t=home"), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(ask_jws(&hs256, "lamp-9", "t=home"), OUTCOME_CHANGED, "the ban of lamp-9 is none of b");
    cr_expect_str_eq(proof.who.device, "b");
}

Test(prove, a_key_of_the_device_s_own_under_its_own_id_takes_the_place_of_the_derived_one)
{
    const struct crypto_sign_key derived = derived_of("lamp-3");
    struct credential own = credential_of("lamp-3", CREDENTIAL_HS256, &hs256);
    struct device_record lamp = {.tenant = "home", .id = "lamp-3", .group = "batch", .credentials = &own,
                                 .credential_count = 1};
    cr_assert(registry_put_device(shared.registry, &lamp));
    cr_expect_eq(ask_jws(&derived, "lamp-3", "t=home"), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(ask_jws(&hs256, "lamp-3", "t=home"), OUTCOME_CHANGED);
    cr_expect_str_eq(proof.who.key, "lamp-3");
    strcpy(own.id, "other");
    cr_assert(registry_put_device(shared.registry, &lamp));
    cr_expect_eq(ask_jws(&derived, "lamp-3", "t=home"), OUTCOME_CHANGED);
    cr_expect_eq(ask_jws(&hs256, "other", "t=home"), OUTCOME_CHANGED);
}

static void expect_told(const char *device, const char *key, const char *detail)
{
    struct journal_event event;
    size_t count = journal_read(worker.journal, BYTES_LITERAL("home"), bytes_of_text(device), &event, 1);
    cr_assert_eq(count, 1, "%s", device);
    cr_expect_eq(event.stage, JOURNAL_SIGNATURE);
    cr_expect_str_eq(event.key, key);
    cr_expect_str_eq(event.detail, detail);
}

Test(prove, a_refusal_is_told_of_the_key_that_signed_else_of_each_that_was_named)
{
    static const char misfit[] = "The signature does not fit the key.";
    worker.journal = journal_new(&(struct hash_key){5, 6});
    struct credential b[] = {credential_of("lamp-1", CREDENTIAL_HS256, &hs256),
                             credential_of("one", CREDENTIAL_HMAC, &mac),
                             credential_of("two", CREDENTIAL_HMAC, &short_hs256)};
    b[2].secret.octets[0] ^= 1;
    struct secret second = b[2].secret;
    put("home", "b", b, 3, false, false);
    cr_expect_eq(ask_jws(&mac, "lamp-1", "t=home"), OUTCOME_UNAUTHENTICATED);
    expect_told("b", "lamp-1", misfit);
    expect_told("lamp-1", "", misfit);
    struct request request = request_of(envelope(&second), CONTENT_FORMAT_JSON, "t=home&d=b&f=hmac&u=W");
    cr_expect_eq(ask(&request), OUTCOME_BAD_VALUE);
    expect_told("b", "two", refusal.detail);
    journal_free(worker.journal);
    worker.journal = NULL;
}

Test(prove, failures_over_a_session_hold_back_that_device_there_and_nowhere_else)
{
    struct request bad = request_of(jws(&mac, "hs"), CONTENT_FORMAT_JOSE, "");
    struct request good = request_of(jws(&hs256, "hs"), CONTENT_FORMAT_JOSE, "");
    struct request other = request_of(jws(&hs256, "b-key"), CONTENT_FORMAT_JOSE, "");
    speak_as(&bad, "hub");
    speak_as(&good, "hub");
    speak_as(&other, "hub");
    for (unsigned i = 0; i < PROVE_FAILURES_MAX; i++)
        cr_expect_eq(ask(&bad), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(ask(&good), OUTCOME_TOO_MANY);
    cr_expect_eq(ask(&other), OUTCOME_CHANGED, "another device over the same session");
    speak_as(&good, "a");
    cr_expect_eq(ask(&good), OUTCOME_CHANGED, "the same device over its own session");
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home"), OUTCOME_CHANGED, "and as a stranger");
    cr_expect_eq(worker.metrics.values[METRIC_SIGNATURES_JWS_FAILED], PROVE_FAILURES_MAX);
    cr_expect_eq(worker.metrics.values[METRIC_SIGNATURES_JWS_HELD], 1);
    cr_expect_eq(worker.metrics.values[METRIC_SIGNATURES_JWS_GOOD], 3);
}

/* Names that nobody has, until the session has failed as often as all of it may. */
static void crowd(const char *session, unsigned failures)
{
    char kid[16];
    for (unsigned i = 0; i < failures; i++) {
        snprintf(kid, sizeof kid, "invented-%u", i);
        cr_expect_eq(bring(session, &es256, kid), OUTCOME_UNAUTHENTICATED, "%u", i);
        arena_reset(arena);
    }
}

Test(prove, invented_keys_of_a_concentrator_are_held_back_and_nobody_s_messages_with_them)
{
    crowd("hub", PROVE_STRANGER_FAILURES_MAX);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(bring("hub", &es256, i % 2 ? "one-more" : "another"), OUTCOME_TOO_MANY, "%u", i);
    cr_expect_eq(worker.metrics.values[METRIC_SIGNATURES_JWS_FAILED], PROVE_STRANGER_FAILURES_MAX);
    cr_expect_eq(bring("hub", &es256, "es"), OUTCOME_CHANGED, "%s", refusal.detail);
    cr_expect_eq(bring("hub", &hs256, "b-key"), OUTCOME_CHANGED);
    const struct crypto_sign_key lamp = derived_of("lamp-1");
    cr_expect_eq(bring("hub", &lamp, "lamp-1"), OUTCOME_CHANGED, "one that nobody has seen yet");
    cr_expect_eq(bring("a", &hs256, "hs"), OUTCOME_CHANGED);
    cr_expect_eq(bring("hub-2", &hs256, "hs"), OUTCOME_CHANGED);
    cr_expect_eq(bring("hub-2", &hs256, "invented-0"), OUTCOME_UNAUTHENTICATED, "another session");
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home"), OUTCOME_CHANGED, "as a stranger");
}

Test(prove, keys_that_are_there_use_up_the_count_of_the_session_as_others_do)
{
    crowd("hub", PROVE_STRANGER_FAILURES_MAX - 1);
    cr_expect_eq(bring("hub", &mac, "hs"), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(bring("hub", &mac, "nobody"), OUTCOME_TOO_MANY, "else a count would tell of the key before");
}

/* Neither the answers nor the counts that are left tell which key is there. */
Test(prove, in_a_crowd_a_forged_signature_is_answered_as_an_invented_key)
{
    static const char *const names[] = {"hs", "nobody", "es", "off", "w-key"};
    char seen[PROVE_FAILURES_MAX + 2];
    crowd("hub", PROVE_STRANGER_FAILURES_MAX);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        probe("hub", "jws", names[i], seen);
        cr_expect_str_eq(seen, "hhhhhh", "%s", names[i]);
        probe("hub", "hmac", i ? "x" : "a", seen);
        cr_expect_str_eq(seen, "hhhhhh", "%s", names[i]);
    }
    cr_expect_eq(bring("hub", &hs256, "hs"), OUTCOME_TOO_MANY, "it was forged too often, which bounds its checks");
    cr_expect_eq(bring("hub", &hs256, "b-key"), OUTCOME_CHANGED);
    cr_expect_eq(worker.metrics.values[METRIC_SIGNATURES_JWS_FAILED], PROVE_STRANGER_FAILURES_MAX);
    /* Two of the sixty come back; the five by name would take longer, had they been taken. */
    usleep(2100000);
    loop_wait(worker.loop, 0, NULL, NULL);
    cr_expect_eq(bring("hub", &mac, "hs"), OUTCOME_UNAUTHENTICATED);
    cr_expect_eq(bring("hub", &mac, "nobody"), OUTCOME_UNAUTHENTICATED);
}

/* Whoever has no session, or another's, fails as often as it likes: the device is heard over its own, over that of a
 * concentrator, and from elsewhere. */
Test(prove, nobody_else_holds_back_a_device)
{
    static const struct {
        enum wire wire;
        const char *session; /* empty: a stranger */
    } paths[] = {{WIRE_COAP, ""}, {WIRE_HTTP, ""}, {WIRE_COAP, "b"}, {WIRE_HTTP, "b"}, {WIRE_COAP, "hub-2"}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (unsigned k = 0; k < 2 * PROVE_STRANGER_FAILURES_MAX; k++) {
            struct request bad = request_of(jws(&mac, k % 2 ? "home/hs" : "home/a"), CONTENT_FORMAT_JOSE, "");
            bad.wire = paths[i].wire;
            if (paths[i].session[0])
                speak_as(&bad, paths[i].session);
            cr_expect(!outcome_is_success(ask(&bad)));
            arena_reset(arena);
        }
        cr_expect_eq(refusal.outcome, OUTCOME_TOO_MANY, "path %zu is held back", i);
        cr_expect_eq(bring("a", &hs256, "hs"), OUTCOME_CHANGED, "path %zu, its own session", i);
        cr_expect_eq(bring("hub", &hs256, "hs"), OUTCOME_CHANGED, "path %zu, over a concentrator", i);
        struct request request = request_of(jws(&hs256, "home/hs"), CONTENT_FORMAT_JOSE, "");
        request.remote.in.sin_addr.s_addr = 0x0200007f;
        cr_expect_eq(ask(&request), OUTCOME_CHANGED, "path %zu, from another address", i);
        request.wire = WIRE_HTTP;
        cr_expect_eq(ask(&request), OUTCOME_CHANGED, "path %zu, from another address over HTTP", i);
    }
}

Test(prove, failures_of_strangers_hold_back_their_address)
{
    struct request bad = request_of(jws(&mac, "home/hs"), CONTENT_FORMAT_JOSE, "");
    struct request good = request_of(jws(&hs256, "home/hs"), CONTENT_FORMAT_JOSE, "");
    for (unsigned i = 0; i < PROVE_STRANGER_FAILURES_MAX; i++) {
        bad.remote.in.sin_port = (in_port_t)i;
        cr_expect_eq(ask(&bad), OUTCOME_UNAUTHENTICATED);
    }
    cr_expect_eq(ask(&good), OUTCOME_TOO_MANY);
    good.remote.in.sin_addr.s_addr = 0x0200007f;
    cr_expect_eq(ask(&good), OUTCOME_CHANGED, "another address");
    speak_as(&good, "a");
    good.remote = bad.remote;
    cr_expect_eq(ask(&good), OUTCOME_CHANGED, "a session from the same address");
}

/* Anybody can write any address into a datagram. */
Test(prove, over_http_an_address_is_held_back_for_what_failed_over_http_only)
{
    static const enum wire wires[] = {WIRE_COAP, WIRE_HTTP};
    for (unsigned i = 0; i < 2; i++) {
        struct request bad = request_of(jws(&mac, "home/hs"), CONTENT_FORMAT_JOSE, "");
        struct request good = request_of(jws(&hs256, "home/hs"), CONTENT_FORMAT_JOSE, "");
        bad.wire = wires[i];
        bad.remote.in.sin_addr.s_addr = good.remote.in.sin_addr.s_addr = 0x0300007f + i;
        for (unsigned k = 0; k < PROVE_STRANGER_FAILURES_MAX; k++) {
            cr_expect_eq(ask(&bad), OUTCOME_UNAUTHENTICATED, "%u, %u", i, k);
            arena_reset(arena);
            bad.body = jws(&mac, "home/hs");
        }
        good.body = jws(&hs256, "home/hs");
        good.wire = wires[i];
        cr_expect_eq(ask(&good), OUTCOME_TOO_MANY, "%u", i);
        good.wire = wires[1 - i];
        cr_expect_eq(ask(&good), OUTCOME_CHANGED, "%u, over the other wire", i);
    }
}

Test(prove, nobody_is_refused_before_the_registry_is_there)
{
    shared.registry_loaded = false;
    cr_expect_eq(ask_jws(&hs256, "hs", "t=home"), OUTCOME_STORE_AWAY);
    shared.registry_loaded = true;
}

Test(prove, what_cannot_be_read_is_malformed_and_counts_for_nobody)
{
    struct request request = request_of(BYTES_LITERAL("a.b"), CONTENT_FORMAT_JOSE, "t=home");
    cr_expect_eq(ask(&request), OUTCOME_MALFORMED);
    request = request_of(BYTES_LITERAL("[]"), CONTENT_FORMAT_JSON, "t=home&f=jws");
    cr_expect(!outcome_is_success(ask(&request)));
    request = request_of(BYTES_LITERAL(""), CONTENT_FORMAT_COSE_SIGN1, "t=home");
    cr_expect(!outcome_is_success(ask(&request)));
    cr_expect_eq(ask_jws(&hs256, "", "t=home"), OUTCOME_BAD_VALUE, "no kid");
    cr_expect_eq(worker.metrics.values[METRIC_SIGNATURES_JWS_FAILED], 0);
}
