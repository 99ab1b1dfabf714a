# SPDX-License-Identifier: GPL-3.0-or-later
"""Just enough CBOR (RFC 8949) to make SenML packs and to read answers; written apart from the gateway."""
import struct


class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value


def _head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise ValueError(value)


def dumps(value):
    if value is False or value is True or value is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack("!d", value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(dumps(item) for item in value)
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(dumps(k) + dumps(v) for k, v in value.items())
    if isinstance(value, Tag):
        return _head(6, value.number) + dumps(value.value)
    raise TypeError(type(value))


def loads(data):
    value, at = _read(data, 0)
    if at != len(data):
        raise ValueError("trailing bytes")
    return value


def _read(data, at):
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        if info == 25:
            return struct.unpack("!e", data[at:at + 2])[0], at + 2
        if info == 26:
            return struct.unpack("!f", data[at:at + 4])[0], at + 4
        if info == 27:
            return struct.unpack("!d", data[at:at + 8])[0], at + 8
        return {20: False, 21: True, 22: None}[info], at
    if info < 24:
        argument = info
    else:
        size = {24: 1, 25: 2, 26: 4, 27: 8}[info]
        argument = int.from_bytes(data[at:at + size], "big")
        at += size
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        content = data[at:at + argument]
        if len(content) != argument:
            raise ValueError("truncated")
        return content if major == 2 else content.decode(), at + argument
    if major == 6:
        value, at = _read(data, at)
        return Tag(argument, value), at
    items = []
    for _ in range(argument * (major - 3)):
        item, at = _read(data, at)
        items.append(item)
    return (items, at) if major == 4 else (dict(zip(items[::2], items[1::2])), at)
