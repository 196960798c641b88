"""One walk over a caffemodel that builds no blob values.

`Skeleton` touches headers only. What is not blob data becomes a small serialized
message for protobuf to parse, a layer's parameters as the bytes that they are; blob
data becomes a list of byte ranges (`Payload`), read later straight into the array it
belongs to. So a caffemodel costs its own size
in memory once, and a hostile one is refused before anything is allocated for it.
"""

from __future__ import annotations

import numpy as np

from . import schema
from .errors import CaffeFormatError, UnknownField
from .raw_data import RAW_FIELDS, raw_run
from .wire import Payload, Run, Source, encode_header

# Far above any real net (ResNet-152 has 15,000 fields in 200 kB), and low enough that
# a file of empty messages cannot make protobuf allocate many times the file's size.
MAX_SKELETON = 8 << 20
MAX_FIELDS = 200_000
MAX_LAYERS = 16_384
MAX_RUNS = 65_536
MAX_DEPTH = 100
MAX_UNKNOWN = 1_000
MAX_VALUE = 100  # bytes of an unknown field that are kept to be shown
_CHUNK = 1 << 20

_PAYLOADS = {  # number: (name, bytes per value, wire type of one value, kept)
    5: ("data", 4, 5, True),
    6: ("diff", 4, 5, False),
    8: ("double_data", 8, 1, True),
    9: ("double_diff", 8, 1, False),
}
_LAYER_FIELDS = {"layer", "layers"}
_LAYER_MESSAGES = {"LayerParameter", "V1LayerParameter", "V0LayerParameter"}
_KEEPS_RAW = {"LayerParameter", "V1LayerParameter"}
_RAW = max(schema.SPEC["LayerParameter"])  # number of a field that is in no file


