"""Caffe's file formats, read and written without Caffe and without Keras."""

from . import schema
from .errors import CaffeFormatError
from .net import Layer, Net
from .reader import (
    parse_prototxt,
    read_caffemodel,
    read_mean,
    read_net,
    read_prototxt,
    read_solver,
)
from .writer import write_caffemodel, write_mean, write_prototxt

__all__ = [
    "CaffeFormatError",
    "Layer",
    "Net",
    "parse_prototxt",
    "read_caffemodel",
    "read_mean",
    "read_net",
    "read_prototxt",
    "read_solver",
    "schema",
    "write_caffemodel",
    "write_mean",
    "write_prototxt",
]
