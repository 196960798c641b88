"""Keep quiet what others print while they work."""

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep off the screen what libraries print, log and warn of, in C++ too.

    Errors are raised as ever. What other threads print meanwhile is lost as well.
    """
    level = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        _no_output(1),
        _no_output(2),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


@contextlib.contextmanager
def _no_output(descriptor: int) -> Iterator[None]:
    """Send what is written to an open file of the process to a file that goes."""
    try:
        kept = os.dup(descriptor)
    except OSError:  # it is closed: nothing is written
        yield
        return
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), descriptor)
            try:
                yield
            finally:
                os.dup2(kept, descriptor)
    finally:
        os.close(kept)
