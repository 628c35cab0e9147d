"""``phasegate start`` answers when a process drives the run, and says so when none does."""

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phasegate.ports import ObjectStore, Warehouse
from phasegate.stack import forking, parts
from phasegate.stack.emulators import CLOUD_TASKS
from tests.endtoend.test_command_line import PATIENCE_SECONDS, Site
from tests.world import WorldWorker

HERE = "tests.endtoend.test_start"


def _is_child() -> bool:
    return "resume" in sys.argv


def dying(source: Path, warehouse: Warehouse, objects: ObjectStore) -> WorldWorker:
    """A factory that ends the process which is to drive the run."""
    if _is_child():
        os.write(2, b"no licence for this machine\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return WorldWorker(source, warehouse, objects)


class UnreadyWorker(WorldWorker):
    """Cannot prepare in the process which is to drive the run."""

    def prepare(self) -> None:
        """Raise there."""
        if _is_child():
            raise RuntimeError("the reference data are gone")
        super().prepare()


class SlowlyReadyWorker(WorldWorker):
    """Waits, before it is ready, for the file ``go`` in the source folder."""

    def prepare(self) -> None:
        """Wait."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not (self._source / "go").exists() and time.monotonic() < give_up:
            time.sleep(0.005)
        super().prepare()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own."""
    made = Site(tmp_path)
    yield made
    made.close()


def site_with(folder: Path, factory: str) -> Site:
    """A site whose worker is made by a callable of this module."""
    return Site(folder, lambda document: document["workers"]["world"].update(factory=f"{HERE}:{factory}"))


def starting(site: Site) -> list[str]:
    """The words that start the season under the id ``r``."""
    return site.selecting("start", "--season", "2023-24", "--run-id", "r")


@pytest.mark.parametrize(
    ("factory", "reason"),
    [("dying", "no licence for this machine"), ("UnreadyWorker", "RuntimeError: the reference data are gone")],
)
def test_a_start_whose_process_dies_ends_with_3_and_the_end_of_its_log(
    tmp_path: Path, factory: str, reason: str
) -> None:
    site = site_with(tmp_path, factory)
    answer = site.call(*starting(site))
    assert (answer.code, answer.out) == (3, "")
    assert "run r is written and not driven: its process ended" in answer.err
    assert "go on with: phasegate --home home resume r" in answer.err and reason in answer.err


def test_a_start_that_loses_the_home_to_another_process_ends_with_3_and_names_it(tmp_path: Path) -> None:
    site = site_with(tmp_path, "SlowlyReadyWorker")
    took, done = threading.Event(), threading.Event()

    def be_quicker() -> None:
        """Wait for the lock of the starting process, and have it before the process that is to drive the run."""
        while site.world.home.driver() is None:
            time.sleep(0.005)
        with (site.home / "engine.lock").open("a+") as lock:
            (site.world.source / "go").touch()
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)
            lock.write("process 1, run of-somebody-else")
            lock.flush()
            took.set()
            done.wait(PATIENCE_SECONDS)

    other = threading.Thread(target=be_quicker)
    other.start()
    answer = site.call(*starting(site))
    done.set()
    other.join()
    assert took.is_set()
    assert (answer.code, answer.out) == (3, "")
    assert "run r is written and not driven" in answer.err and "is in use by process 1, run of-somebody" in answer.err


def test_a_start_answers_when_the_workers_are_ready_and_not_before(tmp_path: Path) -> None:
    site = site_with(tmp_path, "SlowlyReadyWorker")
    (site.world.source / "go").touch()
    answer = site.call(*starting(site))
    assert (answer.code, answer.out) == (0, "r\n")
    assert site("watch", "r").code == 0


def test_a_folder_of_the_products_name_in_the_current_folder_is_not_executed(site: Site) -> None:
    trap = site.folder / "phasegate" / "cli"
    trap.mkdir(parents=True)
    for folder in (trap.parent, trap):
        (folder / "__init__.py").touch()
    (trap / "main.py").write_text("open('trapped', 'w').close()\n")
    answer = site.call(*starting(site))
    assert (answer.code, (site.folder / "trapped").exists()) == (0, False), answer.err
    assert site("watch", "r").code == 0


def test_a_start_of_a_run_that_is_over_says_so_and_begins_no_process(site: Site) -> None:
    assert site.run().code == 0
    answer = site.call(*starting(site))
    assert (answer.code, answer.out) == (0, "r\n")
    assert "run r is over (completed); see: phasegate --home home status r" in answer.err


def test_processes_of_the_stack_look_at_nothing_in_the_current_folder(tmp_path: Path) -> None:
    cloud_tasks = CLOUD_TASKS.find(1, 2, tmp_path)
    commands = [cloud_tasks, forking.COMMAND, parts.schedule_part("s", "http://localhost", 1.0).command]
    assert [command[1] for command in commands] == ["-P"] * 3
