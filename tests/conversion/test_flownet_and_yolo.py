"""FlowNet2's and YOLO's layers of random sizes, against plain NumPy, and back."""

import forks_reference as forks
import keras
import numpy as np
import pytest
from support import nchw, nhwc, relative_error, seeds

import keras_caffe_zoo as kcz
from keras_caffe_zoo.conversion.model import blob_tensor

SEEDS = seeds(2, 12)


def prototxt(kind, inputs, param="", tops=("y",), batch=None):
    text = ""
    for name, x in inputs.items():
        sizes = [batch or len(x), *x.shape[1:]]
        dims = " ".join(f"dim: {size}" for size in sizes)
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        text += f"input_param {{ shape {{ {dims} }} }} }}\n"
    ends = "".join(f' bottom: "{name}"' for name in inputs)
    ends += "".join(f' top: "{top}"' for top in tops)
    return text + f'layer {{ name: "y" type: "{kind}"{ends} {param} }}\n'


class Net:
    """Runs one layer, `y`, of a type; what is written and read again, too."""

    def __init__(self, folder):
        self.folder = folder

    def load(self, kind, inputs, param="", tops=("y",), **options):
        path = self.folder / "net.prototxt"
        path.write_text(prototxt(kind, inputs, param, tops))
        return kcz.from_caffe(path, **options)

    def __call__(self, kind, inputs, param="", tops=("y",), again=True, **options):
        model = self.load(kind, inputs, param, tops, **options)
        found = self.compute(model, inputs, tops)
        if again:
            paths = self.folder / "b.prototxt", self.folder / "b.caffemodel"
            kcz.to_caffe(model, *paths)
            twin = kcz.from_caffe(*paths)
            for a, b in zip(self.compute(twin, inputs, tops), found, strict=True):
                np.testing.assert_array_equal(a, b)
        return found if len(found) > 1 else found[0]

    @staticmethod
    def compute(model, inputs, tops):
        data = [nhwc(inputs[x.name]) for x in model.inputs]
        found = model(data if len(data) > 1 else data[0])
        found = found if isinstance(found, dict) else dict.fromkeys(tops, found)
        return [nchw(keras.ops.convert_to_numpy(found[top])) for top in tops]


@pytest.fixture
def net(tmp_path):
    return Net(tmp_path)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype("f4")


def unknown(inputs):
    """Return the shapes of maps of any size."""
    return {name: (None, None, x.shape[1]) for name, x in inputs.items()}


def assert_close(found, expected, tolerance=5e-6):
    assert relative_error(found, np.asarray(expected)) <= tolerance


