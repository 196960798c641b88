"""Layers that change a blob's shape, or make little of much."""

import math

from keras_caffe_zoo.arithmetic.reshaping import (
    check_sizes,
    joined_axes,
    kept_axes,
    replaced_axes,
    reshaped,
)
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.largest import largest
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule, Traits

_CAFFES_ORDER = MIXED._replace(order="flattened in Caffe's order")


class _Flattening(Rule):
    """Layers that a map needs no more, if all they do is to flatten it."""

    precision = "kept"

    def shares_memory(self, call):
        return True

    def on_map(self, layer, image):
        if len(layer.output.shape) == 2:
            return None
        raise ValueError(f"its output has the shape {layer.output.shape}")


@register
class Flatten(_Flattening):
    types = ("Flatten",)
    layers = ("CaffeFlatten",)
    param = Param("flatten_param", "1 axis int32=1; 2 end_axis int32=-1", 135)
    traits = _CAFFES_ORDER._replace(channels="kept")

    def build(self, node, x):
        self._axes(node, x)
        param = node.param
        return layers.CaffeFlatten(param.axis, param.end_axis, name=node.name)(x)

    def onnx(self, node, x):
        start, end = axes = self._axes(node, x)
        if end - start == 1:
            return x
        if start == 1 and end == len(x.shape):
            return node.op("Flatten", x)
        return _reshaped(node, x, [-1], axes)

    @staticmethod
    def _axes(node, x) -> tuple[int, int]:
        """Return the first axis that is joined, and the one after the last."""
        param, rank = node.param, len(x.shape)
        return joined_axes(
            node.caffe_axis(param.axis, rank, "flatten_param.axis"),
            node.caffe_axis(param.end_axis, rank, "flatten_param.end_axis"),
        )

    def encode(self, call):
        layer = call.layer
        param = {"axis": layer.axis, "end_axis": layer.end_axis}
        call.add("Flatten", flatten_param=param)

    def channels(self, layer, bottoms):
        return super().channels(layer, bottoms) if layer.param.axis == 1 else None


@register
class KerasFlatten(_Flattening):
    """Left out when written: an InnerProduct flattens by itself, in Caffe's order."""

    layers = ("Flatten",)
    left_out = True
    traits = MIXED._replace(order="flattened")

    def encode(self, call):
        """Add Flatten where its order does not matter; the exporter checks that."""
        call.add("Flatten")


@register
class KerasReshape(_Flattening):
    layers = ("Reshape",)

    def traits_of(self, layer):
        flat = len(layer.output.shape) != 4
        return MIXED._replace(order="flattened" if flat else "shuffled")


@register
class KerasPermute(Rule):
    """Brings a map into Caffe's order of axes, before it is flattened."""

    layers = ("Permute",)
    precision = "kept"

    def traits_of(self, layer):
        to_caffe = tuple(layer.dims) == (3, 1, 2)
        return MIXED._replace(order="permuted" if to_caffe else "shuffled")

    def on_map(self, layer, image):
        if tuple(layer.dims) == (3, 1, 2):
            return None
        raise ValueError(f"its order of axes is {layer.dims}")


@register
class Reshape(_Flattening):
    types = ("Reshape",)
    layers = ("CaffeReshape",)
    param = Param(
        "reshape_param",
        "1 shape BlobShape; 2 axis int32=0; 3 num_axes int32=-1",
        133,
    )
    traits = _CAFFES_ORDER

    def build(self, node, x):
        sizes, _ = self._checked(node, x)
        param = node.param
        return layers.CaffeReshape(sizes, param.axis, param.num_axes, name=node.name)(x)

    def onnx(self, node, x):
        return _reshaped(node, x, *self._checked(node, x))

    def _checked(self, node, x) -> tuple[list[int], tuple[int, int]]:
        """Return the new sizes, and in place of which axes they are."""
        param, sizes = node.param, list(node.param.shape.dim)
        check_sizes(sizes)
        axes = replaced_axes(len(x.shape), param.axis, param.num_axes)
        if axes[0] == 0 and not self._keeps_items(x, sizes, param.num_axes):
            node.whole_batch(x)
        return sizes, axes

    @staticmethod
    def _keeps_items(x, sizes, num_axes):
        """Tell whether a shape fits any number of items: each makes one, or so many."""
        if num_axes == 0 or not sizes:
            return not sizes
        if sizes[0] != -1:
            return sizes[0] == 0
        item = x.shape[1:]
        return None not in item and math.prod(item) % (math.prod(sizes[1:]) or 1) == 0

    def encode(self, call):
        layer = call.layer
        param = {
            "shape": {"dim": layer.shape},
            "axis": layer.axis,
            "num_axes": layer.num_axes,
        }
        call.add("Reshape", reshape_param=param)


def _reshaped(node, x, sizes: list[int], axes: tuple[int, int]):
    """Return a blob with other sizes in place of some axes; see `reshaped`."""
    shape = list(reshaped(x.shape, sizes, axes))
    if shape.count(None) > 1:
        for i, source in enumerate(kept_axes(len(x.shape), sizes, axes)):
            shape[i] = shape[i] if source is None else node.size(x, source)
    return node.reshape(x, [-1 if size is None else size for size in shape])


