"""A new head on any net: what is kept, what is new, what learns how fast."""

import keras
import numpy as np
import pytest

from keras_caffe_zoo import caffe_params, caffenet, demo, from_caffe, models
from keras_caffe_zoo.layers import CaffeConv2D
from keras_caffe_zoo.models._classifier import ClassifierDesign
from keras_caffe_zoo.training import CaffeSGD, finetune

RNG = np.random.default_rng(2)
# The layers that must be new, where they are not `fc8`.
HEADS = {
    **dict.fromkeys(
        ["densenet121", "densenet161", "densenet169", "densenet201"], ["fc6"]
    ),
    **dict.fromkeys(
        ["se_bn_inception", "se_resnet50", "se_resnet101", "se_resnet152"]
        + ["se_resnext50", "se_resnext101"],
        ["classifier"],
    ),
    **dict.fromkeys(
        ["googlenet", "googlenet_bn", "places205_googlenet", "places365_googlenet"],
        ["loss3/classifier"],
    ),
    "deeplab_largefov": ["fc8_voc12"],
    "segnet_pascal": ["conv1_1_D"],
    **dict.fromkeys(["pspnet50", "pspnet101", "pspnet101_cityscapes"], ["conv6"]),
    "fcn16s": ["score_fr", "score_pool4", "upscore2", "upscore16"],
    "fcn32s": ["score_fr", "upscore"],
    "fcn8s": ["score_fr", "score_pool3", "score_pool4"]
    + ["upscore2", "upscore8", "upscore_pool4"],
    "fcn_alexnet": ["score_fr", "upscore"],
    "flickr_style": ["fc8_flickr"],
    "mobilenet_v1": ["fc7"],
    "mobilenet_v2": ["fc7"],
    "nin": ["cccp8-1024"],
    "open_nsfw": ["fc_nsfw"],
    "places365_resnet152": ["fc365"],
    "places365_vgg16": ["fc8a"],
    "rcnn_ilsvrc13": ["fc-rcnn"],
    "resnet50": ["fc1000"],
    "resnet101": ["fc1000"],
    "resnet152": ["fc1000"],
    "shufflenet_v2_x05": ["fc"],
    "squeezenet_v1_0": ["conv10"],
    "squeezenet_v1_1": ["conv10"],
}
# One makes classes of features as it enlarges, one tells the best class alone.
WITHOUT_HEAD = {"enet": "conv5_1_2", "segnet": "conv1_1_D"}
# One of each kind of head; the others are as these.
QUICK = ("caffenet", "fcn_alexnet", "nin")


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(ClassifierDesign, "FC_UNITS", 16)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in models.list_models()
        if models.model_info(name).task in ("classification", "segmentation")
        and name not in WITHOUT_HEAD
    ],
)
def test_every_net_of_the_zoo_gets_a_new_head(name):
    model = finetune(name, 7, weights=None)
    assert model.output_shape[-1] == 7
    old = getattr(models, name)(weights=None)
    shapes = {k: [b.shape for b in v] for k, v in caffe_params(old).items()}
    changed = {
        k
        for k, blobs in caffe_params(model).items()
        if [b.shape for b in blobs] != shapes[k]
    }
    assert sorted(changed) == sorted(HEADS.get(name, ["fc8"]))


@pytest.mark.parametrize("name", WITHOUT_HEAD)
def test_a_net_that_does_not_end_with_a_head_is_refused(name):
    with pytest.raises(ValueError, match=f"{WITHOUT_HEAD[name]}' .CaffeConv2D. with"):
        finetune(name, 7, weights=None)


def test_a_net_without_classes_is_refused():
    message = "a net that classifies; .* 'sphereface', of the task 'embedding'"
    with pytest.raises(ValueError, match=message):
        finetune("sphereface", 7, weights=None)


def test_all_but_the_head_is_kept_and_the_model_is_not_changed():
    model = demo.load()
    before = caffe_params(model)
    tuned = finetune(model, 3)
    after = caffe_params(tuned)
    assert after["fc5"][0].shape == (3, 64)
    for name in before:
        for a, b in zip(before[name], caffe_params(model)[name], strict=True):
            np.testing.assert_array_equal(a, b)
        if name != "fc5":
            for a, b in zip(before[name], after[name], strict=True):
                np.testing.assert_array_equal(a, b)
    assert not after["fc5"][1].any()
    assert 0.005 < after["fc5"][0].std() < 0.02
    assert tuned.caffe_blobs == model.caffe_blobs


def test_multipliers_are_those_of_flickr_style():
    tuned = finetune("caffenet", 20, weights=None, head_lr_mult=5)
    optimizer = tuned.optimizer
    assert isinstance(optimizer, CaffeSGD)
    rules = optimizer.multipliers
    assert rules["fc8/kernel"] == (5, 1) and rules["fc8/bias"] == (10, 0)
    assert rules["conv1/bias"] == (2, 0) and "conv1/kernel" not in rules
    assert optimizer.weight_decay == 0.0005 and optimizer.momentum == 0.9
    assert float(optimizer.learning_rate) == pytest.approx(0.001)


