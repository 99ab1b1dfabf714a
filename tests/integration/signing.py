# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures as devices make them, written apart from the gateway: ES256 (FIPS 186-5), Ed25519 (RFC 8032), HS256; JWS
(RFC 7515), COSE (RFC 9052) and the {hmac, payload} envelope around them. Slow and not safe: for tests."""
import base64
import hashlib
import hmac
import json
import secrets

import cbor

# P-256 (SP 800-186 3.2.1.3)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def _add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = ((3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _multiply(k, point):
    result = None
    while k:
        if k & 1:
            result = _add(result, point)
        point = _add(point, point)
        k >>= 1
    return result


# Ed25519
Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
B = (15112221349535400772501151409588531511454012693041857206046113283949847762202,
     46316835694926478169428394003475163141307993866256225615783033603165251855960)


def _ed_add(a, b):
    product = D * a[0] * b[0] * a[1] * b[1] % Q
    return ((a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, Q) % Q,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, Q) % Q)


def _ed_multiply(k, point):
    result = (0, 1)
    while k:
        if k & 1:
            result = _ed_add(result, point)
        point = _ed_add(point, point)
        k >>= 1
    return result


def _ed_octets(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


class Es256:
    kind, alg, cose = "es256", "ES256", -7

    def __init__(self):
        self.d = secrets.randbelow(N - 1) + 1
        x, y = _multiply(self.d, G)
        self.material = x.to_bytes(32, "big") + y.to_bytes(32, "big")

    def sign(self, covered):
        k = secrets.randbelow(N - 1) + 1
        r = _multiply(k, G)[0] % N
        s = pow(k, -1, N) * (int.from_bytes(hashlib.sha256(covered).digest(), "big") + r * self.d) % N
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def other_s(signature):
    """(r, n - s): as valid as (r, s)."""
    return signature[:32] + (N - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")


class Eddsa:
    kind, alg, cose = "eddsa", "EdDSA", -8

    def __init__(self):
        digest = hashlib.sha512(secrets.token_bytes(32)).digest()
        self.a = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        self.prefix = digest[32:]
        self.material = _ed_octets(_ed_multiply(self.a, B))

    def sign(self, covered):
        def scalar(*parts):
            return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L
        r = scalar(self.prefix, covered)
        point = _ed_octets(_ed_multiply(r, B))
        return point + ((r + scalar(point, self.material, covered) * self.a) % L).to_bytes(32, "little")


class Hs256:
    kind, alg, cose, length = "hs256", "HS256", 5, 32

    def __init__(self, material=None):
        self.material = material or secrets.token_bytes(32)

    def sign(self, covered):
        return hmac.new(self.material, covered, "sha256").digest()[:self.length]


class Hs256Short(Hs256):
    kind, cose, length = "hs256-64", 4, 8


class Hmac(Hs256):
    kind = "hmac"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jws(key, kid, payload, cty="senml+json", seq=None, change=None, **header):
    """Compact. change: of the signature. header: more members, or others; None takes one away."""
    members = {"alg": key.alg, "kid": kid, "cty": cty, "seq": seq, **header}
    text = json.dumps({name: value for name, value in members.items() if value is not None})
    covered = base64url(text.encode()) + "." + base64url(payload.encode() if isinstance(payload, str) else payload)
    signature = key.sign(covered.encode())
    return covered + "." + base64url(change(signature) if change else signature)


def jws_json(compact, general=False):
    protected, payload, signature = compact.split(".")
    if general:
        return json.dumps({"payload": payload, "signatures": [{"protected": protected, "signature": signature}]})
    return json.dumps({"payload": payload, "protected": protected, "signature": signature})


def cose(key, kid, payload, content_format=110, seq=None, change=None, tagged=True, unprotected=None, **header):
    """COSE_Sign1 or COSE_Mac0, as the key is."""
    members = {1: key.cose, 4: kid.encode(), 3: content_format, "seq": seq, **header}
    protected = cbor.dumps({name: value for name, value in members.items() if value is not None})
    payload = payload.encode() if isinstance(payload, str) else payload
    is_mac = isinstance(key, Hs256)
    signature = key.sign(cbor.dumps(["MAC0" if is_mac else "Signature1", protected, b"", payload]))
    message = [protected, unprotected or {}, payload, change(signature) if change else signature]
    return cbor.dumps(cbor.Tag(17 if is_mac else 18, message) if tagged else message)


def envelope(key, payload):
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return json.dumps({"payload": payload, "hmac": base64.b64encode(key.sign(text.encode())).decode()})
