#!/usr/bin/env python3
"""Train the demo's net on scikit-learn's digits and save it as Caffe files.

    pip install scikit-learn
    python tools/train_demo_net.py

writes `digits.caffemodel`, `held_out.png` and `held_out_labels.txt` into the package's
`data/demo/`, next to `digits.prototxt`, which it reads. Takes about three minutes on
two cores. Every random number comes from one seed.
"""

import pathlib

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_caffe_zoo import demo
from keras_caffe_zoo.caffe import write_caffemodel
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.params import caffe_params

DATA = pathlib.Path(demo.__file__).parent / "data" / "demo"
HELD_OUT = 400  # digits
COLUMNS = 20  # of the sheet of held-out digits
EPOCHS, BATCHES, BATCH = 24, 150, 128
SCALE = 64  # pixels of 0 to 255 would kill most ReLUs in the first steps


def split():
    """Return training and held-out digits: images uint8 (N, 8, 8), labels (N,)."""
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype("uint8")
    return train_test_split(
        images,
        digits.target,
        test_size=HELD_OUT,
        stratify=digits.target,
        random_state=0,
    )


def batches(images, labels, rng):
    """Yield windows of random pages: digits in the middle, and all that is not."""
    while True:
        chosen = rng.permutation(len(images))[:90]
        page, placed = demo.canvas(
            images[chosen], labels[chosen], 352, 352, int(rng.integers(1 << 31))
        )
        corners, answers = [], []
        for label, row, column in placed:
            corners.append((row, column) + rng.uniform(-4.5, 4.5, 2))
            answers.append(label)
        for row, column in rng.uniform(16, 336, (len(placed), 2)):
            gaps = [max(abs(row - r), abs(column - c)) for _, r, c in placed]
            if min(gaps) > 7:
                corners.append((row, column))
                answers.append(demo.NOTHING)
        corners = np.clip(np.rint(corners).astype(int) - demo.WINDOW // 2, 0, 320)
        size = demo.WINDOW
        x = np.stack([page[r : r + size, c : c + size] for r, c in corners])
        x *= rng.uniform(0.7, 1.0, (len(x), 1, 1, 1)).astype("float32")
        order = rng.permutation(len(x))[:BATCH]
        yield x[order] / SCALE, np.array(answers)[order]


def train(images, labels):
    """Return the trained model."""
    keras.utils.set_random_seed(0)
    model = from_caffe(DATA / "digits.prototxt")
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * BATCHES)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    data = batches(images, labels, np.random.default_rng(0))
    model.fit(data, steps_per_epoch=BATCHES, epochs=EPOCHS, verbose=2)
    first = model.get_layer("conv1")
    first.kernel.assign(first.kernel / SCALE)  # from here on pixels are 0 to 255
    return model


def save(model, images, labels):
    """Write the Caffe files and the held-out digits."""
    prototxt = DATA / "digits.prototxt"
    write_caffemodel(DATA / "digits.caffemodel", caffe_params(model), net=prototxt)
    sheet = images.reshape(-1, COLUMNS, 8, 8).transpose(0, 2, 1, 3)
    Image.fromarray(sheet.reshape(-1, COLUMNS * 8)).save(DATA / "held_out.png")
    (DATA / "held_out_labels.txt").write_text(
        " ".join(map(str, labels)) + "\n", "utf-8"
    )


def main():
    """Train, save, and say how good the net is."""
    train_images, test_images, train_labels, test_labels = split()
    model = train(train_images, train_labels)
    save(model, test_images, test_labels)
    probabilities = model.predict(demo.windows(test_images), verbose=0)
    guesses = probabilities[:, : demo.NOTHING].argmax(-1)
    print(f"held-out accuracy {np.mean(guesses == test_labels):.2%}")


if __name__ == "__main__":
    main()
