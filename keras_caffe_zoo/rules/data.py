"""Layers that read no blob, and those that write none."""

import math
from dataclasses import dataclass, replace

import numpy as np

from keras_caffe_zoo.caffe import (
    DATA,
    IMAGE_DATA,
    INPUT,
    TRANSFORM,
    WINDOW_DATA,
    Layer,
    Param,
)
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.rules.node import MAX_VALUES
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, STORED, Rule, Traits

Shape = tuple[int | None, ...]


@register
class Input(Rule):
    types = ("Input",)
    layers = ("InputLayer",)
    role = "input"
    param = INPUT
    bottoms, tops = (0, 0), (1, None)
    traits = Traits(places="kept", order="new")

    def build(self, node):
        """Do nothing: the graph makes its inputs before it asks any rule."""


def input_layer(name: str, tops: list[str], shapes=()) -> Layer:
    """Return a Caffe layer whose tops are the data of a net."""
    layer = Layer(name, Input.types[0], [], tops)
    if shapes:
        message = INPUT.message(shape=[{"dim": shape} for shape in shapes])
        layer.message.raw.append(INPUT.encode(message))
    return layer


def silence_layer(name: str, bottoms: list[str]) -> Layer:
    """Return a Caffe layer that keeps blobs from being outputs."""
    return Layer(name, Silence.types[0], bottoms)


# Before Caffe had transform_param, each data layer had these fields itself.
_OLD_PARAMS = {"Data": "data_param", "ImageData": "image_data_param"}


@dataclass(frozen=True)
class PixelTransform:
    """What a data layer's prototxt says of pixels: `(x - mean) * scale`.

    Attributes:
        mean_file: The mean image's file, on the machine of who trained; "" if none.
        mean_values: The means instead: none, one, or one for each channel, BGR.
        scale: What the difference is multiplied by.
    """

    mean_file: str = ""
    mean_values: tuple[float, ...] = ()
    scale: float = 1.0


def pixel_transform(layer: Layer) -> PixelTransform:
    """Return what a data layer's `transform_param` says of pixels.

    Raises:
        ValueError: If it names a mean file and mean values, as Caffe forbids.
    """
    file = transform_field(layer, "mean_file")
    values = tuple(layer.decode(TRANSFORM).message.mean_value)
    if file and values:
        raise ValueError(
            f"Expected a mean_file or mean_value in layer {layer.name!r}; "
            "received: both"
        )
    return PixelTransform(file, values, transform_field(layer, "scale"))


def transform_field(layer: Layer, name: str):
    """Return a field of a layer's transform, or the old one of the same name."""
    transform = layer.decode(TRANSFORM).message
    old = layer.read(_OLD_PARAMS.get(layer.type, TRANSFORM.name))
    return getattr(transform if transform.HasField(name) else old, name)


class DataLayer(Rule):
    """A layer of a training net that reads a file: an input of one that predicts."""

    role = "data"
    bottoms, tops = (0, 0), (1, None)

    def pixels(self, layer: Layer) -> PixelTransform | None:
        """Return what is done to pixels; None where the prototxt does not tell.

        Raises:
            ValueError: If what it tells is contradictory.
        """
        return None

    def data_shape(self, node, top: int, channels: int | None) -> Shape | None:
        """Return the shape of a top in Caffe's order of axes.

        Args:
            node: The layer.
            top: Which top; the first has the data, others have labels.
            channels: Those that the net's weights tell, if they do.

        Returns:
            The shape, `None` for sizes that no file tells; `None` for it all where not
            even the number of axes is known.
        """
        if top:
            return (node.param.batch_size or None,)
        return self._image_shape(node, node.param, channels)

    def _image_shape(self, node, param, channels) -> Shape:
        transform = node.read(TRANSFORM)
        crop = transform.crop_size or param.crop_size or None
        channels = channels or (1 if transform.force_gray else 3)
        return (param.batch_size or None, channels, crop, crop)


class PictureLayer(DataLayer):
    """A layer that makes its first top of pictures, as `transform_param` says."""

    def pixels(self, layer):
        return pixel_transform(layer)


@register
class Data(PictureLayer):
    types = ("Data",)
    param, also = DATA, (TRANSFORM,)


@register
class ImageData(PictureLayer):
    types = ("ImageData",)
    param, also = IMAGE_DATA, (TRANSFORM,)

    def _image_shape(self, node, param, channels):
        items, _, height, width = super()._image_shape(node, param, channels)
        height = height or param.new_height or None
        width = width or param.new_width or None
        # force_gray is for databases only.
        return (items, channels or (3 if param.is_color else 1), height, width)


@register
class WindowData(PictureLayer):
    types = ("WindowData",)
    param, also = WINDOW_DATA, (TRANSFORM,)

    def pixels(self, layer):
        # Caffe reads this scale, not the one in transform_param.
        return replace(super().pixels(layer), scale=layer.param.scale)


@register
class HDF5Data(DataLayer):
    types = ("HDF5Data",)
    param = Param(
        "hdf5_data_param",
        "1 source string; 2 batch_size uint32; 3 shuffle bool=false",
        112,
    )
    also = (TRANSFORM,)

    def data_shape(self, node, top, channels):
        shape = (node.param.batch_size or None, channels, None, None)
        return shape if channels else None


@register
class MemoryData(DataLayer):
    types = ("MemoryData",)
    param = Param(
        "memory_data_param",
        "1 batch_size uint32; 2 channels uint32; 3 height uint32; 4 width uint32",
        119,
    )
    also = (TRANSFORM,)

    def pixels(self, layer):
        # Without one, who fills the memory may have done it all before.
        return pixel_transform(layer) if layer.decode(TRANSFORM).given else None

    def _image_shape(self, node, param, channels):
        return (param.batch_size, param.channels, param.height, param.width)


