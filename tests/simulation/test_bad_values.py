"""One date's value makes a check's query fail: that date is held back and named, and the others go on."""

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.errors import TransientError
from phasegate.domain.operations.audit import Discrepancy
from phasegate.domain.plan import PlanIndex, WorkLetter
from phasegate.domain.spec.pipeline import NoOutput
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import UNKNOWN, WARN, Verdict
from phasegate.domain.state.run import RunStatus
from phasegate.services.operating.decisions import waive
from phasegate.services.reading.prover import Prover
from tests.report.verifying import Finished
from tests.world import START, World

DATES, BAD = 13, 4


def with_roots(severity: str = "block") -> Any:
    """``shape.left`` has a check whose query fails for a date with a negative value."""

    def change(document: dict[str, Any]) -> None:
        query = (
            "SELECT d, LOGICAL_AND(SQRT(v) >= 0) AS ok, 'roots' AS detail FROM `shape.left_side` "
            "WHERE d IN UNNEST(@days) GROUP BY d"
        )
        left = document["phases"][2]["processors"][0]
        roots = {"check": "sql", "name": "roots", "query": query, "severity": severity}
        left["checks"] = [*left["checks"], roots]

    return change


def spoiled(folder: Path, severity: str = "block") -> World:
    """A world in whose source one date has a negative value."""
    world = World(folder, dates=DATES, change=with_roots(severity))
    data = world.data()
    for row in data["a"][str(world.days[BAD])]:
        row["v"] = -10_000
    world.rewrite(data)
    return world


def driven(world: World, run_id: str = "r", **selection: Any) -> Board:
    """The board of a run that ends within a day."""
    with world.open() as embedded:
        world.begin(embedded, run_id, **selection)
        return embedded.drive(run_id, stop=lambda: world.clock.now() > START + timedelta(days=1))


def wanted(world: World, run_id: str) -> dict[date, set[str]]:
    """What a plan would run of what leaves something behind: date -> ``phase/processor``."""
    with world.open() as embedded:
        world.begin(embedded, run_id)
        index: PlanIndex = embedded.state.index(run_id)
    found: dict[date, set[str]] = {}
    for task in index.tasks:
        for day, letter in zip(index.days, task.work, strict=True):
            if letter == WorkLetter.RUN and not isinstance(task.spec.output, NoOutput):
                found.setdefault(day, set()).add(task.ref)
    return found


def test_only_the_date_whose_value_makes_the_query_fail_is_held_back_and_the_run_ends(tmp_path: Path) -> None:
    world = spoiled(tmp_path)
    board = driven(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    letters = {name: of_group.decode() for name, of_group in board.groups.items()}
    assert letters["raw"] == "p" * DATES
    assert letters["shape.1"] == "p" * BAD + BoardLetter.BLOCKED + "p" * (DATES - BAD - 1)
    assert board.bad.keys() == {world.days[BAD]}
    said = str(board.bad[world.days[BAD]]["shape/left"])
    assert said.startswith("left: the check cannot be answered for this date: ") and "negative" in said
    with world.open() as embedded:
        (cell,) = embedded.state.dates("r", [world.days[BAD]]).values()
    verdicts = {v.check: v for v in cell.cells["shape"].groups["shape.1"].verdicts if v.subject == "left"}
    assert (verdicts["roots"].outcome, verdicts["roots"].is_asked_again) == (UNKNOWN, False)


def test_the_next_plan_wants_that_date_alone_again(tmp_path: Path) -> None:
    world = spoiled(tmp_path)
    driven(world)
    looking_back = {day: {"shape/ahead", "final/total"} for day in world.days[BAD + 1 : BAD + 4]}
    assert wanted(world, "again") == {world.days[BAD]: {"shape/left", "shape/right", "final/total"}} | looking_back


def test_a_check_that_only_warns_holds_no_date_back(tmp_path: Path) -> None:
    world = spoiled(tmp_path, "warn")
    assert driven(world).status is RunStatus.COMPLETED
    with world.open() as embedded:
        facts = embedded.state.dates("r", world.days)
    outcomes = {
        day: v.outcome
        for day, of_day in facts.items()
        for v in of_day.cells["shape"].groups["shape.1"].verdicts
        if v.check == "roots"
    }
    assert [day for day, outcome in outcomes.items() if outcome == WARN] == [world.days[BAD]]
    assert len(outcomes) == DATES


def test_a_mended_value_passes_on_retry(tmp_path: Path) -> None:
    world = spoiled(tmp_path)
    driven(world)
    data = world.data()
    for row in data["a"][str(world.days[BAD])]:
        row["v"] = 3
    world.rewrite(data)
    assert driven(world, "again", reprocess="all").status is RunStatus.COMPLETED


def test_a_waiver_lets_the_date_pass(tmp_path: Path) -> None:
    world = spoiled(tmp_path)
    driven(world)
    until = (world.clock.now() + timedelta(days=2)).isoformat()
    asked = {"dates": [world.days[BAD]], "check": "roots", "phase": "shape", "processor": None}
    with world.open() as embedded:
        waive(embedded.state, world.clock, "r", until=until, by="ann", why="a known loss", **asked)
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(days=1))
    assert board.status is RunStatus.COMPLETED


