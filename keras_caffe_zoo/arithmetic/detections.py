"""What `DetectionOutput` is told, and how many detections there may be."""

from __future__ import annotations

from dataclasses import dataclass

from keras_caffe_zoo.arithmetic.boxes import CODE_TYPES

MAX_CANDIDATES = 1 << 22  # of one item; SSD512 on COCO has two million


@dataclass(frozen=True)
class DetectionOptions:
    """The arguments of `CaffeDetectionOutput`, which has them as attributes, too."""

    num_classes: int
    share_location: bool = True
    background_label_id: int = 0
    nms_threshold: float = 0.3
    top_k: int | None = None
    eta: float = 1.0
    code_type: str = "corner"
    keep_top_k: int | None = None
    variance_encoded_in_target: bool = False
    confidence_threshold: float | None = None
    clip: bool = False


def check_options(options) -> None:
    """Raise a ValueError unless these are options that a `DetectionOutput` can have."""
    if options.code_type not in CODE_TYPES:
        raise ValueError(
            f"Expected `code_type` to be one of {CODE_TYPES}; received: "
            f"code_type={options.code_type!r}."
        )
    if not options.nms_threshold >= 0 or not 0 < options.eta <= 1:
        raise ValueError(
            "Expected `nms_threshold` of at least 0 and `eta` above 0, at most 1; "
            f"received: {options.nms_threshold}, {options.eta}."
        )
    if not 1 <= options.num_classes <= MAX_CANDIDATES:
        raise ValueError(
            "Expected `num_classes` to be positive, at most "
            f"{MAX_CANDIDATES:,}; received: num_classes={options.num_classes}."
        )
    for name in ("top_k", "keep_top_k"):
        value = getattr(options, name)
        if value is not None and value < 0:
            raise ValueError(
                f"Expected `{name}` of at least 0, or None for all; received: "
                f"{name}={value}."
            )


def labels_of(options) -> list[int]:
    """Return the classes that are something."""
    classes = range(options.num_classes)
    return [label for label in classes if label != options.background_label_id]


def room(options, offsets, scores, priors, name: str) -> int:
    """Return for how many detections of an item there must be room.

    Args:
        options: What the layer was told.
        offsets: The shape of the first bottom.
        scores: Of the second.
        priors: Of the third.
        name: The layer's name, for errors.

    Raises:
        ValueError: If the shapes do not fit one another, or there are too many.
    """
    return _most(options, _priors(options, offsets, scores, priors, name), name)


def _priors(options, offsets, scores, priors, name) -> int | None:
    each = 1 if options.share_location else options.num_classes
    count = None if priors[-1] is None else priors[-1] // 4
    wanted = (
        (2, None if count is None else count * each * 4),
        (2, None if count is None else count * options.num_classes),
    )
    fits = len(priors) == 3 and priors[1] == 2
    for shape, (rank, size) in zip((offsets, scores), wanted, strict=True):
        fits = fits and len(shape) == rank
        fits = fits and (None in (size, shape[1]) or shape[1] == size)
    if not fits or (count is not None and priors[-1] % 4):
        raise ValueError(
            "Expected offsets (N, priors * 4"
            f"{'' if options.share_location else ' * classes'}), probabilities (N, "
            f"priors * {options.num_classes}) and priors (1, 2, priors * 4) for layer "
            f"'{name}'; received shapes: {offsets}, {scores}, {priors}."
        )
    return count


def _most(options, priors: int | None, name: str) -> int:
    counts = [count for count in (options.top_k, priors) if count is not None]
    if not counts or priors == 0:
        raise ValueError(
            f"Expected priors, and a `top_k` where their number is not known, for "
            f"layer '{name}'; received: {priors}, top_k={options.top_k}."
        )
    most, classes = min(counts), len(labels_of(options))
    candidates = most * classes
    rows = candidates if options.keep_top_k is None else options.keep_top_k
    if candidates > MAX_CANDIDATES:
        raise ValueError(
            f"Expected at most {MAX_CANDIDATES:,} candidates for layer '{name}'; "
            f"received: {candidates:,}, {most:,} of each of {classes:,} classes. Give "
            "a lower `top_k`."
        )
    return min(rows, candidates)
