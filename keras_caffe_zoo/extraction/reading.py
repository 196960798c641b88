"""One picture of a source, read; or what is wrong with it."""

import errno

import numpy as np

from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.urls import is_url, read_url
from keras_caffe_zoo.pictures import PictureError, read_picture

NO_FILE = "no such file"  # the reason of a bad picture

# Faults of this machine, which would make a bad picture of every good one.
_OUR_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def read_item(item: Item) -> np.ndarray | PictureError:
    """Return the pixels of a picture, or what is wrong with it.

    Many threads may call it.

    Returns:
        RGB uint8 array `(H, W, 3)`.

    Raises:
        OSError: If the picture may be good, and this machine or the network is not.
    """
    data = item.data
    if isinstance(data, np.ndarray):
        return data
    try:
        return read_picture(read_url(data) if is_url(data) else data)
    except PictureError as error:
        return error
    except OSError as error:
        if error.errno in _OUR_FAULT or _is_of_network(error, data):
            raise
        return PictureError(item.name, _why_unread(error))


def _is_of_network(error: OSError, data) -> bool:
    """Return whether a picture may be good, and only the way to it is not."""
    return is_url(data) and not isinstance(error, FileNotFoundError)


def _why_unread(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return NO_FILE
    if isinstance(error, IsADirectoryError):
        return "a folder"
    return f"cannot be read: {error.strerror or error}"
