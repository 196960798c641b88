"""Points put together to people: limbs by part affinity, people by limbs.

Reference:
    Z. Cao, T. Simon, S.-E. Wei, Y. Sheikh. Realtime Multi-Person 2D Pose Estimation
    Using Part Affinity Fields. CVPR 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.tasks.peaks import along_lines
from keras_caffe_zoo.tasks.skeletons import Skeleton


class Rules(NamedTuple):
    """When points are a limb and limbs a person, with what OpenPose's authors took.

    Attributes:
        peak: What a heat map must be above, where a point is to be.
        along: What the field must be above along a limb …
        share: … in more than this part of the places where it is read.
        points: The least points of a person.
        score: The least sum of scores of a person's points and limbs, for each point.
    """

    peak: float = 0.1
    along: float = 0.05
    share: float = 0.8
    points: int = 4
    score: float = 0.4


OPENPOSE = Rules()


@dataclass(eq=False)
class Person:
    """A person, as far as it has been put together.

    Attributes:
        points: Which of the candidates each of its points is, by number of the point.
        limbs: Scores of its limbs.
    """

    points: dict[int, int] = field(default_factory=dict)
    limbs: list[float] = field(default_factory=list)


def limbs_between(
    directions: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    height: float,
    rules: Rules,
) -> list[tuple[int, int, float]]:
    """Match beginnings and ends of one kind of limb, the surest first.

    Args:
        directions: The limb's field, (rows, columns, 2).
        starts: Candidates for its first point, (A, 2): x and y in cells.
        ends: Candidates for its second, (B, 2).
        height: The picture's, in cells: limbs longer than half of it are less sure.
        rules: When points are a limb.

    Returns:
        Index of the first point, of the second, and the score; no point twice.
    """
    along = along_lines(directions, starts, ends)
    length = np.linalg.norm(ends[None] - starts[:, None], axis=-1)
    far = np.minimum(0.5 * height / np.maximum(length, 1e-6) - 1, 0)
    scores = along.mean(-1) + far
    enough = (along > rules.along).mean(-1) > rules.share + 1e-9
    first, second = np.nonzero(enough & (scores > 0))
    order = np.argsort(-scores[first, second], kind="stable")
    found, taken = [], (set(), set())
    for a, b in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if a not in taken[0] and b not in taken[1]:
            taken[0].add(a)
            taken[1].add(b)
            found.append((a, b, float(scores[a, b])))
    return found


def people_of(
    candidates: Sequence[np.ndarray],
    fields: np.ndarray,
    height: float,
    skeleton: Skeleton,
    rules: Rules,
) -> list[Person]:
    """Put candidates for points together to people, limb by limb.

    Args:
        candidates: For each point of the body (N, 3): x and y in cells, and the score.
        fields: All fields, (rows, columns, 2 for each limb).
        height: The picture's, in cells.
        skeleton: The body.
        rules: When points are a limb and limbs a person.

    Returns:
        The people that have enough points and are sure enough.
    """
    owners: dict[tuple[int, int], Person] = {}  # by point and candidate
    last = len(skeleton.limbs)
    for number, (pair, at) in enumerate(
        zip(skeleton.pairs, skeleton.fields, strict=True)
    ):
        starts, ends = (candidates[point][:, :2] for point in pair)
        directions = fields[..., at : at + 2]
        for *indices, score in limbs_between(directions, starts, ends, height, rules):
            keys = list(zip(pair, indices, strict=True))
            _add(owners, keys, score, begins=number < last)
    people = list(dict.fromkeys(owners.values()))
    return [one for one in people if _is_sure(one, candidates, rules)]


def _add(owners: dict, keys: list, score: float, begins: bool) -> None:
    """Add a limb to the people whose points it joins, if it contradicts no other.

    Args:
        owners: The person that each candidate belongs to, by point and index.
        keys: Point and index of the limb's two ends.
        score: The limb's.
        begins: Whether two points of nobody are a new person.
    """
    whose = [owners[key] for key in keys if key in owners]
    if not whose and not begins:
        return
    person = whose[0] if whose else Person()
    other = whose[-1] if len(whose) == 2 and whose[1] is not person else Person()
    joined = {**dict(keys), **other.points}
    if any(person.points.get(point, i) != i for point, i in joined.items()):
        return
    person.points |= joined
    person.limbs += [*other.limbs, score]
    owners.update(dict.fromkeys(joined.items(), person))


def total(person: Person, candidates: Sequence[np.ndarray]) -> float:
    """Return the sum of the scores of a person's points and limbs."""
    points = (candidates[point][i, 2] for point, i in person.points.items())
    return float(sum(points) + sum(person.limbs))


def _is_sure(person: Person, candidates, rules: Rules) -> bool:
    count = len(person.points)
    return count >= rules.points and total(person, candidates) / count >= rules.score
