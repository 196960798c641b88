"""Losses that stay layers, and gradients that stop, made ready to be built."""

from dataclasses import replace

from keras_caffe_zoo.caffe import Net
from keras_caffe_zoo.conversion.deploy import DeployNet, Kept, loss_tops
from keras_caffe_zoo.rules.registry import role_of, rule_of
from keras_caffe_zoo.training.losses.in_graph import in_graph
from keras_caffe_zoo.training.solver.label_net import STOPS, with_stops
from keras_caffe_zoo.training.solver.objectives import label_order


def prepare(part: DeployNet, net: Net, kept: Kept, infogain=None) -> dict:
    """Make a net's kept losses, and its stopped gradients, ready to be built.

    Args:
        part: What is to be built of the net; its `net` is replaced.
        net: The whole net.
        kept: What is kept of it.
        infogain: The matrix of an InfogainLoss.

    Returns:
        Functions that build these layers, by type, as `build_net` takes them.
    """
    orders = {net.layers[at].name: label_order(net, at) for at in kept.layers}
    layers, types = [], set()
    for layer in part.net.layers:
        rule = rule_of(layer.type)
        if role_of(layer.type) not in ("loss", "metric"):
            layers.append(layer)
            continue
        types.add(layer.type)
        tops = loss_tops(layer)
        own = tops[:1] if role_of(layer.type) == "loss" else tops
        layers.append(replace(layer, tops=own))
        if tops[len(own) :]:  # the prediction, as a layer of its own
            layers += rule.predict(layer, tops[len(own) :])
    part.net = with_stops(replace(part.net, layers=layers))
    return {**STOPS, **dict.fromkeys(types, in_graph(orders, infogain))}
