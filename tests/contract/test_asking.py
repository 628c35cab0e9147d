"""One date's bad value speaks for that date only: what is asked again, how often, and what each date is told."""

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.checks.question import Question, question
from phasegate.domain.errors import EvaluationError, HaltError, InputError, PhasegateError, TransientError
from phasegate.ports import Parameter, Row, Warehouse
from phasegate.services.reading.asking import Answered, ask_by_date
from tests.unit.builders import days

TABLE = "asking.texts"
DAYS = days(64)
BAD = {DAYS[5]: "five", DAYS[6]: "six", DAYS[40]: "forty"}
"""The dates with a text that is no number."""

NUMBERS = f"SELECT d, SUM(CAST(v AS INT64)) AS n FROM `{TABLE}` WHERE d IN UNNEST(@days) GROUP BY d"
COLUMN = f"SELECT d, SUM(w) AS n FROM `{TABLE}` WHERE d IN UNNEST(@days) GROUP BY d"
ABSENT = "SELECT d, 1 AS n FROM `asking.absent` WHERE d IN UNNEST(@days)"
CONSTANT = f"SELECT d, SQRT(-1.0) AS n FROM `{TABLE}` WHERE d IN UNNEST(@days) OR d IS NULL"


@pytest.fixture(scope="module")
def warehouse(empty_warehouse: Warehouse) -> Warehouse:
    """A table of texts that are numbers, but on three dates, beside one row without a date."""
    empty_warehouse.apply_schema(f"CREATE TABLE IF NOT EXISTS `{TABLE}` (d DATE, v STRING)")
    texts = [{"d": str(day), "v": BAD.get(day, str(n))} for n, day in enumerate(DAYS)]
    empty_warehouse.append_missing(TABLE, [*texts, {"d": None, "v": "1"}], ["d"])
    return empty_warehouse


class Counting:
    """A warehouse whose queries are counted; it may fail before it asks."""

    def __init__(self, warehouse: Any, failing: Mapping[date, PhasegateError] | None = None) -> None:
        self._warehouse, self._failing = warehouse, failing or {}
        self.asked: list[list[date]] = []

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        """See the port."""
        of_dates: list[list[date]] = [parameters["days"] for _, parameters in questions]  # type: ignore[misc]
        self.asked += of_dates
        answers = self._warehouse.ask(questions)
        errors = [next((self._failing[day] for day in asked if day in self._failing), None) for asked in of_dates]
        return [error or answer for error, answer in zip(errors, answers, strict=True)]


def about(sql: str, *asked: date) -> Question:
    """A question about dates, all of them where none is named."""
    return question(sql, asked or DAYS, sql)


def told(answered: Answered) -> dict[date, Any]:
    """By date: the number that was found, or the error."""
    found: dict[date, Any] = {row["d"]: row["n"] for row in answered.rows}
    return found | {day: (type(error), str(error)) for day, error in answered.failed.items()}


def test_a_warehouse_tells_a_statement_that_a_value_makes_fail_from_one_that_is_wrong(warehouse: Warehouse) -> None:
    asked = [about(sql, DAYS[5]) for sql in (NUMBERS, COLUMN, ABSENT, CONSTANT)]
    answers = warehouse.ask([(each.sql, each.parameters) for each in asked])
    assert [type(answer) for answer in answers] == [EvaluationError, InputError, InputError, EvaluationError]
    assert "five" in str(answers[0])


def test_only_the_dates_whose_values_make_the_query_fail_are_told_so(warehouse: Warehouse) -> None:
    (answered,) = ask_by_date(warehouse, [about(NUMBERS)])
    assert answered.failed.keys() == BAD.keys()
    assert all(isinstance(error, EvaluationError) for error in answered.failed.values())
    assert all(BAD[day] in str(error) for day, error in answered.failed.items())
    assert told(answered) | dict.fromkeys(BAD) == {day: n for n, day in enumerate(DAYS)} | dict.fromkeys(BAD)


def test_which_dates_shared_a_query_changes_nothing_that_a_date_is_told(warehouse: Warehouse) -> None:
    (whole,) = ask_by_date(warehouse, [about(NUMBERS)])
    chance = random.Random(13)
    for _ in range(5):
        shuffled = chance.sample(DAYS, len(DAYS))
        ends = sorted(chance.sample(range(1, len(DAYS)), 6))
        groups = [shuffled[first:last] for first, last in zip([0, *ends], [*ends, len(DAYS)], strict=True)]
        regrouped = ask_by_date(warehouse, [about(NUMBERS, *group) for group in groups])
        assert {day: each for answered in regrouped for day, each in told(answered).items()} == told(whole)


def test_each_bad_date_costs_two_queries_a_halving(warehouse: Warehouse) -> None:
    counting = Counting(warehouse)
    ask_by_date(counting, [about(NUMBERS, *(day for day in DAYS if day not in (DAYS[5], DAYS[40])))])  # type: ignore[arg-type]
    assert len(counting.asked) <= 2 + 2 * 6
    assert len({tuple(each) for each in counting.asked}) == len(counting.asked) - 1, "the whole is asked twice at most"


