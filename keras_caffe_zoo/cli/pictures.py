"""Commands that look at pictures: demo, classify, heatmap."""

from pathlib import Path

import numpy as np

from keras_caffe_zoo.cli._command import add_command, add_json


def add_commands(commands) -> None:
    """Add this module's commands."""
    for add in (_add_demo, _add_classify, _add_heatmap):
        add(commands)


def _add_demo(commands) -> None:
    parser = add_command(
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
        metavar="NAME",
        help="the net's name, such as caffenet; `keras-caffe-zoo list` shows all",
    )
    parser.add_argument(
        "--weights",
        default="caffe",
        help="path of a .caffemodel or of a dumped .h5; the published weights if not "
        "given, downloaded once",
    )
    add_json(parser)


def _build(arguments, **options):
    from keras_caffe_zoo import models

    entry = models.model_info(arguments.model)
    if entry.class_labels != "ilsvrc12":
        raise ValueError(
            "Expected a net of ImageNet's 1000 classes, whose names are known here; "
            f"received: {arguments.model}, with those of {entry.class_labels}"
        )
    return getattr(models, arguments.model)(weights=arguments.weights, **options)


def _add_classify(commands) -> None:
    parser = add_command(
        commands,
        "classify",
        _classify,
        "Say what is in pictures.",
        example="classify photo.jpg --model caffenet",
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
    parser = add_command(
        commands,
        "heatmap",
        _heatmap,
        "Draw where in a picture a net sees a class, with the fully convolutional "
        "form of the net.",
        example="heatmap photo.jpg --model caffenet --class tabby -o map.png",
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
        "--stitch",
        type=int,
        default=1,
        help="make the map this many times finer, by shift and stitch: a divisor of "
        "the net's stride, such as 2 (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("heatmap.png"),
        help="where to write the picture (default: %(default)s)",
    )


def _heatmap(arguments) -> dict:
    from keras_caffe_zoo.dense import predict_dense
    from keras_caffe_zoo.labels import class_names
    from keras_caffe_zoo.plots import heatmap
    from keras_caffe_zoo.preprocessing import preprocess_input, read_picture, resize

    picture = read_picture(arguments.image)
    scale = arguments.side / min(picture.shape[:2])
    picture = resize(picture, tuple(round(s * scale) for s in picture.shape[:2]))
    wanted = None if arguments.class_name is None else _find(arguments.class_name)
    model = _build(arguments, fully_convolutional=True)
    image = preprocess_input(picture, arguments.model, "channels_last")
    chances = predict_dense(
        model, image, stitch=arguments.stitch, progress=not arguments.json
    )
    index = int(chances.max((0, 1)).argmax()) if wanted is None else wanted
    heatmap(picture, chances, index, output=arguments.output)
    identifier, name = class_names()[index]
    best = float(chances[..., index].max())
    if not arguments.json:
        rows, columns = chances.shape[:2]
        print(f"{name}: at most {best:.1%} in a map of {rows} x {columns} cells")
        print(f"The heat map is in {arguments.output}")
    return {
        "class": {"index": index, "id": identifier, "name": name},
        "probability": best,
        "map": list(chances.shape[:2]),
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
