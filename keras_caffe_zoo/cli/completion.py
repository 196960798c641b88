"""The option that prints what makes a shell complete the command's words.

The shell's script is made by shtab: it has all words in it, so that the Tab key starts
no Python. Nets' names are those of the version that printed it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from keras_caffe_zoo.cli.zoo import TASKS

SHELLS = ("bash", "zsh", "fish")
_NETS = ("model", "name", "names", "net", "preprocessing")  # arguments that name nets
_FILES = ("blobs", "data", "int8", "labels", "mean", "output", "sources", "weights")


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Give the command the option `--print-completion`."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        metavar="SHELL",
        help="print what makes a shell complete commands, options and nets' names: "
        f"{', '.join(SHELLS)}",
    )


class _PrintCompletion(argparse.Action):
    def __call__(self, parser, namespace, shell, option_string=None):
        import shtab

        from keras_caffe_zoo.weights import model_names

        nets = _words_or_files("nets", model_names())
        tasks = _words_or_files("tasks", TASKS, files=False)
        for argument in _arguments(parser):
            if argument.type is Path or argument.dest in _FILES:
                argument.complete = shtab.FILE
            elif argument.dest in _NETS:
                argument.complete = nets
            elif argument.dest == "task":
                argument.complete = tasks
        print(shtab.complete(parser, shell))
        parser.exit()


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its commands."""
    for action in parser._actions:  # argparse tells them in no other way
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
        else:
            yield action


def _words_or_files(name: str, words, files: bool = True) -> dict:
    """Return how each shell completes one of some words, or a file.

    Args:
        name: What the words are.
        words: The words: letters, digits and underscores.
        files: Whether it may be a file, too: a net's prototxt.
    """
    function, all_words = f"_keras_caffe_zoo_{name}", " ".join(words)
    bash = [f'compgen -W "{all_words}" -- "$1"', 'compgen -f -- "$1"']
    zsh = [f"'{name}:{name}:({all_words})'", "'files:file:_files'"]
    fish = [all_words, "(__fish_complete_path (commandline -ct))"]
    bash, zsh, fish = (kinds if files else kinds[:1] for kinds in (bash, zsh, fish))
    return {
        "bash": function,
        "zsh": function,
        "fish": " ".join(fish),
        "preamble": {
            "bash": f"{function}() {{ {'; '.join(bash)}; }}",
            "zsh": f"{function}() {{ _alternative {' '.join(zsh)} }}",
        },
    }
