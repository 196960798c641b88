"""Layers that detect, propose and look at regions, as ONNX files and as Keras layers.

The Keras layers are held against Caffe and against loops over boxes elsewhere.
"""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from support import GOLDENS, nchw, relative_error, seeds

from keras_caffe_zoo import CaffeFormatError, layers
from keras_caffe_zoo.conversion.preparing import prepared_net
from keras_caffe_zoo.onnx.api import model_graph, net_graph
from keras_caffe_zoo.onnx.file import model_proto
from keras_caffe_zoo.rules import rule_for

FORKS = GOLDENS / "forks"


def computed(graph, blobs):
    proto = model_proto(graph)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    names = [x.name for x in session.get_inputs()]
    return session.run(None, dict(zip(names, blobs, strict=True)))


def agree(layer, arrays, shapes=None):
    """Hold a layer's ONNX operations against the layer, which is given arrays NHWC.

    Args:
        layer: The Keras layer.
        arrays: Its inputs.
        shapes: Those of the model's inputs; all items free if not given.
    """
    shapes = shapes or [(None, *x.shape[1:]) for x in arrays]
    inputs = [
        keras.Input(batch_shape=shape, name=f"in{i}") for i, shape in enumerate(shapes)
    ]
    one = len(inputs) == 1
    model = keras.Model(inputs, layer(inputs[0] if one else inputs))
    wanted = layer(arrays[0] if one else [keras.ops.array(x) for x in arrays])
    wanted = wanted if isinstance(wanted, list) else [wanted]
    found = computed(model_graph(model), [nchw(x) for x in arrays])
    for value, y in zip(found, wanted, strict=True):
        want = rule_for(layer).blob(layer, keras.ops.convert_to_numpy(y))
        assert relative_error(value, want) <= 2e-6


def pick(rng, *values):
    return values[int(rng.integers(len(values)))]


@pytest.mark.parametrize("seed", seeds(4, 100))
def test_detections_are_the_layers(seed, run_seed):
    rng = np.random.default_rng([seed, run_seed])
    classes, count = int(rng.integers(2, 5)), int(rng.integers(1, 40))
    items, share = int(rng.integers(1, 4)), bool(seed % 2)
    layer = layers.CaffeDetectionOutput(
        classes,
        share_location=share,
        background_label_id=int(rng.integers(-1, classes)),
        nms_threshold=pick(rng, 0.0, 0.3, 0.6, 0.9, 1.0),
        top_k=pick(rng, None, 15),
        eta=pick(rng, 1.0, 0.9),
        code_type=pick(rng, "corner", "center_size", "corner_size"),
        keep_top_k=pick(rng, None, 9),
        variance_encoded_in_target=bool(rng.integers(2)),
        confidence_threshold=pick(rng, None, 0.3, 0.999),
        clip=pick(rng, False, True),
    )
    centre, half = rng.uniform(0.2, 0.8, (count, 2)), rng.uniform(0.05, 0.2, (count, 2))
    corners = np.concatenate([centre - half, centre + half], 1).reshape(-1)
    variances = np.tile([0.1, 0.1, 0.2, 0.2], count)
    offsets = rng.normal(size=(items, count * 4 * (1 if share else classes)))
    scores = rng.random((items, count * classes)).round(pick(rng, 1, 7))
    priors = np.stack([corners, variances])[None]
    agree(layer, [np.float32(x) for x in (offsets, scores, priors)])


def test_of_boxes_that_overlap_by_the_threshold_both_stay():
    corners = np.float32([0, 0, 1, 1, 0, 0, 1, 0.5])
    arrays = [np.zeros((1, 8)), [[0.9, 0.8]], [[corners, np.ones(8)]]]
    arrays = [np.float32(x) for x in arrays]
    for threshold, rows in ((0.5, 2), (0.49, 1)):
        layer = layers.CaffeDetectionOutput(1, True, -1, threshold)
        agree(layer, arrays)
        assert len(rule_for(layer).blob(layer, layer(arrays))[0, 0]) == rows


