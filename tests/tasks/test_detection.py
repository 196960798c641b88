"""Detections in the picture's own pixels, of nets whose answers are known."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from support import GOLDENS

import keras_caffe_zoo as kcz
from keras_caffe_zoo.layers import CaffeDetectionOutput, CaffeYoloDetections
from keras_caffe_zoo.preprocessing import fit
from keras_caffe_zoo.tasks.boxes import Names, sorted_detections
from keras_caffe_zoo.tasks.detectors import classes_of, has_fixed_size
from keras_caffe_zoo.tasks.regions import clipped, moved, refined
from keras_caffe_zoo.weights.manifest import Resize

FORKS = GOLDENS / "forks"
PIXELS = np.random.default_rng(0).integers(0, 256, (90, 150, 3), "uint8")
PRIORS = [[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 1.2, 0.9], [0.11, 0.2, 0.5, 0.6]]
CHANCES = [[0.1, 0.2, 0.7], [0.05, 0.9, 0.05], [0.3, 0.1, 0.6]]
NAMES = ["background", "cat", "dog"]


def known(x, values, shape):
    """Return numbers that do not depend on x, but say that they do."""
    layer = keras.layers.Dense(np.size(values), kernel_initializer="zeros")
    y = layer(keras.layers.GlobalAveragePooling2D()(x))
    layer.bias.assign(np.ravel(values))
    return keras.layers.Reshape(shape)(y)


def ssd(background=0, more=False, sides=(20, 30)):
    """Return an SSD of three classes that always finds the same three boxes."""
    x = keras.Input((*sides, 3), name="data")
    offsets = known(x, np.zeros(12), (12,))
    chances = known(x, CHANCES, (9,))
    priors = known(x, [PRIORS, np.ones((3, 4))], (2, 12))
    options = {"nms_threshold": 0.45, "confidence_threshold": 0.01, "keep_top_k": 8}
    layer = CaffeDetectionOutput(3, background_label_id=background, **options)
    y = layer([offsets, chances, priors])
    return keras.Model(x, {"found": y, "chances": chances} if more else y)


@pytest.fixture(scope="module")
def detector():
    return ssd()


def test_boxes_are_in_the_pictures_own_pixels(detector):
    found = kcz.detect(detector, PIXELS, mean=0, threshold=0.05)
    assert found.size == (90, 150)
    assert len(found) == 4
    # 0.1 of 150 pixels is 15, 0.2 of 90 is 18; what reaches out of it is cut off. The
    # dog's second box overlaps its first.
    expected = [
        (1, 0.9, [75, 45, 150, 81]),
        (2, 0.7, [15, 18, 75, 54]),
        (1, 0.2, [15, 18, 75, 54]),
        (2, 0.05, [75, 45, 150, 81]),
    ]
    assert found.labels.tolist() == [label for label, _, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected])
    np.testing.assert_allclose(found.boxes, [box for *_, box in expected], atol=1e-4)
    assert found.boxes.dtype == found.scores.dtype == "float32"
    assert found.labels.dtype == "int64"
    assert found.names == ["class 1", "class 2", "class 1", "class 2"]


def test_the_threshold_is_the_least_score(detector):
    for threshold, count in {0.7: 2, 0.71: 1}.items():
        found = kcz.detect(detector, PIXELS, mean=0, threshold=threshold)
        assert len(found) == count
    with pytest.raises(ValueError, match="threshold from 0 to 1; received: .*=50"):
        kcz.detect(detector, PIXELS, mean=0, threshold=50)


def test_pictures_of_all_sizes_share_a_batch(detector):
    pictures = [PIXELS, PIXELS[:20, :30], PIXELS[:, :10]]
    found = kcz.detect(detector, pictures, mean=0, batch_size=2)
    assert [one.size for one in found] == [(90, 150), (20, 30), (90, 10)]
    for one in found:
        height, width = one.size
        box = np.array([0.1 * width, 0.2 * height, 0.5 * width, 0.6 * height])
        np.testing.assert_allclose(one.boxes[1], box, rtol=1e-5)


def test_a_folder_gives_a_dict_and_names_what_is_bad(detector, tmp_path, capsys):
    for name in "ab":
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    found = kcz.detect(detector, tmp_path, mean=0)
    assert list(found) == ["a.png", "b.png"]
    assert found["a.png"].scores.tolist() == found["b.png"].scores.tolist()
    assert (
        "c.png (no picture, but text that begins 'no picture')"
        in capsys.readouterr().out
    )


def test_classes_have_names_with_or_without_the_background(detector):
    found = kcz.detect(detector, PIXELS, mean=0, labels=NAMES)
    assert found.names == ["cat", "dog"]
    for names in (NAMES, NAMES[1:]):
        assert [Names(names, 3)(label) for label in (0, 1, 2)] == NAMES
    assert Names(None, 3)(2) == "class 2"
    for names in (NAMES[:1], [*NAMES, "bird"], "ilsvrc12"):
        with pytest.raises(ValueError, match="names of 3 classes, or one less"):
            Names(names, 3)
    with pytest.raises(ValueError, match="has the name 'vok'. Did you mean 'voc'"):
        Names("vok", 3)
    with pytest.raises(ValueError, match="Expected `labels`: the names"):
        Names([1, 2, 3], 3)


def test_the_background_may_be_any_class_or_none():
    assert classes_of(ssd(2)) == (3, 2)
    names = Names(["cat", "dog"], 3, 2)
    assert [names(label) for label in range(3)] == ["cat", "dog", "background"]
    assert classes_of(ssd(-1)) == (3, None)
    with pytest.raises(ValueError, match="names of 3 classes; received: 2"):
        Names(["cat", "dog"], 3, None)


def test_other_outputs_do_not_matter(detector):
    found = kcz.detect(ssd(more=True), PIXELS, mean=0)
    expected = kcz.detect(detector, PIXELS, mean=0)
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_a_net_of_any_size_takes_pictures_as_they_are():
    found = kcz.detect(ssd(sides=(None, None)), [PIXELS, PIXELS[:9]], mean=0)
    assert [len(one) for one in found] == [2, 2]


def test_what_is_found_reads_well():
    boxes = np.array([[15, 18, 75, 54], [75, 45, 180, 81]])
    scores, labels = np.float32([0.7, 0.9]), np.float32([2, 1])
    options = {"size": (90, 150), "names": Names(NAMES, 3)}
    found = sorted_detections(boxes, labels, scores, **options)
    assert repr(found) == (
        "<2 detections in 150 x 90 pixels\n"
        "  cat 90.0% at 75, 45 – 150, 81\n"
        "  dog 70.0% at 15, 18 – 75, 54>"
    )
    none = sorted_detections(boxes[:0], labels[:0], scores[:0], **options)
    assert repr(none) == "<0 detections in 150 x 90 pixels>"
    assert none.boxes.shape == (0, 4)
    as_json = json.loads(json.dumps(found.as_dict()))
    assert as_json["size"] == [90, 150]
    assert as_json["detections"][0] == {
        "label": 1,
        "name": "cat",
        "score": pytest.approx(0.9),
        "box": pytest.approx([75, 45, 150, 81]),
    }


def test_yolos_classes_count_from_one():
    x = keras.Input((8, 8, 3))
    # One cell and box: its middle is that of the picture, its sides half and whole.
    values = [0, 0, np.log(0.5), 0, 9, 0, 20]
    y = known(x, values, (1, 1, 7))
    model = keras.Model(x, CaffeYoloDetections(2, [1, 1], num_box=1)(y))
    found = kcz.detect(model, PIXELS, mean=0, labels=["cat", "dog"])
    assert found.names == ["dog"]
    assert found.labels.tolist() == [2]
    np.testing.assert_allclose(found.boxes, [[37.5, 0, 112.5, 90]], atol=1e-4)


@pytest.mark.parametrize(
    "runtime", [pytest.param("openvino", marks=pytest.mark.slow), "onnxruntime"]
)
def test_other_engines_find_the_same(runtime):
    paths = (FORKS / f"net_mobilenet_ssd_mini.{x}" for x in ("prototxt", "caffemodel"))
    model = kcz.from_caffe(*paths)
    pictures = [PIXELS, PIXELS[::-1], PIXELS[:50]]
    options = {"mean": 127.5, "scale": 1 / 127.5, "threshold": 0.3, "batch_size": 2}
    expected = kcz.detect(model, pictures, **options)
    found = kcz.detect(model, pictures, runtime=runtime, **options)
    for one, other in zip(found, expected, strict=True):
        assert len(one)
        assert one.labels.tolist() == other.labels.tolist()
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)


def test_regions_are_refined_for_each_class():
    outputs = {
        "rois": np.float32(
            [[0, 20, 10, 59, 29], [0, 22, 10, 61, 29], [-1, 0, 0, 0, 0]]
        ),
        "cls_prob": np.float32([[0, 0.9, 0.1], [0.1, 0.8, 0.6], [0, 1, 1]]),
        "bbox_pred": np.zeros((3, 12), "float32"),
    }
    # The picture was enlarged twice: 20 to 59 is 10 to 29.5, 20.5 wide. The dog's box
    # goes to the right by all of its width, and is halved in height.
    outputs["bbox_pred"][1, 8:] = [1, 0, 0, np.log(0.5)]
    boxes, labels, scores = refined(outputs, 2, (16, 45), 0.5)
    assert labels.tolist() == [1, 2]  # of the cats' boxes, which overlap, the better
    np.testing.assert_allclose(scores, [0.9, 0.6])
    # Centre 10 + 20.5 / 2 = 20.25; and 5 + 10.5 / 2 = 10.25, cut off below at 15.
    cat = [20.25 - 10.25, 10.25 - 5.25, 20.25 + 10.25, 15]
    dog = [11 + 20.5, 10.25 - 2.625, 44, 10.25 + 2.625]
    np.testing.assert_allclose(boxes, [cat, dog], atol=1e-5)


def test_two_boxes_for_each_region_are_for_all_classes_alike():
    rng = np.random.default_rng(0)
    outputs = {
        "rois": np.float32([[0, 0, 0, 9, 9], [0, 100, 100, 139, 119]]),
        "cls_prob": np.float32([[0, 0.1, 0.9, 0, 0], [0, 0.7, 0.1, 0.8, 0]]),
        "bbox_pred": rng.normal(0, 0.1, (2, 8)).astype("float32"),
    }
    found = refined(outputs, 1, (300, 300), 0.5)
    boxes, labels, _ = found
    assert labels.tolist() == [1, 2, 3]
    own = outputs["bbox_pred"][:, 4:]
    wanted = [by_hand(outputs["rois"][i, 1:], own[i], (300, 300)) for i in (1, 0, 1)]
    np.testing.assert_allclose(boxes, wanted, atol=1e-3)


def by_hand(box, move, size):
    """Return a box moved as Faster R-CNN's paper and code have it, number by number."""
    x1, y1, x2, y2 = map(float, box)
    dx, dy, dw, dh = map(float, move)
    width, height = x2 - x1 + 1, y2 - y1 + 1
    x, y = x1 + 0.5 * width + dx * width, y1 + 0.5 * height + dy * height
    width, height = width * np.exp(dw), height * np.exp(dh)
    sides = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    limits = size[1] - 1, size[0] - 1, size[1] - 1, size[0] - 1
    pairs = zip(sides, limits, strict=True)
    return [min(max(side, 0), limit) for side, limit in pairs]


