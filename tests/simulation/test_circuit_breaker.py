"""A processor that fails alike everywhere: few attempts are burnt, the rest waits and says why, a retry lets it go."""

import logging
import shlex
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.state.board import Board
from phasegate.domain.state.run import RunStatus
from phasegate.domain.state.unsound import Blocked
from phasegate.report.explain import Root, explain
from phasegate.report.failures import failures_document, failures_of
from phasegate.services.operating import operators
from phasegate.services.operating.decisions import waive
from tests.world import START, World, WorldWorker

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


LONG = 15
"""Dates of a run in which ten that are alike make a difference by default."""

LONGER = 35
"""Dates of a run in which thirty of any kind do."""


def retry(world: World, command: str) -> Board:
    """Do what a printed ``phasegate retry r …`` says, and go on."""
    words = shlex.split(command.partition("phasegate retry r ")[2])
    options = dict(zip(words[::2], words[1::2], strict=True))
    which = {name: options.pop(f"--{name}", None) for name in ("phase", "processor", "signature")}
    assert options == {}
    with world.open() as embedded:
        operators.retry(embedded.state, world.clock, "r", dates=(), why="", **which)
        return embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(hours=1))


def braked_root(world: World) -> Root:
    """The root that names the open circuit breaker."""
    with world.open() as embedded:
        (root,) = [r for r in explain(embedded.state, "r", None, None).roots if "circuit breaker" in r.detail]
    return root


def without_one_key(folder: Path, dates: int) -> World:
    """A world by default, two dates at once in ``shape``: so many dates of ``right`` lack the same key."""
    world = World(folder, dates=LONG, change=lambda document: document["phases"][2].update(limits={"active_dates": 2}))
    world.misbehave(**{f"shape__right__{n}": ["short"] * 9 for n in range(dates)})
    return world


def test_ten_dates_that_one_check_blocks_stop_admission_as_ten_equal_failures_do(tmp_path: Path) -> None:
    world = without_one_key(tmp_path, LONG)
    board = world.run()
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert 10 <= claims(world) <= 12
    assert {ref: breaker.signature for ref, breaker in board.breakers.items()} == {"shape/right": "check:right:rows"}


def test_explain_names_the_check_and_its_command_lets_go_what_waited(tmp_path: Path) -> None:
    world = without_one_key(tmp_path, LONG)
    world.run()
    root = braked_root(world)
    assert root.kind == "blocked"
    assert "the circuit breaker is open since 10 dates are blocked alike (check:right:rows)" in root.detail
    assert root.remedy == "mend the source, then: phasegate retry r --signature check:right:rows"
    assert len({day for day, phase in root.waiting if phase == "shape"}) >= LONG - 12
    world.misbehave()
    board = retry(world, root.remedy)
    assert (board.status, board.breakers) == (RunStatus.COMPLETED, {})


def halved(folder: Path) -> World:
    """A world whose source has half of ``a`` on every date, of which ``shape/left`` is the first to tell; one date at a
    time, and three that are blocked alike stop it."""

    def change(document: dict[str, Any]) -> None:
        for processor in document["phases"][1]["processors"]:
            processor["checks"] = []
        document["phases"][2]["limits"] = {"active_dates": 1}
        document["phases"][2]["failure"]["circuit_breaker_blocked"] = 3

    world = World(folder, dates=9, change=change)
    data = world.data()
    data["a"] = {day: rows[:2] for day, rows in data["a"].items()}
    world.rewrite(data)
    return world


def fetches(world: World) -> list[int]:
    """How often ``fetch/a`` was called, by date."""
    with world.open() as embedded:
        dates = embedded.state.dates("r", world.days)
    return [len(dates[day].tasks[("fetch", "a")]) for day in world.days]


def mend(world: World, to: World) -> None:
    """The source holds what it should."""
    world.rewrite(to.data())


def test_the_printed_command_makes_the_sources_of_waiting_dates_again_too(tmp_path: Path) -> None:
    world, whole = halved(tmp_path / "halved"), World(tmp_path / "whole", dates=9)
    assert world.run().breakers["shape/left"].signature == "check:left:rows"
    assert fetches(world) == [1] * 9
    with world.open() as embedded:
        roots = explain(embedded.state, "r", None, None).roots
    (remedy,) = [r.remedy for r in roots if r.processor == "left" and "circuit breaker" in r.detail]
    mend(world, whole)
    board = retry(world, remedy)
    assert (board.status, board.breakers) == (RunStatus.COMPLETED, {})
    assert fetches(world) == [2] * 9
    whole.run()
    assert world.tables() == whole.tables()


