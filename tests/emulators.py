"""Google's emulators as fixtures: each is started by the first test that asks for it and ends with the session.

One of a kind a worker process of the test run. Nothing is wiped between tests: a test works in datasets, buckets,
topics or runs of its own name. The reference pipeline's datasets have but one name: who fills them wipes them first.
"""

from collections.abc import Iterator

import pytest

from phasegate.adapters.gcp import clients
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import InputError
from phasegate.stack.emulators import BIGQUERY, FIRESTORE, PUBSUB, STORAGE, Emulator, Server, start_emulator

PROJECT = "demo"
"""The project that all emulators serve; the BigQuery one knows no other."""


def _forget_clients() -> None:
    for made_once in vars(clients).values():
        if hasattr(made_once, "cache_clear"):
            made_once.cache_clear()


def _serve(emulator: Emulator, factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start an emulator and point Google's clients at it; skip, with what to install, where it is not there."""
    missing = emulator.missing()
    if missing:
        pytest.skip(f"the {emulator.name} emulator is not installed: {missing}")
    server = _started(emulator, factory)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(emulator.variable, emulator.setting(server.port))
            patch.setenv("PHASEGATE_PROJECT", PROJECT)
            _forget_clients()
            yield server
            _forget_clients()
    finally:
        server.stop()


def _started(emulator: Emulator, factory: pytest.TempPathFactory) -> Server:
    """The emulator, answering. Another process may take its port before it does: then it is given another one."""
    for _ in range(2):
        server = start_emulator(emulator, factory.mktemp(emulator.name))
        try:
            server.wait_until_ready()
        except InputError:
            server.stop()
        else:
            return server
    server = start_emulator(emulator, factory.mktemp(emulator.name))
    server.wait_until_ready()
    return server


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Google's own Firestore emulator."""
    yield from _serve(FIRESTORE, tmp_path_factory)


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Google's own Pub/Sub emulator."""
    yield from _serve(PUBSUB, tmp_path_factory)


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """BigQuery's API over DuckDB."""
    yield from _serve(BIGQUERY, tmp_path_factory)


@pytest.fixture(scope="session")
def storage_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Cloud Storage's API in memory."""
    yield from _serve(STORAGE, tmp_path_factory)


def wipe_reference_datasets() -> None:
    """Take the reference pipeline's datasets out of the BigQuery emulator: another file's games may be in them."""
    client = clients.bigquery_client(CloudSettings.from_environment())
    for found in client.list_datasets():
        if found.dataset_id.startswith("nba_"):
            client.delete_dataset(found.dataset_id, delete_contents=True)
