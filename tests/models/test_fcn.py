"""The kernel that FCNs enlarge their maps with."""

import keras
import numpy as np
import pytest
from families import answer

from keras_caffe_zoo.models import fcn32s


@pytest.mark.usefixtures("narrow")
def test_upscoring_starts_as_bilinear_interpolation_and_is_not_trained():
    upscore = fcn32s(weights=None, classes=2).get_layer("upscore")
    kernel = upscore.get_weights()[0]
    hat = 1 - np.abs(np.arange(64) - 31.5) / 32
    np.testing.assert_allclose(kernel[:, :, 0, 0], np.outer(hat, hat), 1e-6)
    np.testing.assert_array_equal(kernel[:, :, 0, 0], kernel[:, :, 1, 1])
    assert not kernel[:, :, 0, 1].any() and not kernel[:, :, 1, 0].any()
    assert not upscore.trainable_variables
    flat = np.ones((1, 3, 3, 2), "float32")
    inside = answer(upscore, flat)[:, 32:-32, 32:-32]
    np.testing.assert_allclose(inside, 1, 1e-5)  # interpolation of a constant


def test_files_know_the_kernel_by_its_name_and_not_by_its_module():
    """The module is the one that it was in before its family had one."""
    config = {
        "module": "keras_caffe_zoo.models._bilinear",
        "class_name": "BilinearKernel",
        "config": {},
        "registered_name": "keras_caffe_zoo>BilinearKernel",
    }
    kernel = keras.saving.deserialize_keras_object(config)
    found = keras.saving.serialize_keras_object(kernel)
    assert found["registered_name"] == config["registered_name"]
    assert kernel((4, 4, 1, 1)).shape == (4, 4, 1, 1)
