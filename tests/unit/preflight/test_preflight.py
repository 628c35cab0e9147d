"""Lines of preflight over the ports, and what follows from them."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError, TransientError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import (
    Level,
    PreflightLine,
    failed,
    passed,
    require_passed,
    unanswered,
    warned,
)
from phasegate.domain.spec.pipeline import NamedColumns, TableOutput
from phasegate.services.starting.preflight import check_schedule, check_tables
from phasegate.services.starting.scope import settle_dates
from tests.unit.builders import NOW, calendar, days, pipeline

TEAMS = {"teams": ("BOS", "NYK")}


def schedule(selection: Selection, among: Calendar | None = None) -> list[PreflightLine]:
    """The schedule's lines for a selection."""
    request = RunRequest(selection, "pipeline.yaml")
    return check_schedule(settle_dates(request, pipeline(), among or calendar(days(6)), NOW))


def test_nothing_but_passes_and_warnings_may_start() -> None:
    require_passed([passed("a", "b", "c"), warned("a", "b", "c", "d")])


def test_a_refusal_names_each_failure_with_its_remedy() -> None:
    lines = [passed("queue", "q", "fine"), failed("queue", "p", "is paused", "resume it"), unanswered("x", "y", "z")]
    with pytest.raises(InputError) as refused:
        require_passed(lines)
    assert str(refused.value).splitlines() == [
        "preflight: 2 of 3 checks failed, nothing was started",
        "  FAIL queue p: is paused; resume it",
        "  FAIL x y: could not be asked: z; try again",
    ]


def test_what_could_only_not_be_asked_is_worth_another_try() -> None:
    with pytest.raises(TransientError):
        require_passed([unanswered("x", "y", "z")])


def test_a_schedule_that_covers_the_selection_passes_with_its_extent() -> None:
    (line,) = schedule(Selection(seasons=("S1",)))
    assert (line.level, line.detail) == (Level.PASS, "6 dates, 2024-01-01 to 2024-01-06")


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2023, 12, 1), date(2024, 1, 3), "--from 2023-12-01"),
        (date(2024, 1, 2), date(2024, 2, 1), "--to 2024-02-01"),
    ],
)
def test_a_range_beyond_the_schedule_is_worth_a_look(first: date, last: date, said: str) -> None:
    (line,) = schedule(Selection(first=first, last=last))
    assert line.level is Level.WARN
    assert line.detail.startswith(f"{said} lies outside: it holds 2024-01-01 to 2024-01-06")


def test_a_selected_date_whose_numbers_are_all_0_is_worth_a_look_and_nothing_is_due_there_by_them() -> None:
    hollow = Calendar.of(CalendarDate(d, "S1", {"games": n, "late": 0}, TEAMS) for n, d in enumerate(days(3)))
    (line,) = schedule(Selection(seasons=("S1",)), hollow)
    assert (line.level, line.detail) == (Level.WARN, "all numbers are 0 on 1 dates: 2024-01-01")


def test_a_selected_date_without_its_entities_is_worth_a_look() -> None:
    bare = Calendar.of(CalendarDate(d, "S1", {"games": 1}, TEAMS if n else {}) for n, d in enumerate(days(3)))
    (line,) = schedule(Selection(seasons=("S1",)), bare)
    assert (line.level, line.detail) == (Level.WARN, "no teams on 1 dates: 2024-01-01")
    assert line.remedy == "fill home_team and away_team"


OUTPUT = TableOutput(table="raw.a", date_column="d", keys=["k"])
NAMING = OUTPUT.model_copy(update={"keys": ["K", "team"], "fence_column": "_fence", "bookkeeping": ["Processed_At"]})


def tables(folder: Path, *statements: str, output: TableOutput = OUTPUT) -> list[tuple[Any, ...]]:
    """The lines about an output's table and the history after these statements."""
    named: dict[str, NamedColumns] = {output.table: output.named_columns, "ref.history": {}}
    warehouse = DuckDbWarehouse(folder / "w.duckdb")
    for statement in statements:
        warehouse.apply_schema(statement)
    try:
        return [(line.level, line.subject, line.detail) for line in check_tables(named, warehouse)]
    finally:
        warehouse.close()


A = "CREATE TABLE IF NOT EXISTS `raw.a` (d DATE, k STRING);"
HISTORY = "CREATE TABLE IF NOT EXISTS `ref.history` (run_id STRING);"


def test_tables_that_are_there_with_their_date_columns_pass(tmp_path: Path) -> None:
    assert [line[0] for line in tables(tmp_path, A, HISTORY)] == [Level.PASS]


def test_a_table_that_is_missing_fails(tmp_path: Path) -> None:
    assert tables(tmp_path, HISTORY) == [(Level.FAIL, "raw.a", "is not there")]


def test_a_table_without_its_date_column_fails(tmp_path: Path) -> None:
    other = A.replace("d DATE", "day DATE")
    assert tables(tmp_path, other, HISTORY) == [(Level.FAIL, "raw.a", "has no column d")]


WHOLE = "CREATE TABLE IF NOT EXISTS `raw.a` (d DATE, k STRING, team STRING, processed_at TIMESTAMP, _fence INT64);"


def test_columns_that_an_output_names_may_be_written_in_another_case_as_in_sql(tmp_path: Path) -> None:
    assert [line[0] for line in tables(tmp_path, WHOLE, HISTORY, output=NAMING)] == [Level.PASS]


@pytest.mark.parametrize(
    ("key", "names", "said"),
    [
        ("bookkeeping", ["processed_at", "procesed_at"], "has no column procesed_at; {} 'processed_at'?"),
        ("keys", ["k", "teem"], "has no column teem; {} 'team'?"),
        ("fence_column", "_fenc", "has no column _fenc; {} '_fence'?"),
        ("date_column", "D", "has no column D; correct date_column in the pipeline file, or the table; known: "),
    ],
)
def test_each_key_that_names_a_column_which_is_not_there_fails_with_the_nearest_name(
    tmp_path: Path, key: str, names: object, said: str
) -> None:
    output = NAMING.model_copy(update={key: names})
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb")
    warehouse.apply_schema(WHOLE)
    try:
        (line,) = check_tables({output.table: output.named_columns}, warehouse)
    finally:
        warehouse.close()
    meant = f"correct {key} in the pipeline file, or the table; did you mean"
    assert f"FAIL table raw.a: {said.format(meant)}" in str(line)


def test_a_date_column_that_holds_no_dates_fails(tmp_path: Path) -> None:
    other = A.replace("d DATE", "d TIMESTAMP")
    ((level, subject, detail),) = tables(tmp_path, other, HISTORY)
    assert (level, subject) == (Level.FAIL, "raw.a")
    assert detail.startswith("d is of type TIMESTAMP")
