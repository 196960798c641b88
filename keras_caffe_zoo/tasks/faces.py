"""Faces in pictures: boxes, how sure the net is, eyes, noses and mouths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.tasks.cascade import CASCADE, SMALLEST, Cascade
from keras_caffe_zoo.tasks.detection import THRESHOLD, Detector
from keras_caffe_zoo.tasks.found_faces import Faces
from keras_caffe_zoo.tasks.running import answers


def find_faces(
    model: str | keras.Model | Sequence[keras.Model],
    images,
    *,
    threshold: float | Sequence[float] | None = None,
    smallest: float = SMALLEST,
    weights="caffe",
    preprocessing: str | None = None,
    mean=None,
    scale: float | None = None,
    runtime: str = "keras",
    batch_size: int = 8,
    progress: bool = True,
):
    """Find the faces in pictures.

        faces = kcz.find_faces("mtcnn", "party.jpg")
        faces.boxes, faces.scores, faces.points

    MTCNN's three nets look at a picture in many sizes, each more closely than the last
    at what the one before it took for faces; the last finds eyes, nose and mouth, too.
    Other nets look at the picture once, in their own size, which is quicker, and misses
    small faces.

    Args:
        model: `"mtcnn"`; or a net of the zoo that ends with SSD's layer of detections,
            `list_models(task="face_detection")`; or such a model of one's own, as
            `from_caffe` returns, or MTCNN's three.
        images: A picture: its path, or an RGB uint8 array `(H, W, 3)`; or several: a
            folder, a list file, or any other source of `extract_features`.
        threshold: The least score of what is returned; 0.5 if not given, and for MTCNN
            0.6, 0.7 and 0.7, of each net. One number is for the last.
        smallest: The least side of a face in pixels, for MTCNN: the larger, the quicker
            it is.
        weights: As for the net's builder, if `model` is a name. For MTCNN three paths,
            or a folder with `det1.caffemodel`, `det2.caffemodel` and
            `det3.caffemodel`.
        preprocessing: Name of the net of the zoo whose pictures a model of one's own
            takes: order of channels, mean and scale.
        mean: What such a model subtracts from pixels instead: a number for each channel
            in BGR, 0 for nothing, an image, or the path of a `.binaryproto`.
        scale: What it multiplies the difference by; 1 if not given.
        runtime: What computes the nets: `"keras"`, `"onnxruntime"` or `"openvino"`.
        batch_size: How many pictures go through a net at once; MTCNN takes one.
        progress: Whether to show how far a long work has come.

    Returns:
        Of a picture `Faces`; of a folder or a list file a dict of them by name, without
        the files that are no pictures, which a message names; of several pictures given
        otherwise a list.

    Raises:
        ValueError: If the model finds no faces in any way known here, or a picture that
            was given is none.
        ImportError: If the runtime is not installed.
        OSError: If a file cannot be read.

    Example:
        MTCNN without its weights is never sure:

        >>> builders = kcz.mtcnn_p, kcz.mtcnn_r, kcz.mtcnn_o
        >>> model = [build(weights=None) for build in builders]
        >>> picture = np.zeros((24, 32, 3), "uint8")
        >>> kcz.find_faces(model, picture, mean=0)
        <0 faces in 32 x 24 pixels>
    """
    task = face_finder(
        model,
        threshold=threshold,
        smallest=smallest,
        weights=weights,
        preprocessing=preprocessing,
        mean=mean,
        scale=scale,
        runtime=runtime,
        batch_size=batch_size,
    )
    return answers(task, images, progress)


def face_finder(model, *, threshold=None, smallest=SMALLEST, batch_size=8, **options):
    """Return what finds faces, as a task.

    Args:
        model: As for `find_faces`, like the rest.
        threshold: The least score.
        smallest: The least side of a face.
        batch_size: Pictures at once.
        **options: Of `TaskNet`.

    Raises:
        ValueError: As `find_faces`.
        ImportError: As `find_faces`.
    """
    named = isinstance(model, str)
    if named and model in CASCADE:
        raise ValueError(
            f"Expected 'mtcnn', which is {', '.join(CASCADE)} together; received: "
            f"{model!r}"
        )
    if model == "mtcnn" or isinstance(model, Sequence) and not named:
        return Cascade(model, threshold=threshold, smallest=smallest, **options)
    threshold = _one(threshold)
    return FaceDetector(model, threshold=threshold, batch_size=batch_size, **options)


def _one(threshold) -> float:
    """Return the threshold of a net that is alone."""
    listed = np.ravel(THRESHOLD if threshold is None else threshold)
    if len(listed) != 1:
        raise ValueError(
            "Expected one threshold for a net that is not MTCNN's; received: "
            f"threshold={threshold!r}"
        )
    return float(listed[0])


class FaceDetector(Detector):
    """A net that finds faces at one look, as a task."""

    tasks = ("face_detection",)

    def answer(self, prepared: list) -> list[Faces]:
        """Return the faces in some pictures."""
        found = super().answer(prepared)
        return [Faces(one.boxes, one.scores, None, one.size) for one in found]
