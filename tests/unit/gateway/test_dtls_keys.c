// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Several credentials of one device in DTLS: which of them is meant, when they are good, keys derived from a group's,
 * and when a session may not go on. Numbers like T24 name the cases of the threat model.
 */
#include "tests/unit/gateway/dtls_lab.h"

#include "gateway/derive.h"

#include <criterion/criterion.h>

static struct lab lab;

static void open_lab(void)
{
    lab_prepare(&lab);
    lab.settings.dtls_handshakes_per_network_per_s = lab.settings.dtls_handshakes_per_identity_per_minute = 1000;
    cr_assert(lab_open(&lab));
    dtls_set_time(lab.dtls, 1000);
}

static void close_lab(void)
{
    lab_close(&lab);
}

TestSuite(dtls_keys, .init = open_lab, .fini = close_lab);

#define OLD_KEY "the old key....."
#define NEW_KEY "the new key....."

static void put(struct device_record *device, struct credential *credentials, unsigned count)
{
    memcpy(device->tenant, "acme", sizeof "acme");
    device->credentials = credentials;
    device->credential_count = (uint8_t)count;
    cr_assert(registry_put_device(lab.registry, device));
}

/* Two keys of boiler-9, as in the middle of a rotation. */
static void put_two(void)
{
    struct credential two[] = {lab_psk("k1", OLD_KEY), lab_psk("k2", NEW_KEY)};
    two[0].created_s = 100;
    two[1].created_s = 200;
    put(&(struct device_record){.id = "boiler-9"}, two, 2);
}

static bool connects(const char *identity, const char *key, bool version13, struct identity *ret_who)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.identity = identity, .key = key, .version13 = version13};
    cr_assert(lab_pair_open(&pair, &lab, &options));
    bool ok = lab_handshake(&pair);
    if (ok && ret_who)
        *ret_who = *dtls_session_identity(pair.session);
    lab_pair_close(&pair);
    return ok;
}

static unsigned attempts(const char *key, bool version13)
{
    struct identity who;
    for (unsigned i = 1; i <= 4; i++)
        if (connects("acme/boiler-9", key, version13, &who)) {
            cr_assert_str_eq(who.key, strcmp(key, OLD_KEY) == 0 ? "k1" : "k2");
            return i;
        }
    return 0;
}

/* T24 */
Test(dtls_keys, both_keys_of_a_rotation_work_within_two_attempts)
{
    put_two();
    for (unsigned version13 = 0; version13 < 2; version13++) {
        cr_assert_leq(attempts(NEW_KEY, version13), 2);
        unsigned first = attempts(OLD_KEY, version13);
        cr_assert(first == 1 || first == 2, "%u", first);
        cr_assert_eq(attempts(OLD_KEY, version13), 1, "what was proved comes first");
        first = attempts(NEW_KEY, version13);
        cr_assert(first == 1 || first == 2, "%u", first);
        cr_assert_eq(attempts(NEW_KEY, version13), 1);
    }
    cr_assert_eq(attempts("no key of it....", false), 0);
}

/* A stranger who shakes hands in the device's name from elsewhere does not take its turns. */
Test(dtls_keys, others_do_not_spend_the_turns_of_a_device)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.identity = "acme/boiler-9", .key = "a stranger's key"};
    put_two();
    cr_assert_leq(attempts(NEW_KEY, false), 2);
    cr_assert(lab_pair_open(&pair, &lab, &options));
    pair.remote = lab_address("203.0.113.5", 4000);
    cr_assert_not(lab_handshake(&pair));
    lab_pair_close(&pair);
    cr_assert_eq(attempts(NEW_KEY, false), 1);
}

Test(dtls_keys, an_identity_may_say_which_key_it_means)
{
    struct identity who;
    put_two();
    for (unsigned version13 = 0; version13 < 2; version13++) {
        cr_assert(connects("acme/boiler-9/k1", OLD_KEY, version13, &who));
        cr_assert_str_eq(who.key, "k1");
        cr_assert(connects("acme/boiler-9/k2", NEW_KEY, version13, &who));
        cr_assert_str_eq(who.device, "boiler-9");
        cr_assert_not(connects("acme/boiler-9/k1", NEW_KEY, version13, &who));
        cr_assert_not(connects("acme/boiler-9/k3", NEW_KEY, version13, &who));
        cr_assert_not(connects("acme/boiler-9/", NEW_KEY, version13, &who));
        cr_assert_not(connects("acme/boiler-9/k1/k1", OLD_KEY, version13, &who));
    }
}

