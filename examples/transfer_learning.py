"""Transfer learning: features of a net, and a linear classifier on top of them.

    pip install "keras_caffe_zoo[test]"    # scikit-learn
    python examples/transfer_learning.py
    python examples/transfer_learning.py photos/ --model caffenet --layer pool5 fc7
    python examples/transfer_learning.py -o taken_for_what.png

A linear classifier that sees the pixels learns little from a hundred pictures. One that
sees what a net makes of the pixels learns a lot: a net knows more than the names of its
own classes. With a folder that has a folder of photos for each class, the net is one of
the zoo. Without, it is the small one that ships with the package, which was trained to
name digits, on digits it was not trained on and questions it was never asked. It takes
less than a minute.

The table shows which layer to take. The last ones have kept what the net's own task
needed: best for a question like it, and poor where the answer was forgotten on purpose.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_caffe_zoo as kcz
from keras_caffe_zoo import demo
from keras_caffe_zoo.preprocessing import read_picture, resize

LOOPS = np.array([1, 0, 0, 0, 1, 0, 1, 0, 2, 1])  # of the digits 0 to 9
PIXELS = "pixels"
SPLITS = 5  # times that pictures are drawn to learn from; the others are for the test
THUMBNAIL = (32, 32)  # of a photo, for the classifier that sees pixels


def accuracy(features: np.ndarray, labels: np.ndarray, learn_from: int) -> float:
    """Return the part that a linear classifier names right of what it has not seen.

    Args:
        features: One row for each picture, of any shape.
        labels: What the pictures are.
        learn_from: How many it learns from. All others are the test.
    """
    splits = StratifiedShuffleSplit(SPLITS, train_size=learn_from, random_state=0)
    rows = features.reshape(len(features), -1)
    return float(cross_val_score(linear(), rows, labels, cv=splits).mean())


def linear():
    """Return a linear classifier that has learned nothing."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def draw(features: np.ndarray, labels: np.ndarray, learn_from: int, path: Path) -> None:
    """Draw what a linear classifier takes for what, of what it has not seen."""
    splits = StratifiedShuffleSplit(SPLITS, train_size=learn_from, random_state=0)
    rows, classes = features.reshape(len(features), -1), np.unique(labels)
    counts = np.zeros((len(classes), len(classes)), int)
    for learned, others in splits.split(rows, labels):
        said = linear().fit(rows[learned], labels[learned]).predict(rows[others])
        counts += confusion_matrix(labels[others], said, labels=classes)
    kcz.plots.confusion(counts, labels=classes.tolist(), output=path)
    print(f"what the classifier of the last layer takes for what: {path}")


def questions() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what is asked about digits: for each question, pictures and answers."""
    images, digits = demo.held_out_digits()  # the net has seen none of these
    turned = np.random.default_rng(0).random(len(images)) < 0.5
    some_turned = np.where(turned[:, None, None], images[:, ::-1, ::-1], images)
    return {
        "how many loops does it have?": (images, LOOPS[digits]),
        "which digit is it in a mirror?": (images[:, :, ::-1], digits),
        "does it stand on its head?": (some_turned, turned),
    }


def as_pictures(images: np.ndarray) -> np.ndarray:
    """Return 8 x 8 digits as RGB pictures of the net's size."""
    return np.repeat(demo.windows(images).astype("uint8"), 3, axis=-1)


def one_channel(picture: np.ndarray) -> np.ndarray:
    """Return what the digits' net takes for an RGB picture."""
    return picture[..., :1].astype("float32")


def run_on_digits(
    learn_from: int = 100, picture: Path | None = None
) -> dict[str, dict[str, float]]:
    """Ask the digits' net what it was never asked, and print who answers how well.

    Args:
        learn_from: How many of the 400 digits the classifiers learn from.
        picture: Where to draw which digit in a mirror is taken for which, if anywhere.

    Returns:
        For each question the accuracy by layer, and of a classifier of the pixels.
    """
    net, found = demo.load(), {}
    for question, (images, answers) in questions().items():
        report = kcz.extract_features(
            net, as_pictures(images), ["pool3", "fc4"], preprocess=one_channel
        )
        features = {PIXELS: images, **report.values}
        found[question] = {
            name: accuracy(rows, answers, learn_from) for name, rows in features.items()
        }
        if picture and "mirror" in question:
            draw(report.values["fc4"], answers, learn_from, picture)
    print(f"right answers after {learn_from} digits, of {400 - learn_from} others:")
    show(found)
    return found


def run_on_photos(
    folder: Path,
    model: str,
    weights: str,
    layers: list[str],
    picture: Path | None = None,
) -> dict[str, dict[str, float]]:
    """Learn the classes of a folder of photos, from half of them.

    Args:
        folder: It has a folder for each class.
        model: A net of the zoo.
        weights: `"caffe"`, or the path of a file.
        layers: Which features to compare.
        picture: Where to draw what is taken for what, seeing the last of the layers.

    Returns:
        The accuracy by layer, and of a classifier that sees thumbnails' pixels.
    """
    report = kcz.extract_features(model, folder, layers, weights=weights, pool="mean")
    for bad in report.bad:
        print(f"left out: {bad.name}: {bad.reason}")
    labels = np.array([name.split("/")[0] for name in report.names])
    thumbnails = [
        resize(read_picture(folder / name), THUMBNAIL) for name in report.names
    ]
    features = {PIXELS: np.stack(thumbnails) / 255, **report.values}
    half = len(labels) // 2
    found = {name: accuracy(rows, labels, half) for name, rows in features.items()}
    classes = len(np.unique(labels))
    print(f"right answers after {half} photos, of {len(labels) - half} others:")
    found = {f"which of {classes} classes is it?": found}
    show(found)
    if picture:
        draw(report.values[layers[-1]], labels, half, picture)
    return found


def show(found: dict[str, dict[str, float]]) -> None:
    """Print a table of accuracies, a line for each question."""
    names = next(iter(found.values()))
    print(f"{'':32}" + "".join(f"{name:>9}" for name in names))
    for question, row in found.items():
        print(f"{question:32}" + "".join(f"{part:9.1%}" for part in row.values()))


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, nargs="?", help="has a folder per class")
    parser.add_argument("--model", default="caffenet", help="a net of the zoo")
    parser.add_argument(
        "--weights", default="caffe", help="a file of the net's weights"
    )
    parser.add_argument("--layer", nargs="+", default=["pool5", "fc7"])
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="picture of which class is taken for which",
    )
    options = parser.parse_args()
    if options.photos:
        run_on_photos(
            options.photos,
            options.model,
            options.weights,
            options.layer,
            options.output,
        )
    else:
        run_on_digits(picture=options.output)


if __name__ == "__main__":
    main()
