"""How many tables are asked in one query, and what becomes of the others when one of them cannot be asked."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.checks.proof import Found
from phasegate.domain.errors import HaltError, InputError, PhasegateError, TransientError
from phasegate.domain.spec.pipeline import ObjectOutput, Output, TableOutput
from phasegate.ports import Parameter, Row
from phasegate.services.reading.prover import Prover

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
TABLES = ("data.a", "data.b", "data.c")


class Counting(DuckDbWarehouse):
    """A warehouse that notes how many queries each asking takes; ``failing``: what it raises for which word."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[int] = []
        self.failing: dict[str, PhasegateError] = {}

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        self.asked.append(len(questions))
        return super().ask(questions)

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Row]:
        for word, error in self.failing.items():
            if word in sql:
                raise error
        return super().query(sql, parameters)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Counting]:
    """Three tables, of which only the first keeps fences; so many rows on the first date as their place says."""
    made = Counting(tmp_path / "warehouse.duckdb")
    for place, table in enumerate(TABLES, 1):
        made.apply_schema(f"CREATE TABLE IF NOT EXISTS `{table}` (d DATE, k STRING, _fence INT64)")
        rows = ", ".join(f"(DATE '2024-01-01', 'k{n}', {n})" for n in range(place))
        made._connection.execute(f"INSERT INTO {table} VALUES {rows}")
    yield made
    made.close()


def outputs(*days: date) -> dict[str, tuple[Output, Sequence[date]]]:
    """What is counted: the three tables and an object."""
    found: dict[str, tuple[Output, Sequence[date]]] = {
        table: (
            TableOutput(table=table, date_column="d", keys=["k"], fence_column="_fence" if table == "data.a" else None),
            days,
        )
        for table in TABLES
    }
    return {**found, "object": (ObjectOutput(path="o/{date}.jsonl"), days)}


def counted(warehouse: Counting, tmp_path: Path, *days: date) -> dict[str, Any]:
    """The answers."""
    warehouse.asked.clear()
    return dict(Prover(warehouse, FolderObjectStore(tmp_path / "objects")).count(outputs(*days)))


def test_all_tables_are_counted_in_one_query_for_one_date_and_for_many(warehouse: Counting, tmp_path: Path) -> None:
    one = counted(warehouse, tmp_path, DAYS[0])
    assert sum(warehouse.asked) == 1
    assert counted(warehouse, tmp_path, *DAYS) == one
    assert sum(warehouse.asked) == 1


def test_each_table_has_its_own_numbers(warehouse: Counting, tmp_path: Path) -> None:
    assert counted(warehouse, tmp_path, *DAYS) == {
        "data.a": {DAYS[0]: Found(1, 0, 0)},
        "data.b": {DAYS[0]: Found(2)},
        "data.c": {DAYS[0]: Found(3)},
        "object": {},
    }


def test_tables_asked_about_different_dates_are_asked_apart(warehouse: Counting, tmp_path: Path) -> None:
    asked = outputs(DAYS[0])
    asked["data.c"] = (asked["data.c"][0], DAYS[1:])
    found = Prover(warehouse, FolderObjectStore(tmp_path / "objects")).count(asked)
    assert (sum(warehouse.asked), found["data.a"], found["data.c"]) == (2, {DAYS[0]: Found(1, 0, 0)}, {})


def test_a_table_that_is_not_there_does_not_speak_for_the_others(warehouse: Counting, tmp_path: Path) -> None:
    warehouse._connection.execute("DROP TABLE data.b")
    found = counted(warehouse, tmp_path, *DAYS)
    assert isinstance(found["data.b"], InputError)
    assert (found["data.a"], found["data.c"]) == ({DAYS[0]: Found(1, 0, 0)}, {DAYS[0]: Found(3)})


def test_when_the_warehouse_does_not_answer_nothing_is_known_and_it_is_asked_once(
    warehouse: Counting, tmp_path: Path
) -> None:
    warehouse.failing["data.b"] = TransientError("busy")
    found = counted(warehouse, tmp_path, *DAYS)
    assert all(isinstance(found[table], TransientError) for table in TABLES)
    assert sum(warehouse.asked) == 1


def test_a_full_disk_is_no_answer_about_a_table(warehouse: Counting, tmp_path: Path) -> None:
    warehouse.failing["data.b"] = HaltError("the disk is full")
    with pytest.raises(HaltError):
        counted(warehouse, tmp_path, *DAYS)
