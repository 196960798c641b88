"""Models answer to Caffe's names, are exported at once, and open where we are known."""

import subprocess
import sys

import keras
import numpy as np
import onnxruntime
import pytest

import keras_caffe_zoo as kcz
from keras_caffe_zoo import layers
from keras_caffe_zoo.conversion.model import CaffeModel, ZooModel, call_once

PROTOTXT = """
name: "small"
input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer { name: "a/conv" type: "Convolution" bottom: "data" top: "a/conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "a/relu" type: "ReLU" bottom: "a/conv" top: "a/conv" }
layer { name: "a/pool" type: "Pooling" bottom: "a/conv" top: "a/pool"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "b/fc" type: "InnerProduct" bottom: "a/pool" top: "b/fc"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "b/fc" top: "prob" }
"""


@pytest.fixture
def imported(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(PROTOTXT)
    return kcz.from_caffe(path)


def caffe_pool(name):
    return layers.CaffePool2D("max", kernel_size=2, strides=2, name=name)


def of_layers(kind=ZooModel, pooling=caffe_pool):
    """Return a net as a builder makes one, with a pooling of Caffe's or of Keras'."""
    x = keras.Input((8, 8, 3), name="data")
    y = keras.layers.Conv2D(4, 3, activation="relu", name="a>conv")(x)
    y = pooling(name="a>pool")(y)
    y = keras.layers.Flatten(name="flat")(y)
    return kind(x, keras.layers.Dense(5, "softmax", name="b>fc")(y), name="small")


DERIVED = {
    "itself": lambda model: model,
    "features": lambda model: kcz.feature_extractor(model, "a/pool"),
    "several features": lambda model: kcz.feature_extractor(model, ["a/pool", "b/fc"]),
    "fully convolutional": kcz.to_fully_convolutional,
    "folded": kcz.fold,
    "tuned": lambda model: kcz.finetune(model, 3),
}


@pytest.mark.parametrize("make", DERIVED.values(), ids=DERIVED)
@pytest.mark.parametrize("start", ["imported", "a builder's"])
def test_what_is_made_of_a_model_of_caffes_answers_to_its_names(start, make, imported):
    model = imported if start == "imported" else of_layers()
    found = make(model)
    assert found.get_layer("a/conv").name == "a>conv"
    assert found.get_layer("a>conv") is found.get_layer("a/conv")
    config = found.get_config()
    assert type(found).from_config(config).get_layer("a/conv").name == "a>conv"


@pytest.mark.parametrize("make", list(DERIVED.values())[1:], ids=list(DERIVED)[1:])
@pytest.mark.parametrize("pooling", [keras.layers.MaxPool2D, caffe_pool])
def test_what_is_made_of_ones_own_model_is_exported_at_once(pooling, make):
    found = make(of_layers(keras.Model, pooling))
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "export", lambda self, *_, **__: asked.append(self))
        found.export("net.onnx", format="onnx")
    assert asked == [found] and found._called  # which Keras' exporters ask for


def test_what_is_made_of_keras_own_layers_needs_nothing_of_ours():
    model = of_layers(keras.Model, keras.layers.MaxPool2D)
    for name in ("features", "several features", "fully convolutional", "tuned"):
        assert not isinstance(DERIVED[name](model), ZooModel), name


@pytest.mark.parametrize("name", ["a/cnov", "a>cnov"])
def test_a_name_that_is_none_is_answered_with_caffes_names(name):
    model = of_layers()
    calls = [
        lambda: model.get_layer(name),
        lambda: kcz.feature_extractor(model, name),
        lambda: kcz.set_caffe_params(model, {name: []}),
        lambda: kcz.plots.show_filters(model, name),
        lambda: kcz.finetune(model, 3, freeze_until=name),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="Did you mean 'a/conv'") as caught:
            call()
        assert "a>conv" not in str(caught.value)


def test_get_layer_is_keras_own_in_everything_else():
    model = of_layers()
    assert model.get_layer(index=1) is model.layers[1]
    with pytest.raises(ValueError, match="Provide only a layer name or"):
        model.get_layer("a/conv", 1)
    with pytest.raises(ValueError, match="Provide either a layer name or"):
        model.get_layer()
    with pytest.raises(ValueError, match="at index 9"):
        model.get_layer(index=9)
    with pytest.raises(ValueError, match="No such layer: 9"):
        model.get_layer(9)


def test_either_name_of_a_layer_is_taken():
    model = of_layers()
    arrays = kcz.caffe_params(model)["a/conv"]
    new = [array + 1 for array in arrays]
    for name in ("a/conv", "a>conv"):
        kcz.set_caffe_params(model, {name: arrays})
        kcz.set_caffe_params(model, {name: new})
        np.testing.assert_array_equal(kcz.caffe_params(model)["a/conv"][0], new[0])
        assert kcz.feature_extractor(model, name).output_shape == (None, 6, 6, 4)
        assert "4 filters" in kcz.plots.show_filters(model, name).axes[0].get_title()
        tuned = kcz.finetune(model, 3, freeze_until=name)
        assert not tuned.get_layer("a/conv").trainable