Test(dtls_keys, a_key_is_good_in_its_time_only)
{
    struct credential psk = lab_psk("k1", OLD_KEY);
    psk.not_before_s = 1000;
    psk.not_after_s = 2000;
    put(&(struct device_record){.id = "boiler-9"}, &psk, 1);
    dtls_set_time(lab.dtls, 999);
    cr_assert_not(connects("acme/boiler-9", OLD_KEY, false, NULL));
    cr_assert_not(connects("acme/boiler-9/k1", OLD_KEY, false, NULL));
    dtls_set_time(lab.dtls, 1000);
    cr_assert(connects("acme/boiler-9", OLD_KEY, false, NULL));
    dtls_set_time(lab.dtls, 2000);
    cr_assert_not(connects("acme/boiler-9", OLD_KEY, false, NULL));
}

Test(dtls_keys, a_session_ends_when_its_key_does)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.identity = "acme/boiler-9", .key = OLD_KEY};
    struct credential psk = lab_psk("k1", OLD_KEY);
    psk.not_after_s = 1010;
    put(&(struct device_record){.id = "boiler-9"}, &psk, 1);
    cr_assert(lab_pair_open(&pair, &lab, &options));
    cr_assert(lab_handshake(&pair));
    cr_assert_eq(dtls_session_deadline(pair.session), lab.now_ms + 10000);
    cr_assert(dtls_session_timeout(pair.session, lab.now_ms + 10000, lab_output(&pair.to_client)), "the clock was set");
    dtls_set_time(lab.dtls, 1010);
    cr_assert_not(dtls_session_timeout(pair.session, lab.now_ms + 20000, lab_output(&pair.to_client)));
    cr_assert_not(dtls_session_holds(pair.session));
    lab_pair_close(&pair);
}

/* What happens to a session of the first of two keys of boiler-9. */
enum change { REMOVE_IT, REMOVE_THE_OTHER, REPLACE_IT, DISABLE, MAKE_A_PERSON, SET_TAGS };

static bool holds_after(enum change change)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.identity = "acme/boiler-9/k1", .key = OLD_KEY};
    struct credential two[] = {lab_psk("k1", OLD_KEY), lab_psk("k2", NEW_KEY)};
    struct device_record device = {.id = "boiler-9", .tags = "", .disabled = change == DISABLE,
                                   .role = change == MAKE_A_PERSON ? ROLE_VIEWER : ROLE_DEVICE};
    put_two();
    cr_assert(lab_pair_open(&pair, &lab, &options));
    cr_assert(lab_handshake(&pair));
    cr_assert(dtls_session_holds(pair.session));
    if (change == REPLACE_IT)
        two[0] = lab_psk("k1", "another key.....");
    if (change == SET_TAGS)
        strcpy(device.tags, "cellar");
    put(&device, change == REMOVE_IT ? two + 1 : two, change == REMOVE_IT || change == REMOVE_THE_OTHER ? 1 : 2);
    bool holds = dtls_session_holds(pair.session);
    lab_pair_close(&pair);
    return holds;
}

Test(dtls_keys, a_session_rests_on_its_own_credential)
{
    cr_assert_not(holds_after(REMOVE_IT));
    cr_assert(holds_after(REMOVE_THE_OTHER));
    cr_assert_not(holds_after(REPLACE_IT));
    cr_assert_not(holds_after(DISABLE));
    cr_assert_not(holds_after(MAKE_A_PERSON));
    cr_assert(holds_after(SET_TAGS));
}

/* Groups */

static struct group_record group_of_meters(void)
{
    struct group_record group = {.tenant = "acme", .id = "meters", .pattern = "meter-*"};
    secret_set(&group.key, bytes_of_text("0123456789abcdef0123456789abcdef"));
    return group;
}

