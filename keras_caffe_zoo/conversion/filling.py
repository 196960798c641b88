"""A prototxt's fillers: how a net starts that is built without weights."""

from __future__ import annotations

import numpy as np

from keras_caffe_zoo.conversion.params import fitted
from keras_caffe_zoo.lazy import initializers, keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.registry import codec_of

_DIAGONAL = "diagonal"


def fill(nodes, seed: int | None = None) -> None:
    """Fill parameters as the prototxt says.

    A parameter without a filler keeps what its Keras layer started it with. For
    biases, PReLU, Scale, Bias, BatchNorm and Parameter that is Caffe's own default;
    weights are random, where Caffe would make them 0 and learn nothing. A parameter
    that layers share is filled by the first of them. Layers that took theirs from a
    caffemodel keep them.

    Args:
        nodes: The nodes of all layers with parameters, and the Keras layers.
        seed: Makes the random numbers the same each time; without it they follow
            `keras.utils.set_random_seed`.

    Raises:
        CaffeFormatError: If a filler is of an unknown type, or its numbers or the
            parameter's shape do not suit it. Names the layer and the field.
    """
    seeds = keras.random.SeedGenerator(seed)
    done = {name for node, _ in nodes if node.blobs for name in _shared_names(node)}
    done.discard("")
    for node, layer in nodes:
        if node.blobs:
            continue
        blobs, names = [None] * len(node.shapes), _shared_names(node)
        fields = node.rule.filler_fields(node) if node.rule else ()
        for i, field in enumerate(fields):
            if names[i] not in done and node.param.HasField(field):
                blobs[i] = _filled(node, i, field, seeds)
        _assign(layer, node.shapes, blobs)
        done |= set(names) - {""}


def is_told(node) -> bool:
    """Tell whether the prototxt has the values themselves of a layer's parameters.

    FlowNet2 has the sizes of its images in a filler that no caffemodel could know.
    """
    if node.blobs or node.rule is None:
        return False
    fillers = [
        getattr(node.param, name).type
        for name in node.rule.filler_fields(node)
        if node.param.HasField(name)
    ]
    return _DIAGONAL in fillers


def _shared_names(node) -> list[str]:
    """Return the name of each of a layer's parameters; empty if it has none."""
    names = [spec.name for spec in node.layer.message.param][: len(node.shapes)]
    return names + [""] * (len(node.shapes) - len(names))


def _filled(node, index: int, field: str, seeds) -> np.ndarray:
    """Return a parameter in Caffe's layout, filled."""
    try:
        initializer = _initializer(getattr(node.param, field), seeds)
        return node.rule.fill(node, index, initializer)
    except ValueError as error:
        problem = str(error).removesuffix(".")
        raise node.error(problem, f"{node.rule.param.name}.{field}") from error


def _assign(layer: keras.Layer, shapes, blobs) -> None:
    """Assign the parameters that are filled; the others are `None`."""
    if all(blob is None for blob in blobs):
        return
    whole = [
        np.zeros(shape, "float32") if blob is None else blob
        for shape, blob in zip(shapes, blobs, strict=True)
    ]
    arrays = fitted(layer, codec_of(layer).decode(layer, whole), shapes)
    for variable, array, blob in zip(layer.weights, arrays, blobs, strict=True):
        if blob is not None:
            variable.assign(array)


def _initializer(filler, seeds) -> keras.initializers.Initializer:
    norm = initializers.VARIANCE_NORMS[filler.variance_norm]
    makers = {
        "constant": lambda: keras.initializers.Constant(filler.value),
        "uniform": lambda: _uniform(filler.min, filler.max, seeds),
        "gaussian": lambda: initializers.Gaussian(
            filler.mean, filler.std, filler.sparse, seeds
        ),
        "positive_unitball": lambda: initializers.PositiveUnitball(seeds),
        "xavier": lambda: initializers.Xavier(norm, seeds),
        "msra": lambda: initializers.MSRA(norm, seeds),
        "bilinear": initializers.Bilinear,
        _DIAGONAL: lambda: initializers.Diagonal(filler.diag_val),
    }
    if filler.type not in makers:
        raise ValueError(
            f"There is no filler of the type {filler.type!r}. "
            f"{there_are(sorted(makers), filler.type)}"
        )
    if filler.sparse != -1 and filler.type != "gaussian":
        raise ValueError(f"Expected sparse of gaussian only; received: {filler.type}")
    return makers[filler.type]()


def _uniform(low: float, high: float, seeds):
    if not low <= high:
        raise ValueError(f"Expected min of at most max; received: {low} and {high}")
    return keras.initializers.RandomUniform(low, high, seeds)
