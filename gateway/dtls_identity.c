// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who is it? Called by wolfSSL in the middle of a handshake, synchronously, which is why the registry is in
 * memory.
 *
 * PSK: the identity is "tenant/device", or "tenant/device/key" for one of several. Without a key those that
 * are good now are tried in turn (dtls_choice), and after them the key that is derived from the device's
 * group (gateway/derive). One that does not exist, is disabled or malformed gets a key that nobody has,
 * derived from the identity, so that it fails where and how a wrong key fails (RFC 4279 section 2). One that
 * enrols says TENANT/+BATCH or TENANT/+BATCH/SERIAL (gateway/bootstrap). X.509: the chain must be trusted
 * (dtls_trust), and the name of the leaf (SubjectAltName URI, then DNS, then CN) must be one of a device. Raw
 * public key: only if negotiated, and the SHA-256 of its SubjectPublicKeyInfo must be one of a device;
 * wolfSSL itself authenticates no raw key.
 *
 * What it was proved with is remembered as a hash, so that a session ends when that is changed, removed or
 * too old.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include "codec/hex.h"
#include "gateway/bootstrap.h"
#include "gateway/crypto.h"
#include "gateway/derive.h"
#include "gateway/dtls_private.h"
#include "gateway/rt/log.h"

#include <string.h>

#define PSK_IDENTITY_MAX 128 /* RFC 7925 4.2 */
#define DUMMY_KEY_BYTES 16
#define WRONG_LENGTH SIZE_MAX
#define CANDIDATES_MAX (CREDENTIALS_MAX + 1)

uint64_t dtls_identity_hash(const struct dtls *dtls, const char *tenant, const char *device)
{
    return hash_pair(&dtls->hash_key, bytes_of_text(tenant), bytes_of_text(device));
}

static uint64_t hash_of_secret(const struct dtls *dtls, const struct secret *secret)
{
    return hash_bytes(&dtls->hash_key, bytes_of(secret->octets, secret->len));
}

static uint64_t hash_of_credential(const struct dtls *dtls, const struct credential *credential)
{
    if (credential_is_secret(credential->kind))
        return hash_of_secret(dtls, &credential->secret);
    return hash_pair(&dtls->hash_key, bytes_of(credential->public, credential->public_len),
                     credential_name(credential));
}

/* What shall be believed when the handshake is done. */
struct claim {
    struct bytes tenant, device;
    const struct device_record *record;   /* NULL: there is none yet */
    const struct credential *credential;  /* NULL: derived from the group */
    const struct group_record *group;
    enum evidence evidence;
};

static enum identity_kind kind_of(enum role role)
{
    return role == ROLE_DEVICE ? IDENTITY_DEVICE : role == ROLE_BOOTSTRAP ? IDENTITY_BOOTSTRAP : IDENTITY_OPERATOR;
}

/* Whoever observes was allowed to when it began; so a session ends with the rights that it began with. A
 * record that only now appears (gateway/appear) changes nothing. */
static uint64_t hash_of_rights(const struct dtls *dtls, const struct device_record *record)
{
    static const struct device_record none;
    const struct device_record *device = record ? record : &none;
    uint8_t flags[] = {device->concentrator, (uint8_t)device->role};
    struct bytes parts[] = {bytes_of(flags, sizeof flags), bytes_of_text(device->prefix),
                            bytes_of_text(device->role == ROLE_DEVICE ? "" : device->site)};
    return hash_parts(&dtls->hash_key, parts, 3);
}

static struct dtls_proof proof_of(const struct dtls *dtls, const struct claim *claim)
{
    struct dtls_proof proof = {.rights = hash_of_rights(dtls, claim->record), .is_derived = !claim->credential};
    proof.material = claim->credential ? hash_of_credential(dtls, claim->credential)
                                       : hash_of_secret(dtls, &claim->group->key);
    proof.not_after_s = claim->credential ? claim->credential->not_after_s : 0;
    return proof;
}

/* Fills in who it is, if the device may speak and has not shaken hands too often. */
static bool recognise(struct dtls_session *session, const struct claim *claim)
{
    const struct dtls *dtls = session->owner;
    struct identity who = {.evidence = claim->evidence, .role = claim->record ? claim->record->role : ROLE_DEVICE};
    memcpy(who.tenant, claim->tenant.ptr, claim->tenant.len);
    memcpy(who.device, claim->device.ptr, claim->device.len);
    if (!registry_device_may_speak(dtls->registry, claim->tenant, claim->device) ||
        !limiter_allows(&dtls->devices, dtls_identity_hash(dtls, who.tenant, who.device), dtls->now_ms))
        return false;
    who.kind = kind_of(who.role);
    if (claim->credential)
        memcpy(who.key, claim->credential->id, sizeof who.key);
    session->who = who;
    session->proof = proof_of(dtls, claim);
    return true;
}