static const char *derived_key(const char *device)
{
    static struct secret key;
    struct group_record group = group_of_meters();
    cr_assert(derive_psk(&group, bytes_of_text(device), &key));
    cr_assert_eq(key.len, 32);
    return memchr(key.octets, 0, 32) ? NULL : (const char *)key.octets; /* the lab's keys are text */
}

/* Ids whose keys have no NUL, which the lab's client cannot say. */
#define METER "meter-1"

/* openssl: printf meter-1 | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef */
Test(dtls_keys, derived_keys_are_those_that_others_compute)
{
    struct group_record group = group_of_meters();
    struct secret psk, mac;
    uint8_t expected[32];
    struct bytes key = bytes_of(group.key.octets, group.key.len);
    cr_assert(derive_psk(&group, bytes_of_text(METER), &psk) && derive_mac_key(&group, bytes_of_text(METER), &mac));
    cr_assert(crypto_hmac_sha256(key, bytes_of_text(METER), (struct bytes){0}, expected));
    cr_assert_arr_eq(psk.octets, expected, 32);
    cr_assert(crypto_hmac_sha256(key, bytes_of_text("mac:" METER), (struct bytes){0}, expected));
    cr_assert_arr_eq(mac.octets, expected, 32);
}

Test(dtls_keys, a_device_of_a_group_needs_no_record)
{
    struct group_record group = group_of_meters();
    struct identity who;
    const char *key = derived_key(METER);
    cr_assert_not_null(key, "choose another id");
    cr_assert_not(connects("acme/" METER, key, false, NULL), "no such group");
    cr_assert(registry_put_group(lab.registry, &group));
    for (unsigned version13 = 0; version13 < 2; version13++) {
        cr_assert(connects("acme/" METER, key, version13, &who));
        cr_assert_eq(who.kind, IDENTITY_DEVICE);
        cr_assert_str_eq(who.device, METER);
        cr_assert_str_eq(who.key, "");
        cr_assert_not(connects("acme/meter-2", key, version13, NULL), "another device's key");
        cr_assert_not(connects("acme/pump-1", key, version13, NULL));
        cr_assert_not(connects("acme/" METER "/meters", key, version13, NULL));
    }
    group.disabled = true;
    cr_assert(registry_put_group(lab.registry, &group));
    cr_assert_not(connects("acme/" METER, key, false, NULL));
}

/* Whether a handshake works, and a session that was there before goes on, when the device has this record. */
static void cr_with_record(struct device_record *device, struct credential *own, bool works, const char *what)
{
    static struct lab_pair pair;
    const char *key = derived_key(METER);
    struct group_record group = group_of_meters();
    struct lab_client_options options = {.identity = "acme/" METER, .key = key};
    cr_assert(registry_put_group(lab.registry, &group));
    cr_assert(lab_pair_open(&pair, &lab, &options));
    cr_assert(lab_handshake(&pair));
    put(device, own, own ? 1 : 0);
    cr_assert_eq(dtls_session_holds(pair.session), works, "%s", what);
    lab_pair_close(&pair);
    unsigned tries = 1;
    while (tries < 3 && !connects("acme/" METER, key, false, NULL))
        tries++;
    cr_assert_eq(tries < 3, works, "%s", what);
    registry_remove_device(lab.registry, BYTES_LITERAL("acme"), BYTES_LITERAL(METER));
}

Test(dtls_keys, a_record_says_whether_the_key_of_the_group_counts)
{
    struct credential own = lab_psk("own", NEW_KEY), offered = lab_psk("next", NEW_KEY), name = lab_x509("x");
    offered.offered = true;
    offered.created_s = 900;
    cr_with_record(&(struct device_record){.id = METER, .group = "meters"}, NULL, true, "appeared");
    cr_with_record(&(struct device_record){.id = METER, .group = "meters", .disabled = true}, NULL, false, "banned");
    cr_with_record(&(struct device_record){.id = METER}, NULL, false, "of no group");
    cr_with_record(&(struct device_record){.id = METER, .group = "others"}, NULL, false, "of an unknown group");
    cr_with_record(&(struct device_record){.id = METER, .group = "meters"}, &own, false, "has its own");
    cr_with_record(&(struct device_record){.id = METER, .group = "meters"}, &offered, true, "was offered one");
    cr_with_record(&(struct device_record){.id = METER, .group = "meters"}, &name, true, "has a certificate too");
}

