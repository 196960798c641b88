"""SSD's sampling and moving of boxes, once more: one box at a time, in plain Python.

Written from the fork's description alone; it shares nothing with the package but the
numbers that Philox gives to a seed and a place.
"""

import contextlib
import math

import cv2
import numpy as np

INTERPOLATIONS = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
    "lanczos4": cv2.INTER_LANCZOS4,
}


class Chance:
    """Raw numbers of 64 bits of a seed and a position, one at a time."""

    def __init__(self, seed, position, stream=8):
        counter = np.array([0, 0, position, 0], "uint64")
        key = np.array([seed, stream], "uint64")
        self.bits = np.random.Philox(counter=counter, key=key)

    def unit(self):
        return (int(self.bits.random_raw()) // 2**11) / 2**53

    def between(self, low, high):
        return low + (high - low) * self.unit()

    def below(self, stop):
        return int(self.bits.random_raw()) * stop // 2**64


def float32(number):
    """Round as C++ does where it stores a `float`."""
    return float(np.float32(number))


def area(box):
    width, height = box[2] - box[0], box[3] - box[1]
    return 0.0 if width < 0 or height < 0 else width * height


def shared(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def overlap(a, b):
    common = shared(a, b)
    return common / (area(a) + area(b) - common) if common else 0.0


def coverage(a, b):
    return shared(a, b) / area(a) if shared(a, b) else 0.0


def clipped(box):
    return [min(max(side, 0.0), 1.0) for side in box]


def satisfies(part, boxes, limits):
    """The fork's loop, its forgetful `found` included."""
    kinds = (
        ("jaccard_overlap", lambda box: overlap(part, box)),
        ("sample_coverage", lambda box: coverage(part, box)),
        ("object_coverage", lambda box: coverage(box, part)),
    )
    given = [
        (limits.get(f"min_{k}"), limits.get(f"max_{k}"), value)
        for k, value in kinds
        if {f"min_{k}", f"max_{k}"} & set(limits)
    ]
    if not given:
        return True
    found = False
    for box in boxes:
        for least, most, value in given:
            if least is not None and value(box) < least:
                break
            if most is not None and value(box) > most:
                break
            found = True
        else:
            return True
    return found


def sampled(samplers, boxes, chance):
    """Return one part, or None; samplers are dicts of the prototxt's fields."""
    parts = []
    for sampler in samplers:
        trials = [
            [chance.unit() for _ in range(4)]
            for _ in range(sampler.get("max_trials", 100))
        ]
        found = 0
        for scale, ratio, left, top in trials:
            if found >= sampler.get("max_sample", math.inf):
                break
            low, high = sampler.get("min_scale", 1), sampler.get("max_scale", 1)
            scale = float32(low + (high - low) * scale)
            low = sampler.get("min_aspect_ratio", 1)
            high = sampler.get("max_aspect_ratio", 1)
            ratio = float32(low + (high - low) * ratio)
            ratio = float32(min(max(ratio, scale**2), 1 / scale**2))
            width = min(float32(scale * math.sqrt(ratio)), 1.0)
            height = min(float32(scale / math.sqrt(ratio)), 1.0)
            x, y = float32((1 - width) * left), float32((1 - height) * top)
            part = [x, y, float32(x + width), float32(y + height)]
            if satisfies(part, boxes, sampler):
                parts.append(part)
                found += 1
    return clipped(parts[chance.below(len(parts))]) if parts else None


def within(rows, frame, emit):
    """Return the objects of a part: lists of label, instance, box, difficult."""
    out = []
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    for label, instance, box, difficult in rows:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        inside = frame[0] <= x <= frame[2] and frame[1] <= y <= frame[3]
        if emit == "center" and not inside:
            continue
        if isinstance(emit, float) and coverage(box, frame) <= emit:
            continue
        if not shared(box, frame):
            continue
        moved = clipped(
            [
                (box[0] - frame[0]) / width,
                (box[1] - frame[1]) / height,
                (box[2] - frame[0]) / width,
                (box[3] - frame[1]) / height,
            ]
        )
        if area(moved) > 0:
            out.append((label, instance, moved, difficult))
    return out


def leveled(image, factor, offset):
    levels = np.float32(factor) * image.astype("float32") + np.float32(offset)
    return np.clip(np.rint(levels), 0, 255).astype("uint8")


@contextlib.contextmanager
def opencvs_own():
    """OpenCV's own code: not IPP's, whose cubic is another, and without FMA."""
    optimized, ipp = cv2.useOptimized(), cv2.ipp.useIPP()
    cv2.setUseOptimized(False)
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.setUseOptimized(optimized)
        cv2.ipp.setUseIPP(ipp)


def to_bgr(hsv):
    """OpenCV's scalar code, which it runs on columns of one pixel."""
    column = np.ascontiguousarray(hsv.reshape(-1, 1, 3))
    with opencvs_own():
        return cv2.cvtColor(column, cv2.COLOR_HSV2BGR).reshape(hsv.shape)


def resized(image, size, mode):
    image = np.ascontiguousarray(image)
    with opencvs_own():
        return cv2.resize(image, size[::-1], interpolation=INTERPOLATIONS[mode])


def distorted(image, told, chance):
    """Return a BGR picture with `distort_param`'s changes, by OpenCV."""
    first = chance.unit() > 0.5
    order = ["brightness", "saturation", "hue"]
    order.insert(1 if first else 3, "contrast")
    for name in order:
        if not chance.unit() < told.get(f"{name}_prob", 0):
            continue
        if name in ("brightness", "hue"):
            delta = told[f"{name}_delta"]
            value = np.float32(chance.between(-delta, delta))
        else:
            value = np.float32(
                chance.between(told[f"{name}_lower"], told[f"{name}_upper"])
            )
        if name == "brightness":
            image = leveled(image, 1, value)
        elif name == "contrast":
            image = leveled(image, value, 0)
        else:
            hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            channel = 1 if name == "saturation" else 0
            change = (value, 0) if name == "saturation" else (1, value)
            hsv[..., channel] = leveled(hsv[..., channel], *change)
            image = to_bgr(hsv)
    if chance.unit() < told.get("random_order_prob", 0):
        orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
        image = image[..., orders[chance.below(6)]]
    return np.ascontiguousarray(image)


def transformed(image, rows, told, seed, position):
    """Return the image and rows of label, instance, box, difficult of the whole layer.

    `told` is a dict of size, interpolations, distort, expand (prob, ratio), samplers,
    emit, mean (of each channel) and mirror.
    """
    chance = Chance(seed, position)
    image = distorted(image, told["distort"], chance)
    height, width = image.shape[:2]
    prob, most = told["expand"]
    if chance.unit() < prob:
        ratio = np.float32(chance.between(1, most))
        tall, wide = int(np.float32(height) * ratio), int(np.float32(width) * ratio)
        top = int(np.float32(chance.between(0, tall - height)))
        left = int(np.float32(chance.between(0, wide - width)))
        canvas = np.empty((tall, wide, 3), "uint8")
        canvas[:] = np.rint(told["mean"])
        canvas[top : top + height, left : left + width] = image
        frame = [-left / width, -top / height, (wide - left) / width]
        rows = within(rows, [*frame, (tall - top) / height], told["emit"])
        image, height, width = canvas, tall, wide
    part = sampled(told["samplers"], [row[2] for row in rows], chance)
    if part is not None:
        rows = within(rows, part, told["emit"])
        x1, y1, x2, y2 = np.float32(part) * np.float32([width, height, width, height])
        image = image[int(y1) : int(y1) + int(y2 - y1)]
        image = image[:, int(x1) : int(x1) + int(x2 - x1)]
    mode = told["interpolations"][chance.below(len(told["interpolations"]))]
    image = resized(image, told["size"], mode)
    rows = within(rows, [0.0, 0.0, 1.0, 1.0], told["emit"])
    out = image.astype("float32") - np.float32(told["mean"])
    mirror = Chance(seed, position, stream=1).below(2)
    if told["mirror"] and mirror:
        out = out[:, ::-1]
        rows = [
            (label, instance, [1 - box[2], box[1], 1 - box[0], box[3]], difficult)
            for label, instance, box, difficult in rows
        ]
    return out, rows
