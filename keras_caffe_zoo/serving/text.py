"""Answers as HTML: lines with bars, and messages. All that is not ours is escaped."""

from html import escape

from keras_caffe_zoo.serving.kinds import Row

_MOST_ROWS = 100


def table(rows: list[Row], more: str = "") -> str:
    """Return lines as HTML, the first of many.

    Args:
        rows: The lines.
        more: What is written above them.
    """
    above = f"<p>{escape(more)}</p>" if more else ""
    lines = "".join(map(_line, rows[:_MOST_ROWS]))
    rest = len(rows) - _MOST_ROWS
    below = f"<p>and {rest:,} more</p>" if rest > 0 else ""
    return f'{above}<div class="rows" role="list">{lines}</div>{below}'


def _line(row: Row) -> str:
    bar = ""
    if row.share is not None:
        width = 100 * min(max(row.share, 0.0), 1.0)
        bar = f'<span class="bar"><i style="width:{width:.1f}%"></i></span>'
    return (
        f'<div class="row" role="listitem"><span class="name">{escape(row.name)}</span>'
        f'{bar}<span class="text">{escape(row.text)}</span></div>'
    )


def message(text: str) -> str:
    """Return what is said in place of an answer."""
    return f'<p class="message" role="alert">{escape(text)}</p>'


def hint(text: str) -> str:
    """Return what is said where there is nothing to answer yet."""
    return f'<p class="hint">{escape(text)}</p>'