/* Pre-shared keys. */

struct psk_name {
    struct bytes tenant, device, key; /* key: empty if it names none */
    bool enrols;                      /* device is a batch, key a serial number */
};

static bool is_batch(struct bytes device)
{
    return device.len > 1 && device.ptr[0] == BATCH_MARK &&
           schema_group_is_valid(bytes_of(device.ptr + 1, device.len - 1));
}

static bool split_identity(struct bytes identity, struct psk_name *ret)
{
    struct bytes parts[3] = {{0}};
    unsigned count = 0;
    for (bool more = true; more; count++) {
        const uint8_t *slash = identity.len ? memchr(identity.ptr, '/', identity.len) : NULL;
        more = slash != NULL;
        if (count == 3)
            return false;
        parts[count] = bytes_of(identity.ptr, slash ? (size_t)(slash - identity.ptr) : identity.len);
        identity = slash ? bytes_of(slash + 1, identity.len - parts[count].len - 1) : (struct bytes){0};
    }
    *ret = (struct psk_name){parts[0], parts[1], parts[2], false};
    if (count >= 2 && schema_tenant_is_valid(ret->tenant) && is_batch(ret->device)) {
        ret->device = bytes_of(ret->device.ptr + 1, ret->device.len - 1);
        ret->enrols = true;
        return count == 2 || batch_serial_is_valid(ret->key);
    }
    return count >= 2 && schema_tenant_is_valid(ret->tenant) && schema_device_is_valid(ret->device) &&
           (count == 2 || credential_id_is_valid(ret->key));
}

/* Good keys of one identity: credentials, the newest first, then NULL for the derived one. */
struct candidates {
    const struct credential *items[CANDIDATES_MAX];
    size_t count;
};

static void add_by_age(struct candidates *candidates, const struct credential *credential)
{
    size_t at = candidates->count++;
    for (; at > 0 && candidates->items[at - 1]->created_s < credential->created_s; at--)
        candidates->items[at] = candidates->items[at - 1];
    candidates->items[at] = credential;
}

static struct candidates find_candidates(const struct dtls *dtls, const struct psk_name *name,
                                         const struct claim *claim)
{
    struct candidates candidates = {.count = 0};
    const struct credential *credential = NULL;
    while (claim->record && (credential = record_credential(claim->record, CREDENTIAL_PSK, dtls->wall_s, credential)))
        if (name->key.len == 0 || bytes_equal_text(name->key, credential->id))
            add_by_age(&candidates, credential);
    if (claim->group && name->key.len == 0)
        candidates.items[candidates.count++] = NULL;
    return candidates;
}

/* Never 0, which is: none. */
static uint64_t hash_of_candidate(const struct dtls *dtls, const struct credential *credential)
{
    return hash_bytes(&dtls->hash_key, bytes_of_text(credential ? credential->id : "")) | 1;
}

/* The one that was proved last comes first. */
static const struct credential *candidate_of_turn(const struct dtls *dtls, const struct candidates *candidates,
                                                  const struct dtls_choice_state *state)
{
    size_t turn = state->turn % candidates->count, first = candidates->count;
    for (size_t i = 0; i < candidates->count; i++)
        if (hash_of_candidate(dtls, candidates->items[i]) == state->proved)
            first = i;
    if (first == candidates->count)
        return candidates->items[turn];
    return candidates->items[turn == 0 ? first : turn <= first ? turn - 1 : turn];
}

/* The library may ask more than once in one handshake, and must hear the same. */
static const struct credential *choose(struct dtls_session *session, const struct psk_name *name,
                                       const struct candidates *candidates)
{
    const struct dtls *dtls = session->owner;
    struct dtls_turn *turn = &session->turn;
    if (candidates->count == 1)
        return candidates->items[0];
    if (!turn->is_spent) {
        turn->who = dtls_choice_who(dtls->choice, name->tenant, name->device, session->network);
        turn->state = dtls_choice_read(dtls->choice, turn->who);
    }
    turn->is_one_of_several = true;
    const struct credential *chosen = candidate_of_turn(dtls, candidates, &turn->state);
    turn->candidate = hash_of_candidate(dtls, chosen);
    return chosen;
}

