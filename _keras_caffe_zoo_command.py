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

    for stream in (sys.stdout, sys.stderr):
        # Terminals and pipes of Windows have an alphabet of their own: what that lacks
        # is spelt out, rather than the end of the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    around_keras(_silently)
    return main()


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
