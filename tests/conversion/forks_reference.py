"""FlowNet2's and YOLO's layers once more, in plain NumPy loops, as the forks' code."""

import math

import numpy as np


def rounded(x):
    """C's `round`: halves away from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def correlation(a, b, kernel, reach, pad=0, stride_1=1, stride_2=1, subtract=False):
    widths = [(0, 0), (0, 0), (pad, pad), (pad, pad)]
    a, b = np.pad(a.astype("f8"), widths), np.pad(b.astype("f8"), widths)
    border = reach + (kernel - 1) // 2
    sizes = [math.ceil((size - 2 * border) / stride_1) for size in a.shape[2:]]
    r = reach // stride_2
    y = np.zeros((len(a), (2 * r + 1) ** 2, *sizes))
    for n, c, i, j in np.ndindex(*y.shape):
        dy, dx = ((c // (2 * r + 1) - r) * stride_2, (c % (2 * r + 1) - r) * stride_2)
        top, left = i * stride_1 + reach, j * stride_1 + reach
        one = a[n, :, top : top + kernel, left : left + kernel]
        other = b[n, :, top + dy : top + dy + kernel, left + dx : left + dx + kernel]
        y[n, c, i, j] = (abs(one - other) if subtract else one * other).mean()
    return y


def _curve(kind, x):
    x = abs(x)
    if kind == "LINEAR":
        return max(1 - x, 0)
    if x <= 1:
        return x * x * (1.5 * x - 2.5) + 1
    return x * (x * (-0.5 * x + 2.5) - 4) + 2 if x < 2 else 0


def resample(x, height, width, kind="LINEAR", antialias=True):
    rows, columns = x.shape[2:]
    fy, fx = rows / height, columns / width
    y = np.zeros((*x.shape[:2], height, width))
    smooth = antialias and max(fx, fy) > 1
    ax, ay = (1 / fx, 1 / fy) if smooth else (1, 1)
    support = {"LINEAR": 2, "CUBIC": 4, "NEAREST": 0}[kind]
    rx = 2 if fx < 1 else math.ceil(support / ax)
    ry = 2 if fy < 1 else math.ceil(support / ay)
    for i, j in np.ndindex(height, width):
        at_x, at_y = j * fx + fy / 2 - 0.5, i * fy + fx / 2 - 0.5
        near_x, near_y = rounded(at_x), rounded(at_y)
        if kind == "NEAREST":
            y[:, :, i, j] = x[:, :, near_y, near_x]
            continue
        total = 0
        for v in range(max(near_y - ry, 0), min(near_y + ry + 1, rows)):
            for u in range(max(near_x - rx, 0), min(near_x + rx + 1, columns)):
                weight = ax * _curve(kind, ax * (at_x - u))
                weight *= ay * _curve(kind, ay * (at_y - v))
                y[:, :, i, j] += weight * x[:, :, v, u]
                total += weight
        y[:, :, i, j] = y[:, :, i, j] / total if total else 0
    return y


def _hat(size, count):
    """Return weights (count, size) as Caffe's float32 has them."""
    end, last = np.float32(size - 1), np.float32(count - 1)
    centres = np.arange(count, dtype="f4") / last * end
    return np.maximum(0, 1 - abs(np.arange(size) - centres[:, None]) / (end / last))


def downsample(x, height, width):
    """Return the map, and where just half of a pixel is missing."""
    rows, columns = x.shape[2:]
    if (rows, columns) == (height, width):
        return x, np.zeros(x.shape, bool)
    down, right = _hat(rows, height), _hat(columns, width)
    y = np.zeros((*x.shape[:2], height, width))
    even = np.zeros(y.shape, bool)
    for n, c, i, j in np.ndindex(*y.shape):
        weights = np.outer(down[i], right[j])
        lost = np.isnan(x[n, c])
        total, missing = weights[~lost].sum(), weights[lost].sum()
        even[n, c, i, j] = abs(missing - total / 2) < 1e-5
        gone = total == 0 or missing / total > 0.5
        y[n, c, i, j] = (
            np.nan if gone else (weights * np.nan_to_num(x[n, c])).sum() / total
        )
    return y, even


def accum(maps, height, width):
    parts = []
    for x in maps:
        rows, columns = x.shape[2:]
        y = np.zeros((*x.shape[:2], height, width))
        for i, j in np.ndindex(height, width):
            v, u = i * (rows - 1) / (height - 1), j * (columns - 1) / (width - 1)
            top, left = math.floor(v + 1e-9), math.floor(u + 1e-9)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            b, a = v - top, u - left
            y[:, :, i, j] = (
                (1 - a) * (1 - b) * x[:, :, top, left]
                + a * b * x[:, :, bottom, right]
                + (1 - a) * b * x[:, :, bottom, left]
                + a * (1 - b) * x[:, :, top, right]
            )
        parts.append(y)
    return np.concatenate(parts, 1)


