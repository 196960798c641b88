"""The dataset that a training prototxt describes, at a place of the caller's."""

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_caffe_zoo.caffe import TRANSFORM, Layer, Net, read_prototxt, schema
from keras_caffe_zoo.preprocessing import resize
from keras_caffe_zoo.rules.python import name_python_layers
from keras_caffe_zoo.rules.registry import role_of
from keras_caffe_zoo.training.data.annotated import annotated_dataset, annotated_records
from keras_caffe_zoo.training.data.annotated_transform import AnnotatedTransform
from keras_caffe_zoo.training.data.database import (
    backend_of,
    leveldb_dataset,
    lmdb_dataset,
)
from keras_caffe_zoo.training.data.fcn import LAYERS, fcn_dataset, told_folders
from keras_caffe_zoo.training.data.hdf5 import hdf5_dataset
from keras_caffe_zoo.training.data.order import skip_draw
from keras_caffe_zoo.training.data.pictures import PictureList, Pictures
from keras_caffe_zoo.training.data.pipeline import record_dataset
from keras_caffe_zoo.training.data.records import BadRecords
from keras_caffe_zoo.training.data.transform import Transform
from keras_caffe_zoo.training.data.windows import window_dataset


class Request(NamedTuple):
    """What is asked of a data layer, besides what its prototxt says.

    Attributes:
        source, mean, root, phase, bad_records: As for `layer_dataset`.
        order: `batch_size`, `seed`, `repeat` and `resume` of the dataset.
    """

    source: str | os.PathLike
    mean: Any
    root: str | os.PathLike | None
    phase: str
    bad_records: BadRecords | None
    order: dict[str, Any]


class _Kind(NamedTuple):
    """How the data of a type of layer is read.

    Attributes:
        param: The message with its `source` and `batch_size`.
        read: Function of the layer, that message and a `Request`: the dataset.
    """

    param: str
    read: Callable


def layer_dataset(
    prototxt: str | os.PathLike | Net,
    source: str | os.PathLike | None = None,
    *,
    phase: str = "TRAIN",
    name: str | None = None,
    mean=None,
    root: str | os.PathLike | None = None,
    seed: int = 0,
    repeat: bool = False,
    resume=None,
    bad_records: BadRecords | None = None,
):
    """Return the dataset of the data layer of a `train_val.prototxt`.

    The layer gives the kind of data, the batch size, the transform and whether to
    shuffle; an AnnotatedData layer, SSD's, also the samplers and what else is done to
    pictures and their objects. Paths in it are another machine's and are never opened.
    Which database a Data layer's is, its files tell; the layer's `backend` counts where
    they do not.

    Of the fields that Caffe 1.0 has but does not read, `force_encoded_color` and a Data
    layer's `rand_skip`, a warning tells where they would change the data. ImageData's
    `rand_skip` is followed: of so many records a number that `seed` chooses is left out
    at the start.

    Args:
        prototxt: The file, or the net read from it.
        source: Where the data is on this machine: an LMDB or LevelDB, a list file of
            pictures or of HDF5 files, a window file; for AnnotatedData any source that
            `annotated_dataset` takes; for a data layer of FCN's repository the data
            set's folder.
        phase: `"TRAIN"` or `"TEST"`: which layer is meant, and how images are cropped.
        name: The layer's name, where there are several in that phase.
        mean: What the layer's `mean_file` stands for, where it has one: the path of a
            `.binaryproto`, or the image `(H, W, C)`.
        root: Folder of the pictures or HDF5 files, instead of the layer's
            `root_folder`; that of the list if None. For PASCAL-Context the folder with
            `VOC2010`.
        seed: Chooses orders, crops, mirrors and what is skipped.
        repeat: Whether the dataset is endless; batches then run over the end of an
            epoch, as Caffe's do.
        resume: The compiled model that is trained, to go on where it is: see
            `image_dataset`.
        bad_records: Where records that cannot be read are counted and named; without
            it the first of them is an error.

    Returns:
        `tf.data.Dataset`: that of `lmdb_dataset`, `hdf5_dataset`, `window_dataset`,
        `annotated_dataset` or `segmentation_dataset`; for pictures as that of
        `image_dataset`. Images alone where the layer has no second top; a dict by top
        of several images, or labels.

    Raises:
        ValueError: If there is no such layer, it is of a kind that is not read, no
            `source` is given, or a record is bad.
        CaffeFormatError: If the file is no prototxt.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (12, 12), (1, 2, 3)).save("red.png")
        >>> with open("list.txt", "w") as file:
        ...     _ = file.write("red.png 4")
        >>> with open("train_val.prototxt", "w") as file:
        ...     _ = file.write('''layer { name: "data" type: "ImageData"
        ...         top: "data" top: "label" transform_param { crop_size: 8 scale: 0.5 }
        ...         image_data_param { source: "/theirs/list.txt" batch_size: 2 } }''')
        >>> data = kcz.training.layer_dataset("train_val.prototxt", "list.txt")
        >>> ((images, labels),) = data
        >>> images.numpy()[0, 0, 0].tolist(), labels.numpy().tolist()
        ([1.5, 1.0, 0.5], [4])
    """
    net = prototxt if isinstance(prototxt, Net) else read_prototxt(prototxt)
    layer = _data_layer(net, phase, name)
    kind = _KINDS[layer.type]
    param = layer.read(kind.param)
    if source is None:
        raise ValueError(
            f"Expected `source=…`, the place of the data of layer {layer.name!r} on "
            f"this machine; received: None. In the net it is {layer_source(layer)[0]!r}"
        )
    batch_size = getattr(param, "batch_size", 1)
    if batch_size < 1:
        raise ValueError(
            f"Expected a batch_size in layer {layer.name!r}; received: {batch_size}"
        )
    order = {"batch_size": batch_size, "seed": seed, "repeat": repeat}
    order["resume"] = resume
    request = Request(source, mean, root, phase, bad_records, order)
    return kind.read(layer, param, request)


