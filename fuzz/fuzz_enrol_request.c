// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Bodies of POST /enroll, each read as JSON and as CBOR. Properties: what is taken is whole and within its bounds, the
 * same body is the same question, and a proof for one tenant is none for another.
 */
#include "gateway/enrol_request.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)1 << 20)
#define PROOF_LEN 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool so)
{
    if (!so)
        abort();
}

static void check_key(const struct enrol_request *request, struct arena *arena)
{
    size_t len = request->kind == CREDENTIAL_ES256 ? 64 : request->kind == CREDENTIAL_EDDSA ? 32 : request->key_len;
    bool is_raw = request->kind == CREDENTIAL_RPK;
    require(request->key_len == len && (len == 32 || len == 64));
    require(request->public_len == (is_raw ? CREDENTIAL_DIGEST_BYTES : len));
    require(request->proof.len == PROOF_LEN && request->nonce.len > 0 && request->thumbprint.len == 43);
    require(!enrol_request_is_proved(request, BYTES_LITERAL("plant"), request->serial, arena) ||
            !enrol_request_is_proved(request, BYTES_LITERAL("annex"), request->serial, arena));
}

static void check(const struct enrol_request *request, struct arena *arena)
{
    require(request->serial.len <= RECORD_SERIAL_MAX && record_text_is_valid(request->serial));
    require(request->model.len <= RECORD_SERIAL_MAX && record_text_is_valid(request->model));
    require(request->claim.len <= SECRET_MAX && record_text_is_valid(request->claim));
    require(request->has_proof == (request->kind != CREDENTIAL_PSK && request->kind != CREDENTIAL_CA));
    if (request->has_proof) {
        check_key(request, arena);
        return;
    }
    require(enrol_request_is_proved(request, BYTES_LITERAL("plant"), request->serial, arena));
    require(request->kind == CREDENTIAL_PSK || request->certificate.spki_len == 91 ||
            request->certificate.spki_len == 44);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned is_cbor = 0; is_cbor <= 1; is_cbor++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct enrol_request one, two;
        struct refusal refusal = {0};
        if (!arena)
            return 0;
        if (!enrol_request_read(bytes_of(data, size), is_cbor, arena, &one, &refusal)) {
            require(refusal.detail && refusal.outcome >= OUTCOME_BAD_REQUEST);
        } else {
            check(&one, arena);
            require(enrol_request_read(bytes_of(data, size), is_cbor, arena, &two, &refusal));
            require(one.kind == two.kind && memcmp(one.digest, two.digest, sizeof one.digest) == 0);
        }
        arena_free(arena);
    }
    return 0;
}
