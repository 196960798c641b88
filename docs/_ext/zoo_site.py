"""The site's own extension of Sphinx: pages made of the package, and links to it."""

import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import zoo_pages
from caffe_table import details, overview
from docutils import nodes
from public_names import PACKAGE, path_of, paths_by_name, public_names
from reference_pages import reference_pages
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

import keras_caffe_zoo as kcz
from keras_caffe_zoo.view.net import viewed_file
from keras_caffe_zoo.view.page import net_page

_LAYERS = "caffe_layers.md"
_VIEWED = "digits_ssd.prototxt"
_QUOTED = re.compile(r"(?<![`:])`([^`]+)`(?![`_])(?=(\w?))")


def setup(app: Sphinx) -> dict:
    """Say to Sphinx what this extension does."""
    app.connect("builder-inited", _write_pages)
    app.connect("autodoc-process-docstring", _quote, priority=400)
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-process-bases", _name_bases)
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _resolve)
    app.connect("build-finished", _write_view)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write_pages(app: Sphinx) -> None:
    """Write what is made of the package where Sphinx looks for pages."""
    source = Path(app.srcdir)
    pages = {"zoo/index.md": zoo_pages.zoo_index()}
    pages |= {f"zoo/{name}.md": zoo_pages.net_page(name) for name in kcz.list_models()}
    pages |= {f"reference/{k}.rst": text for k, text in reference_pages().items()}
    pages[_LAYERS] = _layers_page()
    for name, text in pages.items():
        _write(source / name, text)
    for folder in ("zoo", "reference"):  # what an earlier build left
        for path in (source / folder).iterdir():
            if f"{folder}/{path.name}" not in pages:
                path.unlink()


def _layers_page() -> str:
    lead = (
        "# Caffe's layers and fields\n\nAll types of layers that the package knows, of "
        "Caffe and of its forks. Each leads to its fields: their types and defaults in "
        "a prototxt, the fork that added them, and the argument that they are here. "
        "(An empty last column: the import reads the field, and no argument of one "
        "name holds it.)\n\n## Types"
    )
    return f"{lead}\n\n{overview()}\n\n## Fields\n\n{details()}\n"


def _write(path: Path, text: str) -> None:
    """Write a page if it is new or another: Sphinx reads those alone again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def _write_view(app: Sphinx, error: Exception | None) -> None:
    """Write the page of a net that a guide shows, as the command `view` does."""
    if error is None and app.builder.format == "html":
        net = viewed_file(Path(kcz.__file__).parent / "data" / "demo" / _VIEWED)
        page = (Path(app.outdir) / "guides" / _VIEWED).with_suffix(".html")
        page.write_bytes(net_page(net))


def _quote(app, what, name, obj, options, lines: list[str]) -> None:
    """Make reStructuredText of Markdown's quotes and tables in docstrings."""
    if any(line.startswith("|") for line in lines):
        lines[:] = list(_tables(lines))
    if any("`" in line for line in lines):
        own = name.rpartition(".")[2]
        text = _QUOTED.sub(lambda match: _role(*match.groups(), own), "\n".join(lines))
        lines[:] = text.split("\n")


def _tables(lines: list[str]) -> Iterator[str]:
    """Yield lines with Markdown's tables as reStructuredText's."""
    for is_table, group in itertools.groupby(lines, lambda line: line.startswith("|")):
        if not is_table:
            yield from group
            continue
        yield from (".. list-table::", "   :header-rows: 1", "")
        for line in group:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not set("".join(cells)) <= set("-:"):
                marks = ["*", *" " * (len(cells) - 1)]
                yield from (
                    f"   {mark} - {cell}"
                    for mark, cell in zip(marks, cells, strict=True)
                )


def _role(text: str, behind: str, own: str) -> str:
    """Return what stands in backquotes as a link, if it is a public name, or literal.

    Args:
        text: What stands in them.
        behind: The letter that follows without a space, if one does.
        own: The name whose docstring it is.
    """
    end = "\\ " if behind else ""
    path = paths_by_name().get(text)
    if path and text != own:
        return f":py:obj:`{text} <{path}>`{end}"
    return f"``{text}``{end}"


def _sign(app, what, name, obj, options, signature, returns):
    """Return a class's arguments: Keras' own `__new__` hides those of layers."""
    if what != "class" or "__init__" not in _made(obj):
        return None
    found = inspect.signature(obj.__init__)
    found = found.replace(parameters=list(found.parameters.values())[1:])
    text = stringify_signature(found, show_annotation=True, unqualified_typehints=True)
    return text, None


def _made(kind: type) -> set[str]:
    """Return what the package's own classes among a class's bases define."""
    return {name for base in kind.__mro__ if _is_ours(base) for name in vars(base)}


def _name_bases(app, name, obj, options, bases: list) -> None:
    """Name in place of private classes the nearest that a reader can know."""
    known = (kind for kind in obj.__mro__[1:] if path_of(kind) or not _is_ours(kind))
    bases[:] = [next(known)]


def _is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] == PACKAGE


def _skip(app, what, name, obj, skip, options) -> bool | None:
    """Leave out the fields of tuples, which their class's docstring tells of."""
    return True if type(obj).__name__ in ("_tuplegetter", "member_descriptor") else None


def _resolve(app, env, node, contnode) -> nodes.Node | None:
    """Return a link to a public name that is meant by its module's own path."""
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    path = paths_by_name().get(name)
    if node.get("refdomain") != "py" or path is None or target == path:
        return None
    if "." in target and not target.startswith(PACKAGE):
        return None
    if path_of(public_names()[path].thing) is None:
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", path, node, contnode
    )
