"""Detections of YOLO's nets."""

import keras
from keras import ops

from keras_caffe_zoo.layers import _nms
from keras_caffe_zoo.layers._blobs import is_list
from keras_caffe_zoo.layers._windows import known_shape

_COORDINATES = 5  # centre and size of a box, and whether there is anything in it


class _Detections(keras.layers.Layer):
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

    def __init__(
        self,
        num_classes,
        biases,
        num_box,
        confidence_threshold=0.01,
        nms_threshold=0.45,
        max_detections=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes, self.num_box = int(num_classes), int(num_box)
        self.biases = tuple(float(bias) for bias in biases)
        self.confidence_threshold = float(confidence_threshold)
        self.nms_threshold = float(nms_threshold)
        self.max_detections = None if max_detections is None else int(max_detections)
        if min(self.num_classes, self.num_box) < 1:
            raise ValueError(
                "Expected `num_classes` and `num_box` to be positive; received: "
                f"num_classes={num_classes}, num_box={num_box}."
            )
        if self.max_detections is not None and self.max_detections < 1:
            raise ValueError(
                "Expected `max_detections` to be positive, or None; received: "
                f"max_detections={max_detections}."
            )

    @property
    def channels(self) -> int:
        """Channels of a map."""
        return self.num_box * (_COORDINATES + self.num_classes)

    @property
    def rows_per_box(self) -> int:
        """How many rows a box can give."""
        return 1

    def call(self, inputs):
        maps = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        keep = self.compute_output_shape([known_shape(x) for x in maps])[1]
        found = [self.found(self._boxes(x), at) for at, x in enumerate(maps)]
        boxes, scores, labels = (
            ops.concatenate(parts, 1) for parts in zip(*found, strict=True)
        )
        scores = ops.where(self._reach(scores), scores, -float("inf"))
        scores, order = _nms.best(scores, scores.shape[1])
        boxes = _nms.rows_at(boxes, order)
        stay = scores > -float("inf")
        if self.nms_threshold <= 1:
            options = {"inclusive": True}
            stay = _nms.kept(boxes, stay, self.nms_threshold, keep, **options)
        return self._rows(boxes, scores, _nms.rows_at(labels, order), stay, keep)

    def _boxes(self, x):
        """Return the predictions of a map as (N, H, W, boxes, values)."""
        _, height, width, _ = x.shape
        shape = (-1, height, width, self.num_box, _COORDINATES + self.num_classes)
        return ops.reshape(ops.cast(x, "float32"), shape)

    def found(self, x, at):
        """Return boxes (N, K, 4), their scores (N, K) and labels, counted from 1.

        Args:
            x: The predictions of a map, (N, H, W, boxes, values).
            at: Which map.
        """
        raise NotImplementedError

    def _reach(self, scores):
        return scores >= self.confidence_threshold

    def _corners(self, x, anchors, scale):
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
        return _in_line(ops.stack(corners, -1), 4)

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

    def candidates(self, shapes) -> int:
        """Return how many rows maps of such shapes can give.

        Raises:
            ValueError: If the maps are none of predictions.
        """
        count = 0
        for shape in shapes:
            wanted = f"(N, H, W, {self.channels}) with known H and W"
            if len(shape) != 4 or shape[-1] != self.channels or None in shape[1:3]:
                raise ValueError(
                    f"Expected maps {wanted}, {self.num_box} boxes of {_COORDINATES} + "
                    f"{self.num_classes} values; received shape: {tuple(shape)}."
                )
            count += shape[1] * shape[2] * self.num_box * self.rows_per_box
        return count

    def compute_output_shape(self, input_shape):
        shapes = input_shape if is_list(input_shape) else [input_shape]
        count = self.candidates(shapes)
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


def _in_line(x, size):
    """Return (N, H, W, boxes, size) as (N, K, size)."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3], size))


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeYoloDetections(_Detections):
    """Find boxes as YOLOv2 does: MobileNet-YOLO's `YoloDetectionOutput` layer.

    Each cell (row j, column i) of a map of S x S cells has `num_box` boxes of 5 +
    `num_classes` values. Box n, with the sides of anchor n in cells, has its centre at
    `((i + sigmoid(x)) / S, (j + sigmoid(y)) / S)` and the sides `exp(w) * anchor / S`;
    its score is `sigmoid(objectness)` times the largest of the classes' softmax. Of
    boxes with a score of at least `confidence_threshold`, of whatever class, the better
    one of two stays if they overlap by `nms_threshold` or more.

    Args:
        num_classes: Classes.
        biases: Width and height of each anchor in cells, one after the other.
        num_box: Boxes in each cell.
        confidence_threshold: Scores that boxes must reach.
        nms_threshold: Intersection over union at which the lower score goes.
        max_detections: Most rows for an item; one for each box if not given.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        One or more `(N, S, S, num_box * (5 + num_classes))`; N may be unknown.

    Output shape:
        `(N, rows, 7)`: item, class from 1, score, x1, y1, x2, y2 by falling score, in
        parts of the image; then rows of the item and -1 for want of boxes.

    Raises:
        ValueError: On arguments or shapes that are not as above.

    Reference:
        The layer of that name in MobileNet-YOLO. It takes all items for one.
    """

    def __init__(self, num_classes, biases, num_box=5, **kwargs):
        super().__init__(num_classes, biases, num_box, **kwargs)
        if len(self.biases) < 2 * self.num_box:
            raise ValueError(
                f"Expected `biases` of two numbers for each of {self.num_box} boxes; "
                f"received: {len(self.biases)}."
            )

    def found(self, x, at):
        anchors = ops.convert_to_tensor(self.biases[: 2 * self.num_box], "float32")
        chances = ops.softmax(x[..., _COORDINATES:])
        scores = ops.sigmoid(x[..., 4]) * ops.max(chances, -1)
        labels = ops.cast(ops.argmax(chances, -1) + 1, "float32")
        boxes = self._corners(x, anchors, 1)
        return boxes, *(_in_line(y, 1)[..., 0] for y in (scores, labels))

    def candidates(self, shapes):
        for shape in shapes:
            if len(shape) == 4 and shape[1] != shape[2]:
                raise ValueError(
                    "Expected maps of as many rows as columns; received shape: "
                    f"{tuple(shape)}."
                )
        return super().candidates(shapes)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeYolov3Detections(_Detections):
    """Find boxes as YOLOv3 does: MobileNet-YOLO's `Yolov3DetectionOutput` layer.

    Each cell (row j, column i) of a map of H x W cells has `num_box` boxes of 5 +
    `num_classes` values. A box has its centre at `((i + sigmoid(x)) / W, (j +
    sigmoid(y)) / H)` and the sides `exp(w) * anchor / (W * scale)` and `exp(h) * anchor
    / (H * scale)`; each class with `sigmoid(objectness) * sigmoid(class)` above
    `confidence_threshold` makes a row. Of rows, of whatever class, the better one of
    two stays if they overlap by `nms_threshold` or more; so a box makes one row at
    most, unless the threshold is above 1.

    Args:
        num_classes: Classes.
        biases: Width and height of each anchor in pixels, one after the other.
        mask: For each map, its boxes' anchors, counted from 0.
        anchors_scale: For each map, pixels of a cell.
        confidence_threshold: Scores that boxes must be above.
        nms_threshold: Intersection over union at which the lower score goes.
        max_detections: Most rows for an item; if not given one for each box, or with a
            `nms_threshold` above 1 for each class of each box.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        As many `(N, H, W, boxes * (5 + num_classes))` as there are masks; N may be
        unknown.

    Output shape:
        `(N, rows, 7)`: item, class from 1, score, x1, y1, x2, y2 by falling score, in
        parts of the image; then rows of the item and -1 for want of boxes.

    Raises:
        ValueError: On arguments or shapes that are not as above.

    Reference:
        The layer of that name in MobileNet-YOLO. It takes all items for one, and makes
        several rows of a box that is too small for float32 to tell its sides apart.
    """

    def __init__(self, num_classes, biases, mask, anchors_scale, **kwargs):
        mask = tuple(tuple(int(anchor) for anchor in one) for one in mask)
        super().__init__(num_classes, biases, len(mask[0]) if mask else 0, **kwargs)
        self.mask = mask
        self.anchors_scale = tuple(int(scale) for scale in anchors_scale)
        anchors = range(len(self.biases) // 2)
        if any(len(one) != self.num_box for one in mask) or any(
            anchor not in anchors for one in mask for anchor in one
        ):
            raise ValueError(
                f"Expected `mask` of as many of {len(anchors)} anchors for each map; "
                f"received: mask={mask}."
            )
        if len(self.anchors_scale) != len(mask) or min(self.anchors_scale) < 1:
            raise ValueError(
                f"Expected a positive `anchors_scale` for each of {len(mask)} maps; "
                f"received: anchors_scale={self.anchors_scale}."
            )

    @property
    def rows_per_box(self):
        return 1 if self.nms_threshold <= 1 else self.num_classes

    def found(self, x, at):
        anchors = [self.biases[2 * i + side] for i in self.mask[at] for side in (0, 1)]
        anchors = ops.convert_to_tensor(anchors, "float32")
        boxes = self._corners(x, anchors, self.anchors_scale[at])
        scores = ops.sigmoid(x[..., 4:5]) * ops.sigmoid(x[..., _COORDINATES:])
        scores = _in_line(scores, self.num_classes)
        if self.rows_per_box == 1:
            labels = ops.cast(ops.argmax(scores, -1) + 1, "float32")
            return boxes, ops.max(scores, -1), labels
        labels = ops.arange(1, self.num_classes + 1, dtype="float32")
        labels = ops.reshape(labels + ops.zeros_like(scores), self._every(scores))
        boxes = ops.repeat(boxes, self.num_classes, axis=1)
        return boxes, ops.reshape(scores, self._every(scores)), labels

    @staticmethod
    def _every(scores):
        return (-1, scores.shape[1] * scores.shape[2])

    def _reach(self, scores):
        return scores > self.confidence_threshold

    def candidates(self, shapes):
        if len(shapes) != len(self.mask):
            raise ValueError(
                f"Expected {len(self.mask)} maps, one for each mask; received: "
                f"{len(shapes)}."
            )
        return super().candidates(shapes)

    def get_config(self):
        config = super().get_config()
        del config["num_box"]  # the masks tell
        return {**config, "mask": self.mask, "anchors_scale": self.anchors_scale}
