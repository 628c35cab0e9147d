"""A processor may be made from the calendar of its whole season up to its date: where that changes, it is stale."""

import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.needed import Why
from phasegate.domain.errors import NothingStale
from phasegate.domain.state.run import RunStatus
from phasegate.ports import ObjectStore, Partition, Warehouse
from phasegate.report.plan import plan_text
from phasegate.report.verify.compose import VerifierInputs, report_on_run
from phasegate.services.operating.operators import pause, resume
from phasegate.services.operating.refresh import propose, refresh
from phasegate.services.reading.cross_check import CalendarReader
from phasegate.services.reading.left_behind import left_behind
from tests.simulation.test_refresh import games, proposed, refreshed
from tests.simulation.test_stale import findings, planned, report_of, seeds
from tests.simulation.test_wave import carried
from tests.world import World, WorldWorker, drive, reading

DATES = 13
CHANGED = 4
WINDOW = 5
"""Dates that ``ahead`` looks back on."""
SEEN = list(range(CHANGED, CHANGED + WINDOW + 1))
AFTER = list(range(CHANGED, DATES))
SUMS = {"left": [CHANGED], "right": [CHANGED], "ahead": SEEN, "total": SEEN}
RAW = {"a": [CHANGED, CHANGED], "b": [CHANGED, CHANGED]}
"""Fetched and loaded."""


class CountingWorker(WorldWorker):
    """``count`` of a date holds how many games its season has had with it, ``parity`` and ``mark`` whether that is
    odd."""

    more_tables = "".join(
        f";CREATE TABLE IF NOT EXISTS `{table}` (d DATE, k STRING, v INT64, _fence INT64)"
        for table in ("shape.games", "shape.parity", "final.mark")
    )

    def _work(self, phase: str, name: str, day: date, fence: int, act: str) -> int:
        table = {"count": "shape.games", "parity": "shape.parity", "mark": "final.mark"}.get(name)
        if table is None:
            return super()._work(phase, name, day, fence, act)
        played = self._read("data.json")["games"]
        so_far = sum(played[str(each)] for each in self._days(day) if each <= day)
        line = json.dumps({"d": str(day), "k": "all", "v": so_far if name == "count" else so_far % 2}).encode()
        return self._warehouse.load_partition(Partition(table, "d", day), line, fence)

    def _rows(self, phase: str, name: str, day: date) -> list[dict[str, Any]]:
        if name != "ahead":
            return super()._rows(phase, name, day)
        window = [each for each in self._days(day) if each < day][-WINDOW:]
        return [{"k": "all", "v": sum(row["v"] for row in self._select("left", window))}]


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> CountingWorker:
    """The factory of these tests."""
    return CountingWorker(source, warehouse, objects)


def counter(name: str, table: str, **keys: Any) -> dict[str, Any]:
    """A processor that says what it reads itself."""
    output = {"kind": "table", "table": table, "date_column": "d", "keys": ["k"], "fence_column": "_fence"}
    return {"name": name, "output": output, **keys}


def counting(document: dict[str, Any]) -> None:
    """``count`` reads the calendar, and its neighbours do not; ``ahead`` looks back on five dates."""
    document["workers"]["world"]["factory"] = f"{__name__}:build"
    shape, final = document["phases"][2:]
    (window,) = [gate for gate in shape["gates"] if gate["check"] == "lookback"]
    window["dates"] = WINDOW
    shape["processors"].append(counter("count", "shape.games", reads_same_date=False, reads_calendar="season_to_date"))
    final["processors"][0]["reads"] = ["right", "ahead"]


def with_a_reader(document: dict[str, Any]) -> None:
    """``mark`` is made from ``parity``, which reads the calendar."""
    counting(document)
    shape, final = document["phases"][2:]
    shape["processors"].append(
        counter("parity", "shape.parity", reads_same_date=False, reads_calendar="season_to_date")
    )
    final["gates"][1]["for"] = ["total"]
    final["processors"].append(counter("mark", "final.mark", reads=["parity"]))


def silent(document: dict[str, Any]) -> None:
    """The file of before: nobody says that ``count`` reads the calendar."""
    counting(document)
    del document["phases"][2]["processors"][-1]["reads_calendar"]


def counts(world: World) -> list[int]:
    with reading(world.home.warehouse) as connection:
        return [v for (v,) in connection.execute("SELECT v FROM shape.games ORDER BY d").fetchall()]


def clean(folder: Path, **other: int) -> World:
    """A world whose run was planned with the schedule as it is in the end."""
    world = World(folder, dates=DATES, change=counting)
    games(world, **other)
    assert drive(world)[0].status is RunStatus.COMPLETED
    return world


