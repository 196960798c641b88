"""SSD's last layer: from offsets and probabilities to detections."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic.detections import check_options, labels_of, room
from keras_caffe_zoo.layers import _nms, _windows
from keras_caffe_zoo.layers._box_codes import decode

_NOBODY = np.iinfo("int32").max


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeDetectionOutput(keras.layers.Layer):
    """The detections of SSD: its `DetectionOutput` layer.

    Each prior box is moved and stretched by the offsets that the net predicts for it.
    Then, class by class, those with a score above the threshold are taken by falling
    score, `top_k` at most, and non-maximum suppression leaves those that do not overlap
    a better one; of all classes the `keep_top_k` best remain.

    Args:
        num_classes: Classes, the background among them.
        share_location: Whether the offsets are the same for all classes.
        background_label_id: The class that is nothing; -1 for none.
        nms_threshold: Intersection over union above which the lesser box goes.
        top_k: Candidates of each class; all if `None`.
        eta: What the threshold is multiplied by after each box that stays, while it is
            above 0.5.
        code_type: How offsets are meant: `"corner"`: added to the corners;
            `"corner_size"`: likewise, times the prior's width and height;
            `"center_size"`: added to the centre, times width and height, and the
            logarithm of what these are multiplied by.
        keep_top_k: Detections of each item. If `None` there is room for all that there
            can be: `top_k` (or all priors) of each class but the background.
        variance_encoded_in_target: Whether offsets are not to be multiplied by the
            priors' variances.
        confidence_threshold: Scores must be above it; no matter if `None`.
        clip: Whether corners are moved into the image, before boxes are compared.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        Offsets `(N, priors * 4)`, or `(N, priors * classes * 4)` if they are not
        shared; probabilities `(N, priors * classes)`; priors `(1, 2, priors * 4)`, as
        `CaffePriorBox` makes them.

    Output shape:
        `(N, keep_top_k, 7)`: item, label, score, x1, y1, x2, y2, corners as fractions
        of the image; by label and falling score. Rows that stand for no detection come
        last: (item, -1, -1, -1, -1, -1, -1). `keras_caffe_zoo.detections` leaves them
        out, which is what Caffe's blob holds.

    Raises:
        ValueError: If the arguments are not as above, or the inputs do not fit them.

    Reference:
        `DetectionOutput` of the SSD fork of Caffe. That fork cannot share locations
        without a background class; this layer then skips no class. `clip` is OpenCV's,
        whose face detector was published with it.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeDetectionOutput
        >>> priors = np.array([[[0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1], [0.1] * 8]])
        >>> offsets = np.zeros((1, 8))  # the priors are right as they are
        >>> scores = np.array([[0.25, 0.75, 1.0, 0.0]])  # background, class 1; twice
        >>> layer = CaffeDetectionOutput(2, keep_top_k=2, confidence_threshold=0.5)
        >>> np.asarray(layer([offsets, scores, priors])).tolist()
        [[[0.0, 1.0, 0.75, 0.0, 0.0, 0.5, 0.5],
          [0.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0]]]
    """

    def __init__(
        self,
        num_classes,
        share_location=True,
        background_label_id=0,
        nms_threshold=0.3,
        top_k=None,
        eta=1.0,
        code_type="corner",
        keep_top_k=None,
        variance_encoded_in_target=False,
        confidence_threshold=None,
        clip=False,
        **kwargs,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # half precision moves corners by pixels
        super().__init__(**kwargs)
        self.num_classes = int(num_classes)
        self.share_location = bool(share_location)
        self.background_label_id = int(background_label_id)
        self.nms_threshold, self.eta = float(nms_threshold), float(eta)
        self.top_k, self.code_type, self.keep_top_k = top_k, code_type, keep_top_k
        self.variance_encoded_in_target = bool(variance_encoded_in_target)
        self.confidence_threshold = confidence_threshold
        self.clip = bool(clip)
        check_options(self)
        self.labels = labels_of(self)

    def call(self, inputs):
        offsets, scores, priors = (ops.cast(x, "float32") for x in inputs)
        shapes = [_windows.known_shape(x) for x in inputs]
        _, rows, _ = self.compute_output_shape(shapes)
        if not rows:
            return ops.zeros((ops.shape(scores)[0], 0, 7), self.compute_dtype)
        size = shapes[2][2]
        count = ops.shape(priors)[2] // 4 if size is None else size // 4
        boxes = self._boxes(offsets, priors, count)
        scores, index = self._candidates(scores, count)
        boxes = self._boxes_at(boxes, index)
        stays = _nms.kept(
            ops.reshape(boxes, (-1, *boxes.shape[2:])),
            ops.reshape(scores, (-1, scores.shape[2])) > _nms.LOWEST,
            self.nms_threshold,
            rows,
            eta=self.eta,
        )
        scores = ops.where(ops.reshape(stays, ops.shape(scores)), scores, _nms.LOWEST)
        return ops.cast(self._rows(scores, boxes, rows), self.compute_dtype)

    def _boxes(self, offsets, priors, count):
        """Return the boxes that are predicted: (N, 1 or classes, priors, 4)."""
        corners, variances = (ops.reshape(priors[0, i], (-1, 4)) for i in (0, 1))
        if self.share_location:
            offsets = ops.reshape(offsets, (-1, 1, count, 4))
        else:
            offsets = ops.reshape(offsets, (-1, count, self.num_classes, 4))
            offsets = ops.transpose(offsets, (0, 2, 1, 3))
            offsets = ops.take(offsets, np.array(self.labels, "int32"), axis=1)
        if not self.variance_encoded_in_target:
            offsets = offsets * variances
        found = decode(offsets, corners, self.code_type)
        return ops.clip(found, 0, 1) if self.clip else found

    def _candidates(self, scores, count):
        """Return the best scores of each class, and whose: (N, classes, candidates).

        What is no candidate has the lowest score.
        """
        classes = len(self.labels)
        scores = ops.reshape(scores, (-1, count, self.num_classes))
        scores = ops.transpose(scores, (0, 2, 1))
        if classes < self.num_classes:
            scores = ops.take(scores, np.array(self.labels, "int32"), axis=1)
        if self.confidence_threshold is not None:
            above = scores > self.confidence_threshold
            scores = ops.where(above, scores, _nms.LOWEST)
        flat = ops.reshape(scores, (-1, count))
        values, index = _nms.best(flat, self.top_k or flat.shape[1])
        shape = (-1, classes, values.shape[1])
        return ops.reshape(values, shape), ops.reshape(index, shape)

    def _boxes_at(self, boxes, index):
        """Return boxes (N, 1 or classes, priors, 4) at places (N, classes, K)."""
        each = len(self.labels) if not self.share_location else 1
        rows = ops.reshape(boxes, (-1, ops.shape(boxes)[2], 4))
        columns = len(self.labels) // each * index.shape[2]
        found = _nms.rows_at(rows, ops.reshape(index, (-1, columns)))
        return ops.reshape(found, (-1, *index.shape[1:], 4))

    def _rows(self, scores, boxes, rows):
        """Return the best candidates of all classes as rows."""
        candidates = scores.shape[1] * scores.shape[2]
        flat = ops.reshape(scores, (-1, candidates))
        boxes = ops.reshape(boxes, (-1, candidates, 4))
        values, index = _nms.best(flat, rows)
        # Candidates stand by label, and those of one label by falling score.
        order = ops.sort(ops.where(values > _nms.LOWEST, index, _NOBODY), axis=1)
        there = order < _NOBODY
        order = ops.where(there, order, 0)
        labels = ops.repeat(np.array(self.labels, "float32"), scores.shape[2])
        found = [
            ops.take(labels, order, axis=0)[..., None],
            _nms.rows_at(flat[..., None], order),
            _nms.rows_at(boxes, order),
        ]
        found = ops.where(there[..., None], ops.concatenate(found, axis=-1), -1.0)
        items = ops.arange(ops.shape(flat)[0], dtype="float32")[:, None, None]
        items = ops.broadcast_to(items, (*ops.shape(order), 1))
        return ops.concatenate([items, found], axis=-1)

    def compute_output_shape(self, input_shape):
        shapes = [tuple(shape) for shape in input_shape]
        return (shapes[0][0], room(self, *shapes, self.name), 7)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        names = (
            "num_classes share_location background_label_id nms_threshold top_k eta "
            "code_type keep_top_k variance_encoded_in_target confidence_threshold clip"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
        }
