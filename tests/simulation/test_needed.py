"""What a plan of what is missing makes, takes over, or does not need; and that the run after it finds the same."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.decisions.needed import Why
from phasegate.domain.plan import PLAN_MINOR, Plan, compile_plan
from phasegate.domain.state.run import RunStatus
from phasegate.report.plan import plan_document, plan_text
from phasegate.report.verify.findings import find
from phasegate.report.verify.reading import leave_out_unneeded, read_outputs
from phasegate.services.operating import operators
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.planner import PlanMade, make_plan
from tests.simulation.test_decisions import attempts
from tests.world import World, drive

Document = dict[str, Any]
FETCHES = ("fetch/a", "fetch/b")


def take_away(world: World, *names: str) -> None:
    """What a lifecycle rule of a bucket does; all of them where none is named."""
    for name in names or ("a", "b"):
        if "/" in name:
            (world.home.objects / f"{name}.jsonl").unlink()
        else:
            shutil.rmtree(world.home.objects / name)


def delete(world: World, table: str, *days: int) -> None:
    """Delete a table's rows of some dates."""
    with world.open() as embedded:
        embedded.prepare(world.pipeline, world.pipeline.phase_names)
        for day in days:
            embedded.warehouse.query(f"DELETE FROM `{table}` WHERE d = @d", {"d": world.days[day]})


def planned(world: World, **more: Any) -> PlanMade:
    """What a run of what is missing would do now."""
    with world.open() as embedded:
        embedded.prepare(world.pipeline, world.pipeline.phase_names)
        return make_plan(
            world.pipeline,
            world.calendar(),
            Selection(seasons=("2023-24",)),
            reprocess="missing",
            prover=Prover(embedded.warehouse, embedded.objects),
            **more,
        )


def letters(plan: Plan, *refs: str) -> dict[str, str]:
    """Letters of these tasks; a letter by itself where every date has it."""
    found = {ref: plan.letters[ref] for ref in refs}
    return {ref: strip[0] if len(set(strip)) == 1 else strip for ref, strip in found.items()}


def fetched_by_a_gate(document: Document) -> None:
    """The phase that writes objects and the next are joined by a gate and `reads`."""
    raw = document["phases"][1]
    del raw["released_with"]
    raw["gates"] = [{"check": "all_succeeded", "phase": "fetch"}]
    for processor in raw["processors"]:
        processor["reads"] = processor.pop("needs")


def fetched_by_a_gate_alone(document: Document) -> None:
    """The same, and nobody says what is read."""
    fetched_by_a_gate(document)
    for processor in document["phases"][1]["processors"]:
        del processor["reads"]


def no_odds(document: Document) -> None:
    """``raw/b`` is rightly empty on every date: its source holds none."""
    source = {"table": "raw.odds", "date_column": "d", "file": "odds.parquet", "otherwise": "no odds were kept"}
    document["calendar"]["sources"] = {"odds": source}
    document["phases"][1]["processors"][1]["source_dates"] = "odds"


# Objects


@pytest.mark.parametrize(
    "change",
    [lambda _: None, fetched_by_a_gate, fetched_by_a_gate_alone],
    ids=["needs", "a gate and reads", "a gate alone"],
)
def test_objects_that_were_taken_away_are_not_needed_while_what_reads_them_is_sound(
    tmp_path: Path, change: Any
) -> None:
    world = World(tmp_path, change=change)
    assert world.run().status is RunStatus.COMPLETED
    before = world.tables()
    take_away(world)
    made = planned(world)
    assert letters(made.plan, *FETCHES, "raw/a", "shape/left") == {
        "fetch/a": "n", "fetch/b": "n", "raw/a": "a", "shape/left": "a",
    }  # fmt: skip
    board, found = drive(world, "again")
    assert (board.status, board.halted_because, found.blocked) == (RunStatus.COMPLETED, "", ())
    assert (found.tasks["not_needed"], found.done, found.missing) == (12, found.tasks["expected"], ())
    assert attempts(world, "fetch", "a", 0) == 1
    assert world.tables() == before


