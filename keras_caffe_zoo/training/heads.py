"""The last layers of a net, which have one output for each class, and new ones."""

import keras

from keras_caffe_zoo.conversion.model import call_once
from keras_caffe_zoo.conversion.walk import calls
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import is_input, traits_of
from keras_caffe_zoo.weights import FINETUNED


def find_heads(model: keras.Model) -> list[str]:
    """Return the names of the layers that have one output for each class.

    That is the last layer with weights before the output. Deconvolutions that enlarge a
    map of scores count with the layers that make the map.

    Raises:
        ValueError: If the model has several outputs, or such a layer is none that has
            units or filters, or it seems that the model ends with features.
    """
    if not hasattr(model, "_nodes_by_depth") and not isinstance(
        model, keras.Sequential
    ):
        raise ValueError(
            "Expected a functional or sequential model; received: "
            f"'{model.name}' ({type(model).__name__})"
        )
    if len(model.outputs) != 1:
        raise ValueError(
            f"Expected a model with one output; received: '{model.name}' with "
            f"{len(model.outputs)}"
        )
    makers = {id(t): call for call in calls(_graph(model)) for t in call.outputs}
    classes = model.outputs[0].shape[-1]
    heads, seen = {}, set()
    waiting = [makers[id(model.outputs[0])]]
    relu = False
    while waiting:
        call = waiting.pop()
        if id(call.outputs[0]) in seen or is_input(call.layer):
            continue
        seen.add(id(call.outputs[0]))
        traits = traits_of(call.layer)
        relu |= traits.activation == "relu"
        if call.layer.weights and not _is_dropout(call.layer):
            _check_head(model, call.layer, call.outputs[0].shape[-1], classes)
            heads[call.layer.name] = call.layer
            if not traits.enlarges:
                continue
        waiting += [makers[id(tensor)] for tensor in call.inputs[: traits.reads]]
    if not heads or (relu and not ends_with_softmax(model)):
        raise ValueError(
            "Expected a model that ends with scores or probabilities of classes; "
            f"received: '{model.name}', which seems to end with features. Put a "
            "classifier on top of it"
        )
    return list(heads)


def _graph(model: keras.Model) -> keras.Model:
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return model


def _is_dropout(layer) -> bool:
    return all(weight.dtype == "uint32" for weight in layer.weights)


def _check_head(model, layer, channels, classes) -> None:
    if traits_of(layer).outputs is None or channels != classes:
        raise ValueError(
            f"Expected the last layer with weights of '{model.name}' to be a dense "
            f"layer or a convolution with {classes} outputs; received: "
            f"'{caffe_name(layer.name)}' ({type(layer).__name__}) with {channels}"
        )


def ends_with_softmax(model: keras.Model) -> bool:
    """Tell whether a model's one output is probabilities, by a softmax."""
    last = model.outputs[0]._keras_history.operation
    return traits_of(last).activation == "softmax"


def classes_of(model: keras.Model) -> int | None:
    """Return how many classes a classifier tells apart; None of another model.

    A classifier ends with a softmax, or is compiled with the cross-entropy of labels
    that are numbers of classes; and it has one answer for a picture, not a map.
    """
    try:
        find_heads(model)
    except ValueError:
        return None
    loss = getattr(model, "loss", None)
    named = loss == "sparse_categorical_crossentropy"
    crossed = named or isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    *sides, count = model.outputs[0].shape[1:]
    one = count > 1 and all(side == 1 for side in sides)
    return count if one and (crossed or ends_with_softmax(model)) else None


def with_heads(model: keras.Model, heads: list[str], classes: int) -> keras.Model:
    """Return a copy of a model in which some layers have other numbers of outputs.

    Args:
        model: The model; it is not changed.
        heads: Names of the layers.
        classes: Their new number of units or filters. Weights are drawn anew: from a
            normal distribution of standard deviation 0.01, or as a deconvolution's own
            `kernel_initializer` says. All other layers have the model's weights.
    """
    graph = _graph(model)
    before = graph.outputs[0].shape[-1]
    config = graph.get_config()
    config["name"] = graph.name.removesuffix(FINETUNED) + FINETUNED
    normal = keras.initializers.serialize(keras.initializers.RandomNormal(stddev=0.01))
    for entry in config["layers"]:
        entry.pop("build_config", None)  # the channels that it had
        if entry["config"]["name"] not in heads:
            continue
        own = entry["config"]
        traits = traits_of(graph.get_layer(own["name"]))
        own[traits.outputs] = classes
        if own.get("groups", 1) == before and before > 1:  # one group for each class
            own["groups"] = classes
        if not traits.enlarges:
            own["kernel_initializer"] = normal
    copy = type(graph).from_config(config)
    for layer in graph.layers:
        if layer.name not in heads and layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return call_once(copy)
