"""The pages of the zoo: a table of all nets, and a page of each from its card."""

from keras_caffe_zoo.cards import model_card
from keras_caffe_zoo.cli.zoo import TASKS, accuracy
from keras_caffe_zoo.weights import ModelEntry, model_entry, model_names

_INDEX = """\
# The zoo

Every net here is one call, `kcz.caffenet(weights="caffe")`, and computes what Caffe
computed with the file that its authors published. Each name leads to the net's card:
paper, data, input, output, accuracy by source, licence, checksums, and the lines of
code that use it. A click on a column's head, or Enter when it has the focus, sorts by
it.

```{{list-table}}
:class: sortable
:header-rows: 1

* - net
  - task
  - MB
  - parameters, M
  - multiply-adds, G
  - accuracy
  - licence
  - commercial use
{rows}
```

MB
: The download, in millions of bytes.

multiply-adds
: Those of convolutions and inner products, in thousands of millions, for one picture of
  the net's own size. Nets that take pictures of any size have none.

accuracy
: Top-1/top-5 in percent for one centre crop, or mean IU, mean AP or plain accuracy: the
  first published figures, the authors' own where they gave any. Cards tell who measured
  what, and on which pictures. Figures of different tasks do not compare.

commercial use
: What the authors of the weights are known to say; `?` where they said nothing.

In a shell, `keras-caffe-zoo list` has the same, and `keras-caffe-zoo card NAME` each
card.

```{{toctree}}
:hidden:

{names}
```
"""

_PAGE = """\
{card}
## The builder

```{{eval-rst}}
.. autofunction:: keras_caffe_zoo.{name}
```

All nets are in [the table of the zoo](index.md).
"""

_MAY = {False: "yes", True: "no", None: "?"}


def zoo_index() -> str:
    """Return the page with the table of all nets."""
    entries = sorted(map(model_entry, model_names()), key=_order)
    rows = "\n".join(map(_row, entries))
    names = "\n".join(entry.name for entry in entries)
    return _INDEX.format(rows=rows, names=names)


def net_page(name: str) -> str:
    """Return the page of one net."""
    return _PAGE.format(card=model_card(name), name=name)


def _order(entry: ModelEntry) -> tuple[int, str]:
    return TASKS.index(entry.task), entry.name


def _row(entry: ModelEntry) -> str:
    work = entry.multiply_adds
    cells = [
        f"[`{entry.name}`]({entry.name}.md)",
        entry.task.replace("_", " "),
        _figure(entry.size / 1e6),
        _figure(entry.parameters / 1e6),
        "-" if work is None else _figure(work / 1e9),
        accuracy(entry),
        entry.licence.text or "unknown",
        _MAY[entry.licence.non_commercial],
    ]
    first, *others = (cell.replace("\n", " ") for cell in cells)
    return "\n".join([f"* - {first}", *(f"  - {_text(cell)}" for cell in others)])


def _text(cell: str) -> str:
    """Return a cell that no Markdown is made of: a dash would begin a list."""
    return "\\-" if cell == "-" else cell


def _figure(value: float) -> str:
    """Return a number with three figures, or what it has before the point."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 0.001 else f"{value:.1g}"
