"""Where does a model depart from Caffe? Blob by blob, in execution order."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from keras_caffe_zoo.columns import Column, shape_text, table_lines
from keras_caffe_zoo.conversion.memory import Memory
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.conversion.spare import caffe_blob, source_of_rows
from keras_caffe_zoo.files import open_file
from keras_caffe_zoo.kinds import HEAD, kind_of
from keras_caffe_zoo.lazy import keras, ops
from keras_caffe_zoo.messages import one_line, said, shortened
from keras_caffe_zoo.rules.layout import tensor_from_blob
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.node import caffe_shape

_SPLIT_COPY = re.compile(r"_split_\d+$")
_PREFIX = "blob/"  # what pycaffe scripts like to put before the names
_DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
_SAVE = (
    'pycaffe writes one by np.savez("blobs.npz", **{k: b.data for k, b in '
    "net.blobs.items()})"
)
_COLUMNS = (
    Column("blob", 24, names=True),
    Column("layer", 19, names=True),
    Column("shape", 17),
    Column("difference"),
)


@dataclass(frozen=True)
class Row:
    """One blob of the comparison.

    Attributes:
        blob: Caffe's name of the blob.
        layer: Caffe's name of the layer that holds its final value. If Caffe
            overwrites the blob's memory under another name, it is the layer that does
            so.
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

    Example:
        >>> x = keras.Input((2,), name="data")
        >>> model = keras.Model(x, keras.layers.ReLU(name="relu")(x))
        >>> given = {"data": np.array([[-1.0, 4.0]]), "relu": np.array([[-0.5, 4.0]])}
        >>> found = kcz.compare(model, given)  # of a ReLU with another slope
        >>> [(row.blob, float(row.difference)) for row in found.rows]
        [('relu', 0.125)]
        >>> found.first_departure.blob
        'relu'
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
        cells = [
            (
                row.blob,
                row.layer,
                shape_text(row.ours),
                self._said(row),
            )
            for row in self.rows
        ]
        heading, *table = table_lines(_COLUMNS, cells)
        lines, place = [heading], heading.index("shape")
        for row, line in zip(self.rows, table, strict=True):
            lines.append(line)
            if row.difference is None:
                lines.append(f"{'given:':>{place - 1}} {shape_text(row.theirs)}")
        lines += [
            shortened(f"not in the model: {one_line(name)}") for name in self.skipped
        ]
        first = self.first_departure
        if first is None:
            lines.append(f"All {len(self.rows)} blobs agree within {self.tolerance:g}.")
        else:
            lines.append(
                f"First departure: blob '{first.blob}', layer '{first.layer}'."
            )
        return "\n".join(lines)

    def _said(self, row: Row) -> str:
        said = "shape" if row.difference is None else f"{row.difference:.1e}"
        return said + (" <-- first" if row is self.first_departure else "")


def compare(
    model: keras.Model,
    blobs: Mapping[str, np.ndarray] | str | os.PathLike,
    *,
    tolerance: float = 1e-4,
    inputs: Mapping[str, np.ndarray] | str | os.PathLike | None = None,
) -> Comparison:
    """Compare a model with blobs that Caffe (or anything else) computed.

    With pycaffe at hand, such blobs are saved after the forward pass by
    `np.savez("blobs.npz", **{k: b.data for k, b in net.blobs.items()})`. A blob then
    holds what was written last: that of a layer in place, be it in the memory that a
    Flatten, Reshape or Split shares with the blob. What is compared is the same.

    Args:
        model: The model, from `from_caffe` or a builder.
        blobs: Arrays in Caffe's order of axes by blob name, or the path of an `.npz`
            of such; a prefix `blob/` is left out. The data blobs must be among them,
            but for those in `inputs`.
        tolerance: The difference, as a fraction of a blob's largest value, up to which
            it counts as the same.
        inputs: Data blobs as they were before the forward pass, like `blobs`. Needed
            where Caffe overwrites them: where a layer works in place on the data.

    Returns:
        A `Comparison`; print it.

    Raises:
        ValueError: If a data blob is missing, or is overwritten and not in `inputs`;
            or if no blob is one of the model's.

    Example:
        >>> x = keras.Input((2,), name="data")
        >>> model = keras.Model(x, keras.layers.ReLU(name="relu")(x))
        >>> blobs = {"data": np.array([[-1.0, 4.0]]), "relu": np.array([[0.0, 4.0]])}
        >>> print(kcz.compare(model, blobs))
        blob                     layer               shape             difference
        relu                     relu                1 x 2             0.0e+00
        All 1 blobs agree within 0.0001.
    """
    given, memory = arrays_by_blob(blobs), Memory(model)
    fed = {} if inputs is None else arrays_by_blob(inputs)
    arrays = _inputs(model, given, fed, memory)
    places, skipped = {}, []
    for name in given:
        try:
            places[name] = blob_tensor(model, name)
        except ValueError:
            skipped += [] if _SPLIT_COPY.search(name) else [name]
    data = [x for x in model.inputs if caffe_name(x.name) not in fed]
    wanted = {n: t for n, t in places.items() if not any(t is i for i in data)}
    if not wanted:
        raise ValueError(
            f"Expected blobs of '{model.name}'; received only: {sorted(given)}"
        )
    held = {name: memory.held(tensor) for name, tensor in wanted.items()}
    tensors = {id(t): t for n in wanted for t in (wanted[n], *held[n])}
    sources = {key: source_of_rows(t) for key, t in tensors.items()}
    tensors.update({id(t): t for t in sources.values() if t is not None})
    # Of a flat list of inputs, whatever structure the model's are in: Keras warns of
    # one that differs, or refuses it.
    values = keras.Model(model.inputs, list(tensors.values()))(arrays)
    values = values if isinstance(values, (list, tuple)) else [values]
    values = dict(zip(tensors, map(ops.convert_to_numpy, values), strict=True))
    computed = {
        key: caffe_blob(tensors[key], values[key], values.get(id(source)))
        for key, source in sources.items()
    }
    rows = [
        _row(name, wanted[name], held[name], computed, given[name])
        for name in _in_order(model, wanted)
    ]
    return Comparison(tuple(rows), tolerance, tuple(skipped))


