"""The index of the reference pipeline's exports, kept by many writers over every object store."""

import json
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from nba_worker import export_index
from nba_worker.export_index import INDEX, ExportIndex, export_name
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.gcp.clients import storage_client
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import TransientError
from phasegate.ports import ObjectStore

BUCKET = "export-index"
KINDS = ("players", "results")
DAYS = tuple(date(2024, 1, 1) + timedelta(days=number) for number in range(6))


@pytest.fixture(params=["embedded", "gcp"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store."""
    if request.param == "embedded":
        return FolderObjectStore(tmp_path)
    request.getfixturevalue("storage_emulator")
    client = storage_client(CloudSettings.from_environment())
    client.create_bucket(BUCKET)
    return GcsObjectStore(client, BUCKET)


def test_of_many_writers_none_loses_what_another_listed(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_index, "sleep", lambda _: None)
    met: list[BaseException] = []

    def write(kind: str, day: date) -> None:
        try:
            index = ExportIndex(store, KINDS, DAYS)
            store.write(export_name(kind, day), f"{kind} of {day}".encode())
            while True:
                try:
                    return index.bring_up_to_date(kind, [day])
                except TransientError:  # others came first each time
                    continue
        except BaseException as error:
            met.append(error)

    writers = [Thread(target=write, args=(kind, day)) for kind in KINDS for day in DAYS]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert met == []
    assert json.loads(store.read(INDEX)) == {
        "schema_version": 1,
        "exports": {
            kind: {
                str(day): {
                    "path": f"v1/{kind}/{day}.json",
                    "bytes": len(f"{kind} of {day}"),
                    "sha256": sha256(f"{kind} of {day}".encode()).hexdigest(),
                }
                for day in DAYS
            }
            for kind in KINDS
        },
    }
    store.delete([export_name("players", day) for day in DAYS])
    ExportIndex(store, KINDS, DAYS).bring_up_to_date("results", DAYS[:1])
    assert json.loads(store.read(INDEX))["exports"].keys() == {"results"}
