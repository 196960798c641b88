"""Time SSD300-VGG16 and MobileNet-SSD against OpenCV, and ONNX Runtime on our export.

The nets are of full size, their weights random, the same for all. Detections of an
untrained net are many, and overlap little: the last layer has more to do than usual.
"""

import argparse
import gc
import json
import tempfile
from pathlib import Path

import detectors
import engines
import numpy as np
import timing

BASE = "OpenCV"


def build(name: str, folder: Path):
    """Return our model, and the files of it that the other engines read."""
    import keras

    import keras_caffe_zoo as kcz

    keras.utils.set_random_seed(0)
    text = folder / f"{name}.prototxt"
    text.write_text(detectors.prototxt(name))
    model = kcz.from_caffe(text)
    liven(model)
    caffe = (folder / "written.prototxt", folder / "written.caffemodel")
    kcz.to_caffe(model, *caffe)
    kcz.convert(model, folder / "net.onnx")
    return model, caffe, folder / "net.onnx"


def liven(model) -> None:
    """Scale random weights so that no layer dies, and some classes are likely."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        weights = layer.get_weights()
        if weights and weights[0].ndim == 4:
            kernel, bias = weights
            gain = {"loc": 0.3, "conf": 3}.get(layer.name.rpartition("mbox_")[2], 24)
            scale = np.sqrt(gain / np.prod(kernel.shape[:-1]))
            kernel = (rng.random(kernel.shape, "float32") - 0.5) * scale
            layer.set_weights([kernel, bias])


def opencv(caffe):
    """Return OpenCV's DNN module on the files for Caffe."""
    import cv2

    cv2.setNumThreads(engines.THREADS)
    net = cv2.dnn.readNetFromCaffe(*map(str, caffe))

    def run(x):
        net.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        return net.forward()[0, 0]

    return run


def onnx_runtime(path):
    """Return ONNX Runtime on the file that `kcz.convert` wrote."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = engines.THREADS
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def run(x):
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        return session.run(None, {name: x})[0][0, 0]

    return run


def without_detection(model):
    """Return the model up to what its last layer reads, as a function."""
    import keras
    import tensorflow as tf

    body = keras.Model(model.inputs, model.layers[-1].input)
    compiled = tf.function(lambda x: body(x, training=False))
    return lambda x: [np.asarray(y) for y in compiled(tf.constant(x))]


def apart(rows, expected) -> str:
    """Tell how far the rows are from another engine's, and how many it has not."""
    import keras_caffe_zoo as kcz

    rows = kcz.detections(rows) if rows.ndim == 3 else rows
    same = np.all(rows[:, None, :2] == expected[None, :, :2], axis=2)
    gap = np.abs(rows[:, None] - expected[None]).max(axis=2)
    nearest = np.where(same, gap, np.inf).min(axis=1, initial=np.inf)
    close = nearest < 1e-3
    return f"{nearest[close].max(initial=0):.0e}, {np.sum(~close)} others"


def compare(model, caffe, onnx, batch: int, rounds: int) -> dict:
    """Time the engines on one batch."""
    import tensorflow as tf

    whole = tf.function(lambda x: model(x, training=False))
    calls = {
        "ours, predict_on_batch": model.predict_on_batch,
        "ours, tf.function": lambda x: whole(tf.constant(x)).numpy(),
        "ours, up to detection": without_detection(model),
        BASE: opencv(caffe),
        "ONNX Runtime": onnx_runtime(onnx),
    }
    x = detectors.images(batch)
    expected = calls[BASE](x)
    bound = {name: lambda call=call: call(x) for name, call in calls.items()}
    times = timing.interleave(bound, rounds, max(1, 4 // batch))
    rows = {
        name: {
            **timing.summary(times[name], batch),
            "ratio": timing.paired_ratio(times[name], times[BASE]),
        }
        for name in calls
    }
    for name in calls:
        if "up to" not in name:
            rows[name]["difference"] = apart(np.asarray(calls[name](x)), expected)
    part = timing.paired_ratio(
        times["ours, up to detection"], times["ours, tf.function"]
    )
    return {"rows": rows, "detection's share": 1 - part, "detections": len(expected)}


def show(name: str, batch: int, found: dict) -> None:
    """Print one table."""
    print(f"\n{name}, batch {batch}, ms per image; {found['detections']} detections")
    print(f"{'':24}{'median':>9}{'min':>9}{'max':>9}{'ratio':>7}  difference")
    for engine, row in found["rows"].items():
        numbers = "".join(f"{row[key]:9.1f}" for key in ("median", "min", "max"))
        said = row.get("difference", "")
        print(f"{engine:24}{numbers}{row['ratio']:7.2f}  {said}".rstrip(), flush=True)
    share = max(found["detection's share"], 0)
    print(f"the detection layer's share of our time: {share:.0%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="+", default=[*detectors.NETS], choices=detectors.NETS
    )
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=7, help="timings of each engine")
    parser.add_argument("--json", metavar="FILE", help="also write all numbers there")
    options = parser.parse_args()
    engines.limit_threads()
    results = {"machine": timing.machine(), "threads": engines.THREADS}
    print(timing.describe(results["machine"]))
    print(
        f"{engines.THREADS} threads each. ratio: to {BASE}, median over "
        f"{options.rounds} interleaved rounds. difference: of the rows from {BASE}'s."
    )
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            model, caffe, onnx = build(name, Path(folder))
            for batch in options.batch:
                found = compare(model, caffe, onnx, batch, options.rounds)
                results[f"{name}, batch {batch}"] = found
                show(name, batch, found)
        del model
        gc.collect()
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
