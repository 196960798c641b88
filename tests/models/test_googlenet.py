"""GoogLeNet's own option, the classifiers of training."""

import pytest
from families import image

from keras_caffe_zoo.models import googlenet


def test_auxiliary_heads_come_after_its_own_answer():
    model = googlenet(weights=None, classes=5, auxiliary_heads=True)
    assert model.output_shape == [(None, 5)] * 3
    names = [y._keras_history.operation.name for y in model.outputs]
    assert names == ["prob", "loss1>prob", "loss2>prob"]
    maps = googlenet(weights=None, auxiliary_heads=True, fully_convolutional=True)
    assert [y.shape for y in maps(image(224))] == [(1, 1, 1, 1000)] * 3
    with pytest.raises(ValueError, match="include_top=True with auxiliary_heads=True"):
        googlenet(include_top=False, weights=None, auxiliary_heads=True)
