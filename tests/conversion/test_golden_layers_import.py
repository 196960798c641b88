"""Every golden case through `from_caffe`: each stored blob, each stored gradient."""

import keras
import numpy as np
import pytest
from support import (
    GOLDENS,
    golden,
    golden_names,
    goldens_with_gradients,
    gradients,
    nchw,
    nhwc,
    relative_error,
)

from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.rules import codec_of

OTHER = ("full_", "mean", "preprocess")
CASES = [
    name
    for name in golden_names("")
    if not name.startswith(OTHER) and "eighth" not in name
]
LOOSE = ("net_", "format_", "lstm", "rnn", "ip_after", "batchnorm_scale", "silence")


def imported(case):
    weights = GOLDENS / f"{case}.caffemodel"
    return from_caffe(
        GOLDENS / f"{case}.prototxt", weights if weights.exists() else None
    )


def stored(case):
    """Return Caffe's blobs by name, without those of inserted Splits."""
    return {
        key.removeprefix("blob/"): value
        for key, value in golden(case).items()
        if key.startswith("blob/") and "_split_" not in key
    }


def assert_equals_caffe(model, blobs, tolerance):
    inputs = [nhwc(blobs[x.name]) for x in model.inputs]
    names = [name for name in blobs if name in model.caffe_blobs]
    assert len(names) == len(blobs)
    read = keras.Model(model.inputs, {n: blob_tensor(model, n) for n in names})
    found = read(inputs, training=False)
    for name in names:
        value = nchw(keras.ops.convert_to_numpy(found[name]))
        assert relative_error(value, blobs[name]) <= tolerance, name


@pytest.mark.parametrize("case", CASES)
def test_every_blob_equals_caffe(case):
    tolerance = 1e-5 if case.startswith(LOOSE) else 2e-6
    assert_equals_caffe(imported(case), stored(case), tolerance)


FEW = ["lstm", "rnn", "reduction_sum", "argmax_topk", "spp", "scale_two_bottoms"]


@pytest.mark.parametrize("case", [*FEW, "im2col", "crop", "mvn", "shared_params"])
def test_predict_equals_caffe(case):
    model, blobs = imported(case), stored(case)
    x = [nhwc(blobs[x.name]) for x in model.inputs]
    found = model.predict(x if len(x) > 1 else x[0], verbose=0)
    found = found if isinstance(found, dict) else {"y": found}
    for name, value in found.items():
        assert relative_error(nchw(value), blobs[name]) <= 1e-5


@pytest.mark.parametrize("variant", ["double", "unpacked"])
def test_other_ways_to_write_the_same_weights(variant):
    weights = GOLDENS / f"format_v2_{variant}.caffemodel"
    model = from_caffe(GOLDENS / "format_v2.prototxt", weights)
    assert_equals_caffe(model, stored("format_v2"), 1e-5)


@pytest.mark.parametrize("case", goldens_with_gradients())
def test_every_gradient_equals_caffe(case):
    model, blobs = imported(case), golden(case)
    (x,) = [nhwc(blobs[f"blob/{x.name}"]) for x in model.inputs]
    (top_diff,) = [nhwc(v) for k, v in blobs.items() if k.startswith("top_diff/")]
    at_input, at_weights = gradients(model, x, top_diff)
    expected = blobs[f"diff/{model.inputs[0].name}"]
    assert relative_error(nchw(at_input), expected) <= 1e-5
    assert len(at_weights) == sum(k.startswith("param_diff/") for k in blobs)
    for layer in layers_with_weights(model):
        count = len(layer.trainable_weights)
        arrays, at_weights = at_weights[:count], at_weights[count:]
        for i, found in enumerate(codec_of(layer).encode(layer, arrays)):
            want = blobs[f"param_diff/{layer.name}/{i}"]
            assert relative_error(found, want) <= 1e-5, (layer.name, i)
    assert not at_weights, "of no layer"


def test_a_training_definition_predicts():
    model = from_caffe(GOLDENS / "train_val.prototxt")
    assert [x.name for x in model.inputs] == ["data"]
    assert model.input_shape == (None, 8, 8, 3)
    assert model.output_shape == (None, 5)
    assert model.layers[-1].name == "loss"
    y = model.predict(np.ones((2, 8, 8, 3), "float32"), verbose=0)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
