"""Caffe's files in HDF5: parameters (`.caffemodel.h5`), solvers' states.

    file["data/conv1/0"]            a parameter, float32; not of layers that share it
    file["iter"], file["current_step"], file["learned_net"], file["history/0"]

A file is a stranger's: links that lead elsewhere are refused, and all that is read of
it is no larger than the file. h5py is imported by the first such file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..files import replacing_path
from ..lazy import h5py
from .blobs import MAX_AXES
from .errors import CaffeFormatError
from .skeleton import MAX_LAYERS
from .wire import Source

_MAGIC = b"\x89HDF\r\n\x1a\n"
_DATA, _HISTORY = "data", "history"
_MAX_PARAMS = 1_000  # of a layer
_MAX_DEPTH = 32  # of groups: the slashes in a layer's name
_MAX_NAME = 64 << 10
DUMP_FORMAT = "keras_caffe_zoo weights"  # of what `dump` makes

Params = Mapping[str, Mapping[int, np.ndarray]]


class State(NamedTuple):
    """What a `.solverstate.h5` holds."""

    iteration: int
    learned_net: str
    current_step: int
    history: list[np.ndarray]


def is_hdf5(source: Source) -> bool:
    """Tell whether a file is HDF5."""
    return source.size > len(_MAGIC) and source.read(0, len(_MAGIC)) == _MAGIC


def kind_of(path: str) -> str:
    """Return what an HDF5 file is.

    Returns:
        `"caffemodel"`, `"solverstate"`, `"dump"` for what `keras-caffe-zoo dump`
        makes, else `""`.

    Raises:
        CaffeFormatError: If the file is damaged.
    """
    with _opened(path) as file:
        return file.kind


def read_params(path: str) -> dict[str, dict[int, np.ndarray]]:
    """Read the parameters of a `.caffemodel.h5`.

    Args:
        path: The file.

    Returns:
        Layer name to float32 arrays by their numbers, of all layers. Those that a
        layer shares with an earlier one are missing, as Caffe leaves them out.

    Raises:
        CaffeFormatError: If the file is another kind of HDF5 file, or damaged.
    """
    with _opened(path) as file:
        file.expect("caffemodel")
        return file.params()


def read_state(path: str, history: bool = True) -> State:
    """Read a `.solverstate.h5`.

    Args:
        path: The file.
        history: Whether to read the history too, which may be large.

    Raises:
        CaffeFormatError: If the file is another kind of HDF5 file, or damaged.
    """
    with _opened(path) as file:
        file.expect("solverstate")
        return file.state(history)


def write_params(path, params: Params) -> None:
    """Write a `.caffemodel.h5` that Caffe 1.0 loads.

    Args:
        path: The file; replaced if it exists.
        params: As `read_params` returns them.

    Raises:
        ValueError: If a layer has a name that Caffe could not read again.
    """
    check_names(params)
    with replacing_path(path) as beside, h5py.File(beside, "w") as file:
        data = file.create_group(_DATA)
        for name, blobs in params.items():
            group = data.create_group(name)
            for number, blob in blobs.items():
                group.create_dataset(str(number), data=blob, dtype="<f4")


def write_state(path, state: State) -> None:
    """Write a `.solverstate.h5` that Caffe 1.0 loads.

    Args:
        path: The file; replaced if it exists.
        state: The state; its history is float32.
    """
    name = state.learned_net.encode() + b"\0"  # Caffe reads it as a string of C
    with replacing_path(path) as beside, h5py.File(beside, "w") as file:
        file.create_dataset("iter", data=[state.iteration], dtype="<i4")
        file.create_dataset("learned_net", data=name, dtype=f"S{len(name)}")
        file.create_dataset("current_step", data=[state.current_step], dtype="<i4")
        group = file.create_group(_HISTORY)
        for number, blob in enumerate(state.history):
            group.create_dataset(str(number), data=blob, dtype="<f4")


def check_names(names) -> None:
    """Check that layers of these names can be in a `.caffemodel.h5`.

    A slash makes a group in a group, which Caffe neither writes nor finds again.

    Raises:
        ValueError: If not; names the layers.
    """
    bad = [name for name in names if "/" in name or name in ("", ".")]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise ValueError(
            "Expected layers' names without slashes, the only ones that Caffe finds in "
            f"a .caffemodel.h5; received: {', '.join(map(repr, bad[:3]))}{more}. Write "
            "a .caffemodel (snapshot_format: BINARYPROTO)"
        )


def own_dataset(group, name: str):
    """Return a group's dataset of numbers if they are in the group's own file.

    A link to elsewhere, or a dataset whose values are in other files, is `None`.
    """
    link = group.get(name, getlink=True)
    found = group.get(name) if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        return None
    return found


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_File]:
    try:
        with h5py.File(path, "r") as file:
            yield _File(file, path)
    except CaffeFormatError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CaffeFormatError(
            f"Expected an HDF5 file that can be read; received: {error}. The file is "
            "damaged; fetch it again",
            source=path,
        ) from error


class _File:
    """An HDF5 file of which no more is read than it has bytes."""

    def __init__(self, file, path: str):
        self.file, self.path = file, path
        self._left, self._seen = os.path.getsize(path), 0

    @property
    def kind(self) -> str:
        if self._group(self.file, _HISTORY) is not None and "iter" in self.file:
            return "solverstate"
        if self.file.attrs.get("format") == DUMP_FORMAT:
            return "dump"
        data = self._group(self.file, _DATA)
        return "" if data is None else "caffemodel"

    def expect(self, wanted: str) -> None:
        kind = self.kind
        if kind == wanted:
            return
        names = sorted(self.file)[:5]
        what = {
            "solverstate": "a solver's state. Read it with read_solverstate",
            "caffemodel": "parameters. Read them with read_caffemodel",
            "dump": "weights in Keras layout, as `keras-caffe-zoo dump` makes them. "
            "Pass them as a builder's weights=…",
        }.get(kind, f"another HDF5 file, with {names}. Keras' own load into its models")
        raise self._error(f"Expected a .{wanted}.h5 of Caffe's; received: {what}")

    def params(self) -> dict[str, dict[int, np.ndarray]]:
        found: dict[str, dict[int, np.ndarray]] = {}
        data = self._group(self.file, _DATA)
        for name in data:
            self._add_layer(data, name, name, found)
        return found

    def state(self, history: bool) -> State:
        iteration, step = self._number("iter"), self._number("current_step", 0)
        blobs = []
        if history:
            group = self._group(self.file, _HISTORY)
            numbers = {str(i) for i in range(len(group))}
            if set(group) != numbers:
                raise self._error(
                    "Expected a history of datasets 0, 1, 2, …; received: "
                    f"{sorted(group)[:5]}"
                )
            blobs = [self._values(group, str(i)) for i in range(len(group))]
        return State(iteration, self._text("learned_net"), step, blobs)

    def _add_layer(self, parent, key: str, name: str, found, depth: int = 0) -> None:
        self._count()
        group = self._group(parent, key)
        if group is None or depth > _MAX_DEPTH:
            raise self._error(f"Expected layers as groups; received: {name!r}")
        blobs = {}
        for inner in group:
            self._count()
            if self._group(group, inner) is not None:
                self._add_layer(group, inner, f"{name}/{inner}", found, depth + 1)
                continue
            if not (inner.isdecimal() and inner.isascii() and len(inner) < 5):
                raise self._error(
                    f"Expected parameters named 0, 1, 2, … of layer {name!r}; "
                    f"received: {inner[:40]!r}"
                )
            blobs[int(inner)] = self._values(group, inner)
        if any(number >= _MAX_PARAMS for number in blobs):
            raise self._error(
                f"Expected at most {_MAX_PARAMS} parameters of layer {name!r}; "
                f"received number {max(blobs)}"
            )
        found[name] = dict(sorted(blobs.items()))

    @staticmethod
    def _group(parent, name: str):
        link = parent.get(name, getlink=True)
        found = parent.get(name) if isinstance(link, h5py.HardLink) else None
        return found if isinstance(found, h5py.Group) else None

    def _values(self, group, name: str) -> np.ndarray:
        """Return a dataset as float32, if all its values are in the file."""
        dataset = own_dataset(group, name)
        place = f"{group.name}/{name}".lstrip("/")
        if dataset is None or dataset.dtype.kind not in "fiu" or dataset.shape is None:
            raise self._error(
                f"Expected numbers that are in the file; received: {place!r}, which is "
                "none of its own datasets"
            )
        size = dataset.size * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if dataset.ndim > MAX_AXES or size > min(stored, self._left):
            raise self._error(
                f"Expected values as Caffe stores them, uncompressed; received: "
                f"{place!r} of shape {dataset.shape} in {stored:,} bytes"
            )
        self._left -= size
        with np.errstate(over="ignore", invalid="ignore"):  # as of a caffemodel
            return np.asarray(dataset[()]).astype(np.float32, copy=False)

    def _number(self, name: str, default: int | None = None) -> int:
        if name not in self.file and default is not None:
            return default
        dataset = own_dataset(self.file, name)
        if dataset is None or dataset.dtype.kind not in "iu" or dataset.size != 1:
            raise self._error(f"Expected a whole number {name!r}; received none")
        return int(np.ravel(dataset[()])[0])

    def _text(self, name: str) -> str:
        """Return a string; an empty one if there is none, as in Caffe."""
        if name not in self.file:
            return ""
        dataset = own_dataset(self.file, name)
        if (
            dataset is None
            or h5py.check_string_dtype(dataset.dtype) is None
            or dataset.size != 1
            or dataset.dtype.itemsize > _MAX_NAME
        ):
            raise self._error(f"Expected a file's name as {name!r}; received none")
        text = np.ravel(dataset[()])[0]
        text = text if isinstance(text, bytes) else str(text).encode()
        return text.partition(b"\0")[0].decode("utf-8", "replace")

    def _count(self) -> None:
        self._seen += 1
        if self._seen > 4 * MAX_LAYERS:
            raise self._error(
                f"Expected at most {4 * MAX_LAYERS:,} groups and datasets; received "
                "more. No Caffe net is like that"
            )

    def _error(self, problem: str) -> CaffeFormatError:
        return CaffeFormatError(problem, source=self.path)


def blob_list(blobs: Mapping[int, np.ndarray]) -> Sequence[np.ndarray | None]:
    """Return a layer's parameters by their numbers as a list, `None` where none is."""
    return [blobs.get(number) for number in range(max(blobs, default=-1) + 1)]
