"""Makes ``tests/golden/8e42da0``. Runs at commit 8e42da0 and at no other: what it writes is what that commit wrote.

    python -m tests.golden.make [nba] [takings] [functions] [users] [firestore]

No test needs it. It works in ``/tmp/phasegate-golden``, and its runs are begun on 1 January 2026, so that everything
stored lies in the past wherever it is read. Google's Firestore emulator must be installed for ``firestore``.
"""

import base64
import gzip
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.adapters.embedded.clock import SystemClock
from shared.adapters.gcp import documents
from shared.adapters.gcp.state import FirestoreState
from shared.adapters.pipeline_file import load_pipeline
from shared.domain.pipeline import Pipeline
from shared.domain.worker_protocol import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest
from shared.ports import QueueTask
from shared.services.progress import report
from shared.services.runner import _request
from shared.services.starter import Wish
from shared.worker import completed_event, heartbeat, service
from tests.fakes import in_process
from tests.fakes.in_process import UsersWorld
from tests.fakes.users_services import RAW_DONE, Oddities
from tests.golden.laid import (
    DATA,
    PLACE,
    ROOT,
    USERS_DAYS,
    exchanges_kept,
    functions_over,
    identity_of,
    plain_json,
    unpack,
)
from tests.world import START, World

NBA_DATES = ("2023-10-24", "2023-10-26")
LAST_GAMES = "2023-11-03"
"""The made-up league is cut here."""

SHIFT = "GOLDEN_SHIFT_SECONDS"
ASKED = "GOLDEN_ASKED"


def main() -> None:
    """Make the parts that are named, or all."""
    if sys.argv[1:2] == ["phasegate"]:
        _phasegate(sys.argv[2:])
        return
    os.environ[SHIFT] = str((datetime.now(UTC) - START).total_seconds())
    parts: dict[str, Callable[[], None]] = {
        "nba": make_nba,
        "takings": make_takings,
        "functions": make_functions,
        "users": make_users,
        "firestore": make_firestore,
    }
    for name in sys.argv[1:] or parts:
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir()
        parts[name]()
    shutil.rmtree(PLACE)


# The command line


