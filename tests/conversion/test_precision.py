"""Nets in bfloat16: what takes it, what stays float32, how far answers are off."""

import keras
import numpy as np
import pytest
from support import GOLDENS, nchw, relative_error
from test_fork_goldens import data_of, under
from test_fork_goldens import golden as fork_golden
from test_fork_goldens import imported as fork_imported

import keras_caffe_zoo as kcz
from keras_caffe_zoo import demo, layers
from keras_caffe_zoo.conversion import precision
from keras_caffe_zoo.conversion.precision import in_precision

BFLOAT16 = "mixed_bfloat16"
ROUNDING = 2**-8  # of bfloat16, with its 8 digits


@pytest.fixture(autouse=True)
def any_processor(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)


def golden_net(case, **options):
    files = (GOLDENS / f"{case}.{end}" for end in ("prototxt", "caffemodel"))
    return kcz.from_caffe(*files, **options)


def computed_in(model):
    return {layer.name: layer.compute_dtype for layer in model.layers}


def answers(model, x):
    found = keras.tree.flatten(model(x, training=False))
    assert {keras.backend.standardize_dtype(y.dtype) for y in found} == {"float32"}
    return [keras.ops.convert_to_numpy(y) for y in found]


@pytest.mark.parametrize("case", ["net_googlenet_mini", "net_fcn_mini"])
def test_nets_are_right_to_a_few_roundings(case):
    whole, low = golden_net(case), golden_net(case, dtype=BFLOAT16)
    shape = [2, *(size or 40 for size in whole.inputs[0].shape[1:])]
    x = np.random.default_rng(0).normal(0, 60, shape).astype("float32")
    for ours, theirs in zip(answers(low, x), answers(whole, x), strict=True):
        assert 1e-6 < relative_error(ours, theirs) <= 16 * ROUNDING


def test_the_demos_net_reads_the_same_digits():
    images, labels = demo.held_out_digits()
    x = demo.windows(images[:100])
    whole = demo.load()
    low = in_precision(whole, BFLOAT16)
    (ours,), (theirs,) = answers(low, x), answers(whole, x)
    assert relative_error(ours, theirs) <= ROUNDING
    assert (ours.reshape(100, -1).argmax(1) == labels[:100]).all()


def test_what_takes_bfloat16_and_what_does_not():
    inputs = keras.Input((8, 8, 4), name="data")
    last = {"data_format": "channels_last"}
    x = layers.CaffeScale(name="first")(inputs)
    x = layers.CaffeConv2D(4, 3, name="conv", **last)(x)
    x = layers.CaffeBatchNorm(name="bn")(x)
    x = layers.CaffeScale(name="scale")(x)
    x = layers.CaffeLRN(name="lrn", **last)(keras.layers.ReLU(name="relu")(x))
    y = layers.CaffePool2D("max", 2, name="max", **last)(x)
    z = layers.CaffePool2D("ave", 2, name="ave", **last)(x)
    both = keras.layers.Concatenate(name="concat")([y, z])
    y = keras.layers.Dense(5, activation="softmax", name="softmax")(both)
    y = keras.layers.Dense(5, name="dense")(y)
    y = keras.layers.UnitNormalization(name="unknown")(y)
    y = layers.CaffeConv2D(3, 1, name="last", **last)(y)
    model = keras.Model(inputs, y)
    low = in_precision(model, BFLOAT16)
    found = computed_in(low)
    reduced = {name for name, dtype in found.items() if dtype == "bfloat16"}
    assert reduced == {"conv", "bn", "scale", "relu", "lrn", "max", "dense"}
    assert {w.dtype for w in low.weights} == {"float32"}
    assert low.get_layer("concat").output.dtype == "float32"


def test_a_layer_called_twice_and_operations():
    inputs = keras.Input((8,))
    relu, dense = keras.layers.ReLU(name="relu"), keras.layers.Dense(8, name="dense")
    x = keras.layers.Dense(8, name="before")(inputs)
    y = keras.ops.exp(relu(dense(relu(dense(x)))))
    model = keras.Model(inputs, keras.layers.Dense(2, name="last")(y))
    low = in_precision(model, BFLOAT16)
    found = computed_in(low)
    assert found["before"] == found["dense"] == "bfloat16"
    assert found["relu"] == "float32"
    x = np.random.default_rng(0).normal(size=(2, 8)).astype("float32")
    (ours,), (theirs,) = answers(low, x), answers(model, x)
    assert relative_error(ours, theirs) <= 8 * ROUNDING


def test_statistics_are_taken_in_float32():
    """With a mean of 100 and a variance of 1, bfloat16 has no digits left."""
    rng = np.random.default_rng(0)
    x = (100 + rng.normal(size=(2, 4, 4, 3))).astype("float32")
    x = np.round(x * 2) / 2  # what bfloat16 has of such numbers
    arrays = [np.full(3, 100), np.ones(3), np.ones(1)]
    outputs = []
    for dtype in ("float32", BFLOAT16):
        layer = layers.CaffeBatchNorm(dtype=dtype)
        layer.build(x.shape)
        layer.set_weights(arrays)
        outputs.append(keras.ops.cast(layer(x), "float32"))
    found, expected = map(keras.ops.convert_to_numpy, outputs[::-1])
    assert relative_error(found, expected) <= ROUNDING


