"""Time training steps on ready batches, and on those of an LMDB as Caffe reads it."""

import argparse
import io
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import timing

NETS = ("caffenet", "cifar10_full")
CLASSES = {"caffenet": 1000, "cifar10_full": 10}
# The data layers of BVLC's own train_val.prototxt, but for the batch of CaffeNet.
DATA = """
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ {transform} mean_file: "mean.binaryproto" }}
  data_param {{ source: "train_lmdb" batch_size: {batch} backend: LMDB }} }}
"""
TRANSFORM = {"caffenet": "mirror: true crop_size: 227", "cifar10_full": ""}
SIDES = {"caffenet": 256, "cifar10_full": 32}
# BVLC's cifar10_full: pool, ReLU and LRN stand in another order in its first block.
CIFAR = """
input: "data" input_shape {{ dim: 1 dim: 3 dim: 32 dim: 32 }}
{0} {1} {2}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool3" top: "ip1"
  inner_product_param {{ num_output: 10 }} }}
layer {{ name: "prob" type: "Softmax" bottom: "ip1" top: "prob" }}
"""
CONV = """
layer {{ name: "conv{n}" type: "Convolution" bottom: "{below}" top: "conv{n}"
  convolution_param {{ num_output: {outputs} kernel_size: 5 pad: 2 }} }}
"""
POOL = """
layer {{ name: "pool{n}" type: "Pooling" bottom: "conv{n}" top: "pool{n}"
  pooling_param {{ pool: {kind} kernel_size: 3 stride: 2 }} }}
"""
RELU = 'layer {{ name: "relu{n}" type: "ReLU" bottom: "{at}" top: "{at}" }}\n'
NORM = """
layer {{ name: "norm{n}" type: "LRN" bottom: "pool{n}" top: "norm{n}"
  lrn_param {{ local_size: 3 alpha: 5e-05 beta: 0.75 norm_region: WITHIN_CHANNEL }} }}
"""


def cifar10_full():
    """Return the net, without weights."""
    import keras_caffe_zoo as kcz

    blocks = (
        (CONV + POOL + RELU + NORM, "data", 32, "MAX", "pool1"),
        (CONV + RELU + POOL + NORM, "norm1", 32, "AVE", "conv2"),
        (CONV + RELU + POOL, "norm2", 64, "AVE", "conv3"),
    )
    texts = [
        text.format(n=n, below=below, outputs=outputs, kind=kind, at=at)
        for n, (text, below, outputs, kind, at) in enumerate(blocks, 1)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(CIFAR.format(*texts))
        file.flush()
        return kcz.from_caffe(file.name)


def built(name: str):
    """Return a net, compiled for Caffe's solver."""
    import keras

    from keras_caffe_zoo.models import caffenet

    model = caffenet(weights=None) if name == "caffenet" else cifar10_full()
    model.compile(keras.optimizers.SGD(1e-5, 0.9), "sparse_categorical_crossentropy")
    return model


def picture(seed: int, side: int) -> np.ndarray:
    """Return a smooth picture, whose JPEG is about as large as a photograph's."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (side // 10, side // 10, 3), "uint8")
    large = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(large)


def write_lmdb(path: str, name: str, count: int) -> int:
    """Write JPEGs for CaffeNet, else raw pixels; return the bytes of a record."""
    import lmdb
    from PIL import Image

    from keras_caffe_zoo.caffe import schema

    sizes = []
    with lmdb.open(path, map_size=1 << 30) as database, database.begin(write=True) as t:
        for i in range(count):
            pixels = picture(i, SIDES[name])
            datum = schema.Datum(label=i % CLASSES[name])
            datum.channels, datum.height, datum.width = 3, *pixels.shape[:2]
            if name == "caffenet":
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "JPEG", quality=95)
                datum.data, datum.encoded = file.getvalue(), True
            else:
                datum.data = pixels.transpose(2, 0, 1).tobytes()
            value = datum.SerializeToString()
            sizes.append(len(value))
            t.put(f"{i:08}".encode(), value)
    return round(np.mean(sizes))


def seconds_of_data(data, steps: int) -> float:
    """Return what a batch takes without a net, once some are under way."""
    batches = iter(data)
    for _ in range(5):
        next(batches)
    start = time.perf_counter()
    for _ in range(4 * steps):
        next(batches)
    return (time.perf_counter() - start) / (4 * steps)


def measure(name: str, batch: int, count: int, steps: int, rounds: int) -> dict:
    """Return the times of a step, alone and with its data, and of the data alone."""
    from keras_caffe_zoo.caffe import parse_prototxt
    from keras_caffe_zoo.training import layer_dataset

    model = built(name)
    with tempfile.TemporaryDirectory() as folder:
        size = write_lmdb(folder, name, count)
        text = DATA.format(transform=TRANSFORM[name], batch=batch)
        mean = np.full((SIDES[name], SIDES[name], 3), 120, "float32")
        data = layer_dataset(parse_prototxt(text), folder, mean=mean, repeat=True)
        batches = iter(data)
        ready = next(batches)
        calls = {
            "step": lambda: model.train_on_batch(*ready),
            "step with data": lambda: model.train_on_batch(*next(batches)),
        }
        times = timing.interleave(calls, rounds, steps)
        times["data"] = [seconds_of_data(data, steps) for _ in range(rounds)]
    found = {k: timing.summary(t, batch) for k, t in times.items()}
    found["ratio"] = timing.paired_ratio(times["step with data"], times["step"])
    return {"bytes": size, **found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--batch", type=int, default=64, help="that of CaffeNet")
    parser.add_argument("--records", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=5, help="in one timing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    options = parser.parse_args()
    # No limit of threads: those that read must not be TensorFlow's own few.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    facts = timing.machine()
    print(timing.describe(facts))
    found = {}
    for name in options.nets:
        batch = options.batch if name == "caffenet" else 100
        steps = options.steps * (1 if name == "caffenet" else 10)
        found[name] = measure(name, batch, options.records, steps, options.rounds)
        rows = dict(found[name])
        size, ratio = rows.pop("bytes"), rows.pop("ratio")
        print(f"{name}, batch {batch}, records of {size:,} bytes")
        print("ms per image (median, min, max)")
        for kind, row in rows.items():
            numbers = "".join(f"{row[k]:9.3f}" for k in ("median", "min", "max"))
            print(f"{kind:15}{numbers}")
        print(f"step with data / step: {ratio:.2f} (target: at most 1.1)")
    if options.json:
        Path(options.json).write_text(
            json.dumps({"machine": facts, **found}, indent=1), "utf-8"
        )


if __name__ == "__main__":
    main()