def _phasegate(words: Sequence[str]) -> None:
    """The command, on an earlier day; says in a file what identifies the request."""
    from shared.cli.main import main as command

    shift = timedelta(seconds=float(os.environ[SHIFT]))

    class Earlier(datetime):
        """The time that the clock and the workers' deadlines are read by."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - shift

    SystemClock.now = lambda _: Earlier.now(UTC)  # type: ignore[method-assign]
    service.datetime = Earlier  # type: ignore[misc]
    identity = Wish.identity

    def noting(wish: Wish, pipeline: Pipeline) -> str:
        found = identity(wish, pipeline)
        asked = {
            "source": str(wish.source),
            "selection": [str(wish.selection)],
            "phases": wish.phases,
            "profile": wish.profile,
            "reprocess": wish.reprocess,
        }
        assert found == identity_of(asked, pipeline.model_dump(mode="json", by_alias=True))
        Path(os.environ[ASKED]).write_text(json.dumps({"request": asked, "request_hash": found}))
        return found

    Wish.identity = noting  # type: ignore[method-assign]
    sys.argv = ["phasegate", *words]
    command()


def _typed(site: Path, *words: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, ASKED: str(site / "asked.json"), "PYTHONPATH": f"{ROOT}:{site}"}
    command = [sys.executable, "-m", "tests.golden.make", "phasegate", *words]
    return subprocess.Popen(command, cwd=site, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _type(site: Path, expected: int, *words: str) -> None:
    with _typed(site, *words) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == expected, (words, process.returncode, errors.decode())


def _note_request(site: Path, home: str, run_id: str, words: Sequence[str]) -> None:
    known = DATA / "requests.json"
    found = json.loads(known.read_text()) if known.exists() else {}
    asked = json.loads((site / "asked.json").read_text())
    (site / "asked.json").unlink()
    found[run_id] = {"site": site.name, "home": home, "words": list(words), **asked}
    _write(known, json.dumps(found, indent=1, sort_keys=True))


def make_nba() -> None:
    """A finished and a killed run of the reference pipeline, over the first dates of a made-up season."""
    site = PLACE / "nba"
    site.mkdir()
    shutil.copy(ROOT / "pipelines" / "nba" / "pipeline.yaml", site)
    _type(site, 0, "sample", "league", "--season", "2023-24")
    (site / "source").mkdir()
    with duckdb.connect() as connection:
        for file in sorted((site / "league").glob("*.parquet")):
            rows = f"SELECT * FROM '{file}' WHERE game_date <= DATE '{LAST_GAMES}'"
            connection.execute(f"COPY ({rows}) TO '{site / 'source' / file.name}' (FORMAT parquet, COMPRESSION zstd)")
    shutil.rmtree(site / "league")
    first, last = NBA_DATES
    words = ("run", "--pipeline", "pipeline.yaml", "--source", "source", "--from", first, "--to", last)
    _type(site, 0, "--home", "finished", *words, "--run-id", "finished", "--why", "golden data")
    _note_request(site, "finished", "finished", words)
    for name, number in (("interrupted", signal.SIGKILL), ("drained", signal.SIGINT)):
        while not _stopped(site / name, number, *words, "--run-id", name, "--why", "golden data"):
            shutil.rmtree(site / name, ignore_errors=True)
        _note_request(site, name, name, words)
    _write(DATA / "nba" / "pipeline.yaml", (site / "pipeline.yaml").read_text())
    for name in ("source", "finished", "interrupted", "drained"):
        _pack(f"nba/{name}", site / name)
    _pick_documents("nba", site / "finished" / "state.sqlite", "finished")
    _pick_documents("nba-interrupted", site / "interrupted" / "state.sqlite", "interrupted", ("run", "board"))
    _pick_pipeline("nba", site / "pipeline.yaml")


OPEN = """
SELECT (SELECT COUNT(*) FROM claims AS c WHERE NOT EXISTS (SELECT 1 FROM facts AS f WHERE f.run_id = c.run_id
            AND (f.day, f.phase, f.processor, f.attempt) = (c.day, c.phase, c.processor, c.attempt)
            AND f.name IN ('reported', 'healed', 'abandoned'))),
       (SELECT COUNT(*) FROM tasks WHERE done_at IS NULL),
       (SELECT COUNT(*) FROM facts WHERE name = 'reported' AND phase = 'phase_2_raw'),
       (SELECT COUNT(*) FROM facts WHERE name = 'reported' AND phase = 'phase_3_analytics')