Test(dtls_keys, a_disabled_or_changed_group_ends_its_sessions)
{
    static struct lab_pair pair;
    struct group_record group = group_of_meters();
    struct lab_client_options options = {.identity = "acme/" METER, .key = derived_key(METER)};
    cr_assert(registry_put_group(lab.registry, &group));
    cr_assert(lab_pair_open(&pair, &lab, &options));
    cr_assert(lab_handshake(&pair));
    group.disabled = true;
    cr_assert(registry_put_group(lab.registry, &group));
    cr_assert_not(dtls_session_holds(pair.session));
    group.disabled = false;
    group.key.octets[0] ^= 1;
    cr_assert(registry_put_group(lab.registry, &group));
    cr_assert_not(dtls_session_holds(pair.session), "another key");
    lab_pair_close(&pair);
}

/* Its PSK would be the MAC key of "meter-1". */
Test(dtls_keys, nobody_is_called_like_the_label)
{
    struct group_record group = group_of_meters();
    strcpy(group.pattern, "*");
    cr_assert(registry_put_group(lab.registry, &group));
    cr_assert_not_null(derive_group(lab.registry, BYTES_LITERAL("acme"), BYTES_LITERAL("meter-1")));
    cr_assert_null(derive_group(lab.registry, BYTES_LITERAL("acme"), BYTES_LITERAL("mac:meter-1")));
}

/* People and authorities */

Test(dtls_keys, a_record_with_a_role_is_a_person)
{
    static const enum role roles[] = {ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN};
    struct credential psk = lab_psk("laptop", OLD_KEY);
    struct identity who;
    for (unsigned i = 0; i < 3; i++) {
        put(&(struct device_record){.id = "anna", .role = roles[i]}, &psk, 1);
        cr_assert(connects("acme/anna", OLD_KEY, false, &who));
        cr_assert_eq(who.kind, IDENTITY_OPERATOR);
        cr_assert_eq(who.role, roles[i]);
        cr_assert_str_eq(who.key, "laptop");
    }
}

static bool certificate_connects_as(struct lab *with, const struct lab_certificate *certificate, bool version13,
                                    struct identity *ret_who)
{
    static struct lab_pair pair;
    struct lab_client_options options = {.certificate_der = certificate->der, .certificate_len = certificate->len,
                                         .key_der = certificate->key, .key_len = certificate->key_len,
                                         .version13 = version13};
    cr_assert(lab_pair_open(&pair, with, &options));
    bool ok = lab_handshake(&pair);
    if (ok)
        *ret_who = *dtls_session_identity(pair.session);
    lab_pair_close(&pair);
    return ok;
}

static bool certificate_connects(struct lab *with, const struct lab_certificate *certificate, bool version13)
{
    struct identity ignored;
    return certificate_connects_as(with, certificate, version13, &ignored);
}

/* Two authorities that the settings trust; the credential wants the first. */
Test(dtls_keys, a_credential_of_the_kind_ca_wants_that_very_authority)
{
    static struct lab with;
    static struct lab_certificate first, second, leaf;
    cr_assert(lab_certificate_make(&first, NULL, "Acme devices", 0, false));
    cr_assert(lab_certificate_make(&second, NULL, "Acme devices 2", 0, false));
    struct credential ca = lab_spki(CREDENTIAL_CA, bytes_of(first.spki, first.spki_len), "sensor-1");
    struct device_record device = {.tenant = "acme", .id = "sensor-1", .credentials = &ca, .credential_count = 1};
    lab_prepare(&with);
    cr_assert(lab_trust(&with, &first) && lab_trust(&with, &second));
    cr_assert(lab_open(&with));
    cr_assert(registry_put_device(with.registry, &device));
    for (unsigned version13 = 0; version13 < 2; version13++) {
        cr_assert(lab_certificate_make(&leaf, &first, "sensor-1", 0x82, false));
        cr_assert(certificate_connects(&with, &leaf, version13));
        cr_assert(lab_certificate_make(&leaf, &second, "sensor-1", 0x82, false));
        cr_assert_not(certificate_connects(&with, &leaf, version13));
    }
    lab_close(&with);
}

