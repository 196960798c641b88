"""Write Caffe's files: caffemodels, mean images, prototxts, solvers' states.

Files appear whole or not at all. Blob values go from the array to the file as they
are; no Python number is made of any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from ..files import replacing
from . import hdf5, schema
from .blobs import MAX_AXES
from .net import Layer, Net
from .reader import read_net
from .sniff import PathLike
from .solverstate import SolverState
from .wire import encode_header, encode_tag, encode_varint

# Caffe reads a file with protobuf's limit set to INT_MAX.
MAX_FILE = 2**31 - 1
_BLOBS, _LAYER, _DATA, _SHAPE = 7, 100, 5, 7
_ITER, _LEARNED_NET, _HISTORY, _CURRENT_STEP = 1, 2, 3, 4

Params = Mapping[str, Sequence[np.ndarray]]


def write_caffemodel(
    path: PathLike, params: Params, net: Net | PathLike | None = None
) -> None:
    """Write a `.caffemodel`, or a `.caffemodel.h5`, that Caffe 1.0 loads.

    Args:
        path: The file; replaced if it exists. HDF5 if its name ends in `.h5`.
        params: Layer name to arrays of a floating type, in Caffe's layout. Other
            types than float32 are converted; infinities and NaNs are kept.
        net: The net, or the path of its definition. Then the layers' structure is
            written too, after checking that `params` has the right number of blobs
            for exactly the layers that need some. Without it, the file holds names
            and blobs only, which is all that Caffe looks at. HDF5 never has the
            structure; of a net, parameters that a layer shares with an earlier one
            are left out, as Caffe does.

    Raises:
        ValueError: If names, numbers of blobs or values do not fit, or the file would
            be larger than the 2 GiB that Caffe can read, or HDF5 cannot have a name.
        TypeError: If an array is not of a floating type.

    Example:
        >>> params = {"ip": [np.array([[1.0, 2.0]]), np.array([0.5])]}
        >>> kcz.write_caffemodel("net.caffemodel", params)
        >>> weight, bias = kcz.read_caffemodel("net.caffemodel")["ip"]
        >>> weight.tolist(), bias.tolist(), weight.dtype.name
        ([[1.0, 2.0]], [0.5], 'float32')
    """
    arrays = {name: _check_arrays(name, blobs) for name, blobs in params.items()}
    layers = [Layer(name, "") for name in arrays]
    head = b""
    if net is not None:
        net = net if isinstance(net, Net) else read_net(net)
        _check_names(net, arrays)
        layers = net.layers
        head = net.head().SerializeToString()
    if _is_hdf5(path):
        hdf5.write_params(path, _owned(layers, arrays))
        return
    records = [_record(layer, arrays.get(layer.name, [])) for layer in layers]
    _check_size(len(head) + sum(size for _, size, _ in records))
    with replacing(path) as file:
        file.write(head)
        for layer, (header, _, blobs) in zip(layers, records, strict=True):
            file.write(header)
            for blob_header, blob in blobs:
                file.write(blob_header)
                _write_values(file, blob, f"layer {layer.name!r}")


def write_solverstate(path: PathLike, state: SolverState) -> None:
    """Write a `.solverstate`, or a `.solverstate.h5`, that Caffe 1.0 resumes from.

    Args:
        path: The file; replaced if it exists. HDF5 if its name ends in `.h5`, which is
            how Caffe tells the two apart.
        state: The state. Caffe opens its `learned_net` from the folder it runs in.

    Raises:
        ValueError: If a number is out of range or a value beyond float32, or the file
            would be larger than the 2 GiB that Caffe can read.
        TypeError: If an array of the history is not of a floating type.

    Example:
        >>> import h5py
        >>> momentum = [np.array([0.5, 2.0])]
        >>> state = kcz.SolverState(7, "net_iter_7.caffemodel", 0, momentum)
        >>> kcz.write_solverstate("net_iter_7.solverstate.h5", state)
        >>> with h5py.File("net_iter_7.solverstate.h5") as file:  # by its name's end
        ...     file["iter"][()].tolist(), file["history/0"][()].tolist()
        ([7], [0.5, 2.0])
    """
    for name in ("iteration", "current_step"):
        value = getattr(state, name)
        if not 0 <= value < 1 << 31:
            raise ValueError(f"Expected {name} of at least 0; received: {value}")
    blobs = [_check_array(f"history {i}", x) for i, x in enumerate(state.history)]
    if _is_hdf5(path):
        blobs = [_float32(x, f"history {i}") for i, x in enumerate(blobs)]
        numbers = (state.iteration, state.learned_net, state.current_step)
        hdf5.write_state(path, hdf5.State(*numbers, blobs))
        return
    name = state.learned_net.encode()
    head = _number(_ITER, state.iteration)
    head += encode_header(_LEARNED_NET, len(name)) + name
    tail = _number(_CURRENT_STEP, state.current_step)
    headers = [_blob_header(blob, _HISTORY) for blob in blobs]
    sizes = [len(h) + 4 * b.size for h, b in zip(headers, blobs, strict=True)]
    _check_size(len(head) + sum(sizes) + len(tail))
    with replacing(path) as file:
        file.write(head)
        for i, (header, blob) in enumerate(zip(headers, blobs, strict=True)):
            file.write(header)
            _write_values(file, blob, f"history {i}")
        file.write(tail)


def write_mean(path: PathLike, mean: np.ndarray) -> None:
    """Write a mean image as `.binaryproto`.

    Args:
        path: The file; replaced if it exists.
        mean: Array (C, H, W) or (1, C, H, W) of a floating type, channels in the
            order of the net's input: BGR for Caffe's own nets.

    Raises:
        ValueError: If `mean` has another shape or holds values beyond float32.
        TypeError: If it is not of a floating type.

    Example:
        >>> from keras_caffe_zoo.caffe import write_mean
        >>> write_mean("mean.binaryproto", np.full((1, 3, 4, 5), 0.5))
        >>> kcz.read_mean("mean.binaryproto").shape  # one image, its channels first
        (3, 4, 5)
    """
    mean = _check_array("mean", mean)
    shape = mean.shape[1:] if mean.ndim == 4 and mean.shape[0] == 1 else mean.shape
    if len(shape) != 3 or not mean.size:
        raise ValueError(
            "Expected a mean of shape (C, H, W) or (1, C, H, W); received: "
            f"{mean.shape}"
        )
    _check_size(4 * mean.size + 64)
    legacy = dict(zip(("num", "channels", "height", "width"), (1, *shape), strict=True))
    with replacing(path) as file:
        file.write(schema.BlobProto(**legacy).SerializeToString())
        file.write(encode_header(_DATA, 4 * mean.size))
        _write_values(file, mean, "the mean")


def write_prototxt(path: PathLike, net: Net) -> None:
    """Write a net's structure as `.prototxt` (V2, no weights).

    Args:
        path: The file; replaced if it exists.
        net: The net.

    Example:
        >>> from keras_caffe_zoo.caffe import Layer, Net, write_prototxt
        >>> relu = Layer("relu1", "ReLU", ["data"], ["data"])
        >>> write_prototxt("net.prototxt", Net("tiny", [relu]))
        >>> with open("net.prototxt") as file:
        ...     print(file.read())
        name: "tiny"
        layer {
          name: "relu1"
          type: "ReLU"
          bottom: "data"
          top: "data"
        }
    """
    text = net.to_prototxt()
    with replacing(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def _is_hdf5(path: PathLike) -> bool:
    return str(path).endswith(".h5")


def _owned(layers: list[Layer], arrays: dict[str, list]) -> dict[str, dict]:
    """Return the blobs of each layer by number, but those of an earlier layer's."""
    found, owners = {}, set()
    for layer in layers:
        names = [spec.name for spec in layer.message.param]
        blobs = arrays.get(layer.name, [])
        names += [""] * (len(blobs) - len(names))
        found[layer.name] = {
            i: _float32(blob, f"layer {layer.name!r}")
            for i, (blob, name) in enumerate(zip(blobs, names, strict=False))
            if name not in owners
        }
        owners.update(filter(None, names))
    return found


