// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/crypto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char *hex(const uint8_t digest[static CRYPTO_SHA256_BYTES])
{
    static char text[2 * CRYPTO_SHA256_BYTES + 1];
    for (unsigned i = 0; i < CRYPTO_SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

/* FIPS 180-4 examples. */
Test(crypto, sha256_is_of_both_runs_together)
{
    static const char abc[] = "abc", expected[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    uint8_t digest[CRYPTO_SHA256_BYTES];
    for (size_t at = 0; at <= 3; at++) {
        cr_assert(crypto_sha256(bytes_of(abc, at), bytes_of(abc + at, 3 - at), digest));
        cr_assert_str_eq(hex(digest), expected);
    }
    cr_assert(crypto_sha256((struct bytes){0}, (struct bytes){0}, digest));
    cr_assert_str_eq(hex(digest), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const struct bytes parts[] = {BYTES_LITERAL("a"), {NULL, 0}, BYTES_LITERAL("b"), BYTES_LITERAL("c")};
    cr_assert(crypto_sha256_parts(parts, 4, digest));
    cr_assert_str_eq(hex(digest), expected);
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
Test(crypto, hmac_sha256_of_rfc_4231)
{
    uint8_t digest[CRYPTO_SHA256_BYTES], key_1[20], key_6[131];
    memset(key_1, 0x0b, sizeof key_1);
    memset(key_6, 0xaa, sizeof key_6);
    cr_assert(crypto_hmac_sha256(bytes_of(key_1, sizeof key_1), BYTES_LITERAL("Hi "), BYTES_LITERAL("There"), digest));
    cr_assert_str_eq(hex(digest), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    cr_assert(crypto_hmac_sha256(BYTES_LITERAL("Jefe"), BYTES_LITERAL("what do ya want "),
                                 BYTES_LITERAL("for nothing?"), digest));
    cr_assert_str_eq(hex(digest), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    cr_assert(crypto_hmac_sha256(bytes_of(key_6, sizeof key_6),
                                 BYTES_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First"),
                                 (struct bytes){0}, digest));
    cr_assert_str_eq(hex(digest), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* One key in its four forms, made with OpenSSL; the digest by "openssl dgst -sha256" of the DER. */
static const uint8_t public_der[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0xb6, 0xbd, 0x6f, 0x9c, 0x29,
    0x43, 0x0c, 0x30, 0x6c, 0x27, 0x2b, 0xcd, 0x30, 0xfa, 0x17, 0x50, 0x14, 0x9a, 0xb1, 0x17, 0xac,
    0xd0, 0xaf, 0x74, 0x57, 0xaf, 0x26, 0xa9, 0xb5, 0x5e, 0xb8, 0x4d, 0xf4, 0xea, 0x4d, 0x21, 0x8b,
    0x0d, 0xfb, 0x06, 0x07, 0x9c, 0x0d, 0x21, 0x23, 0xfd, 0x54, 0x43, 0xf8, 0x08, 0x2c, 0x87, 0x13,
    0x77, 0x94, 0x50, 0x48, 0x09, 0x44, 0x8c, 0x04, 0x51, 0xde, 0xc5,
};
static const char public_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtr1vnClDDDBsJyvNMPoXUBSasRes\n"
    "0K90V68mqbVeuE306k0hiw37BgecDSEj/VRD+AgshxN3lFBICUSMBFHexQ==\n"
    "-----END PUBLIC KEY-----\n";
static const char certificate_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfzCCASWgAwIBAgIUJkXxEPEaPLOG07elTYb1FnFDsTcwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJd2Vpci10ZXN0MCAXDTI2MTEyMTA2NDczMVoYDzIxMjYxMDI4\n"
    "MDY0NzMxWjAUMRIwEAYDVQQDDAl3ZWlyLXRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAS2vW+cKUMMMGwnK80w+hdQFJqxF6zQr3RXryaptV64TfTqTSGLDfsG\n"
    "B5wNISP9VEP4CCyHE3eUUEgJRIwEUd7Fo1MwUTAdBgNVHQ4EFgQUuRsAhDov4Qjj\n"
    "62NTecD7I+GIi0owHwYDVR0jBBgwFoAUuRsAhDov4Qjj62NTecD7I+GIi0owDwYD\n"
    "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAo0tJzNE31GYffoUnvzhd\n"
    "U5VGqt7Ey+bMSUOHoGapuz8CIHuHCBMj0+RuFF2p6LnKeqcA04w77/prLWo+Do3j\n"
    "Euha\n"
    "-----END CERTIFICATE-----\n";
static const char spki_digest[] = "5917f26f934e96dbba1a9750888b18d8e498fdacd3f23b266920bb1157d90222";

Test(crypto, the_digest_of_a_key_is_the_same_in_every_form)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    cr_assert(crypto_spki_digest(bytes_of(public_der, sizeof public_der), digest));
    cr_assert_str_eq(hex(digest), spki_digest);
    cr_assert(crypto_spki_digest(bytes_of_text(public_pem), digest));
    cr_assert_str_eq(hex(digest), spki_digest);
    cr_assert(crypto_spki_digest(bytes_of_text(certificate_pem), digest));
    cr_assert_str_eq(hex(digest), spki_digest);
}

Test(crypto, what_is_no_key_has_no_digest)
{
    static const char *const others[] = {"", "x", "-----BEGIN PUBLIC KEY-----\n", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\x30\x03\x02\x01\x01"};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(crypto_spki_digest(bytes_of_text(others[i]), digest), "%u", i);
    for (size_t len = 0; len < sizeof public_der; len++)
        cr_assert_not(crypto_spki_digest(bytes_of(public_der, len), digest), "cut at %zu", len);
}

static struct bytes from_hex(const char *text, uint8_t *buffer)
{
    size_t len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++)
        sscanf(text + 2 * i, "%2hhx", &buffer[i]);
    return bytes_of(buffer, len);
}

/* "The Galois/Counter Mode of Operation (GCM)" (McGrew, Viega), appendix B, cases 13, 14 and 16. */
Test(crypto, aes_256_gcm_of_the_specification)
{
    static const struct {
        const char *key, *nonce, *aad, *plaintext, *sealed;
    } cases[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
         "530f8afbc74536b9a963b4f1c4cb738b"},
        {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
         "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
        {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
         "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key[32], nonce[12], aad[32], plain[64], expected[96], sealed[96], opened[64];
        from_hex(cases[i].key, key);
        from_hex(cases[i].nonce, nonce);
        struct bytes a = from_hex(cases[i].aad, aad), p = from_hex(cases[i].plaintext, plain);
        struct bytes s = from_hex(cases[i].sealed, expected);
        cr_assert(crypto_seal(key, nonce, a, p, sealed));
        cr_assert_eq(memcmp(sealed, expected, s.len), 0);
        cr_assert(crypto_open(key, nonce, a, s, opened));
        cr_assert(bytes_equal(bytes_of(opened, p.len), p));
        for (size_t at = 0; at < s.len; at++) {
            expected[at] ^= 1;
            cr_assert_not(crypto_open(key, nonce, a, s, opened));
            expected[at] ^= 1;
        }
        cr_assert_not(crypto_open(key, nonce, BYTES_LITERAL("other"), s, opened));
        cr_assert_not(crypto_open(key, nonce, a, bytes_of(s.ptr, CRYPTO_TAG_BYTES - 1), opened));
    }
}

static size_t octets_of(const char *digits, uint8_t *ret)
{
    size_t len = strlen(digits) / 2;
    for (size_t i = 0; i < len; i++) {
        char pair[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
        ret[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return len;
}

/* Test case 4 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega. */
Test(crypto, aes128_gcm)
{
    uint8_t key[16], nonce[12], aad[20], sealed[76], wanted[60], plaintext[60];
    octets_of("feffe9928665731c6d6a8f9467308308", key);
    octets_of("cafebabefacedbaddecaf888", nonce);
    octets_of("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
    octets_of("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
              "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39", wanted);
    octets_of("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
              "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
              "5bc94fbc3221a5db94fae95ae7121a47", sealed);
    struct bytes whole = bytes_of(sealed, sizeof sealed);
    cr_assert(crypto_aes128_gcm_open(key, nonce, bytes_of(aad, sizeof aad), whole, plaintext));
    cr_assert_arr_eq(plaintext, wanted, sizeof wanted);
    cr_expect(!crypto_aes128_gcm_open(key, nonce, bytes_of(aad, sizeof aad - 1), whole, plaintext));
    cr_expect_eq(plaintext[0] | plaintext[59], 0);
    cr_expect(!crypto_aes128_gcm_open(key, nonce, (struct bytes){0}, bytes_of(sealed, 15), plaintext));
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x10;
        cr_expect(!crypto_aes128_gcm_open(key, nonce, bytes_of(aad, sizeof aad), whole, plaintext));
        sealed[i] ^= 0x10;
    }
}

static const char cbc_key[] = "0123456789abcdef0123456789abcdef";
/* Made with "openssl enc -aes-128-cbc" and Python's hmac; the IV is 00112233445566778899aabbccddeeff. */
#define CBC_IV "00112233445566778899aabbccddeeff"

static bool open_cbc(const char *sealed_hex, const char *mac_hex, const char *wanted)
{
    uint8_t key[16], mac[32], sealed[128], plaintext[128];
    size_t ret_len = 77;
    octets_of(cbc_key, key);
    octets_of(mac_hex, mac);
    struct bytes whole = bytes_of(sealed, octets_of(sealed_hex, sealed));
    bool opened = crypto_aes128_cbc_open(key, mac, whole, plaintext, &ret_len);
    if (opened)
        cr_expect(ret_len == strlen(wanted) && memcmp(plaintext, wanted, ret_len) == 0, "%s", wanted);
    else
        cr_expect_eq(ret_len, 77);
    return opened;
}

Test(crypto, aes128_cbc_opens)
{
    cr_expect(open_cbc(CBC_IV "58ee410b2b79de2e8d54159d0f6a24e9",
                       "61ec78afcd4b75461a3f953c844857360537856bc7b32c125712b7167c621623", ""));
    cr_expect(open_cbc(CBC_IV "424580a7996274896ad05508f96a396e",
                       "0ca4c75957551a22a597e4423612dcdc70497abe816c066490d30a6bf1dc7c58", "a"));
    cr_expect(open_cbc(CBC_IV "9f29066f26a71e617ce81bd0db514890",
                       "58dd494fe3c842e5fe5c72b0acb868c3cbd09f1a8be99eed5bdd12e04bdac93c", "0123456789abcde"));
    cr_expect(open_cbc(CBC_IV "982619de4ccf8cd1243dafbd2605b1a55822fd4621c3d5f0a366c0a60e0ceaa2",
                       "0385a4e71b4c792f7c9009930b3e775cb61855f58de15c41e2f601cbd48dd825", "0123456789abcdef"));
    cr_expect(open_cbc(CBC_IV "3ff8cffdf11e3644c579e63244b2aa8a3ab91182fa25423d96999d700400b5b5",
                       "76a6f8c9d0874efc2111dc5d60b426bd186d62e8418ddf4b517bf09168cd0cf9", "node=emontx&data=100,200,300"));
}

/* The padding is wrong, whatever the MAC was made of; or the padding is right and the MAC is not. */
Test(crypto, aes128_cbc_refuses)
{
    cr_expect(!open_cbc(CBC_IV "4ca034eb2a8208080b4bedda5d93b035",
                        "58dd494fe3c842e5fe5c72b0acb868c3cbd09f1a8be99eed5bdd12e04bdac93c", ""));
    cr_expect(!open_cbc(CBC_IV "4ca034eb2a8208080b4bedda5d93b035",
                        "6f72a328b5e3ce1e2f87da72cdebd47159794e99f3ba9e7ae3ed44323784841a", ""));
    cr_expect(!open_cbc(CBC_IV "4ca034eb2a8208080b4bedda5d93b035",
                        "520d7aeedd80855f7ac405f7ebf87268da24cc44d2407839f3cae9ba84f0b578", ""));
    cr_expect(!open_cbc(CBC_IV "2ff014a0d66b3be9fec95f16da85ece0",
                        "d2bff231109909761d37bbf36aa096f27a2ec833f5776ce9ff60368bf0e6e519", ""));
    cr_expect(!open_cbc(CBC_IV "39120553bbab1ae1d9cbe7d643a2eadf",
                        "378323d68e8cdda597668d18e1c67a36ad8bd91690bbb58247163f42acad5abf", ""));
    cr_expect(!open_cbc(CBC_IV "0ff40c09bd88d6851082e0a4e9c2bf95",
                        "795b2279899bda0e2f7ea4d9d440f606fb43762b92a63012885b432311dd2337", ""));
    cr_expect(!open_cbc(CBC_IV "9f29066f26a71e617ce81bd0db514890",
                        "8bf8e075bce96d306906949ebaf007e5784c0f287951c5f7ab582416de216ff8", ""));
    cr_expect(!open_cbc(CBC_IV "3ff8cffdf11e3644c579e63244b2aa8a3ab91182fa25423d96999d700400b5b5",
                        "3a57e572b3d1d49bfee920254398cdd390bba30313b759fd1f300e9edee99638", ""));
    cr_expect(!open_cbc(CBC_IV "3ff8cffdf11e3644c579e63244b2aa8a3ab91182fa25423d96999d700400b5",
                        "76a6f8c9d0874efc2111dc5d60b426bd186d62e8418ddf4b517bf09168cd0cf9", ""));
    cr_expect(!open_cbc(CBC_IV, "61ec78afcd4b75461a3f953c844857360537856bc7b32c125712b7167c621623", ""));
    cr_expect(!open_cbc("", "61ec78afcd4b75461a3f953c844857360537856bc7b32c125712b7167c621623", ""));
}

Test(crypto, aes128_cbc_zeroes_what_it_refuses)
{
    static const uint8_t zeros[32];
    uint8_t key[16] = {1}, mac[32] = {2}, sealed[48] = {3}, plaintext[32];
    size_t len;
    memset(plaintext, 0xee, sizeof plaintext);
    cr_expect(!crypto_aes128_cbc_open(key, mac, bytes_of(sealed, sizeof sealed), plaintext, &len));
    cr_expect_arr_eq(plaintext, zeros, sizeof zeros);
}
