"""The boxes that SSD's detections start from."""

import keras
import numpy as np
from keras import ops

from keras_caffe_zoo.layers import _windows

MAX_PRIORS = 1 << 21  # of one map; SSD512 has 24,564 in all


class _Priors(keras.layers.Layer):
    """Boxes of some sizes around the centre of each cell of a map.

    Subclasses tell the boxes' widths and heights in pixels of the image.
    """

    def __init__(self, clip, variance, image_size, step, offset, **kwargs):
        kwargs.setdefault("dtype", "float32")  # half precision moves corners by pixels
        super().__init__(**kwargs)
        self.clip = bool(clip)
        self.variance = tuple(float(value) for value in variance) or (0.1,)
        if len(self.variance) not in (1, 4) or not all(v > 0 for v in self.variance):
            raise ValueError(
                "Expected `variance` of one or four positive numbers; received: "
                f"variance={self.variance}."
            )
        self.image_size = _sides(image_size, "image_size")
        self.step = _sides(step, "step")
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
            return self._priors(ops, *(ops.cast(size, "float32") for size in sizes))
        key = tuple(known)
        if key not in self._constants:
            self._constants[key] = np.asarray(self._priors(np, *known), "float32")
        return ops.cast(self._constants[key], self.compute_dtype)

    def _priors(self, xp, rows, columns, height, width):
        """Return the corners and the variances.

        Args:
            xp: `numpy` where the sizes are numbers, `keras.ops` where they are tensors.
            rows: Cells of the map along its height.
            columns: Likewise along its width.
            height: The image's, in pixels.
            width: Likewise.
        """
        height, width = self.image_size or (height, width)
        tall, wide = self.step or (height / rows, width / columns)
        y = (xp.arange(rows, dtype="float32") + self.offset) * tall
        x = (xp.arange(columns, dtype="float32") + self.offset) * wide
        half = np.asarray(self.sizes(), "float32") / 2
        left, right = ((x[:, None] + side * half[0]) / width for side in (-1, 1))
        top, bottom = ((y[:, None] + side * half[1]) / height for side in (-1, 1))
        across = left[None] + 0 * top[:, None]  # (rows, columns, boxes)
        down = top[:, None] + 0 * left[None]
        corners = [across, down, right[None] + 0 * down, bottom[:, None] + 0 * across]
        corners = xp.reshape(xp.stack(corners, axis=-1), (-1,))
        if self.clip:
            corners = xp.clip(corners, 0.0, 1.0)
        variances = np.resize(np.asarray(self.variance, "float32"), 4)
        variances = xp.reshape(xp.reshape(0 * corners, (-1, 4)) + variances, (-1,))
        return xp.stack([corners, variances])[None]

    def compute_output_shape(self, input_shape):
        features, image = input_shape
        if len(features) != 4 or (self.image_size is None and len(image) != 4):
            raise ValueError(
                "Expected a map (N, H, W, C) and an image likewise for layer "
                f"'{self.name}'; received shapes: {tuple(features)}, {tuple(image)}."
            )
        if None in features[1:3]:
            return (1, 2, None)
        boxes = features[1] * features[2] * len(self.sizes()[0])
        if boxes > MAX_PRIORS:
            raise ValueError(
                f"Expected at most {MAX_PRIORS:,} boxes for layer '{self.name}'; "
                f"received: {boxes:,}, {len(self.sizes()[0]):,} for each cell of "
                f"{features[1]} x {features[2]}."
            )
        return (1, 2, 4 * boxes)

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


def _sides(value, name):
    """Return (height, width), or `None` where it is to be told by the inputs."""
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(sides) != 2 or not all(side > 0 for side in sides):
        raise ValueError(
            f"Expected `{name}` of a positive height and width; received: "
            f"{name}={value!r}."
        )
    return sides


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
    ):
        super().__init__(clip, variance, image_size, step, offset, **kwargs)
        self.min_sizes = tuple(float(size) for size in min_sizes)
        self.max_sizes = tuple(float(size) for size in max_sizes)
        self.aspect_ratios = tuple(float(ratio) for ratio in aspect_ratios)
        self.flip = bool(flip)
        self._check()

    def _check(self):
        least, most = self.min_sizes, self.max_sizes
        fits = not most or len(most) == len(least)
        fits = fits and all(a < b for a, b in zip(least, most, strict=False))
        finite = all(map(np.isfinite, least + most))
        if not fits or not finite or not least or min(least) <= 0:
            raise ValueError(
                "Expected positive `min_sizes`, and `max_sizes` of none or as many, "
                f"each above its min size; received: {least}, {most}."
            )
        if not all(0 < ratio < np.inf for ratio in self.aspect_ratios):
            raise ValueError(
                "Expected positive `aspect_ratios`; received: "
                f"aspect_ratios={self.aspect_ratios}."
            )

    def ratios(self):
        """Return all aspect ratios: 1, those given, and their reciprocals."""
        found = [1.0]
        for ratio in self.aspect_ratios:
            if all(abs(ratio - other) >= 1e-6 for other in found):
                found += [ratio, 1 / ratio] if self.flip else [ratio]
        return found

    def sizes(self):
        ratios = np.sqrt([r for r in self.ratios() if abs(r - 1) >= 1e-6])
        boxes = []
        for i, size in enumerate(map(int, self.min_sizes)):
            boxes.append((size, size))
            if self.max_sizes:
                side = np.sqrt(float(size * int(self.max_sizes[i])))
                boxes.append((side, side))
            boxes += [(size * root, size / root) for root in ratios]
        return tuple(zip(*boxes, strict=True))

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
    ):
        super().__init__(clip, variance, image_size, step, offset, **kwargs)
        self.widths = tuple(float(width) for width in widths)
        self.heights = tuple(float(height) for height in heights)
        sides = self.widths + self.heights
        fits = len(self.widths) == len(self.heights) and sides and min(sides) > 0
        if not fits or not all(map(np.isfinite, sides)):
            raise ValueError(
                "Expected positive `widths`, and as many `heights`; received: "
                f"{self.widths}, {self.heights}."
            )

    def sizes(self):
        return self.widths, self.heights

    def get_config(self):
        config = {"widths": self.widths, "heights": self.heights}
        return {**super().get_config(), **config}
