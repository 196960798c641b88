"""OpenCV's `resize`, in its own arithmetic: the same bytes, without OpenCV."""

import functools
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.preprocessing.room import room

INTERPOLATIONS = ("nearest", "linear", "cubic", "area", "lanczos4")

_ONE = 2048  # what fixed-point weights are multiples of: 11 bits
_AT_ONCE = 1 << 16  # numbers that are computed at once, in the processor's cache
_LANES = 8  # 16-bit numbers in a vector of OpenCV's
_HALF = np.sqrt(0.5)
# By how much of the first tap's sine and cosine each tap's sine is, with its sign: they
# are an eighth of a turn apart.
_EIGHTHS = (
    (1, 0),
    (-_HALF, -_HALF),
    (0, 1),
    (_HALF, -_HALF),
    (-1, 0),
    (_HALF, _HALF),
    (0, -1),
    (-_HALF, _HALF),
)


class _Axis(NamedTuple):
    """An axis that is resized.

    Attributes:
        old: Its length.
        new: Its new length.
        wanted: The new pixels that are computed.
        vertical: Whether it is the axis of rows.
    """

    old: int
    new: int
    wanted: np.ndarray
    vertical: bool

    @property
    def step(self) -> float:
        """Old pixels to a new one, rounded twice, as OpenCV has it."""
        return 1 / (self.new / self.old)

    @property
    def whole(self) -> int:
        """The step, if it is whole to OpenCV; else 0."""
        near = round(self.step)
        return near if abs(self.step - near) < np.finfo(float).eps else 0


class _Taps(NamedTuple):
    """Which old pixels new ones are made of, along one axis.

    Attributes:
        places: Their indices, `(new, taps)`.
        weights: Their weights, `(new, taps)`: float32, or int32 in units of 1/2048.
    """

    places: np.ndarray
    weights: np.ndarray


def opencv_resize(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str = "linear",
    *,
    box: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Resize an image as `cv2.resize(image, (width, height))` does.

    Of bytes these are OpenCV's own bytes: weights are whole multiples of 1/2048, each
    pass cuts or rounds as OpenCV's does, rows above and below the image are weighted as
    others are, and to halve both sides by `"linear"` takes the mean of four. Float32 is
    OpenCV's to rounding. Only `"area"` smooths what it shrinks. (Where OpenCV was built
    with Intel's IPP, that has its own `"cubic"`, which may differ by a level, and its
    own floats, by 0.003 of 255. Facts: OpenCV, resize.cpp, since version 2.4.)

    Args:
        image: uint8 or float32 `(H, W)` or `(H, W, C)`.
        size: New height and width.
        interpolation: `"nearest"`, `"linear"`, `"cubic"`, `"area"` or `"lanczos4"`.
        box: The rows and columns of the new image that are wanted, two slices with
            both ends; all if None. Only they are computed.

    Returns:
        Array of the new size, or of the box's, with the image's type and axes; the
        image itself where it has that size already.

    Raises:
        ValueError: If the image is of another kind or empty, the size is not positive,
            or there is no such interpolation.

    Example:
        >>> from keras_caffe_zoo.preprocessing import opencv_resize
        >>> image = np.uint8([[0, 100, 200, 40]])
        >>> [opencv_resize(image, (1, 3), how).tolist() for how in ("linear", "area")]
        [[[17, 150, 67]], [[25, 150, 80]]]
    """
    _check(image, size, interpolation)
    if image.shape[:2] == tuple(size):
        return image if box is None else image[box]
    box = box or (slice(0, size[0]), slice(0, size[1]))
    if image.ndim == 2:
        return _resized(image[..., None], size, interpolation, box)[..., 0]
    return _resized(image, size, interpolation, box)


def _check(image: np.ndarray, size, interpolation: str) -> None:
    if image.dtype not in (np.uint8, np.float32) or image.ndim not in (2, 3):
        raise ValueError(
            "Expected an image (H, W) or (H, W, C) of uint8 or float32; received: "
            f"{image.dtype} of shape {image.shape}"
        )
    if not image.size or min(size) < 1:
        raise ValueError(
            "Expected an image with pixels, and a positive size; received: shape "
            f"{image.shape}, size {tuple(size)}"
        )
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"Expected interpolation to be one of {', '.join(INTERPOLATIONS)}; "
            f"received: {interpolation!r}"
        )


def _resized(image, size, interpolation, box) -> np.ndarray:
    down, across = (
        _Axis(old, new, np.arange(part.start, part.stop), vertical)
        for old, new, part, vertical in zip(
            image.shape, size, box, (True, False), strict=False
        )
    )
    if interpolation == "nearest":
        rows, columns = _nearest(down), _nearest(across)
        return image[rows[:, None], columns]
    shrinks = min(down.step, across.step) >= 1
    if interpolation == "linear" and down.whole == across.whole == 2:
        interpolation = "area"
    if interpolation == "area" and shrinks:
        if down.whole and across.whole:
            return _means(image, down, across)
        rows = _down if image.dtype == np.float32 else _rounded_rows
        return _weighted(image, _shares(down), _shares(across), rows)
    taps = _TAPS[interpolation]
    down, across, rows = taps(down), taps(across), _down
    if image.dtype == np.uint8:
        down, across = _fixed(down), _fixed(across)
        rows = _BYTE_ROWS[interpolation]
    if rows is _cubic_rows:
        full = size[1] * image.shape[2] // _LANES * _LANES
        skipped = box[1].start * image.shape[2]
        rows = functools.partial(_cubic_rows, vectors=max(0, full - skipped))
    return _weighted(image, down, across, rows)


def _nearest(axis: _Axis) -> np.ndarray:
    places = np.floor(axis.wanted * axis.step).astype(int)
    return np.minimum(places, axis.old - 1)


def _centres(axis: _Axis) -> tuple[np.ndarray, np.ndarray]:
    """Return the old pixels before new ones' centres, and how far these are on."""
    centres = ((axis.wanted + 0.5) * axis.step - 0.5).astype("float32")
    before = np.floor(centres)
    return before.astype(int), centres - before