def ran_without(folder: Path, games_left: int, change: Any = counting) -> World:
    """The run was planned while the schedule had so many games of one date, and then the others are put back."""
    world = World(folder, dates=DATES, change=change)
    games(world, **{f"d{CHANGED}": games_left})
    assert drive(world)[0].status is RunStatus.COMPLETED
    games(world)
    return world


def test_a_game_that_is_put_back_runs_what_its_windows_reach_and_what_counts_over_its_season(tmp_path: Path) -> None:
    world = ran_without(tmp_path / "mended", 1)
    before = seeds(planned(world))
    assert before == {"shape/count": AFTER}, "its raw tables do not pass, and all else follows from what they hold"
    assert findings_of_ages(world) == {("count", n) for n in AFTER}
    assert drive(world, "repair", reprocess="stale")[0].status is RunStatus.COMPLETED
    assert carried(world, "repair") == {**RAW, **SUMS, "count": AFTER}
    other = clean(tmp_path / "clean")
    assert (world.tables(), counts(world)) == (other.tables(), counts(other))
    assert seeds(planned(world)) == {} and findings(world) == set()
    with pytest.raises(NothingStale):
        drive(world, "once more", reprocess="stale")


def findings_of_ages(world: World) -> set[tuple[str, int]]:
    """What the verifier calls older than its inputs, by processor and number of the date."""
    lines = [line for line in report_of(world).findings if line.kind == "older_than_its_inputs"]
    return {(line.processor, world.days.index(line.date)) for line in lines if line.date}


def test_a_date_that_is_put_back_is_made_and_what_counts_over_its_season_is_made_again(tmp_path: Path) -> None:
    world = ran_without(tmp_path / "mended", 0)
    made = planned(world)
    assert [n for n, why in enumerate(made.why["shape/count"]) if why is Why.MISSING] == [CHANGED]
    assert seeds(made)["shape/count"] == AFTER[1:]
    assert drive(world, "repair", reprocess="missing")[0].status is RunStatus.COMPLETED
    assert carried(world, "repair") == {**RAW, **SUMS, "count": AFTER}
    other = clean(tmp_path / "clean")
    assert (world.tables(), counts(world)) == (other.tables(), counts(other))


def test_plan_and_verifier_say_in_what_the_calendar_is_another_one(tmp_path: Path) -> None:
    world = ran_without(tmp_path / "game", 1)
    day = world.days[-1]
    same = f"made from another calendar: its season up to {day} had other numbers or keys then"
    assert str(planned(world).stale["shape/count"][day]) == same
    world = ran_without(tmp_path / "date", 0)
    more = f"made from another calendar: its season up to {day} had 12 dates then, and has 13 now"
    made = planned(world)
    assert str(made.stale["shape/count"][day]) == more
    assert "had 5 dates then, and has 6 now" in plan_text(made, {})
    (detail,) = {line.detail for line in report_of(world).findings if (line.processor, line.date) == ("count", day)}
    assert detail == more


def test_of_a_record_that_says_nothing_of_the_calendar_nothing_is_said(tmp_path: Path) -> None:
    """A version that did not know of it made the records, or the file did not say so yet."""
    ran_without(tmp_path, 1, silent)
    world = World(tmp_path, dates=DATES, change=counting)
    assert recorded(world) == dict.fromkeys(world.days)
    assert "shape/count" not in seeds(planned(world)) and findings_of_ages(world) == set()
    assert drive(world, "repair", reprocess="stale")[0].status is RunStatus.COMPLETED
    assert carried(world, "repair") == {**RAW, **SUMS}


def recorded(world: World) -> dict[date, Any]:
    """What the newest records of ``count`` say of the calendar; None: nothing."""
    with world.open() as embedded:
        rows = embedded.warehouse.query(
            "SELECT data_date AS d, inputs FROM `ref.backfill_contents` WHERE processor = 'shape/count' ORDER BY fence"
        )
    return {row["d"]: json.loads(row["inputs"]).get("calendar") for row in rows}


def test_the_wave_stops_where_what_reads_the_calendar_came_out_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES, change=with_a_reader)
    games(world, **{f"d{CHANGED}": 4})
    drive(world)
    games(world)
    made = planned(world)
    assert {made.why["final/mark"][n] for n in AFTER} == {Why.BUILT_ON}
    assert drive(world, "repair", reprocess="stale")[0].status is RunStatus.COMPLETED
    found = carried(world, "repair")
    assert (found["parity"], "mark" in found) == (AFTER, False), "two games more leave the parity as it is"
    assert seeds(planned(world)) == {} and findings(world) == set()


