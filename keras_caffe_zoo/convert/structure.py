"""What a Caffe net's structure tells: channels of blobs, and whether a model is it."""

import numpy as np

from keras_caffe_zoo.caffe import Layer, Net
from keras_caffe_zoo.convert.names import caffe_name, twin_name

# Layers whose top has the channels of their (first) bottom, and the same order of
# values when flattened.
_KEEPS_CHANNELS = frozenset(
    """AbsVal BNLL BatchNorm Bias Clip Crop Dropout ELU Eltwise Exp Flatten LRN Log MVN
    PReLU Pooling Power ReLU Scale Sigmoid Softmax Split Swish TanH Threshold""".split()  # noqa: SIM905
)


def flattened_channels(net: Net) -> dict[str, int]:
    """Return, for each InnerProduct, the channels of the blob it flattens.

    Args:
        net: A net as read from a file; shapes of blobs need not be known.

    Returns:
        Layer name to number of channels. Layers whose bottom cannot be traced to a
        layer that tells are left out.
    """
    channels: dict[str, int | None] = {}
    for blob, shape in net.inputs.items():
        channels[blob] = shape[1] if len(shape) > 1 else None
    found = {}
    for layer in net.layers:
        bottom = channels.get(layer.bottoms[0]) if layer.bottoms else None
        if layer.type == "InnerProduct" and bottom:
            found[layer.name] = bottom
        for top in layer.tops if layer.type != "Input" else ():
            channels[top] = _channels(layer, [channels.get(b) for b in layer.bottoms])
    return found


def _channels(layer: Layer, bottoms: list[int | None]) -> int | None:
    if layer.type in ("Convolution", "Deconvolution"):
        return layer.message.convolution_param.num_output or None
    if layer.type == "InnerProduct" and layer.message.inner_product_param.axis == 1:
        return layer.message.inner_product_param.num_output or None
    if layer.type == "Concat":
        axis = layer.message.concat_param
        if axis.axis == 1 and axis.concat_dim == 1 and all(bottoms):
            return sum(bottoms)
    if layer.type in _KEEPS_CHANNELS and bottoms:
        if layer.type == "Flatten" and layer.message.flatten_param.axis != 1:
            return None
        return bottoms[0]
    return None


def learned_blobs(layer: Layer) -> list[np.ndarray]:
    """Return a layer's blobs, an InnerProduct's weights as (O, I) in any case.

    With `transpose: true` Caffe stores them as (I, O).
    """
    if layer.type == "InnerProduct" and layer.message.inner_product_param.transpose:
        weight, *bias = layer.blobs
        return [weight.T, *bias]
    return layer.blobs


def check_structure(net: Net, model) -> None:
    """Check that a model computes what a net's structure says, layer by layer.

    Weights of one net often fit another: those of VGG-CNN-M have the shapes of
    VGG-CNN-S, those of AlexNet the shapes of CaffeNet. What tells them apart is in
    the file: strides, padding, groups, pooling, LRN, and which layer reads which.
    Layers that only one of the two has are passed over.

    Args:
        net: The structure that came with the weights.
        model: The `keras.Model` that they are meant for.

    Raises:
        ValueError: Naming each layer that differs, and how.
    """
    layers = {caffe_name(layer.name): layer for layer in model.layers}
    problems = []
    for layer, makers in zip(net.layers, _producers(net), strict=True):
        ours = layers.get(layer.name) or layers.get(twin_name(layer.name))
        if ours is not None:
            problems += _differences(layer, ours)
            problems += _reads_another(layer, ours, makers, layers)
    if problems:
        raise ValueError(
            f"Expected the weights of a net like '{model.name}'; received those of "
            f"another, '{net.name}' ({net.source}): " + "; ".join(problems) + "."
        )


def _differences(layer: Layer, ours) -> list[str]:
    theirs = _FACTS.get(layer.type, lambda _: {})(layer)
    return [
        f"layer '{layer.name}' has {key} {value} in the file, {getattr(ours, key)} here"
        for key, value in theirs.items()
        if hasattr(ours, key) and not _agree(getattr(ours, key), value)
    ]


def _agree(ours, theirs) -> bool:
    if isinstance(theirs, float):
        return abs(ours - theirs) <= 1e-6 * abs(theirs)  # Caffe keeps float32
    return ours == theirs


def _reads_another(layer: Layer, ours, makers: list, layers: dict) -> list[str]:
    """Compare the order of pooling and LRN, which no shape of weights shows."""
    if layer.type not in ("Pooling", "LRN") or not makers:
        return []
    here = caffe_name(ours.input._keras_history.operation.name)
    if here in makers or not {here, makers[0]} <= layers.keys():
        return []
    return [f"layer '{layer.name}' reads '{makers[0]}' in the file, '{here}' here"]


def _convolution_facts(layer: Layer) -> dict:
    if not layer.message.HasField("convolution_param"):
        return {}
    param = layer.message.convolution_param
    return {
        "strides": window(param, "stride", 1),
        "pad": window(param, "pad", 0),
        "groups": param.group,
        "dilation_rate": window(param, "dilation", 1),
    }


def _pooling_facts(layer: Layer) -> dict:
    param = layer.message.pooling_param
    if not layer.message.HasField("pooling_param") or param.global_pooling:
        return {}
    return {
        "pool": ("max", "ave", "stochastic")[param.pool],
        "kernel_size": window(param, "kernel_size", None),
        "strides": window(param, "stride", 1),
        "pad": window(param, "pad", 0),
    }


def _lrn_facts(layer: Layer) -> dict:
    if not layer.message.HasField("lrn_param"):
        return {}
    param = layer.message.lrn_param
    region = ("across_channels", "within_channel")[param.norm_region]
    facts = {"local_size": param.local_size, "alpha": param.alpha, "beta": param.beta}
    return {**facts, "k": param.k, "norm_region": region}


_FACTS = {
    "Convolution": _convolution_facts,
    "Pooling": _pooling_facts,
    "LRN": _lrn_facts,
}


def window(param, field: str, default: int | None) -> tuple[int, int]:
    """Return (height, width) of a kernel, stride, pad or dilation of a Caffe layer.

    Args:
        param: A ConvolutionParameter or PoolingParameter.
        field: `"kernel_size"`, `"stride"`, `"pad"` or `"dilation"`.
        default: Caffe's default.
    """
    stem = field.removesuffix("_size")
    names = {f.name for f in param.DESCRIPTOR.fields}
    if f"{stem}_h" in names:
        sides = [f"{stem}_h", f"{stem}_w"]
        if any(param.HasField(side) and getattr(param, side) for side in sides):
            return tuple(getattr(param, side) for side in sides)
    value = getattr(param, field)
    if isinstance(value, int):  # PoolingParameter; convolutions repeat theirs
        value = [value] if param.HasField(field) else []
    values = list(value) or [default]
    return (values[0], values[-1])


def _producers(net: Net) -> list[list[str]]:
    """Return, layer by layer, what made its first bottom: a layer, those in place."""
    makers: dict[str, list[str]] = {}
    found = []
    for layer in net.layers:
        found.append(list(makers.get(layer.bottoms[0], ())) if layer.bottoms else [])
        for top in layer.tops:
            earlier = makers.get(top, []) if top in layer.bottoms else []
            makers[top] = [*earlier, layer.name]
    return found