@pytest.mark.parametrize("sql", [COLUMN, ABSENT])
def test_what_is_wrong_with_the_statement_is_asked_no_further(warehouse: Warehouse, sql: str) -> None:
    counting = Counting(warehouse)
    (answered,) = ask_by_date(counting, [about(sql)])  # type: ignore[arg-type]
    assert len(counting.asked) == 2
    assert answered.failed.keys() == set(DAYS)
    assert {type(error) for error in answered.failed.values()} == {InputError}


def test_what_fails_whatever_its_dates_is_not_taken_apart_to_the_last_one(warehouse: Warehouse) -> None:
    counting = Counting(warehouse)
    (answered,) = ask_by_date(counting, [about(CONSTANT)])  # type: ignore[arg-type]
    assert len(counting.asked) == 2 + 2 + 4 + 8 + 16 + 32 + 1
    assert answered.failed.keys() == set(DAYS)
    assert {type(error) for error in answered.failed.values()} == {EvaluationError}


def test_a_warehouse_that_does_not_answer_is_asked_once(warehouse: Warehouse) -> None:
    counting = Counting(warehouse, {DAYS[1]: TransientError("busy")})
    (answered,) = ask_by_date(counting, [about(NUMBERS)])  # type: ignore[arg-type]
    assert len(counting.asked) == 1
    assert {str(error) for error in answered.failed.values()} == {"busy"}
    assert answered.failed.keys() == set(DAYS)


def test_a_half_that_is_not_answered_just_now_leaves_the_other_half_answered(warehouse: Warehouse) -> None:
    class Once(Counting):
        """Fails from the second asking on."""

        def ask(self, questions: Any) -> Any:
            self._failing = {DAYS[63]: TransientError("busy")} if len(self.asked) > 1 else {}
            return super().ask(questions)

    (answered,) = ask_by_date(Once(warehouse), [about(NUMBERS)])  # type: ignore[arg-type]
    busy = {day for day, error in answered.failed.items() if isinstance(error, TransientError)}
    assert busy == set(DAYS[32:])
    assert answered.failed.keys() - busy == {DAYS[5], DAYS[6]}


def test_a_full_disk_is_no_answer_about_a_date(warehouse: Warehouse) -> None:
    with pytest.raises(HaltError):
        ask_by_date(Counting(warehouse, {DAYS[63]: HaltError("full")}), [about(NUMBERS)])  # type: ignore[arg-type]


def test_stretches_of_dates_far_apart_fail_by_themselves(warehouse: Warehouse) -> None:
    far = DAYS[0] + timedelta(days=400)
    (answered,) = ask_by_date(warehouse, [about(NUMBERS, DAYS[5], DAYS[7], far)])
    assert (answered.failed.keys(), [row["d"] for row in answered.rows]) == ({DAYS[5]}, [DAYS[7]])


@pytest.mark.parametrize("value", ["SUM(CAST(9223372036854775807 AS INT64) * 1) + MAX(n)", "ARRAY_AGG(v)"])
def test_a_result_that_bigquery_would_not_give_out_is_that_of_a_value_too(tmp_path: Path, value: str) -> None:
    embedded = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    embedded.apply_schema("CREATE TABLE IF NOT EXISTS `asking.rows` (d DATE, n INT64, v STRING)")
    rows = [{"d": str(day), "n": n, "v": str(n) if n else None} for n, day in enumerate(DAYS[:3])]
    embedded.append_missing("asking.rows", rows, ["d"])
    sql = f"SELECT d, {value} AS n FROM `asking.rows` WHERE d IN UNNEST(@days) GROUP BY d"
    (answered,) = ask_by_date(embedded, [about(sql, *DAYS[:3])])
    assert answered.failed.keys() == ({DAYS[0]} if "ARRAY" in value else set(DAYS[1:3]))
    embedded.close()


def test_a_query_that_fails_where_there_are_no_rows_is_no_statement_that_always_fails(tmp_path: Path) -> None:
    asked = days(128)
    empty = set(asked[64::2])
    embedded = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    embedded.apply_schema("CREATE TABLE IF NOT EXISTS `asking.rows` (d DATE)")
    embedded.append_missing("asking.rows", [{"d": str(day)} for day in asked if day not in empty], ["d"])
    counted = (
        "SELECT day AS d, (SELECT COUNT(*) FROM `asking.rows` AS r WHERE r.d = day) AS c FROM UNNEST(@days) AS day"
    )
    (answered,) = ask_by_date(embedded, [about(f"SELECT d, 1 / c AS n FROM ({counted}) AS counted", *asked)])
    assert answered.failed.keys() == empty
    assert {row["d"] for row in answered.rows} == set(asked) - empty
    embedded.close()
