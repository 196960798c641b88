"""Model cards: what is known of a net of the zoo, as a page of Markdown.

What a net is comes from its builder's docstring, which is read from the source: a card
needs no Keras. All else is the manifest's. What that does not know, the card says so.
"""

import ast
import functools
import textwrap
from importlib import resources

from keras_caffe_zoo.card_usage import at_work, what_it_gives
from keras_caffe_zoo.labels import class_names
from keras_caffe_zoo.weights.manifest import (
    Accuracy,
    ModelEntry,
    WeightFile,
    class_list,
    model_entry,
)

WIDTH = 88
NAMES_LISTED = 30  # classes; more than that are told by their number

_FIGURES = {
    "top1": "top-1 %",
    "top5": "top-5 %",
    "mean_iu": "mean IU %",
    "mean_ap": "mean AP %",
    "accuracy": "accuracy %",
}
_COMMERCIAL = {False: "yes", True: "no", None: "the authors do not say"}
_CHANNELS = {"BGR": "blue, green, red", "RGB": "red, green, blue"}
_UNKNOWN = "not published"


def model_card(name: str) -> str:
    """Return what is known of a net of the zoo, as a page of Markdown.

    It says what the net is, its paper, data, input, output, accuracy, licence and who
    may use it, size, how to get it, and how to use it. `model_info` has the same facts
    for programs.

    Args:
        name: One of `list_models()`.

    Raises:
        ValueError: If the zoo has no net of that name.
    """
    entry = model_entry(name)
    sections = {
        "Paper": _paper(entry),
        "Data": _data(entry),
        "Input": _input(entry),
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
    return [_text(what), *([_text(entry.notes)] if entry.notes else [])]


def _paper(entry: ModelEntry) -> list[str]:
    if entry.paper is None:
        return ["No paper about it is known here."]
    link = [f"<{entry.paper.url}>"] if entry.paper.url else []
    return [_text(entry.paper.citation), *link]


def _data(entry: ModelEntry) -> list[str]:
    return [_points([f"Trained on: {entry.trained_on or _UNKNOWN}", *_classes(entry)])]


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


def _input(entry: ModelEntry) -> list[str]:
    mean, scale = entry.mean, f"{entry.scale:.6g}"
    points = [
        *_sizes(entry),
        f"Channels: {_CHANNELS[entry.channel_order]}, from 0 to 255",
        f"Subtracted from them: {_mean(mean) if mean else _UNKNOWN}",
        "The difference is not scaled"
        if entry.scale == 1
        else f"The difference is multiplied by {scale}",
    ]
    return [_points(points)]


def _sizes(entry: ModelEntry) -> list[str]:
    """Return how large an image is, and how it becomes that."""
    if entry.input_size is None:
        return ["Size: any"]
    height, width = entry.input_size
    size = f"Size: {height} pixels high, {width} wide"
    if entry.resize is None:
        return [
            size,
            f"Resizing: {_UNKNOWN}; here the picture is resized to 256 x 256 pixels, "
            "whatever its proportions, and the centre is cut out",
        ]
    rule, side = entry.resize.rule, entry.resize.size
    if rule == "to_input":
        return [size, "Resizing: to that size, whatever the proportions"]
    if rule == "shortest_side":
        how = f"in its proportions until its shorter side has {side} pixels"
    else:
        how = f"to {side} x {side} pixels, whatever its proportions"
    centre = "" if (side, side) == (height, width) else "; the centre is cut out"
    return [size, f"Resizing: the picture is resized {how}{centre}"]


def _mean(mean) -> str:
    image = mean.file and f"the mean image `{mean.file.name}`"
    if not (channels := mean.channels or mean.stand_in):
        return f"{image}; no means of the channels were published"
    if not any(channels):
        return "nothing"
    blue, green, red = (f"{one:.6g}" for one in channels)
    numbers = f"{blue} from blue, {green} from green, {red} from red"
    if blue == green == red:
        numbers = f"{blue} from each"
    if image is None:
        return numbers
    whose = ", those of a related net" if mean.channels is None else ""
    return f"{image}, or while that is not in the cache {numbers}{whose}"


def _output(entry: ModelEntry) -> list[str]:
    return [_text(f"{what_it_gives(entry)} {_named(entry)}")]


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
    return [_table(header, *(_measured(one, figures) for one in rows))]


def _measured(one: Accuracy, figures: dict[str, str]) -> list[str]:
    values = [getattr(one, key) for key in figures]
    shown = ["" if value is None else f"{value:g}" for value in values]
    return [one.dataset, one.protocol or "not told", *shown, one.source]


def _table(header: list[str], *rows: list[str]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _licence(entry: ModelEntry) -> list[str]:
    licence = entry.licence
    return [
        _points(
            [
                f"Licence of the weights: {licence.text or _UNKNOWN}",
                f"Commercial use: {_COMMERCIAL[licence.non_commercial]}",
            ]
        )
    ]


def _size(entry: ModelEntry) -> list[str]:
    size = entry.file.size
    known = f"{_bytes(size)} ({size:,} bytes)" if size else _UNKNOWN
    least = f"{_bytes(4 * entry.parameters)} in float32"
    return [
        _points(
            [
                f"File: {known}",
                f"Parameters: {entry.parameters:,}, which are {least}",
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
            _text(f"The first use downloads the file `{file.name}`{archive}; so does"),
            _shell(f"keras-caffe-zoo download {entry.name}"),
            _points([f"<{url}>" for url in file.urls]),
            _checks(file),
        ]
    return [
        _text(f"No address of the file `{file.name}` is known. Once you have it, run"),
        _shell(f"keras-caffe-zoo install {entry.name}", file.name),
        _checks(file),
    ]


def _checks(file: WeightFile) -> str:
    """Return how the right file is told from others."""
    if not file.hashes:
        return _text(
            f"Its checksum was {_UNKNOWN}: the names and shapes of its layers are "
            "checked instead."
        )
    rows = ([name, f"`{digest}`"] for name, digest in file.hashes.items())
    return _table(["checksum", "of the file"], *rows)


def _shell(command: str, last: str = "") -> str:
    """Return a block with a command, its last word below it if they are too long."""
    line = f"{command} {last}".rstrip()
    if len(line) > WIDTH:
        line = f"{command} \\\n    {last}"
    return f"```sh\n{line}\n```"


def _points(lines: list[str]) -> str:
    return "\n".join(_text(line, "- ", "  ") for line in lines)


def _text(text: str, first: str = "", others: str = "") -> str:
    """Return a paragraph; what stands in backquotes is not cut in two."""
    parts = text.strip().split("`")
    whole = [p.replace(" ", "\0") if i % 2 else p for i, p in enumerate(parts)]
    return textwrap.fill(
        "`".join(whole),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace("\0", " ")