"""
"""Claims without an end, tasks that are to be delivered, and how far the run is."""


def _stopped(home: Path, number: int, *words: str) -> bool:
    """Type the command and stop it while phases are under way; whether work was left: a kill leaves claims open."""
    state = home / "state.sqlite"
    with _typed(home.parent, "--home", home.name, *words) as process:
        while process.poll() is None:
            if state.exists() and _is_under_way(state, claims=2):
                process.send_signal(number)
                break
            time.sleep(0.005)
        process.communicate()
    is_killed = number == signal.SIGKILL
    return process.returncode == (-number if is_killed else 130) and _is_under_way(state, claims=2 * is_killed)


def _is_under_way(state: Path, claims: int) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
            open_claims, tasks, raw, analytics = connection.execute(OPEN).fetchone()
    except sqlite3.Error:
        return False
    return bool(open_claims >= claims and tasks >= 5 and raw >= 20 and 1 <= analytics < 10)


TAKINGS = {
    "season": ("--source", "source", "--season", "2024"),
    "range": ("--source", "source", "--from", "2024-01-01", "--to", "2024-01-03"),
    "dates": ("--source", "source", "--dates", "2024-01-02,2024-01-04"),
    "exclude": ("--source", "source", "--season", "2024", "--exclude", "2024-01-03"),
    "phases": ("--source", "source", "--dates", "2024-01-03", "--phases", "load..publish"),
    "profile": ("--source", "source", "--season", "2024", "--profile", "careful"),
    "reprocess-all": ("--source", "source", "--season", "2024", "--reprocess", "all"),
    "reprocess-failed": ("--source", "source", "--dates", "2024-01-05", "--reprocess", "failed"),
    "exclude-live": ("--source", "source", "--season", "2024", "--exclude-live"),
    "other-source": ("--source", "other", "--season", "2024"),
}
"""What is asked for, by run; each of them waits for an approval."""


def make_takings() -> None:
    """Runs of a pipeline of somebody's own, one for each kind of request, each waiting for a person."""
    site = PLACE / "takings"
    shutil.copytree(DATA / "takings", site, ignore=shutil.ignore_patterns("*.tar.gz", "__pycache__"))
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(5)]
    for name, factor in (("source", 100), ("other", 150), ("lacking", 100)):
        (site / name).mkdir()
        receipts = {
            str(day): [{"till": f"t{till}", "cents": factor * (n + till)} for till in range(2)]
            for n, day in enumerate(days)
        }
        if name == "lacking":
            del receipts[str(days[4])][1:]
        (site / name / "receipts.json").write_text(json.dumps(receipts))
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE s (year VARCHAR, day DATE, is_open BOOLEAN, tills BIGINT)")
            connection.executemany("INSERT INTO s VALUES ('2024', ?, TRUE, 2)", [(day,) for day in days])
            connection.execute(f"COPY s TO '{site / name / 'schedule.parquet'}' (FORMAT parquet)")
    run = ("run", "--pipeline", "pipeline.yaml")
    lacking = (*run, "--source", "lacking", "--dates", str(days[4]))
    _type(site, 1, "--home", "home", *lacking, "--run-id", "lacking")
    _note_request(site, "home", "lacking", lacking)
    for name, words in TAKINGS.items():
        _type(site, 3, "--home", "home", *run, *words, "--run-id", name)
        _note_request(site, "home", name, (*run, *words))
    _pack("takings/home", site / "home")
    _pack("takings/sources", *(site / name for name in ("source", "other", "lacking")), is_content=False)
    _pick_documents("takings", site / "home" / "state.sqlite", "profile")
    _pick_pipeline("takings", site / "pipeline.yaml")


# The functions


KICKOFFS: tuple[Mapping[str, Any], ...] = (
    {"season": "2023-24"},
    {"season": ["2023-24"], "reprocess": "all"},
    {"from": "2024-01-01", "to": "2024-01-02", "why": "a range"},
    {"dates": "2024-01-01, 2024-01-03"},
    {"dates": ["2024-01-02"], "phases": "fetch..raw"},
    {"season": "2023-24", "exclude": "2024-01-02", "exclude_live": True},
    {"dates": ["2024-01-03"], "run_id": "named", "pipeline": "world"},
)