def _in_order(model, names) -> list[str]:
    """Return names of blobs in the order in which the net writes them."""
    blobs = list(getattr(model, "caffe_blobs", ()))
    layers = [caffe_name(layer.name) for layer in model.layers]
    place = {name: i for i, name in enumerate([*layers, *blobs])}
    return sorted(names, key=lambda name: place.get(name, -1))


def arrays_by_blob(blobs) -> dict[str, np.ndarray]:
    """Return arrays by the names of blobs, of a mapping or the path of an `.npz`.

    Raises:
        ValueError: If the file is no `.npz`, or an array in it has no numbers.
        OSError: If it cannot be read.
    """
    if not isinstance(blobs, Mapping):
        blobs = _read_npz(blobs)
    prefixed = {k: v for k, v in blobs.items() if k.startswith(_PREFIX)}
    chosen = prefixed or blobs
    return {k.removeprefix(_PREFIX): np.asarray(v) for k, v in chosen.items()}


def _read_npz(path) -> dict[str, np.ndarray]:
    path, expected = os.fspath(path), "an .npz of arrays by blob name"
    with open_file(path, expected) as file:
        kind = kind_of(file.read(HEAD))
        if kind != "a zip archive":
            raise ValueError(
                f"Expected {expected}; received: {path}, "
                f"{kind or 'which is none'}. {_SAVE}"
            )
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, *_DAMAGED) as error:
            why = shortened(said(error), 200)
            if "allow_pickle" in why:
                why = "an array in it holds Python objects, no numbers"
            raise ValueError(
                f"Expected {expected}; received: {path} ({why}). {_SAVE}"
            ) from error
    if not_arrays := [k for k, v in arrays.items() if not isinstance(v, np.ndarray)]:
        raise ValueError(
            f"Expected {expected}; received: {path}, a zip archive of other files, "
            f"such as {shortened(not_arrays[0])!r}. {_SAVE}"
        )
    return arrays


def _inputs(model, given, fed, memory) -> list:
    """Return what the model is fed: the data blobs as they were at first."""
    names = [caffe_name(tensor.name) for tensor in model.inputs]
    unknown = [name for name in fed if name not in names]
    if unknown:
        raise ValueError(
            f"Expected `inputs` of the data blobs {names}; received also: {unknown}"
        )
    missing = [name for name in names if name not in {**given, **fed}]
    if missing:
        raise ValueError(
            f"Expected the data blobs {names} among the blobs; received none for "
            f"{missing} in {sorted(given)}"
        )
    for name, tensor in zip(names, model.inputs, strict=True):
        last = memory.overwritten(tensor)[-1]
        if last is not tensor and name not in fed:
            raise ValueError(
                f"Expected the data blob {name!r} as it was before the forward pass: "
                f"Caffe overwrites it, layer '{_maker(last)}' being in place. Give "
                f"inputs={{{name!r}: array}}"
            )
    arrays = [fed.get(name, given.get(name)) for name in names]
    for name, tensor, array in zip(names, model.inputs, arrays, strict=True):
        _check_shape(name, tuple(caffe_shape(tensor)), array)
    return [tensor_from_blob(array) for array in arrays]


def _check_shape(name: str, expected: tuple, array: np.ndarray) -> None:
    """Refuse a data blob that the net does not take: Keras would tell of its axes."""
    shape = tuple(array.shape)
    pairs = zip(expected[1:], shape[1:], strict=False)
    fits = len(shape) == len(expected) and all(n in (None, m) for n, m in pairs)
    if not fits:
        raise ValueError(
            f"Expected the data blob {name!r} with the shape {shape_text(expected)}; "
            f"received: {shape_text(shape)}"
        )


def _row(name, tensor, held, computed, given) -> Row:
    shape = computed[id(tensor)].shape
    if shape != given.shape:
        return Row(name, _maker(tensor), shape, given.shape, None)
    found = [
        (_difference(computed[id(last)].reshape(shape), given), _maker(last))
        for last in held
    ]
    difference, layer = min(found, key=lambda pair: pair[0])
    return Row(name, layer, shape, given.shape, difference)


def _maker(tensor) -> str:
    return caffe_name(tensor._keras_history.operation.name)


def _difference(ours: np.ndarray, given: np.ndarray) -> float:
    if not np.array_equal(np.isnan(ours), np.isnan(given)):
        return float("inf")
    largest = float(np.nanmax(np.abs(given), initial=0.0))
    gap = float(np.nanmax(np.abs(ours - given), initial=0.0))
    return gap / largest if largest else gap
