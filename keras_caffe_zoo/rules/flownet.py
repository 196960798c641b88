"""Layers of FlowNet 2."""

import math

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.layers import (
    CaffeChannelNorm,
    CaffeCorrelation,
    CaffeDownsample,
    CaffeFlowWarp,
    CaffeMean,
    CaffeResample,
)
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Rule, Traits

_FORK = "FlowNet 2"
_MOST_VALUES = 2**31 - 1  # of a blob in Caffe
_MOST_SHIFTS = 255  # along one axis: each row of them is a matrix product


class _OnMaps(Rule):
    """A layer that maps go into."""

    fork = _FORK
    traits = MIXED

    def _call(self, node, layer, *bottoms):
        """Return a layer's top; what it refuses is wrong in the file."""
        for x in bottoms:
            if len(x.shape) != 4:
                raise node.error(
                    f"Expected a blob (N, C, H, W); received shape: {caffe_shape(x)}"
                )
        try:
            top = layer(bottoms[0] if len(bottoms) == 1 else list(bottoms))
        except ValueError as error:
            raise node.error(str(error).removesuffix(".")) from error
        if math.prod(size or 1 for size in top.shape) > _MOST_VALUES:
            raise node.error(
                f"Expected a top of at most {_MOST_VALUES:,} values; received shape: "
                f"{caffe_shape(top)}"
            )
        return top


@register
class Correlation(_OnMaps):
    types = ("Correlation",)
    layers = (CaffeCorrelation,)
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
        if math.prod(sizes[:2] + padded) > _MOST_VALUES:
            raise node.error(
                f"Expected a blob of at most {_MOST_VALUES:,} values with its pad; "
                f"received: {param.pad}",
                "correlation_param.pad",
            )
        try:
            layer = CaffeCorrelation(
                param.kernel_size,
                param.max_displacement,
                param.pad,
                *strides,
                subtract=param.correlation_type == 1,
                name=node.name,
            )
        except ValueError as error:
            raise node.error(
                str(error).removesuffix("."), "correlation_param.kernel_size"
            ) from error
        return self._call(node, layer, first, second)

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


class _Resizing(_OnMaps):
    """A layer that makes maps of a size, or of that of its second bottom.

    Attributes:
        sizes: Fields of the height and width.
    """

    bottoms = (1, 2)
    traits = MIXED._replace(channels="kept", reads=1)
    sizes = ("height", "width")

    def _size(self, node, others) -> tuple[int | None, int | None]:
        """Return `(height, width)`; neither where a second bottom tells."""
        if others:
            return (None, None)
        values = [getattr(node.param, name) for name in self.sizes]
        for value, name in zip(values, self.sizes, strict=True):
            node.count(value, f"{self.param.name}.{name}")
        return tuple(values)

    def _size_fields(self, layer) -> dict:
        if layer.height is None:
            return {}
        return dict(zip(self.sizes, (layer.height, layer.width), strict=True))


@register
class Resample(_Resizing):
    types = ("Resample",)
    layers = (CaffeResample,)
    param = Param(
        "resample_param",
        """
        1 width uint32; 2 height uint32; 3 type ResampleType=LINEAR;
        4 antialias bool=true; 5 factor float=1
        enum ResampleType: NEAREST=1 LINEAR=2 CUBIC=3 AREA=4
        """,
        155,
    )

    def build(self, node, x, *others):
        param, methods = node.param, ("nearest", "linear", "cubic")
        if param.type > len(methods):
            raise node.error(
                "Expected NEAREST, LINEAR or CUBIC; received: AREA, which the fork "
                "cannot do either",
                "resample_param.type",
            )
        method = methods[param.type - 1]
        size = self._size(node, others)
        if method == "nearest":
            _check_nearest(node, x, others[0].shape[1:3] if others else size)
        layer = CaffeResample(*size, method, param.antialias, name=node.name)
        return self._call(node, layer, x, *others)

    def encode(self, call):
        layer = call.layer
        values = {"type": layer.method.upper(), "antialias": layer.antialias}
        call.add("Resample", resample_param={**self._size_fields(layer), **values})


def _check_nearest(node, x, size) -> None:
    """Refuse what makes the fork read beyond the map, as its rows and columns mix."""
    if None in (*x.shape[1:3], *size):
        return
    down, right = (old / new for old, new in zip(x.shape[1:3], size, strict=True))
    if down >= 2 * right or right >= 2 * down:
        raise node.error(
            "Expected rows and columns to be resized alike with NEAREST: the fork "
            f"reads beyond the map; received: {tuple(x.shape[1:3])} to {tuple(size)}",
            "resample_param.type",
        )


@register
class Downsample(_Resizing):
    types = ("Downsample",)
    layers = (CaffeDownsample,)
    param = Param(
        "downsample_param", "1 top_height uint32=0; 2 top_width uint32=0", 156
    )
    sizes = ("top_height", "top_width")

    def build(self, node, x, *others):
        layer = CaffeDownsample(*self._size(node, others), name=node.name)
        return self._call(node, layer, x, *others)

    def encode(self, call):
        call.add("Downsample", downsample_param=self._size_fields(call.layer))


@register
class FlowWarp(_OnMaps):
    types = ("FlowWarp",)
    layers = (CaffeFlowWarp,)
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
        fill = float("nan") if node.param.fill_value == 2 else 0.0
        return self._call(node, CaffeFlowWarp(fill, name=node.name), image, flow)

    def encode(self, call):
        fill = call.layer.fill
        if fill == 0:
            call.add("FlowWarp")
        elif math.isnan(fill):
            call.add("FlowWarp", flow_warp_param={"fill_value": "NOT_A_NUMBER"})
        else:
            raise call.error(f"Caffe fills with 0 or NaN only, not with {fill}")


@register
class ChannelNorm(_OnMaps):
    types = ("ChannelNorm",)
    layers = (CaffeChannelNorm,)
    traits = Traits(places="kept", order="moved")

    def build(self, node, x):
        return self._call(node, CaffeChannelNorm(name=node.name), x)

    def encode(self, call):
        call.add("ChannelNorm")

    def channels(self, layer, bottoms):
        return 1


@register
class Mean(_OnMaps):
    types = ("Mean",)
    layers = (CaffeMean,)
    param = Param(
        "mean_param",
        """
        1 operation MeanOperation!; 2 file string; 3 value float*;
        4 mean_scale float=1; 5 input_scale float=1; 6 output_scale float=1
        enum MeanOperation: ADD=1 SUBTRACT=4
        """,
        154,
    )
    bottoms = tops = (1, None)
    applies_to_each = True
    traits = POINTWISE

    def build(self, node, *bottoms):
        param = node.param
        if param.HasField("file"):
            raise node.error(
                "Expected a `value` for each channel; received a file, which is not "
                "read: write its mean as a `value`",
                "mean_param.file",
            )
        if not param.value:
            raise node.error("Expected a value for each channel", "mean_param.value")
        sign = 1.0 if param.operation == 1 else -1.0
        values = [sign * param.mean_scale * value for value in param.value]
        layer = CaffeMean(values, param.input_scale, param.output_scale, name=node.name)
        tops = [self._call(node, layer, x) for x in bottoms]
        return tops if len(tops) > 1 else tops[0]

    def encode(self, call):
        layer = call.layer
        values = {
            "operation": "ADD",
            "value": layer.values,
            "input_scale": layer.input_scale,
            "output_scale": layer.output_scale,
        }
        call.add("Mean", mean_param=values)
