"""A damaged home: every command answers with one sentence and the status of the contract, and nothing is a traceback.

The table: what is damaged × what is typed. Where data is damaged the status is 3, and the sentence says what to move
away and what to type; what is lost is found again by the tables.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import ROOT, type_command
from tests.endtoend.test_command_line import PATIENCE_SECONDS, Answer, Site

SOURCED = ("--pipeline", "pipeline.yaml", "--source", "source")
SEASON = ("--season", "2023-24")

LOOKING = {
    "status": ("status", "r"),
    "runs": ("runs",),
    "explain": ("explain", "r"),
    "watch": ("watch", "r"),
}
CHANGING = {"pause": ("pause", "q"), "cancel": ("cancel", "q")}
DRIVING = {
    "run": ("run", *SOURCED, *SEASON),
    "retry": ("retry", "r"),
    "resume": ("resume", "q"),
}
READING_TABLES = {
    "plan": ("plan", *SOURCED, *SEASON),
    "preflight": ("preflight", *SOURCED, *SEASON),
    "verify a run": ("verify", "r"),
    "verify dates": ("verify", *SOURCED, *SEASON),
    "rollback": ("rollback", *SOURCED, "--dates", "2024-01-01", "--phase", "final"),
}
START = {"start": ("start", *SOURCED, *SEASON, "--run-id", "s")}
COMMANDS = LOOKING | CHANGING | DRIVING | READING_TABLES | START


def overwrite(path: Path, at: float, size: int = 6000) -> None:
    """Other bytes at a place between the beginning (0) and the end (1) of a file."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * at))
        file.write(b"\xa5" * size)


def truncate(path: Path, to: float) -> None:
    """The first part of a file."""
    os.truncate(path, int(path.stat().st_size * to))


def replace_by_file(path: Path) -> None:
    """A file where a folder belongs."""
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("in the way")


def replace_by_folder(path: Path) -> None:
    """A folder where a file belongs."""
    path.unlink(missing_ok=True)
    path.mkdir()


def torn_log(home: Path) -> None:
    """A write-ahead log of DuckDB, left by a process that died, in which bytes are wrong."""
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        "c.execute('CREATE TABLE raw.more (k VARCHAR)');"
        "c.execute('INSERT INTO raw.more SELECT md5(i::VARCHAR) FROM range(3000) t(i)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(home / "warehouse.duckdb")], check=True)
    overwrite(home / "warehouse.duckdb.wal", 0.1, 200)


