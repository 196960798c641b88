"""SSD's detections against a loop over boxes, and against what cannot be."""

import keras
import numpy as np
import pytest
from support import seeds
from test_nms import greedy

import keras_caffe_zoo as kcz
from keras_caffe_zoo.layers import CaffeDetectionOutput


def decoded(offsets, prior, variance, code):
    """Return one box, given its prior."""
    width, height = prior[2] - prior[0], prior[3] - prior[1]
    moves = offsets * variance
    if code == "corner":
        return prior + moves
    if code == "corner_size":
        return prior + moves * [width, height, width, height]
    x = (prior[0] + prior[2]) / 2 + moves[0] * width
    y = (prior[1] + prior[3]) / 2 + moves[1] * height
    half = np.exp(moves[2]) * width / 2, np.exp(moves[3]) * height / 2
    return np.array([x - half[0], y - half[1], x + half[0], y + half[1]])


def reference(offsets, scores, priors, layer):
    """Return Caffe's rows, box by box."""
    count, rows = priors.shape[2] // 4, []
    corners, variances = priors[0].reshape(2, count, 4).astype("float64")
    if layer.variance_encoded_in_target:
        variances = np.ones_like(variances)
    each = 1 if layer.share_location else layer.num_classes
    for item in range(len(offsets)):
        moves = offsets[item].reshape(count, each, 4)
        chances = scores[item].reshape(count, layer.num_classes)
        found = []
        for label in range(layer.num_classes):
            if label == layer.background_label_id:
                continue
            own = chances[:, label]
            order = np.argsort(-own, kind="stable")
            if layer.confidence_threshold is not None:
                order = order[own[order] > np.float32(layer.confidence_threshold)]
            order = order[: layer.top_k]
            boxes = [
                decoded(
                    moves[i, label % each], corners[i], variances[i], layer.code_type
                )
                for i in order
            ]
            boxes = [np.clip(box, 0, 1) if layer.clip else box for box in boxes]
            valid = np.ones(len(boxes), bool)
            stay = greedy(boxes, valid, layer.nms_threshold, 10**6, eta=layer.eta)
            found += [
                (item, label, own[i], *box)
                for i, box, s in zip(order, boxes, stay, strict=True)
                if s
            ]
        best = sorted(found, key=lambda row: -row[2])[: layer.keep_top_k]
        rows += sorted(best, key=lambda row: (row[1], -row[2]))
    none = [(item, *[-1] * 6) for item in range(len(offsets))]
    return np.array(rows or none)


def random_inputs(rng, items, count, classes, each):
    centre = rng.uniform(0.2, 0.8, (count, 2))
    half = rng.uniform(0.05, 0.2, (count, 2))
    corners = np.concatenate([centre - half, centre + half], 1).reshape(-1)
    variances = np.tile([0.1, 0.1, 0.2, 0.2], count)
    return [
        rng.normal(0, 1, (items, count * each * 4)).astype("float32"),
        rng.random((items, count * classes)).astype("float32"),
        np.stack([corners, variances])[None].astype("float32"),
    ]


@pytest.mark.parametrize("seed", seeds(10, 200))
def test_the_same_rows_as_box_by_box(seed, run_seed):
    rng = np.random.default_rng([seed, run_seed])
    classes, count = int(rng.integers(2, 6)), int(rng.integers(1, 60))
    layer = CaffeDetectionOutput(
        classes,
        share_location=bool(seed % 2),
        background_label_id=int(rng.integers(-1, classes)),
        nms_threshold=float(rng.choice([0.3, 0.6])),
        top_k=[None, 20][int(rng.integers(2))],
        eta=float(rng.choice([1.0, 0.9])),
        code_type=str(rng.choice(["corner", "center_size", "corner_size"])),
        keep_top_k=[None, 15][int(rng.integers(2))],
        variance_encoded_in_target=bool(rng.integers(2)),
        confidence_threshold=[None, 0.3, 0.999][int(rng.integers(3))],
        clip=bool(rng.integers(2)),
    )
    each = 1 if layer.share_location else classes
    inputs = random_inputs(rng, int(rng.integers(1, 4)), count, classes, each)
    y = keras.ops.convert_to_numpy(layer(inputs))
    assert y.shape == layer.compute_output_shape([x.shape for x in inputs])
    np.testing.assert_allclose(
        kcz.detections(y), reference(*inputs, layer), rtol=2e-5, atol=2e-5
    )


