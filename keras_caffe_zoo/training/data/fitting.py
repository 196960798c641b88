"""SSD's `resize_param`: pictures of one size, or of one shorter side."""

from dataclasses import dataclass

import numpy as np

from keras_caffe_zoo.preprocessing.opencv import INTERPOLATIONS, opencv_resize
from keras_caffe_zoo.training.data.boxes import CORNERS
from keras_caffe_zoo.training.data.order import Draws

MAX_PIXELS = 1 << 26  # of a picture that is made: 192 MiB in three channels
_MODES = ("warp", "fit_small_size", "fit_large_size_and_pad")
_PAD_MODES = {"constant": "constant", "mirrored": "reflect", "repeat_nearest": "edge"}


@dataclass(frozen=True)
class Fitting:
    """Resizes a picture, in OpenCV's arithmetic, and its objects with it.

    Attributes:
        size: Height and width.
        mode: `"warp"`: to that size, whatever the shape; `"fit_small_size"`: so that
            the picture covers that size, its shape kept;
            `"fit_large_size_and_pad"`: so that it fits into it, its shape kept, and the
            rest is filled up.
        interpolations: Names of OpenCV's interpolations, such as `"linear"`, one of
            which is drawn each time.
        pad_mode: What fills up: `"constant"`, `"mirrored"` or `"repeat_nearest"`.
        pad_value: One value of `"constant"`, or one for each channel.

    Raises:
        ValueError: If an attribute is none of these.

    Reference:
        `ApplyResize` of the SSD fork of Caffe, which has no use for `prob`.

    Example:
        >>> picture = np.zeros((100, 200, 3), "uint8")
        >>> modes = "warp", "fit_small_size", "fit_large_size_and_pad"
        >>> fittings = [kcz.training.Fitting((50, 50), mode) for mode in modes]
        >>> [fitting(picture, "linear").shape[:2] for fitting in fittings]
        [(50, 50), (50, 100), (50, 50)]
        >>> whole = np.array([[0, 1, 0, 0, 0, 1, 1, 0]], "float32")
        >>> fittings[2].objects(whole, (100, 200))[0, 3:7].tolist()  # in the middle
        [0.0, 0.25, 1.0, 0.75]
    """

    size: tuple[int, int]
    mode: str = "warp"
    interpolations: tuple[str, ...] = ("linear",)
    pad_mode: str = "constant"
    pad_value: tuple[float, ...] = (0.0,)

    def __post_init__(self):
        if self.mode not in _MODES or self.pad_mode not in _PAD_MODES:
            raise ValueError(
                f"Expected mode to be one of {_MODES}, pad_mode of "
                f"{tuple(_PAD_MODES)}; received: {self.mode!r}, {self.pad_mode!r}"
            )
        wrong = set(self.interpolations) - set(INTERPOLATIONS)
        if wrong or not self.interpolations:
            raise ValueError(
                f"Expected interpolations to be of {INTERPOLATIONS}; received: "
                f"{self.interpolations}"
            )
        check_pixels(self.size)

    @classmethod
    def from_message(cls, message) -> "Fitting":
        """Return what a `resize_param` in a prototxt asks for.

        Raises:
            ValueError: If it asks for `height_scale` or `width_scale`.
        """
        if message.height_scale or message.width_scale:
            raise ValueError(
                "Expected a resize_param without height_scale and width_scale, which "
                "change boxes but no picture; received: "
                f"{message.height_scale}, {message.width_scale}"
            )
        modes = tuple(
            _word(message, "interp_mode", mode) for mode in message.interp_mode
        )
        return cls(
            (message.height, message.width),
            _word(message, "resize_mode", message.resize_mode),
            modes or ("linear",),
            _word(message, "pad_mode", message.pad_mode),
            tuple(message.pad_value) or (0.0,),
        )

    def draw(self, draws: Draws) -> str:
        """Return one of the interpolations."""
        return self.interpolations[draws.below(len(self.interpolations))]

    def __call__(self, image: np.ndarray, interpolation: str) -> np.ndarray:
        """Resize a picture `(H, W, C)` of uint8.

        Raises:
            ValueError: If it would have more than 2**26 pixels.
        """
        size = self._inner_size(image.shape[:2])
        check_pixels(size)
        out = opencv_resize(image, size, interpolation)
        out = out.reshape(*size, image.shape[-1])
        if self.mode != "fit_large_size_and_pad" or size == tuple(self.size):
            return out
        return self._padded(out)

    def objects(self, rows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return a picture's objects as they are in the resized one.

        Corners outside of the picture are moved to its border, as in the fork.

        Args:
            rows: Objects `(G, 8)`.
            size: Height and width of the picture before.
        """
        rows = rows.copy()
        corners = rows[:, CORNERS].reshape(-1, 2, 2)
        share = np.ones(2, "float32")  # of the size that is the picture
        if self.mode == "fit_large_size_and_pad":
            share = (np.float32(self._fit(size)) / np.float32(self.size))[::-1]
        corners[:, 0] = np.maximum(corners[:, 0] * share, 0)
        corners[:, 1] = np.minimum(corners[:, 1] * share, 1)
        rows[:, CORNERS] = (corners + (1 - share) / 2).reshape(-1, 4)
        return rows

    def _inner_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the picture without what fills it up."""
        if self.mode == "warp":
            return tuple(self.size)
        height, width = self._fit(size)
        return max(int(height), 1), max(int(width), 1)

    def _fit(self, size: tuple[int, int]) -> tuple[np.float32, np.float32]:
        """Return height and width of the picture's shape, not yet whole."""
        height, width = self.size
        shape = np.float32(size[1]) / np.float32(size[0])
        wider = shape > np.float32(width) / np.float32(height)
        if wider == (self.mode == "fit_large_size_and_pad"):
            return np.float32(width) / shape, np.float32(width)
        return np.float32(height), shape * np.float32(height)

    def _padded(self, image: np.ndarray) -> np.ndarray:
        spare = [want - is_ for want, is_ in zip(self.size, image.shape, strict=False)]
        margins = [(rest // 2, rest - rest // 2) for rest in spare]
        if self.pad_mode != "constant":
            return np.pad(image, (*margins, (0, 0)), _PAD_MODES[self.pad_mode])
        out = filled((*self.size, image.shape[-1]), self.pad_value)
        (top, _), (left, _) = margins
        out[top : top + image.shape[0], left : left + image.shape[1]] = image
        return out


def filled(shape: tuple[int, int, int], values) -> np.ndarray:
    """Return a picture of one colour, uint8, its values rounded as OpenCV's are.

    Raises:
        ValueError: If there is neither one value nor one for each channel.
    """
    values = np.clip(np.rint(np.atleast_1d(values)), 0, 255).astype("uint8")
    if values.shape not in ((1,), shape[2:]):
        raise ValueError(
            f"Expected one value, or one for each of {shape[2]} channels; received: "
            f"{len(values)}"
        )
    row = np.broadcast_to(values, shape[1:]).reshape(-1)
    return np.full((shape[0], len(row)), row).reshape(shape)


def check_pixels(size: tuple[int, int]) -> None:
    """Check that a picture of a size has pixels, and not too many.

    Raises:
        ValueError: If not.
    """
    height, width = size
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(
            f"Expected a picture of 1 to {MAX_PIXELS:,} pixels; received: {height} x "
            f"{width}"
        )


def _word(message, field: str, value: int) -> str:
    """Return the name of an enum's value, in small letters."""
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    return enum.values_by_number[value].name.lower()
