"""Losses and accuracies as layers of a model: where layers read what they make."""

from collections.abc import Callable

import keras
from keras import ops

from keras_caffe_zoo.rules.registry import role_of
from keras_caffe_zoo.training.losses.from_layer import loss_of, prediction_of
from keras_caffe_zoo.training.losses.sums import joined_labels
from keras_caffe_zoo.training.metrics import accuracy_of, accuracy_per_class_of


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class StopGradient(keras.layers.Layer):
    """Gives back what it is given, which gets no gradient: `propagate_down: false`."""

    def call(self, inputs):
        return ops.stop_gradient(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class LossLayer(keras.layers.Layer):
    """A loss as a layer: one number, of predictions and labels.

    Args:
        loss: A loss that gives one number.
        **kwargs: As of any layer.

    Inputs:
        A list: predictions, then what `joined_labels` makes labels of.
    """

    def __init__(self, loss, **kwargs) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.loss = loss

    def call(self, inputs):
        prediction, *labels = inputs
        return self.loss(joined_labels(labels), prediction)

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss}

    @classmethod
    def from_config(cls, config):
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**{**config, "loss": loss})


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class AccuracyLayer(keras.layers.Layer):
    """An accuracy as a layer: that of one batch. It has no gradient.

    Args:
        metric: An `Accuracy` or `AccuracyPerClass`, whose own counts do not change.
        **kwargs: As of any layer.

    Inputs:
        A list: predictions, then labels.
    """

    def __init__(self, metric, **kwargs) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self._metric_config = keras.saving.serialize_keras_object(metric)
        self._of_batch = metric.of_batch

    def call(self, inputs):
        prediction, labels = inputs
        return ops.stop_gradient(self._of_batch(labels, prediction))

    def get_config(self):
        return {**super().get_config(), "metric": self._metric_config}

    @classmethod
    def from_config(cls, config):
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(**{**config, "metric": metric})


def in_graph(orders: dict[str, tuple], infogain=None) -> Callable:
    """Return a function of a node and tensors that makes a loss's, or an accuracy's.

    Args:
        orders: Which bottoms are predictions, and which labels, by the layer's name.
        infogain: The matrix of an InfogainLoss, as for `loss_of`.
    """

    def build(node, *tensors):
        layer = node.layer
        own, labels = ([tensors[i] for i in found] for found in orders[layer.name])
        prediction = prediction_of(layer, own)
        if role_of(layer.type) == "loss":
            loss = loss_of(layer, infogain)
            return LossLayer(loss, name=node.name)([prediction, *labels])
        ends = [prediction, *labels]
        made = [AccuracyLayer(accuracy_of(layer), name=node.name)(ends)]
        if len(layer.tops) > 1:
            metric = accuracy_per_class_of(layer, prediction)
            name = node.aux("per_class")
            made.append(AccuracyLayer(metric, name=name)(ends))
        return made

    return build
