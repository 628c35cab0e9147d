"""A worker in processes of its own: what would hang or end a process that drives a run is a failed attempt."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate import telemetry
from phasegate.adapters.embedded import processes
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.processes import ProcessWorker, WorkerSource
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import HaltError, InputError, TransientError
from phasegate.telemetry.context import fields
from tests.commands import ROOT, without_settings
from tests.fakes.unruly import DAY, PART

BESIDE = ROOT / "tests" / "fakes" / "pipeline.yaml"
PATIENCE_SECONDS = 60.0


class Site:
    """A worker in processes, over a warehouse in memory."""

    def __init__(self, folder: Path, factory: str = "build") -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.warehouse = DuckDbWarehouse(Path(":memory:"))
        objects = FolderObjectStore(folder / "objects")
        made_from = WorkerSource("unruly", f"unruly:{factory}", BESIDE, self.source)
        self.worker = ProcessWorker(made_from, self.warehouse, objects, SystemClock())

    def call(self, act: str, seconds: float = PATIENCE_SECONDS, **body: Any) -> tuple[int, dict[str, Any]]:
        """One request."""
        deadline = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        return self.worker.handle(f"/{act}", {"deadline": deadline, **body})

    def who(self) -> dict[str, Any]:
        """What the process says of itself that answers next."""
        return self.call("who")[1]

    def close(self) -> None:
        """End everything."""
        self.worker.close()
        self.warehouse.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site for all tests here: each leaves a worker that answers."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.worker.make()
    made.worker.prepare()
    yield made
    made.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    """Makes a site of the test's own, with this factory."""
    sites: list[Site] = []

    def made(factory: str) -> Site:
        sites.append(Site(tmp_path, factory))
        return sites[-1]

    yield made
    for each in sites:
        each.close()


def is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(is_so: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if found := is_so():
            return found
        time.sleep(0.01)
    raise AssertionError("it never came")


# what ends a call


def test_a_call_that_hangs_is_killed_at_its_deadline_with_all_that_it_started(site: Site, tmp_path: Path) -> None:
    before = site.who()["pid"]
    with pytest.raises(TransientError, match="the worker did not answer by its deadline: its process was killed"):
        site.call("hang", seconds=4, say=str(tmp_path / "said"))
    hung, started = map(int, (tmp_path / "said").read_text().split())
    assert hung == before != site.who()["pid"]
    assert not is_there(hung)
    until(lambda: not is_there(started))


def test_a_statement_that_takes_too_long_is_rolled_back_and_nothing_stays_open(site: Site) -> None:
    site.warehouse.load_partition(PART, b'{"d": "2024-01-15", "k": "before", "v": 1}\n', 8)
    with pytest.raises(TransientError, match="its process was killed"):
        site.call("hang_in_a_statement", seconds=1)
    held = site.warehouse.query("SELECT k FROM `raw.t` WHERE d = @d", {"d": DAY})
    assert held == [{"k": "before"}]
    assert site.warehouse.empty_partition(PART, 9) == 1, "nobody holds the partition, or a transaction"
    serving = [thread for thread in threading.enumerate() if thread.name == "phasegate-worker-unruly"]
    assert len(serving) == len(site.worker._all), "nor does a thread go on with it"


@pytest.mark.parametrize(
    ("act", "how"),
    [
        ("exit", "with status 3"),
        ("killed", "by SIGKILL, as the kernel does when memory is short"),
        ("crash", "by SIGSEGV"),
        ("leave_a_holder", "with status 4"),
    ],
)
def test_a_process_that_ends_is_a_failed_attempt_and_is_replaced(
    site: Site, act: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = site.who()["pid"]
    with pytest.raises(TransientError) as raised:
        site.call(act, seconds=4)
    assert str(raised.value) == f"the worker's process ended {how}"
    assert site.who()["pid"] != before
    written = {"exit": "about to end", "crash": "Fatal Python error: Segmentation fault"}.get(act, "")
    assert written in "\n".join(record.getMessage() for record in caplog.records)


def test_a_process_that_died_between_two_calls_is_replaced_and_costs_no_attempt(site: Site) -> None:
    before = site.who()["pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: site.worker._idle[-1].has_ended)
    assert site.who()["pid"] != before


# what is answered


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("odd", "the worker's answer is no JSON: TypeError: Object of type Odd is not JSON serializable"),
        ("deep", "the worker's answer is no JSON: RecursionError"),
        ("later", "the worker answered 202, but the event"),
        ("nothing", "the worker's answer is no pair of status and body but a NoneType"),
    ],
)
def test_an_answer_that_is_none_is_a_bug_as_it_is_in_a_thread(site: Site, act: str, message: str) -> None:
    status, body = site.call(act)
    assert (status, body["error_class"]) == (500, "bug")
    assert body["message"].startswith(message)


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("value", TransientError, r"the worker raised ValueError: no \ud83d words"),
        ("exit", TransientError, "the worker raised SystemExit: 0"),
        ("interrupt", TransientError, "the worker raised KeyboardInterrupt"),
        ("halt", HaltError, "the disk is full"),
    ],
)
def test_what_a_worker_raises_is_told_as_it_is_in_a_thread(
    site: Site, what: str, kind: type[Exception], said: str
) -> None:
    before = site.who()["pid"]
    with pytest.raises(kind) as raised:
        site.call("raise_", what=what)
    assert (type(raised.value), str(raised.value)) == (kind, said)
    assert site.who()["pid"] == before


