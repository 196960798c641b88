"""Caffe's Accuracy as Keras metrics, and losses that are only looked at."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic import axes
from keras_caffe_zoo.caffe import Layer
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training._labels import classes_last, like_values, read_labels
from keras_caffe_zoo.training.losses.from_layer import layer_error

METRIC_LAYERS = ("Accuracy",)


class _OfLabels(keras.metrics.Metric):
    """What is counted of labels that are among the best.

    Subclasses keep the counts, of the shape `counts`.
    """

    def __init__(self, top_k, ignore_label, axis, counts, name, dtype) -> None:
        super().__init__(name=name, dtype=dtype)
        self.top_k = int(top_k)
        if self.top_k < 1:
            raise ValueError(f"Expected `top_k` of at least 1; received: {top_k}.")
        self.ignore_label = None if ignore_label is None else int(ignore_label)
        self.axis = None if axis is None else int(axis)
        self.right = self.add_variable(counts, "zeros", name="right")
        self.counted = self.add_variable(counts, "zeros", name="counted")

    def update_state(self, y_true, y_pred, sample_weight=None):
        right, counted = self._counts(y_true, y_pred, sample_weight)
        self.right.assign_add(right)
        self.counted.assign_add(counted)

    def of_batch(self, y_true, y_pred):
        """Return the result for one batch, whatever came before."""
        return ops.divide_no_nan(*self._counts(y_true, y_pred, None))

    def _counts(self, y_true, y_pred, sample_weight) -> tuple:
        y_pred = classes_last(ops.convert_to_tensor(y_pred), self.axis)
        *found, index = right_labels(y_true, y_pred, self.top_k, self.ignore_label)
        right, counted = (ops.cast(x, self.dtype) for x in found)
        if sample_weight is not None:
            shape = (*y_pred.shape[:-1], 1)
            weight = ops.cast(like_values(sample_weight, shape), self.dtype)
            right, counted = right * weight, counted * weight
        return self._sum(right, index), self._sum(counted, index)

    def result(self):
        return ops.divide_no_nan(self.right.value, self.counted.value)

    def get_config(self):
        return {
            **super().get_config(),
            "top_k": self.top_k,
            "ignore_label": self.ignore_label,
            "axis": self.axis,
        }


def right_labels(y_true, y_pred, top_k: int, ignore_label: int | None) -> tuple:
    """Return which labels are right, NaN for such as are no class, and which count.

    Args:
        y_true: Labels, as `whole_labels` takes them.
        y_pred: (N, …, C).
        top_k: How many classes are the best.
        ignore_label: The label that does not count, if there is one.

    Returns:
        Right and counted, (N, …, 1) of float32, and each label's class, of int32.

    Raises:
        ValueError: If there are fewer than `top_k` classes.
    """
    classes = y_pred.shape[-1]
    if top_k > classes:
        raise ValueError(
            f"Expected `top_k` of at most {classes} classes; received: {top_k}."
        )
    labels = read_labels(y_true, y_pred, ignore_label)
    score = ops.take_along_axis(y_pred, labels.index, axis=-1)
    as_good = ops.cast(y_pred >= score, "int32")
    better = ops.sum(as_good, axis=-1, keepdims=True) - 1  # but for itself
    right = ops.logical_and(better < top_k, ops.equal(score, score))
    right = ops.cast(ops.logical_and(right, labels.counted), "float32")
    right = ops.where(labels.unknown, float("nan"), right)
    return right, ops.cast(labels.counted, "float32"), labels.index


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class Accuracy(_OfLabels):
    """The part of all labels whose class is among the best, Caffe's `Accuracy` layer.

    A label is right if fewer than `top_k` other classes have its class's score or
    more: a tie counts against it. A score of NaN is never right (in Caffe it is).

    Args:
        top_k: How many classes are the best.
        ignore_label: A label that does not count, if any.
        name: Its name.
        dtype: Type in which it counts.
        axis: Caffe's axis of the classes, as of `SoftmaxWithLoss`; the last axis of the
            predictions if `None`.

    Inputs:
        Labels (N,) or (N, H, W), or with axes of 1 more, of any numeric type;
        predictions (N, C) or (N, H, W, C), scores or probabilities. A label that is no
        class and not to be ignored makes the result NaN. Without any label that counts
        it is 0.

    Several batches are one: of all labels in them, those that are right. Caffe averages
    the batches' accuracies, which is the same where they have as many labels that
    count.

    Raises:
        ValueError: If `top_k` is not between 1 and the number of classes.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.5, 0.5]])
        >>> float(kcz.training.Accuracy()(np.array([0, 0]), scores))  # a tie is wrong
        0.5
        >>> ignoring = kcz.training.Accuracy(ignore_label=255)
        >>> float(ignoring(np.array([0, 255]), scores))
        1.0
    """

    def __init__(
        self, top_k=1, ignore_label=None, name="accuracy", dtype=None, axis=None
    ) -> None:
        super().__init__(top_k, ignore_label, axis, (), name, dtype)

    def _sum(self, values, index):
        return ops.sum(values)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class AccuracyPerClass(_OfLabels):
    """The same part of the labels of each class, the layer's second top.

    Args:
        classes: How many classes there are.
        top_k: How many classes are the best.
        ignore_label: A label that does not count, if any.
        name: Its name.
        dtype: Type in which it counts.
        axis: Caffe's axis of the classes.

    Inputs:
        As of `Accuracy`. The result is (classes,); 0 for a class without labels. A
        label that is no class makes that of the first class NaN.

    Raises:
        ValueError: If `top_k` is not between 1 and the number of classes.

    Reference:
        Caffe 1.0's `Accuracy` layer, its second top.

    Example:
        >>> scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.2, 0.8, 0.0]])
        >>> metric = kcz.training.AccuracyPerClass(3)
        >>> np.asarray(metric(np.array([0, 0, 1]), scores)).tolist()  # nobody is a 2
        [0.5, 1.0, 0.0]
    """

    def __init__(
        self,
        classes,
        top_k=1,
        ignore_label=None,
        name="accuracy_per_class",
        dtype=None,
        axis=None,
    ) -> None:
        self.classes = int(classes)
        super().__init__(top_k, ignore_label, axis, (self.classes,), name, dtype)

    def _sum(self, values, index):
        return per_class(values, index, self.classes)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def per_class(values, index, classes: int):
    """Return the sum of the values of each class, (classes,).

    Args:
        values: (N, …, 1).
        index: The class of each, of the same shape.
        classes: How many there are.
    """
    flat = ops.reshape(values, (-1,))
    return ops.segment_sum(flat, ops.reshape(index, (-1,)), num_segments=classes)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class LossValue(keras.metrics.Metric):
    """A loss that is looked at and not minimized: its mean over batches, as in Caffe.

    Args:
        loss: A loss that gives one number.
        name: Its name; the loss's if not given.
        dtype: Type in which it counts.

    Inputs:
        Those of the loss.
    """

    def __init__(self, loss, name=None, dtype=None) -> None:
        super().__init__(name=name or loss.name, dtype=dtype)
        self.loss = loss
        self.total = self.add_variable((), "zeros", name="total")
        self.batches = self.add_variable((), "zeros", name="batches")

    def update_state(self, y_true, y_pred, sample_weight=None):
        value = self.loss(y_true, y_pred, sample_weight)
        self.total.assign_add(ops.cast(value, self.dtype))
        self.batches.assign_add(ops.ones((), self.dtype))

    def result(self):
        return ops.divide_no_nan(self.total.value, self.batches.value)

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss}

    @classmethod
    def from_config(cls, config):
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**{**config, "loss": loss})


def accuracy_of(layer: Layer) -> Accuracy:
    """Return the metric that a Caffe layer computes as its first top.

    Args:
        layer: An Accuracy layer.

    Raises:
        CaffeFormatError: If it is another layer, or its `top_k` is 0.
    """
    return Accuracy(**accuracy_options(layer), name=keras_name(layer.name))


def accuracy_per_class_of(layer: Layer, prediction) -> AccuracyPerClass:
    """Return the metric that a Caffe layer computes as its second top.

    Args:
        layer: An Accuracy layer.
        prediction: The tensor that it measures.

    Raises:
        CaffeFormatError: As `accuracy_of`.
    """
    options, shape = accuracy_options(layer), prediction.shape
    classes = shape[axes.keras_axis(options["axis"] % len(shape), len(shape))]
    name = keras_name(f"{layer.name}_per_class")
    return AccuracyPerClass(classes, **options, name=name)


def accuracy_options(layer: Layer) -> dict:
    """Return what an Accuracy layer says of how it measures: its metrics' arguments.

    Raises:
        CaffeFormatError: As `accuracy_of`.
    """
    if layer.type not in METRIC_LAYERS:
        raise layer_error(layer, "Expected a layer of the type Accuracy")
    param = layer.param
    if param.top_k < 1:
        problem = f"Expected at least 1; received: {param.top_k}"
        raise layer_error(layer, problem, "accuracy_param.top_k")
    ignore = param.ignore_label if param.HasField("ignore_label") else None
    return {"top_k": param.top_k, "ignore_label": ignore, "axis": param.axis}
