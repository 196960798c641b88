"""BN, which is one batch normalization to SegNet and another to PSPNet."""

from keras_caffe_zoo.arithmetic.affine import Affine
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers
from keras_caffe_zoo.onnx.statistics import affine, by_statistics, with_statistics
from keras_caffe_zoo.rules.engines import ENGINE
from keras_caffe_zoo.rules.normalization import keras_affine, wide
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Codec, Rule


def _encode_bn(_, arrays):
    return [array.reshape(1, -1, 1, 1) for array in arrays]


def _decode_bn(_, blobs):
    return [blob.reshape(-1) for blob in blobs]


_BN = Codec(_encode_bn, _decode_bn)


@register
class BN(Rule):
    """Batch normalization of two forks: SegNet's with two blobs, PSPNet's with four.

    Where the fields do not tell which, the weights do.
    """

    types = ("BN",)
    fork = "SegNet, PSPNet"
    param = Param(
        "bn_param",
        """
        1 scale_filler FillerParameter; 2 shift_filler FillerParameter;
        3 bn_mode Mode=LEARN
        enum Mode: LEARN=0 INFERENCE=1
        """,
        45,
    )
    variants = (
        Param(
            "bn_param",
            f"""
            1 slope_filler FillerParameter; 2 bias_filler FillerParameter;
            3 momentum float=0.9; 4 eps float=1e-05; 5 frozen bool=false;
            6 engine Engine=DEFAULT
            {ENGINE}
            """,
            (152, 137),
        ),
    )
    tops = (1, 3)
    codec = _BN

    def param_of(self, layer):
        return self._named(layer) or self.variants[0]

    def _named(self, layer) -> Param | None:
        """Return the message whose fields a layer has, if it has any."""
        known = (self.param, *self.variants)
        found = [p for p in known if layer.decode(p).message.ListFields()]
        return found[0] if found else None

    def build(self, node, x):
        mode, statistics = self._check(node, x)
        if mode:
            return layers.CaffeSegNetBN(mode, statistics, name=node.name)(x)
        param = node.param
        settings = (param.momentum, param.eps, param.frozen)
        return layers.CaffePSPNetBN(*settings, name=node.name)(x)

    def onnx(self, node, x):
        mode, statistics = self._check(node, x)
        factor, offset, *kept = (
            node.array(i).reshape(-1) for i in range(2 if mode else 4)
        )
        if not mode:
            return by_statistics(node, x, *kept, node.param.eps, factor, offset)
        if mode == "inference":
            return affine(node, x, factor, offset)
        y, *found = with_statistics(node, x, 1e-9, factor, offset)
        channels = (1, node.channels(x), 1, 1)
        return [y, *(node.reshape(value, channels) for value in found[:statistics])]

    def _check(self, node, x) -> tuple[str, int]:
        """Return SegNet's mode, none for PSPNet's BN, and how many statistics are tops.

        The node learns the parameters.
        """
        named = self._named(node.layer)
        segnet = named is self.param
        if named is None:
            if not node.blobs:
                raise node.error(
                    "Expected fields that tell SegNet's BN from PSPNet's (bn_mode, "
                    "frozen, eps, …), or a caffemodel with its blobs; received neither",
                    "bn_param",
                )
            segnet = len(node.blobs) == 2
        channels = node.channels(x)
        node.learns(*[(1, channels, 1, 1)] * (2 if segnet else 4))
        statistics = len(node.layer.tops) - 1
        if segnet:
            mode = ("learn", "inference")[node.read(self.param).bn_mode]
            if statistics and mode == "inference":
                raise node.error(
                    "Expected one top of SegNet's BN that keeps statistics; received: "
                    f"{statistics + 1}",
                    "top",
                )
            return mode, statistics
        if statistics:
            raise node.error(
                f"Expected one top of PSPNet's BN; received: {statistics + 1}", "top"
            )
        param = node.param
        if not 0 <= param.momentum <= 1 or not param.eps >= 0:
            raise node.error(
                "Expected a momentum from 0 to 1 and eps of at least 0; received: "
                f"{param.momentum:g} and {param.eps:g}",
                "bn_param",
            )
        return "", 0

    def blob_axes(self, layer):
        named = self._named(layer)
        return None if named is None else (4,) * (2 if named is self.param else 4)

    def filler_fields(self, node):
        if len(node.shapes) == 2:
            return ("scale_filler", "shift_filler")
        return ("slope_filler", "bias_filler")


@register
class SegNetBN(Rule):
    layers = ("CaffeSegNetBN",)
    precision = "kept"
    param = BN.param
    in_place = "usual"
    codec = _BN
    traits = POINTWISE

    def encode(self, call):
        call.add("BN", bn_param={"bn_mode": call.layer.bn_mode.upper()})

    def affine(self, layer, x):
        kept = layer.bn_mode == "inference"
        return Affine(wide(layer.scale), wide(layer.shift)) if kept else None

    def traits_of(self, layer):
        if layer.bn_mode == "inference":
            return self.traits
        return MIXED._replace(channels="kept", order="kept")


@register
class PSPNetBN(Rule):
    layers = ("CaffePSPNetBN",)
    precision = "kept"
    (param,) = BN.variants
    in_place = "usual"
    codec = _BN
    traits = POINTWISE

    def encode(self, call):
        layer = call.layer
        values = {"momentum": layer.momentum, "eps": layer.epsilon}
        if layer.frozen:
            values["frozen"] = True
        call.add("BN", bn_param=values)

    def affine(self, layer, x):
        return keras_affine(layer)
