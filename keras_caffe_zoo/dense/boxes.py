"""The boxes where a net is surest, without those that overlap a surer one."""

from typing import NamedTuple

import numpy as np

from keras_caffe_zoo.dense.grid import Grid


class Box(NamedTuple):
    """Something that a net sees.

    Attributes:
        class_index: The class.
        probability: How sure the net is.
        box: `(top, left, bottom, right)` in pixels; bottom and right out.

    Example:
        >>> from keras_caffe_zoo.dense import Box
        >>> found = Box(class_index=281, probability=0.9, box=(2, 4, 10, 12))
        >>> top, left, bottom, right = found.box
        >>> bottom - top, right - left
        (8, 8)
    """

    class_index: int
    probability: float
    box: tuple[int, int, int, int]


def top_boxes(
    probabilities: np.ndarray,
    grid: Grid | None = None,
    *,
    class_index: int | None = None,
    top: int = 10,
    threshold: float = 0.5,
    iou: float = 0.3,
) -> list[Box]:
    """Return the boxes of the surest cells, after non-maximum suppression.

    Args:
        probabilities: A map (rows, columns, classes).
        grid: Its geometry; that of the map itself if `predict_dense` made it.
        class_index: One class to look for; else each cell counts for its likeliest.
        top: How many boxes at most.
        threshold: Least probability.
        iou: Overlap (intersection over union) from which on the less sure box goes.

    Returns:
        The boxes, surest first.

    Raises:
        ValueError: If the map has no geometry or not three axes.

    Example:
        Two cells side by side see the same thing; the surer one stays:

        >>> image = keras.Input((None, None, 3))
        >>> model = keras.Model(image, keras.layers.MaxPool2D(8, 2)(image))
        >>> chances = np.zeros((3, 3, 2))
        >>> chances[1, 1:, 0] = 0.75, 0.9
        >>> kcz.top_boxes(chances, kcz.output_grid(model, (12, 12)))
        [Box(class_index=0, probability=0.9, box=(2, 4, 10, 12))]
    """
    import tensorflow as tf  # for its non-maximum suppression

    grid = grid or getattr(probabilities, "grid", None)
    probabilities = np.asarray(probabilities)
    if grid is None or probabilities.ndim != 3:
        raise ValueError(
            "Expected a map (rows, columns, classes) and its grid, from predict_dense "
            f"or output_grid; received: shape {probabilities.shape}, grid={grid}"
        )
    if class_index is None:
        classes = probabilities.argmax(-1)
    else:
        classes = np.full(probabilities.shape[:2], class_index)
    scores = np.take_along_axis(probabilities, classes[..., None], -1)[..., 0]
    cells = np.argwhere(scores >= threshold)
    if not len(cells):
        return []
    boxes = np.array([grid.box(row, column) for row, column in cells], "float32")
    chosen = tf.image.non_max_suppression(
        boxes, scores[tuple(cells.T)], top, iou_threshold=iou
    ).numpy()
    return [
        Box(
            int(classes[row, column]),
            float(scores[row, column]),
            tuple(map(int, grid.box(row, column))),
        )
        for row, column in cells[chosen].tolist()
    ]
