"""Similarity search: which pictures are most like this one, as a net sees them.

    pip install "keras_caffe_zoo[test]"    # scikit-learn
    python examples/similarity_search.py
    python examples/similarity_search.py photos/ --model vgg_cnn_s --layer fc7

draws a contact sheet, `similar.png`: in each row a picture, then its nearest neighbours
among all others, by the angle between their features. Without photos of yours the net
is the small one that ships with the package, and the pictures are handwritten digits
that it was not trained on, each moved a little out of the middle. Their pixels then
have little in common; their features do. It takes less than a minute.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.neighbors import NearestNeighbors

import keras_caffe_zoo as kcz
from keras_caffe_zoo import demo
from keras_caffe_zoo.preprocessing import read_picture, resize

NEIGHBOURS = 8
ROWS = 10
REACH = 3  # pixels that a digit is moved at most
SIDE = 160  # pixels of a photo on the sheet, at most
INK, PALE, WRONG = "#333333", "#d0d0d0", "#d55e00"  # frames and text


def nearest(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's neighbours, the nearest first, and how similar they are.

    Args:
        features: One row for each picture, of any shape.

    Returns:
        Indices, (N, neighbours), and cosines of the angles, up to 1.
    """
    rows = features.reshape(len(features), -1)
    count = min(NEIGHBOURS, len(rows) - 1)
    search = NearestNeighbors(n_neighbors=count, metric="cosine").fit(rows)
    distances, indices = search.kneighbors()  # of each row among the others
    return indices, 1 - distances


def moved_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return windows with a digit each, out of the middle, and which digits they are.

    Returns:
        RGB uint8 pictures, (N, 32, 32, 3), and labels, (N,).
    """
    images, labels = demo.held_out_digits()
    moves = np.random.default_rng(0).integers(-REACH, REACH + 1, (len(images), 2))
    windows = [
        np.roll(window, move, (0, 1))  # there is room around a digit
        for window, move in zip(demo.windows(images), moves, strict=True)
    ]
    return np.repeat(np.stack(windows).astype("uint8"), 3, axis=-1), labels


def one_channel(picture: np.ndarray) -> np.ndarray:
    """Return what the digits' net takes for an RGB picture."""
    return picture[..., :1].astype("float32")


def run_on_digits(output: Path) -> dict[str, float]:
    """Search among digits and draw the sheet, one row for each of the ten.

    Args:
        output: The picture to write.

    Returns:
        The part of all neighbours that are the same digit: by `"pixels"`, and by the
        features `"fc4"`.
    """
    pictures, labels = moved_digits()
    report = kcz.extract_features(demo.load(), pictures, "fc4", preprocess=one_channel)
    found = {"pixels": nearest(pictures), "fc4": nearest(report.values["fc4"])}
    same = {
        name: float((labels[indices] == labels[:, None]).mean())
        for name, (indices, _) in found.items()
    }
    print(f"neighbours of {len(labels)} digits that are the same digit:")
    for name, part in same.items():
        print(f"  {part:6.1%}  by {name}")
    queries = [int(np.argmax(labels == digit)) for digit in range(10)]
    neighbours, cosines = found["fc4"]
    draw(
        [255 - picture for picture in pictures],  # ink on paper
        queries,
        neighbours[queries],
        cosines[queries],
        [str(label) for label in labels],
        output,
        title=f"Digits, and the {NEIGHBOURS} most like each, as fc4 sees them",
        classes=labels,
    )
    return same


def run_on_photos(
    folder: Path, model: str, weights: str, layer: str, output: Path
) -> None:
    """Search among photos and draw the sheet, its rows spread over all of them.

    Args:
        folder: The photos, in folders of any depth.
        model: A net of the zoo.
        weights: `"caffe"`, or the path of a file.
        layer: Which features to compare.
        output: The picture to write.
    """
    report = kcz.extract_features(model, folder, layer, weights=weights)
    for bad in report.bad:
        print(f"left out: {bad.name}: {bad.reason}")
    neighbours, cosines = nearest(report.values[layer])
    queries = np.unique(np.linspace(0, report.rows - 1, ROWS).astype(int))
    shown = {*queries, *neighbours[queries].ravel()}
    draw(
        {row: thumbnail(folder / report.names[row]) for row in shown},
        queries,
        neighbours[queries],
        cosines[queries],
        [Path(name).stem[:14] for name in report.names],
        output,
        title=f"Pictures, and the most like each, as {layer} of {model} sees them",
    )


def thumbnail(path: Path) -> np.ndarray:
    """Return a small square of the middle of a photo."""
    picture = read_picture(path)
    side = min(picture.shape[:2])
    top, left = ((n - side) // 2 for n in picture.shape[:2])
    return resize(picture[top : top + side, left : left + side], (SIDE, SIDE))


def draw(
    pictures, queries, neighbours, cosines, names, output, *, title, classes=None
) -> None:
    """Draw a contact sheet: in each row a query, and its neighbours beside it.

    Args:
        pictures: RGB pictures by index.
        queries: Index of the picture at the start of each row.
        neighbours: Indices of its neighbours, (rows, neighbours).
        cosines: How similar they are.
        names: What to write under the pictures, by index.
        output: The file.
        title: Goes above.
        classes: Where known, neighbours of another class than the query's are framed.
    """
    rows, columns = neighbours.shape
    figure = Figure(figsize=(columns + 1.8, 1.25 * rows + 0.8), facecolor="white")
    grid = figure.add_gridspec(
        rows,
        columns + 2,  # a narrow, empty one after the query
        width_ratios=[1.15, 0.25, *[1] * columns],
        **{"left": 0.02, "right": 0.98, "bottom": 0.03, "top": 1 - 0.55 / (rows + 1)},
        **{"wspace": 0.12, "hspace": 0.32},
    )
    for row, query in enumerate(queries):
        axes = figure.add_subplot(grid[row, 0])
        put(axes, pictures[query], names[query], weight="bold", colour=INK, width=2)
        for place, (index, cosine) in enumerate(
            zip(neighbours[row], cosines[row], strict=True)
        ):
            wrong = classes is not None and classes[index] != classes[query]
            style = {"colour": WRONG, "width": 2.5} if wrong else {"colour": PALE}
            axes = figure.add_subplot(grid[row, place + 2])
            put(axes, pictures[index], f"{names[index]}   {cosine:.3f}", **style)
    figure.suptitle(title, fontsize=13, color=INK)
    figure.savefig(output, dpi=110)
    print(f"The contact sheet is in {output}")


def put(axes, picture, label: str, colour: str, width=0.8, weight="normal") -> None:
    """Draw one picture with a line of text under it and a frame around it."""
    axes.imshow(picture, interpolation="bicubic")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(label, fontsize=8, labelpad=3, color=INK, weight=weight)
    for side in axes.spines.values():
        side.set(color=colour, linewidth=width)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path, nargs="?", help="a folder of pictures")
    parser.add_argument("--model", default="caffenet", help="a net of the zoo")
    parser.add_argument(
        "--weights", default="caffe", help="a file of the net's weights"
    )
    parser.add_argument("--layer", default="fc7", help="whose values to compare")
    parser.add_argument("--output", type=Path, default=Path("similar.png"))
    options = parser.parse_args()
    if options.photos:
        net = options.model, options.weights, options.layer
        run_on_photos(options.photos, *net, options.output)
    else:
        run_on_digits(options.output)


if __name__ == "__main__":
    main()
