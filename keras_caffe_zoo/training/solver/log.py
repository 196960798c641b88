"""Caffe's log: the lines that its solver prints, for the scripts that read them."""

import os
import threading
from datetime import datetime
from typing import TextIO

import numpy as np

from keras_caffe_zoo.training.solver.loop import Display, Events, Output, Test


class CaffeLog(Events):
    """Writes what Caffe's solver logs of a training, line for line.

    Scripts that read Caffe's logs, such as its own `parse_log.py`, read these. Losses
    are those of each batch, averaged over a solver's `average_loss` iterations; rates,
    `Train net output` and `Test net output` stand where Caffe writes them, and outputs
    in Caffe's order, that of their names. Of the training net the losses are written;
    its other outputs are not.

    With a solver's `debug_info`, each iteration that is displayed has the mean absolute
    values of all blobs (`[Forward]`), and of all parameters and their updates
    (`[Update]`). Caffe's `[Backward]` lines are not written: Keras keeps no gradients of
    blobs.

    Args:
        stream: An open text file, such as `sys.stderr`.
        name: The net's name.
        policy: The solver's `lr_policy`.
        plain: Leave out what stands before each line: the date, the time, the thread
            and the place in Caffe's code.
    """

    def __init__(
        self, stream: TextIO, name: str = "", policy: str = "", plain: bool = False
    ):
        super().__init__()
        self.stream, self.name, self.policy = stream, name, policy
        self.plain = plain

    def write(self, text: str, place: str = "solver.cpp:0") -> None:
        """Write a line.

        Args:
            text: What it says.
            place: Where Caffe's code would be, such as `"solver.cpp:218"`.
        """
        if not self.plain:
            now = f"{datetime.now():%m%d %H:%M:%S.%f}"
            thread = threading.get_native_id()
            text = f"I{now} {thread:5} {place}] {text}"
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
        self.write(f"    {line}", "net.cpp:0")

    def on_test_begin(self, iteration: int, number: int, name: str) -> None:
        """Write which net is tested."""
        text = f"Iteration {iteration}, Testing net (#{number})"
        self.write(text, "solver.cpp:330")

    def on_test(self, test: Test) -> None:
        """Write a test's outputs."""
        self._write_outputs("Test", test.outputs, "solver.cpp:397")

    def on_snapshot(self, path: str | os.PathLike) -> None:
        """Write which file holds a snapshot."""
        kind = "HDF5" if os.fspath(path).endswith(".h5") else "binary proto"
        what = "Snapshotting solver state to" if "solverstate" in os.fspath(path) else (
            "Snapshotting to"
        )
        self.write(f"{what} {kind} file {os.fspath(path)}", "solver.cpp:447")

    def on_solved(self, iteration: int, stopped: bool) -> None:
        """Write that the training is over."""
        text = "Optimization stopped early." if stopped else "Optimization Done."
        self.write(text, "solver.cpp:295" if stopped else "solver.cpp:315")

    def _write_outputs(self, net: str, outputs: tuple[Output, ...], place: str) -> None:
        count = 0
        for output in outputs:
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
