"""Non-maximum suppression against the loop that it stands for."""

import keras
import numpy as np
import pytest
from support import seeds

from keras_caffe_zoo.layers import _nms


def overlap(one, other, pixel):
    def area(box):
        return max(box[2] - box[0] + pixel, 0) * max(box[3] - box[1] + pixel, 0)

    width = max(min(one[2], other[2]) - max(one[0], other[0]) + pixel, 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]) + pixel, 0)
    shared = width * height
    return shared / (area(one) + area(other) - shared) if shared else 0


def greedy(boxes, valid, threshold, most, pixel=0, inclusive=False, eta=1):
    """Return which boxes of one row stay, one after the other."""
    stay, limit = [], threshold
    for i in np.flatnonzero(valid):
        found = [overlap(boxes[i], boxes[j], pixel) for j in stay]
        fits = all(x < limit if inclusive else x <= limit for x in found)
        if fits and len(stay) < most:
            stay.append(i)
            limit *= eta if eta < 1 and limit > 0.5 else 1
    return np.isin(np.arange(len(boxes)), stay)


def random_boxes(rng, rows, size):
    corners = rng.uniform(0, 10, (rows, size, 2))
    sides = rng.uniform(-0.5, 5, (rows, size, 2))  # some end before they begin
    return np.concatenate([corners, corners + sides], -1).astype("float32")


@pytest.mark.parametrize("seed", seeds(12, 400))
def test_the_same_boxes_stay(seed, run_seed):
    rng = np.random.default_rng([seed, run_seed])
    rows, size = rng.integers(1, 5), int(rng.integers(1, 90))
    boxes, valid = random_boxes(rng, rows, size), rng.random((rows, size)) < 0.8
    threshold = float(rng.choice([0.2, 0.5, 0.7]))
    most, pixel = int(rng.choice([3, 1000])), int(rng.integers(2))
    ends = {"inclusive": True} if seed % 3 == 0 else {"eta": 0.9 if seed % 2 else 1.0}
    found = _nms.kept(boxes, valid, threshold, most, pixel=pixel, **ends)
    wanted = [
        greedy(*row, threshold, most, pixel, **ends)
        for row in zip(boxes, valid, strict=True)
    ]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), wanted)


def test_a_chain_is_followed_to_its_end():
    """Each box overlaps the next one only: every other one stays."""
    left = np.arange(100, dtype="float32") * 0.6
    boxes = np.stack([left, left * 0, left + 1, left * 0 + 1], -1)[None]
    found = _nms.kept(boxes, np.ones((1, 100), bool), 0.2, 1000)
    wanted = np.arange(100) % 2 == 0
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found)[0], wanted)


def test_a_box_decided_late_counts_before_those_behind_it():
    """The second goes by the first, so that the third stays, before the fourth."""
    boxes = np.array([[0, 0, 4, 4], [1, 0, 5, 4], [3, 0, 7, 4], [20, 0, 24, 4]])
    found = _nms.kept(boxes[None].astype("float32"), np.ones((1, 4), bool), 0.3, 2)
    assert keras.ops.convert_to_numpy(found).tolist() == [[True, False, True, False]]


def test_equal_scores_stay_in_order():
    scores = np.array([[0.5, 0.7, 0.5, 0.7, 0.5]], "float32")
    values, index = _nms.best(scores, 4)
    assert keras.ops.convert_to_numpy(index).tolist() == [[1, 3, 0, 2]]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(values)[0, 0], 0.7)


def test_fewer_than_asked_for_are_all():
    values, index = _nms.best(np.array([[1.0, 2.0]], "float32"), 9)
    assert keras.ops.convert_to_numpy(index).tolist() == [[1, 0]]
    assert values.shape == (1, 2)


@pytest.mark.parametrize("most", [1, 3, 5])
def test_the_first_true_ones(most):
    mask = np.array([[0, 1, 0, 1, 1], [0, 0, 0, 0, 1]], bool)
    index, there = map(keras.ops.convert_to_numpy, _nms.first(mask, most))
    for row, places in enumerate([[1, 3, 4], [4]]):
        assert index[row][there[row]].tolist() == places[:most]


def test_rows_are_taken_from_their_own_row():
    values = np.arange(2 * 4 * 3, dtype="float32").reshape(2, 4, 3)
    index = np.array([[3, 0], [1, 1]], "int32")
    found = keras.ops.convert_to_numpy(
        _nms.rows_at(
            keras.ops.convert_to_tensor(values), keras.ops.convert_to_tensor(index)
        )
    )
    np.testing.assert_array_equal(found, values[[[0, 0], [1, 1]], index])
