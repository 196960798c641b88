"""What the Python data layers of FCN's repository read, by their `param_str`."""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, Layer
from keras_caffe_zoo.files import check_file
from keras_caffe_zoo.pictures import read_numbers, read_picture
from keras_caffe_zoo.rules.fcn import RGBDData
from keras_caffe_zoo.rules.node import Node
from keras_caffe_zoo.rules.python import param_dict
from keras_caffe_zoo.rules.registry import rule_of
from keras_caffe_zoo.training.data.segmentation import (
    Maps,
    Top,
    less,
    maps_dataset,
    read_colours,
    read_labels,
)

# Means of the colours of data sets, BGR; HHA's in the order of its files.
_SIFT_FLOW = (114.578, 115.294, 108.353)
_NYUD = (116.190, 97.203, 92.318)
_HHA = (132.431, 94.076, 118.477)
_LOG_DEPTH = (7.844,)
_CONTEXT = (104.007, 116.669, 122.679)

_SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
# The 59 classes of PASCAL-Context whose names are others among its 400.
_RENAMED = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
_FOLDERS = ("context_dir", "sbdd_dir", "siftflow_dir", "nyud_dir", "voc_dir")
_SPLIT = re.compile(r"\w[\w-]*")


def fcn_dataset(
    layer: Layer,
    source: str | os.PathLike,
    *,
    root: str | os.PathLike | None = None,
    seed: int = 0,
    **order,
):
    """Return the dataset of a Python data layer of FCN's repository.

    Which records there are, their mean and their order are told by the layer's
    `param_str`; folders in it are another machine's.

    Args:
        layer: The layer, with the type of its code.
        source: The data set's folder: what the layer's `sbdd_dir`, `voc_dir`,
            `siftflow_dir`, `nyud_dir` or `context_dir` stands for.
        root: PASCAL-Context's pictures: what `voc_dir` stands for, the folder with
            `VOC2010`.
        seed: Chooses the order where the layer has no seed itself.
        **order: `batch_size`, `repeat` and `resume`, as for `segmentation_dataset`.

    Raises:
        CaffeFormatError: If `param_str` is none of such a layer.
        ValueError: If a file is damaged, or `root` is given where there is none, or
            not where there is.
        OSError: If the list of records cannot be opened.
    """
    told = _Told(layer, source, root)
    if root is not None and LAYERS[layer.type] is not _pascal_context:
        raise ValueError(
            f"Expected no `root` for layer {layer.name!r}: all its files are in one "
            f"folder, the `source`; received: {os.fspath(root)}"
        )
    listfile, tops = LAYERS[layer.type](told)
    if len(tops) != len(layer.tops):
        raise told.error(f"Expected {len(tops)} tops; received: {layer.tops}", None)
    maps = Maps(listfile, dict(zip(layer.tops, tops, strict=True)))
    seed = told.seed if told.seed is not None else seed
    return maps_dataset(maps, randomize=told.randomized, seed=seed, **order)


def told_folders(layer: Layer) -> tuple[str, str]:
    """Return the folders that such a layer names: `source` and `root`, or `""`.

    Raises:
        CaffeFormatError: If `param_str` is none of such a layer.
    """
    params = param_dict(Node(layer, layer.source, rule=rule_of(layer.type)))
    named = {name: str(params[name]) for name in _FOLDERS if params.get(name)}
    pictures = named.get("voc_dir", "") if "context_dir" in named else ""
    return next(iter(named.values()), ""), pictures


class _Told:
    """What a layer's `param_str` tells, and where its files are on this machine."""

    def __init__(self, layer: Layer, source, root):
        self.layer = layer
        self.params = param_dict(Node(layer, layer.source, rule=rule_of(layer.type)))
        self.source, self.root = os.path.abspath(source), root
        self.split = self.params.get("split")
        # A stranger's file must not make us read another place.
        if not isinstance(self.split, str) or not _SPLIT.fullmatch(self.split):
            raise self.error(
                f"Expected a split, such as 'train'; received: {self.split!r:.200}"
            )
        self.randomized = "train" in self.split and bool(
            self.params.get("randomize", True)
        )
        self.seed = self.params.get("seed")
        whole = isinstance(self.seed, int) and not isinstance(self.seed, bool)
        if self.seed is not None and not (whole and abs(self.seed) < 2**64):
            raise self.error(
                f"Expected an integer as seed; received: {self.seed!r:.200}"
            )
        self.seed = abs(self.seed) if whole else None

    @property
    def mean(self) -> np.ndarray:
        """The mean that is told: three values, BGR."""
        mean = self.params.get("mean")
        try:
            values = np.array(mean, "float64")
        except (ValueError, TypeError, OverflowError):
            values = np.zeros(0)
        if values.shape != (3,) or not np.isfinite(values).all():
            raise self.error(f"Expected a mean of 3 values; received: {mean!r:.200}")
        return values

    def error(self, problem: str, field: str | None = "python_param.param_str"):
        """Return an error that names the layer."""
        return CaffeFormatError(
            problem, source=self.layer.source, layer=self.layer.name, field=field
        )

    def colours(self, path: str, mean, folder=None) -> Top:
        """Return a top of pictures, BGR."""
        read = functools.partial(read_colours, mean=mean)
        return Top(read, 3, path, folder or self.source)

    def labels(self, path: str, field: str | None = None, shift: int = 0) -> Top:
        """Return a top of labels."""
        read = functools.partial(read_labels, field=field, shift=shift)
        return Top(read, None, path, self.source)