def test_a_retry_of_some_of_the_dates_that_hold_it_open_leaves_the_waiting_ones_alone(tmp_path: Path) -> None:
    world, whole = halved(tmp_path / "halved"), World(tmp_path / "whole", dates=9)
    blocked = [day for day, bad in world.run().bad.items() if isinstance(bad.get("shape/left"), Blocked)]
    mend(world, whole)
    with world.open() as embedded:
        operators.retry(
            embedded.state,
            world.clock,
            "r",
            dates=tuple(blocked[:1]),
            phase=None,
            processor=None,
            signature=None,
            why="",
        )
        embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(hours=1))
    assert fetches(world) == [2 if day == blocked[0] else 1 for day in world.days]


def test_two_checks_of_one_name_count_a_date_once(tmp_path: Path) -> None:
    def doubled(document: dict[str, Any]) -> None:
        document["phases"][2]["limits"] = {"active_dates": 1}
        document["phases"][2]["failure"]["circuit_breaker_blocked"] = 4
        document["phases"][2]["processors"][1]["checks"] = [
            {"check": "rows", "at_least": f"{n} * games"} for n in (1, 2)
        ]

    world = World(tmp_path, dates=6, change=doubled)
    world.misbehave(**{f"shape__right__{n}": ["third"] for n in range(3)})
    board = world.run()
    assert (board.status, board.breakers) == (RunStatus.COMPLETED_WITH_FAILURES, {})
    assert {len(why.checks) for bad in board.bad.values() for why in bad.values() if isinstance(why, Blocked)} == {1}


def test_nine_dates_that_a_check_blocks_stop_nothing_nor_do_those_that_wait_for_them(tmp_path: Path) -> None:
    world = without_one_key(tmp_path, 9)
    assert world.run().breakers == {}
    assert claims(world) == LONG


def test_a_waiver_that_leaves_fewer_blocked_dates_lets_the_processor_go_on(tmp_path: Path) -> None:
    world = without_one_key(tmp_path, 10)
    days = world.days[:3]
    assert world.run().breakers
    with world.open() as embedded:
        scope: dict[str, Any] = {"dates": days, "check": "rows", "phase": "shape", "processor": "right"}
        waive(embedded.state, world.clock, "r", until="2026-02-01", by="ann", why="known", **scope)
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(hours=1))
    assert board.breakers == {}
    assert claims(world) == LONG


class Wordy(WorldWorker):
    """A worker whose ``left`` fails with the name of whoever is on the date, in a traceback, without quotes."""

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        wanted = self._read("behaviour.json").get(f"{body['phase']}/{body['processor']}/{body['date']}", [])
        if not wanted:
            return super().handle(path, body)
        message = f'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\n{wanted[0]}'
        return 500, {"error_class": "bug", "message": message}


def wordy(folder: Path, dates: int, *raised: str) -> World:
    """A world by default, two dates at once in ``shape``, in which ``left`` raises this on the first of its dates."""

    def change(document: dict[str, Any]) -> None:
        document["phases"][2]["limits"] = {"active_dates": 2}
        document["workers"]["world"]["factory"] = "tests.simulation.test_circuit_breaker:Wordy"

    world = World(folder, dates=dates, change=change)
    world.misbehave(**{f"shape__left__{n}": [text] for n, text in enumerate(raised)})
    return world


def test_ten_different_causes_in_tracebacks_that_begin_alike_pull_no_brake(tmp_path: Path) -> None:
    kinds = ["Key", "Value", "Type", "Index", "OS", "Name", "EOF", "Import", "Lookup", "Buffer"]
    world = wordy(tmp_path, LONG, *(f"{kind}Error: no rows" for kind in kinds))
    assert world.run().breakers == {}
    assert claims(world) == LONG


def test_one_cause_with_a_name_in_its_text_is_stopped_by_the_limit_for_any_failure(tmp_path: Path) -> None:
    names = [f"{chr(ord('A') + n % 26)}{chr(ord('a') + n // 26)} Smith" for n in range(LONGER)]
    world = wordy(tmp_path, LONGER, *(f"LookupError: {name} plays for no team" for name in names))
    world.run()
    assert 30 <= claims(world) <= 32
    root = braked_root(world)
    assert "the circuit breaker is open since 30 dates failed in one way or another" in root.detail
    assert root.remedy == "mend the cause, then: phasegate retry r --phase shape --processor left"
    with world.open() as embedded:
        assert all(each.has_open_breaker for each in failures_of(embedded.state, "r"))
    world.misbehave()
    assert retry(world, root.remedy).status is RunStatus.COMPLETED


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
