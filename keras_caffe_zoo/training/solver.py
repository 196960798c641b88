"""From a solver's prototxt to a compiled Keras model."""

import os
import warnings
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath

import keras

from keras_caffe_zoo.caffe import CaffeFormatError, Net, read_prototxt, read_solver
from keras_caffe_zoo.caffe.reader import net_of_message
from keras_caffe_zoo.training import multipliers
from keras_caffe_zoo.training.compiling import compile_for, training_model
from keras_caffe_zoo.training.run import Training
from keras_caffe_zoo.training.solver_settings import optimizer_of

PathLike = str | os.PathLike


def from_solver(
    solver: PathLike,
    model: keras.Model | None = None,
    *,
    net: PathLike | None = None,
    weights: PathLike | None = None,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    infogain=None,
) -> Training:
    """Compile a model as a Caffe solver trains it.

    The solver gives the optimizer, the learning rate policy, weight decay, clipping and
    `iter_size`; its training net the model, the losses, their weights, and `lr_mult`
    and `decay_mult` of each parameter. The Accuracy layers of the test net become
    metrics. The net's data layers become the model's inputs: feed it `(images,
    labels)`, images channels last, labels as in Caffe (see `image_dataset` and
    `layer_dataset`).

    Paths inside the solver are not followed: its net is looked for, by name, in the
    solver's own folder.

    Args:
        solver: The solver's `.prototxt`.
        model: A model to train in place of the solver's net, such as
            `caffenet(classes=20)`: it takes multipliers from the net's layers of the
            same names. It is compiled here.
        net: The net's `.prototxt`, where it is not beside the solver.
        weights: A `.caffemodel` to start from (`caffe train -weights`): layers take the
            parameters of their names; the others start from their fillers.
        input_shape: Shape of one image `(H, W, C)`, or a mapping by blob, where the net
            does not tell it.
        infogain: The matrix H of an InfogainLoss, or its `.binaryproto`.

    Returns:
        A `Training`; its `model` is ready for `fit` and `train_on_batch`.

    Raises:
        CaffeFormatError: If the solver or the net is damaged, or asks for what Caffe
            does not have, or what Keras cannot do the same way; names the field.
        FileNotFoundError: If the net is not found.
    """
    message = read_solver(solver)
    source = os.fspath(solver)
    definition = _net(message, source, net, needed=model is None)
    optimizer = optimizer_of(message, source)
    loaded = ()
    if model is None:
        model, loaded = training_model(
            definition, weights, input_shape, message.random_seed
        )
    elif weights is not None:
        raise ValueError(
            "Expected `weights` for the solver's own net only; received them with a "
            f"model. Load them into it: '{model.name}'"
        )
    if definition is not None:
        declared = multipliers.declared(definition.filter("TRAIN"))
        optimizer.multipliers = multipliers.by_variable(model, declared)
    compile_for(model, optimizer, definition, infogain)
    return Training(
        model,
        optimizer,
        iterations=message.max_iter,
        iter_size=message.iter_size,
        test_interval=message.test_interval,
        test_iterations=tuple(message.test_iter),
        snapshot_interval=message.snapshot,
        snapshot_after_train=message.snapshot_after_train,
        snapshot_name=_last_part(message.snapshot_prefix) or model.name,
        solver=message,
        net=definition,
        loaded=tuple(loaded),
    )


def _net(message, source: str, given: PathLike | None, needed: bool) -> Net | None:
    """Return the training net: a file's, or the one inside the solver."""
    if given is not None:
        return read_prototxt(given).fold_splits()
    fields = [
        name
        for name in ("net", "net_param", "train_net", "train_net_param")
        if message.HasField(name)
    ]
    if len(fields) > 1 or (needed and not fields):
        raise CaffeFormatError(
            "Expected one of net, net_param, train_net, train_net_param; received: "
            f"{fields or 'none. Pass net=…'}",
            source=source,
        )
    if not fields:
        return None
    if fields[0].endswith("_param"):
        inside = getattr(message, fields[0])
        return net_of_message(inside, f"{source}: {fields[0]}").fold_splits()
    name = _last_part(getattr(message, fields[0]))
    path = os.path.join(os.path.dirname(source), name)
    if name and os.path.isfile(path):
        return read_prototxt(path).fold_splits()
    if needed:
        raise FileNotFoundError(
            f"Expected the solver's net {name!r} beside {source}; received no such "
            "file. Pass net=…"
        )
    warnings.warn(
        f"The solver's net {name!r} is not beside {source}: all parameters get lr_mult "
        "1 and decay_mult 1. Pass net=… for its own.",
        stacklevel=3,
    )
    return None


def _last_part(path: str) -> str:
    return PureWindowsPath(PurePosixPath(path).name).name
