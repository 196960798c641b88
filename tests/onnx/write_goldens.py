"""Write every golden as an ONNX file, beside what Caffe computed, for other engines.

Some whole nets are beside them, with what our models compute.

    python tests/onnx/write_goldens.py FOLDER

For each net there are NAME.onnx and NAME.npz, with arrays `in/BLOB` and `out/BLOB`.
What runs them needs neither this package nor Caffe: `tools/run_onnx_in_opencv.py`.
"""

import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]
MODELS = ("nin", "squeezenet_v1_0", "squeezenet_v1_1", "googlenet", "resnet50")
sys.path[:0] = [str(TESTS), str(TESTS / "goldens")]

from conversion import test_fork_goldens as forks  # noqa: E402
from conversion import test_golden_layers_import as layers  # noqa: E402
from livened import channels_first, livened  # noqa: E402
from support import GOLDENS  # noqa: E402

from keras_caffe_zoo import convert, to_onnx  # noqa: E402
from keras_caffe_zoo.conversion.preparing import declared_shapes  # noqa: E402
from keras_caffe_zoo.rules.names import caffe_name  # noqa: E402


def write(folder: Path, name: str, source: Path, blobs: dict, **options) -> None:
    """Write one net, and its blobs."""
    weights = source.with_suffix(".caffemodel")
    data = declared_shapes(source, **options)
    wanted = [blob for blob in blobs if blob not in data]
    given = weights if weights.exists() else None
    to_onnx(source, given, folder / f"{name}.onnx", outputs=wanted, **options)
    arrays = {f"out/{blob}": blobs[blob] for blob in wanted}
    arrays |= {f"in/{blob}": blobs[blob].astype("float32") for blob in data}
    np.savez(folder / f"{name}.npz", **arrays)


def write_model(folder: Path, name: str) -> None:
    """Write a builder's model, and what it makes of an image."""
    model, images = livened(name)
    convert(model, folder / f"{name}.onnx")
    blob, answer = model.input.name, np.asarray(model(images))
    arrays = {f"in/{blob}": channels_first(images)}
    arrays["out/" + caffe_name(model.layers[-1].name)] = channels_first(answer)
    np.savez(folder / f"{name}.npz", **arrays)


def main(folder: Path) -> None:
    """Write them all."""
    folder.mkdir(exist_ok=True)
    for case in layers.CASES:
        write(folder, case, GOLDENS / f"{case}.prototxt", layers.stored(case))
    for case in forks.CASES:
        arrays = forks.golden(case)
        source, blobs = forks.FORKS / f"{case}.prototxt", forks.under(arrays, "blob/")
        config = forks.python_config(arrays)
        write(folder, f"fork_{case}", source, blobs, python_config=config)
    for name in MODELS:
        write_model(folder, name)
    count = len(layers.CASES) + len(forks.CASES) + len(MODELS)
    print(f"Wrote {count} nets to {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
