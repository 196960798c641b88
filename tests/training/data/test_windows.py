"""Windows of pictures, warped as Caffe's WindowData warps them."""

import math

import cv2
import keras
import numpy as np
import pytest
from data_files import batches, picture, png, rows

from keras_caffe_zoo.caffe import write_mean
from keras_caffe_zoo.training import from_solver
from keras_caffe_zoo.training.data import BadRecords, layer_dataset, window_dataset
from keras_caffe_zoo.training.data.windows import Warp, Window

SIZES = [(31, 40), (24, 24), (50, 17)]  # height and width of the pictures


def entry(number, path, size, windows):
    lines = [f"# {number}", path, "3", *map(str, size), str(len(windows))]
    lines += [" ".join(map(str, window)) for window in windows]
    return "\n".join(lines) + "\n"


def window_file(folder, windows):
    """Write pictures and a window file; return it, and the pictures, BGR."""
    images, text = [], ""
    for number, (size, own) in enumerate(zip(SIZES, windows, strict=False)):
        images.append(picture(number, size)[..., ::-1])
        (folder / f"{number}.png").write_bytes(png(images[-1][..., ::-1]))
        text += entry(number, f"{number}.png", size, own)
    (folder / "windows.txt").write_text(text)
    return folder / "windows.txt", images


def c_round(x):
    return int(math.floor(x + 0.5)) if x >= 0 else int(math.ceil(x - 0.5))


def warped_by_opencv(image, box, crop, context, square, flip, mean=0.0, scale=1.0):
    """Recompute a window from Caffe's formulas, with OpenCV's own resize."""
    x1, y1, x2, y2 = box
    rows, columns = image.shape[:2]
    out = np.zeros((crop, crop, 3), "float64")
    left = top = 0
    width = height = crop
    if context or square:
        ratio = np.float32(crop) / np.float32(crop - 2 * context)
        half_h, half_w = np.float32((y2 - y1 + 1) / 2), np.float32((x2 - x1 + 1) / 2)
        middle_x, middle_y = np.float32(x1) + half_w, np.float32(y1) + half_h
        if square:
            half_h = half_w = np.maximum(half_h, half_w)
        x1, x2 = c_round(middle_x - half_w * ratio), c_round(middle_x + half_w * ratio)
        y1, y2 = c_round(middle_y - half_h * ratio), c_round(middle_y + half_h * ratio)
        ratio_x = np.float32(crop) / np.float32(x2 - x1 + 1)
        ratio_y = np.float32(crop) / np.float32(y2 - y1 + 1)
        over_left, over_top = max(-x1, 0), max(-y1, 0)
        over_right, over_bottom = max(x2 + 1 - columns, 0), max(y2 + 1 - rows, 0)
        x1, x2, y1, y2 = (
            x1 + over_left,
            x2 - over_right,
            y1 + over_top,
            y2 - over_bottom,
        )
        width = c_round(np.float32(x2 - x1 + 1) * ratio_x)
        height = c_round(np.float32(y2 - y1 + 1) * ratio_y)
        left = c_round(np.float32(over_right if flip else over_left) * ratio_x)
        top = c_round(np.float32(over_top) * ratio_y)
        width, height = min(width, crop - left), min(height, crop - top)
    cut = np.ascontiguousarray(image[y1 : y2 + 1, x1 : x2 + 1])
    cut = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)
    cut = cv2.flip(cut, 1) if flip else cut
    place = np.s_[top : top + height, left : left + width]
    shift = mean[place] if np.ndim(mean) == 3 else mean
    out[place] = (cut.reshape(height, width, 3) - shift) * scale
    return out


def some_boxes(rng, size, count):
    height, width = size
    xs = np.sort(rng.integers(0, width, (count, 2)), axis=1)
    ys = np.sort(rng.integers(0, height, (count, 2)), axis=1)
    return np.stack([xs[:, 0], ys[:, 0], xs[:, 1], ys[:, 1]], axis=1).tolist()