def make_functions() -> None:
    """A run of the small world with work on its way, all that may be delivered then, and kick-offs with their runs."""
    folder = PLACE / "functions"
    world = World(folder, dates=3, change=_shared_with_live)
    (folder / "deployed.yaml").write_bytes(world.pipeline_file.read_bytes())
    world.misbehave(fetch__b__1=["fail:transient"])
    with world.open() as embedded:
        embedded.prepare()
        schedule = world.source / "schedule.parquet"
        embedded.warehouse._connection.execute(f"CREATE TABLE raw.schedule AS SELECT * FROM '{schedule}'")
        world.begin(embedded, "r")
    with pytest.MonkeyPatch.context() as patch:
        with functions_over(folder, START + timedelta(seconds=1), patch) as calls:
            messages = _begun(calls)
        _pack("functions/folder", folder)
        _pick_documents("functions", folder / "home" / "state.sqlite", "r")
        with functions_over(folder, START + timedelta(seconds=2), patch) as calls:
            for message in messages:
                message["status"], message["answer"] = calls.deliver(message)
            calls.embedded.drive("r")
            ended = {
                "status": calls.backend.state.board("r")[0].status.value,
                "quarantined": len(calls.backend.state.quarantined("r")) + len(calls.backend.state.quarantined(None)),
            }
        ended["tables"] = world.tables()
        _write(DATA / "functions" / "messages.json", json.dumps(messages, indent=1))
        _write(DATA / "functions" / "ended.json", json.dumps(ended, indent=1))
        with functions_over(unpack("functions/folder", PLACE / "kickoffs"), START, patch) as calls:
            kickoffs: list[dict[str, Any]] = [{"function": "starter", "body": json.dumps(body)} for body in KICKOFFS]
            kickoffs.append(_pushed("starter", '{"dates": "2024-01-02"}', "backfill-kickoff"))
            for message in kickoffs:
                message["status"], message["answer"] = calls.deliver(message)
                assert message["status"] == 202, message
        _pack("functions/kickoffs", PLACE / "kickoffs")
        _write(DATA / "functions" / "kickoffs.json", json.dumps(kickoffs, indent=1))


def _shared_with_live(document: dict[str, Any]) -> None:
    """``raw.a`` has another writer."""
    document["phases"][1]["processors"][0]["output"]["other_writer"] = "the live pipeline"


def _begun(calls: Any) -> list[dict[str, Any]]:
    """Let the run begin, one attempt be claimed by who answers later, and others end; what is on its way then."""
    world = calls.world
    days = [str(day) for day in world.days]
    assert calls.post("conductor", {"run_id": "r"})[0] == 200
    assert calls.post("dispatcher", {"run_id": "r", "dates": days})[0] == 200
    tasks = calls.embedded.database.execute("SELECT queue, payload FROM tasks ORDER BY queue, payload").fetchall()
    fetches = [(json.loads(payload), payload) for queue, payload in tasks if queue == "fetches"]
    work = {(body["date"], body["processor"]): payload for body, payload in fetches}
    late, failing, done = work.pop((days[0], "b")), work.pop((days[1], "b")), work.pop((days[0], "a"))
    assert calls.post("runner", failing)[1] == {"outcome": "failed"}
    assert calls.post("runner", done)[1] == {"outcome": "success"}
    (call,) = calls.embedded.engine("r")._handlers.claim([QueueTask("r", "fetches", "late", late)])
    request = WorkerRequest.model_validate(_request(call))
    said: list[str] = []
    with heartbeat(request, said.append, every_seconds=0.02):
        while len(said) < 2:
            time.sleep(0.005)
    del said[2:]
    lines = "".join(f"{json.dumps(row)}\n" for row in world.data()["b"][days[0]])
    calls.backend.objects.write(f"b/{days[0]}.jsonl", lines.encode())
    said.append(completed_event(request, ProcessorResult(status=ResultStatus.SUCCESS), START).model_dump_json())
    broken = ProcessorResult(status=ResultStatus.FAILED, error_class=ErrorClass.BUG, message="row 17 of 'x'")
    contradicting = completed_event(request, broken, START).model_copy(update={"event_id": "another"})
    waiting = {json.loads(text)["processor"]: text for _, text in calls.embedded.events.waiting(10)}
    foreign = json.dumps({**json.loads(said[-1]), "run_id": "nobody"})
    other = next(iter(work.values()))
    queued = [("runner", other, "fetches"), ("runner", other, "fetches"), ("runner", late, "fetches")]
    queued += [("dispatcher", payload, queue) for queue, payload in tasks if queue == "dispatch"]
    queued += [("conductor", payload, queue) for queue, payload in tasks if queue == "conductor"]
    asking = replace(calls.backend, asks_for_reports=True)
    asking.ask_for_report("r", START)
    verify = calls.embedded.database.execute("SELECT name, payload FROM tasks WHERE queue = 'verify'").fetchone()
    calls.embedded.database.execute("DELETE FROM tasks WHERE queue = 'verify'")
    queued.append(("verifier", verify[1], "verify"))
    messages = [_pushed("listener", text, "backfill-completions") for text in said]
    messages += [_pushed("listener", waiting[name], "backfill-completions") for name in ("b", "a", "a")]
    messages += [_pushed("listener", contradicting.model_dump_json(), "backfill-completions")]
    messages += [_pushed("listener", text, "backfill-completions") for text in (foreign, '{"run_id": "r"}', "no JSON")]
    messages += [_task(*each) for each in queued]
    messages += [{"function": "sweeper", "body": body} for body in ("{}", '{"run_id": "r"}')]
    messages += [{"function": "verifier", "body": '{"season": "2023-24", "phases": "raw..final"}'}]
    return messages


