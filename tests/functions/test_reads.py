"""What the functions read for a run is counted with it, in whichever instance, and stands in its reports."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from phasegate import entrypoints
from phasegate.domain.errors import TransientError
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.reads import Reads
from phasegate.ports import ClaimRequest, Warehouse
from phasegate.report.status import status_text
from phasegate.report.summary import summarise, summary_text
from phasegate.services.reading.progress import progress_document, report
from phasegate.services.reading.schedule import read_calendar
from tests.fakes.telling import STATEMENT, TellingWarehouse, keep_reads_in
from tests.functions.conftest import Calls, released, task
from tests.functions.test_requests import pushed


class Counted:
    """The functions over a warehouse that tells what it reads."""

    def __init__(self, calls: Calls, patch: pytest.MonkeyPatch) -> None:
        self.calls, self.warehouse = calls, TellingWarehouse(calls.backend.warehouse)
        self.kept = keep_reads_in(calls.backend.state, patch)
        calls.backend = replace(calls.backend, warehouse=cast(Warehouse, self.warehouse))
        entrypoints.deployment().__dict__["backend"] = calls.backend

    def answered(self, name: str, body: object, run_id: str = "r") -> int:
        """How many statements a request had read, all of which are kept with the run."""
        before, asked = self.kept.get(run_id, Reads()), self.warehouse.asked
        assert self.calls.post(name, body)[0] in (200, 202)
        new = self.warehouse.asked - asked
        assert self.kept.get(run_id, Reads()) == before.plus(Reads(new, new * STATEMENT))
        return new


@pytest.fixture
def counted(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(calls, monkeypatch)


def make(calls: Calls, *refs: str) -> None:
    """Let outputs of the first date be made and reported."""
    for ref in refs:
        phase, _, processor = ref.partition("/")
        needs = {} if phase == "fetch" else {"inputs": {f"fetch/{processor}": 1}}
        calls.post("runner", task(calls, processor, phase=phase, **needs))
        for sequence, event in calls.embedded.events.waiting(10):
            calls.post("listener", pushed(event))
            calls.embedded.events.acknowledge([sequence])


@pytest.fixture
def at_rest(counted: Counted) -> Counted:
    """The release group of the raw tables of the first date is at rest, and nobody has looked at it."""
    released(counted.calls)
    make(counted.calls, "fetch/a", "fetch/b", "raw/a", "raw/b")
    return counted


def test_what_planning_reads_is_kept_with_the_run_that_it_begins(counted: Counted) -> None:
    body = {"dates": "2024-01-01", "phases": "final", "run_id": "new", "alongside": True}
    assert counted.answered("starter", body, "new") > 1


def test_a_request_that_finds_a_run_adds_nothing_to_it(counted: Counted) -> None:
    body = {"dates": "2024-01-01", "run_id": "new", "alongside": True}
    counted.answered("starter", body, "new")
    assert counted.answered("starter", body, "new") == 0


def test_what_proofs_and_checks_read_is_kept_with_the_run(at_rest: Counted) -> None:
    assert at_rest.answered("conductor", {"run_id": "r"}) > 0


def test_what_a_pass_has_read_counts_also_when_it_comes_to_nothing(
    at_rest: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = at_rest.warehouse.asked

    def away(*_: object) -> bool:
        raise TransientError("Firestore is away")

    monkeypatch.setattr(at_rest.calls.backend.state, "commit", away)
    assert at_rest.calls.post("conductor", {"run_id": "r"})[0] == 503
    assert at_rest.warehouse.asked > before
    assert at_rest.kept["r"].statements == at_rest.warehouse.asked


def test_reads_that_cannot_be_kept_hold_nothing_up(at_rest: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise TransientError("Firestore is away")

    monkeypatch.setattr(at_rest.calls.backend.state, "add_reads", away)
    assert at_rest.calls.post("conductor", {"run_id": "r"}) == (200, {"status": "running"})


def test_what_a_sweep_reads_is_kept_with_the_run(counted: Counted) -> None:
    calls, now = counted.calls, counted.calls.backend.clock.now()
    released(calls)
    make(calls, "fetch/b")
    key = AttemptKey(calls.world.days[0], "raw", "b", 1)
    request = ClaimRequest(key, 1, 1, (("fetch/b", 1),), now + timedelta(minutes=1))
    calls.backend.state.claim("r", [request], now)
    calls.world.clock.move_to(now + timedelta(minutes=10))
    assert counted.answered("sweeper", {"run_id": "r"}) == 1, "it looks whether the rows of the dead attempt are there"


def test_a_report_says_what_was_read_for_the_run_until_its_end_and_counts_itself(counted: Counted) -> None:
    counted.answered("conductor", {"run_id": "r"})
    for _ in range(2):
        assert counted.answered("verifier", {"run_id": "r"}) > 0
        kept = json.loads(counted.calls.backend.objects.read("reports/r/report.json"))
        assert kept["reads"] == counted.kept["r"]._asdict()
    for name in ("report.md", "report.html"):
        page = counted.calls.backend.objects.read(f"reports/r/{name}").decode()
        assert f"{counted.kept['r'].statements:,}" in page
        assert f"{counted.kept['r'].bytes:,}" in page


def test_a_report_on_dates_without_a_run_says_what_it_read_itself(counted: Counted) -> None:
    warehouse = counted.warehouse
    read_calendar(counted.calls.world.pipeline.calendar, warehouse.query)
    for_the_calendar, warehouse.asked = warehouse.asked, 0
    _, summary = counted.calls.post("verifier", {"season": "2023-24", "phases": "raw..final"})
    kept = json.loads(counted.calls.backend.objects.read(summary["files"][0]))
    own = warehouse.asked - for_the_calendar
    assert kept["reads"] == {"statements": own, "bytes": own * STATEMENT}


def test_status_and_summary_say_what_was_read(counted: Counted) -> None:
    counted.answered("verifier", {"run_id": "r"})
    backend, kept = counted.calls.backend, counted.kept["r"]
    found = report(backend.state, "r", backend.clock.now())
    line = f"read in BigQuery: {kept.statements:,} statements, {kept.bytes:,} bytes"
    assert f"  {line}" in status_text(found).splitlines()
    assert progress_document(found)["reads"] == {"statements": kept.statements, "bytes": kept.bytes}
    summary = summarise(backend.state, backend.warehouse, "r", backend.clock.now())
    assert line in summary_text(summary).splitlines()


def test_nothing_is_said_where_the_warehouse_does_not_tell(calls: Calls) -> None:
    calls.post("verifier", {"run_id": "r"})
    assert json.loads(calls.backend.objects.read("reports/r/report.json"))["reads"] is None
    found = report(calls.backend.state, "r", calls.backend.clock.now())
    assert "read in BigQuery" not in status_text(found)
    assert "reads" not in progress_document(found)
