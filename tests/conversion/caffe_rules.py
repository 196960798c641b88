"""Caffe's own rules for a net's wiring: net.cpp and insert_splits.cpp, played through.

`check` raises where Caffe 1.0 would refuse a net, and where it would compute something
else than the net's lines say since a blob's memory was overwritten by then.
"""

from collections import Counter

from bvlc_fields import FIELDS
from google.protobuf import text_format

from keras_caffe_zoo.caffe import schema

BVLC = schema.Schema(FIELDS, "bvlc")

# Types that Caffe refuses in place, or that read their bottom after they wrote a top.
NEVER_IN_PLACE = set(
    """AbsVal ArgMax BatchReindex Concat Convolution Crop Deconvolution Eltwise Embed
    Flatten Im2col InnerProduct LRN LSTM MVN Pooling RNN Reduction Reshape SPP Slice
    Split Tile""".split()  # noqa: SIM905
)
SHARING = {"Flatten", "Reshape", "Split"}
# Layers whose tops are not computed anew in each forward pass.
FILLED_ONCE = {"DummyData", "Parameter"}
ONE_BOTTOM = {"ReLU", "Split", "Flatten", "Reshape", "InnerProduct", "Pooling", "LRN"}


class Refused(Exception):
    """What Caffe dies of."""


def check(path):
    """Return the blobs that are the net's outputs, if Caffe takes a prototxt."""
    net = text_format.Parse(path.read_text(), BVLC.MESSAGES["NetParameter"]())
    _check_layers(net.layer)
    split = _with_splits(net.layer)
    outputs = _init(split)
    _check_memory(split, outputs)
    return outputs


def _check_layers(layers):
    repeated = [n for n, k in Counter(x.name for x in layers).items() if k > 1]
    if repeated:
        raise Refused(f"layers of one name take one another's parameters: {repeated}")
    for layer in layers:
        if layer.type in ONE_BOTTOM and len(layer.bottom) != 1:
            raise Refused(f"{layer.name}: {layer.type} takes one bottom")


def _with_splits(layers):
    """Return (name, type, bottoms, tops) as InsertSplits makes them."""
    last, source, readers, used = {}, {}, Counter(), Counter()
    for i, layer in enumerate(layers):
        for j, blob in enumerate(layer.bottom):
            if blob not in last:
                raise Refused(f"{layer.name}: unknown bottom blob {blob!r}")
            source[i, j] = last[blob]
            readers[last[blob]] += 1
        for j, blob in enumerate(layer.top):
            last[blob] = (i, j)
    result = []
    for i, layer in enumerate(layers):
        bottoms = list(layer.bottom)
        for j, blob in enumerate(bottoms):
            if readers[source[i, j]] > 1:
                maker = layers[source[i, j][0]].name
                bottoms[j] = f"{blob}_{maker}_split_{used[source[i, j]]}"
                used[source[i, j]] += 1
        result.append((layer.name, layer.type, bottoms, list(layer.top)))
        for j, blob in enumerate(layer.top):
            if readers[i, j] > 1:
                tops = [f"{blob}_{layer.name}_split_{k}" for k in range(readers[i, j])]
                result.append((f"{blob} split", "Split", [blob], tops))
    return result


def _init(layers):
    """Play Net::Init; return the blobs that no layer reads."""
    known, available = set(), {}
    for name, kind, bottoms, tops in layers:
        for blob in bottoms:
            if blob not in available:
                raise Refused(f"{name}: unknown bottom blob {blob!r}")
            del available[blob]
        for i, blob in enumerate(tops):
            if i < len(bottoms) and bottoms[i] == blob:
                if kind in NEVER_IN_PLACE:
                    raise Refused(f"{name}: {kind} in place")
            elif blob in known:
                raise Refused(f"{name}: {blob!r} produced by multiple sources")
            known.add(blob)
            available[blob] = True
    return list(available)


def _check_memory(layers, outputs):
    """Follow what each piece of memory holds while the net runs."""
    block, wanted, holds, fixed = {}, {}, {}, set()
    for at, (name, kind, bottoms, tops) in enumerate(layers):
        for blob in bottoms:
            if holds[block[blob]] != wanted[blob]:
                raise Refused(f"{name}: {blob!r} was overwritten before")
        for i, blob in enumerate(tops):
            if kind in SHARING:
                block[blob], wanted[blob] = block[bottoms[0]], wanted[bottoms[0]]
                continue
            if i >= len(bottoms) or bottoms[i] != blob:
                block[blob] = (at, i)
            elif block[blob] in fixed:
                raise Refused(f"{name}: {blob!r} is not made anew each time")
            wanted[blob] = holds[block[blob]] = (at, i)
            if kind in FILLED_ONCE:
                fixed.add(block[blob])
    for blob in outputs:
        if holds[block[blob]] != wanted[blob]:
            raise Refused(f"the output {blob!r} is overwritten")