/* As enrolment makes them: of one certificate's key alone. */
Test(dtls_keys, a_credential_of_one_leaf_wants_that_leaf)
{
    static struct lab with;
    static struct lab_certificate authority, mine, earlier;
    cr_assert(lab_certificate_make(&authority, NULL, "Acme devices", 0, false));
    cr_assert(lab_certificate_make(&mine, &authority, "sensor-1", 0x82, false));
    cr_assert(lab_certificate_make(&earlier, &authority, "sensor-1", 0x82, false));
    struct credential ca = lab_spki(CREDENTIAL_CA, bytes_of(authority.spki, authority.spki_len), "sensor-1");
    cr_assert(crypto_sha256(bytes_of(mine.spki, mine.spki_len), (struct bytes){0}, ca.public + CREDENTIAL_DIGEST_BYTES));
    ca.public_len = CREDENTIAL_CA_LEAF;
    struct device_record device = {.tenant = "acme", .id = "sensor-1", .credentials = &ca, .credential_count = 1};
    lab_prepare(&with);
    cr_assert(lab_trust(&with, &authority));
    cr_assert(lab_open(&with));
    cr_assert(registry_put_device(with.registry, &device));
    for (unsigned version13 = 0; version13 < 2; version13++) {
        cr_assert(certificate_connects(&with, &mine, version13));
        cr_assert_not(certificate_connects(&with, &earlier, version13));
    }
    lab_close(&with);
}

static void put_ca(struct lab *with, const char *tenant, const struct lab_certificate *certificate)
{
    struct ca_record ca = {.id = "ca-1", .certificate_len = (uint16_t)certificate->len, .not_after_s = INT64_MAX};
    struct tenant_record owner = {0};
    snprintf(ca.tenant, sizeof ca.tenant, "%s", tenant);
    snprintf(owner.id, sizeof owner.id, "%s", tenant);
    cr_assert_leq(certificate->len, sizeof ca.certificate);
    memcpy(ca.certificate, certificate->der, certificate->len);
    cr_assert(crypto_sha256(bytes_of(certificate->spki, certificate->spki_len), (struct bytes){0}, ca.spki));
    cr_assert(registry_put_tenant(with->registry, &owner) && registry_put_ca(with->registry, &ca));
}

/* Nothing in the settings; an authority in the registry, which names devices of its own tenant only. */
Test(dtls_keys, the_authority_of_a_tenant_is_trusted_for_that_tenant)
{
    static struct lab_certificate authority, stranger, leaf, forged, expired;
    cr_assert(lab_certificate_make(&authority, NULL, "Acme devices", 0, false));
    cr_assert(lab_certificate_make(&stranger, NULL, "Acme devices", 0, false));
    cr_assert(lab_certificate_make(&leaf, &authority, "sensor-1", 0x82, false));
    cr_assert(lab_certificate_make(&forged, &stranger, "sensor-1", 0x82, false));
    cr_assert(lab_certificate_make(&expired, &authority, "sensor-1", 0x82, true));
    struct credential kinds[] = {lab_spki(CREDENTIAL_CA, bytes_of(authority.spki, authority.spki_len), "sensor-1"),
                                 lab_x509("sensor-1")};
    for (unsigned i = 0; i < 2; i++)
        for (unsigned version13 = 0; version13 < 2; version13++) {
            put(&(struct device_record){.id = "sensor-1"}, &kinds[i], 1);
            cr_assert_not(certificate_connects(&lab, &leaf, version13), "no authority");
            put_ca(&lab, "acme", &authority);
            cr_assert(certificate_connects(&lab, &leaf, version13));
            cr_assert_not(certificate_connects(&lab, &forged, version13), "another authority of the same name");
            cr_assert_not(certificate_connects(&lab, &expired, version13));
            registry_remove_ca(lab.registry, BYTES_LITERAL("acme"), BYTES_LITERAL("ca-1"));
            put_ca(&lab, "emca", &authority);
            cr_assert_not(certificate_connects(&lab, &leaf, version13), "another tenant's authority");
            registry_remove_ca(lab.registry, BYTES_LITERAL("emca"), BYTES_LITERAL("ca-1"));
        }
}

