"""The highest values of regions, as Fast R-CNN looks at them."""

import keras
from keras import ops

from keras_caffe_zoo.layers._range_max import highest, where_highest
from keras_caffe_zoo.layers._regions import (
    RegionLayer,
    check_sizes,
    counted,
    divided,
    items_of,
    rounded,
)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeROIPooling(RegionLayer):
    """The maxima of a grid of bins over each region, Fast R-CNN's `ROIPooling` layer.

    The corners, times the scale, are rounded to cells (halves away from zero), and the
    region is all cells from one to the other, at least one. Bin `i` of `n` covers those
    from `floor(i * size / n)` to `ceil((i + 1) * size / n)`, so that bins may overlap;
    what lies outside the map is cut off afterwards. A bin without cells is 0.

    Args:
        pooled_height: Bins from top to bottom.
        pooled_width: Bins from left to right.
        spatial_scale: Cells of the map in a pixel of the image.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        A list: the map `(N, H, W, C)`; the regions `(R, 5)`, each the number of its
        item, cut to an integer, and x1, y1, x2, y2 in pixels. N, R, H and W may be
        unknown.

    Output shape:
        `(R, pooled_height, pooled_width, C)`. A region of a negative item is all 0, one
        of an item that is not there not a number: Caffe ends there.

    The gradient goes to the first maximum of each bin, and adds up where regions
    overlap. Regions have none.

    Raises:
        ValueError: On arguments or shapes that are not as above.

    Reference:
        R. Girshick, "Fast R-CNN" (2015), section 2.1; `ROIPooling` of
        rbgirshick/caffe-fast-rcnn and Intel's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeROIPooling
        >>> maps = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> region = np.array([[0.0, 0.0, 0.0, 2.0, 2.0]])  # of item 0, to pixel (2, 2)
        >>> y = CaffeROIPooling(2, 2)([maps, region])  # bins of 3 x 3 cells overlap
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[5.0, 6.0], [9.0, 10.0]]
    """

    def __init__(
        self, pooled_height, pooled_width, spatial_scale=1.0, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(self, pooled_height=pooled_height, pooled_width=pooled_width)
        self.pooled_height, self.pooled_width = pooled_height, pooled_width
        self.spatial_scale = float(spatial_scale)

    def pooled_shape(self, channels):
        return (self.pooled_height, self.pooled_width, channels)

    def pool(self, maps, rois):
        return _pooled(self._bins)(maps, rois)

    def _bins(self, maps, rois):
        """Return of each region its item, rows and columns, and how bins count."""
        items, height, width, _ = ops.shape(maps)
        item, counts = items_of(rois, items)
        rows, filled = self._along(rois[:, 2], rois[:, 4], self.pooled_height, height)
        columns, too = self._along(rois[:, 1], rois[:, 3], self.pooled_width, width)
        filled = ops.logical_and(filled[:, :, None], too[:, None])[..., None]
        return (item, rows, columns), filled, counts

    def _along(self, first, last, bins, size):
        """Return where the bins start and end along an axis, and which have cells."""
        start, end = (rounded(x * self.spatial_scale)[:, None] for x in (first, last))
        step = divided(ops.maximum(end - start + 1, 1), bins)
        number = ops.arange(bins, dtype="float32")
        low = ops.floor(number * step) + start
        high = ops.ceil((number + 1) * step) + start
        low, high = (_cells(x, size) for x in (low, high))
        filled = low < high
        # One without cells is looked up as one cell, and not counted.
        low = ops.where(filled, low, 0)
        return (low, ops.where(filled, high, 1)), filled

    def get_config(self):
        return {
            **super().get_config(),
            "pooled_height": self.pooled_height,
            "pooled_width": self.pooled_width,
            "spatial_scale": self.spatial_scale,
        }


def _cells(x, size):
    """Return places along an axis as those of cells, 0 for what is not a number."""
    x = ops.clip(x, 0.0, ops.cast(size, "float32"))
    return ops.cast(ops.where(x >= 0, x, 0.0), "int32")


def _pooled(bins):
    """Return the pooling of maps and regions, with Caffe's gradient.

    Where the maxima are costs more than what they are, and only the gradient asks.
    """

    @ops.custom_gradient
    def pooled(maps, rois):
        places, filled, counts = bins(maps, rois)
        values = highest(maps, *places)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            used = ops.logical_and(filled, counts[:, None, None, None] > 0)
            upstream = ops.where(used, upstream, 0.0)
            cells = where_highest(maps, *places)
            return _put_back(upstream, cells, maps), ops.zeros_like(rois)

        return counted(ops.where(filled, values, 0.0), counts), gradient

    return pooled


def _put_back(values, cells, maps):
    """Return maps with values added up at their cells, channel by channel."""
    shape = ops.shape(maps)
    items, height, width, channels = shape
    index = cells * channels + ops.arange(channels, dtype="int32")
    total = ops.segment_sum(
        ops.reshape(values, (-1,)),
        ops.reshape(index, (-1,)),
        num_segments=items * height * width * channels,
    )
    return ops.reshape(total, shape)
