// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One attempt goes through the steps of prove_request; each fills in what the next one needs, or refuses.
 * Pointers into the registry do not outlive the call: what is kept is copied.
 */
#include "gateway/prove.h"

#include "codec/cose.h"
#include "codec/envelope.h"
#include "codec/jws.h"
#include "gateway/crypto.h"
#include "gateway/crypto_sign.h"
#include "gateway/delivery.h"
#include "gateway/derive.h"
#include "gateway/enrol.h"
#include "gateway/journal.h"
#include "gateway/limiter.h"
#include "gateway/worker.h"

#include <stdlib.h>

#define MINUTE_MS 60000
#define KEYS_MAX 4 /* of an envelope's device; a kid names two at most */

/* few: PROVE_FAILURES_MAX, of a session or of a key over one. many: PROVE_STRANGER_FAILURES_MAX, of an
 * address or of all that a concentrator brings. */
struct prove_guard {
    struct hash_key key;
    struct limiter few, many;
};

struct prove_guard *prove_guard_new(const struct hash_key *key)
{
    struct prove_guard *guard = calloc(1, sizeof *guard);
    if (!guard)
        return NULL;
    guard->key = *key;
    limiter_init(&guard->few, PROVE_FAILURES_MAX, MINUTE_MS);
    limiter_init(&guard->many, PROVE_STRANGER_FAILURES_MAX, MINUTE_MS);
    return guard;
}

void prove_guard_free(struct prove_guard *guard)
{
    free(guard);
}

/* --- is it signed? --- */

static bool form_of_word(struct bytes word, enum signed_form *ret)
{
    for (unsigned form = 0; form < SIGNED_FORMS; form++) {
        if (bytes_equal_text(word, signed_form_name((enum signed_form)form))) {
            *ret = (enum signed_form)form;
            return true;
        }
    }
    return false;
}

/* Whether a body of the form may be declared so by who cannot say it better. */
static bool may_carry(int content_format, enum signed_form form)
{
    switch (content_format) {
    case CONTENT_FORMAT_NONE:
    case CONTENT_FORMAT_OCTETS:
    case REQUEST_FORMAT_UNKNOWN:
        return true;
    case CONTENT_FORMAT_JSON:
    case CONTENT_FORMAT_TEXT:
        return form != SIGNED_COSE;
    case CONTENT_FORMAT_CBOR:
        return form == SIGNED_COSE;
    default:
        return false;
    }
}

static bool may_carry_any(int content_format)
{
    for (unsigned form = 0; form < SIGNED_FORMS; form++)
        if (may_carry(content_format, (enum signed_form)form))
            return true;
    return false;
}

/* The tenant as far as anybody has said it before the message is read; empty: nobody has. */
static struct bytes tenant_of(const struct request *request)
{
    return request->who.kind == IDENTITY_NONE ? request_query(request, "t", NULL)
                                              : bytes_of_text(request->who.tenant);
}

static bool form_of_profile(const struct request *request, enum signed_form *ret)
{
    const struct registry *registry = request->worker->shared->registry;
    struct bytes id = request_named_device(request, NULL);
    if (id.len == 0)
        id = bytes_of_text(request->who.device);
    if (!schema_device_is_valid(id))
        return false;
    const struct device_record *device = registry_device(registry, tenant_of(request), id);
    if (!device || !device->profile[0])
        return false;
    struct profile_record profile = registry_profile_of(registry, device);
    return form_of_word(bytes_of_text(profile.format), ret);
}

bool prove_is_wanted(const struct request *request, enum signed_form *ret)
{
    enum signed_form form;
    bool found;
    if (signed_form_of(request->content_format, ret))
        return true;
    if (!may_carry_any(request->content_format))
        return false;
    struct bytes word = request_query(request, "format", &found);
    if (!found)
        word = request_query(request, "f", &found);
    if (!(found ? form_of_word(word, &form) : form_of_profile(request, &form)) ||
        !may_carry(request->content_format, form))
        return false;
    *ret = form;
    return true;
}

/* --- an attempt --- */

struct candidate {
    struct bytes device, id; /* whose it is; id empty: derived */
    struct crypto_sign_key key;
};

