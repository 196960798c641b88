"""The data of a whole net: of all its data layers together, as its model takes them."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_caffe_zoo.caffe import Layer, Net, read_prototxt
from keras_caffe_zoo.conversion.deploy import deploy_net
from keras_caffe_zoo.conversion.roles import roles
from keras_caffe_zoo.files import last_part
from keras_caffe_zoo.rules.data import pixel_transform
from keras_caffe_zoo.rules.names import keras_name
from keras_caffe_zoo.rules.python import name_python_layers
from keras_caffe_zoo.rules.registry import role_of, rule_of
from keras_caffe_zoo.training.data.dummy import dummy_dataset, is_dummy
from keras_caffe_zoo.training.data.layer import (
    layer_dataset,
    layer_source,
    reads_files,
)
from keras_caffe_zoo.training.data.order import Order
from keras_caffe_zoo.training.data.pipeline import StartAt, dataset_of
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.solver.shapes import data_blobs

PathLike = str | os.PathLike
_Named = Mapping[str, PathLike]
Places = PathLike | _Named | Sequence[PathLike | _Named]


def net_dataset(
    net: PathLike | Net,
    places: Places | None = None,
    *,
    phase: str = "TRAIN",
    level: int = 0,
    stages: Collection[str] = (),
    seed: int = 0,
    repeat: bool = True,
    resume=None,
    bad_records: BadRecords | None = None,
    by_blob: bool = False,
):
    """Return the dataset of all data layers of a net, as its training model takes it.

    What a layer names, its `source`, its `mean_file`, its `root_folder`, is looked for
    by the last part of its path in places of the caller's; paths in a net are another
    machine's and are never opened. The layers are read side by side: a batch has one
    of each. DummyData gives the values of its fillers, random ones drawn anew for each
    batch.

    Args:
        net: A `train_val.prototxt`; or a net that was read, filtered for its phase.
        places: A folder where the files lie; or a mapping of paths by the last part of
            what is looked for, such as `"mnist_train_lmdb"`, or by a layer's name; or
            several of both. None where all data is DummyData.
        phase: `"TRAIN"` or `"TEST"`: which layers are meant, and how images are
            cropped.
        level: As in `from_caffe`, for a prototxt.
        stages: As in `from_caffe`, for a prototxt.
        seed: Chooses orders, crops, mirrors and what DummyData draws.
        repeat: Whether the dataset is endless, as Caffe's data is: batches then run
            over the end of an epoch. Of layers of different lengths the shortest ends
            a pass, if not.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`. For endless data alone.
        bad_records: Where records that cannot be read are counted and named; for nets
            with one data layer alone. Without it the first of them is an error.
        by_blob: Whether `x` and `y` are dicts by Caffe's blobs, one of each too.

    Returns:
        `tf.data.Dataset` of `(x, y)`, or of `(x,)` where no label is read. Where there
        are several, `x` is a dict by the model's input names, `y` one by Caffe's label
        blobs. Tops that nobody reads are left out.

    Raises:
        FileNotFoundError: If something is in none of the places; lists what is looked
            for.
        ValueError: If the net has no data layers that can be read, or as
            `layer_dataset`.
        CaffeFormatError: If the file is no prototxt.

    Example:
        >>> from keras_caffe_zoo.caffe import parse_prototxt
        >>> net = parse_prototxt('''layer { name: "data" type: "DummyData" top: "data"
        ...     top: "label" dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 }
        ...     data_filler { value: 0.5 } data_filler { value: 7 } } }
        ...     layer { type: "EuclideanLoss" bottom: "data" bottom: "label" }''')
        >>> x, y = next(iter(kcz.training.net_dataset(net)))
        >>> tuple(x.shape), y.numpy().tolist()
        ((4, 3), [7.0, 7.0, 7.0, 7.0])
    """
    if not isinstance(net, Net):
        net = name_python_layers(read_prototxt(net).fold_splits())
        net = net.filter(phase, level, stages)
    inputs, labels = _read_tops(net, by_blob)
    layers = _data_layers(net, {*inputs, *labels})
    if bad_records is not None and len(layers) > 1:
        raise ValueError(
            "Expected no `bad_records` for a net with several data layers, whose "
            "records belong together; received some, and the layers "
            f"{[layer.name for layer in layers]}. Mend the records"
        )
    if resume is not None and not repeat:
        raise ValueError(
            "Expected `repeat=True` with `resume` for the data of a net; received: "
            "repeat=False"
        )
    files = _found(layers, _Places(places), net)
    options = {"seed": seed, "repeat": repeat, "bad_records": bad_records}

    def batches(order, start, stop=None):
        import tensorflow as tf

        resume = StartAt(start) if start else None
        made = [
            _tops_of(layer, net, phase, {**files[layer.name], **options}, resume)
            for layer in layers
        ]
        structure = _structure(inputs, labels, by_blob)
        return tf.data.Dataset.zip(tuple(made)).map(structure)

    if resume is None:
        return batches(None, None)
    return dataset_of(batches, Order(1, 1, repeat=True), resume)


def find_file(places: Places | None, path: str) -> Path | None:
    """Return where the file is that a path in a net stands for; None if in no place.

    Args:
        places: As of `net_dataset`.
        path: What a net says; its last part counts.
    """
    return _Places(places).find(path)


def is_places(data) -> bool:
    """Tell whether something is places of files, and no data itself."""
    if isinstance(data, Mapping):
        data = list(data.values())
        return all(isinstance(x, str | os.PathLike) for x in data)
    if isinstance(data, list | tuple):
        return bool(data) and all(map(is_places, data))
    return isinstance(data, str | os.PathLike)


def _read_tops(net: Net, by_blob: bool) -> tuple[list[str], list[str]]:
    """Return the data blobs that become a model's inputs, and those that are labels."""
    # A test net gets all that it reads by blob, whatever is done with it.
    plain = deploy_net(net, answers=False).inputs if by_blob else None
    inputs = list(plain) if by_blob else data_blobs(net)
    read = {
        blob
        for layer in net.layers
        if role_of(layer.type) != "silence"
        for blob in layer.bottoms
    }
    tops = [
        top
        for layer, role in zip(net.layers, roles(net, by_place=False), strict=True)
        if role in ("data", "input")
        for top in layer.tops
    ]
    return inputs, [top for top in tops if top in read and top not in inputs]


def _data_layers(net: Net, tops: set[str]) -> list[Layer]:
    """Return the layers that give some tops, which must be layers of data."""
    layers = [x for x in net.layers if not x.bottoms and not tops.isdisjoint(x.tops)]
    fed = [x for x in layers if not (is_dummy(x) or reads_files(x))]
    if fed or not layers:
        names = ", ".join(f"{x.name!r} ({x.type})" for x in fed)
        raise ValueError(
            f"Expected data layers in {net.source or 'the net'} that read files; "
            f"received: {names or 'none'}. Pass a dataset of (x, y) instead"
        )
    return layers


class _Places:
    """Where files are looked for, by the last part of their paths."""

    def __init__(self, places: Places | None):
        self.named: dict[str, Path] = {}
        self.folders: list[Path] = []
        if places is None or isinstance(places, str | os.PathLike | Mapping):
            places = [] if places is None else [places]
        for place in places:
            if isinstance(place, Mapping):
                self.named |= {name: Path(path) for name, path in place.items()}
            else:
                self.folders.append(Path(place))

    def find(self, path: str, layer: str | None = None) -> Path | None:
        """Return where something is; None if it is in no place.

        Args:
            path: What a file says; its last part counts.
            layer: The name of the layer whose source it is.
        """
        name = last_part(path)
        for key in (layer, name):
            if key in self.named:
                return self.named[key]
        if not name or name in (".", ".."):
            return None
        for folder in self.folders:
            if (folder / name).exists():
                return folder / name
            if folder.name == name and folder.exists():
                return folder
        return None

    def __str__(self):
        named = [f"the names {list(self.named)}"] if self.named else []
        return ", ".join([*map(str, self.folders), *named]) or "no place"


def _found(layers, places: _Places, net: Net) -> dict[str, dict[str, Any]]:
    """Return where the files of each layer are, as `layer_dataset` takes them.

    Raises:
        FileNotFoundError: If some are not there.
    """
    found, missing = {}, []
    for layer in layers:
        files = found[layer.name] = {}
        for kind, path in _files_of(layer).items():
            place = places.find(path, layer.name if kind == "source" else None)
            if place is not None:
                files[kind] = place
            elif kind != "root":  # without one, the pictures are beside their list
                missing.append(f"{last_part(path)!r} ({kind} of layer {layer.name!r})")
    if missing:
        raise FileNotFoundError(
            f"Expected the data of {net.source or 'the net'} in {places}; received "
            f"none of: {', '.join(missing)}. Pass the folders where they are, or a "
            "mapping of paths by these names"
        )
    return found


def _files_of(layer: Layer) -> dict[str, str]:
    """Return the paths that a data layer names: source, mean, root."""
    if is_dummy(layer):
        return {}
    transformed = getattr(rule_of(layer.type), "pixels", lambda layer: None)(layer)
    mean = pixel_transform(layer).mean_file if transformed else ""
    source, root = layer_source(layer)
    files = {"source": source or layer.name, "mean": mean, "root": root}
    return {kind: path for kind, path in files.items() if path}


def _tops_of(layer: Layer, net: Net, phase: str, options: dict, resume):
    """Return the dataset of a layer's tops, a dict by top."""
    options = {**options, "resume": resume}
    if is_dummy(layer):
        return dummy_dataset(layer, net.source, **options)
    bare = replace(layer, message=layer.to_message())
    for field in ("include", "exclude"):  # obeyed before
        bare.message.ClearField(field)
    dataset = layer_dataset(replace(net, layers=[bare]), phase=phase, **options)
    if isinstance(dataset.element_spec, Mapping):
        return dataset

    def by_top(*parts):
        found = {}
        for part in parts:  # several images, or labels, are a dict by top already
            found.update(part if isinstance(part, Mapping) else {})
        alone = [part for part in parts if not isinstance(part, Mapping)]
        tops = [top for top in layer.tops if top not in found]
        return {**found, **dict(zip(tops, alone, strict=False))}

    return dataset.map(by_top)


def _structure(inputs, labels, by_blob: bool) -> Callable:
    """Return a function of the layers' dicts that gives what the model takes."""

    def structure(*parts):
        tops = {top: values for part in parts for top, values in part.items()}
        x = {name if by_blob else keras_name(name): tops[name] for name in inputs}
        y = {name: tops[name] for name in labels}
        if not by_blob:
            x, y = (next(iter(z.values())) if len(z) == 1 else z for z in (x, y))
        return (x, y) if labels else (x,)

    return structure