@pytest.mark.parametrize("options", [{"top_k": 0}, {"keep_top_k": 0}])
def test_of_no_detections_each_item_has_a_row(options):
    rng = np.random.default_rng(0)
    arrays = [rng.random(shape) for shape in ((3, 20), (3, 10), (1, 2, 20))]
    layer = layers.CaffeDetectionOutput(2, **options)
    agree(layer, [np.float32(x) for x in arrays])


SIZED = [(None, None, None, 2), (None, None, None, 3)]
PRIORS = [
    layers.CaffePriorBox(
        [4.9, 9], [7, 12], [2, 3, 2], clip=True, variance=[1, 2, 3, 4]
    ),
    layers.CaffePriorBox([5], flip=False, aspect_ratios=[2], step=(3, 4), offset=0.25),
    layers.CaffePriorBoxClustered([3.5, 8], [4, 5.5], image_size=(30, 40)),
]


@pytest.mark.parametrize("shapes", [None, SIZED])
@pytest.mark.parametrize("layer", PRIORS, ids=lambda x: x.name)
def test_priors_are_the_layers(layer, shapes):
    arrays = [np.zeros((1, 5, 7, 2), "float32"), np.zeros((1, 41, 50, 3), "float32")]
    agree(layer, arrays, shapes)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("seed", seeds(1, 30))
@pytest.mark.parametrize("kind", ["roi_pooling", "psroi_pooling", "roi_align"])
def test_regions_are_the_layers(kind, seed, free, run_seed):
    rng = np.random.default_rng([seed, run_seed])
    bins, scale = rng.integers(1, 6, 2).tolist(), pick(rng, 1 / 16, 0.3, 1.0)
    layer = {
        "roi_pooling": lambda: layers.CaffeROIPooling(*bins, scale),
        "psroi_pooling": lambda: layers.CaffePSROIPooling(3, bins[0], scale),
        "roi_align": lambda: layers.CaffeROIAlign(*bins, scale, pick(rng, -1, 2)),
    }[kind]()
    channels = 3 * bins[0] ** 2 if kind == "psroi_pooling" else 4
    items, height, width = rng.integers(1, 13, 3).tolist()
    maps = np.float32(rng.normal(size=(items, height, width, channels)))
    rois = rng.uniform(-3, 20, (9, 5)) / scale
    rois[:, 0] = rng.integers(0, items, 9)
    rois[:4] = rois[:4].round()
    rois[3, 3:] = rois[3, 1:3] - 4  # ends before it begins
    shapes = [(None, None, None, channels), (None, 5)] if free else None
    agree(layer, [maps, np.float32(rois)], shapes)


def test_a_mean_of_no_item_is_not_a_number():
    x = np.ones((1, 4, 4, 4), "float32")
    rois = np.float32([[0, 0, 0, 3, 3], [1, 0, 0, 3, 3], [-1, 0, 0, 3, 3]])
    agree(layers.CaffePSROIPooling(1, 2, 1.0), [x, rois])


@pytest.mark.parametrize("seed", seeds(3, 60))
def test_proposals_are_the_layers(seed, run_seed):
    rng = np.random.default_rng([seed, run_seed])
    items, height, width = rng.integers(1, 6, 3).tolist()
    settings = {
        "RPN_PRE_NMS_TOP_N": pick(rng, 0, 20),
        "RPN_POST_NMS_TOP_N": pick(rng, 0, 6),
        "RPN_NMS_THRESH": pick(rng, 0.3, 0.7, 1.0),
        "RPN_MIN_SIZE": pick(rng, 0, 9, 20),
    }
    layer = layers.CaffeProposal(
        8,
        16,
        [0.5, 1.3],
        [1, 3],
        settings["RPN_MIN_SIZE"],
        *list(settings.values())[:3],
        drop_small=bool(seed % 2),
        with_scores=bool(rng.integers(2)),
    )
    scores = rng.random((items, height, width, 8)).round(pick(rng, 1, 7))
    moves = rng.normal(size=(items, height, width, 16)) / 3
    info = [[height * 8, width * 8, 1.2, 0.9]] * items
    info = np.float32(info)[:, : pick(rng, 3, 4)]
    shapes = [(None, None, None, 8), (None, None, None, 16), (None, info.shape[1])]
    arrays = [np.float32(scores), np.float32(moves), info]
    agree(layer, arrays, pick(rng, None, shapes))


