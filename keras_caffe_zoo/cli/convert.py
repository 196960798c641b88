"""The command `convert`: a Caffe net in the format of another engine."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from keras_caffe_zoo.cli._caffe import import_options
from keras_caffe_zoo.cli._command import add_command, add_json, mean_of
from keras_caffe_zoo.cli._source import (
    add_source,
    check_source,
    dump_source,
    is_caffe,
    is_keras,
    published_shapes,
    source_model,
)

_FORMATS = """\
the formats, by the end of the name:
  NET.onnx    ONNX, for OpenCV, ONNX Runtime and others: Caffe's names and order of
              axes, (N, C, H, W). Needs the package onnx, but no TensorFlow.
  NET.xml     OpenVINO, with NET.bin: as ONNX. Needs openvino and onnx.
  NET.tflite  LiteRT: images (N, H, W, C). Needs Keras on TensorFlow.
  NET.keras   a Keras model: images (N, H, W, C). Needs Keras. Programs that open it
              import keras_caffe_zoo first.
  NET/        a TensorFlow SavedModel: as Keras. Needs Keras on TensorFlow.
  NET.h5      the weights alone, as `dump` writes them.

Examples: keras-caffe-zoo convert deploy.prototxt net.caffemodel -o net.onnx
          keras-caffe-zoo convert --model squeezenet_v1_1 -o squeezenet.onnx
          keras-caffe-zoo convert mine.keras -o mine.tflite"""


def add_commands(commands) -> None:
    """Add this module's command."""
    parser = add_command(
        commands,
        "convert",
        _convert,
        "Convert a Caffe net, one of the zoo (--model) or a .keras file to ONNX, "
        "OpenVINO, LiteRT, Keras or TensorFlow.",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _FORMATS
    add_source(parser)
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
    _add_finish(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="run the file in its engine on random input, an .onnx in OpenCV too if "
        "that is installed, and tell the largest difference to the Keras model as a "
        "fraction of the largest value; exit status 1 if it is more than 1e-5, or with "
        "--fp16 and --int8 more than 0.01 and 0.2",
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="INPUTS.npz",
        help="data blobs to check with, in place of random ones: for detectors, which "
        "find little in those",
    )
    add_json(parser)


def _add_finish(parser) -> None:
    """Give a command the options of files that take pixels or have fewer bits."""
    parser.add_argument(
        "--preprocessing",
        nargs="?",
        type=_net_of_the_zoo,
        const=True,
        default=False,
        metavar="NET",
        help="have an .onnx or .xml take RGB pictures, uint8 (N, H, W, 3), and prepare "
        "them as --mean and --scale, the data layer of a training net, or a net of the "
        "zoo (--preprocessing=caffenet) tell",
    )
    parser.add_argument(
        "--mean",
        type=mean_of,
        metavar="B,G,R",
        help="what is subtracted from pictures: a number for each channel, as in "
        "104,117,123, or the path of a .binaryproto",
    )
    parser.add_argument(
        "--scale", type=float, help="what the difference is multiplied by"
    )
    bits = parser.add_mutually_exclusive_group()
    bits.add_argument(
        "--fp16",
        action="store_true",
        help="write an .onnx, .xml or .tflite in half precision",
    )
    bits.add_argument(
        "--int8",
        metavar="FOLDER",
        help="write an .onnx or .xml in integers, whose ranges are measured on the "
        "pictures in a folder; tells how often the best class is as in float32",
    )


def _net_of_the_zoo(text: str) -> str:
    if Path(text).suffix:  # the next argument, which was meant for something else
        raise argparse.ArgumentTypeError(
            f"expected none or a net of the zoo, as in --preprocessing=caffenet; "
            f"received: {text}. Put --preprocessing behind the files"
        )
    return text


def _finish(arguments):
    from keras_caffe_zoo.onnx.finishing import Finish

    pixels = arguments.preprocessing
    if pixels is True and arguments.mean is None and arguments.model:
        pixels = arguments.model
    precision = "int8" if arguments.int8 else "float16" if arguments.fp16 else "float32"
    return Finish(
        pixels,
        arguments.mean,
        arguments.scale,
        precision,
        arguments.int8,
    )


def _size(text: str) -> int | None:
    if text == "any":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(
            f"expected positive numbers or `any`; received: {text}"
        )
    return int(text)


def _convert(arguments) -> tuple[dict, int]:
    from keras_caffe_zoo.conversion.formats import GRAPH_FORMATS, WEIGHTS, form_of
    from keras_caffe_zoo.conversion.tables import layer_table

    _check_arguments(arguments)
    declared = _declared(arguments)
    options = {"input_shape": _input_shape(arguments.input_shape, declared)}
    if form_of(arguments.output, by_command=True) == WEIGHTS:
        made = _write_weights(arguments, options)
    elif form_of(arguments.output) in GRAPH_FORMATS:
        made = _write_graph(arguments, options)
    else:
        made = _write_model(arguments, options)
    if not arguments.json:
        print(layer_table(made.rows, made.count), end="\n\n")
        if made.agreement is not None:
            print(made.agreement)
        print(f"Wrote {arguments.output}{_told(arguments.output)}")
    result = {"output": arguments.output, "layers": made.rows}
    if made.agreement is not None:
        result["agreement"] = asdict(made.agreement)
    if not arguments.check:
        return result, 0
    model = made.model or _read_again(arguments, options)
    checks = _check(arguments, model, declared, made.recipe)
    result["checks"] = [
        {"engine": x.engine, "difference": x.difference, "why": x.why} for x in checks
    ]
    return result, int(not all(x.agrees for x in checks))


def _told(output: str) -> str:
    """Return what there is to know of a file: how Keras' own is opened.

    Keras does not import what registers a class: it ends in an error. Of a folder, what
    it is: who wrote its name may have meant another format.
    """
    from keras_caffe_zoo.conversion.formats import FOLDER, endings, form_of

    if output.endswith(".keras"):
        return (
            ". To open it: import keras_caffe_zoo, then "
            f"keras.saving.load_model({output!r})"
        )
    if form_of(output, by_command=True) != FOLDER:
        return ""
    return f", a TensorFlow SavedModel. Other formats: {endings(True)}"


def _check_arguments(arguments) -> None:
    """Refuse before any work what could not be written or checked."""
    from keras_caffe_zoo.conversion.formats import WEIGHTS, check_target, form_of
    from keras_caffe_zoo.conversion.running import engines_of
    from keras_caffe_zoo.files import check_file

    check_source(arguments)
    if arguments.inputs is not None:
        if not arguments.check:
            raise ValueError("Expected --inputs with --check; received: --inputs alone")
        check_file(arguments.inputs, "an .npz of data blobs")
    if form_of(arguments.output, by_command=True) == WEIGHTS:
        _refuse_options(arguments)
        return
    for name in ("mean", "scale"):
        alone = not arguments.preprocessing and arguments.int8 is None
        if getattr(arguments, name) is not None and alone:
            raise ValueError(
                f"Expected --{name} with --preprocessing or --int8; received: --{name} "
                "alone"
            )
    finish = _finish(arguments)
    check_target(arguments.output, opset=arguments.opset, finish=finish)
    if arguments.check:
        engines_of(form_of(arguments.output))


def _refuse_options(arguments) -> None:
    """Refuse options that say how a net is written, where only weights are."""
    if is_keras(arguments):
        raise ValueError(
            f"Expected another format than {arguments.output}: Caffe's weights alone "
            f"are those of a .caffemodel or of the zoo; received: {arguments.prototxt}"
        )
    names = ("opset", "blob", "preprocessing", "mean", "scale", "fp16", "int8", "check")
    given = [f"--{x}" for x in names if getattr(arguments, x) not in (None, False)]
    if given:
        raise ValueError(
            f"Expected no {', '.join(given)} with {arguments.output}, which has the "
            "weights alone. Leave out what does not say how the net is read"
        )


def _declared(arguments) -> dict:
    """Return the shapes of the data blobs as the net tells them, where that matters."""
    from keras_caffe_zoo.conversion.preparing import declared_shapes

    if arguments.input_shape is None and not arguments.check:
        return {}
    if arguments.model:
        return published_shapes(arguments.model)
    if is_keras(arguments):
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


class _Made(NamedTuple):
    """What was written.

    Attributes:
        rows: The layers, as `layer_table` takes them.
        count: How many parameters there are; None to sum them up.
        model: The Keras model, where there is one.
        recipe: What the file does to pixels, where it takes such.
        agreement: Of int8, how it agrees with float32.
    """

    rows: list[dict]
    count: int | None = None
    model: Any = None
    recipe: Any = None
    agreement: Any = None


def _write_graph(arguments, options) -> _Made:
    from keras_caffe_zoo.conversion.formats import write_graph
    from keras_caffe_zoo.conversion.tables import graph_rows

    graph, model = _graph(arguments, options)
    finish = _finish(arguments)
    recipe = finish.recipe(graph) if finish.preprocessing else None
    rows = graph_rows(graph)
    agreement = write_graph(
        graph, arguments.output, opset=arguments.opset, finish=finish
    )
    return _Made(rows, model=model, recipe=recipe, agreement=agreement)


def _graph(arguments, options) -> tuple:
    """Return the net as ONNX operations; and the Keras model, if that was needed."""
    from keras_caffe_zoo.conversion.precision import without_bfloat16
    from keras_caffe_zoo.onnx.api import caffe_graph, model_graph

    if not is_caffe(arguments):
        model = _read(arguments, options)
        return model_graph(without_bfloat16(model)), model
    graph = caffe_graph(
        arguments.prototxt,
        arguments.caffemodel,
        fully_convolutional=arguments.fully_convolutional,
        outputs=arguments.blob,
        **import_options(arguments),
        **options,
    )
    return graph, None


def _write_model(arguments, options) -> _Made:
    from keras_caffe_zoo.conversion.formats import convert
    from keras_caffe_zoo.conversion.tables import model_rows

    model = _read(arguments, options)
    convert(model, arguments.output, precision=_finish(arguments).precision)
    return _Made(model_rows(model), model.count_params(), model)


def _write_weights(arguments, options) -> _Made:
    from keras_caffe_zoo.conversion.tables import model_rows

    model = source_model(arguments, **options)
    dump_source(arguments)
    return _Made(model_rows(model), model.count_params(), model)


def _read(arguments, options):
    """Return the net as a Keras model that gives the blobs that are asked for."""
    from keras_caffe_zoo.features import feature_extractor

    model = source_model(arguments, **options)
    return feature_extractor(model, arguments.blob) if arguments.blob else model


def _read_again(arguments, options):
    """Return what `_read` does; what is to be warned of has been said."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read(arguments, options)


def _check(arguments, model, declared: dict, recipe) -> list:
    from keras_caffe_zoo.conversion.checking import TOLERANCES, check_file

    options = {"inputs": arguments.inputs, "sizes": declared, "recipe": recipe}
    options["tolerance"] = TOLERANCES[_finish(arguments).precision]
    checks = check_file(model, arguments.output, **options)
    for check in checks:
        if not arguments.json:
            print(check)
    return checks
