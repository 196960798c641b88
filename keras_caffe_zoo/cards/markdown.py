"""Blocks of Markdown, as wide as a terminal."""

import textwrap

WIDTH = 88
UNKNOWN = "not published"


def shell(command: str, last: str = "") -> str:
    """Return a block with a command, its last word below it if they are too long."""
    line = f"{command} {last}".rstrip()
    if len(line) > WIDTH:
        line = f"{command} \\\n    {last}"
    return f"```sh\n{line}\n```"


def points(lines: list[str]) -> str:
    """Return a list, an item for each line."""
    return "\n".join(text(line, "- ", "  ") for line in lines)


def text(text: str, first: str = "", others: str = "") -> str:
    """Return a paragraph; what stands in backquotes is not cut in two.

    Args:
        text: What it says, on one line.
        first: What its first line begins with.
        others: What its other lines begin with.
    """
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


def table(header: list[str], *rows: list[str]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def python(*lines: str) -> str:
    """Return a block with a program of the package."""
    body = "\n".join(lines)
    return f"```python\nimport keras_caffe_zoo as kcz\n\n{body}\n```"
