// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * DTLS without sockets: suites, identities, cookies, connection IDs, and what strangers may not do. Numbers like T8 name
 * the cases of the threat model (docs/decisions, reliability and security).
 */
#include "tests/unit/gateway/dtls_lab.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <sys/stat.h>

static struct lab lab;

static void open_lab(void)
{
    lab_prepare(&lab);
    cr_assert(lab_open(&lab));
}

static void close_lab(void)
{
    lab_close(&lab);
}

TestSuite(dtls, .init = open_lab, .fini = close_lab);

static const struct lab_client_options psk_ccm_8 = {.suites = "PSK-AES128-CCM-8", .identity = "acme/boiler-7"};

static void cr_hello(struct lab_pair *pair, const struct lab_client_options *options)
{
    cr_assert(lab_pair_open(pair, &lab, options));
    cr_assert(lab_handshake(pair), "handshake failed: client %d", pair->client.error);
}

/* One message each way. */
static void cr_talk(struct lab_pair *pair)
{
    struct bytes datagram, message;
    bool newest = false;
    char buffer[64];
    cr_assert_eq(wolfSSL_write(pair->client.ssl, "ping", 4), 4);
    cr_assert(lab_pop(&pair->to_server, &datagram));
    cr_assert_eq(lab_serve(pair, datagram, &message, &newest), DTLS_DATA);
    cr_assert(bytes_equal_text(message, "ping"));
    cr_assert(newest);
    cr_assert_eq(lab_serve(pair, (struct bytes){0}, &message, &newest), DTLS_NOTHING);
    cr_assert(dtls_session_send(pair->session, bytes_of_text("pong!"), lab_output(&pair->to_client)));
    cr_assert_eq(wolfSSL_read(pair->client.ssl, buffer, sizeof buffer), 5);
}

/* The client's next message as a datagram of its own. */
static struct lab_datagram record_of(struct lab_pair *pair, const char *text)
{
    struct lab_datagram copy;
    struct bytes datagram;
    cr_assert_eq(wolfSSL_write(pair->client.ssl, text, (int)strlen(text)), (int)strlen(text));
    cr_assert(lab_pop(&pair->to_server, &datagram));
    copy.len = datagram.len;
    memcpy(copy.data, datagram.ptr, datagram.len);
    return copy;
}

static enum dtls_event serve_copy(struct lab_pair *pair, const struct lab_datagram *copy, bool *ret_newest)
{
    struct bytes message;
    *ret_newest = false;
    enum dtls_event event = lab_serve(pair, bytes_of(copy->data, copy->len), &message, ret_newest);
    if (event == DTLS_DATA)
        cr_assert_eq(lab_serve(pair, (struct bytes){0}, &message, &(bool){false}), DTLS_NOTHING);
    return event;
}

/* Suites (T18) */

struct suite_case {
    const char *name, *text;
    bool certificate, version13;
};

static const struct suite_case allowed[] = {
    {"PSK-AES128-CCM-8", "DTLS1.2 TLS_PSK_WITH_AES_128_CCM_8", false, false},
    {"PSK-AES128-CCM", "DTLS1.2 TLS_PSK_WITH_AES_128_CCM", false, false},
    {"PSK-AES128-GCM-SHA256", "DTLS1.2 TLS_PSK_WITH_AES_128_GCM_SHA256", false, false},
    {"ECDHE-PSK-AES128-GCM-SHA256", "DTLS1.2 TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", false, false},
    {"ECDHE-PSK-CHACHA20-POLY1305", "DTLS1.2 TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", false, false},
    {"ECDHE-ECDSA-AES128-CCM-8", "DTLS1.2 TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", true, false},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", "DTLS1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", true, false},
    {"TLS13-AES128-GCM-SHA256", "DTLS1.3 TLS_AES_128_GCM_SHA256", false, true},
    {"TLS13-CHACHA20-POLY1305-SHA256", "DTLS1.3 TLS_CHACHA20_POLY1305_SHA256", false, true},
};

/* By number: the library has two names for some. */
static int suite_number(const char *name)
{
    uint8_t high = 0, low = 0;
    int flags = 0;
    cr_assert_eq(wolfSSL_get_cipher_suite_from_name(name, &high, &low, &flags), 0, "%s", name);
    return high << 8 | low;
}

static bool is_allowed(const char *name)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (suite_number(allowed[i].name) == suite_number(name))
            return true;
    return false;
}

static struct lab_certificate device_key;

static void add_raw_key_device(void)
{
    struct device_record device = {.tenant = "acme", .id = "rpk-1", .credential_count = 1};
    cr_assert(lab_certificate_make(&device_key, NULL, "unused", 0, false));
    struct credential rpk = lab_spki(CREDENTIAL_RPK, bytes_of(device_key.spki, device_key.spki_len), NULL);
    device.credentials = &rpk;
    cr_assert(registry_put_device(lab.registry, &device));
}

static struct lab_client_options raw_key_client(void)
{
    return (struct lab_client_options){.certificate_der = device_key.spki, .certificate_len = device_key.spki_len,
                                       .key_der = device_key.key, .key_len = device_key.key_len, .raw_key = true,
                                       .wants_raw_server = true};
}

Test(dtls, every_allowed_suite_connects_and_carries_data)
{
    static struct lab_pair pair;
    add_raw_key_device();
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        struct lab_client_options options = {.identity = "acme/boiler-7"};
        if (allowed[i].certificate)
            options = raw_key_client();
        options.suites = allowed[i].name;
        options.version13 = allowed[i].version13;
        cr_hello(&pair, &options);
        cr_assert_str_eq(dtls_session_suite(pair.session), allowed[i].text);
        const char *curve = wolfSSL_get_curve_name(pair.client.ssl);
        if (curve)
            cr_assert(strcmp(curve, "SECP256R1") == 0 || strcmp(curve, "SECP384R1") == 0 ||
                      strcmp(curve, "X25519") == 0, "%s: %s", allowed[i].name, curve);
        cr_talk(&pair);
        lab_pair_close(&pair);
    }
}

Test(dtls, no_other_suite_of_the_library_connects)
{
    static struct lab_pair pair;
    char names[8192];
    unsigned tried = 0;
    add_raw_key_device();
    cr_assert_eq(wolfSSL_get_ciphers(names, sizeof names), WOLFSSL_SUCCESS);
    for (char *save, *name = strtok_r(names, ":", &save); name; name = strtok_r(NULL, ":", &save)) {
        struct lab_client_options options = raw_key_client();
        if (is_allowed(name))
            continue;
        options.suites = name;
        options.identity = "acme/boiler-7";
        options.version13 = strncmp(name, "TLS13-", 6) == 0;
        if (!lab_pair_open(&pair, &lab, &options))
            continue;
        cr_expect_not(lab_handshake(&pair), "%s connected", name);
        lab_pair_close(&pair);
        tried++;
    }
    cr_assert_geq(tried, 20);
}

