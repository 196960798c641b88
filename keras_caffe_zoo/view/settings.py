"""The few settings of a layer that tell most, in a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras_caffe_zoo.caffe import CaffeFormatError, Layer

_MOST = 4  # parts of a line
_CHARACTERS = 40  # of a part
_SILENT = {"engine", "bias_term", "axis", "shape", "num_axes", "use_global_stats"}
_SILENT |= {"eps", "moving_average_fraction"}
_USUAL = {"stride 1", "pad 0", "group 1", "dilation 1"}  # as if it were not there
# How people write what Caffe's nets have most often; the rest is `name value`.
_SHORT = {
    "num_output": "{}",
    "pool": "{}",
    "operation": "{}",
    "group": "group {}",
    "dropout_ratio": "{}",
    "local_size": "size {}",
    "negative_slope": "slope {}",
    "global_pooling": "whole map",
}
_PAIRS = {
    "kernel": ("kernel_size", "kernel_h", "kernel_w"),
    "stride": ("stride", "stride_h", "stride_w"),
    "pad": ("pad", "pad_h", "pad_w"),
    "dilation": ("dilation", "", ""),
}


def short_settings(layer: Layer) -> str:
    """Return what a layer's own message tells, `96 · 11×11 · stride 4`.

    Messages inside it, such as fillers, are left out, and all after the fourth.
    """
    try:
        message = layer.param
    except (AttributeError, CaffeFormatError):
        return ""  # nothing is declared, or not as it stands there
    fields = {field.name: (field, value) for field, value in message.ListFields()}
    parts = []
    for name in ("num_output", "pool", "operation"):
        if name in fields:
            parts.append(_said(name, *fields.pop(name)))
    for what, names in _PAIRS.items():
        sizes = [(x, _values(*fields.pop(x))) for x in names if x in fields]
        if sizes:
            parts.append(_window(what, dict(sizes), names))
    parts += [_said(name, *found) for name, found in fields.items()]
    parts = [part[:_CHARACTERS] for part in parts if part and part not in _USUAL]
    return " · ".join(parts[:_MOST])


def _window(what: str, sizes: dict[str, list[str]], names) -> str:
    both, high, wide = (sizes.get(name, []) for name in names)
    numbers = both or [(high or ["0"])[0], (wide or ["0"])[0]]
    if what != "kernel":
        return f"{what} {'×'.join(dict.fromkeys(numbers))}"
    return "×".join(numbers * (3 - len(numbers)) if len(numbers) < 3 else numbers)


def _said(name: str, field, value) -> str:
    if field.message_type is not None or name in _SILENT:
        return ""
    values = _values(field, value)
    if values == ["false"]:
        return ""
    text = ", ".join(values[:_MOST]) + ("…" if len(values) > _MOST else "")
    if name in _SHORT:
        return _SHORT[name].format(text)
    words = name.replace("_", " ")
    return words if values == ["true"] else f"{words} {text}"


def _values(field, value: Any) -> list[str]:
    """Return a field's values as people write them, no more than are shown."""
    many = not isinstance(value, str | bytes | bool | int | float)
    found: Iterable = value[: _MOST + 1] if many else [value]
    return [_text(field, x) for x in found]


def _text(field, value: Any) -> str:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
