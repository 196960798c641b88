"""Layers of several bottoms, or several tops."""

import functools

import numpy as np

from keras_caffe_zoo.arithmetic.reshaping import crop_offsets, cropped
from keras_caffe_zoo.caffe import Layer, Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Rule, Traits
from keras_caffe_zoo.rules.target import may_agree

_PROD, _SUM = 0, 1
_ON_CHANNELS = Traits(places="kept", order="moved")


@register
class Eltwise(Rule):
    types = ("Eltwise",)
    layers = ("CaffeWeightedSum", "Add", "Average", "Maximum", "Multiply", "Subtract")
    precision = "kept"
    param = Param(
        "eltwise_param",
        """
        1 operation EltwiseOp=SUM; 2 coeff float*; 3 stable_prod_grad bool=true
        enum EltwiseOp: PROD=0 SUM=1 MAX=2
        """,
        110,
    )
    bottoms = (1, None)  # one, which is scaled, in FlowNet2's nets
    same_shapes = True
    traits = POINTWISE

    def build(self, node, *bottoms):
        self._check(node, bottoms)
        param = node.param
        if param.operation == _SUM and any(value != 1 for value in param.coeff):
            coeff = list(param.coeff)
            return layers.CaffeWeightedSum(coeff, name=node.name)(list(bottoms))
        if len(bottoms) == 1:
            return keras.layers.Identity(name=node.name)(bottoms[0])
        kinds = (keras.layers.Multiply, keras.layers.Add, keras.layers.Maximum)
        return kinds[param.operation](name=node.name)(list(bottoms))

    def onnx(self, node, *bottoms):
        self._check(node, bottoms)
        parts, type_ = list(bottoms), ("Mul", "Add", "Max")[node.param.operation]
        for i, factor in enumerate(node.param.coeff):
            parts[i] = node.op("Mul", parts[i], factor) if factor != 1 else parts[i]
        return functools.reduce(lambda x, y: node.op(type_, x, y), parts)

    @staticmethod
    def _check(node, bottoms) -> None:
        param = node.param
        _check_shapes(node, bottoms, ())
        if param.coeff and param.operation == _PROD:
            raise node.error("Expected coeff with SUM only", "eltwise_param.coeff")
        if param.coeff and len(param.coeff) != len(bottoms):
            raise node.error(
                f"Expected one for each of {len(bottoms)} bottoms; received: "
                f"{len(param.coeff)}",
                "eltwise_param.coeff",
            )
        if len(bottoms) == 1 and param.operation != _SUM:
            raise node.error("Expected several bottoms but with SUM; received: one")

    def encode(self, call):
        if not all(may_agree(tensor, call.inputs[0]) for tensor in call.inputs):
            shapes = [tuple(tensor.shape) for tensor in call.inputs]
            raise call.error(f"Caffe does not broadcast, its inputs are {shapes}")
        operation, coeff = self._operation(call.layer, len(call.inputs))
        call.add("Eltwise", eltwise_param={"operation": operation, "coeff": coeff})

    @staticmethod
    def _operation(layer, count):
        if isinstance(layer, keras.layers.Multiply):
            return "PROD", ()
        if isinstance(layer, keras.layers.Maximum):
            return "MAX", ()
        if isinstance(layer, keras.layers.Subtract):
            return "SUM", [1.0, -1.0]
        if isinstance(layer, keras.layers.Average):
            return "SUM", [1.0 / count] * count
        return "SUM", getattr(layer, "coeff", ())


def _check_shapes(node, bottoms, but):
    """Check that bottoms have the same shape but for some (Keras) axes."""
    shapes = [tuple(x.shape) for x in bottoms]
    for shape in shapes[1:]:
        pairs = list(zip(shape, shapes[0], strict=False))
        if len(shape) != len(shapes[0]) or any(
            a != b and None not in (a, b)
            for axis, (a, b) in enumerate(pairs)
            if axis not in but
        ):
            raise node.error(
                "Expected bottoms of the same shape; received: "
                f"{[caffe_shape(x) for x in bottoms]}",
                "bottom",
            )


