"""Annotations of pictures in files: VOC's XML, COCO's JSON, SSD's label maps."""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from keras_caffe_zoo.caffe import CaffeFormatError, schema
from keras_caffe_zoo.caffe.prototxt import Parser
from keras_caffe_zoo.caffe.sniff import read_text_file
from keras_caffe_zoo.files import check_file, check_is_folder, last_part
from keras_caffe_zoo.pictures import mixed_grey, picture_suffixes, read_bgr, read_grey
from keras_caffe_zoo.training.data.boxes import object_rows

_MAX_XML = 1 << 22  # bytes of one picture's annotation; VOC's are below 10,000
_OTHERS = (TypeError, ValueError, RecursionError)  # that JSON of others causes
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LABEL_MAPS = schema.Schema(
    """\
LabelMap
 1 item LabelMapItem*
LabelMapItem
 1 name string; 2 label int32; 3 display_name string
""",
    "caffe_label_maps",
)


class AnnotatedPictures:
    """Pictures with their objects, of a sequence of Python's: records to train on.

    Args:
        records: Pairs of a picture and its objects. A picture is a path, or an RGB
            array `(H, W, 3)` or grey one `(H, W, 1)` of uint8. Objects are an array
            `(G, 5)`: label, x1, y1, x2, y2, or `(G, 6)` with a difficult flag, 0 or 1,
            at the end; empty where there are none. Label 0 is the background's.
        in_pixels: Whether corners are in the picture's pixels, so that one that is
            all of it has (0, 0, width, height); else they are fractions, 0 to 1.
        gray: Whether pictures become grey.

    Raises:
        ValueError: If there are no records; reading one, if it is none of these.

    Example:
        >>> picture = np.zeros((40, 80, 3), "uint8")
        >>> records = [(picture, [[7, 20, 10, 60, 40]])]  # label, x1, y1, x2, y2
        >>> records = kcz.training.AnnotatedPictures(records, in_pixels=True)
        >>> image, objects = records.read(0)
        >>> image.shape, objects.tolist()
        ((40, 80, 3), [[0.0, 7.0, 0.0, 0.25, 0.25, 0.75, 1.0, 0.0]])
    """

    def __init__(
        self,
        records: Sequence[tuple[Any, Any]],
        *,
        in_pixels: bool = False,
        gray: bool = False,
    ):
        self.records, self.in_pixels, self.gray = records, in_pixels, gray
        if not len(records):
            raise ValueError("Expected pictures and their objects; received: none")

    def __len__(self) -> int:
        return len(self.records)

    def name(self, index: int) -> str:
        """Return a picture's path, or which record it is."""
        picture = self.records[index][0]
        is_path = isinstance(picture, str | os.PathLike)
        return os.fspath(picture) if is_path else f"record {index}"

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture, BGR or grey `(H, W, C)` of uint8, and objects `(G, 8)`."""
        picture, objects = self.records[index]
        image = _picture(picture, self.gray)
        given = np.asarray(objects, "float64")
        given = given.reshape(-1, 5) if given.size == 0 else given
        if given.ndim != 2 or given.shape[1] not in (5, 6):
            raise ValueError(
                "Expected objects (G, 5), label, x1, y1, x2, y2, or (G, 6), with a "
                f"difficult flag behind; received: shape {given.shape}"
            )
        corners = given[:, 1:5]
        if self.in_pixels:
            height, width = image.shape[:2]
            corners = corners / [width, height, width, height]
        difficult = given[:, 5] if given.shape[1] == 6 else None
        return image, object_rows(given[:, 0], corners, difficult)


class VOCPictures:
    """Pictures with annotations in VOC's XML files, as the fork's tool reads them.

    An annotation is that of the picture with its name: the paths inside of it are
    another machine's and are never opened.

    Args:
        annotations: The folder of the XML files, `Annotations` of VOC.
        pictures: The folder of the pictures, `JPEGImages` of VOC.
        label_map: The label of each class by name: a `LabelMap`, or a mapping.
        names: Names of annotations without suffix, such as the lines of VOC's
            `ImageSets/Main/trainval.txt`; all XML files of the folder, sorted, if None.

    Raises:
        ValueError: If there are none, or one has no picture; reading one, if it is no
            such annotation, or of a class that the map does not have.
        OSError: If a folder cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> Image.new("RGB", (80, 40)).save("000005.png")
        >>> _ = Path("000005.xml").write_text('''<annotation>
        ...     <size><width>80</width><height>40</height><depth>3</depth></size>
        ...     <object><name>chair</name><difficult>0</difficult><bndbox>
        ...         <xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>40</ymax>
        ...     </bndbox></object>
        ... </annotation>''')
        >>> records = kcz.training.VOCPictures(".", ".", {"chair": 9})
        >>> len(records), records.read(0)[1].tolist()  # item, class, instance, corners
        (1, [[0.0, 9.0, 0.0, 0.25, 0.25, 0.75, 1.0, 0.0]])
    """

    def __init__(self, annotations, pictures, label_map, names=None) -> None:
        self.labels = _labels_of(label_map)
        check_is_folder(pictures, "a folder of pictures")
        check_is_folder(annotations, "a folder of annotations (.xml)")
        found = {
            path.stem: path
            for path in sorted(Path(pictures).iterdir())
            if path.suffix.lower() in picture_suffixes()
        }
        files = {path.stem: path for path in sorted(Path(annotations).glob("*.xml"))}
        names = list(files) if names is None else [str(name) for name in names]
        lacking = [x for x in names if x not in files or x not in found]
        if lacking or not names:
            raise ValueError(
                f"Expected annotations in {annotations} and a picture of each in "
                f"{pictures}; received: {'none' if not names else 'not both of '}"
                f"{', '.join(lacking[:5])}"
            )
        self._pairs = [(files[name], found[name]) for name in names]

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, index: int) -> str:
        """Return an annotation's path."""
        return str(self._pairs[index][0])

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture, BGR `(H, W, 3)` of uint8, and objects `(G, 8)`."""
        annotation, picture = self._pairs[index]
        image = _picture(picture)
        data = _bytes_of(annotation, _MAX_XML)
        return image, _voc_objects(parse_xml(data), self.labels, image.shape[:2])


class COCOPictures:
    """Pictures with annotations in one of COCO's JSON files.

    Of a picture's `file_name` only the last part counts. Crowds are difficult objects,
    as the fork's tool has it.

    Args:
        annotations: The JSON file, such as `instances_val2014.json`.
        pictures: The folder of the pictures.
        label_map: The label of each category by its id, as a string, as the fork's
            `labelmap_coco.prototxt` has it, or by its name; if None, categories are
            counted from 1 in the order of their ids.

    Raises:
        ValueError: If it is no such file, or has a category that the map does not have.
        OSError: If it cannot be read.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> Image.new("RGB", (80, 40)).save("42.png")
        >>> image = {"id": 42, "file_name": "42.png", "width": 80, "height": 40}
        >>> kinds = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
        >>> dog = {"image_id": 42, "category_id": 18, "bbox": [20, 10, 40, 30]}
        >>> told = {"images": [image], "categories": kinds, "annotations": [dog]}
        >>> _ = Path("instances.json").write_text(json.dumps(told))
        >>> image, objects = kcz.training.COCOPictures("instances.json", ".").read(0)
        >>> objects[0, [1, 3, 4, 5, 6]].tolist()  # the second category, and corners
        [2.0, 0.25, 0.25, 0.75, 1.0]
    """

    def __init__(self, annotations, pictures, label_map=None) -> None:
        self.folder = Path(pictures)
        check_file(annotations, "COCO's annotations, a .json")
        try:
            told = json.loads(Path(annotations).read_bytes())
            categories = {int(x["id"]): str(x["name"]) for x in told["categories"]}
            labels = self._labels(categories, label_map)
            self._images = [
                (int(x["id"]), _file_name(x["file_name"])) for x in told["images"]
            ]
            self._objects = defaultdict(list)
            for one in told["annotations"]:
                x, y, width, height = map(float, one["bbox"])
                row = (x, y, x + width, y + height, bool(one.get("iscrowd")))
                label = labels[int(one["category_id"])]
                self._objects[int(one["image_id"])].append((label, *row))
        except (ArithmeticError, LookupError, *_OTHERS) as error:
            raise ValueError(
                "Expected COCO's JSON: images, annotations and categories; received: "
                f"{annotations} ({type(error).__name__}: {error})"
            ) from error
        if not self._images:
            raise ValueError(f"Expected pictures in {annotations}; received: none")

    @staticmethod
    def _labels(categories: dict[int, str], label_map) -> dict[int, int]:
        if label_map is None:
            return {number: i for i, number in enumerate(sorted(categories), 1)}
        known = _labels_of(label_map)
        labels = {
            number: known.get(str(number), known.get(name))
            for number, name in categories.items()
        }
        lacking = [categories[number] for number in labels if labels[number] is None]
        if lacking:
            raise ValueError(f"no label of the categories {', '.join(lacking[:5])}")
        return labels

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        """Return a picture's path."""
        return str(self.folder / self._images[index][1])

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture, BGR `(H, W, 3)` of uint8, and objects `(G, 8)`."""
        number, file = self._images[index]
        image = _picture(self.folder / file)
        rows = np.array(self._objects.get(number, []), "float64").reshape(-1, 6)
        height, width = image.shape[:2]
        corners = rows[:, 1:5] / [width, height, width, height]
        return image, object_rows(rows[:, 0], corners, rows[:, 5])


@dataclass(frozen=True)
class LabelMap:
    """The classes that SSD's files name.

    Attributes:
        labels: Each class's label by its name in annotations.
        names: Each class's name for people by its label.

    Example:
        >>> classes = kcz.training.LabelMap({"tvmonitor": 20}, {20: "television"})
        >>> classes.labels["tvmonitor"], classes.names[20]
        (20, 'television')
    """

    labels: dict[str, int]
    names: dict[int, str]


def read_label_map(path: str | os.PathLike) -> LabelMap:
    """Return the classes of a `labelmap_….prototxt`.

    Args:
        path: The file: items of `name`, `label` and `display_name`.

    Raises:
        CaffeFormatError: If it is no such file, or has a name or label twice.
        OSError: If it cannot be read.

    Example:
        >>> with open("labelmap.prototxt", "w") as file:
        ...     _ = file.write('''
        ...         item { name: "none" label: 0 display_name: "background" }
        ...         item { name: "n02084071" label: 1 display_name: "dog" }''')
        >>> classes = kcz.training.read_label_map("labelmap.prototxt")
        >>> classes.labels["n02084071"], classes.names
        (1, {0: 'background', 1: 'dog'})
    """
    text = read_text_file(path)
    items = Parser(text, os.fspath(path), _LABEL_MAPS).parse("LabelMap").item
    labels = {item.name: item.label for item in items}
    names = {item.label: item.display_name or item.name for item in items}
    if not items or min(len(labels), len(names)) < len(items):
        raise CaffeFormatError(
            "Expected a label map: items of a name and a label, each once; received: "
            f"{len(items)} items, {len(labels)} names, {len(names)} labels",
            source=os.fspath(path),
        )
    return LabelMap(labels, names)


def parse_xml(data: bytes) -> Element:
    """Return the root of an XML file that may be anybody's.

    A document type is refused: entities, which it declares, can grow without bounds or
    name other files.

    Raises:
        ValueError: If it is no XML, or has a document type.
    """

    def refuse(*_):
        raise ValueError("Expected XML without a document type; received one with it")

    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"Expected XML; received something else: {error}") from error
    return builder.close()


def _voc_objects(root: Element, labels: Mapping, size: tuple[int, int]) -> np.ndarray:
    """Return the objects of an annotation; corners are fractions of its own size."""
    height, width = (
        _number(root, f"size/{side}", of_picture)
        for side, of_picture in zip(("height", "width"), size, strict=True)
    )
    if not (height > 0 and width > 0):
        raise ValueError(
            f"Expected a size above 0 in the annotation; received: {height} x {width}"
        )
    found = []
    for one in root.findall("object"):
        name = (one.findtext("name") or "").strip()
        if name not in labels:
            raise ValueError(
                f"Expected a class of the label map, {list(labels)[:5]}…; received: "
                f"{name[:100]!r}"
            )
        corners = [
            _number(one, f"bndbox/{c}") for c in ("xmin", "ymin", "xmax", "ymax")
        ]
        found.append((labels[name], *corners, _number(one, "difficult", 0)))
    rows = np.array(found, "float64").reshape(-1, 6)
    corners = rows[:, 1:5] / [width, height, width, height]
    return object_rows(rows[:, 0], corners, rows[:, 5])


def _number(element: Element, path: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and default is not None:
        return default
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected a number at {path} in the annotation; received: "
            f"{text if text is None else text[:100]!r}"
        ) from None


def _labels_of(label_map) -> Mapping[str, int]:
    labels = label_map.labels if isinstance(label_map, LabelMap) else label_map
    if not isinstance(labels, Mapping):
        raise ValueError(
            "Expected the label of each class by name: read_label_map(path), or a "
            f"mapping; received: {type(label_map).__name__}"
        )
    return labels


def _file_name(name: str) -> str:
    """Return the last part of a path that is somebody else's."""
    last = last_part(str(name))
    if last in ("", ".", ".."):
        raise ValueError(f"no file's name: {str(name)[:100]!r}")
    return last


def _bytes_of(path: Path, most: int) -> bytes:
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(
            f"Expected an annotation of at most {most:,} bytes; received: {path}, "
            "which is larger"
        )
    return data


def _picture(picture, gray: bool = False) -> np.ndarray:
    """Return a picture as Caffe has it, BGR or grey `(H, W, C)`, uint8."""
    if isinstance(picture, str | os.PathLike):
        return read_grey(picture) if gray else read_bgr(picture)
    picture = np.asarray(picture)
    if (
        picture.dtype != np.uint8
        or picture.ndim != 3
        or picture.shape[2] not in (1, 3)
        or not picture.size
    ):
        raise ValueError(
            "Expected a path, or an array (H, W, 3) or (H, W, 1) of uint8; received: "
            f"{picture.dtype} of shape {picture.shape}"
        )
    if picture.shape[2] == 1:
        return picture if gray else np.repeat(picture, 3, axis=2)
    return mixed_grey(picture) if gray else picture[..., ::-1]
