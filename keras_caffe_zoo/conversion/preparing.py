"""What a Caffe net's files are, and its options, before anything is built of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from keras_caffe_zoo.caffe import (
    CaffeFormatError,
    Net,
    read_net,
    read_prototxt,
    read_solver,
)
from keras_caffe_zoo.caffe.reader import net_of_message
from keras_caffe_zoo.caffe.sniff import check_order
from keras_caffe_zoo.conversion.deploy import DeployNet, deploy_net, with_data
from keras_caffe_zoo.conversion.loading import blobs_by_position
from keras_caffe_zoo.conversion.net_builder import Custom
from keras_caffe_zoo.conversion.unknown import check_unknown_fields
from keras_caffe_zoo.conversion.unknown_types import check_types, warn_of_guesses
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.python import code_name, name_python_layers
from keras_caffe_zoo.rules.registry import as_rule, know_layers, rule_of
from keras_caffe_zoo.rules.rule import Rule

PathLike = str | os.PathLike


@dataclass
class PreparedNet:
    """A net that predicts, its parameters, and the caller's options.

    Attributes:
        part: The net.
        trained: The caffemodel; None if none was given.
        blobs: Parameters of each layer by its position; None without a caffemodel.
        custom: The caller's own rules, or functions, by type.
        settings: Attributes of all nodes that no file tells, by name.
    """

    part: DeployNet
    trained: Net | None
    blobs: dict[int, list] | None
    custom: Custom
    settings: dict


def prepared_net(
    prototxt: PathLike,
    caffemodel: PathLike | None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Collection[str] = (),
    custom_layers: Mapping[str, Rule | type[Rule] | Callable] | None = None,
    python_config: Mapping[str, Any] | None = None,
    max_detections: int | None = None,
    ignore_fields: Collection[str] = (),
) -> PreparedNet:
    """Read a net's files, and check all that can be checked of them.

    Args:
        prototxt: As in `from_caffe`, like all others.
        caffemodel: None for a net without parameters.
        phase: `"TEST"` or `"TRAIN"`.
        level: What `min_level` and `max_level` are compared with.
        stages: What `stage` and `not_stage` are looked for in.
        custom_layers: The caller's rules, or functions, by type.
        python_config: What Python layers take from elsewhere than the net.
        max_detections: Most detections of one image.
        ignore_fields: Unknown fields to pass over.

    Raises:
        CaffeFormatError: As `from_caffe`.
        ValueError: As `from_caffe`.
        OSError: If a file cannot be read.
    """
    custom = _checked_custom(custom_layers or {})
    settings = _settings(python_config, max_detections)
    check_order(prototxt, caffemodel)
    net = _definition(prototxt, phase).fold_splits()
    net = name_python_layers(_in_phase(net, phase, level, stages), custom)
    trained = None if caffemodel is None else read_net(caffemodel, gaps=True)
    part = deploy_net(net, trained, custom, by_place=True)
    check_types(part.net, custom)
    _check_config(settings["python_config"], part.net, custom)
    warn_of_guesses(part, net.source)
    check_unknown_fields(net, part.changed, custom, ignored=ignore_fields)
    blobs = None if trained is None else blobs_by_position(part.net, trained)
    return PreparedNet(part, trained, blobs, custom, settings)


# Where a solver has its nets, by phase; the first that it has counts.
_INSIDE = {
    "TRAIN": ("train_net_param", "net_param"),
    "TEST": ("test_net_param", "net_param", "train_net_param"),
}
_BESIDE = ("net", "train_net", "test_net")


def _definition(prototxt: PathLike, phase: str) -> Net:
    """Read a net's definition; that inside a solver, if the file is one.

    Raises:
        CaffeFormatError: If the file is neither, or a solver whose net is elsewhere.
    """
    net = read_prototxt(prototxt)
    fields = {field.path for field in net.unknown}
    inside = [name for name in _INSIDE.get(phase, ()) if name in fields]
    if net.layers or not (inside or fields.intersection(_BESIDE)):
        return net
    solver = read_solver(prototxt)
    if not inside:
        given = [getattr(solver, name) for name in _BESIDE if name in fields]
        raise CaffeFormatError(
            "Expected a net; received: a solver, whose net is in another file, "
            f"{given[0] if isinstance(given[0], str) else given[0][0]!r}. Pass that, "
            "or the solver to training.from_solver",
            source=net.source,
        )
    message = getattr(solver, inside[0])
    first = message if inside[0] != "test_net_param" else message[0]
    return net_of_message(first, net.source)


def declared_shapes(prototxt: PathLike, **options) -> dict[str, tuple | None]:
    """Return the shapes of a net's data blobs that its definition tells.

    Args:
        prototxt: The definition.
        **options: As in `prepared_net`, which says what is to be warned of.

    Raises:
        CaffeFormatError: As `prepared_net`.
        ValueError: As `prepared_net`.
        OSError: If the file cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prepared_net(prototxt, None, **options).part.inputs


