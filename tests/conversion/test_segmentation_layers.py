"""Interp, Upsample and BN of the forks through `from_caffe`, against plain NumPy."""

import keras
import numpy as np
import pytest
from one_layer import assert_close, check_written_again, normal, outputs
from support import GOLDENS, gradients, nchw, nhwc, seeds

import keras_caffe_zoo as kcz
from keras_caffe_zoo.layers import CaffeInterp, CaffeMaxPool2DWithMask, CaffeUnpool

FORKS = GOLDENS / "forks"


def fields(name, values):
    inside = " ".join(f"{key}: {value}" for key, value in values.items())
    return f"{name} {{ {inside} }}"


# --- Interp


def interp(x, height, width):
    """Align-corners bilinear, pixel by pixel."""
    rows, columns = x.shape[2:]
    y = np.zeros((*x.shape[:2], height, width))
    for i, j in np.ndindex(height, width):
        at = [
            np.float32((n - 1) / np.float32(new - 1) if new > 1 else 0) * np.float32(k)
            for n, new, k in ((rows, height, i), (columns, width, j))
        ]
        (top, left), (down, right) = map(int, at), np.asarray(at) - np.trunc(at)
        below, beside = min(top + 1, rows - 1), min(left + 1, columns - 1)
        y[:, :, i, j] = (1 - down) * (
            (1 - right) * x[:, :, top, left] + right * x[:, :, top, beside]
        ) + down * ((1 - right) * x[:, :, below, left] + right * x[:, :, below, beside])
    return y


def interp_case(rng):
    """Return an input, the parameters, the part that stays and the size to make."""
    pads = -rng.integers(0, 3, 2) * rng.integers(0, 2, 2)
    sizes = rng.integers(1, 9, 2) - pads.sum()
    x = normal(rng, 2, 2, *sizes)
    kept = sizes + pads.sum()
    zoom, shrink = rng.integers(1, 5, 2)
    new = rng.integers(1, 12, 2)
    values = dict(zip(("pad_beg", "pad_end"), pads, strict=True))
    how = rng.choice(["zoom", "shrink", "both", "size", "size and zoom", "all"])
    if how != "shrink" and how != "size":
        values["zoom_factor"] = zoom
    if how in ("shrink", "both", "all"):
        values["shrink_factor"] = shrink
    if "size" in how or how == "all":
        values.update(height=new[0], width=new[1])
    if "zoom" in how:
        new = kept + (kept - 1) * (zoom - 1)
    elif how == "shrink":
        new = (kept - 1) // shrink + 1
    elif how == "both":
        new = (kept - 1) // shrink + 1
        new = new + (new - 1) * (zoom - 1)
    return x, values, x[:, :, -pads[0] :, -pads[0] :][:, :, : kept[0], : kept[1]], new


@pytest.mark.parametrize("seed", seeds(5, 40))
def test_interp(run, rng):
    x, values, kept, new = interp_case(rng)
    text = fields("interp_param", values)
    assert_close(run("Interp", {"x": x}, text), interp(kept, *new), 1e-5)
    layer = run.model("Interp", {"x": x}, text).layers[-1]
    open_size = keras.Sequential([keras.Input((None, None, 2)), layer])
    assert_close(nchw(open_size(nhwc(x))), interp(kept, *new), 1e-5)


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("", "zoom_factor"),
        ("height: 3", "width"),
        ("zoom_factor: 0", "positive"),
        ("shrink_factor: -1", "positive"),
        ("zoom_factor: 2 pad_beg: 1", "at most 0"),
        ("zoom_factor: 2 pad_beg: -2 pad_end: -2", "pixels"),
        ("zoom_factor: 2147483647", "at most 2,147,483,647 values"),
        ("height: 2147483647 width: 2147483647", "at most 2,147,483,647 values"),
    ],
)
def test_an_interp_that_caffe_refuses(refused, param, said):
    refused(
        "Interp", {"x": np.zeros((1, 2, 4, 5))}, f"interp_param {{ {param} }}", said
    )


def test_interp_on_no_image(refused):
    refused("Interp", {"x": np.zeros((1, 2))}, "interp_param { zoom_factor: 2 }")


def test_an_interp_of_open_size_tells_only_what_it_knows():
    x = keras.Input((None, None, 3))
    assert CaffeInterp(zoom_factor=2)(x).shape == (None, None, None, 3)
    assert CaffeInterp(height=4, width=5)(x).shape == (None, 4, 5, 3)


# --- Upsample


def unpool(x, mask, height, width):
    y = np.zeros((*x.shape[:2], height * width), "f4")
    for n, c, i, j in np.ndindex(*x.shape):
        if 0 <= mask[n, c, i, j] < height * width:
            y[n, c, int(mask[n, c, i, j])] = x[n, c, i, j]
    return y.reshape(*x.shape[:2], height, width)


