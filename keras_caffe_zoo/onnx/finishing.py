"""What a graph gets before it is a file: pixels as its input, and fewer bits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_caffe_zoo.onnx.file import model_proto, write_model
from keras_caffe_zoo.onnx.graph import Graph
from keras_caffe_zoo.onnx.opsets import OPSET, check_opset
from keras_caffe_zoo.onnx.preprocessing import image_input, image_shape, take_pixels
from keras_caffe_zoo.precision.calibration import Agreement, Calibration
from keras_caffe_zoo.precision.half import half
from keras_caffe_zoo.precision.int8 import check_onnxruntime, int8
from keras_caffe_zoo.preprocessing.recipe import Recipe, recipe_for

PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Finish:
    """How a graph is to be written.

    Attributes:
        preprocessing: As in `to_onnx`, like all others.
        mean: None for what is told elsewhere.
        scale: None for what is told elsewhere.
        precision: One of `PRECISIONS`.
        calibration: The folder of pictures, of int8.
    """

    preprocessing: bool | str = False
    mean: Any = None
    scale: float | None = None
    precision: str = "float32"
    calibration: str | os.PathLike | None = None

    def check(self) -> None:
        """Refuse options that contradict one another, or would be passed over.

        Raises:
            ValueError: If there are any.
        """
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"Expected precision to be one of {PRECISIONS}; received: "
                f"{self.precision!r}"
            )
        if (self.precision == "int8") != (self.calibration is not None):
            raise ValueError(
                "Expected `calibration`, a folder of pictures, together with "
                f"precision='int8'; received: precision={self.precision!r}, "
                f"calibration={self.calibration!r}"
            )
        for name in ("mean", "scale"):
            value = getattr(self, name)
            unused = not self.preprocessing and self.calibration is None
            if value is not None and unused:
                raise ValueError(
                    f"Expected `{name}` together with `preprocessing` or "
                    f"`calibration`; received: {name}={value!r} alone"
                )

    def recipe(self, graph: Graph) -> Recipe | None:
        """Return what a graph's net does to pixels; None where nobody needs to know.

        Raises:
            ValueError: If it is needed and nobody tells it.
        """
        if not self.preprocessing and self.calibration is None:
            return None
        x = image_input(graph)
        return recipe_for(
            image_shape(x),
            net=self.preprocessing if isinstance(self.preprocessing, str) else None,
            told=graph.pixels.get(x.name),
            mean=self.mean,
            scale=self.scale,
        )

    def prepare(self, graph: Graph) -> Calibration | None:
        """Have a graph take pixels, if that is asked for.

        Returns:
            The pictures to measure it on; None where nothing is to be measured.

        Raises:
            ValueError: As `recipe`, or if no picture can be read.
        """
        recipe, pictures = self.recipe(graph), None
        if recipe is None:
            return None
        x = image_input(graph)
        if self.calibration is not None:
            height, width, channels = image_shape(x)
            size, items = (height, width), x.shape[0] or 1
            pictures = Calibration(self.calibration, size, channels, recipe, items)
        if self.preprocessing:
            take_pixels(graph, x, recipe)
        return pictures


PLAIN = Finish()


def check_finish(finish: Finish, opset: int = OPSET) -> None:
    """Check before any work that an ONNX file can be finished so.

    Raises:
        ValueError: If an option is none, or contradicts another.
        ImportError: If a package is missing.
    """
    finish.check()
    check_opset(opset)
    if finish.precision == "int8":
        check_onnxruntime()


def write_onnx(
    graph: Graph, path: Path, opset: int = OPSET, finish: Finish = PLAIN
) -> Agreement | None:
    """Write a graph as an ONNX file, checked.

    Args:
        graph: The graph; it is changed if it is to take pixels.
        path: The file.
        opset: The version of the standard's operators.
        finish: What it gets before.

    Returns:
        Of int8, how it agrees with float32.

    Raises:
        ValueError: If that version of the operators lacks one of the graph's; as
            `Finish.prepare`.
    """
    pictures, found = finish.prepare(graph), None
    proto = model_proto(graph, opset)
    if finish.precision == "float16":
        proto = half(proto)
    elif pictures is not None:
        proto, found = int8(proto, pictures)
    write_model(proto, path)
    return found
