"""What the losses of a training model read: of its inputs, its outputs, and of `y`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
from keras import ops

from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.training.losses import joined_labels
from keras_caffe_zoo.training.solver.label_net import LabelNet


@dataclass(frozen=True)
class Measure:
    """What a metric reads.

    Attributes:
        of: The blob that it measures, or the output.
        labels: The blobs that have its labels.
        is_output: Whether it measures an output, for the labels of the losses.
        made: Makes what it reads.
    """

    of: str
    labels: tuple[str, ...]
    is_output: bool = False
    made: LabelNet = field(default_factory=LabelNet)


@dataclass
class Reading:
    """How the labels of a batch become those of each loss.

    Attributes:
        inputs: The blobs that the model's inputs are, in their order.
        blobs: The blob that an output holds, of outputs that hold one.
        labels: The label blobs of each loss; none of one that has no labels.
        sources: The blobs that `y` must have.
        others: Those that only metrics read, and that `y` may have.
        weights: What each loss is multiplied with, in the net's order; 0 for one that
            is only looked at.
        made: Makes labels of data.
        measures: What each metric reads.
    """

    inputs: tuple[str, ...] = ()
    blobs: dict[str, str] = field(default_factory=dict)
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    made: LabelNet = field(default_factory=LabelNet)
    measures: dict[str, Measure] = field(default_factory=dict)

    @property
    def minimized(self) -> list[str]:
        """The losses that have a weight."""
        return [name for name, weight in self.weights.items() if weight]

    def for_losses(self, x, y, y_pred) -> tuple:
        """Return labels and predictions as the compiled losses take them."""
        outputs = self._outputs(y_pred)
        if self._is_by_output(y):
            labels = {name: y[name] for name in self.minimized if self.labels[name]}
        else:
            given = self._given(x, y, outputs)
            labels = {name: self._labels(name, given) for name in self.minimized}
        nothing = ops.zeros((1,))
        y_true = {name: labels.get(name, nothing) for name in self.minimized}
        y_pred = {name: _with_axes(outputs[name]) for name in self.minimized}
        if len(y_true) == 1:
            (y_true,), (y_pred,) = y_true.values(), y_pred.values()
        return y_true, y_pred

    def for_measures(self, x, y, y_pred) -> dict[str, tuple]:
        """Return labels and predictions of each metric."""
        outputs, found = self._outputs(y_pred), {}
        by_output = self._is_by_output(y)
        given = {} if by_output else self._given(x, y, outputs)
        for name, measure in self.measures.items():
            if by_output:
                pair = self._pair_of_output(measure, y, outputs)
                if pair is not None:
                    found[name] = pair
            elif measure.is_output:
                found[name] = self._labels(measure.of, given), outputs[measure.of]
            elif set(measure.made.sources(measure.labels)) <= set(given):
                blobs = [measure.of, *measure.labels]
                prediction, *labels = measure.made(blobs, given)
                found[name] = joined_labels(labels), prediction
        return found

    def prediction(self, model, name: str):
        """Return the symbolic tensor that a metric measures."""
        inputs = dict(zip(self.inputs, model.inputs, strict=False))
        given = {**inputs, **self._of_outputs(self._outputs(model.output))}
        measure = self.measures[name]
        return measure.made([measure.of], given)[0]

    def _pair_of_output(self, measure: Measure, y, outputs) -> tuple | None:
        """Return what a metric reads where labels are given for each output."""
        for name, blob in self.blobs.items():
            same = blob == measure.of and self.labels.get(name) == measure.labels
            if name in y and (name == measure.of if measure.is_output else same):
                return y[name], outputs[name]
        return None

    def _labels(self, name: str, given):
        blobs = self.labels[name]
        return joined_labels(self.made(blobs, given)) if blobs else ops.zeros((1,))

    def _outputs(self, y_pred) -> dict:
        if isinstance(y_pred, Mapping):
            return dict(y_pred)
        return {next(iter(self.weights)): y_pred}

    def _is_by_output(self, y) -> bool:
        labelled = {name for name in self.minimized if self.labels[name]}
        return isinstance(y, Mapping) and bool(labelled) and set(y) == labelled

    def _given(self, x, y, outputs: dict) -> dict:
        """Return the tensors of all blobs that are there, by name."""
        given = {**_by_input(x, self.inputs), **self._by_blob(y)}
        return {**given, **self._of_outputs(outputs)}

    def _of_outputs(self, outputs: dict) -> dict:
        """Return the tensors of the blobs that outputs hold, by name."""
        return {b: outputs[name] for name, b in self.blobs.items() if name in outputs}

    def _by_blob(self, y) -> dict:
        if isinstance(y, Mapping) and set(self.sources) <= set(y):
            return dict(y)
        names = self.sources or self.others
        if y is not None and not isinstance(y, Mapping) and len(names) == 1:
            return {names[0]: y}
        if not self.sources:
            return {}
        received = sorted(y) if isinstance(y, Mapping) else type(y).__name__
        raise ValueError(
            f"Expected labels as a dict by label blob, {sorted(self.sources)}, or by "
            f"output, {[name for name in self.minimized if self.labels[name]]}; "
            f"received: {received}"
        )

    def get_config(self) -> dict:
        """Return it as JSON can hold it."""
        return {
            "inputs": list(self.inputs),
            "blobs": dict(self.blobs),
            "labels": {name: list(blobs) for name, blobs in self.labels.items()},
            "sources": list(self.sources),
            "others": list(self.others),
            "weights": dict(self.weights),
            "made": self.made.to_text(),
            "measures": {
                name: [m.of, list(m.labels), m.is_output, m.made.to_text()]
                for name, m in self.measures.items()
            },
        }

    @classmethod
    def from_config(cls, config: dict) -> "Reading":
        """Return what `get_config` was of."""
        measures = {
            name: Measure(of, tuple(labels), is_output, LabelNet.from_text(made))
            for name, (of, labels, is_output, made) in config["measures"].items()
        }
        return cls(
            tuple(config["inputs"]),
            dict(config["blobs"]),
            {name: tuple(blobs) for name, blobs in config["labels"].items()},
            tuple(config["sources"]),
            tuple(config["others"]),
            dict(config["weights"]),
            LabelNet.from_text(config["made"]),
            measures,
        )

    @classmethod
    def of_labels(cls, labels: Mapping) -> "Reading":
        """Return that of a model of the first version, which knew no more."""
        labels = {
            name: (blobs,) if isinstance(blobs, str) else tuple(blobs)
            for name, blobs in labels.items()
        }
        sources = dict.fromkeys(blob for blobs in labels.values() for blob in blobs)
        return cls((), {}, labels, tuple(sources), (), dict.fromkeys(labels, 1.0))


def _by_input(x, blobs) -> dict:
    """Return the arrays of a model's inputs by the blobs that they are."""
    if isinstance(x, Mapping):
        names = {blob: blob if blob in x else keras_name(blob) for blob in blobs}
        return {blob: x[name] for blob, name in names.items() if name in x}
    return dict(zip(blobs, keras.tree.flatten(x), strict=False))


def _with_axes(tensor):
    """Return a tensor that has an axis, as Keras' count of items needs it."""
    return ops.reshape(tensor, (1,)) if len(tensor.shape) == 0 else tensor
