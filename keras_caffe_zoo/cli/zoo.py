"""The command that shows the zoo: list."""

import shlex

from keras_caffe_zoo.cli._command import add_command, add_json

NAME = 19  # columns of a name at least
TASKS = (  # in the order of the table
    *("classification", "embedding", "detection", "face_detection", "segmentation"),
    *("pose", "edges", "colorization"),
)
LEGEND = """
MB        the download, in millions of bytes
ACCURACY  top-1/top-5 in percent for one centre crop, or mean IU, mean AP or
          plain accuracy: the first published figures, the authors' own where
          they gave any; `keras-caffe-zoo card NAME` tells who measured
          what, and on which images
CACHED    damaged files are replaced when next used
!         not for commercial use"""
SINGLE_CROP = ("one centre crop", None)  # None: the source does not say


def add_commands(commands) -> None:
    """Add this module's commands."""
    parser = add_command(
        commands,
        "list",
        _list,
        "Show every net of the zoo by what it does: size, published accuracy, licence, "
        "and whether its weights are in the cache.",
        example="list --task classification --license commercial",
    )
    parser.add_argument(
        "pattern",
        nargs="?",
        help="only nets with such a name, as in 'vgg*' (in quotes, for the shell)",
    )
    parser.add_argument(
        "--task", help="only nets that do this, such as detection or segmentation"
    )
    parser.add_argument(
        "--license",
        metavar="TEXT",
        help="only nets whose licence's text has this in it, such as MIT; or "
        "'commercial' for those whose authors are known to allow that",
    )
    add_json(parser)


def _list(arguments) -> list[dict]:
    from keras_caffe_zoo.weights import cached_mean, cached_path, model_entry
    from keras_caffe_zoo.weights import model_names as names

    found = names(arguments.pattern, task=arguments.task, license=arguments.license)
    if not found:  # each word fits some net, but no net all of them
        raise ValueError(
            "Expected words that some net fits all of; received: "
            f"{shlex.join(_asked(arguments))}"
        )
    entries = [model_entry(name) for name in found]
    if not arguments.json:
        groups = [[one for one in entries if one.task == task] for task in TASKS]
        print(*map(_table, filter(None, groups)), LEGEND.lstrip(), sep="\n\n")
        return []
    return [
        entry.as_dict()
        | {
            "parameters": entry.parameters,
            "citation": entry.citation,
            "cached": _text(cached_path(entry.name)),
            "cached_mean": _text(cached_mean(entry.name)),
        }
        for entry in entries
    ]


def _asked(arguments) -> list[str]:
    words = [arguments.pattern] if arguments.pattern else []
    words += ["--task", arguments.task] if arguments.task else []
    return words + (["--license", arguments.license] if arguments.license else [])


def _text(path) -> str | None:
    return path and str(path)


def _table(entries: list) -> str:
    """Return the nets of one task as lines, the first of which is their heading."""
    width = max(NAME, *(len(entry.name) for entry in entries))
    title = entries[0].task.replace("_", " ").upper()
    header = f"{title:<{width}}  {'MB':>3}  {'ACCURACY':<9}  {'CACHED':<7}    LICENCE"
    return "\n".join([header, *(_row(entry, width) for entry in entries)])


def _row(entry, width: int) -> str:
    mark = "!" if entry.licence.non_commercial else " "
    return (
        f"{entry.name:<{width}}  {_megabytes(entry.size):>3}  {accuracy(entry):<9}  "
        f"{_cached(entry):<7}  {mark} {entry.licence.text or 'unknown'}"
    ).rstrip()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f}" if size >= 5e5 else "<1"


def accuracy(entry) -> str:
    """Return a net's first published figures, `-` where there are none."""
    for figure, unit in (("mean_iu", " mIU"), ("mean_ap", " mAP"), ("accuracy", "")):
        if (value := _first(entry, figure)) is not None:
            return f"{value:.1f}{unit}"
    top1, top5 = (_first(entry, figure) for figure in ("top1", "top5"))
    if top1 is None and top5 is None:
        return "-"
    return "/".join("-" if one is None else f"{one:.1f}" for one in (top1, top5))


def _first(entry, figure: str) -> float | None:
    """Return the first published figure that other nets' can be compared with."""
    found = [getattr(a, figure) for a in entry.accuracy if a.protocol in SINGLE_CROP]
    return next((one for one in found if one is not None), None)


def _cached(entry) -> str:
    from keras_caffe_zoo.weights.cache import cached_path, converted_files

    if cached_path(entry.name):
        return "yes"
    return "damaged" if converted_files(entry) else "no"