Test(dtls, each_allowed_group_connects)
{
    static const int groups[] = {WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1, WOLFSSL_ECC_X25519};
    static struct lab_pair pair;
    for (unsigned version13 = 0; version13 < 2; version13++)
        for (unsigned i = 0; i < 3; i++) {
            struct lab_client_options options = {.identity = "acme/boiler-7", .group = groups[i],
                .version13 = version13,
                .suites = version13 ? "TLS13-AES128-GCM-SHA256" : "ECDHE-PSK-AES128-GCM-SHA256"};
            cr_hello(&pair, &options);
            cr_talk(&pair);
            lab_pair_close(&pair);
        }
}

Test(dtls, without_the_setting_there_is_no_version_13)
{
    static struct lab_pair pair;
    static struct lab other;
    struct lab_client_options options = {.identity = "acme/boiler-7", .version13 = true};
    lab_prepare(&other);
    other.settings.dtls13 = false;
    cr_assert(lab_open(&other));
    cr_assert(lab_pair_open(&pair, &other, &options));
    cr_assert_not(lab_handshake(&pair));
    lab_pair_close(&pair);
    cr_assert(lab_pair_open(&pair, &other, &psk_ccm_8));
    cr_assert(lab_handshake(&pair));
    lab_pair_close(&pair);
    lab_close(&other);
}

/* T14: in 1.3 the short tag would let 64 forgeries end a session. */
Test(dtls, version_13_refuses_ccm_8)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.identity = "acme/boiler-7", .version13 = true,
                                         .suites = "TLS13-AES128-CCM-8-SHA256"};
    if (lab_pair_open(&pair, &lab, &options)) {
        cr_assert_not(lab_handshake(&pair));
        lab_pair_close(&pair);
    }
}

/* Who is it */

Test(dtls, the_identity_is_the_device_of_the_key)
{
    static struct lab_pair pair;
    cr_hello(&pair, &psk_ccm_8);
    const struct identity *who = dtls_session_identity(pair.session);
    cr_assert_eq(who->kind, IDENTITY_DEVICE);
    cr_assert_eq(who->evidence, EVIDENCE_PSK);
    cr_assert_str_eq(who->tenant, "acme");
    cr_assert_str_eq(who->device, "boiler-7");
    lab_pair_close(&pair);
}

static void cr_refused(const struct lab_client_options *options)
{
    static struct lab_pair pair;
    cr_assert(lab_pair_open(&pair, &lab, options));
    cr_assert_not(lab_handshake(&pair), "%s connected", options->identity ? options->identity : "?");
    cr_assert_not(pair.established);
    lab_pair_close(&pair);
}

/* T20, T21, and devices that may not speak. */
Test(dtls, other_identities_do_not_connect)
{
    static const char *const identities[] = {"acme/boiler-8", "emca/boiler-7", "acme", "acme/", "/boiler-7", "boiler-7",
        "acme/boiler-7 ", "Acme/boiler-7", "acme/boiler-7/x", "acme/boiler-7\n", "acme:boiler-7", "acme/boiler-\xc2\xb7",
        "acme/keyless", "acme/disabled", "closed/boiler-7"};
    struct credential psk = lab_psk("psk", LAB_KEY);
    struct device_record disabled = {.tenant = "acme", .id = "disabled", .disabled = true, .credentials = &psk,
                                     .credential_count = 1};
    struct tenant_record closed = {.id = "closed", .disabled = true};
    struct device_record in_closed = {.tenant = "closed", .id = "boiler-7", .credentials = &psk, .credential_count = 1};
    cr_assert(lab_add_device(&lab, "acme", "keyless", NULL));
    cr_assert(registry_put_device(lab.registry, &disabled) && registry_put_tenant(lab.registry, &closed) &&
              registry_put_device(lab.registry, &in_closed));
    for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++)
        for (unsigned version13 = 0; version13 < 2; version13++) {
            struct lab_client_options options = {.identity = identities[i], .version13 = version13};
            cr_refused(&options);
        }
}

/* T23: between the moment when the key was given out and the end of the handshake. */
Test(dtls, a_device_that_is_disabled_during_its_handshake_is_refused)
{
    static struct lab_pair pair;
    struct credential psk = lab_psk("psk", LAB_KEY);
    struct device_record device = {.tenant = "acme", .id = "boiler-7", .disabled = true, .credentials = &psk,
                                   .credential_count = 1};
    struct bytes datagram, message;
    bool newest;
    cr_assert(lab_pair_open(&pair, &lab, &psk_ccm_8));
    for (unsigned i = 0; i < 2; i++) {
        lab_client_step(&pair.client);
        lab_serve_all(&pair);
    }
    lab_client_step(&pair.client);
    while (pair.to_server.count > 1 && lab_pop(&pair.to_server, &datagram))
        cr_assert_eq(lab_serve(&pair, datagram, &message, &newest), DTLS_NOTHING);
    cr_assert_eq(dtls_session_identity(pair.session)->kind, IDENTITY_DEVICE, "named, not yet proved");
    cr_assert(registry_put_device(lab.registry, &device));
    cr_assert(lab_pop(&pair.to_server, &datagram));
    cr_assert_eq(lab_serve(&pair, datagram, &message, &newest), DTLS_CLOSED);
    lab_pair_close(&pair);
}

/* Makes the client's ClientKeyExchange carry a NUL in place of the letter '#', which wolfSSL's client cannot. */
static void put_nuls(struct lab_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct lab_datagram *slot = &queue->slots[(queue->first + i) % LAB_QUEUE_MAX];
        for (size_t at = 13; slot->data[13] == 16 && at < slot->len; at++)
            if (slot->data[at] == '#')
                slot->data[at] = '\0';
    }
}

/* T20: "acme/boiler-7" and a NUL are two names. The key that is used tells: with the device's own key the server's
 * answer to the client's Finished would come, with the dummy key nothing comes. (The transcript differs too, so the
 * client can not finish in either case; what counts is whom the server takes it for.) */
Test(dtls, an_identity_with_a_nul_names_nobody)
{
    static const char *const identities[] = {"acme/boiler-7#", "acme/boiler-7#x", "#acme/boiler-7"};
    static struct lab_pair pair;
    for (unsigned i = 0; i < 3; i++) {
        struct lab_client_options options = {.suites = "PSK-AES128-CCM-8", .identity = identities[i]};
        cr_assert(lab_pair_open(&pair, &lab, &options));
        for (unsigned step = 0; step < 8; step++) {
            lab_client_step(&pair.client);
            put_nuls(&pair.to_server);
            lab_serve_all(&pair);
        }
        cr_assert_not_null(pair.session);
        cr_assert_eq(dtls_session_identity(pair.session)->kind, IDENTITY_NONE, "%s", identities[i]);
        lab_pair_close(&pair);
    }
}

