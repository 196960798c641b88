"""Non-maximum suppression against plain Python."""

import numpy as np
import pytest

from keras_caffe_zoo.arithmetic.suppression import nms


def area(box, extra):
    x1, y1, x2, y2 = box
    return max(x2 - x1 + extra, 0) * max(y2 - y1 + extra, 0)


def plain(boxes, scores, threshold, mode, extra):
    """Box by box, in double precision, as the definition says it."""
    stay = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for j in stay:
            a, b = boxes[i], boxes[j]
            shared = (
                max(a[0], b[0]),
                max(a[1], b[1]),
                min(a[2], b[2]),
                min(a[3], b[3]),
            )
            shared, areas = area(shared, extra), (area(a, extra), area(b, extra))
            whole = sum(areas) - shared if mode == "union" else min(areas)
            if whole and shared / whole > threshold:
                break
        else:
            stay.append(i)
    return stay


@pytest.mark.parametrize("mode", ["union", "min"])
@pytest.mark.parametrize("plus_one", [False, True])
@pytest.mark.parametrize("threshold", [0, 0.3, 0.7, 1])
def test_it_leaves_what_plain_python_leaves(mode, plus_one, threshold):
    rng = np.random.default_rng(0)
    for count in (1, 2, 60):
        # Whole numbers, so that overlaps are exact and many scores are the same.
        first = rng.integers(0, 20, (count, 2))
        boxes = np.hstack([first, first + rng.integers(-1, 15, (count, 2))])
        scores = rng.integers(0, 9, count) / 8
        expected = plain(boxes.tolist(), scores.tolist(), threshold, mode, plus_one)
        for kind in ("float32", "float64", "int64"):
            found = nms(boxes.astype(kind), scores, threshold, mode, plus_one=plus_one)
            assert found.tolist() == expected


def test_of_no_boxes_none_stay():
    found = nms(np.zeros((0, 4), "float32"), np.zeros(0), 0.5)
    assert found.shape == (0,)
    assert found.dtype == "int64"


def test_boxes_that_overlap_by_the_threshold_stay():
    boxes = [[0, 0, 2, 1], [1, 0, 3, 1]]  # a third of the union, half of either
    scores = [0.5, 0.5]
    assert nms(boxes, scores, 0.5, "min").tolist() == [0, 1]
    assert nms(boxes, scores, 0.49, "min").tolist() == [0]
    assert nms(boxes, scores, 0.33).tolist() == [0]
    # As pixels they are 3 x 2, and 2 x 2 of a union of 4 x 2 are both's.
    assert nms(boxes, scores, 0.5, plus_one=True).tolist() == [0, 1]


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="'union' or 'min'; received: mode='max'"):
        nms([[0, 0, 1, 1]], [1], 0.5, "max")
