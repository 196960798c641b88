"""A solver's state (`.solverstate`): what it needs to go on beside the parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from keras_caffe_zoo.files import open_file

from . import hdf5, schema
from .blobs import blob_shape
from .decoding import binary_values, decode, in_file
from .errors import CaffeFormatError
from .skeleton import Skeleton
from .sniff import PathLike, sniff
from .wire import Source

_ITER = b"\x08"  # how every binary state begins; a caffemodel never does


@dataclass
class SolverState:
    """What a `.solverstate` holds.

    Attributes:
        iteration: Iterations done.
        learned_net: The caffemodel with the parameters, as the file that wrote it was
            told: a path on another machine, perhaps.
        current_step: How many steps of a `multistep` policy are done.
        history: What the solver keeps of its updates, float32 in Caffe's layout: one
            array for each parameter that the net's layers own, in their order; of Adam
            first the means of the gradients, then those of their squares; of AdaDelta
            first those of the gradients' squares, then those of the updates'.

    Example:
        >>> momentum = [np.zeros((8, 3, 5, 5)), np.zeros(8)]  # of a weight and a bias
        >>> state = kcz.SolverState(1000, "net_iter_1000.caffemodel", 2, momentum)
        >>> state.iteration, len(state.history)
        (1000, 2)
    """

    iteration: int
    learned_net: str = ""
    current_step: int = 0
    history: list[np.ndarray] = field(default_factory=list, repr=False)

    def __str__(self):
        model = f" with the caffemodel {self.learned_net!r}" if self.learned_net else ""
        return f"a solver's state (.solverstate) of iteration {self.iteration}{model}"


def read_solverstate(path: PathLike) -> SolverState:
    """Read a `.solverstate`, binary or HDF5, told apart by content.

    Args:
        path: The file.

    Raises:
        CaffeFormatError: If it is none, or damaged.
        OSError: If it cannot be opened, such as FileNotFoundError.

    Example:
        >>> momentum = [np.array([0.5, 2.0])]
        >>> state = kcz.SolverState(7, "net_iter_7.caffemodel", 0, momentum)
        >>> kcz.write_solverstate("net_iter_7.solverstate", state)
        >>> again = kcz.read_solverstate("net_iter_7.solverstate")
        >>> again.iteration, again.learned_net, again.history[0].tolist()
        (7, 'net_iter_7.caffemodel', [0.5, 2.0])
    """
    with open_file(path, "a solverstate", buffering=0) as file:
        source = Source(file, str(path))
        if hdf5.is_hdf5(source):
            return SolverState(*hdf5.read_state(source.name))
        if sniff(source, "a solverstate"):
            raise CaffeFormatError(
                "Expected a solverstate; received: text", source=source.name
            )
        if source.read(0, 1) != _ITER:
            raise CaffeFormatError(
                "Expected a solverstate, which begins with its iteration; received: "
                "another binary file. If it is a caffemodel, pass it as weights",
                source=source.name,
            )
        return _read_binary(source)


def refuse_state(source: Source) -> None:
    """Raise CaffeFormatError if a file where parameters are expected is a state.

    Args:
        source: The file, binary or HDF5.
    """
    state = _state_of(source)
    if state is not None:
        raise CaffeFormatError(
            f"Expected parameters; received: {state}. Pass that caffemodel as weights, "
            "or, to go on with the training, this file as from_solver(…, snapshot=…)",
            source=source.name,
        )


def _state_of(source: Source) -> SolverState | None:
    """Return the state, without its history, that a file is; `None` if it is none."""
    if hdf5.is_hdf5(source):
        if hdf5.kind_of(source.name) != "solverstate":
            return None
        return SolverState(*hdf5.read_state(source.name, history=False))
    if not source.size or source.read(0, 1) != _ITER:
        return None
    try:  # a mean image may begin like that, too
        _, message = _message(source)
    except CaffeFormatError:
        return None
    if not message.learned_net and not message.history:
        return None
    return SolverState(message.iter, message.learned_net, message.current_step)


def _message(source: Source):
    skeleton = Skeleton(source, "SolverState")
    return skeleton, decode(schema.SolverState, skeleton, source)


def _read_binary(source: Source) -> SolverState:
    skeleton, message = _message(source)
    if message.iter < 0:
        raise CaffeFormatError(
            f"Expected iterations of at least 0; received: {message.iter}",
            source=source.name,
        )
    history = [
        in_file(source.name, _blob, blob, source, skeleton.payloads)
        for blob in message.history
    ]
    return SolverState(message.iter, message.learned_net, message.current_step, history)


def _blob(blob, source: Source, payloads) -> np.ndarray:
    values = binary_values(blob, source, payloads[int(blob.double_diff[0])])
    return values.reshape(blob_shape(blob))
