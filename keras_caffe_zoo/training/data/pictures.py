"""Pictures in files: listed in a text file, or in one folder for each class."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_caffe_zoo.files import check_is_folder, open_file
from keras_caffe_zoo.kinds import HEAD, kind_of
from keras_caffe_zoo.pictures import read_bgr, read_grey

# As C's atoi takes it, which stops at the point; but no other junk.
_FOLDERS = "a directory with one folder of pictures for each class"
_LABEL = re.compile(rb"([+-]?[0-9]+)(\.[0-9]*)?")
_LAST = re.compile(rb" ([+-]?[0-9]{1,10})(?:\.[0-9]*)?\s*$", re.M)


class PictureList:
    """The list file of Caffe's ImageData: a path and a label on each line.

    The label stands after the last space; of `4.7` Caffe reads 4. Blank lines are no
    records.

    Args:
        listfile: The list.
        root: Folder of the pictures, and then none may lie outside it; as in Caffe, it
            stands before every path. If None, paths are relative to the list's folder
            or absolute.

    Raises:
        ValueError: If the list is empty.
        OSError: If it cannot be opened.
    """

    def __init__(self, listfile: str | os.PathLike, root=None):
        self.source = Path(listfile)
        self.inside = root is not None
        self.root = os.path.abspath(self.source.parent if root is None else root)
        # The text and where its lines start: a million pairs would be ten times this.
        expected = "a list of pictures and labels"
        with open_file(self.source, expected) as file:
            self._text = file.read()
        kind = kind_of(self._text[:HEAD])
        if kind.startswith(("a ", "an HDF5")):
            raise ValueError(f"Expected {expected}; received: {self.source}, {kind}")
        ends = np.flatnonzero(np.frombuffer(self._text, "uint8") == ord("\n")) + 1
        starts = np.concatenate([[0], ends])
        self._bounds = np.append(starts, len(self._text))
        blank = [not self._line(i).strip() for i in range(len(starts))]
        self._lines = np.flatnonzero(~np.array(blank))
        if not len(self._lines):
            raise ValueError(
                "Expected lines of a path and a label; received an empty list: "
                f"{self.source}"
            )

    def __len__(self) -> int:
        return len(self._lines)

    def name(self, index: int) -> str:
        """Return a record's line and what it says before the label."""
        line = self._lines[index]
        path = os.fsdecode(self._line(line).rpartition(b" ")[0])
        return f"{path or '(no path)'} ({self.source}, line {line + 1})"

    def item(self, index: int) -> tuple[str, int]:
        """Return a picture's path and label.

        Raises:
            ValueError: If the line has no label that is a number of 32 bits, or its
                path leads out of the root.
        """
        path, _, label = self._line(self._lines[index]).rstrip().rpartition(b" ")
        number = _LABEL.fullmatch(label)
        if not path or not number or len(number[1]) > 11:
            raise ValueError(
                "Expected a path, a space and an integer label; received: "
                f"{os.fsdecode(self._line(self._lines[index]).strip())[:200]!r}"
            )
        label = int(number[1])
        if not -(2**31) <= label < 2**31:
            raise ValueError(f"Expected a label of 32 bits; received: {label}")
        return path_in(self.root, os.fsdecode(path), self.inside), label

    def largest_label(self) -> int | None:
        """Return the largest label, of the lines that have one."""
        return max(
            (int(found[1]) for found in _LAST.finditer(self._text)), default=None
        )

    def _line(self, number: int) -> bytes:
        return self._text[self._bounds[number] : self._bounds[number + 1]]


def path_in(root: str, path: str, inside: bool) -> str:
    """Return the place of a file that a list names.

    Args:
        root: A folder, as an absolute path.
        path: What the list says.
        inside: Whether the folder stands before every path, as Caffe's `root_folder`
            does, and no file may lie outside it; relative paths are in it anyway.

    Raises:
        ValueError: If the path leads out of the folder.
    """
    if not inside:
        return os.path.join(root, path)
    whole = os.path.normpath(f"{root}{os.sep}{path}")
    if os.path.commonpath([root, whole]) != root:
        raise ValueError(f"Expected a path inside {root}; received: {path!r}")
    return whole


class PictureFolders:
    """A folder with one folder of pictures for each class.

    Hidden files and folders, whose names start with a dot, are no records; every other
    file in a class's folder, and in folders below it, is one.

    Args:
        directory: The folder.
        classes: Names of the folders, in the order of their labels; sorted if None.

    Raises:
        ValueError: If there are no folders, one is not among `classes`, or there are
            no files.
    """

    def __init__(self, directory, classes: Sequence[str] | None = None):
        self.root = Path(directory)
        found = dataset_classes(directory)
        self.classes = found if classes is None else list(classes)
        unknown = sorted(set(found) - set(self.classes))
        if unknown or len(set(self.classes)) < len(self.classes):
            raise ValueError(
                "Expected `labels` to name each folder once; received: "
                f"{self.classes}, and in {self.root} also {unknown}"
            )
        self._paths: list[str] = []
        counts = []
        for name in self.classes:
            files = _files(self.root / name)
            self._paths += files
            counts.append(len(files))
        self._labels = np.repeat(np.arange(len(counts), dtype="int32"), counts)
        if not self._paths:
            raise ValueError(
                f"Expected pictures in the folders of {self.root}; received: no files"
            )

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        """Return a record's path."""
        return self._paths[index]

    def item(self, index: int) -> tuple[str, int]:
        """Return a picture's path and label."""
        return self._paths[index], int(self._labels[index])


def dataset_classes(directory: str | os.PathLike) -> list[str]:
    """Return the classes of a directory of pictures: its folders' sorted names.

    A class's label is its place in this list. Hidden folders are no classes.

    Raises:
        ValueError: If there are no folders.
        OSError: If the directory cannot be read.

    Example:
        >>> from pathlib import Path
        >>> for name in "dog", "cat", ".thumbnails":
        ...     Path("photos", name).mkdir(parents=True)
        >>> kcz.training.dataset_classes("photos")
        ['cat', 'dog']
    """
    check_is_folder(directory, _FOLDERS)
    with os.scandir(directory) as entries:
        folders = [e.name for e in entries if e.is_dir() and e.name[0] != "."]
    if not folders:
        raise ValueError(f"Expected {_FOLDERS}; received no folders: {directory}")
    return sorted(folders)


def _files(folder: Path) -> list[str]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        found += [os.path.join(parent, name) for name in names if name[0] != "."]
    return sorted(found)


@dataclass(frozen=True)
class Pictures:
    """Pictures as records: read, resized, BGR or grey.

    Attributes:
        items: A `PictureList` or `PictureFolders`.
        resize: Function from a picture, BGR or grey, to the resized one; None for none.
        gray: Whether pictures become grey, `(H, W, 1)`.
    """

    items: PictureList | PictureFolders
    resize: Callable[[np.ndarray], np.ndarray] | None = None
    gray: bool = False

    def __len__(self) -> int:
        return len(self.items)

    def name(self, index: int) -> str:
        """Return the file, and where it is listed."""
        return self.items.name(index)

    def read(self, index: int) -> tuple[np.ndarray, int]:
        """Return a picture, uint8 `(H, W, C)`, and its label."""
        path, label = self.items.item(index)
        image = read_grey(path) if self.gray else read_bgr(path)
        return image if self.resize is None else self.resize(image), label
