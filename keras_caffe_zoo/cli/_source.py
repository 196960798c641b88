"""The net that `convert` is given: Caffe's two files, one of the zoo, a Keras file."""

import inspect
import shutil
from pathlib import Path

from keras_caffe_zoo.cli._caffe import add_import, import_options, read_model
from keras_caffe_zoo.kinds import KERAS, ending

_PUBLISHED = "caffe"
_SOURCES = "NET.prototxt and NET.caffemodel, --model NAME of the zoo, or NET.keras"


def add_source(parser) -> None:
    """Give a command a net of any kind, and the options that it is read with."""
    parser.add_argument(
        "prototxt", type=Path, nargs="?", metavar="NET.prototxt", help="or a NET.keras"
    )
    parser.add_argument("caffemodel", type=Path, nargs="?", metavar="NET.caffemodel")
    parser.add_argument(
        "--model", metavar="NAME", help="a net of the zoo, in place of files"
    )
    parser.add_argument(
        "--weights",
        default=_PUBLISHED,
        help="of --model: path of a .caffemodel or of a dumped .h5; the published "
        "weights if not given, downloaded once",
    )
    parser.add_argument(
        "--fully-convolutional",
        action="store_true",
        help="turn inner products into convolutions, for images of any size",
    )
    add_import(parser)


def check_source(arguments) -> None:
    """Refuse what is no net, before any work.

    Raises:
        ValueError: If nothing is given, or too much, or the zoo has no such net, or an
            option is none of such a net.
        OSError: If there is no such file.
    """
    from keras_caffe_zoo.caffe.sniff import check_order
    from keras_caffe_zoo.files import check_file
    from keras_caffe_zoo.weights import model_entry, model_names

    files = [x for x in (arguments.prototxt, arguments.caffemodel) if x is not None]
    given = [str(file) for file in files]
    if arguments.model is not None:
        if files:
            raise ValueError(
                f"Expected {_SOURCES}; received: --model {arguments.model} and also "
                f"{', '.join(given)}"
            )
        model_entry(arguments.model)
        _refuse(import_options(arguments), "a net of the zoo")
        return
    if arguments.weights != _PUBLISHED:
        raise ValueError(
            "Expected --weights with --model; received: --weights alone. Of files, the "
            ".caffemodel stands behind the .prototxt"
        )
    if len(files) == 1 and is_keras(arguments):
        check_file(files[0], "a Keras file")
        whole = {"fully_convolutional": True} if arguments.fully_convolutional else {}
        shape = {} if arguments.input_shape is None else {"input_shape": True}
        options = import_options(arguments) | whole | shape
        _refuse(options, f"{files[0]}, which is a Keras model already")
        return
    if len(files) == 1 and given[0] in model_names() and not files[0].exists():
        raise ValueError(
            f"Expected {_SOURCES}; received: {given[0]}. It is a net of the zoo: "
            f"--model {given[0]}"
        )
    if len(files) < 2:
        received = f"{given[0]} alone" if files else "none of these"
        raise ValueError(f"Expected {_SOURCES}; received: {received}")
    check_order(*files)


def _refuse(options: dict, net: str) -> None:
    given = [f"--{name.replace('_', '-').removesuffix('s')}" for name in options]
    if given:
        raise ValueError(f"Expected no {', '.join(given)} with {net}")


def is_caffe(arguments) -> bool:
    """Tell whether the net is Caffe's two files."""
    return arguments.model is None and not is_keras(arguments)


def is_keras(arguments) -> bool:
    """Tell whether the net is a file of Keras'."""
    file = arguments.prototxt
    return file is not None and ending(file) == KERAS and arguments.caffemodel is None


def published_shapes(name: str) -> dict[str, tuple]:
    """Return the shape of the image of a net of the zoo, in Caffe's order of axes."""
    from keras_caffe_zoo.weights import model_entry

    entry = model_entry(name)
    kernels = (x for shapes in entry.blobs.values() for x in shapes if len(x) == 4)
    channels = next(kernels)[1]
    return {"data": (1, channels, *(entry.input_size or (None, None)))}


def source_model(arguments, **options):
    """Return the net as a Keras model.

    Args:
        arguments: The command line, parsed and checked.
        **options: What `from_caffe` takes besides, such as `input_shape`.
    """
    if is_caffe(arguments):
        return read_model(arguments, **options)
    if is_keras(arguments):
        from keras_caffe_zoo.opening import load_keras

        return load_keras(arguments.prototxt)
    from keras_caffe_zoo import models

    build = getattr(models, arguments.model)
    options = {name: x for name, x in options.items() if x is not None}
    if arguments.fully_convolutional:
        if "fully_convolutional" not in inspect.signature(build).parameters:
            raise ValueError(
                "Expected no --fully-convolutional for a net without inner products; "
                f"received: --model {arguments.model}"
            )
        options["fully_convolutional"] = True
    return build(weights=arguments.weights, **options)


def dump_source(arguments) -> None:
    """Write the net's weights alone, in Keras' layout."""
    from keras_caffe_zoo.files import replacing_path
    from keras_caffe_zoo.weights import converted_weights, dump_caffe_weights

    file = arguments.caffemodel or arguments.weights
    if file != _PUBLISHED:
        dump_caffe_weights(file, arguments.output, progress=False)
        return
    with replacing_path(arguments.output) as beside:
        shutil.copyfile(converted_weights(arguments.model), beside)