Test(dtls, identities_of_128_bytes_are_handled_and_longer_ones_refused)
{
    static struct lab_pair pair;
    char longest[129];
    memset(longest, 'x', 128);
    longest[128] = '\0';
    struct lab_client_options options = {.suites = "PSK-AES128-CCM-8", .identity = longest};
    cr_assert(lab_pair_open(&pair, &lab, &options));
    cr_assert_not(lab_handshake(&pair));
    cr_assert_not_null(pair.session, "as any other unknown one");
    lab_pair_close(&pair);
}

/* What somebody sees who does not know the key: every datagram's length and type, in order. */
struct view {
    size_t count;
    struct {
        size_t len;
        uint8_t head[14];
    } datagrams[LAB_QUEUE_MAX * 4];
};

static void watch(struct view *view, const char *identity, const char *key, bool version13)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.identity = identity, .key = key, .version13 = version13};
    memset(view, 0, sizeof *view);
    cr_assert(lab_pair_open(&pair, &lab, &options));
    for (unsigned step = 0; step < 12; step++) {
        lab_client_step(&pair.client);
        lab_serve_all(&pair);
        for (size_t i = 0; i < pair.to_client.count; i++) {
            const struct lab_datagram *slot = &pair.to_client.slots[(pair.to_client.first + i) % LAB_QUEUE_MAX];
            view->datagrams[view->count].len = slot->len;
            memcpy(view->datagrams[view->count++].head, slot->data, slot->len < 14 ? slot->len : 14);
        }
        lab.now_ms += 1000;
        if (pair.session && !dtls_session_timeout(pair.session, lab.now_ms, lab_output(&pair.to_client))) {
            dtls_session_free(pair.session, NULL);
            pair.session = NULL;
            break;
        }
    }
    cr_assert_not(pair.established);
    lab_pair_close(&pair);
}

/* T19: RFC 4279 section 2. */
Test(dtls, an_unknown_identity_and_a_wrong_key_look_the_same)
{
    static struct view unknown, wrong;
    for (unsigned version13 = 0; version13 < 2; version13++) {
        watch(&unknown, "acme/boiler-8", LAB_KEY, version13);
        watch(&wrong, "acme/boiler-7", "another key.....", version13);
        cr_assert_geq(unknown.count, 1);
        cr_assert_eq(unknown.count, wrong.count);
        for (size_t i = 0; i < unknown.count; i++) {
            cr_assert_eq(unknown.datagrams[i].len, wrong.datagrams[i].len);
            cr_assert_arr_eq(unknown.datagrams[i].head, wrong.datagrams[i].head, 14);
        }
    }
}

/* T22 and raw keys */

Test(dtls, a_raw_key_of_the_registry_is_its_device)
{
    static struct lab_pair pair;
    add_raw_key_device();
    for (unsigned version13 = 0; version13 < 2; version13++)
        for (unsigned wants_raw_server = 0; wants_raw_server < 2; wants_raw_server++) {
            struct lab_client_options options = raw_key_client();
            options.version13 = version13;
            options.wants_raw_server = wants_raw_server;
            cr_hello(&pair, &options);
            cr_assert_eq(dtls_session_identity(pair.session)->evidence, EVIDENCE_RPK);
            cr_assert_str_eq(dtls_session_identity(pair.session)->device, "rpk-1");
            cr_talk(&pair);
            lab_pair_close(&pair);
        }
}

Test(dtls, a_raw_key_that_is_not_known_is_refused)
{
    static struct lab_certificate stranger;
    add_raw_key_device();
    cr_assert(lab_certificate_make(&stranger, NULL, "unused", 0, false));
    for (unsigned version13 = 0; version13 < 2; version13++) {
        struct lab_client_options options = raw_key_client();
        options.version13 = version13;
        options.certificate_der = stranger.spki;
        options.certificate_len = stranger.spki_len;
        options.key_der = stranger.key;
        options.key_len = stranger.key_len;
        cr_refused(&options);
    }
}

/* The client has nothing to show: no certificate in its answer to the server's request. */
Test(dtls, nobody_is_refused)
{
    for (unsigned version13 = 0; version13 < 2; version13++) {
        struct lab_client_options options = {.version13 = version13,
            .suites = version13 ? NULL : "ECDHE-ECDSA-AES128-GCM-SHA256"};
        cr_refused(&options);
    }
}

/* X.509 */

static struct lab_certificate authority;

static struct lab_client_options x509_client(const struct lab_certificate *certificate)
{
    return (struct lab_client_options){.certificate_der = certificate->der, .certificate_len = certificate->len,
                                       .key_der = certificate->key, .key_len = certificate->key_len};
}

static void open_x509(struct lab *with)
{
    static const char *const names[] = {"sensor.acme.example", "urn:dev:ops:1", "Sensor 3"};
    cr_assert(lab_certificate_make(&authority, NULL, "Acme devices", 0, false));
    lab_prepare(with);
    cr_assert(lab_trust(with, &authority));
    cr_assert(lab_open(with));
    for (unsigned i = 0; i < 3; i++) {
        struct credential x509 = lab_x509(names[i]);
        struct device_record device = {.tenant = "acme", .credentials = &x509, .credential_count = 1};
        snprintf(device.id, sizeof device.id, "x509-%u", i);
        cr_assert(registry_put_device(with->registry, &device));
    }
}

static bool x509_connects(struct lab *with, const struct lab_certificate *certificate, bool version13,
                          struct identity *ret_who)
{
    static struct lab_pair pair;
    struct lab_client_options options = x509_client(certificate);
    options.version13 = version13;
    cr_assert(lab_pair_open(&pair, with, &options));
    bool ok = lab_handshake(&pair);
    if (ok) {
        *ret_who = *dtls_session_identity(pair.session);
        cr_talk(&pair);
    }
    lab_pair_close(&pair);
    return ok;
}

Test(dtls, a_certificate_of_the_authority_is_the_device_of_its_name)
{
    static struct lab with;
    static struct lab_certificate certificate;
    static const struct {
        const char *name;
        unsigned type;
        const char *device;
    } cases[] = {{"sensor.acme.example", 0x82, "x509-0"}, {"urn:dev:ops:1", 0x86, "x509-1"}, {"Sensor 3", 0, "x509-2"}};
    open_x509(&with);
    for (unsigned i = 0; i < 3; i++)
        for (unsigned version13 = 0; version13 < 2; version13++) {
            struct identity who;
            cr_assert(lab_certificate_make(&certificate, &authority, cases[i].name, cases[i].type, false));
            cr_assert(x509_connects(&with, &certificate, version13, &who), "%s", cases[i].name);
            cr_assert_eq(who.evidence, EVIDENCE_X509);
            cr_assert_str_eq(who.device, cases[i].device);
        }
    lab_close(&with);
}

