"""What the layers share that find YOLO's boxes."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.arithmetic.yolo import COORDINATES, candidates, check_options
from keras_caffe_zoo.layers import _nms
from keras_caffe_zoo.layers._blobs import is_list
from keras_caffe_zoo.layers._windows import known_shape


class Detections(keras.layers.Layer):
    """A layer that finds boxes in maps of predictions.

    Args:
        num_classes: Classes.
        biases: Width and height of each anchor, one after the other.
        num_box: Boxes in each cell.
        confidence_threshold: Scores that boxes must reach.
        nms_threshold: Intersection over union at which the lower score goes.
        max_detections: Most rows for an item; as many as there can be if not given.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.
    """

    mask = ()  # of each map, if it has anchors of its own

    def __init__(
        self,
        num_classes,
        biases,
        num_box,
        confidence_threshold=0.01,
        nms_threshold=0.45,
        max_detections=None,
        **kwargs,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # half precision moves corners by pixels
        super().__init__(**kwargs)
        self.num_classes, self.num_box = int(num_classes), int(num_box)
        self.biases = tuple(float(bias) for bias in biases)
        self.confidence_threshold = float(confidence_threshold)
        self.nms_threshold = float(nms_threshold)
        self.max_detections = None if max_detections is None else int(max_detections)
        check_options(self)

    def call(self, inputs):
        maps = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        keep = self.compute_output_shape([known_shape(x) for x in maps])[1]
        found = [self.found(self.predictions(x), at) for at, x in enumerate(maps)]
        boxes, scores, labels = (
            ops.concatenate(parts, 1) for parts in zip(*found, strict=True)
        )
        scores = ops.where(self.reaches(scores), scores, _nms.LOWEST)
        scores, order = _nms.best(scores, scores.shape[1])
        boxes = _nms.rows_at(boxes, order)
        stay = scores > _nms.LOWEST
        if self.nms_threshold <= 1:
            options = {"inclusive": True}
            stay = _nms.kept(boxes, stay, self.nms_threshold, keep, **options)
        return self._rows(boxes, scores, _nms.rows_at(labels, order), stay, keep)

    def predictions(self, x):
        """Return the predictions of a map as (N, H, W, boxes, values)."""
        _, height, width, _ = x.shape
        shape = (-1, height, width, self.num_box, COORDINATES + self.num_classes)
        return ops.reshape(ops.cast(x, "float32"), shape)

    def found(self, x, at):
        """Return boxes (N, K, 4), their scores (N, K) and labels, counted from 1.

        Args:
            x: The predictions of a map, (N, H, W, boxes, values).
            at: Which map.
        """
        raise NotImplementedError

    def reaches(self, scores):
        """Return which scores a box may have, as booleans."""
        return scores >= self.confidence_threshold

    def corners(self, x, anchors, scale):
        """Return the corners of all boxes, (N, K, 4).

        Args:
            x: The predictions, (N, H, W, boxes, values).
            anchors: Width and height of each box.
            scale: What one cell is of that.
        """
        height, width = x.shape[1:3]
        rows = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1, 1))
        columns = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1, 1))
        middle_x = (columns + ops.sigmoid(x[..., 0])) / width
        middle_y = (rows + ops.sigmoid(x[..., 1])) / height
        half_w = ops.exp(x[..., 2]) * anchors[::2] / (width * scale) / 2
        half_h = ops.exp(x[..., 3]) * anchors[1::2] / (height * scale) / 2
        corners = (
            middle_x - half_w,
            middle_y - half_h,
            middle_x + half_w,
            middle_y + half_h,
        )
        return in_line(ops.stack(corners, -1), 4)

    def _rows(self, boxes, scores, labels, stay, keep):
        index, there = _nms.first(stay, keep)
        values = ops.concatenate(
            [
                ops.stack([labels, scores], -1),
                boxes,
            ],
            -1,
        )
        values = _nms.rows_at(values, index)
        values = ops.where(ops.expand_dims(there, -1), values, -1.0)
        items = ops.arange(ops.shape(values)[0])
        items = ops.cast(ops.reshape(items, (-1, 1, 1)), "float32")
        items = items + ops.zeros_like(values[..., :1])
        return ops.concatenate([items, values], -1)

    def compute_output_shape(self, input_shape):
        shapes = input_shape if is_list(input_shape) else [input_shape]
        count = candidates(self, [caffe_shape(shape) for shape in shapes])
        return (shapes[0][0], min(count, self.max_detections or count), 7)

    def compute_output_spec(self, inputs):
        maps = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        shape = self.compute_output_shape([tuple(x.shape) for x in maps])
        return keras.KerasTensor(shape, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "biases": self.biases,
            "num_box": self.num_box,
            "confidence_threshold": self.confidence_threshold,
            "nms_threshold": self.nms_threshold,
            "max_detections": self.max_detections,
        }


def in_line(x, size):
    """Return (N, H, W, boxes, size) as (N, K, size)."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3], size))
