"""Caffe's file formats, read and written without Caffe and without Keras."""

from . import schema
from .errors import CaffeFormatError, UnknownField
from .net import INPUT, Layer, Net
from .params import Declaration, Param, declare, declared
from .reader import (
    parse_prototxt,
    read_caffemodel,
    read_mean,
    read_net,
    read_prototxt,
    read_solver,
    read_test_settings,
)
from .skeleton import MAX_UNKNOWN
from .solverstate import SolverState, read_solverstate
from .upgrade import DATA, IMAGE_DATA, TRANSFORM, WINDOW_DATA
from .writer import write_caffemodel, write_mean, write_prototxt, write_solverstate

__all__ = [
    "DATA",
    "IMAGE_DATA",
    "INPUT",
    "MAX_UNKNOWN",
    "TRANSFORM",
    "WINDOW_DATA",
    "CaffeFormatError",
    "Declaration",
    "Layer",
    "Net",
    "Param",
    "SolverState",
    "UnknownField",
    "declare",
    "declared",
    "parse_prototxt",
    "read_caffemodel",
    "read_mean",
    "read_net",
    "read_prototxt",
    "read_solver",
    "read_solverstate",
    "read_test_settings",
    "schema",
    "write_caffemodel",
    "write_mean",
    "write_prototxt",
    "write_solverstate",
]


def __dir__() -> list[str]:
    return __all__
