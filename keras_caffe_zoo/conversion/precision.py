"""A model that computes in less than float32, where that does no harm."""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from pathlib import Path

from keras_caffe_zoo.conversion.rebuilding import rebuilt, remembering, same
from keras_caffe_zoo.conversion.steps import readers
from keras_caffe_zoo.conversion.walk import Call, calls
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.registry import is_input, rule_for

POLICIES = ("float32", "mixed_bfloat16")

_CPU_INFO = Path("/proc/cpuinfo")
_FLAGS = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16", "svebf16"}


def check_dtype(dtype: str | None) -> None:
    """Refuse a precision that nets were not tested in; warn of one that is slow here.

    Args:
        dtype: The name of a dtype policy of Keras; `None` for Keras' own setting.

    Raises:
        ValueError: If it is none of those that are taken.
    """
    if dtype is not None and dtype not in POLICIES:
        listed = ", ".join(map(repr, POLICIES))
        raise ValueError(f"Expected dtype: one of {listed}; received: dtype={dtype!r}")
    if dtype == "mixed_bfloat16" and not (_has_accelerator() or has_bfloat16()):
        warnings.warn(
            "This processor has no instructions for bfloat16: a model of "
            "dtype='mixed_bfloat16' is right here, but slower than in float32. Leave "
            "dtype out.",
            stacklevel=3,
        )


def in_precision(model: keras.Model, dtype: str | None) -> keras.Model:
    """Return a model whose layers compute in a precision, where that does no harm.

    Weights stay float32, and outputs are. Convolutions and inner products take the
    lower precision, and what reads them keeps it if its rule says so; all others are
    float32.

    Args:
        model: A functional model.
        dtype: As for `check_dtype`, which was asked.

    Returns:
        A model with weights of its own; the same one if `dtype` is `None`, or if all of
        it computes in float32 and is to.
    """
    if dtype is None or (dtype == "float32" and _is_float32(model)):
        return model
    reduced = _reduced_layers(model) if dtype != "float32" else set()

    def make(layer):
        if isinstance(layer, keras.Model) or not isinstance(layer, keras.Layer):
            return same(layer)
        return same(layer, dtype=dtype if id(layer) in reduced else "float32")

    known = [getattr(model, name, {}) for name in ("caffe_blobs", "shared_params")]
    folded = getattr(model, "folded", {})
    return remembering(rebuilt(model, make), model, *known, folded)


def without_bfloat16(model: keras.Model) -> keras.Model:
    """Return a model in float32, for files whose engines choose their precision."""
    low = any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    return in_precision(model, "float32") if low else model


def _is_float32(model: keras.Model) -> bool:
    policies = {x.dtype_policy.name for x in model.layers if not is_input(x)}
    return policies == {"float32"}


def _reduced_layers(model: keras.Model) -> set[int]:
    """Return the ids of the layers that compute in less than float32."""
    found = list(calls(model))
    times, reading = Counter(id(call.layer) for call in found), readers(found)
    ends, low, layers = {id(y) for y in model.outputs}, set(), set()

    def is_needed_whole(call: Call) -> bool:
        """Tell whether outputs of the model, or operations, are made of a call's."""
        return any(
            id(y) in ends
            or any(not isinstance(x.layer, keras.Layer) for x in reading.get(id(y), ()))
            for y in call.outputs
        )

    whole = {id(call.layer) for call in found if is_needed_whole(call)}
    for call in found:
        if is_input(call.layer) or id(call.layer) in whole:
            continue
        if _may_be_low(call, low, times[id(call.layer)]):
            layers.add(id(call.layer))
            low.update(id(y) for y in call.outputs)
    return layers


def _may_be_low(call: Call, low: set[int], times: int) -> bool:
    """Tell whether a call may compute in the lower precision, if it must not be whole.

    Args:
        call: The call.
        low: The tensors before it that are of lower precision.
        times: How often its layer is called.
    """
    rule = rule_for(call.layer)
    precision, traits = rule.precision_of(call.layer), rule.traits
    if _ends_in_softmax(call.layer):
        return False
    read = call.inputs[: traits.reads]
    kept = precision == "kept" and times == 1 and bool(read)
    return precision == "reduced" or (kept and all(id(x) in low for x in read))


def _ends_in_softmax(layer) -> bool:
    return getattr(layer, "activation", None) is keras.activations.softmax


@functools.cache
def has_bfloat16() -> bool:
    """Tell whether the processor computes in bfloat16; `True` where nothing tells."""
    try:
        text = _CPU_INFO.read_text("utf-8", errors="replace")
    except OSError:  # no Linux
        return True
    words = (line.split() for line in text.splitlines())
    flags = [w for w in words if w and w[0].lower() in ("flags", "features")]
    return not flags or bool(_FLAGS & set(flags[0]))


def _has_accelerator() -> bool:
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import torch

    return torch.cuda.is_available()
