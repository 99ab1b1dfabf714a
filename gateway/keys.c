// SPDX-License-Identifier: GPL-3.0-or-later
/* Called before a request of a legacy route is translated. Looks at the registry in memory only. */
#include "gateway/keys.h"

#include "codec/base64url.h"
#include "gateway/tokens.h"
#include "gateway/worker.h"

/* "Scheme rest", the scheme in any case. */
static bool take_scheme(struct bytes authorization, const char *lower, struct bytes *ret_rest)
{
    size_t len = strlen(lower), i = 0;
    while (i < len && i < authorization.len && (authorization.ptr[i] | 0x20) == (uint8_t)lower[i])
        i++;
    if (i < len || authorization.len <= len || authorization.ptr[len] != ' ')
        return false;
    while (i < authorization.len && authorization.ptr[i] == ' ')
        i++;
    *ret_rest = bytes_of(authorization.ptr + i, authorization.len - i);
    return true;
}

/* The password of "USER:PASSWORD"; none without a colon. */
static struct bytes behind_colon(struct bytes text)
{
    const uint8_t *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    return colon ? bytes_of(colon + 1, (size_t)(text.ptr + text.len - colon - 1)) : (struct bytes){0};
}

/* Base64 should have its padding (RFC 7617), and often has none. */
static struct bytes password_of(struct bytes base64, struct arena *arena)
{
    struct bytes text;
    return base64url_decode_any(base64, arena, &text) == BASE64URL_OK ? behind_colon(text) : (struct bytes){0};
}

struct bytes keys_in_authorization(struct bytes authorization, struct arena *arena)
{
    struct bytes rest;
    if (take_scheme(authorization, "bearer", &rest))
        return rest;
    if (take_scheme(authorization, "token", &rest))
        return rest.len && memchr(rest.ptr, ':', rest.len) ? behind_colon(rest) : rest;
    return take_scheme(authorization, "basic", &rest) ? password_of(rest, arena) : (struct bytes){0};
}

bool keys_check(const struct request *request, struct bytes key, struct identity *ret)
{
    const struct registry *registry = request->worker->shared->registry;
    return tokens_check_apikey(registry, key, request->received.s, ret) ||
           tokens_check(registry, key, request->received.s, ret);
}

struct bytes keys_of_token(const struct request *request, struct bytes tenant, struct bytes token_id)
{
    const struct token_record *token = registry_token(request->worker->shared->registry, token_id);
    if (!token || !bytes_equal_text(tenant, token->tenant))
        return (struct bytes){0};
    return bytes_of(token->apikey.octets, token->apikey.len);
}
