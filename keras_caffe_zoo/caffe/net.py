"""A net in Caffe's own terms: layers, blobs by name, NCHW, always in V2 form."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from google.protobuf import text_format

from . import schema
from .errors import CaffeFormatError, UnknownField
from .params import (
    Decoded,
    Param,
    declared,
    indented,
    is_declared,
    is_field,
    raw_bytes,
    raw_text,
    raw_value,
)
from .prototxt import Parser, Undeclared
from .skeleton import MAX_UNKNOWN

INPUT = Param("input_param", "1 shape BlobShape*", 143)


@dataclass
class Layer:
    """One layer.

    Attributes:
        name: Caffe's name; not necessarily unique in a net.
        type: V2 type, such as `"InnerProduct"`.
        bottoms: Names of the blobs it reads.
        tops: Names of the blobs it writes.
        message: The V2 `LayerParameter` without blobs: what all layers may have, and
            in `raw` what this one's type adds, as the file has it. Where its `name`,
            `type`, `bottom` or `top` differ from the attributes above, those count.
        blobs: Learned parameters, float32, in Caffe's layout.
        source: The file it came from, for error messages.
        number: What errors call it if it has no name, `"#3"`.

    Example:
        >>> from keras_caffe_zoo.caffe import Layer, parse_prototxt
        >>> Layer("relu1", "ReLU", ["conv1"], ["conv1"]).param.negative_slope
        0.0
        >>> net = parse_prototxt('''layer { name: "pool1" type: "Pooling"
        ...     bottom: "conv1" top: "pool1" pooling_param { kernel_size: 3 } }''')
        >>> (layer,) = net.layers
        >>> layer.tops, layer.param.kernel_size, layer.param.stride
        (['pool1'], 3, 1)
    """

    name: str
    type: str
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    message: Any = None
    blobs: list[np.ndarray] = field(default_factory=list)
    source: str = ""
    number: str = field(default="", init=False, repr=False, compare=False)
    _decoded: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self):
        if self.message is None:
            self.message = self.to_message()

    def decode(self, param: Param) -> Decoded:
        """Return a parameter message of this layer, decoded as declared.

        Args:
            param: The declaration. The result is kept, so it must not be changed.

        Raises:
            CaffeFormatError: If the layer's field is not like that.
        """
        if param not in self._decoded:
            self._decoded[param] = param.decode(self.message.raw, **self._place)
        return self._decoded[param]

    @property
    def params(self) -> Sequence[Param]:
        """What is declared of the parameter messages of this layer, its own first."""
        declaration = declared(self.type)
        return declaration.own(self) if declaration.own else declaration.params

    @property
    def param(self) -> Any:
        """The parameter message of this layer's type, `convolution_param` or the like.

        Raises:
            AttributeError: If no parameters were declared for the type.
        """
        params = self.params
        if not params:
            raise AttributeError(
                f"Expected a layer of a type with declared parameters; received: "
                f"'{self.name}' ({self.type or 'no type'})"
            )
        return self.decode(params[0]).message

    def undeclared(self) -> Undeclared:
        """Return parameters of a type that nobody declared, as they stand in the text.

        Those of the one message that a layer usually has; of all if there are more.

        Raises:
            CaffeFormatError: If the layer has none in words.
        """
        found: dict[str, list] = {}
        for raw in self.message.raw:
            if raw.HasField("line"):
                text = raw.name + raw.value.decode("utf-8", "surrogateescape")
                parser = Parser(text, self.source or None)
                parser.go_on_from(self.name, (raw.line, raw.column))
                for name, values in parser.undeclared().fields.items():
                    found.setdefault(name, []).extend(values)
        if not found:
            raise CaffeFormatError(
                f"({self.type}) Expected parameters in the prototxt; received none",
                **self._place,
            )
        only = [value for values in found.values() for value in values]
        one_block = len(only) == 1 and isinstance(only[0], Undeclared)
        return only[0] if one_block else Undeclared(found)

    def read(self, name: str) -> Any:
        """Return the parameter message of a name, its defaults if there is none.

        Raises:
            AttributeError: If layers of this type have no such parameters.
        """
        for param in self.params:
            if param.name == name:
                return self.decode(param).message
        raise AttributeError(f"Caffe has no {name} for layers of type {self.type}.")

    @property
    def blob_axes(self) -> Sequence[int | None] | None:
        """How many axes each blob has, `None` for as stored; `None` if not known."""
        return declared(self.type).axes(self)

    def unknown_fields(
        self, params: Sequence[Param] | None = None
    ) -> list[UnknownField]:
        """Return the fields beside the envelope that nobody declared.

        Args:
            params: Declarations of this layer's parameters; those of its type if not
                given. A field of another type's is passed over, as Caffe does.

        Raises:
            CaffeFormatError: If a declared field is not as declared.
        """
        params = self.params if params is None else params
        found: list[UnknownField] = []
        for raw in self.message.raw:
            if len(found) == MAX_UNKNOWN:
                break
            mine = any(is_field(raw, p.name, p.numbers) for p in params)
            if not mine and not is_declared(raw, self.type):
                name, path = self.name or self.number, raw.name or str(raw.number)
                found.append(UnknownField(name, path, raw_value(raw)))
        for param in params:
            found += self.decode(param).unknown
        return found

    @property
    def _place(self) -> dict:
        return {"source": self.source or None, "layer": self.name or self.number}

    def to_message(self) -> Any:
        """Return a `LayerParameter` of this layer, without blobs."""
        message = schema.LayerParameter()
        if self.message is not None:
            message.CopyFrom(self.message)
        for name in ("name", "type", "bottom", "top", "blobs"):
            message.ClearField(name)
        message.name = self.name
        if self.type:
            message.type = self.type
        message.bottom.extend(self.bottoms)
        message.top.extend(self.tops)
        return message

    def to_bytes(self) -> bytes:
        """Return the layer's structure as a serialized `LayerParameter`."""
        message = self.to_message()
        message.ClearField("raw")
        params, place = self.params, self._place
        raws = [raw_bytes(x, params, **place) for x in self.message.raw]
        return message.SerializeToString() + b"".join(raws)

    def to_prototxt(self) -> str:
        """Return the layer's structure as prototxt text."""
        message = self.to_message()
        message.ClearField("raw")
        text = indented(text_format.MessageToString(message))
        params, place = self.params, self._place
        text += "".join(raw_text(x, params, **place) for x in self.message.raw)
        return f"layer {{\n{text}}}\n"


