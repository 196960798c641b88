"""Chance in the tests: none, unless the profile `random` asks for it.

With `--hypothesis-profile=random --hypothesis-seed=N` hypothesis draws more examples
than the ever same few, and N is also what fuzzers and Keras' first weights start from.
"""

import gc

import keras
import pytest
from hypothesis import HealthCheck, settings

SHARED = {
    "deadline": None,
    "database": None,  # a run leaves nothing that the next would depend on
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("fixed", derandomize=True, max_examples=20, **SHARED)
settings.register_profile("random", max_examples=100, print_blob=True, **SHARED)
settings.load_profile("fixed")


def seed_of(config):
    return int(config.getoption("--hypothesis-seed") or 0)


def pytest_report_header(config):
    profile = settings.get_current_profile_name()
    return f"--hypothesis-profile={profile} --hypothesis-seed={seed_of(config)}"


def pytest_collection_finish(session):
    """What the engine made at its start lives as long as the run: leave it alone."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # models of many small objects come and go


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    keras.utils.set_random_seed(seed_of(item.config))


@pytest.fixture(scope="session")
def run_seed(request):
    """What the random cases of this run start from; 0 unless told otherwise."""
    return seed_of(request.config)
