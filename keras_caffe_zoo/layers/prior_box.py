"""The boxes that SSD's detections start from."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.arithmetic.axes import caffe_shape
from keras_caffe_zoo.arithmetic.priors import (
    check_clusters,
    check_maps,
    check_sizes,
    checked_sides,
    checked_variance,
    priors,
    sizes_of,
)
from keras_caffe_zoo.layers import _windows


class _Priors(keras.layers.Layer):
    """Boxes of some sizes around the centre of each cell of a map.

    Subclasses tell the boxes' widths and heights in pixels of the image.
    """

    def __init__(self, clip, variance, image_size, step, offset, **kwargs) -> None:
        kwargs.setdefault("dtype", "float32")  # half precision moves corners by pixels
        super().__init__(**kwargs)
        self.clip = bool(clip)
        self.variance = checked_variance(variance)
        self.image_size = checked_sides(image_size, "image_size")
        self.step = checked_sides(step, "step")
        self.offset = float(offset)
        self._constants = {}

    def sizes(self):
        """Return the boxes' widths and heights."""
        raise NotImplementedError

    def call(self, inputs):
        features, image = inputs
        known = [size for x in inputs for size in _windows.known_shape(x)[1:3]]
        self.compute_output_shape([features.shape, image.shape])
        if None in known[:2] or (self.image_size is None and None in known[2:]):
            sizes = (*ops.shape(features)[1:3], *ops.shape(image)[1:3])
            return self._priors(ops, [ops.cast(size, "float32") for size in sizes])
        key = tuple(known)
        if key not in self._constants:
            self._constants[key] = np.asarray(self._priors(np, known), "float32")
        return ops.cast(self._constants[key], self.compute_dtype)

    def _priors(self, xp, sizes):
        image = self.image_size or sizes[2:]
        where = (self.step, self.offset, self.variance, self.clip)
        return priors(xp, sizes[:2], image, self.sizes(), *where)

    def compute_output_shape(self, input_shape):
        features, image = (caffe_shape(shape) for shape in input_shape)
        boxes = len(self.sizes()[0])
        known = self.image_size is not None
        check_maps(features, image, boxes, known, self.name)
        _, _, height, width = features
        return (1, 2, None if None in (height, width) else 4 * height * width * boxes)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "clip": self.clip,
            "variance": self.variance,
            "image_size": self.image_size,
            "step": self.step,
            "offset": self.offset,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePriorBox(_Priors):
    """The boxes around each cell of a map that SSD's `PriorBox` layer makes.

    For each of `min_sizes` s: a square of side s; with a max size m, a square of side
    `sqrt(s * m)`; for each aspect ratio r but 1 a box `s * sqrt(r)` wide and
    `s / sqrt(r)` high. The fork keeps sizes as integers, so 20.6 counts as 20 here too.

    Args:
        min_sizes: Sides in pixels of the image.
        max_sizes: As many, each larger than its min size; or none.
        aspect_ratios: Width by height. 1 is always one of them.
        flip: Whether the reciprocal of each ratio is one too.
        clip: Whether corners are moved into the image.
        variance: One number, or four; 0.1 if there is none.
        image_size: (height, width) in pixels; that of the second input if `None`.
        step: (height, width) of a cell in pixels; the image's by the map's if `None`.
        offset: Where the centre of a cell is, in cells.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input shape:
        A map `(N, H, W, C)`, and the image; only their sizes are used.

    Output shape:
        `(1, 2, H * W * boxes * 4)`: x1, y1, x2, y2 of each box as fractions of the
        image, and below them their variances.

    Raises:
        ValueError: If the arguments are not as above, or there are more than two
            million boxes.

    Reference:
        `PriorBox` of the SSD fork of Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffePriorBox
        >>> maps, image = np.zeros((1, 1, 1, 8)), np.zeros((1, 60, 60, 3))
        >>> layer = CaffePriorBox([30], aspect_ratios=[4], flip=False)
        >>> boxes, variances = np.asarray(layer([maps, image]))[0]
        >>> boxes.reshape(-1, 4).tolist()  # 30 x 30 in the middle, then 60 x 15
        [[0.25, 0.25, 0.75, 0.75], [0.0, 0.375, 1.0, 0.625]]
        >>> print(variances.round(3))
        [0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1]
    """

    def __init__(
        self,
        min_sizes,
        max_sizes=(),
        aspect_ratios=(),
        flip=True,
        clip=False,
        variance=(0.1,),
        image_size=None,
        step=None,
        offset=0.5,
        **kwargs,
    ) -> None:
        super().__init__(clip, variance, image_size, step, offset, **kwargs)
        self.min_sizes = tuple(float(size) for size in min_sizes)
        self.max_sizes = tuple(float(size) for size in max_sizes)
        self.aspect_ratios = tuple(float(ratio) for ratio in aspect_ratios)
        self.flip = bool(flip)
        check_sizes(self.min_sizes, self.max_sizes, self.aspect_ratios)

    def sizes(self):
        return sizes_of(self.min_sizes, self.max_sizes, self.aspect_ratios, self.flip)

    def get_config(self):
        return {
            **super().get_config(),
            "min_sizes": self.min_sizes,
            "max_sizes": self.max_sizes,
            "aspect_ratios": self.aspect_ratios,
            "flip": self.flip,
        }


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffePriorBoxClustered(_Priors):
    """The boxes of given widths and heights around each cell of a map.

    What `PriorBoxClustered` makes; widths and heights need not be integers.

    Args:
        widths: Of each box, in pixels of the image.
        heights: As many.
        clip: Whether corners are moved into the image.
        variance: One number, or four; 0.1 if there is none.
        image_size: (height, width) in pixels; that of the second input if `None`.
        step: (height, width) of a cell in pixels; the image's by the map's if `None`.
        offset: Where the centre of a cell is, in cells.
        **kwargs: `name`, `dtype`, … of `keras.layers.Layer`.

    Input and output shape:
        As of `CaffePriorBox`.

    Raises:
        ValueError: As `CaffePriorBox`.

    Reference:
        OpenVINO's operation `PriorBoxClustered-1`, made for the layer of that name in
        Intel's forks of Caffe.

    Example:
        >>> from keras_caffe_zoo.layers import CaffePriorBoxClustered
        >>> maps, image = np.zeros((1, 1, 1, 8)), np.zeros((1, 60, 60, 3))
        >>> boxes, variances = CaffePriorBoxClustered([30.0], [7.5])([maps, image])[0]
        >>> np.asarray(boxes).tolist()  # 30 pixels by 7.5, in the middle
        [0.25, 0.4375, 0.75, 0.5625]
    """

    def __init__(
        self,
        widths,
        heights,
        clip=False,
        variance=(0.1,),
        image_size=None,
        step=None,
        offset=0.5,
        **kwargs,
    ) -> None:
        super().__init__(clip, variance, image_size, step, offset, **kwargs)
        self.widths = tuple(float(width) for width in widths)
        self.heights = tuple(float(height) for height in heights)
        check_clusters(self.widths, self.heights)

    def sizes(self):
        return self.widths, self.heights

    def get_config(self):
        config = {"widths": self.widths, "heights": self.heights}
        return {**super().get_config(), **config}