@pytest.mark.parametrize("seed", seeds(4, 60))
def test_what_yolo_finds_is_the_layers(seed, run_seed):
    rng = np.random.default_rng([seed, run_seed])
    items, side = rng.integers(1, 4, 2).tolist()
    classes = int(rng.integers(2, 5))
    biases = rng.uniform(1, 4, 8).round(2).tolist()
    options = {
        "confidence_threshold": pick(rng, 0.1, 0.4, 0.99),
        "nms_threshold": pick(rng, 0.0, 0.3, 0.6, 1.0, 1.5),
        "max_detections": pick(rng, None, 4),
    }
    if seed % 2:
        layer = layers.CaffeYoloDetections(classes, biases, 2, **options)
        sizes = [(side, side)]
    else:
        masks = [[3, 1], [0, 2]]
        layer = layers.CaffeYolov3Detections(classes, biases, masks, [2, 1], **options)
        sizes = [(side, 2), (3, side)]
    shapes = [(items, *size, 2 * (5 + classes)) for size in sizes]
    arrays = [np.float32(rng.normal(size=shape)) for shape in shapes]
    agree(layer, arrays)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shapes", [None, [(None, None, None, 18)]])
def test_reorg_is_the_layers(reverse, shapes):
    x = np.arange(2 * 6 * 9 * 18, dtype="float32").reshape(2, 6, 9, 18)
    agree(layers.CaffeReorg(3, reverse), [x], shapes)


@pytest.mark.parametrize(
    ("case", "old", "new", "said"),
    [
        ("detection_eta", "eta: 0.8", "eta: 0.9999", "eta.*64 steps"),
        ("detection_eta", "eta: 0.8", "eta: 0", "'y'.*`eta`"),
        ("detection_corner", "num_classes: 4", "num_classes: 3", "priors"),
        ("prior_min", "min_size: 30", "min_size: -3", "'y'.*`min_sizes`"),
        ("prior_min", "min_size: 30", "", "'y'.*`min_sizes`"),
        ("prior_min", "30", "30 variance: 0", "'y'.*`variance`"),
        ("roipool_6x6", "pooled_h: 6", "", "pooled_h"),
        ("roipool_6x6", "dim: 5 dim: 5", "dim: 5 dim: 4", "regions"),
        ("psroi_3x3", "output_dim: 4", "output_dim: 5", "output_dim"),
        ("roialign_s2", "spatial_scale: 0.0625", "spatial_scale: -1", "spatial_scale"),
        ("proposal_cpp_vgg", "dim: 18", "dim: 17", "bottoms of 18"),
        ("yolov2_one", "num_classes: ", "num_classes: 1", "'y'.*maps"),
        ("yolov2_one", "biases: ", "# ", "'y'.*`biases`"),
        ("yolov3_rect", "anchors_scale: ", "# ", "'y'.*`anchors_scale`"),
        ("reorg_s2", "stride: 2", "stride: 0", "stride"),
        ("reorg_s2", "stride: 2", "stride: 7", "multiple"),
    ],
)
def test_what_the_layers_refuse_is_refused(case, old, new, said, tmp_path):
    text = " ".join((FORKS / f"{case}.prototxt").read_text().split("\n"))
    text = text.replace("biases", "\nbiases").replace("anchors_", "\nanchors_")
    text = text.replace("}", "\n}")
    assert old in text
    path = tmp_path / "net.prototxt"
    path.write_text(text.replace(old, new))
    with pytest.raises(CaffeFormatError, match=said):
        net_graph(prepared_net(path, None))
