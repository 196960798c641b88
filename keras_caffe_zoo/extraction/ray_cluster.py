"""Ray: connected for one call, quiet, and how its machines are shared out."""

import contextlib
import logging
import math
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

CPUS_PER_ACTOR = 2

_DATA_SETTINGS = {
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    "raise_original_map_exception": True,
}


def import_ray():
    """Return the package ray.

    Raises:
        ImportError: If it is missing; says how to install it.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            f"Expected Ray with Ray Data; received: none ({error}). Install it: "
            'pip install "keras_caffe_zoo[ray]"'
        ) from error
    return ray


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect this process to Ray while the block runs.

    Where it is connected already, that is used and stays.

    Args:
        address: Of a cluster; None for a Ray on this machine, which ends with the
            block.

    Raises:
        ValueError: If this process is connected and an address is given.
        ConnectionError: If there is no cluster at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        if address is not None:
            raise ValueError(
                "Expected no address, since this process is connected to Ray already; "
                f"received: address={address!r}"
            )
        with _quiet(ray):
            yield
        return
    with _environment(), _quiet(ray):
        try:
            _start(ray, address)
            yield
        finally:
            ray.shutdown()


def _start(ray, address: str | None) -> None:
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except ConnectionError as error:
        raise ConnectionError(
            f"Expected a Ray cluster at {address}; received: {error}. Where it asks "
            "for a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to its file."
        ) from error


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Set what the processes of a local Ray inherit."""
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",  # sends nothing anywhere
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # imports what we can
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # other processes have nets there as well
    }
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


@contextlib.contextmanager
def _quiet(ray) -> Iterator[None]:
    """Let Ray Data print nothing: what goes wrong is raised."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = {name: getattr(context, name) for name in _DATA_SETTINGS}
    level = logger.level
    for name, value in _DATA_SETTINGS.items():
        setattr(context, name, value)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)


class Shares(NamedTuple):
    """How many actors there are, and how many CPUs and GPUs belong to each."""

    actors: int
    cpus: float
    gpus: float


def shares(actors: int | None, tasks: int) -> Shares:
    """Share out the machines of the cluster that this process is connected to.

    Args:
        actors: How many are wanted; None for one a GPU, or one for two CPUs where
            there is no GPU.
        tasks: How many blocks there are: more actors would have nothing to do.
    """
    nodes = [node["Resources"] for node in import_ray().nodes() if node["Alive"]]
    cpus = [node["CPU"] for node in nodes if node.get("CPU")]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    default = gpus or sum(max(1, int(c // CPUS_PER_ACTOR)) for c in cpus) or 1
    count = min(actors or default, tasks)
    most = min(max(cpus, default=1), sum(cpus) / count if cpus else 1)
    return Shares(
        count,
        float(math.floor(most)) if most >= 1 else most,
        1 / math.ceil(count / gpus) if gpus else 0,
    )
