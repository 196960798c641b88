"""What the commands of tasks share: a net, pictures, answers, and what is drawn."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from keras_caffe_zoo.cli._command import add_command, mean_of
from keras_caffe_zoo.cli._pictures import (
    BAD_ARE_LISTED,
    EXIT_BAD_PICTURES,
    Answers,
    add_net,
    add_pictures,
    check_net,
    files_of,
    outputs_of,
    print_bad,
)
from keras_caffe_zoo.kinds import DEFINITIONS, KERAS, ending


def add_task(
    commands,
    name: str,
    run: Callable,
    help: str,
    *,
    example: str,
    net: str,
    default: str | None = None,
    output: str | None = None,
):
    """Add the command of a task, with the options that all of them have.

    Args:
        commands: What `add_subparsers` returned.
        name: The word to type.
        run: Called with the parsed arguments.
        help: One sentence.
        example: A command line that works.
        net: The name of such a net.
        default: The net's name if none is given; one must be if None.
        output: Where what is drawn goes, if nobody says: `"faces"` is `faces.png` of
            one picture and the folder `faces` of several; nothing is drawn then if
            None.

    Returns:
        The command's own parser.
    """
    parser = add_command(commands, name, run, help, example, BAD_ARE_LISTED)
    add_pictures(parser)
    add_net(parser, net, default)
    parser.add_argument(
        "--mean",
        type=mean_of,
        metavar="B,G,R",
        help="of a net of one's own (--model net.prototxt --weights net.caffemodel): "
        "what it subtracts from each channel, as in 104,117,123, or 0 for nothing, or "
        "the path of a .binaryproto",
    )
    parser.add_argument(
        "--scale", type=float, help="what it multiplies the difference by"
    )
    parser.add_argument(
        "--preprocessing",
        metavar="NAME",
        help="the net of the zoo whose pictures it takes, in place of both",
    )
    where = f"(default: {output}.png, {output}/)" if output else "(default: nowhere)"
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="where to write what is drawn; for a folder or several pictures a folder, "
        f"where photos/tom.jpg becomes tom.jpg.png {where}",
    )
    parser.set_defaults(default_output=output)
    return parser


def add_labels(parser) -> None:
    """Give a command the option that tells what classes are called."""
    parser.add_argument(
        "--labels",
        metavar="FILE|NAME",
        help="what the classes of a net of one's own are called: a file with a name on "
        "each line, or a list of the zoo, such as voc",
    )


def labels_of(arguments) -> str | list[str] | None:
    """Return the names in the file that a command was given, or a list's name."""
    from keras_caffe_zoo.files import check_file

    given = arguments.labels
    if given is None or not (Path(given).suffix or Path(given).exists()):
        return given
    check_file(given, "a list of classes: a file, or a list of the zoo, such as voc")
    lines = Path(given).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def net_options(arguments) -> dict:
    """Return what a task's function is told of its net, as keyword arguments."""
    names = ("weights", "preprocessing", "mean", "scale", "runtime")
    options = {name: getattr(arguments, name) for name in names}
    if _is_own(arguments.model):
        del options["weights"]  # `model_of` has read them
    return options


def model_of(arguments, **options):
    """Return the net that a command was given: a name, or a model of one's own.

    Args:
        arguments: The command's.
        **options: Of `from_caffe`, if it is a prototxt.

    Raises:
        ValueError: If a file is no net, or has weights and is given others, or has none
            and is given none.
        OSError: If there is no such file.
    """
    from keras_caffe_zoo.files import check_file

    path, weights = Path(arguments.model), arguments.weights
    if not _is_own(path):
        return arguments.model
    check_file(path, "a net")
    if ending(path) == KERAS:
        from keras_caffe_zoo.opening import load_keras

        if weights != "caffe":
            raise ValueError(
                f"Expected no --weights for {path}, which has its own; received: "
                f"{weights}"
            )
        return load_keras(path)
    from keras_caffe_zoo import from_caffe

    if weights == "caffe":
        raise ValueError(
            f"Expected --weights NET.caffemodel for {path}, which has none itself; "
            "received: none"
        )
    return from_caffe(path, weights, **options)


