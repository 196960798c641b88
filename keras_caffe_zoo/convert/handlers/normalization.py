"""Normalization, and the factors and offsets that go with it."""

from keras_caffe_zoo.convert.graph import caffe_shape, handles
from keras_caffe_zoo.layers import (
    CaffeBatchNorm,
    CaffeBias,
    CaffeLRN,
    CaffeMVN,
    CaffeScale,
)


@handles("LRN")
def lrn(node, x):
    param = node.param
    if len(x.shape) != 4:
        raise node.error(
            f"Expected a blob (N, C, H, W); received shape: {caffe_shape(x)}", "bottom"
        )
    region = ("across_channels", "within_channel")[param.norm_region]
    return CaffeLRN(
        param.local_size,
        param.alpha,
        param.beta,
        param.k,
        region,
        data_format="channels_last",
        name=node.name,
    )(x)


@handles("BatchNorm")
def batch_norm(node, x):
    param, shape = node.param, caffe_shape(x)
    channels = 1 if len(shape) < 2 else shape[1]
    if not shape or channels is None:
        raise node.error(f"Expected a blob of known channels; received shape: {shape}")
    node.learns((channels,), (channels,), (1,))
    kept = None  # TEST nets use the kept statistics, Keras' training the batch's
    if param.HasField("use_global_stats"):
        kept = param.use_global_stats
    elif node.phase == "TRAIN":
        kept = False
    fraction = param.moving_average_fraction
    return CaffeBatchNorm(kept, fraction, param.eps, name=node.name)(x)


@handles("MVN")
def mvn(node, x):
    param = node.param
    if not 1 <= len(x.shape) <= 4:
        raise node.error(
            f"Expected a blob of at most 4 axes; received shape: {caffe_shape(x)}"
        )
    settings = (param.normalize_variance, param.across_channels, param.eps)
    return CaffeMVN(*settings, name=node.name)(x)


@handles("Scale", bottoms=(1, 2))
def scale(node, x, factor=None):
    blobs = 2 - (factor is not None) if node.param.bias_term else factor is None
    return _along_axes(node, CaffeScale, x, factor, int(blobs))


@handles("Bias", bottoms=(1, 2))
def bias(node, x, offset=None):
    return _along_axes(node, CaffeBias, x, offset, int(offset is None))


def _along_axes(node, kind, x, second, blobs):
    """Make a Scale or Bias layer with `blobs` learned parameters of the same shape."""
    param, shape = node.param, caffe_shape(x)
    size = param.num_axes if second is None else len(second.shape)
    axis = node.caffe_axis(param.axis, len(shape)) if size else 0
    end = len(shape) if size == -1 else axis + size
    if size < -1 or end > len(shape):
        raise node.error(
            f"Expected at most {len(shape) - axis} axes from axis {axis} on of a blob "
            f"with {len(shape)}; received: {size}",
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
    options = {"use_bias": param.bias_term} if kind is CaffeScale else {}
    layer = kind(param.axis, param.num_axes, name=node.name, **options)
    return layer(x if second is None else [x, second])
