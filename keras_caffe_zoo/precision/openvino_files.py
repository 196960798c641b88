"""OpenVINO files of fewer bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_caffe_zoo.conversion.openvino_core import compiled
from keras_caffe_zoo.conversion.quiet import quiet
from keras_caffe_zoo.precision.calibration import Agreement, Calibration, agreement

_LARGEST = 65504  # of float16


def save_half(model, path: Path) -> None:
    """Write an OpenVINO model with its weights in half precision.

    Which arithmetic it is computed in, the device decides; a CPU takes float32.

    Args:
        model: An `openvino.Model`.
        path: The `.xml` to write, with a `.bin` beside it.

    Raises:
        ValueError: If a weight is beyond the range of half precision.
    """
    import openvino

    for op in model.get_ops():
        if op.get_type_name() == "Constant" and op.get_element_type().is_real():
            largest = float(np.abs(op.data).max(initial=0))
            if _LARGEST < largest < np.finfo("float32").max:
                raise ValueError(
                    f"Expected weights of at most {_LARGEST:,}, to write them in half "
                    f"precision; received: {largest:g} in {op.get_friendly_name()}. "
                    "Write float32"
                )
    openvino.save_model(model, path, compress_to_fp16=True)


def check_nncf() -> None:
    """Check that NNCF, which measures OpenVINO's models, is there.

    Raises:
        ImportError: If not; says how to get it.
    """
    try:
        with quiet():
            import nncf  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Expected NNCF, to write int8 OpenVINO files; received: {error}. Install "
            'it: pip install "keras_caffe_zoo[int8]"'
        ) from error


def openvino_int8(model, pictures: Calibration) -> tuple[object, Agreement]:
    """Return an OpenVINO model that computes in integers of 8 bits.

    Args:
        model: An `openvino.Model` of one input, an image, as `openvino.convert_model`
            returns it, its constants computed; it is changed.
        pictures: The pictures.

    Returns:
        `(model, agreement)`.

    Raises:
        ValueError: If the model has several inputs.
        ImportError: If NNCF is not installed.
    """
    check_nncf()
    _check_inputs(model)
    import nncf

    feed = _feed(model, pictures)
    exact = _runner(model.clone(), feed)
    data = nncf.Dataset(list(pictures.images(pictures.measured)), feed)
    with quiet():
        count = max(1, -(-len(pictures.measured) // pictures.items))
        made = nncf.quantize(model, data, subset_size=count)
    return made, agreement(pictures, exact, _runner(made, feed), 1)


def _check_inputs(model) -> None:
    if len(model.inputs) != 1:
        names = ", ".join(x.any_name for x in model.inputs) or "none"
        raise ValueError(
            f"Expected a net of one input, to measure it on pictures; received: {names}"
        )


def _feed(model, pictures: Calibration) -> Callable:
    """Return what makes a net's input of images: as they are, or prepared."""
    if model.inputs[0].get_element_type().to_dtype() == np.uint8:
        return lambda images: images
    return pictures.blob


def _runner(model, feed: Callable) -> Callable:
    net = compiled(model)
    return lambda images: net(feed(images))[0]
