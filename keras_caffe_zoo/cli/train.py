"""The command that trains as `caffe train` did: train."""

import contextlib
import signal
import sys
from pathlib import Path

from keras_caffe_zoo.cli._command import add_command, add_json

LOG, CURVES = "train.log", "curves.png"
EXIT_INTERRUPTED = 130


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "train",
        _train,
        "Train a net as its Caffe solver does.",
        example="train --solver lenet_solver.prototxt --data mnist/ --output out/",
        more="Paths in the solver and in its net are another machine's and are never "
        "opened: the net is looked for beside the solver, and what the data layers "
        "name (source, mean_file) by the last part of its path in the folders that "
        "--data gives. Snapshots, the log (train.log, in Caffe's lines) and the curves "
        "(curves.png) go to --output. Ctrl-C finishes the iteration, writes a snapshot "
        "and stops; go on with --snapshot out/NAME_iter_N.solverstate, to the numbers "
        "of a training that was never interrupted. A hangup (SIGHUP) writes a "
        "snapshot and trains on.",
    )
    parser.add_argument(
        "--solver",
        type=Path,
        required=True,
        metavar="SOLVER.prototxt",
        help="the solver: which net, how fast, how long",
    )
    parser.add_argument(
        "--net",
        type=Path,
        metavar="NET.prototxt",
        help="its net, where that is not beside it",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--weights",
        type=Path,
        metavar="NET.caffemodel",
        help="where layers of the same names take their parameters from, to finetune",
    )
    start.add_argument(
        "--snapshot",
        type=Path,
        metavar="NAME.solverstate",
        help="where to go on, Caffe's or one of this command's; the caffemodel is "
        "beside it",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="FOLDER|NAME=PATH",
        help="a folder with the databases, lists and means of the data layers, or "
        "where one of them is, by its name or its layer's; may be given several times "
        "(default: the solver's folder)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="for snapshots, log and curves (default: the current one)",
    )
    _add_options(parser)


def _add_options(parser) -> None:
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="stop there, before max_iter"
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="for fillers, the data's order, crops and dropout (default: the solver's "
        "random_seed, or 0)",
    )
    parser.add_argument(
        "--bad-records",
        action="store_true",
        help="leave out records that cannot be read, and name them, where one would "
        "end the training",
    )
    parser.add_argument(
        "--show-log", action="store_true", help="print Caffe's lines on stderr too"
    )
    add_json(parser)


def _train(arguments) -> tuple[None, int]:
    from keras_caffe_zoo.files import make_folder
    from keras_caffe_zoo.training import BadRecords, from_solver
    from keras_caffe_zoo.training.solver.requests import Requests

    output = arguments.output
    make_folder(output, "snapshots, log and curves (--output)")
    bad = BadRecords() if arguments.bad_records else None
    training = from_solver(
        arguments.solver,
        net=arguments.net,
        weights=arguments.weights,
        snapshot=arguments.snapshot,
        data=_places(arguments),
        seed=_seed(arguments),
        bad_records=bad,
    )
    snapshots = training.snapshots(output)
    requests = Requests(snapshots, training.iter_size)
    with contextlib.ExitStack() as open_:
        mode = "a" if arguments.snapshot else "w"
        file = open_.enter_context(open(output / LOG, mode, encoding="utf-8"))
        listeners = [training.log_lines(file), *_listeners(arguments, training, open_)]
        if arguments.show_log:
            listeners.append(training.log_lines(sys.stderr))
        open_.enter_context(_obeyed(requests))
        training.fit(
            callbacks=[*listeners, requests, snapshots],
            verbose=0,
            iterations=arguments.iterations,
        )
    _draw(training, output)
    if bad and bad.count:
        print(bad, file=sys.stderr)
    return None, EXIT_INTERRUPTED if requests.stopped else 0


def _places(arguments) -> dict[str, Path] | list[Path]:
    """Return where the data is, as `net_dataset` takes it."""
    named = [text.partition("=") for text in arguments.data if "=" in text]
    folders = [Path(text) for text in arguments.data if "=" not in text]
    for folder in folders:
        if not folder.exists():
            raise ValueError(
                f"Expected --data: a folder, or NAME=PATH; received: {folder}, which "
                "is not there"
            )
    folders = folders or ([] if named else [arguments.solver.parent])
    return [*folders, {name: Path(path) for name, _, path in named}]


def _seed(arguments) -> int:
    from keras_caffe_zoo.caffe import read_solver

    if arguments.seed is not None:
        return arguments.seed
    return max(read_solver(arguments.solver).random_seed, 0)


def _listeners(arguments, training, open_) -> list:
    """Return what tells of the training as it runs: a line, and what tests gave."""
    from keras_caffe_zoo.cli._pictures import Answers
    from keras_caffe_zoo.cli._training import Told

    answers = Answers(arguments.json_output)
    open_.callback(answers.close)
    end = min(arguments.iterations or training.iterations, training.iterations)
    told = Told(answers, end, quiet=arguments.json)
    open_.callback(told.close)
    return [told]


@contextlib.contextmanager
def _obeyed(requests):
    """Obey Ctrl-C and a hangup, once; a second Ctrl-C ends at once."""
    before = {}

    def stop(number, frame):
        signal.signal(number, before[number])
        requests.stop()
        with contextlib.suppress(RuntimeError):  # it came in the midst of a line
            print(
                "keras-caffe-zoo: stops after this iteration, with a snapshot; Ctrl-C "
                "again ends at once",
                file=sys.stderr,
            )

    def snapshot(number, frame):
        requests.snapshot()

    handlers = {signal.SIGINT: stop}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = snapshot
    for number, handler in handlers.items():
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _draw(training, output: Path) -> None:
    """Draw the curves of the whole log, which may begin before this run."""
    from keras_caffe_zoo.files import replacing_path
    from keras_caffe_zoo.plots import show_curves
    from keras_caffe_zoo.training.solver.log import read_log

    logged = read_log(output / LOG)
    names = {test.number: test.net.name for test in training.tests}
    tests = {
        name if len(names) == 1 else f"{names.get(number, number)}: {name}": curve
        for (number, name), curve in logged.tests.items()
    }
    if logged.loss or tests:
        with replacing_path(output / CURVES) as beside:
            show_curves(logged.loss, tests, title=training.net.name, output=beside)
