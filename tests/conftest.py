"""The source of games that tests run on: the real one where it is, else a made-up league."""

import gc
import json
import logging
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from nba_worker.sample import write_sample
from phasegate.telemetry.logs import CloudLogHandler
from tests.commands import type_command
from tests.world import BATCH, batched

ROOT = Path(__file__).parents[1]
NBA_PIPELINE = ROOT / "pipelines" / "nba" / "pipeline.yaml"

FULL = os.environ.get("PHASEGATE_FULL") == "1"
"""Everything, which takes longer: every boundary of a run, fifty kills, two seasons, two weeks on a stack."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell's background job; the commands that tests interrupt would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.emulators", "tests.no_skips", "pytester"]


def real_source() -> Path | None:
    """The folder named by PHASEGATE_NBA_SOURCE, or shared/nba beside the project."""
    named = os.environ.get("PHASEGATE_NBA_SOURCE")
    folder = Path(named) if named else ROOT.parent / "shared" / "nba"
    return folder if (folder / "schedule.parquet").exists() else None


SESSIONS_STACK = ("tests/stack/test_nba_on_the_stack.py", "tests/stack/test_stack_lifecycle.py")
"""Files that use the session's stack: one process runs them all, so that it is started once."""

SESSIONS_PLAN = ("tests/infra/test_one_list.py", "tests/infra/test_who_may_do_what.py")
"""Files that use Terraform's plan of the project: one process runs them all, so that it is made once."""

LEAGUE = (
    "tests/workers/test_values.py",
    "tests/workers/test_worker.py",
    "tests/workers/test_spoiled_dates.py",
    "tests/workers/test_nba_service.py",
    "tests/workers/test_grading.py",
    "tests/workers/test_exports_of_a_league.py",
)
"""Files that look at the played league: one process runs them all, so that it is played once."""

OTHER_STACKS = "tests/stack"
"""The folder whose other files each start a stack of their own: one process runs them, one after the other. Their tests
wait for what happens within seconds, and more stacks at once would keep two cores from doing it."""

SLOW = (*SESSIONS_STACK, OTHER_STACKS, "tests/endtoend", "tests/simulation", *LEAGUE)
"""Files and folders that take longest; the longest first."""


def is_of(file: str, place: str) -> bool:
    """Whether a file is the one that is named, or in the folder that is."""
    return file == place or file.startswith(f"{place}/")


class ByStack(LoadFileScheduling):
    """Deals the tests to the processes of a run with ``-n``: those of a file to one, those on stacks to two, those over
    one plan to one, and those of the league to one.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        for together in (SESSIONS_STACK, SESSIONS_PLAN, LEAGUE):
            if file in together:
                return together[0]
        return OTHER_STACKS if is_of(file, OTHER_STACKS) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByStack:
    """Use this scheduler instead of one of xdist's."""
    return ByStack(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays until the end: its garbage is not looked for while more and more is there,
    and what is there is not looked through again afterwards.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first, so that no process is left with one of them in the end."""

    def place(item: pytest.Item) -> int:
        file = item.path.relative_to(ROOT).as_posix()
        return next((n for n, slow in enumerate(SLOW) if is_of(file, slow)), len(SLOW))

    items.sort(key=place)


def pytest_report_header() -> str:
    """Say which games the tests run on."""
    games = real_source() or "a made-up league (set PHASEGATE_NBA_SOURCE to run on real games)"
    extent = (
        "everything"
        if FULL
        else "every eighth crash and sixth kill, date by date and in batches; one season (PHASEGATE_FULL=1: all)"
    )
    return f"NBA source: {games}\nextent: {extent}"


@pytest.fixture(scope="module", autouse=True)
def process_logging() -> Iterator[None]:
    """What a file's tests set up of the process's logging ends with the file: a function that is loaded sets it up."""
    root = logging.getLogger()
    level, ours = root.level, [each for each in root.handlers if isinstance(each, CloudLogHandler)]
    yield
    root.setLevel(level)
    root.handlers[:] = [each for each in root.handlers if not isinstance(each, CloudLogHandler)] + ours


@pytest.fixture(params=[1, BATCH], ids=["one date a call", "batches"])
def dates_at_once(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many dates of a processor travel together in the worlds that the test makes."""
    dates: int = request.param
    with batched(dates):
        yield dates


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source folder that holds the seasons 2022-23 and 2023-24."""
    folder = real_source()
    if folder is None:
        folder = tmp_path_factory.mktemp("sample")
        write_sample(folder, seasons=["2022-23", "2023-24"])
    return folder


def run_command(*words: object, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Type a ``phasegate`` command for a home. timeout: seconds that it may take."""
    return type_command("--home", home, *words, seconds=timeout)


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command printed with ``--json``."""
    return json.loads(done.stdout)
