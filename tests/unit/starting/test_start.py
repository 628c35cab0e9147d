"""The line from a request to a run, in a home: what it finds again, what it writes, and where it stops."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import HomeInUse, InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.plan import WorkLetter
from phasegate.domain.state.run import DesiredState
from phasegate.embedded_start import HomePreview, HomeStart
from phasegate.ports import Row
from phasegate.services.starting.identity import identify
from phasegate.services.starting.start import Started, plan_only, preflight_only, start
from tests.world import World, WorldWorker


def request(world: World, **changes: object) -> RunRequest:
    """A request for the world's season."""
    plain = RunRequest(Selection(seasons=("2023-24",)), str(world.pipeline_file), str(world.source))
    return replace(plain, **changes)  # type: ignore[arg-type]  # the fields' own types


def begin(world: World, run_id: str | None = None, **changes: object) -> Started:
    """Walk the line, and leave the run undriven."""
    with HomeStart(world.home, world.source, world.options) as environment:
        return start(request(world, **changes), environment, run_id)


def change(world: World, run_id: str, **values: object) -> None:
    """Change a run that nobody drives."""
    with world.open() as embedded:
        embedded.state.change_run(run_id, lambda run: run.model_copy(update=values))


def test_a_request_becomes_a_run_that_can_be_driven_from_the_open_home(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    with HomeStart(world.home, world.source, world.options) as environment:
        started = start(request(world, why="first"), environment)
        board = environment.embedded.drive(started.run.run_id)
    assert (started.is_new, started.run.why, board.is_over(started.run)) == (True, "first", True)


def test_what_a_start_has_prepared_its_drive_finds_and_a_later_drive_prepares_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, prepared = World(tmp_path, dates=2), []
    monkeypatch.setattr(
        WorldWorker, "prepare", lambda worker, prepare=WorldWorker.prepare: prepared.append(prepare(worker))
    )
    with HomeStart(world.home, world.source, world.options) as environment:
        started = start(request(world), environment)
        environment.embedded.drive(started.run.run_id)
        assert len(prepared) == 1
        environment.embedded.drive(started.run.run_id)
        assert len(prepared) == 2


def test_a_start_asks_a_check_about_the_dates_that_hold_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=3)
    asked: list[list[date]] = []

    def noting(warehouse: DuckDbWarehouse, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        if "AS present" in sql:  # the check ``entities`` of raw/a and raw/b
            asked.append((parameters or {})["days"])
        return query(warehouse, sql, parameters)

    query = DuckDbWarehouse.query
    monkeypatch.setattr(DuckDbWarehouse, "query", noting)
    begin(world, "r")
    assert asked == []
    with world.open() as embedded:
        embedded.drive("r")
        for table in ("raw.a", "raw.b"):
            embedded.warehouse.delete_dates(table, "d", [world.days[1]])
    asked.clear()
    plan = begin(world, "s")
    assert asked == [[world.days[0], world.days[2]]]
    assert plan.is_new


def test_the_same_request_finds_its_unfinished_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    first = begin(world)
    assert begin(world) == Started(first.run, is_new=False)


def test_a_run_that_was_begun_under_the_hash_of_8e42da0_is_found_by_the_same_request(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    run = begin(world, "r").run
    (earlier,) = identify(request(world), world.pipeline).digests_of_version_1
    change(world, "r", request_hash=earlier)
    assert begin(world).run.run_id == begin(world, "r").run.run_id == run.run_id


def test_a_request_that_differs_becomes_another_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    begin(world, "r")
    change(world, "r", desired_state=DesiredState.CANCELLED)
    assert begin(world, phases="1..2").is_new


def test_a_cancelled_run_is_not_found_again(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    begin(world, "r")
    change(world, "r", desired_state=DesiredState.CANCELLED)
    assert begin(world).is_new


def test_a_run_id_that_belongs_to_another_request_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    begin(world, "r")
    with pytest.raises(InputError, match="run 'r' exists and was asked for differently"):
        begin(world, "r", phases="1..2")


@pytest.mark.parametrize(
    "changes",
    [{"selection": Selection(seasons=("1999-00",))}, {"phases": "9"}, {"profile": "bold"}, {"reprocess": "failed"}],
)
def test_a_bad_request_writes_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    world = World(tmp_path, dates=2)
    with pytest.raises(InputError):
        begin(world, **changes)
    assert not world.home.root.exists()


def test_a_home_that_is_driven_begins_no_second_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    with world.open(), pytest.raises(HomeInUse):
        begin(world)


def test_what_only_looks_writes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    with HomePreview(world.home, world.source) as environment:
        made = plan_only(request(world), environment)
        lines = preflight_only(request(world), environment)
    assert (len(made.plan.days), next(line.check for line in lines), world.home.root.exists()) == (2, "schedule", False)


def test_preflight_tells_of_a_damaged_warehouse_also_where_the_calendar_is_compared(tmp_path: Path) -> None:
    def compared(document: dict[str, Any]) -> None:
        document["calendar"]["cross_check"] = {"units": "games", "key": ["game_date", "home_team"]}

    world = World(tmp_path, dates=2, change=compared)
    world.run(phases="1..2")
    world.home.warehouse.write_bytes(b"no warehouse")
    with HomePreview(world.home, world.source) as environment:
        lines = {line.check: line.level.value for line in preflight_only(request(world), environment)}
    assert (lines["home"], lines["calendar"]) == ("FAIL", "PASS")


def test_a_plan_that_is_only_looked_at_is_the_plan_of_the_start(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    world.run(phases="1..2")
    with HomePreview(world.home, world.source) as environment:
        made = plan_only(request(world), environment)
    assert made.plan.work["raw/a"] == WorkLetter.ADOPT * 2
    assert begin(world).run.plan_hash == made.plan.hash


def test_dates_of_another_source_folder_are_told_of_and_made_again(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    world.run()
    world.source.rename(tmp_path / "moved")
    world.source = tmp_path / "moved"
    assert begin(world).remade == tuple(world.days)


def test_a_plan_that_could_not_be_read_again_is_found_out_before_its_run_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one infinite number did, which is stored as none: the whole home could not be read after it."""
    world = World(tmp_path, dates=2)
    endless = world.pipeline.queues["work"].model_copy(update={"max_backoff_seconds": float("inf")})
    pipeline = world.pipeline.model_copy(update={"queues": {**world.pipeline.queues, "work": endless}})
    monkeypatch.setattr("phasegate.embedded_start.load_pipeline", lambda _: pipeline)
    with pytest.raises(InputError, match="the plan of this pipeline cannot be read back once it is stored"):
        begin(world)
    with world.open() as embedded:
        assert embedded.state.runs() == []