@dataclass
class Net:
    """A net: its layers in the order in which Caffe runs them.

    Attributes:
        name: The net's name.
        layers: Its layers. Data blobs declared by `input` fields have become an
            `Input` layer named `"input"`, the first.
        version: Form of the file it came from: `"V0"`, `"V1"` or `"V2"`; `"HDF5"` of
            a `.caffemodel.h5`, which has no structure.
        source: The file, for error messages.
        message: The `NetParameter` without name, layers and inputs: `state`,
            `force_backward`, `debug_info`.
        unknown: The net's own fields, outside of what its layers' types tell, that
            nobody declared.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> net = parse_prototxt('''input: "data" input_shape { dim: 1 dim: 3 }
        ...     layer { name: "drop" type: "Dropout" bottom: "data" top: "data"
        ...             include { phase: TRAIN } }''')
        >>> net.inputs, [layer.type for layer in net.layers]
        ({'data': (1, 3)}, ['Input', 'Dropout'])
        >>> [layer.type for layer in net.filter("TEST").layers]
        ['Input']
    """

    name: str = ""
    layers: list[Layer] = field(default_factory=list)
    version: str = "V2"
    source: str = ""
    message: Any = field(default_factory=schema.NetParameter)
    unknown: list[UnknownField] = field(default_factory=list)

    @property
    def unknown_fields(self) -> list[UnknownField]:
        """The fields that nobody declared (forks of Caffe add such).

        Caffe would refuse them in a prototxt; whether they are harmless, the caller
        decides.

        Raises:
            CaffeFormatError: If a declared field is not as declared.
        """
        found = list(self.unknown)
        for layer in self.layers:
            found += layer.unknown_fields()
        return found

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the data blobs that `Input` layers declare, by blob name."""
        return {
            top: shape
            for layer in self.layers
            if layer.type == "Input" and layer.decode(INPUT).message.shape
            for top, shape in zip(layer.tops, _input_shapes(layer), strict=True)
        }

    @property
    def params(self) -> dict[str, list[np.ndarray]]:
        """Blobs by layer name, of the layers that have any; the last of a name."""
        return {layer.name: layer.blobs for layer in self.layers if layer.blobs}

    def filter(
        self, phase: str = "TEST", level: int = 0, stages: Iterable[str] = ()
    ) -> Net:
        """Return the net without the layers that Caffe would leave out.

        As in Caffe, `phase` and `level` replace those of the net's own `state`, and
        `stages` are added to its stages. The layers are shared with this net.

        Args:
            phase: `"TRAIN"` or `"TEST"`.
            level: Level to compare with `min_level` and `max_level`.
            stages: Stages that are on.

        Raises:
            ValueError: If `phase` is not a phase.
            CaffeFormatError: If a layer has both include and exclude rules.
        """
        if phase not in schema.ENUMS["Phase"]:
            raise ValueError(f"Expected phase 'TRAIN' or 'TEST'; received: {phase!r}")
        on = {*self.message.state.stage, *stages}
        state = (schema.ENUMS["Phase"][phase], level, on)
        return replace(self, layers=[x for x in self.layers if self._kept(x, state)])

    def _kept(self, layer: Layer, state: tuple) -> bool:
        include, exclude = layer.message.include, layer.message.exclude
        if include and exclude:
            raise CaffeFormatError(
                "Expected include rules or exclude rules; received: both",
                source=self.source,
                layer=layer.name,
            )
        if include:
            return any(_meets(rule, *state) for rule in include)
        return not any(_meets(rule, *state) for rule in exclude)

    def fold_splits(self) -> Net:
        """Return the net without the Split layers that Caffe inserts.

        A blob read more than once gets a layer `<blob>_<layer>_<i>_split` with tops
        `…_split_0`, `…_split_1`, …; their readers get the blob's own name back. A
        Split layer of another name, or one whose readers come after a layer that
        overwrites the blob, stays.
        """
        gone, origin = _foldable(self.layers)
        kept = [x for i, x in enumerate(self.layers) if i not in gone]
        return replace(self, layers=[_rewire(layer, origin) for layer in kept])

    def head(self) -> Any:
        """Return the `NetParameter` of what the net has beside its layers."""
        message = schema.NetParameter()
        message.CopyFrom(self.message)
        if self.name:
            message.name = self.name
        return message

    def to_prototxt(self) -> str:
        """Return the net's structure as prototxt text (V2, no weights)."""
        head = text_format.MessageToString(self.head())
        return head + "".join(layer.to_prototxt() for layer in self.layers)


