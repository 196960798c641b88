"""Save a model in the format that a file's name asks for."""

import os
from pathlib import Path

import keras

_SUFFIXES = (".keras", ".onnx")


def check_target(path: str | os.PathLike) -> None:
    """Check that `save_as` could write to a path, before any work is done.

    Raises:
        ValueError: If the name asks for no format that there is.
        ImportError: If the format needs a package that is not installed.
        FileNotFoundError: If the folder does not exist.
    """
    if not _is_folder(path) and Path(path).suffix not in _SUFFIXES:
        raise ValueError(
            f"Expected a name that ends in {', '.join(_SUFFIXES)}, or in / for a "
            f"SavedModel; received: {path}"
        )
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"Expected an existing folder for {path}")
    if Path(path).suffix == ".onnx":
        _check_onnx()


def save_as(model: keras.Model, path: str | os.PathLike) -> None:
    """Save a model as the name of a file asks for.

    Args:
        model: The model.
        path: `NAME.keras` for a Keras model, `NAME.onnx` for ONNX, a name
            that ends in / for a TensorFlow SavedModel.

    Raises:
        ValueError: If the name asks for no format that there is.
        ImportError: If the format needs a package that is not installed.
    """
    check_target(path)
    if _is_folder(path):
        model.export(os.fspath(path), verbose=False)
    elif Path(path).suffix == ".onnx":
        model.export(os.fspath(path), format="onnx", verbose=False)
    else:
        model.save(path)


def _is_folder(path) -> bool:
    return os.fspath(path).endswith(("/", os.sep))


def _check_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Expected the packages that write ONNX; received: "
            f'{error}. Install them with: pip install "keras_caffe_zoo[onnx]"'
        ) from error