struct attempt {
    struct request *request;
    struct proof *proof;
    int64_t now_s;
    struct bytes tenant;
    struct bytes name; /* of the key: kid without the tenant, or the device of an envelope */
    struct candidate keys[KEYS_MAX];
    unsigned key_count;
    const struct candidate *signer; /* the one of them that made the signature; NULL: none yet */
    struct failure_count {
        struct limiter *limiter;
        uint64_t of;
    } counts[2]; /* of failures */
    unsigned count_count;
    bool is_crowded; /* it failed too often over this concentrator's session, with whatever keys */
};

static const char unknown[] = "The key is not known here, or the signature does not hold.";

static struct registry *registry_of(const struct attempt *attempt)
{
    return attempt->request->worker->shared->registry;
}

static bool refuse_here(struct refusal *reterr, enum outcome outcome, const char *detail)
{
    return refuse(reterr, outcome, detail, SIZE_MAX);
}

/* --- the form --- */

static bool is_json_object(struct bytes text)
{
    while (text.len && strchr(" \t\r\n", text.ptr[0]))
        text = bytes_of(text.ptr + 1, text.len - 1);
    return text.len && text.ptr[0] == '{';
}

/* 65000 is compact, 65001 is not; what was declared otherwise shows which. */
static bool read_jws(struct attempt *attempt, struct bytes octets, struct refusal *reterr)
{
    int declared = attempt->request->content_format;
    bool json =
        declared == CONTENT_FORMAT_JOSE_JSON || (declared != CONTENT_FORMAT_JOSE && is_json_object(octets));
    attempt->proof->sink.content_format = json ? CONTENT_FORMAT_JOSE_JSON : CONTENT_FORMAT_JOSE;
    return (json ? jws_read_json : jws_read_compact)(octets, attempt->request->arena,
                                                     &attempt->proof->message, reterr);
}

static bool read_cose(struct attempt *attempt, struct bytes octets, struct refusal *reterr)
{
    int declared = attempt->request->content_format;
    struct signed_message *message = &attempt->proof->message;
    enum cose_msg_kind kind = declared == CONTENT_FORMAT_COSE_MAC0    ? COSE_MSG_MAC0
                              : declared == CONTENT_FORMAT_COSE_SIGN1 ? COSE_MSG_SIGN1
                                                                      : COSE_MSG_ANY;
    if (!cose_msg_read(octets, kind, attempt->request->arena, message, reterr))
        return false;
    bool is_mac = message->algorithm == SIGNED_HS256 || message->algorithm == SIGNED_HS256_64;
    attempt->proof->sink.content_format = is_mac ? CONTENT_FORMAT_COSE_MAC0 : CONTENT_FORMAT_COSE_SIGN1;
    return true;
}

/* Of a copy: the message borrows from it, and it is kept as evidence. */
static bool read_message(struct attempt *attempt, enum signed_form form, struct refusal *reterr)
{
    struct request *request = attempt->request;
    struct bytes *octets = &attempt->proof->sink.octets;
    if (!arena_copy(request->arena, request->body, octets))
        return refuse_memory(reterr);
    switch (form) {
    case SIGNED_JWS:
        return read_jws(attempt, *octets, reterr);
    case SIGNED_COSE:
        return read_cose(attempt, *octets, reterr);
    case SIGNED_ENVELOPE:
    case SIGNED_FORMS:
        break;
    }
    attempt->proof->sink.content_format = CONTENT_FORMAT_JSON;
    return envelope_read(*octets, &FORMAT_LIMITS_DEFAULT, request->arena, &attempt->proof->message, reterr);
}

/* --- the tenant --- */

/* False: another one was named before. */
static bool merge_tenant(struct bytes said, struct bytes *all)
{
    if (all->len == 0)
        *all = said;
    return said.len == 0 || bytes_equal(said, *all);
}

/* Each t of the query, not only the first. */
static bool merge_query(const struct request *request, struct bytes *all)
{
    bool agrees = true;
    for (size_t i = 0; i < request->query_count; i++)
        if (bytes_equal_text(request->query[i].name, "t"))
            agrees &= merge_tenant(request->query[i].value, all);
    return agrees;
}

