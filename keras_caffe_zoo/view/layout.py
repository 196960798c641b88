"""Where the boxes of a graph stand, from top to bottom, and how its edges run."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

WIDTH = 204.0  # of all boxes
_ACROSS = 30.0  # pixels between boxes side by side
_DOWN = 34.0  # between rows
_SHELF = 4000.0  # the width at which parts that nothing connects go on below
MAX_SPANS = 12_000  # rows that all edges cross, together: what takes seconds to order
MAX_CROSSINGS = 4_500_000  # pairs of edges between the same rows, likewise

# Where fast-sugiyama would tell each of its steps to every program that logs.
_LOGGERS = ("rust-sugiyama", "connected_components")


class Place(NamedTuple):
    """Where a box is.

    Attributes:
        x: Its left side, in pixels.
        y: Its upper side.
        height: How tall it is.
    """

    x: float
    y: float
    height: float

    @property
    def centre(self) -> float:
        """The middle of its width."""
        return self.x + WIDTH / 2


class Leg(NamedTuple):
    """One part of an edge: from one row down to the next.

    Attributes:
        x0: Where it begins.
        y0: Likewise; it begins and ends upright.
        x1: Where it ends.
        y1: Likewise. A leg whose `x1` is `x0` is straight.
    """

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass
class Layout:
    """A drawing.

    Attributes:
        places: Where each box is.
        edges: The legs of each edge, from top to bottom.
        width: Of all of it.
        height: Of all of it.
    """

    places: list[Place]
    edges: dict[tuple[int, int], list[Leg]] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def can_lay_out(count: int, edges: Sequence[tuple[int, int]]) -> bool:
    """Tell whether a graph is as small as those that people look at.

    Args:
        count: How many boxes it has.
        edges: Pairs of boxes, the earlier one first.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    for start, end in edges:
        above[end].append(start)
    ranks: list[int] = []
    for node in range(count):
        ranks.append(1 + max((ranks[x] for x in above[node]), default=-1))
    begun = [0] * (count + 1)  # edges that begin at a row, less those that end there
    for start, end in edges:
        begun[ranks[start]] += 1
        begun[ranks[end]] -= 1
    between = list(accumulate(begun))
    return sum(between) <= MAX_SPANS and sum(x * x for x in between) <= MAX_CROSSINGS


def lay_out(heights: Sequence[float], edges: Sequence[tuple[int, int]]) -> Layout:
    """Return where boxes stand, so that edges go down and cross little.

    Args:
        heights: How tall each box is.
        edges: Pairs of boxes, the earlier one first, each once.

    Raises:
        ImportError: If the package fast-sugiyama is not installed.
    """
    parts = _fast_sugiyama().from_edges(
        list(edges),
        vertex_spacing=WIDTH + _ACROSS,
        dummy_vertices=True,
        ranking_type="minimize",
    )
    alone = sorted(set(range(len(heights))).difference(*edges))
    drawn = [_part(heights, dict(points), ends) for points, _, _, ends in parts]
    drawn += [_part(heights, {node: (0.0, 0.0)}, ()) for node in alone]
    drawn.sort(key=lambda part: min(part[0]))  # in the net's order
    return _on_shelves(len(heights), drawn)


def _fast_sugiyama():
    try:
        import fast_sugiyama
    except ImportError as error:
        raise ImportError(
            "Expected the package fast-sugiyama, which lays out a net's picture; "
            'received: none. Install it: pip install "keras_caffe_zoo[view]"'
        ) from error
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
    return fast_sugiyama


# The boxes of one part by their numbers, its edges, its width and height.
_Part = tuple[dict[int, Place], dict[tuple[int, int], list[Leg]], float, float]


def _part(heights: Sequence[float], points: Mapping[int, tuple], ends) -> _Part:
    """Place one connected part: rows as tall as their tallest box.

    Args:
        heights: How tall each box is.
        points: Middles of boxes, and of the bends of long edges, which have the numbers
            behind those of all boxes; rows count upwards.
        ends: The pairs of boxes and bends that edges run between.
    """
    left = min(x for x, _ in points.values()) - WIDTH / 2
    rows = defaultdict(list)
    for node, (_, y) in points.items():
        rows[-y].append(node)
    places: dict[int, Place] = {}
    bands: dict[int, tuple[float, float]] = {}  # where a box or bend begins and ends
    top = 0.0
    for _, nodes in sorted(rows.items()):
        tall = max((heights[n] for n in nodes if n < len(heights)), default=0.0)
        for node in nodes:
            bands[node] = top, top + tall
            if node < len(heights):
                height = heights[node]
                y = top + (tall - height) / 2
                places[node] = Place(points[node][0] - left - WIDTH / 2, y, height)
                bands[node] = y, y + height
        top += tall + _DOWN
    middles = {node: x - left for node, (x, _) in points.items()}
    edges = _edges(len(heights), ends or (), middles, bands)
    xs = [*middles.values()]
    return places, edges, max(xs) + WIDTH / 2, top - _DOWN


def _edges(count: int, ends, middles, bands) -> dict[tuple[int, int], list[Leg]]:
    """Return the legs of each edge, along its bends."""
    after = {start: end for start, end in ends if start >= count}
    edges = {}
    for start, end in ends:
        if start >= count:
            continue
        legs, here = [], start
        while True:
            legs.append(Leg(middles[here], bands[here][1], middles[end], bands[end][0]))
            if end < count:
                break
            legs.append(Leg(middles[end], bands[end][0], middles[end], bands[end][1]))
            here, end = end, after[end]
        edges[start, end] = legs
    return edges


def _on_shelves(count: int, parts: Sequence[_Part]) -> Layout:
    """Put parts side by side, and below when a shelf is full."""
    places: list[Place | None] = [None] * count
    layout = Layout([])
    x = y = tall = 0.0
    for boxes, edges, width, height in parts:
        if x and x + width > _SHELF:
            x, y, tall = 0.0, y + tall + 2 * _DOWN, 0.0
        for node, place in boxes.items():
            places[node] = Place(place.x + x, place.y + y, place.height)
        for ends, legs in edges.items():
            layout.edges[ends] = [
                Leg(a + x, b + y, c + x, d + y) for a, b, c, d in legs
            ]
        layout.width = max(layout.width, x + width)
        tall = max(tall, height)
        layout.height = max(layout.height, y + tall)
        x += width + _ACROSS
    layout.places = [place for place in places if place is not None]
    return layout
