"""The home folder: one process drives it, and whoever asks who that is disturbs nobody."""

import os
import threading
from pathlib import Path

import pytest

from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.domain.errors import HomeInUse
from phasegate.domain.protocol.object_names import LINES
from tests.world import World


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that does not exist yet."""
    return Home(tmp_path / "home")


def test_nobody_drives_a_home_that_does_not_exist(home: Home) -> None:
    assert (home.driver(), home.root.exists()) == (None, False)


def test_the_holder_of_the_lock_is_named(home: Home) -> None:
    with HomeLock(home):
        assert home.driver() == f"process {os.getpid()}"


def test_a_second_holder_is_refused(home: Home) -> None:
    with HomeLock(home), pytest.raises(HomeInUse, match=f"is in use by process {os.getpid()}"):
        HomeLock(home).__enter__()


def test_after_the_holder_has_gone_nobody_drives_the_home(home: Home) -> None:
    with HomeLock(home):
        pass
    assert home.driver() is None


def test_asking_who_drives_a_home_never_keeps_anybody_from_driving_it(home: Home) -> None:
    with HomeLock(home):
        pass
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            home.driver()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(500):
            with HomeLock(home):
                pass
    finally:
        is_over.set()
        asking.join()


LEFT_BEHIND = [
    "objects/a/.unfinished-k1x",
    "reports/r/.unfinished-k1x",
    ".unfinished-k1x.jsonl",
    "tmpk1x_9abc.jsonl",
    "warehouse.duckdb.tmp/duckdb_temp_storage-0.tmp",
]
KEPT = ["objects/a/tmpk1x_9abc.jsonl", "objects/a/2024-01-01.jsonl", "reports/r.log", "tmpnotes.jsonl"]


def test_what_a_killed_process_left_unfinished_is_swept_by_the_next_that_drives_the_home(tmp_path: Path) -> None:
    world = World(tmp_path, dates=1)
    root = world.home.root
    for name in (*LEFT_BEHIND, *KEPT):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    with world.open():
        pass
    assert [name for name in LEFT_BEHIND if (root / name).exists()] == []
    assert [name for name in KEPT if not (root / name).exists()] == []


def test_rows_that_were_on_their_way_into_the_warehouse_are_swept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, dates=1)
    with monkeypatch.context() as killed:
        killed.setattr("phasegate.adapters.embedded.warehouse.os.unlink", lambda _: None)
        world.run()
    assert list((world.home.root / LINES).iterdir()) != []
    with world.open():
        pass
    assert not (world.home.root / LINES).exists() or list((world.home.root / LINES).iterdir()) == []
