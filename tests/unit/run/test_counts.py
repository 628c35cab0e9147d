"""Following a run reads its board, however many dates it has; only its end is told in full."""

from pathlib import Path

import pytest

from phasegate.adapters.embedded.state import SqliteState
from phasegate.bootstrap import Embedded
from phasegate.domain.state.run import RunStatus
from phasegate.ports import QuarantineRecord
from phasegate.report.status import counts_text
from phasegate.services.reading.counts import Counts, count_run
from phasegate.services.reading.progress import report
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Six dates; a task of the second one fails for good."""
    world = World(tmp_path)
    world.misbehave(raw__a__1=["fail:bug"])
    return world


def counted(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> Counts:
    """The counts, read while no date may be read."""
    with monkeypatch.context() as patch:
        for name in ("dates", "open_claims", "quarantined"):
            patch.delattr(SqliteState, name)
        return count_run(embedded.state, "r", embedded.clock.now())


def test_counting_reads_no_date_and_says_what_the_full_report_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.open() as embedded:
        world.begin(embedded)
        assert counted(embedded, monkeypatch).status is RunStatus.RUNNING
        embedded.drive("r")
        counts, full = counted(embedded, monkeypatch), report(embedded.state, "r", world.clock.now())
    assert (counts.status, counts.phases, counts.is_at_rest) == (full.status, full.phases, True)
    assert counts.failures == tuple((f.date, f"{f.phase}/{f.processor}", f.failure) for f in full.failures)


def test_a_full_report_counts_what_is_in_quarantine_and_loads_none_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.open() as embedded:
        world.begin(embedded)
        records = [QuarantineRecord(f"q{n}", "r", "no such claim", "{}", embedded.clock.now()) for n in range(3)]
        embedded.state.quarantine(records)
        monkeypatch.delattr(SqliteState, "quarantined")
        assert report(embedded.state, "r", world.clock.now()).quarantined == 3


def test_the_text_names_ten_failures_and_counts_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=13)
    world.misbehave(**{f"fetch__a__{n}": ["fail:bug"] for n in range(13)})
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r")
        counts = counted(embedded, monkeypatch)
    lines = counts_text(counts).splitlines()
    assert counts.failed > 10
    assert sum(line.startswith("  failed: ") for line in lines) == 10
    assert lines[-1] == f"  and {counts.failed - 10} more failed"
