"""The recipe that made a flickr style net of CaffeNet, for any net."""

import keras

from keras_caffe_zoo import models
from keras_caffe_zoo.conversion.model import blob_tensor
from keras_caffe_zoo.conversion.params import layers_with_weights
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.training.heads import ends_with_softmax, find_heads, with_heads
from keras_caffe_zoo.training.solver.multipliers import by_variable
from keras_caffe_zoo.training.solver.optimizers import CaffeSGD, Multipliers

# BVLC's solver for it.
LEARNING_RATE = 0.001
MOMENTUM = 0.9
WEIGHT_DECAY = 0.0005


def finetune(
    model: str | keras.Model,
    classes: int,
    *,
    head_lr_mult: float = 10,
    freeze_until: str | None = None,
    learning_rate=LEARNING_RATE,
    weights="caffe",
    **options,
) -> keras.Model:
    """Return a net for new classes: a new last layer, everything else as it was.

    The recipe of Caffe's flickr style example: SGD with momentum 0.9 and weight decay
    0.0005, biases learn twice as fast as weights and do not decay, and the new layer
    learns `head_lr_mult` times as fast as the others.

    Args:
        model: A zoo net's name, or any functional model of one output whose last layer
            with weights has one unit or filter for each class (of a segmentation net,
            all layers that have). It is not changed.
        classes: Number of new classes.
        head_lr_mult: `lr_mult` of the new layer's weights; its biases have twice that,
            the other layers 1 and 2.
        freeze_until: Name of the last layer that is not to learn: it and all layers
            before it keep their weights. All learn if not given.
        learning_rate: A number or a schedule; the rate of the layers that were there.
        weights: As in the net's builder, where a name is given.
        **options: Further arguments of the net's builder, such as
            `fully_convolutional=True`.

    Returns:
        A `keras.Model` called `NAME_finetuned`, compiled with `CaffeSGD`, a loss
        for labels that are numbers of classes, `(N,)` or `(N, H, W)`, and the accuracy.
        Functions that prepare pictures know it by that name. The new layer's weights
        are drawn from a normal distribution of standard deviation 0.01. To compile it
        otherwise, pass on `multipliers=model.optimizer.multipliers`.

    Raises:
        ValueError: If the model is not as above or has no such layer.

    Example:
        >>> x = keras.Input((8,))
        >>> y = keras.layers.Dense(4, name="fc1")(x)
        >>> model = keras.Model(x, keras.layers.Dense(1000, "softmax", name="fc2")(y))
        >>> tuned = kcz.finetune(model, classes=5)
        >>> tuned.output_shape, model.output_shape
        ((None, 5), (None, 1000))
        >>> {name: rates.lr_mult for name, rates in tuned.optimizer.multipliers.items()}
        {'fc1/bias': 2.0, 'fc2/kernel': 10.0, 'fc2/bias': 20.0}
    """
    if not isinstance(classes, int) or classes < 1:
        raise ValueError(
            f"Expected `classes` to be a positive integer; received: {classes!r}"
        )
    if isinstance(model, str):
        model = _zoo_net(model, weights, options)
    elif options:
        raise ValueError(
            "Expected options of a builder with a zoo net's name only; received: "
            f"{sorted(options)} with a model"
        )
    heads = find_heads(model)
    tuned = with_heads(model, heads, classes)
    if freeze_until is not None:
        _freeze(tuned, freeze_until, heads)
    by_layer = {
        caffe_name(layer.name): _rates(head_lr_mult if layer.name in heads else 1)
        for layer in layers_with_weights(tuned)
    }
    optimizer = CaffeSGD(
        learning_rate,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        multipliers=by_variable(tuned, by_layer),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=not ends_with_softmax(tuned)
    )
    tuned.compile(optimizer, loss, metrics=["accuracy"])
    return tuned


def _zoo_net(name: str, weights, options: dict) -> keras.Model:
    task = models.model_info(name).task  # an unknown name raises, with those known
    if task not in ("classification", "segmentation"):
        raise ValueError(
            f"Expected a net that classifies; received: {name!r}, of the task "
            f"{task!r}. Put a classifier on top of it"
        )
    if options.get("include_top", True) is not True:
        raise ValueError(
            "Expected a net with its top, whose last layer is to be replaced; "
            f"received: include_top={options['include_top']!r}"
        )
    return getattr(models, name)(weights=weights, **options)


def _rates(lr_mult: float) -> list[Multipliers]:
    """Return the multipliers of a layer's weights and biases."""
    return [Multipliers(lr_mult, 1.0), Multipliers(2 * lr_mult, 0.0)]


def _freeze(model: keras.Model, name: str, heads: list[str]) -> None:
    """Make a layer and all that it is computed from untrainable."""
    last = blob_tensor(model, name)._keras_history.operation
    until = keras.Model(model.inputs, last.output)
    kept = [layer.name for layer in until.layers if layer.name in heads]
    if kept:
        raise ValueError(
            "Expected `freeze_until` to name a layer before the new one; received: "
            f"{name!r}, which needs the new layer {caffe_name(kept[0])!r} itself"
        )
    for layer in until.layers:
        layer.trainable = False
