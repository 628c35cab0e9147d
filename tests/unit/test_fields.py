"""Every field of a dataclass or a model says what it holds, where it stands: for readers, and in the JSON Schema."""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

PACKAGES = (ROOT / "shared" / "phasegate", ROOT / "pipelines" / "nba" / "nba_worker")
RECORDS = {"BaseModel", "BaseSettings", "NamedTuple"}
"""Classes whose annotated names are fields, beside dataclasses and what is derived from such a class."""


def name_of(node: ast.expr) -> str:
    """The last word of a decorator or a base: ``dataclass`` of ``@dataclasses.dataclass(frozen=True)``."""
    if isinstance(node, ast.Call | ast.Subscript):
        return name_of(node.func if isinstance(node, ast.Call) else node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_described(field: ast.AnnAssign, following: ast.stmt | None) -> bool:
    """Whether the field has a docstring of its own, or a description in its annotation or its default."""
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return isinstance(following.value.value, str)
    calls = [node for node in ast.walk(field) if isinstance(node, ast.Call) and name_of(node) == "Field"]
    return any(keyword.arg == "description" for call in calls for keyword in call.keywords)


def bare_fields(trees: dict[str, ast.Module]) -> Iterator[str]:
    """``file: Class.field`` of every field that says nothing of itself."""
    classes = [
        (file, node) for file, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    records = set(RECORDS)
    while more := {c.name for _, c in classes if {name_of(base) for base in c.bases} & records} - records:
        records |= more
    for file, node in classes:
        if node.name not in records and "dataclass" not in {name_of(each) for each in node.decorator_list}:
            continue
        for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            if statement.target.id != "model_config" and not is_described(statement, following):
                yield f"{file}: {node.name}.{statement.target.id}"


def test_every_field_says_what_it_holds() -> None:
    trees = {
        str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8"))
        for package in PACKAGES
        for file in sorted(package.rglob("*.py"))
    }
    assert list(bare_fields(trees)) == []


@pytest.mark.parametrize(
    ("body", "bare"),
    [
        ("a: int\n    '''Rows.'''", []),
        ("a: int = Field(description='rows')", []),
        ("a: Annotated[int, Field(description='rows')] = 1", []),
        ("a: int = Field(default=1)", ["f.py: Each.a"]),
        ("'''Both.'''\n    a: int\n    b: int\n    '''Rows.'''", ["f.py: Each.a"]),
    ],
)
def test_a_field_that_says_nothing_is_found(body: str, bare: list[str]) -> None:
    for head in ("class Each(BaseModel):", "@dataclass(frozen=True)\nclass Each:", "class Each(Below):"):
        text = f"class Below(BaseModel):\n    pass\n{head}\n    {body}\n"
        assert list(bare_fields({"f.py": ast.parse(text)})) == bare