/* The handshake goes on with the key that it was given. */
static void spend_turn(struct dtls_session *session)
{
    struct dtls_turn *turn = &session->turn;
    if (!turn->is_one_of_several || turn->is_spent)
        return;
    turn->is_spent = true;
    dtls_choice_tried(session->owner->choice, turn->who);
}

void dtls_identity_proved(struct dtls_session *session)
{
    const struct dtls_turn *turn = &session->turn;
    if (turn->is_one_of_several)
        dtls_choice_proved(session->owner->choice, turn->who, turn->candidate);
}

/* Many boxes share one identity here, so what bounds the handshakes of one device does not bound these. */
static bool find_bootstrap(struct dtls_session *session, const struct psk_name *name, struct secret *ret)
{
    const struct dtls *dtls = session->owner;
    struct identity who;
    const struct batch_record *batch = registry_batch(dtls->registry, name->tenant, name->device);
    if (!batch || (batch->per_device && name->key.len == 0) || !bootstrap_identity(batch, name->key, &who) ||
        !bootstrap_batch(dtls->registry, &who, dtls->wall_s))
        return false;
    *ret = batch->secret;
    if (name->key.len && !bootstrap_psk(batch, name->key, ret))
        return false;
    who.evidence = EVIDENCE_PSK;
    session->who = who;
    session->proof = (struct dtls_proof){.material = hash_of_secret(dtls, &batch->secret)};
    return true;
}

/* For people who ask why: of devices that the registry has. no_key: what is said if it had no key; NULL: it had one. */
static void tell_why_not(struct dtls_session *session, const struct claim *claim, const char *no_key)
{
    const struct registry *registry = session->owner->registry;
    if (!claim->record)
        return;
    session->named = (struct identity){.kind = IDENTITY_DEVICE, .evidence = claim->evidence};
    memcpy(session->named.tenant, claim->tenant.ptr, claim->tenant.len);
    memcpy(session->named.device, claim->device.ptr, claim->device.len);
    session->failure = no_key ? no_key
                       : !registry_device_may_speak(registry, claim->tenant, claim->device)
                           ? "The device or its tenant is disabled."
                           : "The device shakes hands too often.";
}

/* The key that shall be right; false: nobody, or nobody who may speak. */
static bool find_psk(struct dtls_session *session, const struct psk_name *name, struct secret *ret)
{
    const struct dtls *dtls = session->owner;
    struct claim claim = {.tenant = name->tenant, .device = name->device, .evidence = EVIDENCE_PSK};
    if (name->enrols)
        return find_bootstrap(session, name, ret);
    claim.record = registry_device(dtls->registry, name->tenant, name->device);
    claim.group = derive_group(dtls->registry, name->tenant, name->device);
    struct candidates candidates = find_candidates(dtls, name, &claim);
    if (candidates.count == 0) {
        tell_why_not(session, &claim, "It named a key that the device does not have, or that is not good now.");
        return false;
    }
    claim.credential = choose(session, name, &candidates);
    if (claim.credential)
        *ret = claim.credential->secret;
    else if (!derive_psk(claim.group, name->device, ret))
        return false;
    if (recognise(session, &claim))
        return true;
    tell_why_not(session, &claim, NULL);
    return false;
}

/* wolfSSL gives the identity as text, as if it could not have a NUL; expected_len is what was on the wire. */
static unsigned psk_of(struct dtls_session *session, const char *text, size_t expected_len, uint8_t *key,
                       unsigned key_max)
{
    const struct dtls *dtls = session->owner;
    uint8_t dummy[CRYPTO_SHA256_BYTES];
    struct secret found = {0};
    struct psk_name name;
    struct bytes identity = bytes_of(text, strnlen(text, PSK_IDENTITY_MAX + 1));
    bool sound = identity.len == expected_len && identity.len <= PSK_IDENTITY_MAX && split_identity(identity, &name);
    session->who = session->named = (struct identity){0};
    /* Made in any case, so that it takes the same time. */
    if (key_max < SECRET_MAX || !crypto_hmac_sha256(bytes_of(dtls->dummy_key, sizeof dtls->dummy_key), identity,
                                                    (struct bytes){0}, dummy))
        return 0;
    bool ok = sound && find_psk(session, &name, &found);
    if (!ok)
        secret_set(&found, bytes_of(dummy, DUMMY_KEY_BYTES));
    if (wolfSSL_is_stateful(session->ssl)) /* its cookie was right */
        spend_turn(session);
    unsigned len = found.len;
    memcpy(key, found.octets, len);
    secret_wipe(&found);
    return len;
}

