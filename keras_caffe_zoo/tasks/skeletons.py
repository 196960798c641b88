"""What OpenPose's nets know of bodies: points, limbs, and which map is whose."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Skeleton:
    """A body as a net knows it.

    Attributes:
        points: Names of its points, in the order of the heat maps.
        pairs: The two points of each limb, in the order in which people are put
            together.
        fields: The first of each limb's two maps of directions, x and then y, counted
            from the first such map.
        extra: How many of the last limbs only confirm what the others say. They begin
            no person, and are not drawn.
    """

    points: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    fields: tuple[int, ...]
    extra: int = 0

    @property
    def heats(self) -> int:
        """How many heat maps there are; the last is the background's."""
        return len(self.points) + 1

    @property
    def maps(self) -> int:
        """How many maps the net has: heat maps, then directions."""
        return self.heats + 2 * len(self.pairs)

    @property
    def limbs(self) -> tuple[tuple[int, int], ...]:
        """The two points of each limb that is drawn."""
        return self.pairs[: len(self.pairs) - self.extra]


_ARMS = (
    *("right shoulder", "right elbow", "right wrist"),
    *("left shoulder", "left elbow", "left wrist"),
)
_LEGS = (
    *("right hip", "right knee", "right ankle"),
    *("left hip", "left knee", "left ankle"),
)

COCO = Skeleton(
    ("nose", "neck", *_ARMS, *_LEGS, "right eye", "left eye", "right ear", "left ear"),
    (
        *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7)),
        *((1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
        *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17)),
    ),
    (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26),
    extra=2,
)
MPI = Skeleton(
    ("head", "neck", *_ARMS, *_LEGS, "chest"),
    (
        *((0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7)),
        *((1, 14), (14, 8), (8, 9), (9, 10), (14, 11), (11, 12), (12, 13)),
    ),
    tuple(range(0, 28, 2)),
)


def skeleton_of(maps: int) -> Skeleton:
    """Return the body that a net with so many maps knows.

    Raises:
        ValueError: If no published net known here has as many.
    """
    known = {skeleton.maps: skeleton for skeleton in (COCO, MPI)}
    if maps not in known:
        raise ValueError(
            "Expected a model of OpenPose's with 57 maps (COCO's 18 points) or 44 "
            f"(MPII's 15); received: {maps} maps"
        )
    return known[maps]
