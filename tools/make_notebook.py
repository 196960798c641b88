#!/usr/bin/env python3
"""Turn a script of `# %%` cells into a notebook with its outputs.

    pip install ".[notebook,test]"
    python tools/make_notebook.py examples/net_surgery.py

runs the script in a fresh kernel and writes `examples/net_surgery.ipynb` beside it,
without what changes from run to run or from machine to machine.
"""

import argparse
import ast
import re
import tempfile
from pathlib import Path

_MARK = re.compile(r"^# %%(.*)$\n?", re.MULTILINE)


def cells(script: str) -> list[tuple[str, str]]:
    """Return a script's cells: `("code" or "markdown", text)`.

    Its docstring is the first cell; a cell after `# %% [markdown]` is comments.
    """
    start, *parts = _MARK.split(script)
    found = [("markdown", _titled(ast.get_docstring(ast.parse(start))))]
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        if mark.strip() == "[markdown]":
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
            found.append(("markdown", text.strip()))
        else:
            found.append(("code", text.strip()))
    return found


def _titled(docstring: str) -> str:
    title, _, rest = docstring.partition("\n")
    return f"# {title.rstrip('.')}\n{rest}"


def execute(script: Path):
    """Return the notebook of a script, executed in a folder that is then removed."""
    # Not at the top: the tests read cells() where these need not be installed.
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook()
    for index, (kind, text) in enumerate(cells(script.read_text("utf-8"))):
        make = getattr(nbformat.v4, f"new_{kind}_cell")
        notebook.cells.append(make(text, id=f"cell-{index}"))
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        options = {"timeout": 600, "kernel_name": "python3", "record_timing": False}
        options["coalesce_streams"] = True  # how they were cut depends on the time
        NotebookClient(notebook, resources=resources, **options).execute()
    notebook.metadata = {
        "kernelspec": {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        },
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        _strip(cell)
    return notebook


def _strip(cell) -> None:
    """Leave out logs, and the addresses in the names of pictures."""
    outputs = cell.get("outputs", [])
    cell["metadata"] = {}
    if outputs:
        cell["outputs"] = [o for o in outputs if o.get("name") != "stderr"]
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            data["text/plain"] = "<a picture>"
            data.pop("image/jpeg", None)  # the same once more


def main():
    """Write the notebook beside the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("script", type=Path)
    script = parser.parse_args().script
    import nbformat

    notebook = execute(script)
    nbformat.validate(notebook)
    nbformat.write(notebook, script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