def _legacy_axis(node, x, old):
    """Return the Keras axis of a layer that once had another field for it."""
    param, rank, name = node.param, len(x.shape), node.rule.param.name
    if not param.HasField(old):
        return node.axis(param.axis, rank, f"{name}.axis")
    if param.HasField("axis"):
        raise node.error(f"Expected axis or {old}; received: both", name)
    return node.axis(getattr(param, old), rank, f"{name}.{old}")


def _along(layer, rank: int) -> Traits:
    """Return the traits of a layer that joins or cuts along its axis."""
    last = layer.axis % rank == rank - 1
    return _ON_CHANNELS if last else MIXED


@register
class Concat(Rule):
    types = ("Concat",)
    layers = ("Concatenate",)
    precision = "kept"
    param = Param("concat_param", "1 concat_dim uint32=1; 2 axis int32=1", 104)
    bottoms = (1, None)
    same_items = True

    def build(self, node, *bottoms):
        axis = self._axis(node, bottoms)
        if len(bottoms) == 1:
            return keras.layers.Identity(name=node.name)(bottoms[0])
        options = {"axis": axis, "name": node.name}
        if all(x.dtype == "float32" for x in bottoms):
            options["dtype"] = "float32"  # prior boxes, which half precision moves
        return keras.layers.Concatenate(**options)(list(bottoms))

    def onnx(self, node, *bottoms):
        return node.joined(bottoms, self._axis(node, bottoms))

    @staticmethod
    def _axis(node, bottoms) -> int:
        axis = _legacy_axis(node, bottoms[0], "concat_dim")
        _check_shapes(node, bottoms, (axis,))
        if axis == 0 and len(bottoms) > 1:
            node.whole_batch(*bottoms)
        return axis

    def encode(self, call):
        call.add("Concat", concat_param={"axis": call.axis(call.layer.axis)})

    def traits_of(self, layer):
        return _along(layer, len(layer.output.shape))

    def shares_memory(self, call):
        return len(call.inputs) == 1

    def channels(self, layer, bottoms):
        axis = layer.param
        along_channels = axis.axis == 1 and axis.concat_dim == 1
        return sum(bottoms) if along_channels and all(bottoms) else None


