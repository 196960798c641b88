"""What is in a Caffe file: layers, shapes, parameters, format."""

import contextlib
import os
import textwrap
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Net, read_mean, read_net
from keras_caffe_zoo.columns import Column, shape_text, table_lines
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.preparing import (
    check_inputs,
    given_shapes,
    prepared_net,
)
from keras_caffe_zoo.conversion.unknown import is_harmless
from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.lazy import caffe_model
from keras_caffe_zoo.messages import one_line, shortened
from keras_caffe_zoo.onnx.api import blob_shapes
from keras_caffe_zoo.rules.forks import fork_of_field, fork_of_type, known_fields
from keras_caffe_zoo.rules.node import caffe_shape
from keras_caffe_zoo.rules.python import code_name
from keras_caffe_zoo.rules.rule import Rule

_COLUMNS = (
    Column("layer", 22, names=True),
    Column("type", 15, names=True),
    Column("blob", 19),
)


@dataclass(frozen=True)
class FileSummary:
    """What `inspect_file` found; printing it shows a table.

    Attributes:
        kind: `"caffemodel"`, `"prototxt"` or `"mean"`.
        path: The file.
        size: Bytes.
        name: The net's name.
        version: Caffe's format, `"V0"`, `"V1"`, `"V2"` or `"HDF5"`; none for a mean.
        layers: For each layer its name, type, bottoms, tops, the shapes of its
            parameters (`blobs`) and, of a definition, of what it writes (`shapes`;
            None for a size that only the data tells, as of rows that are found).
        inputs: Shapes of the data blobs that the file declares.
        parameters: Numbers in all blobs.
        unknown_fields: Fields that Caffe 1.0 does not have.
        forks: The forks of Caffe that the net needs, and the types of layers and the
            fields that say so.
        refused: Why a definition cannot be imported; `""` if it can.
        mean: Shape and channel means of a mean image.
    """

    kind: str
    path: str
    size: int
    name: str = ""
    version: str | None = None
    layers: tuple[dict, ...] = ()
    inputs: dict | None = None
    parameters: int = 0
    unknown_fields: tuple[str, ...] = ()
    forks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: str = ""
    mean: dict | None = None

    def __str__(self):
        return "\n".join(self._mean_lines() if self.mean else self._net_lines())

    def _mean_lines(self) -> list[str]:
        channels = ", ".join(f"{value:.3f}" for value in self.mean["channels"])
        return [
            self.path,
            f"mean image (.binaryproto), {self.size:,} bytes",
            f"shape {shape_text(self.mean['shape'])}, channel means {channels}",
        ]

    def _net_lines(self) -> list[str]:
        what = {"caffemodel": "weights", "prototxt": "definition"}[self.kind]
        name = f"net '{self.name}'" if self.name else "a net without a name"
        lines = [
            self.path,
            f"{what} of {name} ({self.kind}, format {self.version}), "
            f"{self.size:,} bytes",
        ]
        for blob, shape in (self.inputs or {}).items():
            lines.append(f"input '{blob}': {shape_text(shape)}")
        if self.forks:
            needs = [f"{x} ({', '.join(why)})" for x, why in self.forks.items()]
            lines += _wrapped(f"needs: {', '.join(needs)}")
        if self.refused:
            lines.append(shortened(f"cannot be imported: {one_line(self.refused)}"))
        lines.append("")
        last = "parameters" if self.kind == "caffemodel" else "reads"
        columns = (*_COLUMNS, Column(last, names=last == "reads"))
        lines += table_lines(columns, [self._cells(layer) for layer in self.layers])
        lines.append("")
        total = f", {self.parameters:,} parameters" if self.parameters else ""
        lines.append(f"{len(self.layers)} layers{total}")
        lines += [f"unknown to Caffe 1.0: {x}" for x in self.unknown_fields]
        return lines

    def _cells(self, layer: dict) -> tuple:
        last = [shape_text(shape) for shape in layer["blobs"]]
        if self.kind == "prototxt":
            last = layer["bottoms"]
        made = [shape_text(shape) for shape in layer["shapes"]]
        return layer["name"], layer["type"], made, last


