"""What the calendar's numbers say of a date: nothing is due, something may be, or rows must be; and who is called."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.calendar.expectation import expectation
from phasegate.domain.calendar.expected_work import WorkKind, expected_work
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.operations.audit import Discrepancy
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.report.plan import plan_document, plan_text
from phasegate.report.verify.findings import find
from phasegate.report.verify.reading import read_outputs
from phasegate.services.operating import operators
from phasegate.services.starting.planner import PlanMade, make_plan
from tests.simulation.test_decisions import attempts
from tests.simulation.test_needed import delete, letters, planned
from tests.world import World, WorldWorker, drive

Document = dict[str, Any]
FIRSTS = "MAX(IF(EXTRACT(DAY FROM game_date) = 1, 1, 0))"
"""1 on the first of the world's six dates, which begins a month; 0 on the others."""


def monthly(**keys: Any) -> Callable[[Document], None]:
    """``shape/ahead`` is a monthly table: rows are due when a month begins."""

    def change(document: Document) -> None:
        document["calendar"]["numbers"]["monthly"] = FIRSTS
        ahead = document["phases"][2]["processors"][2]
        ahead["checks"] = [{"check": "rows", "exactly": "monthly"}]
        ahead |= keys

    return change


def expectations(world: World, ref: str) -> list[tuple[str, str]]:
    """What is expected of an output, date by date."""
    phase = ref.partition("/")[0]
    about = world.pipeline, world.calendar(), phase, world.pipeline.processor(ref)
    return [(letter.value, why) for letter, why in (expectation(*about, day) for day in world.days)]


def retried(world: World) -> None:
    """Retry everything of the run."""
    with world.open() as embedded:
        operators.retry(embedded.state, world.clock, "r", dates=(), phase=None, processor=None, signature=None, why="")


# Something is due, and the source has nothing yet


def test_a_source_that_has_a_dates_rows_since_needs_no_more_than_the_retry(tmp_path: Path) -> None:
    world = World(tmp_path)
    lacking, clean = world.data(), World(tmp_path / "clean")
    del lacking["a"][str(world.days[1])]
    world.rewrite(lacking)
    board, report = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert {failed.failure.error_class for failed in report.failures} == {ErrorClass.NOT_YET}
    world.rewrite(clean.data())
    retried(world)
    assert drive(world)[0].status is drive(clean)[0].status is RunStatus.COMPLETED
    assert world.tables() == clean.tables()


# Nothing is due


def test_where_a_number_of_rows_is_0_nothing_is_due_nobody_is_called_and_the_date_is_counted(tmp_path: Path) -> None:
    world = World(tmp_path, change=monthly())
    assert expectations(world, "shape/ahead") == [("e", "")] + [("z", "monthly is 0: no rows are due")] * 5
    board, found = drive(world)
    assert (board.status, found.missing) == (RunStatus.COMPLETED, ())
    assert [attempts(world, "shape", "ahead", day) for day in range(6)] == [1, 0, 0, 0, 0, 0]
    assert world.tables()["shape.ahead"] == [("2024-01-01", "all", 0)]
    with world.open() as embedded:
        plan = embedded.state.plan("r")
        assert letters(plan, "shape/ahead", "final/total") == {"shape/ahead": "rzzzzz", "final/total": "zzrrrr"}
    assert plan_document(PlanMade(plan, {}, {}), {})["tasks"]["nothing_due"] == 5 + 2
    assert found.tasks["empty_ok"] == 5 + 2


def test_a_request_says_how_many_rows_are_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, list[tuple[object, object]]] = {}
    handle = WorldWorker.handle

    def noting(worker: WorldWorker, path: str, body: Document) -> tuple[int, Document]:
        ref = f"{body['phase']}/{body['processor']}"
        sent.setdefault(ref, []).append((body.get("rows_at_least"), body.get("rows_at_most")))
        return handle(worker, path, body)

    def change(document: Document) -> None:
        monthly(run_when_empty=True)(document)
        document["phases"][1]["processors"][0]["checks"].append({"check": "rows", "at_least": "games + 1"})
        document["phases"][1]["processors"][1]["checks"] = [{"check": "rows", "at_least": "games"}]
        document["phases"][2]["processors"][1]["checks"] = []

    monkeypatch.setattr(WorldWorker, "handle", noting)
    World(tmp_path, dates=2, change=change).run()
    assert sent["fetch/a"] == [(None, None)] * 2, "it writes no table"
    assert sent["raw/a"] == [(4, 4), (4, 4)], "two checks: the largest of the least, the smallest of the most"
    assert sent["raw/b"] == [(2, None), (2, None)]
    assert sent["shape/right"] == [(1, None), (1, None)], "rows are due, and no check counts them"
    assert sent["shape/ahead"] == [(1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ([{"check": "rows", "exactly": "games - 5"}], "'exactly: games - 5' is -3"),
        (
            [{"check": "rows", "exactly": "games"}, {"check": "rows", "at_least": "3"}],
            "'exactly: games' is 2, and 'at_least: 3' is 3",
        ),
        (
            [{"check": "rows", "exactly": "games"}, {"check": "rows", "exactly": "4"}],
            "'exactly: games' is 2, and 'exactly: 4' is 4",
        ),
    ],
    ids=["below 0", "too few", "two numbers"],
)
def test_row_checks_that_no_number_meets_are_refused_with_the_date(
    tmp_path: Path, checks: list[Document], why: str
) -> None:
    def change(document: Document) -> None:
        document["phases"][1]["processors"][0]["checks"] = checks

    world = World(tmp_path, change=change)
    with pytest.raises(InputError) as error:
        world.run()
    assert f"raw/a: on {world.days[0]} no number of rows passes its checks: {why}" in str(error.value)


