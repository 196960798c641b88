"""What the layers share that look at regions of interest.

A region is a row (item, x1, y1, x2, y2) of an array (R, 5), in pixels of the image.
Rows of a negative item stand for no region: what is made of them is 0.
"""

import keras
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.arithmetic.regions import check_regions
from keras_caffe_zoo.layers._windows import known_shape


class RegionLayer(keras.layers.Layer):
    """A layer that pools regions of a map: inputs are the map and the regions.

    Regions are numbers of pixels that half precision would spoil, so that they are
    float32 whatever the layer computes in. They have no gradient.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs, autocast=False)

    def call(self, inputs):
        self.compute_output_shape([known_shape(x) for x in inputs])  # raises: no fit
        maps, rois = inputs
        maps = ops.cast(maps, self.compute_dtype)
        rois = ops.stop_gradient(ops.cast(rois, "float32"))
        return self.pool(maps, rois)

    def pool(self, maps, rois):
        """Return what is pooled of each region, (R, height, width, channels).

        Args:
            maps: (N, H, W, C).
            rois: (R, 5) of float32.
        """
        raise NotImplementedError

    def pooled_shape(self, channels):
        """Return height, width and channels of what is pooled of one region.

        Args:
            channels: Those of the map; `None` if they are not known.
        """
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        maps, rois = (tuple(shape) for shape in input_shape)
        check_regions(caffe_shape(maps), rois, self.name)
        return (rois[0], *self.pooled_shape(maps[3]))

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.pop("autocast", None)
        return config


def items_of(rois, items):
    """Return whose region each row is, from 0, and how its values count.

    Args:
        rois: (R, 5).
        items: How many items there are.

    Returns:
        (R,) of int32, 0 where there is none, and (R,) of float32: 1; 0 for rows that
        stand for no region; not a number for an item that is not there, where Caffe
        ends, and for corners that are nowhere.
    """
    item = _truncated(rois[:, 0])
    there = item < ops.cast(items, "float32")
    fits = ops.logical_and(there, ops.all(_is_finite(rois), axis=1))
    counts = ops.where(item < 0, 0.0, ops.where(fits, 1.0, float("nan")))
    return ops.cast(ops.where(counts > 0, item, 0.0), "int32"), counts


def _is_finite(x):
    return ops.abs(x) < 3.4e38  # nor does what is not a number compare


def _truncated(x):
    return ops.sign(x) * ops.floor(ops.abs(x))


def rounded(x):
    """Return numbers rounded as C does, halves away from zero."""
    whole = _truncated(x)
    return whole + ops.sign(x) * ops.cast(ops.abs(x - whole) >= 0.5, x.dtype)


def divided(x, by: int):
    """Return numbers by an integer below 4096, as float32 rounds the quotient.

    Engines that take the product with the reciprocal instead round twice, and some bins
    then begin at another cell. What is left over, exact for a quotient in two halves,
    tells by how much it is off.
    """
    quotient = x / by
    upper = quotient * 4097
    upper = upper - (upper - quotient)
    left = (x - upper * by) - (quotient - upper) * by
    return quotient + left / by


def counted(values, counts):
    """Return pooled values, 0 or not a number where `items_of` says so.

    What was pooled there is not looked at, nor is there a gradient.
    """
    counts = ops.cast(counts, values.dtype)[:, None, None, None]
    return ops.where(counts > 0, values, counts)


def check_sizes(layer, **sizes):
    """Raise a ValueError unless all numbers are positive integers."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(
                f"Expected `{name}` of layer '{layer.name}' to be a positive integer; "
                f"received: {name}={size!r}."
            )


def of_items(weights, item, items):
    """Return weights of each item's cells as those of all items' cells in a row.

    Args:
        weights: (R, bins, size).
        item: (R,) of int32, whose cells they are of.
        items: How many items there are.

    Returns:
        (R, bins, items * size), 0 for all other items.
    """
    own = ops.equal(item[:, None], ops.arange(items, dtype="int32"))
    weights = ops.where(ops.expand_dims(own, (1, 3)), weights[:, :, None], 0.0)
    rows, bins, size = weights.shape[0], weights.shape[1], ops.shape(weights)[3]
    rows = ops.shape(weights)[0] if rows is None else rows
    return ops.reshape(weights, (rows, bins, items * size))
