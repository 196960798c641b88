"""Sliding-window training: fine-tune a fully convolutional net with a loss map.

    python examples/sliding_window_training.py --output training

Caffe's net surgery notebook left this "as an exercise for the reader": a net that was
trained to classify single windows is fine-tuned on whole pages, with a label for every
cell of its map. Here the demo's net, which learned clean white digits on black, learns
pages of another look: pale chalk on a grey board, unevenly lit, with noise. All that is
needed ships with the package; it takes less than a minute.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from keras_caffe_zoo import demo, to_fully_convolutional
from keras_caffe_zoo.plots import show_digits

HEIGHT, WIDTH = 144, 288  # of a page, in pixels
DIGITS = 20  # on a page
SEED = 5


def on_a_board(page: np.ndarray, rng) -> np.ndarray:
    """Return a page's digits as chalk on a board: pale, unevenly lit, with noise."""
    height, width = page.shape[:2]
    down = np.linspace(-1, 1, height)[:, None, None]
    across = np.linspace(-1, 1, width)[:, None]
    tilt = rng.uniform(-25, 25, 2)
    board = 90 + tilt[0] * down + tilt[1] * across
    chalk = rng.uniform(0.3, 0.5) * page
    seen = board + chalk + rng.normal(0, 8, page.shape)
    return np.clip(seen, 0, 255).astype("float32")


def label_map(placed: list[tuple], rows: int, columns: int):
    """Return what each cell of a map should say, and how much that counts.

    A cell answers for the window around its centre. Its label is the digit that stands
    there, up to half a stride away, or "nothing" where none is near. In between there
    is no right answer, so these cells weigh nothing.

    Returns:
        Labels, (rows, columns), and weights, 0 or 1.
    """
    middle = demo.WINDOW / 2
    down = middle + demo.STRIDE * np.arange(rows)[:, None]
    across = middle + demo.STRIDE * np.arange(columns)[None]
    labels = np.full((rows, columns), demo.NOTHING)
    weights = np.ones((rows, columns), "float32")
    for label, row, column in placed:
        distance = np.maximum(abs(down - row), abs(across - column))
        weights[distance <= demo.STRIDE] = 0
        weights[distance <= demo.STRIDE / 2] = 1
        labels[distance <= demo.STRIDE / 2] = label
    return labels, weights


def pages(images, labels, count: int, cells: tuple[int, int], seed: int):
    """Return pages of digits with their maps of labels and of weights.

    Args:
        images: Digits, (N, 8, 8).
        labels: What they are.
        count: How many pages.
        cells: Rows and columns of the net's map of a page.
        seed: For the random numbers.

    Returns:
        Pages, (count, H, W, 1), labels and weights, (count, rows, columns).
    """
    rng = np.random.default_rng(seed)
    x, y, weights = [], [], []
    for _ in range(count):
        chosen = rng.permutation(len(images))[:DIGITS]
        page, placed = demo.canvas(
            images[chosen], labels[chosen], HEIGHT, WIDTH, int(rng.integers(1 << 31))
        )
        answers, counts = label_map(placed, *cells)
        x.append(on_a_board(page, rng))
        y.append(answers)
        weights.append(counts)
    return np.stack(x), np.stack(y), np.stack(weights)


def accuracy(model, x, y, weights) -> dict[str, float]:
    """Return the part of the cells that are right: where digits are, and elsewhere."""
    right = model.predict(x, verbose=0).argmax(-1) == y
    digit = (y != demo.NOTHING) & (weights > 0)
    nothing = (y == demo.NOTHING) & (weights > 0)
    return {"digits": right[digit].mean(), "nothing": right[nothing].mean()}


def run(output: Path, train: int = 48, epochs: int = 10) -> dict:
    """Fine-tune the net and say how good it was and is.

    Args:
        output: A folder for the pictures.
        train: How many pages to learn from.
        epochs: How often to see them.

    Returns:
        The accuracies per cell before and after, by `"before"` and `"after"`.
    """
    keras.utils.set_random_seed(SEED)
    model = to_fully_convolutional(demo.load())
    cells = model.compute_output_shape((1, HEIGHT, WIDTH, 1))[1:3]
    images, labels = demo.held_out_digits()  # the net has seen none of these
    x, y, weights = pages(images[:300], labels[:300], train, cells, SEED)
    tests = pages(images[300:], labels[300:], 8, cells, SEED + 1)

    # The loss is a map, one term for each cell, and so are the labels and weights.
    # Most cells are "nothing"; a digit's counts for ten.
    weights = np.where(y == demo.NOTHING, weights, 10 * weights)
    # Strokes are strokes on any board: the first filters stay as they are. (They are
    # small, for pixels up to 255, and Adam's steps would be large beside them.)
    model.get_layer("conv1").trainable = False
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    output.mkdir(parents=True, exist_ok=True)
    before = accuracy(model, *tests)
    draw(model, tests[0][0], output / "before.png")
    model.fit(x, y, sample_weight=weights, batch_size=4, epochs=epochs, verbose=0)
    after = accuracy(model, *tests)
    draw(model, tests[0][0], output / "after.png")
    print(f"right answers of the cells of {len(tests[0])} pages not seen in training:")
    print(f"{'':8}{'where a digit is':>18}{'elsewhere':>12}")
    for name, found in (("before", before), ("after", after)):
        print(f"{name:8}{found['digits']:18.1%}{found['nothing']:12.1%}")
    assert after["digits"] > before["digits"] and after["nothing"] > before["nothing"]
    return {"before": before, "after": after}


def draw(model, page: np.ndarray, path: Path) -> None:
    """Draw a page and the net's map of it."""
    probabilities = model.predict(page[None], verbose=0)[0]
    found = demo.find_digits(probabilities)
    show_digits(255 - page, probabilities, found, path)  # which draws ink on paper


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("training"), help="folder")
    run(parser.parse_args().output)


if __name__ == "__main__":
    main()