def test_a_worker_that_is_called_there_all_the_same_is_called_in_an_empty_home(tmp_path: Path) -> None:
    world = World(tmp_path, change=monthly(run_when_empty=True))
    made = planned(world)
    assert letters(made.plan, "shape/ahead") == {"shape/ahead": "r"}
    assert world.run(phases="1..3").status is RunStatus.COMPLETED_WITH_FAILURES, "it writes rows where none are right"
    assert [attempts(world, "shape", "ahead", day) for day in range(6)] == [1] * 6


def test_the_calendar_of_expected_work_says_so_too(tmp_path: Path) -> None:
    world = World(tmp_path, change=monthly())
    of_ahead = [
        (each.kind, each.may_hold_rows)
        for each in expected_work(world.pipeline, world.calendar(), ["shape"], world.days)
        if each.processor == "ahead"
    ]
    assert of_ahead == [(WorkKind.EXPECTED, True)] + [(WorkKind.EMPTY_OK, False)] * 5


def test_a_run_of_everything_calls_nobody_there_and_needs_no_object_of_what_is_empty(tmp_path: Path) -> None:
    def only_firsts(document: Document) -> None:
        monthly()(document)
        document["phases"][1]["processors"][1]["checks"] = [{"check": "rows", "exactly": "2 * games * monthly"}]

    world = World(tmp_path, change=only_firsts)
    drive(world, reprocess="all")
    with world.open() as embedded:
        assert letters(embedded.state.plan("r"), "fetch/b", "raw/b") == {"fetch/b": "rnnnnn", "raw/b": "rzzzzz"}
    assert world.report().status is RunStatus.COMPLETED
    assert {day for day, _, _ in world.tables()["raw.b"]} == {"2024-01-01"}


def test_rows_where_nothing_is_due_are_a_finding_and_the_remedy_that_is_printed_helps(tmp_path: Path) -> None:
    world = World(tmp_path, change=monthly())
    with world.open() as embedded:
        embedded.prepare(world.pipeline, world.pipeline.phase_names)
        embedded.warehouse.query("INSERT INTO `shape.ahead` SELECT @d, 'all', 7, 1", {"d": world.days[1]})
    made = planned(world)
    document = plan_document(made, {})
    assert document["rows_where_none_are_right"] == {"shape/ahead": ["2024-01-02"]}
    text = plan_text(made, {}, inputs=["--pipeline", "p.yaml", "--source", "my games"])
    assert "shape/ahead: 1 dates, 2024-01-02 to 2024-01-02" in text
    command = "phasegate rollback --pipeline p.yaml --source 'my games' --phase shape --processor ahead"
    assert f"    {command} --dates 2024-01-02 --yes" in text
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert found.blocked[0].reasons[0].detail == "ahead: 0 rows are right here, the table holds 1"
    assert attempts(world, "shape", "ahead", 1) == 0
    with world.open() as embedded:
        (root,) = (root for root in explain(embedded.state, "r", None, None).roots if root.kind == "blocked")
        index = embedded.state.index("r")
        lines = find(read_outputs(embedded.warehouse, embedded.objects, index), index, None)
    assert root.remedy == (
        f"phasegate rollback --pipeline {world.pipeline_file} --source {world.source} --phase shape --processor ahead "
        "--dates 2024-01-02 --yes deletes what stands there, then: phasegate retry r --date 2024-01-02 --phase shape"
    )
    assert [line.date for line in lines if line.kind == Discrepancy.NOT_RIGHT] == [world.days[1]]
    delete(world, "shape.ahead", 1)
    retried(world)
    with world.open() as embedded:
        assert embedded.drive("r").status is RunStatus.COMPLETED
    assert attempts(world, "shape", "ahead", 1) == 0


