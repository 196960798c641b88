"""Other engines in Keras' place: Keras' numbers, or an error that says why not."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from support import GOLDENS, golden, nhwc, pattern, relative_error

from keras_caffe_zoo import feature_extractor, from_caffe, to_onnx
from keras_caffe_zoo.detection_rows import with_spare_rows
from keras_caffe_zoo.layers import CaffeConv2D, CaffePool2D
from keras_caffe_zoo.onnx import file
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.rules.rule import Rule
from keras_caffe_zoo.runtimes import RUNTIMES, Runner, check_runtime, kept_runner

OTHERS = RUNTIMES[1:]
NETS = {
    "net_caffenet_eighth": "fc8",
    "net_vgg_cnn_s_eighth": "fc8",
    "net_googlenet_mini": "classifier",
}


@pytest.fixture(params=OTHERS)
def runtime(request):
    return request.param


@pytest.fixture(scope="module")
def tensors():
    """An input of any size, and what two convolutions and a pooling make of it."""
    keras.utils.set_random_seed(0)
    options = {"data_format": "channels_last"}
    x = keras.Input((None, None, 3), name="image")
    y = CaffeConv2D(4, 3, pad=1, activation="relu", name="conv1", **options)(x)
    pooled = CaffePool2D("max", 3, 2, name="pool1", **options)(y)
    return x, y, CaffeConv2D(5, 1, name="conv2", **options)(pooled)


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_like_keras(model, runner, inputs):
    found, wanted = runner(inputs), model.predict_on_batch(inputs)
    keras.tree.assert_same_structure(found, wanted)
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(wanted), strict=True)
    for one, other in pairs:
        assert one.shape == other.shape
        assert relative_error(one, other) <= 1e-5


@pytest.mark.parametrize(("case", "blob"), NETS.items())
def test_caffes_nets_give_caffes_numbers_for_any_number_of_items(runtime, case, blob):
    model = from_caffe(GOLDENS / f"{case}.prototxt", GOLDENS / f"{case}.caffemodel")
    runner = Runner(feature_extractor(model, blob), runtime)
    blobs = golden(case)
    *shape, seed, scale = blobs.get("pattern/data", [0, 0])
    made = pattern([int(size) for size in shape], int(seed), scale)
    data = nhwc(blobs.get("blob/data", made))
    for items in ([0], [*range(len(data))], [0] * 3):
        assert relative_error(runner(data[items]), blobs[f"blob/{blob}"][items]) <= 1e-5


def test_images_may_have_any_size(runtime, tensors):
    x, _, z = tensors
    model = keras.Model(x, z)
    runner = Runner(model, runtime)
    for shape in ((1, 9, 11, 3), (2, 30, 8, 3), (1, 9, 11, 3)):
        assert_like_keras(model, runner, images(*shape))


@pytest.mark.parametrize("streaming", [False, True])
def test_outputs_have_the_models_structure(runtime, tensors, streaming):
    x, y, z = tensors
    for outputs in ([z, y, y], {"b": y, "a": z}, [x, z]):
        model = keras.Model(x, outputs)
        runner = Runner(model, runtime, streaming=streaming, threads=1)
        assert_like_keras(model, runner, images(2, 12, 12, 3))


def test_several_inputs_are_a_list(runtime):
    a, b = keras.Input((5, 5, 2)), keras.Input((5, 5, 2))
    model = keras.Model([a, b], keras.layers.Add()([a, b]))
    runner = Runner(model, runtime)
    assert_like_keras(model, runner, [images(2, 5, 5, 2), 3 * images(2, 5, 5, 2)])
    with pytest.raises(ValueError, match="Expected 2 inputs; received: 1"):
        runner(images(2, 5, 5, 2))


def test_maps_are_averaged(runtime, tensors):
    x, y, z = tensors
    found = Runner(keras.Model(x, [y, z]), runtime, pool=True)(images(2, 9, 9, 3))
    wanted = keras.Model(x, [y, z]).predict_on_batch(images(2, 9, 9, 3))
    for one, maps in zip(found, wanted, strict=True):
        assert relative_error(one, maps.mean((1, 2))) <= 1e-5


def test_a_net_too_large_for_one_file_is_in_two(runtime, tensors, monkeypatch):
    monkeypatch.setattr(file, "MAX_INSIDE", 0)
    model = keras.Model(tensors[0], tensors[2])
    assert_like_keras(model, Runner(model, runtime), images(2, 9, 9, 3))


def test_a_runner_is_kept_while_the_weights_are_the_same(runtime):
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, keras.layers.Conv2D(3, 2)(x))
    first = kept_runner(model, runtime)
    assert kept_runner(model, runtime) is first
    model.set_weights([2 * w + 1 for w in model.get_weights()])
    assert_like_keras(model, kept_runner(model, runtime), images(2, 4, 4, 2))


def test_layers_without_operations_are_all_named(runtime, tensors, monkeypatch):
    for kind in ("Convolution", "Pooling"):
        monkeypatch.setattr(type(rule_of(kind)), "onnx", Rule.onnx)
    model = keras.Model(tensors[0], tensors[2], name="mine")
    with pytest.raises(ValueError) as error:
        Runner(model, runtime)
    for part in (f"runtime='{runtime}'", "'mine'", "Use runtime='keras'"):
        assert part in str(error.value)
    for part in ("conv1 (Convolution)", "pool1 (Pooling)", "conv2 (Convolution)"):
        assert part in str(error.value)


def test_layers_that_caffe_has_not_are_refused(runtime):
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, keras.layers.LayerNormalization(name="norm")(x))
    with pytest.raises(ValueError, match="'norm'.*Use runtime='keras'"):
        Runner(model, runtime)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_precisions_are_refused(runtime, policy):
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, keras.layers.Conv2D(3, 2, name="conv", dtype=policy)(x))
    with pytest.raises(ValueError, match=f"layers of float32.*conv .{policy}"):
        Runner(model, runtime)


@pytest.mark.parametrize("package", ["{}", "onnx"])
def test_a_missing_engine_is_an_error_with_the_command(runtime, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package.format(runtime), None)
    command = f'pip install "keras_caffe_zoo[{runtime}]"'
    with pytest.raises(ImportError, match=command.replace("[", r"\[")):
        check_runtime(runtime)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="'onnxruntime', 'openvino'.*'tvm'"):
        check_runtime("tvm")


def test_detections_have_the_models_room(runtime):
    case = GOLDENS / "forks" / "net_mobilenet_ssd_mini"
    model = from_caffe(f"{case}.prototxt", f"{case}.caffemodel")
    x = images(2, *model.input_shape[1:])
    found, wanted = Runner(model, runtime)(x), model.predict_on_batch(x)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_items_without_detections_have_rows_that_stand_for_none():
    rows = np.arange(21, dtype="float32").reshape(3, 7)
    rows[:, 0] = 1, 1, 3
    none = np.float32([[at, *[-1] * 6] for at in range(4)])
    found = with_spare_rows(np.concatenate([none, rows])[None, None], 4, 3)
    expected = np.repeat(none[:, None], 3, axis=1)
    expected[1, :2], expected[3, 0] = rows[:2], rows[2]
    np.testing.assert_array_equal(found, expected)


SIGNAL = """
import gc, os, signal, sys
from keras_caffe_zoo.runtimes.openvino import OpenVino
first, second = (OpenVino(sys.argv[1], None, 1) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no stack for signals")
def test_a_signal_is_heard_when_nets_of_openvino_are_gone(tmp_path):
    net = GOLDENS / "net_googlenet_mini.prototxt"
    to_onnx(net, net.with_suffix(".caffemodel"), tmp_path / "a.onnx")
    command = [sys.executable, "-c", SIGNAL, str(tmp_path / "a.onnx")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n")