@register
class DummyData(DataLayer):
    """Data of no file: constants, or what stands for the data of a net without any."""

    types = ("DummyData",)
    layers = ("CaffeConstant",)
    param = Param(
        "dummy_data_param",
        """
        1 data_filler FillerParameter*; 2 num uint32*; 3 channels uint32*;
        4 height uint32*; 5 width uint32*; 6 shape BlobShape*
        """,
        109,
    )
    keeps_tops = True
    traits = MIXED._replace(order="new")

    def build(self, node):
        """Make blobs of one value each; others have become inputs before."""
        shapes, fillers = self.shapes(node), self.fillers(node)
        names = [node.name]
        names = [node.aux(f"top{i}") for i in range(len(shapes) - 1)] + names
        return [
            layers.CaffeConstant(shape, filler.value if filler else 0.0, name=name)(
                node.anchor
            )
            for shape, filler, name in zip(shapes, fillers, names, strict=True)
        ]

    def onnx(self, node):
        pairs = zip(self.shapes(node), self.fillers(node), strict=True)
        return [
            node.op(
                "ConstantOfShape",
                list(shape),
                value=np.array([filler.value if filler else 0.0], "float32"),
            )
            for shape, filler in pairs
        ]

    def encode(self, call):
        shape = {"dim": call.layer.shape}
        filler = {"type": "constant", "value": call.layer.value}
        call.add(
            "DummyData",
            [],
            dummy_data_param={"shape": [shape], "data_filler": [filler]},
        )

    def caffe_bottoms(self, inputs):
        return []  # it only hangs on one

    def data_shape(self, node, top, channels):
        return self.shapes(node)[top]

    def is_constant(self, node) -> bool:
        """Tell whether all tops hold one value each."""
        return all(filler.type == "constant" for filler in node.param.data_filler)

    def shapes(self, node) -> list[tuple[int, ...]]:
        """Return the shape of each top."""
        param, tops = node.param, len(node.layer.tops)
        if param.shape:
            shapes = [tuple(shape.dim) for shape in param.shape]
        else:
            sides = (param.num, param.channels, param.height, param.width)
            count = max(map(len, sides))
            sides = [list(side) * (count if len(side) == 1 else 1) for side in sides]
            shapes = list(zip(*sides, strict=False))
            if any(len(side) != count for side in sides):
                shapes = []
        if len(shapes) not in (1, tops):
            raise node.error(
                f"Expected one shape, or one for each of {tops} tops; received: "
                f"{shapes}",
                "dummy_data_param.shape",
            )
        shapes = shapes * tops if len(shapes) == 1 else shapes
        return [_checked(node, shape, "dummy_data_param.shape") for shape in shapes]

    def fillers(self, node) -> list:
        """Return the filler of each top; `None` for zeros."""
        fillers, tops = list(node.param.data_filler), len(node.layer.tops)
        if len(fillers) not in (0, 1, tops):
            raise node.error(
                f"Expected one filler, or one for each of {tops} tops; received: "
                f"{len(fillers)}",
                "dummy_data_param.data_filler",
            )
        return fillers if len(fillers) == tops else (fillers or [None]) * tops


def _checked(node, sizes, name) -> tuple[int, ...]:
    shape = tuple(sizes)
    if any(size < 1 for size in shape) or math.prod(shape) > MAX_VALUES:
        raise node.error(
            f"Expected positive sizes of at most {MAX_VALUES:,} values; received: "
            f"{shape}",
            name,
        )
    return shape


@register
class Parameter(Rule):
    types = ("Parameter",)
    layers = ("CaffeParameter",)
    param = Param("parameter_param", "1 shape BlobShape", 145)
    bottoms = (0, 0)
    codec = STORED
    keeps_tops = True
    traits = MIXED._replace(order="new")

    def build(self, node):
        shape = self._shape(node)
        return layers.CaffeParameter(shape, name=node.name)(node.anchor)

    def onnx(self, node):
        self._shape(node)
        return node.weight(0)

    @staticmethod
    def _shape(node) -> tuple[int, ...]:
        shape = _checked(node, node.param.shape.dim, "parameter_param.shape")
        node.learns(shape)
        return shape

    def encode(self, call):
        call.add("Parameter", [], parameter_param={"shape": {"dim": call.layer.shape}})

    def blob_axes(self, layer):
        return (None,)

    def caffe_bottoms(self, inputs):
        return []  # it only hangs on one


@register
class Silence(Rule):
    types = ("Silence",)
    layers = ("CaffeSilence",)
    role = "silence"
    bottoms, tops = (1, None), (0, 0)
    traits = Traits(places="first", channels="kept", order="first")

    def build(self, node, *bottoms):
        """Do nothing: the graph keeps what is read here from being an output."""
        return []

    onnx = build

    def keep(self, node, x, tensors):
        """Return an output, led through a layer that keeps what is silenced."""
        return layers.CaffeSilence(name=node.name)([x, *tensors])

    def caffe_bottoms(self, inputs):
        return inputs[1:]  # the first goes on as it is

    def encode(self, call):
        """Add Silence for what ends here; the first input goes on as it is."""
        call.add("Silence", call.bottoms[1:], [])


@register
class HDF5Output(Rule):
    types = ("HDF5Output",)
    role = "output"
    param = Param("hdf5_output_param", number=113, message="HDF5OutputParameter")
    bottoms, tops = (2, 2), (0, 0)
    labels_from = 0  # everything it reads is there only to be written


@register
class Filter(Rule):
    types = ("Filter",)
    refused = "the size of its tops depends on the data"