def test_freezing_reaches_everything_before():
    tuned = finetune("googlenet", 4, weights=None, freeze_until="inception_4a/output")
    frozen = {layer.name for layer in tuned.layers if not layer.trainable}
    assert {"conv1>7x7_s2", "inception_3b>5x5", "inception_4a>1x1"} <= frozen
    assert not any(name.startswith(("inception_4b", "loss3")) for name in frozen)
    paths = {v.path for v in tuned.trainable_variables}
    assert set(tuned.optimizer.multipliers) <= paths


def test_what_is_frozen_stays_and_the_rest_learns():
    model = demo.load()
    tuned = finetune(model, 2, freeze_until="pool2")
    images, labels = demo.held_out_digits()
    tuned.fit(demo.windows(images[:64]), labels[:64] % 2, verbose=0)
    before, after = caffe_params(model), caffe_params(tuned)
    for name in ("conv1", "conv2"):
        np.testing.assert_array_equal(before[name][0], after[name][0])
    for name in ("conv3", "fc4"):
        assert np.abs(before[name][0] - after[name][0]).max() > 0


def test_it_learns():
    tuned = finetune(demo.load(), 2, freeze_until="pool2", learning_rate=3e-4)
    images, labels = demo.held_out_digits()
    x, y = demo.windows(images), labels % 2
    tuned.fit(x[:200], y[:200], batch_size=20, epochs=4, verbose=0)
    assert tuned.evaluate(x[200:], y[200:], verbose=0)[1] > 0.9


@pytest.mark.slow
def test_the_outcome_is_a_model_like_any_other(tmp_path):
    tuned = finetune(demo.load(), 2)
    images, labels = demo.held_out_digits()
    x, y = demo.windows(images[:32]), labels[:32] % 2
    board = keras.callbacks.TensorBoard(tmp_path / "logs")
    stop = keras.callbacks.EarlyStopping("loss", patience=9)
    tuned.fit(x, y, epochs=2, callbacks=[board, stop], verbose=0)
    tuned.save(tmp_path / "m.keras")
    twin = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        twin.predict(x, verbose=0), tuned.predict(x, verbose=0)
    )
    assert twin.optimizer.multipliers == tuned.optimizer.multipliers
    assert twin.train_on_batch(x, y) == tuned.train_on_batch(x, y)


@pytest.mark.slow
def test_maps_learn_from_maps_of_labels():
    tuned = finetune("caffenet", 3, weights=None, fully_convolutional=True)
    assert tuned.output_shape == (None, None, None, 3)
    x = RNG.standard_normal((1, 259, 227, 3)).astype("float32")
    tuned.train_on_batch(x, np.array([[[1], [2]]]))


def test_a_deconvolution_of_scores_keeps_its_interpolation():
    tuned = finetune("fcn32s", 3, weights=None)
    kernel = tuned.get_layer("upscore").kernel.numpy()
    assert kernel.shape[-2:] == (3, 3)
    np.testing.assert_allclose(kernel[..., 0, 0], kernel[::-1, ::-1, 0, 0])
    assert kernel[..., 0, 0].max() > 0.9 and not kernel[..., 0, 1].any()


def test_a_keras_model_of_ones_own():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            CaffeConv2D(4, 3, name="conv", data_format="channels_last"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, name="scores"),
        ]
    )
    tuned = finetune(model, 2)
    assert tuned.output_shape == (None, 2)
    assert tuned.loss.get_config()["from_logits"]
    np.testing.assert_array_equal(
        tuned.get_layer("conv").kernel.numpy(), model.get_layer("conv").kernel.numpy()
    )


def test_a_model_from_a_training_definition(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("""
        name: "n" layer { name: "data" type: "Data" top: "data" top: "label"
          transform_param { crop_size: 8 } data_param { batch_size: 2 } }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
          convolution_param { num_output: 4 kernel_size: 3 } }
        layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
        layer { name: "a/fc" type: "InnerProduct" bottom: "c" top: "a/fc"
          inner_product_param { num_output: 5 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a/fc" bottom: "label" }
    """)
    tuned = finetune(from_caffe(path), 3)
    assert tuned.optimizer.multipliers["a>fc/kernel"] == (10, 1)
    assert not tuned.loss.get_config()["from_logits"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda: ("caffenet", 0), "`classes`"),
        (lambda: ("nonet", 3), "nonet"),
        (lambda: (caffenet(weights=None, include_top=False), 3), "features"),
        (lambda: (keras.Model(*two_outputs()), 3), "one output"),
        (lambda: (keras.Sequential([keras.Input((4,)), norm()]), 3), "BatchNorm"),
    ],
)
def test_models_without_a_head_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        finetune(*arguments(), **{"weights": None})


def two_outputs():
    x = keras.Input((4,))
    return x, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)]


def norm():
    return keras.layers.BatchNormalization()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"include_top": False}, "include_top"),
        ({"freeze_until": "fc9"}, "fc9"),
        ({"freeze_until": "prob"}, "'fc8'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        finetune("caffenet", 3, weights=None, **options)


def test_options_of_a_builder_go_with_a_name():
    with pytest.raises(ValueError, match="fully_convolutional"):
        finetune(demo.load(), 3, fully_convolutional=True)