def _voc(told: _Told):
    return f"{told.source}/ImageSets/Segmentation/{told.split}.txt", [
        told.colours("JPEGImages/{}.jpg", told.mean),
        told.labels("SegmentationClass/{}.png"),
    ]


def _sbdd(told: _Told):
    return f"{told.source}/{told.split}.txt", [
        told.colours("img/{}.jpg", told.mean),
        told.labels("cls/{}.mat", "GTcls.Segmentation"),
    ]


def _sift_flow(told: _Told):
    # What has no geometry is -1 or 0: both become 255, as FCN has it.
    return f"{told.source}/{told.split}.txt", [
        told.colours(f"Images/{_SCENES}/{{}}.jpg", np.float32(_SIFT_FLOW)),
        told.labels(f"SemanticLabels/{_SCENES}/{{}}.mat", "S", -1),
        told.labels(f"GeoLabels/{_SCENES}/{{}}.mat", "S", -1),
    ]


def _nyud(told: _Told):
    known = {
        "color": told.colours("data/images/img_{}.png", np.float32(_NYUD)),
        "hha": Top(_read_hha, 3, "data/hha/img_{}.png", told.source),
        "depth": Top(_read_depth, 1, "data/depth/img_{}.png", told.source),
        "label": told.labels("segmentation/img_{}.mat", "segmentation", -1),
    }
    names = RGBDData.names(told.params)
    if not names or not set(names) <= set(known):
        raise told.error(
            f"Expected tops of {', '.join(known)}; received: "
            f"{told.params.get('tops')!r:.200}"
        )
    return f"{told.source}/{told.split}.txt", [known[name] for name in names]


def _pascal_context(told: _Told):
    if told.root is None:
        raise ValueError(
            "Expected `root=…`, the folder with VOC2010 that has the pictures of layer "
            f"{told.layer.name!r}; received: None. `source` is that of its labels"
        )
    pictures = os.path.join(os.path.abspath(told.root), "VOC2010")
    read = functools.partial(_read_context, classes=_context_classes(told.source))
    return os.path.join(pictures, "ImageSets", "Main", f"{told.split}.txt"), [
        told.colours("JPEGImages/{}.jpg", np.float32(_CONTEXT), pictures),
        Top(read, None, "trainval/{}.mat", told.source),
    ]


LAYERS: dict[str, Callable] = {
    "nyud_layers.NYUDSegDataLayer": _nyud,
    "pascalcontext_layers.PASCALContextSegDataLayer": _pascal_context,
    "siftflow_layers.SIFTFlowSegDataLayer": _sift_flow,
    "voc_layers.SBDDSegDataLayer": _sbdd,
    "voc_layers.VOCSegDataLayer": _voc,
}


def _read_hha(path: str) -> np.ndarray:
    return less(read_picture(path, upright=False), np.float32(_HHA))


def _read_depth(path: str) -> np.ndarray:
    depths = read_numbers(path).astype("float32")
    if not (depths > 0).all():
        raise ValueError(
            "Expected depths above 0, of which a logarithm is; received: 0"
        )
    return less(np.log(depths), np.float32(_LOG_DEPTH))[..., None]


def _read_context(path: str, classes: np.ndarray) -> np.ndarray:
    labels = read_labels(path, "LabelMap")
    return classes[np.where(labels < len(classes), labels, 0)]


def _context_classes(folder: str) -> np.ndarray:
    """Return which of 59 classes, from 1 on, each of 400 labels is; 0 for none."""
    labels, task = (
        _context_names(Path(folder, name)) for name in ("labels.txt", "59_labels.txt")
    )
    classes = np.zeros(len(labels) + 1, "int32")
    for number, name in enumerate(task, 1):
        name = _RENAMED.get(name, name)
        if name not in labels:
            raise ValueError(
                f"Expected the class {name!r} in {folder}/labels.txt; received none"
            )
        classes[labels.index(name) + 1] = number
    return classes


def _context_names(path: Path) -> list[str]:
    """Return the names in a file of lines such as `2: aeroplane`."""
    check_file(path, "a list of names")
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read(1 << 20).splitlines() if line.strip()]
    return [line.rpartition(":")[2].replace(" ", "") for line in lines]
