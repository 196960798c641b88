"""What is known about every published net: the manifest behind frozen dataclasses.

`weights_manifest.json` is the one place where URLs, checksums, licences, means and
published accuracies are written down. `None` means that nobody published the fact.
"""

import fnmatch
import functools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import resources
from types import MappingProxyType

from keras_caffe_zoo.kinds import DEFINITIONS, KERAS, WEIGHTS, ending
from keras_caffe_zoo.messages import there_are

Shape = tuple[int, ...]

FINETUNED, FEATURES = "_finetuned", "_features"  # at the ends of models' names
_MADE = re.compile(f"({FINETUNED}|{FEATURES})*$")


@dataclass(frozen=True)
class WeightFile:
    """One published file and everything known that tells the right one.

    Attributes:
        name: File name as published; what a mirror is asked for.
        urls: Where it is (or, if `archive` is set, where its archive is), best first.
        size: Size in bytes.
        sha1: Hex digest.
        sha256: Hex digest.
        sha384: Hex digest.
        payload_bytes: Bytes of the parameters alone: a lower bound of the size. `None`
            where the file has layers that nobody described.
        archive: Name of the `.tar.gz` or `.tgz` that holds the file.
        member: Base name of the file inside the archive.
        archive_size: The archive's size in bytes.
        archive_sha384: Its hex digest.
    """

    name: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha1: str | None = None
    sha256: str | None = None
    sha384: str | None = None
    payload_bytes: int | None = None
    archive: str | None = None
    member: str | None = None
    archive_size: int | None = None
    archive_sha384: str | None = None

    @property
    def packed(self) -> "WeightFile | None":
        """The archive that the file comes in, as a file of its own."""
        if not self.archive:
            return None
        return WeightFile(
            self.archive, size=self.archive_size, sha384=self.archive_sha384
        )

    @property
    def hashes(self) -> dict[str, str]:
        """The known digests, keyed by their `hashlib` name."""
        known = {"sha256": self.sha256, "sha1": self.sha1, "sha384": self.sha384}
        return {algorithm: digest for algorithm, digest in known.items() if digest}


@dataclass(frozen=True)
class MeanSpec:
    """The mean a net subtracts, in BGR.

    Attributes:
        name: Key in the manifest; nets that share a mean share it.
        kind: `"image"` (size of the resized image, cropped with it), `"pixel"` (size
            of the input, subtracted after the crop) or `"channels"`.
        channels: Channel means (B, G, R) in 0-255.
        stand_in: Channel means of a related net, for when the image is not at hand
            and its own channel means were never published; the notes say whose.
        shape: Height and width of the mean image.
        file: The published `.binaryproto`.
        notes: Anything else worth knowing.
    """

    name: str
    kind: str
    channels: tuple[float, float, float] | None = None
    stand_in: tuple[float, float, float] | None = None
    shape: tuple[int, int] | None = None
    file: WeightFile | None = None
    notes: str | None = None


@dataclass(frozen=True)
class Paper:
    """The paper behind a net; `arxiv` is the bare identifier."""

    title: str
    authors: str
    venue: str
    citation: str
    arxiv: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Licence:
    """What the authors allow; `non_commercial` is `None` where they never said."""

    text: str | None
    non_commercial: bool | None


@dataclass(frozen=True)
class Resize:
    """`"warp"` to `size` x `size`, or `"shortest_side"` to `size`; then crop.

    `"to_input"` is to the net's own size, whole. `"fit"` keeps the proportions and
    crops nothing: the shortest side becomes `size`, or less if the longest side would
    become more than `longest`.
    """

    rule: str
    size: int | None
    longest: int | None = None