def free_model_of(arguments, has_fixed_size: Callable):
    """Return the net, one of one's own for pictures of any size.

    Args:
        arguments: The command's.
        has_fixed_size: Tells of a model whether it names a size, and should not.
    """
    model = model_of(arguments)
    if isinstance(model, str) or not has_fixed_size(model):
        return model
    return model_of(arguments, input_shape={model.inputs[0].name: (None, None, 3)})


def _is_own(model: str | Path) -> bool:
    return ending(model) in (*DEFINITIONS, KERAS)


def run_task(
    arguments, make_task: Callable, said: Callable, drawn: Callable | None
) -> tuple[None, int]:
    """Answer pictures with a task; print and draw what it says.

    Args:
        arguments: The command's.
        make_task: Returns the task; called after the pictures are found and the
            output's name is a good one, since it may have to download the net.
        said: Returns lines of text of a result.
        drawn: Returns the picture to write, RGB, of a picture and a result; None of a
            command that draws nothing.

    Returns:
        None, and the exit status.
    """
    from keras_caffe_zoo.progress import Progress
    from keras_caffe_zoo.tasks.running import stream

    check_net(arguments)
    files = files_of(arguments.images)
    outputs = _outputs(arguments, files)
    task = make_task()
    answers, bad = Answers(arguments.json_output), []
    line = Progress(len(files), "image", enabled=len(files) > 1)
    found = stream(task, files, keep_pixels=outputs is not None)
    with contextlib.closing(line), contextlib.closing(found):
        for place, (file, one) in enumerate(zip(files, found, strict=True)):
            line.advance(1)
            if one.bad:
                bad.append((file, one.bad.reason))
                answers.add({"image": file, "bad": one.bad.reason})
                continue
            answer = {"image": file, **one.result.as_dict()}
            lines = said(one.result)
            if outputs:
                _write(drawn(one.pixels, one.result), outputs[place])
                answer["output"] = str(outputs[place])
                lines = [*lines, f"drawn in {outputs[place]}"]
            answers.add(answer)
            if not arguments.json:
                with line.hidden():
                    print(file, *(f"  {text}" for text in lines), sep="\n", flush=True)
    answers.close()
    if not arguments.json:
        print_bad(bad, "answer")
    return None, EXIT_BAD_PICTURES if bad else 0


def _outputs(arguments, files: list[str]) -> list[Path] | None:
    """Return where what is drawn of each picture goes; None if nothing is."""
    one = len(arguments.images) == 1 and not arguments.images[0].is_dir()
    output, default = arguments.output, arguments.default_output
    if output is None and default is None:
        return None
    output = output or Path(f"{default}.png" if one else default)
    outputs = outputs_of(files, output, one)
    if not one and output.exists() and not output.is_dir():
        raise ValueError(
            f"Expected --output: a folder, for several pictures; received: {output}, "
            "which is a file"
        )
    _kind_of(outputs[0])
    return outputs


def _kind_of(output: Path) -> str:
    """Return the format that a file's suffix means.

    Raises:
        ValueError: If Pillow writes none such.
    """
    from PIL import Image

    kind = Image.registered_extensions().get(output.suffix.lower())
    if kind not in Image.SAVE:
        raise ValueError(
            "Expected --output with the suffix of a picture that Pillow writes, such "
            f"as .png; received: {output}"
        )
    return kind


def _write(picture, output: Path) -> None:
    """Write a picture, an array or Pillow's; it appears whole or not at all."""
    from PIL import Image

    from keras_caffe_zoo.files import replacing

    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as part:
        if not isinstance(picture, Image.Image):
            picture = Image.fromarray(picture)
        picture.save(part, format=_kind_of(output), quality=95)
