"""Twenty disagreements, planted into a finished run: each is found, by its kind and place, and nothing else is."""

from dataclasses import dataclass
from datetime import date

import pytest

from tests.report.verifying import Finished, Spoil, kinds


@dataclass(frozen=True)
class Planted:
    """Something that is spoiled, and the finding that says so. day: the number of a game date; None: all of them."""

    name: str
    spoil: Spoil
    kind: str
    ref: str
    day: int | None


def delete(table: str, day: int, key: str | None = None) -> Spoil:
    """Rows that somebody deleted."""
    chosen = f" AND k = '{key}'" if key else ""
    return lambda home: home.write(f"DELETE FROM {table} WHERE d = ?{chosen}", home.days[day])


def update(table: str, day: int, change: str) -> Spoil:
    """Rows that somebody changed."""
    return lambda home: home.write(f"UPDATE {table} SET {change} WHERE d = ?", home.days[day])


def insert(table: str, values: str, day: int | None) -> Spoil:
    """A row that somebody wrote; day: None for the day without a game."""
    return lambda home: home.write(
        f"INSERT INTO {table} SELECT ?, {values}", home.free_day if day is None else home.days[day]
    )


def repeat(table: str, day: int) -> Spoil:
    """A row that is there twice."""
    return lambda home: home.write(f"INSERT INTO {table} SELECT * FROM {table} WHERE d = ? LIMIT 1", home.days[day])


def remove(name: str, day: int) -> Spoil:
    """An object that is gone."""
    return lambda home: (home.world.home.objects / name / f"{home.days[day]}.jsonl").unlink()


def forget(ref: str, day: int) -> Spoil:
    """A task of which state knows nothing any more."""
    phase, processor = ref.split("/")
    return lambda home: home.write_state(
        "DELETE FROM facts WHERE phase = ? AND processor = ? AND day = ?", phase, processor, str(home.days[day])
    )


PLANTED = [
    Planted("all rows of a raw table", delete("raw.a", 0), "passed_but_empty", "raw/a", 0),
    Planted("one row of a raw table", delete("raw.b", 1, "T3"), "passed_but_incomplete", "raw/b", 1),
    Planted("a team under another name", update("raw.a", 2, "k = replace(k, '1', '9')"), "passed_but_incomplete",
            "raw/a", 2),
    Planted("a raw row twice", repeat("raw.b", 3), "duplicate_keys", "raw/b", 3),
    Planted("a row too many", insert("raw.a", "'T9', 1, 1", 4), "passed_but_incomplete", "raw/a", 4),
    Planted("all rows of an analysis", delete("shape.left_side", 5), "passed_but_empty", "shape/left", 5),
    Planted("rows of an earlier attempt", update("shape.right_side", 3, "_fence = 0"), "rows_of_an_earlier_attempt",
            "shape/right", 3),
    Planted("rows that no attempt wrote", update("shape.left_side", 6, "_fence = NULL"), "rows_without_a_fence",
            "shape/left", 6),
    Planted("rows of an unknown writer", update("shape.right_side", 7, "_fence = 9999999999999999, v = v + 1"),
            "written_since_by_nobody_known", "shape/right", 7),
    Planted("rows in the bootstrap", insert("final.total", "'all', 1, 1", 0), "rows_where_none_are_right",
            "final/total", 0),
    Planted("rows on a day without a game", insert("raw.b", "'T0', 1, 1", None), "rows_off_the_calendar", "raw/b",
            None),
    Planted("an object", remove("a", 4), "passed_but_empty", "fetch/a", 4),
    Planted("a task without facts", forget("raw/a", 8), "rows_never_recorded", "raw/a", 8),
    Planted("another number of rows proved", lambda home: home.fact("raw/b", home.days[8], "proved", rows=3),
            "row_count_differs", "raw/b", 8),
    Planted("a failure over sound rows",
            lambda home: home.fact("shape/right", home.days[9], "proved", ok=False, error_class="bug", detail="no"),
            "failed_but_sound", "shape/right", 9),
    Planted("one row of an analysis", delete("shape.left_side", 9, "T2"), "passed_but_incomplete", "shape/left", 9),
    Planted("the end of a date", delete("final.total", 6), "passed_but_empty", "final/total", 6),
    Planted("a result twice", repeat("final.total", 7), "duplicate_keys", "final/total", 7),
    Planted("another object", remove("b", 2), "passed_but_empty", "fetch/b", 2),
    Planted("a whole table", lambda home: home.write("DROP TABLE shape.ahead"), "could_not_be_asked", "shape/ahead",
            None),
]  # fmt: skip


def places(home: Finished, planted: Planted) -> set[tuple[str, str, str]]:
    """The findings that are expected: what is made from rows of an unknown writer is older than these."""
    day: date | str = home.days[planted.day] if planted.day is not None else home.free_day
    found = {(planted.kind, "all" if planted.kind == "could_not_be_asked" else str(day), planted.ref)}
    if planted.kind == "written_since_by_nobody_known":
        found.add(("older_than_its_inputs", str(day), "final/total"))
    return found


def test_a_clean_run_has_no_finding(home: Finished) -> None:
    report = home.verify().report
    assert (kinds(report), report.agrees) == (set(), True)
    assert report.verdict.startswith("Complete: run r: all 8 outputs of 10 dates from 2024-01-01 to 2024-01-11 are")


def test_twenty_planted_disagreements_are_found_each_by_itself_and_no_other(home: Finished) -> None:
    for planted in PLANTED:
        planted.spoil(home)
    report = home.verify().report
    assert len(PLANTED) == 20
    alone = {"older_than_its_inputs"}  # final/total of that date is doubled: that says more
    assert kinds(report) == {each for planted in PLANTED for each in places(home, planted) if each[0] not in alone}
    assert not report.agrees
    assert {k.kind: k.findings for k in report.kinds}["passed_but_empty"] == 5


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_disagreement_alone_is_found_by_its_kind(home: Finished, planted: Planted) -> None:
    planted.spoil(home)
    assert kinds(home.verify().report) == places(home, planted)
