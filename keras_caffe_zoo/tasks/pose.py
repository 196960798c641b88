"""People in pictures: where their joints are."""

from __future__ import annotations

import os

import numpy as np

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.pictures import PictureError
from keras_caffe_zoo.preprocessing.resizing import resize
from keras_caffe_zoo.tasks.grouping import OPENPOSE, Rules, people_of, total
from keras_caffe_zoo.tasks.net import NetTask, TaskNet, one_output
from keras_caffe_zoo.tasks.peaks import enlarged, peaks
from keras_caffe_zoo.tasks.poses import Poses
from keras_caffe_zoo.tasks.running import answers
from keras_caffe_zoo.tasks.skeletons import Skeleton, skeleton_of

HEIGHT = 368
STRIDE = 8  # pixels of the net's input for each cell of its maps
LONGEST = 20  # times as wide as high, or as high as wide


def estimate_pose(
    model: str | keras.Model,
    images,
    *,
    threshold: float = OPENPOSE.peak,
    min_points: int = OPENPOSE.points,
    min_score: float = OPENPOSE.score,
    height: int = HEIGHT,
    weights: str | os.PathLike | None = "caffe",
    preprocessing: str | None = None,
    mean=None,
    scale: float | None = None,
    runtime: str = "keras",
    progress: bool = True,
):
    """Find people in pictures, and where their joints are.

        found = kcz.estimate_pose("openpose_coco", "street.jpg")
        found.points, found.names, found.scores

    Points are the peaks of the net's heat maps, enlarged to the net's input. Two are a
    limb if its part affinity field goes from one to the other: read at ten places
    between them, it must exceed 0.05 at nine. The surest pairs go first, and limbs
    that share points are a person, as OpenPose does it.

    Args:
        model: Name of a net of the zoo, `list_models(task="pose")`, or a model.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        threshold: What a heat map must exceed where a point is to be. OpenPose has 0.05
            in newer versions.
        min_points: The least points of a person. OpenPose has 3 in newer versions.
        min_score: The least sum of the scores of a person's points and limbs, divided
            by the number of points.
        height: Height in pixels that pictures have for the net, a multiple of 8; it
            finds smaller people in larger ones. The width follows.
        weights: As for the net's builder, if `model` is a name.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: order of channels, mean and scale.
        mean: What such a model subtracts from pixels instead: a number for each channel
            in BGR, 0 for nothing, an image, or the path of a `.binaryproto`.
        scale: What it multiplies the difference by; 1 if not given.
        runtime: What computes the net: `"keras"`, `"onnxruntime"` or `"openvino"`.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture `Poses`; of a folder or a list file a dict of them by name, without
        the files that are no pictures, which a message names; of several pictures given
        otherwise a list.

    Raises:
        ValueError: If the model's maps are not those of a known body, or a picture that
            was given is none.
        ImportError: If the runtime is not installed.
        OSError: If a file cannot be read.

    Example:
        OpenPose's net without its weights finds nobody:

        >>> model = kcz.openpose_mpi(weights=None)
        >>> picture = np.zeros((64, 48, 3), "uint8")
        >>> found = kcz.estimate_pose(model, picture, mean=0, scale=1 / 255, height=64)
        >>> found.points.shape, len(found.names)
        ((0, 15, 3), 15)
    """
    task = PoseEstimator(
        model,
        rules=Rules(peak=threshold, points=min_points, score=min_score),
        height=height,
        weights=weights,
        preprocessing=preprocessing,
        mean=mean,
        scale=scale,
        runtime=runtime,
    )
    return answers(task, images, progress)


class PoseEstimator(NetTask):
    """A net that finds people's joints, as a task.

    Args:
        model: As for `estimate_pose`.
        rules: When points are a limb and limbs a person.
        height: As for `estimate_pose`.
        **options: Of `TaskNet`.

    Attributes:
        skeleton: The body that the net knows.

    Raises:
        ValueError: As `estimate_pose`.
        ImportError: As `estimate_pose`.
    """

    def __init__(self, model, *, rules: Rules = OPENPOSE, height=HEIGHT, **options):
        if height < STRIDE or height % STRIDE:
            raise ValueError(
                f"Expected a height that is a multiple of {STRIDE}; received: "
                f"height={height!r}"
            )
        self._rules, self._height = rules, height
        self.net = TaskNet(model, ["pose"], outputs=_maps, **options)
        self._check_size()
        output = one_output(self.net.model, "net_output")
        self.skeleton = skeleton_of(output.shape[-1])

    def _check_size(self) -> None:
        size = self.net.size
        if size and min(size) < STRIDE:
            raise ValueError(
                "Expected a net of pictures with sides of 8 pixels or more; received: "
                f"{size[0]} x {size[1]}, which OpenPose's definition has in place of a "
                "size. Import it with `from_caffe(…, input_shape={'image': (None, "
                "None, 3)})`"
            )

    def prepare(self, pixels: np.ndarray):
        """Return a picture as the net takes it, and its height and width.

        Raises:
            PictureError: If it is too long and thin.
        """
        size = pixels.shape[:2]
        if max(size) > LONGEST * min(size):
            raise PictureError("picture", f"too long and thin: {size[1]} x {size[0]}")
        if not self.net.size:
            columns = round(size[1] * self._height / size[0] / STRIDE)
            pixels = resize(pixels, (self._height, max(1, columns) * STRIDE))
        return self.net.prepare(pixels), size

    def answer(self, prepared: list) -> list[Poses]:
        """Return the people in some pictures."""
        found = np.asarray(self.net([x for x, _ in prepared]), "float32")
        pairs = zip(found, prepared, strict=True)
        return [
            poses_of(maps, x.shape[:2], size, self.skeleton, self._rules)
            for maps, (x, size) in pairs
        ]


def poses_of(
    maps: np.ndarray,
    shape: tuple[int, int],
    size: tuple[int, int],
    skeleton: Skeleton,
    rules: Rules = OPENPOSE,
) -> Poses:
    """Return the people that a net's maps show.

    Args:
        maps: Heat maps of points and of the background, then fields of limbs, (rows,
            columns, maps).
        shape: Height and width of the net's input.
        size: Height and width of the picture.
        skeleton: The body.
        rules: When points are a limb and limbs a person.
    """
    count, cells = len(skeleton.points), maps.shape[:2]
    heats = enlarged(maps[..., :count], shape)
    found = [peaks(heat, rules.peak) for heat in heats]
    small = [_moved(points, shape, cells) for points in found]
    fields = maps[..., skeleton.heats :]
    people = people_of(small, fields, cells[0], skeleton, rules)
    sums = [total(one, found) / (len(one.points) + len(one.limbs)) for one in people]
    order = np.argsort(-np.asarray(sums), kind="stable")
    large = [_moved(points, shape, size) for points in found]
    points = np.full((len(people), count, 3), [np.nan, np.nan, 0], "float32")
    for place, index in enumerate(order):
        for point, candidate in people[index].points.items():
            points[place, point] = large[point][candidate]
    scores = np.asarray(sums, "float32")[order]
    height, width = size
    return Poses(
        points, scores, skeleton.points, skeleton.limbs, (int(height), int(width))
    )


def _moved(points: np.ndarray, old, new) -> np.ndarray:
    """Return points of a picture of one size in that of another."""
    ratio = np.array([new[1] / old[1], new[0] / old[0]], "float32")
    return np.hstack([(points[:, :2] + 0.5) * ratio - 0.5, points[:, 2:]])


def _maps(model: keras.Model) -> keras.Model:
    """Return a model of its maps alone."""
    return keras.Model(model.input, one_output(model, "net_output"))