def _number(field: int, value: int) -> bytes:
    return encode_tag(field, 0) + encode_varint(value)


def _check_arrays(name: str, blobs: Sequence[np.ndarray]) -> list[np.ndarray]:
    if not isinstance(name, str):
        raise TypeError(f"Expected a layer's name as str; received: {name!r}")
    if isinstance(blobs, np.ndarray) or not isinstance(blobs, Iterable):
        raise TypeError(
            f"Expected a list of arrays for layer {name!r}; received: "
            f"{type(blobs).__name__}"
        )
    return [_check_array(f"layer {name!r}, blob {i}", x) for i, x in enumerate(blobs)]


def _check_array(what: str, blob: np.ndarray) -> np.ndarray:
    array = np.asarray(blob)
    # ml_dtypes' bfloat16 and float8 are no subtypes of NumPy's floating.
    is_float = array.dtype.kind == "f" or "float" in array.dtype.name
    if not is_float:
        raise TypeError(
            f"Expected floating-point values for {what}; received: {array.dtype}. "
            "Convert them with .astype('float32') if that is meant"
        )
    if array.ndim > MAX_AXES:
        raise ValueError(
            f"Expected at most {MAX_AXES} axes for {what}; received: {array.ndim}"
        )
    return array


def _check_names(net: Net, arrays: dict[str, list]) -> None:
    missing, wrong, seen = [], [], Counter()
    for layer in net.layers:
        received, axes = len(arrays.get(layer.name, ())), layer.blob_axes
        expected = None if axes is None else len(axes)
        seen[layer.name] += bool(received if expected is None else expected)
        if expected and not received:
            missing.append(layer.name)
        elif expected is not None and received != expected:
            wrong.append(f"{layer.name!r} ({expected}, not {received})")
    names = {layer.name for layer in net.layers}
    problems = {
        "no blobs for layers": missing,
        "blobs for layers that the net does not have": set(arrays) - names,
        "wrong numbers of blobs": wrong,
        "several layers with weights of one name (see Net.filter)": [
            name for name, count in seen.items() if count > 1
        ],
    }
    found = [f"{what}: {sorted(names)}" for what, names in problems.items() if names]
    if found:
        raise ValueError(
            f"Expected the blobs of net {net.name!r}, layer by layer; received: "
            f"{'; '.join(found)}"
        )


