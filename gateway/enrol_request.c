// SPDX-License-Identifier: GPL-3.0-or-later
/* The key's own algorithm is all that its proof may have; what a member means is decided before anything is checked. */
#include "gateway/enrol_request.h"

#include "codec/base64url.h"
#include "codec/builder.h"
#include "codec/cborin.h"
#include "codec/json.h"
#include "codec/jwk.h"
#include "gateway/crypto.h"
#include "gateway/crypto_sign.h"

#define ATTEMPT_MIN 8
#define ATTEMPT_MAX 64
#define NONCE_MAX 128

static const struct format_limits limits = {.depth = 4, .items = 64};

struct reading {
    struct bytes body;
    const struct node *map;
    bool is_cbor;
    struct arena *arena;
    struct refusal *reterr;
};

static bool refuse_value(const struct reading *r, const char *detail)
{
    return refuse(r->reterr, OUTCOME_BAD_VALUE, detail, SIZE_MAX);
}

/* The key of a member; NULL: it is not there. */
static const struct node *find(const struct reading *r, const char *name)
{
    const struct node *key = r->map->count ? node_first(r->map) : NULL;
    for (uint32_t i = 0; i < r->map->count; i++) {
        const struct node *value = node_next(key);
        if (key->kind == NODE_TEXT && bytes_equal_text(key->data, name))
            return key;
        key = node_next(value);
    }
    return NULL;
}

static bool read_text(const struct reading *r, const char *name, size_t max, struct bytes *ret, const char *detail)
{
    const struct node *key = find(r, name), *value = key ? node_next(key) : NULL;
    *ret = (struct bytes){0};
    if (!value)
        return true;
    if (value->kind != NODE_TEXT || value->data.len > max || !record_text_is_valid(value->data))
        return refuse_value(r, detail);
    *ret = value->data;
    return true;
}

/* Octets: base64url in JSON. */
static bool read_octets(const struct reading *r, const char *name, struct bytes *ret, const char *detail)
{
    const struct node *key = find(r, name), *value = key ? node_next(key) : NULL;
    *ret = (struct bytes){0};
    if (!value)
        return true;
    if (value->kind != (r->is_cbor ? NODE_BYTES : NODE_TEXT))
        return refuse_value(r, detail);
    *ret = value->data;
    enum base64url decoded = r->is_cbor ? BASE64URL_OK : base64url_decode(value->data, r->arena, ret);
    if (decoded == BASE64URL_MEMORY)
        return refuse_memory(r->reterr);
    return decoded == BASE64URL_OK || refuse_value(r, detail);
}

/* What was asked, as one digest: the kind, then the material. */
static bool make_digest(const struct reading *r, struct enrol_request *request, struct bytes material)
{
    const char *kind = credential_kind_name(request->kind);
    return crypto_sha256(bytes_of(kind, strlen(kind) + 1), material, request->digest) || refuse_memory(r->reterr);
}

static bool read_psk(const struct reading *r, struct enrol_request *request)
{
    static const char detail[] = "attempt is 8 to 64 characters or octets that the device chose at random.";
    const struct node *want = node_next(find(r, "want")), *key = find(r, "attempt");
    const struct node *attempt = key ? node_next(key) : NULL;
    if (want->kind != NODE_TEXT || !bytes_equal_text(want->data, "psk"))
        return refuse_value(r, "want is \"psk\"; for anything else send key or csr.");
    if (!attempt || (attempt->kind != NODE_TEXT && attempt->kind != NODE_BYTES) || attempt->data.len < ATTEMPT_MIN ||
        attempt->data.len > ATTEMPT_MAX)
        return refuse_value(r, detail);
    request->kind = CREDENTIAL_PSK;
    return make_digest(r, request, attempt->data);
}

static bool read_csr(const struct reading *r, struct enrol_request *request)
{
    struct bytes der;
    if (!read_octets(r, "csr", &der, "csr is a PKCS #10 request in DER: base64url, or a byte string."))
        return false;
    request->kind = CREDENTIAL_CA;
    if (!crypto_cert_read_request(der, &request->certificate))
        return refuse_value(r, "csr is no request with a key of P-256 or Ed25519 that is signed with that key.");
    return make_digest(r, request, bytes_of(request->certificate.digest, sizeof request->certificate.digest));
}

static bool read_use(const struct reading *r, bool *ret_is_dtls)
{
    struct bytes use;
    if (!read_text(r, "use", 8, &use, "use is \"sig\" or \"dtls\"."))
        return false;
    *ret_is_dtls = bytes_equal_text(use, "dtls");
    return use.len == 0 || *ret_is_dtls || bytes_equal_text(use, "sig") ||
           refuse_value(r, "use is \"sig\" or \"dtls\".");
}

