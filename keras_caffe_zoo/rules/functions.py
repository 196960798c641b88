"""Functions of one value, with numbers of their own."""

import math

import numpy as np

from keras_caffe_zoo.arithmetic.affine import Affine
from keras_caffe_zoo.arithmetic.functions import constant_power
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.rules.activation import Pointwise
from keras_caffe_zoo.rules.registry import register


@register
class AbsVal(Pointwise):
    types = ("AbsVal",)
    layers = ("CaffeAbs",)
    in_place = ""

    def build(self, node, x):
        return layers.CaffeAbs(name=node.name)(x)

    def onnx(self, node, x):
        return node.op("Abs", x)

    def encode(self, call):
        call.add("AbsVal")


@register
class Power(Pointwise):
    types = ("Power",)
    layers = ("CaffePower",)
    precision = ""
    param = Param(
        "power_param", "1 power float=1; 2 scale float=1; 3 shift float=0", 122
    )

    def build(self, node, x):
        param = node.param
        return layers.CaffePower(param.power, param.scale, param.shift, name=node.name)(
            x
        )

    def onnx(self, node, x):
        param = node.param
        if param.power * param.scale == 0:  # the input does not count
            value = constant_power(param.power, param.shift)
            return node.op("Where", node.op("Less", x, x), value, value)
        y = _affine(node, x, param.scale, param.shift)
        return y if param.power == 1 else node.op("Pow", y, param.power)

    def encode(self, call):
        layer = call.layer
        values = {"power": layer.power, "scale": layer.scale, "shift": layer.shift}
        call.add("Power", power_param=values)

    def affine(self, layer, x):
        linear = layer.power == 1 and layer.scale != 0
        return Affine(layer.scale, layer.shift) if linear else None


@register
class Rescaling(Pointwise):
    layers = ("Rescaling",)

    def encode(self, call):
        try:
            scale, shift = float(call.layer.scale), float(call.layer.offset)
        except TypeError as error:
            raise call.error("its scale or offset is not one number") from error
        call.add("Power", power_param={"scale": scale, "shift": shift})

    def affine(self, layer, x):
        numbers = (layer.scale, layer.offset)
        plain = all(isinstance(number, int | float) for number in numbers)
        return Affine(*map(float, numbers)) if plain else None


class _OfBase(Pointwise):
    """Exp and Log: a base, and an affine function of the input.

    Attributes:
        inverse: Whether it is the logarithm.
    """

    inverse = False
    precision = ""

    def build(self, node, x):
        param = self._checked(node)
        kind = getattr(layers, self.layers[0])
        return kind(param.base, param.scale, param.shift, name=node.name)(x)

    def _checked(self, node):
        """Return the layer's parameters, if their base is one."""
        base = node.param.base
        if base != -1 and (not base > 0 or base == 1 and self.inverse):
            raise node.error(
                f"Expected a positive base{' other than 1' * self.inverse}, or -1 for "
                f"e; received: {base:g}",
                f"{self.param.name}.base",
            )
        return node.param

    def encode(self, call):
        layer = call.layer
        values = {"base": layer.base, "scale": layer.scale, "shift": layer.shift}
        call.add(self.types[0], **{self.param.name: values})


_BASE = "1 base float=-1; 2 scale float=1; 3 shift float=0"


@register
class Exp(_OfBase):
    types = ("Exp",)
    layers = ("CaffeExp",)
    param = Param("exp_param", _BASE, 111)

    def onnx(self, node, x):
        param = self._checked(node)
        log = 1.0 if param.base == -1 else math.log(param.base)
        return node.op("Exp", _affine(node, x, log * param.scale, log * param.shift))


@register
class Log(_OfBase):
    types = ("Log",)
    layers = ("CaffeLog",)
    param = Param("log_param", _BASE, 134)
    inverse = True

    def onnx(self, node, x):
        param = self._checked(node)
        y = node.op("Log", _affine(node, x, param.scale, param.shift))
        return y if param.base == -1 else node.op("Mul", y, 1 / math.log(param.base))


def _affine(node, x, scale: float, shift: float):
    """Return `scale * x + shift` in an ONNX graph, without what changes nothing."""
    x = x if scale == 1 else node.op("Mul", x, scale)
    return x if shift == 0 else node.op("Add", x, shift)


@register
class Threshold(Pointwise):
    types = ("Threshold",)
    layers = ("CaffeThreshold",)
    param = Param("threshold_param", "1 threshold float=0", 128)

    def build(self, node, x):
        return layers.CaffeThreshold(node.param.threshold, name=node.name)(x)

    def onnx(self, node, x):
        above = node.op("Greater", x, node.param.threshold)
        return node.op("Cast", above, to=np.float32)

    def encode(self, call):
        call.add("Threshold", threshold_param={"threshold": call.layer.threshold})


@register
class Swish(Pointwise):
    types = ("Swish",)
    layers = ("CaffeSwish",)
    precision = ""
    param = Param("swish_param", "1 beta float=1", 147)

    def build(self, node, x):
        return layers.CaffeSwish(node.param.beta, name=node.name)(x)

    def onnx(self, node, x):
        inside = _affine(node, x, node.param.beta, 0)
        return node.op("Mul", x, node.op("Sigmoid", inside))

    def encode(self, call):
        call.add("Swish", swish_param={"beta": call.layer.beta})


@register
class Clip(Pointwise):
    types = ("Clip",)
    layers = ("CaffeClip",)
    param = Param("clip_param", "1 min float!; 2 max float!", 148)

    def build(self, node, x):
        return layers.CaffeClip(*self._bounds(node), name=node.name)(x)

    def onnx(self, node, x):
        low, high = self._bounds(node)
        if low <= high:
            return node.op("Clip", x, low, high)
        return node.op("Max", node.op("Min", x, high), low)  # ONNX' Clip gives `high`

    def _bounds(self, node) -> tuple[float, float]:
        if not node.has(self.param):
            raise node.error("Expected min and max; received: neither", "clip_param")
        return node.param.min, node.param.max

    def encode(self, call):
        call.add("Clip", clip_param={"min": call.layer.low, "max": call.layer.high})
