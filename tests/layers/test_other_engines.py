"""The gradients are Caffe's on JAX and PyTorch as they are on TensorFlow."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import keras
import pytest
from support import goldens_with_gradients

ROOT = pathlib.Path(__file__).parent.parent.parent
FILES = (
    "tests/layers/test_golden_layers.py",
    "tests/conversion/test_golden_layers_import.py",
)

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="started from TensorFlow's run"
)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_every_gradient_equals_caffe_on(engine):
    if importlib.util.find_spec(engine) is None:  # importing takes seconds
        pytest.skip(f"{engine} is not installed")
    options = ["-k", "gradient", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *FILES, *options],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": engine},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    summary = run.stdout.splitlines()[-1]
    # Each case through `from_caffe`, and some as a bare layer; none is left out.
    passed = int(re.search(r"(\d+) passed", summary)[1])
    assert passed > len(goldens_with_gradients()) > 20
    assert "skipped" not in summary
