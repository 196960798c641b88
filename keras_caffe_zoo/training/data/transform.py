"""Caffe's data transformer: crop, mirror, mean, scale."""

import os
from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.caffe import Layer, read_mean
from keras_caffe_zoo.preprocessing.inputs import normalized
from keras_caffe_zoo.rules.data import pixel_transform, transform_field
from keras_caffe_zoo.training.data.order import below, check_seed, crop_draws

_PHASES = ("TRAIN", "TEST")


@dataclass(frozen=True, eq=False)
class Transform:
    """What Caffe's data layers do to an image: `(x - mean) * scale`, cropped, mirrored.

    The image is cut at a random place in phase TRAIN and in the middle in phase TEST.
    It is mirrored by the toss of a coin, in both phases, where `mirror` is set. A mean
    image is cut where the image is, before the mirror (Caffe, data_transformer.cpp).

    Attributes:
        crop_size: Side of the square that is cut out; the whole image if None.
        mirror: Whether half of the images are mirrored, left to right.
        mean: None, or one value, or one for each channel (BGR), or a mean image
            `(H, W, C)` of the size that images have before the crop. The path of a
            `.binaryproto` becomes such an image.
        scale: What the difference is multiplied by.
        phase: `"TRAIN"` or `"TEST"`.

    Raises:
        ValueError: If an attribute is none of these.
        CaffeFormatError: If the mean's file is no `.binaryproto`.

    Example:
        >>> from keras_caffe_zoo.training import Transform
        >>> image = np.arange(16.0).reshape(4, 4, 1)
        >>> transform = Transform(crop_size=2, mean=5, scale=0.5, phase="TEST")
        >>> transform(image)[:, :, 0].tolist()  # of 5, 6, 9 and 10
        [[0.0, 0.5], [2.0, 2.5]]
    """

    crop_size: int | None = None
    mirror: bool = False
    mean: np.ndarray | None = None
    scale: float = 1.0
    phase: str = "TRAIN"

    def __post_init__(self):
        if self.phase not in _PHASES:
            raise ValueError(
                f"Expected phase 'TRAIN' or 'TEST'; received: {self.phase!r}"
            )
        if self.crop_size is not None and self.crop_size < 1:
            raise ValueError(
                "Expected crop_size to be positive, or None for no crop; received: "
                f"crop_size={self.crop_size}"
            )
        object.__setattr__(self, "mean", _as_mean(self.mean))

    @classmethod
    def from_layer(cls, layer: Layer, mean=None, phase: str = "TRAIN") -> "Transform":
        """Return the transform that a data layer of a prototxt describes.

        Args:
            layer: A Data or ImageData layer; the fields of its `transform_param`
                count, then those of the same name that older files have beside it.
            mean: The mean that the layer's `mean_file` stands for: the path of a
                `.binaryproto` on this machine, or the image `(H, W, C)`. The path in
                the layer is never opened: it is another machine's.
            phase: `"TRAIN"` or `"TEST"`.

        Raises:
            ValueError: If the layer asks for a mean file and none is given, or the
                other way round, or names both a mean file and mean values.
        """
        told = pixel_transform(layer)
        file = told.mean_file
        if file and mean is None:
            raise ValueError(
                f"Expected `mean=…`: layer {layer.name!r} subtracts that in {file}; "
                "received: None. Pass the path of that file on this machine"
            )
        if mean is not None and not file:
            raise ValueError(
                f"Expected no `mean=…`: layer {layer.name!r} names no mean_file; "
                f"received: {mean if isinstance(mean, str) else type(mean).__name__}"
            )
        return cls(
            crop_size=transform_field(layer, "crop_size") or None,
            mirror=transform_field(layer, "mirror"),
            mean=mean if file else told.mean_values or None,
            scale=told.scale,
            phase=phase,
        )

    def draw(self, size: tuple[int, int], position: int = 0, seed: int = 0):
        """Return where an image is cut, and whether it is mirrored.

        Args:
            size: Its height and width.
            position: Its place in the sequence of all records, over all epochs.
            seed: Chooses the sequence of draws.

        Returns:
            `(top, left, mirrored)`.

        Raises:
            ValueError: If the image is smaller than the crop.
        """
        check_seed(seed)
        crop = self.crop_size
        if crop is not None and min(size) < crop:
            raise ValueError(
                f"Expected an image of at least {crop} x {crop} pixels, the crop_size; "
                f"received: {size[0]} x {size[1]}"
            )
        spare = [0, 0] if crop is None else [side - crop for side in size]
        at_random = self.phase == "TRAIN" and any(spare)
        if not (at_random or self.mirror):
            return spare[0] // 2, spare[1] // 2, False
        flip, *draws = crop_draws(seed, position)
        if at_random:
            pairs = zip(draws, spare, strict=True)
            top, left = (below(draw, rest + 1) for draw, rest in pairs)
        else:
            top, left = (rest // 2 for rest in spare)
        return top, left, self.mirror and bool(flip >> 63)

    def __call__(self, image, position: int = 0, seed: int = 0) -> np.ndarray:
        """Transform an image.

        Args:
            image: Array `(H, W, C)`, BGR or grey, of any numeric type.
            position: Its place in the sequence of all records, over all epochs.
            seed: Chooses the sequence of draws.

        Returns:
            Float32 array `(crop_size, crop_size, C)`; `(H, W, C)` without crop.

        Raises:
            ValueError: If the image is smaller than the crop, or the mean is that of
                images of another size.
        """
        self._check_mean(image.shape)
        top, left, mirrored = self.draw(image.shape[:2], position, seed)
        height, width = (self.crop_size or side for side in image.shape[:2])
        window = np.s_[top : top + height, left : left + width]
        out = image[window].astype("float32", order="C")
        is_image = self.mean is not None and self.mean.ndim == 3
        mean = self.mean[window] if is_image else self.mean
        out = normalized(out, mean, np.float32(self.scale))
        return _mirror_image(out) if mirrored else out

    def batch(self, images, positions, seed: int = 0) -> np.ndarray:
        """Transform images `(N, H, W, C)`; `positions` are theirs in the sequence."""
        pairs = zip(images, positions, strict=True)
        return np.stack([self(image, int(at), seed) for image, at in pairs])

    def _check_mean(self, shape) -> None:
        if len(shape) != 3:
            raise ValueError(f"Expected an image (H, W, C); received: shape {shape}")
        mean = self.mean
        if mean is None or mean.shape in ((1,), shape[2:], tuple(shape)):
            return
        if mean.ndim == 3:
            expected = f"an image of {mean.shape}, the size of the mean (H, W, C)"
        else:
            expected = f"an image of {len(mean)} channels, as many as the mean has"
        raise ValueError(f"Expected {expected}; received: {tuple(shape)}")


def _mirror_image(image: np.ndarray) -> np.ndarray:
    """Return a contiguous image `(H, W, C)` mirrored, whole pixels at a time."""
    pixels = image.view(f"V{image.itemsize * image.shape[2]}")
    return np.ascontiguousarray(pixels[:, ::-1]).view(image.dtype)


def _as_mean(mean) -> np.ndarray | None:
    """Return a mean as float32 `(1,)`, `(C,)` or `(H, W, C)`."""
    if mean is None:
        return None
    if isinstance(mean, str | os.PathLike):
        return np.moveaxis(read_mean(mean), 0, -1)
    mean = np.atleast_1d(np.asarray(mean, "float32"))
    if mean.ndim not in (1, 3) or not mean.size:
        raise ValueError(
            "Expected a mean of one value, of one value for each channel, or an image "
            f"(H, W, C); received: shape {mean.shape}"
        )
    return mean
