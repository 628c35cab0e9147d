"""Queries about dates far apart leave out what lies between."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.dates import MOST_STRETCHES, stretches
from phasegate.domain.checks.proof import count_rows
from phasegate.domain.errors import PhasegateError, ReadsTooMuch
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import Parameter, Row
from phasegate.report.verify.questions import Table, rows_query, stretches_of
from phasegate.services.reading.prover import ask

EARLY, LATE = date(2020, 1, 31), date(2024, 1, 31)
BOTH = [EARLY, EARLY + timedelta(days=1), LATE]
OUTPUT = TableOutput(table="raw.a", date_column="d", keys=["k"])


def test_dates_are_cut_at_their_gaps_the_longest_first() -> None:
    assert stretches([LATE, *BOTH[:2]], 45) == [BOTH[:2], [LATE]]
    assert stretches(BOTH, 5000) == [BOTH]
    yearly = [date(2000 + n, 1, 1) for n in range(20)]
    assert len(stretches(yearly, 45)) == MOST_STRETCHES
    assert [day for each in stretches(yearly, 45) for day in each] == yearly


class Noting(DuckDbWarehouse):
    """A warehouse that notes the first and last date of every query."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bounds: list[tuple[Any, Any]] = []
        self.apply_schema("CREATE TABLE IF NOT EXISTS `raw.a` (d DATE, k STRING)")
        for day in (*BOTH, date(2022, 1, 1)):
            self._connection.execute("INSERT INTO raw.a VALUES (?, 'x')", [day])

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Row]:
        self.bounds.append(((parameters or {})["first"], (parameters or {})["last"]))
        return super().query(sql, parameters)


@pytest.fixture
def warehouse(tmp_path: Path) -> Noting:
    """Three dates that are asked about and one, between them, that is not."""
    return Noting(tmp_path / "warehouse.duckdb")


def test_a_proof_of_dates_four_years_apart_reads_each_by_itself_and_answers_as_one(warehouse: Noting) -> None:
    (rows,) = ask(warehouse, [count_rows(OUTPUT, BOTH)])
    assert not isinstance(rows, PhasegateError)
    assert sorted((row["d"], row["n"]) for row in rows) == [(day, 1) for day in BOTH]
    assert sorted(warehouse.bounds) == [(BOTH[0], BOTH[1]), (LATE, LATE)]


def test_the_verifier_leaves_out_years_without_a_date_of_the_calendar(warehouse: Noting) -> None:
    query = rows_query(Table("raw/a", OUTPUT), stretches_of(BOTH))
    assert query.sql is not None and "BETWEEN @first_2 AND @last_2" in query.sql
    assert sorted(row["d"] for row in warehouse.query(query.sql, query.parameters)) == BOTH


class Dear(Noting):
    """A warehouse in which a query over more than one table would read too much."""

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        return [
            ReadsTooMuch("20 GiB") if "UNION ALL" in sql else super(Dear, self).ask([(sql, parameters)])[0]
            for sql, parameters in questions
        ]


def test_tables_that_read_too_much_only_together_are_asked_one_by_one(tmp_path: Path) -> None:
    answers = ask(Dear(tmp_path / "warehouse.duckdb"), [count_rows(OUTPUT, [LATE])] * 2)
    assert [answer and len(answer) for answer in answers if not isinstance(answer, PhasegateError)] == [1, 1]
