"""Model cards: what is known of a net of the zoo, as a page of Markdown.

What a net is comes from its builder's docstring, which is read from the source: a card
needs no Keras. All else is the manifest's. What that does not know, the card says so.
"""

import ast
import functools
from importlib import resources

from keras_caffe_zoo.cards.markdown import UNKNOWN, points, shell, table, text
from keras_caffe_zoo.cards.pictures import what_it_takes
from keras_caffe_zoo.cards.usage import at_work, what_it_gives
from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.weights.manifest import (
    Accuracy,
    ModelEntry,
    WeightFile,
    class_list,
    model_entry,
)

NAMES_LISTED = 30  # classes; more than that are told by their number

_FIGURES = {
    "top1": "top-1 %",
    "top5": "top-5 %",
    "mean_iu": "mean IU %",
    "mean_ap": "mean AP %",
    "accuracy": "accuracy %",
}
_COMMERCIAL = {False: "yes", True: "no", None: "the authors do not say"}


def model_card(name: str) -> str:
    """Return what is known of a net of the zoo, as a page of Markdown.

    It says what the net is, its paper, data, input, output, accuracy, licence and who
    may use it, size, how to get it, and how to use it. `model_info` has the same facts
    for programs.

    Args:
        name: One of `list_models()`.

    Raises:
        ValueError: If the zoo has no net of that name.

    Example:
        >>> card = kcz.model_card("squeezenet_v1_1")
        >>> [line.strip("# ") for line in card.splitlines() if line.startswith("#")]
        ['SqueezeNet v1.1', 'Paper', 'Data', 'Input', 'Output', 'Accuracy', 'Licence',
         'Size', 'Getting it', 'Using it']
    """
    entry = model_entry(name)
    sections = {
        "Paper": _paper(entry),
        "Data": _data(entry),
        "Input": what_it_takes(entry),
        "Output": _output(entry),
        "Accuracy": _accuracy(entry),
        "Licence": _licence(entry),
        "Size": _size(entry),
        "Getting it": _getting(entry),
        "Using it": at_work(entry),
    }
    blocks = [f"# {entry.title}", *_about(entry)]
    for title, section in sections.items():
        blocks += [f"## {title}", *section]
    return "\n\n".join(blocks) + "\n"


def card_facts(name: str) -> dict:
    """Return the facts of a net's card as JSON types.

    Raises:
        ValueError: If the zoo has no net of that name.

    Example:
        >>> from keras_caffe_zoo.cards import card_facts
        >>> facts = card_facts("squeezenet_v1_1")
        >>> facts["title"], facts["input_size"]
        ('SqueezeNet v1.1', [227, 227])
    """
    entry = model_entry(name)
    return entry.as_dict() | {
        "what": _what(name),
        "parameters": entry.parameters,
        "citation": entry.citation,
    }


def _what(name: str) -> str:
    """Return what a net is, in the words of its builder's docstring."""
    first = _docstrings()[name].split("\n\n")[0].removeprefix("Build ")
    return " ".join(f"{first[0].upper()}{first[1:]}".split())


@functools.cache
def _docstrings() -> dict[str, str]:
    """Return the docstrings of builders by name, without importing Keras."""
    found = {}
    for file in (resources.files("keras_caffe_zoo") / "models").iterdir():
        if file.name.endswith(".py"):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef) and node.decorator_list:
                    found[node.name] = ast.get_docstring(node) or ""
    return found


def _about(entry: ModelEntry) -> list[str]:
    what = f"`{entry.name}`, for {entry.task.replace('_', ' ')}. {_what(entry.name)}"
    return [text(what), *([text(entry.notes)] if entry.notes else [])]


def _paper(entry: ModelEntry) -> list[str]:
    if entry.paper is None:
        return ["No paper about it is known here."]
    link = [f"<{entry.paper.url}>"] if entry.paper.url else []
    return [text(entry.paper.citation), *link]


def _data(entry: ModelEntry) -> list[str]:
    return [
        points(
            [f"Trained on: {entry.trained_on or 'not known here'}", *_classes(entry)]
        )
    ]


def _classes(entry: ModelEntry) -> list[str]:
    if entry.class_labels is None:
        return []
    known = class_list(entry.class_labels)
    source = f", from {known.source}" if known.source else ""
    lines = [f"Classes: {known.classes}, the list `{known.name}`{source}"]
    if known.file and known.classes <= NAMES_LISTED:
        names = ", ".join(name for _, name in class_names(known.name))
        lines.append(f"Their names, in order: {names}")
    return lines


def _output(entry: ModelEntry) -> list[str]:
    return [text(f"{what_it_gives(entry)} {_named(entry)}")]


def _named(entry: ModelEntry) -> str:
    """Return how one learns what classes are called."""
    if entry.class_labels is None:
        return ""
    if class_list(entry.class_labels).file is None:
        return "The names of its classes are not at hand here: they are numbers."
    if entry.task == "classification":
        return f'`decode_predictions(y, model="{entry.name}")` names the classes.'
    return "The classes are named in the result."


def _accuracy(entry: ModelEntry) -> list[str]:
    if not entry.accuracy:
        return ["No published figure is known here."]
    rows = entry.accuracy
    figures = {
        key: title
        for key, title in _FIGURES.items()
        if any(getattr(one, key) is not None for one in rows)
    }
    header = ["images", "how", *figures.values(), "measured by"]
    return [table(header, *(_measured(one, figures) for one in rows))]


def _measured(one: Accuracy, figures: dict[str, str]) -> list[str]:
    values = [getattr(one, key) for key in figures]
    shown = ["" if value is None else f"{value:g}" for value in values]
    return [one.dataset, one.protocol or "not told", *shown, one.source]


def _licence(entry: ModelEntry) -> list[str]:
    licence = entry.licence
    return [
        points(
            [
                f"Licence of the weights: {licence.text or UNKNOWN}",
                f"Commercial use: {_COMMERCIAL[licence.non_commercial]}",
            ]
        )
    ]


def _size(entry: ModelEntry) -> list[str]:
    size = entry.file.size
    known = f"{_bytes(size)} ({size:,} bytes)" if size else UNKNOWN
    least = f"{_bytes(4 * entry.parameters)} in float32"
    work = entry.multiply_adds
    of_each = f"{work:,} for one picture" if work else "the picture's size decides"
    return [
        points(
            [
                f"File: {known}",
                f"Parameters: {entry.parameters:,}, which are {least}",
                f"Multiply-adds: {of_each}",
            ]
        )
    ]


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _getting(entry: ModelEntry) -> list[str]:
    file = entry.file
    if file.urls:
        archive = f" in the archive `{file.archive}`" if file.archive else ""
        return [
            text(f"The first use downloads the file `{file.name}`{archive}; so does"),
            shell(f"keras-caffe-zoo download {entry.name}"),
            points([f"<{url}>" for url in file.urls]),
            _checks(file),
        ]
    return [
        text(f"No address of the file `{file.name}` is known. Once you have it, run"),
        shell(f"keras-caffe-zoo install {entry.name}", file.name),
        _checks(file),
    ]


def _checks(file: WeightFile) -> str:
    """Return how the right file is told from others."""
    rows = [["file", *pair] for pair in file.hashes.items()]
    if file.packed:
        rows += [["archive", *pair] for pair in file.packed.hashes.items()]
    if not rows:
        return text(
            f"Its checksum was {UNKNOWN}: the names and shapes of its layers are "
            "checked instead."
        )
    shown = ([what, name, f"`{digest}`"] for what, name, digest in rows)
    return table(["of the", "checksum", ""], *shown)
