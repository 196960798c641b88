"""The house: each module says at its top what it needs, and none needs itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "keras_caffe_zoo"
ROOT = Path(__file__).parents[1] / PACKAGE

# What imports other modules of the package inside a function, and why it may.
LATE = {
    f"{PACKAGE}.cli": "a command imports what it runs; the parser needs none of it",
}


def modules_below(root: Path) -> dict[str, Path]:
    """Return the files of a package by their modules' names."""
    files = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports(name: str, path: Path, modules) -> Iterator[tuple[str, bool]]:
    """Yield each module of the package that a module imports, and whether late."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node, late in statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        else:
            up = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (up, node.module)))
            found = [f"{base}.{alias.name}" for alias in node.names]
            found = [one if one in modules else base for one in found]
        yield from ((one, late) for one in found if one in modules)


def statements(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Yield import statements, and whether they are in a function."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, late
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.orelse:
            yield from statements(child, late)
    else:
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from statements(child, late)


def needs(name: str, path: Path, modules) -> set[str]:
    """Return the modules that must be there before a module is.

    With `a.b.c` come the packages `a` and `a.b`, except those that the module is in:
    they have begun already.
    """
    found = set()
    for one, late in imports(name, path, modules):
        if not late:
            packages = {one.rsplit(".", up)[0] for up in range(1, one.count(".") + 1)}
            inside = {p for p in packages if f"{name}.".startswith(f"{p}.")}
            found |= {one, *packages} - inside if one != name else set()
    return found


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Return the sets of modules that reach each other, by Tarjan's algorithm."""
    number, low, stack, found = {}, {}, [], set()

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in graph[name]:
            if other not in number:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == number[name]:
            place = stack.index(name)
            if len(stack) > place + 1:
                found.add(frozenset(stack[place:]))
            del stack[place:]

    for name in graph:
        if name not in number:
            visit(name)
    return found


MODULES = modules_below(ROOT)


def is_in(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def test_modules_import_each_other_at_their_top():
    """What an import in a function hides is a circle, or a room of the wrong shape."""
    late = {
        (name, one)
        for name, path in MODULES.items()
        for one, late in imports(name, path, MODULES)
        if late and not any(is_in(name, allowed) for allowed in LATE)
    }
    assert not late


@pytest.mark.parametrize("allowed", LATE)
def test_what_may_import_late_does(allowed):
    """Else its line here is to be dropped."""
    assert any(
        late
        for name, path in MODULES.items()
        if is_in(name, allowed)
        for _, late in imports(name, path, MODULES)
    )


def test_no_modules_need_each_other():
    graph = {name: needs(name, path, MODULES) for name, path in MODULES.items()}
    assert circles(graph) == set()


A_HOUSE = {
    "__init__": "from house.hall import door",
    "hall": "def door():\n    import house.attic\n    from .cellar import wine",
    "attic": "from house import hall, cellar",
    "cellar/__init__": "from ..attic import box\nfrom . import wine",
    "cellar/wine": "from typing import TYPE_CHECKING\nimport house.garden\n"
    "if TYPE_CHECKING:\n    from house.cellar import old",
    "garden": "try:\n    from house.cellar.wine import red\nexcept ImportError: pass",
}


@pytest.fixture
def house(tmp_path):
    for name, text in A_HOUSE.items():
        path = tmp_path / "house" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return modules_below(tmp_path / "house")


def test_late_imports_are_seen(house):
    found = list(imports("house.hall", house["house.hall"], house))
    assert found == [("house.attic", True), ("house.cellar.wine", True)]


def test_circles_are_seen_through_packages_but_not_through_types(house):
    graph = {name: needs(name, path, house) for name, path in house.items()}
    assert graph["house.cellar.wine"] == {"house.garden"}
    assert graph["house.garden"] == {"house.cellar", "house.cellar.wine"}
    rooms = "attic", "cellar", "cellar.wine", "garden"
    assert circles(graph) == {frozenset(f"house.{room}" for room in rooms)}
