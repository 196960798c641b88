"""Measure how far nets on a graphics card are from the same on the processor."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nets
import numpy as np
import timing

CLASSIFIERS = [name for name in nets.MODELS if name != "mobilenet_ssd"]
IMAGES = 8
PROCESSOR = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
# How a user would have it, by what an engine reads at its start.
SETTINGS = {
    "as it comes": {},
    "NVIDIA_TF32_OVERRIDE=0": {"NVIDIA_TF32_OVERRIDE": "0"},
    "JAX_DEFAULT_MATMUL_PRECISION=highest": {"JAX_DEFAULT_MATMUL_PRECISION": "highest"},
}


def compute(output: str, chosen: list[str]) -> None:
    """Write what the nets give before Softmax and after it."""
    import keras

    found = {}
    for name in chosen:
        model = nets.model(name)
        ends = [model.layers[-1].input, model.output]
        images = nets.images(IMAGES, nets.MODELS[name])
        both = keras.Model(model.input, ends).predict_on_batch(images)
        found[f"{name} scores"], found[f"{name} probabilities"] = map(np.asarray, both)
    np.savez(output, **found)


def computed(environment: dict, chosen: list[str], folder: str) -> dict:
    """Return what a process of its own gives, in an environment."""
    output = Path(folder, "found.npz")
    command = [sys.executable, __file__, "--write", str(output), "--net", *chosen]
    # JAX would have the whole card for each process.
    own = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, env={**os.environ, **own, **environment}, check=True)
    with np.load(output) as file:
        return dict(file)


def differences(here: dict, there: dict, chosen: list[str]) -> dict:
    """Return by net how far scores, of the largest, and probabilities are apart."""
    found = {}
    for net in chosen:
        scores, probabilities = f"{net} scores", f"{net} probabilities"
        apart = np.abs(here[scores] - there[scores]).max() / np.abs(there[scores]).max()
        found[net] = {
            "scores": float(apart),
            "probabilities": float(
                np.abs(here[probabilities] - there[probabilities]).max()
            ),
        }
    return found


def cards() -> str:
    """Return the names of the graphics cards, as their driver tells them."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit("Expected a card of NVIDIA's; nvidia-smi has none") from error


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", nargs="+", choices=CLASSIFIERS, default=CLASSIFIERS)
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    parser.add_argument("--write", metavar="FILE.npz", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        compute(arguments.write, arguments.net)
        return
    import keras

    engine = keras.config.backend()
    print(f"{cards()}\n{timing.describe(timing.machine())}, engine {engine}")
    settings = {k: v for k, v in SETTINGS.items() if "JAX" not in k or engine == "jax"}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        there = computed(PROCESSOR, arguments.net, folder)
        for setting, environment in settings.items():
            here = computed(environment, arguments.net, folder)
            found[setting] = differences(here, there, arguments.net)
            print(f"\n{setting}")
            print(f"{'net':18}{'scores, relative':>18}{'probabilities':>16}")
            for net, apart in found[setting].items():
                scores, probabilities = apart.values()
                print(f"{net:18}{scores:18.1e}{probabilities:16.1e}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
