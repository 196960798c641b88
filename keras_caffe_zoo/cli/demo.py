"""The command that shows what the package does: demo."""

from pathlib import Path

from keras_caffe_zoo.cli._command import add_command


def add_commands(commands) -> None:
    """Add this module's commands."""
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
