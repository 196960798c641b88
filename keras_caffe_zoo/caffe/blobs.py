"""From a BlobProto to the array that pycaffe would show in `net.params`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import CaffeFormatError

MAX_AXES = 32
MAX_COUNT = 2**31 - 1
_NO_BLOBS = frozenset(
    """AbsVal Accuracy ArgMax BatchReindex BNLL Clip Concat ContrastiveLoss Crop Data
    Dropout DummyData ELU Eltwise EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output
    HingeLoss Im2col ImageData InfogainLoss Input Log LRN MVN MemoryData
    MultinomialLogisticLoss Pooling Power ReLU Reduction Reshape SPP Sigmoid
    SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split Swish TanH
    Threshold Tile WindowData""".split()  # noqa: SIM905
)
_LEGACY = ("num", "channels", "height", "width")


def is_legacy(blob: Any) -> bool:
    """Returns whether a BlobProto gives its shape as num, channels, height, width."""
    return any(blob.HasField(name) for name in _LEGACY)


def blob_shape(blob: Any) -> tuple[int, ...]:
    """Returns a BlobProto's shape as stored.

    Any of the four legacy fields makes it a 4-D legacy shape, absent ones being 0;
    otherwise `shape` counts, and no shape at all is a scalar (Caffe's `FromProto`).

    Raises:
        CaffeFormatError: If Caffe could not have written such a shape.
    """
    if is_legacy(blob):
        shape = tuple(getattr(blob, name) for name in _LEGACY)
    else:
        shape = tuple(blob.shape.dim)
    if len(shape) > MAX_AXES:
        raise CaffeFormatError(
            f"Expected a shape of at most {MAX_AXES} axes; received: {len(shape)}"
        )
    if min(shape, default=0) < 0 or math.prod(max(d, 1) for d in shape) > MAX_COUNT:
        raise CaffeFormatError(
            f"Expected dimensions of at least 0 and at most {MAX_COUNT:,} values; "
            f"received shape: {shape}"
        )
    return shape


def blob_rank(layer: Any, index: int) -> int | None:
    """Returns how many axes Caffe gives to blob `index` of a V2 layer.

    Args:
        layer: A `LayerParameter`.
        index: Position of the blob in the layer.

    Returns:
        The number of axes, or None where the type or the bottom decides it.
    """
    if layer.type in ("Convolution", "Deconvolution"):
        return (4, 1)[index] if index < 2 else None
    if layer.type in ("InnerProduct", "Embed"):
        return (2, 1)[index] if index < 2 else None
    if layer.type == "PReLU":
        return 0 if layer.prelu_param.channel_shared else 1
    if layer.type == "BatchNorm":
        return 1 if index < 3 else None
    if layer.type in ("Scale", "Bias"):
        param = layer.scale_param if layer.type == "Scale" else layer.bias_param
        return param.num_axes if param.num_axes >= 0 else None
    return None


def expected_blobs(layer: Any) -> int | None:
    """Returns how many blobs Caffe gives to a V2 layer, None if that is not known."""
    bottoms = len(layer.bottom)
    if layer.type in ("Convolution", "Deconvolution"):
        return 1 + layer.convolution_param.bias_term
    if layer.type == "InnerProduct":
        return 1 + layer.inner_product_param.bias_term
    if layer.type == "Embed":
        return 1 + layer.embed_param.bias_term
    if layer.type == "Scale":
        return (bottoms < 2) + layer.scale_param.bias_term
    if layer.type == "Bias":
        return int(bottoms < 2)
    if layer.type in ("LSTM", "RNN"):
        hidden = 2 if layer.type == "LSTM" else 1
        static = bottoms > 2 + hidden * layer.recurrent_param.expose_hidden
        return (3 if layer.type == "LSTM" else 5) + static
    if layer.type in _NO_BLOBS:
        return 0
    return {"PReLU": 1, "BatchNorm": 3, "Parameter": 1}.get(layer.type)


def fit_legacy(shape: tuple[int, ...], rank: int | None) -> tuple[int, ...]:
    """Returns a legacy shape without the leading 1s that the layer does not have.

    Legacy shapes are right-aligned: a bias of N values is (1, 1, 1, N). Only leading
    axes go, so a kernel of one output or of 1x1 pixels keeps its axes.

    Raises:
        CaffeFormatError: If an axis that would have to go is not 1.
    """
    if rank is None or rank >= len(shape):
        return shape
    surplus = len(shape) - rank
    if any(dim != 1 for dim in shape[:surplus]):
        raise CaffeFormatError(
            f"Expected a blob of {rank} axes, so (…, num, channels, height, width) "
            f"with {surplus} leading 1s; received shape: {shape}"
        )
    return shape[surplus:]


def shape_values(values: np.ndarray, blob: Any, layer: Any, index: int) -> np.ndarray:
    """Returns flat `values` in the shape that the blob has in Caffe."""
    shape = blob_shape(blob)
    if is_legacy(blob):
        shape = fit_legacy(shape, blob_rank(layer, index))
    return values.reshape(shape)


def check_count(blob: Any, count: int, unknown: list[int] = ()) -> None:
    """Raises unless `count` values fill the shape of `blob` exactly."""
    shape = blob_shape(blob)
    if math.prod(shape) != count:
        also = f" and unknown fields {unknown} (of a fork of Caffe)" if unknown else ""
        raise CaffeFormatError(
            f"Expected {math.prod(shape):,} values for shape {shape}; received: "
            f"{count:,}{also}. Save the net again with BVLC Caffe, or fetch it again"
        )


def text_values(blob: Any) -> np.ndarray:
    """Returns the flat float32 values of a BlobProto that was read from text."""
    if len(blob.data) and len(blob.double_data):
        raise CaffeFormatError("Expected data or double_data; received: both")
    with np.errstate(over="ignore"):
        return np.array(blob.data or blob.double_data, np.float64).astype(np.float32)
