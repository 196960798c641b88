"""Keras, from the moment that something of it is used.

Reading, rewriting and listing Caffe's files needs no Keras, whose import takes seconds;
so the modules that only sometimes need it have `from keras_caffe_zoo.lazy import keras`
in place of `import keras`; and so with h5py, which few of Caffe's files need.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING

import lazy_loader

from keras_caffe_zoo.messages import hinted


class _Module(types.ModuleType):
    """A module that is imported when an attribute of it is asked for."""

    def __getattr__(self, name: str):
        if name.startswith("__"):  # what inspection asks of any module
            raise AttributeError(name)
        found = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, found)
        return found


if TYPE_CHECKING:
    import h5py
    import keras
    from keras import ops

    from keras_caffe_zoo import layers
    from keras_caffe_zoo.conversion import model as caffe_model
    from keras_caffe_zoo.layers import initializers
else:
    h5py = _Module("h5py")
    keras, ops = _Module("keras"), _Module("keras.ops")
    layers = _Module("keras_caffe_zoo.layers")
    caffe_model = _Module("keras_caffe_zoo.conversion.model")
    initializers = _Module("keras_caffe_zoo.layers.initializers")


def public_names(package: str, file: str) -> tuple[Callable, Callable, list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package.

    Each name of its `.pyi` is imported when it is first asked for; of others, the error
    says which may have been meant, and nothing is imported.

    Args:
        package: The package's `__name__`.
        file: Its `__file__`.
    """
    found, names, public = lazy_loader.attach_stub(package, file)

    def attribute(name: str):
        try:
            return found(name)
        except AttributeError:
            if name in public or name.startswith("_"):
                raise
            problem = f"module {package!r} has no attribute {name!r}"
            # Without `obj`, of which Python would make a second, shorter guess.
            raise AttributeError(hinted(problem, public, name), name=name) from None

    return attribute, names, public


# The rooms whose classes Keras must know before it can load a model that has them, each
# before those that need it.
_ROOMS = ("layers", "conversion.model", "models", "training")
_imported: set[str] = set()


def register_classes(*finished: str) -> None:
    """Import what Keras must know to load saved models, unless that is under way.

    Args:
        *finished: The room that calls this at its end, which can then be built upon.
    """
    _imported.update(finished)
    for room in _ROOMS:
        name = f"{__package__}.{room}"
        if name in sys.modules and name not in _imported:
            return  # it will call, when it has ended
        importlib.import_module(name)


def register_with_keras() -> None:
    """Register the package's classes as soon as Keras is imported."""
    if "keras" in sys.modules:
        register_classes()
    else:
        around_keras(lambda run: (run(), register_classes()))


def around_keras(wrapper: Callable[[Callable[[], None]], object]) -> None:
    """Have a function run Keras' import, whenever that comes.

    Args:
        wrapper: Is given what runs the import, and must call it.
    """
    sys.meta_path.insert(0, _Herald(wrapper))


class _Herald(importlib.abc.MetaPathFinder):
    """Finds no module itself, but hears when Keras is looked for."""

    def __init__(self, wrapper: Callable[[Callable[[], None]], object]):
        self._wrapper = wrapper

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module
        spec.loader.exec_module = lambda module: self._wrapper(lambda: run(module))
        return spec