def test_the_verifier_misses_no_object_that_nobody_needs_and_one_that_is_read(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    take_away(world)
    delete(world, "raw.b", 2)
    index = compile_plan(planned(world).plan)
    with world.open() as embedded:
        embedded.prepare(world.pipeline, world.pipeline.phase_names)
        reading = read_outputs(embedded.warehouse, embedded.objects, index)
        leave_out_unneeded(reading, index)
        lines = find(reading, index, None)
    found = {(line.kind, line.processor, line.table): line.date for line in lines}
    assert found == {("missing", "b", None): world.days[2], ("missing", "b", "raw.b"): world.days[2]}


@pytest.mark.parametrize("change", [lambda _: None, fetched_by_a_gate], ids=["needs", "a gate and reads"])
def test_objects_are_made_again_for_a_reader_that_is_missing_and_for_no_other(tmp_path: Path, change: Any) -> None:
    world = World(tmp_path, change=change)
    world.run()
    before = world.tables()
    take_away(world)
    delete(world, "raw.b", 2)
    plan = planned(world).plan
    assert letters(plan, "fetch/b", "raw/b") == {"fetch/b": "nnrnnn", "raw/b": "aaraaa"}
    assert letters(plan, *FETCHES, "raw/a") == {"fetch/a": "n", "fetch/b": "nnrnnn", "raw/a": "a"}
    board, found = drive(world, "again")
    assert (board.status, found.missing) == (RunStatus.COMPLETED, ())
    assert world.tables() == before


def left_reads_the_object(document: Document) -> None:
    """``shape/left`` reads the object of ``fetch/a`` and both tables."""
    document["phases"][2]["processors"][0]["reads"] += ["fetch/a", "raw/b"]


def test_an_object_that_is_there_is_taken_over_for_a_reader_that_only_follows_and_made_where_it_is_not(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, change=left_reads_the_object)
    world.run()
    delete(world, "raw.b", 2)
    kept = planned(world)
    assert letters(kept.plan, "fetch/a", "fetch/b", "raw/a") == {"fetch/a": "nnannn", "fetch/b": "nnrnnn", "raw/a": "a"}
    assert [kept.why[ref][2] for ref in ("raw/b", "fetch/b", "shape/left")] == [Why.MISSING, Why.READ, Why.BUILT_ON]
    take_away(world, f"a/{world.days[2]}")
    gone = planned(world)
    assert letters(gone.plan, "fetch/a", "raw/a") == {"fetch/a": "nnrnnn", "raw/a": "aaraaa"}
    assert [gone.why[ref][2] for ref in ("fetch/a", "raw/a")] == [Why.READ, Why.BUILT_ON]


def test_an_object_whose_reader_does_not_stand_is_made_again_though_it_is_there(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    whole = world.data()
    short = world.data()
    short["b"][str(world.days[1])] = []
    world.rewrite(short)
    assert world.run().status is RunStatus.COMPLETED_WITH_FAILURES
    world.rewrite(whole)
    assert letters(planned(world).plan, "fetch/b")["fetch/b"] == "nrn"
    assert world.run("again").status is RunStatus.COMPLETED


def test_an_object_that_nothing_reads_is_taken_over_when_it_is_there_and_made_when_it_is_not(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3)
    world.run(phases="1..1")
    take_away(world, f"b/{world.days[1]}")
    made = planned(world, phases="1..1")
    assert letters(made.plan, *FETCHES) == {"fetch/a": "a", "fetch/b": "ara"}
    assert made.why["fetch/b"] == [None, Why.MISSING, None]


def test_a_retry_makes_again_what_is_read_by_what_it_reaches_and_was_not_needed_before(tmp_path: Path) -> None:
    world = World(tmp_path, dates=4, change=left_reads_the_object)
    world.run()
    before = world.tables()
    take_away(world)
    with world.open() as embedded:
        world.begin(embedded, "again")
        embedded.warehouse.query("DELETE FROM `raw.b` WHERE d = @d", {"d": world.days[1]})
        assert embedded.drive("again").status is RunStatus.COMPLETED_WITH_FAILURES
        operators.retry(
            embedded.state, world.clock, "again", dates=(), phase=None, processor=None, signature=None, why=""
        )
        assert embedded.drive("again").status is RunStatus.COMPLETED
    assert world.tables() == before
    assert [attempts(world, "fetch", name, 1) for name in "ab"] == [2, 2]
    assert attempts(world, "fetch", "a", 0) == 1


# Plan and run agree


def test_an_object_whose_only_reader_is_rightly_empty_is_not_needed_and_plan_and_run_agree(tmp_path: Path) -> None:
    world = World(tmp_path, dates=3, change=no_odds)
    before_anything = make_plan(
        world.pipeline, world.calendar(), Selection(seasons=("2023-24",)), phases="1..2", reprocess="missing"
    ).plan
    assert letters(before_anything, "fetch/a", "raw/a", "fetch/b") == {"fetch/a": "r", "raw/a": "r", "fetch/b": "n"}
    board, found = drive(world, phases="1..2")
    with world.open() as embedded:
        assert embedded.state.plan("r").hash == before_anything.hash
    assert (board.status, found.blocked, found.done) == (RunStatus.COMPLETED, (), found.tasks["expected"])
    assert world.tables()["raw.b"] == []


def test_nothing_is_said_to_be_in_a_table_that_may_be_empty_and_is(tmp_path: Path) -> None:
    def may_be_empty(document: Document) -> None:
        document["phases"][1]["processors"][1] |= {"may_be_empty": "no odds", "checks": []}

    world = World(tmp_path, dates=2, change=may_be_empty)
    data = world.data()
    data["b"] = {}
    world.rewrite(data)
    drive(world)
    board, found = drive(world, "again")
    with world.open() as embedded:
        assert letters(embedded.state.plan("again"), "raw/a", "raw/b") == {"raw/a": "a", "raw/b": "o"}
    assert board.status is RunStatus.COMPLETED
    assert found.tasks["empty_ok"] >= 2


# What the plan says


def test_a_plan_says_why_its_tasks_run(tmp_path: Path) -> None:
    world = World(tmp_path, dates=4)
    world.run()
    take_away(world)
    delete(world, "raw.b", 1)
    made = planned(world)
    document = plan_document(made, {})
    assert document["why"] == {"missing": 1, "no_output": 4, "read": 1, "built_on": 2}
    counts = document["tasks"]
    assert (counts["run"], counts["not_needed"]) == (sum(document["why"].values()), 7)
    assert counts["expected"] == sum(n for name, n in counts.items() if name != "expected")
    assert document["phases"]["fetch"]["why"] == {"read": 1}
    text = plan_text(made, {})
    assert "7 not needed" in text
    assert "  to run       1 tasks: what reads it runs" in text
    assert "  to run       1 tasks: its output is not there" in text


@pytest.mark.parametrize("says", [True, False], ids=["what it reads is said", "it may read all of the phase"])
def test_a_processor_that_joins_a_phase_makes_only_its_readers_run(tmp_path: Path, says: bool) -> None:
    def joined(document: Document) -> None:
        shape, final = document["phases"][2]["processors"], document["phases"][3]["processors"]
        shape.append({**shape[2], "name": "more", "output": {**shape[2]["output"], "table": "shape.more"}})
        final[0]["reads"] = ["left", "right", "ahead"] if says else []

    World(tmp_path, dates=4).run()
    made = planned(World(tmp_path, dates=4, change=joined))
    running = {ref for ref, whys in made.why.items() if any(whys) and ref != "final/note"}
    assert running == ({"shape/more"} if says else {"shape/more", "final/total"})


def test_a_version_that_does_not_know_what_is_not_needed_makes_it(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    world.run()
    take_away(world)
    plan = planned(world).plan
    assert plan.schema_minor == PLAN_MINOR
    kept = plan.model_dump(mode="json", by_alias=True)
    del kept["details"], kept["schema_minor"]
    assert letters(Plan.model_validate(kept), *FETCHES) == {"fetch/a": "r", "fetch/b": "r"}
