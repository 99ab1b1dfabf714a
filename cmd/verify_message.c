// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The octets, the key, the signature. What the entry says beside the octets must agree with them, because people look
 * at the fields: an entry whose k or f was changed does not hold, though its signature does.
 */
#include "cmd/verify.h"

#include "codec/cose.h"
#include "codec/envelope.h"
#include "codec/jws.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool verify_say(struct verify_verdict *verdict, enum verify_result result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->why, sizeof verdict->why, format, arguments);
    va_end(arguments);
    verdict->result = result;
    return result == VERIFY_HOLDS;
}

static bool is_json_object(struct bytes text)
{
    while (text.len && strchr(" \t\r\n", text.ptr[0]))
        text = bytes_of(text.ptr + 1, text.len - 1);
    return text.len && text.ptr[0] == '{';
}

/* The number in ct; CONTENT_FORMAT_NONE: it is empty or none. */
static int content_format_of(struct bytes text)
{
    char digits[12] = "", *end;
    if (text.len == 0 || text.len >= sizeof digits)
        return CONTENT_FORMAT_NONE;
    memcpy(digits, text.ptr, text.len);
    long number = strtol(digits, &end, 10);
    return *end || number < 0 || number > UINT16_MAX ? CONTENT_FORMAT_NONE : (int)number;
}

static bool read_octets(const struct verify_entry *entry, struct arena *arena, struct signed_message *ret,
                        struct refusal *reterr)
{
    struct bytes form = entry->fields[VERIFY_F], octets = entry->fields[VERIFY_P];
    int declared = content_format_of(entry->fields[VERIFY_CT]);
    if (bytes_equal_text(form, signed_form_name(SIGNED_JWS))) {
        bool json = declared == CONTENT_FORMAT_JOSE_JSON || (declared != CONTENT_FORMAT_JOSE && is_json_object(octets));
        return (json ? jws_read_json : jws_read_compact)(octets, arena, ret, reterr);
    }
    if (bytes_equal_text(form, signed_form_name(SIGNED_COSE)))
        return cose_msg_read(octets,
                             declared == CONTENT_FORMAT_COSE_MAC0    ? COSE_MSG_MAC0
                             : declared == CONTENT_FORMAT_COSE_SIGN1 ? COSE_MSG_SIGN1
                                                                     : COSE_MSG_ANY,
                             arena, ret, reterr);
    if (bytes_equal_text(form, signed_form_name(SIGNED_ENVELOPE)))
        return envelope_read(octets, &FORMAT_LIMITS_DEFAULT, arena, ret, reterr);
    return refuse(reterr, OUTCOME_UNSUPPORTED, "f is none of jws, cose and hmac.", SIZE_MAX);
}

/* An entry says how its octets were declared; a file says nothing. */
static bool form_fits(const struct verify_entry *entry)
{
    enum signed_form form;
    struct bytes f = entry->fields[VERIFY_F], ct = entry->fields[VERIFY_CT];
    int declared = content_format_of(ct);
    if (ct.len == 0)
        return true;
    if (declared == CONTENT_FORMAT_JSON)
        return bytes_equal_text(f, signed_form_name(SIGNED_ENVELOPE));
    return signed_form_of(declared, &form) && bytes_equal_text(f, signed_form_name(form));
}

/* TENANT/KID names the same key as KID. */
static struct bytes without_tenant(struct bytes kid)
{
    const uint8_t *slash = kid.len ? memchr(kid.ptr, '/', kid.len) : NULL;
    return slash ? bytes_of(slash + 1, kid.len - (size_t)(slash + 1 - kid.ptr)) : kid;
}

/* Which key it is for: as the message says; an envelope says nothing, so as the entry does; a derived key is its
 * device's. */
static struct bytes kid_of(const struct verify_entry *entry, const struct signed_message *message)
{
    struct bytes kid = without_tenant(message->kid);
    if (kid.len == 0)
        kid = entry->fields[VERIFY_K];
    return kid.len ? kid : entry->fields[VERIFY_D];
}

static bool check_signature(const struct verify_entry *entry, const struct keyring *keyring,
                            const struct signed_message *message, struct verify_verdict *verdict)
{
    struct bytes kid = kid_of(entry, message);
    const char *name = signed_algorithm_name(message->algorithm);
    bool has_name = false, has_key = false;
    for (size_t i = 0; i < keyring->count; i++) {
        const struct keyring_key *key = &keyring->keys[i];
        bool is_named = key->kid[0] && bytes_equal_text(kid, key->kid);
        has_name |= is_named;
        if ((key->kid[0] && !is_named) || key->key.algorithm != message->algorithm)
            continue;
        has_key = true;
        if (keyring_verify(&key->key, message))
            return verify_say(verdict, VERIFY_HOLDS, "%s", name);
    }
    if (has_key)
        return verify_say(verdict, VERIFY_FAILS, "the signature (%s) is not by %s", name,
                          has_name ? "that key" : "any of the keys");
    if (has_name)
        return verify_say(verdict, VERIFY_FAILS, "the message says %s, and the key is for another algorithm", name);
    return verify_say(verdict, VERIFY_NO_KEY, "no key of that id for %s", name);
}

bool verify_message(const struct verify_entry *entry, const struct keyring *keyring, struct arena *arena,
                    struct signed_message *ret_message, struct verify_verdict *verdict)
{
    struct refusal refusal = {.detail = "It cannot be read."};
    struct bytes key = entry->fields[VERIFY_K], device = entry->fields[VERIFY_D];
    if (!read_octets(entry, arena, ret_message, &refusal))
        return verify_say(verdict, VERIFY_FAILS, "%s", refusal.detail);
    if (!form_fits(entry))
        return verify_say(verdict, VERIFY_FAILS, "ct is not of the form that the entry says");
    if (key.len == 0)
        key = device; /* a key that is derived for the device */
    if (key.len && ret_message->kid.len && !bytes_equal(without_tenant(ret_message->kid), key))
        return verify_say(verdict, VERIFY_FAILS, "the message names another key than the entry");
    return check_signature(entry, keyring, ret_message, verdict);
}
