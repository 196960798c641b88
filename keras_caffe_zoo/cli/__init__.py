"""The command `keras-caffe-zoo`."""

import argparse
import contextlib
import json
import os
import sys

from keras_caffe_zoo.cli import (
    cache,
    card,
    classify,
    completion,
    convert,
    demo,
    detect,
    faces,
    features,
    files,
    heatmap,
    images,
    pose,
    segment,
    serve,
    train,
    view,
    zoo,
)
from keras_caffe_zoo.cli._parser import Parser
from keras_caffe_zoo.version import package_version

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130  # as shells have it: 128, and the signal's number
EXIT_NO_READER = 141


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after the command's name; the process's own if None.

    Returns:
        The exit status: 0, 1 where a command found what it looks for, 2 after an
        error that was printed, 3 where pictures could not be read, 130 after Ctrl-C,
        or 141 where nobody reads the output any more, as behind `| head`.
    """
    try:
        try:
            return _run(argv)
        finally:  # --help, too; here, where the error can be caught
            _flush()
    except BrokenPipeError:
        _flush(in_vain=True)
        return EXIT_NO_READER
    except OSError as error:  # as of a full disk
        _flush(in_vain=True)
        return _failed(error)


def _flush(in_vain: bool = False) -> None:
    """Write what is left for stdout and stderr.

    Args:
        in_vain: Whether what cannot be written is forgotten, of which Python would
            complain at its end.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed by the shell
                stream.flush()
        except OSError:
            if not in_vain:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _failed(error: Exception) -> int:
    print(f"keras-caffe-zoo: error: {_why(error)}", file=sys.stderr)
    return EXIT_ERROR


def _run(argv: list[str] | None) -> int:
    try:
        return _answer(_parser().parse_args(argv))
    except BrokenPipeError:
        raise
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        return _failed(error)
    except KeyboardInterrupt:
        print("keras-caffe-zoo: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _answer(arguments: argparse.Namespace) -> int:
    output = sys.stdout if getattr(arguments, "json", False) else None
    arguments.json_output = output
    # What else is said, notes and progress bars of any library, is no JSON.
    with contextlib.redirect_stdout(sys.stderr if output else sys.stdout):
        result = arguments.run(arguments)
    result, status = result if isinstance(result, tuple) else (result, 0)
    if output and result is not None:  # None: printed
        print(json.dumps(result), file=output)
    return status


def _why(error: Exception) -> str:
    """Return what an error says; of the system's, the file and what is the matter."""
    if not isinstance(error, OSError) or not (error.strerror and error.filename):
        return str(error)
    names = [os.fsdecode(x) for x in (error.filename, error.filename2) if x]
    return f"{' -> '.join(names)}: {error.strerror}"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="keras-caffe-zoo",
        description="Caffe's networks in Keras, computing what Caffe computed.",
        epilog="Start with: keras-caffe-zoo demo",
    )
    version = f"%(prog)s {package_version()}"
    parser.add_argument("--version", action="version", version=version)
    completion.add_completion(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    looking = (classify, detect, faces, segment, pose, images, heatmap, features)
    rooms = (train, convert, view, serve, files, zoo, card, cache)
    for module in (demo, *looking, *rooms):
        module.add_commands(commands)
    return parser
