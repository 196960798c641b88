"""Chance in the tests: none, unless the profile `random` asks for it.

With `--hypothesis-profile=random --hypothesis-seed=N` hypothesis draws more examples
than the ever same few, and N is also what fuzzers and Keras' first weights start from.
"""

import gc
from collections import Counter

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


# Modules with many cases of long tests: of each test a fourth of the cases is quick,
# the rest is slow.
THINNED = {
    *("test_importer_layers", "test_importer", "test_exporter", "test_folding"),
    *("test_flownet_and_yolo", "test_precision", "test_formats", "test_filling"),
    *("test_segmentation_layers", "test_classification_layers", "test_region_nets"),
    *("test_every_layer", "test_small_windows", "test_convolution", "test_regions"),
    *("test_shape", "test_pooling", "test_traits", "test_cast", "test_resume"),
    *("test_api", "test_multibox", "test_losses", "test_optimizers", "test_metrics"),
    *("test_bad_records", "test_design", "test_design_weights", "test_whole_path"),
    *("test_assign", "test_hostile", "test_ssd", "test_region_rules", "test_runner"),
    *("test_onnx_layers", "test_onnx_maps", "test_onnx_detection", "test_onnx_shapes"),
    *("test_solver", "test_finetuning", "test_resuming", "test_lmdb", "test_compare"),
    *("test_cli_convert", "test_images", "test_onnx_precision", "test_params"),
    *("test_pixels", "test_opening", "test_walk", "test_cli_shell", "test_kinds"),
    *("test_zoo_models", "test_plots_heatmap", "test_plots_training"),
    *("test_on_windows", "test_published_definitions", "test_preprocessing"),
    *("test_loss_blobs", "test_detection", "test_predict"),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    cases = Counter()
    for item in items:
        if item.module.__name__ not in THINNED or not hasattr(item, "callspec"):
            continue
        if not item.get_closest_marker("slow"):
            test = item.nodeid.split("[")[0]
            if cases[test] % 4:
                item.add_marker(pytest.mark.slow)
            cases[test] += 1


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
