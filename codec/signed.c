// SPDX-License-Identifier: GPL-3.0-or-later
/* The words and lengths of signed messages. */
#include "codec/signed.h"

#include "codec/format.h"

const char *signed_form_name(enum signed_form form)
{
    static const char *const names[SIGNED_FORMS] = {
        [SIGNED_JWS] = "jws", [SIGNED_COSE] = "cose", [SIGNED_ENVELOPE] = "hmac"};
    return names[form];
}

static const struct {
    const char *name;
    size_t signature_len;
} algorithms[SIGNED_ALGORITHMS] = {
    [SIGNED_HS256] = {"HS256", 32},
    [SIGNED_HS256_64] = {"HS256/64", 8},
    [SIGNED_ES256] = {"ES256", 64},
    [SIGNED_EDDSA] = {"EdDSA", 64},
};

const char *signed_algorithm_name(enum signed_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

size_t signed_signature_len(enum signed_algorithm algorithm)
{
    return algorithms[algorithm].signature_len;
}

bool signed_form_of(int content_format, enum signed_form *ret)
{
    switch (content_format) {
    case CONTENT_FORMAT_COSE_MAC0:
    case CONTENT_FORMAT_COSE_SIGN1:
        *ret = SIGNED_COSE;
        return true;
    case CONTENT_FORMAT_JOSE:
    case CONTENT_FORMAT_JOSE_JSON:
        *ret = SIGNED_JWS;
        return true;
    default:
        return false;
    }
}

struct bytes signed_content(const struct signed_message *message)
{
    return message->form == SIGNED_ENVELOPE ? message->covered : message->payload;
}