def _task(function: str, payload: str, queue: str) -> dict[str, Any]:
    """A delivery of Cloud Tasks."""
    headers = {"X-CloudTasks-QueueName": queue, "X-CloudTasks-TaskName": "golden"}
    return {"function": function, "headers": headers, "body": payload}


def _pushed(function: str, text: str, topic: str) -> dict[str, Any]:
    """A push of Pub/Sub."""
    message = {
        "data": base64.b64encode(text.encode()).decode(),
        "attributes": {"schema_version": "1"},
        "messageId": "7",
        "publishTime": START.isoformat(),
    }
    body = {"message": message, "subscription": f"projects/demo/subscriptions/{function}"}
    return {"function": function, "path": f"/projects/demo/topics/{topic}", "text": text, "body": json.dumps(body)}


# A user's own services, and what is said to them


def make_users() -> None:
    """A run whose raw phase was started by the user's own events and has not been heard of; requests and answers."""
    folder = PLACE / "users"
    in_process.PIPELINE = Path(shutil.copy(in_process.PIPELINE, PLACE / "pipeline.yaml"))
    world = UsersWorld(folder, USERS_DAYS, Oddities())
    said: list[tuple[str, str]] = []
    publish = world.users._publish

    def keeping(topic: str, text: str, seconds: float) -> None:
        if topic == RAW_DONE:
            said.append((topic, text))
        else:
            publish(topic, text, seconds)

    world.users._publish = keeping
    world.begin()
    world.drive(within=timedelta(minutes=2))
    assert len(said) == 8, said
    now = world.clock.now()
    world.close()
    _pack("users/folder", folder)
    _pick_documents("users", folder / "state.sqlite", "r")
    live = {"processor_name": "p2_bdl_box_scores", "game_date": "2024-03-01", "status": "success", "record_count": 3}
    messages = [_pushed("listener", text, topic) for topic, text in said]
    messages += [_pushed("listener", json.dumps(live), RAW_DONE)]
    unknown = {**json.loads(said[1][1]), "processor_name": "stranger"}
    messages += [_pushed("listener", json.dumps(unknown), RAW_DONE)]
    _write(DATA / "users" / "observed.json", json.dumps({"at": now.isoformat(), "messages": messages}, indent=1))
    with pytest.MonkeyPatch.context() as patch:
        exchanges = exchanges_kept(PLACE / "exchanges", patch)
    _write(DATA / "users" / "exchanges.json", json.dumps(exchanges, indent=1))


# Firestore


