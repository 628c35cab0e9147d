"""What a table was made with is part of its record: where its worker says something else now, it is made again."""

from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.needed import Why
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.state.run import RunStatus
from phasegate.embedded_start import HomePreview, HomeStart
from phasegate.ports import ObjectStore, Warehouse
from phasegate.report.plan import plan_text
from phasegate.services.starting.planner import PlanMade
from phasegate.services.starting.start import plan_only, start
from tests.simulation.test_stale import findings, of_version
from tests.simulation.test_wave import carried
from tests.world import World, WorldWorker, drive

DATES = 6
ALL = list(range(DATES))


class SayingWorker(WorldWorker):
    """Says in its answers, and when it is asked, what ``words.json`` has for a processor; ``left/2024-01-03`` is for
    the answer of one date. ``left`` multiplies by what its word ends in."""

    def made_with(self) -> dict[str, dict[str, str]]:
        """What rows would be made with now."""
        words = self._read("words.json")
        if "cannot say" in words:
            raise InputError("the statements are not there")
        return {"/work": {name: word for name, word in words.items() if "/" not in name}}

    def _handle(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        status, answer = super()._handle(body)
        if word := self._word(body["processor"], body["date"]):
            for result in answer.get("results", {}).values():
                result["made_with"] = word
        return status, answer

    def _word(self, name: str, day: object) -> str:
        words: dict[str, str] = self._read("words.json")
        return words.get(f"{name}/{day}", words.get(name, ""))

    def _rows(self, phase: str, name: str, day: date) -> list[dict[str, Any]]:
        rows = super()._rows(phase, name, day)
        factor = self._word(name, day).rpartition("*")[2]
        return [{**row, "v": row["v"] // 2 * int(factor)} for row in rows] if name == "left" and factor else rows


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> SayingWorker:
    """The factory of these tests."""
    return SayingWorker(source, warehouse, objects)


def world_of(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> World:
    """A world whose worker says what it makes rows with."""

    def saying(document: dict[str, Any]) -> None:
        document["workers"]["world"]["factory"] = f"{__name__}:build"
        change(document)

    return World(folder, dates=DATES, change=saying)


def say(world: World, **words: str) -> None:
    """The worker is another one from now on."""
    named = {key.replace("__", "/"): word for key, word in words.items()}
    (world.source / "words.json").write_text(str(named).replace("'", '"'))


def request(world: World, reprocess: Any = "missing") -> RunRequest:
    return RunRequest(Selection(seasons=("2023-24",)), str(world.pipeline_file), str(world.source), reprocess=reprocess)


def planned(world: World, reprocess: Any = "missing") -> PlanMade:
    with HomePreview(world.home, world.source) as environment:
        return plan_only(request(world, reprocess), environment)


def repaired(world: World, run_id: str = "again") -> dict[str, list[int]]:
    """What ``--reprocess stale`` made again, by processor and number of the date."""
    world.clock.move_to(world.clock.now() + timedelta(days=1))
    with HomeStart(world.home, world.source, world.options) as environment:
        started = start(request(world, "stale"), environment, run_id)
        assert environment.embedded.drive(started.run.run_id).status is RunStatus.COMPLETED
    return carried(world, run_id)


def outdated(made: PlanMade) -> dict[str, list[int]]:
    return {ref: [(day - date(2024, 1, 1)).days for day in days] for ref, days in made.outdated.items()}


def test_only_the_tables_of_the_processor_that_is_made_with_something_else_are_outdated(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    say(world, left="v*2", right="as ever")
    drive(world)
    assert outdated(planned(world)) == {}
    say(world, left="2*v*2", right="as ever")
    made = planned(world)
    assert outdated(made) == {"shape/left": ALL}
    reason = "made with v*2, and would be made with 2*v*2 now"
    assert str(made.outdated["shape/left"][world.days[0]]) == reason
    assert f"  shape/left: 6 dates, 2024-01-01 to 2024-01-06: {reason}" in plan_text(made, {})
    assert {why for whys in made.why.values() for why in whys} <= {None, Why.NO_OUTPUT}, "missing goes by contents"
    assert findings(world) == set()


def test_they_are_made_again_with_what_is_built_on_them_where_their_rows_differ(tmp_path: Path) -> None:
    world = world_of(tmp_path / "changed")
    say(world, left="v*2")
    drive(world)
    say(world, left="v*3")
    why = planned(world, "stale").why
    assert set(why["shape/left"]) == {Why.OUTDATED}
    assert {ref for ref, whys in why.items() if Why.BUILT_ON in whys} == {"shape/right", "shape/ahead", "final/total"}
    assert why["raw/a"] == why["raw/b"] == [None] * DATES
    assert repaired(world) == {"left": ALL, "right": ALL, "ahead": ALL[1:], "total": ALL[2:]}
    clean = world_of(tmp_path / "clean")
    say(clean, left="v*3")
    drive(clean)
    assert world.tables() == clean.tables()
    assert outdated(planned(world)) == {} and findings(world) == set()


def test_the_wave_stops_where_the_rows_come_out_the_same(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    say(world, left="v*2")
    drive(world)
    before = world.tables()
    say(world, left="2*v*2")
    assert repaired(world) == {"left": ALL, "right": ALL}, "right stands beside left, and is not known to stay"
    assert world.tables() == before
    assert outdated(planned(world)) == {}


def test_what_an_answer_says_is_recorded_and_not_what_is_said_when_the_run_has_ended(tmp_path: Path) -> None:
    """While a worker is rolled out some attempts are answered by the one before."""
    world = world_of(tmp_path)
    say(world, left="2*v*2", **{f"left__{world.days[3]}": "v*2"})
    drive(world)
    assert outdated(planned(world)) == {"shape/left": [3]}


def test_a_table_that_was_made_empty_is_outdated_as_well(tmp_path: Path) -> None:
    def may_be_empty(document: dict[str, Any]) -> None:
        document["phases"][3]["processors"][0] |= {"may_be_empty": "nothing to add up", "checks": []}

    world = world_of(tmp_path, may_be_empty)
    world.misbehave(final__total__4=["empty"])
    say(world, total="one")
    drive(world)
    assert str(world.days[4]) not in {day for day, _, _ in world.tables()["final.total"]}
    (world.source / "behaviour.json").unlink()
    say(world, total="another")
    assert outdated(planned(world)) == {"final/total": ALL[2:]}
    assert repaired(world)["total"] == ALL[2:]
    assert str(world.days[4]) in {day for day, _, _ in world.tables()["final.total"]}


def test_where_either_says_nothing_nothing_is_compared(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    say(world, left="v*2")
    drive(world)
    say(world, right="something")
    assert outdated(planned(world)) == {}


def test_the_word_of_the_worker_decides_and_where_it_has_none_the_version_of_the_file(tmp_path: Path) -> None:
    world = world_of(tmp_path, of_version("1"))
    say(world, left="v*2", right="r")
    drive(world)
    world = world_of(tmp_path, of_version("2"))
    say(world, left="v*2", right="other")
    made = planned(world)
    assert made.outdated.keys() == {"raw/a", "raw/b", "shape/right", "shape/ahead", "final/total"}
    assert str(made.outdated["shape/right"][world.days[0]]).startswith("made with r")
    assert str(made.outdated["shape/ahead"][world.days[1]]).startswith("made by version 1")


@pytest.mark.parametrize("broken", ["cannot be made", "cannot say"])
def test_a_worker_that_cannot_be_asked_is_warned_of_and_the_plan_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("no source folder")

    world = world_of(tmp_path)
    say(world, left="v*2")
    drive(world)
    if broken == "cannot be made":
        monkeypatch.setattr(f"{__name__}.build", refuse)
    else:
        say(world, **{"cannot say": "x"})
    made = planned(world)
    assert outdated(made) == {} and made.plan.days == tuple(world.days)
    (warning,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warning.startswith("worker 'world' could not be asked whether it makes its rows with something else now: ")
    assert "no source folder" in warning or "the statements are not there" in warning


def test_no_worker_is_made_for_a_plan_where_no_record_says_what_rows_were_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_: object, names: Collection[str]) -> dict[str, Any]:
        raise AssertionError(f"{names} was asked")

    world = world_of(tmp_path)
    drive(world)
    monkeypatch.setattr(HomePreview, "ask_workers", asked)
    planned(world)


def test_what_a_worker_prints_while_it_is_asked_is_no_part_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = world_of(tmp_path)
    say(world, left="v*2")
    drive(world)
    monkeypatch.setattr(f"{__name__}.build", lambda *given: print("ready") or build_again(*given))  # noqa: T201
    planned(world)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "ready\n")


def test_a_worker_is_made_once_for_a_plan_that_looks_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(tmp_path)
    say(world, left="v*2")
    drive(world)
    say(world, left="v*3")
    made: list[str] = []
    monkeypatch.setattr(f"{__name__}.build", lambda *given: made.append("one") or build_again(*given))
    assert outdated(planned(world, "stale")) == {"shape/left": ALL}
    assert made == ["one"]


def build_again(*given: Any) -> SayingWorker:
    """As ``build``, under another name."""
    return SayingWorker(*given)
