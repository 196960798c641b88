"""How the notebooks' kernels start: what Keras' engine says then, no reader needs."""

import atexit
import shutil
import tempfile
from pathlib import Path

_STARTUP = """\
import os as _os

_kept, _nowhere = _os.dup(2), _os.open(_os.devnull, _os.O_WRONLY)
_os.dup2(_nowhere, 2)
try:
    import keras as _keras
finally:
    _os.dup2(_kept, 2)
    _os.close(_kept)
    _os.close(_nowhere)
"""


def make_ipython_folder() -> str:
    """Return a folder for `IPYTHONDIR`; it is removed when this process ends."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "quiet.py").write_text(_STARTUP, "utf-8")
    return str(folder)
