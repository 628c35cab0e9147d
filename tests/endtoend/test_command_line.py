"""The ``phasegate`` command as people and scripts use it, on the small world."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from phasegate.ports import ObjectStore, Warehouse
from tests.commands import ROOT, type_command, without_settings
from tests.world import World, WorldWorker

PATIENCE_SECONDS = 40.0
TASKS = 9 * 6


class HeldWorker(WorldWorker):
    """The world's worker, which answers nobody while there is a file ``hold`` in the source folder."""

    def __init__(self, source: Path, warehouse: Warehouse, objects: ObjectStore) -> None:
        super().__init__(source, warehouse, objects)
        self._hold = source / "hold"

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request, when it is time for it."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while self._hold.exists() and time.monotonic() < give_up:
            time.sleep(0.005)
        return super().handle(path, body)


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> HeldWorker:
    """The factory that the pipeline of these tests names."""
    return HeldWorker(source, warehouse, objects)


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


class Site:
    """A folder with the world's pipeline, its source, and a home that does not exist yet."""

    def __init__(self, folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
        def held(document: dict[str, Any]) -> None:
            document["workers"]["world"]["factory"] = "tests.endtoend.test_command_line:build"
            change(document)

        self.folder = folder
        self.world = World(folder, change=held)
        self.home = folder / "home"
        self.hold = self.world.source / "hold"
        self.environment = {"PYTHONPATH": str(ROOT)}
        self._begun: list[subprocess.Popen[str]] = []

    def call(self, *arguments: str, **environment: str) -> Answer:
        """Type a command, without any setting."""
        given = self.environment | environment
        done = type_command(*arguments, folder=self.folder, environment=given, seconds=2 * PATIENCE_SECONDS)
        return Answer(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> Answer:
        """Type a command for this home."""
        return self.call("--home", "home", *arguments)

    def selecting(self, command: str, *arguments: str) -> list[str]:
        """``plan``, ``run`` or ``start`` for the world's pipeline and source."""
        given = ["--home", "home", command, "--pipeline", "pipeline.yaml", "--source", "source"]
        return [*given, *(arguments or ("--season", "2023-24"))]

    def run(self, *arguments: str) -> Answer:
        """Run the season under the id ``r``."""
        return self.call(*self.selecting("run", "--season", "2023-24", "--run-id", "r", *arguments))

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Type a command and do not wait for it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "phasegate.cli.main", *arguments],
            cwd=self.folder,
            env=without_settings() | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        return process

    def status(self) -> dict[str, Any]:
        """``status --json`` of the run ``r``."""
        found: dict[str, Any] = self("status", "r", "--json").document
        return found

    def until(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status is such."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            answer = self("status", "r", "--json")
            if answer.code == 0 and is_so(answer.document):
                found: dict[str, Any] = answer.document
                return found
            time.sleep(0.05)
        raise AssertionError(f"it never came to that: {answer}")

    def run_held(self) -> subprocess.Popen[str]:
        """A run whose first calls are under way, and stay so until ``release``."""
        self.hold.touch()
        process = self.begin(*self.selecting("run", "--season", "2023-24", "--run-id", "r"))
        self.until(lambda s: bool(s["tasks"]["running"]))
        return process

    def release(self) -> None:
        """Let the worker answer."""
        self.hold.unlink(missing_ok=True)

    def spoil(self, number: int = 1) -> None:
        """Take half of the rows of ``a`` on one date out of the source."""
        data = self.world.data()
        day = str(self.world.days[number])
        data["a"][day] = data["a"][day][:2]
        self.world.rewrite(data)

    def mend(self, number: int = 1) -> None:
        """Put rows in their place."""
        data = self.world.data()
        day = str(self.world.days[number])
        data["a"][day] = [{"d": day, "k": f"T{n}", "v": n} for n in range(4)]
        self.world.rewrite(data)

    def close(self) -> None:
        """End what was begun here, and what drives this home in the background."""
        self.release()
        for process in self._begun:
            if process.poll() is None:
                process.kill()
            process.communicate()
        lock = self.home / "engine.lock"
        owner = re.search(r"\d+", lock.read_text()) if lock.exists() else None
        if owner and str(self.folder).encode() in _working_folder(int(owner[0])):
            with suppress(ProcessLookupError):
                os.kill(int(owner[0]), signal.SIGKILL)


def _working_folder(process: int) -> bytes:
    try:
        return os.fsencode(os.readlink(f"/proc/{process}/cwd"))
    except OSError:
        return b""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own."""
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one completed run; for tests that only look."""
    made = Site(tmp_path_factory.mktemp("finished"))
    assert made.run("--why", "the first one").code == 0
    yield made
    made.close()


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one run whose second date is blocked; for tests that only look."""
    made = Site(tmp_path_factory.mktemp("blocked"))
    made.spoil()
    assert made.run().code == 1
    yield made
    made.close()


# run


def test_help_names_every_command_of_the_contract(site: Site) -> None:
    shown = site.call("--help").out
    commands = "plan run start status watch runs explain failures retry pause resume drain set cancel schema"
    commands += " sample verify approve waive calendar preflight rollback"
    assert [c for c in commands.split() if not re.search(rf"^\W*{c}\b", shown, re.MULTILINE)] == []


def test_a_complete_run_ends_with_0_and_a_summary_with_the_next_command(site: Site) -> None:
    answer = site.run()
    assert answer.code == 0
    assert "Run r: completed. 6 dates, 54 of 54 tasks done" in answer.out
    assert answer.out.endswith("next: phasegate --home home status r\n")
    assert re.search(
        r"^calls: \d+ for \d+ attempts; they took \d+\.\d s, all threads together$", answer.out, re.MULTILINE
    )
    assert re.search(r"^time: \d+\.\d s of this process, until all was recorded: \d+\.\d s ", answer.out, re.MULTILINE)


def test_run_prints_one_json_document_and_tells_its_progress_elsewhere(site: Site) -> None:
    answer = site.run("--json")
    assert (answer.document["status"], answer.document["tables"]["raw.a"]) == ("completed", {"rows": 24, "dates": 6})
    spent = answer.document["time"]
    assert 0 < spent["calls"] <= spent["attempts"] == 52  # Of two tasks nothing is due: nobody is called.
    assert min(spent["work"], spent["proofs"], spent["orchestration"]) > 0
    parts = spent["proofs"] + spent["orchestration"] + sum(spent["waiting"].values())
    assert spent["seconds"] == pytest.approx(parts, abs=0.05)
    assert "run r: 6 dates" in answer.err


def test_a_run_in_which_something_is_blocked_ends_with_1_and_names_what_is_missing(site: Site) -> None:
    site.spoil()
    answer = site.run()
    assert answer.code == 1
    assert "2024-01-02 shape: left, right, ahead" in answer.out


def test_a_run_that_halts_ends_with_3_and_says_why(tmp_path: Path) -> None:
    site = Site(tmp_path, lambda d: d["phases"][2]["failure"].update(then="halt_run"))
    site.world.misbehave(shape__left__0=["fail:bug"])
    answer = site.run()
    assert (answer.code, "Run r: halted (shape: 1 date(s) ended badly" in answer.out) == (3, True)


def test_an_error_that_the_worker_calls_expected_emptiness_is_a_success(site: Site) -> None:
    site.world.misbehave(final__total__0=["fail:expected_empty"] * 9)
    assert site.run().code == 0


def test_the_same_run_id_again_is_the_same_run(site: Site) -> None:
    site.run()
    answer = site.run("--json")
    assert (answer.code, answer.document["status"], len(site("runs", "--json").document)) == (0, "completed", 1)


def test_the_same_command_on_a_complete_warehouse_runs_no_table_again(site: Site) -> None:
    site.run()
    site.world.misbehave(shape__left__0=["fail:bug"])
    answer = site.call(*site.selecting("run"), "--json")
    tasks = answer.document["tasks"]
    assert (answer.code, tasks["succeeded"] + tasks["empty_ok"] + tasks["not_needed"]) == (0, TASKS)
    assert tasks["not_needed"] == 2 * 6, "the objects, which only sound tables read"


def test_a_run_id_of_another_selection_is_refused(site: Site) -> None:
    site.run()
    answer = site.call(*site.selecting("run", "--dates", "2024-01-01", "--run-id", "r"))
    assert answer.code == 2
    assert "run 'r' exists and was asked for differently" in answer.err


PASS = re.compile(r"^\S+ \S+ phasegate\.services\.running\.conductor pass: \d+ proofs .*$", re.MULTILINE)


def test_every_pass_of_the_conductor_stands_in_the_log_of_the_run_and_on_wish_on_standard_error(site: Site) -> None:
    quiet = site.run()
    log = (site.home / "reports" / "r.log").read_text()
    assert len(PASS.findall(log)) > 3
    assert PASS.findall(quiet.err) == []
    told = site.call(*site.selecting("run", "--reprocess", "all", "--season", "2023-24", "--verbose", "--json"))
    assert (len(PASS.findall(told.err)) > 3, told.document["status"]) == (True, "completed")


def test_a_run_that_is_retried_or_taken_up_again_tells_its_passes_on_wish(site: Site) -> None:
    site.spoil()
    site.run()
    assert PASS.findall(site("retry", "r", "--verbose").err) != []
    assert PASS.findall(site("retry", "r").err) == []


# plan, status, runs, explain, schema, sample


def test_a_plan_is_shown_and_nothing_is_written(site: Site) -> None:
    answer = site.call(*site.selecting("plan"), "--json")
    assert answer.document["tasks"] == {
        "expected": TASKS,
        "run": TASKS - 2,
        "adopted": 0,
        "not_needed": 0,
        "nothing_due": 2,
    }
    assert not site.home.exists()


def test_a_plan_names_what_it_reads_and_does_not_make(site: Site) -> None:
    answer = site.call(*site.selecting("plan", "--dates", "2024-01-06", "--json"))
    assert set(answer.document["missing_outside"]["shape/left"]) == {"2024-01-03", "2024-01-04", "2024-01-05"}


def test_a_plan_says_what_is_there_already_and_runs_what_leaves_nothing_to_look_at(finished: Site) -> None:
    assert (
        "54 tasks: 6 to run, 34 adopted, 12 not needed, 2 with nothing due"
        in finished.call(*finished.selecting("plan")).out
    )


@pytest.mark.parametrize(
    "command",
    [
        ("status", "r"),
        ("runs",),
        ("failures", "r"),
        ("explain", "r"),
        ("explain", "r", "2024-01-02"),
        ("explain", "r", "2024-01-02", "shape"),
    ],
    ids=" ".join,
)
def test_what_looks_at_a_run_prints_one_json_document(blocked: Site, command: tuple[str, ...]) -> None:
    answer = blocked(*command, "--json")
    assert (answer.code, bool(answer.document), answer.err) == (0, True, "")


KEYS = {
    "run_id": str,
    "pipeline": str,
    "status": str,
    "dates": int,
    "started_at": str,
    "finished_at": str,
    "eta_seconds": type(None),
    "phases": dict,
    "tasks": dict,
    "failures": list,
    "blocked": list,
    "warnings": list,
    "waivers": list,
    "approvals": list,
    "waits_for_approval": list,
    "overdue": list,
    "schedule": dict,
}


@pytest.mark.parametrize("kind", ["finished", "blocked"])
def test_the_status_has_the_keys_of_the_contract(kind: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(kind).status()
    assert {key: type(value) for key, value in found.items()} == KEYS


@pytest.mark.parametrize("kind", ["finished", "blocked"])
def test_expected_tasks_are_the_sum_of_the_others(kind: str, request: pytest.FixtureRequest) -> None:
    tasks = request.getfixturevalue(kind).status()["tasks"]
    assert list(tasks) == [
        *("expected", "pending", "blocked", "queued", "running"),
        *("reported", "succeeded", "empty_ok", "failed", "unrecoverable"),
    ]
    assert tasks.pop("expected") == TASKS == sum(tasks.values())


@pytest.mark.parametrize("kind", ["finished", "blocked"])
def test_the_dates_of_each_phase_are_the_sum_of_its_states(kind: str, request: pytest.FixtureRequest) -> None:
    phases = request.getfixturevalue(kind).status()["phases"]
    assert list(phases) == ["fetch", "raw", "shape", "final"]
    for counts in phases.values():
        assert set(counts) == {"dates", "pending", "blocked", "released", "passed", "skipped", "failed"}
        assert counts.pop("dates") == 6 == sum(counts.values())


def test_the_status_of_a_run_under_way_adds_up_too(site: Site) -> None:
    site.run_held()
    tasks = site.status()["tasks"]
    assert tasks.pop("expected") == TASKS == sum(tasks.values())


def test_exactly_the_cells_whose_windows_hold_the_spoilt_date_are_blocked(blocked: Site) -> None:
    found = {(b["date"], b["phase"]) for b in blocked.status()["blocked"]}
    days = [str(day) for day in blocked.world.days]
    assert found == {
        (days[1], "raw"),
        (days[1], "shape"),
        *((day, "shape") for day in days[2:5]),
        *((day, "final") for day in days[1:5]),
    }


def test_the_status_names_failures_with_their_class_and_signature(site: Site) -> None:
    site.world.misbehave(shape__left__5=["fail:bug"])
    site.run()
    (failure,) = site.status()["failures"]
    assert failure == {
        "date": "2024-01-06",
        "phase": "shape",
        "processor": "left",
        "attempt": 1,
        "error_class": "bug",
        "signature": "bug:left:left failed on row # of ?",
        "message": "left failed on row 17 of '2024-01-06'",
    }


def test_runs_lists_every_run_with_its_reason(finished: Site) -> None:
    assert re.search(r"^r  completed  6 dates 2024-01-01 to 2024-01-06  the first one$", finished("runs").out, re.M)


def test_explain_leads_to_the_root_with_its_numbers_and_the_command_that_mends_it(blocked: Site) -> None:
    shown = blocked("explain", "r", "2024-01-04", "final").out
    assert "2024-01-02 raw is blocked:" in shown and "a: 2 of 4 rows" in shown
    assert "-> mend the source, then: phasegate --home home retry r --date 2024-01-02 --phase raw" in shown


def test_the_commands_for_what_is_missing_outside_the_run_work_as_they_are_printed(site: Site) -> None:
    shown = site.call(*site.selecting("run", "--dates", "2024-01-04", "--run-id", "r"))
    assert shown.code == 1
    roots = site("explain", "r", "--json").document["roots"]
    (remedy,) = {root["remedy"] for root in roots if root["kind"] == "missing outside the run"}
    assert remedy in shown.out.splitlines() or f"    -> {remedy}" in shown.out.splitlines()
    for line in remedy.split(", then: "):
        program, *words = shlex.split(line)
        answer = site.call(*words)
        assert (program, answer.code) == ("phasegate", 0), answer.err
    assert site.status()["status"] == "completed"


def test_explain_says_when_there_is_nothing_to_explain(finished: Site) -> None:
    assert "nothing failed and nothing is blocked" in finished("explain", "r").out


def test_schema_prints_one_json_document(site: Site) -> None:
    answer = site.call("schema")
    assert (answer.code, answer.document["title"], site.home.exists()) == (0, "Pipeline", False)


def test_sample_writes_a_source_folder_and_says_what_is_in_it(site: Site) -> None:
    answer = site.call("sample", "league", "--pipeline", str(ROOT / "pipelines" / "nba" / "pipeline.yaml"), "--json")
    assert (answer.code, answer.document["games"]) == (0, 1230)
    assert (site.folder / "league" / "schedule.parquet").exists()


# start, watch, pause, resume, drain, cancel


def test_start_prints_the_run_id_and_watch_follows_it_to_its_end(site: Site) -> None:
    started = site.call(*site.selecting("start", "--season", "2023-24", "--run-id", "r"))
    watched = site("watch", "r")
    assert (started.code, started.out, watched.code) == (0, "r\n", 0)
    assert "completed" in watched.out


def test_start_prints_its_run_id_as_json_too(site: Site) -> None:
    answer = site.call(*site.selecting("start", "--season", "2023-24", "--run-id", "r", "--json"))
    assert answer.document == {"run_id": "r"}
    site.until(lambda s: s["status"] == "completed")


@pytest.mark.parametrize(("kind", "code"), [("finished", 0), ("blocked", 1)])
def test_watching_a_run_that_has_ended_gives_its_exit_status(
    kind: str, code: int, request: pytest.FixtureRequest
) -> None:
    assert request.getfixturevalue(kind)("watch", "r").code == code


def test_a_paused_run_starts_nothing_more_until_it_is_resumed(site: Site) -> None:
    process = site.run_held()
    paused = site("pause", "r")
    assert (paused.code, "paused; go on with: phasegate --home home resume r" in paused.err) == (0, True)
    site.release()
    rested = site.until(lambda s: not s["tasks"]["running"])
    assert (rested["status"], process.poll()) == ("paused", None)
    assert rested["tasks"]["succeeded"] + rested["tasks"]["reported"] < TASKS
    resumed = site("resume", "r")
    assert (resumed.code, "goes on with it" in resumed.err) == (0, True)
    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_limit_is_changed_while_the_run_goes_on(site: Site) -> None:
    process = site.run_held()
    answer = site("set", "r", "--phase", "fetch", "--active-dates", "1", "--json")
    assert (answer.code, answer.document) == (0, {"run_id": "r", "active_dates": {"fetch": 1}})
    site.release()
    assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize(
    ("phase", "dates", "message"),
    [
        ("fetsch", "1", "unknown phase 'fetsch'; did you mean 'fetch'?"),
        ("fetch", "0", "--active-dates: 0 is below 1"),
        ("raw", "1", "raw is released with fetch, whose limit counts for both"),
        ("shape", "1", "cannot change run 'r': it has finished (completed)"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(finished: Site, phase: str, dates: str, message: str) -> None:
    answer = finished("set", "r", "--phase", phase, "--active-dates", dates)
    assert (answer.code, message in answer.err) == (2, True), answer.err


def test_a_drained_run_lets_its_process_end_and_is_resumed_by_another(site: Site) -> None:
    process = site.run_held()
    assert site("drain", "r").code == 0
    site.release()
    process.wait(PATIENCE_SECONDS)
    assert site.status()["status"] == "draining"
    answer = site("resume", "r", "--json")
    assert (answer.code, answer.document["status"]) == (0, "completed")


def test_a_cancel_lists_what_was_running_and_ends_the_run_for_good(site: Site) -> None:
    process = site.run_held()
    answer = site("cancel", "r", "--json")
    assert answer.code == 0
    assert {c["phase"] for c in answer.document["open_claims"]} == {"fetch"}
    site.release()
    assert process.wait(PATIENCE_SECONDS) == 3
    assert site("watch", "r").code == 3
    _, _, printed = site("explain", "r").out.partition("a new run over the same: ")
    assert site.call(*shlex.split(printed.splitlines()[0])[1:]).code == 0


@pytest.mark.parametrize("command", ["resume", "pause", "drain", "cancel", "retry"])
def test_a_cancelled_run_takes_no_further_command(command: str, cancelled: Site) -> None:
    answer = cancelled(command, "r")
    assert (answer.code, "was cancelled" in answer.err) == (2, True)


@pytest.fixture(scope="module")
def cancelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one cancelled run; for commands that must be refused."""
    made = Site(tmp_path_factory.mktemp("cancelled"))
    process = made.run_held()
    assert made("cancel", "r").code == 0
    made.release()
    process.wait(PATIENCE_SECONDS)
    yield made
    made.close()


@pytest.mark.parametrize("command", ["pause", "resume", "drain", "cancel", "retry"])
def test_a_completed_run_has_nothing_left_to_stop_or_to_retry(finished: Site, command: str) -> None:
    answer = finished(command, "r")
    assert (answer.code, "r" in answer.err, "Traceback" in answer.err) == (2, True, False)


# retry


def test_a_retry_after_mending_the_source_completes_the_run(site: Site) -> None:
    site.spoil()
    site.run()
    site.mend()
    answer = site("retry", "r", "--json")
    assert (answer.code, answer.document["status"]) == (0, "completed")
    assert "retrying 1 failed or blocked processor(s)" in answer.err


def test_a_retry_without_mending_ends_as_before(site: Site) -> None:
    site.spoil()
    before = site.run("--json").document
    after = site("retry", "r", "--json")
    assert (after.code, after.document["blocked"]) == (1, before["blocked"])


@pytest.mark.parametrize(
    "narrowed",
    [
        ("--date", "2024-01-06"),
        ("--phase", "shape"),
        ("--processor", "left"),
        ("--signature", "bug:left:left failed on row # of ?"),
    ],
    ids=lambda narrowed: narrowed[0],
)
def test_a_retry_can_be_narrowed(site: Site, narrowed: tuple[str, str]) -> None:
    site.world.misbehave(shape__left__5=["fail:bug"])
    site.run()
    assert site("retry", "r", *narrowed).code == 0


@pytest.mark.parametrize(
    "narrowed",
    [("--date", "2024-01-05"), ("--phase", "fetch"), ("--processor", "right"), ("--signature", "bug:left:other")],
    ids=lambda narrowed: narrowed[0],
)
def test_a_retry_that_matches_nothing_is_refused(blocked: Site, narrowed: tuple[str, str]) -> None:
    answer = blocked("retry", "r", *narrowed)
    assert (answer.code, "nothing failed or blocked matches; see: phasegate --home home explain r" in answer.err) == (
        2,
        True,
    )


# One home, one driver


def test_a_second_run_on_a_home_is_refused_with_the_owners_process(site: Site) -> None:
    process = site.run_held()
    answer = site.call(*site.selecting("run", "--dates", "2024-01-01"))
    assert answer.code == 2
    assert (
        f"home is in use by process {process.pid}, run r; follow it with `phasegate --home home watch r`, "
        in answer.err
    )


def test_a_plan_on_a_home_that_is_driven_is_refused(site: Site) -> None:
    process = site.run_held()
    answer = site.call(*site.selecting("plan"))
    assert (answer.code, f"is in use by process {process.pid}" in answer.err) == (2, True)


def test_a_driven_run_is_not_disturbed_by_those_who_look_at_it(site: Site) -> None:
    process = site.run_held()
    for command in (("status", "r"), ("runs",), ("explain", "r")):
        assert site(*command).code == 0
    site.release()
    assert process.wait(PATIENCE_SECONDS) == 0


# Interruptions


def test_ctrl_c_drains_with_130_and_the_same_command_completes(site: Site) -> None:
    process = site.run_held()
    process.send_signal(signal.SIGINT)
    site.release()
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, "the same command resumes, or: phasegate --home home resume r" in err) == (130, True)
    again = site.run("--json")
    assert (again.code, again.document["status"], "resuming run r" in again.err) == (0, "completed", True)


def test_a_second_ctrl_c_leaves_at_once_and_the_same_command_completes(site: Site) -> None:
    process = site.run_held()
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "draining" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 130
    site.release()
    assert site.run().code == 0


def test_an_interrupted_command_without_a_run_id_resumes_its_own_run(site: Site) -> None:
    site.hold.touch()
    process = site.begin(*site.selecting("run"))
    give_up = time.monotonic() + PATIENCE_SECONDS
    under_way = 0
    while time.monotonic() < give_up and not under_way:
        runs = site("runs", "--json")  # there is no home at first
        for run in runs.document if runs.code == 0 else ():
            under_way = site("status", run["run_id"], "--json").document["tasks"]["running"]
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "draining" not in process.stderr.readline():
        assert process.poll() is None
    site.release()
    assert process.wait(PATIENCE_SECONDS) == 130
    again = site.call(*site.selecting("run"))
    assert (again.code, len(site("runs", "--json").document)) == (0, 1)


def test_a_killed_run_is_completed_by_the_same_command(site: Site) -> None:
    process = site.run_held()
    process.kill()
    process.wait()
    site.release()
    again = site.run("--json")
    assert (again.code, again.document["tasks"]["failed"]) == (0, 0)


def test_ctrl_c_ends_a_watch_with_130_and_leaves_the_run_alone(site: Site) -> None:
    process = site.run_held()
    watcher = site.begin("--home", "home", "watch", "r")
    assert watcher.stdout is not None
    assert "running" in watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(PATIENCE_SECONDS) == 130
    site.release()
    assert process.wait(PATIENCE_SECONDS) == 0


# verify


def test_a_run_that_ends_is_verified_by_itself(site: Site) -> None:
    answer = site.run("--json")
    verified = answer.document["report"]
    assert (answer.code, verified["agrees"]) == (0, True)
    assert verified["verdict"].startswith("Complete: run r: ")
    assert (site.folder / verified["page"]).read_text().startswith("<!DOCTYPE html>")
    assert f"report: {verified['page']}" in site.run().out


def test_verify_ends_with_0_where_all_agree_and_with_1_where_a_table_lacks_rows(site: Site) -> None:
    site.run()
    words = (
        "verify",
        "--pipeline",
        "pipeline.yaml",
        "--source",
        "source",
        "--from",
        "2024-01-01",
        "--to",
        "2024-01-03",
    )
    assert (site("verify", "r").code, site(*words).code) == (0, 0)
    connection = duckdb.connect(str(site.home / "warehouse.duckdb"))
    connection.execute("DELETE FROM raw.a WHERE d = '2024-01-02'")
    connection.close()
    answer, dates = site("verify", "r", "--json", "--output", "copy"), site(*words, "--json")
    assert (answer.code, [f["kind"] for f in answer.document["findings"]]) == (1, ["passed_but_empty"])
    assert (dates.code, [f["kind"] for f in dates.document["findings"]]) == (1, ["missing"])
    assert json.loads((site.folder / "copy" / "report.json").read_text()) == answer.document
    assert f"report: {site.home}/reports/r/report.html" in answer.err


def test_a_report_that_cannot_be_made_changes_nothing_about_the_run(site: Site) -> None:
    (site.home / "reports" / "r").parent.mkdir(parents=True)
    (site.home / "reports" / "r").write_text("in the way")
    answer = site.run("--json")
    assert (answer.code, answer.document["status"], answer.document["report"]) == (0, "completed", None)
    assert "no report could be made" in answer.err


# Settings


def test_pipeline_and_source_can_come_from_the_environment(site: Site) -> None:
    given = {"PHASEGATE_PIPELINE": "pipeline.yaml", "PHASEGATE_SOURCE": "source"}
    answer = site.call("plan", "--season", "2023-24", "--json", **given)
    assert (answer.code, answer.document["pipeline"]) == (0, "world")


def test_pipeline_and_source_can_come_from_the_configuration_file(site: Site) -> None:
    (site.folder / "phasegate.toml").write_text('pipeline = "pipeline.yaml"\nsource = "source"\n')
    answer = site.call("plan", "--season", "2023-24", "--json")
    assert (answer.code, answer.document["pipeline"]) == (0, "world")


@pytest.mark.parametrize(
    ("sources", "home"),
    [("", ".phasegate"), ("file", "of_file"), ("file env", "of_env"), ("file env flag", "of_flag")],
    ids=["the default", "the file", "the environment before the file", "the flag before all"],
)
def test_the_home_comes_from_flag_environment_and_file_in_this_order(site: Site, sources: str, home: str) -> None:
    if "file" in sources:
        (site.folder / "phasegate.toml").write_text('home = "of_file"\n')
    environment = {"PHASEGATE_HOME": "of_env"} if "env" in sources else {}
    flag = ("--home", "of_flag") if "flag" in sources else ()
    answer = site.call(*flag, "runs", **environment)
    assert (answer.code, answer.err.startswith(f"error: {site.folder / home}: no runs here yet")) == (2, True)


def test_rows_made_from_another_source_folder_are_never_adopted(site: Site) -> None:
    assert site.run().code == 0
    shutil.copytree(site.world.source, site.folder / "other")
    words = ("--pipeline", "pipeline.yaml", "--source", "other", "--season", "2023-24", "--json")
    assert site("plan", *words).document["tasks"]["adopted"] == 0
    assert site("run", *words).code == 0
    assert site("plan", *words).document["tasks"]["adopted"] > 0
