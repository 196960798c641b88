"""Commands about Caffe's files: compare, inspect, dump."""

import argparse
from pathlib import Path

from keras_caffe_zoo.cli._caffe import add_import, add_net, import_options, read_model
from keras_caffe_zoo.cli._command import add_command, add_json

# Ends of names, of what `dump` does not write.
_OTHERS = (".npz", ".npy", ".onnx", ".keras", ".caffemodel", ".pt", ".pth", ".pkl")


def add_commands(commands) -> None:
    """Add this module's commands."""
    for add in (_add_compare, _add_inspect, _add_dump):
        add(commands)


def _add_compare(commands) -> None:
    parser = add_command(
        commands,
        "compare",
        _compare,
        "Compare a net, layer by layer, with blobs that Caffe computed: an .npz of "
        "arrays by blob name, the data blobs among them. Exit status 1 if any departs.",
        example="compare deploy.prototxt net.caffemodel blobs.npz",
    )
    add_net(parser)
    parser.add_argument("blobs", type=Path, metavar="BLOBS.npz")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="INPUTS.npz",
        help="the data blobs before the forward pass, for nets that overwrite them",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        help="how much of its largest value a blob may be off (default: %(default)s)",
    )
    add_json(parser)


def _compare(arguments) -> tuple[dict, int]:
    from keras_caffe_zoo.conversion.comparison import compare

    options = {"tolerance": arguments.tolerance, "inputs": arguments.inputs}
    found = compare(read_model(arguments), arguments.blobs, **options)
    if not arguments.json:
        print(found)
    return found.as_dict(), int(found.first_departure is not None)


def _add_inspect(commands) -> None:
    parser = add_command(
        commands,
        "inspect",
        _inspect,
        "Say what is in a .caffemodel, .prototxt or .binaryproto: layers, shapes, "
        "parameters, format, and the forks of Caffe that it needs.",
        example="inspect deploy.prototxt",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("others", nargs="*", default=[], help=argparse.SUPPRESS)
    add_import(parser)
    add_json(parser)


def _inspect(arguments) -> dict:
    from dataclasses import asdict

    from keras_caffe_zoo.conversion.summary import inspect_file

    if arguments.others:
        raise ValueError(
            "Expected one file, of either kind: its content tells which; received "
            f"also: {' '.join(arguments.others)}. (compare and view take both)"
        )
    summary = inspect_file(arguments.file, **import_options(arguments))
    if not arguments.json:
        print(summary)
    return asdict(summary)


def _add_dump(commands) -> None:
    parser = add_command(
        commands,
        "dump",
        _dump,
        "Convert a .caffemodel into one HDF5 file of weights in Keras layout, keyed "
        "by Caffe's layer names.",
        example="dump VGG_CNN_S.caffemodel --mean VGG_mean.binaryproto -o vgg_cnn_s.h5",
    )
    parser.add_argument("caffemodel", type=Path, metavar="NET.caffemodel")
    parser.add_argument(
        "--mean", type=Path, metavar="MEAN.binaryproto", help="a mean image to store"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.h5")


def _dump(arguments) -> None:
    from keras_caffe_zoo.columns import Column, shape_text, table_lines
    from keras_caffe_zoo.weights import StoredWeights, dump_caffe_weights

    if arguments.output.suffix.lower() in _OTHERS:
        raise ValueError(
            f"Expected --output: an HDF5 file, such as {arguments.output.stem}.h5; "
            f"received: {arguments.output}, whose end means another kind"
        )
    path = dump_caffe_weights(
        arguments.caffemodel, arguments.output, mean=arguments.mean
    )
    columns = (Column("layer", 32, names=True), Column("array", 8), Column("shape"))
    with StoredWeights(path) as stored:
        rows = [
            (name, key, shape_text(shape))
            for name in stored.names
            for key, shape in stored.shapes(name).items()
        ]
    print(*table_lines(columns, rows), sep="\n")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
