"""What tests of layers as ONNX share."""

import functools

import numpy as np
import pytest
from one_layer import check_refused
from onnx_layer import OnnxRunner


@pytest.fixture
def run(tmp_path):
    return OnnxRunner(tmp_path)


@pytest.fixture
def rng(seed, run_seed):
    return np.random.default_rng([seed, run_seed])


@pytest.fixture
def refused(run):
    return functools.partial(check_refused, run)
