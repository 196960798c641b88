"""People drawn into heat maps and part affinity fields."""

import math

import numpy as np

SIGMA = 1.0  # of a point's heat, in cells
WIDTH = 1.0  # of a limb's field on each side, in cells


def maps_of(people, skeleton, cells):
    """Return an OpenPose net's maps of people.

    Args:
        people: For each a dict of x and y in cells, by number of the point.
        skeleton: The body.
        cells: Rows and columns.
    """
    heats = len(skeleton.points) + 1
    maps = np.zeros((*cells, skeleton.maps), "float32")
    counts = np.zeros((*cells, len(skeleton.pairs)))
    for person in people:
        draw_points(maps, person)
        draw_limbs(maps, counts, person, skeleton, heats)
    for number, at in enumerate(skeleton.fields):
        shared = np.maximum(counts[..., number : number + 1], 1)
        maps[..., heats + at : heats + at + 2] /= shared
    maps[..., heats - 1] = 1 - maps[..., : heats - 1].max(-1)
    return maps


def draw_points(maps, person):
    y, x = np.mgrid[: maps.shape[0], : maps.shape[1]]
    for point, (px, py) in person.items():
        heat = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * SIGMA**2))
        maps[..., point] = np.maximum(maps[..., point], heat)


def draw_limbs(maps, counts, person, skeleton, heats):
    y, x = np.mgrid[: maps.shape[0], : maps.shape[1]]
    for number, ((a, b), at) in enumerate(
        zip(skeleton.pairs, skeleton.fields, strict=True)
    ):
        if a not in person or b not in person:
            continue
        (ax, ay), (bx, by) = person[a], person[b]
        length = math.hypot(bx - ax, by - ay)
        ux, uy = (bx - ax) / length, (by - ay) / length
        along = ux * (x - ax) + uy * (y - ay)
        aside = np.abs(uy * (x - ax) - ux * (y - ay))
        limb = (along >= -1) & (along <= length + 1) & (aside <= WIDTH)
        maps[limb, heats + at] += ux
        maps[limb, heats + at + 1] += uy
        counts[limb, number] += 1


# A person that stands, 20 cells high; x to the right of the picture.
STANDING = {
    **{0: (0, 0), 1: (0, 4), 2: (-3, 4), 3: (-4, 7), 4: (-5, 10)},
    **{5: (3, 4), 6: (4, 7), 7: (5, 10), 8: (-2, 11), 9: (-2, 16), 10: (-2, 20)},
    **{11: (2, 11), 12: (2, 16), 13: (2, 20)},
    **{14: (-1.5, -1.5), 15: (1.5, -1.5), 16: (-3, -1), 17: (3, -1)},
}
CHEST = {14: (0, 8)}  # MPII's, which has no eyes and ears


def standing(x, y, without=(), mpi=False, size=1.0):
    body = STANDING
    if mpi:
        body = {n: place for n, place in body.items() if n < 14} | CHEST
    return {
        n: (x + size * dx, y + size * dy)
        for n, (dx, dy) in body.items()
        if n not in without
    }