def make_firestore() -> None:
    """All documents of a finished run in which everything came about, and of one that broke off in the middle."""
    from shared.stack.emulators import FIRESTORE, start_emulator

    assert not FIRESTORE.missing(), FIRESTORE.missing()
    scratch = PLACE / "emulator"
    scratch.mkdir()
    server = start_emulator(FIRESTORE, scratch)
    shift = timedelta(seconds=float(os.environ[SHIFT]))
    fence_of = documents.fence_of
    try:
        server.wait_until_ready()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(FIRESTORE.variable, FIRESTORE.setting(server.port))
            patch.setattr(documents, "fence_of", lambda created: fence_of(created - shift))
            _make_finished_documents(patch, shift)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(FIRESTORE.variable, FIRESTORE.setting(server.port))
            patch.setattr(documents, "fence_of", lambda created: fence_of(created - shift))
            _make_broken_off(patch, shift)
    finally:
        server.stop()


def _make_finished_documents(patch: pytest.MonkeyPatch, shift: timedelta) -> None:
    from tests.contract.eventful import EventfulRun

    eventful = EventfulRun(PLACE / "eventful", patch)
    _write_documents("finished", eventful.cloud.state, shift, eventful.cloud.world.clock.now())


class BrokenOffError(Exception):
    """The process dies."""


def _make_broken_off(patch: pytest.MonkeyPatch, shift: timedelta) -> None:
    from tests.catalogue.cloud import CloudWorld
    from tests.golden.breaking import begin, change, has_come_to_its_place

    folder = PLACE / "brokenoff"
    with CloudWorld(folder, patch, dates=3, change=change) as cloud:
        begin(cloud)

        def stop() -> bool:
            if has_come_to_its_place(cloud):
                raise BrokenOffError
            return False

        with pytest.raises(BrokenOffError):
            cloud.drive(timedelta(hours=1), stop=stop)
        _write_documents("unfinished", cloud.state, shift, cloud.world.clock.now())
    _pack("firestore/folder", folder)


def _write_documents(name: str, state: FirestoreState, shift: timedelta, now: datetime) -> None:
    """Marks of the server's clock, and the cursor that is made of them, are moved as the fences are."""
    found: dict[str, Any] = {}
    for reference, content in _all_documents(state._client.collections()):
        if "at_rest" in content:
            content["at_rest"] -= shift
        if content.get("cursor"):
            moved = datetime.fromisoformat(content["cursor"]) - shift
            content["cursor"] = moved.isoformat(timespec="microseconds")
        found[reference] = plain_json(content)
    seen = report(state, "r", now)
    stands = {"status": seen.status.value, "phases": seen.phases, "tasks": seen.tasks}
    text = json.dumps({"at": now.isoformat(), "stands": stands, "documents": found}, indent=1, sort_keys=True)
    _write(DATA / "firestore" / f"{name}.json", text)


def _all_documents(collections: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for collection in collections:
        for snapshot in collection.get():
            yield snapshot.reference.path, snapshot.to_dict()
            yield from _all_documents(snapshot.reference.collections())


# Files


def _pick_documents(name: str, state: Path, run_id: str, kinds: Sequence[str] = ("run", "plan", "board")) -> None:
    """A run's documents as they are stored."""
    with closing(sqlite3.connect(state)) as connection:
        for kind in kinds:
            ((text,),) = connection.execute(f"SELECT doc FROM {kind}s WHERE run_id = ?", (run_id,)).fetchall()
            _write(DATA / "documents" / f"{name}-{kind}.json", text)


def _pick_pipeline(name: str, file: Path) -> None:
    model = load_pipeline(file).model_dump(mode="json", by_alias=True)
    _write(DATA / "documents" / f"{name}-pipeline.json", json.dumps(model))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _pack(name: str, *folders: Path, is_content: bool = True) -> None:
    """The content of a folder, or whole folders, as ``name.tar.gz``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix not in (".pyc", ".lock"):
                    inside = path.relative_to(folder if is_content else folder.parent)
                    archive.add(path, str(inside), filter=_anonymous)
    (DATA / f"{name}.tar.gz").parent.mkdir(parents=True, exist_ok=True)
    (DATA / f"{name}.tar.gz").write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(START.timestamp())
    return entry


if __name__ == "__main__":
    main()
