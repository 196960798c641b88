"""From a prototxt and a caffemodel to a Keras model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from keras_caffe_zoo.conversion.deploy import DeployNet
from keras_caffe_zoo.conversion.filling import fill, is_told
from keras_caffe_zoo.conversion.graph import GraphBuilder
from keras_caffe_zoo.conversion.loading import load
from keras_caffe_zoo.conversion.net_builder import Custom, with_items
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.conversion.precision import check_dtype, in_precision
from keras_caffe_zoo.conversion.preparing import (
    check_inputs,
    given_shapes,
    prepared_net,
)
from keras_caffe_zoo.conversion.unknown_types import check_types
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.rule import Rule

PathLike = str | os.PathLike


def from_caffe(
    prototxt: PathLike,
    caffemodel: PathLike | None = None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Collection[str] = (),
    input_shape: tuple | Mapping[str, tuple] | None = None,
    fully_convolutional: bool = False,
    custom_layers: Mapping[str, Rule | type[Rule] | Callable] | None = None,
    python_config: Mapping[str, Any] | None = None,
    max_detections: int | None = None,
    ignore_fields: Collection[str] = (),
    dtype: str | None = None,
) -> keras.Model:
    """Build a Keras model that computes what a Caffe net computes.

    Data layers of a training net become inputs, a `SoftmaxWithLoss` its `Softmax`, a
    `SigmoidCrossEntropyLoss` its `Sigmoid`; other losses, `Accuracy` and what only
    makes labels are left out. A net without data in its phase takes those of the
    other. Layers of types without a rule are left out, with a warning, if no layer
    reads them and a name, a loss_weight or labels say that they are losses or measures.

    Args:
        prototxt: The net's definition, of any version; or a solver that has it inside.
        caffemodel: Its weights, a `.caffemodel` or `.caffemodel.h5`; without them they
            are what the prototxt's fillers say (random, with the seed of
            `keras.utils.set_random_seed`). Weights without a filler start as Keras'
            own: Caffe would make them 0.
        phase: `"TEST"` or `"TRAIN"`: which of the layers with include and exclude
            rules are built. A TRAIN net's BatchNorm takes the batch's statistics.
        level: What `min_level` and `max_level` of such rules are compared with.
        stages: What their `stage` and `not_stage` are looked for in.
        input_shape: Shape of one item of the data blob in Keras layout, `(H, W, C)`
            for images; H and W may be None. A mapping by blob name where there are
            several. The prototxt's own if not given. Needed where no file tells it,
            as of a Python layer that reads the data.
        fully_convolutional: Turn inner products on images into convolutions with the
            window that they have at the prototxt's own size.
        custom_layers: For layer types of your own, also for such as the net would have
            anyway, a `Rule`, or a function of a `Node` and one Keras tensor for each
            bottom, which returns one for each top. 4-D blobs are channels last. The
            type of a Python layer is its `"module.Class"`.
        python_config: What the code of Python layers takes from elsewhere than the
            net, such as py-faster-rcnn's `{"RPN_PRE_NMS_TOP_N": 6000,
            "RPN_POST_NMS_TOP_N": 300, "RPN_NMS_THRESH": 0.7, "RPN_MIN_SIZE": 16}`,
            which are the defaults.
        max_detections: Most detections of one image, where the net has no bound such
            as `keep_top_k`; then it is as many as the net can make.
        ignore_fields: Fields of the layers, or of the net, to pass over that the rules
            do not know and would refuse, by their whole paths: `("pooling_param.x",)`.
        dtype: `"mixed_bfloat16"` to compute convolutions and inner products in
            bfloat16, and in float32 what needs that; `"float32"`. Keras' own setting
            if not given.

    Returns:
        A `keras.Model` whose inputs are the data blobs and whose outputs are the
        blobs that no layer reads: one tensor, or a dict by name of several. 4-D blobs
        are channels last, others as in Caffe. So a classifier that ends with a pooled
        map, as SqueezeNet and NiN, gives `(N, 1, 1, 1000)`, where the zoo's builder
        flattens that to `(N, 1000)`. The number of items is free, unless a layer mixes
        them: then it is the prototxt's. `get_layer` takes Caffe's names of layers.

    Raises:
        CaffeFormatError: If a file is damaged; if a layer is of an unknown type, is
            malformed or does not fit its bottoms; if the file has fields of a fork of
            Caffe that may change what is computed; or if the weights do not fit or
            are not all there, or a filler is none of Caffe's. Names the layer.
        ValueError: If an argument is not as above; if `ignore_fields` names what is no
            unknown field of the net, or `python_config` what no layer takes.
        OSError: If a file cannot be read.

    Example:
        >>> from importlib.resources import files
        >>> demo = files("keras_caffe_zoo") / "data" / "demo"
        >>> paths = demo / "digits.prototxt", demo / "digits.caffemodel"
        >>> model = kcz.from_caffe(*paths)  # of 32 x 32 pixels
        >>> tuple(model(np.zeros((1, 32, 32, 1))).shape)
        (1, 11)
        >>> dense = kcz.from_caffe(
        ...     *paths, input_shape=(None, None, 1), fully_convolutional=True
        ... )
        >>> tuple(dense(np.zeros((1, 48, 64, 1))).shape)  # one answer every 8 pixels
        (1, 3, 5, 11)
    """
    check_dtype(dtype)
    found = prepared_net(
        prototxt,
        caffemodel,
        phase=phase,
        level=level,
        stages=stages,
        custom_layers=custom_layers,
        python_config=python_config,
        max_detections=max_detections,
        ignore_fields=ignore_fields,
    )
    trained = found.trained
    builder, model = build_net(
        found.part,
        input_shape,
        fully_convolutional=fully_convolutional,
        custom=found.custom,
        blobs=found.blobs,
        phase=phase,
        settings=found.settings,
    )
    if trained is None:
        fill(builder.nodes)
    else:
        fill([pair for pair in builder.nodes if is_told(pair[0])])
        stored = [pair for pair in builder.nodes if not is_told(pair[0])]
        load(stored, trained.source)
        _warn_of_others(model, builder.nodes, trained.source)
    return in_precision(model, dtype)


def _warn_of_others(model: keras.Model, nodes, source: str) -> None:
    """Warn of weights that a custom layer made without saying what they learn."""
    loaded = {id(layer) for _, layer in nodes}
    kept = [x for x in layers_with_weights(model) if id(x) not in loaded]
    others = [caffe_name(layer.name) for layer in kept]
    if others:
        warnings.warn(
            f"The weights of {', '.join(map(repr, others))} are not from "
            f"{source}: what builds them takes no parameters (node.learns).",
            stacklevel=3,
        )


def build_net(
    part: DeployNet,
    input_shape=None,
    *,
    fully_convolutional=False,
    custom: Custom = MappingProxyType({}),
    blobs: Mapping[int, list] | None = None,
    phase: str = "TEST",
    outputs: Sequence[str] | None = None,
    settings: Mapping = MappingProxyType({}),
) -> tuple[GraphBuilder, keras.Model]:
    """Build a Keras model of a net that predicts.

    Args:
        part: The net.
        input_shape: As in `from_caffe`.
        fully_convolutional: As in `from_caffe`.
        custom: The caller's own rules, or functions, by type.
        blobs: Parameters of each layer by its position, for their shapes.
        phase: `"TEST"` or `"TRAIN"`.
        outputs: The blobs that the model ends with; those that no layer reads if not
            given.
        settings: As in `GraphBuilder`.

    Returns:
        What built the model, and the model. No parameters are loaded.

    Raises:
        CaffeFormatError: As `from_caffe`.
        ValueError: If `input_shape` is none.
    """
    check_types(part.net, custom)
    check_inputs(part)
    shapes = given_shapes(part, input_shape)
    options = (fully_convolutional, custom, blobs, phase, outputs, settings)
    return _build(part, shapes, *options)


def _build(part, shapes, fully_convolutional, custom, blobs, phase, outputs, settings):
    """Build with any number of items, or with the prototxt's if that is needed."""

    def build(fixed):
        windows = None
        if fully_convolutional:
            options = {"fixed": fixed, "phase": phase, "settings": settings}
            builder = GraphBuilder(part.net, part.inputs, custom, **options)
            windows = builder.find_windows()
        builder = GraphBuilder(
            part.net, shapes, custom, windows, blobs, fixed, phase, settings
        )
        return builder, builder.model(outputs)

    return with_items(build, part.net.source)
