"""Sequences: turned round, and read out of what a network says at each time."""

import keras
from keras import ops

from keras_caffe_zoo.layers import _nms
from keras_caffe_zoo.layers._blobs import BlobLayer, known_axis


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeReverse(BlobLayer):
    """Turn a blob round along an axis, as the `Reverse` layer does.

    Args:
        axis: The axis, counted as in (N, C, H, W); 0 is time in recurrent nets.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Raises:
        ValueError: If the input has no such axis.

    Reference:
        The layer of that name in the Caffe of OpenVINO's training toolbox.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeReverse
        >>> x = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
        >>> np.asarray(CaffeReverse()(x)).tolist()
        [[3.0, 30.0], [2.0, 20.0], [1.0, 10.0]]
    """

    def __init__(self, axis=0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)

    def blob_shape(self, shapes):
        known_axis(self.axis, len(shapes), self.name)
        return shapes

    def compute(self, blobs):
        return ops.flip(blobs, axis=self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeCTCGreedyDecoder(BlobLayer):
    """Read sequences of labels, as the `CTCGreedyDecoder` layer does.

    The label of a time is the first of those with the highest value. Of the labels, in
    their order, those that repeat the one before are left out, then blanks.

    Args:
        blank_index: The label that means none; the last one if negative.
        merge_repeated: Leave repeated labels out.
        scores: Return a second output, the sum of the highest values times -1.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        `(T, N, C)` and `(T, N)`, which is 0 where a sequence begins: all that comes
        from the first 0 on, but for the very first time, is not read.

    Output shape:
        `(N, 1, 1, T)`, the labels and then -1, and `(N, 1, 1, 1)`.

    Raises:
        ValueError: If the shapes are not such.

    Reference:
        The layer of that name in the Caffe of OpenVINO's training toolbox.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeCTCGreedyDecoder
        >>> x = np.eye(3)[[0, 0, 2, 0, 1]].reshape(5, 1, 3)  # 2, the last, is the blank
        >>> cont = np.array([[0.0], [1.0], [1.0], [1.0], [1.0]])
        >>> np.asarray(CaffeCTCGreedyDecoder()([x, cont])).ravel().tolist()
        [0.0, 0.0, 1.0, -1.0, -1.0]
    """

    def __init__(
        self, blank_index=-1, merge_repeated=True, scores=False, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.blank_index = int(blank_index)
        self.merge_repeated, self.scores = bool(merge_repeated), bool(scores)

    def blob_shape(self, shapes):
        values, begins = shapes
        pairs = zip(values, begins, strict=False)
        if (len(values), len(begins)) != (3, 2) or any(
            a != b and None not in (a, b) for a, b in pairs
        ):
            raise ValueError(
                "Expected blobs (T, N, C) and (T, N); received: "
                f"{tuple(values)} and {tuple(begins)}."
            )
        times, items, _ = values
        labels = (items, times, 1, 1)
        return [labels, (items, 1, 1, 1)] if self.scores else labels

    def compute(self, blobs):
        values, begins = blobs
        blank = self.blank_index if self.blank_index >= 0 else values.shape[2] - 1
        highest, labels = (ops.transpose(x) for x in _nms.highest(values))
        goes_on = ops.transpose(ops.cast(begins != 0, "int32"))
        first = ops.ones_like(goes_on[:, :1])
        read = ops.cumprod(ops.concatenate([first, goes_on[:, 1:]], 1), axis=1) > 0
        told = ops.logical_and(read, labels != blank)
        if self.merge_repeated:
            before = ops.concatenate([first * -1, labels[:, :-1]], 1)
            told = ops.logical_and(told, labels != before)
        at, there = _nms.first(told, ops.shape(values)[0])
        found = ops.where(there, ops.take_along_axis(labels, at, axis=1), -1)
        found = ops.cast(found, self.compute_dtype)[:, :, None, None]
        if not self.scores:
            return found
        scores = -ops.sum(ops.where(read, highest, 0.0), 1)
        return [found, scores[:, None, None, None]]

    def get_config(self):
        return {
            **super().get_config(),
            "blank_index": self.blank_index,
            "merge_repeated": self.merge_repeated,
            "scores": self.scores,
        }
