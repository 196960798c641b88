"""OpenPose: nets that see where people's joints are, and which belong together."""

from keras_caffe_zoo.models._blocks import concat, conv, max_pool
from keras_caffe_zoo.models._builder import builder

STAGES = (2, 3, 4, 5, 6)  # what follows the first


@builder()
def openpose_coco(design):
    """Build OpenPose's net for the 18 points of COCO (`pose_iter_440000`).

    Its output `concat_stage7`, Caffe's blob `net_output`, has 57 maps of an eighth of
    the image's height and width: 18 heat maps of points, one of the background, and 38
    part affinity fields, x and y of the direction of 19 limbs. `estimate_pose` makes
    people of them.

    Example:
        >>> model = kcz.openpose_coco(weights=None)
        >>> model.compute_output_shape((1, 368, 656, 3))
        (1, 46, 82, 57)
    """
    return _stages(design, fields=38, heats=19)


@builder()
def openpose_mpi(design):
    """Build OpenPose's net for the 15 points of MPII (`pose_iter_160000`).

    Its output `concat_stage7`, Caffe's blob `net_output`, has 44 maps of an eighth of
    the image's height and width: 15 heat maps of points, one of the background, and 28
    part affinity fields, x and y of the direction of 14 limbs. `estimate_pose` makes
    people of them.

    Example:
        >>> model = kcz.openpose_mpi(weights=None)
        >>> model.compute_output_shape((1, 368, 656, 3))
        (1, 46, 82, 44)
    """
    return _stages(design, fields=28, heats=16)


def _stages(design, fields: int, heats: int):
    """Apply six stages, each of which sees what the one before it thought."""
    features = _features(design.image("image"))
    limbs = _first(features, fields, "L1")
    points = _first(features, heats, "L2")
    for stage in STAGES:
        x = concat([limbs, points, features], f"concat_stage{stage}")
        limbs = _later(x, fields, f"stage{stage}_L1")
        points = _later(x, heats, f"stage{stage}_L2")
    return design.wrote("net_output", concat([points, limbs], "concat_stage7"))


def _features(x):
    """Apply the first ten layers of VGG-19, and two that make fewer channels."""
    for block, filters, count in ((1, 64, 2), (2, 128, 2), (3, 256, 4)):
        for i in range(1, count + 1):
            x = conv(x, filters, 3, f"conv{block}_{i}", pad=1)
        x = max_pool(x, 2, 2, f"pool{block}_stage1")
    x = conv(x, 512, 3, "conv4_1", pad=1)
    x = conv(x, 512, 3, "conv4_2", pad=1)
    x = conv(x, 256, 3, "conv4_3_CPM", pad=1)
    return conv(x, 128, 3, "conv4_4_CPM", pad=1)


def _first(x, maps: int, branch: str):
    for i in (1, 2, 3):
        x = conv(x, 128, 3, f"conv5_{i}_CPM_{branch}", pad=1)
    x = conv(x, 512, 1, f"conv5_4_CPM_{branch}")
    return conv(x, maps, 1, f"conv5_5_CPM_{branch}", activation=None)


def _later(x, maps: int, branch: str):
    for i in range(1, 6):
        x = conv(x, 128, 7, f"Mconv{i}_{branch}", pad=3)
    x = conv(x, 128, 1, f"Mconv6_{branch}")
    return conv(x, maps, 1, f"Mconv7_{branch}", activation=None)
