"""Features as one Parquet file.

    column name     string
    column index    int64: the picture's place in the source
    column fc7      fixed-size list of float32 or float16, one column a layer; the
                    metadata of its field has the row's `shape`, as JSON

A block is a row group. The file's metadata has `provenance` (JSON: see `Header`) and
`bad`: the pictures without features, a JSON list of [index, name, reason].
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_caffe_zoo.extraction.block import Bad, Block
from keras_caffe_zoo.extraction.provenance import Header


def check_layers(layers: Sequence[str]) -> None:
    """Refuse layers whose names are taken by other columns.

    Raises:
        ValueError: If there are any.
    """
    _pyarrow()
    if taken := {"name", "index"}.intersection(layers):
        raise ValueError(
            f"Expected layers not called name or index; received: {taken}. Write HDF5."
        )


def _pyarrow():
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Expected pyarrow, which writes Parquet files; received: none. Install it: "
            'pip install "keras_caffe_zoo[parquet]"'
        ) from error
    return pyarrow


def read_header(path: Path) -> Header:
    """Read what a file says of itself.

    Raises:
        ValueError: If it is no file of `extract_features`, or a damaged one.
    """
    pa = _pyarrow()
    try:
        metadata = pa.parquet.read_metadata(path)
        facts = metadata.metadata or {}
        bad = [Bad(*one) for one in json.loads(facts[b"bad"])]
        header = Header.from_json(facts[b"provenance"], bad)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise ValueError(f"no Parquet file of features: {error}") from error
    if metadata.num_rows != header.rows:
        raise ValueError(f"{header.rows} rows announced, {metadata.num_rows} there")
    return header


def read_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the index and name of each row."""
    with _pyarrow().parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["index", "name"]):
            yield from zip(*(column.to_pylist() for column in batch), strict=True)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of one row, by layer."""
    schema = _pyarrow().parquet.read_schema(path)
    return {
        field.name: tuple(json.loads(field.metadata[b"shape"]))
        for field in schema
        if field.metadata and b"shape" in field.metadata
    }


def write(path: Path, header: Header, blocks: Iterable[Block], old: Path | None):
    """Write a file, block by block.

    Args:
        path: The file.
        header: Its header; counts and bad pictures are added here.
        blocks: What is in it, in order.
        old: A file that it begins like.
    """
    writer = None
    pa = _pyarrow()
    try:
        for table in _tables(header, blocks, old):
            if writer is None:
                writer = pa.parquet.ParquetWriter(
                    path, table.schema, use_dictionary=["name"]
                )
            writer.write_table(table.cast(writer.schema))
        facts = {"provenance": header.to_json(), "bad": json.dumps(header.bad)}
        writer.add_key_value_metadata(facts)
    finally:
        if writer is not None:
            writer.close()


def _tables(header: Header, blocks: Iterable[Block], old: Path | None) -> Iterator:
    """Yield the row groups of the old file, then the blocks'.

    A block without good pictures may not know a row's shape, so that it waits for one
    that does.
    """
    empty = None
    if old and header.rows:
        with _pyarrow().parquet.ParquetFile(old) as file:
            for i in range(file.num_row_groups):
                yield file.read_row_group(i)
    for block in blocks:
        header.items += block.count
        header.bad += block.bad
        if block.names:
            yield _table(block)
        else:
            empty = block
    if not header.rows:
        yield _table(empty)


def _table(block: Block):
    pa = _pyarrow()
    columns = {"name": pa.array(block.names, pa.string()), "index": block.index}
    fields = [pa.field("name", pa.string()), pa.field("index", pa.int64())]
    for name, rows in block.values.items():
        shape = rows.shape[1:]
        values = pa.array(np.ascontiguousarray(rows).reshape(-1))
        columns[name] = pa.FixedSizeListArray.from_arrays(
            values, math.prod(shape) if len(rows) else max(1, math.prod(shape))
        )
        told = {"shape": json.dumps(shape)}
        fields.append(pa.field(name, columns[name].type, metadata=told))
    return pa.table(columns, schema=pa.schema(fields))
