"""Pictures into Faster R-CNN and R-FCN, and boxes out: py-faster-rcnn's conventions.

Corners are pixels, so that a box from x1 to x2 is x2 - x1 + 1 wide.
"""

import numpy as np

from keras_caffe_zoo.arithmetic.suppression import nms
from keras_caffe_zoo.preprocessing.inputs import fit, normalized
from keras_caffe_zoo.weights.manifest import Resize

FIT = Resize("fit", size=600, longest=1000)  # where a net does not tell
OVERLAP = 0.3  # intersection over union above which the lesser box goes


def is_info(tensor) -> bool:
    """Tell whether an input takes height, width and scale of each picture."""
    return len(tensor.shape) == 2 and tensor.shape[1] == 3


def fitted(pixels: np.ndarray, recipe) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture as the net takes it, and what it is told of its size.

    Args:
        pixels: RGB uint8 array `(H, W, 3)`.
        recipe: What becomes of pixels.

    Returns:
        Float32 `(height, width, 3)`, and `(1, 3)`: height, width, and by how much the
        picture was enlarged.
    """
    order = (2, 1, 0) if recipe.turned else None
    told = recipe.entry and recipe.entry.resize
    rule = told if told and told.rule == "fit" else FIT
    x, scale = fit(pixels, rule, order)
    x = normalized(x, recipe.mean, np.float32(recipe.scale))
    return x, np.array([[*x.shape[:2], scale]], "float32")


def refined(outputs: dict, scale: float, size, threshold: float) -> tuple:
    """Return what was found in a picture.

    Args:
        outputs: The net's: `"cls_prob"`, `"bbox_pred"` and `"rois"`.
        scale: By how much the picture was enlarged.
        size: Its height and width before.
        threshold: The least score.

    Returns:
        Boxes `(N, 4)` in the picture's pixels, labels and scores.
    """
    there = outputs["rois"][:, 0] >= 0  # others stand for no region
    rois, scores, moves = (
        outputs[name][there] for name in ("rois", "cls_prob", "bbox_pred")
    )
    boxes = moved(rois[:, 1:] / scale, moves.reshape(len(rois), -1, 4))
    boxes = clipped(boxes, size)
    found = []
    for label in range(1, scores.shape[1]):  # 0 is the background
        sure = np.flatnonzero(scores[:, label] >= threshold)
        # Of two boxes for a region, the second is that of any class but 0.
        own = boxes[sure, label if boxes.shape[1] == scores.shape[1] else 1]
        stay = nms(own, scores[sure, label], OVERLAP, plus_one=True)
        labels = np.full(len(stay), label)
        found.append((own[stay], labels, scores[sure, label][stay]))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def moved(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Move and stretch boxes as a net predicts.

    Args:
        boxes: `(R, 4)`: x1, y1, x2, y2.
        moves: `(R, K, 4)`: by how much the centre goes right and down, in widths and
            heights, and the logarithms of what these are multiplied by.

    Returns:
        `(R, K, 4)`.
    """
    sizes = boxes[:, None, 2:] - boxes[:, None, :2] + 1
    centres = boxes[:, None, :2] + sizes / 2 + moves[..., :2] * sizes
    with np.errstate(over="ignore"):  # as large as the picture, then
        half = np.exp(moves[..., 2:]) * sizes / 2
    return np.concatenate([centres - half, centres + half], axis=-1)


def clipped(boxes: np.ndarray, size) -> np.ndarray:
    """Return boxes whose corners are pixels of a picture of that height and width."""
    height, width = size
    limits = np.array([width, height, width, height], boxes.dtype) - 1
    return np.clip(boxes, 0, limits)
