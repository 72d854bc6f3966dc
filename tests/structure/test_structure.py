"""The map is the territory: layers, what is pure, and no circle of modules."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
SOURCE = CHECKOUT / "src"
GENERATED = re.compile(r"_pb2$")


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


@cache
def modules() -> dict[str, ast.Module]:
    """The package's modules by their names."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not GENERATED.search(name):
            found[name] = ast.parse(path.read_text())
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """What a module imports, also in functions; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def test_the_map_has_each_package_in_the_order_that_imports_follow() -> None:
    rows = re.findall(
        r"^\| `(tortie\.\w+)` \|", (CHECKOUT / "docs" / "architecture.md").read_text(), re.M
    )
    (layers,) = (one["layers"] for one in contracts() if one["type"] == "layers")
    packages = {f"tortie.{path.parent.name}" for path in (SOURCE / "tortie").glob("*/__init__.py")}
    assert rows == layers[::-1]
    assert set(rows) == packages


def test_what_calls_itself_pure_imports_nothing_that_acts() -> None:
    (acting,) = (one["forbidden_modules"] for one in contracts() if one["type"] == "forbidden")
    pure = {
        name: tree for name, tree in modules().items() if "Pure" in (ast.get_docstring(tree) or "")
    }
    assert len(pure) > 100
    acts = {
        name: found
        for name, tree in pure.items()
        if (found := {each.partition(".")[0] for each in imported(tree)} & set(acting))
    }
    assert acts == {}


def test_no_module_needs_itself() -> None:
    """By way of others, whenever they are imported. A package's face names what is below it."""
    known = modules()
    faces = {name.rpartition(".")[0] for name in known}
    graph = {
        name: {each for each in imported(tree) if each in known and each not in faces} - {name}
        for name, tree in known.items()
        if name not in faces
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))
