"""Layers of the forks for classification: SENet, ShuffleNet, MobileNet."""

from keras_caffe_zoo.arithmetic.channels import check_factors
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.rules.activation import ReLU
from keras_caffe_zoo.rules.geometry import conv_geometry
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Rule
from keras_caffe_zoo.rules.window import Convolution, check_image


@register
class Axpy(Rule):
    types = ("Axpy",)
    fork = "SENet"
    layers = ("CaffeAxpy",)
    bottoms = (3, 3)
    traits = MIXED._replace(order="kept")

    def build(self, node, a, x, y):
        return layers.CaffeAxpy(name=node.name)([a, x, y])

    def onnx(self, node, a, x, y):
        check_factors(a.shape, x.shape, y.shape, node.layer.name)
        a = node.reshape(a, [0, 0, 1, 1]) if len(a.shape) == 2 else a
        return node.op("Add", node.op("Mul", a, x), y)

    def encode(self, call):
        call.add("Axpy")

    def channels(self, layer, bottoms):
        return bottoms[1] if len(bottoms) == 3 else None


@register
class ShuffleChannel(Rule):
    types = ("ShuffleChannel",)
    fork = "ShuffleNet"
    layers = ("CaffeShuffleChannel",)
    precision = "kept"
    param = Param("shuffle_channel_param", "1 group uint32=1", (164, 159))
    traits = POINTWISE._replace(order="moved")

    def build(self, node, x):
        return layers.CaffeShuffleChannel(self._group(node, x), name=node.name)(x)

    def onnx(self, node, x):
        group, channels = self._group(node, x), node.channels(x)
        if group == 1:
            return x
        groups = node.reshape(x, [0, group, channels // group, -1])
        dealt = node.op("Transpose", groups, perm=[0, 2, 1, 3])
        return node.reshape_like(dealt, x)

    @staticmethod
    def _group(node, x) -> int:
        channels, name = node.channels(x), "shuffle_channel_param.group"
        group = node.count(node.param.group, name)
        if channels % group:
            raise node.error(
                f"Expected a group that divides {channels} channels; received: {group}",
                name,
            )
        return group

    def encode(self, call):
        group = {"group": call.layer.group}
        call.add("ShuffleChannel", shuffle_channel_param=group)


class _Depthwise(Convolution):
    """Convolutions of one channel each; written as Caffe's own, with groups."""

    layers = ()

    def _options(self, node, x):
        check_image(node, x)
        if node.caffe_axis(node.param.axis, 4, "convolution_param.axis") != 1:
            raise node.error("Expected channels at axis 1", "convolution_param.axis")
        return super()._options(node, x)


@register
class DepthwiseConvolution(_Depthwise):
    types = ("DepthwiseConvolution",)
    fork = "MobileNet"

    def _options(self, node, x):
        check_image(node, x)
        channels, group = node.channels(x), node.param.group
        if group != channels:
            raise node.error(
                f"Expected a group for each of {channels} channels; received: {group}",
                "convolution_param.group",
            )
        dilation = conv_geometry(node, 2)["dilation_rate"]
        if dilation != (1, 1):
            raise node.error(
                f"Expected no dilation; received: {dilation}. The fork computes one "
                "thing on a CPU, which dilates, and another on a GPU, which does not. "
                "If you want the dilation, make the type Convolution",
                "convolution_param.dilation",
            )
        return super()._options(node, x)


@register
class ConvolutionDepthwise(_Depthwise):
    """As many groups and outputs as channels, whatever the file says of them."""

    types = ("ConvolutionDepthwise",)
    fork = "MobileNet"

    def _options(self, node, x):
        check_image(node, x)
        channels, bias = node.channels(x), node.param.bias_term
        geometry = conv_geometry(node, 2)
        node.learns(
            (channels, 1, *geometry["kernel_size"]), *([(channels,)] if bias else [])
        )
        counts = {"filters": channels, "groups": channels, "use_bias": bias}
        return 1, {**geometry, **counts}, None

    def channels(self, layer, bottoms):
        return bottoms[0] if bottoms else None

    def data_channels(self, layer, blobs):
        return blobs[0].shape[0] if blobs and blobs[0].ndim == 4 else None

    def facts(self, layer):
        facts = super().facts(layer)
        facts.pop("groups", None)
        return facts


class _Activation(Rule):
    in_place = "possible"
    traits = POINTWISE


@register
class ReLU6(_Activation):
    """Without a slope it is Keras' layer, which the rule of ReLU writes."""

    types = ("ReLU6",)
    fork = "YOLO"
    layers = ("CaffeReLU6",)
    precision = "kept"
    param = Param("relu6_param", "1 negative_slope float=0", 211)

    def build(self, node, x):
        slope = self._slope(node)
        if slope:
            return layers.CaffeReLU6(slope, name=node.name)(x)
        return keras.layers.ReLU(6.0, name=node.name)(x)

    def onnx(self, node, x):
        slope = self._slope(node)
        if not slope:
            return node.op("Clip", x, 0.0, 6.0)
        return node.op("Min", node.op("LeakyRelu", x, alpha=slope), 6.0)

    @staticmethod
    def _slope(node) -> float:
        slope = node.param.negative_slope
        if not slope >= 0:
            raise node.error(
                f"Expected a slope of at least 0; received: {slope:g}",
                "relu6_param.negative_slope",
            )
        return slope

    def encode(self, call):
        call.add("ReLU6", relu6_param={"negative_slope": call.layer.negative_slope})


@register
class HardSigmoid(_Activation):
    types = ("HardSigmoid",)
    fork = "YOLO"
    layers = ("CaffeHardSigmoid",)

    def build(self, node, x):
        return layers.CaffeHardSigmoid(name=node.name)(x)

    def onnx(self, node, x):
        return node.op("HardSigmoid", x, alpha=0.2, beta=0.5)

    def encode(self, call):
        call.add("HardSigmoid")


@register
class NegReLU(_Activation):
    types = ("NegReLU",)
    fork = "FlowNet2"
    layers = ("CaffeNegReLU",)
    precision = "kept"
    param = ReLU.param

    def build(self, node, x):
        return layers.CaffeNegReLU(node.param.negative_slope, name=node.name)(x)

    def onnx(self, node, x):
        slope = node.param.negative_slope
        if not slope:
            return node.op("Min", x, 0.0)
        turned = node.op("LeakyRelu", node.op("Neg", x), alpha=slope)
        return node.op("Neg", turned)

    def encode(self, call):
        slope = call.layer.positive_slope
        call.add("NegReLU", relu_param={"negative_slope": slope} if slope else {})


@register
class SeLu(_Activation):
    types = ("SeLu", "SeLU", "SELU")
    fork = "SNN"
    layers = ("CaffeSELU",)
    param = Param(
        "selu_param",
        "1 lambda float=1.050700987; 2 alpha float=1.67326324",
        161,
    )

    def build(self, node, x):
        factor = getattr(node.param, "lambda")
        return layers.CaffeSELU(factor, node.param.alpha, name=node.name)(x)

    def onnx(self, node, x):
        factor = getattr(node.param, "lambda")
        return node.op("Selu", x, alpha=node.param.alpha, gamma=factor)

    def encode(self, call):
        values = {"lambda": call.layer.factor, "alpha": call.layer.alpha}
        call.add("SeLu", selu_param=values)
