"""Features as one HDF5 file.

    file["fc7"]             (rows, …) float32 or float16, one dataset a layer
    file["names"]           (rows,) UTF-8
    file["index"]           (rows,) int64: the picture's place in the source
    file["bad/index"], file["bad/name"], file["bad/reason"]
    file.attrs["provenance"]    JSON: see `Header`

All first axes can grow.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from keras_caffe_zoo.extraction.block import Bad, Block
from keras_caffe_zoo.extraction.provenance import RESERVED, Header

_CHUNK_BYTES = 2**18
_ROWS_READ = 4096


def check_layers(layers: Sequence[str]) -> None:
    """Refuse layers whose names cannot stand side by side in a file.

    Raises:
        ValueError: If there are any.
    """
    for place, name in enumerate(layers):
        others = [*RESERVED, *layers[:place], *layers[place + 1 :]]
        if any(f"{other}/".startswith(f"{name}/") for other in others):
            raise ValueError(
                f"Expected layers that HDF5 can hold beside {', '.join(RESERVED)}; "
                f"received: {name!r} of {tuple(layers)}. Write Parquet, or two files."
            )


def read_header(path: Path) -> Header:
    """Read what a file says of itself.

    Raises:
        ValueError: If it is no file of `extract_features`, or a damaged one.
    """
    try:
        with h5py.File(path, "r") as file:
            bad = _read_bad(file["bad"])
            header = Header.from_json(file.attrs["provenance"], bad)
            rows = {len(file[name]) for name in ("names", "index")}
            rows |= {len(file[name]) for name in header.identity["layers"]}
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"no HDF5 file of features: {error}") from error
    if rows != {header.rows}:
        raise ValueError(f"{header.rows} rows announced, {sorted(rows)} there")
    return header


def _read_bad(group) -> list[Bad]:
    columns = (group[name][()] for name in Bad._fields)
    rows = zip(*columns, strict=True)
    return [Bad(int(i), name.decode(), why.decode()) for i, name, why in rows]


def read_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the index and name of each row."""
    with h5py.File(path, "r") as file:
        for start in range(0, len(file["index"]), _ROWS_READ):
            rows = slice(start, start + _ROWS_READ)
            names = file["names"].asstr()[rows]
            yield from zip(file["index"][rows].tolist(), names, strict=True)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of one row, by layer."""
    with h5py.File(path, "r") as file:
        header = Header.from_json(file.attrs["provenance"], [])
        return {name: file[name].shape[1:] for name in header.identity["layers"]}


def write(path: Path, header: Header, blocks: Iterable[Block], old: Path | None):
    """Write a file, block by block.

    Args:
        path: The file.
        header: Its header; counts and bad pictures are added here.
        blocks: What is in it, in order.
        old: A file that it begins like.
    """
    if old:
        shutil.copyfile(old, path)
    with h5py.File(path, "r+" if old else "w") as file:
        for block in blocks:
            _append(file, "names", np.array(block.names, object), h5py.string_dtype())
            _append(file, "index", block.index)
            for name, rows in block.values.items():
                _append(file, name, rows)
            columns = list(zip(*block.bad, strict=True)) or [(), (), ()]
            _append(file, "bad/index", np.array(columns[0], "int64"))
            for name, column in zip(Bad._fields[1:], columns[1:], strict=True):
                texts = np.array(column, object)
                _append(file, f"bad/{name}", texts, h5py.string_dtype())
            header.items += block.count
            header.bad += block.bad
        file.attrs["provenance"] = header.to_json()


def _append(file, name: str, rows: np.ndarray, dtype=None) -> None:
    if name in file and not len(file[name]) and len(rows):
        del file[name]  # made before any row told its shape
    if name not in file:
        shape, dtype = rows.shape[1:], dtype or rows.dtype
        row_bytes = max(1, int(np.prod(shape)) * 4)
        rows_in_chunk = max(1, min(4096, _CHUNK_BYTES // row_bytes))
        file.create_dataset(
            name,
            (0, *shape),
            dtype,
            maxshape=(None, *(side or None for side in shape)),
            chunks=(rows_in_chunk, *(side or 1 for side in shape)),
        )
    dataset = file[name]
    if len(rows):
        dataset.resize(len(dataset) + len(rows), axis=0)
        dataset[-len(rows) :] = rows
