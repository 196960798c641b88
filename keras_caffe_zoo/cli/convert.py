"""The command `convert`: a Caffe net in the format of another engine."""

import argparse
from pathlib import Path

from keras_caffe_zoo.cli._caffe import add_net, import_options, read_model
from keras_caffe_zoo.cli._command import add_command, add_json

_WEIGHTS = ".h5"  # the weights alone

_FORMATS = """\
the formats, by the end of the name:
  NET.onnx    ONNX, for OpenCV, ONNX Runtime and others: Caffe's names and order of
              axes, (N, C, H, W). Needs the package onnx, but no TensorFlow.
  NET.xml     OpenVINO, with NET.bin: as ONNX. Needs openvino and onnx.
  NET.tflite  LiteRT: images (N, H, W, C). Needs Keras on TensorFlow.
  NET.keras   a Keras model: images (N, H, W, C). Needs Keras.
  NET/        a TensorFlow SavedModel: as Keras. Needs Keras on TensorFlow.
  NET.h5      the weights alone, as `dump` writes them.

Example: keras-caffe-zoo convert deploy.prototxt net.caffemodel -o net.onnx"""


def add_commands(commands) -> None:
    """Add this module's command."""
    parser = add_command(
        commands,
        "convert",
        _convert,
        "Convert a Caffe net to ONNX, OpenVINO, LiteRT, Keras or TensorFlow.",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _FORMATS
    add_net(parser)
    parser.add_argument(
        "-o", "--output", required=True, help="what to write; its end says the format"
    )
    parser.add_argument(
        "--opset",
        type=int,
        metavar="N",
        help="version of ONNX's operators in an .onnx, from 13 to 21 (default: 17)",
    )
    parser.add_argument(
        "--input-shape",
        type=_size,
        nargs="+",
        metavar="N",
        help="height and width of the image that the net takes, in place of its own, "
        "and its channels where the net does not tell them; `any` leaves one open",
    )
    parser.add_argument(
        "--blob",
        action="append",
        metavar="NAME",
        help="a blob that the file is to give, such as fc7, in place of those that no "
        "layer reads; may be given several times",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run the file in its engine on random input, an .onnx in OpenCV too if "
        "that is installed, and tell the largest difference to the Keras model as a "
        "fraction of the largest value; exit status 1 if it is more than 1e-5",
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="INPUTS.npz",
        help="data blobs to check with, in place of random ones: for detectors, which "
        "find little in those",
    )
    add_json(parser)


def _size(text: str) -> int | None:
    if text == "any":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(
            f"expected positive numbers or `any`; received: {text}"
        )
    return int(text)


def _convert(arguments) -> tuple[dict, int]:
    from keras_caffe_zoo.conversion.formats import GRAPH_FORMATS, form_of
    from keras_caffe_zoo.conversion.tables import layer_table

    _check_arguments(arguments)
    declared = _declared(arguments)
    options = {"input_shape": _input_shape(arguments.input_shape, declared)}
    if arguments.output.endswith(_WEIGHTS):
        model, rows, count = _write_weights(arguments, options)
    elif form_of(arguments.output) in GRAPH_FORMATS:
        model, rows, count = _write_graph(arguments, options)
    else:
        model, rows, count = _write_model(arguments, options)
    if not arguments.json:
        print(layer_table(rows, count))
        print(f"\nWrote {arguments.output}")
    result = {"output": arguments.output, "layers": rows}
    if not arguments.check:
        return result, 0
    checks = _check(arguments, model or _read_again(arguments, options), declared)
    result["checks"] = [
        {"engine": x.engine, "difference": x.difference, "why": x.why} for x in checks
    ]
    return result, int(not all(x.agrees for x in checks))


def _check_arguments(arguments) -> None:
    """Refuse before any work what could not be written or checked."""
    from keras_caffe_zoo.conversion.formats import check_target, form_of
    from keras_caffe_zoo.conversion.running import engines_of

    if arguments.inputs is not None and not arguments.check:
        raise ValueError("Expected --inputs with --check; received: --inputs alone")
    if not arguments.output.endswith(_WEIGHTS):
        check_target(arguments.output, opset=arguments.opset)
        if arguments.check:
            engines_of(form_of(arguments.output))
    elif arguments.opset is not None or arguments.blob or arguments.check:
        raise ValueError(
            "Expected --opset, --blob and --check with a net; received: "
            f"{arguments.output}, which has weights alone"
        )


def _declared(arguments) -> dict:
    """Return the shapes of the data blobs as the net tells them, where that matters."""
    from keras_caffe_zoo.conversion.preparing import declared_shapes

    if arguments.input_shape is None and not arguments.check:
        return {}
    return declared_shapes(arguments.prototxt, **import_options(arguments))


def _input_shape(given: list | None, declared: dict) -> tuple | None:
    """Return `input_shape` as `from_caffe` takes it: height, width, channels."""
    if given is None or len(given) == 3:
        return given and tuple(given)
    first = next(iter(declared.values()), None)
    if len(given) == 2 and first is not None and len(first) == 4:
        return (*given, first[1])
    raise ValueError(
        "Expected --input-shape HEIGHT WIDTH of a net that tells its channels, or "
        f"HEIGHT WIDTH CHANNELS; received {len(given)} sizes, and the net's data: "
        f"{first}"
    )


def _write_graph(arguments, options) -> tuple:
    from keras_caffe_zoo.conversion.formats import write_graph
    from keras_caffe_zoo.conversion.tables import graph_rows
    from keras_caffe_zoo.onnx.api import caffe_graph

    graph = caffe_graph(
        arguments.prototxt,
        arguments.caffemodel,
        fully_convolutional=arguments.fully_convolutional,
        outputs=arguments.blob,
        **import_options(arguments),
        **options,
    )
    write_graph(graph, arguments.output, opset=arguments.opset)
    return None, graph_rows(graph), None


def _write_model(arguments, options) -> tuple:
    from keras_caffe_zoo.conversion.formats import convert
    from keras_caffe_zoo.conversion.tables import model_rows

    model = _read(arguments, options)
    convert(model, arguments.output)
    return model, model_rows(model), model.count_params()


def _write_weights(arguments, options) -> tuple:
    from keras_caffe_zoo.conversion.tables import model_rows
    from keras_caffe_zoo.weights import dump_caffe_weights

    model = read_model(arguments, **options)
    dump_caffe_weights(arguments.caffemodel, arguments.output, progress=False)
    return model, model_rows(model), model.count_params()


def _read(arguments, options):
    """Return the net as a Keras model that gives the blobs that are asked for."""
    from keras_caffe_zoo.features import feature_extractor

    model = read_model(arguments, **options)
    return feature_extractor(model, arguments.blob) if arguments.blob else model


def _read_again(arguments, options):
    """Return what `_read` does; what is to be warned of has been said."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read(arguments, options)


def _check(arguments, model, declared: dict) -> list:
    from keras_caffe_zoo.conversion.checking import check_file

    options = {"inputs": arguments.inputs, "sizes": declared}
    checks = check_file(model, arguments.output, **options)
    for check in checks:
        if not arguments.json:
            print(check)
    return checks
