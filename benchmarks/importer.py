"""Time the import of ResNet-152's definition against Keras building its own."""

import argparse
import tempfile
import time
from pathlib import Path

import engines
import timing


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="timings of each")
    rounds = parser.parse_args().rounds
    engines.limit_threads()
    import keras

    from keras_caffe_zoo import from_caffe, resnet152, to_caffe

    print(timing.describe(timing.machine()))
    with tempfile.TemporaryDirectory() as folder:
        text, weights = Path(folder, "net.prototxt"), Path(folder, "net.caffemodel")
        to_caffe(resnet152(weights=None, input_shape=(224, 224, 3)), text, weights)
        calls = {
            "from_caffe(prototxt)": lambda: from_caffe(text),
            "keras ResNet152": lambda: keras.applications.ResNet152(weights=None),
        }
        seconds = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
                keras.backend.clear_session()
    for name, times in seconds.items():
        print(f"{name:24} {sorted(times)[rounds // 2]:.2f} s (least {min(times):.2f})")
    ours, theirs = (sorted(times)[rounds // 2] for times in seconds.values())
    print(f"ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
