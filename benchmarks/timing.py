"""Interleaved rounds, medians, and what they were measured on."""

import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

PACKAGES = (
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "onnxruntime",
    "openvino",
    "onnx",
    "opencv-python-headless",
    "pillow",
    "protobuf",
)
PAUSE = 0.05  # seconds for the threads of the engine before to fall asleep


def interleave(
    calls: Mapping[str, Callable[[], Any]], rounds: int, repeats: int = 1
) -> dict[str, list[float]]:
    """Time each call `rounds` times, one after another in turn.

    Args:
        calls: Name to what is timed.
        rounds: How often each is timed.
        repeats: Calls in one timing; one more goes before it to warm up.

    Returns:
        Name to seconds for one call, one number a round.
    """
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(PAUSE)
            call()
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            times[name].append((time.perf_counter() - start) / repeats)
    return times


def summary(times: list[float], per: float = 1) -> dict:
    """Return median, least and most in milliseconds, each divided by `per`."""
    scaled = [1000 * t / per for t in times]
    return {"median": median(scaled), "min": min(scaled), "max": max(scaled)}


def paired_ratio(times: list[float], base: list[float]) -> float:
    """Return the median over the rounds of one's time over the other's."""
    return median(a / b for a, b in zip(times, base, strict=True))


def machine() -> dict:
    """Return the processor, its cores and the versions of what is measured."""
    import os

    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def describe(facts: dict) -> str:
    """Return the machine in two lines."""
    cpu = f"{facts['cpu']}, {facts['cores']} cores"
    rest = {k: v for k, v in facts.items() if k not in ("cpu", "cores")}
    return cpu + "\n" + ", ".join(f"{k} {v}" for k, v in rest.items())


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts = dict(map(str.strip, x.split(":", 1)) for x in lines if ":" in x)
    model = f"family {facts.get('cpu family')} model {facts.get('model')}"
    return f"{facts.get('model name', '?')} ({model})"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
