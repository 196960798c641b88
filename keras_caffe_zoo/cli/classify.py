"""The command that says what is in pictures: classify."""

from keras_caffe_zoo.cli._command import add_command
from keras_caffe_zoo.cli._pictures import (
    BAD_ARE_LISTED,
    add_net,
    add_pictures,
)
from keras_caffe_zoo.cli._tasks import run_task

BATCH = 32  # pictures that go through the net at once, and are answered together


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "classify",
        _classify,
        "Say what is in pictures, one or a million.",
        example="classify photo.jpg holidays/ --model caffenet",
        more=BAD_ARE_LISTED,
    )
    add_pictures(parser)
    add_net(parser)
    parser.add_argument(
        "--top", type=int, default=5, help="classes for each (default: %(default)s)"
    )
    parser.set_defaults(output=None, default_output=None)  # nothing is drawn


def _classify(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.tasks.classification import Classification

    def task():
        return Classification(
            arguments.model,
            arguments.top,
            weights=arguments.weights,
            runtime=arguments.runtime,
            batch_size=BATCH,
        )

    return run_task(arguments, task, _said, drawn=None)


def _said(found) -> list[str]:
    percent = found.has_probabilities
    return [
        f"{f'{value:6.1%}' if percent else f'{value:7.3f}'}  {identifier}  {name}"
        for identifier, name, value in found.classes
    ]