static bool settle_tenant(struct attempt *attempt, struct refusal *reterr)
{
    const struct request *request = attempt->request;
    struct bytes kid = attempt->proof->message.kid, of_kid = {0};
    const uint8_t *slash = kid.len ? memchr(kid.ptr, '/', kid.len) : NULL;
    if (slash) {
        of_kid = bytes_of(kid.ptr, (size_t)(slash - kid.ptr));
        kid = bytes_of(slash + 1, kid.len - of_kid.len - 1);
        if (of_kid.len == 0)
            return refuse_here(reterr, OUTCOME_FORBIDDEN, "kid names an empty tenant.");
    }
    attempt->name = kid;
    attempt->tenant = bytes_of_text(request->who.tenant);
    if (!merge_query(request, &attempt->tenant) || !merge_tenant(of_kid, &attempt->tenant))
        return refuse_here(reterr, OUTCOME_FORBIDDEN,
                           "The tenant of a signed message is said twice, differently.");
    if (attempt->tenant.len == 0)
        return refuse_here(reterr, OUTCOME_UNAUTHENTICATED,
                           "Nothing names the tenant: ?t=TENANT, or kid in the form TENANT/KID.");
    return true;
}

/* --- the key --- */

static bool may_speak(const struct attempt *attempt, struct bytes device)
{
    return registry_device_may_speak(registry_of(attempt), attempt->tenant, device);
}

static void add_key(struct attempt *attempt, struct bytes device, const struct credential *credential)
{
    struct candidate *candidate = &attempt->keys[attempt->key_count];
    struct crypto_sign_key *key = &candidate->key;
    if (!credential_algorithm(credential->kind, &key->algorithm))
        return;
    if (credential_is_secret(credential->kind)) {
        key->secret = credential->secret;
    } else {
        memcpy(key->public, credential->public, sizeof key->public);
        key->public_len = credential->public_len;
    }
    candidate->device = device;
    candidate->id = bytes_of_text(credential->id);
    attempt->key_count++;
}

static void add_derived_key(struct attempt *attempt, struct bytes device)
{
    const struct group_record *group = derive_group(registry_of(attempt), attempt->tenant, device);
    struct candidate *candidate = &attempt->keys[attempt->key_count];
    if (!group || !may_speak(attempt, device) || !derive_mac_key(group, device, &candidate->key.secret))
        return;
    candidate->key.algorithm = SIGNED_HS256;
    candidate->device = device;
    attempt->key_count++;
}

static bool is_of_algorithm(const struct credential *credential, enum signed_algorithm said)
{
    enum signed_algorithm algorithm;
    return credential_algorithm(credential->kind, &algorithm) && algorithm == said;
}

/*
 * Of the algorithm that the message says, good now, and of who may speak; else none.
 *
 * A kid may be the id of a device that a group lets in, and that of another device's credential: who names a
 * key can name it so, and a pattern can fit what was named before. Neither takes the word from the other: the
 * message is of the one whose key it holds by, the device first. A device's own credential under its own id
 * takes the place of the derived key.
 */
static void find_by_kid(struct attempt *attempt)
{
    enum signed_algorithm said = attempt->proof->message.algorithm;
    const struct device_record *owner = NULL;
    const struct credential *credential =
        registry_signature_key(registry_of(attempt), attempt->tenant, attempt->name, &owner);
    bool is_its_own = credential && bytes_equal_text(attempt->name, owner->id);
    if (said == SIGNED_HS256 && !is_its_own && schema_device_is_valid(attempt->name))
        add_derived_key(attempt, attempt->name);
    if (credential && is_of_algorithm(credential, said) &&
        credential_is_good_at(credential, attempt->now_s) && may_speak(attempt, bytes_of_text(owner->id)))
        add_key(attempt, bytes_of_text(owner->id), credential);
}

static void find_by_device(struct attempt *attempt)
{
    const struct device_record *device =
        registry_device(registry_of(attempt), attempt->tenant, attempt->name);
    const struct credential *credential = NULL;
    if (!may_speak(attempt, attempt->name))
        return;
    while (device && attempt->key_count < KEYS_MAX &&
           (credential = record_credential(device, CREDENTIAL_HMAC, attempt->now_s, credential)))
        add_key(attempt, attempt->name, credential);
    if (attempt->key_count == 0)
        add_derived_key(attempt, attempt->name);
}

