"""``phasegate --backend gcp`` against the stack, as people and scripts use it; and the other ways to begin a run."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from phasegate.adapters.gcp import clients
from phasegate.services.reading.progress import progress_document, report
from phasegate.stack.commands import EXAMPLE
from tests.endtoend.test_command_line import KEYS, Answer
from tests.stack.running import type_line
from tests.stack.target import until
from tests.stack.world_service import WorldOnTheStack

PATIENCE_SECONDS = 60.0
TASKS_A_DATE = 9
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"
SEASON = ("--season", "2023-24")


class Cloud:
    """The world on a stack, and somebody who types commands for it."""

    def __init__(self, there: WorldOnTheStack) -> None:
        self.there = there

    def __call__(self, *words: str, **environment: str) -> Answer:
        """Type a command."""
        done = self.there.stack.command("--backend", "gcp", *words, environment=environment)
        return Answer(done.returncode, done.stdout, done.stderr)

    def status(self, run_id: str) -> Mapping[str, Any]:
        """Where a run stands, without the time that a command takes."""
        backend = self.there.deployment.backend
        return progress_document(report(backend.state, run_id, backend.clock.now()))

    def until(self, run_id: str, is_so: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait until the status of a run is such."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not is_so(found := self.status(run_id)):
            assert time.monotonic() < give_up, f"it never came to that: {found}"
            time.sleep(0.2)
        return found

    @contextmanager
    def held(self, run_id: str, day: str) -> Iterator[threading.Event]:
        """A run of one date whose first calls are under way, and stay so until the event is set, or the block ends."""
        service, released = self.there.service, threading.Event()

        def wait(_: object) -> float:
            released.wait(PATIENCE_SECONDS)
            return 0.0

        service.calls.clear()
        before, service.delay = service.delay, wait
        try:
            assert self("start", "--dates", day, "--reprocess", "all", "--run-id", run_id).code == 0
            self.until(run_id, lambda status: status["tasks"]["running"] == 2)
            yield released
        finally:
            released.set()
            service.delay = before

    def called(self) -> set[str]:
        """Phases that the worker was called for since a run was held."""
        return {phase for _, phase, *_ in self.there.service.calls}


@pytest.fixture(scope="module")
def cloud(world_stack: WorldOnTheStack) -> Cloud:
    return Cloud(world_stack)


@pytest.fixture(scope="module")
def finished(cloud: Cloud) -> Answer:
    """What ``run`` answered for the run ``finished`` over all dates; for tests that only look."""
    return cloud("run", *SEASON, "--run-id", "finished", "--why", "the first one", "--json")


@pytest.fixture(scope="module")
def failed(cloud: Cloud, finished: Answer) -> Answer:
    """The same for the run ``failed``, in which one processor broke on the first date."""
    cloud.there.world.misbehave(shape__left__0=["fail:bug"])
    return cloud("run", "--dates", FIRST, "--reprocess", "all", "--run-id", "failed", "--json")


# A run that completes


def test_run_watches_to_the_end_and_prints_one_document(finished: Answer) -> None:
    assert finished.code == 0, finished.out + finished.err
    assert (finished.document["status"], finished.document["tables"]["raw.a"]) == (
        "completed",
        {"rows": 12, "dates": 3},
    )
    assert "run finished" in finished.err
    assert finished.document["report"]["agrees"] is True


def test_watching_a_run_that_has_completed_gives_0(cloud: Cloud, finished: Answer) -> None:
    assert cloud("watch", "finished").code == 0


def test_a_run_that_has_ended_is_verified_by_itself_and_whenever_somebody_asks(cloud: Cloud, finished: Answer) -> None:
    run_id, state = finished.document["run_id"], cloud.there.deployment.backend.state
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not state.reports(run_id):
        assert time.monotonic() < give_up, "no report was made"
        time.sleep(0.2)
    assert [(note.agrees, note.is_final, note.place) for note in state.reports(run_id)] == [
        (True, True, f"reports/{run_id}")
    ]
    answer = cloud("verify", run_id, "--json")
    assert (answer.code, answer.document["findings"], answer.document["agrees"]) == (0, [], True)


def test_the_statements_that_functions_and_reports_ask_are_counted_with_the_run(cloud: Cloud, finished: Answer) -> None:
    """The stand-in for BigQuery says nothing of bytes."""
    run_id = finished.document["run_id"]
    before = cloud("status", run_id, "--json").document["reads"]["statements"]
    assert before >= finished.document["reads"]["statements"] > 0
    report = cloud("verify", run_id, "--json").document["reads"]["statements"]
    after = cloud("status", run_id, "--json").document["reads"]["statements"]
    assert before < report <= after
    assert f"read in BigQuery: {after:,} statements, " in cloud("status", run_id).out


def test_runs_names_it_with_its_dates_and_reason(cloud: Cloud, finished: Answer) -> None:
    shown = cloud("runs").out.splitlines()
    assert f"finished  completed  3 dates {FIRST} to {THIRD}  the first one" in shown


def test_a_plan_adopts_what_the_tables_hold_and_writes_nothing(cloud: Cloud, finished: Answer) -> None:
    before = cloud("runs", "--json").document
    held = {"expected": 27, "run": 3, "adopted": 16, "not_needed": 6, "nothing_due": 2}
    assert cloud("plan", *SEASON, "--json").document["tasks"] == held
    assert cloud("plan", *SEASON, "--reprocess", "all", "--json").document["tasks"]["run"] == 25
    assert cloud("runs", "--json").document == before


def test_the_same_run_id_again_is_the_same_run(cloud: Cloud, finished: Answer) -> None:
    assert cloud("start", *SEASON, "--run-id", "finished", "--json").document == {"run_id": "finished"}
    assert cloud.status("finished")["status"] == "completed"


def test_a_run_id_of_another_selection_is_refused(cloud: Cloud, finished: Answer) -> None:
    answer = cloud("start", "--dates", FIRST, "--run-id", "finished")
    assert (answer.code, "run 'finished' exists and was asked for differently" in answer.err) == (2, True)


@pytest.mark.parametrize("command", ["pause", "resume", "drain", "cancel", "retry"])
def test_a_completed_run_has_nothing_left_to_stop_or_to_retry(cloud: Cloud, finished: Answer, command: str) -> None:
    answer = cloud(command, "finished")
    assert (answer.code, "finished" in answer.err, "Traceback" in answer.err) == (2, True, False)


def test_what_is_rolled_back_is_made_again_by_the_next_run(cloud: Cloud, finished: Answer) -> None:
    words = ("--dates", THIRD, "--phase", "shape..final")
    shown = cloud("rollback", *words, "--json").document
    assert (shown["is_done"], {each["processor"]: each["rows"] for each in shown["outputs"]}) == (
        False,
        {"shape/left": 4, "shape/right": 4, "shape/ahead": 1, "final/total": 1},
    )
    done = cloud("rollback", *words, "--yes", "--why", "a test", "--json").document
    assert (done["is_done"], [each["deleted"] for each in done["outputs"]]) == (True, [4, 4, 1, 1])
    assert json.loads(cloud.there.deployment.backend.objects.read(f"{done['record']}/intended.json"))["why"] == "a test"
    assert cloud("rollback", *words, "--json").document["outputs"] == []
    assert cloud("verify", "finished").code == 1
    again = cloud("run", *SEASON, "--run-id", "again", "--json")
    assert (again.code, again.document["tables"]["shape.left_side"]) == (0, {"rows": 12, "dates": 3})
    assert cloud("rollback", *words, "--json").document["rows"] == shown["rows"]


# A run in which something fails


@pytest.mark.parametrize("run_id", ["finished", "failed"])
def test_the_status_has_the_keys_of_the_contract_and_sums_that_add_up(
    cloud: Cloud, failed: Answer, run_id: str
) -> None:
    found = cloud("status", run_id, "--json").document
    assert {key: type(value) for key, value in found.items()} == KEYS | {"reads": dict}
    tasks = found["tasks"]
    assert tasks.pop("expected") == TASKS_A_DATE * found["dates"] == sum(tasks.values())
    for counts in found["phases"].values():
        assert counts.pop("dates") == found["dates"] == sum(counts.values())


def test_a_run_in_which_a_processor_fails_ends_with_1_and_names_it(failed: Answer) -> None:
    assert (failed.code, failed.document["status"]) == (1, "completed_with_failures")
    (failure,) = failed.document["failures"]
    message = f"left failed on row 17 of '{FIRST}'"
    assert failure == {
        "date": FIRST, "phase": "shape", "processor": "left", "attempt": 1,
        "error_class": "bug", "signature": "bug:left:left failed on row # of ?", "message": message,
    }  # fmt: skip


def test_watching_a_run_that_has_failed_gives_1(cloud: Cloud, failed: Answer) -> None:
    assert cloud("watch", "failed").code == 1


def test_explain_names_the_root_what_waits_for_it_and_the_command_that_mends_it(cloud: Cloud, failed: Answer) -> None:
    shown = cloud("explain", "failed").out
    assert f"{FIRST} shape is failed:" in shown
    assert "waiting for it: final" in shown
    assert f" --backend gcp retry failed --date {FIRST} --phase shape" in shown


def test_explain_of_a_phase_that_waits_leads_to_the_root(cloud: Cloud, failed: Answer) -> None:
    found = cloud("explain", "failed", FIRST, "final", "--json").document
    assert [(cell["phase"], cell["state"]) for cell in found["cells"]] == [("final", "blocked")]
    assert [(root["phase"], root["processor"]) for root in found["roots"]] == [("shape", "left")]


def test_a_retry_that_matches_nothing_is_refused(cloud: Cloud, failed: Answer) -> None:
    answer = cloud("retry", "failed", "--phase", "fetch")
    assert (answer.code, "nothing failed or blocked matches" in answer.err) == (2, True)


def test_a_retry_after_mending_completes_the_run(cloud: Cloud) -> None:
    cloud.there.world.misbehave(shape__right__1=["fail:bug"])
    words = ("run", "--dates", SECOND, "--reprocess", "all", "--run-id", "mended")
    assert cloud(*words).code == 1
    answer = cloud("retry", "mended", "--date", SECOND, "--phase", "shape", "--json")
    assert (answer.code, answer.document) == (0, {"run_id": "mended", "driven_by": "the cloud"})
    assert "retrying 1 failed or blocked processor(s)" in answer.err
    watched = cloud("watch", "mended", "--json")
    assert (watched.code, watched.document["tasks"]["failed"]) == (0, 0)
    assert watched.document["report"]["agrees"] is True


# Stopping and going on


@pytest.mark.parametrize(("command", "state"), [("pause", "paused"), ("drain", "draining")])
def test_a_run_that_is_stopped_starts_nothing_more_until_it_is_resumed(
    cloud: Cloud, finished: Answer, command: str, state: str
) -> None:
    with cloud.held(command, THIRD) as released:
        assert cloud(command, command).code == 0
        released.set()
        rested = cloud.until(command, lambda status: not status["tasks"]["running"])
    assert (rested["status"], cloud.called()) == (state, {"fetch"})
    resumed = cloud("resume", command)
    assert (resumed.code, f"watch {command}" in resumed.err) == (0, True)
    assert cloud("watch", command).code == 0


def test_a_cancel_lists_what_was_running_and_nothing_is_started_after_it(cloud: Cloud, finished: Answer) -> None:
    with cloud.held("cancelled", SECOND) as released:
        answer = cloud("cancel", "cancelled", "--json")
        assert answer.code == 0, answer.err
        released.set()
        cloud.until("cancelled", lambda status: not status["tasks"]["running"])
    claim = {"date": SECOND, "phase": "fetch", "attempt": 1}
    document = answer.document
    assert sorted(document.pop("open_claims"), key=str) == [{**claim, "processor": name} for name in "ab"]
    assert document == {"run_id": "cancelled", "status": "cancelled"}
    assert cloud("watch", "cancelled").code == 3
    assert cloud.called() == {"fetch"}
    refused = cloud("resume", "cancelled")
    assert (refused.code, "was cancelled" in refused.err) == (2, True)


def test_a_run_whose_queue_is_paused_from_outside_goes_on_when_it_is_resumed(cloud: Cloud, finished: Answer) -> None:
    expected = cloud.there.tables()
    with cloud.held("queue-paused", THIRD) as released, cloud.there.paused("work"):
        released.set()
        cloud.until("queue-paused", lambda status: status["tasks"]["queued"] == 2)
        assert cloud.called() == {"fetch"}
    assert cloud("watch", "queue-paused").code == 0
    assert cloud.there.tables() == expected


def test_tasks_that_are_in_a_queue_when_their_run_is_cancelled_start_nothing(cloud: Cloud, finished: Answer) -> None:
    expected = cloud.there.tables()
    with cloud.held("cut-off", SECOND) as released, cloud.there.paused("work"):
        released.set()
        cloud.until("cut-off", lambda status: status["tasks"]["queued"] == 2)
        assert cloud("cancel", "cut-off").code == 0
    until(lambda: cloud.there.waiting("work") == 0)
    facts = cloud.there.state.dates("cut-off", cloud.there.world.days)[cloud.there.world.days[1]]
    given_up = [facts.attempt("raw", name, 1).abandoned for name in "ab"]
    assert [each.reason for each in given_up if each] == ["the run is cancelled"] * 2
    assert (cloud.called(), cloud.there.tables()) == ({"fetch"}, expected)


def test_of_two_kick_offs_at_once_over_the_same_dates_one_runs_and_the_other_is_refused(
    cloud: Cloud, finished: Answer
) -> None:
    expected, starter = cloud.there.tables(), cloud.there.stack.function_url("starter")

    def kick_off(run_id: str) -> requests.Response:
        body = {"dates": THIRD, "reprocess": "all", "run_id": run_id}
        return requests.post(starter, json=body, timeout=PATIENCE_SECONDS)

    cloud.there.service.calls.clear()
    with ThreadPoolExecutor() as both:
        answers = dict(zip(("one", "other"), both.map(kick_off, ("one", "other")), strict=True))
    (goes,) = (run_id for run_id, answer in answers.items() if answer.status_code == 202)
    (refused,) = answers.keys() - {goes}
    assert answers[refused].status_code == 400
    assert (
        f"run '{goes}' is not over and has fetch/a and 8 more on 1 of these dates" in answers[refused].json()["error"]
    )
    assert cloud("watch", goes).code == 0
    assert cloud.there.tables() == expected
    assert {run.run_id for run in cloud.there.state.runs() if run.admits} & {"one", "other"} == {goes}
    assert set(cloud.there.service.calls.values()) == {1}


def test_ctrl_c_drains_with_130_and_the_same_command_completes_the_run(cloud: Cloud, finished: Answer) -> None:
    words = ("run", "--dates", FIRST, "--reprocess", "all", "--run-id", "interrupted")
    with cloud.held("interrupted", FIRST) as released:
        process = cloud.there.stack.begin("--backend", "gcp", *words)
        try:
            # The second line says that it watches: from then on it takes the signal for the request that it is.
            assert process.stderr is not None and "of pipeline" in process.stderr.readline() + process.stderr.readline()
            process.send_signal(signal.SIGINT)
            cloud.until("interrupted", lambda status: status["status"] == "draining")
            released.set()
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert (process.returncode, "the same command resumes" in err) == (130, True)
    assert cloud(*words).code == 0


# Other ways to begin


def request_of(run_id: str) -> str:
    """A kick-off of one date of which the tables hold nearly everything."""
    return json.dumps({"dates": [THIRD], "run_id": run_id, "why": "kick-off"})


def test_curl_begins_a_run_and_is_answered_with_it(cloud: Cloud, finished: Answer) -> None:
    done = type_line(cloud.there.stack.kickoff["curl"].replace(EXAMPLE, request_of("curled")))
    answer = json.loads(done.stdout)
    assert (answer["run_id"], answer["dates"], answer["why"]) == ("curled", 1, "kick-off")
    assert cloud("watch", "curled").code == 0


@pytest.fixture
def gcloud_functions(cloud: Cloud, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What makes ``gcloud functions call`` find the stack's functions: a stand-in for the API that knows their URLs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """A function's description."""
            name = self.path.partition("?")[0].removeprefix("/v2/")
            uri = cloud.there.stack.function_url(name.rpartition("/")[2])
            content = json.dumps({"name": name, "environment": "GEN_2", "serviceConfig": {"uri": uri}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    (tmp_path / "token").write_text("any")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield {
        "CLOUDSDK_CORE_PROJECT": "demo",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(tmp_path / "token"),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDFUNCTIONS": f"http://127.0.0.1:{server.server_port}/",
    }
    server.shutdown()
    server.server_close()
    thread.join()


CALL = "gcloud functions call starter --gen2 --region us-central1 --data"


def test_gcloud_functions_call_begins_a_run_and_is_answered_with_it(
    cloud: Cloud, finished: Answer, gcloud_functions: dict[str, str]
) -> None:
    done = type_line(f"{CALL} '{request_of('called')}'", gcloud_functions)
    assert (done.returncode, '"run_id":"called"' in done.stdout.replace(" ", "")) == (0, True), done.stderr
    assert cloud("watch", "called").code == 0


def test_gcloud_functions_call_fails_with_the_status_of_a_refused_request(
    cloud: Cloud, finished: Answer, gcloud_functions: dict[str, str]
) -> None:
    done = type_line(f"""{CALL} '{{"season": "1899-00"}}'""", gcloud_functions)
    assert (done.returncode, "400" in done.stderr) == (1, True)


# A schedule that changes


@contextmanager
def one_game_less(cloud: Cloud, day: str) -> Iterator[None]:
    """The schedule, and the source, have one game of a date meanwhile."""
    settings, world = cloud.there.deployment.settings, cloud.there.world
    client, data = clients.bigquery_client(settings), world.data()
    table = world.pipeline.calendar.table
    where = f"WHERE game_date = DATE '{day}' AND home_team = 'T2'"
    client.query_and_wait(f"UPDATE `{table}` SET game_status = 1 {where}")
    world.rewrite({**data, **{name: {**data[name], day: data[name][day][:2]} for name in "ab"}})
    try:
        yield
    finally:
        client.query_and_wait(f"UPDATE `{table}` SET game_status = 3 {where}")
        world.rewrite(data)


def test_a_schedule_that_changed_is_told_and_a_refresh_takes_it_over(cloud: Cloud) -> None:
    whole = cloud("run", "--dates", FIRST, "--reprocess", "all", "--run-id", "refreshed")
    assert whole.code == 0, whole.err
    with one_game_less(cloud, FIRST):
        (changed,) = cloud("status", "refreshed", "--json").document["schedule"]["changed"]
        assert changed == {"date": FIRST, "detail": "games 2, now 1; teams: T2, T3 gone"}
        taken = cloud("refresh", "refreshed", "--yes")
        assert (taken.code, "watch refreshed" in taken.err) == (0, True)
        watched = cloud("watch", "refreshed")
        assert watched.code == 0, watched.out + watched.err
        assert sum(day == FIRST for day, _, _ in cloud.there.tables()["raw.a"]) == 2
        refused = cloud("refresh", "refreshed", "--yes")
        assert (refused.code, "there is nothing to refresh" in refused.err) == (2, True)
    assert cloud("refresh", "refreshed", "--yes").code == cloud("watch", "refreshed").code == 0


# Bad input

REFUSED = {
    "an unknown run": (("status", "nowhere"), "unknown run 'nowhere'"),
    "watching an unknown run": (("watch", "nowhere"), "unknown run 'nowhere'"),
    "retrying an unknown run": (("retry", "nowhere"), "unknown run 'nowhere'"),
    "cancelling an unknown run": (("cancel", "nowhere"), "unknown run 'nowhere'"),
    "no dates at all": (("start",), "say which dates: --season S"),
    "dates without games": (("run", "--from", "2023-12-01", "--to", "2023-12-31"), "no dates selected"),
    "an unknown phase": (("plan", *SEASON, "--phases", "fetch..shap"), "did you mean 'shape'?"),
    "a run id that is none": (("start", *SEASON, "--run-id", "a/b"), "letters, digits, '-', '_' and '.'"),
    "a source folder": (("start", *SEASON, "--source", "."), "on gcp the workers know their source"),
    "another pipeline": (("start", *SEASON, "--pipeline", "pipelines/nba/pipeline.yaml"), "'nba' is not deployed here"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_with_2_and_nothing_is_written(
    cloud: Cloud, finished: Answer, words: tuple[str, ...], message: str
) -> None:
    before = cloud.there.state.runs()
    answer = cloud(*words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err and "Traceback" not in answer.err
    assert cloud.there.state.runs() == before


def test_a_missing_project_is_named_with_where_to_read_about_it(cloud: Cloud) -> None:
    answer = cloud("runs", PHASEGATE_PROJECT="", GOOGLE_CLOUD_PROJECT="")
    assert (answer.code, "PHASEGATE_PROJECT" in answer.err and "docs/stack.md" in answer.err) == (2, True)
    assert "Traceback" not in answer.err