def test_the_verifier_finds_that_date_alone_unanswered(tmp_path: Path) -> None:
    finished = Finished(tmp_path, with_roots())
    finished.run()
    day = finished.days[BAD]
    finished.write("UPDATE shape.left_side SET v = -1 WHERE d = ?", day)
    unasked = [line for line in finished.verify().report.findings if line.kind == Discrepancy.NOT_ASKED]
    assert [(line.date, line.processor) for line in unasked] == [(day, "left")]
    assert "negative" in unasked[0].detail


def test_which_dates_are_judged_together_changes_no_verdict(tmp_path: Path) -> None:
    world = spoiled(tmp_path)
    driven(world)
    with duckdb.connect(str(world.home.warehouse)) as connection:
        connection.execute("UPDATE shape.left_side SET v = -1 WHERE d IN (?, ?)", [world.days[7], world.days[8]])
    chance = random.Random(1)
    with world.open() as embedded:
        index, prover = embedded.state.index("r"), Prover(embedded.warehouse, embedded.objects)
        left = index.processor("shape/left").output

        def judged(groups: list[list[date]]) -> dict[date, list[Verdict]]:
            found: dict[date, list[Verdict]] = {}
            for group in groups:
                held = prover.count({"shape/left": (left, group)})["shape/left"]
                assert isinstance(held, dict)
                expects = dict.fromkeys(group, str(ExpectationLetter.EXPECTED))
                for day, verdict in prover.judge(index, {"shape/left": (expects, held)})["shape/left"]:
                    found.setdefault(day, []).append(verdict)
            return found

        whole = judged([world.days])
        assert {day for day, of_day in whole.items() if any(v.outcome == UNKNOWN for v in of_day)} == {
            world.days[n] for n in (BAD, 7, 8)
        }
        for size in (1, 2, 3, 5):
            days = chance.sample(world.days, DATES)
            assert judged([days[n : n + size] for n in range(0, DATES, size)]) == whole


def test_a_check_that_could_not_be_asked_just_now_is_asked_again_and_its_dates_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, failures = DuckDbWarehouse.ask, [TransientError("the warehouse is busy")] * 3

    def busy(warehouse: DuckDbWarehouse, questions: Any) -> Any:
        answers = ask(warehouse, questions)
        return [
            failures.pop() if "SQRT" in sql and failures else answer
            for (sql, _), answer in zip(questions, answers, strict=True)
        ]

    monkeypatch.setattr(DuckDbWarehouse, "ask", busy)
    world = World(tmp_path, dates=DATES, change=with_roots())
    board = driven(world)
    assert (board.status, failures, board.bad) == (RunStatus.COMPLETED, [], {})
