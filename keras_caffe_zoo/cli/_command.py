"""What the commands share."""

import argparse
from collections.abc import Callable


def add_command(
    commands,
    name: str,
    run: Callable,
    help: str,
    example: str | None = None,
    more: str = "",
) -> argparse.ArgumentParser:
    """Add a command to the parser.

    Args:
        commands: What `add_subparsers` returned.
        name: The word to type.
        run: Called with the parsed arguments; what it returns is printed with `--json`.
        help: One sentence.
        example: A command line that works.
        more: What the command's own help says besides.

    Returns:
        The command's own parser.
    """
    epilog = f"Example: keras-caffe-zoo {example}" if example else None
    text = f"{help} {more}".strip()
    parser = commands.add_parser(name, help=help, description=text, epilog=epilog)
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give a command the option `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def mean_of(text: str) -> str | list[float]:
    """Return the numbers of a text such as 104,117,123; or itself, a file's path."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text