def test_ten_calls_at_once_have_ten_processes_and_the_next_ten_have_them_again(site: Site) -> None:
    def ten() -> set[int]:
        with ThreadPoolExecutor(10) as pool:
            answers = [pool.submit(site.call, "who", crowd=10) for _ in range(10)]
            found = {answer.result()[1]["pid"] for answer in answers}
        for file in site.source.iterdir():
            file.unlink()
        return found

    first = ten()
    assert len(first) == 10
    assert ten() == first
    assert all(process in first or is_there(process) for process in first)


# what a worker has there


def test_warehouse_and_objects_are_those_of_this_process(site: Site) -> None:
    status, found = site.call("work")
    assert status == 200
    assert found == {
        "loaded": 1,
        "row": ["datetime.date(2024, 1, 15)", "a", 1, True],
        "columns": ["raw.t"],
        "object": "content",
        "held": ["some/where"],
        "stale": found["stale"],
        "nothing": "WouldEmpty: raw.t of 2024-01-15 holds 1 row, and this attempt yields 0: nothing was changed",
        "emptied": 1,
        "many": [1, "WouldEmpty", 1],
        "gone": found["gone"],
        "wrong": found["wrong"],
        "odd": found["odd"],
        "closed": "AttributeError: '_Port' object has no attribute 'close'",
        "threads": True,
    }
    assert found["odd"].startswith("InputError: a unruly.Odd cannot leave the worker's process; give text, a number")
    assert found["stale"].startswith("StaleFence: raw.t of 2024-01-15 was written under fence 7; fence 6 came too late")
    assert found["gone"].startswith("FileNotFoundError")
    assert found["wrong"] == "InputError: line 1, column 8: there is no column nothing"
    assert site.warehouse.query("SELECT k, _fence FROM `raw.t`") == []


def test_it_says_what_it_makes_rows_with_and_how_it_takes_several_dates_and_an_error_of_that_is_one_sentence(
    site: Site,
) -> None:
    assert site.worker.made_with() == {"/who": {"x": "1.0"}}
    assert site.worker.offered_batches() == {"/who": "list"}
    mute = site.source / "mute"
    mute.touch()
    with pytest.raises(InputError, match=r"worker 'unruly' could not say what .*: RuntimeError: it will not say"):
        site.worker.made_with()
    with pytest.raises(InputError, match=r"worker 'unruly' could not say how it takes several dates: RuntimeError"):
        site.worker.offered_batches()
    mute.unlink()
    assert site.worker.made_with() == {"/who": {"x": "1.0"}}, "the process goes on"


