"""Commands about Caffe's files: convert, compare, inspect, dump."""

import argparse
from pathlib import Path

from keras_caffe_zoo.cli._command import add_command, add_json


def add_commands(commands) -> None:
    """Add this module's commands."""
    for add in (_add_convert, _add_compare, _add_inspect, _add_dump):
        add(commands)


def _add_import(parser) -> None:
    """Give a command the options of `from_caffe` that some forks' nets need."""
    parser.add_argument(
        "--ignore-field",
        action="append",
        default=[],
        metavar="PATH",
        help="pass over a field of a fork that would be refused, such as "
        "pooling_param.x; may be given several times",
    )
    parser.add_argument(
        "--python-config",
        action="append",
        type=_setting,
        default=[],
        metavar="KEY=NUMBER",
        help="what a Python layer's code reads elsewhere than in the net, such as "
        "RPN_POST_NMS_TOP_N=300; may be given several times",
    )
    parser.add_argument(
        "--max-detections",
        type=int,
        metavar="N",
        help="most detections of an image, where the net has no bound",
    )


def _setting(text: str) -> tuple[str, int | float]:
    key, _, value = text.partition("=")
    for number in (int, float):
        try:
            return key, number(value)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"expected KEY=NUMBER; received: {text}")


def _import_options(arguments) -> dict:
    options = {
        "ignore_fields": arguments.ignore_field,
        "python_config": dict(arguments.python_config),
        "max_detections": arguments.max_detections,
    }
    return {
        name: value for name, value in options.items() if value not in ([], {}, None)
    }


def _add_net(parser) -> None:
    parser.add_argument("prototxt", type=Path, metavar="NET.prototxt")
    parser.add_argument("caffemodel", type=Path, metavar="NET.caffemodel")
    parser.add_argument(
        "--fully-convolutional",
        action="store_true",
        help="turn inner products into convolutions, for images of any size",
    )
    _add_import(parser)


def _read(arguments):
    from keras_caffe_zoo.conversion import from_caffe

    return from_caffe(
        arguments.prototxt,
        arguments.caffemodel,
        fully_convolutional=arguments.fully_convolutional,
        **_import_options(arguments),
    )


def _add_convert(commands) -> None:
    parser = add_command(
        commands,
        "convert",
        _convert,
        "Convert a Caffe net to a Keras model, and on to ONNX, LiteRT, OpenVINO or "
        "TensorFlow.",
        example="convert deploy.prototxt net.caffemodel -o net.onnx",
    )
    _add_net(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="NET.keras for a Keras model, NET.onnx for ONNX, NET.tflite for LiteRT, "
        "NET.xml for OpenVINO, a name that ends in / for a SavedModel, NET.h5 for the "
        "weights alone (as `dump` writes them)",
    )
    _add_onnx(parser)
    add_json(parser)


def _add_onnx(parser) -> None:
    """Give a command the options that only ONNX files have."""
    parser.add_argument(
        "--preprocessing",
        nargs="?",
        const=True,
        default=False,
        metavar="NET",
        help="have NET.onnx take RGB pictures, uint8 (N, H, W, 3), and prepare them as "
        "--mean and --scale, the data layer of a training net, or a net of the zoo "
        "(--preprocessing=caffenet) tell",
    )
    parser.add_argument(
        "--mean",
        type=_mean,
        metavar="B,G,R",
        help="what is subtracted from pictures: a number for each channel, as in "
        "104,117,123, or the path of a .binaryproto",
    )
    parser.add_argument(
        "--scale", type=float, help="what the difference is multiplied by"
    )
    bits = parser.add_mutually_exclusive_group()
    bits.add_argument(
        "--fp16", action="store_true", help="write NET.onnx in half precision"
    )
    bits.add_argument(
        "--int8",
        metavar="FOLDER",
        help="write NET.onnx in integers, whose ranges are measured on the pictures "
        "in a folder",
    )


def _mean(text: str) -> str | list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text


def _onnx_options(arguments) -> dict:
    """Return what `to_onnx` is to be told beside a net's files; none if not needed."""
    options = {
        "preprocessing": arguments.preprocessing,
        "mean": arguments.mean,
        "scale": arguments.scale,
        "calibration": arguments.int8,
    }
    if arguments.fp16 or arguments.int8:
        options["precision"] = "float16" if arguments.fp16 else "int8"
    options = {
        key: value for key, value in options.items() if value not in (None, False)
    }
    if options and not arguments.output.endswith(".onnx"):
        raise ValueError(
            "Expected a name that ends in .onnx, with --preprocessing, --mean, "
            f"--scale, --fp16 and --int8; received: {arguments.output}"
        )
    return options


def _convert_to_onnx(arguments, options: dict) -> dict:
    from dataclasses import asdict

    from keras_caffe_zoo.onnx.api import to_onnx

    found = to_onnx(
        arguments.prototxt,
        arguments.caffemodel,
        arguments.output,
        fully_convolutional=arguments.fully_convolutional,
        **options,
        **_import_options(arguments),
    )
    if not arguments.json:
        print(f"{found}\n" if found else "", end="")
        print(f"Wrote {arguments.output}")
    return {"output": arguments.output, "agreement": found and asdict(found)}


def _convert(arguments) -> dict:
    from keras_caffe_zoo.conversion.formats import check_target, convert
    from keras_caffe_zoo.conversion.summary import model_rows, model_table
    from keras_caffe_zoo.weights import dump_caffe_weights

    if options := _onnx_options(arguments):
        return _convert_to_onnx(arguments, options)
    weights_only = arguments.output.endswith(".h5")
    if not weights_only:
        check_target(arguments.output)
    model = _read(arguments)
    if weights_only:
        dump_caffe_weights(arguments.caffemodel, arguments.output, progress=False)
    else:
        convert(model, arguments.output)
    if not arguments.json:
        print(model_table(model))
        print(f"\nWrote {arguments.output}")
    return {"output": arguments.output, "layers": model_rows(model)}


def _add_compare(commands) -> None:
    parser = add_command(
        commands,
        "compare",
        _compare,
        "Compare a net, layer by layer, with blobs that Caffe computed: an .npz of "
        "arrays by blob name, the data blobs among them. Exit status 1 if any departs.",
        example="compare deploy.prototxt net.caffemodel blobs.npz",
    )
    _add_net(parser)
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
    found = compare(_read(arguments), arguments.blobs, **options)
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
    _add_import(parser)
    add_json(parser)


def _inspect(arguments) -> dict:
    from dataclasses import asdict

    from keras_caffe_zoo.conversion.summary import inspect_file

    summary = inspect_file(arguments.file, **_import_options(arguments))
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
    from keras_caffe_zoo.weights import StoredWeights, dump_caffe_weights

    path = dump_caffe_weights(
        arguments.caffemodel, arguments.output, mean=arguments.mean
    )
    print(f"{'layer':<32} {'array':<8} {'shape'}")
    with StoredWeights(path) as stored:
        for name in stored.names:
            for key, shape in stored.shapes(name).items():
                print(f"{name:<32.32} {key:<8} {' x '.join(map(str, shape))}")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