def reads_files(layer: Layer) -> bool:
    """Tell whether `layer_dataset` reads the data of a layer."""
    return layer.type in _KINDS


def layer_source(layer: Layer) -> tuple[str, str]:
    """Return the paths that a data layer names: of its data, and of its root folder."""
    if layer.type in LAYERS:
        return told_folders(layer)
    param = layer.read(_KINDS[layer.type].param)
    return getattr(param, "source", ""), getattr(param, "root_folder", "")


def _data_layer(net: Net, phase: str, name: str | None) -> Layer:
    layers = name_python_layers(net.filter(phase)).layers
    layers = [layer for layer in layers if name in (None, layer.name)]
    found = [x for x in layers if x.type in _KINDS]
    if len(found) == 1:
        return found[0]
    where = f"{net.source or 'the net'}, phase {phase}"
    if found:
        names = ", ".join(repr(layer.name) for layer in found)
        raise ValueError(
            f"Expected one data layer in {where}; received: {names}. Choose with "
            "`name=…`"
        )
    others = [f"{x.name!r} ({x.type})" for x in layers if role_of(x.type) == "data"]
    raise ValueError(
        f"Expected a layer of type {', '.join(_KINDS)} in {where}"
        f"{'' if name is None else f', named {name!r}'}; received: "
        f"{', '.join(others) or 'none'}"
    )


def _hdf5(layer: Layer, param, request: Request):
    _check_no_transform(layer, request.mean, request.bad_records)
    return hdf5_dataset(
        request.source,
        tops=layer.tops,
        shuffle=param.shuffle,
        root=request.root,
        **request.order,
    )


def _database(layer: Layer, param, request: Request):
    if param.rand_skip:
        _warn_not_followed(layer, "rand_skip", "the data starts at the first record")
    told = schema.ENUMS["DataParameter.DB"]
    backend = next(name for name, number in told.items() if number == param.backend)
    read = _BACKENDS[backend_of(request.source, backend)]
    data = read(request.source, color=_color(layer), **_of_pictures(layer, request))
    _warn_of_forced_color(layer, param, data)
    return data


def _listed(layer: Layer, param, request: Request):
    pictures = _pictures(layer, param, request.source, request.root)
    stop = param.rand_skip
    return record_dataset(
        pictures,
        shuffle=param.shuffle,
        skip=skip_draw(request.order["seed"], stop) if stop else 0,
        **_of_pictures(layer, request),
    )


