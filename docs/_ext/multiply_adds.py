"""How many multiply-adds a net of the zoo takes for one picture."""

import hashlib
import json
import math
from pathlib import Path

import keras

import keras_caffe_zoo as kcz
from keras_caffe_zoo.conversion.walk import Call, calls


def multiply_adds(name: str) -> int | None:
    """Return the multiply-adds of a net's convolutions and inner products.

    They are those of one picture in the net's own size, as in the papers: sums of
    biases, poolings and activations are not counted.

    Args:
        name: One of `keras_caffe_zoo.list_models()`.

    Returns:
        The number; `None` where the net takes pictures of any size.
    """
    with keras.StatelessScope():  # weights have shapes there, and no memory
        model = getattr(kcz, name)(weights=None)
    keras.backend.clear_session()
    return count(model)


def count(model: keras.Model) -> int | None:
    """Return the multiply-adds of a model, `None` where a size is not known."""
    if any(None in x.shape[1:] for x in model.inputs):
        return None
    counts = [_of_call(call) for call in calls(model)]
    return None if None in counts else sum(counts)


def _of_call(call: Call) -> int | None:
    """Return the multiply-adds of one call of a layer, 0 of one without a kernel."""
    kernel = getattr(call.layer, "kernel", None)
    if kernel is None:
        return 0
    # Each cell of a deconvolution's input meets the whole kernel, and each of another
    # layer's output.
    transposed = "Deconv" in type(call.layer).__name__
    places = (call.inputs if transposed else call.outputs)[0].shape[1:-1]
    return None if None in places else math.prod(places) * math.prod(kernel.shape)


def all_multiply_adds(cache: Path) -> dict[str, int | None]:
    """Return the multiply-adds of every net of the zoo.

    Args:
        cache: A folder that keeps them for as long as the package's code is the same,
            since building all nets takes a minute.
    """
    file = cache / f"multiply_adds_{_digest()}.json"
    if file.exists():
        return json.loads(file.read_text("utf-8"))
    found = {name: multiply_adds(name) for name in kcz.list_models()}
    cache.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found), "utf-8")
    return found


def _digest() -> str:
    """Return a digest of what the nets are built with, and of this file."""
    package = Path(kcz.__file__).parent
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for room in ("models", "layers", "arithmetic"):
        for path in sorted((package / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
