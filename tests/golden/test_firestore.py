"""What commit 8e42da0 wrote into Firestore, laid into the emulator and read."""

import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.gcp.clients import firestore_client
from phasegate.adapters.gcp.firestore import documents
from phasegate.adapters.gcp.firestore.state import FirestoreState
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.state.lease import Held
from phasegate.domain.state.run import RunStatus
from phasegate.services.reading.progress import report
from tests.catalogue.cloud import CloudWorld
from tests.golden.breaking import change
from tests.golden.laid import from_json, golden, unpack
from tests.golden.test_documents import lost
from tests.world import World

STORED = {name: golden(f"firestore/{name}.json") for name in ("finished", "unfinished")}


class Loaded:
    """The documents of one run in a project of their own. ``at``: the moment after which nothing was written."""

    def __init__(self, name: str, settings: CloudSettings) -> None:
        self.at = datetime.fromisoformat(STORED[name]["at"])
        self.stands = STORED[name]["stands"]
        self.documents: dict[str, dict[str, Any]] = from_json(STORED[name]["documents"])
        client = firestore_client(settings)
        for path, content in self.documents.items():
            client.document(path).set(content)
        self.state = FirestoreState(client)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The stored documents of one collection, by id."""
        found = {path: content for path, content in self.documents.items() if path.rpartition("/")[0] == kind}
        return [found[path] for path in sorted(found)]


@pytest.fixture(scope="module", params=["finished", "unfinished"])
def loaded(firestore_emulator: object, request: pytest.FixtureRequest) -> Loaded:
    """Each of the two runs."""
    return Loaded(request.param, CloudSettings(project=f"t{uuid.uuid4().hex[:20]}"))


@pytest.fixture(scope="module")
def finished(firestore_emulator: object) -> Loaded:
    """The run in which everything came about."""
    return Loaded("finished", CloudSettings(project=f"t{uuid.uuid4().hex[:20]}"))


def test_the_run_is_read_and_would_be_written_as_it_was(loaded: Loaded) -> None:
    (run,) = loaded.state.runs()
    assert lost(loaded.documents["runs/r"], documents.run_document(run)) == []
    assert (len(run.retries), len(run.waivers), len(run.approvals)) == (1, 1, 1)


def test_the_plan_is_read_and_would_be_written_as_it_was(loaded: Loaded) -> None:
    (stored,) = loaded.of("runs/r/plan")
    (written,) = documents.plan_documents(loaded.state.plan("r"))
    before, after = (json.loads(gzip.decompress(each["content"])) for each in (stored, written))
    assert lost(before, after) == []


def test_the_board_is_read_and_would_be_written_as_it_was(loaded: Loaded) -> None:
    stored = {key: value for key, value in loaded.documents["runs/r/board/0"].items() if key != "commit"}
    assert lost(stored, documents.board_document(loaded.state.board("r")[0])) == []


def test_facts_and_cells_are_read_and_would_be_written_as_they_were(loaded: Loaded) -> None:
    days = [date.fromisoformat(path.rpartition("/")[2]) for path in loaded.documents if "/dates/" in path]
    for day, facts in loaded.state.dates("r", days).items():
        stored = loaded.documents[f"runs/r/dates/{day}"]
        cells = {phase: documents.cell_document(cell) for phase, cell in facts.cells.items()}
        assert lost(stored["cells"], cells) == []
        attempts = {
            (phase, name, int(number))
            for phase, processors in stored["tasks"].items()
            for name, numbers in processors.items()
            for number in numbers
        }
        assert {(*task, a.number) for task, found in facts.tasks.items() for a in found} == attempts


def test_the_run_stands_where_it_stood(loaded: Loaded) -> None:
    found = report(loaded.state, "r", loaded.at)
    stands = {"status": found.status.value, "phases": found.phases, "tasks": found.tasks}
    assert lost(loaded.stands, stands) == []


def test_claims_of_attempts_that_have_not_ended_are_open(loaded: Loaded) -> None:
    claimed = {(c["date"], c["phase"], c["processor"], c["attempt"]) for c in loaded.of("runs/r/attempts")}
    open_claims = loaded.state.open_claims("r")
    assert {(str(c.key.day), c.key.phase, c.key.processor, c.key.attempt) for c in open_claims} <= claimed
    assert len(open_claims) == loaded.stands["tasks"]["running"]


def test_heals_reports_and_quarantine_are_read(finished: Loaded) -> None:
    (heal,) = finished.state.heals("r")
    assert documents.heal_document(heal) == finished.of("runs/r/heals")[0]
    (note,) = finished.state.reports("r")
    assert documents.report_document(note) == finished.of("runs/r/reports")[0]
    records = [*finished.state.quarantined("r"), *finished.state.quarantined(None)]
    assert sorted(documents.quarantine_document(r)["event"] for r in records) == sorted(
        stored["event"] for stored in finished.of("quarantine")
    )


def test_a_lease_is_held_until_its_end_unless_it_was_given_back(loaded: Loaded) -> None:
    stored = loaded.of("leases")[0]
    day, ends = date.fromisoformat(stored["date"]), stored["until"]
    leases, second = loaded.state.leases, timedelta(seconds=1)
    found = leases.take(stored["table"], day, "live", ends + 2 * second, ends - second)
    assert isinstance(found, Held) == bool(stored["holder"])
    if isinstance(found, Held):
        assert found.holder == "r/2024-01-01/raw/b/1"
        assert not isinstance(leases.take(stored["table"], day, "live", ends + 2 * second, ends), Held)


@pytest.fixture
def broken_off(
    firestore_emulator: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[CloudWorld, Loaded]]:
    """The unfinished run with its tables, objects and queues, and another process that goes on with it."""
    with CloudWorld(unpack("firestore/folder", tmp_path), monkeypatch, dates=3, change=change) as cloud:
        loaded = Loaded("unfinished", cloud.settings)
        cloud.world.clock.move_to(loaded.at)
        yield cloud, loaded


def test_the_unfinished_run_goes_on_to_its_end(broken_off: tuple[CloudWorld, Loaded], tmp_path: Path) -> None:
    cloud, _ = broken_off
    assert cloud.drive(timedelta(hours=1)).status is RunStatus.COMPLETED
    first, second, _ = cloud.days
    assert cloud.attempts("fetch", "a", first) == 1, "it had ended before"
    assert cloud.attempts("raw", "a", second) == 2, "it had failed, and a retry was asked for"
    cloud.warehouse.close()
    undisturbed = World(tmp_path / "undisturbed", dates=3)
    undisturbed.run()
    assert cloud.world.tables() == undisturbed.tables()
