"""Caffe files made and taken apart by hand, without the code under test."""

import struct
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parents[1] / "goldens"


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def num(field, value):
    return varint(field << 3) + varint(value)


def sub(field, payload):
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def shape(*dims):
    return sub(7, sub(1, b"".join(varint(d) for d in dims)))


def legacy(*dims):
    return b"".join(num(i + 1, d) for i, d in enumerate(dims))


def blob(array, dims=None):
    array = np.asarray(array, "<f4")
    return (shape(*array.shape) if dims is None else dims) + sub(5, array.tobytes())


def layer(name, kind, *blobs, extra=b""):
    body = sub(1, name) + sub(2, kind) + extra + b"".join(sub(7, b) for b in blobs)
    return sub(100, body)


def decode(data):
    """Yields (field, wire type, value) of a serialized message."""
    pos = 0
    while pos < len(data):
        tag, pos = _varint(data, pos)
        wire = tag & 7
        if wire == 0:
            value, pos = _varint(data, pos)
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                size, pos = _varint(data, pos)
            value, pos = data[pos : pos + size], pos + size
        yield tag >> 3, wire, value


def _varint(data, pos):
    value = shift = 0
    while True:
        value |= (data[pos] & 127) << shift
        shift, pos = shift + 7, pos + 1
        if data[pos - 1] < 128:
            return value, pos


def all_of(data, field):
    return [value for number, _, value in decode(data) if number == field]


def decode_v2(data):
    """Returns [(name, type, bottoms, tops, [(dims, flat float32)])] of a V2 net."""
    return [
        (
            all_of(body, 1)[0].decode(),
            b"".join(all_of(body, 2)).decode(),
            [b.decode() for b in all_of(body, 3)],
            [t.decode() for t in all_of(body, 4)],
            [_decode_blob(b) for b in all_of(body, 7)],
        )
        for body in all_of(data, 100)
    ]


def _decode_blob(data):
    dims = []
    for body in all_of(data, 7):
        for _, wire, value in decode(body):
            if wire == 0:
                dims.append(value)
                continue
            pos = 0
            while pos < len(value):
                dim, pos = _varint(value, pos)
                dims.append(dim)
    values = np.frombuffer(b"".join(all_of(data, 5)), "<f4")
    if not values.size:
        values = np.frombuffer(b"".join(all_of(data, 8)), "<f8").astype("f4")
    return tuple(dims), values
