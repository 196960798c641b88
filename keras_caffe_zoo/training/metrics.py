"""Caffe's Accuracy as a Keras metric."""

import keras
from keras import ops

from keras_caffe_zoo.caffe import Layer
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training._labels import like_values, read_labels
from keras_caffe_zoo.training.losses.from_layer import check_axis, layer_error


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class Accuracy(keras.metrics.Metric):
    """The part of all labels whose class is among the best, Caffe's `Accuracy` layer.

    A label is right if fewer than `top_k` other classes have its class's score or
    more: a tie counts against it. A score of NaN is never right (in Caffe it is).

    Args:
        top_k: How many classes are the best.
        ignore_label: A label that does not count, if any.
        name: Its name.
        dtype: Type in which it counts.

    Inputs:
        Labels (N,) or (N, H, W), or with a last axis of 1, of any numeric type;
        predictions (N, C) or (N, H, W, C), scores or probabilities. A label that is no
        class and not to be ignored makes the result NaN. Without any label that counts
        it is 0.

    Several batches are one: of all labels in them, those that are right. Caffe averages
    the batches' accuracies, which is the same where they have as many labels that
    count.

    Raises:
        ValueError: If `top_k` is not between 1 and the number of classes.
    """

    def __init__(self, top_k=1, ignore_label=None, name="accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.top_k = int(top_k)
        if self.top_k < 1:
            raise ValueError(f"Expected `top_k` of at least 1; received: {top_k}.")
        self.ignore_label = None if ignore_label is None else int(ignore_label)
        self.right = self.add_variable((), "zeros", name="right")
        self.counted = self.add_variable((), "zeros", name="counted")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        classes = y_pred.shape[-1]
        if self.top_k > classes:
            raise ValueError(
                f"Expected `top_k` of at most {classes} classes; received: "
                f"{self.top_k}."
            )
        labels = read_labels(y_true, y_pred, self.ignore_label)
        score = ops.take_along_axis(y_pred, labels.index, axis=-1)
        as_good = ops.cast(y_pred >= score, "int32")
        better = ops.sum(as_good, axis=-1, keepdims=True) - 1  # but for itself
        right = ops.logical_and(better < self.top_k, ops.equal(score, score))
        right = ops.cast(ops.logical_and(right, labels.counted), self.dtype)
        right = ops.where(labels.unknown, float("nan"), right)
        counted = ops.cast(labels.counted, self.dtype)
        if sample_weight is not None:
            shape = (*y_pred.shape[:-1], 1)
            weight = ops.cast(like_values(sample_weight, shape), self.dtype)
            right, counted = right * weight, counted * weight
        self.right.assign_add(ops.sum(right))
        self.counted.assign_add(ops.sum(counted))

    def result(self):
        return ops.divide_no_nan(self.right.value, self.counted.value)

    def get_config(self):
        return {
            **super().get_config(),
            "top_k": self.top_k,
            "ignore_label": self.ignore_label,
        }


def accuracy_of(layer: Layer) -> Accuracy:
    """Return the metric that a Caffe layer computes as its first top.

    Args:
        layer: An Accuracy layer.

    Raises:
        CaffeFormatError: If it is another layer, its axis is not that of the channels,
            or its `top_k` is 0.
    """
    if layer.type != "Accuracy":
        raise layer_error(layer, "Expected a layer of the type Accuracy")
    check_axis(layer, "accuracy_param")
    param = layer.param
    if param.top_k < 1:
        problem = f"Expected at least 1; received: {param.top_k}"
        raise layer_error(layer, problem, "accuracy_param.top_k")
    ignore = param.ignore_label if param.HasField("ignore_label") else None
    return Accuracy(param.top_k, ignore, name=keras_name(layer.name))