static bool find_keys(struct attempt *attempt, struct refusal *reterr)
{
    const struct request *request = attempt->request;
    if (attempt->proof->message.form == SIGNED_ENVELOPE) {
        attempt->name = request_named_device(request, NULL);
        if (attempt->name.len == 0)
            attempt->name = bytes_of_text(request->who.device);
        if (!schema_device_is_valid(attempt->name))
            return refuse_here(reterr, OUTCOME_UNAUTHENTICATED,
                               "Nothing names the device of this envelope: ?d=DEVICE.");
        find_by_device(attempt);
    } else if (attempt->name.len) {
        find_by_kid(attempt);
    } else {
        return refuse_here(reterr, OUTCOME_BAD_VALUE,
                           "A signed message names its key by kid in the protected header.");
    }
    return true;
}

/* --- who brings it --- */

static bool is_session(const struct attempt *attempt)
{
    return attempt->request->who.kind == IDENTITY_DEVICE;
}

static bool brings_for_others(const struct attempt *attempt)
{
    const struct device_record *bringer =
        registry_device(registry_of(attempt), attempt->tenant, bytes_of_text(attempt->request->who.device));
    return bringer && bringer->concentrator && !bringer->disabled;
}

/* Asked of a signature that holds: the answer says that the key is known. */
static bool may_bring(const struct attempt *attempt, struct refusal *reterr)
{
    return !is_session(attempt) || bytes_equal_text(attempt->signer->device, attempt->request->who.device) ||
           brings_for_others(attempt) ||
           refuse_here(reterr, OUTCOME_FORBIDDEN,
                       "Over the session of a device only a concentrator brings what others have signed.");
}

/* --- holding back --- */

/* The handshake of TCP has proved the address; on plain CoAP anybody writes what he likes as his. */
static uint64_t address_key(const struct prove_guard *guard, const struct request *request)
{
    const struct address *remote = &request->remote;
    const struct bytes parts[] = {
        BYTES_LITERAL("address"),
        bytes_of_text(request->wire == WIRE_HTTP ? "http" : "coap"),
        remote->any.sa_family == AF_INET6 ? bytes_of(&remote->in6.sin6_addr, 8)
                                          : bytes_of(&remote->in.sin_addr, sizeof remote->in.sin_addr),
    };
    return hash_parts(&guard->key, parts, sizeof parts / sizeof parts[0]);
}

static void add_count(struct attempt *attempt, struct limiter *limiter, uint64_t of)
{
    attempt->counts[attempt->count_count++] = (struct failure_count){limiter, of};
}

static uint64_t now_ms(const struct attempt *attempt)
{
    return loop_now_ms(attempt->request->worker->loop);
}

/*
 * By the name that the message says, whether it is known or not: counted apart, or not apart, keys would tell
 * of themselves. Names can be invented without end, and each costs a check, so all failures have one count
 * beside it. When that is used up, only keys that are there are looked at, so that nobody is held back by
 * what others fail with. These checks are counted apart: invented names take nothing from the counts by name
 * then, so in them nothing may be seen of the others either. Ids that a group lets in are there, however many
 * there are: they cost a MAC.
 */
static void count_by_name(struct attempt *attempt)
{
    const struct request *request = attempt->request;
    struct prove_guard *guard = request->worker->guard;
    const struct bytes parts[] = {attempt->tenant, bytes_of_text(request->who.device), attempt->name,
                                  BYTES_LITERAL("crowded")};
    uint64_t of_session = hash_parts(&guard->key, parts, 2);
    attempt->is_crowded = !limiter_allows(&guard->many, of_session, now_ms(attempt));
    add_count(attempt, &guard->few, hash_parts(&guard->key, parts, attempt->is_crowded ? 4 : 3));
    if (!attempt->is_crowded)
        add_count(attempt, &guard->many, of_session);
}

/* Who brings nobody else's messages has one count. */
static void choose_counts(struct attempt *attempt)
{
    const struct request *request = attempt->request;
    struct prove_guard *guard = request->worker->guard;
    const struct bytes session[] = {attempt->tenant, bytes_of_text(request->who.device)};
    if (!is_session(attempt))
        add_count(attempt, &guard->many, address_key(guard, request));
    else if (brings_for_others(attempt))
        count_by_name(attempt);
    else
        add_count(attempt, &guard->few, hash_parts(&guard->key, session, 2));
}

