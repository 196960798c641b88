"""A net of one convolution and one inner product, pictures, and what it says of them.

The reference is NumPy's, of pixels prepared one by one.
"""

import keras
import numpy as np
from PIL import Image

SIDE = 12


def net(seed=0, name="tiny"):
    """Return the net; it takes whatever `centre` makes."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, strides=3, name="conv1", activation="relu")(inputs)
    x = keras.layers.Dense(6, name="fc2")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x, name=name)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.weights])
    return model


def centre(pixels):
    """Return the middle of a picture, repeated where it is too small, from -1 to 1."""
    pixels = np.pad(pixels, [(SIDE, SIDE), (SIDE, SIDE), (0, 0)], mode="wrap")
    top, left = ((n - SIDE) // 2 for n in pixels.shape[:2])
    return pixels[top : top + SIDE, left : left + SIDE] / np.float32(127.5) - 1


def expected(model, pictures):
    """Return the blobs for RGB arrays: a dict of float64 arrays."""
    kernel, bias, weight, bias2 = (w.astype("float64") for w in model.get_weights())
    x = np.stack([centre(p) for p in pictures]).astype("float64")
    n = SIDE // 3
    patches = x.reshape(-1, n, 3, n, 3, 3).transpose(0, 1, 3, 2, 4, 5)
    conv1 = np.tensordot(patches, kernel, 3) + bias
    conv1 = np.maximum(conv1, 0)
    return {"conv1": conv1, "fc2": conv1.reshape(len(x), -1) @ weight + bias2}


def picture(seed, height=20, width=16):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")


def write_pictures(folder, count, first=0):
    """Write pictures 0000.png, 0001.png, …; return their pixels."""
    folder.mkdir(exist_ok=True)
    pictures = [picture(i, 14 + i % 7, 13 + i % 5) for i in range(first, first + count)]
    for i, pixels in enumerate(pictures, first):
        Image.fromarray(pixels).save(folder / f"{i:04}.png")
    return pictures
