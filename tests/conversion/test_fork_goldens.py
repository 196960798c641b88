"""Every golden of the forks through `from_caffe`: each stored blob, each gradient."""

import keras
import numpy as np
import pytest
from support import GOLDENS, gradients, nchw, nhwc, relative_error

from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.rules import codec_of, rule_for

FORKS = GOLDENS / "forks"
# Layers that only train: `tests/training/` holds these.
TRAINING = ("multibox_", "smoothl1_", "box_annotator_")
# Its only blob is written in place, and stored as it was before.
LOST = ("bn_segnet_inplace",)
CASES = sorted(
    path.stem
    for path in FORKS.glob("*.npz")
    if not path.stem.startswith(TRAINING) and path.stem not in LOST
)
# The fork's own gradient is not the true one: see CaffeNormalize.
UNTRUE = ("normalize_across_perchannel", "normalize_eps", "normalize_ssd")


def golden(case):
    with np.load(FORKS / f"{case}.npz") as arrays:
        return dict(arrays)


def under(arrays, prefix):
    return {
        key.removeprefix(prefix): value
        for key, value in arrays.items()
        if key.startswith(prefix) and "_split_" not in key
    }


def python_config(arrays):
    names = {
        "pre_nms_topn": "RPN_PRE_NMS_TOP_N",
        "post_nms_topn": "RPN_POST_NMS_TOP_N",
        "nms_thresh": "RPN_NMS_THRESH",
        "min_size": "RPN_MIN_SIZE",
    }
    given = under(arrays, "cfg/")
    return {names[key]: value.item() for key, value in given.items()}


def imported(case):
    weights = FORKS / f"{case}.caffemodel"
    return from_caffe(
        FORKS / f"{case}.prototxt",
        weights if weights.exists() else None,
        python_config=python_config(golden(case)),
    )


def data_of(model, blobs):
    return [nhwc(blobs[x.name]) for x in model.inputs]


def blob_of(tensor, array):
    """Return a model's output as Caffe's blob."""
    rule = rule_for(tensor._keras_history.operation)
    return rule.blob(tensor._keras_history.operation, np.asarray(array))


@pytest.mark.parametrize("case", CASES)
def test_every_blob_equals_the_forks(case):
    tolerance = 5e-5 if case.startswith("net_") else 2e-5
    blobs, model = under(golden(case), "blob/"), imported(case)
    tensors = {name: blob_tensor(model, name) for name in blobs}
    read = keras.Model(model.inputs, tensors)
    found = read(data_of(model, blobs), training=False)
    for name, tensor in tensors.items():
        value = blob_of(tensor, keras.ops.convert_to_numpy(found[name]))
        assert relative_error(value, blobs[name]) <= tolerance, name


@pytest.mark.parametrize(
    "case", [c for c in CASES if under(golden(c), "top_diff/") and c not in UNTRUE]
)
def test_every_gradient_equals_the_forks(case):
    arrays, model = golden(case), imported(case)
    blobs, wanted = under(arrays, "blob/"), under(arrays, "diff/")
    top_diffs = under(arrays, "top_diff/")
    top_diff = np.concatenate([nhwc(x).ravel() for x in top_diffs.values()])
    data = {x.name: nhwc(blobs[x.name]) for x in model.inputs}
    asked = [name for name in data if name in wanted]
    assert asked
    tops = [blob_tensor(model, name) for name in top_diffs]
    for one in asked:
        given = {k: x for k, x in data.items() if k != one}
        at_input, at_weights = gradients(
            Only(model, one, given, tops), data[one], top_diff
        )
        assert relative_error(nchw(at_input), wanted[one]) <= 1e-4, one
    for layer in layers_with_weights(model):
        count = len(layer.trainable_weights)
        arrays_, at_weights = at_weights[:count], at_weights[count:]
        if not count:
            continue
        for i, found in enumerate(codec_of(layer).encode(layer, arrays_)):
            want = arrays[f"param_diff/{layer.name}/{i}"]
            assert relative_error(found, want) <= 1e-4, (layer.name, i)


class Only(keras.layers.Layer):
    """A model as a function of one of its inputs; its tops end to end."""

    def __init__(self, model, name, given, tops):
        super().__init__()
        self.inner = keras.Model(model.inputs, tops)
        self.one = name
        self.given = {k: keras.ops.convert_to_tensor(x) for k, x in given.items()}
        self.names = [x.name for x in model.inputs]
        self.built = True

    def call(self, x):
        values = [x if n == self.one else self.given[n] for n in self.names]
        tops = self.inner(values if len(values) > 1 else values[0])
        return keras.ops.concatenate([keras.ops.reshape(y, (-1,)) for y in tops])
