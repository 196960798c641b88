"""The command that draws where in pictures a net sees a class: heatmap."""

import contextlib
import inspect
from pathlib import Path

from keras_caffe_zoo.cli._command import add_command
from keras_caffe_zoo.cli._pictures import (
    BAD_ARE_LISTED,
    EXIT_BAD_PICTURES,
    Answers,
    add_net,
    add_pictures,
    build,
    check_net,
    files_of,
    outputs_of,
    print_bad,
)

LONGEST = 50  # times the shorter side; matplotlib draws no more than 65,535 pixels


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "heatmap",
        _heatmap,
        "Draw where in a picture, or in each of many, a net sees a class, with the "
        "fully convolutional form of the net.",
        example="heatmap photo.jpg --model caffenet --class tabby -o map.png",
        more=BAD_ARE_LISTED,
    )
    add_pictures(parser)
    add_net(parser)
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="a class's name or part of it, its number, or its WordNet identifier; "
        "each picture's likeliest class if not given",
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
        help="where to write the picture (default: heatmap.png); for a folder or "
        "several pictures a folder (default: heatmaps), where photos/tom.jpg becomes "
        "tom.jpg.png",
    )


def _heatmap(arguments) -> tuple[dict | None, int]:
    from keras_caffe_zoo.labels import find_class, names_of_net
    from keras_caffe_zoo.plots._figure import format_of
    from keras_caffe_zoo.progress import Progress
    from keras_caffe_zoo.tasks.net import entry_for

    check_net(arguments)
    entry_for(arguments.model, ("classification",), None)
    paths = arguments.images
    one = len(paths) == 1 and not paths[0].is_dir()
    names = names_of_net(arguments.model)
    text = arguments.class_name
    wanted = None if text is None else find_class(text, names, "--class")
    files = files_of(paths)
    default = Path("heatmap.png" if one else "heatmaps")
    outputs = outputs_of(files, arguments.output or default, one)
    format_of(outputs[0])  # raises before any work
    model = _net(arguments)
    answers, bad = Answers(None if one else arguments.json_output), []
    line = Progress(len(files), "image", enabled=not one)
    with contextlib.closing(line):
        for file, output in zip(files, outputs, strict=True):
            picture, reason = _read(file, arguments.side)
            if reason:
                bad.append((file, reason))
                answer = {"image": file, "bad": reason}
            else:
                output.parent.mkdir(parents=True, exist_ok=True)
                answer = _drawn(model, picture, wanted, output, arguments, line, one)
                answer = answer if one else {"image": file, **answer}
            answers.add(answer)
            line.advance(1)
    answers.close()
    if not arguments.json:
        print_bad(bad, "heat map")
    return answer if one else None, EXIT_BAD_PICTURES if bad else 0


def _net(arguments):
    """Return the net as one that gives a map.

    Raises:
        ValueError: If it gives scores, which the colours would misrepresent.
    """
    from keras_caffe_zoo import models
    from keras_caffe_zoo.conversion.folding import folded_if_faster

    builder = inspect.signature(getattr(models, arguments.model))
    if builder.parameters["classifier_activation"].default is None:
        raise ValueError(
            "Expected a net that gives probabilities; received: "
            f"{arguments.model!r}, which gives raw scores"
        )
    return folded_if_faster(build(arguments, fully_convolutional=True))


def _read(file: str, side: int) -> tuple:
    """Return a picture, its shortest side that long; or None and what is wrong."""
    from keras_caffe_zoo.pictures import PictureError, silent_pillow
    from keras_caffe_zoo.preprocessing import read_picture, resize

    try:
        with silent_pillow():
            picture = read_picture(file)
    except PictureError as error:
        return None, error.reason
    except OSError as error:
        return None, f"cannot be read: {error.strerror or error}"
    height, width = picture.shape[:2]
    if max(height, width) > LONGEST * min(height, width):
        return None, f"too long and thin: {width} x {height} pixels"
    scale = side / min(height, width)
    return resize(picture, (round(height * scale), round(width * scale))), None


def _drawn(model, picture, wanted: int | None, output, arguments, line, one) -> dict:
    """Draw a picture's heat map; print and return what there is in it."""
    from keras_caffe_zoo.dense import predict_dense
    from keras_caffe_zoo.labels import names_of_net
    from keras_caffe_zoo.plots import heatmap

    progress = one and not arguments.json
    how = {"stitch": arguments.stitch, "runtime": arguments.runtime}
    chances = predict_dense(model, picture, progress=progress, **how)
    index = int(chances.max((0, 1)).argmax()) if wanted is None else wanted
    names = names_of_net(arguments.model)
    shown = [name for _, name in names]
    heatmap(picture, chances, index, class_names=shown, output=output)
    identifier, name = names[index]
    best = float(chances[..., index].max())
    if not arguments.json:
        rows, columns = chances.shape[:2]
        with line.hidden():
            print(f"{name}: at most {best:.1%} in a map of {rows} x {columns} cells")
            print(f"The heat map is in {output}", flush=True)
    return {
        "class": {"index": index, "id": identifier, "name": name},
        "probability": best,
        "map": list(chances.shape[:2]),
        "output": str(output),
    }
