"""The command that tells the class of every pixel of pictures: segment."""

from pathlib import Path

from keras_caffe_zoo.cli._tasks import (
    add_labels,
    add_task,
    labels_of,
    model_of,
    net_options,
    run_task,
)

_LISTED = 12  # classes of a picture


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_task(
        commands,
        "segment",
        _segment,
        "Say what the pixels of pictures belong to, and draw that over the pictures "
        "in colours, with a legend.",
        example="segment street.jpg --model pspnet101_cityscapes -o segments.png",
        net="fcn8s",
        default="fcn8s",
        output="segments",
    )
    parser.add_argument(
        "--side",
        type=int,
        help="resize pictures until the shortest side has this many pixels; a net of "
        "one size is then slid over them",
    )
    add_labels(parser)
    parser.add_argument(
        "--labels-only",
        action="store_true",
        help="write the map of the classes' numbers alone, a PNG of the picture's own "
        "size with a palette, as PASCAL VOC has them",
    )


def _segment(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.tasks.segmentation import Segmenter

    if arguments.labels_only:
        _check_png(arguments.output)

    def task():
        return Segmenter(
            model_of(arguments),
            side=arguments.side,
            labels=labels_of(arguments),
            **net_options(arguments),
        )

    drawn = _labels_alone if arguments.labels_only else _drawn
    return run_task(arguments, task, _said, drawn)


def _check_png(output: Path | None) -> None:
    if output is not None and output.suffix.lower() not in ("", ".png"):
        raise ValueError(
            "Expected --output to end with .png, which keeps the numbers as they are, "
            f"or a folder, with --labels-only; received: {output}"
        )


def _said(found) -> list[str]:
    lines = [f"{one.share:6.1%}  {one.name}" for one in found.classes[:_LISTED]]
    more = len(found.classes) - _LISTED
    return [*lines, f"and {more} more"] if more > 0 else lines


def _labels_alone(_, found):
    return found.label_image()


def _drawn(picture, found):
    from keras_caffe_zoo.plots.segments import draw_segments

    return draw_segments(picture, found)
