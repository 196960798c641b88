"""Layers that slide a window over an image."""

from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.onnx.windows import convolution, windows_as_channels
from keras_caffe_zoo.rules import layout
from keras_caffe_zoo.rules.engines import ENGINE
from keras_caffe_zoo.rules.geometry import (
    conv_geometry,
    dilation_sides,
    sides,
)
from keras_caffe_zoo.rules.inner_product import kernel_from_caffe
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, Codec, Rule, Traits, Window, activation_of

LAST = {"data_format": "channels_last"}
_MOST_ROWS = 1024  # of an Im2col's window, which takes an operation for each

CONVOLUTION = Param(
    "convolution_param",
    f"""
    1 num_output uint32; 2 bias_term bool=true; 3 pad uint32*; 4 kernel_size uint32*;
    5 group uint32=1; 6 stride uint32*; 7 weight_filler FillerParameter;
    8 bias_filler FillerParameter; 9 pad_h uint32=0; 10 pad_w uint32=0;
    11 kernel_h uint32; 12 kernel_w uint32; 13 stride_h uint32; 14 stride_w uint32;
    15 engine Engine=DEFAULT; 16 axis int32=1; 17 force_nd_im2col bool=false;
    18 dilation uint32*; 19 relu bool=false; 20 negative_slope float=0;
    - hole uint32*; - hole_h uint32; - hole_w uint32
    {ENGINE}
    """,
    106,
)


def new_size(layer, size: int, axis: int) -> int:
    """Return how many windows a layer makes of `size` cells along an axis."""
    shape = [1, None, None, layer.input.shape[-1]]
    shape[1 + axis] = size  # the other axis may have another, and other windows
    return layer.compute_output_shape(tuple(shape))[1 + axis]


def _convolution_window(layer, size, axis):
    pad = layer.pad[axis]
    return Window(
        layer.kernel_size[axis],
        layer.strides[axis],
        layer.dilation_rate[axis],
        pad,
        pad,
        new_size(layer, size, axis),
    )


def keras_window(layer, size, axis):
    """Return the window of one of Keras' own layers, which may pad unevenly."""
    is_pool = hasattr(layer, "pool_size")
    kernel = (layer.pool_size if is_pool else layer.kernel_size)[axis]
    dilation = 1 if is_pool else layer.dilation_rate[axis]
    stride, windows = layer.strides[axis], new_size(layer, size, axis)
    reach = dilation * (kernel - 1) + 1
    missing = max((windows - 1) * stride + reach - size, 0)
    before = missing // 2 if layer.padding == "same" else 0
    return Window(kernel, stride, dilation, before, missing - before, windows)


def check_channels_last(call):
    """Refuse a layer of Keras' that has the channels first."""
    if call.layer.data_format != "channels_last":
        raise call.error("its data_format is channels_first")


def _has_channels_last(layer) -> bool:
    return layer.data_format == "channels_last"


def _sees_zeros(layer, sizes, pad) -> bool:
    """Tell whether windows reach into a padding, or hang over the end of an input."""
    windows = zip(
        sizes, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    )
    return any(pad) or any(
        stride > 1 and (size is None or size < dilation * (kernel - 1) + 1)
        for size, kernel, stride, dilation in windows
    )


def _encode_conv(_, arrays):
    kernel, *bias = arrays
    return [layout.conv_weight(kernel).copy(), *bias]


def _decode_nd(_, blobs):
    weight, *bias = blobs
    return [layout.conv_kernel(weight) if weight.ndim > 1 else weight, *bias]


def check_tops(node, bottoms) -> None:
    """Refuse a layer that has not a top for each bottom."""
    if len(bottoms) != len(node.layer.tops):
        raise node.error(
            f"Expected a top for each of {len(bottoms)} bottoms; received: "
            f"{len(node.layer.tops)}",
            "top",
        )


def on_each(node, layer, bottoms):
    """Return what a layer makes of each bottom."""
    if len(bottoms) == 1:
        return layer(bottoms[0])
    # The outputs of a layer that is used twice have no names; these have.
    return [
        keras.layers.Identity(name=node.aux(f"top{i}"))(layer(x))
        for i, x in enumerate(bottoms)
    ]


