"""The nets that a solver trains and tests, wherever they are."""

import os
import warnings
from pathlib import PurePosixPath, PureWindowsPath

from keras_caffe_zoo.caffe import CaffeFormatError, Net, read_prototxt
from keras_caffe_zoo.caffe.reader import net_of_message
from keras_caffe_zoo.rules.python import name_python_layers

PathLike = str | os.PathLike

_ONE_FOR_BOTH = ("net", "net_param")
_FOR_TRAINING = (*_ONE_FOR_BOTH, "train_net", "train_net_param")


def last_part(path: str) -> str:
    """Return a path's last part, whichever system the path was written on."""
    return PureWindowsPath(PurePosixPath(path).name).name


class SolverNets:
    """The nets of a solver: in files beside it, or inside it.

    Args:
        message: The `SolverParameter`.
        source: The solver's file.
        given: The file of its net, where the caller knows better.
    """

    def __init__(self, message, source: str, given: PathLike | None = None):
        self.message, self.source, self.given = message, source, given

    def training(self, needed: bool = True) -> Net | None:
        """Return the training net as Caffe would filter it.

        Args:
            needed: Whether to raise if it is not at hand; else warn and return `None`.

        Raises:
            CaffeFormatError: If the solver has no training net, or several.
            FileNotFoundError: If its file is not beside the solver.
        """
        name = self._field(_FOR_TRAINING, needed)
        net = self._net(name)
        if net is None and needed:
            raise FileNotFoundError(f"{self._missing(name)}. Pass net=…")
        if net is None:
            if name:
                warnings.warn(
                    f"{self._missing(name)}: all parameters get lr_mult 1 and "
                    "decay_mult 1. Pass net=… for its own.",
                    stacklevel=3,
                )
            return None
        state = self.message.train_state
        return net.filter("TRAIN", state.level, state.stage)

    def test(self) -> Net | None:
        """Return the first test net as Caffe would filter it, if it is at hand."""
        name = next((n for n in ("test_net_param", "test_net") if self._has(n)), None)
        net = self._net(name or self._field(_ONE_FOR_BOTH, needed=False))
        if net is None:
            if name:
                warnings.warn(f"{self._missing(name)}: no metrics.", stacklevel=3)
            return None
        if not self.message.test_state:
            return net.filter("TEST")
        state = self.message.test_state[0]
        return net.filter("TEST", state.level, state.stage)

    def _has(self, name: str) -> bool:
        return any(field.name == name for field, _ in self.message.ListFields())

    def _field(self, names: tuple[str, ...], needed: bool) -> str | None:
        """Return which one of some fields the solver has."""
        if self.given is not None:
            return "net"
        found = [name for name in names if self._has(name)]
        if len(found) > 1 or (needed and not found):
            raise CaffeFormatError(
                f"Expected one of {', '.join(names)}; received: "
                f"{', '.join(found) or 'none. Pass net=…'}",
                source=self.source,
            )
        return found[0] if found else None

    def _value(self, name: str):
        value = getattr(self.message, name)
        return value[0] if name.startswith("test_") else value

    def _net(self, name: str | None) -> Net | None:
        if name is None:
            return None
        if name == "net" and self.given is not None:
            return name_python_layers(read_prototxt(self.given).fold_splits())
        if name.endswith("_param"):
            net = net_of_message(self._value(name), self.source)
            return name_python_layers(net.fold_splits())
        # Only the file's name: a stranger's file must not make us read another place.
        file = last_part(self._value(name))
        path = os.path.join(os.path.dirname(self.source), file)
        if not file or not os.path.isfile(path):
            return None
        return name_python_layers(read_prototxt(path).fold_splits())

    def _missing(self, name: str) -> str:
        file = last_part(self._value(name))
        return f"Expected the net {file!r} beside {self.source}; received no such file"
