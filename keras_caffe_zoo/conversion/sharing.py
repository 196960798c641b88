"""Variables that several layers of a model share."""

from __future__ import annotations

from keras_caffe_zoo.lazy import keras

# A tie [layer, index, owner, owner's index] says that a weight of one layer is one of
# another's.
Tie = list


def tie(model: keras.Model, ties: list[Tie]) -> None:
    """Make layers of a model share variables.

    Keras has no public way to do this: a layer's variable is replaced where it is
    listed and where it is an attribute. `model.trainable_variables` has it once.

    Args:
        model: The model.
        ties: Names of layers and indices into their `weights`.

    Raises:
        ValueError: If the shapes differ.
    """
    for name, index, owner_name, owner_index in ties:
        layer, owner = model.get_layer(name), model.get_layer(owner_name)
        old, new = layer.weights[index], owner.weights[owner_index]
        if tuple(old.shape) != tuple(new.shape):
            raise ValueError(
                f"Expected parameters of layers '{owner_name}' and '{name}' that share "
                f"them to have the same shape; received: {tuple(new.shape)} and "
                f"{tuple(old.shape)} (Keras layout)."
            )
        if old is not new:
            _replace(layer, old, new)


def _replace(layer, old, new) -> None:
    for variables in (layer._trainable_variables, layer._non_trainable_variables):
        for i, variable in enumerate(variables):
            if variable is old:
                variables[i] = new
    for name, value in list(vars(layer).items()):
        if value is old:
            vars(layer)[name] = new
