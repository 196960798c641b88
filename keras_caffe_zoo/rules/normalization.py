"""Normalization, and the factors and offsets that go with it."""

import numpy as np

from keras_caffe_zoo.arithmetic.affine import Affine, normalization
from keras_caffe_zoo.arithmetic.axes import keras_axis
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import keras, layers, ops
from keras_caffe_zoo.rules.engines import ENGINE
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, STORED, Codec, Rule, Window
from keras_caffe_zoo.rules.window import check_image

_WHOLE = MIXED._replace(channels="kept", order="kept")


def _lrn_window(layer, size, axis):
    half = layer.local_size // 2
    return Window(layer.local_size, 1, 1, half, half, size)


@register
class LRN(Rule):
    types = ("LRN",)
    layers = ("CaffeLRN",)
    param = Param(
        "lrn_param",
        f"""
        1 local_size uint32=5; 2 alpha float=1; 3 beta float=0.75;
        4 norm_region NormRegion=ACROSS_CHANNELS; 5 k float=1; 6 engine Engine=DEFAULT
        enum NormRegion: ACROSS_CHANNELS=0 WITHIN_CHANNEL=1
        {ENGINE}
        """,
        118,
    )
    traits = POINTWISE
    precision = "kept"

    def build(self, node, x):
        param = node.param
        self._check(node, x)
        return layers.CaffeLRN(
            param.local_size,
            param.alpha,
            param.beta,
            param.k,
            self._region(param),
            data_format="channels_last",
            name=node.name,
        )(x)

    def onnx(self, node, x):
        param = node.param
        self._check(node, x)
        size, alpha, beta = param.local_size, param.alpha, param.beta
        if self._region(param) == "across_channels":
            return node.op("LRN", x, size=size, alpha=alpha, beta=beta, bias=param.k)
        half = [size // 2] * 4
        options = {"kernel_shape": [size] * 2, "count_include_pad": 1}
        squares = node.op("Mul", x, x)
        mean = node.op("AveragePool", squares, pads=half, **options)
        scale = node.op("Add", node.op("Mul", mean, alpha), 1.0)
        return node.op("Div", x, node.op("Pow", scale, beta))

    @staticmethod
    def _check(node, x) -> None:
        check_image(node, x)
        if node.param.local_size % 2 == 0:
            raise node.error(
                f"Expected an odd number; received: {node.param.local_size}",
                "lrn_param.local_size",
            )

    @staticmethod
    def _region(param) -> str:
        return ("across_channels", "within_channel")[param.norm_region]

    def encode(self, call):
        layer = call.layer
        values = {
            "local_size": layer.local_size,
            "alpha": layer.alpha,
            "beta": layer.beta,
            "k": layer.k,
            "norm_region": layer.norm_region.upper(),
        }
        call.add("LRN", lrn_param=values)

    def traits_of(self, layer):
        if layer.norm_region == "within_channel":
            return self.traits._replace(places=_lrn_window)
        return self.traits

    def facts(self, layer):
        if not layer.decode(self.param).given:
            return {}
        param = layer.param
        names = ("local_size", "alpha", "beta", "k")
        facts = {name: getattr(param, name) for name in names}
        return {**facts, "norm_region": self._region(param)}

    compares_reads = True


def wide(weight) -> np.ndarray:
    """Return a layer's weight in float64."""
    return ops.convert_to_numpy(weight).astype("float64")


def _blobs_of_batch_norm(_, arrays):
    return [*arrays[-3:], *arrays[:-3]]  # Keras has what is trained first


def _weights_of_batch_norm(_, blobs):
    return [blob.reshape(-1) for blob in (*blobs[3:], *blobs[:3])]


@register
class BatchNorm(Rule):
    types = ("BatchNorm",)
    layers = ("CaffeBatchNorm",)
    in_place = "usual"
    param = Param(
        "batch_norm_param",
        f"""
        1 use_global_stats bool; 2 moving_average_fraction float=0.999;
        3 eps float=1e-05; 4 engine Engine=DEFAULT; 7 scale_bias bool=false;
        - use_weight_bias bool; - bias_term bool=true
        {ENGINE}
        """,
        139,
    )
    codec = Codec(_blobs_of_batch_norm, _weights_of_batch_norm)
    traits = POINTWISE
    precision = "kept"

    def build(self, node, x):
        param, shape = node.param, caffe_shape(x)
        channels = 1 if len(shape) < 2 else shape[1]
        if not shape or channels is None:
            raise node.error(
                f"Expected a blob of known channels; received shape: {shape}"
            )
        scale_bias = self._has_scale(node)
        vector = (channels,)
        if node.blobs and node.blobs[0].shape == (1, channels, 1, 1):
            vector = node.blobs[0].shape  # as other layers of the forks have theirs
        node.learns(vector, vector, (1,), *[vector] * (2 * scale_bias))
        kept = None  # TEST nets use the kept statistics, Keras' training the batch's
        if param.HasField("use_global_stats"):
            kept = param.use_global_stats
        elif node.phase == "TRAIN":
            kept = False
        options = {"scale_bias": scale_bias, "name": node.name}
        fraction = param.moving_average_fraction
        return layers.CaffeBatchNorm(kept, fraction, param.eps, **options)(x)

    @staticmethod
    def _has_scale(node) -> bool:
        """Tell whether a layer has factors and offsets of its own, as in two forks.

        NVIDIA's says so with `scale_bias`. Intel's says it with `use_weight_bias`, or
        has them by default where MKL computes: the weights tell.
        """
        param = node.param
        if param.use_weight_bias and not param.bias_term:
            raise node.error(
                "Expected factors with offsets, or neither; received: bias_term: false",
                "batch_norm_param.bias_term",
            )
        by_weights = param.HasField("engine") and len(node.blobs or ()) == 5
        if param.HasField("use_weight_bias"):
            return param.use_weight_bias
        return param.scale_bias or by_weights

    def encode(self, call):
        layer = call.layer
        param = {
            "moving_average_fraction": layer.moving_average_fraction,
            "eps": layer.epsilon,
        }
        if layer.use_global_stats is not None:
            param["use_global_stats"] = layer.use_global_stats
        if layer.scale_bias:
            param["scale_bias"] = True
        call.add("BatchNorm", batch_norm_param=param)

    def blob_axes(self, layer):
        param = layer.param
        own = param.scale_bias or param.use_weight_bias
        return None if param.HasField("engine") else (1,) * (5 if own else 3)

    def traits_of(self, layer):
        return _WHOLE if layer.use_global_stats is False else self.traits

    def affine(self, layer, x):
        if layer.use_global_stats is False or len(x.shape) < 2:
            return None
        sums = (layer.mean_sum, layer.variance_sum, layer.weight_sum)
        mean, variance, weight = map(wide, sums)
        share = 1 / weight if weight[0] else 0.0
        found = normalization(mean * share, variance * share, layer.epsilon)
        if not layer.scale_bias:
            return found
        return found.then(Affine(wide(layer.scale), wide(layer.bias)))


def keras_affine(layer) -> Affine:
    """Return what a `BatchNormalization` does to each channel when it predicts."""
    found = normalization(
        wide(layer.moving_mean), wide(layer.moving_variance), layer.epsilon
    )
    factor = 1.0 if layer.gamma is None else wide(layer.gamma)
    return found.then(Affine(factor, 0.0 if layer.beta is None else wide(layer.beta)))


@register
class KerasBatchNorm(Rule):
    """Caffe's BatchNorm, and Scale in place for what Keras does in one layer.

    Without a codec: no one Caffe layer has its weights.
    """

    layers = ("BatchNormalization",)
    precision = "kept"
    traits = POINTWISE

    def encode(self, call):
        layer = call.layer
        if not self._is_by_channel(layer, call.inputs[0]):
            raise call.error(f"its axis is {layer.axis}")
        param = {"moving_average_fraction": layer.momentum, "eps": layer.epsilon}
        call.add("BatchNorm", batch_norm_param=param)
        scale = {"bias_term": True}
        call.add("Scale", call.tops, name=f"{call.name}_scale", scale_param=scale)

    @staticmethod
    def _is_by_channel(layer, x) -> bool:
        """Tell whether a layer's axis is Caffe's axis of channels."""
        rank = len(x.shape)
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        return rank > 1 and axis % rank == keras_axis(1, rank)

    def affine(self, layer, x):
        return keras_affine(layer) if self._is_by_channel(layer, x) else None

    def traits_of(self, layer):
        rank = len(layer.input.shape)
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
        return self.traits if axis % rank == rank - 1 else MIXED._replace(order="kept")

    def own_params(self, layer):
        return True

    def params(self, layer):
        """Return the blobs of BatchNorm, and of the Scale that follows it."""
        mean, variance = (
            ops.convert_to_numpy(value).astype("float32")
            for value in (layer.moving_mean, layer.moving_variance)
        )
        factor = np.ones_like(mean) if layer.gamma is None else layer.gamma
        offset = np.zeros_like(mean) if layer.beta is None else layer.beta
        scale = [ops.convert_to_numpy(v).astype("float32") for v in (factor, offset)]
        return [[mean, variance, np.ones(1, "float32")], scale]


@register
class MVN(Rule):
    types = ("MVN",)
    layers = ("CaffeMVN",)
    param = Param(
        "mvn_param",
        """
        1 normalize_variance bool=true; 2 across_channels bool=false;
        3 eps float=1e-09
        """,
        120,
    )
    traits = _WHOLE

    def build(self, node, x):
        param = node.param
        if not 1 <= len(x.shape) <= 4:
            raise node.error(
                f"Expected a blob of at most 4 axes; received shape: {caffe_shape(x)}"
            )
        settings = (param.normalize_variance, param.across_channels, param.eps)
        return layers.CaffeMVN(*settings, name=node.name)(x)

    def encode(self, call):
        layer = call.layer
        values = {
            "normalize_variance": layer.normalize_variance,
            "across_channels": layer.across_channels,
            "eps": layer.epsilon,
        }
        call.add("MVN", mvn_param=values)


class _AlongAxes(Rule):
    """Scale and Bias: learned values that span some axes of a blob."""

    bottoms = (1, 2)
    in_place = "possible"
    codec = STORED
    precision = "kept"

    def _build(self, node, x, second, blobs, **options):
        """Return the top, with `blobs` learned parameters of the same shape."""
        param, shape = node.param, caffe_shape(x)
        size = param.num_axes if second is None else len(second.shape)
        axis = node.caffe_axis(param.axis, len(shape)) if size else 0
        end = len(shape) if size == -1 else axis + size
        if size < -1 or end > len(shape):
            raise node.error(
                f"Expected at most {len(shape) - axis} axes from axis {axis} on of a "
                f"blob with {len(shape)}; received: {size}",
                "num_axes" if second is None else "bottom",
            )
        if axis == 0 and size and blobs:
            node.whole_batch(x)
        own = shape[axis:end] if second is None else caffe_shape(second)
        if blobs and second is not None and None in own:
            node.whole_batch(second)
        if blobs and None in own:
            raise node.error(f"Expected known sizes; received shape: {shape}")
        if blobs:
            node.learns(*[own] * blobs)
        kind = getattr(layers, self.layers[0])
        layer = kind(param.axis, param.num_axes, name=node.name, **options)
        return layer(x if second is None else [x, second])

    def blob_axes(self, layer):
        axes = layer.param.num_axes
        return (axes if axes >= 0 else None,) * self._blobs(layer)

    def _blobs(self, layer) -> int:
        return int(len(layer.bottoms) < 2)

    def affine(self, layer, x):
        if not layer.weights or layer.num_axes not in (0, 1):
            return None  # values from elsewhere, or for each place
        if layer.num_axes and layer.axis % len(x.shape) != 1:
            return None
        return self._affine(layer)

    def traits_of(self, layer):
        inputs = keras.tree.flatten(layer.input)
        rank = len(inputs[0].shape)
        size = layer.num_axes if len(inputs) == 1 else len(inputs[1].shape)
        end = rank if size == -1 else layer.axis % rank + size
        two_maps = len(inputs) == 2 and size == rank  # value by value
        on_places = rank == 4 and size and end > 2
        return _WHOLE if on_places and not two_maps else POINTWISE

    def on_map(self, layer, image):
        if len(layer.output.shape) != 4 and (layer.axis, layer.num_axes) != (1, 1):
            raise ValueError("it has values for other axes than the channels")
        return layer.__class__.from_config(layer.get_config())


@register
class Scale(_AlongAxes):
    types = ("Scale",)
    layers = ("CaffeScale",)
    param = Param(
        "scale_param",
        """
        1 axis int32=1; 2 num_axes int32=1; 3 filler FillerParameter;
        4 bias_term bool=false; 5 bias_filler FillerParameter
        """,
        142,
    )
    fillers = ("filler", "bias_filler")
    traits = POINTWISE

    def build(self, node, x, factor=None):
        bias = node.param.bias_term
        blobs = (factor is None) + bias
        return self._build(node, x, factor, int(blobs), use_bias=bias)

    def encode(self, call):
        layer = call.layer
        values = {"axis": layer.axis, "num_axes": layer.num_axes}
        call.add("Scale", scale_param={**values, "bias_term": layer.use_bias})

    def _affine(self, layer):
        if layer.scale is None:
            return None
        return Affine(
            wide(layer.scale), 0.0 if layer.bias is None else wide(layer.bias)
        )

    def filler_fields(self, node):
        own = self.fillers[len(node.layer.bottoms) > 1 :]  # factors may be a bottom
        return own[: len(node.shapes)]

    def _blobs(self, layer):
        return super()._blobs(layer) + layer.param.bias_term


@register
class Bias(_AlongAxes):
    types = ("Bias",)
    layers = ("CaffeBias",)
    param = Param(
        "bias_param",
        "1 axis int32=1; 2 num_axes int32=1; 3 filler FillerParameter",
        141,
    )
    fillers = ("filler",)
    traits = POINTWISE

    def build(self, node, x, offset=None):
        return self._build(node, x, offset, int(offset is None))

    def encode(self, call):
        layer = call.layer
        values = {"axis": layer.axis, "num_axes": layer.num_axes}
        call.add("Bias", bias_param=values)

    def _affine(self, layer):
        return Affine(1.0, wide(layer.bias))
