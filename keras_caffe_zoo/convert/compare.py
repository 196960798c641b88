"""Where does a model depart from Caffe? Blob by blob, in execution order."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.convert.layout import blob_from_tensor, tensor_from_blob
from keras_caffe_zoo.convert.model import blob_tensor
from keras_caffe_zoo.convert.names import caffe_name

_SPLIT_COPY = re.compile(r"_split_\d+$")
_PREFIX = "blob/"  # what pycaffe scripts like to put before the names


@dataclass(frozen=True)
class Row:
    """One blob of the comparison.

    Attributes:
        blob: Caffe's name of the blob.
        layer: The Keras layer that holds its final value.
        ours: The shape here, in Caffe's order of axes.
        theirs: The shape that was given.
        difference: Largest difference as a fraction of the largest given value; `None`
            where the shapes differ, infinity where only one side is not a number.
    """

    blob: str
    layer: str
    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    difference: float | None

    def agrees(self, tolerance: float) -> bool:
        """Tell whether the blob is the same within a tolerance."""
        return self.difference is not None and self.difference <= tolerance


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; printing it shows a table.

    Attributes:
        rows: One for each blob, in execution order.
        tolerance: The difference up to which a blob agrees.
        skipped: Names of given blobs that the model does not have. (Copies that
            Caffe's inserted Split layers make do not count.)
    """

    rows: tuple[Row, ...]
    tolerance: float
    skipped: tuple[str, ...] = ()

    @property
    def first_departure(self) -> Row | None:
        """The first blob that departs, or `None` if all agree."""
        return next((r for r in self.rows if not r.agrees(self.tolerance)), None)

    def as_dict(self) -> dict:
        """Return the comparison in JSON's types."""
        first = self.first_departure
        return {
            "tolerance": self.tolerance,
            "rows": [asdict(row) for row in self.rows],
            "first_departure": first.blob if first else None,
            "skipped": list(self.skipped),
        }

    def __str__(self):
        lines = [f"{'blob':<26} {'layer':<22} {'shape':<17} difference"]
        for row in self.rows:
            shape = " x ".join(map(str, row.ours))
            lines.append(
                f"{row.blob:<26.26} {caffe_name(row.layer):<22.22} {shape:<17.17} "
                f"{self._said(row)}"
            )
        if self.skipped:
            lines += [f"not in the model: {name}"[:80] for name in self.skipped]
        first = self.first_departure
        if first is None:
            lines.append(f"All {len(self.rows)} blobs agree within {self.tolerance:g}.")
        else:
            lines.append(
                f"First departure: blob '{first.blob}', layer '{first.layer}'."
            )
        return "\n".join(lines)

    def _said(self, row: Row) -> str:
        if row.difference is None:
            said = f"given {' x '.join(map(str, row.theirs))}"
        else:
            said = f"{row.difference:.1e}"
        return said + (" <-- first" if row is self.first_departure else "")


def compare(
    model: keras.Model,
    blobs: Mapping[str, np.ndarray] | str | os.PathLike,
    *,
    tolerance: float = 1e-4,
) -> Comparison:
    """Compare a model with blobs that Caffe (or anything else) computed.

    With pycaffe at hand, such blobs are saved by
    `np.savez("blobs.npz", **{k: b.data for k, b in net.blobs.items()})`.

    Args:
        model: The model, from `from_caffe` or a builder.
        blobs: Arrays in Caffe's order of axes by blob name, or the path of an `.npz`
            of such; a prefix `blob/` is left out. The data blobs must be among them.
        tolerance: The difference, as a fraction of a blob's largest value, up to which
            it counts as the same.

    Returns:
        A `Comparison`; print it.

    Raises:
        ValueError: If a data blob is missing, or no blob is one of the model's.
    """
    given = _arrays(blobs)
    inputs = _inputs(model, given)
    places, skipped = {}, []
    for name in given:
        try:
            places[name] = blob_tensor(model, name)
        except ValueError:
            skipped += [] if _SPLIT_COPY.search(name) else [name]
    wanted = {n: t for n, t in places.items() if not any(t is i for i in model.inputs)}
    if not wanted:
        raise ValueError(
            f"Expected blobs of '{model.name}'; received only: {sorted(given)}"
        )
    computed = keras.Model(model.input, wanted)(inputs)
    rows = [_row(n, wanted[n], computed[n], given[n]) for n in _in_order(model, wanted)]
    return Comparison(tuple(rows), tolerance, tuple(skipped))


def _in_order(model, names) -> list[str]:
    """Return names of blobs in the order in which the net writes them."""
    blobs = list(getattr(model, "caffe_blobs", ()))
    layers = [caffe_name(layer.name) for layer in model.layers]
    place = {name: i for i, name in enumerate([*layers, *blobs])}
    return sorted(names, key=lambda name: place.get(name, -1))


def _arrays(blobs) -> dict[str, np.ndarray]:
    if not isinstance(blobs, Mapping):
        with np.load(blobs, allow_pickle=False) as archive:
            blobs = dict(archive)
    prefixed = {k: v for k, v in blobs.items() if k.startswith(_PREFIX)}
    chosen = prefixed or blobs
    return {k.removeprefix(_PREFIX): np.asarray(v) for k, v in chosen.items()}


def _inputs(model, given) -> list:
    names = [caffe_name(tensor.name) for tensor in model.inputs]
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(
            f"Expected the data blobs {names} among the blobs; received none for "
            f"{missing} in {sorted(given)}"
        )
    arrays = [tensor_from_blob(given[name]) for name in names]
    return arrays[0] if len(arrays) == 1 else arrays


def _row(name, tensor, value, given) -> Row:
    ours = blob_from_tensor(ops.convert_to_numpy(value))
    layer = tensor._keras_history.operation.name
    difference = _difference(ours, given) if ours.shape == given.shape else None
    return Row(name, layer, ours.shape, given.shape, difference)


def _difference(ours: np.ndarray, given: np.ndarray) -> float:
    if not np.array_equal(np.isnan(ours), np.isnan(given)):
        return float("inf")
    largest = float(np.nanmax(np.abs(given), initial=0.0))
    gap = float(np.nanmax(np.abs(ours - given), initial=0.0))
    return gap / largest if largest else gap
