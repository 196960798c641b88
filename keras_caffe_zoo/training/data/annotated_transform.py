"""What SSD's data layer does to a picture and its objects, step by step."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.caffe import Layer
from keras_caffe_zoo.rules.ssd_training import TRANSFORM
from keras_caffe_zoo.training.data.boxes import (
    WHOLE,
    emitted,
    mirrored,
    pixel_window,
    projected,
)
from keras_caffe_zoo.training.data.distortion import Distortion, distorted
from keras_caffe_zoo.training.data.fitting import Fitting, check_pixels, filled
from keras_caffe_zoo.training.data.order import Draws
from keras_caffe_zoo.training.data.sampling import BatchSampler, sampled_part
from keras_caffe_zoo.training.data.transform import Transform


class Plan(NamedTuple):
    """What is done to one picture, before it is cropped and has its mean subtracted.

    Attributes:
        steps: Of the distortion.
        canvas: Height and width of the picture with what is laid around it.
        offset: Where its top and left are on the canvas.
        part: Corners of the part that is cut out, as fractions of the canvas; None for
            all of it.
        interpolation: How it is resized; None if it is not.
        rows: The objects, as fractions of that part.
    """

    steps: tuple[tuple[str, float], ...]
    canvas: tuple[int, int]
    offset: tuple[int, int]
    part: np.ndarray | None
    interpolation: str | None
    rows: np.ndarray

    @property
    def window(self) -> tuple[int, int, int, int]:
        """What is cut out of the canvas: top, left, height and width."""
        if self.part is None:
            return (0, 0, *self.canvas)
        return pixel_window(self.part, self.canvas)


@dataclass(frozen=True, eq=False)
class AnnotatedTransform:
    """Distorts, expands, samples, resizes, crops and mirrors a picture and its objects.

    In this order, as SSD's AnnotatedData layer does, in either phase: a layer that
    tests asks for less. Between the steps the fork stores pictures as JPEG, which
    changes pixels by some levels; here they stay as they are.

    Attributes:
        pixels: The crop, mean, scale and mirror, and the phase: where the crop is.
        fitting: How pictures are resized; they are not if None.
        distortion: How colours are changed; not at all if None.
        expand_prob: How often a picture is laid on a larger canvas, of the mean's
            colour.
        max_expand_ratio: How many times as high and wide the canvas is at most.
        samplers: What parts of the picture are drawn from; the whole picture is taken
            if there are none, or none of them finds a part.
        emit: Which objects remain of those that a part cuts: `"center"`: those whose
            centre is in the part; a number: those of which it covers more than that;
            all if None.

    Raises:
        ValueError: If an attribute is none of these.

    Reference:
        Liu et al., 2016; `AnnotatedData` of the SSD fork of Caffe.

    Example:
        >>> from keras_caffe_zoo.training import AnnotatedTransform, Fitting
        >>> fitting = Fitting((4, 4), "fit_large_size_and_pad")
        >>> transform = AnnotatedTransform(fitting=fitting)
        >>> whole = np.array([[0, 1, 0, 0, 0, 1, 1, 0]], "float32")  # class 1 fills it
        >>> image, objects = transform(np.full((2, 4, 3), 255, "uint8"), whole)
        >>> image[:, 0, 0].tolist(), objects[0, 3:7].tolist()
        ([0.0, 255.0, 255.0, 0.0], [0.0, 0.25, 1.0, 0.75])
    """

    pixels: Transform = field(default_factory=Transform)
    fitting: Fitting | None = None
    distortion: Distortion | None = None
    expand_prob: float = 0.0
    max_expand_ratio: float = 1.0
    samplers: tuple[BatchSampler, ...] = ()
    emit: str | float | None = None

    def __post_init__(self):
        if not 1 <= self.max_expand_ratio < float("inf"):
            raise ValueError(
                "Expected max_expand_ratio from 1 on, finite; received: "
                f"{self.max_expand_ratio}"
            )
        if isinstance(self.emit, str) and self.emit != "center":
            raise ValueError(
                f"Expected emit to be 'center', a number or None; received: "
                f"{self.emit!r}"
            )
        mean = self.pixels.mean
        if self.expand_prob > 0 and mean is not None and mean.ndim == 3:
            raise ValueError(
                "Expected a mean of values to expand pictures by, one for each "
                f"channel; received: an image of {mean.shape}"
            )

    @classmethod
    def from_layer(
        cls, layer: Layer, mean=None, phase: str = "TRAIN"
    ) -> "AnnotatedTransform":
        """Return the transform that an AnnotatedData layer of a prototxt describes.

        Args:
            layer: The layer: its `transform_param` and `annotated_data_param`.
            mean: As for `Transform.from_layer`.
            phase: `"TRAIN"` or `"TEST"`: where a crop is.

        Raises:
            ValueError: If it asks for what is not done here (`noise_param`, a crop
                that is no square, several `resize_param`), or for what cannot be.
        """
        try:
            return cls._from_layer(layer, mean, phase)
        except ValueError as error:
            raise ValueError(f"Layer {layer.name!r}: {error}") from error

    @classmethod
    def _from_layer(cls, layer: Layer, mean, phase: str) -> "AnnotatedTransform":
        told = layer.decode(TRANSFORM).message
        if told.HasField("noise_param"):
            raise ValueError(
                "Expected no noise_param, which is not done here; received one. Take "
                "it out of the prototxt to train without noise"
            )
        if told.crop_h or told.crop_w:
            raise ValueError(
                "Expected a crop_size, for a square; received: crop_h, crop_w of "
                f"{told.crop_h}, {told.crop_w}"
            )
        if len(told.resize_param) > 1:
            raise ValueError(
                "Expected one resize_param, as SSD has it; received: "
                f"{len(told.resize_param)}"
            )
        emit = None
        if told.HasField("emit_constraint"):
            emit = told.emit_constraint.emit_overlap
            if told.emit_constraint.emit_type == _CENTER:
                emit = "center"
        distort = told.HasField("distort_param")
        expand = told.expand_param
        return cls(
            pixels=Transform.from_layer(layer, mean, phase),
            fitting=next(map(Fitting.from_message, told.resize_param), None),
            distortion=Distortion.from_message(told.distort_param) if distort else None,
            expand_prob=expand.prob,
            max_expand_ratio=expand.max_expand_ratio,
            samplers=tuple(
                BatchSampler.from_message(x) for x in layer.param.batch_sampler
            ),
            emit=emit,
        )

    @property
    def one_size(self) -> bool:
        """Whether all pictures are of one size."""
        fitted = self.fitting is not None and self.fitting.mode != "fit_small_size"
        return fitted or self.pixels.crop_size is not None

    def draw(
        self, size: tuple[int, int], rows: np.ndarray, position: int = 0, seed: int = 0
    ) -> Plan:
        """Return what is done to a picture before it is cropped.

        Args:
            size: Its height and width.
            rows: Its objects `(G, 8)`.
            position: Its place in the sequence of all records, over all epochs.
            seed: Chooses the sequence of draws.

        Raises:
            ValueError: If the canvas would have more than 2**26 pixels.
        """
        draws = Draws(seed, position)
        steps = self.distortion.draw(draws) if self.distortion is not None else ()
        canvas, offset = self._expanded(size, draws)
        if canvas != tuple(size):
            rows = self._within(rows, self._frame(size, canvas, offset))
        part = sampled_part(self.samplers, rows, draws)
        if part is not None:
            rows = self._within(rows, part)
        interpolation = self.fitting.draw(draws) if self.fitting is not None else None
        return Plan(steps, canvas, offset, part, interpolation, rows)

    def __call__(
        self, image: np.ndarray, rows: np.ndarray, position: int = 0, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Transform a picture and its objects.

        Args:
            image: Array `(H, W, C)` of uint8, BGR or grey.
            rows: Its objects `(G, 8)`: item, class, instance, x1, y1, x2, y2,
                difficult, corners as fractions of the picture.
            position: Its place in the sequence of all records, over all epochs.
            seed: Chooses the sequence of draws.

        Returns:
            The picture, float32 `(H', W', C)`, and the objects that are left, float32
            `(G', 8)`, corners as fractions of it, from 0 to 1.

        Raises:
            ValueError: If the picture is of another type, or the crop or mean is not of
                its size.
        """
        if image.dtype != np.uint8 or image.ndim != 3:
            raise ValueError(
                "Expected a picture (H, W, C) of uint8; received: "
                f"{image.dtype} of shape {image.shape}"
            )
        rows = np.asarray(rows, "float32")
        plan = self.draw(image.shape[:2], rows, position, seed)
        image, rows = self._part(image, plan), plan.rows
        if plan.interpolation is not None:
            rows = self.fitting.objects(rows, image.shape[:2])
            image = self.fitting(image, plan.interpolation)
        height, width = image.shape[:2]
        top, left, mirror = self.pixels.draw((height, width), position, seed)
        side = self.pixels.crop_size
        frame = WHOLE
        if side is not None:
            corners = np.float32([left, top, left + side, top + side])
            frame = corners / np.float32([width, height, width, height])
        rows = self._within(rows, frame)
        return (
            self.pixels(image, position, seed),
            mirrored(rows) if mirror else rows,
        )

    def _within(self, rows: np.ndarray, frame: np.ndarray) -> np.ndarray:
        return projected(emitted(rows, frame, self.emit), frame)

    def _expanded(self, size, draws: Draws):
        """Return the canvas's size and the picture's place on it."""
        chance = draws.uniform()
        if not chance < self.expand_prob or abs(self.max_expand_ratio - 1) < 1e-2:
            return tuple(size), (0, 0)
        ratio = draws.uniform(1, self.max_expand_ratio)
        height, width = (int(np.float32(side) * ratio) for side in size)
        check_pixels((height, width))
        top = int(draws.uniform(0, height - size[0]))
        left = int(draws.uniform(0, width - size[1]))
        return (height, width), (top, left)

    @staticmethod
    def _frame(size, canvas, offset) -> np.ndarray:
        """Return the canvas's corners as fractions of the picture."""
        (height, width), (top, left) = size, offset
        corners = [-left, -top, canvas[1] - left, canvas[0] - top]
        return np.float32(corners) / np.float32([width, height, width, height])

    def _part(self, image: np.ndarray, plan: Plan) -> np.ndarray:
        """Return what is cut out of the canvas; the rest of it is never made."""
        top, left, height, width = plan.window
        whole = plan.offset[0] - top, plan.offset[1] - left
        cut, at = [], []
        for start, side, room in zip(whole, image.shape, (height, width), strict=False):
            first, last = max(start, 0), min(start + side, room)
            at.append(slice(first, max(last, first)))
            cut.append(slice(first - start, max(last, first) - start))
        seen = distorted(image[tuple(cut)], plan.steps)
        if seen.shape[:2] == (height, width):
            return seen
        mean = self.pixels.mean
        out = filled((height, width, image.shape[2]), 0 if mean is None else mean)
        out[tuple(at)] = seen
        return out


_CENTER = 0  # of EmitType
