"""``docs/firestore.md`` and ``infra/firestore.indexes.json`` against what a real run writes and asks for."""

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import Query

from phasegate.domain.errors import InputError
from tests.contract.eventful import EventfulRun

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "firestore.md"
INDEXES = json.loads((ROOT / "infra" / "firestore.indexes.json").read_text())
SOURCES = sorted((ROOT / "shared" / "phasegate" / "adapters" / "gcp").rglob("*.py"))

INDEXED_BYTES = 1500
"""Firestore indexes no more of a value than this (quotas page)."""


@dataclass(frozen=True)
class Asked:
    """A query: the collection, whether every collection of that name is meant, the fields that it needs indexed."""

    collection: str
    is_group: bool
    fields: tuple[str, ...]

    @property
    def scope(self) -> str:
        """As index definitions call it."""
        return "COLLECTION_GROUP" if self.is_group else "COLLECTION"


class Queries:
    """Every query that an adapter makes, and its file and line."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked: set[Asked] = set()
        self.lines: set[tuple[str, int]] = set()
        stream = Query.stream

        def noting(query: Query, *arguments: Any, **named: Any) -> Any:
            self._note(query)
            return stream(query, *arguments, **named)

        patch.setattr(Query, "stream", noting)

    def _note(self, query: Query) -> None:
        frame = sys._getframe(2)
        while frame is not None and Path(frame.f_code.co_filename) not in SOURCES:
            frame = frame.f_back  # type: ignore[assignment]
        if frame is not None:
            self.lines.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
            self.asked.add(_asked(query))


def _asked(query: Query) -> Asked:
    structured = query._to_protobuf()
    fields = [order.field.field_path for order in structured.order_by]
    where = structured.where
    filters = [where, *where.composite_filter.filters] if structured._pb.HasField("where") else []
    for each in filters:
        fields += [each.field_filter.field.field_path, each.unary_filter.field.field_path]
    (selected,) = structured.from_
    needed = tuple(sorted({field for field in fields if field and field != "__name__"}))
    return Asked(selected.collection_id, selected.all_descendants, needed)


@pytest.fixture(scope="module")
def queries() -> Iterator[Queries]:
    """What is asked from here on."""
    with pytest.MonkeyPatch.context() as patch:
        yield Queries(patch)


@pytest.fixture(scope="module")
def eventful(
    firestore_emulator: object, queries: Queries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EventfulRun]:
    """The run; every query of the adapters has been made once it is here."""
    with pytest.MonkeyPatch.context() as patch:
        run = EventfulRun(tmp_path_factory.mktemp("eventful"), patch)
        state = run.cloud.state
        state.runs(), state.unfinished(), state.listening("raw-done"), state.open_claims("r")
        state.quarantined("r"), state.quarantined(None), state.heals("r"), state.reports("r")
        with pytest.raises(InputError, match="unknown run"):
            state.run("nobody's")
        yield run


# The page


def tables_of_the_page() -> dict[str, list[str]]:
    """By kind of document, as the headings say: the fields in the first column of its table."""
    tables: dict[str, list[str]] = {}
    kind = ""
    for line in PAGE.read_text().splitlines():
        if heading := re.fullmatch(r"## `(.+)`", line):
            kind = heading[1]
        elif line.startswith("## "):
            kind = ""
        elif kind and line.startswith("| `"):
            tables.setdefault(kind, []).extend(re.findall(r"`([^`]+)`", line.split(" | ")[0]))
    return tables


def compare(document: Mapping[str, Any], fields: list[str]) -> tuple[set[str], set[str]]:
    """(fields of the page that the document has, fields of the document that the page lacks).

    A field of the page is a path; ``{word}`` stands for any key, ``[]`` for each element of a list.
    """
    found: set[str] = set()
    lacking: set[str] = set()

    def walk(path: tuple[str, ...], value: Any) -> None:
        known = next((field for field in fields if _fits(path, field)), None)
        if known is not None:
            found.add(known)
        elif isinstance(value, dict):
            for name, each in value.items():
                walk((*path, name), each)
        elif isinstance(value, list) and not path[-1].endswith("[]"):
            for each in value:
                walk((*path[:-1], f"{path[-1]}[]"), each)
        else:
            lacking.add(".".join(path))

    walk((), document)
    return found, lacking


def _fits(path: tuple[str, ...], field: str) -> bool:
    steps = field.split(".")
    return len(steps) == len(path) and all(
        step == name or re.fullmatch(r"\{\w+\}", step) for step, name in zip(steps, path, strict=True)
    )


def test_every_kind_of_document_that_a_run_writes_is_on_the_page(eventful: EventfulRun) -> None:
    assert set(tables_of_the_page()) == set(eventful.documents)
    named = {step for kind in eventful.documents for step in kind.split("/") if step.isalpha()}
    assert eventful.collections == named


def test_the_tables_name_every_field_that_a_run_writes_and_no_other(eventful: EventfulRun) -> None:
    for kind, fields in tables_of_the_page().items():
        compared = [compare(document, fields) for document in eventful.documents[kind]]
        assert set().union(*(lacking for _, lacking in compared)) == set(), f"not explained in the table of {kind}"
        assert set().union(*(found for found, _ in compared)) == set(fields), f"explained, but never written: {kind}"
        assert len(fields) == len(set(fields))


def test_the_documents_shown_have_the_fields_of_their_tables() -> None:
    tables = tables_of_the_page()
    shown = re.findall(r"## `([^`]+)`\n.*?```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert {kind for kind, _ in shown} == set(tables)
    for kind, text in shown:
        _, lacking = compare(json.loads(text), tables[kind])
        assert lacking == set(), f"shown, and not in the table of {kind}"


# The indexes


def overrides() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """By collection and field: (scope, order) of the indexes that replace the automatic ones."""
    return {
        (each["collectionGroup"], each["fieldPath"]): [(i["queryScope"], i["order"]) for i in each["indexes"]]
        for each in INDEXES["fieldOverrides"]
    }


def has_index(asked: Asked) -> bool:
    """Whether Firestore would answer: one field has its automatic index unless it is overridden, several need one."""
    if not asked.fields:
        return True
    if len(asked.fields) > 1:
        return any(
            (each["collectionGroup"], each["queryScope"]) == (asked.collection, asked.scope)
            and tuple(sorted(field["fieldPath"] for field in each["fields"])) == asked.fields
            for each in INDEXES["indexes"]
        )
    found = overrides().get((asked.collection, asked.fields[0]))
    if found is None:
        return not asked.is_group
    return asked.scope in {scope for scope, _ in found}


def test_every_query_of_the_adapters_was_seen(eventful: EventfulRun, queries: Queries) -> None:
    calls = [
        (source.name, node.lineno, node.end_lineno or node.lineno)
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stream"
    ]
    unseen = [
        f"{name}:{first}"
        for name, first, last in calls
        if not any(name == file and first <= line <= last for file, line in queries.lines)
    ]
    assert unseen == [], "lines whose query this test does not make"


def test_every_query_finds_its_index(eventful: EventfulRun, queries: Queries) -> None:
    assert Asked("board", True, ("status",)) in queries.asked
    assert [asked for asked in queries.asked if not has_index(asked)] == []


def test_what_is_large_or_steadily_grows_and_is_never_asked_for_is_not_indexed(
    eventful: EventfulRun, queries: Queries
) -> None:
    needed = {(asked.collection, field) for asked in queries.asked for field in asked.fields}
    heavy = {
        (collection, name)
        for kind, documents in eventful.documents.items()
        for collection in [re.sub(r"/[^/]+$", "", kind).rpartition("/")[2]]
        for document in documents
        for name, value in document.items()
        if isinstance(value, dict | list | bytes | datetime)
        or (isinstance(value, str) and len(value.encode()) > INDEXED_BYTES)
    }
    exempt = {place for place, indexes in overrides().items() if not indexes}
    assert exempt == (heavy - needed) | {("board", "packed")}, "packed is null in a small run"
