"""Names of the 1000 classes."""

import numpy as np
import pytest

from keras_caffe_zoo import decode_predictions
from keras_caffe_zoo.labels import class_names


def test_classes_are_in_caffes_order():
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    assert names[0] == ("n01440764", "tench, Tinca tinca")
    assert names[281] == ("n02123045", "tabby, tabby cat")
    assert names[999][1].startswith("toilet tissue")


def test_most_probable_classes_come_first():
    preds = np.zeros((2, 1000), "float32")
    preds[0, [281, 7]] = 0.75, 0.25
    preds[1, 999] = 1
    first, second = decode_predictions(preds, top=2)
    assert first[0] == ("n02123045", "tabby, tabby cat", 0.75)
    assert first[1][2] == 0.25
    assert second[0][0] == class_names()[999][0]


@pytest.mark.parametrize("shape", [(1000,), (1, 8, 8, 1000), (1, 10)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(N, 1000\); received"):
        decode_predictions(np.zeros(shape))


@pytest.mark.parametrize("top", [0, 1001])
def test_top_is_checked(top):
    with pytest.raises(ValueError, match="from 1 to 1000"):
        decode_predictions(np.zeros((1, 1000)), top=top)
