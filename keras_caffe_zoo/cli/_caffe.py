"""What the commands share that read a Caffe net."""

import argparse
from pathlib import Path


def add_import(parser) -> None:
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


def import_options(arguments) -> dict:
    """Return what a command line says of how a net is read."""
    options = {
        "ignore_fields": arguments.ignore_field,
        "python_config": dict(arguments.python_config),
        "max_detections": arguments.max_detections,
    }
    return {
        name: value for name, value in options.items() if value not in ([], {}, None)
    }


def add_net(parser) -> None:
    """Give a command a net's two files, and the options that they are read with."""
    parser.add_argument("prototxt", type=Path, metavar="NET.prototxt")
    parser.add_argument("caffemodel", type=Path, metavar="NET.caffemodel")
    parser.add_argument(
        "--fully-convolutional",
        action="store_true",
        help="turn inner products into convolutions, for images of any size",
    )
    add_import(parser)


def read_model(arguments, **options):
    """Return a command's net as a Keras model.

    Args:
        arguments: The command line, parsed.
        **options: What else `from_caffe` takes.
    """
    from keras_caffe_zoo.conversion import from_caffe

    return from_caffe(
        arguments.prototxt,
        arguments.caffemodel,
        fully_convolutional=arguments.fully_convolutional,
        **import_options(arguments),
        **options,
    )
