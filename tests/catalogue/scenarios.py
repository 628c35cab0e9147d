"""The scenarios of the failure catalogue: each asserts what must hold."""

import json
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import StaleFence
from phasegate.domain.messages.completion import Completion, taken_apart
from phasegate.domain.protocol import worker as worker_protocol
from phasegate.domain.state.facts import AttemptKey, Reported
from phasegate.domain.state.run import RunStatus
from phasegate.embedded_start import calendar_reader
from phasegate.ports import Partition
from phasegate.ports.events import Message, text_of
from phasegate.report.verifier import verify_dates, verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.services.operating.decisions import waive
from phasegate.services.running.historian import Historian
from tests.world import FIRST_DAY, START, World, WorldWorker, drive, write_source

LONG = timedelta(hours=3)


def claimed(world: World) -> list[tuple[str, str, str, int, datetime]]:
    """Claims in the order of their fences: (phase, processor, date, attempt, when)."""
    with world.open() as embedded:
        rows = embedded.database.execute(
            "SELECT phase, processor, day, attempt, claimed_at FROM claims ORDER BY fence"
        ).fetchall()
    return [(p, name, day, n, datetime.fromisoformat(at)) for p, name, day, n, at in rows]


def attempts(world: World, phase: str, processor: str, day: date) -> int:
    """How often a task was claimed."""
    return sum(1 for p, name, d, _, _ in claimed(world) if (p, name, d) == (phase, processor, str(day)))


