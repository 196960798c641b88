"""The command that says what is in pictures: classify."""

import contextlib
from collections.abc import Iterator

from keras_caffe_zoo.cli._command import add_command
from keras_caffe_zoo.cli._pictures import (
    EXIT_BAD_PICTURES,
    Answers,
    add_net,
    add_pictures,
    build,
    files_of,
    print_bad,
)

BATCH = 32  # pictures that go through the net at once, and are answered together


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "classify",
        _classify,
        "Say what is in pictures, one or a million. Exit status 3 if some could not "
        "be read; they are listed.",
        example="classify photo.jpg holidays/ --model caffenet",
    )
    add_pictures(parser)
    add_net(parser)
    parser.add_argument(
        "--top", type=int, default=5, help="classes for each (default: %(default)s)"
    )


def _classify(arguments) -> tuple[None, int]:
    files = files_of(arguments.images)
    answers, bad = Answers(arguments.json_output), []
    for name, classes, reason in _classified(files, build(arguments), arguments):
        if reason:
            bad.append((name, reason))
            answers.add({"image": name, "bad": reason})
            continue
        answers.add(_as_dict(name, classes))
        if not arguments.json:
            _print(name, classes)
    answers.close()
    if not arguments.json:
        print_bad(bad, "answer")
    return None, EXIT_BAD_PICTURES if bad else 0


def _classified(files: list[str], model, arguments) -> Iterator[tuple]:
    """Yield `(name, classes, reason)` of each file, the reason for bad ones only."""
    from keras_caffe_zoo.extraction import local
    from keras_caffe_zoo.extraction.sources import blocks_of, open_source
    from keras_caffe_zoo.extraction.spec import Spec
    from keras_caffe_zoo.extraction.worker import BlockWorker
    from keras_caffe_zoo.labels import decode_predictions
    from keras_caffe_zoo.pictures import silent_pillow

    layer = model.layers[-1].name
    spec = Spec(model, (layer,), batch_size=BATCH, runtime=arguments.runtime)
    worker = BlockWorker(spec)
    tasks = blocks_of(open_source(files).items(), BATCH)
    with silent_pillow(), contextlib.closing(local.compute(worker, tasks)) as blocks:
        for block in blocks:
            found = {bad.index: (bad.name, None, bad.reason) for bad in block.bad}
            preds = block.values[layer]
            rows = decode_predictions(preds, arguments.top, arguments.model)
            for index, name, classes in zip(
                block.index.tolist(), block.names, rows, strict=True
            ):
                found[index] = name, classes, None
            for index in sorted(found):
                yield found[index]


def _print(name: str, classes: list[tuple[str, str, float]]) -> None:
    print(name)
    for identifier, description, chance in classes:
        print(f"  {chance:6.1%}  {identifier}  {description}")


def _as_dict(name: str, classes: list[tuple[str, str, float]]) -> dict:
    return {
        "image": name,
        "classes": [
            {"id": identifier, "name": description, "probability": chance}
            for identifier, description, chance in classes
        ],
    }
