"""A training net as a Keras model, and what it is compiled with."""

import os
import warnings
from collections.abc import Mapping

import keras

from keras_caffe_zoo.caffe import Net, read_net
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.filling import fill
from keras_caffe_zoo.conversion.importer import build_net
from keras_caffe_zoo.conversion.loading import blobs_by_position, load
from keras_caffe_zoo.conversion.model import CaffeModel
from keras_caffe_zoo.conversion.unknown import check_unknown_fields
from keras_caffe_zoo.rules.names import caffe_name
from keras_caffe_zoo.training.heads import ends_with_softmax
from keras_caffe_zoo.training.losses import loss_of, prediction_of
from keras_caffe_zoo.training.metrics import accuracy_of
from keras_caffe_zoo.training.solver.objectives import Objective, accuracies, losses


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeTrainingModel(CaffeModel):
    """A model with an output for each loss of a training net.

    In every respect a `keras.Model`, but that `y` is what Caffe's data layers give: one
    array of labels for all losses, or a dict by Caffe's label blobs where there are
    several. A dict by output, as Keras has it, will do too.

    `labels` maps each output to the label blobs that its loss reads: one, or labels and
    their two weights.
    """

    labels: dict = {}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        """Return the sum of the losses, each times its weight."""
        y = self._by_output(y)
        return super().compute_loss(x, y, y_pred, sample_weight, **kwargs)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Return the metrics by name."""
        return super().compute_metrics(x, self._by_output(y), y_pred, sample_weight)

    def _by_output(self, y):
        if y is None or not self.labels:
            return y
        given = set(y) if isinstance(y, Mapping) else None
        if given is not None and given == set(self.labels):
            return y
        blobs = {blob for blobs in self.labels.values() for blob in blobs}
        if given is None and len(blobs) == 1:
            y = {blob: y for blob in blobs}
        elif given != blobs:
            raise ValueError(
                f"Expected labels as a dict by label blob, {sorted(blobs)}, or by "
                f"output, {list(self.labels)}; received: "
                f"{sorted(given) if given is not None else type(y).__name__}"
            )
        by_output = {
            output: y[blobs[0]]
            if len(blobs) == 1
            else keras.ops.stack([y[blob] for blob in blobs], axis=-1)
            for output, blobs in self.labels.items()
        }
        if len(self.outputs) == 1 and not isinstance(self._outputs_struct, dict):
            (by_output,) = by_output.values()
        return by_output

    def get_config(self):
        labels = {output: list(blobs) for output, blobs in self.labels.items()}
        return {**super().get_config(), "labels": labels}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        labels = config.pop("labels", {})
        model = super().from_config(config, custom_objects=custom_objects)
        model.labels = {
            output: (blobs,) if isinstance(blobs, str) else tuple(blobs)
            for output, blobs in labels.items()
        }
        return model


def training_model(
    net: Net,
    weights: str | os.PathLike | None = None,
    input_shape: tuple | Mapping[str, tuple] | None = None,
    seed: int = -1,
) -> tuple[keras.Model, list[str]]:
    """Return the model of a training net, which ends where its losses begin.

    Args:
        net: The net, filtered for its phase.
        weights: A caffemodel to start from; layers that it does not have start from
            their fillers.
        input_shape: As in `from_caffe`.
        seed: Makes the fillers' numbers the same every time, from 0 on.

    Returns:
        The model, and the Caffe names of the layers that took parameters from the file.
    """
    objectives = losses(net)
    trained = None if weights is None else read_net(weights, gaps=True)
    part = deploy_net(net, trained, answers=False)
    asked = {objective.layer.name for objective in objectives}
    check_unknown_fields(net, part.changed - asked, training=True)
    blobs = None if trained is None else blobs_by_position(part.net, trained)
    ends = dict.fromkeys(blob for o in objectives for blob in o.blobs)
    builder, model = build_net(part, input_shape, blobs=blobs, outputs=list(ends))
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    outputs = {
        o.name: prediction_of(o.layer, [builder.blobs[blob] for blob in o.blobs])
        for o in objectives
    }
    labels = {o.name: o.labels for o in objectives}
    if len(outputs) == 1:
        (outputs,) = outputs.values()
    whole = CaffeTrainingModel(inputs, outputs, name=model.name)
    whole.remember(model.caffe_blobs, model.shared_params)
    whole.labels = labels
    if trained is not None:
        load(builder.nodes, trained.source, partial=True)
    fill(builder.nodes, seed=None if seed < 0 else seed)
    return whole, [node.layer.name for node, _ in builder.nodes if node.blobs]


def compile_for(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    net: Net | None,
    test_net: Net | None = None,
    infogain=None,
) -> None:
    """Compile a model with an optimizer, with the losses of a net, metrics of another.

    Args:
        model: A model of `training_model`, or another with one output.
        optimizer: The optimizer.
        net: The training net, filtered. Without it the model keeps the loss that it is
            compiled with; if it is not, its labels are numbers of classes.
        test_net: The test net, filtered, whose accuracies become metrics.
        infogain: The matrix of an InfogainLoss.
    """
    if net is None:
        loss = getattr(model, "loss", None) or "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"])
        return
    objectives = losses(net)
    given = not isinstance(model, CaffeTrainingModel)
    if given:
        objectives = [_only_objective(model, objectives)]
    scores = not (given and ends_with_softmax(model))
    loss = {o.name: loss_of(o.layer, infogain, from_logits=scores) for o in objectives}
    weights = {o.name: o.weight for o in objectives}
    metrics = _metrics(test_net, objectives)
    if len(objectives) == 1:
        (loss,), (weight,), (metrics,) = map(dict.values, (loss, weights, metrics))
        weights = None if weight == 1 else [weight]
    model.compile(optimizer, loss, loss_weights=weights, metrics=metrics)


def _only_objective(model: keras.Model, objectives: list[Objective]) -> Objective:
    if len(model.outputs) != 1:
        raise ValueError(
            "Expected a model with one output, or none for the solver's own net; "
            f"received: '{model.name}' with {len(model.outputs)}"
        )
    *others, objective = objectives
    if others:
        warnings.warn(
            f"'{model.name}' has one output, which gets the loss '{objective.name}' of "
            f"the solver's net; left out: {[o.name for o in others]}.",
            stacklevel=4,
        )
    return objective


def _metrics(net: Net | None, objectives: list[Objective]) -> dict[str, list]:
    """Return the metrics of each loss: accuracies of the blob that it reads."""
    found = {objective.name: [] for objective in objectives}
    by_blob = {o.blobs[0]: o.name for o in reversed(objectives)}
    for accuracy in accuracies(net) if net else ():
        (blob,) = accuracy.blobs
        if blob in by_blob:
            found[by_blob[blob]].append(accuracy_of(accuracy.layer))
        else:
            warnings.warn(
                f"{net.source}: left out the metric "
                f"'{caffe_name(accuracy.name)}' of the blob {blob!r}, which no loss "
                "reads.",
                stacklevel=4,
            )
    return found