Test(dtls, other_certificates_are_refused)
{
    static struct lab with;
    static struct lab_certificate other_authority, certificate;
    struct identity who;
    open_x509(&with);
    cr_assert(lab_certificate_make(&other_authority, NULL, "Acme devices", 0, false));
    for (unsigned version13 = 0; version13 < 2; version13++) {
        cr_assert(lab_certificate_make(&certificate, &other_authority, "sensor.acme.example", 0x82, false));
        cr_assert_not(x509_connects(&with, &certificate, version13, &who), "another authority of the same name");
        cr_assert(lab_certificate_make(&certificate, NULL, "Sensor 3", 0, false));
        cr_assert_not(x509_connects(&with, &certificate, version13, &who), "self-signed");
        cr_assert(lab_certificate_make(&certificate, &authority, "elsewhere.example", 0x82, false));
        cr_assert_not(x509_connects(&with, &certificate, version13, &who), "not in the registry");
        cr_assert(lab_certificate_make(&certificate, &authority, "*.acme.example", 0x82, false));
        cr_assert_not(x509_connects(&with, &certificate, version13, &who), "wildcard");
        cr_assert(lab_certificate_make(&certificate, &authority, "sensor.acme.example", 0x82, true));
        cr_assert_not(x509_connects(&with, &certificate, version13, &who), "expired");
    }
    lab_close(&with);
}

/* A common name does not count beside a SubjectAltName, though it is one of the registry. */
Test(dtls, the_common_name_counts_only_alone)
{
    static struct lab with;
    static struct lab_certificate certificate;
    struct identity who;
    struct credential x509 = lab_x509("unused");
    struct device_record device = {.tenant = "acme", .id = "unused", .credentials = &x509, .credential_count = 1};
    open_x509(&with);
    cr_assert(registry_put_device(with.registry, &device));
    cr_assert(lab_certificate_make(&certificate, &authority, "elsewhere.example", 0x82, false));
    cr_assert_not(x509_connects(&with, &certificate, false, &who));
    lab_close(&with);
}

/* Of this device, for this reason; NULL: nothing is told. */
static void expect_told(struct lab *with, const struct lab_client_options *options, const char *device, const char *why)
{
    static struct lab_pair pair;
    for (unsigned version13 = 0; version13 < 2; version13++) {
        struct lab_client_options either = *options;
        either.version13 = version13;
        cr_assert(lab_pair_open(&pair, with, &either));
        cr_expect_not(lab_handshake(&pair));
        cr_expect_eq(pair.why != NULL, why != NULL, "%u: %s", version13, pair.why);
        if (why && pair.why) {
            cr_expect(strstr(pair.why, why), "%s", pair.why);
            cr_expect_str_eq(pair.named.device, device);
            cr_expect_eq(pair.named.evidence, options->raw_key ? EVIDENCE_RPK : EVIDENCE_X509);
        }
        lab_pair_close(&pair);
    }
}

/* Who has the same by a younger credential is refused because of one that may not speak by it. */
Test(dtls, whose_certificate_it_is_is_told_when_it_is_refused)
{
    static struct lab with;
    static struct lab_certificate certificate;
    struct credential old = lab_x509("sensor.acme.example"), young = lab_x509("sensor.acme.example");
    struct device_record holder = {.tenant = "acme", .id = "x509-0", .credentials = &old, .credential_count = 1};
    struct device_record other = {.tenant = "acme", .id = "other", .credentials = &young, .credential_count = 1};
    old.created_s = 1;
    old.not_after_s = 500;
    young.created_s = 2;
    open_x509(&with);
    dtls_set_time(with.dtls, 1000);
    cr_assert(registry_put_device(with.registry, &holder) && registry_put_device(with.registry, &other));
    cr_assert(lab_certificate_make(&certificate, &authority, "sensor.acme.example", 0x82, false));
    struct lab_client_options options = x509_client(&certificate);
    expect_told(&with, &options, "x509-0", "nobody else gets it");
    old.not_after_s = 0;
    holder.disabled = true;
    cr_assert(registry_put_device(with.registry, &holder));
    expect_told(&with, &options, "x509-0", "disabled");
    cr_assert(lab_certificate_make(&certificate, &authority, "elsewhere.example", 0x82, false));
    options = x509_client(&certificate);
    expect_told(&with, &options, "", NULL);
    lab_close(&with);
}

Test(dtls, whose_raw_key_it_is_is_told_when_it_is_refused)
{
    add_raw_key_device();
    struct credential ended = lab_spki(CREDENTIAL_RPK, bytes_of(device_key.spki, device_key.spki_len), NULL);
    struct device_record device = {.tenant = "acme", .id = "rpk-1", .credentials = &ended, .credential_count = 1};
    struct lab_client_options options = raw_key_client();
    ended.not_after_s = 500;
    dtls_set_time(lab.dtls, 1000);
    cr_assert(registry_put_device(lab.registry, &device));
    expect_told(&lab, &options, "rpk-1", "nobody else gets it");
}

Test(dtls, without_an_authority_no_certificate_is_good)
{
    static struct lab_certificate certificate;
    struct identity who;
    struct credential x509 = lab_x509("sensor.acme.example");
    struct device_record device = {.tenant = "acme", .id = "x509-0", .credentials = &x509, .credential_count = 1};
    cr_assert(lab_certificate_make(&authority, NULL, "Acme devices", 0, false));
    cr_assert(lab_certificate_make(&certificate, &authority, "sensor.acme.example", 0x82, false));
    cr_assert(registry_put_device(lab.registry, &device));
    cr_assert_not(x509_connects(&lab, &certificate, false, &who));
    cr_assert_not(x509_connects(&lab, &certificate, true, &who));
}

/* Cookies */

static struct lab_datagram first_hello(const struct lab_client_options *options)
{
    static struct lab_pair pair;
    struct lab_datagram hello;
    struct bytes datagram;
    cr_assert(lab_pair_open(&pair, &lab, options));
    lab_client_step(&pair.client);
    cr_assert(lab_pop(&pair.to_server, &datagram));
    hello.len = datagram.len;
    memcpy(hello.data, datagram.ptr, datagram.len);
    lab_pair_close(&pair);
    return hello;
}

static const struct lab_client_options psk_13 = {.identity = "acme/boiler-7", .version13 = true};

