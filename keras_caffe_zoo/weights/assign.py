"""Load a file of weights into a model, layer by layer, by Caffe's names."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, hdf5, read_net
from keras_caffe_zoo.caffe.wire import Source
from keras_caffe_zoo.conversion.params import assign, fitted, layers_with_weights
from keras_caffe_zoo.conversion.structure import check_structure, learned_blobs
from keras_caffe_zoo.files import open_file
from keras_caffe_zoo.lazy import keras
from keras_caffe_zoo.messages import say, there_are
from keras_caffe_zoo.rules.names import caffe_name, twin_name
from keras_caffe_zoo.rules.order import flat_channels
from keras_caffe_zoo.rules.registry import codec_of
from keras_caffe_zoo.weights.cache import converted_weights
from keras_caffe_zoo.weights.store import DamagedFileError, StoredWeights

KERAS_SUFFIX = ".weights.h5"


def load_weights(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    may_differ: Collection[str] = (),
    may_lack: Collection[str] = (),
) -> None:
    """Load every weight of a model from a file; none stays random unsaid.

    A layer takes the weights of its own name in the file, or of its twin's: `fc6-conv`
    takes those of `fc6`, reshaped. Layers that only the file has are passed over.

    Args:
        model: The model.
        path: A `.caffemodel` or `.caffemodel.h5`, an HDF5 file of
            `dump_caffe_weights`, or a Keras `.weights.h5` of a model of this very form.
        may_differ: Caffe names of layers that keep their initial weights, with a
            message, where the file's have other shapes.
        may_lack: Caffe names of layers that keep what they have where the file has
            nothing for them.

    Raises:
        ValueError: If a layer is missing in the file or has another shape there, or
            the file is of another net. Names the layer and both shapes.
        OSError: If the file cannot be read.

    Example:
        >>> from keras_caffe_zoo.weights import load_weights
        >>> trained, fresh = kcz.mtcnn_r(weights=None), kcz.mtcnn_r(weights=None)
        >>> kcz.to_caffe(trained, "r.prototxt", "r.caffemodel")
        >>> load_weights(fresh, "r.caffemodel")
        >>> x = np.ones((1, 24, 24, 3))
        >>> y, z = (net.predict(x, verbose=0)["prob1"] for net in (trained, fresh))
        >>> np.array_equal(y, z)
        True
    """
    path = Path(path)
    kind = _kind_of(path)
    if kind == "dump":
        with StoredWeights(path) as stored:
            _load_stored(model, stored, may_differ, may_lack)
    elif kind == "Keras":
        _load_keras(model, path)
    else:
        _load_caffemodel(model, path, may_differ, may_lack)


def load_published(
    model: keras.Model,
    name: str,
    *,
    may_differ: Collection[str] = (),
    may_lack: Collection[str] = (),
) -> None:
    """Load the published weights of a net of the zoo, from the cache or by download.

    Args:
        model: The model.
        name: The net's name in the manifest.
        may_differ: As in `load_weights`.
        may_lack: Likewise.

    Raises:
        WeightsDownloadError: If they are not in the cache and cannot be downloaded.
        ValueError: If they do not fit the model.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from keras_caffe_zoo.weights import install, load_published
        >>> model = kcz.enet(weights=None)  # in place of a file fetched by hand
        >>> kcz.to_caffe(model, "enet.prototxt", "enet.caffemodel")
        >>> with mock.patch.dict(os.environ, KERAS_CAFFE_ZOO_HOME="cache"):
        ...     path = install("enet", "enet.caffemodel", progress=False)
        ...     other = kcz.enet(weights=None)
        ...     load_published(other, "enet")
        >>> pairs = zip(model.get_weights(), other.get_weights())
        >>> all(np.array_equal(one, another) for one, another in pairs)
        True
    """
    path = converted_weights(name)
    allowed = {"may_differ": may_differ, "may_lack": may_lack}
    try:
        load_weights(model, path, **allowed)
    except DamagedFileError:
        say(f"{path} is damaged; replacing it")
        path.unlink(missing_ok=True)
        load_weights(model, converted_weights(name), **allowed)


def _kind_of(path: Path) -> str:
    """Return `"dump"`, `"Keras"`, or `"caffemodel"` for whatever else."""
    with open_file(path, "a file of weights", buffering=0) as file:
        if not hdf5.is_hdf5(Source(file, str(path))):
            return "caffemodel"
    try:
        kind = hdf5.kind_of(str(path))
    except CaffeFormatError as error:
        raise DamagedFileError(
            f"Expected a file of weights; received: {path}, a damaged HDF5 file "
            f"({error.problem}). Fetch or convert it again."
        ) from error
    return {"": "Keras", "solverstate": "caffemodel"}.get(kind, kind)


def _load_keras(model: keras.Model, path: Path) -> None:
    if not path.name.endswith(KERAS_SUFFIX):
        raise ValueError(
            "Expected an HDF5 file of `keras-caffe-zoo dump`, or one of Keras with a "
            f"name that ends in {KERAS_SUFFIX}; received: {path}. (A whole model "
            "loads with keras.models.load_model.)"
        )
    try:
        model.load_weights(path)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"Expected the weights of a model of exactly the form of '{model.name}', "
            "as Keras numbers its layers and does not name them; received: "
            f"{path}: {error}"
        ) from error


def _load_caffemodel(model, path, may_differ, may_lack):
    net = read_net(path)
    if not net.params:
        raise CaffeFormatError(
            "Expected a caffemodel with parameters; received a net in which no layer "
            "has any. Pass the .caffemodel, not the .prototxt",
            source=str(path),
        )
    check_structure(net, model)
    params = {layer.name: learned_blobs(layer) for layer in net.layers if layer.blobs}
    del net
    for layer, name in _matched(model, params, path, may_lack):
        blobs = params.pop(name)  # so that memory shrinks as the model fills
        arrays = codec_of(layer).decode(layer, blobs)
        _assign(layer, arrays, [b.shape for b in blobs], may_differ)


def _load_stored(model, stored, may_differ, may_lack):
    check_structure(stored.net, model)
    for layer, name in _matched(model, stored.names, stored.path, may_lack):
        arrays, shapes = stored.arrays(name, flat_channels(layer)), stored.shapes(name)
        if "kernel" not in shapes:  # blobs as Caffe had them
            arrays = codec_of(layer).decode(layer, arrays)
        _assign(layer, arrays, list(shapes.values()), may_differ)


def _matched(model, names, path, may_lack) -> Iterator[tuple[keras.Layer, str]]:
    """Yield each layer with weights and the file's name for it; all, or an error."""
    pairs, missing = [], []
    for layer in layers_with_weights(model):
        name = caffe_name(layer.name)
        found = [n for n in (name, twin_name(name)) if n in names]
        if found:
            pairs.append((layer, found[0]))
        elif name not in may_lack:
            missing.append(f"'{name}' {[tuple(w.shape) for w in layer.weights]}")
    if missing:
        raise ValueError(
            f"Expected weights for every layer of '{model.name}'; received none for "
            f"{', '.join(missing)} in {path}. {there_are(names)}."
        )
    yield from pairs


def _assign(layer, arrays: list[np.ndarray], shapes, may_differ) -> None:
    names = {caffe_name(layer.name), twin_name(caffe_name(layer.name))}
    if names.isdisjoint(may_differ):
        assign(layer, fitted(layer, arrays, shapes))
        return
    published, wanted = arrays[0].shape[-1], layer.weights[0].shape[-1]
    if published == wanted:
        assign(layer, fitted(layer, arrays, shapes))
        return
    say(
        f"Layer '{caffe_name(layer.name)}' is new, with random weights for {wanted} "
        f"classes (the file has {published}); all other layers are loaded."
    )
