// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The server's certificate and key: the operator's PEM files, or a self-signed ECDSA P-256 pair that is made at the
 * first start and kept in state_dir (server.pem, server.key, mode 0600), so that devices that pin it can rely on it.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

#include "gateway/dtls_private.h"
#include "gateway/rt/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_DIR_DEFAULT "state"
#define DER_MAX 2048
#define PEM_MAX 4096
#define FILE_MAX 65536
#define DAYS_VALID (20 * 365)
#define PATH_MAX_TEXT (SETTINGS_TEXT_MAX + 32)

static bool read_file(const char *path, uint8_t **ret, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *data = fd >= 0 ? malloc(FILE_MAX) : NULL;
    ssize_t len = data ? read(fd, data, FILE_MAX) : -1;
    if (fd >= 0)
        close(fd);
    if (len <= 0 || len == FILE_MAX) {
        free(data);
        return false;
    }
    *ret = data;
    *ret_len = (size_t)len;
    return true;
}

enum { NAME_DNS = 0x82, NAME_ADDRESS = 0x87, DER_SEQUENCE = 0x30 };

static size_t put_name(uint8_t *out, uint8_t tag, const void *name, size_t len)
{
    out[0] = tag;
    out[1] = (uint8_t)len;
    memcpy(out + 2, name, len);
    return 2 + len;
}

/* subjectAltName (RFC 5280 4.2.1.6): the host, and what people on the box itself call it. */
static void name_server(Cert *certificate, const char *host)
{
    static const uint8_t loopback[] = {127, 0, 0, 1};
    uint8_t *out = certificate->altNames;
    size_t len = strlen(host), used = 2;
    if (len > 64)
        return;
    used += put_name(out + used, NAME_DNS, "localhost", 9);
    used += put_name(out + used, NAME_ADDRESS, loopback, sizeof loopback);
    used += put_name(out + used, NAME_DNS, host, len);
    out[0] = DER_SEQUENCE;
    out[1] = (uint8_t)(used - 2);
    certificate->altNamesSz = (int)used;
}

static int make_certificate(ecc_key *key, WC_RNG *rng, uint8_t der[static DER_MAX])
{
    Cert *certificate = wolfSSL_Malloc(sizeof *certificate);
    if (!certificate || wc_InitCert(certificate) != 0) {
        wolfSSL_Free(certificate);
        return -1;
    }
    char host[CTC_NAME_SIZE - 1] = "weir";
    gethostname(host, sizeof host - 1);
    snprintf(certificate->subject.commonName, sizeof certificate->subject.commonName, "%s", host[0] ? host : "weir");
    name_server(certificate, certificate->subject.commonName);
    certificate->sigType = CTC_SHA256wECDSA;
    certificate->daysValid = DAYS_VALID;
    certificate->selfSigned = 1;
    int len = wc_MakeCert_ex(certificate, der, DER_MAX, ECC_TYPE, key, rng);
    if (len > 0)
        len = wc_SignCert_ex(certificate->bodySz, certificate->sigType, der, DER_MAX, ECC_TYPE, key, rng);
    wolfSSL_Free(certificate);
    return len;
}

static bool write_pem(const char *path, const uint8_t *der, int len, int type)
{
    uint8_t pem[PEM_MAX];
    int pem_len = len > 0 ? wc_DerToPem(der, (word32)len, pem, sizeof pem, type) : -1;
    bool ok = pem_len > 0 && file_replace(path, bytes_of(pem, (size_t)pem_len));
    explicit_bzero(pem, sizeof pem);
    return ok;
}

static bool make_pair(const char *certificate_path, const char *key_path)
{
    WC_RNG rng;
    ecc_key key;
    uint8_t der[DER_MAX];
    if (wc_InitRng(&rng) != 0)
        return false;
    if (wc_ecc_init(&key) != 0) {
        wc_FreeRng(&rng);
        return false;
    }
    /* The key first: a certificate without its key would be taken for the operator's work. */
    bool ok = wc_ecc_make_key_ex(&rng, 32, &key, ECC_SECP256R1) == 0 &&
              write_pem(key_path, der, wc_EccKeyToDer(&key, der, sizeof der), ECC_PRIVATEKEY_TYPE) &&
              write_pem(certificate_path, der, make_certificate(&key, &rng, der), CERT_TYPE);
    explicit_bzero(der, sizeof der);
    wc_ecc_free(&key);
    wc_FreeRng(&rng);
    return ok;
}

/* The public half of the private key, as the raw public key that DTLS shows. */
static bool derive_spki(struct dtls_certificate *certificate)
{
    ecc_key key;
    DerBuffer *der = NULL;
    uint8_t spki[DER_MAX];
    word32 at = 0;
    int len = -1;
    if (wc_ecc_init(&key) != 0)
        return false;
    if (wc_PemToDer(certificate->key_pem, (long)certificate->key_pem_len, PRIVATEKEY_TYPE, &der, NULL, NULL,
                    NULL) >= 0 &&
        wc_EccPrivateKeyDecode(der->buffer, &at, &key, der->length) == 0 &&
        wc_ecc_make_pub(&key, NULL) == 0)
        len = wc_EccPublicKeyToDer(&key, spki, sizeof spki, 1);
    wc_FreeDer(&der);
    wc_ecc_free(&key);
    certificate->spki_der = len > 0 ? malloc((size_t)len) : NULL;
    if (!certificate->spki_der)
        return false;
    memcpy(certificate->spki_der, spki, (size_t)len);
    certificate->spki_der_len = (size_t)len;
    return true;
}

static bool load_pair(const char *certificate_path, const char *key_path, struct dtls_certificate *ret)
{
    return read_file(certificate_path, &ret->chain_pem, &ret->chain_pem_len) &&
           read_file(key_path, &ret->key_pem, &ret->key_pem_len) && derive_spki(ret);
}

bool dtls_certificate_load(const struct settings *settings, struct dtls_certificate *ret,
                           char reterr[static SETTINGS_ERROR_MAX])
{
    char certificate_path[PATH_MAX_TEXT], key_path[PATH_MAX_TEXT];
    const char *folder = settings->state_dir[0] ? settings->state_dir : STATE_DIR_DEFAULT;
    bool own = settings->dtls_certificate[0] == '\0';
    snprintf(certificate_path, sizeof certificate_path, own ? "%s/server.pem" : "%s",
             own ? folder : settings->dtls_certificate);
    snprintf(key_path, sizeof key_path, own ? "%s/server.key" : "%s", own ? folder : settings->dtls_key);
    struct dtls_certificate loaded = {0};
    if (own && access(certificate_path, R_OK) < 0 && !make_pair(certificate_path, key_path)) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "cannot make a certificate in state_dir %.200s: %s", folder,
                 strerror(errno));
        return false;
    }
    if (!load_pair(certificate_path, key_path, &loaded)) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "%.200s with key %.200s: not readable PEM files of an ECDSA P-256 pair",
                 certificate_path, key_path);
        dtls_certificate_deinit(&loaded);
        return false;
    }
    *ret = loaded;
    return true;
}

void dtls_certificate_deinit(struct dtls_certificate *certificate)
{
    if (certificate->key_pem)
        explicit_bzero(certificate->key_pem, certificate->key_pem_len);
    free(certificate->chain_pem);
    free(certificate->key_pem);
    free(certificate->spki_der);
    *certificate = (struct dtls_certificate){0};
}