@pytest.mark.parametrize("seed", seeds(4, 30))
def test_unpooling(run, rng):
    sizes, scale = rng.integers(1, 6, 2), rng.integers(1, 4, 2)
    new, values = sizes * scale, {"scale_h": scale[0], "scale_w": scale[1]}
    how = rng.integers(4)
    if how == 1:
        new, values = sizes * 2, {}
    elif how == 2:
        less = rng.integers(0, 2, 2)
        new, flags = sizes * 2 - less, [str(bool(n)).lower() for n in less]
        values = dict(zip(("pad_out_h", "pad_out_w"), flags, strict=True))
    elif how == 3:
        new = rng.integers(1, 12, 2)
        values = {**values, "upsample_h": new[0], "upsample_w": new[1]}
    x = normal(rng, 2, 3, *sizes)
    mask = rng.integers(-2, new.prod() + 3, x.shape).astype("f4")
    text = fields("upsample_param", values)
    inputs = {"x": x, "mask": mask}
    expected = unpool(x, mask, *new)
    np.testing.assert_array_equal(run("Upsample", inputs, text), expected)
    layer = run.model("Upsample", inputs, text).layers[-1]
    shape = (None, None, 3)
    ends = [keras.Input(shape), keras.Input(shape)]
    open_size = keras.Model(ends, layer(ends))
    found = open_size([nhwc(x), nhwc(mask)])
    np.testing.assert_array_equal(nchw(found), expected)


@pytest.mark.parametrize("places", [6, 20])
def test_every_value_has_the_gradient_of_its_place(places):
    """Also one whose place another value got."""
    rng = np.random.default_rng(0)
    x, mask = normal(rng, 2, 3, 2, 3), rng.integers(-1, places, (2, 3, 2, 3))
    top_diff = normal(rng, 2, 3, 4, 5)
    taken = np.take_along_axis(
        top_diff.reshape(2, 3, 20), np.maximum(mask, 0).reshape(2, 3, 6), axis=2
    )
    expected = np.where(mask < 0, 0, taken.reshape(x.shape))
    ends = [keras.Input((2, 3, 3)), keras.Input((2, 3, 3))]
    layer = CaffeUnpool(size=(4, 5))
    model = keras.Model(ends[0], layer([ends[0], nhwc(mask).astype("f4")]))
    found, _ = gradients(model, nhwc(x), nhwc(top_diff))
    np.testing.assert_array_equal(nchw(found), expected)


@pytest.mark.parametrize("side", "hw")
def test_a_side_of_twice_the_size_may_be_one_less(run, side):
    scale = {"scale_h": 3, "scale_w": 3, f"scale_{side}": 2, f"pad_out_{side}": "true"}
    size = (5, 9) if side == "h" else (9, 5)
    x = {"x": np.ones((1, 1, 3, 3)), "mask": np.zeros((1, 1, 3, 3))}
    y = run("Upsample", x, fields("upsample_param", scale))
    assert y.shape == (1, 1, *size)


@pytest.mark.parametrize(("kernel", "distinct"), [(2, True), (1, True), (3, False)])
def test_windows_that_lie_apart_have_places_of_their_own(tmp_path, kernel, distinct):
    (tmp_path / "net.prototxt").write_text(f"""
        input: "x" input_shape {{ dim: 1 dim: 2 dim: 6 dim: 6 }}
        layer {{ name: "p" type: "Pooling" bottom: "x" top: "p" top: "m"
                pooling_param {{ kernel_size: {kernel} stride: 2 }} }}
        layer {{ name: "y" type: "Upsample" bottom: "p" bottom: "m" top: "y" }}""")
    model = kcz.from_caffe(tmp_path / "net.prototxt")
    assert model.get_layer("y").distinct is distinct


def test_a_mask_has_room_for_large_places_in_half_precision():
    x = np.random.default_rng(0).permutation(100 * 100).reshape(1, 100, 100, 1)
    options = {"dtype": "mixed_float16", "data_format": "channels_last"}
    pooled, mask = CaffeMaxPool2DWithMask(2, strides=2, **options)(x / 1e4)
    y = CaffeUnpool(distinct=True, dtype="mixed_float16")([pooled, mask])
    y = keras.ops.convert_to_numpy(y)
    assert y.dtype == "float16" and np.count_nonzero(y) == 50 * 50
    np.testing.assert_allclose(y[y > 0], (x / 1e4)[y > 0], rtol=1e-3)


MAP = {"x": np.zeros((1, 2, 4, 5))}
MAPS = {**MAP, "mask": np.zeros((1, 2, 4, 5))}


