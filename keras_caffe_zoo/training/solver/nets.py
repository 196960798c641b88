"""The nets that a solver trains and tests, wherever they are."""

import os
import warnings
from pathlib import Path
from typing import NamedTuple

from keras_caffe_zoo.caffe import CaffeFormatError, Net, read_prototxt
from keras_caffe_zoo.caffe.reader import net_of_message
from keras_caffe_zoo.files import last_part
from keras_caffe_zoo.rules.python import name_python_layers

PathLike = str | os.PathLike

_ONE_FOR_BOTH = ("net", "net_param")
_FOR_TRAINING = (*_ONE_FOR_BOTH, "train_net", "train_net_param")
_FOR_TESTS = ("test_net_param", "test_net")  # in Caffe's order


class TestPart(NamedTuple):
    """One of a solver's test nets.

    Attributes:
        name: What it is called: the stages of its `test_state`, or its file, or
            `"test"`; no two have the same.
        net: The net, filtered.
        iterations: Batches of a test, its `test_iter`.
        number: Caffe's number of it, in `Testing net (#0)`.
    """

    __test__ = False  # no test of pytest's

    name: str
    net: Net
    iterations: int
    number: int


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
            raise FileNotFoundError(
                f"{self._missing(name)}. Pass net=… (--net of the command)"
            )
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
        name = next((n for n in _FOR_TESTS if self._has(n)), None)
        net = self._net(name or self._field(_ONE_FOR_BOTH, needed=False))
        if net is None:
            if name:
                warnings.warn(f"{self._missing(name)}: no metrics.", stacklevel=3)
            return None
        return self._in_test(net, 0)

    def tests(self) -> list[TestPart]:
        """Return all nets that the solver tests, those of its files that are at hand.

        First those of `test_net_param`, then of `test_net`; each further `test_iter`
        is one of the net that is trained, in its TEST phase.

        Raises:
            CaffeFormatError: If `test_iter` or `test_state` are not as many as the
                nets, or there is no `test_interval`.
        """
        fields = [(n, i) for n in _FOR_TESTS for i in range(len(self._values(n)))]
        shared = self._field(_ONE_FOR_BOTH, needed=False)
        iterations = list(self.message.test_iter)
        self._check_tests(len(fields), shared)
        fields += [(shared, 0)] * (len(iterations) - len(fields))
        found, names = [], []
        for number, (name, at) in enumerate(fields):
            net = self._net(name, at)
            if net is None:
                warnings.warn(
                    f"{self._missing(name, at)}: it is not tested.", stacklevel=3
                )
                continue
            names.append(self._name_of(number, name, at, names))
            part = self._in_test(net, number)
            found.append(TestPart(names[-1], part, iterations[number], number))
        return found

    def _check_tests(self, own: int, shared: str | None) -> None:
        """Check what Caffe checks of the fields of tests."""
        nets, states = len(self.message.test_iter), len(self.message.test_state)
        wanted = None
        if nets < own or (not shared and nets != own):
            wanted = ("test_iter", f"{own}, one for each test net", nets)
        elif states not in (0, nets):
            wanted = ("test_state", f"{nets}, one for each test net, or none", states)
        elif nets and self.message.test_interval < 1:
            interval = self.message.test_interval
            wanted = ("test_interval", "iterations above 0 for its tests", interval)
        if wanted:
            field, expected, received = wanted
            raise CaffeFormatError(
                f"Expected {expected}; received: {received}",
                source=self.source,
                field=field,
            )

    def _in_test(self, net: Net, number: int) -> Net:
        if not self.message.test_state:
            return net.filter("TEST")
        state = self.message.test_state[number]
        return net.filter("TEST", state.level, state.stage)

    def _name_of(self, number: int, field: str, at: int, taken: list[str]) -> str:
        name = "test"
        if self.message.test_state and self.message.test_state[number].stage:
            name = "-".join(self.message.test_state[number].stage)
        elif field == "test_net":
            name = Path(last_part(self._values(field)[at])).stem or name
        return f"{name}-{number}" if name in taken else name

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

    def _values(self, name: str) -> list:
        if not self._has(name):
            return []
        value = getattr(self.message, name)
        return list(value) if name in _FOR_TESTS else [value]

    def _net(self, name: str | None, at: int = 0) -> Net | None:
        if name is None:
            return None
        if name == "net" and self.given is not None:
            return _whole(read_prototxt(self.given))
        value = self._values(name)[at]
        if name.endswith("_param"):
            return _whole(net_of_message(value, self.source))
        # Only the file's name: a stranger's file must not make us read another place.
        file = last_part(value)
        path = os.path.join(os.path.dirname(self.source), file)
        if not file or not os.path.isfile(path):
            return None
        return _whole(read_prototxt(path))

    def _missing(self, name: str, at: int = 0) -> str:
        file = last_part(self._values(name)[at])
        return f"Expected the net {file!r} beside {self.source}; received no such file"


def _whole(net: Net) -> Net:
    return name_python_layers(net.fold_splits())
