#!/usr/bin/env python3
"""Draw what SSD's data layer makes of one photograph: `docs/ssd_sampling.png`.

    pip install scikit-learn
    python tools/draw_ssd_sampling.py [OUTPUT.png]

Top left is the photograph, resized alone; beside it eight of what `annotated_dataset`
draws with the settings of SSD300 for VOC: distorted, expanded, cut, resized, mirrored,
with the objects that are left.
"""

import pathlib
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_caffe_zoo.plots import draw_boxes
from keras_caffe_zoo.training import (
    AnnotatedTransform,
    BatchSampler,
    Distortion,
    Fitting,
    Transform,
)

OUTPUT = pathlib.Path(__file__).parent.parent / "docs" / "ssd_sampling.png"
SIDE, GAP, COLUMNS, COLOURS = 224, 6, 3, 88
MEAN = np.array([104.0, 117.0, 123.0])
NAMES = {1: "pagoda", 2: "tree", 3: "island"}
OBJECTS = {  # left, top, right, bottom in pixels
    1: (63, 28, 372, 424),
    2: (544, 134, 640, 424),
    3: (422, 224, 502, 244),
}
POSITIONS = (0, 1, 8, 22, 3, 14, 10, 21)


def settings() -> AnnotatedTransform:
    """Return what SSD300's training net does to a picture, at another size."""
    part = {"min_scale": 0.3, "min_aspect_ratio": 0.5, "max_aspect_ratio": 2.0}
    part |= {"max_sample": 1, "max_trials": 50}
    return AnnotatedTransform(
        Transform(mean=MEAN, mirror=True),
        Fitting((SIDE, SIDE), interpolations=("linear", "area", "cubic", "lanczos4")),
        Distortion(
            *(0.5, 32, 0.5, 0.5, 1.5),  # brightness, contrast
            *(0.5, 18, 0.5, 0.5, 1.5),  # hue, saturation
        ),
        expand_prob=0.5,
        max_expand_ratio=4.0,
        samplers=(
            BatchSampler(max_sample=1, max_trials=1),
            *(
                BatchSampler(**part, min_jaccard_overlap=x / 10)
                for x in (1, 3, 5, 7, 9)
            ),
            BatchSampler(**part, max_jaccard_overlap=1.0),
        ),
        emit="center",
    )


def drawn(pixels, rows) -> Image.Image:
    """Return a transformed picture with its objects."""
    rgb = np.clip(np.rint(pixels + MEAN), 0, 255).astype("uint8")[..., ::-1]
    labels = [NAMES[int(label)] for label in rows[:, 1]]
    return draw_boxes(rgb, rows[:, 3:7] * SIDE, labels, classes=list(NAMES.values()))


def main(output=OUTPUT, positions=POSITIONS) -> None:
    """Draw it."""
    photograph = np.ascontiguousarray(load_sample_image("china.jpg")[..., ::-1])
    height, width = photograph.shape[:2]
    rows = np.zeros((len(OBJECTS), 8), "float32")
    rows[:, 1] = list(OBJECTS)
    rows[:, 3:7] = np.array(list(OBJECTS.values())) / (width, height, width, height)
    alone = AnnotatedTransform(Transform(mean=MEAN), Fitting((SIDE, SIDE)))
    whole = settings()
    pairs = [alone(photograph, rows), *(whole(photograph, rows, p) for p in positions)]
    step = SIDE + GAP
    lines = -(-len(pairs) // COLUMNS)
    canvas = Image.new("RGB", (COLUMNS * step - GAP, lines * step - GAP), "white")
    for i, pair in enumerate(pairs):
        canvas.paste(drawn(*pair), (i % COLUMNS * step, i // COLUMNS * step))
    few = canvas.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(output, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])