def test_a_refresh_makes_again_what_counts_over_the_season_and_its_end_is_complete(tmp_path: Path) -> None:
    world = ran_without(tmp_path / "mended", 1)
    board, called = refreshed(world)
    assert board.status is RunStatus.COMPLETED
    assert sorted(world.days.index(day) for day, ref in called if ref == "shape/count") == AFTER
    other = clean(tmp_path / "clean")
    assert (world.tables(), counts(world)) == (other.tables(), counts(other))
    assert seeds(planned(world)) == {} and findings(world) == set(), "it began after the refresh was asked for"


@pytest.mark.parametrize("ahead", [False, True], ids=["one clock", "its worker's clock is ahead"])
def test_what_began_before_a_refresh_is_recorded_with_the_calendar_of_before(tmp_path: Path, ahead: bool) -> None:
    """Of one date the attempt of before stands, as the one after it failed: it counted by the schedule of before."""
    world = World(tmp_path, dates=DATES, change=counting)
    failed, last = CHANGED + 2, world.days[CHANGED + 5]
    games(world, **{f"d{CHANGED}": 1})
    with world.open() as embedded:
        world.begin(embedded)
        is_made = "SELECT 1 FROM claims WHERE day = ? AND phase = 'final'"
        embedded.drive("r", stop=lambda: embedded.database.execute(is_made, (str(last),)).fetchone() is not None)
        pause(embedded.state, "r")
    if ahead:
        with closing(sqlite3.connect(world.home.state)) as state, state:
            state.execute(
                "UPDATE facts SET doc = json_set(doc, '$.started_at', '2030-01-01T00:00:00Z') "
                "WHERE name = 'reported' AND processor = 'count' AND day = ?",
                (str(world.days[failed]),),
            )
    games(world)
    world.misbehave(**{f"shape__count__{failed}": ["ok", "fail:bug"]})
    with world.open() as embedded:
        refresh(embedded.state, world.clock, proposed(world, embedded))
        resume(embedded.state, "r")
        assert embedded.drive("r").status is RunStatus.COMPLETED_WITH_FAILURES
    assert counts(world)[failed] == 2 * (failed + 1) - 1
    assert seeds(planned(world)) == {"shape/count": [failed], "final/total": [failed]}, "it waits for its whole phase"


def test_a_run_whose_schedule_changed_says_that_and_not_that_what_was_made_since_is_older(tmp_path: Path) -> None:
    """Its plan holds the calendar of before, and what a repair made does not: neither is the other's fault."""
    world = ran_without(tmp_path, 1)
    drive(world, "repair", reprocess="stale")
    with world.open() as embedded:
        reader = CalendarReader(ScheduleFile(world.source, world.pipeline.calendar).query, None)
        inputs = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects, calendar=reader)
        lines = report_on_run(inputs, embedded.state, "r", world.clock.now()).findings
        repaired = report_on_run(inputs, embedded.state, "repair", world.clock.now())
    assert {line.date for line in lines} == {world.days[CHANGED]}
    assert "changed_in_the_schedule" in {line.kind for line in lines}
    assert repaired.agrees, repaired.verdict


def test_a_refresh_of_late_dates_sees_what_changed_in_their_season_before_them(tmp_path: Path) -> None:
    world = ran_without(tmp_path, 1)
    late = Selection(dates=tuple(world.days[-2:]))
    games(world, **{f"d{CHANGED}": 1})
    drive(world, selection=late, phases="shape", reprocess="all", run_id="late")
    games(world)
    with world.open() as embedded:
        found = propose(embedded.state, world.clock, "late", lambda *_: world.calendar())
    assert found.changes.looked_back_on == (world.days[CHANGED],)
    assert {world.days.index(found.after.days[p]) for p, phase in found.effects if phase == "shape"} == {11, 12}
    assert [cell.redo for (_, phase), cell in found.effects.items() if phase == "shape"] == [{"count"}, {"count"}]


def test_a_run_of_the_date_alone_names_what_counted_by_the_calendar_of_before(tmp_path: Path) -> None:
    world = ran_without(tmp_path, 1)
    drive(world, "date", selection=Selection(dates=(world.days[CHANGED],)), reprocess="all")
    with world.open() as embedded:
        behind = left_behind(embedded.state.index("date"), embedded.warehouse)
    assert behind is not None
    assert behind.tables["shape/count"] == tuple(world.days[CHANGED + 1 :])
    assert behind.tables["shape/ahead"] == tuple(world.days[CHANGED + 1 : CHANGED + 1 + WINDOW])
    assert (behind.first, behind.last) == (world.days[CHANGED + 1], world.days[-1])


def test_a_run_of_the_first_dates_leaves_nothing_behind_that_was_made_by_the_same_calendar(tmp_path: Path) -> None:
    world = clean(tmp_path)
    drive(world, "first", selection=Selection(dates=tuple(world.days[:2])), reprocess="all")
    with world.open() as embedded:
        assert left_behind(embedded.state.index("first"), embedded.warehouse) is None
