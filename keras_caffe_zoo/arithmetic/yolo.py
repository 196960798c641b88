"""What YOLO's layers that detect are told, and how many rows they may give."""

from __future__ import annotations

from dataclasses import dataclass

COORDINATES = 5  # centre and size of a box, and whether there is anything in it


@dataclass(frozen=True)
class YoloOptions:
    """The arguments of `CaffeYoloDetections`, or with masks `CaffeYolov3Detections`."""

    num_classes: int
    biases: tuple[float, ...]
    num_box: int
    confidence_threshold: float
    nms_threshold: float
    max_detections: int | None = None
    mask: tuple[tuple[int, ...], ...] = ()
    anchors_scale: tuple[int, ...] = ()


def check_options(options) -> None:
    """Raise a ValueError unless these are options that both layers can have."""
    if min(options.num_classes, options.num_box) < 1:
        raise ValueError(
            "Expected `num_classes` and `num_box` to be positive; received: "
            f"num_classes={options.num_classes}, num_box={options.num_box}."
        )
    if options.max_detections is not None and options.max_detections < 1:
        raise ValueError(
            "Expected `max_detections` to be positive, or None; received: "
            f"max_detections={options.max_detections}."
        )


def check_anchors(options) -> None:
    """Raise a ValueError unless each box has an anchor."""
    if len(options.biases) < 2 * options.num_box:
        raise ValueError(
            f"Expected `biases` of two numbers for each of {options.num_box} boxes; "
            f"received: {len(options.biases)}."
        )


def check_masks(options) -> None:
    """Raise a ValueError unless each map has its anchors and a scale."""
    mask, scales = options.mask, options.anchors_scale
    anchors = range(len(options.biases) // 2)
    if any(len(one) != options.num_box for one in mask) or any(
        anchor not in anchors for one in mask for anchor in one
    ):
        raise ValueError(
            f"Expected `mask` of as many of {len(anchors)} anchors for each map; "
            f"received: mask={mask}."
        )
    if len(scales) != len(mask) or min(scales) < 1:
        raise ValueError(
            f"Expected a positive `anchors_scale` for each of {len(mask)} maps; "
            f"received: anchors_scale={scales}."
        )


def rows_per_box(options) -> int:
    """Return how many rows a box can give."""
    return options.num_classes if options.mask and options.nms_threshold > 1 else 1


def candidates(options, shapes) -> int:
    """Return how many rows maps of such shapes, in Caffe's order, can give.

    Args:
        options: What the layer was told.
        shapes: The maps'.

    Raises:
        ValueError: If the maps are none of predictions.
    """
    maps = len(options.mask)
    if maps and len(shapes) != maps:
        raise ValueError(
            f"Expected {maps} maps, one for each mask; received: {len(shapes)}."
        )
    channels = options.num_box * (COORDINATES + options.num_classes)
    count = 0
    for shape in shapes:
        if len(shape) != 4 or shape[1] != channels or None in shape[2:]:
            raise ValueError(
                f"Expected maps (N, {channels}, H, W) with known H and W, "
                f"{options.num_box} boxes of {COORDINATES} + {options.num_classes} "
                f"values; received shape: {tuple(shape)}."
            )
        if not maps and shape[2] != shape[3]:
            raise ValueError(
                "Expected maps of as many rows as columns; received shape: "
                f"{tuple(shape)}."
            )
        count += shape[2] * shape[3] * options.num_box * rows_per_box(options)
    return count


def reorged_shape(shape, stride: int, reverse: bool) -> tuple:
    """Return the shape, in Caffe's order, of places as channels or the reverse.

    Raises:
        ValueError: If the sizes or channels are no multiples.
    """
    items, channels, *sizes = shape
    block = stride**2
    if channels % block:
        raise ValueError(
            f"Expected a multiple of {block} channels for a stride of "
            f"{stride}; received: {channels}."
        )
    if reverse:
        sizes = [None if size is None else size * stride for size in sizes]
        return (items, channels // block, *sizes)
    if any(size is not None and size % stride for size in sizes):
        raise ValueError(
            f"Expected a map of multiples of {stride} rows and columns; "
            f"received: {tuple(sizes)}."
        )
    sizes = [None if size is None else size // stride for size in sizes]
    return (items, channels * block, *sizes)
