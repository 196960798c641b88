"""The command that finds things in pictures: detect."""

from keras_caffe_zoo.cli._tasks import (
    add_labels,
    add_task,
    free_model_of,
    labels_of,
    net_options,
    run_task,
)


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_task(
        commands,
        "detect",
        _detect,
        "Say what is where in pictures, and draw boxes around it.",
        example="detect street.jpg --model ssd300 -o found.png",
        net="ssd300",
        default="mobilenet_ssd",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="the least score of what is found, 0 to 1 (default: %(default)s)",
    )
    add_labels(parser)


def _detect(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.plots.boxes import draw_boxes
    from keras_caffe_zoo.tasks.detection import Detector
    from keras_caffe_zoo.tasks.detectors import has_fixed_size

    def task():
        return Detector(
            free_model_of(arguments, has_fixed_size),
            threshold=arguments.threshold,
            labels=labels_of(arguments),
            **net_options(arguments),
        )

    return run_task(arguments, task, _said, draw_boxes)


def _said(found) -> list[str]:
    return found.lines() or ["nothing"]
