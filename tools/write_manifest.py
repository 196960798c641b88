#!/usr/bin/env python3
"""Write what nets' layers tell into the manifest: shapes, sizes, multiply-adds.

    python tools/write_manifest.py densenet121 densenet161

A new net is one builder in `keras_caffe_zoo/models/` and its facts in
`weights_manifest.json`, with `"blobs": {}`, and null for `payload_bytes` and
`multiply_adds`. This builds the net and writes all three. `--more-in-file` is for a
published file that has, or may have, layers which nobody described, such as the heads
of training: how much it holds then stays unknown. Without names the manifest is only
brought into its form.
"""

import argparse
import json
import math
import textwrap
from pathlib import Path

MANIFEST = Path(__file__).parents[1] / "keras_caffe_zoo" / "weights_manifest.json"
WIDTH = 88
_SHORT = ("licence", "resize")  # objects on one line


def formatted(manifest: dict) -> str:
    """Return the manifest as it is kept: a line for each fact, shapes side by side."""
    return _value(manifest, 0, "") + "\n"


def _value(value, indent: int, key: str) -> str:
    if isinstance(value, dict) and value and key not in _SHORT:
        inner = {k: _value(v, indent + 2, k) for k, v in value.items()}
        pairs = [f"{json.dumps(k)}: {text}" for k, text in inner.items()]
        if key == "blobs":
            return _enclosed("{}", [_filled(pairs, indent + 2)], indent)
        return _enclosed("{}", pairs, indent)
    if key in ("urls", "accuracy") and value:
        rows = [json.dumps(one, ensure_ascii=False) for one in value]
        return _enclosed("[]", rows, indent)
    return json.dumps(value, ensure_ascii=False)


def _enclosed(brackets: str, rows: list[str], indent: int) -> str:
    inner = " " * (indent + 2)
    body = ",\n".join(inner + row for row in rows)
    return f"{brackets[0]}\n{body}\n{' ' * indent}{brackets[1]}"


def _filled(pairs: list[str], indent: int) -> str:
    """Return pairs side by side, no pair cut in two."""
    whole = [pair.replace(" ", "\0") for pair in pairs]
    lines = textwrap.wrap(
        ", ".join(whole), WIDTH - indent, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * indent}".join(lines).replace("\0", " ")


def facts_of(name: str) -> tuple[dict[str, list[list[int]]], int | None]:
    """Return what a net's layers tell.

    Returns:
        The shapes of its parameters in Caffe's layout, layer by layer, and its
        multiply-adds for one picture; None of those if it takes any size.
    """
    import keras

    from keras_caffe_zoo import caffe_params, models
    from keras_caffe_zoo.view.net import viewed_model

    keras.config.set_dtype_policy("float16")  # values do not matter, memory does
    model = getattr(models, name)(weights=None)
    shapes = {
        layer: [list(blob.shape) for blob in blobs]
        for layer, blobs in caffe_params(model).items()
    }
    viewed = viewed_model(model)
    return shapes, viewed.multiply_adds if viewed.is_counted else None


def main():
    """Write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--more-in-file", action="store_true")
    arguments = parser.parse_args()
    manifest = json.loads(MANIFEST.read_text("utf-8"))
    for name in arguments.names:
        entry = manifest["models"][name]
        entry["blobs"], entry["multiply_adds"] = facts_of(name)
        blobs = entry["blobs"]
        numbers = sum(math.prod(shape) for shapes in blobs.values() for shape in shapes)
        known = None if arguments.more_in_file else 4 * numbers
        entry["file"]["payload_bytes"] = known
        print(f"{name}: {numbers:,} parameters")
    MANIFEST.write_text(formatted(manifest), "utf-8")


if __name__ == "__main__":
    main()
