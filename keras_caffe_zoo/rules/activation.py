"""Activations, Dropout and Softmax."""

import numpy as np

from keras_caffe_zoo.arithmetic.affine import Affine
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers
from keras_caffe_zoo.rules.engines import ENGINE
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Codec, Rule, activation_of


class Pointwise(Rule):
    """A layer that looks at one value at a time."""

    traits = POINTWISE
    in_place = "possible"
    precision = "kept"


@register
class ReLU(Pointwise):
    types = ("ReLU",)
    layers = ("ReLU", "LeakyReLU", "CaffeLeakyReLU")
    in_place = "usual"
    param = Param(
        "relu_param",
        f"1 negative_slope float=0; 2 engine Engine=DEFAULT\n{ENGINE}",
        123,
    )

    def build(self, node, x):
        slope = node.param.negative_slope
        kind = keras.layers.ReLU if slope >= 0 else layers.CaffeLeakyReLU
        return kind(negative_slope=slope, name=node.name)(x)

    def onnx(self, node, x):
        slope = node.param.negative_slope
        return node.op("LeakyRelu", x, alpha=slope) if slope else node.op("Relu", x)

    def encode(self, call):
        layer = call.layer
        most = getattr(layer, "max_value", None)
        if most not in (None, 6) or getattr(layer, "threshold", 0):
            raise call.error("it has a threshold, or a max_value other than 6")
        slope = float(layer.negative_slope)
        values = {"negative_slope": slope} if slope else {}
        if most is None:
            call.add("ReLU", relu_param=values)
        else:
            call.add("ReLU6", relu6_param=values)

    def function(self, layer):
        cut = getattr(layer, "threshold", 0) or layer.negative_slope
        most = getattr(layer, "max_value", None)
        return None if cut else {None: "relu", 6: "relu6"}.get(most)

    def traits_of(self, layer):
        plain = isinstance(layer, keras.layers.ReLU) and layer.max_value is None
        return self.traits._replace(activation="relu" if plain else None)


def _encode_prelu(layer, arrays):
    (alpha,) = arrays
    return [alpha.reshape(() if _is_shared(layer) else -1)]


def _decode_prelu(layer, blobs):
    (slopes,) = blobs
    shape = tuple(layer.alpha.shape)
    return [slopes.reshape(shape) if slopes.size == np.prod(shape) else slopes]


def _is_shared(layer) -> bool:
    return len(layer.shared_axes or ()) == len(layer.alpha.shape)


@register
class PReLU(Pointwise):
    types = ("PReLU",)
    layers = ("PReLU",)
    in_place = "usual"
    param = Param(
        "prelu_param", "1 filler FillerParameter; 2 channel_shared bool=false", 131
    )
    codec = Codec(_encode_prelu, _decode_prelu)
    fillers = ("filler",)

    def build(self, node, x):
        shared, rank = self._shared(node, x), len(x.shape)
        axes = [i for i in range(1, rank) if shared or i != node.axis(1, rank)]
        return keras.layers.PReLU(
            alpha_initializer=keras.initializers.Constant(0.25),
            shared_axes=axes or None,
            name=node.name,
        )(x)

    def onnx(self, node, x):
        self._shared(node, x)
        # ONNX broadcasts as NumPy does, which begins with the last axis.
        slopes = node.array(0).reshape(-1, *[1] * (len(x.shape) - 2))
        return node.op("PRelu", x, node.constant(slopes, f"{node.layer.name}/0"))

    @staticmethod
    def _shared(node, x) -> bool:
        """Tell whether there is one slope for all; the node learns the slopes."""
        channels, shared = node.channels(x), node.param.channel_shared
        node.learns(() if shared else (channels,))
        return shared

    def encode(self, call):
        rank = len(call.inputs[0].shape)
        shared = set(call.layer.shared_axes or ())
        axes = set(range(1, rank))
        channels = {3 if rank == 4 else 1}
        if shared not in (axes, axes - channels):
            raise call.error(f"its shared_axes are {sorted(shared)}")
        call.add("PReLU", prelu_param={"channel_shared": shared == axes})

    def blob_axes(self, layer):
        return (0 if layer.param.channel_shared else 1,)

    def traits_of(self, layer):
        # One slope for each place, unless the places share them.
        everywhere = {1, 2} <= set(layer.shared_axes or ())
        flat = len(layer.input.shape) != 4
        return self.traits if everywhere or flat else MIXED._replace(order="kept")

    def on_map(self, layer, image):
        if len(layer.input.shape) != 4:
            raise ValueError("each value of the vector has a slope of its own")
        return super().on_map(layer, image)


@register
class ELU(Pointwise):
    types = ("ELU",)
    layers = ("ELU",)
    in_place = "usual"
    precision = ""
    param = Param("elu_param", "1 alpha float=1", 140)

    def build(self, node, x):
        return keras.layers.ELU(node.param.alpha, name=node.name)(x)

    def onnx(self, node, x):
        return node.op("Elu", x, alpha=node.param.alpha)

    def encode(self, call):
        call.add("ELU", elu_param={"alpha": float(call.layer.alpha)})