enum result { GOOD, FAILED, HELD, RESULTS };

static void count(const struct attempt *attempt, enum result result)
{
    unsigned row = RESULTS * (unsigned)attempt->proof->message.form + result;
    metrics_add(&attempt->request->worker->metrics, (enum metric)(METRIC_SIGNATURES_JWS_GOOD + row), 1);
}
_Static_assert(METRIC_SIGNATURES_HMAC_HELD == METRIC_SIGNATURES_JWS_GOOD + RESULTS * SIGNED_FORMS - 1,
               "rows by form, then by result");

static bool hold_back(const struct attempt *attempt, struct refusal *reterr)
{
    count(attempt, HELD);
    return refuse_here(reterr, OUTCOME_TOO_MANY, "Too many signatures that did not hold came from here.");
}

static bool is_not_held(struct attempt *attempt, struct refusal *reterr)
{
    choose_counts(attempt);
    bool held = attempt->is_crowded && attempt->key_count == 0;
    for (unsigned i = 0; i < attempt->count_count; i++)
        held |= !limiter_allows(attempt->counts[i].limiter, attempt->counts[i].of, now_ms(attempt));
    return !held || hold_back(attempt, reterr);
}

/* --- the signature --- */

/* Keys of the envelope may be shorter than those of HS256. */
static bool check_envelope(const struct crypto_sign_key *key, const struct signed_message *message)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    bool ok = crypto_hmac_sha256(bytes_of(key->secret.octets, key->secret.len), message->covered,
                                 (struct bytes){0}, mac) &&
              message->signature.len == sizeof mac &&
              secret_bytes_equal(mac, message->signature.ptr, sizeof mac);
    explicit_bzero(mac, sizeof mac);
    return ok;
}

static bool check_one(const struct crypto_sign_key *key, const struct signed_message *message)
{
    return message->form == SIGNED_ENVELOPE ? check_envelope(key, message)
                                            : crypto_sign_verify(key, message->covered, message->signature);
}

/* The base points of both curves, whose private key is 1 (ES256) or nobody's, and a secret of zeros: what
 * stands for keys that are not known, so that the time tells nothing. What it says is not looked at. */
static void check_nothing(const struct signed_message *message)
{
    static const struct crypto_sign_key es256 = {
        .algorithm = SIGNED_ES256,
        .public = {0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63,
                   0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1,
                   0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f,
                   0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57,
                   0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5},
        .public_len = 64,
    };
    static const struct crypto_sign_key eddsa = {
        .algorithm = SIGNED_EDDSA,
        .public = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                   0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                   0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66},
        .public_len = 32,
    };
    struct crypto_sign_key mac = {.algorithm = message->algorithm, .secret = {.len = 32}};
    const struct crypto_sign_key *key = message->algorithm == SIGNED_ES256   ? &es256
                                        : message->algorithm == SIGNED_EDDSA ? &eddsa
                                                                             : &mac;
    (void)check_one(key, message);
}

static bool check_signature(struct attempt *attempt, struct refusal *reterr)
{
    for (unsigned i = 0; i < attempt->key_count; i++) {
        if (check_one(&attempt->keys[i].key, &attempt->proof->message)) {
            attempt->signer = &attempt->keys[i];
            count(attempt, GOOD);
            return true;
        }
    }
    if (attempt->key_count == 0)
        check_nothing(&attempt->proof->message);
    for (unsigned i = 0; i < attempt->count_count; i++)
        limiter_take(attempt->counts[i].limiter, attempt->counts[i].of, now_ms(attempt));
    if (attempt->is_crowded) /* as if its key were not there */
        return hold_back(attempt, reterr);
    count(attempt, FAILED);
    return refuse_here(reterr, OUTCOME_UNAUTHENTICATED, unknown);
}

/* --- the proof --- */

static enum evidence evidence_of(enum signed_form form)
{
    static const enum evidence evidence[SIGNED_FORMS] = {
        [SIGNED_JWS] = EVIDENCE_JWS, [SIGNED_COSE] = EVIDENCE_COSE, [SIGNED_ENVELOPE] = EVIDENCE_HMAC};
    return evidence[form];
}

