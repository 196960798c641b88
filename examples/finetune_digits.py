"""Fine-tune a Caffe network to new classes, with Keras' fit.

The network that ships with the package knows the ten digits. Here it learns to tell how
many closed loops a digit has (8 has two; 0, 4, 6 and 9 have one), from two hundred
pictures: the recipe of Caffe's flickr style example, a new last layer that learns ten
times as fast as the layers below it, and the first two convolutions left as they are.

    python examples/finetune_digits.py            # prints the accuracy before and after
    python examples/finetune_digits.py --output OUT   # also keeps the snapshots there,
                          # and pictures of the training and of what is taken for what

Run it twice with the same --output: an interrupted training goes on where it was.
"""

import argparse
import pathlib
import tempfile

import keras
import numpy as np

import keras_caffe_zoo as kcz
from keras_caffe_zoo import demo

NAMES = ["no loop", "one loop", "two loops"]
LOOPS = np.array([1, 0, 0, 0, 1, 0, 1, 0, 2, 1])  # of the digits 0 to 9
TRAINED_ON = 200  # pictures; the other 200 are for the accuracy
BATCH = 20
# The net eats pixels from 0 to 255 as they are, so its layers must learn slowly.
LEARNING_RATE = 3e-4


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return windows with a digit each, and how many loops it has."""
    images, digits = demo.held_out_digits()
    return demo.windows(images), LOOPS[digits]


def main(output: pathlib.Path, epochs: int = 12) -> dict:
    """Fine-tune, print, and return the accuracy before and after."""
    keras.utils.set_random_seed(0)
    x, y = data()
    train, test = np.s_[:TRAINED_ON], np.s_[TRAINED_ON:]
    model = kcz.finetune(
        demo.load(), classes=3, freeze_until="pool2", learning_rate=LEARNING_RATE
    )
    learns = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    print(f"{model.count_params():,} parameters, of which {learns:,} learn")
    before = model.evaluate(x[test], y[test], verbose=0)[1]
    print(f"before: {before:6.1%} of {len(y[test])} digits that it is not trained on")
    history = model.fit(
        x[train],
        y[train],
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(x[test], y[test]),
        verbose=0,
        callbacks=[
            kcz.CaffeSnapshot(output / "loops", every=60),
            keras.callbacks.BackupAndRestore(output / "backup"),
        ],
    )
    after = model.evaluate(x[test], y[test], verbose=0)[1]
    print(f"after:  {after:6.1%}, {int(model.optimizer.iterations)} iterations")
    if history.epoch:  # none, if all had been done before
        kcz.plots.history(history, output=output / "history.png")
    seen = x[test], y[test]
    kcz.plots.confusion(model, seen, labels=NAMES, output=output / "confusion.png")
    snapshots = sorted(path.name for path in output.glob("*.caffemodel"))
    print("for Caffe, and for weights=…:", ", ".join(snapshots))
    return {"before": before, "after": after, "snapshots": snapshots}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, help="folder for all of it")
    arguments = parser.parse_args()
    if arguments.output:
        main(arguments.output)
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(pathlib.Path(folder))
