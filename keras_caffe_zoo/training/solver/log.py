"""Caffe's log: the lines that its solver prints, for the scripts that read them."""

import os
import re
import threading
from datetime import datetime
from typing import NamedTuple, TextIO

import numpy as np

from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.training.solver.loop import Display, Events, Output, Test


class SolverLog(Events):
    """Writes what Caffe's solver logs of a training, line for line.

    Scripts that read Caffe's logs, such as its own `parse_log.py`, read these. Losses
    are those of each batch, averaged over a solver's `average_loss` iterations; rates,
    `Train net output` and `Test net output` stand where Caffe writes them, and outputs
    in Caffe's order, that of their names. Of the training net these are its losses and
    accuracies, and other blobs that no layer reads, of up to 100 values and not of its
    data layers.

    With a solver's `debug_info`, each iteration that is displayed has the mean absolute
    values of all blobs and parameters (`[Forward]`), and of the gradients that each
    layer gives the blobs that it reads and its parameters have (`[Backward]`, with
    TensorFlow alone): those of its first pass. Caffe 1.0 writes no `[Update]` lines,
    which older versions had. Blobs that several layers read are told of under their
    own names, not as those of Caffe's Split layers; of parameters that layers share
    each has the whole gradient.

    Args:
        stream: An open text file, such as `sys.stderr`.
        name: The net's name.
        policy: The solver's `lr_policy`.
        plain: Leave out what stands before each line: the date, the time, the thread
            and the place in Caffe's code.

    Example:
        >>> import sys
        >>> log = kcz.training.SolverLog(sys.stdout, "LeNet", "inv", plain=True)
        >>> log.on_solve(0)
        Solving LeNet
        Learning Rate Policy: inv
        >>> log.on_snapshot("lenet_iter_100.caffemodel")
        Snapshotting to binary proto file lenet_iter_100.caffemodel
    """

    def __init__(
        self, stream: TextIO, name: str = "", policy: str = "", plain: bool = False
    ):
        super().__init__()
        self.stream, self.name, self.policy = stream, name, policy
        self.plain = plain

    def write(
        self, text: str, place: str = "solver.cpp:0", severity: str = "I"
    ) -> None:
        """Write a line.

        Args:
            text: What it says.
            place: Where Caffe's code would be, such as `"solver.cpp:218"`.
            severity: The letter that a line begins with.
        """
        if not self.plain:
            now = f"{datetime.now():%m%d %H:%M:%S.%f}"
            thread = threading.get_native_id()
            text = f"{severity}{now} {thread:5} {place}] {text}"
        print(text, file=self.stream, flush=True)

    def on_solve(self, iteration: int) -> None:
        """Write which net is trained."""
        self.write(f"Solving {self.name}", "solver.cpp:279")
        self.write(f"Learning Rate Policy: {self.policy}", "solver.cpp:280")

    def on_display(self, display: Display) -> None:
        """Write an iteration's loss, outputs and rate."""
        if display.last:
            text = f"Iteration {display.iteration}, loss = {number(display.loss)}"
            self.write(text, "solver.cpp:310")
            return
        speed = display.iterations / (display.seconds or 1)
        self.write(
            f"Iteration {display.iteration} ({number(speed)} iter/s, "
            f"{number(display.seconds)}s/{display.every} iters), "
            f"loss = {number(display.loss)}",
            "solver.cpp:218",
        )
        self._write_outputs("Train", display.outputs, "solver.cpp:237")
        rate = number(display.learning_rate)
        text = f"Iteration {display.iteration}, lr = {rate}"
        self.write(text, "sgd_solver.cpp:105")

    def on_debug(self, line: str) -> None:
        """Write a line about blobs or parameters."""
        is_sum = line.startswith("[Backward] All net params")  # an error to Caffe
        self.write(f"    {line}", "net.cpp:0", "E" if is_sum else "I")

    def on_test_begin(self, iteration: int, number: int, name: str) -> None:
        """Write which net is tested."""
        text = f"Iteration {iteration}, Testing net (#{number})"
        self.write(text, "solver.cpp:330")

    def on_test(self, test: Test) -> None:
        """Write a test's outputs."""
        self._write_outputs("Test", test.outputs, "solver.cpp:397")

    def on_test_interrupted(self) -> None:
        """Write that a test gave nothing."""
        self.write("Test interrupted.", "solver.cpp:381")

    def on_snapshot(self, path: str) -> None:
        """Write which file holds a snapshot."""
        kind = "HDF5" if path.endswith(".h5") else "binary proto"
        is_state = ".solverstate" in os.path.basename(path)
        what = "Snapshotting solver state to" if is_state else "Snapshotting to"
        place = "sgd_solver.cpp:273" if is_state else "solver.cpp:447"
        self.write(f"{what} {kind} file {path}", place)

    def on_solved(self, iteration: int, stopped: bool) -> None:
        """Write that the training is over."""
        text = "Optimization stopped early." if stopped else "Optimization Done."
        self.write(text, "solver.cpp:295" if stopped else "solver.cpp:315")

    def _write_outputs(self, net: str, outputs: tuple[Output, ...], place: str) -> None:
        count = 0
        for output in outputs:
            for label, value in output.by_class:
                self.write(f"class{label}: {number(value)}", place)
            for value in np.ravel(output.value):
                text = f"    {net} net output #{count}: {output.name} = {number(value)}"
                if output.weight:
                    weight, loss = number(output.weight), number(output.weight * value)
                    text += f" (* {weight} = {loss} loss)"
                self.write(text, place)
                count += 1


