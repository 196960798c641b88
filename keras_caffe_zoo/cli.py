"""The command `keras-caffe-zoo`."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

EXIT_ERROR = 2


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after the command's name; the process's own if None.

    Returns:
        The exit status: 0, or 2 after an error that was printed.
    """
    arguments = _parser().parse_args(argv)
    try:
        result = arguments.run(arguments)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"keras-caffe-zoo: error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("keras-caffe-zoo: interrupted", file=sys.stderr)
        return 130
    if getattr(arguments, "json", False):
        print(json.dumps(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-caffe-zoo",
        description="Caffe's networks in Keras, computing what Caffe computed.",
        epilog="Start with: keras-caffe-zoo demo",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_demo, _add_classify, _add_heatmap, _add_dump, _add_install):
        add(commands)
    return parser


def _command(commands, name, run, help, **options) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help, **options)
    parser.set_defaults(run=run)
    return parser


def _add_demo(commands) -> None:
    parser = _command(
        commands,
        "demo",
        _demo,
        "Read a small Caffe net that ships with the package, classify handwritten "
        "digits, and draw a heat map. Needs no download.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("digits_heatmap.png"),
        help="where to write the picture (default: %(default)s)",
    )


def _demo(arguments) -> None:
    from keras_caffe_zoo import demo

    demo.run(arguments.output)


def _add_net(parser) -> None:
    parser.add_argument(
        "--model",
        required=True,
        help="the net's name: caffenet or vgg_cnn_s",
    )
    parser.add_argument(
        "--weights",
        default="caffe",
        help="path of a .caffemodel or of a dumped .h5; the published weights if not "
        "given, downloaded once",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _build(arguments, **options):
    from keras_caffe_zoo import models

    builder = getattr(models, arguments.model, None)
    if arguments.model not in models.__all__:
        raise ValueError(
            f"Expected --model to be one of {', '.join(models.__all__)}; received: "
            f"{arguments.model}"
        )
    return builder(weights=arguments.weights, **options)


def _add_classify(commands) -> None:
    parser = _command(
        commands,
        "classify",
        _classify,
        "Say what is in pictures.",
        epilog="Example: keras-caffe-zoo classify photo.jpg --model caffenet",
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    _add_net(parser)
    parser.add_argument(
        "--top", type=int, default=5, help="classes for each (default: %(default)s)"
    )


def _classify(arguments) -> list[dict]:
    from keras_caffe_zoo.labels import decode_predictions
    from keras_caffe_zoo.preprocessing import load_image, preprocess_input

    pictures = [load_image(path, arguments.model) for path in arguments.images]
    model = _build(arguments)
    batch = preprocess_input(np.stack(pictures), arguments.model, "channels_last")
    answers = decode_predictions(model.predict(batch, verbose=0), arguments.top)
    for path, classes in zip(arguments.images, answers, strict=True):
        if not arguments.json:
            print(path)
            for identifier, name, chance in classes:
                print(f"  {chance:6.1%}  {identifier}  {name}")
    return [
        {
            "image": str(path),
            "classes": [
                {"id": identifier, "name": name, "probability": chance}
                for identifier, name, chance in classes
            ],
        }
        for path, classes in zip(arguments.images, answers, strict=True)
    ]


def _add_heatmap(commands) -> None:
    parser = _command(
        commands,
        "heatmap",
        _heatmap,
        "Draw where in a picture a net sees a class, with the fully convolutional "
        "form of the net.",
        epilog="Example: keras-caffe-zoo heatmap photo.jpg --model caffenet "
        "--class tabby -o map.png",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE")
    _add_net(parser)
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="part of a class's name, its number, or its WordNet identifier; the "
        "likeliest class if not given",
    )
    parser.add_argument(
        "--side",
        type=int,
        default=640,
        help="enlarge or shrink the picture's shortest side to this many pixels "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("heatmap.png"),
        help="where to write the picture (default: %(default)s)",
    )


def _heatmap(arguments) -> dict:
    from keras_caffe_zoo.dense import output_grid
    from keras_caffe_zoo.labels import class_names
    from keras_caffe_zoo.plots import heatmap
    from keras_caffe_zoo.preprocessing import preprocess_input, read_picture, resize

    picture = read_picture(arguments.image)
    scale = arguments.side / min(picture.shape[:2])
    picture = resize(picture, tuple(round(s * scale) for s in picture.shape[:2]))
    wanted = None if arguments.class_name is None else _find(arguments.class_name)
    model = _build(arguments, fully_convolutional=True)
    batch = preprocess_input(picture[None], arguments.model, "channels_last")
    chances = model.predict(batch, verbose=0)[0]
    index = int(chances.max((0, 1)).argmax()) if wanted is None else wanted
    identifier, name = class_names()[index]
    grid = output_grid(model)
    title = f"{name} ({identifier}), {arguments.model}"
    heatmap(picture, chances, index, grid, title=title, output=arguments.output)
    best = float(chances[..., index].max())
    if not arguments.json:
        rows, columns = chances.shape[:2]
        print(f"{name}: at most {best:.1%} in a map of {rows} x {columns} cells")
        print(f"The heat map is in {arguments.output}")
    return {
        "class": {"index": index, "id": identifier, "name": name},
        "probability": best,
        "output": str(arguments.output),
    }


def _find(text: str) -> int:
    """Return the index of the one class that a name, number or identifier means."""
    from keras_caffe_zoo.labels import class_names

    names = class_names()
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    folded = text.casefold()
    for index, (identifier, name) in enumerate(names):
        if folded in (identifier, *name.casefold().split(", ")):
            return index
    found = [i for i, (_, name) in enumerate(names) if folded in name.casefold()]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{i} {names[i][1]}" for i in found[:8]) or "none"
    raise ValueError(
        f"Expected --class to mean one of the 1000 classes; received: {text!r}, which "
        f"is part of: {listed}"
    )


def _add_dump(commands) -> None:
    parser = _command(
        commands,
        "dump",
        _dump,
        "Convert a .caffemodel into one HDF5 file of weights in Keras layout, keyed "
        "by Caffe's layer names.",
        epilog="Example: keras-caffe-zoo dump VGG_CNN_S.caffemodel "
        "--mean VGG_mean.binaryproto -o vgg_cnn_s.h5",
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


def _add_install(commands) -> None:
    parser = _command(
        commands,
        "install",
        _install,
        "Put a file that you fetched by hand into the cache: a net's .caffemodel, its "
        "archive, or its mean .binaryproto.",
        epilog="Example: keras-caffe-zoo install vgg_cnn_s VGG_CNN_S.caffemodel",
    )
    parser.add_argument("name", metavar="NAME", help="the net's name")
    parser.add_argument("file", type=Path, metavar="FILE")


def _install(arguments) -> None:
    from keras_caffe_zoo.weights import install

    print(f"Installed {install(arguments.name, arguments.file)}")


if __name__ == "__main__":
    sys.exit(main())