def _input_shapes(layer: Layer) -> list[tuple[int, ...]]:
    shapes = [tuple(shape.dim) for shape in layer.decode(INPUT).message.shape]
    # One shape serves all tops of an Input layer.
    shapes *= len(layer.tops) if len(shapes) == 1 else 1
    if len(shapes) != len(layer.tops):
        raise CaffeFormatError(
            f"Expected one shape, or one for each of {len(layer.tops)} tops; "
            f"received: {len(shapes)}",
            layer=layer.name,
            field="input_param.shape",
        )
    return shapes


def _meets(rule: Any, phase: int, level: int, stages: set[str]) -> bool:
    return (
        (not rule.HasField("phase") or rule.phase == phase)
        and (not rule.HasField("min_level") or level >= rule.min_level)
        and (not rule.HasField("max_level") or level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def _is_inserted_split(layer: Layer) -> bool:
    if layer.type != "Split" or len(layer.bottoms) != 1 or layer.blobs:
        return False
    blob = re.escape(layer.bottoms[0])
    tops = [f"{layer.name}_{i}" for i in range(len(layer.tops))]
    return layer.tops == tops and bool(
        re.fullmatch(f"{blob}_.*_\\d+_split", layer.name)
    )


def _positions(layers: list[Layer], ends: str) -> dict[str, list[int]]:
    """Return where each blob stands among the layers' `bottoms` or `tops`."""
    places: dict[str, list[int]] = {}
    for i, layer in enumerate(layers):
        for blob in getattr(layer, ends):
            places.setdefault(blob, []).append(i)
    return places


def _foldable(layers: list[Layer]) -> tuple[set[int], dict[str, str]]:
    """Return the positions of Splits that can go, and the blob behind each top."""
    readers, writers = _positions(layers, "bottoms"), _positions(layers, "tops")
    gone: set[int] = set()
    origin: dict[str, str] = {}
    for at, split in enumerate(layers):
        if not _is_inserted_split(split):
            continue
        blob = origin.get(split.bottoms[0], split.bottoms[0])
        last = max((i for top in split.tops for i in readers.get(top, ())), default=at)
        later = writers.get(blob, [])
        later = later[bisect_right(later, at) :]
        unique = all(len(writers[top]) == 1 for top in split.tops)
        if unique and not (later and later[0] < last):
            gone.add(at)
            origin.update(dict.fromkeys(split.tops, blob))
    return gone, origin


def _rewire(layer: Layer, origin: dict[str, str]) -> Layer:
    if origin.keys().isdisjoint(layer.bottoms):
        return layer
    bottoms = [origin.get(blob, blob) for blob in layer.bottoms]
    layer = replace(layer, bottoms=bottoms)
    return replace(layer, message=layer.to_message())
