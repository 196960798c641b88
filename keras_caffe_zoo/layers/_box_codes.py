"""How SSD writes a box as four offsets from a prior box, and reads it again."""

from keras import ops


def decode(offsets, priors, code_type):
    """Return the boxes that offsets from prior boxes stand for.

    Args:
        offsets: (…, 4), times the variances if these are not in them.
        priors: (…, 4), which may broadcast: x1, y1, x2, y2.
        code_type: One of `arithmetic.boxes.CODE_TYPES`.
    """
    if code_type == "corner":
        return priors + offsets
    size = priors[..., 2:] - priors[..., :2]
    if code_type == "corner_size":
        return priors + offsets * ops.concatenate([size, size], axis=-1)
    centre = _centre(priors) + offsets[..., :2] * size
    half = ops.exp(offsets[..., 2:]) * size / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def encode(boxes, priors, code_type):
    """Return the offsets of boxes from prior boxes, not divided by variances.

    Args:
        boxes: (…, 4): x1, y1, x2, y2.
        priors: Likewise, which may broadcast.
        code_type: One of `arithmetic.boxes.CODE_TYPES`.
    """
    if code_type == "corner":
        return boxes - priors
    size = priors[..., 2:] - priors[..., :2]
    if code_type == "corner_size":
        return (boxes - priors) / ops.concatenate([size, size], axis=-1)
    moved = (_centre(boxes) - _centre(priors)) / size
    grown = (boxes[..., 2:] - boxes[..., :2]) / size
    return ops.concatenate([moved, ops.log(grown)], axis=-1)


def _centre(boxes):
    return (boxes[..., :2] + boxes[..., 2:]) / 2
