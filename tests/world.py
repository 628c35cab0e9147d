"""A small world for tests: ten processors in four phases, a source that tests can spoil, a worker that does real work.

phase_1 ``fetch``: a, b            objects, from ``data.json``
phase_2 ``raw``: a, b              tables; each waits for its own fetch; released with phase_1
phase_3 ``shape``: left, right, ahead
                                   right needs left; ahead looks back on left over the 3 game dates before
phase_4 ``final``: total, note     total reads shape of its date and left over the 2 game dates before; it is empty on
                                   the first 2 days of a season; note needs total

Tests whose module uses the fixture ``dates_at_once`` run it with one date a call, and with ``BATCH`` dates.

A date has two rows a game in a, b, left and right, one in ahead and total. Values are sums of what was read, so that a
release that came too early, or a stale input, leaves a wrong number behind.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from phasegate.adapters.embedded.clock import VirtualClock
from phasegate.adapters.embedded.executor import VirtualExecutor
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.schedule_file import SCHEDULE, ScheduleFile
from phasegate.bootstrap import Embedded, EmbeddedOptions
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import StaleFence
from phasegate.domain.plan import compile_plan
from phasegate.domain.spec.pipeline import Pipeline, select_phases
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run
from phasegate.ports import ObjectStore, Partition, Warehouse
from phasegate.services.reading.earlier_runs import finished_in
from phasegate.services.reading.progress import RunReport, report
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.running.calls import Call
from phasegate.services.starting.planner import make_plan, records_of

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_DAY = date(2024, 1, 1)
TABLES = {"a": "raw.a", "b": "raw.b", "left": "shape.left_side", "right": "shape.right_side", "ahead": "shape.ahead"}
TABLES |= {"total": "final.total"}


BATCH = 7
"""How many dates one call carries in tests that run with batches."""

_dates_at_once = 1


@contextmanager
def batched(dates: int) -> Iterator[None]:
    """Worlds that are made meanwhile have so many dates travel together."""
    global _dates_at_once
    before, _dates_at_once = _dates_at_once, dates
    try:
        yield
    finally:
        _dates_at_once = before


def _table(name: str, keys: str = "k") -> dict[str, Any]:
    return {"kind": "table", "table": TABLES[name], "date_column": "d", "keys": [keys], "fence_column": "_fence"}


def definition() -> dict[str, Any]:
    """The pipeline as a document that a test may change before it is loaded."""
    both = [{"check": "rows", "exactly": "2 * games"}]
    one = [{"check": "rows", "exactly": "1"}]

    def dispatch(queue: str) -> dict[str, Any]:
        batch = {"batch": {"dates": _dates_at_once}} if _dates_at_once > 1 else {}
        return {"worker": "world", "path": "/work", "queue": queue, "timeout_seconds": 60, **batch}

    quick = {"retries": 2, "first_backoff_seconds": 1.0}
    return {
        "schema_version": 1,
        "pipeline": "world",
        "timezone": "UTC",
        "history_table": "ref.history",
        "calendar": {
            "table": "raw.schedule",
            "date_column": "game_date",
            "season_column": "season",
            "condition": "game_status = 3",
            "numbers": {"games": "COUNT(*)"},
            "entities": {"teams": ["home_team", "away_team"]},
            "bootstrap_days": 2,
        },
        "workers": {"world": {"factory": "tests.world:build", **({"batches": "list"} if _dates_at_once > 1 else {})}},
        "queues": {"fetches": {"max_concurrent": 100}, "work": {"max_concurrent": 100}},
        "phases": [
            {
                "name": "fetch",
                "dispatch": dispatch("fetches"),
                "limits": {"active_dates": 3},
                "failure": dict(quick),
                "processors": [{"name": n, "output": {"kind": "object", "path": f"{n}/{{date}}.jsonl"}} for n in "ab"],
            },
            {
                "name": "raw",
                "dispatch": dispatch("work"),
                "released_with": "fetch",
                "failure": dict(quick),
                "processors": [
                    {
                        "name": n,
                        "aliases": [f"p2_{n}"],
                        "needs": [f"fetch/{n}"],
                        "output": _table(n),
                        "checks": [*both, {"check": "entities", "key": "k", "calendar": "teams"}],
                    }
                    for n in "ab"
                ],
            },
            {
                "name": "shape",
                "dispatch": dispatch("work"),
                "failure": dict(quick),
                "gates": [
                    {"check": "all_succeeded", "phase": "raw"},
                    {"check": "lookback", "for": ["ahead"], "processors": ["left"], "dates": 3},
                ],
                "processors": [
                    {"name": "left", "reads": ["raw/a"], "output": _table("left"), "checks": both},
                    {"name": "right", "needs": ["left"], "reads": ["raw/b"], "output": _table("right"), "checks": both},
                    {"name": "ahead", "output": _table("ahead"), "checks": one},
                ],
            },
            {
                "name": "final",
                "dispatch": dispatch("work"),
                "failure": dict(quick),
                "gates": [
                    {"check": "all_succeeded", "phase": "shape"},
                    {"check": "lookback", "processors": ["left"], "dates": 2},
                ],
                "processors": [
                    {"name": "total", "bootstrap": True, "output": _table("total"), "checks": one},
                    {"name": "note", "needs": ["total"], "output": {"kind": "none"}},
                ],
            },
        ],
    }


class WorldWorker:
    """Does the work of the world, and misbehaves where ``behaviour.json`` says so.

    behaviour: ``processor/date`` -> what to do on each attempt in turn, then ``ok``: ``fail:CLASS``, ``status:403``,
    ``raise``, ``lie`` (success, nothing written), ``short`` (half of the rows), ``third``, ``empty``. In a request for
    several dates ``fail`` is the end of its date alone, ``status`` and ``raise`` are those of the call.
    """

    more_tables = ""

    def __init__(self, source: Path, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._source, self._warehouse, self._objects = source, warehouse, objects

    def prepare(self) -> None:
        """Create the tables."""
        ddl = ";".join(
            f"CREATE TABLE IF NOT EXISTS `{table}` (d DATE, k STRING, v INT64, _fence INT64)"
            for table in TABLES.values()
        )
        self._warehouse.apply_schema(f"{ddl};{HISTORY}{self.more_tables}")

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """One request."""
        if "dates" not in body:
            return self._handle(body)
        answers: dict[str, Any] = {}
        for each in body["dates"]:
            status, answer = self._handle({**body, **each})
            if status != 200 and "error_class" not in answer:
                return status, answer
            failed = {body["processor"]: {"status": "failed", **answer}}
            answers[each["date"]] = answer if status == 200 else {"results": failed}
        return 200, {"dates": answers}

    def _handle(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        name, day = body["processor"], date.fromisoformat(body["date"])
        phase = body["phase"]
        wanted = self._read("behaviour.json").get(f"{phase}/{name}/{day}", [])
        act = wanted[body["attempt"] - 1] if body["attempt"] <= len(wanted) else "ok"
        if act.startswith("fail:"):
            return 500, {"error_class": act.removeprefix("fail:"), "message": f"{name} failed on row 17 of '{day}'"}
        if act.startswith("status:"):
            return int(act.removeprefix("status:")), {"message": "no right to ask this service"}
        if act == "raise":
            raise RuntimeError("the worker broke")
        if act == "lie":
            return 200, {"results": {name: {"status": "success"}}}
        try:
            rows = self._work(phase, name, day, body["fence"], act)
        except StaleFence as error:
            return 409, {"message": str(error)}
        if rows == 0:
            return 200, {"results": {name: {"status": "empty", "rows": 0, "message": "nothing there"}}}
        return 200, {"results": {name: {"status": "success", "rows": rows if phase != "fetch" else None}}}

    def _work(self, phase: str, name: str, day: date, fence: int, act: str) -> int:
        if phase == "fetch":
            rows = self._read("data.json")[name].get(str(day), [])
            self._objects.write(f"{name}/{day}.jsonl", "".join(f"{json.dumps(r)}\n" for r in rows).encode())
            return 1
        if name == "note":
            return 1
        rows = [] if act == "empty" else self._rows(phase, name, day)
        kept = rows[: len(rows) // {"short": 2, "third": 3}.get(act, 1)]
        lines = "".join(f"{json.dumps({'d': str(day), **row})}\n" for row in kept).encode()
        return self._warehouse.load_partition(Partition(TABLES[name], "d", day), lines, fence)

    def _rows(self, phase: str, name: str, day: date) -> list[dict[str, Any]]:
        if phase == "raw":
            return [json.loads(line) for line in self._objects.read(f"{name}/{day}.jsonl").splitlines()]
        season = self._days(day)
        days = [d for d in season if d < day]
        if name == "left":
            return [{"k": r["k"], "v": 2 * r["v"]} for r in self._select("a", [day])]
        if name == "right":
            other = {r["k"]: r["v"] for r in self._select("b", [day])}
            return [{"k": r["k"], "v": r["v"] + other.get(r["k"], 0)} for r in self._select("left", [day])]
        if name == "ahead":
            return [{"k": "all", "v": sum(r["v"] for r in self._select("left", days[-3:]))}]
        if (day - season[0]).days < 2:
            return []
        parts = [("left", days[-2:]), ("right", [day]), ("ahead", [day])]
        return [{"k": "all", "v": sum(r["v"] for n, when in parts for r in self._select(n, when))}]

    def _select(self, name: str, days: list[date]) -> list[dict[str, Any]]:
        return [
            row
            for day in days
            for row in self._warehouse.query(f"SELECT k, v FROM `{TABLES[name]}` WHERE d = @d ORDER BY k", {"d": day})
        ]

    def _days(self, like: date | None = None) -> list[date]:
        """The game dates, or those of one date's season."""
        data = self._read("data.json")
        seasons = data.get("seasons", {})
        return sorted(
            date.fromisoformat(d) for d in data["games"] if like is None or seasons.get(d) == seasons.get(str(like))
        )

    def _read(self, name: str) -> dict[str, Any]:
        path = self._source / name
        return json.loads(path.read_text()) if path.exists() else {}


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> WorldWorker:
    """The factory that the pipeline names."""
    return WorldWorker(source, warehouse, objects)