/* T1: nothing is kept for strangers; 100,000 of them, each from its own address. */
Test(dtls, hellos_without_a_cookie_leave_nothing_behind)
{
    struct lab_datagram hellos[] = {first_hello(&psk_ccm_8), first_hello(&psk_13)};
    static struct lab_queue answers;
    size_t before = 0;
    for (unsigned i = 0; i < 100000; i++) {
        char ip[16];
        const struct lab_datagram *hello = &hellos[i & 1];
        snprintf(ip, sizeof ip, "127.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        struct address remote = lab_address(ip, (uint16_t)(1024 + i % 50000));
        answers.count = 0;
        cr_assert_null(dtls_hello(lab.dtls, &remote, bytes_of(hello->data, hello->len), lab.now_ms, lab_output(&answers)));
        cr_assert_eq(answers.count, 1);
        if (i == 100)
            before = mallinfo2().uordblks;
    }
    cr_assert_lt(mallinfo2().uordblks, before + 4096);
    cr_assert_eq(lab_metric(&lab, METRIC_HELLO_CHALLENGED), 100000);
    static struct lab_pair genuine;
    cr_hello(&genuine, &psk_ccm_8);
    lab_pair_close(&genuine);
}

/* T2 */
Test(dtls, strangers_never_get_more_bytes_than_they_sent)
{
    add_raw_key_device();
    struct lab_client_options all[] = {psk_ccm_8, psk_13, raw_key_client(), raw_key_client()};
    all[3].version13 = true;
    static struct lab_queue answers;
    struct address remote = lab_address("203.0.113.9", 5684);
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct lab_datagram hello = first_hello(&all[i]);
        for (size_t len = 1; len <= hello.len; len++) {
            answers.count = 0;
            cr_assert_null(dtls_hello(lab.dtls, &remote, bytes_of(hello.data, len), lab.now_ms, lab_output(&answers)));
            size_t sent = 0;
            struct bytes datagram;
            while (lab_pop(&answers, &datagram))
                sent += datagram.len;
            cr_assert_leq(sent, len);
        }
    }
}

/* The client's hello with its cookie. */
static struct lab_datagram second_hello(struct lab_pair *pair, const struct lab_client_options *options)
{
    struct lab_datagram hello;
    struct bytes datagram;
    cr_assert(lab_pair_open(pair, &lab, options));
    lab_client_step(&pair->client);
    lab_serve_all(pair);
    lab_client_step(&pair->client);
    cr_assert(lab_pop(&pair->to_server, &datagram));
    hello.len = datagram.len;
    memcpy(hello.data, datagram.ptr, datagram.len);
    return hello;
}

/* T3 */
Test(dtls, a_cookie_is_good_from_its_own_address_only)
{
    static struct lab_pair pair;
    for (unsigned version13 = 0; version13 < 2; version13++) {
        struct lab_datagram hello = second_hello(&pair, version13 ? &psk_13 : &psk_ccm_8);
        struct bytes bytes = bytes_of(hello.data, hello.len);
        struct address others[] = {lab_address("192.0.2.2", 40000), lab_address("192.0.2.1", 40001)};
        static struct lab_queue answers;
        for (unsigned i = 0; i < 2; i++)
            cr_assert_null(dtls_hello(lab.dtls, &others[i], bytes, lab.now_ms, lab_output(&answers)));
        struct dtls_session *session = dtls_hello(lab.dtls, &pair.remote, bytes, lab.now_ms, lab_output(&answers));
        cr_assert_not_null(session);
        dtls_session_free(session, NULL);
        lab_pair_close(&pair);
    }
}

/* T4 */
Test(dtls, a_cookie_outlives_one_rotation_and_not_two)
{
    static struct lab_pair pair;
    for (unsigned version13 = 0; version13 < 2; version13++)
        for (uint8_t rotations = 0; rotations < 3; rotations++) {
            cr_assert(lab_pair_open(&pair, &lab, version13 ? &psk_13 : &psk_ccm_8));
            lab_client_step(&pair.client);
            lab_serve_all(&pair);
            lab_client_step(&pair.client);
            for (uint8_t i = 0; i < rotations; i++)
                lab_secret(&lab, (uint8_t)(10 * version13 + 20 * rotations + i));
            lab_serve_all(&pair);
            cr_assert_eq(pair.session != NULL, rotations < 2, "%u rotations", rotations);
            if (rotations < 2) {
                cr_assert(lab_handshake(&pair));
                cr_talk(&pair);
            }
            lab_pair_close(&pair);
        }
}

Test(dtls, nothing_is_answered_before_there_is_a_cookie_secret)
{
    struct lab_datagram hello = first_hello(&psk_ccm_8);
    static struct lab_queue answers;
    struct address remote = lab_address("192.0.2.1", 1);
    char error[SETTINGS_ERROR_MAX];
    struct dtls *fresh = dtls_new(&lab.settings, lab.registry, &lab.metrics, 0, 1, error);
    cr_assert_null(dtls_hello(fresh, &remote, bytes_of(hello.data, hello.len), 0, lab_output(&answers)));
    cr_assert_eq(answers.count, 0);
    dtls_free(fresh);
}

/* T17: what was spent is spent for its network and its device only, and comes back. */
Test(dtls, handshakes_of_a_network_are_limited)
{
    static struct lab with;
    static struct lab_pair pair;
    lab_prepare(&with);
    with.settings.dtls_handshakes_per_network_per_s = 3;
    cr_assert(lab_open(&with));
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(lab_pair_open(&pair, &with, &psk_ccm_8));
        pair.remote = lab_address(i == 4 ? "198.51.100.1" : "192.0.2.1", (uint16_t)(1000 + i));
        if (i == 5)
            with.now_ms += 1000;
        cr_assert_eq(lab_handshake(&pair), i != 3, "handshake %u", i);
        lab_pair_close(&pair);
    }
    cr_assert_eq(lab_metric(&with, METRIC_HANDSHAKE_LIMITED), 1);
    lab_close(&with);
}

Test(dtls, handshakes_of_a_device_are_limited)
{
    static struct lab with;
    static struct lab_pair pair;
    lab_prepare(&with);
    with.settings.dtls_handshakes_per_identity_per_minute = 2;
    cr_assert(lab_open(&with));
    cr_assert(lab_add_device(&with, "acme", "boiler-8", LAB_KEY));
    for (unsigned i = 0; i < 5; i++) {
        struct lab_client_options options = psk_ccm_8;
        if (i == 3)
            options.identity = "acme/boiler-8";
        if (i == 4)
            with.now_ms += 60000;
        cr_assert(lab_pair_open(&pair, &with, &options));
        cr_assert_eq(lab_handshake(&pair), i != 2, "handshake %u", i);
        lab_pair_close(&pair);
    }
    lab_close(&with);
}

