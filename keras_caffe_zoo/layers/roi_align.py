"""Interpolated means of regions, as Mask R-CNN looks at them."""

import keras
from keras import ops

from keras_caffe_zoo.layers._regions import (
    RegionLayer,
    check_sizes,
    counted,
    divided,
    items_of,
    of_items,
)

# Several samples of a bin are more than half a cell apart, so that at most four touch a
# cell; the one before and the one behind are there for what rounding does.
_NEAR = 6
_MOST = 256


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeROIAlign(RegionLayer):
    """The means of samples in a grid of bins over each region, Detectron's `ROIAlign`.

    Nothing is rounded: the region reaches from its scaled first corner to the scaled
    last one, and is at least one cell large. Each bin has a grid of samples, bilinear
    between the four cells around them. Samples up to one cell outside the map are those
    of its border, those further away 0; the mean is that of all.

    Args:
        pooled_height: Bins from top to bottom.
        pooled_width: Bins from left to right.
        spatial_scale: Cells of the map in a pixel of the image.
        sampling_ratio: Samples from top to bottom of a bin, and from left to right; 0
            or less for as many as the bin has cells, rounded up. At most 256.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        A list: the map `(N, H, W, C)`, the regions `(R, 5)`.

    Output shape:
        `(R, pooled_height, pooled_width, C)`. A region of a negative item is all 0, one
        of an item that is not there not a number.

    Raises:
        ValueError: On arguments or shapes that are not as above.

    Reference:
        K. He et al., "Mask R-CNN" (2017), section 3; `RoIAlign` of Detectron. Other
        forks of Caffe have layers of that name that compute something else.

    Example:
        >>> from keras_caffe_zoo.layers import CaffeROIAlign
        >>> maps = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
        >>> region = np.array([[0.0, 0.0, 0.0, 1.0, 1.0]])  # of item 0
        >>> y = CaffeROIAlign(1, 1)([maps, region])  # what is between the four cells
        >>> np.asarray(y).ravel().tolist()
        [1.5]
    """

    def __init__(
        self,
        pooled_height,
        pooled_width,
        spatial_scale=1.0,
        sampling_ratio=-1,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(self, pooled_height=pooled_height, pooled_width=pooled_width)
        if sampling_ratio > _MOST:
            raise ValueError(
                f"Expected a `sampling_ratio` of at most {_MOST} for layer "
                f"'{self.name}'; received: sampling_ratio={sampling_ratio}."
            )
        self.pooled_height, self.pooled_width = pooled_height, pooled_width
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)

    def pooled_shape(self, channels):
        return (self.pooled_height, self.pooled_width, channels)

    def pool(self, maps, rois):
        items, height, width, channels = ops.shape(maps)
        item, counts = items_of(rois, items)
        rows = self._weights(rois[:, 2], rois[:, 4], self.pooled_height, height)
        columns = self._weights(rois[:, 1], rois[:, 3], self.pooled_width, width)
        # One product for the rows of all bins, one for each row's columns.
        rows = ops.cast(of_items(rows, item, items), maps.dtype)
        rows = ops.reshape(rows, (-1, items * height))
        maps = ops.reshape(maps, (items * height, width * channels))
        shape = (-1, self.pooled_height, width, channels)
        found = ops.reshape(ops.matmul(rows, maps), shape)
        columns = ops.cast(columns, maps.dtype)[:, None]
        return counted(ops.matmul(columns, found), counts)

    def _weights(self, first, last, bins, size):
        """Return what each cell along an axis counts in each bin: (R, bins, size)."""
        start = first * self.spatial_scale
        extent = ops.maximum(last * self.spatial_scale - start, 1)
        step = divided(extent, bins)
        samples = ops.ceil(step)
        if self.sampling_ratio > 0:
            samples = ops.full_like(step, self.sampling_ratio)
        # (R, bins, cells, samples)
        start, step, samples = (x[:, None, None, None] for x in (start, step, samples))
        start = start + ops.arange(bins, dtype="float32")[:, None, None] * step
        cells = ops.cast(ops.arange(size, dtype="int32"), "float32")[:, None]
        if self.sampling_ratio > 0:
            number = ops.arange(self.sampling_ratio, dtype="float32")
        else:  # those near the cell
            number = ops.floor((cells - 1 - start) * samples / step - 0.5)
            number = ops.maximum(number, 0) + ops.arange(_NEAR, dtype="float32")
        there = ops.logical_and(number >= 0, number < samples)
        place = start + (number + 0.5) * step / samples
        size = ops.cast(size, "float32")
        there = ops.logical_and(there, ops.logical_and(place >= -1, place <= size))
        weight = 1 - ops.abs(ops.clip(place, 0, size - 1) - cells)
        weight = ops.where(there, ops.maximum(weight, 0), 0.0)
        return ops.sum(weight / samples, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "pooled_height": self.pooled_height,
            "pooled_width": self.pooled_width,
            "spatial_scale": self.spatial_scale,
            "sampling_ratio": self.sampling_ratio,
        }
