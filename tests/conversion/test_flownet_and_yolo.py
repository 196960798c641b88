"""FlowNet 2's and YOLO's layers of random sizes, against plain NumPy, and back."""

import forks_reference as forks
import keras
import numpy as np
import pytest
from support import nchw, nhwc, relative_error, seeds

import keras_caffe_zoo as kcz

SEEDS = seeds(2, 12)


@pytest.fixture
def rng(seed, run_seed):
    return np.random.default_rng([seed, run_seed])


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


@pytest.mark.parametrize("seed", SEEDS)
def test_downsample_with_holes(net, rng, seed):
    rows, columns = (int(n) for n in rng.integers(3, 12, 2))
    height, width = (int(rng.integers(2, size + 1)) for size in (rows, columns))
    x = normal(rng, 2, 2, rows, columns)
    x[rng.random(x.shape) < 0.3] = np.nan
    param = f"downsample_param {{ top_height: {height} top_width: {width} }}"
    found = net("Downsample", {"x": x}, param)
    assert_close(found, forks.downsample(x, height, width))


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


def test_mean_of_several_blobs(net):
    rng = np.random.default_rng(0)
    inputs = {"a": normal(rng, 2, 4, 3, 5), "b": normal(rng, 2, 4, 3, 5)}
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
        ([A], "operation: ADD value: [1, 2, 3]", "multiple of 3"),
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
        ([A], "num_box: 1", "num_classes"),
        ([A], "num_classes: 3", "biases"),
        ([A], "num_classes: 0 biases: [1, 2] num_box: 1", "num_classes"),
        ([A], "num_classes: 3 biases: [1, 2] num_box: 1", "N, H, W, 8"),
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