def number(value: float) -> str:
    """Return a number as C++ writes it to a stream: six digits, no zeros behind."""
    return f"{float(value):g}"


class LoggedTraining(NamedTuple):
    """The numbers in a log, each with its iteration.

    Attributes:
        loss: The displayed, averaged losses.
        learning_rate: The rates.
        train: Outputs of the training net, by name.
        tests: Outputs of the test nets, by Caffe's number of the net and by name.
    """

    loss: dict[int, float]
    learning_rate: dict[int, float]
    train: dict[str, dict[int, float]]
    tests: dict[tuple[int, str], dict[int, float]]


_NUMBER = r"([-+.\w]+)"
_LOSS = re.compile(rf"Iteration (\d+).*, loss = {_NUMBER}")
_RATE = re.compile(rf"Iteration (\d+), lr = {_NUMBER}")
_TESTING = re.compile(r"Iteration (\d+), Testing net \(#(\d+)\)")
_OUTPUT = re.compile(rf"(Train|Test) net output #\d+: (\S+) = {_NUMBER}")


def read_log(path: str | os.PathLike) -> LoggedTraining:
    """Return the numbers of a log of Caffe's, or of `SolverLog`.

    Where a training was resumed and iterations occur twice, the later count. Of an
    output with several values the last counts.

    Args:
        path: The log.

    Raises:
        OSError: If the file cannot be opened.

    Example:
        >>> with open("train.log", "w") as file:
        ...     _ = file.write('''solver.cpp:330] Iteration 500, Testing net (#0)
        ...         solver.cpp:397] Test net output #0: accuracy = 0.98
        ...         solver.cpp:218] Iteration 500 (9 iter/s), loss = 0.125
        ...         sgd_solver.cpp:105] Iteration 500, lr = 0.01''')
        >>> log = kcz.training.read_log("train.log")
        >>> log.loss, log.learning_rate, log.tests
        ({500: 0.125}, {500: 0.01}, {(0, 'accuracy'): {500: 0.98}})
    """
    found = LoggedTraining({}, {}, {}, {})
    iteration = net = 0
    check_file(path, "a log of Caffe's")
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := _LOSS.search(line):
                iteration = int(match[1])
                found.loss[iteration] = _float(match[2])
            elif match := _RATE.search(line):
                found.learning_rate[int(match[1])] = _float(match[2])
            elif match := _TESTING.search(line):
                iteration, net = int(match[1]), int(match[2])
            elif match := _OUTPUT.search(line):
                kind, name, value = match.groups()
                in_test = kind == "Test"
                place = found.tests if in_test else found.train
                key = (net, name) if in_test else name
                place.setdefault(key, {})[iteration] = _float(value)
    return found


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