def _record(layer: Layer, blobs: list[np.ndarray]) -> tuple[bytes, int, list]:
    """Return a layer's first bytes, its size in all, and its blobs with headers."""
    structure = layer.to_bytes()
    parts = [(_blob_header(blob), blob) for blob in blobs]
    body = len(structure) + sum(len(head) + 4 * blob.size for head, blob in parts)
    header = encode_header(_LAYER, body) + structure
    return header, len(header) - len(structure) + body, parts


def _blob_header(blob: np.ndarray, field: int = _BLOBS) -> bytes:
    """Return the bytes of a BlobProto field up to its values."""
    shape = b""
    if blob.ndim:  # Caffe writes no shape for a blob without axes
        shape = schema.BlobShape(dim=blob.shape).SerializeToString()
        shape = encode_header(_SHAPE, len(shape)) + shape
    head = shape + encode_header(_DATA, 4 * blob.size)
    return encode_header(field, len(head) + 4 * blob.size) + head


def _check_size(size: int) -> None:
    if size > MAX_FILE:
        raise ValueError(
            f"Expected a file of at most {MAX_FILE:,} bytes, the most that Caffe can "
            f"read; received arrays for {size:,}. Leave layers out"
        )


def _write_values(file: BinaryIO, blob: np.ndarray, what: str) -> None:
    file.write(_float32(blob, what).reshape(-1).view(np.uint8).data)


def _float32(blob: np.ndarray, what: str) -> np.ndarray:
    try:
        with np.errstate(over="raise"):
            return np.ascontiguousarray(blob, dtype="<f4").reshape(blob.shape)
    except FloatingPointError:
        raise ValueError(
            f"Expected values within float32 for {what}; received one of size "
            f"{np.abs(blob[np.isfinite(blob)]).max()}"
        ) from None