@pytest.mark.parametrize("context", [0, 3, 8])
@pytest.mark.parametrize("mode", ["warp", "square"])
def test_windows_are_warped_to_opencvs_byte(mode, context):
    rng = np.random.default_rng(context)
    seen = 0
    for number, size in enumerate(SIZES):
        image = picture(number, size)
        for box in some_boxes(rng, size, 40):
            position = int(rng.integers(1000))
            warp = Warp(27, context, mode, mirror=True)
            plain = Warp(27, context, mode)
            same = (27, context, mode == "square")
            both = [warped_by_opencv(image, box, *same, flip) for flip in (0, 1)]
            window = Window(image, tuple(box))
            np.testing.assert_array_equal(plain(window, position), both[0], str(box))
            found = warp(window, position)
            mirrored = not np.array_equal(found, both[0])
            np.testing.assert_array_equal(found, both[mirrored], str(box))
            seen += mirrored
    assert 40 < seen < 80


def test_what_caffe_subtracts_and_scales(tmp_path):
    image, box = picture(0, (31, 40)), (2, 0, 39, 20)
    rng = np.random.default_rng(1)
    mean_image = rng.uniform(90, 130, (35, 36, 3)).astype("float32")
    # The middle by the width, along both axes: 4 rows and columns come before it.
    means = {"image": mean_image, "channels": np.float32([103, 116, 123])}
    used = {"image": mean_image[4:31, 4:31], "channels": means["channels"]}
    for name, mean in means.items():
        found = Warp(27, 4, mean=mean, scale=0.1)(Window(image, box))
        shape = (image, box, 27, 4, False, 0)
        wanted = warped_by_opencv(*shape, used[name], np.float32(0.1))
        np.testing.assert_allclose(found, wanted, rtol=2e-7, atol=2e-6)
        assert (found == 0).any()  # what lies outside is the mean
    with pytest.raises(ValueError, match="at least 27 x 27"):
        Warp(27, mean=mean_image[:30])


WINDOWS = [
    [(3, 1.0, 0, 0, 20, 20), (3, 0.5, 5, 5, 39, 30), (2, 0.49, 1, 1, 9, 9)],
    [(7, 0.1, 0, 0, 23, 23), (7, 0.0, 3, 3, 8, 20)],
    [(1, 0.7, 0, 10, 16, 49), (1, 0.3, 0, 0, 16, 16)],
]


def test_batches_are_background_and_then_objects(tmp_path):
    source, images = window_file(tmp_path, WINDOWS)
    data = window_dataset(source, crop_size=9, batch_size=6, fg_fraction=0.5, seed=3)
    assert data.element_spec[0].shape.as_list() == [None, 9, 9, 3]
    assert int(data.cardinality()) == 2  # seven windows, six at a time
    found = batches(data)
    boxes = [(i, window) for i, own in enumerate(WINDOWS) for window in own]
    squares = [
        (warped_by_opencv(images[i], w[2:], 9, 0, False, 0), w[0] * (w[1] >= 0.5))
        for i, w in boxes
    ]
    for pictures, labels in found:
        assert pictures.shape == (6, 9, 9, 3) and pictures.dtype == "float32"
        assert not labels[:3].any() and (labels[3:] > 0).all()
        for one, label in zip(pictures, labels, strict=True):
            which = [c for square, c in squares if np.array_equal(square, one)]
            assert which == [label]
    # Chance is the seed's and the place's: a new pass goes on, another one repeats.
    again = batches(window_dataset(source, crop_size=9, batch_size=6, fg_fraction=0.5,
                                   seed=3, repeat=True).take(2))  # fmt: skip
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    _, labels = rows(
        window_dataset(source, crop_size=9, batch_size=10).repeat().take(20)
    )
    shares = np.bincount(labels, minlength=4) / len(labels)
    assert shares[0] == 0.8  # a fourth of ten, rounded down, are objects
    np.testing.assert_allclose(shares[[1, 3]], [0.2 / 3, 0.4 / 3], atol=0.05)


