"""Files like those that authors published, with random weights."""

import gc
import os

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import keras_caffe_zoo as kcz
from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.weights import cache_dir, install, model_entry
from keras_caffe_zoo.weights.integrity import seal, sha256_of


def write_photo(path, name="china.jpg", size=None):
    """Write one of scikit-learn's two photographs, 640 x 427 pixels or of a size."""
    picture = Image.fromarray(load_sample_image(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize(size or picture.size).save(path)


def write_caffemodel(name, folder):
    """Write the caffemodel of a net of the zoo, with the prototxt, and return it."""
    keras.utils.set_random_seed(0)
    model = getattr(kcz, name)(weights=None)
    one = not isinstance(model.input_shape, list | dict)
    anything = one and None in model.input_shape[1:]
    shape = (64, 64, model.input_shape[-1]) if anything else None
    path = folder / model_entry(name).file.name
    kcz.to_caffe(model, path.with_suffix(".prototxt"), path, input_shape=shape)
    keras.utils.clear_session()
    return path


def publish(name, folder):
    """Put a net into a folder as the cache keeps it: converted, and sealed."""
    path = write_caffemodel(name, folder)
    sha = model_entry(name).file.sha256 or sha256_of(path)
    converted = folder / f"{name}-{sha[:16]}.h5"
    kcz.dump_caffe_weights(path, converted, progress=False)
    seal(converted, sha)
    path.unlink()  # which may be large


def publish_mean(name):
    """Put a net's mean image into the cache, if it has one: its channels' means."""
    mean = model_entry(name).mean
    if mean and mean.file:
        shape = (3, *(mean.shape or (256, 256)))
        values = np.reshape(mean.channels or (104, 117, 123), (3, 1, 1))
        path = cache_dir() / mean.file.name
        write_mean(path, np.broadcast_to(values, shape).astype("float32"))
        install(name, path)
        path.unlink()


def take(names, shelf):
    """Put nets into the cache; a folder keeps those that were made before."""
    for name in names:
        if not list(shelf.glob(f"{name}-*.h5")):
            publish(name, shelf)
            gc.collect()  # models may be large
        cache_dir().mkdir(parents=True, exist_ok=True)
        for path in shelf.glob(f"{name}-*.h5"):
            os.symlink(path, cache_dir() / path.name)
        publish_mean(name)
