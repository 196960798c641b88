"""How a model detects: which of its layers say what is where."""

from __future__ import annotations

from keras_caffe_zoo.conversion.model import find_tensor
from keras_caffe_zoo.conversion.naming import named_outputs
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import there_are
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.rules.registry import rule_for
from keras_caffe_zoo.tasks.regions import is_info

_REGIONS = ("cls_prob", "bbox_pred")


def ends_of(model: keras.Model) -> dict:
    """Return the tensors that say what a model has detected.

    Returns:
        `"rows"`, the output of SSD's or YOLO's layer; or `"cls_prob"`, `"bbox_pred"`
        and `"rois"` of Faster R-CNN and its like.

    Raises:
        ValueError: If the model has neither, or takes something else than it should.
    """
    rows = [x for x in model.layers if rule_for(x).rows == "of one item"]
    if len(rows) == 1:
        _check_inputs(model, [])
        return {"rows": rows[0].output}
    proposals = _proposing(model)
    found = {name: _blob(model, name) for name in _REGIONS}
    if rows or len(proposals) != 1 or None in found.values():
        raise ValueError(
            "Expected a model that detects: with one layer DetectionOutput, "
            "YoloDetectionOutput or Yolov3DetectionOutput; or with one that proposes "
            "regions, and the blobs 'cls_prob' and 'bbox_pred'; received: "
            f"'{model.name}' with {len(rows)} and {len(proposals)} such layers, and "
            f"outputs. {there_are(named_outputs(model))}"
        )
    _check_inputs(model, [is_info])
    _check_columns(model, found)
    rois = proposals[0].output
    return {**found, "rois": rois[0] if isinstance(rois, list) else rois}


def classes_of(model: keras.Model) -> tuple[int | None, int | None]:
    """Return how many classes a model has, and which of them is the background."""
    ends = ends_of(model)
    if "rows" not in ends:
        return ends["cls_prob"].shape[-1], 0
    layer = ends["rows"]._keras_history.operation
    label = getattr(layer, "background_label_id", None)
    if label is None:  # YOLO has no background, and counts its classes from 1
        return layer.num_classes + 1, 0
    return layer.num_classes, label if 0 <= label < layer.num_classes else None


def has_fixed_size(model: keras.Model) -> bool:
    """Tell whether it proposes regions, but of pictures of one size only."""
    return bool(_proposing(model)) and None not in model.inputs[0].shape[1:3]


def _proposing(model: keras.Model) -> list:
    """Return the layers that propose regions, of which some rows are spare."""
    return [x for x in model.layers if rule_for(x).spare_rows]


def _blob(model: keras.Model, name: str):
    return named_outputs(model).get(name, find_tensor(model, name))


def _check_inputs(model: keras.Model, others) -> None:
    """Refuse a model unless it takes images, and what else it should."""
    given = model.inputs[1:]
    fits = len(given) == len(others)
    if not fits or not all(is_one(x) for is_one, x in zip(others, given, strict=True)):
        more = " and (N, 3) of height, width and scale, `im_info`," if others else ""
        shapes = {x.name: tuple(x.shape) for x in model.inputs}
        raise ValueError(
            f"Expected a model that takes images (N, H, W, 3){more} and nothing else; "
            f"received: '{model.name}', which takes {shapes}"
        )
    if others and has_fixed_size(model):
        raise ValueError(
            "Expected a model of images of any height and width, since it is given "
            f"pictures in their own proportions; received: '{model.name}', which takes "
            f"{tuple(model.inputs[0].shape)}. Read it with from_caffe(…, input_shape="
            f"{{'{caffe_name(model.inputs[0].name)}': (None, None, 3)}})"
        )


def _check_columns(model: keras.Model, found: dict) -> None:
    shapes = {name: tuple(x.shape) for name, x in found.items()}
    chances, moves = shapes.values()
    fits = len(chances) == len(moves) == 2 and None not in (chances[1], moves[1])
    if not fits or chances[1] < 2 or moves[1] not in (8, 4 * chances[1]):
        raise ValueError(
            "Expected 'cls_prob' (R, classes) and 'bbox_pred' (R, 4 * classes), or "
            f"(R, 8) for all classes alike; received: '{model.name}' with {shapes}"
        )
