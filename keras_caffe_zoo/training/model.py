"""A Keras model with Caffe's several losses, which read the same labels."""

from collections.abc import Mapping

import keras

from keras_caffe_zoo.convert.model import CaffeModel


@keras.saving.register_keras_serializable(package="keras_caffe_zoo")
class CaffeTrainingModel(CaffeModel):
    """A model with an output for each loss of a training net.

    In every respect a `keras.Model`, but that `y` is what Caffe's data layers give: one
    array of labels for all losses, or a dict by Caffe's label blobs where there are
    several. A dict by output, as Keras has it, will do too.

    `labels` maps each output to the label blob that its loss reads.
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
        blobs = set(self.labels.values())
        if given is None and len(blobs) == 1:
            y = {blob: y for blob in blobs}
        elif given != blobs:
            raise ValueError(
                f"Expected labels as a dict by label blob, {sorted(blobs)}, or by "
                f"output, {list(self.labels)}; received: "
                f"{sorted(given) if given is not None else type(y).__name__}"
            )
        by_output = {output: y[blob] for output, blob in self.labels.items()}
        if len(self.outputs) == 1 and not isinstance(self._outputs_struct, dict):
            (by_output,) = by_output.values()
        return by_output

    def get_config(self):
        return {**super().get_config(), "labels": dict(self.labels)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        labels = config.pop("labels", {})
        model = super().from_config(config, custom_objects=custom_objects)
        model.labels = labels
        return model