def check_inputs(part: DeployNet) -> None:
    """Refuse data blobs of sizes that none can have.

    Raises:
        CaffeFormatError: If there are any.
    """
    for blob, shape in part.inputs.items():
        if any(size is not None and not 0 < size < 2**31 for size in shape or ()):
            raise CaffeFormatError(
                f"Expected positive sizes of the data blob {blob!r}; received: {shape}",
                source=part.net.source,
            )


def given_shapes(part: DeployNet, given) -> dict[str, tuple | None]:
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
        shapes[blob] = _caffe_shape(blob, shape, items_of(part, blob))
    unknown = [blob for blob, shape in shapes.items() if not shape]
    if unknown:
        made = [x for x in part.guessed if not set(unknown).isdisjoint(x.tops)]
        types = [f"'{layer.name}' ({code_name(layer)})" for layer in made]
        why = f": no rule is for what reads them, {', '.join(types)}" if made else ""
        raise CaffeFormatError(
            f"Expected shapes of all data blobs; received none for {unknown}{why}. "
            f"Give from_caffe(…, input_shape={{{unknown[0]!r}: shape of one item}}), "
            "(height, width, channels) of images",
            source=part.net.source,
        )
    return shapes


def items_of(part: DeployNet, blob: str) -> int | None:
    """Return how many items a batch has, where the net tells."""
    if part.inputs[blob]:
        return part.inputs[blob][0]
    layer = part.data.get(blob)  # may tell the batch and nothing else
    param = layer.param if layer is not None and layer.params else None
    return getattr(param, "batch_size", 0) or None


def _caffe_shape(blob: str, shape, items: int | None) -> tuple:
    shape = tuple(shape)
    if not all(size is None or (isinstance(size, int) and size > 0) for size in shape):
        raise ValueError(
            "Expected `input_shape` of positive integers or None; received: "
            f"{blob!r}: {shape}."
        )
    if len(shape) == 3:
        return (items, shape[2], *shape[:2])
    return (items, *shape)


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
    whole = isinstance(max_detections, Integral) and max_detections is not True
    if max_detections is not None and not (whole and 0 < max_detections < 2**31):
        raise ValueError(
            "Expected `max_detections` to be a positive integer; received: "
            f"max_detections={max_detections!r}."
        )
    if not isinstance(python_config, Mapping | None):
        raise ValueError(
            "Expected `python_config` of values by their names; received: "
            f"{python_config!r}."
        )
    config = dict(python_config or {})
    return {"python_config": config, "max_detections": max_detections}


def _check_config(config: Mapping[str, Any], net: Net, custom: Custom) -> None:
    """Refuse what no layer takes, unless a function of the caller's may."""
    rules = [custom.get(layer.type, rule_of(layer.type)) for layer in net.layers]
    if not all(isinstance(rule, Rule) for rule in rules):
        return
    known = dict.fromkeys(name for rule in rules for name in rule.config)
    for name in config:
        if name not in known:
            raise ValueError(
                f"`python_config` names {name!r}, which no layer of the net takes. "
                f"{there_are(known, str(name))}."
            )


def _in_phase(net: Net, phase: str, level: int, stages) -> Net:
    """Return what a net is in a phase, with data even if only the other has any."""
    found = net.filter(phase, level, stages)
    other = net.filter("TEST" if phase == "TRAIN" else "TRAIN", level, stages)
    return with_data(found, net, other)
