"""One net of each younger family, fed and used as a whole."""

import keras
import numpy as np
import pytest
from support import relative_error

from keras_caffe_zoo import (
    extract_features,
    feature_extractor,
    models,
    output_grid,
    predict_dense,
    preprocess_input,
    to_fully_convolutional,
)

# net: a blob before its last, and that blob's shape
BLOBS = {
    "gender_net": ("fc7", (512,)),
    "sphereface": ("res4_3", (7, 6, 512)),
    "shufflenet_v2_x05": ("pool", (1, 1, 1024)),
    "mobilenet_v2": ("pool6", (1, 1, 1280)),
    "googlenet_bn": ("pool5/7x7_s1", (1, 1, 1024)),
    "open_nsfw": ("pool", (1, 1, 1024)),
    "densenet121": ("pool5", (1, 1, 1024)),
    "se_bn_inception": ("pool5/7x7_s1", (1, 1, 1024)),
    "se_resnet50": ("pool5/7x7_s1", (1, 1, 2048)),
}
WEIGHING = ("se_bn_inception", "se_resnet50")  # by the averages of whole maps
QUICK = "gender_net"


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(7)


def picture(name, more=0):
    size = [side + more for side in models.model_info(name).input_size]
    return np.random.default_rng(3).integers(0, 256, (*size, 3), dtype="uint8")


def fed(name, picture):
    """Caffe's pixels of a picture, worked out from the facts of the net."""
    info = models.model_info(name)
    blue_first = (picture[..., ::-1] - np.array(info.mean.channels)) * info.scale
    in_order = blue_first if info.channel_order == "BGR" else blue_first[..., ::-1]
    return in_order.astype("float32")[None]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == QUICK else pytest.mark.slow) for n in BLOBS],
)
def test_features_are_those_of_the_pixels_that_the_net_wants(name):
    blob, shape = BLOBS[name]
    model = getattr(models, name)(weights=None)
    image = picture(name)
    wanted = feature_extractor(model, blob).predict(fed(name, image), verbose=0)
    assert wanted.shape[1:] == shape and wanted.std() > 0
    found = extract_features(model, [image], blob, progress=False)
    assert relative_error(found.values[blob], wanted) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BLOBS if name not in WEIGHING])
def test_maps_are_the_classifier_slid_over_the_picture(name):
    options = {"weights": None, "classifier_activation": None}
    classifier = getattr(models, name)(**options)
    dense = getattr(models, name)(**options, fully_convolutional=True)
    for ours, theirs in zip(dense.weights, classifier.weights, strict=True):
        ours.assign(np.reshape(theirs, ours.shape))
    image = preprocess_input(picture(name), name)
    wanted = classifier.predict(image[None], verbose=0)[0]
    for model in (dense, to_fully_convolutional(classifier)):
        found = predict_dense(model, image, progress=False)
        assert found.shape[:2] == (1, 1)
        assert relative_error(found[0, 0], wanted) <= 1e-5
    large = preprocess_input(picture(name, 64), name)
    found = predict_dense(dense, large, progress=False)
    assert found.shape[:2] == output_grid(dense, large.shape).shape
    assert min(found.shape[:2]) >= 3