/* A flight that got lost comes again: first after 1 s, then doubled. */
Test(dtls, lost_flights_are_repeated_and_given_up_in_time)
{
    static struct lab_pair pair;
    for (unsigned version13 = 0; version13 < 2; version13++) {
        uint64_t begin_ms = lab.now_ms, sent_ms = lab.now_ms, waits[8];
        unsigned count = 0;
        cr_assert(lab_pair_open(&pair, &lab, version13 ? &psk_13 : &psk_ccm_8));
        for (unsigned i = 0; i < 2; i++) {
            lab_client_step(&pair.client);
            lab_serve_all(&pair);
        }
        cr_assert_not_null(pair.session);
        while (dtls_session_timeout(pair.session, lab.now_ms, lab_output(&pair.to_client)) && count < 8) {
            if (pair.to_client.count > 0 && lab.now_ms > begin_ms) {
                waits[count++] = lab.now_ms - sent_ms;
                sent_ms = lab.now_ms;
            }
            pair.to_client.count = 0;
            lab.now_ms = dtls_session_deadline(pair.session);
        }
        cr_assert_leq(waits[0], 1250);
        if (!version13) { /* 1.3 looks at the real clock too, and does not repeat twice within a real second */
            cr_assert_eq(count, 4);
            cr_assert_eq(waits[1], 2000);
            cr_assert_eq(waits[2], 4000);
            cr_assert_eq(waits[3], 8000);
        }
        cr_assert_eq(lab.now_ms - begin_ms, lab.settings.dtls_handshake_timeout_ms);
        lab_pair_close(&pair);
    }
}

Test(dtls, a_handshake_with_lost_datagrams_succeeds)
{
    static struct lab_pair pair;
    static const struct lab_client_options ecdhe = {.identity = "acme/boiler-7", .suites = "ECDHE-PSK-AES128-GCM-SHA256"};
    const struct lab_client_options *all[] = {&psk_ccm_8, &ecdhe, &psk_13};
    for (unsigned lost = 0; lost < 24; lost++) {
        cr_assert(lab_pair_open(&pair, &lab, all[lost % 3]));
        pair.remote = lab_address("192.0.2.1", (uint16_t)(2000 + lost));
        unsigned from_client = 0, from_server = 0;
        for (unsigned step = 0; step < 30 && !(pair.established && pair.client.established); step++) {
            struct bytes datagram, message;
            bool newest;
            lab_client_step(&pair.client);
            while (lab_pop(&pair.to_server, &datagram))
                if (from_client++ != lost / 3)
                    while (lab_serve(&pair, datagram, &message, &newest) == DTLS_ESTABLISHED)
                        datagram = (struct bytes){0};
            if (from_server <= lost / 3 && from_server + pair.to_client.count > lost / 3)
                (void)lab_pop(&pair.to_client, &datagram);
            from_server += (unsigned)pair.to_client.count + 1;
            lab.now_ms += 1000;
            if (pair.session && lab.now_ms >= dtls_session_deadline(pair.session))
                cr_assert(dtls_session_timeout(pair.session, lab.now_ms, lab_output(&pair.to_client)));
            if (!pair.client.established && pair.to_client.count == 0)
                (void)wolfSSL_dtls_got_timeout(pair.client.ssl);
        }
        cr_assert(pair.established && pair.client.established, "lost %u of client %u", lost / 3, lost % 3);
        lab_pair_close(&pair);
    }
}

/* Established sessions */

static void cr_lives(struct lab_pair *pair)
{
    cr_assert_not_null(pair->session);
    cr_talk(pair);
}

/* T16 */
Test(dtls, a_record_counts_once)
{
    static struct lab_pair pair;
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13};
    for (unsigned i = 0; i < 2; i++) {
        bool newest;
        cr_hello(&pair, all[i]);
        struct lab_datagram copy = record_of(&pair, "once");
        cr_assert_eq(serve_copy(&pair, &copy, &newest), DTLS_DATA);
        for (unsigned again = 0; again < 3; again++)
            cr_assert_eq(serve_copy(&pair, &copy, &newest), DTLS_NOTHING);
        cr_lives(&pair);
        lab_pair_close(&pair);
    }
}

/* T11: an old record that is new to us is data, but does not say where the device is now. */
Test(dtls, a_late_record_is_not_the_newest)
{
    static struct lab_pair pair;
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13};
    for (unsigned i = 0; i < 2; i++) {
        bool newest;
        cr_hello(&pair, all[i]);
        struct lab_datagram first = record_of(&pair, "first"), second = record_of(&pair, "second"),
                            third = record_of(&pair, "third");
        cr_assert_eq(serve_copy(&pair, &second, &newest), DTLS_DATA);
        cr_assert(newest);
        cr_assert_eq(serve_copy(&pair, &first, &newest), DTLS_DATA);
        cr_assert_not(newest);
        cr_assert_eq(serve_copy(&pair, &third, &newest), DTLS_DATA);
        cr_assert(newest);
        lab_pair_close(&pair);
    }
}

/* T14, T10 */
Test(dtls, ten_thousand_forged_records_change_nothing)
{
    static struct lab_pair pair;
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13};
    for (unsigned i = 0; i < 2; i++) {
        bool newest;
        cr_hello(&pair, all[i]);
        uint64_t dropped = lab_metric(&lab, METRIC_DROP_BAD_RECORD);
        struct lab_datagram genuine = record_of(&pair, "a message of some length");
        for (unsigned n = 0; n < 10000; n++) {
            struct lab_datagram forged = genuine;
            forged.data[forged.len - 1 - n % 16] ^= (uint8_t)(1 + n % 255);
            cr_assert_eq(serve_copy(&pair, &forged, &newest), DTLS_NOTHING);
            cr_assert_not(newest);
        }
        cr_assert_eq(pair.to_client.count, 0);
        cr_assert_eq(lab_metric(&lab, METRIC_DROP_BAD_RECORD) - dropped, 10000);
        cr_assert_eq(serve_copy(&pair, &genuine, &newest), DTLS_DATA);
        cr_lives(&pair);
        lab_pair_close(&pair);
    }
}