def test_thresholds_leave_a_gap(tmp_path):
    source, _ = window_file(tmp_path, WINDOWS)
    options = {
        "crop_size": 9,
        "fg_threshold": 0.7,
        "bg_threshold": 0.3,
        "batch_size": 2,
    }
    data = window_dataset(source, **options, fg_fraction=1)
    assert int(data.cardinality()) == 2  # two objects and two of background
    assert set(rows(data)[1]) <= {1, 3}
    with pytest.raises(ValueError, match="windows of background.*below bg_threshold"):
        window_dataset(source, **{**options, "bg_threshold": 0})
    with pytest.raises(ValueError, match="fg_fraction of 0 to 1"):
        window_dataset(source, crop_size=9, fg_fraction=2)


def test_bad_windows_are_named(tmp_path):
    source, _ = window_file(tmp_path, [[(1, 1, 0, 0, 9, 9)], [(0, 0, 5, 5, 24, 9)]])
    options = {"crop_size": 9, "batch_size": 4, "fg_fraction": 0.5}
    with pytest.raises(ValueError, match=r"window \[5, 5, 24, 9\] of 1.png.*24 x 24"):
        window_dataset(source, **options)
    bad = BadRecords()
    with pytest.warns(UserWarning, match="Left out"):
        _, labels = rows(window_dataset(source, **options, bad_records=bad))
    assert set(labels) == {1} and bad.count == 1
    # With what is around it, and cut, the window is one.
    assert len(rows(window_dataset(source, context_pad=1, **options))[1]) == 4
    (tmp_path / "1.png").unlink()
    with pytest.raises(ValueError, match=r"of 1.png.*No such file"):
        window_dataset(source, context_pad=1, **options)


def test_pictures_are_looked_for_in_the_root_alone(tmp_path):
    (tmp_path / "in").mkdir()
    source, _ = window_file(tmp_path / "in", [WINDOWS[0]])
    text = source.read_text()
    (tmp_path / "list.txt").write_text(text.replace("0.png", "/in/0.png"))
    options = {"crop_size": 9, "batch_size": 4, "cache_images": True}
    whole = rows(window_dataset(tmp_path / "list.txt", root=tmp_path, **options))
    np.testing.assert_array_equal(whole[0], rows(window_dataset(source, **options))[0])
    (tmp_path / "list.txt").write_text(text.replace("0.png", "../0.png"))
    with pytest.raises(ValueError, match="inside"):
        window_dataset(tmp_path / "list.txt", root=tmp_path / "in", **options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("# 1\nx.png\n3\n4\n4\n0\n", "picture 0"),
        ("0\nx.png\n3\n4\n4\n0\n", "'# 0'"),
        ("# 0\nx.png\n1\n4\n4\n0\n", "3 channels"),
        ("# 0\nx.png\n3\n4\n", "'# 0' and what"),
        ("# 0\nx.png\n3\n4\n4\n0\n", "none"),
        ("# 0\nx.png\n3\n4\n4\n2\n1 1 0 0 1 1\n", "2 windows.*6 numbers.*x.png"),
        ("# 0\nx.png\n3\n4\n4\n-1\n", "-1 windows"),
        ("# 0\nx.png\n3\n4\n4\n999999999\n1 1 0 0 1 1", "999999999 windows"),
        ("# 0\nx.png\n3\n4\n4\n1\n1 1 0 0 1 x\n", "1 windows.*'x'"),
        ("# 0\nx.png\n3\n4\n4\n1\n1 1 0 0 1 1.5\n", "integers"),
        ("# 0\nx.png\n3\n4\n4\n1\n1 1 0 0 1 nan\n", "integers"),
        ("# 0\nx.png\n3\n4\n4\n1\n0 1 0 0 1 1\n", "class from 1 on"),
        ("# 0\n" + "x" * 9000, "at most 4096"),
    ],
)
def test_what_is_no_window_file(tmp_path, text, said):
    (tmp_path / "w.txt").write_text(text)
    with pytest.raises(ValueError, match=said):
        window_dataset(tmp_path / "w.txt", crop_size=9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crop_size": 0}, "crop_size of 1"),
        ({"crop_size": 10**6}, "crop_size of 1"),
        ({"crop_size": 8, "context_pad": 4}, "less than half"),
        ({"crop_size": 8, "crop_mode": "round"}, "crop_mode"),
        ({"crop_size": 8, "mean": [1, 2]}, "1 or 3 values"),
    ],
)
def test_what_a_window_cannot_become(tmp_path, options, said):
    source, _ = window_file(tmp_path, WINDOWS)
    with pytest.raises(ValueError, match=said):
        window_dataset(source, **options)