static unsigned psk_callback_12(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max)
{
    struct dtls_session *session = wolfSSL_GetIOReadCtx(ssl);
    return psk_of(session, identity, session->psk_identity_len, key, key_max);
}

/* One suite belongs to the key (RFC 8446 4.2.11); both of ours have SHA-256, so the client may have its choice. */
static unsigned psk_callback_13(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max,
                                const char **suite)
{
    struct dtls_session *session = wolfSSL_GetIOReadCtx(ssl);
    *suite = session->offers_aes_13 ? "TLS13-AES128-GCM-SHA256" : "TLS13-CHACHA20-POLY1305-SHA256";
    return psk_of(session, identity, session->psk_identity_is_bad ? WRONG_LENGTH : strlen(identity), key, key_max);
}

/* Certificates and raw keys. */

static struct bytes name_of_type(const DecodedCert *certificate, int type)
{
    for (const DNS_entry *name = certificate->altNames; name; name = name->next)
        if (name->type == type)
            return bytes_of(name->name, (size_t)name->len);
    return (struct bytes){0};
}

/* RFC 7252 9.1.3.3: SubjectAltName first, the common name only where there is none. No wildcards, no addresses. */
static struct bytes certificate_name(const DecodedCert *certificate)
{
    struct bytes name = name_of_type(certificate, ASN_URI_TYPE);
    if (name.len == 0)
        name = name_of_type(certificate, ASN_DNS_TYPE);
    if (name.len == 0 && !certificate->altNames && certificate->subjectCN)
        name = bytes_of(certificate->subjectCN, (size_t)certificate->subjectCNLen);
    return name;
}

static bool recognise_record(struct dtls_session *session, const struct device_record *record,
                             const struct credential *credential, enum evidence evidence)
{
    return record && recognise(session, &(struct claim){.tenant = bytes_of_text(record->tenant),
                                                        .device = bytes_of_text(record->id),
                                                        .record = record,
                                                        .credential = credential,
                                                        .evidence = evidence});
}

/* Whoever has the same by a younger credential is refused because of this device. The log of that one cannot say so,
 * because nothing that is shown leads to it; so this device's does, and for the operator of both the gateway's. */
static void tell_holder(struct dtls_session *session, const struct device_record *holder, bool has_key,
                        enum evidence evidence, struct bytes shown)
{
    char quoted[LOG_QUOTED_MAX];
    if (!holder)
        return;
    struct claim claim = {.tenant = bytes_of_text(holder->tenant), .device = bytes_of_text(holder->id),
                          .record = holder, .evidence = evidence};
    tell_why_not(session, &claim,
                 has_key ? NULL : "What was shown is this device's, of which no credential that fits is good now; "
                                  "nobody else gets it.");
    LOG_RATED(session->owner->now_ms, LOG_INFO, "dtls_identity",
              "what is shown is of a device that may not speak by it", "tenant=%s device=%s shown=%s reason=\"%s\"",
              holder->tenant, holder->id, log_quote(quoted, shown), session->failure);
}

/* What the authority of one tenant has signed names devices of that tenant only. */
static bool accept_name(struct dtls_session *session, struct bytes name, const struct dtls_issuer *issuer)
{
    const struct dtls *dtls = session->owner;
    const struct credential *credential = NULL;
    struct registry_chain chain = {bytes_of_text(issuer->tenant), name, issuer->spki, issuer->leaf};
    const struct device_record *record =
        registry_device_by_x509(dtls->registry, &chain, dtls->wall_s, &credential);
    if (!recognise_record(session, record, credential, EVIDENCE_X509)) {
        tell_holder(session, registry_holder_of_x509(dtls->registry, &chain), record != NULL, EVIDENCE_X509, name);
        return false;
    }
    session->proof.is_of_ca = issuer->tenant[0] != '\0';
    memcpy(session->proof.issuer, issuer->spki, sizeof session->proof.issuer);
    return true;
}

static bool accept_certificate(struct dtls_session *session, bool chain_is_good, const WOLFSSL_X509_STORE_CTX *store)
{
    const WOLFSSL_BUFFER_INFO *der = &store->certs[0];
    struct dtls_issuer issuer;
    DecodedCert *certificate = wolfSSL_Malloc(sizeof *certificate);
    if (!certificate)
        return false;
    wc_InitDecodedCert(certificate, der->buffer, (word32)der->length, NULL);
    bool ok = wc_ParseCert(certificate, CERT_TYPE, NO_VERIFY, NULL) == 0;
    if (ok) {
        struct bytes name = certificate_name(certificate);
        ok = name.len > 0 && dtls_trust_issuer(session->owner, store, chain_is_good, certificate, &issuer) &&
             accept_name(session, name, &issuer);
    }
    wc_FreeDecodedCert(certificate);
    wolfSSL_Free(certificate);
    return ok;
}