/* SubjectPublicKeyInfo of a raw key (RFC 5480 2, RFC 8410 4): always the same octets before it. */
static bool digest_spki(const struct jwk *key, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    static const uint8_t p256[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                   0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
    static const uint8_t ed25519[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    struct bytes head =
        key->algorithm == SIGNED_ES256 ? bytes_of(p256, sizeof p256) : bytes_of(ed25519, sizeof ed25519);
    return crypto_sha256(head, bytes_of(key->octets, key->len), ret);
}

static bool take_key(const struct reading *r, const struct jwk *key, bool is_dtls, struct enrol_request *request)
{
    uint8_t spki[CRYPTO_SHA256_BYTES], thumbprint[CRYPTO_SHA256_BYTES];
    struct bytes text;
    char *encoded = arena_alloc(r->arena, base64url_length(sizeof thumbprint));
    if (key->is_private || (key->algorithm != SIGNED_ES256 && key->algorithm != SIGNED_EDDSA) ||
        !crypto_sign_public_is_valid(key->algorithm, bytes_of(key->octets, key->len)))
        return refuse_value(r, "key is the public half of a key of P-256 or Ed25519, and nothing else.");
    if (!encoded || !jwk_thumbprint_text(key, r->arena, &text) || !crypto_sha256(text, (struct bytes){0}, thumbprint) ||
        !digest_spki(key, spki))
        return refuse_memory(r->reterr);
    base64url_encode(bytes_of(thumbprint, sizeof thumbprint), encoded);
    request->thumbprint = bytes_of(encoded, base64url_length(sizeof thumbprint));
    request->kind = is_dtls ? CREDENTIAL_RPK : key->algorithm == SIGNED_ES256 ? CREDENTIAL_ES256 : CREDENTIAL_EDDSA;
    request->key_len = key->len;
    memcpy(request->key, key->octets, key->len);
    request->public_len = (uint8_t)(is_dtls ? sizeof spki : key->len);
    memcpy(request->public, is_dtls ? spki : key->octets, request->public_len);
    return make_digest(r, request, bytes_of(request->key, request->key_len));
}

static bool read_key(const struct reading *r, struct enrol_request *request)
{
    const struct node *member = find(r, "key"), *value = node_next(member);
    struct jwk key = {.len = 0};
    bool is_dtls;
    if (!read_use(r, &is_dtls) ||
        !read_text(r, "nonce", NONCE_MAX, &request->nonce, "nonce is the text that GET /enroll gave.") ||
        !read_octets(r, "proof", &request->proof, "proof is a signature of 64 octets: base64url, or a byte string."))
        return false;
    if (request->nonce.len == 0 || request->proof.len != SIGNED_SIGNATURE_MAX)
        return refuse_value(r, "A key needs nonce, from GET /enroll, and proof, 64 octets.");
    request->has_proof = true;
    if (r->is_cbor ? value->kind != NODE_BYTES : value->kind != NODE_MAP)
        return refuse_value(r, "key is a JWK; in CBOR a byte string with a COSE_Key.");
    bool ok = r->is_cbor ? jwk_read_cose(value->data, r->arena, &key, r->reterr)
                         : jwk_read(json_value_text(r->body, member), r->arena, &key, r->reterr);
    ok = ok && take_key(r, &key, is_dtls, request);
    jwk_wipe(&key);
    return ok;
}

static bool read_question(const struct reading *r, struct enrol_request *request)
{
    static bool (*const readers[])(const struct reading *r, struct enrol_request *request) = {
        read_psk, read_key, read_csr};
    static const char *const names[] = {"want", "key", "csr"};
    size_t found = 0, which = 0;
    for (size_t i = 0; i < 3; i++)
        if (find(r, names[i])) {
            which = i;
            found++;
        }
    if (found != 1)
        return refuse_value(r, "One of want, key and csr says what is wanted.");
    return readers[which](r, request);
}

bool enrol_request_read(struct bytes body, bool is_cbor, struct arena *arena, struct enrol_request *ret,
                        struct refusal *reterr)
{
    struct reading r = {.body = body, .is_cbor = is_cbor, .arena = arena, .reterr = reterr};
    *ret = (struct enrol_request){.kind = CREDENTIAL_PSK};
    if (!(is_cbor ? cborin_read : json_read)(body, &limits, arena, &r.map, reterr))
        return false;
    if (r.map->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_MALFORMED, "The body is a map.", 0);
    return read_text(&r, "serial", RECORD_SERIAL_MAX, &ret->serial, "serial is a text of at most 48 octets.") &&
           read_text(&r, "model", RECORD_SERIAL_MAX, &ret->model, "model is a text of at most 48 octets.") &&
           read_text(&r, "claim", SECRET_MAX, &ret->claim, "claim is a text of at most 64 octets.") &&
           read_question(&r, ret);
}

bool enrol_request_is_proved(const struct enrol_request *request, struct bytes tenant, struct bytes serial,
                             struct arena *arena)
{
    const struct bytes parts[] = {BYTES_LITERAL("weir-enroll"), tenant, serial, request->thumbprint, request->nonce};
    struct crypto_sign_key key = {.public_len = request->key_len};
    struct builder out;
    struct bytes covered;
    if (!request->has_proof)
        return true;
    builder_init(&out, arena, 256);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (i > 0)
            builder_put_byte(&out, ' ');
        builder_put(&out, parts[i]);
    }
    key.algorithm = request->key_len == 64 ? SIGNED_ES256 : SIGNED_EDDSA;
    memcpy(key.public, request->key, request->key_len);
    return builder_finish(&out, &covered) && crypto_sign_verify(&key, covered, request->proof);
}
