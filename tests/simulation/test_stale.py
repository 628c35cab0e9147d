"""What was made from something else than what is there now is found by the plan of the next run, and made again."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.needed import Why
from phasegate.domain.errors import InputError
from phasegate.domain.state.run import RunStatus
from phasegate.ports import Partition
from phasegate.report.plan import plan_text
from phasegate.report.verify.compose import VerifierInputs, report_on_dates
from phasegate.report.verify.document.report import Report
from phasegate.services.operating import operators
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.planner import PlanMade, make_plan
from tests.world import START, World, drive

DATES = 9
CHANGED = 4
SEASON = Selection(seasons=("2023-24",))


def planned(world: World, selection: Selection = SEASON) -> PlanMade:
    """What a run would do, over everything unless something else is said."""
    with world.open() as embedded:
        prover = Prover(embedded.warehouse, embedded.objects)
        return make_plan(world.pipeline, world.calendar(), selection, reprocess="missing", prover=prover)


def seeds(made: PlanMade) -> dict[str, list[int]]:
    """The dates on which each table does not stand, by their number."""
    return {
        ref: found for ref, whys in made.why.items() if (found := [n for n, why in enumerate(whys) if why is Why.STALE])
    }


def report_of(world: World, selection: Selection = SEASON, phases: str | None = None) -> Report:
    """What the verifier says of all dates, unless something else is said."""
    with world.open() as embedded:
        made = make_plan(world.pipeline, world.calendar(), selection, phases=phases)
        inputs = VerifierInputs(None, embedded.warehouse, embedded.objects)
        return report_on_dates(inputs, made.plan, world.clock.now())


def findings(world: World) -> set[tuple[str, int]]:
    """The stale outputs that the verifier finds, by processor and number of the date."""
    report = report_of(world)
    kinds = {line.kind for line in report.findings}
    assert kinds <= {"older_than_its_inputs"}, kinds
    return {(line.processor, world.days.index(line.date)) for line in report.findings if line.date}


def ages_unknown(world: World) -> dict[str, int]:
    """The dates of which the verifier does not know whether a table is stale, by processor."""
    return {line.processor: line.dates for line in report_of(world).ages_unknown}


def mended(world: World) -> None:
    """The source of ``a`` changes on one date, and phases 1 and 2 of that date run again."""
    data = world.data()
    data["a"][str(world.days[CHANGED])][0]["v"] = 400
    world.rewrite(data)
    one = Selection(dates=(world.days[CHANGED],))
    assert drive(world, "one", selection=one, phases="fetch..raw", reprocess="all")[0].status is RunStatus.COMPLETED


def test_after_a_run_nothing_is_stale(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    assert seeds(planned(world)) == {} and findings(world) == set()


def test_a_source_that_changed_makes_stale_what_was_made_from_it_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    mended(world)
    found = seeds(planned(world))
    assert found == {"shape/left": [CHANGED], "shape/ahead": [CHANGED]}, "right reads b, which came out the same"
    assert findings(world) == {("left", CHANGED), ("ahead", CHANGED)}


def test_a_look_at_later_dates_and_phases_alone_sees_it_too(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    mended(world)
    report = report_of(world, Selection(first=world.days[CHANGED], last=world.days[-1]), "shape")
    found = {(line.kind, line.processor, line.date) for line in report.findings}
    assert found == {("older_than_its_inputs", name, world.days[CHANGED]) for name in ("left", "ahead")}
    assert not report.agrees
    assert {"inputs.raw/a", "inputs.raw/b"} <= {query.name for query in report.queries}


def test_the_next_run_makes_it_again_through_windows_and_phases_as_a_clean_run_would(tmp_path: Path) -> None:
    world = World(tmp_path / "mended", dates=DATES)
    drive(world)
    mended(world)
    board, _ = drive(world, "rest")
    assert board.status is RunStatus.COMPLETED
    clean = World(tmp_path / "clean", dates=DATES)
    clean.rewrite(world.data())
    drive(clean)
    assert world.tables() == clean.tables()
    assert seeds(planned(world)) == {} and findings(world) == set()


def write_again(world: World, more: int = 0) -> None:
    """``left`` of a date is written by itself, under a fence that is higher than any; its values change by ``more``."""
    with world.open() as embedded:
        day = world.days[CHANGED]
        rows = embedded.warehouse.query("SELECT k, v FROM `shape.left_side` WHERE d = @d", {"d": day})
        fence = 1 + max(r["f"] for r in embedded.warehouse.query("SELECT MAX(_fence) AS f FROM `final.total`"))
        lines = "".join(f'{{"d": "{day}", "k": "{r["k"]}", "v": {r["v"] + more}}}\n' for r in reversed(rows))
        embedded.warehouse.load_partition(Partition("shape.left_side", "d", day), lines.encode(), fence)


def forget_contents(world: World) -> None:
    """The home is one of a version that did not record what tables were made from."""
    with world.open() as embedded, embedded.warehouse._transaction() as cursor:
        cursor.execute("DROP TABLE ref.backfill_contents")


def test_what_was_written_again_and_is_the_same_makes_nothing_stale(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    write_again(world)
    assert seeds(planned(world)) == {} and findings(world) == set()


def test_a_forgotten_run_leaves_its_records(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    with world.open() as embedded:
        embedded.state.forget_run("r", world.clock.now())
    write_again(world)
    assert seeds(planned(world)) == {}
    write_again(world, more=1)
    assert "shape/right" in seeds(planned(world))


def test_an_input_that_holds_nothing_any_more_makes_stale_what_was_made_from_it(tmp_path: Path) -> None:
    """Rows that are gone carry no fence, but the record says that there were some."""

    def may_be_empty(document: dict[str, Any]) -> None:
        for processor in document["phases"][1]["processors"]:
            processor["may_be_empty"], processor["checks"] = "nothing was played", []

    world = World(tmp_path, dates=DATES, change=may_be_empty)
    drive(world)
    with world.open() as embedded:
        embedded.warehouse.delete_dates("raw.b", "d", [world.days[CHANGED]])
    found = seeds(planned(world))
    assert found == {"shape/right": [CHANGED], "shape/ahead": [CHANGED]}, "ahead says nothing of what it reads"


def test_what_could_not_be_recorded_ends_the_run_all_the_same_and_fences_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise InputError("no right to write it")

    world = World(tmp_path, dates=DATES)
    append = DuckDbWarehouse.append_missing
    monkeypatch.setattr(
        DuckDbWarehouse,
        "append_missing",
        lambda self, table, *more: refuse() if "contents" in table else append(self, table, *more),
    )
    assert drive(world)[0].status is RunStatus.COMPLETED
    assert "is not recorded: no right to write it" in caplog.text
    assert seeds(planned(world)) == {}
    write_again(world)
    assert "shape/right" in seeds(planned(world))


def test_a_run_that_ends_twice_is_recorded_once(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    world.misbehave(final__total__5=["fail:bug"])
    drive(world)

    def records() -> int:
        with world.open() as embedded:
            return int(embedded.warehouse.query("SELECT COUNT(*) AS n FROM `ref.backfill_contents`")[0]["n"])

    before = records()
    with world.open() as embedded:
        operators.retry(embedded.state, world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="")
        embedded.drive("r")
    assert records() == before + 1, "what the retry made"


def test_a_window_alone_is_enough_and_reaches_as_far_as_it_does(tmp_path: Path) -> None:
    """What looks back on ``left`` is stale where a window has the date; without records, though it is the same."""
    world = World(tmp_path, dates=DATES)
    drive(world)
    forget_contents(world)
    write_again(world)
    after = range(CHANGED + 1, DATES)
    expected: dict[str, Any] = {
        "shape/right": [CHANGED],
        "shape/ahead": list(after[:3]),
        "final/total": [CHANGED, *after[:2]],
    }
    assert seeds(planned(world)) == expected
    later = Selection(dates=(world.days[CHANGED + 1],))
    assert seeds(planned(world, later)) == {"shape/ahead": [0], "final/total": [0]}, "the input is no date of the run"


def test_a_run_of_later_phases_alone_finds_that_what_it_reads_is_younger(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    mended(world)
    with world.open() as embedded:
        prover = Prover(embedded.warehouse, embedded.objects)
        made = make_plan(
            world.pipeline, world.calendar(), SEASON, phases="shape..final", reprocess="missing", prover=prover
        )
    assert seeds(made) == {"shape/left": [CHANGED], "shape/ahead": [CHANGED]}


def test_rows_without_a_fence_say_nothing_of_their_age_and_are_counted(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    with world.open() as embedded, embedded.warehouse._transaction() as cursor:
        cursor.execute("UPDATE shape.left_side SET _fence = NULL")
    mended(world)
    assert seeds(planned(world)) == {"shape/ahead": [CHANGED]}
    assert ages_unknown(world) == {"left": DATES}
    forget_contents(world)
    assert ages_unknown(world) == {"left": DATES, "right": DATES - 1, "ahead": DATES - 2, "total": DATES - 2}


def of_version(version: str) -> Callable[[dict[str, Any]], None]:
    def named(document: dict[str, Any]) -> None:
        document["workers"]["world"]["version"] = version

    return named


def test_what_another_version_of_its_worker_made_is_told_and_made_again_when_that_is_asked_for(tmp_path: Path) -> None:
    drive(World(tmp_path, dates=DATES, change=of_version("1")))
    world = World(tmp_path, dates=DATES, change=of_version("2"))
    world.clock.move_to(START + timedelta(days=1))
    made = planned(world)
    assert made.outdated.keys() == {"raw/a", "raw/b", "shape/left", "shape/right", "shape/ahead", "final/total"}
    assert str(made.outdated["raw/a"][world.days[0]]) == "made by version 1 of its worker, which is 2 now"
    assert {why for whys in made.why.values() for why in whys} <= {None, Why.NO_OUTPUT}, "missing goes by contents"
    assert "  raw/a: 9 dates, 2024-01-01 to 2024-01-09" in plan_text(made, {})
    assert findings(world) == set()
    assert drive(world, "again", reprocess="stale")[0].status is RunStatus.COMPLETED
    assert planned(world).outdated == {}


def test_where_no_version_is_named_none_is_another_one(tmp_path: Path) -> None:
    drive(World(tmp_path, dates=DATES))
    assert planned(World(tmp_path, dates=DATES, change=of_version("2"))).outdated == {}
