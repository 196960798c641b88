"""Normalization by statistics: of windows, of a batch, of an item."""

import numpy as np

from keras_caffe_zoo.arithmetic.affine import Affine, normalization
from keras_caffe_zoo.arithmetic.axes import keras_axis
from keras_caffe_zoo.caffe import Param
from keras_caffe_zoo.lazy import layers, ops
from keras_caffe_zoo.onnx.pooling import pooling
from keras_caffe_zoo.onnx.statistics import (
    by_batch,
    by_statistics,
    centred,
    mean_square,
)
from keras_caffe_zoo.rules.engines import ENGINE
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.registry import register
from keras_caffe_zoo.rules.rule import MIXED, POINTWISE, Codec, Rule, Window
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
            channels = node.channels(x)
            if size <= channels:
                options = {"size": size, "alpha": alpha, "beta": beta, "bias": param.k}
                return node.op("LRN", x, **options)
            # OpenVINO goes wrong over windows wider than that.
            places = np.arange(channels)
            near = np.abs(places[:, None] - places) <= size // 2
            weight = near.astype("float32")[..., None, None] * np.float32(alpha / size)
            sums = node.op("Conv", node.op("Mul", x, x), weight)
            scale = node.op("Add", sums, param.k)
            return node.op("Div", x, node.op("Pow", scale, beta))
        geometry = {"kernel_size": (size,) * 2, "strides": (1, 1)}
        geometry |= {"pad": (size // 2,) * 2, "round_mode": "ceil"}
        mean = pooling(node, node.op("Mul", x, x), "ave", geometry)
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
        kept, scale_bias = self._check(node, x)
        options = {"scale_bias": scale_bias, "name": node.name}
        fraction = node.param.moving_average_fraction
        return layers.CaffeBatchNorm(kept, fraction, node.param.eps, **options)(x)

    def onnx(self, node, x):
        kept, scale_bias = self._check(node, x)
        learned = [node.array(i).reshape(-1) for i in range(5 if scale_bias else 3)]
        if kept is False:
            return by_batch(node, x, node.param.eps, *learned[3:])
        (weight,) = learned[2]
        with np.errstate(all="ignore"):  # Caffe computes with whatever comes of it
            factor = np.float32(1) / weight if weight else np.float32(0)
            mean, variance = learned[0] * factor, learned[1] * factor
        return by_statistics(node, x, mean, variance, node.param.eps, *learned[3:])

    def _check(self, node, x) -> tuple[bool | None, bool]:
        """Return whether kept statistics count, and whether it has factors of its own.

        The node learns the parameters.
        """
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
        return kept, scale_bias

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
        self._check(node, x)
        settings = (param.normalize_variance, param.across_channels, param.eps)
        return layers.CaffeMVN(*settings, name=node.name)(x)

    def onnx(self, node, x):
        param = node.param
        self._check(node, x)
        x = node.with_ones(x, 4 - len(x.shape))
        axes = [1, 2, 3] if param.across_channels else [2, 3]
        x, _ = centred(node, x, axes)
        if not param.normalize_variance:
            return x
        deviation = node.op("Sqrt", mean_square(node, x, axes))
        return node.op("Div", x, node.op("Add", deviation, param.eps))

    @staticmethod
    def _check(node, x) -> None:
        if not 1 <= len(x.shape) <= 4:
            raise node.error(
                f"Expected a blob of at most 4 axes; received shape: {caffe_shape(x)}"
            )

    def encode(self, call):
        layer = call.layer
        values = {
            "normalize_variance": layer.normalize_variance,
            "across_channels": layer.across_channels,
            "eps": layer.epsilon,
        }
        call.add("MVN", mvn_param=values)
