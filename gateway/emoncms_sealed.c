// SPDX-License-Identifier: GPL-3.0-or-later
/* The keys are used one after the other until one fits; with none at all, one of zeros takes their place. */
#include "gateway/emoncms_sealed.h"

#include "codec/base64url.h"
#include "codec/hex.h"
#include "codec/inflate.h"
#include "codec/refusal.h"
#include "gateway/crypto.h"

_Static_assert(sizeof(((struct emoncms_sealed_claim *)NULL)->mac) == CRYPTO_SHA256_BYTES, "HMAC-SHA-256");

static bool equals_in_any_case(struct bytes a, const char *lower)
{
    if (a.len != strlen(lower))
        return false;
    for (size_t i = 0; i < a.len; i++) {
        uint8_t c = a.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)lower[i])
            return false;
    }
    return true;
}

bool emoncms_sealed_is(struct bytes media_type, bool *ret_compressed)
{
    *ret_compressed = equals_in_any_case(media_type, "aes128cbcgz");
    return *ret_compressed || equals_in_any_case(media_type, "aes128cbc");
}

static bool read_hex(struct bytes hex, uint8_t *ret, size_t len)
{
    size_t read;
    return hex_read(hex, ret, len, &read) && read == len;
}

/* Tenants have no '/', MACs no ':'. */
bool emoncms_sealed_parse(struct bytes authorization, struct emoncms_sealed_claim *ret)
{
    const uint8_t *slash = authorization.len ? memchr(authorization.ptr, '/', authorization.len) : NULL;
    const uint8_t *colon = authorization.len ? memrchr(authorization.ptr, ':', authorization.len) : NULL;
    if (!slash || !colon || colon < slash)
        return false;
    size_t tenant = (size_t)(slash - authorization.ptr), user = (size_t)(colon - authorization.ptr);
    ret->tenant = bytes_of(authorization.ptr, tenant);
    ret->device = bytes_of(slash + 1, user - tenant - 1);
    return ret->tenant.len && ret->device.len &&
           read_hex(bytes_of(colon + 1, authorization.len - user - 1), ret->mac, sizeof(ret->mac));
}

/* Both alphabets, with and without padding, as emonCMS takes it. */
static bool decode_base64(struct bytes text, struct arena *arena, struct bytes *ret, struct refusal *reterr)
{
    while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    switch (base64url_decode_any(text, arena, ret)) {
    case BASE64URL_OK:
        return true;
    case BASE64URL_MEMORY:
        return refuse_memory(reterr);
    case BASE64URL_BAD:
        break;
    }
    return refuse(reterr, OUTCOME_MALFORMED, "The body is not base64.", SIZE_MAX);
}

/* One key, which is wiped again. */
static bool try_key(struct bytes apikey, const uint8_t *mac, struct bytes sealed, uint8_t *plaintext, size_t *ret_len)
{
    uint8_t key[CRYPTO_AES128_KEY_BYTES] = {0};
    bool usable = read_hex(apikey, key, sizeof(key));
    bool opened = crypto_aes128_cbc_open(key, mac, sealed, plaintext, ret_len);
    explicit_bzero(key, sizeof(key));
    return usable && opened;
}

static bool open_sealed(const struct emoncms_sealed_claim *claim, struct bytes sealed, const struct bytes *apikeys,
                        size_t apikey_count, struct arena *arena, struct emoncms_sealed_text *ret,
                        struct refusal *reterr)
{
    uint8_t *plaintext = arena_alloc(arena, sealed.len);
    size_t len = 0;
    if (!plaintext)
        return refuse_memory(reterr);
    for (size_t i = 0; i < apikey_count; i++) {
        if (try_key(apikeys[i], claim->mac, sealed, plaintext, &len)) {
            ret->text = bytes_of(plaintext, len);
            ret->key = i;
            return true;
        }
    }
    if (apikey_count == 0)
        (void)try_key((struct bytes){0}, claim->mac, sealed, plaintext, &len);
    return refuse(reterr, OUTCOME_UNAUTHENTICATED, "The sender is unknown, or key and content do not fit together.",
                  SIZE_MAX);
}

static bool set_answer(struct emoncms_sealed_text *text)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!crypto_sha256(text->text, (struct bytes){0}, digest))
        return false;
    memset(text->answer, '=', EMONCMS_SEALED_ANSWER_LEN);
    base64url_encode(bytes_of(digest, sizeof(digest)), text->answer);
    text->answer[EMONCMS_SEALED_ANSWER_LEN] = '\0';
    return true;
}

enum outcome emoncms_sealed_open(const struct emoncms_sealed_claim *claim, struct bytes body, bool compressed,
                                 const struct bytes *apikeys, size_t apikey_count, size_t max_bytes,
                                 struct arena *arena, struct emoncms_sealed_text *ret, struct format_error *reterr)
{
    struct emoncms_sealed_text text;
    struct refusal refusal;
    struct bytes sealed;
    if (!decode_base64(body, arena, &sealed, &refusal) ||
        !open_sealed(claim, sealed, apikeys, apikey_count, arena, &text, &refusal))
        return refusal_report(&refusal, reterr);
    if (!set_answer(&text)) {
        (void)refuse_memory(&refusal);
        return refusal_report(&refusal, reterr);
    }
    if (compressed && !inflate_whole(text.text, max_bytes, arena, &text.text, &refusal))
        return refusal_report(&refusal, reterr);
    *ret = text;
    return OUTCOME_CHANGED;
}

static struct format_parameter parameter_of(struct bytes text)
{
    const uint8_t *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    size_t name = equals ? (size_t)(equals - text.ptr) : text.len;
    size_t value = name + (equals != NULL);
    return (struct format_parameter){bytes_of(text.ptr, name), bytes_of(text.ptr + value, text.len - value)};
}

bool emoncms_sealed_parameters(struct bytes text, struct arena *arena, struct format_parameter **ret,
                               size_t *ret_count)
{
    size_t count = 1, used = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '&';
    struct format_parameter *parameters = arena_calloc(arena, count, sizeof(*parameters));
    if (!parameters)
        return false;
    for (; text.len; used++) {
        const uint8_t *end = memchr(text.ptr, '&', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, next = len + (end != NULL);
        parameters[used] = parameter_of(bytes_of(text.ptr, len));
        text = bytes_of(text.ptr + next, text.len - next);
    }
    *ret = parameters;
    *ret_count = used;
    return true;
}
