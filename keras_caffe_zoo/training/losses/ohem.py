"""Which regions R-FCN learns from: those with the largest losses."""

from keras import ops


def box_annotator_ohem(
    rois, loss, labels, weights, roi_per_img: int, ignore_label: int = -1
):
    """Return labels and weights of the regions with the largest losses of each image.

    R-FCN computes the losses of all regions, keeps with this the labels of some, and
    takes the losses again that it learns from.

    Args:
        rois: (R, 5): the image of each region, and its corners.
        loss: (R,), or (R, H, W): the loss of each place of each region.
        labels: Likewise.
        weights: (R, C), or (R, H, W, C).
        roi_per_img: How many of each image stay; of equal losses the first.
        ignore_label: The label of the others, whose weights become 0.

    Returns:
        Labels and weights, of the shapes they had.

    Raises:
        ValueError: If there is not one label, or not one region, for each loss.

    Reference:
        Shrivastava et al., 2016; `BoxAnnotatorOHEM` of R-FCN's fork of Caffe.

    Example:
        >>> rois = np.zeros((3, 5))  # all of the first image
        >>> loss, labels = np.array([0.1, 2.0, 1.0]), np.array([4, 5, 6])
        >>> labels, weights = kcz.training.box_annotator_ohem(
        ...     rois, loss, labels, np.ones((3, 4)), roi_per_img=2
        ... )
        >>> np.asarray(labels).tolist(), np.asarray(weights)[:, 0].tolist()
        ([-1, 5, 6], [0.0, 1.0, 1.0])
    """
    rois, loss, labels, weights = (
        ops.convert_to_tensor(x) for x in (rois, loss, labels, weights)
    )
    places = tuple(loss.shape)
    if (
        tuple(labels.shape) != places
        or tuple(weights.shape[:-1]) != places
        or tuple(rois.shape[:1]) != places[:1]
    ):
        raise ValueError(
            "Expected rois (R, 5), a loss and a label for each place, and weights with "
            f"one more axis; received shapes: {tuple(rois.shape)}, {places}, "
            f"{tuple(labels.shape)}, {tuple(weights.shape)}."
        )
    costs = ops.reshape(loss, (-1,))
    each = ops.size(loss) // ops.shape(rois)[0]
    images = ops.repeat(ops.cast(rois[:, 0], "int32"), each)
    numbers = ops.arange(ops.size(loss))
    before = ops.logical_and(costs[None] == costs[:, None], numbers < numbers[:, None])
    before = ops.logical_or(before, costs[None] > costs[:, None])
    before = ops.logical_and(before, images[None] == images[:, None])
    rank = ops.sum(ops.cast(before, "int32"), axis=1)
    stays = ops.reshape(rank < roi_per_img, ops.shape(loss))
    labels = ops.where(stays, labels, ops.cast(ignore_label, labels.dtype))
    return labels, ops.where(stays[..., None], weights, 0)
