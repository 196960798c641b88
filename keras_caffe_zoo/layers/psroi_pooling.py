"""Position-sensitive means of regions, as R-FCN looks at them."""

import keras
from keras import ops

from keras_caffe_zoo.layers._regions import (
    RegionLayer,
    check_sizes,
    counted,
    divided,
    items_of,
    of_items,
    rounded,
)


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePSROIPooling(RegionLayer):
    """The means of a grid of bins, each of its own channels: R-FCN's `PSROIPooling`.

    Channel `c` of bin `(i, j)` is the mean of the map's channel
    `(c * group_size + i) * group_size + j`. A region reaches from the scaled first
    pixel (rounded, halves away from zero) to behind the last, and is at least a tenth
    of a cell large; bins cover whole cells, as many as they touch. A bin outside the
    map is 0.

    Args:
        output_dim: Channels that come out.
        group_size: Bins from top to bottom, and from left to right.
        spatial_scale: Cells of the map in a pixel of the image.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        A list: the map `(N, H, W, output_dim * group_size**2)`, the regions `(R, 5)`.

    Output shape:
        `(R, group_size, group_size, output_dim)`. A region of a negative item is all 0,
        one of an item that is not there not a number: Caffe ends there.

    Raises:
        ValueError: On arguments or shapes that are not as above.

    Reference:
        J. Dai et al., "R-FCN" (2016), section 2; `PSROIPooling` of
        daijifeng001/caffe-rfcn and Intel's Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffePSROIPooling
        >>> maps = np.tile([0.0, 1.0, 2.0, 3.0], (1, 4, 4, 1))
        >>> region = np.array([[0.0, 0.0, 0.0, 3.0, 3.0]])  # of item 0
        >>> layer = CaffePSROIPooling(output_dim=1, group_size=2, spatial_scale=1)
        >>> y = layer([maps, region])  # each bin from its own channel
        >>> np.asarray(y)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """

    def __init__(self, output_dim, group_size, spatial_scale, **kwargs) -> None:
        super().__init__(**kwargs)
        check_sizes(self, output_dim=output_dim, group_size=group_size)
        self.output_dim, self.group_size = output_dim, group_size
        self.spatial_scale = float(spatial_scale)

    def pooled_shape(self, channels):
        wanted = self.output_dim * self.group_size**2
        if channels not in (None, wanted):
            raise ValueError(
                f"Expected {wanted} channels for layer '{self.name}' (output_dim "
                f"{self.output_dim}, group_size {self.group_size}); received: "
                f"{channels}."
            )
        return (self.group_size, self.group_size, self.output_dim)

    def pool(self, maps, rois):
        items, height, width, _ = ops.shape(maps)
        item, counts = items_of(rois, items)
        rows = self._means(rois[:, 2], rois[:, 4], height, maps.dtype)
        columns = self._means(rois[:, 1], rois[:, 3], width, maps.dtype)
        rows = ops.transpose(of_items(rows, item, items), (1, 0, 2))
        found = ops.matmul(rows, self._by_bin(maps))
        # (rows of bins, R, columns of bins, width, channels): sums over rows so far
        shape = (self.group_size, -1, self.group_size, width, self.output_dim)
        found = ops.matmul(columns[:, :, None], ops.reshape(found, shape))
        return counted(ops.transpose(found[:, :, :, 0], (1, 0, 2, 3)), counts)

    def _by_bin(self, maps):
        """Return what each row of bins looks at: (group_size, N * H, all the rest)."""
        items, height, width, _ = ops.shape(maps)
        group, output = self.group_size, self.output_dim
        maps = ops.reshape(maps, (items * height, width, output, group, group))
        maps = ops.transpose(maps, (3, 0, 4, 1, 2))
        return ops.reshape(maps, (group, items * height, group * width * output))

    def _means(self, first, last, size, dtype):
        """Return what each cell along an axis counts in each bin: (R, bins, size)."""
        start = (rounded(first) * self.spatial_scale)[:, None]
        end = ((rounded(last) + 1) * self.spatial_scale)[:, None]
        step = divided(ops.maximum(end - start, 0.1), self.group_size)
        number = ops.arange(self.group_size, dtype="float32")
        size = ops.cast(size, "float32")
        low = ops.clip(ops.floor(number * step + start), 0, size)
        high = ops.clip(ops.ceil((number + 1) * step + start), 0, size)
        cells = ops.arange(size, dtype="float32")
        inside = ops.logical_and(low[..., None] <= cells, cells < high[..., None])
        share = 1 / ops.maximum(high - low, 1)
        return ops.cast(ops.where(inside, share[..., None], 0.0), dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "group_size": self.group_size,
            "spatial_scale": self.spatial_scale,
        }