def inspect_file(path: str | os.PathLike, **options) -> FileSummary:
    """Say what is in a `.caffemodel` (HDF5 too), `.prototxt` or `.binaryproto`.

    Args:
        path: The file; its kind is told by its content.
        **options: What `from_caffe` takes, such as `input_shape`; a definition is
            imported to tell the shapes of its blobs.

    Raises:
        CaffeFormatError: If it is none of the three, or damaged.
        ValueError: If an option is none of a definition.
        OSError: If it cannot be read.

    Example:
        >>> from importlib.resources import files
        >>> demo = files("keras_caffe_zoo") / "data" / "demo"
        >>> found = kcz.inspect_file(demo / "digits.prototxt")
        >>> pool1 = found.layers[3]
        >>> pool1["name"], pool1["type"], pool1["shapes"]  # 28 pixels make 14, not 13
        ('pool1', 'Pooling', [[1, 24, 14, 14]])
        >>> found.refused, found.forks
        ('', {})
    """
    check_file(path, "a caffemodel, a prototxt or a binaryproto")
    size = Path(path).stat().st_size
    try:
        net = read_net(path)
    except CaffeFormatError as error:
        mean = _mean(path)
        if mean is None:
            raise error from None
        return FileSummary("mean", str(path), size, mean=mean)
    return _net_summary(net, str(path), size, options)


def _mean(path) -> dict | None:
    try:
        mean = read_mean(path)
    except CaffeFormatError:
        return None
    channels = [float(value) for value in mean.mean((1, 2))]
    return {"shape": list(mean.shape), "channels": channels}


def _net_summary(net: Net, path: str, size: int, options) -> FileSummary:
    kind = "caffemodel" if net.params else "prototxt"
    shapes, parameters, refused = {}, 0, ""
    if kind == "prototxt":
        shapes, parameters, refused = _inferred(path, net, options)
    layers = tuple(
        {
            "name": layer.name,
            "type": layer.type,
            "bottoms": list(layer.bottoms),
            "tops": list(layer.tops),
            "blobs": [list(blob.shape) for blob in layer.blobs],
            "shapes": [shapes[top] for top in layer.tops if top in shapes],
        }
        for layer in net.layers
    )
    parameters += sum(int(np.prod(s)) for layer in layers for s in layer["blobs"])
    return FileSummary(
        kind=kind,
        path=path,
        size=size,
        name=net.name,
        version=net.version,
        layers=layers,
        inputs={blob: list(shape) for blob, shape in net.inputs.items()},
        parameters=parameters,
        unknown_fields=tuple(map(str, net.unknown_fields)),
        forks=_forks(net),
        refused=refused,
    )


def _forks(net: Net) -> dict[str, tuple[str, ...]]:
    """Return the forks that a net needs, and what says so, in the net's order."""
    found: dict[str, dict[str, None]] = {}
    for layer in net.layers:
        type_ = code_name(layer)
        unknown = [x.path for x in layer.unknown_fields() if not is_harmless(x.path)]
        said = {type_: fork_of_type(type_)}
        said |= {path: fork_of_field(path) for path in (*known_fields(layer), *unknown)}
        for name, fork in said.items():
            if fork:
                found.setdefault(fork, {})[name] = None
    return {fork: tuple(names) for fork, names in found.items()}


def _inferred(path: str, net: Net, options) -> tuple[dict[str, list], int, str]:
    """Return the shapes of a definition's blobs, its parameters, and why it has none.

    Nothing of a definition that cannot be imported; then its layers are still listed.
    """
    batches = {blob: shape[0] for blob, shape in net.inputs.items() if shape}
    batch = next(iter(batches.values()), 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the summary names the fields itself
            return *_measured(path, batch, **options), ""
    except ValueError as error:
        if options and not isinstance(error, CaffeFormatError):
            raise
        return {}, 0, str(error).removeprefix(path).lstrip(",: ")


def _measured(
    path: str,
    batch: int,
    input_shape=None,
    fully_convolutional: bool = False,
    phase: str = "TEST",
    dtype: str | None = None,
    **options,
) -> tuple[dict[str, list], int]:
    """Return the shapes of a definition's blobs, and its parameters.

    Where its layers have ONNX operations, without Keras, whose import takes seconds.
    """
    given = {"fully_convolutional": fully_convolutional, "phase": phase}
    prepared = prepared_net(path, None, phase=phase, **options)
    check_inputs(prepared.part)
    inputs = given_shapes(prepared.part, input_shape)
    inputs = {blob: (n or batch, *sizes) for blob, (n, *sizes) in inputs.items()}
    if all(isinstance(rule, Rule) for rule in prepared.custom.values()):
        with contextlib.suppress(ValueError):  # Keras may do, or says why not
            shapes, count = blob_shapes(prepared, inputs, **given)
            return {blob: list(shape) for blob, shape in shapes.items()}, count
    options |= {"input_shape": input_shape, "dtype": dtype, **given}
    model, shapes = from_caffe(path, **options), {}
    for blob in model.caffe_blobs:
        shape = caffe_shape(caffe_model.blob_tensor(model, blob))
        shapes[blob] = [batch if size is None else size for size in shape]
    return shapes, model.count_params()


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, 80, subsequent_indent="    ")