/* T15: plain records to an association that is up, or that shakes hands. */
static const struct {
    const char *what;
    uint8_t len, data[32];
} plain_records[] = {
    {"fatal alert", 15, {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 200, 0, 2, 2, 40}},
    {"close_notify", 15, {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 201, 0, 2, 1, 0}},
    {"change cipher spec", 14, {20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 202, 0, 1, 1}},
    {"data", 14, {23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 203, 0, 1, 'x'}},
    {"data of epoch 1", 14, {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 204, 0, 1, 'x'}},
    {"alert of epoch 1", 15, {21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 205, 0, 2, 2, 40}},
    {"alert of epoch 2", 15, {21, 0xfe, 0xfd, 0, 2, 0, 0, 0, 0, 0, 206, 0, 2, 2, 40}},
    {"empty record", 13, {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 207, 0, 0}},
    {"half a header", 7, {22, 0xfe, 0xfd, 0, 0, 0, 0}},
    {"a length beyond the end", 15, {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 208, 1, 2, 2, 40}},
    {"hello request", 25, {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 209, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {"finished of nobody", 26, {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 210, 0, 13, 20, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0, 1, 7}},
    {"ack of 1.3", 15, {26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 211, 0, 2, 0, 0}},
    {"unified header, no CID", 12, {0x2f, 0, 1, 0, 7, 1, 2, 3, 4, 5, 6, 7}},
    {"unified header, some CID", 20, {0x3f, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 7, 1, 2, 3, 4, 5, 6, 7}},
};

static void pelt(struct lab_pair *pair)
{
    struct bytes message;
    bool newest;
    for (size_t i = 0; i < sizeof plain_records / sizeof plain_records[0]; i++) {
        enum dtls_event event = lab_serve(pair, bytes_of(plain_records[i].data, plain_records[i].len), &message, &newest);
        cr_assert_eq(event, DTLS_NOTHING, "%s: event %d", plain_records[i].what, event);
    }
}

Test(dtls, what_is_not_encrypted_does_not_touch_an_established_session)
{
    static struct lab_pair pair;
    static const struct lab_client_options no_cid = {.suites = "PSK-AES128-GCM-SHA256", .identity = "acme/boiler-7",
                                                     .no_cid = true};
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13, &no_cid};
    for (unsigned i = 0; i < 3; i++) {
        cr_hello(&pair, all[i]);
        pelt(&pair);
        cr_talk(&pair);
        pelt(&pair); /* after the first message the library has dropped what it needs to repeat its last flight */
        cr_assert_eq(pair.to_client.count, 0);
        cr_lives(&pair);
        lab_pair_close(&pair);
    }
}

Test(dtls, plain_alerts_do_not_end_a_handshake)
{
    static struct lab_pair pair;
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13};
    for (unsigned i = 0; i < 2; i++) {
        struct bytes message;
        bool newest;
        second_hello(&pair, all[i]);
        lab_pair_close(&pair);
        cr_assert(lab_pair_open(&pair, &lab, all[i]));
        for (unsigned step = 0; step < 2; step++) {
            lab_client_step(&pair.client);
            lab_serve_all(&pair);
        }
        cr_assert_not_null(pair.session);
        for (unsigned n = 0; n < 2; n++)
            cr_assert_eq(lab_serve(&pair, bytes_of(plain_records[n].data, plain_records[n].len), &message, &newest),
                         DTLS_NOTHING);
        cr_assert(lab_handshake(&pair));
        cr_talk(&pair);
        lab_pair_close(&pair);
    }
}

/* Records that anybody can send in the client's name while it shakes hands (found by an attack): each of them used to end
 * the handshake or to close the replay window for the client's own records. */
Test(dtls, spoofed_plain_records_do_not_end_a_handshake)
{
    static struct lab_pair pair;
    static const struct {
        uint8_t data[32];
        size_t len;
    } spoofed[] = {
        {{26, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 20, 0, 2, 0, 0}, 15},                               /* ACK of DTLS 1.3 */
        {{20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 20, 0, 1, 2}, 14},                                  /* CCS that is none */
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 20, 0, 3, 16, 0, 0}, 16},                           /* cut header */
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 20, 0, 12, 20, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}, 25}, /* plain Finished */
        {{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 20, 0, 12, 99, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}, 25}, /* unknown type */
        {{20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 97, 0, 1, 1}, 14},                                  /* far number */
    };
    for (unsigned i = 0; i < sizeof spoofed / sizeof spoofed[0]; i++) {
        struct bytes message;
        bool newest;
        cr_assert(lab_pair_open(&pair, &lab, &psk_ccm_8));
        for (unsigned step = 0; step < 2; step++) {
            lab_client_step(&pair.client);
            lab_serve_all(&pair);
        }
        cr_assert_not_null(pair.session);
        cr_assert_eq(lab_serve(&pair, bytes_of(spoofed[i].data, spoofed[i].len), &message, &newest), DTLS_NOTHING, "%u",
                     i);
        cr_assert(lab_handshake(&pair), "%u", i);
        cr_talk(&pair);
        lab_pair_close(&pair);
    }
}

/* RFC 9146 section 4: after a CID was agreed on, a record without it is nobody's, whatever it has inside. */
Test(dtls, a_record_with_the_wrong_cid_is_dropped)
{
    static struct lab_pair pair;
    bool newest;
    cr_hello(&pair, &psk_ccm_8);
    struct lab_datagram genuine = record_of(&pair, "x"), other = genuine;
    other.data[11] ^= 1;
    cr_assert_eq(serve_copy(&pair, &other, &newest), DTLS_NOTHING);
    cr_assert_eq(serve_copy(&pair, &genuine, &newest), DTLS_DATA);
    lab_pair_close(&pair);
}

Test(dtls, several_records_of_one_datagram_are_all_read)
{
    static struct lab_pair pair;
    struct bytes message;
    bool newest;
    cr_hello(&pair, &psk_ccm_8);
    struct lab_datagram one = record_of(&pair, "one"), two = record_of(&pair, "two");
    memcpy(one.data + one.len, plain_records[0].data, plain_records[0].len); /* and rubbish between */
    one.len += plain_records[0].len;
    memcpy(one.data + one.len, two.data, two.len);
    one.len += two.len;
    cr_assert_eq(lab_serve(&pair, bytes_of(one.data, one.len), &message, &newest), DTLS_DATA);
    cr_assert(bytes_equal_text(message, "one"));
    cr_assert_eq(lab_serve(&pair, (struct bytes){0}, &message, &newest), DTLS_DATA);
    cr_assert(bytes_equal_text(message, "two"));
    cr_assert_eq(lab_serve(&pair, (struct bytes){0}, &message, &newest), DTLS_NOTHING);
    lab_pair_close(&pair);
}

Test(dtls, large_messages_pass_both_ways)
{
    static struct lab_pair pair;
    static uint8_t large[3800], buffer[4096];
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13};
    for (unsigned i = 0; i < 2; i++) {
        struct bytes datagram, message;
        bool newest;
        cr_hello(&pair, all[i]);
        wolfSSL_dtls_set_mtu(pair.client.ssl, 4000);
        cr_assert_eq(wolfSSL_write(pair.client.ssl, large, sizeof large), (int)sizeof large);
        cr_assert(lab_pop(&pair.to_server, &datagram));
        cr_assert_eq(lab_serve(&pair, datagram, &message, &newest), DTLS_DATA);
        cr_assert_eq(message.len, sizeof large);
        cr_assert(dtls_session_send(pair.session, bytes_of(large, sizeof large), lab_output(&pair.to_client)));
        cr_assert_eq(pair.to_client.count, 1);
        cr_assert_eq(wolfSSL_read(pair.client.ssl, buffer, sizeof buffer), (int)sizeof large);
        lab_pair_close(&pair);
    }
}

