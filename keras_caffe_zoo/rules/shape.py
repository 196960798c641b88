"""Layers that change a blob's shape, or make little of much."""

import math

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
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
        param, rank = node.param, len(x.shape)
        node.caffe_axis(param.axis, rank, "flatten_param.axis")
        node.caffe_axis(param.end_axis, rank, "flatten_param.end_axis")
        return layers.CaffeFlatten(param.axis, param.end_axis, name=node.name)(x)

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
        param = node.param
        sizes = list(param.shape.dim)
        start = param.axis if param.axis >= 0 else len(x.shape) + param.axis + 1
        if start == 0 and not self._keeps_items(x, sizes, param.num_axes):
            node.whole_batch(x)
        return layers.CaffeReshape(sizes, param.axis, param.num_axes, name=node.name)(x)

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


@register
class Tile(Rule):
    types = ("Tile",)
    layers = ("CaffeTile",)
    precision = "kept"
    param = Param("tile_param", "1 axis int32=1; 2 tiles int32", 138)
    traits = MIXED

    def build(self, node, x):
        tiles = node.count(node.param.tiles, "tile_param.tiles")
        axis = node.axis(node.param.axis, len(x.shape), "tile_param.axis")
        if axis == 0:
            node.whole_batch(x)
        return layers.CaffeTile(tiles, axis, name=node.name)(x)

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
        param = node.param
        operation = ("sum", "asum", "sumsq", "mean")[param.operation - 1]
        if node.caffe_axis(param.axis, len(x.shape), "reduction_param.axis") == 0:
            node.whole_batch(x)
        return layers.CaffeReduction(
            operation, param.axis, param.coeff, name=node.name
        )(x)

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
        axis = param.axis if param.HasField("axis") else None
        top_k = node.count(param.top_k, "argmax_param.top_k")
        if not x.shape:
            raise node.error(f"Expected a blob with axes; received: {caffe_shape(x)}")
        if axis is not None and node.caffe_axis(axis, len(x.shape)) == 0:
            node.whole_batch(x)
        return layers.CaffeArgMax(param.out_max_val, top_k, axis, name=node.name)(x)

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
