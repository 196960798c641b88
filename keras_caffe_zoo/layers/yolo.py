"""Detections of YOLO's nets."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.yolo import (
    COORDINATES,
    check_anchors,
    check_masks,
    rows_per_box,
)
from keras_caffe_zoo.layers import _nms
from keras_caffe_zoo.layers._yolo import Detections, in_line


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeYoloDetections(Detections):
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

    Example:
        >>> from keras_caffe_zoo.layers import CaffeYoloDetections
        >>> layer = CaffeYoloDetections(2, [0.5, 1.0], num_box=1)
        >>> x = np.zeros((1, 1, 1, 7))  # x, y, w, h, objectness and two classes
        >>> x[..., 6] = 100  # surely the second
        >>> np.asarray(layer(x)).tolist()  # in the middle, half as wide as the image
        [[[0.0, 2.0, 0.5, 0.25, 0.0, 0.75, 1.0]]]
    """

    def __init__(self, num_classes, biases, num_box=5, **kwargs) -> None:
        super().__init__(num_classes, biases, num_box, **kwargs)
        check_anchors(self)

    def found(self, x, at):
        anchors = ops.convert_to_tensor(self.biases[: 2 * self.num_box], "float32")
        chances, labels = _nms.highest(ops.softmax(x[..., COORDINATES:]))
        scores = ops.sigmoid(x[..., 4]) * chances
        labels = ops.cast(labels + 1, "float32")
        boxes = self.corners(x, anchors, 1)
        return boxes, *(in_line(y, 1)[..., 0] for y in (scores, labels))


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeYolov3Detections(Detections):
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

    Example:
        >>> from keras_caffe_zoo.layers import CaffeYolov3Detections
        >>> layer = CaffeYolov3Detections(1, [16, 32], mask=[[0]], anchors_scale=[32])
        >>> y = layer([np.zeros((1, 1, 1, 6))])  # x, y, w, h, objectness and the class
        >>> np.asarray(y).tolist()  # the score is a half of a half
        [[[0.0, 1.0, 0.25, 0.25, 0.0, 0.75, 1.0]]]
    """

    def __init__(self, num_classes, biases, mask, anchors_scale, **kwargs) -> None:
        mask = tuple(tuple(int(anchor) for anchor in one) for one in mask)
        super().__init__(num_classes, biases, len(mask[0]) if mask else 0, **kwargs)
        self.mask = mask
        self.anchors_scale = tuple(int(scale) for scale in anchors_scale)
        check_masks(self)

    def found(self, x, at):
        anchors = [self.biases[2 * i + side] for i in self.mask[at] for side in (0, 1)]
        anchors = ops.convert_to_tensor(anchors, "float32")
        boxes = self.corners(x, anchors, self.anchors_scale[at])
        scores = ops.sigmoid(x[..., 4:5]) * ops.sigmoid(x[..., COORDINATES:])
        scores = in_line(scores, self.num_classes)
        if rows_per_box(self) == 1:
            scores, labels = _nms.highest(scores)
            return boxes, scores, ops.cast(labels + 1, "float32")
        labels = ops.arange(1, self.num_classes + 1, dtype="float32")
        labels = ops.reshape(labels + ops.zeros_like(scores), self._every(scores))
        boxes = ops.repeat(boxes, self.num_classes, axis=1)
        return boxes, ops.reshape(scores, self._every(scores)), labels

    @staticmethod
    def _every(scores):
        return (-1, scores.shape[1] * scores.shape[2])

    def reaches(self, scores):
        return scores > self.confidence_threshold

    def get_config(self):
        config = super().get_config()
        del config["num_box"]  # the masks tell
        return {**config, "mask": self.mask, "anchors_scale": self.anchors_scale}