def _windows(layer: Layer, param, request: Request):
    transform = Transform.from_layer(layer, request.mean, request.phase)
    told = layer.decode(TRANSFORM).message.scale
    if told not in (1, param.scale):
        warnings.warn(
            f"Layer {layer.name!r}: its transform_param's scale of {told:g} is not "
            "used, as in Caffe: WindowData has its own, in window_data_param.",
            stacklevel=3,
        )
    options = ("fg_threshold", "bg_threshold", "fg_fraction", "context_pad")
    options = {name: getattr(param, name) for name in options}
    return window_dataset(
        request.source,
        crop_size=transform.crop_size or 0,
        crop_mode="square" if param.crop_mode == "square" else "warp",
        mirror=transform.mirror,
        mean=transform.mean,
        scale=param.scale,
        cache_images=param.cache_images,
        bad_records=request.bad_records,
        root=request.root,
        **options,
        **request.order,
    )


def _annotated(layer: Layer, param, request: Request):
    typed = not layer.param.HasField("anno_type")
    return annotated_dataset(
        annotated_records(request.source, _color(layer), typed),
        transform=AnnotatedTransform.from_layer(layer, request.mean, request.phase),
        bad_records=request.bad_records,
        labels=len(layer.tops) > 1,
        **request.order,
    )


def _fcn(layer: Layer, param, request: Request):
    if request.mean is not None or request.bad_records is not None:
        raise ValueError(
            f"Expected no `mean` and no `bad_records` for layer {layer.name!r}: the "
            "first is its own, and without a record there is no batch; received: some"
        )
    return fcn_dataset(layer, request.source, root=request.root, **request.order)


def _of_pictures(layer: Layer, request: Request) -> dict:
    """Return the options of datasets whose pictures are transformed."""
    return {
        "transform": Transform.from_layer(layer, request.mean, request.phase),
        "bad_records": request.bad_records,
        "labels": len(layer.tops) > 1,
        **request.order,
    }


def _warn_of_forced_color(layer: Layer, param, data) -> None:
    transform = layer.decode(TRANSFORM).message
    if not param.force_encoded_color or transform.force_color or transform.force_gray:
        return
    images = data.element_spec[0] if len(layer.tops) > 1 else data.element_spec
    if images.shape[-1] not in (3, None):
        channels = f"the images have {images.shape[-1]} channels"
        what = f"{channels}; write `transform_param {{ force_color: true }}` for 3"
        _warn_not_followed(layer, "force_encoded_color", what)


def _warn_not_followed(layer: Layer, field: str, what: str) -> None:
    warnings.warn(
        f"Layer {layer.name!r}: its {field} is not followed, as Caffe 1.0 does not: "
        f"{what}.",
        stacklevel=5,
    )


def _check_no_transform(layer: Layer, mean, bad_records) -> None:
    if layer.decode(TRANSFORM).given or mean is not None:
        raise ValueError(
            f"Expected no transform for layer {layer.name!r}: HDF5Data has none, in "
            "Caffe too; received: a transform_param or `mean`. Transform the files"
        )
    if bad_records is not None:
        raise ValueError(
            f"Expected no `bad_records` for layer {layer.name!r}: a damaged HDF5 file "
            "is always an error; received: some"
        )


def _color(layer: Layer) -> bool | None:
    transform = layer.decode(TRANSFORM).message
    if transform.force_color and transform.force_gray:
        raise ValueError(
            f"Expected one of force_color, force_gray in layer {layer.name!r}; "
            "received: both"
        )
    if transform.force_gray:
        return False
    return True if transform.force_color else None


def _pictures(layer: Layer, param, source, root) -> Pictures:
    size = (param.new_height, param.new_width)
    if (size[0] > 0) != (size[1] > 0):
        raise ValueError(
            f"Expected both new_height and new_width in layer {layer.name!r}, or none; "
            f"received: {size}"
        )
    resizing = functools.partial(resize, size=size) if size[0] else None
    return Pictures(PictureList(source, root), resizing, gray=not param.is_color)


_BACKENDS = {"LMDB": lmdb_dataset, "LEVELDB": leveldb_dataset}
# A type of data layer is one line here, and a function that reads it.
_KINDS = {
    "Data": _Kind("data_param", _database),
    "ImageData": _Kind("image_data_param", _listed),
    "HDF5Data": _Kind("hdf5_data_param", _hdf5),
    "WindowData": _Kind("window_data_param", _windows),
    **dict.fromkeys(LAYERS, _Kind("python_param", _fcn)),
    "AnnotatedData": _Kind("data_param", _annotated),
}
