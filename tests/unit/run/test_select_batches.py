"""A SELECT for sets makes many dates with one statement, and each date has the answer that it would have alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import HaltError, ReadsTooMuch, StatementRefused, TransientError
from phasegate.domain.protocol.worker import WorkerRequest
from phasegate.ports import Parameter, Partition, Partitions, Replaced
from phasegate.services.running import select_batches
from phasegate.services.running.select_batches import run_selects
from phasegate.services.running.sql_processors import PlannedSelect, run_select
from phasegate.worker import service

SCHEMA = """
CREATE TABLE IF NOT EXISTS `shop.orders` (day DATE, cents STRING) PARTITION BY day;
CREATE TABLE IF NOT EXISTS `shop.totals` (day DATE, cents INT64, season_start DATE, _fence INT64) PARTITION BY day;
"""
FOR_SETS = """
SELECT orders.day, SUM(CAST(orders.cents AS INT64)) AS cents, asked.season_start
FROM UNNEST(@dates) AS asked
JOIN `shop.orders` AS orders ON orders.day = asked.d
WHERE orders.day BETWEEN @first AND @last AND @season_start <= asked.season_start
GROUP BY orders.day, asked.season_start
"""
FOR_ONE = """
SELECT day, SUM(CAST(cents AS INT64)) AS cents, @season_start AS season_start  -- not of @dates
FROM `shop.orders`
WHERE day = @d
GROUP BY day
"""
DAYS = [date(2024, 3, 1) + timedelta(days=n) for n in range(8)]
LATER = datetime(2090, 1, 1, tzinfo=UTC)


class Counting(DuckDbWarehouse):
    """Counts its statements that write: ``asked`` holds the dates of each."""

    def __init__(self) -> None:
        super().__init__(Path(":memory:"))
        self.asked: list[list[date]] = []
        self.error: Exception | None = None

    def replace_partitions(
        self, partitions: Partitions, select: str, parameters: Mapping[str, Parameter]
    ) -> dict[date, Replaced]:
        self.asked.append(list(partitions.fences))
        if self.error is not None:
            raise self.error
        return super().replace_partitions(partitions, select, parameters)


@pytest.fixture
def warehouse() -> Iterator[Counting]:
    """Two orders on each date, of 100 and 20 cents."""
    made = Counting()
    made.apply_schema(SCHEMA)
    rows = [{"day": day, "cents": cents} for day in DAYS for cents in ("100", "20")]
    made.append_missing("shop.orders", rows, ["day", "cents"])
    yield made
    made.close()


def planned(day: date, select: str = FOR_SETS, is_expected: bool = True) -> PlannedSelect:
    return PlannedSelect(
        select=select,
        partition=Partition("shop.totals", "day", day),
        parameters={"d": day, "season_start": date(2024, 2, 1)},
        made_with="hash",
        is_expected=is_expected,
        why_empty="" if is_expected else "nothing is expected",
    )


def request(day: date, fence: int = 5, **more: Any) -> WorkerRequest:
    fields = {"run_id": "r", "phase": "p", "processor": "totals", "attempt": 1, "deadline": LATER, **more}
    return WorkerRequest(date=day, fence=fence, **fields)


def ask(warehouse: Counting, selects: Sequence[PlannedSelect], requests: Sequence[WorkerRequest]) -> list[Any]:
    """The status of each answer, and its result where there is one."""
    warehouse.asked.clear()
    answers = run_selects(selects, requests, warehouse)
    return [(status, body.get("results", {}).get("totals", body)) for status, body in answers]


def held(warehouse: Counting) -> dict[date, tuple[int, int]]:
    """Cents and fence by date."""
    rows = warehouse.query("SELECT day, cents, _fence FROM `shop.totals` ORDER BY day")
    return {row["day"]: (row["cents"], row["_fence"]) for row in rows}


def spoil(warehouse: Counting, *days: date) -> None:
    """Put an order whose cents are no number on these dates."""
    warehouse.append_missing("shop.orders", [{"day": day, "cents": "dear"} for day in days], ["day", "cents"])


SUCCESS = (200, {"status": "success", "rows": 1, "message": "", "error_class": None, "made_with": "hash"})


def test_a_batch_is_one_statement_and_each_date_is_written_under_its_own_fence(warehouse: Counting) -> None:
    requests = [request(day, 5 + n) for n, day in enumerate(DAYS)]
    assert ask(warehouse, [planned(day) for day in DAYS], requests) == [SUCCESS] * 8
    assert warehouse.asked == [DAYS]
    assert held(warehouse) == {day: (120, 5 + n) for n, day in enumerate(DAYS)}


def test_a_select_for_one_date_is_run_date_by_date_in_a_batch_also_where_a_comment_names_the_dates(
    warehouse: Counting,
) -> None:
    selects = [planned(day, FOR_ONE) for day in DAYS]
    assert ask(warehouse, selects, [request(day) for day in DAYS]) == [SUCCESS] * 8
    assert warehouse.asked == [[day] for day in DAYS]
    assert held(warehouse) == dict.fromkeys(DAYS, (120, 5))


@pytest.mark.parametrize("select", [FOR_SETS, FOR_ONE])
def test_a_batch_of_one_answers_as_the_date_alone_does(warehouse: Counting, select: str) -> None:
    alone = run_select(planned(DAYS[0], select), request(DAYS[0]), warehouse)
    assert run_selects([planned(DAYS[0], select)], [request(DAYS[0])], warehouse) == [alone]
    assert alone[1]["results"]["totals"]["rows"] == 1


def test_a_higher_fence_refuses_its_own_date(warehouse: Counting) -> None:
    ask(warehouse, [planned(DAYS[2])], [request(DAYS[2], 9)])
    found = ask(warehouse, [planned(day) for day in DAYS], [request(day) for day in DAYS])
    assert [status for status, _ in found] == [200, 200, 409, 200, 200, 200, 200, 200]
    assert "was written under fence 9; fence 5 came too late" in found[2][1]["message"]
    assert warehouse.asked == [DAYS]
    assert held(warehouse) == {day: (120, 9 if day == DAYS[2] else 5) for day in DAYS}


def test_a_date_without_rows_keeps_what_stands_there_unless_it_may_be_empty(warehouse: Counting) -> None:
    ask(warehouse, [planned(day) for day in DAYS[:4]], [request(day, 4) for day in DAYS[:4]])
    warehouse.delete_dates("shop.orders", "day", DAYS[1:6])
    selects = [planned(day, is_expected=day not in DAYS[2:5]) for day in DAYS[:6]]
    requests = [request(day, may_be_empty=day in DAYS[2:5]) for day in DAYS[:6]]
    written, kept, *emptied, nothing = ask(warehouse, selects, requests)
    assert written == SUCCESS
    assert (kept[1]["status"], kept[1]["error_class"]) == ("failed", "not_yet")
    assert kept[1]["message"] == (
        f"shop.totals of {DAYS[1]} holds 1 row, and this attempt yields 0: nothing was changed; rows are expected there"
    )
    messages = ["nothing is expected; 1 row of before deleted"] * 2 + ["nothing is expected"]
    assert [(result["status"], result["message"]) for _, result in emptied] == [("empty", each) for each in messages]
    assert (nothing[1]["status"], nothing[1]["error_class"]) == ("failed", "not_yet")
    assert "yields no row for 2024-03-06, and rows are expected" in nothing[1]["message"]
    assert held(warehouse) == {DAYS[0]: (120, 5), DAYS[1]: (120, 4)}


@pytest.mark.parametrize("bad", [[DAYS[0]], [DAYS[5]], [DAYS[1], DAYS[6]], DAYS])
def test_a_bad_value_fails_its_own_date(warehouse: Counting, bad: list[date]) -> None:
    spoil(warehouse, *bad)
    found = ask(warehouse, [planned(day) for day in DAYS], [request(day) for day in DAYS])
    assert [status for status, _ in found] == [422 if day in bad else 200 for day in DAYS]
    for status, body in found:
        assert status == 200 or (body["error_class"] == "bug" and "dear" in body["message"])
    assert held(warehouse) == {day: (120, 5) for day in DAYS if day not in bad}
    assert len(warehouse.asked) <= min(1 + 2 * 3 * len(bad), 2 * len(DAYS) - 1)


def test_a_row_of_a_date_that_was_not_asked_for_is_refused_with_that_date(warehouse: Counting) -> None:
    select = FOR_SETS.replace(
        "orders.day,", f"IF(orders.day = DATE '{DAYS[3]}', DATE '2023-01-01', orders.day) AS day,", 1
    )
    selects = [planned(day, select) for day in DAYS]
    found = ask(warehouse, selects, [request(day) for day in DAYS])
    assert [status for status, _ in found] == [422 if day == DAYS[3] else 200 for day in DAYS]
    assert "yields a row of another date: 2023-01-01" in found[3][1]["message"]
    assert held(warehouse) == {day: (120, 5) for day in DAYS if day != DAYS[3]}


def test_a_date_whose_deadline_has_passed_is_not_written(warehouse: Counting) -> None:
    late = datetime(2024, 1, 1, tzinfo=UTC)
    requests = [request(day, deadline=late if day == DAYS[1] else LATER) for day in DAYS[:3]]
    assert [status for status, _ in ask(warehouse, [planned(day) for day in DAYS[:3]], requests)] == [200, 409, 200]
    assert warehouse.asked == [[DAYS[0], DAYS[2]]]
    all_late = [request(day, 6, deadline=late) for day in DAYS]
    assert [status for status, _ in ask(warehouse, [planned(day) for day in DAYS], all_late)] == [409] * 8
    assert warehouse.asked == []
    assert held(warehouse).keys() == {DAYS[0], DAYS[2]}


def test_what_is_written_counts_also_where_the_statement_outlasts_the_deadline(
    warehouse: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline, now = datetime(2024, 3, 1, tzinfo=UTC), [datetime(2024, 2, 29, tzinfo=UTC)]
    monkeypatch.setattr(service, "has_passed", lambda of: now[0] >= of)
    monkeypatch.setattr(select_batches, "has_passed", lambda of: now[0] >= of)
    write = warehouse.replace_partitions

    def slow(*given: Any) -> dict[date, Any]:
        now[0] = datetime(2024, 3, 2, tzinfo=UTC)
        return write(*given)

    monkeypatch.setattr(warehouse, "replace_partitions", slow)
    requests = [request(day, deadline=deadline) for day in DAYS[:3]]
    assert ask(warehouse, [planned(day) for day in DAYS[:3]], requests) == [SUCCESS] * 3
    assert held(warehouse).keys() == set(DAYS[:3])


def test_dates_far_apart_are_made_apart_as_a_statement_reads_what_lies_between(warehouse: Counting) -> None:
    far = date(2025, 3, 1)
    warehouse.append_missing("shop.orders", [{"day": far, "cents": "7"}], ["day", "cents"])
    days = [*DAYS, far]
    assert ask(warehouse, [planned(day) for day in days], [request(day) for day in days]) == [SUCCESS] * 9
    assert warehouse.asked == [DAYS, [far]]


def test_what_is_no_dates_own_is_raised_for_the_whole_call_and_said_of_a_date_that_is_alone(
    warehouse: Counting,
) -> None:
    selects, requests = [planned(day) for day in DAYS], [request(day) for day in DAYS]
    warehouse.error = TransientError("the warehouse is busy")
    with pytest.raises(TransientError, match="busy"):
        ask(warehouse, selects, requests)
    assert warehouse.asked == [DAYS]
    refusal = (503, {"error_class": "transient", "message": "the warehouse is busy"})
    assert ask(warehouse, selects[:1], requests[:1]) == [refusal]
    wrong = [replace(each, select=FOR_SETS.replace("orders.cents", "orders.dollars")) for each in selects]
    warehouse.error = None
    with pytest.raises(StatementRefused, match="dollars"):
        ask(warehouse, wrong, requests)
    ((status, body),) = ask(warehouse, wrong[:1], requests[:1])
    assert status == 422 and "dollars" in body["message"]
    warehouse.error = HaltError("the disk is full")
    with pytest.raises(HaltError, match="full"):
        ask(warehouse, selects, requests)


def test_a_statement_that_would_read_too_much_needs_a_person_for_each_date(warehouse: Counting) -> None:
    warehouse.error = ReadsTooMuch("it would read 9 GB")
    found = ask(warehouse, [planned(day) for day in DAYS], [request(day) for day in DAYS])
    assert found == [(402, {"message": "it would read 9 GB"})] * 8