@register
class Slice(Rule):
    types = ("Slice",)
    layers = ("CaffeSlice",)
    precision = "kept"
    param = Param(
        "slice_param",
        "1 slice_dim uint32=1; 2 slice_point uint32*; 3 axis int32=1",
        126,
    )
    tops = (1, None)

    def build(self, node, x):
        axis, sizes = self._cuts(node, x)
        if len(sizes) == 1:
            return keras.layers.Identity(name=node.name)(x)
        return layers.CaffeSlice(sizes, axis, name=node.name)(x)

    def onnx(self, node, x):
        axis, sizes = self._cuts(node, x)
        if len(sizes) == 1:
            return x
        return node.op("Split", x, sizes, axis=axis, outputs=len(sizes))

    def _cuts(self, node, x) -> tuple[int, list]:
        """Return the axis of the tensor that is cut, and the sizes of its parts."""
        axis, tops = _legacy_axis(node, x, "slice_dim"), len(node.layer.tops)
        if tops == 1:
            return axis, [x.shape[axis]]
        if axis == 0:
            node.whole_batch(x)
        size = x.shape[axis]
        if size is None:
            raise node.error(
                f"Expected a known size to cut; received: {caffe_shape(x)}"
            )
        return axis, self._parts(node, size, tops)

    @staticmethod
    def _parts(node, size, tops):
        points = list(node.param.slice_point)
        if not points:
            if size % tops:
                raise node.error(
                    f"Expected a size that {tops} tops divide; received: {size}",
                    "slice_param.slice_point",
                )
            return [size // tops] * tops
        ends = [0, *points, size]
        parts = [end - start for start, end in zip(ends, ends[1:], strict=False)]
        if len(points) != tops - 1 or min(parts) < 1:
            raise node.error(
                f"Expected {tops - 1} growing numbers below {size}; received: {points}",
                "slice_param.slice_point",
            )
        return parts

    def encode(self, call):
        points, at = [], 0
        for size in call.layer.sizes[:-1]:
            at += size
            points.append(at)
        axis = call.axis(call.layer.axis)
        call.add("Slice", slice_param={"axis": axis, "slice_point": points})

    def traits_of(self, layer):
        return _along(layer, len(layer.input.shape))

    def shares_memory(self, call):
        return len(call.outputs) == 1


@register
class Split(Rule):
    types = ("Split",)
    layers = ("Identity", "StopGradient")  # Caffe says of readers what has no gradient
    precision = "kept"
    tops = (1, None)
    traits = POINTWISE
    splits = True

    def build(self, node, x):
        return [keras.layers.Identity(name=node.name)(x)] * len(node.layer.tops)

    def onnx(self, node, x):
        return [x] * len(node.layer.tops)

    def encode(self, call):
        call.add("Split")

    def is_copy(self, layer):
        return True

    def shares_memory(self, call):
        return True


def copy_layer(name: str, bottom: str, top: str) -> Layer:
    """Return a Caffe layer that gives a blob one more name."""
    return Layer(name, Split.types[0], [bottom], [top])


@register
class Crop(Rule):
    types = ("Crop",)
    layers = ("CaffeCrop",)
    precision = "kept"
    param = Param("crop_param", "1 axis int32=2; 2 offset uint32*", 144)
    bottoms = (2, 2)
    # The second input only tells a size.
    traits = Traits(places="uniform", channels="kept", order="moved", reads=1)

    def build(self, node, x, reference):
        self._axis(node, x, reference)
        param = node.param
        layer = layers.CaffeCrop(param.axis, list(param.offset), name=node.name)
        return layer([x, reference])

    def onnx(self, node, x, reference):
        rank = len(x.shape)
        axes = list(range(self._axis(node, x, reference), rank))
        starts = crop_offsets(rank, axes[0], node.param.offset)
        sizes = [node.size(reference, axis) for axis in axes]
        ends = [
            start + size if isinstance(size, int) else node.op("Add", size, start)
            for start, size in zip(starts, sizes, strict=True)
        ]
        return node.op("Slice", x, starts, node.sizes(ends), axes)

    @staticmethod
    def _axis(node, x, reference) -> int:
        """Return Caffe's first axis that is cut, of a blob that holds the reference."""
        axis = node.caffe_axis(node.param.axis, len(x.shape), "crop_param.axis")
        cropped(caffe_shape(x), caffe_shape(reference), axis, node.param.offset)
        if axis == 0:
            node.whole_batch(x, reference)
        return axis

    def encode(self, call):
        layer = call.layer
        call.add("Crop", crop_param={"axis": layer.axis, "offset": layer.offsets})


@register
class BatchReindex(Rule):
    types = ("BatchReindex",)
    layers = ("CaffeBatchReindex",)
    bottoms = (2, 2)
    traits = MIXED

    def build(self, node, x, numbers):
        node.whole_batch(x, numbers)
        return layers.CaffeBatchReindex(name=node.name)([x, numbers])

    def onnx(self, node, x, numbers):
        if len(numbers.shape) != 1 or not x.shape:
            raise node.error(
                f"Expected a blob and numbers (M,); received: {x.shape} and "
                f"{numbers.shape}",
                "bottom",
            )
        node.whole_batch(x, numbers)
        return node.op("Gather", x, node.op("Cast", numbers, to=np.int64), axis=0)

    def encode(self, call):
        call.add("BatchReindex")