static bool accept_raw_key(struct dtls_session *session, const WOLFSSL_BUFFER_INFO *spki)
{
    const struct dtls *dtls = session->owner;
    const struct credential *credential = NULL;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char digits[2 * sizeof digest];
    if (!crypto_sha256(bytes_of(spki->buffer, spki->length), (struct bytes){0}, digest))
        return false;
    const struct device_record *record = registry_device_by_rpk(dtls->registry, digest, dtls->wall_s, &credential);
    if (recognise_record(session, record, credential, EVIDENCE_RPK))
        return true;
    tell_holder(session, registry_holder_of_rpk(dtls->registry, digest), record != NULL, EVIDENCE_RPK,
                bytes_of(digits, hex_write(bytes_of(digest, sizeof digest), digits)));
    return false;
}

/* A leaf that nothing in the settings has signed may be one of a tenant's authority. */
static bool may_be_of_tenant(const WOLFSSL_X509_STORE_CTX *store)
{
    return store->error == ASN_NO_SIGNER_E && store->error_depth == 0;
}

static int judge(int chain_is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct dtls_session *session = store->userCtx;
    int type = WOLFSSL_CERT_TYPE_UNKNOWN;
    if (!session || store->totalCerts < 1 || (!chain_is_good && !may_be_of_tenant(store)))
        return 0;
    if (store->error_depth != 0)
        return 1; /* of the chain; the leaf comes last */
    if (wolfSSL_get_negotiated_client_cert_type(session->ssl, &type) == WOLFSSL_SUCCESS &&
        type == WOLFSSL_CERT_TYPE_RPK)
        return chain_is_good && accept_raw_key(session, &store->certs[0]);
    return accept_certificate(session, chain_is_good, store);
}

/* Afterwards. */

struct trusted {
    const struct dtls_session *session;
    bool found;
};

static void look_at_ca(void *ctx, const struct ca_record *ca)
{
    struct trusted *trusted = ctx;
    const struct dtls_session *session = trusted->session;
    trusted->found |= strcmp(ca->tenant, session->who.tenant) == 0 && session->owner->wall_s < ca->not_after_s &&
                      memcmp(ca->spki, session->proof.issuer, sizeof ca->spki) == 0;
}

/* A credential outlives its authority's removal; the trust does not. */
static bool is_still_trusted(const struct dtls_session *session)
{
    struct trusted trusted = {.session = session};
    if (!session->proof.is_of_ca)
        return true;
    registry_walk_cas(session->owner->registry, look_at_ca, &trusted);
    return trusted.found;
}

bool dtls_identity_holds(const struct dtls_session *session)
{
    const struct dtls *dtls = session->owner;
    const struct identity *who = &session->who;
    struct bytes tenant = bytes_of_text(who->tenant), device = bytes_of_text(who->device);
    const struct device_record *record = registry_device(dtls->registry, tenant, device);
    if (who->kind == IDENTITY_BOOTSTRAP) {
        const struct batch_record *batch = bootstrap_batch(dtls->registry, who, dtls->wall_s);
        return batch && hash_of_secret(dtls, &batch->secret) == session->proof.material;
    }
    if (!registry_device_may_speak(dtls->registry, tenant, device) ||
        hash_of_rights(dtls, record) != session->proof.rights)
        return false;
    if (session->proof.is_derived) {
        const struct group_record *group = derive_group(dtls->registry, tenant, device);
        return group && hash_of_secret(dtls, &group->key) == session->proof.material;
    }
    const struct credential *credential = record ? record_credential_of_id(record, bytes_of_text(who->key)) : NULL;
    return credential && credential_is_good_at(credential, dtls->wall_s) &&
           hash_of_credential(dtls, credential) == session->proof.material && is_still_trusted(session);
}

void dtls_identity_install(WOLFSSL_CTX *context, bool version13)
{
    wolfSSL_CTX_set_psk_server_callback(context, psk_callback_12);
    if (version13)
        wolfSSL_CTX_set_psk_server_tls13_callback(context, psk_callback_13);
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_EXCEPT_PSK, judge);
}
