"""The files of the project import each other in one direction only; where they lie says what they are."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = {"phasegate": ROOT / "shared", "functions": ROOT, "nba_worker": ROOT / "pipelines" / "nba"}
"""Top-level package -> the folder that it lies in."""


def modules() -> dict[str, Path]:
    """Dotted name -> file, of every file of the packages."""
    found = {}
    for package, folder in SOURCES.items():
        for file in (folder / package).rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a file imports anywhere: at its top, inside functions and for type checkers alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(files: dict[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules among these that it imports."""
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        names = imported(ast.parse(file.read_text(encoding="utf-8")))
        # ``from package import name``: a module of that name, or else something that the package itself holds.
        targets = {name if name in files else name.rpartition(".")[0] for name in names}
        graph[module] = {target for target in targets if target in files} - {module}
    return graph


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other round about, each the next one; empty when there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_two_files_import_each_other_directly_or_round_about() -> None:
    assert cycle(imports(modules())) == []


@pytest.mark.parametrize(
    "source",
    [
        "from phasegate.b import value",
        "from phasegate import b",
        "import phasegate.b",
        "def later():\n    from phasegate.b import value",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from phasegate.b import value",
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(source: str, tmp_path: Path) -> None:
    files = {}
    for name, text in {"a": source, "b": "import phasegate.c", "c": "from phasegate.a import other"}.items():
        files[f"phasegate.{name}"] = tmp_path / f"{name}.py"
        files[f"phasegate.{name}"].write_text(text)
    assert set(cycle(imports(files))) == set(files)


def test_nothing_is_imported_from_the_packages_of_the_first_layout() -> None:
    for file in (ROOT / name for name in tracked() if name.endswith(".py")):
        tops = {name.partition(".")[0] for name in imported(ast.parse(file.read_text(encoding="utf-8")))}
        assert not tops & {"shared", "workers"}, file


def test_every_folder_of_sources_is_where_the_layout_says() -> None:
    tops = {name.partition("/")[0] for name in tracked() if name.endswith(".py")}
    assert tops <= {"functions", "infra", "pipelines", "shared", "tests", "bench"}
    assert {name.split("/")[1] for name in tracked() if name.startswith("shared/")} == {"phasegate"}


def tracked() -> list[str]:
    """The files of the project; in a copy without a repository, those that lie there."""
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return listed.stdout.splitlines()
    folders = ("functions", "infra", "pipelines", "shared", "tests", "bench")
    return [str(f.relative_to(ROOT)) for folder in folders for f in (ROOT / folder).rglob("*") if f.is_file()]