@register
class Tile(Rule):
    types = ("Tile",)
    layers = ("CaffeTile",)
    precision = "kept"
    param = Param("tile_param", "1 axis int32=1; 2 tiles int32", 138)
    traits = MIXED

    def build(self, node, x):
        return layers.CaffeTile(*self._times(node, x), name=node.name)(x)

    def onnx(self, node, x):
        tiles, axis = self._times(node, x)
        times = [1] * len(x.shape)
        times[axis] = tiles
        return node.op("Tile", x, times)

    @staticmethod
    def _times(node, x) -> tuple[int, int]:
        """Return how often a blob is repeated, and along which axis of the tensor."""
        tiles = node.count(node.param.tiles, "tile_param.tiles")
        axis = node.axis(node.param.axis, len(x.shape), "tile_param.axis")
        if axis == 0:
            node.whole_batch(x)
        return tiles, axis

    def encode(self, call):
        axis = call.axis(call.layer.axis)
        call.add("Tile", tile_param={"axis": axis, "tiles": call.layer.tiles})

    def traits_of(self, layer):
        rank = len(layer.input.shape)
        channels = rank == 4 and layer.axis % rank == 3
        return Traits(places="kept", order="moved") if channels else MIXED


@register
class Reduction(Rule):
    types = ("Reduction",)
    layers = ("CaffeReduction",)
    param = Param(
        "reduction_param",
        """
        1 operation ReductionOp=SUM; 2 axis int32=0; 3 coeff float=1
        enum ReductionOp: SUM=1 ASUM=2 SUMSQ=3 MEAN=4
        """,
        136,
    )
    traits = MIXED._replace(order="new")

    def build(self, node, x):
        self._axis(node, x)
        param = node.param
        operation = ("sum", "asum", "sumsq", "mean")[param.operation - 1]
        return layers.CaffeReduction(
            operation, param.axis, param.coeff, name=node.name
        )(x)

    def onnx(self, node, x):
        param, axis = node.param, self._axis(node, x)
        if axis < len(x.shape) - 1:  # OpenCV 4 goes wrong over three axes and more
            x = node.reshape(x, [*[0] * axis, -1])
        if param.operation == 2:  # OpenVINO's ReduceL1 forgets its axes
            x = node.op("Abs", x)
        scaled = param.coeff != 1  # where OpenCV 4 needs the axis still
        if param.operation <= 2:  # the only one whose axes are an input by now
            y = node.op("ReduceSum", x, [axis], keepdims=int(scaled))
        else:
            type_ = ("ReduceSumSquare", "ReduceMean")[param.operation - 3]
            y = node.op(type_, x, axes=[axis], keepdims=int(scaled))
        if not scaled:
            return y
        return node.op("Squeeze", node.op("Mul", y, param.coeff), [axis])

    @staticmethod
    def _axis(node, x) -> int:
        axis = node.caffe_axis(node.param.axis, len(x.shape), "reduction_param.axis")
        if axis == 0:
            node.whole_batch(x)
        return axis

    def encode(self, call):
        layer = call.layer
        param = {
            "operation": layer.operation.upper(),
            "axis": layer.axis,
            "coeff": layer.coeff,
        }
        call.add("Reduction", reduction_param=param)


@register
class ArgMax(Rule):
    types = ("ArgMax",)
    layers = ("CaffeArgMax",)
    param = Param(
        "argmax_param", "1 out_max_val bool=false; 2 top_k uint32=1; 3 axis int32", 103
    )
    traits = MIXED

    def build(self, node, x):
        param = node.param
        self._axis(node, x)
        axis = param.axis if param.HasField("axis") else None
        return layers.CaffeArgMax(param.out_max_val, param.top_k, axis, name=node.name)(
            x
        )

    def onnx(self, node, x):
        param, axis = node.param, self._axis(node, x)
        return largest(node, x, axis, param.top_k, param.out_max_val)

    @staticmethod
    def _axis(node, x) -> int | None:
        """Return the axis that is searched, None for all but the first."""
        param, shape = node.param, caffe_shape(x)
        top_k = node.count(param.top_k, "argmax_param.top_k")
        if not shape:
            raise node.error(f"Expected a blob with axes; received: {shape}")
        axis = None
        if param.HasField("axis"):
            axis = node.caffe_axis(param.axis, len(shape), "argmax_param.axis")
        if axis == 0:
            node.whole_batch(x)
        sizes = shape[1:] if axis is None else shape[axis : axis + 1]
        if None not in sizes and math.prod(sizes) < top_k:
            raise node.error(
                f"Expected no more than the {math.prod(sizes)} values there are; "
                f"received: {top_k}",
                "argmax_param.top_k",
            )
        return axis

    def encode(self, call):
        layer = call.layer
        param = {"out_max_val": layer.out_max_val, "top_k": layer.top_k}
        if layer.axis is not None:
            param["axis"] = layer.axis
        call.add("ArgMax", argmax_param=param)

    def traits_of(self, layer):
        # The best channel of each place.
        on_channels = layer.axis in (1, -3) and len(layer.input.shape) == 4
        return Traits(places="kept", order="moved") if on_channels else MIXED
