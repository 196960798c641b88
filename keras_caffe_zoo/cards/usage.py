"""What a net's card says of its use: what it gives, and the lines of code for that."""

from typing import NamedTuple

from keras_caffe_zoo.cards.markdown import python
from keras_caffe_zoo.weights.manifest import ModelEntry, class_list


class _Task(NamedTuple):
    function: str
    picture: str
    gives: str
    then: str = "found.as_dict()"


_TASKS = {
    "detection": _Task(
        "detect", "street.jpg", "boxes around objects, each with a class and a score."
    ),
    "face_detection": _Task(
        "find_faces", "people.jpg", "boxes around faces, each with a score."
    ),
    "segmentation": _Task(
        "segment", "street.jpg", "the class of each pixel of a picture."
    ),
    "pose": _Task("estimate_pose", "people.jpg", "the joints of the bodies it finds."),
    "edges": _Task(
        "find_edges",
        "photo.jpg",
        "how likely each pixel of a picture is on an edge.",
        "found.max(), found.shape  # 0 to 1, (height, width)",
    ),
    "colorization": _Task(
        "colorize",
        "grey.jpg",
        "a grey picture in colours.",
        "found.dtype, found.shape  # RGB uint8, (height, width, 3)",
    ),
}
_TOGETHER = "mtcnn"  # nets that are of use only together: mtcnn_p, mtcnn_r, mtcnn_o
_NO_MEAN = "# The net's own mean was not published. This is ImageNet's, rounded."


def what_it_gives(entry: ModelEntry) -> str:
    """Return a sentence about what comes out of a net."""
    if entry.task == "classification":
        return f"{entry.classes:,} numbers for a picture, one for each class."
    if entry.task == "embedding":
        return f"{entry.classes:,} numbers that describe a picture."
    task = _TASKS[entry.task]
    return f"`kcz.{task.function}` gives {task.gives}"


def at_work(entry: ModelEntry) -> list[str]:
    """Return blocks of Markdown that show how a net is used."""
    if entry.task == "classification":
        return _classifier(entry)
    if entry.task == "embedding":
        last = list(entry.blobs)[-1]
        call = f'kcz.extract_features("{entry.name}", "photos/", "{last}")'
        return [python(f"found = {call}", f'found.values["{last}"]')]
    task = _TASKS[entry.task]
    together = entry.name.startswith(f"{_TOGETHER}_")
    name = _TOGETHER if together else entry.name
    call = f'kcz.{task.function}("{name}", "{task.picture}")'
    lines = python(f"found = {call}", task.then)
    return ["The three nets of MTCNN work together:", lines] if together else [lines]


def _classifier(entry: ModelEntry) -> list[str]:
    name, given, told = f'"{entry.name}"', "", []
    if entry.mean is None:
        given, told = ", mean=mean", [_NO_MEAN, "mean = (104, 117, 123)"]
    steps = [
        *told,
        f"model = kcz.{entry.name}()",
        f'image = kcz.load_image("photo.jpg", {name})',
        f"x = kcz.preprocess_input(image[None], {name}{given})",
    ]
    if class_list(entry.class_labels).file is None:
        return [python(*steps, "model.predict(x).argmax()")]
    return [
        python(*told, f'kcz.classify({name}, "photo.jpg"{given}).classes'),
        "or, step by step,",
        python(*steps, f"kcz.decode_predictions(model.predict(x), model={name})"),
    ]