STATE, WAREHOUSE = "state.sqlite", "warehouse.duckdb"
DATA = {
    "the state file: bytes in its middle": (lambda home: overwrite(home / STATE, 0.3, 30_000), STATE),
    "the state file: its beginning": (lambda home: overwrite(home / STATE, 0.0, 200), STATE),
    "the state file: half of it": (lambda home: truncate(home / STATE, 0.5), STATE),
    "the warehouse: all behind its beginning": (lambda home: overwrite(home / WAREHOUSE, 0.1, 10**7), WAREHOUSE),
    "the warehouse: its beginning": (lambda home: overwrite(home / WAREHOUSE, 0.0, 200), WAREHOUSE),
    "the warehouse: half of it": (lambda home: truncate(home / WAREHOUSE, 0.5), WAREHOUSE),
    "the warehouse: nothing of it": (lambda home: truncate(home / WAREHOUSE, 0.0), WAREHOUSE),
    "the warehouse: its log": (torn_log, f"{WAREHOUSE}.wal"),
}
PLACES = {
    "the state file is a folder": (lambda home: replace_by_folder(home / STATE), STATE),
    "the warehouse is a folder": (lambda home: replace_by_folder(home / WAREHOUSE), WAREHOUSE),
    "the lock is a folder": (lambda home: replace_by_folder(home / "engine.lock"), "engine.lock"),
    "the reports are a file": (lambda home: replace_by_file(home / "reports"), "reports"),
    "the objects are a file": (lambda home: replace_by_file(home / "objects"), "objects"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose home is copied before it is damaged: run ``r`` has one blocked date, run ``q`` is not over."""
    made = Site(tmp_path_factory.mktemp("whole"))
    made.hold.touch()
    process = made.begin(*made.selecting("run", "--dates", "2024-01-06", "--run-id", "q"))
    while '"running"' not in made("runs", "--json").out:
        assert process.poll() is None
    assert made("drain", "q").code == 0
    made.release()
    process.wait(PATIENCE_SECONDS)
    made.spoil()
    assert made.run("--alongside").code == 1
    shutil.copytree(made.home, made.folder / "kept")
    yield made
    made.close()


def typed(site: Site, damage: Callable[[Path], object], command: tuple[str, ...]) -> Answer:
    """The answer to a command in a home that was damaged just before."""
    shutil.rmtree(site.home)
    shutil.copytree(site.folder / "kept", site.home)
    damage(site.home)
    return site(*command)


def wrong_with(answer: Answer, statuses: set[int]) -> str:
    """What is wrong with the form of an answer; empty: nothing."""
    said = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    if "Traceback" in answer.err:
        return f"a traceback: {answer.err[-600:]}"
    if answer.code not in statuses:
        return f"status {answer.code}: {answer.err[-600:] or answer.out[-300:]}"
    if answer.code in (2, 3) and len(said) != 1:
        return f"not one sentence: {answer.err!r}"
    return ""


@pytest.mark.parametrize("name", DATA)
def test_damaged_data_is_a_halt_that_says_what_to_move_and_what_to_type(whole: Site, name: str) -> None:
    damage, file = DATA[name]
    wrong: dict[str, str] = {}
    halted = 0
    for kind, command in COMMANDS.items():
        answer = typed(whole, damage, command)
        wrong[kind] = wrong_with(answer, {0, 1, 3})
        if answer.code == 3:
            halted += 1
            advice = re.search(rf"move \S*{file}|\S*{file} is damaged .*: move it", answer.err)
            wrong[kind] = wrong[kind] or ("" if advice and "away, " in answer.err else f"no advice: {answer.err}")
    assert {kind: what for kind, what in wrong.items() if what} == {}
    assert halted >= 3


@pytest.mark.parametrize("name", PLACES)
def test_what_is_in_the_way_is_refused_before_anything_is_written(whole: Site, name: str) -> None:
    damage, place = PLACES[name]
    wrong: dict[str, str] = {}
    for kind, command in COMMANDS.items():
        answer = typed(whole, damage, command)
        is_refused = kind in (DRIVING | START) or (kind in READING_TABLES and kind != "preflight")
        wrong[kind] = wrong_with(answer, {2} if is_refused else {0, 1, 2})
        if answer.code == 2 and f"/{place}" not in answer.err:
            wrong[kind] = f"does not name {place}: {answer.err}"
    assert {kind: what for kind, what in wrong.items() if what} == {}


@pytest.mark.parametrize("kind", LOOKING)
@pytest.mark.parametrize("place", ["the reports are a file", "the objects are a file", "the warehouse is a folder"])
def test_a_run_is_looked_at_whatever_else_of_its_home_is_damaged(whole: Site, place: str, kind: str) -> None:
    assert typed(whole, PLACES[place][0], LOOKING[kind]).code == (1 if kind == "watch" else 0)


# A home that may be read and not written


def left_by_a_dead_process(home: Path) -> None:
    """The state file as a process leaves it that was killed: its last writes are in the log."""
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA wal_autocheckpoint = 0');"
        "c.execute(\"UPDATE runs SET doc = json_set(doc, '$.why', 'written last')\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(home / STATE)], check=True)


def without_index(home: Path) -> None:
    """The same, moved to another machine: SQLite's index of the log was left behind."""
    left_by_a_dead_process(home)
    (home / f"{STATE}-shm").unlink()


LEFT: dict[str, Callable[[Path], None]] = {
    "closed": lambda _: None,
    "after a kill": left_by_a_dead_process,
    "after a kill, without its index": without_index,
}


@pytest.fixture(params=LEFT)
def read_only(whole: Site, request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[..., Answer]]]:
    """How a home was left that may not be written, and what types a command there as somebody who is not root."""
    shutil.rmtree(whole.home)
    shutil.copytree(whole.folder / "kept", whole.home)
    LEFT[request.param](whole.home)
    everything = [whole.home, *whole.home.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)

    def call(*words: str) -> Answer:
        typed = ("--home", whole.home, *words)
        done = type_command(*typed, folder=whole.folder, environment={"PYTHONPATH": str(ROOT)}, as_root=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    yield request.param, call
    for path in everything:
        path.chmod(path.stat().st_mode | 0o200)


def test_a_read_only_home_is_looked_at_as_it_is_and_refuses_what_would_write(
    whole: Site, read_only: tuple[str, Callable[..., Answer]]
) -> None:
    left, call = read_only
    before = {path: path.stat().st_mtime_ns for path in whole.home.rglob("*")}
    for kind, command in LOOKING.items():
        answer = call(*command)
        assert (answer.code, answer.err) == (1 if kind == "watch" else 0, ""), kind
    assert ("written last" in call("runs").out) is ("kill" in left)
    for command in (CHANGING["pause"], DRIVING["run"], READING_TABLES["plan"]) if left == "closed" else ():
        assert wrong_with(call(*command), {2}) == "", command
    assert {path: path.stat().st_mtime_ns for path in whole.home.rglob("*")} == before