static void put_of(struct lab *with, const char *tenant, const char *id, struct credential *credential, bool disabled)
{
    struct device_record device = {.disabled = disabled, .credentials = credential, .credential_count = 1};
    struct tenant_record owner = {0};
    snprintf(owner.id, sizeof owner.id, "%s", tenant);
    snprintf(device.tenant, sizeof device.tenant, "%s", tenant);
    snprintf(device.id, sizeof device.id, "%s", id);
    cr_assert(registry_put_tenant(with->registry, &owner) && registry_put_device(with->registry, &device));
}

/* Of an authority of the settings: all tenants' devices count, and the first has it, even if it may not come in. */
Test(dtls_keys, a_certificate_is_of_the_device_that_had_its_name_first)
{
    static struct lab with;
    static struct lab_certificate authority, leaf;
    struct identity who;
    cr_assert(lab_certificate_make(&authority, NULL, "Devices", 0, false));
    cr_assert(lab_certificate_make(&leaf, &authority, "sensor-1", 0x82, false));
    struct credential first = lab_x509("sensor-1"), later;
    later = lab_spki(CREDENTIAL_CA, bytes_of(authority.spki, authority.spki_len), "sensor-1");
    cr_assert(crypto_sha256(bytes_of(leaf.spki, leaf.spki_len), (struct bytes){0}, later.public + CREDENTIAL_DIGEST_BYTES));
    first.created_s = 100;
    later.created_s = 101;
    lab_prepare(&with);
    cr_assert(lab_trust(&with, &authority));
    cr_assert(lab_open(&with));
    for (unsigned i = 0; i < 2; i++) {
        later.public_len = i ? CREDENTIAL_CA_LEAF : CREDENTIAL_CA_ANY;
        put_of(&with, "evil", "thief", &later, false);
        cr_assert(certificate_connects_as(&with, &leaf, i, &who));
        cr_assert_str_eq(who.device, "thief", "nobody else has it");
        put_of(&with, "acme", "sensor-1", &first, false);
        cr_assert(certificate_connects_as(&with, &leaf, i, &who));
        cr_assert_str_eq(who.device, "sensor-1");
        put_of(&with, "acme", "sensor-1", &first, true);
        cr_assert_not(certificate_connects(&with, &leaf, i), "it is nobody's while the first is disabled");
        registry_remove_device(with.registry, BYTES_LITERAL("acme"), BYTES_LITERAL("sensor-1"));
    }
    lab_close(&with);
}

/* Not even whoever was first with the name shuts out what a tenant's own authority has signed. */
Test(dtls_keys, a_tenants_own_certificate_is_of_its_own_device)
{
    static struct lab_certificate authority, leaf;
    struct identity who;
    cr_assert(lab_certificate_make(&authority, NULL, "Acme devices", 0, false));
    cr_assert(lab_certificate_make(&leaf, &authority, "sensor-1", 0x82, false));
    struct credential early[] = {lab_spki(CREDENTIAL_CA, bytes_of(authority.spki, authority.spki_len), "sensor-1"),
                                 lab_x509("sensor-1")};
    struct credential mine = lab_x509("sensor-1");
    mine.created_s = 100;
    put_ca(&lab, "acme", &authority);
    for (unsigned i = 0; i < 2; i++) {
        put_of(&lab, "evil", "thief", &early[i], i);
        cr_assert_not(certificate_connects(&lab, &leaf, i), "not by another tenant's authority");
        put_of(&lab, "acme", "sensor-1", &mine, false);
        cr_assert(certificate_connects_as(&lab, &leaf, i, &who));
        cr_assert_str_eq(who.device, "sensor-1");
        cr_assert_str_eq(who.tenant, "acme");
        registry_remove_device(lab.registry, BYTES_LITERAL("acme"), BYTES_LITERAL("sensor-1"));
    }
}