def test_moves_are_as_worked_out_one_by_one():
    rng = np.random.default_rng(1)
    first = rng.uniform(0, 80, (7, 2))
    boxes = np.hstack([first, first + rng.uniform(0, 50, (7, 2))]).astype("float32")
    moves = rng.normal(0, 0.5, (7, 3, 4)).astype("float32")
    found = clipped(moved(boxes, moves), (90, 110))
    wanted = [
        [by_hand(box, move, (90, 110)) for move in own]
        for box, own in zip(boxes, moves, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert not np.isnan(moved(boxes[:1], np.full((1, 1, 4), 999, "float32"))).any()


def region_net(name, calm=0.02, **options):
    """Return a net of Faster R-CNN's family whose answers are not all alike."""
    options.setdefault("input_shape", {"data": (None, None, 3)})
    paths = (FORKS / f"{name}.{x}" for x in ("prototxt", "caffemodel"))
    config = {"RPN_POST_NMS_TOP_N": 20, "RPN_MIN_SIZE": 16, "RPN_PRE_NMS_TOP_N": 200}
    model = kcz.from_caffe(*paths, python_config=config, **options)
    for layer in model.layers:
        if layer.name in ("cls_score", "bbox_pred", "rfcn_cls", "rfcn_bbox"):
            layer.set_weights([x * calm for x in layer.get_weights()])
    return model


def check_regions(name):
    model = region_net(name)
    picture = np.random.default_rng(2).integers(0, 256, (60, 90, 3), "uint8")
    found = kcz.detect(model, picture, mean=[102, 115, 122], threshold=0.21)
    x, scale = fit(picture[..., ::-1], Resize("fit", 600, 1000))
    assert (x.shape, scale) == ((600, 900, 3), 10)
    info = np.float32([[600, 900, 10]])
    model = keras.Model(
        model.inputs, {**model.output, "rois": model.get_layer("proposal").output}
    )
    out = model.predict_on_batch([x[None] - np.float32([102, 115, 122]), info])
    wanted = []
    for label in range(1, out["cls_prob"].shape[1]):
        rows = [
            (by_hand(roi[1:] / 10, move[4 * at : 4 * at + 4], (60, 90)), chances[label])
            for roi, chances, move in zip(
                out["rois"], out["cls_prob"], out["bbox_pred"], strict=True
            )
            for at in [label if out["bbox_pred"].shape[1] > 8 else 1]
            if roi[0] == 0 and chances[label] >= 0.21
        ]
        wanted += [(label, *row) for row in suppressed(rows)]
    wanted.sort(key=lambda row: -row[2])
    assert len(wanted) > 1
    assert found.labels.tolist() == [label for label, _, _ in wanted]
    np.testing.assert_allclose(found.scores, [x for *_, x in wanted], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [x for _, x, _ in wanted], atol=1e-2)


def suppressed(rows):
    """Return boxes and scores of which no two overlap by more than 0.3, the best."""
    stay = []
    for box, score in sorted(rows, key=lambda row: -row[1]):
        if all(overlap(box, other) <= 0.3 for other, _ in stay):
            stay.append((box, score))
    return stay


def overlap(a, b):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(x[2] - x[0] + 1) * (x[3] - x[1] + 1) for x in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["net_faster_rcnn_mini", "net_rfcn_mini"])
def test_regions_nets_find_what_their_outputs_say(name):
    check_regions(name)


def test_a_net_of_regions_must_take_any_size():
    model = region_net("net_faster_rcnn_mini", input_shape=None)
    assert has_fixed_size(model)
    with pytest.raises(ValueError, match=r"input_shape={'data': \(None, None, 3\)}"):
        kcz.detect(model, PIXELS, mean=0)


def test_what_detects_nothing_is_refused():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, keras.layers.Flatten()(x))
    with pytest.raises(ValueError, match=r"one layer DetectionOutput.*with 0 and 0"):
        kcz.detect(model, PIXELS, mean=0)
    with pytest.raises(ValueError, match="for detection; received: 'caffenet'"):
        kcz.detect("caffenet", PIXELS)
    with pytest.raises(ValueError, match="Expected `mean=…`"):
        kcz.detect(ssd(), PIXELS)
    two = ssd(more=True)
    more = keras.Input((3,), name="info")
    two = keras.Model([two.input, more], [two.output["found"], more + 1])
    with pytest.raises(ValueError, match="images .* and nothing else; received"):
        kcz.detect(two, PIXELS, mean=0)
