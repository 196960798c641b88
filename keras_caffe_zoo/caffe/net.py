"""A net in Caffe's own terms: layers, blobs by name, NCHW, always in V2 form."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from google.protobuf import text_format

from . import schema
from .errors import CaffeFormatError


@dataclass
class Layer:
    """One layer.

    Attributes:
        name: Caffe's name; not necessarily unique in a net.
        type: V2 type, such as `"InnerProduct"`.
        bottoms: Names of the blobs it reads.
        tops: Names of the blobs it writes.
        message: The V2 `LayerParameter` without blobs. Where its `name`, `type`,
            `bottom` or `top` differ from the attributes above, the attributes count.
        blobs: Learned parameters, float32, in Caffe's layout.
    """

    name: str
    type: str
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    message: Any = None
    blobs: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self):
        if self.message is None:
            self.message = self.to_message()

    def to_message(self) -> Any:
        """Returns a `LayerParameter` of this layer, without blobs."""
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


@dataclass
class Net:
    """A net: its layers in the order in which Caffe runs them.

    Attributes:
        name: The net's name.
        layers: Its layers. Data blobs declared by `input` fields have become an
            `Input` layer named `"input"`, the first.
        version: Form of the file it came from: `"V0"`, `"V1"` or `"V2"`.
        source: The file, for error messages.
        message: The `NetParameter` without name, layers and inputs: `state`,
            `force_backward`, `debug_info`.
        unknown_fields: The fields that Caffe 1.0 does not have (forks add such), as
            `"layer 'pool1': field 'pooling_param.ceil_mode'"`. Caffe would refuse
            them in a prototxt; whether they are harmless, the caller decides.
    """

    name: str = ""
    layers: list[Layer] = field(default_factory=list)
    version: str = "V2"
    source: str = ""
    message: Any = field(default_factory=schema.NetParameter)
    unknown_fields: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the data blobs that `Input` layers declare, by blob name."""
        return {
            top: shape
            for layer in self.layers
            if layer.type == "Input" and layer.message.input_param.shape
            for top, shape in zip(layer.tops, _input_shapes(layer), strict=True)
        }

    @property
    def params(self) -> dict[str, list[np.ndarray]]:
        """Blobs by layer name, of the layers that have any; the last of a name."""
        return {layer.name: layer.blobs for layer in self.layers if layer.blobs}

    def filter(
        self, phase: str = "TEST", level: int = 0, stages: Iterable[str] = ()
    ) -> Net:
        """Returns the net without the layers that Caffe would leave out.

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
        """Returns the net without the Split layers that Caffe inserts.

        A blob read more than once gets a layer `<blob>_<layer>_<i>_split` with tops
        `…_split_0`, `…_split_1`, …; their readers get the blob's own name back. A
        Split layer of another name, or one whose readers come after a layer that
        overwrites the blob, stays.
        """
        gone, origin = _foldable(self.layers)
        kept = [x for i, x in enumerate(self.layers) if i not in gone]
        return replace(self, layers=[_rewire(layer, origin) for layer in kept])

    def to_message(self) -> Any:
        """Returns the net as a V2 `NetParameter` without blobs."""
        message = schema.NetParameter()
        message.CopyFrom(self.message)
        if self.name:
            message.name = self.name
        message.layer.extend(layer.to_message() for layer in self.layers)
        return message

    def to_prototxt(self) -> str:
        """Returns the net's structure as prototxt text (V2, no weights)."""
        return text_format.MessageToString(self.to_message())


def _input_shapes(layer: Layer) -> list[tuple[int, ...]]:
    shapes = [tuple(shape.dim) for shape in layer.message.input_param.shape]
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
    """Returns where each blob stands among the layers' `bottoms` or `tops`."""
    places: dict[str, list[int]] = {}
    for i, layer in enumerate(layers):
        for blob in getattr(layer, ends):
            places.setdefault(blob, []).append(i)
    return places


def _foldable(layers: list[Layer]) -> tuple[set[int], dict[str, str]]:
    """Returns the positions of Splits that can go, and the blob behind each top."""
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
