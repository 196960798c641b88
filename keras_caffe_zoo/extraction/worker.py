"""One net that turns pictures into rows of features."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_caffe_zoo import models
from keras_caffe_zoo.conversion.folding import folded_if_faster
from keras_caffe_zoo.extraction.block import Item
from keras_caffe_zoo.extraction.provenance import structure_of
from keras_caffe_zoo.extraction.reading import read_item
from keras_caffe_zoo.extraction.spec import Spec, recipe_for
from keras_caffe_zoo.features import feature_extractor
from keras_caffe_zoo.pictures import PictureError
from keras_caffe_zoo.runtimes import Runner, sha256_of_weights
from keras_caffe_zoo.runtimes.compiled import compiled


class BlockWorker:
    """The net of a `Spec`, loaded once.

    Args:
        spec: What to extract.
        threads: How many threads a runtime that is not Keras' may use; all if None.

    Attributes:
        spec: The same.
        shapes: The shape of one row, by layer; None for an axis that depends on the
            pictures.
        batches_at_once: How many batches are best in the net at once: of two, one
            fills the cores where the other has work for one.
        identity: All that decides about the values, as JSON types: two workers of the
            same identity give the same rows.
    """

    def __init__(self, spec: Spec, threads: int | None = None):
        self.spec = spec
        self._recipe = recipe_for(spec)  # first: it may refuse, and nets are large
        extractor, pooled = _extractors(_model(spec), spec)
        self._input = extractor.inputs[0]
        if self._recipe.shape:
            self._check_inputs(self._recipe.shape)
        folded = pooled
        if spec.runtime == "keras":
            folded = folded_if_faster(pooled)
            self._function = compiled(folded, spec.batch_size)
            self.batches_at_once = 2 if keras.config.backend() == "tensorflow" else 1
        else:  # engines fold what they run
            options = {"pool": spec.pool is not None, "threads": threads}
            self._function = Runner(extractor, spec.runtime, streaming=True, **options)
            self.batches_at_once = self._function.batches_at_once
        self._pictures = max(1, spec.batch_size // spec.crops)
        self.shapes = {
            name: tuple(output.shape[1:]) for name, output in pooled.output.items()
        }
        self.identity = {
            "model": self._recipe.net or "a model of one's own",
            "structure": structure_of(pooled),
            "weights": sha256_of_weights(extractor),
            "layers": {name: list(shape) for name, shape in self.shapes.items()},
            "preprocessing": self._recipe.identity,
            "crops": spec.crops,
            "pool": spec.pool,
            "dtype": spec.dtype,
            "runtime": spec.runtime,
        }
        if folded is not pooled:
            self.identity["folded"] = True

    @property
    def pictures_at_once(self) -> int:
        """How many pictures make a batch; ten crops of one count as ten."""
        return self._pictures

    def prepare(self, item: Item) -> np.ndarray | PictureError:
        """Return the net's input for one picture, or what is wrong with the picture.

        Many threads may call it.
        """
        pixels = read_item(item)
        if isinstance(pixels, PictureError):
            return pixels
        if isinstance(item.data, np.ndarray):
            return self._recipe.of_array(pixels)
        try:
            return self._recipe.of_file(pixels)
        except PictureError as error:
            return error

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the rows of some pictures, by layer.

        Args:
            inputs: What `prepare` returned for them, `pictures_at_once` at most.

        Raises:
            ValueError: If inputs differ in shape, or a value is too large for float16.
        """
        shapes = {one.shape for one in inputs}
        if len(shapes) > 1:
            raise ValueError(
                "Expected inputs of one shape, which `preprocess` decides; received: "
                f"{sorted(shapes)}"
            )
        batch = (np.stack if self.spec.crops == 1 else np.concatenate)(inputs)
        self._check_inputs(batch.shape[1:])
        answers = self._function(batch)
        return {name: self._rows(name, answers[name]) for name in self.spec.layers}

    def _check_inputs(self, shape: tuple[int, ...]) -> None:
        expected = self._input.shape[1:]
        fits = [a in (b, None) for a, b in zip(expected, shape, strict=False)]
        if len(shape) != len(expected) or not all(fits):
            raise ValueError(
                f"Expected `preprocess` to make one picture the model's input, "
                f"{expected}; received: {shape}"
            )

    def _rows(self, name: str, values: np.ndarray) -> np.ndarray:
        values = values.astype("float32", copy=False)
        if self.spec.crops > 1:
            by_picture = (-1, self.spec.crops, *values.shape[1:])
            values = values.reshape(by_picture).mean(1, dtype="float32")
        if self.spec.dtype == "float16":
            largest = np.abs(values).max(initial=0, where=np.isfinite(values))
            if largest > np.finfo("float16").max:
                raise ValueError(
                    "Expected values below 65504, which float16 holds; received: "
                    f"{largest:g} in {name}. Use dtype='float32'."
                )
        return values.astype(self.spec.dtype, copy=False)


def _model(spec: Spec) -> keras.Model:
    if not isinstance(spec.model, str):
        return spec.model
    return getattr(models, spec.model)(weights=spec.weights)


def _extractors(model: keras.Model, spec: Spec) -> tuple[keras.Model, keras.Model]:
    """Return the model of the layers wanted, as a dict, and that with maps pooled."""
    extractor = feature_extractor(model, sorted(spec.layers))
    if len(extractor.inputs) != 1:
        raise ValueError(
            f"Expected a model with one input; received: '{model.name}' with "
            f"{len(extractor.inputs)}"
        )
    if spec.pool is None:
        return extractor, extractor
    if any(getattr(y, "data_format", "") == "channels_first" for y in extractor.layers):
        raise ValueError(
            "Expected a model of channels_last to pool the maps of; received: "
            f"'{model.name}' with layers of channels_first"
        )
    pooled = {
        name: keras.ops.mean(blob, axis=(1, 2)) if len(blob.shape) == 4 else blob
        for name, blob in extractor.output.items()
    }
    return extractor, keras.Model(extractor.inputs[0], pooled, name=extractor.name)
