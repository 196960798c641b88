"""From a prototxt and a caffemodel to a Keras model."""

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras

from keras_caffe_zoo.caffe import CaffeFormatError, Net, read_net, read_prototxt
from keras_caffe_zoo.conversion.deploy import DeployNet, deploy_net
from keras_caffe_zoo.conversion.filling import fill, is_told
from keras_caffe_zoo.conversion.graph import Custom, GraphBuilder
from keras_caffe_zoo.conversion.loading import blobs_by_position, load
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.conversion.unknown import check_unknown_fields
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.forks import fork_of_type, needed_type
from keras_caffe_zoo.rules.node import NeedsBatch
from keras_caffe_zoo.rules.python import name_python_layers
from keras_caffe_zoo.rules.registry import as_rule, know_layers, rule_of
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
        level: What `min_level` and `max_level` of such rules are compared with.
        stages: What their `stage` and `not_stage` are looked for in.
        input_shape: Shape of one item of the data blob in Keras layout, `(H, W, C)`
            for images; H and W may be None. A mapping by blob name where there are
            several. The prototxt's own if not given. A layer of an unknown type that
            reads nothing (a Python layer with the data) is data if it is given.
        fully_convolutional: Turn inner products on images into convolutions with the
            window that they have at the prototxt's own size.
        custom_layers: For layer types of your own, also for such as the net would have
            anyway, a `Rule`, or a function of a `Node` and one Keras tensor for each
            bottom, which returns one for each top. 4-D blobs are channels last.
        python_config: What the code of Python layers takes from elsewhere than the
            net, such as py-faster-rcnn's `{"RPN_PRE_NMS_TOP_N": 6000,
            "RPN_POST_NMS_TOP_N": 300, "RPN_NMS_THRESH": 0.7, "RPN_MIN_SIZE": 16}`,
            which are the defaults.
        max_detections: Most detections of one image, where the net has no bound such
            as `keep_top_k`; then it is as many as the net can make.
        ignore_fields: Fields of the layers, or of the net, to pass over that the rules
            do not know and would refuse, by their whole paths: `("pooling_param.x",)`.

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
        ValueError: If `phase`, `input_shape` or `custom_layers` is not as above, or if
            `ignore_fields` names what is no unknown field of the net.
        OSError: If a file cannot be read.
    """
    custom = _checked_custom(custom_layers or {})
    settings = _settings(python_config, max_detections)
    net = read_prototxt(prototxt).fold_splits().filter(phase, level, stages)
    net = name_python_layers(net)
    trained = None if caffemodel is None else read_net(caffemodel)
    part = deploy_net(net, trained, custom, given=_given_blobs(net, input_shape))
    _check_types(part.net, custom)
    check_unknown_fields(net, part.changed, custom, ignored=ignore_fields)
    blobs = None if trained is None else blobs_by_position(part.net, trained)
    builder, model = build_net(
        part,
        input_shape,
        fully_convolutional=fully_convolutional,
        custom=custom,
        blobs=blobs,
        phase=phase,
        settings=settings,
    )
    if trained is None:
        fill(builder.nodes)
    else:
        fill([pair for pair in builder.nodes if is_told(pair[0])])
        stored = [pair for pair in builder.nodes if not is_told(pair[0])]
        load(stored, trained.source)
        _warn_of_others(model, builder.nodes, trained.source)
    return model


def _warn_of_others(model: keras.Model, nodes, source: str) -> None:
    """Warn of weights that a custom layer made without saying what they learn."""
    loaded = {id(layer) for _, layer in nodes}
    others = [x.name for x in layers_with_weights(model) if id(x) not in loaded]
    if others:
        warnings.warn(
            f"The weights of {', '.join(map(repr, others))} are not from "
            f"{source}: what builds them takes no parameters (node.learns).",
            stacklevel=3,
        )


def _checked_custom(custom_layers: Mapping) -> dict[str, Rule | Callable]:
    custom = {}
    for type_, given in custom_layers.items():
        if isinstance(given, Rule) or (
            isinstance(given, type) and issubclass(given, Rule)
        ):
            custom[type_] = as_rule(given)
            know_layers(custom[type_])
        elif callable(given):
            custom[type_] = given
        else:
            raise ValueError(
                "Expected `custom_layers` of rules or functions; received: "
                f"{type_!r}: {given!r}."
            )
    return custom


def _settings(python_config, max_detections) -> dict:
    if max_detections is not None and not 0 < max_detections < 2**31:
        raise ValueError(
            "Expected `max_detections` to be positive; received: "
            f"max_detections={max_detections!r}."
        )
    config = dict(python_config or {})
    return {"python_config": config, "max_detections": max_detections}


def _given_blobs(net: Net, input_shape) -> Collection[str]:
    """Return the blobs whose shapes are given; one shape may be any data layer's."""
    if input_shape is None or isinstance(input_shape, Mapping):
        return input_shape or ()
    return [layer.tops[0] for layer in net.layers if layer.tops and not layer.bottoms]


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
    _check_types(part.net, custom)
    _check_inputs(part, part.net.source)
    shapes = _with_given(part, input_shape)
    options = (fully_convolutional, custom, blobs, phase, outputs, settings)
    return _build(part, shapes, *options)


def _build(part, shapes, fully_convolutional, custom, blobs, phase, outputs, settings):
    """Build with any number of items, or with the prototxt's if that is needed."""
    for fixed in (False, True):
        try:
            windows = None
            if fully_convolutional:
                options = {"fixed": fixed, "phase": phase, "settings": settings}
                builder = GraphBuilder(part.net, part.inputs, custom, **options)
                windows = builder.windows()
            builder = GraphBuilder(
                part.net, shapes, custom, windows, blobs, fixed, phase, settings
            )
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
    unknown = {}
    for layer in net.layers:
        rule = rule_of(layer.type)
        if layer.type not in custom and (rule is None or rule.refused):
            unknown.setdefault(layer.type, []).append(layer)
    if not unknown:
        return
    said = [_why_not(type_, layers) for type_, layers in unknown.items()]
    raise CaffeFormatError(
        f"No rule for layers of the type{'s' * (len(said) > 1)} {'; '.join(said)}. "
        "Give one: from_caffe(…, custom_layers={type: rule or function}). "
        "keras_caffe_zoo.supported_layers() lists the types that there are rules for",
        source=net.source,
    )


def _why_not(type_: str, layers: list) -> str:
    """Return a type that cannot be built, its first layers, and why."""
    names = ", ".join(f"'{layer.name}'" for layer in layers[:3])
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    rule = rule_of(type_)
    why = f": {rule.refused}" if rule else ""
    fork = fork_of_type(needed_type(layers[0]))
    why += f", of {fork}" if fork else ""
    data = [layer for layer in layers if layer.tops and not layer.bottoms]
    if data:
        why += f"; if it is the data, pass input_shape={{'{data[0].tops[0]}': …}}"
    return f"{type_!r} ({names}{more}{why})"


def _check_inputs(part: DeployNet, source: str) -> None:
    for blob, shape in part.inputs.items():
        if any(size is not None and not 0 < size < 2**31 for size in shape or ()):
            raise CaffeFormatError(
                f"Expected positive sizes of the data blob {blob!r}; received: {shape}",
                source=source,
            )


def _with_given(part: DeployNet, given) -> dict[str, tuple | None]:
    """Return the shapes of the data blobs, those that were given in their place."""
    shapes = dict(part.inputs)
    if given is not None and not isinstance(given, Mapping):
        given = {next(iter(shapes), "data"): given}
    for blob, shape in (given or {}).items():
        if blob not in shapes:
            raise ValueError(
                f"`input_shape` names {blob!r}, which is no data blob of the net. "
                f"{there_are(shapes, blob)}."
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