@dataclass(frozen=True)
class Accuracy:
    """One published measurement, in percent."""

    source: str
    dataset: str
    protocol: str | None = None
    top1: float | None = None
    top5: float | None = None
    mean_iu: float | None = None
    mean_ap: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class ClassList:
    """A list of classes: how many, its file in the package's `data/`, its source.

    `file` is `None` where the names are not at hand.
    """

    name: str
    classes: int
    file: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class ModelEntry:
    """Every fact about one net of the zoo.

    Attributes:
        name: The builder's name.
        title: The net's name in prose.
        task: What it does: `"classification"`, `"detection"`, ….
        paper: The paper, if there is one.
        licence: Licence of the weights.
        file: The published `.caffemodel`.
        mean: The mean it subtracts.
        scale: What the difference is multiplied by.
        channel_order: `"BGR"` or `"RGB"`, how the net takes an image's channels.
        input_size: Height and width of the input; `None` for any size.
        resize: How an image is resized before the crop.
        class_labels: Name of the class list, e.g. `"ilsvrc12"`; `None` where the
            outputs are no classes.
        classes: Number of outputs.
        accuracy: Published measurements, the authors' own first.
        format: `"V1"` or `"V2"`, the format of the file.
        notes: Anything else worth knowing.
        trained_on: The pictures that it was trained on.
        multiply_adds: Those of its convolutions and inner products, for one picture of
            `input_size`; `None` for any size.
        blobs: Layer name to the shapes of its parameters, in Caffe layout.

    Example:
        >>> entry = kcz.model_info("caffenet")
        >>> entry.title, entry.file.name, entry.channel_order
        ('BVLC Reference CaffeNet', 'bvlc_reference_caffenet.caffemodel', 'BGR')
    """

    name: str
    title: str
    task: str
    paper: Paper | None
    licence: Licence
    file: WeightFile
    mean: MeanSpec | None
    scale: float
    channel_order: str
    input_size: tuple[int, int] | None
    resize: Resize | None
    class_labels: str | None
    classes: int
    accuracy: tuple[Accuracy, ...]
    format: str | None
    notes: str | None
    blobs: Mapping[str, tuple[Shape, ...]]
    trained_on: str | None = None
    multiply_adds: int | None = None

    @property
    def citation(self) -> str | None:
        """How to cite the net."""
        return self.paper.citation if self.paper else None

    @property
    def parameters(self) -> int:
        """How many numbers the layers of `blobs` have."""
        shapes = (shape for blobs in self.blobs.values() for shape in blobs)
        return sum(map(math.prod, shapes))

    @property
    def size(self) -> int:
        """Size of the published file in bytes; its parameters' where nobody told."""
        return self.file.size or 4 * self.parameters

    def as_dict(self) -> dict:
        """Return every fact as JSON types."""
        return _plain(self)


@functools.cache
def _read() -> dict:
    source = resources.files("keras_caffe_zoo") / "weights_manifest.json"
    return json.loads(source.read_text(encoding="utf-8"))


@functools.cache
def load_manifest() -> Mapping[str, ModelEntry]:
    """Return every entry by name; read once and immutable."""
    return parse_manifest(_read())


def class_list(name: str) -> ClassList:
    """Return what is known of a list of classes, by an entry's `class_labels`.

    Raises:
        ValueError: If there is no list of that name.
    """
    lists = _read()["labels"]
    if name not in lists:
        known = there_are(lists, name)
        raise ValueError(f"No list of classes has the name {name!r}. {known}")
    return ClassList(name, **lists[name])


def parse_manifest(data: dict) -> Mapping[str, ModelEntry]:
    """Build the entries from the manifest's JSON.

    Raises:
        ValueError: If the manifest has another version than this reader.
    """
    if data.get("version") != 1:
        raise ValueError(
            f"Expected a weights manifest of version 1; received: "
            f"version={data.get('version')!r}"
        )
    papers = {key: Paper(**value) for key, value in data["papers"].items()}
    means = {key: _mean(key, value) for key, value in data["means"].items()}
    entries = {
        name: _entry(name, dict(value), papers, means)
        for name, value in data["models"].items()
    }
    return MappingProxyType(entries)


def model_names(
    pattern: str | None = None, *, task: str | None = None, license: str | None = None
) -> tuple[str, ...]:
    """Return the names of nets in the manifest, in its order.

    Args:
        pattern: What their names are like, with `*` and `?` as in a shell, such as
            `"vgg*"`; any if None.
        task: What they are to do, such as `"classification"`; anything if None.
        license: Part of their licence's text, such as `"MIT"`; or `"commercial"` for
            all whose authors are known to allow that. Any if None, unknown ones too.

    Raises:
        ValueError: If no net has such a name, task or licence.

    Example:
        >>> from keras_caffe_zoo.weights import model_names
        >>> model_names("vgg1?"), model_names(task="pose")
        (('vgg16', 'vgg19'), ('openpose_coco', 'openpose_mpi'))
    """
    every = load_manifest()
    named = every if pattern is None else fnmatch.filter(every, pattern)
    if not named:
        raise ValueError(_no_name_like(pattern, every))
    entries = every.values()
    of_task = [entry for entry in entries if task in (None, entry.task)]
    if not of_task:
        tasks = there_are({entry.task: None for entry in entries}, task)
        raise ValueError(f"No net of the zoo has the task {task!r}. {tasks}")
    if not any(_is_licensed(entry, license) for entry in entries):
        texts = {entry.licence.text: None for entry in entries if entry.licence.text}
        raise ValueError(
            f"No net of the zoo has a licence like {license!r}. "
            f"{there_are(['commercial', *texts])}"
        )
    found = [entry.name for entry in of_task if _is_licensed(entry, license)]
    return tuple(name for name in found if name in named)


