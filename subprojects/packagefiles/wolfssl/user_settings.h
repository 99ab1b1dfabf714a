/*
 * The crypto profile of weir: every compile-time choice about wolfSSL (>= 5.9.2) in one place.
 *
 * Lean on purpose. Without wolfSSL's OpenSSL layer a live DTLS session costs about 5 KB instead of 15 to 22 KB,
 * and what is not compiled cannot be negotiated by mistake. The file is seen by wolfSSL itself and, through the
 * meson dependency (-DWOLFSSL_USER_SETTINGS and the include path), by each file of ours that includes a wolfSSL
 * header: both sides must agree or structure layouts differ. Do not include wolfssl/options.h anywhere.
 *
 * Not defined, on purpose:
 *   WOLFSSL_EXTRA_ALERTS  would answer an unknown PSK identity with an alert of its own: an oracle for device names
 *   OPENSSL_EXTRA         the compatibility layer, three times the memory
 *   SINGLE_THREADED       workers are threads; it would unlock global state
 *   KEEP_PEER_CERT        the peer's certificate is judged in the verify callback and then forgotten
 *   FP_ECC                caches per key, worthless with a hundred thousand keys
 */
#ifndef WEIR_USER_SETTINGS_H
#define WEIR_USER_SETTINGS_H

/* Platform: Linux with threads. getrandom() needs no file descriptor and no /dev. */
#define HAVE_PTHREAD
#define HAVE_THREAD_LS
#define WOLFSSL_HAVE_ATOMIC_H
#define HAVE___UINT128_T 1
#define HAVE_GETPID
#define HAVE_SYS_TIME_H
#define WOLFSSL_GETRANDOM

/* Protocol: DTLS 1.2 and 1.3 with connection IDs and stateless cookies; TLS 1.2 and 1.3 towards Redis. */
#define WOLFSSL_DTLS
#define WOLFSSL_TLS13
#define WOLFSSL_DTLS13
#define WOLFSSL_SEND_HRR_COOKIE
#define WOLFSSL_DTLS_CID
#define WOLFSSL_DTLS_CH_FRAG
#define DTLS_CID_MAX_SIZE 10
#define NO_OLD_TLS
#define NO_SESSION_CACHE

/* Datagram size is ours to set (constrained links), and dropped records are counted for the metrics. */
#define WOLFSSL_DTLS_MTU
#define WOLFSSL_DTLS_DROP_STATS

/* Sleeping sessions: export to a 307-byte blob. The peer's address is kept by us, not in the blob. */
#define WOLFSSL_SESSION_EXPORT
#define WOLFSSL_SESSION_EXPORT_NOPEER

/* Extensions that devices send; extended master secret (RFC 7627) and encrypt-then-MAC (RFC 7366) for 1.2. */
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_EXTENDED_MASTER
#define HAVE_ENCRYPT_THEN_MAC
/* RFC 5746: says that renegotiation is secure, as OpenSSL 3 clients insist; there is none to be secured. */
#define HAVE_SERVER_RENEGOTIATION_INFO
#define HAVE_SNI

/*
 * Who is it: PSK without forward secrecy too (TLS_PSK_WITH_AES_128_CCM_8 is CoAP's mandatory suite), raw public
 * keys, X.509. The registry decides about every certificate and key, so the callback always runs.
 */
#define WOLFSSL_STATIC_PSK
#define MAX_PSK_ID_LEN 128
#define HAVE_RPK
#define WOLFSSL_ALWAYS_VERIFY_CB

/* Ciphers, hashes, key derivation, key wrap (RFC 3394: keys at rest and JWE). */
#define HAVE_AESGCM
#define GCM_TABLE_4BIT
#define HAVE_AESCCM
#define WOLFSSL_AES_DIRECT
#define HAVE_AES_KEYWRAP
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_HKDF
#define HAVE_HASHDRBG
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512

/*
 * Public keys: P-256, P-384, X25519, Ed25519, RSA. ECC_USER_CURVES keeps P-521 out, which would otherwise come in
 * through SP_MATH_ALL in generic arithmetic and be negotiated at 8 ms a handshake.
 */
#define HAVE_ECC
#define ECC_SHAMIR
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define ECC_MIN_KEY_SZ 224
#define ECC_USER_CURVES
#define HAVE_ECC384
#define HAVE_COMP_KEY
#define HAVE_CURVE25519
#define HAVE_ED25519
#define WC_RSA_BLINDING
#define WC_RSA_PSS
#define WOLFSSL_PSS_LONG_SALT

/*
 * Certificates: read PEM and DER, write the self-signed server certificate of the first start (PEM and DER, with
 * subjectAltName and key usage), compare IP addresses in subjectAltName (a Redis given by address); read PKCS #10
 * requests of devices that enrol, and sign certificates for them.
 */
#define WOLFSSL_ASN_TEMPLATE
#define WOLFSSL_BASE64_ENCODE
#define WOLFSSL_KEY_GEN
#define WOLFSSL_CERT_GEN
#define WOLFSSL_CERT_EXT
#define WOLFSSL_ALT_NAMES
#define WOLFSSL_IP_ALT_NAME
#define WOLFSSL_PEM_TO_DER
#define WOLFSSL_DER_TO_PEM

/* Big numbers: single precision with assembly for the sizes in use, generic for the rest (RSA up to 4096 bits). */
#define WOLFSSL_SP_MATH_ALL
#define SP_INT_BITS 4096
#define WOLFSSL_HAVE_SP_ECC
#define WOLFSSL_HAVE_SP_RSA
#define WOLFSSL_SP_384
#define WOLFSSL_SP_LARGE_CODE
#if defined(__x86_64__)
#define WOLFSSL_X86_64_BUILD
#define WOLFSSL_SP_X86_64
#define WOLFSSL_SP_ASM
#define WOLFSSL_SP_X86_64_ASM
#define USE_INTEL_SPEEDUP
#define WOLFSSL_AESNI
#define WOLFSSL_USE_ALIGN
#elif defined(__aarch64__)
#define WOLFSSL_AARCH64_BUILD
#define WOLFSSL_ARMASM
#define WOLFSSL_AARCH64_NO_SQRDMLSH /* present from ARMv8.1 on only; the build must run on ARMv8.0 too */
#define WOLFSSL_SP_ARM64
#define WOLFSSL_SP_ASM
#define WOLFSSL_SP_ARM64_ASM
#endif

/* Out: old, broken, or nothing of ours uses it. */
#define NO_DSA
#define NO_RC4
#define NO_MD4
#define NO_MD5
#define NO_DES3
#define NO_DH
#define NO_PWDBASED
#define NO_PKCS12
#define WOLFSSL_NO_SHAKE256
#define NO_OLD_POLY1305

#endif
