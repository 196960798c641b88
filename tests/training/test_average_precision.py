"""Average precisions against loops over single boxes, in plain Python."""

import numpy as np
import pytest
from average_precision_reference import by_hand

from keras_caffe_zoo.training import DetectionEvaluation, average_precision
from keras_caffe_zoo.training.average_precision import read_name_sizes

CLASSES = 4
SIZES = np.array([[40, 60], [33, 21], [100, 80]])


def batch(rng, pictures=3):
    """Return objects, and detections near some of them and elsewhere."""
    objects = np.full((pictures, 6, 8), -1, "float32")
    found = np.full((pictures, 12, 7), -1, "float32")
    for i in range(pictures):
        for j in range(rng.integers(0, 7)):
            corner, side = rng.uniform(0, 0.6, 2), rng.uniform(0.1, 0.4, 2)
            label, hard = rng.integers(1, CLASSES), rng.integers(0, 4) == 0
            objects[i, j] = i, label, 0, *corner, *(corner + side), hard
        for j in range(rng.integers(0, 12)):
            label, score = rng.integers(1, CLASSES), rng.integers(1, 30) / 30
            box = rng.uniform(0, 1, 4)
            there = objects[i, objects[i, :, 0] >= 0]
            if len(there) and rng.integers(0, 4):
                near = there[rng.integers(0, len(there))]
                label, box = near[1], near[3:7] + rng.normal(0, 0.03, 4)
            low, high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
            found[i, j] = i, label, score, *low, *high
    return found, objects


@pytest.mark.parametrize("version", ["11point", "MaxIntegral", "Integral"])
@pytest.mark.parametrize("difficult", [True, False])
@pytest.mark.parametrize("sizes", [None, SIZES])
def test_detections_are_measured_as_by_hand(version, difficult, sizes):
    rng = np.random.default_rng(3)
    batches = [batch(rng) for _ in range(5)]
    options = {"difficult": difficult, "version": version, "sizes": sizes}
    evaluation = DetectionEvaluation(CLASSES, **options)
    for one in batches:
        evaluation.update(*one)
    mean, each = by_hand(batches, CLASSES, version, difficult, sizes)
    assert 0.2 < mean < 0.9
    assert evaluation.result() == pytest.approx(mean, rel=1e-5)
    assert list(evaluation.by_class().values()) == pytest.approx(each, rel=1e-5)
    evaluation.reset()
    assert evaluation.result() == 0


def test_precisions_of_known_detections():
    """Right, wrong, right, of four objects."""
    scores, right = [0.9, 0.8, 0.7], [True, False, True]
    found = [
        average_precision(scores, right, 4, v)
        for v in ("11point", "MaxIntegral", "Integral")
    ]
    # From a recall of 0.25 to one of 0.5 the fork's MaxIntegral has 2/3.
    wanted = [(3 * 1 + 3 * 2 / 3) / 11, 0.25 + 0.25 * 2 / 3, 0.25 + 0.25 * 2 / 3]
    assert found == pytest.approx(wanted)
    assert average_precision([0.5], [True], 1, "11point") == pytest.approx(1)
    assert average_precision([0.5], [False], 0) == average_precision([], [], 3) == 0
    # Seven of ten are less than 0.7 in float32.
    assert average_precision(range(7), [1] * 7, 10, "11point") == pytest.approx(7 / 11)


def test_what_cannot_be_measured(tmp_path):
    with pytest.raises(ValueError, match="11point, MaxIntegral.*'12point'"):
        DetectionEvaluation(3, version="12point")
    with pytest.raises(ValueError, match="Expected detections"):
        DetectionEvaluation(3).update(np.zeros((1, 2, 7)), np.zeros((1, 2, 7)))
    with pytest.raises(ValueError, match="for each picture"):
        DetectionEvaluation(3, sizes=np.zeros((0, 2)))
    (tmp_path / "sizes.txt").write_text("000001 353 500\n\n000002 -5 335\n")
    with pytest.raises(ValueError, match="received: '000002 -5 335'"):
        read_name_sizes(tmp_path / "sizes.txt")
    (tmp_path / "sizes.txt").write_text("000001 353 500\n000002 500 335\n")
    assert read_name_sizes(tmp_path / "sizes.txt").tolist() == [[353, 500], [500, 335]]