def _around(axis: _Axis, before: np.ndarray, weights) -> _Taps:
    """Return taps on the pixels around a place; the border's go on for ever."""
    weights = np.stack(weights, axis=1)
    count = weights.shape[1]
    places = before[:, None] + np.arange(count) - (count // 2 - 1)
    return _Taps(places.clip(0, axis.old - 1), weights)


def _pair(axis: _Axis, before: np.ndarray, far: np.ndarray) -> _Taps:
    if not axis.vertical:  # rows outside are weighted, columns outside are not
        inside = (before >= 0) & (before < axis.old - 1)
        far = np.where(inside, far, np.float32(0))
    return _around(axis, before, (1 - far, far))


def _linear(axis: _Axis) -> _Taps:
    return _pair(axis, *_centres(axis))


def _enlarged(axis: _Axis) -> _Taps:
    """Return the taps of `"area"` where an axis grows: old pixels keep their edges."""
    before = np.floor(axis.wanted * axis.step).astype(int)
    far = (axis.wanted + 1) - (before + 1) * (axis.new / axis.old)
    far = far.astype("float32")
    return _pair(axis, before, np.where(far <= 0, np.float32(0), far - np.floor(far)))


def _cubic(axis: _Axis) -> _Taps:
    before, far = _centres(axis)
    one, sharp = np.float32(1), np.float32(-0.75)

    def near(x):
        return ((sharp + 2) * x - (sharp + 3)) * x * x + one

    beyond = far + one
    first = ((sharp * beyond - 5 * sharp) * beyond + 8 * sharp) * beyond - 4 * sharp
    second, third = near(far), near(one - far)
    last = one - first - second - third
    return _around(axis, before, (first, second, third, last))


def _lanczos4(axis: _Axis) -> _Taps:
    before, far = _centres(axis)
    start = far + np.float32(3)
    quarter = np.pi * 0.25
    angle = -start.astype(float) * quarter
    sine, cosine = np.sin(angle), np.cos(angle)
    weights = []
    for tap, (of_sine, of_cosine) in enumerate(_EIGHTHS):
        distance = start - np.float32(tap)
        at = np.abs(distance) < np.float32(1e-6)  # on a pixel: it has all the weight
        y = np.where(at, 1, -distance.astype(float) * quarter)
        weight = (of_sine * sine + of_cosine * cosine) / (y * y)
        weights.append(np.where(at, 1e30, weight).astype("float32"))
    total = np.zeros_like(far)
    for weight in weights:
        total += weight
    return _around(axis, before, [weight * (1 / total) for weight in weights])


def _shares(axis: _Axis) -> _Taps:
    """Return taps on all old pixels that a new one covers, by how much it does."""
    start = axis.wanted * axis.step
    stop = start + axis.step
    width = np.minimum(axis.step, axis.old - start)
    last = np.minimum(np.floor(stop).astype(int), axis.old - 1)
    first = np.minimum(np.ceil(start).astype(int), last)
    before = np.where(first - start > 1e-3, (first - start) / width, 0)
    after = np.minimum(np.minimum(stop - last, 1), width) / width
    after = np.where(stop - last > 1e-3, after, 0)
    places = first[:, None] - 1 + np.arange((last - first).max() + 2)
    weights = np.where(places < last[:, None], (1 / width)[:, None], 0)
    weights[:, 0] = before
    at_last = places == last[:, None]
    weights = np.where(at_last & (places >= first[:, None]), after[:, None], weights)
    return _Taps(places.clip(0, axis.old - 1), weights.astype("float32"))


def _fixed(taps: _Taps) -> _Taps:
    weights = np.rint(taps.weights * np.float32(_ONE))
    return _Taps(taps.places, weights.astype("int32"))


def _weighted(image, down: _Taps, across: _Taps, rows_of) -> np.ndarray:
    """Return weighted sums of pixels, along rows first, some rows at a time.

    Args:
        image: Array `(H, W, C)`.
        down: Taps of the new rows.
        across: Taps of the new columns.
        rows_of: Function of the sums along rows, of which of them each new row is made
            of, and of their weights: the new rows.
    """
    height, _, channels = image.shape
    new = (len(down.places), len(across.places))
    resized = np.empty((new[0], new[1] * channels), image.dtype)
    flat = image.reshape(height, -1)
    places = (across.places * channels)[:, None] + np.arange(channels)[:, None]
    # One tap after the other, as they are used: else each step would jump.
    places = np.ascontiguousarray(places.reshape(-1, across.places.shape[1]).T)
    weights = np.ascontiguousarray(np.repeat(across.weights, channels, axis=0).T)
    step = max(1, _AT_ONCE // max(flat.shape[1] // 8, resized.shape[1]))
    for start in range(0, new[0], step):
        part = slice(start, start + step)
        rows, which = _rows(flat, down.places[part])
        sums = _along(rows, places, weights)
        resized[part] = rows_of(sums, which, down.weights[part])
    return resized.reshape(*new, channels)


def _rows(image, places) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows at some places, each about once, and which of them is where."""
    first, stop = places.min(), places.max() + 1
    if stop - first <= places.size:
        return image[first:stop], places - first
    return image[places.ravel()], np.arange(places.size).reshape(places.shape)


def _along(rows, places, weights) -> np.ndarray:
    """Return sums along rows `(R, n)`, of the type of the weights.

    Like those of the functions below, the array is of this thread's room: the next
    call writes over it.
    """
    shape = len(rows), places.shape[1]
    total = room.array("along", shape, weights.dtype)
    for tap, (wanted, weight) in enumerate(zip(places, weights, strict=True)):
        term = room.array("term", shape, weights.dtype) if tap else total
        np.copyto(term, rows.take(wanted, axis=1))
        term *= weight
        if tap:
            total += term
    return total


def _down(sums, which, weights) -> np.ndarray:
    """Return sums of rows, of the type of the weights."""
    total = _taken(sums, which[:, 0], "down")
    total *= weights[:, 0, None]
    for tap in range(1, which.shape[1]):
        term = _taken(sums, which[:, tap], "term")
        term *= weights[:, tap, None]
        total += term
    return total


def _taken(rows, which, name: str) -> np.ndarray:
    taken = room.array(name, (len(which), rows.shape[1]), rows.dtype)
    return rows.take(which, 0, taken, mode="clip")  # else it is buffered


def _rounded_rows(sums, which, weights) -> np.ndarray:
    total = _down(sums, which, weights)
    return np.rint(total, out=total)


def _linear_rows(sums, which, weights) -> np.ndarray:
    """Return new rows as bytes: OpenCV cuts the sums' last bits, then rounds."""
    sums >>= 4
    low, high = _taken(sums, which[:, 0], "down"), _taken(sums, which[:, 1], "term")
    low *= weights[:, 0, None]
    high *= weights[:, 1, None]
    low >>= 16
    high >>= 16
    low += high
    low += 2
    low >>= 2
    return low


def _lanczos4_rows(sums, which, weights) -> np.ndarray:
    total = _down(sums, which, weights)
    total += 1 << 21
    total >>= 22
    return total.clip(0, 255, out=total)


def _cubic_rows(sums, which, weights, vectors: int) -> np.ndarray:
    """Return new rows, of which OpenCV computes the first `vectors` in float32."""
    rows = np.empty((len(which), sums.shape[1]), "int32")
    rows[:, vectors:] = _lanczos4_rows(sums[:, vectors:], which, weights)
    floats = sums[:, :vectors].astype("float32")
    factors = weights.astype("float32") * np.float32(1 / _ONE**2)
    total = _down(floats, which[:, ::-1], factors[:, ::-1])  # the last row first
    rows[:, :vectors] = np.rint(total, out=total).clip(0, 255)
    return rows


def _means(image, down: _Axis, across: _Axis) -> np.ndarray:
    """Return the means of blocks of pixels."""
    high, wide = down.whole, across.whole
    block = image[
        down.wanted[0] * high : (down.wanted[-1] + 1) * high,
        across.wanted[0] * wide : (across.wanted[-1] + 1) * wide,
    ]
    kind = "float32" if image.dtype == np.float32 else "int32"
    rows = block[::high].astype(kind)
    for start in range(1, high):
        rows += block[start::high]
    total = rows[:, ::wide].copy()
    for start in range(1, wide):
        total += rows[:, start::wide]
    if kind == "int32" and high == wide == 2 and image.shape[2] in (1, 3, 4):
        total += 2
        return (total >> 2).astype("uint8")
    means = total.astype("float32") * np.float32(1 / (high * wide))
    return means if kind == "float32" else np.rint(means).astype("uint8")


_TAPS = {
    "linear": _linear,
    "cubic": _cubic,
    "area": _enlarged,
    "lanczos4": _lanczos4,
}
_BYTE_ROWS = {
    "linear": _linear_rows,
    "cubic": _cubic_rows,
    "area": _linear_rows,
    "lanczos4": _lanczos4_rows,
}
