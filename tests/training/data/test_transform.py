"""Caffe's transformer against a loop over its formula."""

import numpy as np
import pytest

from keras_caffe_zoo.caffe import parse_prototxt, write_mean
from keras_caffe_zoo.training.data import Transform

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype="uint8")
MEAN = np.random.default_rng(1).uniform(80, 160, (9, 11, 3)).astype("float32")


def caffe(image, top, left, crop, mirrored, mean, scale):
    """One pixel at a time, in the order of data_transformer.cpp."""
    out = np.zeros((crop, crop, 3), "float32")
    for h in range(crop):
        for w in range(crop):
            for c in range(3):
                value = np.float32(image[top + h, left + w, c])
                value = (value - mean[top + h, left + w, c]) * np.float32(scale)
                out[h, crop - 1 - w if mirrored else w, c] = value
    return out


@pytest.mark.parametrize("position", range(6))
def test_transform_is_caffes_loop_bit_for_bit(position):
    transform = Transform(5, mirror=True, mean=MEAN, scale=0.00390625)
    top, left, mirrored = transform.draw((9, 11), position, seed=3)
    wanted = caffe(IMAGE, top, left, 5, mirrored, MEAN, 0.00390625)
    np.testing.assert_array_equal(transform(IMAGE, position, seed=3), wanted)


def test_scale_comes_after_the_mean():
    out = Transform(mean=(100, 100, 100), scale=0.5)(np.full((2, 2, 3), 110, "uint8"))
    np.testing.assert_array_equal(out, np.full((2, 2, 3), 5, "float32"))


def test_one_value_serves_every_channel():
    out = Transform(mean=10.0)(IMAGE)
    np.testing.assert_array_equal(out, IMAGE.astype("float32") - 10)


def test_test_phase_cuts_the_middle_and_rounds_down():
    out = Transform(4, phase="TEST")(IMAGE, position=7)
    np.testing.assert_array_equal(out, IMAGE[2:6, 3:7].astype("float32"))


def test_mirror_is_tossed_in_phase_test_too():
    transform = Transform(mirror=True, phase="TEST")
    tosses = {transform.draw((9, 11), position)[2] for position in range(50)}
    assert tosses == {False, True}


def test_every_offset_and_side_is_equally_likely():
    transform = Transform(7, mirror=True)
    draws = np.array([transform.draw((9, 11), i, seed=5) for i in range(6000)])
    for column, places in ((0, 3), (1, 5), (2, 2)):
        counts = np.bincount(draws[:, column], minlength=places)
        assert len(counts) == places
        expected = 6000 / places
        assert ((counts - expected) ** 2 / expected).sum() < 20  # chi-squared
    assert abs(np.corrcoef(draws.T) - np.eye(3)).max() < 0.05


def test_draws_depend_on_seed_and_position_alone():
    transform = Transform(5, mirror=True)
    first = [transform.draw((9, 11), i, seed=1) for i in range(40)]
    assert [transform.draw((9, 11), i, seed=1) for i in reversed(range(40))] == [
        *reversed(first)
    ]
    assert [transform.draw((9, 11), i, seed=2) for i in range(40)] != first


def test_the_draws_of_a_seed_stay_what_they_are():
    # Philox 4x64-10 is a standard: a resumed run may have another NumPy.
    transform = Transform(7, mirror=True)
    assert [transform.draw((9, 11), i, seed=42) for i in (0, 1, 2**40)] == [
        (2, 2, False),
        (0, 3, False),
        (2, 1, True),
    ]


def test_batch_is_its_images_one_by_one():
    transform = Transform(5, mirror=True, mean=MEAN)
    images = np.stack([IMAGE, IMAGE[::-1]])
    both = transform.batch(images, [4, 9], seed=2)
    np.testing.assert_array_equal(both[1], transform(images[1], 9, seed=2))
    assert both.shape == (2, 5, 5, 3) and both.dtype == np.float32


def test_image_is_not_changed():
    image = IMAGE.astype("float32")
    before = image.copy()
    Transform(mean=MEAN, scale=2.0)(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "options, received",
    [
        ({"mean": np.zeros((5, 5, 3)), "crop_size": 5}, r"\(9, 11, 3\)"),
        ({"mean": (1, 2)}, r"\(9, 11, 3\)"),
        ({"crop_size": 10}, "received: 9 x 11"),
        ({"crop_size": -1}, "crop_size=-1"),
        ({"phase": "train"}, "'train'"),
        ({"mean": np.zeros((2, 2))}, r"shape \(2, 2\)"),
    ],
)
def test_what_caffe_refuses_is_refused(options, received):
    with pytest.raises(ValueError, match=received):
        Transform(**options)(IMAGE)


def layer(text, kind="Data"):
    return parse_prototxt(
        f'layer {{ name: "d" type: "{kind}" top: "data" {text} }}'
    ).layers[0]


def test_from_layer_reads_transform_param():
    transform = Transform.from_layer(
        layer(
            "transform_param { crop_size: 7 mirror: true scale: 0.5 "
            "mean_value: 1 mean_value: 2 mean_value: 3 }"
        ),
        phase="TEST",
    )
    assert (transform.crop_size, transform.mirror) == (7, True)
    assert (transform.scale, transform.phase) == (0.5, "TEST")
    np.testing.assert_array_equal(transform.mean, [1, 2, 3])


def test_from_layer_reads_the_old_fields():
    old = layer("data_param { crop_size: 7 mirror: true scale: 0.5 }")
    transform = Transform.from_layer(old)
    assert (transform.crop_size, transform.mirror, transform.scale) == (7, True, 0.5)
    old = layer("image_data_param { crop_size: 6 }", "ImageData")
    assert Transform.from_layer(old).crop_size == 6
    assert Transform.from_layer(layer("")).crop_size is None


def test_from_layer_takes_the_mean_file_from_the_caller(tmp_path):
    asking = layer('transform_param { mean_file: "/etc/passwd" }')
    with pytest.raises(ValueError, match="/etc/passwd.*received: None"):
        Transform.from_layer(asking)
    write_mean(tmp_path / "mean.binaryproto", np.moveaxis(MEAN, -1, 0))
    transform = Transform.from_layer(asking, tmp_path / "mean.binaryproto")
    np.testing.assert_array_equal(transform.mean, MEAN)
    with pytest.raises(ValueError, match="names no mean_file"):
        Transform.from_layer(layer(""), MEAN)
    with pytest.raises(ValueError, match="received: both"):
        Transform.from_layer(
            layer('transform_param { mean_file: "m" mean_value: 1 }'), MEAN
        )
