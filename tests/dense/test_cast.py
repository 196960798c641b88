"""Classifiers of many kinds, cast to fully convolutional."""

import keras
import numpy as np
import pytest
from keras import layers
from support import GOLDENS, golden, nchw, nhwc, pattern, relative_error

from keras_caffe_zoo import demo
from keras_caffe_zoo.conversion import from_caffe
from keras_caffe_zoo.dense import to_fully_convolutional
from keras_caffe_zoo.features import feature_extractor
from keras_caffe_zoo.layers import (
    CaffeBatchNorm,
    CaffeFlatten,
    CaffePool2D,
    CaffeScale,
)


def sequential(*head):
    return keras.Sequential(
        [
            layers.Input((20, 24, 3)),
            layers.Conv2D(5, 3, activation="relu"),
            layers.MaxPooling2D(2),
            *head,
        ]
    )


HEADS = {
    "flatten": lambda: [layers.Flatten(), layers.Dense(7), layers.Dense(4)],
    "caffe's order": lambda: [
        layers.Permute((3, 1, 2)),
        layers.Flatten(),
        layers.Dense(4),
    ],
    "reshape": lambda: [layers.Reshape((-1,)), layers.Dense(4)],
    "dropout and norm": lambda: [
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(6, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(4, activation="softmax"),
    ],
    "global average": lambda: [
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
        layers.Softmax(),
    ],
    "global maximum": lambda: [layers.GlobalMaxPooling2D(), layers.Dense(4)],
    "caffe's global pooling": lambda: [
        CaffePool2D("ave", global_pooling=True, data_format="channels_last"),
        CaffeBatchNorm(),
        CaffeScale(use_bias=True),
        CaffeFlatten(),
        CaffeScale(),
        layers.Dense(4),
    ],
    "dense on pixels": lambda: [layers.Dense(4), layers.Flatten(), layers.Dense(2)],
}


@pytest.mark.parametrize("head", HEADS)
def test_answer_at_the_training_size_is_the_same(head):
    keras.utils.set_random_seed(0)
    model = sequential(*HEADS[head]())
    rng = np.random.default_rng(0)
    model.set_weights([abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    cast = to_fully_convolutional(model)
    x = rng.normal(size=(2, 20, 24, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    found = cast.predict(x, verbose=0)
    assert found.shape == (2, 1, 1, expected.shape[1])
    assert relative_error(found[:, 0, 0], expected) <= 1e-5


@pytest.mark.parametrize("head", HEADS)
def test_map_of_a_padless_net_is_the_classifier_slid_over_the_image(head):
    """With a stride of 2 pixels, the first pooling's."""
    keras.utils.set_random_seed(1)
    model = sequential(*HEADS[head]())
    image = np.random.default_rng(1).normal(size=(30, 32, 3)).astype("float32")
    found = to_fully_convolutional(model).predict(image[None], verbose=0)[0]
    boxes = [
        image[2 * r : 2 * r + 20, 2 * c : 2 * c + 24]
        for r, c in np.ndindex(*found.shape[:2])
    ]
    assert found.shape[:2] == (6, 5)
    expected = model.predict(np.stack(boxes), verbose=0).reshape(found.shape)
    assert relative_error(found, expected) <= 1e-5


@pytest.mark.parametrize("name", ["net_caffenet_eighth", "net_vgg_cnn_s_eighth"])
def test_imported_net_becomes_caffes_twin(name):
    model = from_caffe(GOLDENS / f"{name}.prototxt", GOLDENS / f"{name}.caffemodel")
    cast = to_fully_convolutional(model)
    blobs = golden(f"{name}_full_conv")
    *shape, seed, scale = blobs["pattern/data"]
    x = nhwc(pattern([int(n) for n in shape], int(seed), scale))
    layer = cast.get_layer("fc8-conv")
    read = keras.Model(cast.inputs, layer.output)
    assert (
        relative_error(nchw(read.predict(x, verbose=0)), blobs["blob/fc8-conv"]) <= 1e-5
    )


@pytest.mark.slow
def test_keras_own_vgg16_is_cast():
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(
        weights=None, input_shape=(64, 64, 3), classes=5, include_top=True
    )
    cast = to_fully_convolutional(model)
    assert cast.get_layer("fc1-conv").kernel_size == (2, 2)
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    assert relative_error(cast.predict(x, verbose=0)[:, 0, 0], expected) <= 1e-5
    assert cast.predict(np.zeros((1, 96, 128, 3)), verbose=0).shape == (1, 2, 3, 5)


def test_model_inside_a_model_is_cast():
    keras.utils.set_random_seed(0)
    base = keras.Sequential([layers.Input((16, 16, 3)), layers.Conv2D(4, 3)])
    model = keras.Sequential([base, layers.Flatten(), layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    cast = to_fully_convolutional(model)
    assert relative_error(cast.predict(x, verbose=0)[:, 0, 0], expected) <= 1e-5


def test_weights_are_copies():
    model = demo.load()
    cast = to_fully_convolutional(model)
    before = keras.ops.convert_to_numpy(cast.get_layer("conv1").kernel)
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel * 0)
    np.testing.assert_array_equal(before, cast.get_layer("conv1").kernel)


@pytest.mark.parametrize("name", ["fc4", "fc4-conv"])
def test_features_of_a_cast_net_are_maps_after_the_relu(name):
    model = demo.load()
    cast = to_fully_convolutional(model)
    page = np.zeros((1, 64, 96, 1), "float32")
    page[0, 16:48, 32:64] = demo.windows(demo.held_out_digits()[0][:1])[0]
    maps = feature_extractor(cast, name).predict(page, verbose=0)
    assert maps.shape == (1, 5, 9, 64)
    assert maps.min() == 0 < maps.max()
    window = page[:, :32, :32]
    one = feature_extractor(cast, name).predict(window, verbose=0)[:, 0, 0]
    expected = feature_extractor(model, "fc4").predict(window, verbose=0)
    assert relative_error(one, expected) <= 1e-5


def test_flatten_of_caffe_is_understood(tmp_path):
    text = """name: "n"
    input: "data" input_shape { dim: 1 dim: 2 dim: 9 dim: 7 }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            convolution_param { num_output: 3 kernel_size: 3 } }
    layer { name: "f" type: "Flatten" bottom: "c" top: "f" }
    layer { name: "y" type: "InnerProduct" bottom: "f" top: "y"
            inner_product_param { num_output: 4 } }"""
    (tmp_path / "n.prototxt").write_text(text)
    model = from_caffe(tmp_path / "n.prototxt")
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 2)).astype("float32")
    found = to_fully_convolutional(model).predict(x, verbose=0)
    assert relative_error(found[:, 0, 0], model.predict(x, verbose=0)) <= 1e-5


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ([layers.Flatten(), layers.LayerNormalization(name="odd")], "odd"),
        ([layers.Permute((2, 1, 3), name="odd"), layers.Flatten()], "odd"),
        ([layers.Reshape((5, -1), name="odd"), layers.Flatten()], "odd"),
    ],
)
def test_what_cannot_be_cast_is_named(head, name):
    with pytest.raises(ValueError, match=f"Layer '{name}'.* cannot be cast, since"):
        to_fully_convolutional(sequential(*head))


def squeezed(scale):
    """Return a classifier whose maps are weighed by what they hold as a whole."""
    inputs = keras.Input((20, 24, 3))
    x = layers.Conv2D(5, 3)(inputs)
    pool = CaffePool2D("ave", global_pooling=True, data_format="channels_last")
    factor = layers.Dense(5)(layers.Flatten()(pool(x)))
    x = layers.GlobalAveragePooling2D()(scale([x, factor]))
    return keras.Model(inputs, layers.Dense(2)(x))


def test_maps_weighed_by_their_averages_cannot_be_cast():
    model = squeezed(CaffeScale(axis=0, name="excited"))
    with pytest.raises(ValueError, match="Layer 'excited'.* looks at the whole map"):
        to_fully_convolutional(model)


def test_models_of_other_inputs_are_refused():
    with pytest.raises(ValueError, match="Expected a model of one image"):
        to_fully_convolutional(keras.Sequential([layers.Input((5,)), layers.Dense(2)]))