class Skeleton:
    """One walk over a serialized message.

    Args:
        source: Its bytes.
        message: Its type.
        kinds: The schema of the type.
        holder: Layer and field that the message is the parameters of; then a value of
            another wire type than the schema's, or of no value of an enum, is an
            unknown field (forks give one number to different fields), not an error.
        fields: How many fields were read before these, towards the limit.

    Attributes:
        payloads: Where each blob's values lie. A BlobProto in the skeleton carries
            the index of its payload as its only `double_diff`, a field whose real
            content nobody reads; so a blob keeps its values through every upgrade.
        unknown: The fields that the schema does not have.
        data: The serialized message without blob values and unknown fields; what a
            layer has beside its envelope is in its fields `raw`.
        fields: How many fields were read, with those before.
    """

    def __init__(
        self,
        source: Source,
        message: str,
        kinds: schema.Schema = schema.BASE,
        holder: tuple[str | None, str] | None = None,
        fields: int = 0,
    ):
        self.source, self.kinds, self._strict = source, kinds, holder is None
        self.payloads: list[Payload] = []
        layer, field = holder or (None, None)
        self._names: list[str] = [] if layer is None else [layer]
        self._layer: int | None = None if layer is None else 0
        self._path: list[str] = [] if field is None else [field]
        self.fields, self._size, self._runs = fields, 0, 0
        self._unknown: list[tuple[int | None, str, bytes]] = []
        self.data = bytes(self._message(message, 0, source.size))
        self.unknown = [
            UnknownField(None if layer is None else self._names[layer], path, value)
            for layer, path, value in self._unknown
        ]

    def _error(self, problem: str, offset: int) -> CaffeFormatError:
        layer = None if self._layer is None else self._names[self._layer]
        path = ".".join(self._path)
        return self.source.error(problem, offset, layer=layer, field=path)

    def _varint(self, pos: int, end: int) -> tuple[int, int]:
        try:
            return self.source.varint(pos, end)
        except CaffeFormatError as error:
            raise self._error(error.problem, pos) from None

    def _limit(self, what: str, count: int, limit: int, pos: int) -> None:
        if count > limit:
            raise self._error(
                f"Expected at most {limit:,} {what} in a file; received more. "
                "No Caffe net is like that: the file is damaged or hostile",
                pos,
            )

    def _length(self, pos: int, end: int) -> tuple[int, int]:
        """Return where a length-delimited value starts and ends."""
        length, pos = self._varint(pos, end)
        if length > end - pos:
            is_file = self._strict and end == self.source.size
            holder = "file" if is_file else "message"
            raise self._error(
                f"Expected a value of {length:,} bytes; received: the {holder} ends "
                f"after {end - pos:,}. The file is truncated or damaged; fetch it "
                "again",
                pos,
            )
        return pos, pos + length

    def _message(self, kind: str, pos: int, end: int) -> bytearray:
        fields, out = self.kinds.SPEC[kind], bytearray()
        payload = Payload() if kind == "BlobProto" and self._strict else None
        kept = pos  # from here to `start`, all stays as it is
        while pos < end:
            start = pos
            tag, pos = self._varint(pos, end)
            number, wire = tag >> 3, tag & 7
            self.fields += 1
            self._limit("fields", self.fields, MAX_FIELDS, start)
            spec = None
            if payload is not None and number in _PAYLOADS:
                pos = self._payload(payload, number, wire, start, pos, end)
            elif payload is not None and number in RAW_FIELDS:
                pos = self._raw_data(payload, number, wire, start, pos, end)
            elif kind in _KEEPS_RAW and (number not in fields or number == _RAW):
                out += self._keep(kept, start)
                part, pos = self._raw(number, wire, start, pos, end)
                out += part
                kept = pos
                continue
            elif (
                number not in fields
                or number >= schema.TEXT_ONLY
                or self._differs(fields[number], wire, pos, end)
            ):
                pos = self._skip_unknown(number, wire, start, pos, end, payload)
            elif wire == 2 and fields[number].kind == "message":
                spec = fields[number]
            else:
                pos = self._scalar(kind, fields[number], wire, start, pos, end)
                continue
            out += self._keep(kept, start)
            if spec is not None:
                part, pos = self._submessage(kind, spec, pos, end)
                out += part
            kept = pos
        out += self._keep(kept, end)
        if payload is not None:
            self._settle(payload)
            ticket = np.array([len(self.payloads)], "<f8").tobytes()
            out += encode_header(9, 8) + ticket
            self.payloads.append(payload)
        return out

    def _keep(self, start: int, stop: int) -> bytes:
        self._size += stop - start
        self._limit_size(start)
        return self.source.read(start, stop - start) if stop > start else b""

    def _limit_size(self, pos: int) -> None:
        if self._size > MAX_SKELETON:
            raise self._error(
                f"Expected at most {MAX_SKELETON >> 20} MiB besides the blobs' values; "
                "received more. The file is damaged or no Caffe file",
                pos,
            )

    def _scalar(self, kind, spec, wire, start, pos, end) -> int:
        """Check a field that is no message; return the position after it."""
        self._path.append(spec.name)
        if wire == 2 and spec.packable:
            pos = self._packed(spec, pos, end)
        elif wire == spec.wire_type and spec.kind != "message":
            pos = self._value(kind, spec, pos, end)
        else:
            raise self._error(
                f"Expected wire type {spec.wire_type} ({spec.kind}); received: wire "
                f"type {wire}. The file is damaged or no Caffe file",
                start,
            )
        self._path.pop()
        return pos

    def _differs(self, spec, wire, pos, end) -> bool:
        """Tell whether a value must be some other field's, where that is no error."""
        if self._strict:
            return False
        if wire == 2 and spec.packable:
            return False
        if wire != spec.wire_type:
            return True
        if spec.kind != "enum":
            return False
        value = _signed(self._varint(pos, end)[0])
        return value not in self.kinds.ENUMS[spec.type].values()

    def _raw(self, number, wire, start, pos, end) -> tuple[bytes, int]:
        """Return a field as it is, as one of `raw`, and the position after it."""
        self._path.append(str(number))
        first, stop = self._extent(number, wire, start, pos, end)
        self._path.pop()
        self._size += stop - first
        self._limit_size(start)
        value = self.source.read(first, stop - first)
        raw = schema.Raw(number=number, wire=wire, value=value, offset=first)
        raw = raw.SerializeToString()
        return encode_header(_RAW, len(raw)) + raw, stop

    def _submessage(self, kind, spec, pos, end) -> tuple[bytearray, int]:
        if is_layer := kind == "NetParameter" and spec.name in _LAYER_FIELDS:
            self._layer = len(self._names)
            self._names.append(f"#{self._layer}")
            self._limit("layers", len(self._names), MAX_LAYERS, pos)
        else:
            self._path.append(spec.name)
            self._limit("nested messages", len(self._path), MAX_DEPTH, pos)
        pos, stop = self._length(pos, end)
        body = self._message(spec.type, pos, stop)
        if is_layer:
            self._layer = None
        else:
            self._path.pop()
        return encode_header(spec.number, len(body)) + body, stop

    def _packed(self, spec, pos, end) -> int:
        pos, stop = self._length(pos, end)
        while pos < stop:
            self.fields += 1
            self._limit("fields", self.fields, MAX_FIELDS, pos)
            pos = self._value("", spec, pos, stop)
        return stop

    def _value(self, kind, spec, pos, end) -> int:
        """Check one scalar and return the position after it."""
        if spec.wire_type == 2:
            return self._text(kind, spec, pos, end)
        if spec.wire_type:
            return self._fixed(8 if spec.wire_type == 1 else 4, pos, end)
        value, after = self._varint(pos, end)
        signed = _signed(value)
        if spec.kind == "enum" and signed not in self.kinds.ENUMS[spec.type].values():
            raise self._error(
                f"Expected one of {self.kinds.ENUMS[spec.type]}; received: {signed}",
                pos,
            )
        if spec.kind in ("int32", "uint32") and not -(1 << 31) <= signed < 1 << 32:
            raise self._error(f"Expected {spec.kind}; received: {signed}", pos)
        return after

    def _text(self, kind, spec, pos, end) -> int:
        pos, stop = self._length(pos, end)
        if spec.kind == "bytes":
            return stop
        self._limit("bytes of text", stop - pos, MAX_SKELETON, pos)
        try:
            text = self.source.read(pos, stop - pos).decode()
        except UnicodeDecodeError as error:
            raise self._error(
                f"Expected UTF-8 text; received: {error.object[:40]!r}. The file is "
                "damaged or no Caffe file",
                pos,
            ) from None
        if kind in _LAYER_MESSAGES and spec.name == "name":
            self._names[self._layer] = text
        return stop

    def _fixed(self, width: int, pos: int, end: int) -> int:
        if width > end - pos:
            raise self._error(
                f"Expected {width} bytes; received: {end - pos}. The file is truncated "
                "or damaged; fetch it again",
                pos,
            )
        return pos + width

    def _payload(self, payload, number, wire, start, pos, end) -> int:
        name, width, unpacked, kept = _PAYLOADS[number]
        self._path.append(name)
        if wire == 2:
            pos, stop = self._length(pos, end)
            run = Run(pos, (stop - pos) // width, width, width)
            if (stop - pos) % width:
                raise self._error(
                    f"Expected a multiple of {width} bytes; received: {stop - pos}",
                    pos,
                )
        elif wire == unpacked:
            run, stop = self._unpacked(width, start, pos, end)
        else:
            raise self._error(
                f"Expected wire type 2 or {unpacked}; received: {wire}", start
            )
        if kept and run.count:
            self._runs += 1
            self._limit("pieces of blob data", self._runs, MAX_RUNS, start)
            if payload.runs and payload.runs[0].width != width:
                raise self._error(
                    "Expected data or double_data; received: both. Which one counts "
                    "is unclear; drop one of them",
                    start,
                )
            payload.runs.append(run)
        self._path.pop()
        return stop

    def _raw_data(self, payload, number, wire, start, pos, end) -> int:
        """Note where NVCaffe's values are; return the position after the field."""
        if wire != RAW_FIELDS[number]:
            return self._skip_unknown(number, wire, start, pos, end, payload)
        if wire == 2:
            extent = self._length(pos, end)
            payload.raw = extent if number == 12 else payload.raw
            return extent[1]
        value, pos = self._varint(pos, end)
        payload.raw_type = _signed(value) if number == 10 else payload.raw_type
        return pos

    def _settle(self, payload: Payload) -> None:
        """Make a run of raw data, whose type may stand before or behind it."""
        try:
            run = raw_run(payload)
        except ValueError as error:
            self._path.append("raw_data")
            raise self._error(str(error), payload.raw[0]) from None
        payload.runs += [run] if run is not None else []

    def _unpacked(self, width, start, pos, end) -> tuple[Run, int]:
        """Collect a run of tagged values, the tag repeated before each."""
        stop = self._fixed(width, pos, end)
        if pos - start > 1:  # a tag longer than it need be; rare, so one at a time
            return Run(pos, 1, width, width), stop
        stride, count, step = width + 1, 1, 64
        tag = self.source.read(start, 1)[0]
        while more := min(step, (end - stop) // stride):
            tags = np.frombuffer(self.source.read(stop, more * stride), "u1")[::stride]
            same = int(np.argmin(np.append(tags == tag, False)))
            count, stop = count + same, stop + same * stride
            if same < more:
                break
            step = min(step * 4, _CHUNK)
        return Run(start, count, stride, width), stop

    def _skip_unknown(self, number, wire, start, pos, end, payload) -> int:
        """Step over a field, keep a record of it, return the position after it."""
        if payload is not None:
            payload.unknown.append(number)
        self._path.append(str(number))
        first, stop = self._extent(number, wire, start, pos, end)
        if len(self._unknown) < MAX_UNKNOWN:
            value = self.source.read(first, min(stop - first, MAX_VALUE))
            self._unknown.append((self._layer, ".".join(self._path), value))
        self._path.pop()
        return stop

    def _extent(self, number, wire, start, pos, end) -> tuple[int, int]:
        """Return where the value of a field begins and ends, whatever it is."""
        if number == 0 or number >= 1 << 29 or wire in (3, 4, 6, 7):
            raise self._error(
                f"Expected a field of a Caffe file; received: field number {number} "
                f"of wire type {wire}. The file is damaged or no Caffe file",
                start,
            )
        if wire == 2:
            return self._length(pos, end)
        if wire == 0:
            return pos, self._varint(pos, end)[1]
        return pos, self._fixed(8 if wire == 1 else 4, pos, end)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
