"""Small training sets on disk, for the tests of `training.data`."""

import io

import lmdb
import numpy as np
import plyvel
from PIL import Image

from keras_caffe_zoo.caffe import schema

# What a small net with dropout makes of `data` and `label`.
DROPOUT_BODY = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""


def picture(seed, size=(40, 48)):
    """Return an RGB picture, uint8 (H, W, 3), that differs from all others."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, 3), dtype="uint8")


def png(image):
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


def write_pictures(folder, count, classes=2, size=(40, 48)):
    """Write `c0/000.png`, `c1/001.png`, … and return the pictures."""
    images = [picture(i, size) for i in range(count)]
    for i, image in enumerate(images):
        path = folder / f"c{i % classes}" / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    return images


def write_list(folder, count, classes=2, name="train.txt"):
    lines = [f"c{i % classes}/{i:03}.png {i % classes}" for i in range(count)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def datum(image, label=0, **fields):
    """Return a serialized Datum of an array (H, W, C), raw or float."""
    chw = np.moveaxis(image, -1, 0)
    shape = dict(zip(("channels", "height", "width"), chw.shape, strict=True))
    pixels = (
        {"data": chw.tobytes()}
        if image.dtype == np.uint8
        else {"float_data": chw.ravel().tolist()}
    )
    given = {**shape, **pixels, "label": label, **fields}
    return schema.Datum(**given).SerializeToString()


def write_lmdb(path, values, keys=None):
    keys = keys or [f"{i:08}".encode() for i in range(len(values))]
    with (
        lmdb.open(str(path), map_size=1 << 26) as database,
        database.begin(write=True) as transaction,
    ):
        for key, value in zip(keys, values, strict=True):
            transaction.put(key, value)
    return path


def write_leveldb(path, values, keys=None):
    keys = keys or [f"{i:08}".encode() for i in range(len(values))]
    with plyvel.DB(str(path), create_if_missing=True) as database:
        for key, value in zip(keys, values, strict=True):
            database.put(key, value)
    return path


def batches(dataset):
    """Return one pass over a dataset as NumPy batches."""
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def rows(dataset):
    """Return one pass as all images and all labels."""
    return tuple(map(np.concatenate, zip(*batches(dataset), strict=True)))