@pytest.mark.parametrize("case", ["net_ssd_mini", "net_faster_rcnn_mini"])
def test_boxes_keep_their_places(case):
    model = fork_imported(case)
    low = in_precision(model, BFLOAT16)
    found = computed_in(low)
    exact = ("Prior", "Detection", "Proposal", "ROI", "Softmax", "Normalize")
    for layer in low.layers:
        if any(word in type(layer).__name__ for word in exact):
            assert found[layer.name] == "float32", layer.name
    blobs = under(fork_golden(case), "blob/")
    x = data_of(low, blobs)
    x = x[0] if len(x) == 1 else x
    answers(low, x)
    if case == "net_ssd_mini":
        read = keras.Model(low.input, low.get_layer("mbox_priorbox").output)
        priors = read(x)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(priors),
            blobs["mbox_priorbox"],
            rtol=1e-6,
            atol=1e-7,
        )


def test_blobs_keep_their_names_and_features_are_float32():
    low = golden_net("net_resnet_mini", dtype=BFLOAT16)
    whole = golden_net("net_resnet_mini")
    assert low.caffe_blobs == whole.caffe_blobs
    x = np.random.default_rng(0).normal(0, 60, (2, *low.inputs[0].shape[1:]))
    pair = [kcz.feature_extractor(m, ["conv1", "res2a"]) for m in (low, whole)]
    for ours, theirs in zip(*(answers(m, x) for m in pair), strict=True):
        assert relative_error(ours, theirs) <= 8 * ROUNDING


def test_it_is_folded_saved_and_written(tmp_path):
    low = golden_net("net_resnet_mini", dtype=BFLOAT16)
    twin = kcz.fold(low)
    assert len(twin.layers) <= len(low.layers) / 2
    twin.save(tmp_path / "twin.keras")
    loaded = keras.models.load_model(tmp_path / "twin.keras")
    assert computed_in(loaded) == computed_in(twin)
    assert set(computed_in(twin).values()) == {"float32", "bfloat16"}
    files = tmp_path / "low.prototxt", tmp_path / "low.caffemodel"
    kcz.to_caffe(low, *files)
    for ours, theirs in zip(
        kcz.from_caffe(*files).get_weights(), low.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_shared_weights_stay_shared():
    low = golden_net("shared_params", dtype=BFLOAT16)
    assert low.shared_params
    assert len({id(w) for w in low.weights}) == len(golden_net("shared_params").weights)


def test_builders_take_it(tmp_path):
    path = tmp_path / "n.weights.h5"
    whole = kcz.squeezenet_v1_1(weights=None)
    whole.save_weights(path)
    low = kcz.squeezenet_v1_1(weights=path, dtype=BFLOAT16)
    assert type(low) is type(whole)
    assert computed_in(low)["conv1"] == "bfloat16"
    for ours, theirs in zip(low.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert keras.config.dtype_policy().name == "float32"


def test_onnx_files_are_float32(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    low, whole = (golden_net("net_resnet_mini", dtype=d) for d in (BFLOAT16, None))
    kcz.convert(low, tmp_path / "low.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "low.onnx")
    x = np.random.default_rng(0).normal(0, 60, (2, *low.inputs[0].shape[1:]))
    x = x.astype("float32")
    (found,) = session.run(None, {"data": nchw(x)})
    assert relative_error(found, answers(whole, x)[0]) <= 1e-5


def test_float32_is_as_it_is():
    model = golden_net("net_fcn_mini")
    assert in_precision(model, "float32") is model
    assert in_precision(model, None) is model
    back = in_precision(in_precision(model, BFLOAT16), "float32")
    assert set(computed_in(back).values()) == {"float32"}


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "int8", "bfloat16", 16])
def test_other_precisions_are_refused(dtype):
    for build in (kcz.caffenet, golden_net):
        with pytest.raises(ValueError, match="'float32', 'mixed_bfloat16'; received"):
            build("net_fcn_mini" if build is golden_net else False, dtype=dtype)


def test_an_input_tensor_of_ones_own_is_refused():
    with pytest.raises(ValueError, match="no `input_tensor` together with `dtype`"):
        kcz.nin(weights=None, input_tensor=keras.Input((224, 224, 3)), dtype=BFLOAT16)


CPU_INFO = {
    "flags : fpu avx512f avx512_bf16": True,
    "flags\t\t: fpu amx_bf16 amx_tile": True,
    "Features : fp asimd bf16": True,
    "flags : fpu avx2 avx512f": False,
    "nothing of the kind": True,
}


@pytest.mark.parametrize("text", CPU_INFO)
def test_a_processor_without_bfloat16_is_warned_of(text, tmp_path, monkeypatch):
    monkeypatch.undo()
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\n{text}\nmodel : 7\n")
    monkeypatch.setattr(precision, "_CPU_INFO", path)
    monkeypatch.setattr(precision, "_has_accelerator", lambda: False)
    precision.has_bfloat16.cache_clear()
    try:
        assert precision.has_bfloat16() is CPU_INFO[text]
        if not CPU_INFO[text]:
            with pytest.warns(UserWarning, match="no instructions for bfloat16"):
                golden_net("net_fcn_mini", dtype=BFLOAT16)
    finally:
        precision.has_bfloat16.cache_clear()


def test_where_nothing_tells_nothing_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(precision, "_CPU_INFO", tmp_path / "none")
    precision.has_bfloat16.cache_clear()
    assert precision.has_bfloat16()
    precision.has_bfloat16.cache_clear()