@pytest.mark.parametrize(
    ("inputs", "param", "said"),
    [
        (MAPS, "scale: 0", "positive"),
        (MAPS, "scale: -3", "positive"),
        (MAPS, "scale_h: 2", "scale_w"),
        (MAPS, "scale: 2 scale_h: 2 scale_w: 2", "scale_h and scale_w"),
        (MAPS, "scale: 3 pad_out_h: true", "pad_out_h with scale 2"),
        (MAPS, "scale_h: 2 scale_w: 3 pad_out_w: true", "pad_out_w with scale 2"),
        (MAPS, "upsample_h: 0 upsample_w: 4", "at least 1"),
        (MAPS, "scale: 2147483647", "values"),
        (MAP, "scale: 0", "positive"),
        (MAP, "scale: 2147483647", "values"),
        (MAP, "upsample_h: 3 upsample_w: 4", "a mask"),
        ({**MAP, "mask": np.zeros((1, 3, 4, 5))}, "", "one shape"),
        ({**MAP, "mask": np.zeros((1, 2))}, "", ""),
    ],
)
def test_an_upsample_that_caffe_refuses(refused, inputs, param, said):
    refused("Upsample", inputs, f"upsample_param {{ {param} }}", said)


def test_nearest_neighbours(run):
    x = normal(np.random.default_rng(0), 2, 3, 4, 5)
    y = run("Upsample", {"x": x}, "upsample_param { scale: 3 }")
    np.testing.assert_array_equal(y, x.repeat(3, 2).repeat(3, 3))
    np.testing.assert_array_equal(run("Upsample", {"x": x}), x)


# --- BN


def test_a_bn_that_says_not_which_fork_it_is_of_is_told_by_its_blobs(run, refused):
    x = normal(np.random.default_rng(0), 2, 3, 4, 5)
    values = np.arange(1, 13, dtype="f4").reshape(4, 1, 3, 1, 1)
    slope, bias, mean, variance = values = list(values)
    y = run("BN", {"x": x}, params=values)
    assert_close(y, (x - mean) / np.sqrt(variance + 1e-5) * slope + bias)
    y = run("BN", {"x": x}, params=values[:2])
    normalized = (x - x.mean((0, 2, 3), keepdims=True)) / x.std(
        (0, 2, 3), keepdims=True
    )
    assert_close(y, normalized * slope + bias)
    refused("BN", {"x": x}, "", "SegNet", "PSPNet")


@pytest.mark.parametrize(
    ("param", "count"), [("bn_mode: INFERENCE", 4), ("frozen: true", 2)]
)
def test_a_bn_whose_blobs_are_the_other_forks(tmp_path, run, param, count):
    x = {"x": np.zeros((1, 3, 4, 5))}
    run.prototxt.write_text(
        'input: "x" input_shape { dim: 1 dim: 3 dim: 4 dim: 5 } layer { name: "y" '
        f'type: "BN" bottom: "x" top: "y" bn_param {{ {param} }} }}'
    )
    blobs = {"y": [np.ones((1, 3, 1, 1), "f4")] * count}
    kcz.write_caffemodel(run.caffemodel, blobs)
    with pytest.raises(kcz.CaffeFormatError, match="'y'.*not this net's"):
        kcz.from_caffe(run.prototxt, run.caffemodel)
    assert run.model("BN", x, f"bn_param {{ {param} }}").layers[-1].name == "y"


def test_pspnets_bn_learns_the_statistics(run):
    x = nhwc(normal(np.random.default_rng(0), 2, 3, 4, 5))
    model = run.model("BN", {"x": nchw(x)}, "bn_param { momentum: 0.75 }")
    model(x, training=True)
    *_, mean, variance = model.layers[-1].get_weights()
    np.testing.assert_allclose(mean, 0.25 * x.mean((0, 1, 2)), rtol=1e-5)
    expected = 0.75 + 0.25 * x.var((0, 1, 2))
    np.testing.assert_allclose(variance, expected, rtol=1e-5)
    frozen = run.model("BN", {"x": nchw(x)}, "bn_param { frozen: true }").layers[-1]
    assert not frozen.trainable_weights
    before = frozen.get_weights()
    frozen(x, training=True)
    np.testing.assert_array_equal(before, frozen.get_weights())


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("scale_filler { value: 3 } shift_filler { value: -1 }", [3, -1]),
        ("slope_filler { value: 3 }", [3, 0, 0, 1]),
    ],
)
def test_a_bn_starts_as_its_fillers_say(run, param, values):
    text = f"bn_param {{ {param} }}"
    layer = run.model("BN", {"x": np.zeros((1, 3, 4, 5))}, text).layers[-1]
    for weights, value in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(weights, np.full(3, value))


@pytest.mark.parametrize("param", ["momentum: 2", "eps: -1", "eps: nan"])
def test_a_bn_that_caffe_refuses(refused, param):
    refused("BN", {"x": np.zeros((1, 3, 4, 5))}, f"bn_param {{ {param} }}", "momentum")


