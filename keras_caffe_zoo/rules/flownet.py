"""Layers of FlowNet2."""

import math

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.flow import correlation, warped
from keras_caffe_zoo.rules.node import MAX_VALUES, caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Rule, Traits
from keras_caffe_zoo.rules.window import check_image

FORK = "FlowNet2"
_MOST_SHIFTS = 255  # along one axis: each row of them is a matrix product


def _may_agree(one, other) -> bool:
    return all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))


class OnMaps(Rule):
    """A layer that maps go into."""

    fork = FORK
    traits = MIXED

    def call_on(self, node, layer, *bottoms):
        """Return the top of a layer that reads maps."""
        for x in bottoms:
            check_image(node, x)
        return node.checked(layer(bottoms[0] if len(bottoms) == 1 else list(bottoms)))

    def onnx(self, node, *bottoms):
        for x in bottoms:
            check_image(node, x)
        return node.checked(self.on_maps(node, *bottoms))

    def on_maps(self, node, *bottoms):
        """Return the top in an ONNX graph; the bottoms are maps."""
        raise NotImplementedError


@register
class Correlation(OnMaps):
    types = ("Correlation",)
    layers = ("CaffeCorrelation",)
    param = Param(
        "correlation_param",
        """
        2 pad uint32=0; 3 kernel_size uint32; 4 max_displacement uint32;
        5 stride_1 uint32=1; 6 stride_2 uint32=1; 7 do_abs bool=false;
        8 single_direction int32=0; 15 correlation_type CorrelationType=MULTIPLY
        enum CorrelationType: MULTIPLY=0 SUBTRACT=1
        """,
        150,
    )
    bottoms = (2, 2)
    same_shapes = True

    def build(self, node, first, second):
        param = node.param
        layer = layers.CaffeCorrelation(
            param.kernel_size,
            param.max_displacement,
            param.pad,
            *self._strides(node, first),
            subtract=param.correlation_type == 1,
            name=node.name,
        )
        return self.call_on(node, layer, first, second)

    def on_maps(self, node, first, second):
        param = node.param
        strides = self._strides(node, first)
        if param.kernel_size % 2 == 0:
            raise node.error(
                f"Expected an odd number; received: {param.kernel_size}",
                "correlation_param.kernel_size",
            )
        if not _may_agree(first.shape, second.shape):
            raise node.error(
                "Expected two maps of the same shape; received: "
                f"{first.shape} and {second.shape}",
                "bottom",
            )
        geometry = (param.kernel_size, param.max_displacement, param.pad, *strides)
        return correlation(node, first, second, *geometry, param.correlation_type == 1)

    def _strides(self, node, first) -> list[int]:
        """Return the strides of windows and of shifts, if the layer can be."""
        param = node.param
        for name in ("kernel_size", "max_displacement"):
            if not param.HasField(name):
                raise node.error("Expected it to be given", f"{self.param.name}.{name}")
        strides = [
            node.count(getattr(param, name), f"{self.param.name}.{name}")
            for name in ("stride_1", "stride_2")
        ]
        shifts = 2 * (param.max_displacement // strides[1]) + 1
        if shifts > _MOST_SHIFTS:
            raise node.error(
                f"Expected at most {_MOST_SHIFTS} displacements along an axis; "
                f"received: {shifts}",
                "correlation_param.max_displacement",
            )
        sizes = [size or 1 for size in caffe_shape(first)]
        padded = [size + 2 * param.pad for size in sizes[2:]]
        if math.prod(sizes[:2] + padded) > MAX_VALUES:
            raise node.error(
                f"Expected a blob of at most {MAX_VALUES:,} values with its pad; "
                f"received: {param.pad}",
                "correlation_param.pad",
            )
        return strides

    def encode(self, call):
        layer = call.layer
        values = {
            "pad": layer.pad,
            "kernel_size": layer.kernel_size,
            "max_displacement": layer.max_displacement,
            "stride_1": layer.strides,
            "stride_2": layer.displacement_stride,
            "correlation_type": "SUBTRACT" if layer.subtract else "MULTIPLY",
        }
        call.add("Correlation", correlation_param=values)

    def channels(self, layer, bottoms):
        param = layer.param
        reach = param.max_displacement // max(param.stride_2, 1)
        return (2 * reach + 1) ** 2


@register
class FlowWarp(OnMaps):
    types = ("FlowWarp",)
    layers = ("CaffeFlowWarp",)
    param = Param(
        "flow_warp_param",
        """
        1 fill_value FillParameter=ZERO
        enum FillParameter: ZERO=1 NOT_A_NUMBER=2
        """,
        159,
    )
    bottoms = (2, 2)
    same_items = True
    traits = MIXED._replace(channels="kept")

    def build(self, node, image, flow):
        layer = layers.CaffeFlowWarp(self._fill(node), name=node.name)
        return self.call_on(node, layer, image, flow)

    def on_maps(self, node, image, flow):
        items, _, *sizes = image.shape
        if not _may_agree(flow.shape, (items, 2, *sizes)):
            raise node.error(
                f"Expected an image (N, C, H, W) and a flow (N, 2, H, W); received: "
                f"{image.shape} and {flow.shape}",
                "bottom",
            )
        node.channels(image)
        return warped(node, image, flow, self._fill(node))

    @staticmethod
    def _fill(node) -> float:
        return float("nan") if node.param.fill_value == 2 else 0.0

    def encode(self, call):
        fill = call.layer.fill
        if fill == 0:
            call.add("FlowWarp")
        elif math.isnan(fill):
            call.add("FlowWarp", flow_warp_param={"fill_value": "NOT_A_NUMBER"})
        else:
            raise call.error(f"Caffe fills with 0 or NaN only, not with {fill}")


@register
class ChannelNorm(OnMaps):
    types = ("ChannelNorm",)
    layers = ("CaffeChannelNorm",)
    traits = Traits(places="kept", order="moved")

    def build(self, node, x):
        return self.call_on(node, layers.CaffeChannelNorm(name=node.name), x)

    def on_maps(self, node, x):
        return node.op("ReduceL2", x, axes=[1])

    def encode(self, call):
        call.add("ChannelNorm")

    def channels(self, layer, bottoms):
        return 1