static bool set_proof(const struct attempt *attempt, struct refusal *reterr)
{
    struct arena *arena = attempt->request->arena;
    struct proof *proof = attempt->proof;
    struct bytes device = attempt->signer->device, key = attempt->signer->id;
    proof->who = (struct identity){.kind = IDENTITY_DEVICE, .evidence = evidence_of(proof->message.form)};
    memcpy(proof->who.tenant, attempt->tenant.ptr, attempt->tenant.len);
    memcpy(proof->who.device, device.ptr, device.len);
    if (key.len)
        memcpy(proof->who.key, key.ptr, key.len);
    return (arena_copy(arena, key, &proof->sink.kid) && arena_copy(arena, device, &proof->sink.device)) ||
           refuse_memory(reterr);
}

/* What the query says is not signed: it may repeat who it is, and say nothing of what was measured. */
static bool query_adds_nothing(const struct attempt *attempt, struct refusal *reterr)
{
    const struct request *request = attempt->request;
    bool named, has_unit, has_name = false;
    struct bytes device = request_named_device(request, &named);
    (void)request_query(request, "u", &has_unit);
    for (size_t i = 0; i < request->query_count; i++)
        has_name |= bytes_equal_text(request->query[i].name, "n") &&
                    !delivery_resembles_sequence(request->query[i].value);
    if (named && !bytes_equal(device, attempt->signer->device))
        return refuse_here(reterr, OUTCOME_FOREIGN_NAME, "The query names another device than the key.");
    return (!has_unit && !has_name) ||
           refuse_here(reterr, OUTCOME_BAD_VALUE,
                       "A name or unit in the query of a signed message is not signed.");
}

static bool prove(struct attempt *attempt, enum signed_form form, struct refusal *reterr)
{
    return read_message(attempt, form, reterr) && settle_tenant(attempt, reterr) &&
           find_keys(attempt, reterr) && is_not_held(attempt, reterr) && check_signature(attempt, reterr) &&
           may_bring(attempt, reterr) && query_adds_nothing(attempt, reterr) && set_proof(attempt, reterr);
}

/* What comes over the device's own session is told as a request. */
static void tell_device(const struct attempt *attempt, const struct candidate *key,
                        const struct refusal *refusal)
{
    const struct request *request = attempt->request;
    struct journal_event event = {
        .at = request->received,
        .stage = JOURNAL_SIGNATURE,
        .outcome = refusal->outcome,
        .evidence = evidence_of(attempt->proof->message.form),
        .remote = request->remote,
        .octets = (uint32_t)request->body.len,
    };
    if (is_session(attempt) && bytes_equal_text(key->device, request->who.device))
        return;
    if (key->id.len)
        memcpy(event.key, key->id.ptr, key->id.len);
    journal_set_detail(&event, attempt->signer ? refusal->detail : "The signature does not fit the key.");
    journal_note(request->worker->journal, attempt->tenant, key->device, &event);
}

/* For people who ask why: of the device that signed it, else of each whose key was named. Of who is held back
 * nothing is told, or he could drive out what was. */
static void tell_refusal(const struct attempt *attempt, const struct refusal *refusal)
{
    if (refusal->outcome == OUTCOME_TOO_MANY)
        return;
    if (attempt->signer) {
        tell_device(attempt, attempt->signer, refusal);
        return;
    }
    for (unsigned i = 0; i < attempt->key_count; i++)
        if (i == 0 || !bytes_equal(attempt->keys[i].device, attempt->keys[i - 1].device))
            tell_device(attempt, &attempt->keys[i], refusal);
}

enum outcome prove_request(struct request *request, enum signed_form form, struct proof *ret,
                           struct refusal *reterr)
{
    struct attempt attempt = {.request = request, .proof = ret, .now_s = request->received.s};
    *ret = (struct proof){0};
    *reterr = (struct refusal){.offset = SIZE_MAX};
    if (!request->worker->shared->registry_loaded) {
        refuse_here(reterr, OUTCOME_STORE_AWAY,
                    "Nobody is known yet: the registry has not been read from Redis.");
        return reterr->outcome;
    }
    bool proved = prove(&attempt, form, reterr);
    if (proved)
        enrol_used(request->worker, &ret->who);
    else
        tell_refusal(&attempt, reterr);
    explicit_bzero(attempt.keys, sizeof attempt.keys);
    return proved ? OUTCOME_CHANGED : reterr->outcome;
}
