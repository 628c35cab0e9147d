"""A processor that fails alike everywhere: few attempts are burnt, the rest waits and says why, a retry lets it go."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.state.run import RunStatus
from phasegate.report.explain import explain
from phasegate.report.failures import failures_document, failures_of
from phasegate.services.operating import operators
from tests.world import START, World

BREAKER, AT_ONCE, DATES = 3, 2, 24


def change(document: dict[str, Any]) -> None:
    """A circuit breaker after three dates; two dates at once in the phase."""
    shape = document["phases"][2]
    shape["failure"]["brake"] = BREAKER
    shape["limits"] = {"active_dates": AT_ONCE}


def broken(folder: Path) -> World:
    """A world in which ``shape/left`` never works."""
    world = World(folder, dates=DATES, change=change)
    world.misbehave(**{f"shape__left__{n}": ["fail:bug"] * 9 for n in range(DATES)})
    return world


def claims(world: World, run_id: str = "r") -> int:
    """How often ``shape/left`` was called."""
    with world.open() as embedded:
        return sum(
            len(facts.tasks.get(("shape", "left"), ())) for facts in embedded.state.dates(run_id, world.days).values()
        )


def test_few_dates_are_burnt_and_one_notice_is_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = broken(tmp_path)
    with caplog.at_level(logging.ERROR):
        assert world.run().status is RunStatus.COMPLETED_WITH_FAILURES
    assert BREAKER <= claims(world) <= BREAKER + AT_ONCE
    assert [r.message.partition(":")[0] for r in caplog.records] == ["shape/left is started no more"]


def test_explain_names_the_brake_and_the_command_that_lets_it_go(tmp_path: Path) -> None:
    world = broken(tmp_path)
    world.run()
    with world.open() as embedded:
        roots = explain(embedded.state, "r", None, None).roots
    (first, *others) = [root for root in roots if root.processor == "left"]
    assert "the circuit breaker is open since 4 dates failed alike (bug:left:left failed on row # of ?)" in first.detail
    assert first.remedy.endswith("phasegate retry r --signature 'bug:left:left failed on row # of ?'")
    assert len({day for day, phase in first.waiting if phase == "shape"}) >= DATES - BREAKER - AT_ONCE
    assert not any("brake" in root.detail for root in others)


def test_a_retry_after_mending_runs_the_failed_dates_and_all_that_waited(tmp_path: Path) -> None:
    world = broken(tmp_path)
    world.run()
    world.misbehave()
    with world.open() as embedded:
        (breaker,) = embedded.state.board("r")[0].breakers.values()
        operators.retry(
            embedded.state, world.clock, "r", dates=(), phase=None, processor=None, signature=breaker.signature, why=""
        )
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(hours=1))
    assert (board.status, board.breakers) == (RunStatus.COMPLETED, {})


def test_a_date_stands_under_the_class_in_which_it_ended(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    world.misbehave(raw__a__0=["fail:transient", "fail:bug"])
    world.run()
    with world.open() as embedded:
        found = {each.error_class.value: each for each in failures_of(embedded.state, "r")}
    assert (found["bug"].failed, found["transient"].failed) == (world.days, [])


def test_failures_are_grouped_by_signature_with_the_command_that_retries_them(tmp_path: Path) -> None:
    world = broken(tmp_path)
    world.misbehave(
        **{f"shape__left__{n}": ["fail:bug"] * 9 for n in range(DATES)},
        raw__a__5=["fail:transient"],
        raw__a__7=["fail:transient"],
    )
    world.run()
    with world.open() as embedded:
        worst, passing = failures_of(embedded.state, "r")
        shown = failures_document("r", [worst, passing])["failures"]
    assert (worst.processor, worst.attempts, worst.failed, worst.has_open_breaker) == ("left", 4, world.days[:4], True)
    assert (passing.processor, passing.attempts, passing.dates) == ("a", 2, [world.days[5], world.days[7]])
    assert (passing.failed, passing.command("r")) == ([], None)
    assert shown[0]["command"] == "phasegate retry r --signature 'bug:left:left failed on row # of ?'"
    assert (shown[0]["first"], shown[0]["last"]) == ("2024-01-01", "2024-01-04")
    assert worst.example == "left failed on row 17 of '2024-01-04'"
