"""What the tests of layers through `from_caffe` share."""

import functools

import numpy as np
import pytest
from one_layer import Runner, check_refused


@pytest.fixture
def run(tmp_path):
    return Runner(tmp_path)


@pytest.fixture
def rng(seed, run_seed):
    return np.random.default_rng([seed, run_seed])


@pytest.fixture
def refused(run):
    return functools.partial(check_refused, run)
