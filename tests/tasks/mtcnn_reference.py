"""MTCNN's cascade once more, in loops and in the authors' pixels, counted from 1."""

import math

import numpy as np


def find(pixels, nets, smallest=20, thresholds=(0.6, 0.7, 0.7)):
    """Return rows of x1, y1, x2, y2, score and five points: (N, 15).

    Args:
        pixels: RGB, (H, W, 3).
        nets: Functions of a batch (N, C, W, H) that return chances of faces, moves and,
            the last, points, all with the channels second.
        smallest: Least side of a face.
        thresholds: Of the three nets.
    """
    pixels = pixels.astype(float)
    height, width = pixels.shape[:2]
    boxes = []
    level, scale = 0, 12 / smallest
    least = min(height, width) * scale
    while least >= 12:
        factor = scale * 0.709**level
        small = bilinear(pixels, math.ceil(height * factor), math.ceil(width * factor))
        chances, moves = nets[0](planes([small]))
        of_level = []
        for column in range(chances.shape[1]):
            for row in range(chances.shape[2]):
                if chances[0, column, row] >= np.float32(thresholds[0]):
                    of_level.append(
                        [
                            *(
                                math.trunc((2 * at + 1) / factor)
                                for at in (column, row)
                            ),
                            *(
                                math.trunc((2 * at + 12) / factor)
                                for at in (column, row)
                            ),
                            float(chances[0, column, row]),
                            *(float(move) for move in moves[0, :, column, row]),
                        ]
                    )
        boxes += kept(of_level, 0.5)
        least *= 0.709
        level += 1
    windows = []
    for x1, y1, x2, y2, _, a, b, c, d in kept(boxes, 0.7):
        w, h = x2 - x1, y2 - y1
        windows.append(square(x1 + a * w, y1 + b * h, x2 + c * w, y2 + d * h))
    if not windows:
        return np.zeros((0, 15))

    chances, moves = nets[1](planes([cut(pixels, window, 24) for window in windows]))
    sure = [
        [*window, float(chance), *map(float, move)]
        for window, chance, move in zip(windows, chances, moves, strict=True)
        if chance > np.float32(thresholds[1])
    ]
    windows = [square(*stretched(one[:4], one[5:])) for one in kept(sure, 0.7)]
    if not windows:
        return np.zeros((0, 15))

    chances, moves, points = nets[2](planes([cut(pixels, w, 48) for w in windows]))
    faces = []
    for window, chance, move, fives in zip(
        windows, chances, moves, points, strict=True
    ):
        if not chance > np.float32(thresholds[2]):
            continue
        x1, y1, x2, y2 = window
        found = []
        for i in range(5):
            found.append((x2 - x1 + 1) * float(fives[i]) + x1 - 1)
            found.append((y2 - y1 + 1) * float(fives[5 + i]) + y1 - 1)
        faces.append([*stretched(window, map(float, move)), float(chance), *found])
    return np.array(kept(faces, 0.7, least=True)).reshape(-1, 15)


def planes(images):
    """A batch as Caffe has it, rows the columns of the pictures."""
    return np.float32(
        [(image.transpose(2, 1, 0) - 127.5) * 0.0078125 for image in images]
    )


def kept(boxes, threshold, least=False):
    left = sorted(enumerate(boxes), key=lambda pair: (pair[1][4], pair[0]))
    stay = []
    while left:
        _, best = left.pop()
        stay.append(best)
        left = [one for one in left if not overlap(best, one[1], least) > threshold]
    return stay


def overlap(a, b, least):
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(x2 - x1 + 1) * (y2 - y1 + 1) for x1, y1, x2, y2, *_ in (a, b)]
    return w * h / (min(areas) if least else sum(areas) - w * h)


def square(x1, y1, x2, y2):
    w, h = x2 - x1, y2 - y1
    side = max(w, h)
    left, top = x1 + w / 2 - side / 2, y1 + h / 2 - side / 2
    return [math.trunc(at) for at in (left, top, left + side, top + side)]


def stretched(box, moves):
    x1, y1, x2, y2 = box
    w, h = x2 - x1 + 1, y2 - y1 + 1
    a, b, c, d = moves
    return [x1 + a * w, y1 + b * h, x2 + c * w, y2 + d * h]


def cut(pixels, window, side):
    x1, y1, x2, y2 = window
    canvas = np.zeros((y2 - y1 + 1, x2 - x1 + 1, 3))
    for y in range(max(y1, 1), min(y2, pixels.shape[0]) + 1):
        for x in range(max(x1, 1), min(x2, pixels.shape[1]) + 1):
            canvas[y - y1, x - x1] = pixels[y - 1, x - 1]
    return bilinear(canvas, side, side)


def bilinear(image, height, width):
    """OpenCV's: the centres of pixels lie on one another, nothing is averaged."""
    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("ay,byc->abc", rows, np.einsum("bx,yxc->byc", columns, image))


def weights(old, new):
    matrix = np.zeros((new, old))
    for i in range(new):
        at = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
        low = int(at)
        matrix[i, low] += 1 - (at - low)
        matrix[i, min(low + 1, old - 1)] += at - low
    return matrix
