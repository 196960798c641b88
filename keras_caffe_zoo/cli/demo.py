"""The command that shows what the package does: demo."""

from pathlib import Path

from keras_caffe_zoo.cli._command import add_command


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "demo",
        _demo,
        "Read two small Caffe nets that ship with the package: one classifies "
        "handwritten digits and draws a heat map, the other finds them with boxes. "
        "Needs no download.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("."),
        metavar="FOLDER",
        help="where to write the pictures, digits_heatmap.png and digits_boxes.png "
        "(default: here)",
    )


def _demo(arguments) -> None:
    from keras_caffe_zoo import demo

    demo.run(arguments.output)
