"""The public names: where each is found, and which page of the reference has it."""

import functools
import importlib
from typing import NamedTuple

PACKAGE = "keras_caffe_zoo"
# What all names of a room are public in; the package's own names come first, so that a
# name has the shortest path that leads to it.
ROOMS = ("", "layers", "training", "plots", "rules", "caffe", "conversion", "dense")


class Public(NamedTuple):
    """A public class, function or constant.

    Attributes:
        path: The dotted path that a reader writes.
        room: The room that exports it, `""` for the package itself.
        kind: `"class"`, `"exception"`, `"function"` or `"data"`.
        thing: The object.
    """

    path: str
    room: str
    kind: str
    thing: object

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


@functools.cache
def public_names() -> dict[str, Public]:
    """Return every public name by its path; what two rooms export stands once."""
    found, seen = {}, set()
    for room in ROOMS:
        home = PACKAGE + (room and f".{room}")
        module = importlib.import_module(home)
        for name in module.__all__:
            thing = getattr(module, name)
            if _is_module(thing) or (callable(thing) and id(thing) in seen):
                continue
            seen.add(id(thing))
            path = f"{home}.{name}"
            found[path] = Public(path, room, _kind(thing), thing)
    return found


@functools.cache
def paths_by_name() -> dict[str, str]:
    """Return the path of each public name by its last part; shortest paths win."""
    found: dict[str, str] = {}
    for path, public in public_names().items():
        found.setdefault(public.name, path)
    return found


def path_of(thing: object) -> str | None:
    """Return the path of a public class or function, or `None`."""
    name = getattr(thing, "__name__", "")
    public = public_names().get(paths_by_name().get(name, ""))
    return public.path if public and public.thing is thing else None


def _is_module(thing: object) -> bool:
    return type(thing).__name__ in ("module", "_Module")


def _kind(thing: object) -> str:
    if isinstance(thing, type):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if callable(thing) else "data"