@pytest.mark.parametrize("name", ["b/fc/kernel", "b>fc/kernel", "fc/kernel"])
def test_multipliers_take_either_name(name):
    model = of_layers()
    optimizer = kcz.training.CaffeSGD(0.1, multipliers={name: (0, 0)})
    variables = model.trainable_variables
    if name == "fc/kernel":  # the end of a layer's name is none
        with pytest.raises(ValueError, match="none of them"):
            optimizer.build(variables)
        return
    before = list(map(keras.ops.convert_to_numpy, variables))
    optimizer.apply([keras.ops.ones_like(v) for v in variables], variables)
    pairs = zip(variables, before, strict=True)
    still = [v.path for v, x in pairs if np.array_equal(v.numpy(), x)]
    assert still == [model.get_layer("b/fc").kernel.path]


def test_layers_that_enlarge_maps_are_found_by_either_name():
    x = keras.Input((2, 2, 1))
    y = keras.layers.Conv2DTranspose(1, 4, strides=2, name="a>up")(x)
    model = keras.Model(x, y)
    for names in (None, ["a/up"], ["a>up"]):
        assert kcz.training.interpolate_upsampling(model, names) == ["a/up"]


@pytest.mark.filterwarnings("ignore:In the future `np.object`")  # of Keras for tf2onnx
def test_a_model_that_was_never_called_becomes_an_onnx_file(tmp_path):
    pytest.importorskip("tf2onnx", reason="Keras on TensorFlow writes ONNX with it")
    of_layers().save(tmp_path / "net.keras")
    model = keras.saving.load_model(tmp_path / "net.keras")
    model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)


def test_models_of_several_inputs_are_called_as_they_were_made():
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    z = keras.layers.Add()([x, y])
    for inputs in (x, [x, y], (x, y), {"x": x, "y": y}):
        model = ZooModel(inputs, keras.layers.ReLU()(x) if inputs is x else z)
        assert call_once(model) is model and model._called


def test_a_model_inside_another_is_saved_and_exported(tmp_path):
    inner = call_once(of_layers())
    x = keras.Input((8, 8, 3))
    model = ZooModel(x, keras.layers.Dense(2)(inner(x)))
    model.save(tmp_path / "net.keras")
    again = call_once(keras.saving.load_model(tmp_path / "net.keras"))
    image = np.ones((1, 8, 8, 3), "float32")
    np.testing.assert_array_equal(again(image), model(image))


@pytest.fixture
def unregistered(monkeypatch):
    """Let Keras know none of our classes, as where nobody imported us."""
    known = keras.saving.get_custom_objects()
    for name in [name for name in known if name.startswith("keras_caffe_zoo>")]:
        monkeypatch.delitem(known, name)


@pytest.mark.parametrize("make", DERIVED.values(), ids=DERIVED)
def test_where_nobody_imported_us_keras_error_says_what_to_do(make, request, tmp_path):
    make(of_layers()).save(tmp_path / "net.keras")
    request.getfixturevalue("unregistered")
    with pytest.raises(TypeError) as caught:
        keras.saving.load_model(tmp_path / "net.keras")
    said = str(caught.value)
    _, _, config = said.partition("Full object config:")
    assert "import keras_caffe_zoo before keras.saving.load_model" in config[:200]
    assert "import keras_caffe_zoo before" in said[-4000:]


def test_a_model_saved_by_an_earlier_version_opens(tmp_path):
    config = of_layers(CaffeModel).get_config()
    del config["needs"]
    assert CaffeModel.from_config(config).get_layer("a/conv").name == "a>conv"


OPENED = """
import sys, keras
try:
    keras.saving.load_model(sys.argv[1])
except TypeError as error:
    print(str(error)[-120:])
import keras_caffe_zoo
print(keras.saving.load_model(sys.argv[1]).get_layer("a/conv").name)
"""


@pytest.mark.slow  # imports Keras once more
def test_in_another_process_it_opens_once_we_are_imported(tmp_path):
    of_layers().save(tmp_path / "net.keras")
    command = [sys.executable, "-c", OPENED, tmp_path / "net.keras"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    first, last = said.splitlines()
    assert "import keras_caffe_zoo before" in first and last == "a>conv"


@pytest.mark.slow  # TensorFlow and OpenVINO trace each model
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("form", ["tf_saved_model", "onnx", "openvino", "litert"])
@pytest.mark.parametrize("name", ["squeezenet_v1_1", "mtcnn_p"])
def test_builders_models_are_exported_at_once(name, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("tf2onnx", reason="Keras on TensorFlow writes ONNX with it")
    model = getattr(kcz, name)(weights=None)
    end = {"tf_saved_model": "", "openvino": ".xml", "litert": ".tflite"}
    path = tmp_path / f"net{end.get(form, '.onnx')}"
    model.export(path, format=form, verbose=False)
    assert path.exists()
