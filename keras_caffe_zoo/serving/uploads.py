"""Pictures that strangers send: read within bounds, or refused in a few words."""

import os
from pathlib import Path

import numpy as np

from keras_caffe_zoo.pictures import PictureError, read_picture, silent_pillow
from keras_caffe_zoo.serving.errors import ViewError

MAX_BYTES = 32 << 20  # of a file


def read_upload(path: str | os.PathLike, folder: str | os.PathLike) -> np.ndarray:
    """Return a picture that was sent, RGB uint8 `(H, W, 3)`, upright.

    Args:
        path: Where the server has put it.
        folder: Where the server puts what is sent: nothing else is read.

    Raises:
        ViewError: If it is no such file, too large, or no picture.
    """
    if not is_below(path, folder) or not os.path.isfile(path):
        raise ViewError("Expected a picture that was sent to this page.")
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ViewError(
            f"Expected a picture of at most {MAX_BYTES >> 20} MB; received: more"
        )
    try:
        with silent_pillow():
            return read_picture(data)
    except PictureError as error:
        raise ViewError(f"This picture cannot be read: {error.reason}.") from error


def is_below(path: str | os.PathLike, folder: str | os.PathLike) -> bool:
    """Tell whether a path leads into a folder, with all links followed."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):  # too long, or no path at all
        return False
