# SPDX-License-Identifier: GPL-3.0-or-later
"""CoAP messages as bytes (RFC 7252 section 3), written apart from the gateway so that it can judge it.

Message builds and reads datagrams; what it cannot express (broken ones) tests send as raw bytes. Peer is a UDP socket
with a source address of its own, which is what the gateway takes for an endpoint.
"""
import itertools
import random
import socket
import struct
import time

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)

IF_MATCH, URI_HOST, ETAG, IF_NONE_MATCH, OBSERVE, URI_PORT = 1, 3, 4, 5, 6, 7
URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, ACCEPT = 11, 12, 14, 15, 17
BLOCK2, BLOCK1, SIZE2, PROXY_URI, PROXY_SCHEME, SIZE1 = 23, 27, 28, 35, 39, 60
ECHO, NO_RESPONSE, REQUEST_TAG = 252, 258, 292
SEQUENCE = 65100

# For what must come: a datagram is not lost on this machine, but a machine may stand still.
PATIENCE_S = 30.0

TEXT, LINK, JSON, CBOR, SENML_JSON, SENML_CBOR = 0, 40, 50, 60, 110, 112


def code(text):
    """'2.04' -> 68."""
    whole, detail = text.split(".")
    return int(whole) * 32 + int(detail)


def code_text(value):
    return "%d.%02d" % (value >> 5, value & 31)


def uint(value):
    """The shortest form of an option value (RFC 7252 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number, more, size):
    """Value of Block1 or Block2 (RFC 7959 2.2)."""
    return uint(number << 4 | (8 if more else 0) | (size.bit_length() - 5))


def sequence(epoch, seq):
    """Value of option 65100: length of the epoch, epoch, seq."""
    return bytes([len(uint(epoch))]) + uint(epoch) + uint(seq)


class FormatError(Exception):
    pass


class Message:
    def __init__(self, type=CON, code=0, mid=0, token=b"", options=(), payload=b""):
        self.type, self.code, self.mid, self.token = type, code, mid, token
        self.options = [(number, uint(v) if isinstance(v, int) else v.encode() if isinstance(v, str) else v)
                        for number, v in options]
        self.payload = payload

    def encode(self):
        out = bytearray(struct.pack("!BBH", 0x40 | self.type << 4 | len(self.token), self.code, self.mid))
        out += self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            out += self._option_header(number - last, len(value)) + value
            last = number
        if self.payload:
            out += b"\xff" + self.payload
        return bytes(out)

    @staticmethod
    def _option_header(delta, length):
        nibbles, extra = [], b""
        for value in (delta, length):
            if value < 13:
                nibbles.append(value)
            elif value < 269:
                nibbles.append(13)
                extra += bytes([value - 13])
            else:
                nibbles.append(14)
                extra += struct.pack("!H", value - 269)
        return bytes([nibbles[0] << 4 | nibbles[1]]) + extra

    @classmethod
    def decode(cls, data):
        if len(data) < 4 or data[0] >> 6 != 1:
            raise FormatError(data.hex())
        token_len = data[0] & 15
        message = cls(data[0] >> 4 & 3, data[1], data[2] << 8 | data[3], data[4:4 + token_len])
        if token_len > 8 or len(message.token) < token_len or (message.code == 0 and len(data) > 4):
            raise FormatError(data.hex())
        at, number = 4 + token_len, 0
        while at < len(data) and data[at] != 0xff:
            delta, length = data[at] >> 4, data[at] & 15
            at += 1
            delta, at = cls._extended(data, at, delta)
            length, at = cls._extended(data, at, length)
            number += delta
            if at + length > len(data):
                raise FormatError(data.hex())
            message.options.append((number, data[at:at + length]))
            at += length
        if at < len(data):
            message.payload = data[at + 1:]
            if not message.payload:
                raise FormatError(data.hex())
        return message

    @staticmethod
    def _extended(data, at, nibble):
        size = {13: 1, 14: 2}.get(nibble, 0)
        if nibble == 15 or at + size > len(data):
            raise FormatError(data.hex())
        if size == 0:
            return nibble, at
        return int.from_bytes(data[at:at + size], "big") + (13 if size == 1 else 269), at + size

    def option(self, number):
        """The first value of the option, or None."""
        return next((value for n, value in self.options if n == number), None)

    def option_uint(self, number):
        value = self.option(number)
        return None if value is None else int.from_bytes(value, "big")

    @property
    def code_text(self):
        return code_text(self.code)

    def __repr__(self):
        return "<%s %s mid=%d token=%s %s %d bytes>" % (
            ("CON", "NON", "ACK", "RST")[self.type], self.code_text, self.mid, self.token.hex(),
            [(n, v.hex()) for n, v in self.options], len(self.payload))


def request(method, path, query=(), options=(), payload=b"", format=None, type=CON, token=None, mid=0):
    """A request message; path "/obs", query ["d=x"]."""
    all_options = [(URI_PATH, segment) for segment in path.strip("/").split("/") if segment]
    all_options += [(URI_QUERY, parameter) for parameter in query]
    all_options += list(options)
    if format is not None:
        all_options.append((CONTENT_FORMAT, format))
    return Message(type, method, mid, random.randbytes(4) if token is None else token, all_options,
                   payload.encode() if isinstance(payload, str) else payload)


class Peer:
    """A UDP endpoint with a source address of its own: Peer(gateway.coap_port, source="127.0.0.7")."""

    def __init__(self, port, source="127.0.0.1", source_port=0, host="127.0.0.1", family=socket.AF_INET):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((source, source_port))
        self.remote = (host, port)
        # From the upper half, so that none is one that a test has written down.
        self.mids = itertools.count(random.randrange(0x8000, 0xc000))

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def next_mid(self):
        return next(self.mids) & 0xffff

    def send(self, data):
        self.socket.sendto(data.encode() if isinstance(data, Message) else data, self.remote)

    def receive_bytes(self, timeout=PATIENCE_S):
        """One datagram, or None when none came in time."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recvfrom(65536)[0]
        except socket.timeout:
            return None

    def receive(self, timeout=PATIENCE_S):
        data = self.receive_bytes(timeout)
        return None if data is None else Message.decode(data)

    def ask(self, message, timeout=60.0, ack_timeout=5.0):
        """Sends a request with a fresh message id and returns its answer, piggy-backed or separate (acknowledged)."""
        message.mid = self.next_mid()
        data = message.encode()
        wait = ack_timeout
        end = time.monotonic() + timeout
        self.send(data)
        while time.monotonic() < end:
            answer = self.receive(max(0.01, min(wait, end - time.monotonic())))
            if answer is None:
                self.send(data)
                wait *= 2
            elif answer.type in (ACK, RST) and answer.mid == message.mid:
                if answer.code or answer.type == RST:
                    return answer
                wait = timeout
            elif answer.token == message.token and answer.code:
                if answer.type == CON:
                    self.send(Message(ACK, 0, answer.mid))
                # A notification that was under way is not the answer to its deregistration (RFC 7641 3.6).
                if message.option(OBSERVE) != b"\x01" or answer.option(OBSERVE) is None:
                    return answer
        raise TimeoutError("no answer to %r" % message)

    def ping(self, timeout=PATIENCE_S):
        """CoAP ping: proves that everything sent before has been handled by the socket's worker."""
        mid = self.next_mid()
        self.send(Message(CON, 0, mid))
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            answer = self.receive(max(0.01, end - time.monotonic()))
            if answer is not None and answer.type == RST and answer.mid == mid:
                return True
        return False