def flow_warp(image, flow, fill):
    y = np.full(image.shape, fill, "f8")
    height, width = image.shape[2:]
    for n, i, j in np.ndindex(len(image), height, width):
        u, v = j + flow[n, 0, i, j], i + flow[n, 1, i, j]
        if not (0 <= u < width and 0 <= v < height):
            continue
        left, top = int(u), int(v)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        a, b = u - left, v - top
        y[n, :, i, j] = (
            (1 - a) * (1 - b) * image[n, :, top, left]
            + a * (1 - b) * image[n, :, top, right]
            + (1 - a) * b * image[n, :, bottom, left]
            + a * b * image[n, :, bottom, right]
        )
    return y


def reorg(x, stride, reverse=False):
    items, channels, height, width = x.shape
    kept = channels // stride**2
    wide = np.zeros((items, kept, height * stride, width * stride), x.dtype)
    narrow = np.zeros((items, channels, height, width), x.dtype)
    seen = x.reshape(wide.shape)
    for c, h, w in np.ndindex(channels, height, width):
        offset = c // kept
        at = (c % kept, h * stride + offset // stride, w * stride + offset % stride)
        wide[(slice(None), *at)] = x[:, c, h, w]
        narrow[:, c, h, w] = seen[(slice(None), *at)]
    if reverse:
        return wide
    return narrow.reshape(items, channels * stride**2, height // stride, -1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype("f8")))


def _candidates(item, biases, boxes, scale, classes):
    """Return (box, values) of each cell and box of one item's map."""
    _, height, width = item.shape
    values = item.reshape(boxes, 5 + classes, height, width).astype("f8")
    for j, i, n in np.ndindex(height, width, boxes):
        v = values[n, :, j, i]
        x, y = (i + sigmoid(v[0])) / width, (j + sigmoid(v[1])) / height
        w = np.exp(v[2]) * biases[n][0] / (width * scale)
        h = np.exp(v[3]) * biases[n][1] / (height * scale)
        yield (x, y, w, h), v


def _iou(a, b):
    w, h = (
        min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2)
        - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)
        for i in (0, 1)
    )
    shared = 0 if min(w, h) < 0 else w * h
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _rows(found, threshold):
    found, kept = sorted(found, key=lambda row: -row[1]), []
    for label, score, box in found:
        if all(_iou(other, box) < threshold for *_, other in kept):
            kept.append((label, score, box))
    return [
        (label, score, x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for label, score, (x, y, w, h) in kept
    ]


def yolo2(maps, biases, classes, confidence, threshold):
    """Return the rows of each item, without its number."""
    every = []
    for n in range(len(maps[0])):
        found = []
        for x in maps:
            for box, v in _candidates(x[n], biases, len(biases), 1, classes):
                chances = np.exp(v[5:] - v[5:].max())
                score = sigmoid(v[4]) * chances.max() / chances.sum()
                if score >= confidence:
                    found.append((v[5:].argmax() + 1, score, box))
        every.append(_rows(found, threshold))
    return every


def yolo3(maps, biases, masks, scales, classes, confidence, threshold):
    every = []
    for n in range(len(maps[0])):
        found = []
        for x, mask, scale in zip(maps, masks, scales, strict=True):
            own = [biases[anchor] for anchor in mask]
            for box, v in _candidates(x[n], own, len(mask), scale, classes):
                scores = sigmoid(v[4]) * sigmoid(v[5:])
                found += [
                    (c + 1, score, box)
                    for c, score in enumerate(scores)
                    if score > confidence
                ]
        every.append(_rows(found, threshold))
    return every


def ctc(values, begins, blank, merge):
    times, items, classes = values.shape
    blank = classes - 1 if blank < 0 else blank
    found, scores = np.full((items, times, 1, 1), -1.0), np.zeros((items, 1, 1, 1))
    for n in range(items):
        before, told = -1, []
        for t in range(times):
            if t and begins[t, n] == 0:
                break
            label = values[t, n].argmax()
            scores[n] -= values[t, n].max()
            if label != blank and not (merge and label == before):
                told.append(label)
            before = label
        found[n, : len(told), 0, 0] = told
    return found, scores
