"""Loops in ONNX files, as every engine reads them."""

import os


def part_loops(path: str | os.PathLike) -> None:
    """Give what a loop passes on unchanged a node of its own, in an ONNX file.

    TensorFlow's loops return what they only read, under the very name that they got it
    by. ONNX allows that; OpenVINO takes such an input for two.

    Args:
        path: The file, which is written again if it has such a loop.
    """
    import onnx

    model = onnx.load(path)
    if sum(_part(node) for node in model.graph.node):
        onnx.save(model, path)


def _part(node) -> int:
    """Part the names in a node's graphs; return how many."""
    from onnx import helper

    count = 0
    for graph in (a.g for a in node.attribute if a.HasField("g")):
        given = {value.name for value in graph.input}
        for i, value in enumerate(graph.output):
            if value.name in given:
                passed = f"{value.name}/passed_on_{i}"
                graph.node.append(helper.make_node("Identity", [value.name], [passed]))
                value.name, count = passed, count + 1
        count += sum(map(_part, graph.node))
    return count