def test_what_it_prints_and_logs_is_logged_here_with_the_fields_of_its_call(
    site: Site,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound: list[dict[str, Any]] = []
    caplog.handler.addFilter(keep := lambda record: bound.append(dict(fields())) or True)  # type: ignore[func-returns-value]
    monkeypatch.setattr(telemetry.context, "_has_readers", True)
    try:
        with telemetry.bind(run_id="r", attempt=7):
            assert site.call("say")[0] == 200
        until(lambda: len(caplog.records) == 3)
    finally:
        caplog.handler.removeFilter(keep)
    said = [record.getMessage() for record in caplog.records if record.name == "worker.unruly"]
    unreadable, printed = sorted(said)
    assert unreadable.startswith(
        "a log line cannot be read: InputError: a unruly.Text cannot leave the worker's process"
    )
    assert printed == r"printed\x1b[2K \ud83d"
    (logged,) = (record for record in caplog.records if record.name == "their.own")
    assert (logged.levelno, logged.getMessage()) == (logging.ERROR, "logged 7")
    assert logged.exc_text is not None and logged.exc_text.endswith("ValueError: why")
    assert all(each == {"run_id": "r", "attempt": 7} for each in bound)
    assert capfd.readouterr() == ("", "")


def test_a_call_belongs_to_the_trace_of_whoever_makes_it(site: Site) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with telemetry.incoming({"traceparent": trace}):
        assert site.call("trace") == (200, {"trace": trace})


def test_a_call_whose_deadline_has_passed_is_not_made(site: Site) -> None:
    before = site.who()["pid"]
    with pytest.raises(TransientError, match="the worker was not called: the deadline 2"):
        site.call("exit", seconds=-1)
    assert site.who()["pid"] == before


def test_it_is_a_session_of_its_own_and_nothing_of_the_current_folder_is_run(
    make: Callable[[str], Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "elsewhere"
    (there / "phasegate").mkdir(parents=True)
    for name in ("phasegate/__init__.py", "json.py", "multiprocessing.py"):
        (there / name).write_text("import os\nos._exit(9)\n")
    monkeypatch.chdir(there)
    own = make("build")
    own.worker.make()
    found = own.who()
    assert found["session"] == found["pid"] != os.getsid(0), "Ctrl-C is not for it"
    assert Path(found["folder"]) == there
    assert found["path"][0] == str(BESIDE.parent)
    assert not {"", str(there), str(Path(processes.__file__).parent)} & set(found["path"])
    os.kill(found["pid"], signal.SIGTERM)
    assert own.who()["pid"] == found["pid"], "nor is what a service manager sends to all processes"


# its beginning and its end


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("build_and_raise", "worker 'unruly': unruly:build_and_raise raised ValueError: no source"),
        ("build_and_exit", "worker 'unruly': the worker's process ended with status 5"),
        ("build_nothing", "worker 'unruly': cannot load unruly:build_nothing: 'build_nothing' is not there in "),
        ("build_never", "worker 'unruly': the worker's process was not ready within 2 s"),
    ],
)
def test_a_worker_that_cannot_be_made_is_refused_in_a_sentence(
    make: Callable[[str], Site], factory: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if factory == "build_never":
        monkeypatch.setattr(processes, "START_SECONDS", 2.0)
    with pytest.raises(InputError) as raised:
        make(factory).worker.make()
    assert str(raised.value).startswith(said)


def test_a_process_that_is_not_ready_by_a_deadline_is_ready_for_the_next_call(make: Callable[[str], Site]) -> None:
    own = make("build_slowly")
    own.worker.make()
    own.worker.prepare()
    (own.source / "wait").touch()
    with pytest.raises(TransientError):
        own.call("exit")
    with pytest.raises(TransientError, match="the worker's process was not ready within 0 s"):
        own.call("who", seconds=0.1)
    assert len(own.worker._all) == 1
    (own.source / "go").touch()
    assert own.who()["is_prepared"], "as the one before was"
    assert len(own.worker._all) == 1


def test_closing_ends_every_process(make: Callable[[str], Site]) -> None:
    own = make("build")
    own.worker.make()
    pid = own.who()["pid"]
    began = time.monotonic()
    own.worker.close()
    assert not is_there(pid)
    assert time.monotonic() - began < processes.GRACE_SECONDS, "it ended by itself"


DRIVER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from phasegate.adapters.embedded.clock import SystemClock
from phasegate.adapters.embedded.processes import ProcessWorker, WorkerSource
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
made_from = WorkerSource("unruly", "unruly:build", Path(sys.argv[1]), None)
worker = ProcessWorker(made_from, DuckDbWarehouse(Path(":memory:")), None, SystemClock())
worker.make()
if sys.argv[2]:
    worker.handle("/hang", {"deadline": str(datetime.now(UTC) + timedelta(hours=1)), "say": sys.argv[2]})
print(next(iter(worker._all))._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_process_does_not_outlive_the_one_that_started_it(tmp_path: Path, is_busy: bool) -> None:
    said = tmp_path / "said"
    words = [sys.executable, "-P", "-c", DRIVER, str(BESIDE), str(said) if is_busy else ""]
    driver = subprocess.Popen(
        words, env=without_settings(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert driver.stdout is not None
        told = until(lambda: said.exists() and said.read_text()) if is_busy else driver.stdout.readline()
        there = [int(word) for word in told.split()]
        assert all(map(is_there, there))
    finally:
        driver.kill()
        driver.communicate()
    until(lambda: not any(map(is_there, there)))
