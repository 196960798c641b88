"""From a prototxt and a caffemodel to a Keras model."""

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import keras

from keras_caffe_zoo.caffe import CaffeFormatError, Net, read_net, read_prototxt
from keras_caffe_zoo.convert.builder import Builder
from keras_caffe_zoo.convert.fillers import fill
from keras_caffe_zoo.convert.graph import HANDLERS, NeedsBatch
from keras_caffe_zoo.convert.loading import blobs_by_position, load
from keras_caffe_zoo.convert.prediction import Prediction, predicting
from keras_caffe_zoo.convert.unknown import check_unknown_fields

PathLike = str | os.PathLike

_WHY_NOT = {
    "Filter": "the size of its tops depends on the data",
    "Python": "its code is not in the file",
}


def from_caffe(
    prototxt: PathLike,
    caffemodel: PathLike | None = None,
    *,
    phase: str = "TEST",
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
    custom_layers: Mapping[str, Callable] | None = None,
) -> keras.Model:
    """Build a Keras model that computes what a Caffe net computes.

    Data layers of a training net become inputs, a `SoftmaxWithLoss` its `Softmax`, a
    `SigmoidCrossEntropyLoss` its `Sigmoid`; other losses, `Accuracy` and what only
    makes labels are left out.

    Args:
        prototxt: The net's definition, of any version.
        caffemodel: Its weights; without them they are what the prototxt's fillers say
            (random, with the seed of `keras.utils.set_random_seed`). Weights without a
            filler start as Keras' own: Caffe would make them 0.
        phase: `"TEST"` or `"TRAIN"`: which of the layers with include and exclude
            rules are built. A TRAIN net's BatchNorm takes the batch's statistics.
        input_shape: Shape of one item of the data blob in Keras layout, `(H, W, C)`
            for images; H and W may be None. A mapping by blob name where there are
            several. The prototxt's own if not given.
        fully_convolutional: Turn inner products on images into convolutions with the
            window that they have at the prototxt's own size.
        custom_layers: Handlers for layer types, also for such as the net would have
            anyway: a function of a `Node` and one Keras tensor for each bottom, which
            returns one for each top. 4-D blobs are channels last.

    Returns:
        A `keras.Model` whose inputs are the data blobs and whose outputs are the
        blobs that no layer reads: one tensor, or a dict by name of several. 4-D blobs
        are channels last, others as in Caffe. The number of items is free, unless a
        layer mixes them: then it is the prototxt's.

    Raises:
        CaffeFormatError: If a file is damaged; if a layer is of an unknown type, is
            malformed or does not fit its bottoms; if the file has fields of a fork of
            Caffe that may change what is computed; or if the weights do not fit or
            are not all there, or a filler is none of Caffe's. Names the layer.
        ValueError: If `phase`, `input_shape` or `custom_layers` is not as above.
        OSError: If a file cannot be read.
    """
    custom = dict(custom_layers or {})
    net = read_prototxt(prototxt).fold_splits().filter(phase)
    trained = None if caffemodel is None else read_net(caffemodel)
    part = predicting(net, trained, custom)
    check_unknown_fields(net, part.changed, custom)
    blobs = None if trained is None else blobs_by_position(part.net, trained)
    builder, model = build_net(
        part,
        input_shape,
        fully_convolutional=fully_convolutional,
        custom=custom,
        blobs=blobs,
        phase=phase,
    )
    if trained is None:
        fill(builder.nodes)
    else:
        load(builder.nodes, trained.source)
    return model


def build_net(
    part: Prediction,
    input_shape=None,
    *,
    fully_convolutional=False,
    custom: Mapping[str, Callable] = MappingProxyType({}),
    blobs: Mapping[int, list] | None = None,
    phase: str = "TEST",
    outputs: Sequence[str] | None = None,
) -> tuple[Builder, keras.Model]:
    """Build a Keras model of a net that predicts.

    Args:
        part: The net.
        input_shape: As in `from_caffe`.
        fully_convolutional: As in `from_caffe`.
        custom: The caller's own handlers by type.
        blobs: Parameters of each layer by its position, for their shapes.
        phase: `"TEST"` or `"TRAIN"`.
        outputs: The blobs that the model ends with; those that no layer reads if not
            given.

    Returns:
        What built the model, and the model. No parameters are loaded.

    Raises:
        CaffeFormatError: As `from_caffe`.
        ValueError: If `input_shape` is none.
    """
    _check_types(part.net, custom)
    _check_inputs(part, part.net.source)
    shapes = _with_given(part, input_shape)
    options = (fully_convolutional, custom, blobs, phase, outputs)
    return _build(part, shapes, *options)


def _build(part, shapes, fully_convolutional, custom, blobs, phase, outputs):
    """Build with any number of items, or with the prototxt's if that is needed."""
    for fixed in (False, True):
        try:
            windows = None
            if fully_convolutional:
                options = {"fixed": fixed, "phase": phase}
                windows = Builder(part.net, part.inputs, custom, **options).windows()
            builder = Builder(part.net, shapes, custom, windows, blobs, fixed, phase)
            return builder, builder.model(outputs)
        except NeedsBatch:
            if fixed:
                raise CaffeFormatError(
                    "Expected a net whose layers do not mix its items, or mix a known "
                    "number of them; received a layer that mixes an unknown number",
                    source=part.net.source,
                ) from None
    raise AssertionError("unreachable")


def _check_types(net: Net, custom: Mapping) -> None:
    known = {*HANDLERS, *custom}
    unknown = [
        f"'{layer.name}' ({layer.type}"
        + (f": {_WHY_NOT[layer.type]})" if layer.type in _WHY_NOT else ")")
        for layer in net.layers
        if layer.type not in known
    ]
    if unknown:
        raise CaffeFormatError(
            f"Expected layers of the types {sorted(HANDLERS)}; received also: "
            f"{', '.join(unknown)}. Import them with from_caffe(…, custom_layers="
            "{type: function})",
            source=net.source,
        )


def _check_inputs(part: Prediction, source: str) -> None:
    for blob, shape in part.inputs.items():
        if any(size is not None and not 0 < size < 2**31 for size in shape or ()):
            raise CaffeFormatError(
                f"Expected positive sizes of the data blob {blob!r}; received: {shape}",
                source=source,
            )


def _with_given(part: Prediction, given) -> dict[str, tuple | None]:
    """Return the shapes of the data blobs, those that were given in their place."""
    shapes = dict(part.inputs)
    if given is not None and not isinstance(given, Mapping):
        given = {next(iter(shapes), "data"): given}
    for blob, shape in (given or {}).items():
        if blob not in shapes:
            raise ValueError(
                f"Expected `input_shape` of the data blobs {list(shapes)}; received: "
                f"{blob!r}."
            )
        shapes[blob] = _caffe_shape(blob, shape, shapes[blob])
    unknown = [blob for blob, shape in shapes.items() if not shape]
    if unknown:
        raise CaffeFormatError(
            f"Expected shapes of all data blobs; received none for {unknown}. Give "
            "input_shape={blob: shape of one item}",
            source=part.net.source,
        )
    return shapes


def _caffe_shape(blob: str, shape, declared) -> tuple:
    shape = tuple(shape)
    if not all(size is None or (isinstance(size, int) and size > 0) for size in shape):
        raise ValueError(
            "Expected `input_shape` of positive integers or None; received: "
            f"{blob!r}: {shape}."
        )
    items = declared[0] if declared else None
    if len(shape) == 3:
        return (items, shape[2], *shape[:2])
    return (items, *shape)
