"""Tables of text: names may be shortened, visibly; a number never is."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_caffe_zoo.messages import one_line, shortened

WIDTH = 80  # of a table that can be as narrow
_NAME = 12  # what is left of a name at least
_EARLIER = 8  # by how many characters a list may be longer than a name, and be whole
_MORE = ", …"

Cell = str | Sequence[str]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: What stands above it.
        width: How wide it is if nothing in it is wider, and no other lacks room.
        names: Whether it has names, of which the middle may become `…`. What else is
            in a table, a number or a shape, is whole, be the table wider than 80.
        right: Whether it stands to the right.
    """

    heading: str
    width: int = 0
    names: bool = False
    right: bool = False


def table_lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Return the lines of a table, its headings first.

    It has 80 columns, or more where what is in it has to be whole.

    Args:
        columns: The columns.
        rows: A text for each column; or a list of texts, of which as many are shown as
            there is room for, then `…`.
    """
    cells = [[_items(cell) for cell in row] for row in rows]
    by_column = list(zip(*cells, strict=True)) or [()] * len(columns)
    widths = _widths(columns, by_column)
    lines = [[column.heading for column in columns]]
    for row in cells:
        fitted = zip(row, widths, columns, strict=True)
        lines.append([_fitted(items, width, c.names) for items, width, c in fitted])
    return [
        " ".join(
            f"{text:>{width}}" if column.right else f"{text:<{width}}"
            for text, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape as tables have it: `1 x 3 x ? x ?`."""
    return " x ".join("?" if size is None else str(size) for size in shape) or "scalar"


def _items(cell: Cell) -> list[str]:
    return [one_line(text) for text in ([cell] if isinstance(cell, str) else cell)]


def _widths(columns: Sequence[Column], by_column) -> list[int]:
    """Return how wide columns are: as wished, else what they need, else what they must.

    What room is lacking is taken from the widest of those that can be narrower, and
    from names first.
    """
    headings = [len(column.heading) for column in columns]
    needs = [
        max(heading, *(len(", ".join(items)) for items in cells), 0)
        for heading, cells in zip(headings, by_column, strict=True)
    ]
    least = [
        max(heading, *(_least(items, column.names) for items in cells), 0)
        for heading, cells, column in zip(headings, by_column, columns, strict=True)
    ]
    wished = [max(c.width, need) for c, need in zip(columns, needs, strict=True)]
    if _total(wished) <= WIDTH:
        return wished
    # Beyond this nothing is gained, and a stranger's name may be long.
    widths = [max(low, min(n, WIDTH)) for low, n in zip(least, needs, strict=True)]
    while _total(widths) > WIDTH:
        free = [i for i, width in enumerate(widths) if width > least[i]]
        if not free:
            break
        widths[max(free, key=lambda i: widths[i] + _EARLIER * columns[i].names)] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(widths) - 1


def _least(items: Sequence[str], names: bool) -> int:
    if not items:
        return 0
    first = min(len(items[0]), _NAME) if names else len(items[0])
    return first + (len(_MORE) if len(items) > 1 else 0)


def _fitted(items: Sequence[str], width: int, names: bool) -> str:
    """Return as many items as there is room for, at least the first."""
    text = ", ".join(items)
    if len(text) <= width:
        return text
    if len(items) == 1:
        return shortened(text, width, middle=True) if names else text
    count, length = 1, len(items[0]) + len(_MORE)
    for item in items[1:-1]:
        length += len(", ") + len(item)
        if length > width:
            break
        count += 1
    if count > 1:
        return ", ".join(items[:count]) + _MORE
    first = items[0]
    if names:
        first = shortened(first, width - len(_MORE), middle=True)
    return first + _MORE
