"""Checks of a whole phase, and checks that warn, in a run."""

from pathlib import Path
from typing import Any

from phasegate.domain.state.facts import PASS, WARN
from phasegate.domain.state.run import RunStatus
from phasegate.services.reading.progress import progress_document
from tests.world import World, drive


def test_a_check_of_the_phase_blocks_a_processor_that_has_none_of_its_own(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        raw = document["phases"][1]
        raw["checks"] = [{"check": "range", "column": "v", "max": 500}]
        raw["processors"][0]["checks"] = []

    world = World(tmp_path, dates=2, change=change)
    data = world.data()
    data["a"][str(world.days[1])][3]["v"] = 501
    world.rewrite(data)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    reasons = [r.detail for cell in found.blocked if cell.phase == "raw" for r in cell.reasons]
    assert reasons == ["a: v: 1 of 4 values are outside up to 500 (10 to 501)"]


def test_a_warning_is_stored_with_its_numbers_shown_and_holds_nothing_back(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        small = {"check": "range", "name": "small", "column": "v", "max": 12, "severity": "warn"}
        unknown = {"check": "nulls", "column": "colour", "severity": "warn"}
        document["phases"][1]["processors"][0]["checks"] += [small, unknown]

    world = World(tmp_path, dates=2, change=change)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED
    with world.open() as embedded:
        facts = embedded.state.dates("r", world.days)
    verdicts = [v for day in world.days for v in facts[day].cells["raw"].groups["raw"].verdicts if v.subject == "a"]
    assert [(v.outcome, v.expected, v.found) for v in verdicts if v.check == "small"] == [(PASS, 4, 4), (WARN, 4, 3)]
    warnings: Any = progress_document(found)["warnings"]
    assert [(w["date"], w["check"]) for w in warnings] == [
        (str(world.days[0]), "nulls"),
        (str(world.days[1]), "small"),
        (str(world.days[1]), "nulls"),
    ]
    assert "cannot be asked" in warnings[0]["detail"]


def test_every_verdict_says_what_was_demanded_and_which_query_was_asked(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    drive(world)
    with world.open() as embedded:
        facts = embedded.state.dates("r", world.days)
    first, second = (facts[day].cells["raw"].groups["raw"].verdicts for day in world.days)
    assert {v.threshold for v in first} == {"exactly 2 * games", "at least 1 of the expected keys"}
    assert [v.fingerprint for v in first] == [v.fingerprint for v in second], "the same query for every date"
    assert len({v.fingerprint for v in first}) == 4, "two tables, two questions each"
