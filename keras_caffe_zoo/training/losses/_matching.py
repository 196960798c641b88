"""Which prior boxes learn which objects, as SSD's `MultiBoxLoss` decides it.

Nothing here has a gradient.
"""

from keras import ops

from keras_caffe_zoo.layers import _nms

_LEAST_OVERLAP = 1e-6  # of a pair that is one
NONE, IGNORED = -1, -2  # in place of the number of an object


def match(boxes, objects, used, threshold, *, within=False):
    """Return the object that each box is to find.

    First each object gets a box of its own, the best overlapping pair before the
    others; then each box that is left gets the object that it overlaps most.

    Args:
        boxes: (rows, R, 4): x1, y1, x2, y2.
        objects: (rows, G, 4).
        used: (rows, G) of bool: objects that are there.
        threshold: Least overlap of a pair of the second kind; `None` for no such.
        within: Whether boxes that leave the image find nothing, and are IGNORED.

    Returns:
        The number of each box's object, NONE or IGNORED, (rows, R) of int32; and the
        box's largest overlap.
    """
    overlaps = _nms.overlap(objects[:, :, None], boxes[:, None])  # (rows, G, R)
    count = ops.logical_and(used[:, :, None], overlaps > _LEAST_OVERLAP)
    if within:
        inside = ops.all(ops.logical_and(boxes >= 0, boxes <= 1), axis=-1)
        count = ops.logical_and(count, inside[:, None])
    overlaps = ops.where(count, overlaps, 0.0)
    most = ops.max(overlaps, axis=1)
    places = ops.arange(ops.shape(boxes)[1], dtype="int32")
    own = ops.equal(_one_each(overlaps)[:, :, None], places)
    found = ops.where(ops.any(own, axis=1), _first(own), NONE)
    if threshold is not None:
        near = ops.logical_and(most > 0, most >= threshold)
        nearest = ops.cast(ops.argmax(overlaps, axis=1), "int32")
        found = ops.where(ops.logical_and(found == NONE, near), nearest, found)
    if within:
        found = ops.where(inside, found, IGNORED)
    return found, most


def _first(own):
    return ops.cast(ops.argmax(ops.cast(own, "int32"), axis=1), "int32")


def _one_each(overlaps):
    """Return the box that each object gets for its own, (rows, G); -1 for none.

    Of the boxes of an object only the best G can matter, since the other objects take
    G - 1 at most.
    """
    values, places = _best_boxes(overlaps)
    numbers = ops.arange(ops.shape(overlaps)[1], dtype="int32")[None]
    beyond = ops.shape(overlaps)[1] + ops.shape(overlaps)[2]

    def is_open(open_, found):
        return ops.any(open_)

    def step(open_, found):
        # The best pair; of equal ones the first box's, then the first object's.
        best = ops.max(ops.where(open_, values, -1.0), axis=(1, 2), keepdims=True)
        pairs = ops.logical_and(open_, ops.equal(values, best))
        place = _least(ops.where(pairs, places, beyond))
        pairs = ops.logical_and(pairs, ops.equal(places, place))
        number = _least(ops.where(pairs, numbers[:, :, None], beyond))
        chosen = ops.equal(numbers, number[:, :, 0])
        found = ops.where(chosen, place[:, :, 0], found)
        other = ops.logical_not(chosen[:, :, None])
        left = ops.logical_and(ops.not_equal(places, place), other)
        return ops.logical_and(open_, left), found

    none = ops.zeros_like(places[:, :, 0]) - 1
    return ops.while_loop(is_open, step, (values > 0, none))[1]


def _least(numbers):
    return ops.min(numbers, axis=(1, 2), keepdims=True)


def _best_boxes(overlaps):
    """Return the overlaps of each object's best boxes, and which these are."""
    objects, boxes = overlaps.shape[1:]
    rows, most, size = ops.shape(overlaps)
    if objects is None:  # in TensorFlow, whose `top_k` keeps the order of equal ones
        values, places = ops.top_k(overlaps, ops.minimum(most, size))
        return values, ops.cast(places, "int32")
    flat = ops.reshape(overlaps, (-1, size if boxes is None else boxes))
    values, places = _nms.best(flat, objects)
    shape = (-1, objects, values.shape[1])
    return ops.reshape(values, shape), ops.reshape(places, shape)
