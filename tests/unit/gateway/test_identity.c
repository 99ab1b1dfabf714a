// SPDX-License-Identifier: GPL-3.0-or-later
/* The words of the stream field a, and which identities are the same. */
#include "gateway/identity.h"

#include <criterion/criterion.h>

Test(identity, slugs)
{
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_NONE), "");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_PSK), "psk");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_X509), "x509");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_RPK), "rpk");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_TOKEN), "token");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_NETWORK), "net");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_APIKEY), "apikey");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_FRAME), "frame");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_JWS), "jws");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_COSE), "cose");
    cr_assert_str_eq(identity_evidence_slug(EVIDENCE_HMAC), "hmac");
}

Test(identity, everything_counts)
{
    const struct identity one = {
        .kind = IDENTITY_DEVICE, .evidence = EVIDENCE_PSK, .tenant = "acme", .device = "boiler-7", .key = "psk"};
    struct identity other = one;
    cr_assert(identity_equal(&one, &other));
    other.kind = IDENTITY_OPERATOR;
    cr_assert(!identity_equal(&one, &other));
    other = one;
    other.evidence = EVIDENCE_RPK;
    cr_assert(!identity_equal(&one, &other));
    other = one;
    strcpy(other.tenant, "acm");
    cr_assert(!identity_equal(&one, &other));
    other = one;
    strcpy(other.device, "boiler-8");
    cr_assert(!identity_equal(&one, &other));
    other = one;
    other.role = ROLE_ADMIN;
    cr_assert(!identity_equal(&one, &other));
    other = one;
    strcpy(other.key, "psk-2");
    cr_assert(!identity_equal(&one, &other));
}
