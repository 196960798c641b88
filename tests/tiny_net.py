"""A net with two layers, as a model host would publish it, and what it computes."""

import tarfile

import numpy as np

from keras_caffe_zoo.caffe import write_caffemodel
from keras_caffe_zoo.weights.manifest import Licence, MeanSpec, ModelEntry, WeightFile

NAME = "tiny.caffemodel"
BLOBS = {"conv1": ((4, 3, 2, 2), (4,)), "fc8": ((5, 16), (5,))}
MEAN = np.arange(3 * 4 * 6, dtype="float32").reshape(3, 4, 6)
MEAN_FILE = WeightFile(
    "mean.binaryproto", archive="nets.tar.gz", member="m.binaryproto"
)


def mean_spec(file=MEAN_FILE):
    channels = tuple(float(value) for value in MEAN.mean((1, 2)))
    return MeanSpec("m", "image", channels, shape=(4, 6), file=file)


def params(**changes):
    rng = np.random.default_rng(0)
    arrays = {
        layer: [rng.standard_normal(shape, "float32") for shape in shapes]
        for layer, shapes in BLOBS.items()
    }
    return {k: v for k, v in {**arrays, **changes}.items() if v is not None}


def caffemodel(folder, **changes):
    path = folder / NAME
    write_caffemodel(path, params(**changes))
    return path


def archive(folder, *paths):
    with tarfile.open(folder / "nets.tar.gz", "w:gz") as tar:
        for path in paths:
            tar.add(path, f"nets/{path.name}")
    return folder / "nets.tar.gz"


def entry(file, mean=None, non_commercial=False, name="tiny"):
    return ModelEntry(
        name=name,
        title="Tiny Net",
        task="classification",
        paper=None,
        licence=Licence("some licence", non_commercial),
        file=file,
        mean=mean,
        scale=1.0,
        channel_order="BGR",
        input_size=(8, 8),
        resize=None,
        class_labels="digits",
        classes=5,
        accuracy=(),
        format="V2",
        notes=None,
        blobs=BLOBS,
    )


def kept(home):
    """What is in the cache but for locks and marks, which are empty."""
    paths = (p for p in home.rglob("*") if p.is_file() and p.stat().st_size)
    return sorted(str(p.relative_to(home)) for p in paths)


def model():
    """The net as a model, with random weights."""
    import keras

    from keras_caffe_zoo.layers import CaffeConv2D

    inputs = keras.Input((3, 3, 3))
    x = CaffeConv2D(4, 2, name="conv1", data_format="channels_last")(inputs)
    x = keras.layers.Flatten(data_format="channels_last")(x)
    return keras.Model(inputs, keras.layers.Dense(5, name="fc8")(x), name="tiny")


X = np.random.default_rng(3).standard_normal((2, 3, 3, 3)).astype("float32")  # NCHW


def answers(x=X):
    """What the net computes, by NumPy."""
    arrays = params()
    weight, bias = arrays["conv1"]
    y = np.zeros((len(x), 4, 2, 2))
    for i, j in np.ndindex(2, 2):
        patch = x[:, :, i : i + 2, j : j + 2]
        y[:, :, i, j] = np.einsum("nchw,ochw->no", patch, weight) + bias
    weight, bias = arrays["fc8"]
    return y.reshape(len(x), -1) @ weight.T + bias