NET = """
layer { name: "data" type: "WindowData" top: "data" top: "label"
  include { phase: TRAIN }
  transform_param { mirror: true crop_size: 11 mean_file: "/their/mean.binaryproto" }
  window_data_param { source: "/their/windows.txt" batch_size: 8 fg_threshold: 0.5
    bg_threshold: 0.5 fg_fraction: 0.25 context_pad: 2 crop_mode: "warp" scale: 0.02 } }
layer { name: "data" type: "WindowData" top: "data" top: "label"
  include { phase: TEST }
  transform_param { crop_size: 11 mean_value: 128 scale: 5 }
  window_data_param { source: "/their/test.txt" batch_size: 4 fg_fraction: 0.5
    crop_mode: "square" cache_images: true } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 5 stride: 2
    weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""
SOLVER = """
net: "examples/pascal/net.prototxt" test_iter: 1 test_interval: 3 base_lr: 0.05
lr_policy: "step" gamma: 0.1 stepsize: 20 momentum: 0.9 weight_decay: 0.0005
max_iter: 4 random_seed: 1
"""


def test_a_net_trains_on_windows(tmp_path):
    source, images = window_file(tmp_path, WINDOWS)
    mean = np.full((3, 12, 12), 128, "float32")
    write_mean(tmp_path / "mean.binaryproto", mean)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    training = from_solver(tmp_path / "solver.prototxt")
    net = tmp_path / "net.prototxt"
    data = layer_dataset(net, source, mean=tmp_path / "mean.binaryproto", seed=2)
    with pytest.warns(UserWarning, match="scale of 5.*not used"):
        tests = layer_dataset(net, source, phase="TEST")
    (pictures, labels), *_ = batches(data)
    assert pictures.shape == (8, 11, 11, 3) and labels[:6].sum() == 0 < labels[6]
    assert 1 < np.abs(pictures).max() < 128 * 0.02 + 1e-5
    (pictures, _), *_ = batches(tests)
    assert np.abs(pictures).max() > 5
    history = training.fit(data, tests, verbose=0).history
    assert int(training.optimizer.iterations) == 4
    assert history["loss"][-1] < history["loss"][0]
    assert len(history["val_accuracy"]) == 2


@pytest.mark.slow
def test_training_goes_on_where_it_was(tmp_path):
    source, _ = window_file(tmp_path, WINDOWS)
    model = keras.Sequential([keras.Input((9, 9, 3)), keras.layers.Flatten(),
                              keras.layers.Dense(4)])  # fmt: skip
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = {"crop_size": 9, "batch_size": 4, "mirror": True, "scale": 0.01}
    data = window_dataset(source, resume=model, repeat=True, **options)
    whole = batches(window_dataset(source, repeat=True, **options).take(5))
    model.fit(data, steps_per_epoch=3, verbose=0)
    going_on = iter(data)
    for images, labels in whole[3:]:
        one = next(going_on)
        np.testing.assert_array_equal(one[0], images)
        np.testing.assert_array_equal(one[1], labels)
