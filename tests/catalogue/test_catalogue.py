"""The failure catalogue: one scenario a row, and for each a mutation that must turn it red.

A scenario is a plain function that asserts what must hold. ``test_fNN_…`` runs it; ``test_the_mutation_of_a_row…``
breaks the protection on purpose and expects the same scenario to fail.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ConfigDict, ValidationError

from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.tasks import SqliteTasks
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.checks import proof
from phasegate.domain.checks.registry import REGISTRY, CheckFunctions
from phasegate.domain.errors import StaleFence
from phasegate.domain.messages.completion import Completion
from phasegate.domain.protocol import worker as worker_protocol
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.facts import AttemptKey, Proved, Reported
from phasegate.domain.state.run import RunStatus
from phasegate.ports import Partition
from phasegate.report.verifier import verify_dates, verify_run
from phasegate.report.verify import compose
from phasegate.report.verify.compose import VerifierInputs
from phasegate.services.operating.decisions import waive
from phasegate.services.reading.prover import Prover
from phasegate.services.running.historian import Historian
from phasegate.services.running.listener import Listener
from phasegate.services.running.runner import Runner
from tests.world import FIRST_DAY, START, World, drive, write_source

Scenario = Callable[[Path, pytest.MonkeyPatch], None]
Mutation = Callable[[pytest.MonkeyPatch], None]
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


# The scenarios


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

        def renamed(topic: str, messages: list[str]) -> None:
            events = [json.loads(m) for m in messages]
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

        def second_writer_first(topic: str, messages: list[str]) -> None:
            for m in messages:
                e = Completion.model_validate_json(m)
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
        ground = VerifierInputs(embedded.state, embedded.warehouse, embedded.objects)
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
        embedded.prepare()
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
    with world.open() as embedded:
        world.begin(embedded)
        services = _services(embedded)
        services.conductor.conduct("r")
        services.reconciler.reconcile_days("r", world.days)
        leased = services.backend.tasks.lease(["fetches", "work"], 10_000)
        calls = [c for c in services.claim(leased) if c]
        assert len(calls) == days * processors
        burst = [c.model_dump_json() for call in calls if (c := services.runner.execute(call))]
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


# The mutations


def _silence_reports(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runner, "publish", lambda self, completions: None)


def _release_without_edges(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.advance.obstacles", lambda *a: iter(()))


def _every_row_count_passes(patch: pytest.MonkeyPatch) -> None:
    rows = REGISTRY["rows"]

    def judge(check: Any, subject: Any, answer: Any) -> Any:
        return {d: replace(found, is_right=True) for d, found in rows.judge(check, subject, answer).items()}

    patch.setitem(REGISTRY, "rows", CheckFunctions(rows.ask, judge))  # type: ignore[arg-type]
    patch.setitem(REGISTRY, "entities", CheckFunctions(lambda *a: None, lambda c, s, a: {}))  # type: ignore[arg-type]


def _forget_aliases(patch: pytest.MonkeyPatch) -> None:
    names = lambda self: {(p.name, x.name): x.name for p in self.phases for x in p.processors}  # noqa: E731
    patch.setattr(Pipeline, "registry", property(names))


def _duplicates_go_home(patch: pytest.MonkeyPatch) -> None:
    handle = Listener._handle_run

    def mutated(self: Listener, run_id: str, events: Any) -> None:
        state = self._backend.state
        fresh = [
            (e, m) for e, m in events
            if state.dates(run_id, [e.date])[e.date].attempt(e.phase, e.processor, e.attempt).reported is None
        ]  # fmt: skip
        handle(self, run_id, fresh)

    patch.setattr(Listener, "_handle_run", mutated)


def _never_look_for_lost_dispatches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.services.running.sweeper.overdue_dispatches", lambda *a: [])


def _append_blindly(patch: pytest.MonkeyPatch) -> None:
    append = DuckDbWarehouse.append_missing

    def mutated(self: DuckDbWarehouse, table: str, rows: Any, keys: Any) -> int:
        self._connection.execute(f"CREATE OR REPLACE TABLE spare AS SELECT * FROM {table}")
        self._connection.execute(f"DELETE FROM {table}")
        written = append(self, table, rows, keys)
        self._connection.execute(f"INSERT INTO {table} SELECT * FROM spare")
        return written

    patch.setattr(DuckDbWarehouse, "append_missing", mutated)


def _any_key_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(REGISTRY, "entities", CheckFunctions(lambda *a: None, lambda c, s, a: {}))  # type: ignore[arg-type]


def _values_and_joins_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    for name in ("nulls", "coverage"):
        patch.setitem(REGISTRY, name, CheckFunctions(lambda *a: None, lambda c, s, a: {}))  # type: ignore[arg-type]


def _waivers_have_no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.waiving.is_in_force", lambda waiver, now: True)


def _believe_every_report(patch: pytest.MonkeyPatch) -> None:
    believed = lambda attempt, output, checks, expects, found, now: Proved(True, found, "", None, now)  # noqa: E731
    patch.setattr("phasegate.services.running.judge.judge_proof", believed)
    _every_row_count_passes(patch)


def _let_unknown_keys_through(patch: pytest.MonkeyPatch) -> None:
    class Lenient(worker_protocol.WorkerRequest):
        model_config = ConfigDict(extra="ignore")

    patch.setattr(worker_protocol, "WorkerRequest", Lenient)


def _count_postponed_games(patch: pytest.MonkeyPatch) -> None:
    init = World.__init__

    def mutated(self: World, *args: Any, **kwargs: Any) -> None:
        init(self, *args, change=lambda d: d["calendar"].update(condition="TRUE"), **kwargs)

    patch.setattr(World, "__init__", mutated)


def _one_expectation_for_every_date(patch: pytest.MonkeyPatch) -> None:
    init = World.__init__

    def mutated(self: World, *args: Any, **kwargs: Any) -> None:
        init(self, *args, change=lambda d: d["calendar"].update(bootstrap_days=0), **kwargs)

    patch.setattr(World, "__init__", mutated)


def _look_at_recent_dates_only(patch: pytest.MonkeyPatch) -> None:
    count = Prover.count

    def mutated(self: Prover, outputs: Any) -> Any:
        found = count(self, outputs)
        for ref, (_, days) in outputs.items():
            if ref == "raw/b" and found[ref]:
                found[ref] = {**{d: proof.Found(4) for d in days if d < FIRST_DAY + timedelta(days=4)}, **found[ref]}
        return found

    patch.setattr(Prover, "count", mutated)
    _any_key_will_do(patch)


def _verify_recent_dates_only(patch: pytest.MonkeyPatch) -> None:
    find, missing, recent = compose.find, compose.missing_dates, FIRST_DAY + timedelta(days=4)
    patch.setattr(compose, "find", lambda *read: [f for f in find(*read) if f.date and f.date >= recent])
    patch.setattr(compose, "missing_dates", lambda *read: [m for m in missing(*read) if m.first >= recent])


def _forget_needs(patch: pytest.MonkeyPatch) -> None:
    init = World.__init__

    def mutated(self: World, *args: Any, **kwargs: Any) -> None:
        init(self, *args, change=lambda d: d["phases"][2]["processors"][1].update(needs=[]), **kwargs)

    patch.setattr(World, "__init__", mutated)


def _throttles_cost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.failures._FREE", frozenset())


def _write_history_row_by_row(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.services.running.historian.BATCH_ROWS", 1)


def _try_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.reconcile.may_retry", lambda *a: True)


def _unproved_is_a_throttle(patch: pytest.MonkeyPatch) -> None:
    judge = proof.judge_proof

    def mutated(*args: Any) -> Proved:
        proof = judge(*args)
        return proof if proof.ok else Proved(False, proof.rows, proof.detail, ErrorClass.THROTTLE, proof.at)

    patch.setattr("phasegate.services.running.judge.judge_proof", mutated)


def _ignore_fences(patch: pytest.MonkeyPatch) -> None:
    replace_ = DuckDbWarehouse._replace
    patch.setattr(
        DuckDbWarehouse, "_replace", lambda self, partition, _fence, insert: replace_(self, partition, 99, insert)
    )


def _identity_is_the_date(patch: pytest.MonkeyPatch) -> None:
    handle = Listener._handle_run
    by_date = lambda self, run_id, events: handle(self, run_id, list({e.date: (e, m) for e, m in events}.values()))  # noqa: E731
    patch.setattr(Listener, "_handle_run", by_date)


def _keep_state_in_a_temporary_folder(patch: pytest.MonkeyPatch) -> None:
    opened = iter(range(1000))
    patch.setattr(Home, "state", property(lambda self: self.root / f"state-{next(opened)}.sqlite"))


ROWS: dict[str, tuple[Scenario, Mutation]] = {
    "f01": (f01, _silence_reports),
    "f02": (f02, _release_without_edges),
    "f03": (f03, _every_row_count_passes),
    "f04": (f04, _forget_aliases),
    "f05": (f05, _duplicates_go_home),
    "f06": (f06, _never_look_for_lost_dispatches),
    "f09": (f09, _append_blindly),
    "f10": (f10, _any_key_will_do),
    "f11": (f11, _believe_every_report),
    "f12": (f12, _values_and_joins_are_not_looked_at),
    "f13": (f13, _let_unknown_keys_through),
    "f14": (f14, _count_postponed_games),
    "f15": (f15, _one_expectation_for_every_date),
    "f16": (f16, _look_at_recent_dates_only),
    "f16 verified": (f16_verified, _verify_recent_dates_only),
    "f17": (f17, _forget_needs),
    "f18": (f18, _throttles_cost),
    "f19": (f19, _write_history_row_by_row),
    "f20": (f20, _try_for_ever),
    "f21": (f21, _try_for_ever),
    "f22": (f22, _unproved_is_a_throttle),
    "f23": (f23, _ignore_fences),
    "f24": (f24, _identity_is_the_date),
    "f25": (f25, _keep_state_in_a_temporary_folder),
}


def test_f01_completions_are_heard_while_the_live_cascade_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f01(tmp_path, monkeypatch)


def test_f02_completion_is_the_full_set_of_named_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f02(tmp_path, monkeypatch)


def test_f03_a_date_with_rows_missing_blocks_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f03(tmp_path, monkeypatch)


def test_f04_an_alias_counts_and_an_unknown_name_goes_to_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f04(tmp_path, monkeypatch)


def test_f05_a_duplicate_event_is_a_reason_to_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f05(tmp_path, monkeypatch)


def test_f06_a_trigger_that_was_noted_and_not_sent_is_sent_by_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f06(tmp_path, monkeypatch)


def test_f09_the_history_has_one_record_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f09(tmp_path, monkeypatch)


def test_f10_a_gate_compares_sets_of_keys_not_emptiness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f10(tmp_path, monkeypatch)


def test_f11_a_reported_success_without_rows_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f11(tmp_path, monkeypatch)


def test_f12_a_field_that_is_null_and_ids_that_join_half_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f12(tmp_path, monkeypatch)


def test_f13_a_field_under_another_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f13(tmp_path, monkeypatch)


def test_f14_blocked_is_not_failed_and_a_postponed_game_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f14(tmp_path, monkeypatch)


def test_f15_expectations_differ_by_date_and_processor_and_waivers_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f15(tmp_path, monkeypatch)


def test_f16_an_old_gap_is_found_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f16(tmp_path, monkeypatch)


def test_f16_the_verifier_sees_an_old_gap_whatever_was_run_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f16_verified(tmp_path, monkeypatch)


def test_f17_a_processor_waits_for_what_it_needs_inside_its_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f17(tmp_path, monkeypatch)


def test_f18_a_quota_error_is_a_throttle_not_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f18(tmp_path, monkeypatch)


def test_f19_bookkeeping_reaches_the_warehouse_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f19(tmp_path, monkeypatch)


def test_f20_attempts_for_what_is_not_published_yet_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f20(tmp_path, monkeypatch)


def test_f21_only_proved_output_resets_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f21(tmp_path, monkeypatch)


def test_f22_workers_that_answer_success_and_do_nothing_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f22(tmp_path, monkeypatch)


def test_f23_a_late_write_under_an_old_fence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f23(tmp_path, monkeypatch)


def test_f24_a_burst_of_ten_thousand_events_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f24(tmp_path, monkeypatch)


def test_f25_state_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f25(tmp_path, monkeypatch)


def test_a_waiver_without_an_end_turns_f15_red_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _waivers_have_no_end(monkeypatch)
    with pytest.raises(AssertionError, match="ended: blocked again"):
        f15(tmp_path, monkeypatch)


@pytest.mark.parametrize("row", ROWS)
def test_the_mutation_of_a_row_turns_it_red(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, mutate = ROWS[row]
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        scenario(tmp_path, monkeypatch)
