"""One record of Caffe's databases: a serialized Datum."""

import io

import numpy as np
from google.protobuf.message import DecodeError
from PIL import Image

from keras_caffe_zoo.caffe import schema
from keras_caffe_zoo.pictures import picture_formats, read_picture
from keras_caffe_zoo.training.data.pictures import caffe_channels

_GRAY = ("1", "L", "I;16")  # Pillow's modes


def decode_datum(value: bytes, color: bool | None = None) -> tuple[np.ndarray, int]:
    """Return the image and the label of a serialized Datum.

    Args:
        value: The bytes. Its pixels are uint8 `data`, or `float_data`, (C, H, W) in
            Caffe's order, or an `encoded` picture such as a JPEG.
        color: Whether an encoded picture becomes BGR or grey; as it is stored if None.
            Caffe has no such choice for pixels that are not encoded.

    Returns:
        Array `(H, W, C)`, BGR or grey, uint8 or float32; and the label.

    Raises:
        ValueError: If the bytes are no Datum, its sizes are not those of its data, or
            the picture in it cannot be read.
    """
    try:
        datum = schema.Datum.FromString(bytes(value))
    except DecodeError as error:
        raise ValueError(
            f"Expected a serialized Datum; received: {len(value)} bytes of something "
            f"else ({error})"
        ) from None
    if datum.encoded:
        return _picture(datum.data, color), datum.label
    shape = (datum.channels, datum.height, datum.width)
    count = len(datum.data) or len(datum.float_data)
    if min(shape) < 1 or shape[0] * shape[1] * shape[2] != count:
        raise ValueError(
            "Expected a Datum with as many values as channels x height x width; "
            f"received: {count} values for {' x '.join(map(str, shape))}"
        )
    if datum.data:
        pixels = np.frombuffer(datum.data, "uint8")
    else:
        pixels = np.array(datum.float_data, "float32")
    return np.moveaxis(pixels.reshape(shape), 0, -1), datum.label


def _picture(data: bytes, color: bool | None) -> np.ndarray:
    image = read_picture(data)
    if color is None:
        with Image.open(io.BytesIO(data), formats=picture_formats()) as picture:
            color = not picture.mode.startswith(_GRAY)
    return caffe_channels(image, gray=not color)