class _Convolution(Rule):
    """Convolution and Deconvolution."""

    param = CONVOLUTION
    bottoms, tops = (1, None), (1, None)
    codec = Codec(_encode_conv, kernel_from_caffe)
    fillers = ("weight_filler", "bias_filler")
    has_kernel = applies_to_each = True
    precision = "reduced"
    transposed = False

    def build(self, node, *bottoms):
        check_tops(node, bottoms)
        return on_each(node, self._layer(node, bottoms[0]), bottoms)

    def onnx(self, node, *bottoms):
        check_tops(node, bottoms)
        axis, options, activation = self._options(node, bottoms[0])
        tops = [convolution(node, x, axis, options, self.transposed) for x in bottoms]
        return [node.op("Relu", y) for y in tops] if activation else tops

    def _layer(self, node, x):
        axis, options, activation = self._options(node, x)
        options["name"] = node.name
        if len(x.shape) != 4 or axis != 1:
            transposed = self.transposed
            return layers.CaffeConvND(axis=axis, transposed=transposed, **options)
        if self.transposed:
            return layers.CaffeDeconv2D(**options, **LAST)
        return layers.CaffeConv2D(activation=activation, **options, **LAST)

    def _options(self, node, x) -> tuple[int, dict, str | None]:
        """Return the axis of the channels, what slides over those behind, a function.

        The node learns the parameters.
        """
        param, shape = node.param, caffe_shape(x)
        axis = node.caffe_axis(param.axis, len(shape), "convolution_param.axis")
        filters = node.count(param.num_output, "convolution_param.num_output")
        groups = node.count(param.group, "convolution_param.group")
        channels = shape[axis]
        if channels is None or channels % groups or filters % groups:
            raise node.error(
                f"Expected a group that divides {channels} channels and {filters} "
                f"outputs; received: {groups}",
                "convolution_param.group",
            )
        geometry = conv_geometry(node, len(shape) - axis - 1)
        ends = (filters, channels // groups)
        if self.transposed:
            ends = (channels, filters // groups)
        bias = [(filters,)] if param.bias_term else []
        node.learns((*ends, *geometry["kernel_size"]), *bias)
        activation = _own_activation(node)
        if activation and (self.transposed or len(shape) != 4 or axis != 1):
            raise node.error(
                "Expected a relu in convolutions of images; received it in another",
                "convolution_param.relu",
            )
        counts = {"filters": filters, "groups": groups, "use_bias": param.bias_term}
        return axis, {**geometry, **counts}, activation

    def encode(self, call):
        _add_convolution(call, self.types[0], call.layer.pad)

    def blob_axes(self, layer):
        return (4, 1)[: 1 + layer.param.bias_term]

    def channels(self, layer, bottoms):
        return layer.param.num_output or None

    def data_channels(self, layer, blobs) -> int | None:
        """Return the channels of a Caffe layer's bottom, as its weights tell them."""
        if not blobs or blobs[0].ndim != 4:
            return None
        return blobs[0].shape[1] * layer.param.group


def _own_activation(node) -> str | None:
    """Return the activation that Intel's Caffe can have inside a convolution.

    Raises:
        CaffeFormatError: If it is a leaky one.
    """
    if node.param.relu and node.param.negative_slope:
        raise node.error(
            "Expected no negative_slope in a convolution; received: "
            f"{node.param.negative_slope:g}. Give the net a ReLU layer in its place",
            "convolution_param.negative_slope",
        )
    return "relu" if node.param.relu else None


def _add_convolution(call, type, pad):
    layer = call.layer
    param = {
        "num_output": layer.filters,
        "bias_term": layer.use_bias,
        "group": layer.groups,
        "axis": getattr(layer, "axis", 1),
        "kernel_size": layer.kernel_size,
        "stride": layer.strides,
        "pad": pad,
        "dilation": layer.dilation_rate,
    }
    call.add(type, convolution_param=param)
    call.add_activation()


@register
class Convolution(_Convolution):
    types = ("Convolution",)
    layers = ("CaffeConv2D",)
    traits = Traits(places=_convolution_window, order="moved", outputs="filters")

    def traits_of(self, layer):
        return self.traits._replace(activation=activation_of(layer))

    def by_channel(self, layer, x, kernel):
        if _has_channels_last(layer):
            return layout.conv_by_channel(kernel, layer.groups)
        return None

    def sees_zeros(self, layer, x):
        return _sees_zeros(layer, x.shape[1:3], layer.pad)

    def facts(self, layer):
        param, given, unknown = layer.decode(self.param)
        if not given:
            return {}
        facts = {
            "strides": sides(param, "stride", 1),
            "pad": sides(param, "pad", 0),
            "groups": param.group,
        }
        # A field that nobody knows in a caffemodel may be DeepLab v1's `hole`.
        if param.dilation or param.hole or not unknown:
            facts["dilation_rate"] = dilation_sides(param)
        return facts


@register
class Deconvolution(_Convolution):
    types = ("Deconvolution",)
    layers = ("CaffeDeconv2D",)
    transposed = True
    traits = Traits(places="uniform", order="moved", outputs="filters", enlarges=True)

    def data_channels(self, layer, blobs):
        return None

    def by_channel(self, layer, x, kernel):
        if _has_channels_last(layer):
            return layout.deconv_by_channel(kernel, layer.groups)
        return None


@register
class ConvolutionND(Rule):
    """Convolution and Deconvolution of blobs that are no images."""

    layers = ("CaffeConvND",)
    codec = Codec(_encode_conv, _decode_nd)
    applies_to_each = True
    precision = "reduced"
    traits = MIXED._replace(order="new")

    def encode(self, call):
        type = "Deconvolution" if call.layer.transposed else "Convolution"
        _add_convolution(call, type, call.layer.pad)

    def by_channel(self, layer, x, kernel):
        if layer.axis % len(x.shape) != 1:
            return None
        view = layout.deconv_by_channel if layer.transposed else layout.conv_by_channel
        return view(kernel, layer.groups)

    def sees_zeros(self, layer, x):
        sizes = caffe_shape(x)[2:]
        return layer.transposed or _sees_zeros(layer, sizes, layer.pad)


@register
class KerasConvolution(Rule):
    layers = ("Conv2D",)
    codec = Codec(_encode_conv, kernel_from_caffe)
    applies_to_each = True
    precision = "reduced"
    traits = Traits(places=keras_window, order="moved", outputs="filters")

    def traits_of(self, layer):
        return self.traits._replace(activation=activation_of(layer))

    def encode(self, call):
        layer = call.layer
        check_channels_last(call)
        reach = [
            rate * (size - 1)
            for rate, size in zip(layer.dilation_rate, layer.kernel_size, strict=True)
        ]
        pad = (0, 0)
        if layer.padding == "same":
            if max(layer.strides) > 1 or any(r % 2 for r in reach):
                raise call.error("its padding is uneven; use CaffeConv2D with `pad`")
            pad = tuple(r // 2 for r in reach)
        _add_convolution(call, "Convolution", pad)

    def by_channel(self, layer, x, kernel):
        if _has_channels_last(layer):
            return layout.conv_by_channel(kernel, layer.groups)
        return None

    def sees_zeros(self, layer, x):
        return layer.padding != "valid"


@register
class KerasSeparable(Rule):
    """Convolutions that Caffe has no layer of its own for."""

    layers = ("SeparableConv2D",)
    precision = "reduced"
    traits = Traits(places=keras_window, order="moved")


@register
class KerasDepthwise(KerasSeparable):
    layers = ("DepthwiseConv2D",)

    def by_channel(self, layer, x, kernel):
        if not _has_channels_last(layer):
            return None
        *window, channels, each = kernel.shape
        return layout.conv_by_channel(
            kernel.reshape(*window, 1, channels * each), channels
        )

    def sees_zeros(self, layer, x):
        return layer.padding != "valid"


@register
class KerasTransposed(Rule):
    layers = ("Conv2DTranspose",)
    precision = "reduced"
    traits = Traits(places="uniform", order="moved", outputs="filters", enlarges=True)

    def by_channel(self, layer, x, kernel):
        return layout.deconv_by_channel(kernel) if _has_channels_last(layer) else None


def _padding_window(layer, size, axis):
    before, after = layer.padding[axis]
    return Window(1, 1, 1, before, after, size + before + after)


@register
class KerasPadding(Rule):
    layers = ("ZeroPadding2D",)
    precision = "kept"
    traits = Traits(places=_padding_window, channels="kept", order="moved")


@register
class Im2col(Rule):
    types = ("Im2col",)
    layers = ("CaffeIm2col",)
    param = CONVOLUTION
    traits = Traits(places=_convolution_window, order="moved")

    def build(self, node, x):
        return layers.CaffeIm2col(**self._geometry(node, x), name=node.name)(x)

    def onnx(self, node, x):
        return windows_as_channels(node, x, self._geometry(node, x))

    @staticmethod
    def _geometry(node, x) -> dict:
        check_image(node, x)
        axis = node.caffe_axis(node.param.axis, 4, "convolution_param.axis")
        if axis != 1:
            raise node.error(
                f"Expected channels at axis 1; received: {axis}",
                "convolution_param.axis",
            )
        geometry = conv_geometry(node, 2)
        if max(geometry["kernel_size"]) > _MOST_ROWS:
            raise node.error(
                f"Expected a window of at most {_MOST_ROWS} rows and columns; "
                f"received: {geometry['kernel_size']}",
                "convolution_param.kernel_size",
            )
        return geometry

    def encode(self, call):
        layer = call.layer
        param = {
            "kernel_size": layer.kernel_size,
            "stride": layer.strides,
            "pad": layer.pad,
            "dilation": layer.dilation_rate,
        }
        call.add("Im2col", convolution_param=param)


def check_image(node, x):
    """Refuse a blob that is no image."""
    if len(x.shape) != 4:
        raise node.error(
            f"Expected a blob (N, C, H, W); received shape: {caffe_shape(x)}", "bottom"
        )
