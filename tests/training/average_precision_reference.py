"""Average precisions by loops over single boxes, in plain Python."""

import numpy as np


def overlap(a, b, size):
    more = 0
    if size is not None:
        height, width = size
        a, b = (
            [min(max(x, 0), 1) * (height if i % 2 else width) for i, x in enumerate(y)]
            for y in (a, b)
        )
        more = 1
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width < 0 or height < 0:
        return 0  # in pixels the fork has one: too little to count
    both = (width + more) * (height + more)
    area = [(x[2] - x[0] + more) * (x[3] - x[1] + more) for x in (a, b)]
    return both / (area[0] + area[1] - both) if both else 0


def by_hand(batches, classes, version, difficult=True, sizes=None):
    """Return the mean average precision, and those of the classes."""
    found = []
    for label in range(1, classes):
        told, count, number = [], 0, 0
        for detections, objects in batches:
            for rows, there in zip(detections, objects, strict=True):
                size = None if sizes is None else sizes[number % len(sizes)]
                number += 1
                its = [x.tolist() for x in there if x[0] >= 0 and x[1] == label]
                count += sum(difficult or not x[7] for x in its)
                taken = set()
                mine = [x.tolist() for x in rows if x[1] == label]
                for row in sorted(mine, key=lambda x: -x[2]):
                    pairs = [(overlap(row[3:], x[3:7], size), x) for x in its]
                    best, at = max(
                        ((o, -j) for j, (o, _) in enumerate(pairs)), default=(0, 0)
                    )
                    if best < 0.5:
                        told.append((row[2], False))
                    elif difficult or not its[-at][7]:
                        told.append((row[2], at not in taken))
                        taken.add(at)
        found.append(precision_by_hand(told, count, version))
    return sum(found) / len(found), found


def precision_by_hand(told, count, version):
    points, hits = [], 0
    for i, (_, right) in enumerate(sorted(told, key=lambda x: -x[0]), 1):
        hits += right
        points.append((hits / count if count else 0, hits / i))
    if not count or not points:
        return 0
    area, last = 0, 0
    if version == "11point":
        levels = [
            [p for r, p in points if np.float32(r) >= level / 10] for level in range(11)
        ]
        return sum(max(x, default=0) for x in levels) / 11
    for i, (recall, precision) in enumerate(points):
        best = max(p for _, p in points[max(i - 1, 0) :])
        area += (recall - last) * (precision if version == "Integral" else best)
        last = recall
    return area
