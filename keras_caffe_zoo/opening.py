"""`load`: any net, by its name or from its files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import keras

from keras_caffe_zoo import models
from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.files import check_file, open_file
from keras_caffe_zoo.kinds import DEFINITIONS, HEAD, KERAS, WEIGHTS, ending, kind_of
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.weights import model_names


def load(
    net: str | os.PathLike,
    weights: str | os.PathLike | None = "caffe",
    **options,
) -> keras.Model:
    """Load a net, whatever it is: one of the zoo, Caffe's two files, or Keras' one.

    Args:
        net: The name of a net of the zoo, such as `"caffenet"`; the path of a
            `.prototxt`; or that of a `.keras` file.
        weights: Of a net of the zoo, as for its builder: `"caffe"` for the published,
            a path, or None for random ones. Of a `.prototxt` the path of its
            `.caffemodel`, or None for what its fillers say. A `.keras` file has its
            own.
        **options: Of the net's builder, of `from_caffe`, or of
            `keras.saving.load_model`.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such net, or weights are wanting or too many.
        CaffeFormatError: If a file of Caffe is damaged.
        OSError: If a file cannot be read.

    Example:
        >>> kcz.load("squeezenet_v1_1", weights=None).output_shape
        (None, 1000)
        >>> from keras_caffe_zoo import demo
        >>> folder = demo.FOLDER
        >>> model = kcz.load(folder / "digits.prototxt", folder / "digits.caffemodel")
        >>> model.save("digits.keras")
        >>> kcz.load("digits.keras").output_shape
        (None, 11)
    """
    name, path = os.fspath(net), Path(net)
    kind = ending(path)
    if name in model_names():
        return getattr(models, name)(weights=weights, **options)
    if kind in DEFINITIONS:
        return _from_caffe(path, weights, options)
    if kind == KERAS:
        if weights != "caffe":
            raise ValueError(
                f"Expected no `weights` for {name}, which has its own; received: "
                f"weights={str(weights)!r}"
            )
        return load_keras(path, **options)
    if kind in WEIGHTS:
        raise ValueError(
            "Expected a net's definition first, and its weights as `weights=`; "
            f"received: {name}, weights. Say load('net.prototxt', {name!r}), or name "
            f"the net of the zoo that they are of: load('caffenet', {name!r})"
        )
    if path.exists():
        raise ValueError(
            "Expected the name of a net of the zoo, or the path of a .prototxt or "
            f".keras file; received: {name!r}, {_kind(path)}"
        )
    raise ValueError(
        "Expected the name of a net of the zoo, or the path of a .prototxt or .keras "
        f"file; received: {name!r}. {there_are(sorted(model_names()), name)}"
    )


def load_keras(path: str | os.PathLike, **options) -> keras.Model:
    """Load a `.keras` file; say what it is if it is none.

    Args:
        path: The file.
        **options: Of `keras.saving.load_model`, which says of any other file that
            there is none.

    Raises:
        ValueError: If the file is no such file.
        OSError: If it cannot be read.
    """
    expected = "a Keras file"
    with open_file(path, expected) as file:
        kind = kind_of(file.read(HEAD))
        if kind != "a zip archive" or not zipfile.is_zipfile(file):
            kind = "a damaged one" if kind == "a zip archive" else kind
            raise ValueError(
                f"Expected {expected}; received: {path}, {kind or 'which is none'}"
            )
    return keras.saving.load_model(path, **options)


def _kind(path: Path) -> str:
    """Return what a file is that is no net."""
    with open_file(path, "a .prototxt or .keras file") as file:
        return kind_of(file.read(HEAD)) or "a file of another kind"


def _from_caffe(path: Path, weights, options: dict) -> keras.Model:
    check_file(path, "a prototxt")
    if weights == "caffe":
        raise ValueError(
            f"Expected `weights=`, the .caffemodel of {path}, or None for random ones; "
            "received: none"
        )
    return from_caffe(path, weights, **options)
