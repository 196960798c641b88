"""Starts the command `keras-caffe-zoo` without TensorFlow's start-up notes.

TensorFlow prints a dozen lines when it is imported and when it first looks for a GPU,
whatever its log level, so they have to be kept off the terminal out here. A command
that needs no Keras imports none.
"""

import contextlib
import io
import os
import sys


def main():
    """Run the command; return its exit status."""
    from keras_caffe_zoo.cli import main
    from keras_caffe_zoo.lazy import around_keras

    _spell_out()
    around_keras(_silently)
    return main()


def _spell_out():
    """Have what a terminal, or a pipe on Windows, has no letters for spelt out.

    Else the first such letter, of a path or of a label, would end the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # none, where there is no terminal
            stream.reconfigure(errors="backslashreplace")


def _silently(run):
    with _silent_stderr():
        run()
        sys.modules["keras"].ops.zeros(1)  # looks for devices


@contextlib.contextmanager
def _silent_stderr():
    """Send what native code writes to the terminal's error stream nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