@pytest.mark.parametrize("count", [1, 2])
def test_segnets_bn_gives_the_batchs_statistics(run, refused, count):
    x = normal(np.random.default_rng(0), 4, 3, 4, 5)
    blobs = [np.full((1, 3, 1, 1), value, "f4") for value in (2, 1)]
    tops = ("y", "mean", "variance")[: 1 + count]
    text = "bn_param { bn_mode: LEARN }"
    y, *found = run("BN", {"x": x}, text, blobs, tops)
    mean = x.mean((0, 2, 3), keepdims=True)
    variance = x.var((0, 2, 3), keepdims=True)
    assert_close(y, (x - mean) / np.sqrt(variance) * 2 + 1, 1e-5)
    for one, other in zip(found, (mean, variance), strict=False):
        assert_close(one, other, 1e-5)
    for other in ("bn_mode: INFERENCE", "frozen: true"):
        with pytest.raises(kcz.CaffeFormatError, match="'y'"):
            run.model("BN", {"x": x}, f"bn_param {{ {other} }}", (), tops)


def test_segnets_bn_in_place():
    """The golden of it has its input only."""
    files = [FORKS / f"bn_segnet_inplace.{end}" for end in ("prototxt", "caffemodel")]
    scale, shift = kcz.read_caffemodel(files[1])["bn"]
    with np.load(FORKS / "bn_segnet_inplace.npz") as golden:
        x = golden["blob/data"]
    expected = np.maximum(x * scale + shift, 0)
    (y,) = outputs(kcz.from_caffe(*files), nhwc(x))
    assert_close(nchw(y), expected)


# --- what is there to train, to write and to measure


@pytest.mark.parametrize("said", ["0.5", "'0.5'"])
def test_spatial_dropout_drops_channels_in_training(run, said):
    code = "python_param { module: 'spatial_dropout' layer: 'SpatialDropoutLayer' "
    text = code + f"param_str: \"{{'phase': 'TRAIN', 'p': {said}}}\" }}"
    x = np.ones((1, 64, 3, 3), "f4")
    np.testing.assert_array_equal(run("Python", {"x": x}, text), x)
    layer = run.model("Python", {"x": x}, text).layers[-1]
    trained = keras.ops.convert_to_numpy(layer(nhwc(x), training=True))
    assert set(np.unique(trained)) == {0, 2}
    np.testing.assert_array_equal(
        trained, np.broadcast_to(trained[:, :1, :1], x.shape[:1] + (3, 3, 64))
    )


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{'p': 2.0}",
        "f()",
        "[" * 500,
        "{'p': None}",
        "{'p': 1" + "0" * 400 + "}",
        "3",
    ],
)
def test_a_spatial_dropout_that_says_nothing(refused, said):
    code = "python_param { module: 'spatial_dropout' layer: 'SpatialDropoutLayer' "
    text = code + f'param_str: "{said}" }}'
    refused("Python", {"x": np.zeros((1, 2, 3, 3))}, text, "param_str")


def test_a_net_that_is_trained_and_measured_predicts(tmp_path):
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "data" type: "DenseImageData" top: "data" top: "label"
                dense_image_data_param { source: "x" batch_size: 2 new_height: 8
                                         new_width: 6 } }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
                convolution_param { num_output: 4 kernel_size: 1 } }
        layer { name: "m" type: "MatWrite" bottom: "c" mat_write_param { prefix: "p" } }
        layer { name: "s" type: "SegAccuracy" bottom: "c" bottom: "label" top: "s"
                seg_accuracy_param { ignore_label: 255 } }""")
    model = kcz.from_caffe(tmp_path / "net.prototxt")
    assert [x.name for x in model.inputs] == ["data"]
    assert model.output.shape == (None, 8, 6, 4)


def test_deeplabs_data_is_an_input(tmp_path):
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "data" type: "ImageSegData" top: "data" top: "label" top: "dim"
                transform_param { crop_size: 5 }
                image_data_param { source: "x" batch_size: 2 } }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
                convolution_param { num_output: 4 kernel_size: 1 hole: 3 } }""")
    model = kcz.from_caffe(tmp_path / "net.prototxt")
    assert model.input_shape == (None, 5, 5, 3)


# --- written and read again

NUMBERS = {
    "interp_zoom_shrink": 143,
    "interp_pad": 143,
    "interp_size": 143,
    "unpool_scale_hw": 137,
    "unpool_pad_out_h": 137,
    "unpool_size": 137,
    "upsample_nearest_2": 150,
    "bn_segnet_inference": 45,
    "bn_segnet_learn": 45,
    "bn_pspnet": 152,
    "bn_pspnet_notfrozen": 152,
    "net_enet_mini": None,
    "net_pspnet_mini": None,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_written_is_the_same_net(tmp_path, name):
    check_written_again(tmp_path, name, NUMBERS[name])
