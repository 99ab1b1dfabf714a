// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Microseconds to check one signature over 200 octets, each with another of 1,000 keys, and for ES256 beside the bare
 * wc_ecc_verify_hash_ex with keys, numbers and digest made before: turn about in one run, as only the ratio says
 * something. The best of several rounds counts. Ends with 1 if crypto_sign_verify has less than nine tenths of the bare
 * one's speed.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/wolfcrypt/ecc.h>

#include "gateway/crypto.h"
#include "gateway/crypto_sign.h"
#include "gateway/rt/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS 1000
#define ROUNDS 9
#define LEAST 0.9

static uint8_t message[200];
static struct signer {
    struct crypto_sign_key key;
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
} signers[SIGNED_ALGORITHMS][KEYS];
static struct bare {
    ecc_key key;
    mp_int r, s;
    uint8_t digest[CRYPTO_SHA256_BYTES];
} bares[KEYS];

static const struct {
    enum signed_algorithm algorithm;
    const char *name;
} rows[] = {{SIGNED_ES256, "ES256"}, {SIGNED_EDDSA, "EdDSA"}, {SIGNED_HS256, "HS256"}};
#define ROWS (sizeof rows / sizeof rows[0])

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void need(bool so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "bench_sign: %s failed\n", what);
    exit(1);
}

static void prepare(void)
{
    struct bytes covered = bytes_of(message, sizeof message);
    uint8_t random[32];
    random_bytes(message, sizeof message);
    for (size_t i = 0; i < KEYS; i++) {
        for (size_t row = 0; row < ROWS; row++) {
            struct signer *signer = &signers[rows[row].algorithm][i];
            random_bytes(random, sizeof random);
            need(crypto_sign_generate(rows[row].algorithm, &signer->key) &&
                     crypto_sign_make(&signer->key, covered, random, signer->signature, &signer->len), "signing");
        }
        const struct signer *signer = &signers[SIGNED_ES256][i];
        struct bare *bare = &bares[i];
        need(wc_ecc_init(&bare->key) == 0 &&
                 wc_ecc_import_unsigned(&bare->key, (uint8_t *)signer->key.public, (uint8_t *)signer->key.public + 32,
                                        NULL, ECC_SECP256R1) == 0 &&
                 mp_init_multi(&bare->r, &bare->s, NULL, NULL, NULL, NULL) == 0 &&
                 mp_read_unsigned_bin(&bare->r, signer->signature, 32) == 0 &&
                 mp_read_unsigned_bin(&bare->s, signer->signature + 32, 32) == 0 &&
                 crypto_sha256(covered, (struct bytes){0}, bare->digest), "importing");
    }
}

static double run_bare(void)
{
    double begin = now_us();
    for (size_t i = 0; i < KEYS; i++) {
        int valid = 0;
        need(wc_ecc_verify_hash_ex(&bares[i].r, &bares[i].s, bares[i].digest, CRYPTO_SHA256_BYTES, &valid,
                                   &bares[i].key) == 0 && valid == 1, "wc_ecc_verify_hash_ex");
    }
    return (now_us() - begin) / KEYS;
}

static double run_ours(enum signed_algorithm algorithm)
{
    double begin = now_us();
    for (size_t i = 0; i < KEYS; i++) {
        const struct signer *signer = &signers[algorithm][i];
        need(crypto_sign_verify(&signer->key, bytes_of(message, sizeof message),
                                bytes_of(signer->signature, signer->len)), "crypto_sign_verify");
    }
    return (now_us() - begin) / KEYS;
}

static void take_best(double *best, double us)
{
    if (us < *best)
        *best = us;
}

int main(void)
{
    double bare = 1e9, ours[ROWS];
    prepare();
    for (size_t row = 0; row < ROWS; row++)
        ours[row] = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        take_best(&bare, run_bare());
        for (size_t row = 0; row < ROWS; row++)
            take_best(&ours[row], run_ours(rows[row].algorithm));
    }
    printf("%-22s %8.2f us %8.0f/s\n", "wc_ecc_verify_hash_ex", bare, 1e6 / bare);
    for (size_t row = 0; row < ROWS; row++)
        printf("%-22s %8.2f us %8.0f/s\n", rows[row].name, ours[row], 1e6 / ours[row]);
    printf("ES256 against the bare: %.3f\n", bare / ours[0]);
    return bare / ours[0] < LEAST;
}
