"""Caffe's layer names as Keras layer names, and back: the one mapping.

Keras, and TensorFlow's graphs beneath it, allow letters, digits, `_.-`, and `>` before
a letter, digit or dot. Caffe allows anything, and GoogLeNet and SqueezeNet use `/`. So
`/` becomes `>`, and any other character that would be refused becomes its code point
between `_x` and `_`: `inception_3a/1x1` is `inception_3a>1x1`, `a b` is `a_x20_b`. A
name that starts with neither a letter nor a digit gets a dot before it.
"""

import re

CONV_SUFFIX = "-conv"

_ESCAPED = re.compile(r"_x([0-9a-f]+)_")
_REFUSED = re.compile(
    r"[^A-Za-z0-9_.\-/]"
    r"|/(?![A-Za-z0-9.])"
    r"|_(?=x[0-9a-f]+[^A-Za-z0-9.\-])"  # would read as the start of an escape
)


def keras_name(caffe_name: str) -> str:
    """Return the Keras name of a Caffe layer or blob."""
    name = _REFUSED.sub(lambda m: f"_x{ord(m[0]):x}_", caffe_name)
    if not name[:1].isalnum():
        name = "." + name
    return name.replace("/", ">")


def caffe_name(keras_name: str) -> str:
    """Return the Caffe name behind a Keras name made by `keras_name`."""
    name = keras_name.removeprefix(".").replace(">", "/")
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), name)


def conv_name(name: str) -> str:
    """Return the name of a dense layer's convolutional twin: `fc6-conv`."""
    return name + CONV_SUFFIX


def twin_name(name: str) -> str:
    """Return `fc6` for `fc6-conv`, and `fc6-conv` for `fc6`."""
    return (
        name.removesuffix(CONV_SUFFIX)
        if name.endswith(CONV_SUFFIX)
        else conv_name(name)
    )
