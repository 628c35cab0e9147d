"""What is older than its inputs is found by the plan of the next run, and made again."""

from pathlib import Path
from typing import Any

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.needed import Why
from phasegate.domain.state.run import RunStatus
from phasegate.ports import Partition
from phasegate.report.verify.compose import VerifierInputs, report_on_dates
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.planner import PlanMade, make_plan
from tests.world import World, drive

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


def findings(world: World) -> set[tuple[str, int]]:
    """The stale outputs that the verifier finds, by processor and number of the date."""
    with world.open() as embedded:
        made = make_plan(world.pipeline, world.calendar(), SEASON)
        inputs = VerifierInputs(None, embedded.warehouse, embedded.objects)
        report = report_on_dates(inputs, made.plan, world.clock.now())
    kinds = {line.kind for line in report.findings}
    assert kinds <= {"older_than_its_inputs"}, kinds
    return {(line.processor, world.days.index(line.date)) for line in report.findings if line.date}


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
    assert found == {"shape/left": [CHANGED], "shape/right": [CHANGED], "shape/ahead": [CHANGED]}
    assert findings(world) == {("left", CHANGED), ("right", CHANGED), ("ahead", CHANGED)}


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


def test_a_window_alone_is_enough_and_reaches_as_far_as_it_does(tmp_path: Path) -> None:
    """``left`` of a date is made again by itself: what looks back on it is stale where a window has that date."""
    world = World(tmp_path, dates=DATES)
    drive(world)
    with world.open() as embedded:
        day = world.days[CHANGED]
        rows = embedded.warehouse.query("SELECT k, v FROM `shape.left_side` WHERE d = @d", {"d": day})
        fence = 1 + max(r["f"] for r in embedded.warehouse.query("SELECT MAX(_fence) AS f FROM `final.total`"))
        lines = "".join(f'{{"d": "{day}", "k": "{r["k"]}", "v": {r["v"]}}}\n' for r in rows)

        embedded.warehouse.load_partition(Partition("shape.left_side", "d", day), lines.encode(), fence)
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
    assert seeds(made) == {"shape/left": [CHANGED], "shape/right": [CHANGED], "shape/ahead": [CHANGED]}


def test_rows_without_a_fence_say_nothing_of_their_age(tmp_path: Path) -> None:
    world = World(tmp_path, dates=DATES)
    drive(world)
    with world.open() as embedded, embedded.warehouse._transaction() as cursor:
        cursor.execute("UPDATE shape.left_side SET _fence = NULL")
    mended(world)
    assert seeds(planned(world)) == {"shape/right": [CHANGED], "shape/ahead": [CHANGED]}
