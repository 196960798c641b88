"""What the commands that look at pictures share: which, by which net, which are bad."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from keras_caffe_zoo.cli._command import add_json
from keras_caffe_zoo.kinds import DEFINITIONS, WEIGHTS, ending

EXIT_BAD_PICTURES = 3
BAD_LISTED = 20
BAD_ARE_LISTED = "Exit status 3 if pictures could not be read; they are listed."


def add_pictures(parser) -> None:
    """Give a command its pictures, as `images`."""
    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="PICTURE",
        help="a picture, or a folder, of which all pictures below it are taken",
    )


def add_net(parser, example: str = "caffenet", default: str | None = None) -> None:
    """Give a command the options that tell the net, and `--json`.

    Args:
        parser: The command's parser.
        example: The name of such a net.
        default: The net's name if none is given; one must be if None.
    """
    text = f"the net's name, such as {example}; `keras-caffe-zoo list` shows all"
    parser.add_argument(
        "--model",
        required=default is None,
        default=default,
        metavar="NAME",
        help=f"{text} (default: %(default)s)" if default else text,
    )
    parser.add_argument(
        "--weights",
        default="caffe",
        help="path of a .caffemodel or of a dumped .h5; the published weights if not "
        "given, downloaded once",
    )
    parser.add_argument(
        "--runtime",
        choices=("keras", "onnxruntime", "openvino"),
        default="keras",
        help="what computes the net, to the same numbers; the others are installed "
        'with pip install "keras_caffe_zoo[NAME]" (default: %(default)s)',
    )
    add_json(parser)


def check_net(arguments) -> None:
    """Refuse a net whose definition and weights are given the other way round.

    Raises:
        ValueError: If --model is a file of weights.
    """
    model, weights = arguments.model, arguments.weights
    if ending(str(model)) not in WEIGHTS:
        return
    problem = (
        f"Expected --model: a net's name or prototxt, and its file of weights as "
        f"--weights; received: --model {model}"
    )
    if ending(str(weights)) in DEFINITIONS:
        problem += f" --weights {weights}, the other way round. Swap them"
    raise ValueError(problem)


def build(arguments, **options):
    """Build the classifier that a command was given.

    Raises:
        ValueError: If the zoo has no such net, or its classes' names are not known.
        ImportError: If the runtime is not installed.
    """
    from keras_caffe_zoo import models
    from keras_caffe_zoo.labels import names_of_net
    from keras_caffe_zoo.runtimes import check_runtime

    check_net(arguments)
    check_runtime(arguments.runtime)
    names_of_net(arguments.model)  # before the net, which may have to be downloaded
    return getattr(models, arguments.model)(weights=arguments.weights, **options)


def files_of(paths: Sequence[Path]) -> list[str]:
    """Return the pictures that files and folders mean, those of a folder sorted.

    Raises:
        ValueError: If a folder holds none.
        OSError: If there is no such file.
    """
    from keras_caffe_zoo.extraction.sources import open_source
    from keras_caffe_zoo.files import check_file

    files = []
    for path in paths:
        if path.is_dir():
            files += [file for _, file in open_source(path).entries]
        else:  # whatever its suffix
            check_file(path, "a picture, or a folder of pictures")
            files.append(str(path))
    return files


def outputs_of(files: list[str], output: Path, one: bool) -> list[Path]:
    """Return where what is drawn of each picture goes.

    In a folder it has the picture's place below the folder that all pictures share, and
    its whole name, suffix included, so that no two share a file.

    Args:
        files: The pictures.
        output: A file of one picture, or a folder.
        one: Whether one picture was given, and no folder.

    Raises:
        ValueError: If `output` is a picture's name, for several; or if a picture that
            is given would be written over.
    """
    outputs = _outputs_of(files, output, one)
    given = {os.path.realpath(file) for file in files}
    over = [path for path in outputs if os.path.realpath(path) in given]
    if over:
        raise ValueError(
            "Expected --output: a file or a folder where no picture that is given is "
            f"written over; received: {output}, and {over[0]} is one of them"
        )
    return outputs


def _outputs_of(files: list[str], output: Path, one: bool) -> list[Path]:
    from keras_caffe_zoo.pictures import picture_suffixes

    if one and not output.is_dir():
        return [output]
    if output.suffix.lower() in picture_suffixes() and not output.is_dir():
        raise ValueError(
            f"Expected --output: a folder, for several pictures; received: {output}"
        )
    root = os.path.commonpath([os.path.dirname(os.path.abspath(f)) for f in files])
    return [output / f"{os.path.relpath(file, root)}.png" for file in files]


class Answers:
    """A JSON list, written item by item, however many there are.

    Args:
        output: Where to; None to write nothing.
    """

    def __init__(self, output: TextIO | None):
        self._output, self._before = output, "["

    def add(self, answer: dict) -> None:
        """Write one item."""
        if self._output:
            item = self._before + json.dumps(answer)
            print(item, end="", file=self._output, flush=True)
            self._before = ", "

    def close(self) -> None:
        """Write the list's end."""
        if self._output:
            print("[]" if self._before == "[" else "]", file=self._output)


def print_bad(bad: Sequence[tuple[str, str]], what: str) -> None:
    """Print which pictures have no answer, and why; the first of many.

    Args:
        bad: Names and reasons.
        what: What they do not have, such as `"row"`.
    """
    if not bad:
        return
    print(
        f"{len(bad):,} {'pictures have' if len(bad) > 1 else 'picture has'} no {what}:"
    )
    for name, reason in bad[:BAD_LISTED]:
        print(f"  {name}: {reason}")
    if len(bad) > BAD_LISTED:
        print(f"  and {len(bad) - BAD_LISTED:,} more (--json lists all)")
