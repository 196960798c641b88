"""Raw pixels: prepared by the model's own rule, or warned of."""

import keras
import numpy as np
import pytest

import keras_caffe_zoo as kcz

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (150, 170, 3), dtype="uint8")


def net(name):
    """A net of one layer, under any name: what is done to pixels hangs on that."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    return keras.Model(image, keras.layers.Conv2D(2, 8, 8)(image), name=name)


def by_hand(picture, mean, scale=1.0, channels=slice(None, None, -1)):
    return ((picture[..., channels] - np.array(mean)) * scale).astype("float32")


RULES = {
    "vgg16": ((103.939, 116.779, 123.68),),
    "vgg16_finetuned": ((103.939, 116.779, 123.68),),
    "mobilenet_v1": ((103.94, 116.78, 123.68), 0.017),
}


@pytest.mark.parametrize("name", ["vgg16", "vgg16_finetuned", "mobilenet_v1"])
@pytest.mark.parametrize("how", [{}, {"tile": 64}, {"stitch": 2}])
def test_a_net_of_the_zoo_prepares_raw_pixels_itself(name, how):
    model = net(name)
    expected = kcz.predict_dense(model, by_hand(PICTURE, *RULES[name]), **how)
    found = kcz.predict_dense(model, PICTURE, **how, progress=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_one_that_takes_rgb_gets_it():
    info = kcz.model_info("shufflenet_v2_x05")
    mean = np.array(info.mean.channels)[::-1]  # which is told as BGR
    prepared = by_hand(PICTURE, mean, info.scale, slice(None))
    model = net(info.name)
    expected = kcz.predict_dense(model, prepared)
    np.testing.assert_allclose(
        kcz.predict_dense(model, PICTURE), expected, rtol=1e-4, atol=1e-4
    )


def test_every_size_of_it_is_prepared():
    model = net("vgg16")
    found = kcz.predict_dense(model, PICTURE, scales=(0.5, 1))
    for scale in (0.5, 1):
        resized = kcz.predict_dense(
            model, by_hand(PICTURE, *RULES["vgg16"]), scales=(scale,)
        )
        np.testing.assert_allclose(found[scale], resized[scale], atol=1e-2)


def test_a_model_of_ones_own_is_told_of_and_warned_of():
    model = net("mine")
    expected = kcz.predict_dense(model, by_hand(PICTURE, *RULES["vgg16"]))
    found = kcz.predict_dense(model, PICTURE, preprocessing="vgg16")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.warns(UserWarning, match="Nobody said what 'mine' subtracts"):
        raw = kcz.predict_dense(model, PICTURE)
    np.testing.assert_array_equal(
        raw, kcz.predict_dense(model, PICTURE.astype("float32"))
    )
    with pytest.raises(ValueError, match="has no net 'vgg61'"):
        kcz.predict_dense(model, PICTURE, preprocessing="vgg61")
    with pytest.raises(ValueError, match="RGB image of uint8"):
        kcz.predict_dense(model, PICTURE / 2, preprocessing="vgg16")


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v1", "caffenet"])
@pytest.mark.parametrize(
    "strange",
    [
        lambda rgb: rgb.astype("float32"),
        lambda rgb: rgb.astype("float64") / 255,
        lambda rgb: rgb.astype("int64"),
        lambda rgb: rgb[..., ::-1] * 0.4 + 1.0,  # a dark picture
    ],
)
def test_pixels_that_nothing_was_subtracted_from_are_warned_of(name, strange):
    with pytest.warns(UserWarning, match=f"{name} takes BGR less its mean"):
        kcz.predict_dense(net(name), strange(PICTURE))


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v1", "shufflenet_v2_x05"])
@pytest.mark.parametrize("picture", [PICTURE, PICTURE // 8, 255 - PICTURE // 8])
def test_prepared_pixels_are_not(name, picture):
    prepared = kcz.preprocess_input(picture, name)
    kcz.predict_dense(net(name), prepared)  # a warning would be an error
    kcz.predict_dense(net("mine"), picture.astype("float32"))
    kcz.predict_dense(net(name), np.zeros((64, 64, 3)))