@pytest.mark.parametrize("seed", SEEDS)
def test_correlation(net, rng, seed):
    kernel, stride_1 = int(rng.choice([1, 3])), int(rng.integers(1, 3))
    reach, stride_2 = int(rng.integers(0, 5)), int(rng.integers(1, 3))
    pad = int(rng.integers(0, 5))
    least = max(2 * (reach + kernel // 2 - pad) + 1, 1)
    shape = (2, 3, *(int(n) for n in least + rng.integers(0, 6, 2)))
    inputs = {"a": normal(rng, *shape), "b": normal(rng, *shape)}
    for kind in ("MULTIPLY", "SUBTRACT"):
        param = f"""correlation_param {{ pad: {pad} kernel_size: {kernel}
            max_displacement: {reach} stride_1: {stride_1} stride_2: {stride_2}
            correlation_type: {kind} }}"""
        expected = forks.correlation(
            *inputs.values(), kernel, reach, pad, stride_1, stride_2, kind != "MULTIPLY"
        )
        assert_close(net("Correlation", inputs, param), expected)
    options = {"input_shape": unknown(inputs), "again": False}
    assert_close(net("Correlation", inputs, param, **options), expected)


@pytest.mark.parametrize("kind", ["LINEAR", "CUBIC", "NEAREST"])
@pytest.mark.parametrize("seed", SEEDS)
def test_resample(net, rng, seed, kind):
    rows, columns, height = (int(n) for n in rng.integers(2, 9, 3))
    width = int(rng.integers(2, 17))
    if kind == "NEAREST":  # else the fork reads beyond the map
        height, width = 3 * rows, 2 * columns
    else:  # with uneven factors the weights at a border may add up to nothing
        times = rng.choice([0.5, 1.5, 3])
        rows, columns = 2 * rows, 2 * columns
        height, width = int(times * rows), int(times * columns)
    antialias = bool(rng.integers(2))
    x = normal(rng, 2, 3, rows, columns)
    param = f"type: {kind} antialias: {str(antialias).lower()}"
    expected = forks.resample(x, height, width, kind, antialias)
    sizes = f"resample_param {{ height: {height} width: {width} {param} }}"
    assert_close(net("Resample", {"x": x}, sizes), expected)
    inputs = {"x": x, "like": normal(rng, 2, 1, height, width)}
    param = f"resample_param {{ {param} factor: 1.0 }}"
    options = {"input_shape": unknown(inputs), "again": False}
    assert_close(net("Resample", inputs, param, **options), expected)


def test_the_nearest_pixel_is_that_of_caffes_float32(net):
    x = np.arange(60 * 60, dtype="f4").reshape(1, 1, 60, 60)
    factor = np.float32(60) / np.float32(125)
    at = np.arange(125, dtype="f4") * factor + factor / np.float32(2) - np.float32(0.5)
    nearest = [int(np.floor(float(place) + 0.5)) for place in at]
    param = "type: NEAREST height: 125 width: 125"
    found = net("Resample", {"x": x}, f"resample_param {{ {param} }}")
    np.testing.assert_array_equal(found[0, 0], x[0, 0][np.ix_(nearest, nearest)])


@pytest.mark.parametrize("seed", SEEDS)
def test_downsample_with_holes(net, rng, seed):
    rows, columns = (int(n) for n in rng.integers(3, 12, 2))
    height, width = (int(rng.integers(2, size + 1)) for size in (rows, columns))
    x = normal(rng, 2, 2, rows, columns)
    x[rng.random(x.shape) < 0.3] = np.nan
    param = f"downsample_param {{ top_height: {height} top_width: {width} }}"
    found = net("Downsample", {"x": x}, param)
    expected, even = forks.downsample(x, height, width)
    assert_close(np.where(even, 0, found), np.where(even, 0, expected))


@pytest.mark.parametrize("seed", SEEDS)
def test_accum(net, rng, seed):
    shapes = [(2, c, *(int(n) for n in rng.integers(2, 7, 2))) for c in (1, 3)]
    maps = [normal(rng, *shape) for shape in shapes]
    inputs = {"a": maps[0], "b": maps[1], "like": normal(rng, 2, 1, 8, 9)}
    param = "accum_param { have_reference: true }"
    assert_close(net("Accum", inputs, param), forks.accum(maps, 8, 9))
    del inputs["like"]
    for param, size in (
        ("", [max(a, b) for a, b in zip(shapes[0], shapes[1], strict=True)][2:]),
        ("accum_param { top_height: 7 top_width: 11 }", (7, 11)),
        ("accum_param { size_divisible_by: 8 }", (8, 8)),
    ):
        assert_close(net("Accum", inputs, param), forks.accum(maps, *size))


@pytest.mark.parametrize("seed", SEEDS)
def test_flow_warp(net, rng, seed):
    rows, columns = (int(n) for n in rng.integers(1, 8, 2))
    image = normal(rng, 3, 2, rows, columns)
    flow = 2 * normal(rng, 3, 2, rows, columns)
    flow[0] = np.round(flow[0])  # exactly on pixels, and on the border
    inputs = {"image": image, "flow": flow}
    assert_close(net("FlowWarp", inputs), forks.flow_warp(image, flow, 0))
    param = "flow_warp_param { fill_value: NOT_A_NUMBER }"
    options = {"input_shape": unknown(inputs), "again": False}
    expected = forks.flow_warp(image, flow, np.nan)
    assert_close(net("FlowWarp", inputs, param), expected)
    assert_close(net("FlowWarp", inputs, param, **options), expected)


@pytest.mark.parametrize("channels", [4, 5, 1])
def test_mean_of_several_blobs(net, channels):
    rng = np.random.default_rng(0)
    inputs = {name: normal(rng, 2, channels, 3, 5) for name in "ab"}
    param = """mean_param { operation: SUBTRACT value: 0.5 value: -2 mean_scale: 3
        input_scale: 0.1 output_scale: 7 }"""
    found = net("Mean", inputs, param, tops=("y", "z"))
    for x, y in zip(inputs.values(), found, strict=True):
        mean = np.resize([0.5, -2], x.shape[1]).reshape(1, -1, 1, 1)
        assert_close(y, 7 * (0.1 * x - 3 * mean))


def test_channel_norm_has_a_gradient_of_zero_at_zero(net):
    from support import gradients

    x = np.zeros((1, 3, 2, 2), "f4")
    x[0, :, 0, 0] = (2, 3, 6)
    model = net.load("ChannelNorm", {"x": x})
    assert_close(net("ChannelNorm", {"x": x}), [[[[7, 0], [0, 0]]]])
    found, _ = gradients(model, nhwc(x), np.ones((1, 2, 2, 1), "f4"))
    assert_close(nchw(found), x / 7)


def test_the_mean_of_images_is_taken_from_the_caffemodel(tmp_path):
    images = np.random.default_rng(0).random((2, 3, 4, 5), "f4")
    mean = np.array([0.3, 0.4, 0.5], "f4")
    param = "augmentation_param {{ {} recompute_mean: 10 mean_per_pixel: {} }}"
    pixels = np.random.default_rng(1).random((1, 3, 4, 5), "f4")
    for each, blob, expected in (
        ("false", np.zeros((1, 3, 8, 9), "f4"), images - mean.reshape(-1, 1, 1)),
        ("true", pixels, images - pixels),
    ):
        text = prototxt("DataAugmentation", {"x": images}, param.format("", each))
        (tmp_path / "net.prototxt").write_text(text)
        blobs = [np.full((1, 1, 1, 1), 10, "f4"), blob, mean.reshape(1, 3, 1, 1)]
        kcz.write_caffemodel(tmp_path / "net.caffemodel", {"y": blobs})
        model = kcz.from_caffe(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
        assert_close(nchw(model(nhwc(images))), expected)
        paths = tmp_path / "b.prototxt", tmp_path / "b.caffemodel"
        kcz.to_caffe(model, *paths)
        assert_close(nchw(kcz.from_caffe(*paths)(nhwc(images))), expected)
        blobs[0] -= 1
        kcz.write_caffemodel(tmp_path / "net.caffemodel", {"y": blobs})
        with pytest.raises(kcz.CaffeFormatError, match="mean of 10 images"):
            kcz.from_caffe(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")


def test_losses_leave_what_they_read(tmp_path):
    x = {name: np.zeros((1, 2, 4, 4), "f4") for name in ("x", "truth")}
    for kind in ("L1Loss", "LpqLoss", "RegionLoss", "Yolov3", "EvalDetection"):
        text = prototxt("Convolution", {**x}, "").replace("Convolution", kind)
        relu = 'layer { name: "r" type: "ReLU" bottom: "x" top: "x_" } '
        text = text.replace('layer { name: "y"', relu + 'layer { name: "y"')
        text = text.replace('bottom: "x" bottom', 'bottom: "x_" bottom')
        (tmp_path / "net.prototxt").write_text(text)
        model = kcz.from_caffe(tmp_path / "net.prototxt")
        assert model.output.shape == (None, 4, 4, 2), kind


def test_files_become_inputs_and_outputs(tmp_path):
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "d" type: "CustomData" top: "a" top: "b" top: "flow"
            data_param { source: "x" batch_size: 4 slice_point: 3 slice_point: 6
                         encoding: UINT8 verbose: true } }
        layer { name: "i" type: "ImgReader" top: "c" reader_param { file: "c.ppm" } }
        layer { name: "y" type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "y" }
        layer { name: "w" type: "FLOWriter" bottom: "y" writer_param { file: "y" } }
        """)
    model = kcz.from_caffe(tmp_path / "net.prototxt")
    assert [x.name for x in model.inputs] == ["a", "b", "c"]
    assert {x.shape for x in model.inputs} == {(None, None, None, 3)}
    assert model.output.shape == (None, None, None, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_reorg(net, rng, seed):
    stride = int(rng.integers(1, 4))
    channels, rows, columns = (int(n) for n in rng.integers(1, 4, 3))
    shape = (2, channels * stride**2, rows * stride, columns * stride)
    x = normal(rng, *shape)
    for reverse in (False, True):
        param = f"reorg_param {{ stride: {stride} reverse: {str(reverse).lower()} }}"
        expected = forks.reorg(x, stride, reverse)
        found = net("Reorg", {"x": x}, param)
        np.testing.assert_array_equal(found, expected)
        options = {"input_shape": unknown({"x": x}), "again": False}
        found = net("Reorg", {"x": x}, param, **options)
        np.testing.assert_array_equal(found, expected)


def assert_rows(found, every, most=None):
    """Assert that (N, K, 7) has the rows of each item, and only those."""
    assert len(found) == len(every)
    for item, (rows, expected) in enumerate(zip(found, every, strict=True)):
        np.testing.assert_array_equal(rows[:, 0], item)
        expected = np.array(expected[:most]).reshape(-1, 6)
        there = rows[:, 1] >= 0
        assert there.tolist() == sorted(there, reverse=True)
        assert there.sum() == len(expected)
        np.testing.assert_allclose(rows[there, 1:], expected, rtol=1e-4, atol=1e-5)
        assert (rows[~there, 1:] == -1).all()


ANCHORS = [(1.1, 1.2), (3.4, 4.4), (6.6, 2.1)]
YOLO2 = "yolo_detection_output_param {{ num_classes: 3 num_box: 3 {} {} }}"


def listed(name, values):
    return " ".join(f"{name}: {value}" for value in np.ravel(values))


@pytest.mark.parametrize("seed", SEEDS)
def test_yolo2_detects_in_each_item(net, rng, seed):
    maps = [2 * normal(rng, 3, 24, size, size) for size in (2, 4)]
    maps[0][1, 4::8] = maps[1][1, 4::8] = -20  # nothing in the second item
    more = "confidence_threshold: 0.3 nms_threshold: 0.35"
    param = YOLO2.format(more, listed("biases", ANCHORS))
    every = forks.yolo2(maps, ANCHORS, 3, 0.3, 0.35)
    assert [bool(rows) for rows in every] == [True, False, True]
    inputs = dict(zip(("a", "b"), maps, strict=True))
    found = net("YoloDetectionOutput", inputs, param)
    assert found.shape == (3, 60, 7)
    assert_rows(found, every)
    found = net("YoloDetectionOutput", inputs, param, again=False, max_detections=2)
    assert found.shape == (3, 2, 7)
    assert_rows(found, every, 2)
    assert_rows(
        net("YoloDetectionOutput", {"a": maps[0]}, param),
        forks.yolo2(maps[:1], ANCHORS, 3, 0.3, 0.35),
    )


@pytest.mark.parametrize("threshold", [0.3, 1.5])
@pytest.mark.parametrize("seed", SEEDS)
def test_yolo3_detects_in_each_item(net, rng, seed, threshold):
    maps = [2 * normal(rng, 2, 21, rows, 2 * rows) for rows in (1, 2)]
    biases = [(10, 14), (23, 27), (37, 58), (81, 82)]
    masks, scales = [(2, 3, 1), (1, 0, 3)], (32, 16)
    param = f"""yolov3_detection_output_param {{ num_classes: 2 num_box: 3
        confidence_threshold: 0.2 nms_threshold: {threshold}
        {listed("biases", biases)} {listed("mask", masks)}
        {listed("anchors_scale", scales)} }}"""
    every = forks.yolo3(maps, biases, masks, scales, 2, 0.2, threshold)
    inputs = dict(zip(("a", "b"), maps, strict=True))
    assert_rows(net("Yolov3DetectionOutput", inputs, param), every)


@pytest.mark.parametrize("seed", SEEDS)
def test_ctc_greedy_decoder(net, rng, seed):
    values = normal(rng, 9, 4, 3)
    begins = (rng.random((9, 4)) < 0.85).astype("f4")
    inputs = {"values": values, "begins": begins}
    for blank, merge in ((-1, "true"), (0, "false"), (1, "true")):
        param = f"blank_index: {blank} ctc_merge_repeated: {merge}"
        param = f"ctc_decoder_param {{ {param} }}"
        expected = forks.ctc(values, begins, blank, merge == "true")
        found = net("CTCGreedyDecoder", inputs, param, tops=("y", "score"))
        np.testing.assert_array_equal(found[0], expected[0])
        assert_close(found[1], expected[1])
    found = net("CTCGreedyDecoder", inputs, param)
    np.testing.assert_array_equal(found, expected[0])


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_reverse(net, axis):
    x = np.arange(120, dtype="f4").reshape(2, 3, 4, 5)
    param = f"reverse_param {{ axis: {axis} }}"
    np.testing.assert_array_equal(net("Reverse", {"x": x}, param), np.flip(x, axis))


def test_an_eltwise_of_one_blob_scales_it(net):
    x = np.arange(6, dtype="f4").reshape(1, 1, 2, 3)
    found = net("Eltwise", {"x": x}, "eltwise_param { coeff: 0.5 }")
    np.testing.assert_array_equal(found, x / 2)
    np.testing.assert_array_equal(net("Eltwise", {"x": x}), x)
    with pytest.raises(kcz.CaffeFormatError, match="several bottoms"):
        net("Eltwise", {"x": x}, "eltwise_param { operation: MAX }")


A, B = np.zeros((1, 4, 6, 6), "f4"), np.zeros((1, 4, 5, 6), "f4")
BAD = {
    "Correlation": [
        ([A, A], "max_displacement: 1", "kernel_size"),
        ([A, A], "kernel_size: 1", "max_displacement"),
        ([A, A], "kernel_size: 2 max_displacement: 1", "odd"),
        ([A, A], "kernel_size: 1 max_displacement: 3", "at least 7 rows"),
        ([A, A], "kernel_size: 1 max_displacement: 1 stride_1: 0", "stride_1"),
        ([A, A], "kernel_size: 1 max_displacement: 1 stride_2: 0", "stride_2"),
        ([A, B], "kernel_size: 1 max_displacement: 1", "same shape"),
        ([A, A], "kernel_size: 1 max_displacement: 4000000000", "displacements"),
        ([A, A], "kernel_size: 1 max_displacement: 1 pad: 2147483648", "pad"),
        ([A[:, :, 0], A[:, :, 0]], "kernel_size: 1 max_displacement: 0", "N, C, H"),
    ],
    "Resample": [
        ([A], "width: 3", "height"),
        ([A], "width: 3 height: 0", "height"),
        ([A], "width: 4000000000 height: 4000000000", "at most"),
        ([A], "width: 3 height: 3 type: AREA", "AREA"),
        ([A], "width: 12 height: 6 type: NEAREST", "resized alike"),
        ([A[:, :, 0]], "width: 12 height: 6", "N, C, H, W"),
    ],
    "Downsample": [
        ([A], "", "top_height"),
        ([A], "top_height: 1 top_width: 3", "at least 2 rows"),
    ],
    "FlowWarp": [([A, A], "", "flow"), ([A, B[:, :2]], "", "flow")],
    "ChannelNorm": [([A[:, :, 0]], "", "N, C, H, W")],
    "Mean": [
        ([A], "operation: ADD", "value"),
        ([A], 'operation: ADD file: "mean.bin"', "not read"),
    ],
    "Accum": [
        ([A], "have_reference: true", "one bottom"),
        ([A], "size_divisible_by: 0", "size_divisible_by"),
    ],
    "DataAugmentation": [
        ([A], "", "mean"),
        ([A], "recompute_mean: 9 crop_width: 3 crop_height: 3", "crop"),
    ],
    "Reorg": [
        ([A], "", "stride"),
        ([A], "stride: 3", "multiple of 9"),
        ([B], "stride: 2", "multiples of 2 rows"),
        ([A[:, :, 0]], "stride: 2", "N, C, H, W"),
    ],
    "YoloDetectionOutput": [
        ([A], "biases: [1, 2] num_box: 1", "N, 25, H, W"),  # 20 classes
        ([A], "num_classes: 3", "biases"),
        ([A], "num_classes: 0 biases: [1, 2] num_box: 1", "num_classes"),
        ([A], "num_classes: 3 biases: [1, 2] num_box: 1", "N, 8, H, W"),
        ([A], "num_classes: 3 biases: [1, nan] num_box: 1", "finite"),
        ([A], "num_classes: 3 biases: [1, 2] num_box: 1 coords: 5", "coords"),
        ([A], "num_classes: 3 nms_threshold: nan", "nms_threshold"),
        ([np.zeros((1, 8, 2, 3))], "num_classes: 3 biases: [1, 2] num_box: 1", "rows"),
    ],
    "Yolov3DetectionOutput": [
        ([A], "num_classes: 3", "mask_group_num"),
        ([A], "num_classes: 3 mask_group_num: 1", "anchors for each"),
        ([A], "num_classes: 3 mask_group_num: 1 num_box: 0", "num_box"),
        ([A], "num_classes: 3 mask_group_num: 1 gaussian_box: true", "gaussian_box"),
        (
            [A],
            "num_classes: 3 mask_group_num: 1 num_box: 1 mask: 1 biases: [1, 2]",
            "mask",
        ),
        (
            [A],
            "num_classes: 3 mask_group_num: 1 num_box: 1 mask: 0 biases: [1, 2]",
            "anchors_scale",
        ),
    ],
    "Reverse": [([A], "axis: 4", "axis"), ([A], "axis: -1", "axis")],
    "CTCGreedyDecoder": [([A, A], "", "T, N, C")],
}
MESSAGES = {
    "Correlation": "correlation_param",
    "Resample": "resample_param",
    "Downsample": "downsample_param",
    "FlowWarp": "flow_warp_param",
    "ChannelNorm": "",
    "Mean": "mean_param",
    "Accum": "accum_param",
    "DataAugmentation": "augmentation_param",
    "Reorg": "reorg_param",
    "YoloDetectionOutput": "yolo_detection_output_param",
    "Yolov3DetectionOutput": "yolov3_detection_output_param",
    "Reverse": "reverse_param",
    "CTCGreedyDecoder": "ctc_decoder_param",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_the_forks_refuse_too_names_the_layer(net, kind):
    for blobs, param, said in BAD[kind]:
        inputs = dict(zip("ab", blobs, strict=False))
        param = f"{MESSAGES[kind]} {{ {param} }}" if MESSAGES[kind] else ""
        with pytest.raises(kcz.CaffeFormatError, match=f"'y'.*{said}"):
            net.load(kind, inputs, param)


def test_more_detections_than_anyone_can_want_have_to_be_asked_for(net):
    inputs = {"a": np.zeros((1, 80, 200, 200), "f4")}
    param = YOLO2.replace("num_box: 3", "num_box: 10")
    param = param.format(listed("biases", range(20)), "")
    with pytest.raises(kcz.CaffeFormatError, match="400,000.*max_detections"):
        net.load("YoloDetectionOutput", inputs, param)
    model = net.load("YoloDetectionOutput", inputs, param, max_detections=50)
    assert model.output.shape == (None, 50, 7)


# As FlowNet2's own, `FlowNet2_deploy.prototxt.template` filled in, but for the sizes.
DEPLOY = """
input: "img0" input: "img1"
input_shape { dim: 1 dim: 3 dim: 14 dim: 15 }
input_shape { dim: 1 dim: 3 dim: 14 dim: 15 }
layer { name: "Eltwise1" type: "Eltwise" bottom: "img0" top: "img0s"
    eltwise_param { operation: SUM coeff: 0.00392156862745098 } }
layer { name: "Eltwise2" type: "Eltwise" bottom: "img1" top: "img1s"
    eltwise_param { operation: SUM coeff: 0.00392156862745098 } }
layer { name: "img0s_aug" type: "DataAugmentation" bottom: "img0s" top: "img0_nomean"
    augmentation_param {
        augment_during_test: true recompute_mean: 1000 mean_per_pixel: false } }
layer { name: "img1s_aug" type: "DataAugmentation" bottom: "img1s" top: "img1_nomean"
    augmentation_param {
        augment_during_test: true recompute_mean: 1000 mean_per_pixel: false } }
layer { name: "Resample1" type: "Resample" bottom: "img0_nomean" top: "a"
    resample_param { width: 16 height: 16 type: LINEAR antialias: true } }
layer { name: "Resample2" type: "Resample" bottom: "img1_nomean" top: "b"
    resample_param { width: 16 height: 16 type: LINEAR antialias: true } }
layer { name: "conv1" type: "Convolution" bottom: "a" bottom: "b" top: "conv1a"
    top: "conv1b" param { lr_mult: 0 decay_mult: 0 }
    convolution_param { num_output: 4 pad: 3 kernel_size: 7 stride: 2 engine: CUDNN
        weight_filler { type: "msra" } bias_filler { type: "constant" } } }
layer { name: "ReLU1" type: "ReLU" bottom: "conv1a" top: "conv1a"
    relu_param { negative_slope: 0.1 engine: CUDNN } }
layer { name: "corr" type: "Correlation" bottom: "conv1a" bottom: "conv1b" top: "corr"
    correlation_param {
        pad: 4 kernel_size: 1 max_displacement: 4 stride_1: 1 stride_2: 2 } }
layer { name: "predict" type: "Convolution" bottom: "corr" top: "flow2"
    convolution_param { num_output: 2 pad: 1 kernel_size: 3 stride: 1 } }
layer { name: "Eltwise3" type: "Eltwise" bottom: "flow2" top: "blob41"
    eltwise_param { operation: SUM coeff: 20.0 } }
layer { name: "Accum1" type: "Accum" bottom: "blob41" bottom: "a" top: "blob42"
    accum_param { have_reference: true } }
layer { name: "FlowWarp1" type: "FlowWarp" bottom: "b" bottom: "blob42" top: "blob43" }
layer { name: "Eltwise4" type: "Eltwise" bottom: "a" bottom: "blob43" top: "blob44"
    eltwise_param { operation: SUM coeff: 1.0 coeff: -1.0 } }
layer { name: "ChannelNorm1" type: "ChannelNorm" bottom: "blob44" top: "blob45" }
layer { name: "Resample4" type: "Resample" bottom: "flow2" bottom: "a" top: "blob46"
    resample_param { type: NEAREST antialias: false factor: 1.0 } }
layer { name: "Concat6" type: "Concat" bottom: "blob46" bottom: "blob45" top: "blob47"
    concat_param { axis: 1 } }
layer { name: "fuse" type: "Convolution" bottom: "blob47" top: "blob172"
    convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "Resample5" type: "Resample" bottom: "blob172" top: "predict_flow_resize"
    resample_param { width: 15 height: 14 type: LINEAR antialias: true } }
layer { name: "scale_conv1" type: "Convolution" bottom: "predict_flow_resize"
    top: "predict_flow_final"
    convolution_param { num_output: 2 pad: 0 kernel_size: 1 stride: 1
        weight_filler { type: "diagonal" diag_val: 0.9375 diag_val: 0.875 }
        bias_filler { type: "constant" } } }
"""


def test_a_deploy_net_of_flownet2(tmp_path):
    path, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    path.write_text(DEPLOY)
    start = kcz.from_caffe(path)
    params = kcz.caffe_params(start)
    np.testing.assert_array_equal(
        params["scale_conv1"][0][:, :, 0, 0].diagonal(), [15 / 16, 14 / 16]
    )
    del params["scale_conv1"]  # as in the published caffemodels
    for name, mean in (("img0s_aug", 0.25), ("img1s_aug", 0.75)):
        params[name] = [
            np.full((1, 1, 1, 1), 1e6, "f4"),
            np.full((1, 3, 384, 448), mean, "f4"),
            np.full((1, 3, 1, 1), mean, "f4"),
        ]
    kcz.write_caffemodel(weights, params)
    model = kcz.from_caffe(path, weights)
    rng = np.random.default_rng(0)
    images = [rng.uniform(0, 255, (2, 14, 15, 3)).astype("f4") for _ in range(2)]
    read = keras.Model(
        model.inputs,
        [blob_tensor(model, name) for name in ("b", "predict_flow_resize")],
    )
    b, resized = (keras.ops.convert_to_numpy(y) for y in read(images))
    expected = forks.resample(nchw(images[1]) / 255 - 0.75, 16, 16)
    assert_close(nchw(b), expected)
    found = keras.ops.convert_to_numpy(model(images))
    assert found.shape == (2, 14, 15, 2)
    assert_close(found, resized * [15 / 16, 14 / 16])
    kcz.to_caffe(model, tmp_path / "b.prototxt", tmp_path / "b.caffemodel")
    again = kcz.from_caffe(tmp_path / "b.prototxt", tmp_path / "b.caffemodel")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(images)), found)
