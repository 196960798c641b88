"""The eighth-width nets and their fully convolutional twins, every stored blob."""

import keras
import numpy as np
import pytest
from support import GOLDENS, golden, golden_names, nchw, nhwc, pattern, relative_error

from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor

EIGHTHS = [n for n in golden_names("net_") if "eighth" in n]
DENSE = [n for n in EIGHTHS if not n.endswith("_full_conv")]


def answers(model, blobs):
    """Return the model's value of every blob that Caffe stored."""
    *shape, seed, scale = blobs["pattern/data"]
    x = nhwc(pattern([int(s) for s in shape], int(seed), scale))
    names = [key.removeprefix("blob/") for key in blobs if key.startswith("blob/")]
    read = keras.Model(model.inputs, {n: blob_tensor(model, n) for n in names})
    return {n: nchw(y) for n, y in read.predict(x, verbose=0).items()}


def assert_every_blob_equals(found, blobs):
    """Hold each blob within 1e-5 of its maximum, and prob as far as fc8 allows.

    These nets have logits up to 339, of which float32 keeps no more than 3e-5. Softmax
    passes on half of what its logits differ by at most, so that is prob's tolerance:
    real Caffe's own prob is up to 1.2e-5 from exact arithmetic here.
    """
    logits = next(name for name in found if name.startswith("fc8"))
    for name, value in found.items():
        if name != "prob":
            assert relative_error(value, blobs[f"blob/{name}"]) <= 1e-5, name
    gap = np.abs(found[logits] - blobs[f"blob/{logits}"]).max()
    assert np.abs(found["prob"] - blobs["blob/prob"]).max() <= gap / 2 + 1e-6
    assert gap <= 5e-4


@pytest.mark.parametrize("case", EIGHTHS)
def test_every_blob_equals_caffe(case):
    model = from_caffe(GOLDENS / f"{case}.prototxt", GOLDENS / f"{case}.caffemodel")
    blobs = golden(case)
    assert_every_blob_equals(answers(model, blobs), blobs)


@pytest.mark.parametrize("case", DENSE)
def test_cast_to_fully_convolutional_equals_caffes_twin(case):
    model = from_caffe(
        GOLDENS / f"{case}.prototxt",
        GOLDENS / f"{case}.caffemodel",
        input_shape=(None, None, 3),
        fully_convolutional=True,
    )
    blobs = golden(f"{case}_full_conv")
    found = answers(model, blobs)
    assert {"fc6-conv", "fc7-conv", "fc8-conv", "prob"} <= found.keys()
    assert_every_blob_equals(found, blobs)


@pytest.mark.parametrize("case", DENSE)
def test_fully_convolutional_weights_fit_the_dense_net(case):
    twin = GOLDENS / f"{case}_full_conv.caffemodel"
    model = from_caffe(GOLDENS / f"{case}.prototxt", twin)
    blobs = golden(case)
    assert_every_blob_equals(answers(model, blobs), blobs)