class _Function(Pointwise):
    """A function that Keras has as an activation, and ONNX as an operation."""

    function = operation = ""

    def build(self, node, x):
        return keras.layers.Activation(self.function, name=node.name)(x)

    def onnx(self, node, x):
        return node.op(self.operation, x)


@register
class Sigmoid(_Function):
    types = ("Sigmoid",)
    function, operation = "sigmoid", "Sigmoid"
    param = Param("sigmoid_param", f"1 engine Engine=DEFAULT\n{ENGINE}", 124)


@register
class TanH(_Function):
    types = ("TanH",)
    function, operation = "tanh", "Tanh"
    param = Param("tanh_param", f"1 engine Engine=DEFAULT\n{ENGINE}", 127)


@register
class BNLL(_Function):
    types = ("BNLL",)
    function, operation = "softplus", "Softplus"


@register
class Activation(Pointwise):
    layers = ("Activation",)

    def encode(self, call):
        if call.layer.activation is keras.activations.linear:
            call.add("Split")
        else:
            call.add_function(call.layer.activation, call.bottoms, call.name)

    def is_copy(self, layer):
        return layer.activation is keras.activations.linear

    def shares_memory(self, call):
        return self.is_copy(call.layer)

    def function(self, layer):
        is_relu = layer.activation is keras.activations.relu
        return "relu" if is_relu else None

    def precision_of(self, layer):
        exact = self.is_copy(layer) or self.function(layer)
        return self.precision if exact else ""

    def traits_of(self, layer):
        return self.traits._replace(activation=activation_of(layer))


@register
class Dropout(Pointwise):
    types = ("Dropout",)
    layers = ("CaffeDropout", "Dropout")
    in_place = "usual"
    # Those beside the ratio are Fast R-CNN's and SegNet's, both at number 2.
    param = Param(
        "dropout_param",
        """
        1 dropout_ratio float=0.5; 2 scale_train bool=true;
        - sample_weights_test bool=false
        """,
        108,
    )

    def build(self, node, x):
        ratio = self._ratio(node)
        scale, samples = node.param.scale_train, node.param.sample_weights_test
        return layers.CaffeDropout(ratio, scale, samples, name=node.name)(x)

    def onnx(self, node, x):
        ratio = self._ratio(node)
        if node.param.sample_weights_test:
            raise node.error(
                "Expected a dropout that does nothing when predicting; received one "
                "that draws at random",
                "dropout_param.sample_weights_test",
            )
        return x if node.param.scale_train else node.op("Mul", x, 1.0 - ratio)

    @staticmethod
    def _ratio(node) -> float:
        ratio = node.param.dropout_ratio
        if not 0 <= ratio < 1:
            raise node.error(
                f"Expected a ratio of at least 0 and below 1; received: {ratio:g}",
                "dropout_param.dropout_ratio",
            )
        return ratio

    def encode(self, call):
        values = {"dropout_ratio": call.layer.rate}
        if not getattr(call.layer, "scale_train", True):
            values["scale_train"] = False
        if getattr(call.layer, "samples", False):
            values["sample_weights_test"] = True
        call.add("Dropout", dropout_param=values)

    def affine(self, layer, x):
        if getattr(layer, "samples", False):
            return None
        return Affine(1.0 if getattr(layer, "scale_train", True) else 1.0 - layer.rate)


@register
class Softmax(Pointwise):
    types = ("Softmax",)
    layers = ("Softmax",)
    precision = ""
    param = Param(
        "softmax_param", f"1 engine Engine=DEFAULT; 2 axis int32=1\n{ENGINE}", 125
    )

    def build(self, node, x):
        return keras.layers.Softmax(axis=self._axis(node, x), name=node.name)(x)

    def onnx(self, node, x):
        return node.op("Softmax", x, axis=self._axis(node, x))

    @staticmethod
    def _axis(node, x) -> int:
        axis = node.axis(node.param.axis, len(x.shape), "softmax_param.axis")
        if axis == 0:
            node.whole_batch(x)
        return axis

    def encode(self, call):
        if not isinstance(call.layer.axis, int):
            raise call.error(f"its axis is {call.layer.axis}")
        call.add("Softmax", softmax_param={"axis": call.axis(call.layer.axis)})

    def traits_of(self, layer):
        rank = len(layer.input.shape)
        axis = layer.axis if isinstance(layer.axis, int) else None
        if axis is None or axis % rank != rank - 1:
            return MIXED._replace(order="kept", channels="kept")
        return self.traits._replace(activation="softmax")


@register
class OnlyInTraining(Pointwise):
    """Keras' layers that do nothing at test time, which Caffe does not have."""

    in_place = ""

    layers = ("ActivityRegularization", "GaussianDropout", "GaussianNoise")

    def affine(self, layer, x):
        return Affine()
