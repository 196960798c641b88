"""From a solver's prototxt to a compiled Keras model."""

import os
import warnings
from collections.abc import Mapping

import keras

from keras_caffe_zoo.caffe import read_solver
from keras_caffe_zoo.training import multipliers
from keras_caffe_zoo.training.compiling import compile_for, training_model
from keras_caffe_zoo.training.run import Training
from keras_caffe_zoo.training.solver_nets import SolverNets, last_part
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
    optimizer = optimizer_of(message, source)
    nets = SolverNets(message, source, net)
    train_net, test_net = nets.training(needed=model is None), nets.test()
    loaded = ()
    if message.weights and weights is None:
        warnings.warn(
            f"{source} starts from {list(message.weights)}, which are not looked for: "
            "pass weights=….",
            stacklevel=2,
        )
    if model is None:
        seed = message.random_seed
        model, loaded = training_model(train_net, weights, input_shape, seed)
    elif weights is not None:
        raise ValueError(
            "Expected `weights` for the solver's own net only; received them with a "
            f"model. Load them into it: '{model.name}'"
        )
    if train_net is not None:
        declared = multipliers.declared(train_net)
        optimizer.multipliers = multipliers.by_variable(model, declared)
    compile_for(model, optimizer, train_net, test_net, infogain)
    return Training(
        model,
        optimizer,
        iterations=message.max_iter,
        iter_size=message.iter_size,
        test_interval=message.test_interval,
        test_iterations=tuple(message.test_iter),
        snapshot_interval=message.snapshot,
        snapshot_after_train=message.snapshot_after_train,
        snapshot_name=last_part(message.snapshot_prefix) or model.name,
        solver=message,
        net=train_net,
        loaded=tuple(loaded),
    )