HISTORY = (
    "CREATE TABLE IF NOT EXISTS `ref.history` (run_id STRING, data_date DATE, phase STRING, processor_name STRING,"
    " attempt INT64, status STRING, error_class STRING, message STRING, rows_written INT64, fence INT64,"
    " code_version STRING, started_at TIMESTAMP, finished_at TIMESTAMP, proved BOOL)"
)


def write_source(folder: Path, games: Mapping[date, int], seasons: Mapping[date, str] | None = None) -> None:
    """A source folder: so many games a date; teams T0, T1, … play; values differ by date, team and table."""
    folder.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {"games": {str(d): n for d, n in games.items()}, "a": {}, "b": {}}
    data["seasons"] = {str(d): season for d, season in (seasons or {}).items()}
    rows = []
    for i, (day, count) in enumerate(sorted(games.items())):
        for name, factor in (("a", 10), ("b", 7)):
            data[name][str(day)] = [{"d": str(day), "k": f"T{t}", "v": factor * i + t} for t in range(2 * count)]
        season = (seasons or {}).get(day, "2023-24")
        rows += [(season, day, f"T{2 * g}", f"T{2 * g + 1}", 3) for g in range(count)]
    (folder / "data.json").write_text(json.dumps(data))
    connection = scratch().cursor()
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE s"
        " (season VARCHAR, game_date DATE, home_team VARCHAR, away_team VARCHAR, game_status BIGINT)"
    )
    connection.executemany("INSERT INTO s VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute(f"COPY s TO '{folder / SCHEDULE}' (FORMAT parquet)")
    connection.close()


@cache
def scratch() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, one a process: to open one, also for a file, takes ten times what is asked of it here."""
    return duckdb.connect(config={"threads": 1})


@contextmanager
def reading(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that nobody has open, to be read."""
    connection = scratch().cursor()
    connection.execute(f"ATTACH '{warehouse}' AS warehouse (READ_ONLY)")
    try:
        connection.execute("USE warehouse")
        yield connection
    finally:
        connection.execute("USE memory")
        connection.execute("DETACH warehouse")
        connection.close()


_calendars: dict[tuple[str, ...], Calendar] = {}
"""What calendars say, by how they are defined and the content of the files that they are read from."""


class World:
    """A home, a source and a pipeline in one folder; runs are driven on virtual time, in this process."""

    def __init__(
        self,
        folder: Path,
        *,
        dates: int = 6,
        games: int = 2,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
        duration: Callable[[Call], timedelta] = lambda _: timedelta(milliseconds=10),
        atomic_turns: bool = True,
    ) -> None:
        self.source, self.home = folder / "source", Home(folder / "home")
        self.days = [FIRST_DAY + timedelta(days=n) for n in range(dates)]
        if not self.source.exists():
            write_source(self.source, dict.fromkeys(self.days, games))
        document = definition()
        change(document)
        self.pipeline = Pipeline.model_validate(document)
        self.pipeline_file = folder / "pipeline.yaml"
        self.pipeline_file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))
        self.clock = VirtualClock(START)
        self.options = EmbeddedOptions(
            clock=self.clock,
            executor=lambda execute, _clock: VirtualExecutor(execute, self.clock, duration),
            atomic_turns=atomic_turns,
        )

    def misbehave(self, **acts: list[str]) -> None:
        """What processors do on each attempt; keys are ``phase__processor__day`` with the day's number."""
        named = {}
        for key, what in acts.items():
            phase, processor, day = key.split("__")
            named[f"{phase}/{processor}/{self.days[int(day)]}"] = what
        (self.source / "behaviour.json").write_text(json.dumps(named))

    def data(self) -> dict[str, Any]:
        """The source's data."""
        found: dict[str, Any] = json.loads((self.source / "data.json").read_text())
        return found

    def rewrite(self, data: Mapping[str, Any]) -> None:
        """Replace the source's data."""
        (self.source / "data.json").write_text(json.dumps(data))

    def calendar(self) -> Calendar:
        """The calendar of the source's schedule; the same files are read once."""
        spec = self.pipeline.calendar
        files = [self.source / name for name in (SCHEDULE, *(each.file for each in spec.sources.values()))]
        key = spec.model_dump_json(), *(file.read_bytes().hex() if file.exists() else "" for file in files)
        if key not in _calendars:
            _calendars[key] = read_calendar(spec, ScheduleFile(self.source, spec).query)
        return _calendars[key]

    def open(self) -> Embedded:
        """The home, opened for driving."""
        return Embedded(self.home, self.pipeline, self.source, self.options)

    def begin(
        self,
        embedded: Embedded,
        run_id: str = "r",
        *,
        selection: Selection | None = None,
        phases: str | None = None,
        reprocess: Any = "missing",
        profile: str | None = None,
    ) -> Run:
        """Plan and write a run."""
        embedded.prepare(self.pipeline, select_phases(self.pipeline, phases) if phases else self.pipeline.phase_names)
        plan = make_plan(
            self.pipeline,
            self.calendar(),
            selection or Selection(seasons=("2023-24",)),
            phases=phases,
            profile=profile,
            reprocess=reprocess,
            prover=Prover(embedded.warehouse, embedded.objects),
            finished=lambda days: finished_in(embedded.state, "world", days),
            ran_empty=records_of(embedded.state, self.pipeline),
        ).plan
        run = Run(
            run_id=run_id,
            pipeline="world",
            pipeline_file=str(self.pipeline_file),
            plan_hash=plan.hash,
            request_hash="",
            source=str(self.source),
            created_at=self.clock.now(),
        )
        if embedded.state.create_run(run, plan, Board.blank(run_id, compile_plan(plan), run.created_at)):
            return run
        return embedded.state.run(run_id)

    def run(self, run_id: str = "r", **selection: Any) -> Board:
        """Begin a run (or find it) and drive it to its end."""
        with self.open() as embedded:
            self.begin(embedded, run_id, **selection)
            return embedded.drive(run_id)

    def report(self, run_id: str = "r") -> RunReport:
        """Where a run stands."""
        with self.open() as embedded:
            return report(embedded.state, run_id, self.clock.now())

    def tables(self) -> dict[str, list[tuple[str, str, int]]]:
        """Everything in the output tables but the fences: (date, key, value), sorted."""
        with reading(self.home.warehouse) as connection:
            return {
                table: [
                    (str(d), k, v)
                    for d, k, v in connection.execute(f"SELECT d, k, v FROM {table} ORDER BY 1, 2").fetchall()
                ]
                for table in TABLES.values()
            }


def drive(
    world: World, run_id: str = "r", within: timedelta = timedelta(hours=3), **selection: Any
) -> tuple[Board, RunReport]:
    """Drive a run to its end, or until so much virtual time has passed."""
    with world.open() as embedded:
        world.begin(embedded, run_id, **selection)
        end = world.clock.now() + within
        board = embedded.drive(run_id, stop=lambda: world.clock.now() > end)
        return board, report(embedded.state, run_id, world.clock.now())
