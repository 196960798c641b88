#!/usr/bin/env python3
"""Train the demo's SSD on pages of scikit-learn's digits and save it as a Caffe file.

    pip install scikit-learn
    python tools/train_demo_ssd.py

writes `digits_ssd.caffemodel` into the package's `data/demo/`, next to
`digits_ssd.prototxt`, which it reads, and says how many digits it finds on pages of
those that `train_demo_net.py` holds out. An epoch takes 15 seconds on two free cores,
all of it about eight minutes. Every random number comes from one seed.
"""

import pathlib
import time

import keras
import numpy as np
from train_demo_net import split

from keras_caffe_zoo import demo
from keras_caffe_zoo.caffe import write_caffemodel
from keras_caffe_zoo.conversion.importer import from_caffe
from keras_caffe_zoo.conversion.params import caffe_params
from keras_caffe_zoo.digits import PAPER, written_page
from keras_caffe_zoo.layers import CaffeMultiBox
from keras_caffe_zoo.training import MultiBoxLoss

DATA = pathlib.Path(demo.__file__).parent / "data" / "demo"
PROTOTXT = DATA / "digits_ssd.prototxt"
SIDE, DIGITS = 160, 10  # pixels of a page to learn from, digits on it at most
EPOCHS, BATCHES, BATCH = 32, 150, 16
CLASSES = 11  # the background, then the digits
SCALE = 64  # pixels of 0 to 255 would kill most ReLUs in the first steps
TESTS = 20  # pages to measure on


def batches(images, labels, rng):
    """Yield pages, less the mean, and the objects on them as `MultiBoxLoss` has them.

    Of the digits on a page, their number is drawn too: a page may be nearly empty.
    """
    while True:
        pages = np.empty((BATCH, SIDE, SIDE, 1), "float32")
        objects = np.full((BATCH, DIGITS, 8), -1, "float32")
        for item in range(BATCH):
            chosen = rng.permutation(len(images))[: rng.integers(1, DIGITS + 1)]
            page, placed = written_page(
                images[chosen], labels[chosen], SIDE, SIDE, int(rng.integers(1 << 31))
            )
            pages[item, ..., 0] = page
            for row, (label, *corners) in zip(objects[item], placed, strict=False):
                row[:] = item, label + 1, 0, *np.divide(corners, SIDE), 0
        yield (pages - PAPER) / SCALE, objects


def train(images, labels):
    """Return the trained net, without the layers that make detections."""
    keras.utils.set_random_seed(0)
    net = from_caffe(PROTOTXT, input_shape=(SIDE, SIDE, 1))
    blobs = [net.get_layer(f"mbox_{b}").output for b in ("loc", "conf", "priorbox")]
    model = keras.Model(net.inputs, CaffeMultiBox(CLASSES)(blobs))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, (EPOCHS - 1) * BATCHES, warmup_target=3e-3, warmup_steps=BATCHES
    )
    # As SSD's: priors match boxes from an IoU of 0.5 on, three of the hardest others
    # count for each of them, smooth L1 of the offsets.
    loss = MultiBoxLoss(CLASSES, code_type="center_size", normalization="valid")
    model.compile(keras.optimizers.Adam(schedule), loss)
    data = batches(images, labels, np.random.default_rng(0))
    model.fit(data, steps_per_epoch=BATCHES, epochs=EPOCHS, verbose=2)
    first = net.get_layer("conv1")
    first.kernel.assign(first.kernel / SCALE)  # from here on pixels are 0 to 255
    return net


def measure(images, labels) -> None:
    """Say how well the net that was written finds digits it was not trained on."""
    model, rng = demo.load_ssd(), np.random.default_rng(1)
    scores, right, there = [], [], 0
    for seed in range(TESTS):
        chosen = rng.permutation(len(images))[:50]
        page, placed = written_page(
            images[chosen], labels[chosen], *model.input_shape[1:3], seed
        )
        found = demo.find_boxes(model, page, threshold=0.0)
        pairs = demo.matched(found, placed)
        scores += [score for _, score, _ in found]
        right += [index in pairs for index in range(len(found))]
        there += len(placed)
    order = np.argsort(scores)[::-1]
    scores, right = np.array(scores)[order], np.array(right)[order]
    sure = int(np.sum(scores > 0.5))
    hits = int(right[:sure].sum())
    # The area under precision over recall, of all classes together.
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    average = precision[right].sum() / there
    print(f"{there} digits on {TESTS} pages, average precision {average:.4f};")
    print(f"at scores above 0.5 {hits / there:.2%} are found, {sure - hits} false")


def main():
    """Train, save, and say how good the net is."""
    train_images, test_images, train_labels, test_labels = split()
    started = time.perf_counter()
    net = train(train_images, train_labels)
    print(f"trained in {(time.perf_counter() - started) / 60:.1f} minutes")
    write_caffemodel(DATA / "digits_ssd.caffemodel", caffe_params(net), net=PROTOTXT)
    measure(test_images, test_labels)


if __name__ == "__main__":
    main()
