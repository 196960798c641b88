"""Fine-tune a net on several machines, or in several processes of this one.

    python examples/distributed_finetune.py
    python examples/distributed_finetune.py --processes 2

The demo's net, which reads digits, learns to tell even from odd ones. The losses are
the same however many processes share the work: each computes its rows of every batch,
and `keras.distribution.DataParallel` brings the gradients together. All that is needed
ships with the package, but for JAX (`pip install jax`); it takes less than a minute.

On several machines, start it on each, with a number of its own (`--process`) and the
address of number 0 at any free port; on the first of two:

    cd examples
    python distributed_finetune.py --processes 2 --process 0 --address HOST:PORT

What to know before you write your own:

- JAX does this. Keras 3 does not train under TensorFlow's MultiWorkerMirroredStrategy.
- Every process makes the same model: weights from the same file, and the same seed for
  those of a new layer. That seed goes for dropout too, whose masks are drawn for the
  whole batch: two processes drop what one would.
- A process reads the rows that it computes and no others, equally many in each.
- Losses and metrics are those of the whole batch, in every process alike.
- What one process does alone must not touch what they share, or it waits for the others
  for ever: `set_distribution(None)` before it saves the model. Predict afterwards, with
  the saved model, in a single process.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import keras
import numpy as np

from keras_caffe_zoo import demo
from keras_caffe_zoo.training import finetune

TRAIN = 280  # digits to learn from; the others tell how well that went
BATCH = 40  # digits in a step, of all processes together
SEED = 5


class Share(keras.utils.PyDataset):
    """The rows of every batch that one process computes.

    Each epoch has another order, the same in all processes, so that their rows
    together are the batch that a single process would have had.
    """

    def __init__(self, x, y, process: int = 0, processes: int = 1):
        super().__init__()
        self.x, self.y = x, y
        self.process, self.processes = process, processes
        self.rng = np.random.default_rng(SEED)
        self.on_epoch_end()

    def __len__(self):
        return len(self.x) // BATCH

    def __getitem__(self, step):
        batch = self.order[step * BATCH : (step + 1) * BATCH]
        rows = np.split(batch, self.processes)[self.process]
        return self.x[rows], self.y[rows]

    def on_epoch_end(self):
        """Shuffle."""
        self.order = self.rng.permutation(len(self.x))


class Losses(keras.callbacks.Callback):
    """Keeps the loss after every step: as in `fit`, the mean of the epoch so far."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(float(logs["loss"]))


def train(
    output: Path, processes: int = 1, process: int = 0, address: str | None = None
) -> dict:
    """Fine-tune the net, as one of the processes that do so together.

    Args:
        output: A folder for the model and its losses, which process 0 writes.
        processes: How many there are.
        process: Which one this is, from 0 on.
        address: Of process 0, `"host:port"`.

    Returns:
        The accuracies before and after, by `"before"` and `"after"`.
    """
    if BATCH % processes:
        raise SystemExit(f"Expected processes to divide {BATCH}; received: {processes}")
    if processes > 1:  # before anything is computed
        keras.distribution.initialize(address, processes, process)
    keras.utils.set_random_seed(SEED)
    # From here on every variable is in all processes, and every batch is spread over
    # them. Keras can cut up a `tf.data.Dataset` itself; arrays and PyDatasets come cut.
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )

    images, labels = demo.held_out_digits()  # the net has seen none of these
    x, y = demo.windows(images), labels % 2
    training = Share(x[:TRAIN], y[:TRAIN], process, processes)
    tests = Share(x[TRAIN:], y[TRAIN:], process, processes)

    # Strokes are strokes, odd or even: the first filters stay as they are.
    model = finetune(demo.load(), classes=2, freeze_until="conv1", learning_rate=1e-4)
    losses = Losses()
    before = model.evaluate(tests, verbose=0)[1]
    model.fit(training, epochs=4, shuffle=False, callbacks=[losses], verbose=0)
    after = model.evaluate(tests, verbose=0)[1]
    # One process alone must make no more variables, and saving makes some.
    keras.distribution.set_distribution(None)
    if process == 0:
        output.mkdir(parents=True, exist_ok=True)
        model.save(output / "even_or_odd.keras")
        np.savetxt(output / "losses.txt", losses.values)
        devices = keras.distribution.get_device_count()
        print(f"processes: {processes}, devices: {devices}")
        print(f"{len(losses.values)} steps of {BATCH} digits")
        print(f"even or odd, of {len(x) - TRAIN} digits not seen in training:")
        print(f"before {before:6.1%}\nafter  {after:6.1%}")
    return {"before": before, "after": after}


def start(output: Path, processes: int, timeout: float = 300) -> None:
    """Start this script `processes` times on this machine and wait for all of them.

    Raises:
        SystemExit: If one fails, or they take more than `timeout` seconds. None is
            left running.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    options = ["--output", output, "--processes", processes, "--address", address]
    command = [sys.executable, __file__, *map(str, options), "--process"]
    running = [subprocess.Popen([*command, str(i)]) for i in range(processes)]
    end = time.monotonic() + timeout
    try:
        while any(process.poll() is None for process in running):
            if any(process.poll() for process in running):
                raise SystemExit("A process failed, so the others cannot go on.")
            if time.monotonic() > end:
                raise SystemExit(f"Not done after {timeout} seconds.")
            time.sleep(0.1)
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("finetuned"), help="folder")
    parser.add_argument("--processes", type=int, default=1, help="how many there are")
    parser.add_argument("--process", type=int, help="which one this is, from 0 on")
    parser.add_argument("--address", help="of process 0, host:port")
    options = parser.parse_args()
    if options.process is None and options.processes > 1:
        start(options.output, options.processes)
    else:
        process = options.process or 0
        train(options.output, options.processes, process, options.address)


if __name__ == "__main__":
    main()