def test_a_pipeline_may_ask_that_a_worker_is_called_there_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, change=monthly(run_when_empty=True))
    world.misbehave(**{f"shape__ahead__{day}": ["empty"] * 5 for day in range(2, 6)})
    board, found = drive(world)
    assert [attempts(world, "shape", "ahead", day) for day in range(6)] == [1] * 6
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    (failure,) = found.failures
    assert (failure.date, failure.failure.message) == (world.days[1], "0 rows are right here, the table holds 1")


def test_what_an_object_is_not_expected_to_hold_need_not_be_there_when_its_worker_is_called(tmp_path: Path) -> None:
    def change(document: Document) -> None:
        source = {"table": "raw.odds", "date_column": "d", "file": "odds.parquet", "otherwise": "no odds were kept"}
        document["calendar"]["sources"] = {"odds": source}
        document["phases"][0]["processors"][1] |= {"source_dates": "odds", "run_when_empty": True}
        document["phases"][1]["processors"][1] |= {"source_dates": "odds", "run_when_empty": True}

    world = World(tmp_path, dates=2, change=change)
    data = world.data()
    data["b"] = {}
    world.rewrite(data)
    assert world.run().status is RunStatus.COMPLETED


# Something may be due


def test_where_the_least_number_of_rows_is_0_a_table_may_be_empty_and_its_worker_is_called(tmp_path: Path) -> None:
    def at_least(document: Document) -> None:
        monthly()(document)
        document["phases"][2]["processors"][2]["checks"] = [{"check": "rows", "at_least": "monthly"}]

    world = World(tmp_path, change=at_least)
    assert expectations(world, "shape/ahead") == [("e", "")] + [("o", "monthly is 0: no rows need be there")] * 5
    world.misbehave(shape__ahead__1=["empty"], shape__ahead__2=["empty"])
    board, found = drive(world)
    assert (board.status, found.missing) == (RunStatus.COMPLETED, ())
    assert [attempts(world, "shape", "ahead", day) for day in range(6)] == [1] * 6
    assert len(world.tables()["shape.ahead"]) == 4


def test_a_check_that_only_warns_demands_nothing(tmp_path: Path) -> None:
    check = {"check": "rows", "exactly": "monthly", "severity": "warn"}
    assert {letter for letter, _ in expectations(World(tmp_path, change=monthly(checks=[check])), "shape/ahead")} == {
        "e"
    }


# Rows must be there


def b_sometimes(document: Document) -> None:
    """``raw/b`` says that it may be empty; its checks demand two rows a game."""
    document["phases"][1]["processors"][1]["may_be_empty"] = "sometimes nothing"


def test_what_may_be_empty_is_no_excuse_where_the_numbers_demand_rows(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=b_sometimes)
    data = world.data()
    data["b"][str(world.days[1])] = []
    world.rewrite(data)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert {(f.date, f.processor) for f in found.failures} == {(world.days[1], "b")}
    assert found.failures[0].failure.message == "empty where rows are expected: nothing there"


def test_a_plan_that_an_earlier_version_made_goes_on_by_its_own_rule(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2, change=b_sometimes)
    made = make_plan(world.pipeline, world.calendar(), Selection(seasons=("2023-24",))).plan
    assert compile_plan(made).by_ref["raw/b"].expects == "ee"
    kept = made.model_dump(mode="json", by_alias=True)
    del kept["by_numbers"], kept["details"], kept["schema_minor"]
    before = compile_plan(Plan.model_validate(kept))
    assert before.by_ref["raw/b"].expects == "oo"
    assert before.expectation("raw/b", world.days[0]) == "o"
    assert (before.by_ref["final/total"].expects, before.by_ref["final/total"].work) == ("zz", "rr")


@pytest.mark.parametrize(
    ("checks", "letter"),
    [
        ([{"check": "rows", "exactly": "0 * games"}], "z"),
        ([{"check": "rows", "at_least": "0 * games"}], "o"),
        ([{"check": "rows", "at_least": "0 * games"}, {"check": "rows", "name": "more", "at_least": "games"}], "e"),
        ([{"check": "rows", "exactly": "games - 2"}, {"check": "rows", "name": "more", "at_least": "games"}], "z"),
        ([], "e"),
    ],
    ids=["exactly 0", "at least 0", "the largest counts", "nothing at all counts first", "no number"],
)
def test_numbers_decide_by_the_check_that_demands_most(tmp_path: Path, checks: list[Document], letter: str) -> None:
    def change(document: Document) -> None:
        document["phases"][2]["processors"][2]["checks"] = checks

    world = World(tmp_path, dates=1, change=change)
    assert [found for found, _ in expectations(world, "shape/ahead")] == [letter]
    assert world.days == [date(2024, 1, 1)]
