"""On a cloud the conductor's last round asks for the report, once for each end, and is held up by nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from phasegate.domain.errors import HaltError
from phasegate.domain.protocol.names import VERIFY_QUEUE
from phasegate.domain.state.run import RunStatus
from phasegate.services.backend import Backend
from phasegate.services.running.conductor import Conductor
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.historian import Historian
from tests.report.verifying import Finished


class Noting:
    """Queues that note what is put on them, or refuse it."""

    def __init__(self, refuse: bool = False) -> None:
        self.created: list[Any] = []
        self._refuse = refuse

    def create(self, tasks: list[Any]) -> None:
        if self._refuse:
            raise HaltError("queue 'verify' has no target")
        self.created += tasks


def conduct(home: Finished, change: Callable[[Backend], Backend]) -> RunStatus:
    """One more round of a run that has ended."""
    with home.world.open() as embedded:
        backend = change(embedded.engine("r")._handlers.backend)  # type: ignore[attr-defined]
        return Conductor(backend, Dispatcher(backend), Historian(backend)).conduct("r").status


def test_a_run_that_has_ended_asks_for_its_report_under_one_name(home: Finished) -> None:
    queues = Noting()
    for _ in range(2):
        assert conduct(home, lambda b: replace(b, tasks=queues, asks_for_reports=True)) is RunStatus.COMPLETED
    assert [(task.queue, task.run_id, task.payload) for task in queues.created] == [
        (VERIFY_QUEUE, "r", '{"run_id":"r"}'),
        (VERIFY_QUEUE, "r", '{"run_id":"r"}'),
    ]
    assert len({task.name for task in queues.created}) == 1, "the queue takes a name once"


def test_a_report_that_cannot_be_asked_for_holds_nothing_up(home: Finished, caplog: pytest.LogCaptureFixture) -> None:
    refusing = Noting(refuse=True)
    assert conduct(home, lambda b: replace(b, tasks=refusing, asks_for_reports=True)) is RunStatus.COMPLETED
    assert "make it with `phasegate verify r`" in caplog.text


def test_where_somebody_drives_the_run_no_task_is_made(home: Finished) -> None:
    queues = Noting()
    conduct(home, lambda b: replace(b, tasks=queues))
    assert queues.created == []