Test(dtls, the_close_of_the_peer_ends_the_session)
{
    static struct lab_pair pair;
    const struct lab_client_options *all[] = {&psk_ccm_8, &psk_13};
    for (unsigned i = 0; i < 2; i++) {
        struct bytes datagram, message;
        bool newest;
        cr_hello(&pair, all[i]);
        cr_talk(&pair);
        wolfSSL_shutdown(pair.client.ssl);
        cr_assert(lab_pop(&pair.to_server, &datagram));
        cr_assert_eq(lab_serve(&pair, datagram, &message, &newest), DTLS_CLOSED);
        lab_pair_close(&pair);
    }
}

Test(dtls, our_close_reaches_the_peer)
{
    static struct lab_pair pair;
    char buffer[16];
    cr_hello(&pair, &psk_ccm_8);
    struct dtls_output output = lab_output(&pair.to_client);
    dtls_session_free(pair.session, &output);
    pair.session = NULL;
    cr_assert_eq(wolfSSL_read(pair.client.ssl, buffer, sizeof buffer), 0);
    cr_assert_eq(wolfSSL_get_error(pair.client.ssl, 0), WOLFSSL_ERROR_ZERO_RETURN);
    lab_pair_close(&pair);
}

/* T17: no code for it, on either side. */
#ifdef HAVE_SECURE_RENEGOTIATION
#error "renegotiation must not be compiled in"
#endif

/* Connection IDs */

Test(dtls, byte_0_of_the_cid_names_the_worker)
{
    char error[SETTINGS_ERROR_MAX];
    static struct lab_pair pair;
    static const unsigned counts[] = {1, 2, 3, 64};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned index = 0; index < counts[i]; index += counts[i] > 1 ? counts[i] - 1 : 1) {
            struct lab other = lab;
            other.dtls = dtls_new(&lab.settings, lab.registry, &lab.metrics, index, counts[i], error);
            lab_secret(&other, 1);
            cr_assert(lab_pair_open(&pair, &other, &psk_ccm_8));
            cr_assert(lab_handshake(&pair));
            struct bytes cid = dtls_session_cid(pair.session), seen;
            cr_assert(dtls_session_uses_cid(pair.session));
            cr_assert_eq(cid.len, DTLS_CID_BYTES);
            cr_assert_eq(cid.ptr[0] % counts[i], index);
            struct lab_datagram record = record_of(&pair, "x");
            cr_assert_eq(dtls_classify(bytes_of(record.data, record.len), &seen), DTLS_CID_RECORD);
            cr_assert(bytes_equal(cid, seen));
            lab_pair_close(&pair);
            dtls_free(other.dtls);
        }
}

Test(dtls, a_client_that_wants_no_cid_gets_none)
{
    static struct lab_pair pair;
    struct bytes cid;
    for (unsigned version13 = 0; version13 < 2; version13++) {
        struct lab_client_options options = {.identity = "acme/boiler-7", .no_cid = true, .version13 = version13};
        cr_hello(&pair, &options);
        cr_assert_not(dtls_session_uses_cid(pair.session));
        struct lab_datagram record = record_of(&pair, "x");
        cr_assert_eq(dtls_classify(bytes_of(record.data, record.len), &cid), DTLS_RECORD);
        cr_assert_not(dtls_record_is_handshake(bytes_of(record.data, record.len)));
        lab_pair_close(&pair);
    }
}

/* A flight whose first records are plain and whose last one carries the CID belongs to the CID. */
Test(dtls, a_cid_behind_plain_records_is_found)
{
    static const uint8_t plain[] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 16};
    static const uint8_t with_cid[] = {25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 9};
    uint8_t both[sizeof plain + sizeof with_cid];
    struct bytes cid;
    memcpy(both, plain, sizeof plain);
    memcpy(both + sizeof plain, with_cid, sizeof with_cid);
    cr_assert_eq(dtls_classify(bytes_of(both, sizeof both), &cid), DTLS_CID_RECORD);
    cr_assert_eq(cid.ptr[0], 1);
    cr_assert_eq(dtls_classify(bytes_of(both, sizeof plain), &cid), DTLS_RECORD);
    cr_assert_eq(dtls_classify(bytes_of(both, sizeof both - 2), &cid), DTLS_RECORD);
}

/* T27 */
Test(dtls, other_protocols_are_junk)
{
    static const char *const others[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        "INVITE sip:x SIP/2.0", "\x12\x34\x01\x00\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", "\x44\x02\x10\x10tokn\xb3obs", "", "\x16"};
    struct bytes cid;
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_eq(dtls_classify(bytes_of_text(others[i]), &cid), DTLS_JUNK, "%u", i);
}

/* The server's own certificate */

Test(dtls, the_certificate_of_the_first_start_is_kept_and_private)
{
    char path[128], error[SETTINGS_ERROR_MAX];
    struct stat before, after;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", lab.state_dir, i ? "server.key" : "server.pem");
        cr_assert_eq(stat(path, &before), 0);
        cr_assert_eq(before.st_mode & 0777, 0600);
        dtls_free(dtls_new(&lab.settings, lab.registry, &lab.metrics, 0, 1, error));
        cr_assert_eq(stat(path, &after), 0);
        cr_assert_eq(before.st_ino, after.st_ino);
    }
}

Test(dtls, a_bad_certificate_file_is_told)
{
    char error[SETTINGS_ERROR_MAX] = "";
    struct settings settings = lab.settings;
    snprintf(settings.dtls_certificate, sizeof settings.dtls_certificate, "%s/no.pem", lab.state_dir);
    snprintf(settings.dtls_key, sizeof settings.dtls_key, "%s/no.key", lab.state_dir);
    cr_assert_null(dtls_new(&settings, lab.registry, &lab.metrics, 0, 1, error));
    cr_assert_not_null(strstr(error, "no.pem"), "%s", error);
    settings = lab.settings;
    snprintf(settings.dtls_client_ca, sizeof settings.dtls_client_ca, "%s/server.key", lab.state_dir);
    cr_assert_null(dtls_new(&settings, lab.registry, &lab.metrics, 0, 1, error));
    cr_assert_not_null(strstr(error, "dtls_client_ca"), "%s", error);
}