def test_unused_rows_come_last_and_say_so():
    inputs = random_inputs(np.random.default_rng(0), 2, 10, 3, 1)
    layer = CaffeDetectionOutput(3, confidence_threshold=0.8, keep_top_k=15)
    y = keras.ops.convert_to_numpy(layer(inputs))
    for item, rows in enumerate(y):
        used = rows[:, 1] >= 0
        assert used.any()
        assert not used.all()
        assert used.tolist() == sorted(used, reverse=True)
        assert np.all(rows[~used] == [item, *[-1] * 6])


@pytest.mark.parametrize(
    "options",
    [
        {"code_type": "CORNER"},
        {"top_k": -1},
        {"keep_top_k": -1},
        {"eta": 0},
        {"eta": 2},
        {"nms_threshold": -0.1},
        {"nms_threshold": float("nan")},
        {"num_classes": 0},
        {"num_classes": 2**31},
    ],
)
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=f"Expected.*{next(iter(options))}"):
        CaffeDetectionOutput(**{"num_classes": 3, **options})


@pytest.mark.parametrize(
    ("classes", "options"), [(3, {"top_k": 0}), (3, {"keep_top_k": 0}), (1, {})]
)
def test_where_nothing_may_be_found_nothing_is(classes, options):
    inputs = random_inputs(np.random.default_rng(0), 2, 10, classes, 1)
    y = CaffeDetectionOutput(classes, **options)(inputs)
    assert y.shape == (2, 0, 7)
    expected = [[0, *[-1] * 6], [1, *[-1] * 6]]
    np.testing.assert_array_equal(
        kcz.detections(keras.ops.convert_to_numpy(y)), expected
    )


def test_inputs_that_do_not_fit_are_refused():
    layer = CaffeDetectionOutput(3, name="out")
    with pytest.raises(ValueError, match="Expected offsets.*'out'.*received"):
        layer.compute_output_shape([(1, 40), (1, 31), (1, 2, 40)])
    with pytest.raises(ValueError, match="Expected priors"):
        layer.compute_output_shape([(1, None), (1, None), (1, 2, None)])


def test_more_candidates_than_there_can_be_are_refused():
    shapes = [(1, 2**20 * 4), (1, 2**20 * 81), (1, 2, 2**20 * 4)]
    with pytest.raises(ValueError, match="at most 4,194,304 candidates.*`top_k`"):
        CaffeDetectionOutput(81).compute_output_shape(shapes)
    assert CaffeDetectionOutput(81, top_k=400, keep_top_k=2**31 - 1)
    found = CaffeDetectionOutput(81, top_k=400).compute_output_shape(shapes)
    assert found == (1, 400 * 80, 7)


def test_detections_are_of_a_model_that_detects():
    with pytest.raises(ValueError, match="received shape: \\(3, 10\\)"):
        kcz.detections(np.zeros((3, 10)))
    with pytest.raises(ValueError, match="a dict of outputs. Give one.*'a', 'b'"):
        kcz.detections({"a": 1, "b": 2})


def test_detections_count_items_from_the_start():
    y = np.full((3, 2, 7), -1.0, "float32")
    y[1, 0] = (0, 5, 0.9, 0, 0, 1, 1)  # as another batch has it
    assert kcz.detections(y).tolist() == [[1, 5, np.float32(0.9), 0, 0, 1, 1]]
    np.testing.assert_array_equal(y[1, 0, 0], 0)  # what was given stays
