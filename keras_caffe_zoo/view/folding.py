"""A net as a graph: layers in place are parts of the layer whose blob they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from keras_caffe_zoo.caffe import Layer


@dataclass
class NetGraph:
    """Boxes, and which one reads what another writes.

    Attributes:
        nodes: For each box the positions of its layers, in the order in which they run.
        edges: Pairs of boxes, the first of which comes earlier in the net, and the
            names of the blobs that the second reads of it.
    """

    nodes: list[list[int]] = field(default_factory=list)
    edges: dict[tuple[int, int], list[str]] = field(default_factory=dict)


def folded(layers: Sequence[Layer]) -> NetGraph:
    """Return the graph of a net's layers.

    A layer in place is folded unless another has read its blob in between. A bottom
    that no layer before writes has no edge.
    """
    graph = NetGraph()
    writers: dict[str, int] = {}
    read: set[str] = set()  # the blobs that were read since they were written
    for at, layer in enumerate(layers):
        (blob,) = layer.tops if len(layer.tops) == 1 else (None,)
        if blob in writers and layer.bottoms == [blob] and blob not in read:
            graph.nodes[writers[blob]].append(at)
            continue
        node = len(graph.nodes)
        graph.nodes.append([at])
        for bottom in layer.bottoms:
            if bottom in writers:
                blobs = graph.edges.setdefault((writers[bottom], node), [])
                blobs.append(bottom)
        read |= set(layer.bottoms)
        read -= set(layer.tops)
        writers |= dict.fromkeys(layer.tops, node)
    return graph
