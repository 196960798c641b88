"""A test net's DetectionEvaluate layers: which blobs they read, and what they are."""

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from keras_caffe_zoo.caffe import CaffeFormatError, Layer, Net
from keras_caffe_zoo.conversion.deploy import loss_tops
from keras_caffe_zoo.files import last_part
from keras_caffe_zoo.rules.ssd_training import DetectionEvaluate
from keras_caffe_zoo.training.average_precision import (
    DetectionEvaluation,
    read_name_sizes,
)

EVALUATING_LAYERS = DetectionEvaluate.types


class Evaluated(NamedTuple):
    """A DetectionEvaluate layer.

    Attributes:
        top: The blob that it would write.
        detections: The blob of detections that it reads.
        objects: The data blob of objects that it reads.
        evaluation: What it measures.
    """

    top: str
    detections: str
    objects: str
    evaluation: DetectionEvaluation


class DetectionTests:
    """How a solver's detections are measured: SSD's fields of a solver.

    Args:
        version: As of `DetectionEvaluation` (`ap_version`).
        by_class: Whether each class is told of, too (`show_per_class_result`).
        find: Function of a path in a net: the file that it stands for, or None.
    """

    def __init__(
        self,
        version: str = "Integral",
        by_class: bool = False,
        find: Callable[[str], os.PathLike | None] = lambda path: None,
    ):
        self.version, self.by_class, self._find = version, by_class, find

    def of(self, net: Net) -> list[Evaluated]:
        """Return what is measured in a net that was filtered for its phase.

        Raises:
            CaffeFormatError: If a layer asks for what is not done here.
        """
        layers = [x for x in net.layers if x.type in EVALUATING_LAYERS]
        return [self._of_layer(layer, net) for layer in layers]

    def _of_layer(self, layer: Layer, net: Net) -> Evaluated:
        param = layer.param
        if len(layer.bottoms) != 2:
            raise _error(
                net, layer, f"Expected detections and objects; got {layer.bottoms}"
            )
        try:
            evaluation = DetectionEvaluation(
                param.num_classes,
                param.background_label_id,
                param.overlap_threshold,
                param.evaluate_difficult_gt,
                self.version,
                self._sizes(layer, net),
            )
        except ValueError as error:
            raise _error(net, layer, str(error)) from error
        return Evaluated(loss_tops(layer)[0], *layer.bottoms, evaluation)

    def _sizes(self, layer: Layer, net: Net):
        param = layer.param
        if not param.name_size_file:
            return None
        file = self._find(param.name_size_file)
        if file is None:
            warnings.warn(
                f"{net.source}: boxes of '{layer.name}' are compared as fractions, not "
                f"in pixels: {last_part(param.name_size_file)!r} is in none of the "
                "places of data.",
                stacklevel=6,
            )
            return None
        if param.resize_param.resize_mode != param.resize_param.WARP:
            raise _error(
                net, layer, "Expected pictures that are warped, or no name_size_file"
            )
        return read_name_sizes(file)


def without_evaluations(net: Net) -> Net:
    """Return a net without its DetectionEvaluate layers."""
    layers = [x for x in net.layers if x.type not in EVALUATING_LAYERS]
    return replace(net, layers=layers)


def _error(net: Net, layer: Layer, problem: str) -> CaffeFormatError:
    return CaffeFormatError(
        f"({layer.type}) {problem}", source=net.source, layer=layer.name
    )
