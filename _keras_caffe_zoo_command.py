"""Starts the command `keras-caffe-zoo` without TensorFlow's start-up notes.

TensorFlow prints a dozen lines when it is imported and when it first looks for a GPU,
whatever its log level, so they have to be kept off the terminal out here. A command
that needs no Keras imports none.

Ctrl-C, too, is seen to out here, where it can come before anything else is imported.
"""

import _thread
import atexit
import contextlib
import gc
import io
import os
import signal
import sys
import threading

_INTERRUPTED = 130  # as shells have it: 128, and the signal's number
_errors = 2  # the terminal's error stream, while that number is of nowhere too


def main():
    """Run the command; return its exit status."""
    # Registered first, so called last: else Python takes more than a second to look
    # through what TensorFlow has left, which goes with the process.
    atexit.register(gc.freeze)
    _spell_out()
    try:
        with _ending_at_once():
            from keras_caffe_zoo.cli import main
            from keras_caffe_zoo.lazy import around_keras
        around_keras(_silently)
        sys.unraisablehook = _not_swallowed
        status = main()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _end_at_once)  # Python's own end is left
    except KeyboardInterrupt:
        _end_at_once()
    return status


def _spell_out():
    """Have what a terminal, or a pipe on Windows, has no letters for spelt out.

    Else the first such letter, of a path or of a label, would end the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # none, where there is no terminal
            stream.reconfigure(errors="backslashreplace")


def _silently(run):
    with _silent_stderr(), _ending_at_once():
        run()
        sys.modules["keras"].ops.zeros(1)  # looks for devices


@contextlib.contextmanager
def _silent_stderr():
    """Send what native code writes to the terminal's error stream nowhere."""
    global _errors
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    _errors = kept
    try:
        yield
    finally:
        _errors = 2
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _ending_at_once():
    """Have Ctrl-C end the process where it stands, while imports run.

    They leave nothing behind that has to be cleared up, but swallow exceptions or make
    others of them. Whoever has a handler of their own, or ignores Ctrl-C as a shell has
    it for what runs in the background, keeps that.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    try:
        signal.signal(signal.SIGINT, _end_at_once)
    except ValueError:  # not in the main thread
        before = None
    try:
        yield
    finally:
        if before:
            signal.signal(signal.SIGINT, before)


def _end_at_once(number=signal.SIGINT, frame=None):
    with contextlib.suppress(Exception):  # nobody reads it, or it was being written
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(_errors, b"keras-caffe-zoo: interrupted\n")
    os._exit(_INTERRUPTED)


def _not_swallowed(problem, tell=sys.unraisablehook):
    """Press Ctrl-C again where it came while Python could raise nothing.

    That is a moment later: what is raised in here goes nowhere, too.
    """
    if issubclass(problem.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.01, _press)
        again.daemon = True
        again.start()
    else:
        tell(problem)


def _press():
    if hasattr(signal, "pthread_kill"):  # which wakes it, should it wait
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        _thread.interrupt_main()