def f01(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    world = World(tmp_path, dates=2)
    with world.open() as embedded:
        handle = embedded.workers["world"].handle
        patch.setattr(embedded.workers["world"], "handle", lambda p, b: (sent.append(dict(b)), handle(p, b))[1])
        world.begin(embedded)
        embedded.drive("r", stop=lambda: world.clock.now() > START + LONG)
        facts = embedded.state.dates("r", world.days)
    assert all(body["skip_downstream_trigger"] is True and body["backfill_mode"] is True for body in sent)
    for day in world.days:
        tried = [a for found in facts[day].tasks.values() for a in found]
        assert tried and all(a.reported is not None for a in tried)


def f02(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(raw__b__1=["fail:unrecoverable"])
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert not [c for c in claimed(world) if c[0] == "shape" and c[2] == str(world.days[1])]
    assert found.phases["raw"]["failed"] == 1


def f03(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(raw__a__1=["short"], shape__left__2=["third"])
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert "left: 1 of 4 rows" in str(found.blocked)
    assert {day for phase, _, day, *_ in claimed(world) if phase == "final"} == {str(world.days[0])}
    blocked = {cell.phase: [r.detail for r in cell.reasons] for cell in found.blocked if cell.date == world.days[1]}
    assert "a: 2 of 4 rows" in blocked["raw"]


def f04(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    names = {(str(world.days[0]), "a"): "p2_a", (str(world.days[1]), "b"): "p2_c"}
    with world.open() as embedded:
        publish = embedded.events.publish

        def renamed(topic: str, messages: list[Message]) -> None:
            events = [json.loads(each) for m in messages for each in taken_apart(text_of(m))]
            for e in events:
                if e["phase"] == "raw":
                    e["processor"] = names.get((e["date"], e["processor"]), e["processor"])
            publish(topic, [json.dumps(e) for e in events])

        patch.setattr(embedded.events, "publish", renamed)
        world.begin(embedded)
        embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(seconds=10))
        facts = embedded.state.dates("r", world.days)
        aside = embedded.state.quarantined("r")
    assert facts[world.days[0]].tasks["raw", "a"][0].reported is not None, "an alias counts for its processor"
    assert facts[world.days[1]].tasks["raw", "b"][0].reported is None, "an unknown name is never counted"
    assert [r.reason for r in aside] == ["unknown processor 'p2_c' of phase 'raw'"]


def f05(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    with world.open() as embedded:
        publish = embedded.events.publish

        def second_writer_first(topic: str, messages: list[Message]) -> None:
            for each in (each for m in messages for each in taken_apart(text_of(m))):
                e = Completion.model_validate_json(each)
                key = AttemptKey(e.date, e.phase, e.processor, e.attempt)
                claim = embedded.state.claims("r", [key])[key]
                fact = Reported(
                    e.status, e.rows, e.error_class, e.message, e.fence, claim.generation, claim.inputs,
                    e.started_at, e.finished_at, e.event_id,
                )  # fmt: skip
                embedded.state.record("r", [(key, fact)])
            publish(topic, messages)

        patch.setattr(embedded.events, "publish", second_writer_first)
        world.begin(embedded)
        board = embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(seconds=15))
    assert board.status is RunStatus.COMPLETED, "released by the events themselves, before any sweep"


def f06(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    create, lost = SqliteTasks.create, []

    def loses_one(self: SqliteTasks, tasks: Any) -> None:
        kept = []
        for task in tasks:
            if not lost and task.queue == "work":
                lost.append(task)
            else:
                kept.append(task)
        create(self, kept)

    patch.setattr(SqliteTasks, "create", loses_one)
    board, _ = drive(world)
    assert lost
    assert board.status is RunStatus.COMPLETED


def f09(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=3)
    world.misbehave(raw__a__1=["fail:transient", "lie"], shape__left__2=["raise"])
    drive(world)
    with world.open() as embedded:
        Historian(_services(embedded).backend).complete("r", world.days)
        rows = embedded.warehouse.query("SELECT phase, processor_name, data_date, attempt, status FROM `ref.history`")
    keys = [(r["phase"], r["processor_name"], r["data_date"], r["attempt"]) for r in rows]
    assert len(keys) == len(set(keys)) == len(claimed(world))
    of_a = {
        r["attempt"]: r["status"]
        for r in rows
        if (r["phase"], r["processor_name"], r["data_date"]) == ("raw", "a", world.days[1])
    }
    assert of_a == {1: "failed", 2: "success", 3: "success"}


def f10(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    data = world.data()
    for row in data["a"][str(world.days[1])][1:]:
        row["k"] = f"old-{row['k']}"
    world.rewrite(data)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    reasons = [r.detail for cell in found.blocked if cell.phase == "raw" for r in cell.reasons]
    assert reasons == ["a: 1 of 4 teams (missing: T1, T2, T3)"]


def f11(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__1=["lie"] * 9)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    assert [f.failure.message for f in found.failures] == ["reported success, the table holds no row"]
    assert not [c for c in claimed(world) if c[0] == "shape" and c[2] == str(world.days[1])]


def f12(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    def change(document: dict[str, Any]) -> None:
        a, b = document["phases"][1]["processors"]
        a["checks"] = [{"check": "nulls", "column": "v", "at_most": 0.1}]
        b["checks"] = [{"check": "coverage", "processor": "raw/a", "keys": ["k"], "at_least": 0.9}]

    world = World(tmp_path, dates=4, games=10, change=change)
    data = world.data()
    for row in data["a"][str(world.days[1])][1:]:
        row["v"] = None
    for row in data["b"][str(world.days[2])][:10]:
        row["k"] = f"{row['k'][1:]}{row['k'][0]}"
    for row in data["a"][str(world.days[3])][:2]:
        row["v"] = None
    world.rewrite(data)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES
    reasons = {cell.date: cell.reasons[0].detail for cell in found.blocked if cell.phase == "raw"}
    assert reasons == {
        world.days[1]: "a: v: 19 of 20 rows are NULL (95.0%)",
        world.days[2]: "b: 10 of 20 keys of raw.a (missing: T0, T1, T2, T3, T4, …)",
    }, "a tenth may be NULL, as the check says"


def f13(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    request = {
        "run_id": "r", "date": "2024-01-01", "phase": "p", "processor": "x", "attempt": 1, "fence": 1,
        "deadline": "2024-01-01T00:00:00Z",
    }  # fmt: skip
    assert worker_protocol.WorkerRequest.model_validate(request).backfill_mode is True
    try:
        worker_protocol.WorkerRequest.model_validate({**request, "is_backfill": True})
    except ValidationError:
        return
    raise AssertionError("a field under another name was let through")


def f14(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=3)
    schedule = world.source / "schedule.parquet"
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE s AS SELECT * FROM '{schedule}'")
    connection.execute("INSERT INTO s VALUES ('2023-24', ?, 'T8', 'T9', 1)", [world.days[1]])
    connection.execute(f"COPY s TO '{schedule}' (FORMAT parquet)")
    connection.close()
    world.misbehave(raw__a__2=["fail:bug"])
    _, found = drive(world)
    states = {cell.date for cell in found.blocked}
    assert world.days[1] not in states, "a postponed game is not waited for"
    assert not [c for c in claimed(world) if c[0] == "shape" and c[2] == str(world.days[2])]
    assert found.phases["shape"]["blocked"] == 1 and found.phases["shape"]["failed"] == 0, "blocked is not failed"


def f15(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=4)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED
    assert found.tasks["empty_ok"] == 2
    rows = {d for d, _, _ in world.tables()["final.total"]}
    assert rows == {str(d) for d in world.days[2:]}
    _a_waiver_ends(tmp_path / "waived")


def _a_waiver_ends(folder: Path) -> None:
    """What is too strict for a date is let pass there, with a name to it, and not for ever."""

    def change(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"][0]["checks"] = [{"check": "rows", "exactly": "8 * games"}]
        document["phases"][2]["gates"].append({"check": "approval"})

    world = World(folder, dates=2, change=change)
    board, _ = drive(world)
    assert board.groups["raw"].decode() == "bb"
    scope: dict[str, Any] = {"dates": world.days[:1], "check": "rows", "phase": "raw", "processor": "a"}
    with world.open() as embedded:
        end = (world.clock.now() + timedelta(days=1)).isoformat()
        waive(embedded.state, world.clock, "r", until=end, by="ann", why="few games are known", **scope)
    board, found = drive(world)
    assert (board.groups["raw"].decode(), board.status) == ("pb", RunStatus.WAITING)
    assert [(r.date, r.detail, bool(r.waived_by)) for r in found.notices] == [(world.days[0], "4 of 16 rows", True)]
    world.clock.move_to(world.clock.now() + timedelta(days=2))
    board, _ = drive(world)
    assert board.groups["raw"].decode() == "bb", "ended: blocked again"


def f16(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=8)
    drive(world)
    before = world.tables()
    connection = duckdb.connect(str(world.home.warehouse))
    connection.execute("DELETE FROM raw.b WHERE d = ?", [world.days[0]])
    connection.close()
    board, _ = drive(world, "again")
    assert board.status is RunStatus.COMPLETED
    assert world.tables() == before, "the old gap was found and filled"


def f16_verified(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=8)
    drive(world)
    connection = duckdb.connect(str(world.home.warehouse))
    connection.execute("DELETE FROM raw.b WHERE d <= ?", [world.days[1]])
    connection.close()
    world.clock.move_to(world.clock.now() + timedelta(days=1))
    drive(world, "recent", selection=Selection(dates=(world.days[-1],)))
    with world.open() as embedded:
        reader = calendar_reader(world.source, world.pipeline.calendar, embedded.warehouse)
        ground = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects, calendar=reader)
        store = FolderObjectStore(world.home.root)
        recent = verify_run(ground, store, world.clock, "recent").report
        season = Selection(seasons=("2023-24",))
        whole = verify_dates(ground, store, world.clock, world.pipeline, world.calendar(), season, None).report
    assert [(m.processor, m.first, m.dates) for m in recent.missing if m.beyond] == [("b", world.days[0], 2)]
    assert [(f.kind, f.processor, f.date) for f in whole.findings] == [("missing", "b", d) for d in world.days[:2]]


def f17(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2, duration=lambda c: timedelta(seconds=9 if c.task.processor == "left" else 1))
    drive(world)
    at = {(phase, name, day): when for phase, name, day, attempt, when in claimed(world) if attempt == 1}
    for day in map(str, world.days):
        assert at["shape", "right", day] >= at["shape", "left", day] + timedelta(seconds=9)


def f18(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__1=["fail:throttle"] * 6)
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED
    assert found.failures == ()


def f19(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=6)
    append, calls = DuckDbWarehouse.append_missing, []
    patch.setattr(DuckDbWarehouse, "append_missing", lambda *a: (calls.append(a[1]), append(*a))[1])
    drive(world)
    assert calls == ["ref.history", "ref.backfill_contents"], "54 attempts, one write of each kind"


def f20(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__1=["fail:not_yet"] * 50)
    _, found = drive(world)
    assert attempts(world, "raw", "a", world.days[1]) == 3, "the first and two retries"
    assert [f.failure.error_class for f in found.failures] == ["not_yet"]


def f21(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(raw__a__1=["lie"] * 50)
    drive(world)
    assert attempts(world, "raw", "a", world.days[1]) == 3, "an unproved success does not start the count anew"


def f22(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=2)
    world.misbehave(**{f"raw__{n}__{d}": ["lie"] * 50 for n in "ab" for d in (0, 1)})
    board, found = drive(world, within=timedelta(minutes=20))
    assert board.status is RunStatus.COMPLETED_WITH_FAILURES, "it ends"
    assert {f.failure.message for f in found.failures} == {"reported success, the table holds no row"}, "and says why"


def f23(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=1)
    with world.open() as embedded:
        embedded.prepare(world.pipeline, world.pipeline.phase_names)
        partition = Partition("raw.a", "d", FIRST_DAY)

        def write(value: int, fence: int) -> None:
            line = json.dumps({"d": str(FIRST_DAY), "k": "T0", "v": value})
            embedded.warehouse.load_partition(partition, line.encode(), fence)

        write(2, fence=2)
        with suppress(StaleFence):
            write(1, fence=1)
        rows = embedded.warehouse.query("SELECT v FROM `raw.a`")
    assert [r["v"] for r in rows] == [2]


def f24(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    days, processors = 100, 100

    def change(document: dict[str, Any]) -> None:
        fetch = document["phases"][0]
        fetch["processors"] = [
            {"name": f"p{n}", "output": {"kind": "none"}, "queue": ("fetches", "work")[n % 2]}
            for n in range(processors)
        ]
        fetch["limits"] = {}
        document["phases"] = [fetch]
        document["queues"] = {name: {"max_concurrent": 5000} for name in document["queues"]}

    write_source(tmp_path / "source", {FIRST_DAY + timedelta(days=n): 1 for n in range(days)})
    world = World(tmp_path, dates=days, change=change)
    patch.setattr(WorldWorker, "_work", lambda *_: 1)
    with world.open() as embedded:
        world.begin(embedded)
        services = _services(embedded)
        services.conductor.conduct("r")
        services.reconciler.reconcile_days("r", world.days)
        leased = services.backend.tasks.lease(["fetches", "work"], 10_000)
        calls = [c for c in services.claim(leased) if c]
        assert sum(len(call.attempts) for call in calls) == days * processors
        burst = [c.model_dump_json() for call in calls for c in services.runner.execute(call).completions]
        services.listener.handle(burst)
        facts = embedded.state.dates("r", world.days)
        completions = sum(a.reported is not None for d in facts.values() for t in d.tasks.values() for a in t)
    assert completions == 10_000


def f25(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, dates=4)
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r", stop=lambda: world.clock.now() > START + timedelta(milliseconds=60))
    before = len(claimed(world))
    assert 0 < before < 36
    board, found = drive(world)
    assert board.status is RunStatus.COMPLETED
    called = found.tasks["expected"] - 2  # nothing is due of `total` on the two bootstrap days
    assert len(claimed(world)) == 34 == called, "nothing lost, nothing done twice"


def _services(embedded: Embedded) -> Any:
    return embedded.engine("r")._handlers
