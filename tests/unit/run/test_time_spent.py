"""Where the time of a run went: what is counted as what, which limit is named, and how it is told."""

from datetime import timedelta
from pathlib import Path

import pytest

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.domain.decisions.advance import limit_reached
from phasegate.domain.spec.pipeline import QueueSpec, RampStep
from phasegate.domain.state.board import BoardLetter
from phasegate.domain.state.time_spent import CALLS, NOTHING, THREADS, TimeSpent
from phasegate.ports import QueueTask
from phasegate.report.time_spent import time_document, time_lines
from phasegate.telemetry import proving, timing_proofs
from tests.unit.builders import NOW, Conduct, run
from tests.unit.run.test_advance import unlimited

NARROW = QueueSpec(max_concurrent=2, max_per_second=500, min_backoff_seconds=1, max_backoff_seconds=1)
SLOW = QueueSpec(max_concurrent=9, max_per_second=1, min_backoff_seconds=1, max_backoff_seconds=1)


def limit_of(conduct: Conduct) -> str | None:
    """The limit that holds dates back on a board as it stands."""
    return limit_reached(conduct.index, conduct.board, conduct.run)


def test_what_takes_long_is_told_first_and_what_takes_nothing_is_not_told() -> None:
    spent = TimeSpent()
    spent.call(7, 3.5)
    spent.call(1, 0.25)
    spent.call(0, 9.0)
    spent.work_here(2.0, 0.5)
    spent.wait(THREADS, 3.0)
    spent.wait("limits.active_dates of raw", 1.0)
    spent.wait("limits.active_dates of raw", 0.75)
    spent.wait(NOTHING, 0.01)
    assert time_lines(spent) == [
        "calls: 2 for 8 attempts; they took 3.8 s, all threads together",
        "time: 6.8 s of this process, until all was recorded: 3.0 s all threads in calls, 1.8 s held back by "
        "limits.active_dates of raw, 1.5 s orchestration, 0.5 s proofs and checks",
    ]
    document = time_document(spent)
    waiting = {THREADS: 3.0, "limits.active_dates of raw": 1.75, NOTHING: 0.01}
    assert document["waiting"] == waiting and list(document["waiting"]) == list(waiting)
    parts = document["proofs"] + document["orchestration"] + sum(waiting.values())
    assert document["seconds"] == pytest.approx(parts) == pytest.approx(6.76)
    assert (document["calls"], document["attempts"], document["work"]) == (2, 8, 3.75)


def test_two_drives_add_up_and_neither_is_changed() -> None:
    first, second = (
        TimeSpent(1, 7, 3.5, 1.0, 2.0, {THREADS: 1.0}),
        TimeSpent(2, 2, 0.5, 0.5, 0.25, {THREADS: 2.0, CALLS: 4.0}),
    )
    assert first + second == TimeSpent(3, 9, 4.0, 1.5, 2.25, {THREADS: 3.0, CALLS: 4.0})
    assert (first + second).seconds == first.seconds + second.seconds
    assert (first.waiting, second.waiting) == ({THREADS: 1.0}, {THREADS: 2.0, CALLS: 4.0})


def test_proofs_are_timed_for_whoever_asked_and_for_nobody_else() -> None:
    with proving():
        pass
    with timing_proofs() as watch:
        assert watch.seconds == 0
        with proving():
            pass
        once = watch.seconds
        assert once > 0
        with pytest.raises(ValueError, match="wrong"), proving():
            raise ValueError("wrong")
    assert watch.seconds > once


def test_the_limit_of_active_dates_is_named_while_it_alone_holds_a_date_back() -> None:
    conduct = Conduct()
    assert limit_of(conduct) is None
    conduct.advance()
    assert limit_of(conduct) == "limits.active_dates of fetch"
    conduct.run = run(active_dates={"fetch": 9})
    assert limit_of(conduct) is None


def test_no_limit_is_named_where_every_date_waits_for_another() -> None:
    conduct = Conduct(unlimited)
    conduct.advance()
    assert limit_of(conduct) is None


def test_no_limit_is_named_for_what_an_open_circuit_breaker_holds_back() -> None:
    conduct = Conduct()
    conduct.advance()
    conduct.board.breakers = {task.ref: "broken" for task in conduct.index.tasks}
    assert limit_of(conduct) is None


def test_the_ramp_is_named_while_it_holds_dates_back() -> None:
    conduct = Conduct(unlimited, ramp=(RampStep(active_dates=1),))
    conduct.advance()
    assert conduct.strips()["fetch"][:2] == BoardLetter.RELEASED + BoardLetter.PENDING
    assert limit_of(conduct) == "the ramp"


def test_a_queue_names_the_limit_by_which_a_task_waits_that_is_due(tmp_path: Path) -> None:
    clock = VirtualClock(NOW)
    tasks = SqliteTasks(Database(tmp_path / "state.sqlite"), clock, {"narrow": NARROW, "slow": SLOW}, "r")
    assert tasks.held_back_by(["narrow", "slow"]) is None
    tasks.create([QueueTask("r", "narrow", f"n{n}", "{}") for n in range(3)])
    first, _ = tasks.lease(["narrow"], 9)
    assert tasks.held_back_by(["narrow", "slow"]) == "max_concurrent of queue narrow"
    tasks.acknowledge([first])
    assert tasks.held_back_by(["narrow"]) is None
    tasks.create([QueueTask("r", "slow", f"s{n}", "{}") for n in range(2)])
    assert len(tasks.lease(["slow"], 9)) == 1
    assert tasks.held_back_by(["slow"]) == "max_per_second of queue slow"
    clock.move_to(NOW + timedelta(seconds=2))
    assert len(tasks.lease(["slow"], 9)) == 1
    tasks.create([QueueTask("r", "slow", "later", "{}", NOW + timedelta(hours=1))])
    assert tasks.held_back_by(["slow"]) is None


def test_the_words_for_what_is_waited_for_differ() -> None:
    words = set()
    for what in (THREADS, CALLS, NOTHING, "max_concurrent of queue narrow"):
        spent = TimeSpent()
        spent.wait(what, 1.0)
        words.add(time_lines(spent)[1])
    assert len(words) == 4
