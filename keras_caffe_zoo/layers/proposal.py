"""Where objects may be, of a network that scores boxes at each place of a map."""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.arithmetic.regions import anchors, check_proposals
from keras_caffe_zoo.layers._nms import LOWEST, best, first, kept, rows_at
from keras_caffe_zoo.layers._regions import check_sizes
from keras_caffe_zoo.layers._windows import known_shape


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeProposal(keras.layers.Layer):
    """The best boxes of a region proposal network, py-faster-rcnn's and PVANet's.

    Each place of the map has a box, an anchor, for each ratio and scale around it. Its
    prediction moves and stretches it; what is left of it in the image is a proposal.
    The best `pre_nms_topn` by score go through non-maximum suppression, and the best
    `post_nms_topn` of the rest are returned, by falling score.

    Args:
        feat_stride: Pixels of the image from one place of the map to the next.
        base_size: Side in pixels of the anchor of ratio and scale 1.
        ratios: Height by width of the anchors.
        scales: Sizes of the anchors, in `base_size`.
        min_size: Least height and width, in pixels of the image before it was scaled.
        pre_nms_topn: How many boxes are compared; 0 for all.
        post_nms_topn: How many are returned; 0 for as many as there are.
        nms_thresh: Intersection over union above which the lower box goes.
        drop_small: What becomes of smaller boxes than `min_size`: they go, as in
            py-faster-rcnn's Python layer; or, if false, they have the score 0, as in
            the C++ layers, so that they fill the places that others leave.
        with_scores: Whether the scores are an output, too.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        A list: the scores `(N, H, W, 2 * A)` of A anchors, those of a background
        before those of objects; the predictions `(N, H, W, 4 * A)`; and for each item,
        or for all of them, height and width in pixels, and by how much the image was
        scaled, once or for height and width: `(N, 3)`, `(N, 4)`, `(1, 3)`, `(1, 4)`.
        Of 6 values, as PVANet has them, the first 4 count.
        N, H and W may be unknown.

    Output shape:
        `(N * post_nms_topn, 5)`: item, x1, y1, x2, y2 in pixels, always float32. The
        rows of an item follow one another; those that it has no proposal for stand
        last, with the item -1 and the rest 0. With scores a list: then also
        `(N * post_nms_topn, 1)` if `drop_small`, `(N * post_nms_topn,)` if not, -1
        where there is no proposal.

    Raises:
        ValueError: On arguments or shapes that are not as above.

    Reference:
        S. Ren et al., "Faster R-CNN" (2015), section 3.1; `rpn.proposal_layer` of
        rbgirshick/py-faster-rcnn, `Proposal` of sanghoon/caffe. These take one item.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeProposal
        >>> layer = CaffeProposal(ratios=[1], scales=[1], post_nms_topn=3)
        >>> scores = np.array([[0.75, 0.25], [0.5, 0.5]]).reshape(1, 1, 2, 2)
        >>> image = np.array([[40.0, 40.0, 1.0]])  # height, width, not scaled
        >>> y = layer([scores, np.zeros((1, 1, 2, 4)), image])  # the anchors, not moved
        >>> np.asarray(y).tolist()  # 17 pixels wide, as py-faster-rcnn's are
        [[0.0, 16.0, 0.0, 32.0, 16.0], [0.0, 0.0, 0.0, 16.0, 16.0],
         [-1.0, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        feat_stride=16,
        base_size=16,
        ratios=(0.5, 1.0, 2.0),
        scales=(8.0, 16.0, 32.0),
        min_size=16,
        pre_nms_topn=6000,
        post_nms_topn=300,
        nms_thresh=0.7,
        drop_small=True,
        with_scores=False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs, autocast=False)
        check_sizes(self, feat_stride=feat_stride, base_size=base_size)
        self.feat_stride, self.base_size = feat_stride, base_size
        self.ratios = tuple(float(ratio) for ratio in ratios)
        self.scales = tuple(float(scale) for scale in scales)
        if not self.ratios or not self.scales or min(*self.ratios, *self.scales) <= 0:
            raise ValueError(
                f"Expected positive `ratios` and `scales` for layer '{self.name}'; "
                f"received: ratios={self.ratios}, scales={self.scales}."
            )
        self.min_size, self.nms_thresh = float(min_size), float(nms_thresh)
        self.pre_nms_topn = max(int(pre_nms_topn), 0)
        self.post_nms_topn = max(int(post_nms_topn), 0)
        self.drop_small, self.with_scores = bool(drop_small), bool(with_scores)

    @property
    def _anchors_at_a_place(self):
        return len(self.ratios) * len(self.scales)

    def call(self, inputs):
        self.compute_output_shape([known_shape(x) for x in inputs])  # raises: no fit
        scores, moves, info = (
            ops.stop_gradient(ops.cast(x, "float32")) for x in inputs
        )
        items = ops.shape(scores)[0]
        known = known_shape(scores)
        count = self._count(known)
        if count is None:
            _, height, width, _ = ops.shape(scores)
            count = height * width * self._anchors_at_a_place
        boxes, large = self._boxes(moves, info)
        flat = (items, -1) if None in known[1:3] else (items, count)
        scores = ops.reshape(scores[..., self._anchors_at_a_place :], flat)
        lowest = LOWEST if self.drop_small else 0.0
        scores = ops.where(large, scores, lowest)
        scores, index = best(scores, self.pre_nms_topn or count)
        boxes = rows_at(boxes, index)
        return self._returned(boxes, scores, items, self.post_nms_topn or count)

    def _boxes(self, moves, info):
        """Return the anchors as predicted, (N, all, 4), and which are large enough."""
        items, height, width, _ = ops.shape(moves)
        at, to = self._anchors(height, width), ops.reshape(moves, (items, -1, 4))
        sizes = at[:, 2:] - at[:, :2] + 1
        centres = to[..., :2] * sizes + (at[:, :2] + 0.5 * sizes)
        half = 0.5 * (ops.exp(to[..., 2:]) * sizes)
        limits = _of_x_and_y(info[:, :2]) - 1
        corners = [
            ops.maximum(ops.minimum(corner, limits), 0)
            for corner in (centres - half, centres + half)
        ]
        extents = corners[1] - corners[0] + 1
        large = extents >= self.min_size * _of_x_and_y(info[:, 2:4])
        large = ops.all(large, axis=-1)
        return ops.concatenate(corners, axis=-1), large

    def _anchors(self, height, width):
        """Return all anchors, by row, column and kind: (height * width * A, 4)."""
        kinds = anchors(self.base_size, self.ratios, self.scales)
        kinds = ops.convert_to_tensor(kinds)
        x, y = (
            ops.cast(ops.arange(size, dtype="int32") * self.feat_stride, "float32")
            for size in (width, height)
        )
        x, y = (axis[..., None] for axis in ops.meshgrid(x, y))
        shift = ops.concatenate([x, y, x, y], axis=-1)
        return ops.reshape(shift[:, :, None] + kinds, (-1, 4))

    def _returned(self, boxes, scores, items, most):
        stay = kept(boxes, scores > LOWEST, self.nms_thresh, most, pixel=1.0)
        index, there = self._first(stay, most)
        item = ops.cast(ops.arange(items, dtype="int32"), "float32")[:, None]
        item = ops.where(there, item, -1.0)
        corners = ops.where(there[..., None], rows_at(boxes, index), 0.0)
        rois = ops.concatenate([item[..., None], corners], axis=-1)
        rois = ops.reshape(rois, (-1, 5))
        if not self.with_scores:
            return rois
        scores = ops.where(there, rows_at(scores, index), -1.0)
        return [rois, ops.reshape(scores, (-1, 1) if self.drop_small else (-1,))]

    @staticmethod
    def _first(stay, most):
        """Return the first places that stay, filled up to so many."""
        known = stay.shape[1]
        if isinstance(most, int) and (known is None or known < most):
            lack = ops.zeros_like(stay[:, :1])
            lack = ops.repeat(lack, most if known is None else most - known, axis=1)
            stay = ops.concatenate([stay, lack], axis=1)
        index, there = first(stay, most)
        return ops.where(there, index, 0), there

    def _count(self, shape):
        """Return how many anchors an item has, `None` if that is not known."""
        height, width = shape[1:3]
        if height is None or width is None:
            return None
        return height * width * self._anchors_at_a_place

    def compute_output_shape(self, input_shape):
        shapes = [caffe_shape(shape) for shape in input_shape]
        check_proposals(*shapes, self._anchors_at_a_place, self.name)
        scores = tuple(input_shape[0])
        count = self.post_nms_topn or self._count(scores)
        rows = None if None in (scores[0], count) else scores[0] * count
        if not self.with_scores:
            return (rows, 5)
        return [(rows, 5), (rows, 1) if self.drop_small else (rows,)]

    def compute_output_spec(self, inputs):
        shapes = self.compute_output_shape([x.shape for x in inputs])
        if not self.with_scores:
            return keras.KerasTensor(shapes, "float32")
        return [keras.KerasTensor(shape, "float32") for shape in shapes]

    def get_config(self):
        config = super().get_config()
        config.pop("autocast", None)
        names = """feat_stride base_size ratios scales min_size pre_nms_topn
            post_nms_topn nms_thresh drop_small with_scores"""
        return {**config, **{name: getattr(self, name) for name in names.split()}}


def _of_x_and_y(values):
    """Return values of y and x, or one of both, as those of x and y: (N, 1, 2 or 1)."""
    return ops.flip(values, axis=-1)[:, None]