def _no_name_like(pattern: str, every: Mapping) -> str:
    tasks = {entry.task for entry in every.values()}
    if pattern in tasks:
        return (
            f"No net of the zoo has a name like {pattern!r}, which is a task. For the "
            f"nets of that task say task={pattern!r} (--task {pattern})"
        )
    part = f"*{pattern.strip('*')}*"
    if pattern.strip("*") and (within := fnmatch.filter(every, part)):
        return (
            f"No net of the zoo has a name like {pattern!r}. {len(within)} have that "
            f"within their names: say {part!r}"
        )
    known = there_are(every, pattern)
    return f"No net of the zoo has a name like {pattern!r}. {known}"


def _is_licensed(entry: ModelEntry, wanted: str | None) -> bool:
    if wanted == "commercial":
        return entry.licence.non_commercial is False
    return wanted is None or wanted.casefold() in (entry.licence.text or "").casefold()


def model_entry(name: str) -> ModelEntry:
    """Return the facts about one net.

    Raises:
        ValueError: If the zoo has no net of that name.

    Example:
        >>> from keras_caffe_zoo.weights import model_entry
        >>> entry = model_entry("caffenet")
        >>> entry.blobs["fc8"], f"{entry.parameters:,}"
        (((1000, 4096), (1000,)), '60,965,224')
    """
    manifest = load_manifest()
    if name not in manifest:
        if ending(str(name)) in (*DEFINITIONS, *WEIGHTS, KERAS):
            raise ValueError(
                f"Expected the name of a net of the zoo; received: {name!r}, a file. "
                "from_caffe reads NET.prototxt and NET.caffemodel, in that order; a "
                "file of weights goes with the net's name (--weights, weights=…)"
            )
        known = there_are(sorted(manifest), name)
        raise ValueError(f"The zoo has no net {name!r}. {known}")
    return manifest[name]


def entry_of(name: str) -> ModelEntry | None:
    """Return the facts about the net that a model's name says it is, or is made of.

    Models that builders made are known by that name; `finetune` and
    `feature_extractor` add what they did to it.

    Args:
        name: A model's name.

    Returns:
        The facts; None of a net that is not the zoo's.

    Example:
        >>> from keras_caffe_zoo.weights import entry_of
        >>> entry_of("caffenet_finetuned_features").name
        'caffenet'
        >>> entry_of("my_net") is None
        True
    """
    return load_manifest().get(_MADE.sub("", name))


def _plain(value):
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _file(value: dict | None) -> WeightFile | None:
    return value and WeightFile(**{**value, "urls": tuple(value["urls"])})


def _mean(name: str, value: dict) -> MeanSpec:
    keys = ("channels", "stand_in", "shape")
    pair = {key: tuple(value[key]) for key in keys if value.get(key)}
    return MeanSpec(name, **{**value, **pair, "file": _file(value["file"])})


def _entry(name: str, value: dict, papers: dict, means: dict) -> ModelEntry:
    blobs = {
        layer: tuple(tuple(shape) for shape in shapes)
        for layer, shapes in value.pop("blobs").items()
    }
    parsed = {
        "paper": papers[value["paper"]] if value["paper"] else None,
        "mean": means[value["mean"]] if value["mean"] else None,
        "licence": Licence(**value["licence"]),
        "file": _file(value["file"]),
        "input_size": value["input_size"] and tuple(value["input_size"]),
        "resize": value["resize"] and Resize(**value["resize"]),
        "accuracy": tuple(Accuracy(**one) for one in value["accuracy"]),
        "blobs": MappingProxyType(blobs),
    }
    return ModelEntry(name, **{**value, **parsed})
