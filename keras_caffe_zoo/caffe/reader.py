"""Read Caffe's files: nets (binary or text), mean images, solvers."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_caffe_zoo.files import open_file

from . import hdf5, schema
from .blobs import blob_shape, check_count, fit_legacy, is_legacy, text_values
from .decoding import binary_values, decode, in_file
from .errors import CaffeFormatError, UnknownField
from .net import Layer, Net
from .prototxt import Parser
from .skeleton import Skeleton
from .sniff import PathLike, check_size, read_text, read_text_file, sniff
from .solverstate import refuse_state
from .upgrade import net_version, upgrade_net, upgrade_solver
from .wire import Payload, Source


def read_net(path: PathLike, gaps: bool = False) -> Net:
    """Read a net from a caffemodel or a prototxt, told apart by content.

    The net comes in V2 form. Blobs come with a binary file, in the shapes that
    pycaffe shows in `net.params`, and Split layers that Caffe inserted are folded.
    A `.caffemodel.h5` has blobs by layer only: its layers have no type, and are in no
    order.

    Args:
        path: The file.
        gaps: Whether a layer may have some of its blobs and share others, which a
            `.caffemodel.h5` leaves out: those are `None`, for who knows the net.

    Raises:
        CaffeFormatError: If the file is neither, or is damaged, or has gaps.
        OSError: If it cannot be opened, such as FileNotFoundError.

    Example:
        >>> from importlib.resources import files
        >>> from keras_caffe_zoo.caffe import read_net
        >>> demo = files("keras_caffe_zoo") / "data" / "demo"
        >>> read_net(demo / "digits.prototxt").inputs  # a definition
        {'data': (1, 1, 32, 32)}
        >>> weight, bias = read_net(demo / "digits.caffemodel").params["conv1"]
        >>> weight.shape, bias.shape
        ((24, 1, 5, 5), (24,))
    """
    with open_file(path, "a caffemodel or a prototxt", buffering=0) as file:
        source = Source(file, str(path))
        if hdf5.is_hdf5(source):
            return _read_hdf5(source, gaps)
        if sniff(source, "a caffemodel or a prototxt"):
            return parse_prototxt(read_text(source), source.name)
        return _read_binary(source)


def read_caffemodel(path: PathLike) -> dict[str, list[np.ndarray]]:
    """Read the learned parameters of a `.caffemodel` of any version, or in HDF5.

    Args:
        path: The `.caffemodel` or `.caffemodel.h5`, told apart by content.

    Returns:
        Layer name to list of float32 arrays in Caffe's layout, in the file's order,
        of the layers that have any. Of layers with the same name the last counts,
        as in pycaffe. Each array owns its memory.

    Raises:
        CaffeFormatError: If the file is not a caffemodel, or is damaged.
        OSError: If it cannot be opened, such as FileNotFoundError.

    Example:
        >>> from importlib.resources import files
        >>> demo = files("keras_caffe_zoo") / "data" / "demo"
        >>> params = kcz.read_caffemodel(demo / "digits.caffemodel")
        >>> list(params)
        ['conv1', 'conv2', 'conv3', 'fc4', 'fc5']
        >>> params["conv2"][0].shape  # two groups: 24 maps come in, each sees 12
        (48, 12, 5, 5)
    """
    with open_file(path, "a caffemodel", buffering=0) as file:
        source = Source(file, str(path))
        if hdf5.is_hdf5(source):
            return _read_hdf5(source).params
        if sniff(source, "a caffemodel"):
            raise CaffeFormatError(
                "Expected a caffemodel; received: text. If it is a prototxt, give it "
                "in the first place, before the caffemodel: from_caffe takes both",
                source=source.name,
            )
        return _read_binary(source).params


def read_prototxt(path: PathLike) -> Net:
    """Read a net's definition from a `.prototxt` of any version.

    Args:
        path: The file.

    Raises:
        CaffeFormatError: If the text is not a net's definition.
        OSError: If the file cannot be opened, such as FileNotFoundError.

    Example:
        >>> from importlib.resources import files
        >>> from keras_caffe_zoo.caffe import read_prototxt
        >>> demo = files("keras_caffe_zoo") / "data" / "demo"
        >>> net = read_prototxt(demo / "digits.prototxt")
        >>> [layer.name for layer in net.layers][:4]  # the first is made of `input`
        ['input', 'conv1', 'relu1', 'pool1']
        >>> net.layers[1].param.num_output
        24
    """
    return parse_prototxt(read_text_file(path), str(path))


def parse_prototxt(text: str, source: str = "<string>") -> Net:
    """Return the net that a prototxt's text defines.

    Fields that nobody declared are in `Net.unknown_fields`.

    Args:
        text: The definition.
        source: Name for error messages.

    Raises:
        CaffeFormatError: If the text is not a net's definition.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> net = parse_prototxt('''name: "old"
        ...     layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip"
        ...              inner_product_param { num_output: 10 } }''')
        >>> net.version, net.layers[0].type  # a definition of 2014, in today's form
        ('V1', 'InnerProduct')
    """
    check_size(len(text), source)
    parser = Parser(text, source)
    message = parser.parse("NetParameter")
    return _build_net(message, parser.unknown, source)


_OF_TESTS = ("eval_type", "ap_version", "show_per_class_result")  # SSD's


def read_solver(path: PathLike) -> Any:
    """Read a solver's `.prototxt` into a `SolverParameter` message.

    The old `solver_type` becomes `type`.

    Args:
        path: The file.

    Raises:
        CaffeFormatError: If the text is not a solver, or has fields that Caffe 1.0
            does not have, and could change the training (SSD's few about its tests do
            not).
        OSError: If the file cannot be opened, such as FileNotFoundError.

    Example:
        >>> from keras_caffe_zoo.caffe import read_solver
        >>> with open("solver.prototxt", "w") as file:
        ...     _ = file.write('base_lr: 0.5 lr_policy: "step" solver_type: NESTEROV')
        >>> solver = read_solver("solver.prototxt")
        >>> solver.base_lr, solver.type  # the old name's value in the new one
        (0.5, 'Nesterov')
    """
    parser = Parser(read_text_file(path), str(path))
    message = parser.parse("SolverParameter")
    unknown = [field for field in parser.unknown if field.path not in _OF_TESTS]
    names = list(dict.fromkeys(field.path for field in unknown))
    if {"layer", "layers"} & set(names):
        raise CaffeFormatError(
            "Expected a solver; received the definition of a net. Pass the solver that "
            "names this net",
            source=str(path),
        )
    if names:
        raise CaffeFormatError(
            "Expected the fields of a Caffe 1.0 solver; received also: "
            f"{', '.join(map(repr, names))}. Remove them",
            source=str(path),
        )
    return in_file(str(path), upgrade_solver, message)


def read_test_settings(path: PathLike) -> dict[str, str]:
    """Return the fields of SSD's solvers about their tests, of those it has, as text.

    Args:
        path: The solver's `.prototxt`.

    Raises:
        CaffeFormatError: If the text is not a solver.
        OSError: If the file cannot be opened.

    Example:
        >>> from keras_caffe_zoo.caffe import read_test_settings
        >>> with open("solver.prototxt", "w") as file:
        ...     _ = file.write('eval_type: "detection" ap_version: "11point"')
        >>> read_test_settings("solver.prototxt")
        {'eval_type': 'detection', 'ap_version': '11point'}
    """
    parser = Parser(read_text_file(path), str(path))
    parser.parse("SolverParameter")
    found = [field for field in parser.unknown if field.path in _OF_TESTS]
    return {field.path: str(field.value).strip("\"'") for field in found}


def read_mean(path: PathLike) -> np.ndarray:
    """Read a mean image (`.binaryproto`).

    Args:
        path: The file, a serialized BlobProto.

    Returns:
        The mean, float32 (C, H, W), channels as stored: BGR for Caffe's own.

    Raises:
        CaffeFormatError: If the file is no such blob, or holds more than one image.
        OSError: If it cannot be opened, such as FileNotFoundError.

    Example:
        >>> from keras_caffe_zoo.caffe import write_mean
        >>> bgr = np.array([104.0, 117.0, 123.0]).reshape(3, 1, 1)
        >>> write_mean("mean.binaryproto", np.tile(bgr, (1, 4, 4)))
        >>> mean = kcz.read_mean("mean.binaryproto")
        >>> mean.shape, mean.mean((1, 2)).tolist()
        ((3, 4, 4), [104.0, 117.0, 123.0])
    """
    with open_file(path, "a binaryproto", buffering=0) as file:
        source = Source(file, str(path))
        if sniff(source, "a binaryproto"):
            raise CaffeFormatError(
                "Expected a binaryproto; received: text", source=source.name
            )
        skeleton = Skeleton(source, "BlobProto")
        blob = decode(schema.BlobProto, skeleton, source)
        mean = in_file(source.name, _mean_array, blob, source, skeleton.payloads[0])
    return mean


def _mean_array(blob: Any, source: Source, payload: Payload) -> np.ndarray:
    mean = binary_values(blob, source, payload)
    mean = mean.reshape(blob_shape(blob))
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3 or not mean.size:
        raise CaffeFormatError(
            "Expected one image, shape (1, C, H, W) or (C, H, W); received shape: "
            f"{mean.shape}"
        )
    return mean


def _read_hdf5(source: Source, gaps: bool = False) -> Net:
    refuse_state(source)
    layers = []
    for name, blobs in hdf5.read_params(source.name).items():
        layer = Layer(name, "", blobs=hdf5.blob_list(blobs), source=source.name)
        if not gaps and any(blob is None for blob in layer.blobs):
            raise CaffeFormatError(
                f"Expected parameters 0 to {len(layer.blobs) - 1}; received only "
                f"{sorted(blobs)}: it shares the others with an earlier layer, and "
                "only the net's definition tells with which. Give it, too",
                source=source.name,
                layer=name,
            )
        layers.append(layer)
    return Net(layers=layers, version="HDF5", source=source.name)


def _read_binary(source: Source) -> Net:
    refuse_state(source)
    skeleton = Skeleton(source, "NetParameter")
    message = decode(schema.NetParameter, skeleton, source)
    if not message.layer and not message.layers:
        raise CaffeFormatError(
            "Expected a caffemodel with layers; received: none. The file is truncated "
            "or no caffemodel; fetch it again",
            source=source.name,
        )
    net = _build_net(message, skeleton.unknown, source.name, source, skeleton.payloads)
    return net.fold_splits()


def net_of_message(message: Any, source: str) -> Net:
    """Return the net that a `NetParameter` message holds, without parameters.

    Args:
        message: The message, of any version; it is not changed.
        source: Name for error messages.

    Raises:
        CaffeFormatError: If it is not a net's definition.
    """
    copy = schema.NetParameter()
    copy.CopyFrom(message)
    return _build_net(copy, [], source)


def _build_net(
    message: Any,
    unknown: list[UnknownField],
    name: str,
    source: Source | None = None,
    payloads: list[Payload] = (),
) -> Net:
    version, count = net_version(message), len(message.layer) + len(message.layers)
    message, notes = in_file(name, upgrade_net, message)
    first = min(0, count - len(message.layer))  # -1 where inputs have become a layer
    layers = [
        _build_layer(x, i, name, source, payloads)
        for i, x in enumerate(message.layer, first)
    ]
    net = Net(
        name=message.name,
        layers=layers,
        version=version,
        source=name,
        unknown=[*unknown, *notes],
    )
    message.ClearField("layer")
    message.ClearField("name")
    net.message = message
    return net


def _build_layer(
    message: Any, index: int, name: str, source: Source | None, payloads: list[Payload]
) -> Layer:
    structure = schema.LayerParameter()
    structure.CopyFrom(message)
    structure.ClearField("blobs")
    layer = Layer(
        name=message.name,
        type=message.type,
        bottoms=list(message.bottom),
        tops=list(message.top),
        message=structure,
        source=name,
    )
    layer.number = f"#{index}"
    layer.blobs = [
        _read_blob(layer, blob, i, source, payloads)
        for i, blob in enumerate(message.blobs)
    ]
    return layer


def _read_blob(layer: Layer, blob, index: int, source, payloads) -> np.ndarray:
    try:
        if source is None:
            values = text_values(blob)
            check_count(blob, values.size)
        else:
            values = binary_values(blob, source, payloads[int(blob.double_diff[0])])
        shape = blob_shape(blob)
        if is_legacy(blob):
            axes = layer.blob_axes or ()
            shape = fit_legacy(shape, axes[index] if index < len(axes) else None)
        return values.reshape(shape)
    except CaffeFormatError as error:
        raise CaffeFormatError(
            error.problem,
            source=layer.source,
            layer=layer.name or layer.number,
            field=error.field or f"blobs[{index}]",
            offset=error.offset,
        ) from None
