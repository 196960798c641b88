"""The loss that SSD is trained with."""

import inspect

import keras
from keras import ops

from keras_caffe_zoo.layers._box_codes import decode, encode
from keras_caffe_zoo.training.losses import _matching, _mining
from keras_caffe_zoo.training.losses._base import (
    CaffeLoss,
    divisor,
    with_gradient_of,
)
from keras_caffe_zoo.training.losses._multibox_options import check_options
from keras_caffe_zoo.training.losses._objects import read_objects
from keras_caffe_zoo.training.losses.softmax import log_softmax
from keras_caffe_zoo.training.losses.targets import sigmoid_cross_entropy, smooth_l1


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class MultiBoxLoss(CaffeLoss):
    """SSD's loss: of the boxes that its priors become, and of what is in them.

    Each object gets the prior box that overlaps it most for its own, then all priors
    that overlap an object enough learn the one that they overlap most: its class, and
    the offsets from the prior to its box. Of the other priors, which learn that there
    is nothing, only those with the largest losses count. An image without objects
    counts for nothing, unless `mining_type` is `"none"`.

    Args:
        num_classes: Classes, the background among them.
        share_location: Whether the offsets are the same for all classes; must be, but
            without mining.
        match_type: `"per_prediction"`, or `"bipartite"`: each object has one prior.
        overlap_threshold: Intersection over union that is enough.
        use_prior_for_matching: Whether it is the priors that must overlap objects, and
            not the boxes that the net makes of them.
        background_label_id: The class that is nothing.
        use_difficult_gt: Whether objects count that are marked as difficult.
        mining_type: `"max_negative"`; `"hard_example"`: of all priors, also of those
            with objects, only those with the largest losses count; `"none"`: all do.
        neg_pos_ratio: How many priors without objects count at most, in an image, for
            each that has one. Of `"max_negative"`, like the next.
        neg_overlap: Those count that overlap objects less than that.
        sample_size: How many priors count in an image, of `"hard_example"`.
        nms_threshold: If given, priors only count that do not overlap one with a
            larger loss more than that.
        nms_top_k: How many are looked at for that; all if `None`.
        use_prior_for_nms: Whether it is priors that must not overlap, and not the
            boxes that the net makes of them.
        code_type: How boxes are offsets, as of `CaffeDetectionOutput`.
        encode_variance_in_target: Whether offsets are not divided by the variances.
            Their loss then is, and its gradient, as in the fork, is not.
        ignore_cross_boundary_bbox: Whether priors that leave the image learn nothing.
        bp_inside: Whether no side is learnt that is outside of the image.
        map_object_to_agnostic: Whether all objects are of class 1, the only one.
        loc_loss_type: `"smooth_l1"`, or `"l2"`: half the squared difference.
        conf_loss_type: `"softmax"`, or `"logistic"`: each class by itself.
        loc_weight: What the loss of offsets is multiplied with.
        normalization: What the sum is divided by: `"valid"`, the number of priors with
            objects that count; `"full"`, of all priors of all images; `"batch_size"`,
            of images; `"none"`, 1. Never by less than 1.
        name: Its name.

    Inputs:
        Objects (N, G, 8): item, class, instance, x1, y1, x2, y2, difficult, corners as
        fractions of the image; of these only class, corners and difficult matter.
        Rows that stand for no object have an item of -1, a class below 0, or that of
        the background: images with fewer objects are filled up with such. A class that
        is none, or a corner that is no number, makes the loss NaN. `box_targets` makes
        them of Caffe's blob.

        Predictions (N, priors, 4 + classes + 8), as `CaffeMultiBox` makes them. A
        sample weight multiplies the share of an image.

    Raises:
        ValueError: If the arguments are not as above, or the inputs do not fit them.

    Reference:
        Liu et al., 2016; `MultiBoxLoss` of the SSD fork of Caffe. Its `"logistic"` is
        reproduced where it is odd: without mining, the targets of an item begin where
        one target for each prior of those before it would end; a `background_label_id`
        other than 0 is the target of every class that is not to be found.

    Example:
        >>> objects = np.array([[[0, 1, 0, 0, 0, 0.5, 0.5, 0]]])
        >>> priors = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
        >>> y = np.zeros((1, 2, 4 + 2 + 8))  # offsets, scores of two classes, priors
        >>> y[0, :, 6:10], y[0, :, 10:] = priors, 0.1
        >>> loss = kcz.training.MultiBoxLoss(num_classes=2)
        >>> round(float(loss(objects, y)), 3)  # 2 log 2: right boxes, both classes open
        1.386
    """

    def __init__(
        self,
        num_classes,
        share_location=True,
        match_type="per_prediction",
        overlap_threshold=0.5,
        use_prior_for_matching=True,
        background_label_id=0,
        use_difficult_gt=True,
        mining_type="max_negative",
        neg_pos_ratio=3.0,
        neg_overlap=0.5,
        sample_size=64,
        nms_threshold=None,
        nms_top_k=None,
        use_prior_for_nms=False,
        code_type="corner",
        encode_variance_in_target=False,
        ignore_cross_boundary_bbox=False,
        bp_inside=False,
        map_object_to_agnostic=False,
        loc_loss_type="smooth_l1",
        conf_loss_type="softmax",
        loc_weight=1.0,
        normalization="valid",
        name=None,
    ) -> None:
        super().__init__(name=name)
        self.num_classes = int(num_classes)
        self.share_location = bool(share_location)
        self.match_type = match_type
        self.overlap_threshold = float(overlap_threshold)
        self.use_prior_for_matching = bool(use_prior_for_matching)
        self.background_label_id = int(background_label_id)
        self.use_difficult_gt = bool(use_difficult_gt)
        self.mining_type = mining_type
        self.neg_pos_ratio = float(neg_pos_ratio)
        self.neg_overlap = float(neg_overlap)
        self.sample_size = int(sample_size)
        self.nms_threshold = None if nms_threshold is None else float(nms_threshold)
        self.nms_top_k = None if nms_top_k is None else int(nms_top_k)
        self.use_prior_for_nms = bool(use_prior_for_nms)
        self.code_type = code_type
        self.encode_variance_in_target = bool(encode_variance_in_target)
        self.ignore_cross_boundary_bbox = bool(ignore_cross_boundary_bbox)
        self.bp_inside = bool(bp_inside)
        self.map_object_to_agnostic = bool(map_object_to_agnostic)
        self.loc_loss_type, self.conf_loss_type = loc_loss_type, conf_loss_type
        self.loc_weight, self.normalization = float(loc_weight), normalization
        check_options(self, _OPTIONS)

    def call(self, y_true, y_pred):
        offsets, scores, priors = self._parts(y_pred)
        any_class = self.map_object_to_agnostic and self.mining_type == "none"
        objects = read_objects(
            y_true,
            self.background_label_id,
            None if any_class else self.num_classes,
            self.use_difficult_gt,
        )
        found, overlaps = self._matches(offsets, priors, objects)
        of_offsets = self._of_offsets(offsets, priors, objects, found)
        has = found >= 0  # (N, 1 or classes, priors)
        if self.mining_type == "none":
            of_scores = self._of_all_scores(scores, objects, found)
        else:
            labels = self._labels(objects, found)
            costs = self._of_scores(scores, labels)
            if self.mining_type == "hard_example":
                costs = costs + of_offsets[:, 0]
            boxes = priors[..., :4]
            if self.nms_threshold is not None and not self.use_prior_for_nms:
                boxes = self._boxes(offsets, priors)[:, 0]
            has, counts = self._mined(
                costs, boxes, objects, found[:, 0], overlaps[:, 0]
            )
            of_scores = self._of_scores(scores, labels, self.background_label_id)
            of_scores = ops.where(counts, of_scores, 0.0)
        of_offsets = ops.sum(ops.where(has, of_offsets, 0.0), axis=1)
        values = self.loc_weight * of_offsets + of_scores
        values = ops.where(objects.wrong, float("nan"), values)
        counted = ops.sum(ops.cast(has, "int32"), axis=1)
        return (values / divisor(self.normalization, counted, values.dtype))[..., None]

    def _parts(self, y_pred):
        """Return offsets (N, 1 or classes, priors, 4), scores, and priors (…, 8)."""
        each = 1 if self.share_location else self.num_classes
        width = 4 * each + self.num_classes + 8
        if len(y_pred.shape) != 3 or y_pred.shape[2] != width:
            raise ValueError(
                f"Expected predictions (N, priors, {width}) for MultiBoxLoss, as "
                f"CaffeMultiBox makes them; received shape: {tuple(y_pred.shape)}."
            )
        offsets = y_pred[..., : 4 * each]
        offsets = ops.reshape(offsets, (*ops.shape(offsets)[:2], each, 4))
        scores = y_pred[..., 4 * each : 4 * each + self.num_classes]
        priors = ops.stop_gradient(y_pred[..., -8:])
        return ops.transpose(offsets, (0, 2, 1, 3)), scores, priors

    def _boxes(self, offsets, priors):
        """Return the boxes that are predicted, without a gradient."""
        offsets = ops.stop_gradient(offsets)
        if not self.encode_variance_in_target:
            offsets = offsets * priors[:, None, :, 4:]
        return decode(offsets, priors[:, None, :, :4], self.code_type)

    def _matches(self, offsets, priors, objects):
        """Return the object of each prior (for each class), and the largest overlap."""
        threshold = (
            self.overlap_threshold if self.match_type == "per_prediction" else None
        )
        options = {"within": self.ignore_cross_boundary_bbox}
        classes = ops.arange(self.num_classes, dtype="int32")
        if self.use_prior_for_matching or self.share_location:
            boxes = priors[..., :4]
            if not self.use_prior_for_matching:
                boxes = self._boxes(offsets, priors)[:, 0]
            given = (boxes, objects.corners, objects.used, threshold)
            found, most = _matching.match(*given, **options)
            found, most = found[:, None], most[:, None]
            if not self.share_location:
                labels = objects.labels_of(found)
                there = ops.logical_and(found >= 0, labels == classes[None, :, None])
                found = ops.where(there, found, _matching.NONE)
            return found, most
        boxes = self._boxes(offsets, priors)
        count = ops.shape(objects.labels)[1]
        own = ops.equal(objects.labels[:, None], classes[None, :, None])
        used = ops.logical_and(objects.used[:, None], own)
        corners = ops.repeat(objects.corners, self.num_classes, axis=0)
        found, most = _matching.match(
            ops.reshape(boxes, (-1, ops.shape(boxes)[2], 4)),
            corners,
            ops.reshape(used, (-1, count)),
            threshold,
            **options,
        )
        shape = ops.shape(boxes)[:3]
        return ops.reshape(found, shape), ops.reshape(most, shape)

    def _of_offsets(self, offsets, priors, objects, found):
        """Return the loss of each prior's offsets, of those that have an object."""
        corners, variances = priors[:, None, :, :4], priors[:, None, :, 4:]
        boxes = ops.where((found >= 0)[..., None], objects.corners_of(found), corners)
        wanted = encode(boxes, corners, self.code_type) / variances
        given = offsets
        if self.encode_variance_in_target:
            # The fork gives back the gradient of the quotient as that of the offset.
            given = with_gradient_of(offsets, offsets / variances)
        counts = (found >= 0)[..., None]
        if self.bp_inside:
            sides = (
                corners if self.use_prior_for_matching else self._boxes(offsets, priors)
            )
            inside = ops.logical_and(sides >= 0, sides <= 1)
            counts = ops.logical_and(counts, inside)
        difference = ops.where(counts, given - wanted, 0.0)
        if self.loc_loss_type == "l2":
            return ops.sum(0.5 * ops.square(difference), axis=-1)
        return ops.sum(smooth_l1(difference), axis=-1)

    def _labels(self, objects, found):
        """Return the class of each prior, the background's where it has no object."""
        labels = ops.where(found >= 0, objects.labels_of(found), -1)
        labels = ops.max(labels, axis=1)  # the last of several
        if self.map_object_to_agnostic:
            labels = ops.minimum(labels, 1)
        return ops.where(labels >= 0, labels, self.background_label_id)

    def _of_scores(self, scores, labels, others=0):
        """Return the loss of each prior's scores, if it counted.

        Args:
            scores: (N, priors, classes).
            labels: (N, priors).
            others: The target of the other classes, if each is by itself.
        """
        targets = ops.one_hot(labels, self.num_classes, dtype=scores.dtype)
        if self.conf_loss_type == "softmax":
            return -ops.sum(targets * log_softmax(scores), axis=-1)
        targets = ops.where(targets > 0, targets, float(others))
        return ops.sum(sigmoid_cross_entropy(targets, scores), axis=-1)

    def _of_all_scores(self, scores, objects, found):
        """Return the loss of each prior's scores where nothing is mined."""
        labels = self._labels(objects, found)
        if self.conf_loss_type == "softmax":
            return self._of_scores(scores, labels)
        items, count, classes = ops.shape(scores)
        if self.share_location:
            targets = ops.one_hot(labels, classes, dtype="int32")
            targets = ops.where(ops.transpose(found, (0, 2, 1)) >= 0, targets, 0)
        else:
            targets = ops.cast(ops.transpose(found, (0, 2, 1)) >= 0, "int32")
        # As the fork does it: targets of an item begin one place for each prior behind
        # those of the item before, not one for each of its classes.
        rows = ops.reshape(targets, (items * classes, count))
        places = ops.arange(items * classes, dtype="int32")
        places = places // classes + places % classes
        shape = (items * classes, count)
        rows = ops.scatter(places[:, None], rows, shape) > 0
        targets = ops.where(rows, 1.0, float(self.background_label_id))
        targets = ops.reshape(targets, (items, count, classes))
        return ops.sum(sigmoid_cross_entropy(targets, scores), axis=-1)

    def _mined(self, costs, boxes, objects, found, overlaps):
        """Return which priors learn boxes, (N, 1, priors), and which learn classes."""
        costs = ops.stop_gradient(costs)
        has = found >= 0
        eligible = ops.any(objects.used, axis=1, keepdims=True)
        if self.mining_type == "max_negative":
            free = ops.logical_and(found == _matching.NONE, overlaps < self.neg_overlap)
            eligible = ops.logical_and(eligible, free)
            count = ops.cast(ops.sum(ops.cast(has, "int32"), axis=1), "float32")
            most = ops.trunc(count * self.neg_pos_ratio)[:, None]
        else:
            eligible = ops.logical_and(eligible, ops.ones_like(has))
            most = self.sample_size
        if self.nms_threshold is not None:
            eligible = _mining.surviving(
                boxes, costs, eligible, self.nms_threshold, self.nms_top_k
            )
        ranks = ops.cast(_mining.rank(costs, eligible), "float32")
        chosen = ops.logical_and(eligible, ranks < most)
        if self.mining_type == "hard_example":
            has = ops.logical_and(has, chosen)
        negative = ops.logical_and(chosen, ops.equal(found, _matching.NONE))
        return has[:, None], ops.logical_or(has, negative)

    def get_config(self):
        options = {option: getattr(self, option) for option in _OPTIONS}
        return {**super().get_config(), **options}


_OPTIONS = tuple(inspect.signature(MultiBoxLoss.__init__).parameters)[1:-1]
