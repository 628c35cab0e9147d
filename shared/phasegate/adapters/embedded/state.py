"""State lies in SQLite, one row per fact; no decision is made here.

The process that drives a run keeps the dates it works on in memory, written through; other processes write run
documents only, which are kept for the length of a transaction.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from functools import partial
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from phasegate.adapters.embedded.clock import SteadyClock
from phasegate.adapters.embedded.database import Database
from phasegate.adapters.embedded.fences import next_fence
from phasegate.adapters.embedded.forgotten import keep_source, sources
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.later_plans import forget_plans, keep_plan, later_plan
from phasegate.adapters.embedded.leases import SqliteLeases
from phasegate.adapters.embedded.run_list import database_of, listed_runs
from phasegate.adapters.embedded.time_kept import add_time, forget_time, time_spent
from phasegate.adapters.fact_codec import cell_from_json, cell_to_json, fact_from_json, fact_to_json
from phasegate.adapters.state_base import StateBase, first_requests
from phasegate.adapters.state_codec import (
    board_from_json,
    changed_run,
    json_object,
    plan_from_json,
    readable,
    run_from_json,
    run_or_reason,
    scope_from_json,
)
from phasegate.domain.plan import FIRST, Plan, PlanScope
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import (
    FACT_NAMES,
    AttemptKey,
    Cell,
    DateFacts,
    Dispatched,
    Fact,
    Proved,
    record,
)
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.reads import Reads
from phasegate.domain.state.run import Run, RunStatus, UnreadableDocument
from phasegate.domain.state.time_spent import TimeSpent
from phasegate.ports import Claim, ClaimRequest, Heal, QuarantineRecord, ReportNote

_DATES_KEPT = 512
"""Dates that stay in memory, those last asked for."""
_FINAL = ", ".join(f"'{status.value}'" for status in RunStatus if status.is_final)
_UNFINISHED = (
    "SELECT run_id FROM boards"
    f" WHERE COALESCE(CASE WHEN json_valid(doc) THEN json_extract(doc, '$.status') END, '') NOT IN ({_FINAL})"
)
"""Selects the runs that are not over; one whose board cannot be read is among them."""
_OF_A_RUN = ("facts", "cells", "touches", "claims", "heals", "reports", "quarantine", "tasks")
"""Tables with rows of runs."""
_GO_ON = Dispatched, Proved
"""Facts that end no attempt."""


class SqliteState(StateBase):
    """This is the ``State`` port over the state file. keeps_dates: only for the process that holds the home's lock."""

    def __init__(self, database: Database, *, keeps_dates: bool) -> None:
        super().__init__()
        self._database = database
        self.leases = SqliteLeases(database)
        self._keeps_dates = keeps_dates
        self._last_run: tuple[str, Run] | None = None
        self._read_in: tuple[int, str] | None = None
        self._boards: dict[str, tuple[Board, int]] = {}
        self._dates: OrderedDict[tuple[str, date], DateFacts] = OrderedDict()
        self._open: dict[str, dict[AttemptKey, Claim]] = {}
        self._sequence: int | None = None
        database.on_rollback(self._forget)

    def close(self) -> None:
        """Close the file, for whoever has opened it for this alone."""
        self._database.close()

    def _forget(self) -> None:
        self._read_in = None
        self._boards.clear()
        self._dates.clear()
        self._open.clear()
        self._sequence = None

    # Runs, plans, boards

    def create_run(self, run: Run, plan: Plan, board: Board) -> bool:
        """See the port."""
        with self._database.transaction():
            if self._database.execute("SELECT 1 FROM runs WHERE run_id = ?", (run.run_id,)).fetchone():
                return False
            self._database.execute(
                "INSERT INTO runs VALUES (?, ?, ?)", (run.run_id, run.created_at.isoformat(), run.model_dump_json())
            )
            self._database.execute("INSERT INTO plans VALUES (?, ?)", (run.run_id, plan.model_dump_json(by_alias=True)))
            self._database.execute(
                "INSERT INTO boards VALUES (?, 1, ?)", (run.run_id, to_json(board.to_document()).decode())
            )
        return True

    def run(self, run_id: str) -> Run:
        """See the port."""
        transaction = self._database.in_transaction
        if transaction is not None and self._last_run is not None and self._read_in == (transaction, run_id):
            return self._last_run[1]
        row = self._database.execute("SELECT doc FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise self._unknown(run_id)
        if self._last_run is None or self._last_run[0] != row[0]:
            self._last_run = (row[0], run_from_json(run_id, row[0]))
        self._read_in = None if transaction is None else (transaction, run_id)
        return self._last_run[1]

    def written(self, run_id: str) -> int:
        """See the port: by the clock of the home, in which one process at a time begins runs."""
        return int(self.run(run_id).created_at.timestamp() * 1_000_000)

    def _newest_runs(self) -> list[str]:
        rows = self._database.execute("SELECT run_id FROM runs ORDER BY created_at DESC LIMIT 50")
        return [run_id for (run_id,) in rows]

    def glance(self, run_id: str) -> Run:
        """See the port; reading costs nothing here."""
        return self.run(run_id)

    def unfinished(self) -> list[str]:
        """See the port."""
        return [run_id for (run_id,) in self._database.execute(f"{_UNFINISHED} ORDER BY run_id")]

    def halted_at_work(self) -> list[str]:
        """See the port."""
        return []

    def listening(self, topic: str) -> list[str]:
        """See the port. SQLite looks into the stored plans by itself."""
        rows = self._database.execute(
            f"SELECT unfinished.run_id FROM ({_UNFINISHED}) AS unfinished LEFT JOIN plans USING (run_id)"
            " WHERE CASE WHEN json_valid(doc) THEN EXISTS ("
            "  SELECT 1 FROM json_each(doc, '$.pipeline.phases') AS phase"
            "  WHERE json_extract(phase.value, '$.dispatch.observed.topic') = ?"
            "  AND json_extract(phase.value, '$.name') IN (SELECT value FROM json_each(doc, '$.phases'))"
            ") ELSE TRUE END ORDER BY unfinished.run_id",
            (topic,),
        )
        return [run_id for (run_id,) in rows]

    def every_run(self) -> list[Run | UnreadableDocument]:
        """See the port."""
        rows = self._database.execute("SELECT run_id, doc FROM runs ORDER BY created_at DESC, run_id")
        return [run_or_reason(run_id, partial(json_object, doc)) for run_id, doc in rows]

    def listed_runs(self) -> list[ListedRun | UnreadableDocument]:
        """See the port."""
        return listed_runs(self._database)

    def forget_run(self, run_id: str, now: datetime) -> None:  # noqa: ARG002 - nobody else knows the run
        """See the port: all or nothing. The file keeps its size, and the room is used again."""
        with self._database.transaction():
            run = self.run(run_id)
            if run.source is not None:
                keep_source(self._database, run, self.scope(run_id).days)
            forget_plans(self._database, run_id)
            forget_time(self._database, run_id)
            for table in (*_OF_A_RUN, "boards", "plans", "runs"):
                self._database.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        self._forget()

    def sources_of_forgotten(self, pipeline: str) -> Mapping[date, tuple[datetime, str]]:
        """See the port."""
        return sources(self._database, pipeline)

    def change_run(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """See the port."""
        with self._database.transaction():
            changed = change(self.run(run_id))
            (text,) = self._database.execute("SELECT doc FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            document = to_json(changed_run(json.loads(text), changed)).decode()
            self._database.execute("UPDATE runs SET doc = ? WHERE run_id = ?", (document, run_id))
            self._read_in = None
        return changed

    def _read_plan(self, run_id: str, name: str) -> Plan:
        if name != FIRST:
            return plan_from_json(run_id, later_plan(self._database, run_id, name))
        row = self._database.execute("SELECT doc FROM plans WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise self._unknown(run_id)
        return plan_from_json(run_id, row[0])

    def keep_plan(self, run_id: str, name: str, plan: Plan) -> None:
        """See the port."""
        with self._database.transaction():
            keep_plan(self._database, run_id, name, plan.model_dump_json(by_alias=True))

    def _standing(self, run_id: str) -> str:
        if run_id in self._boards:
            return self._boards[run_id][0].plan
        row = self._database.execute(
            "SELECT CASE WHEN json_valid(doc) THEN json_extract(doc, '$.plan') END FROM boards WHERE run_id = ?",
            (run_id,),
        ).fetchone()
        return str(row[0]) if row and row[0] else FIRST

    def scope(self, run_id: str) -> PlanScope:
        """See the port. SQLite keeps it beside the plan."""
        row = self._database.execute("SELECT doc FROM scopes WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise self._unknown(run_id)
        return scope_from_json(run_id, row[0])

    def board(self, run_id: str) -> tuple[Board, int]:
        """See the port."""
        if run_id in self._boards:
            board, version = self._boards[run_id]
            return board.copy(), version
        row = self._database.execute("SELECT doc, version FROM boards WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise self._unknown(run_id)
        return board_from_json(run_id, row[0]), int(row[1])

    def commit(
        self,
        run_id: str,
        board: Board,
        version: int,
        cells: Mapping[tuple[date, str], Cell],
        proofs: Sequence[tuple[AttemptKey, Proved]] = (),
    ) -> bool:
        """See the port."""
        with self._database.transaction():
            written = self._database.execute(
                "UPDATE boards SET doc = ?, version = version + 1 WHERE run_id = ? AND version = ?",
                (to_json(board.to_document()).decode(), run_id, version),
            )
            if not written.rowcount:
                return False
            self._database.executemany(
                "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)",
                [(run_id, d.isoformat(), phase, cell_to_json(c)) for (d, phase), c in cells.items()],
            )
            self._add(run_id, proofs)
            for (day, phase), cell in cells.items():
                if kept := self._dates.get((run_id, day)):
                    kept.cells[phase] = cell
            if self._keeps_dates:
                self._boards[run_id] = (board.copy(), version + 1)
        return True

    # Dates and their facts

    def dates(self, run_id: str, days: Iterable[date]) -> dict[date, DateFacts]:
        """See the port."""
        found: dict[date, DateFacts] = {}
        for day in days:
            facts = self._dates.get((run_id, day))
            if facts is None:
                facts = self._read_date(run_id, day)
                if self._keeps_dates:
                    self._dates[run_id, day] = facts
                    if len(self._dates) > _DATES_KEPT:
                        self._dates.popitem(last=False)
            else:
                self._dates.move_to_end((run_id, day))
            found[day] = facts
        return found

    def _read_date(self, run_id: str, day: date) -> DateFacts:
        return readable(f"record of {day}", run_id, lambda: self._facts_of(run_id, day))

    def _facts_of(self, run_id: str, day: date) -> DateFacts:
        facts = DateFacts(day)
        where = (run_id, day.isoformat())
        decoded: dict[tuple[str, str], Fact] = {}  # Attempts that were told of together have facts of one text.
        for phase, processor, attempt, name, doc in self._database.execute(
            "SELECT phase, processor, attempt, name, doc FROM facts WHERE run_id = ? AND day = ?", where
        ):
            if (fact := decoded.get((name, doc))) is None:
                fact = decoded[name, doc] = fact_from_json(name, doc)
            record(facts, AttemptKey(day, phase, processor, attempt), fact)
        for phase, doc in self._database.execute("SELECT phase, doc FROM cells WHERE run_id = ? AND day = ?", where):
            facts.cells[phase] = cell_from_json(doc)
        return facts

    def mark_at_rest(self, run_id: str, days: Iterable[date]) -> None:
        """See the port."""
        with self._database.transaction():
            if self._sequence is None:
                last = self._database.execute("SELECT COALESCE(MAX(sequence), 0) FROM touches").fetchone()
                self._sequence = int(last[0])
            marks = [(run_id, day.isoformat(), mark) for mark, day in enumerate(days, self._sequence + 1)]
            self._sequence += len(marks)
            self._database.executemany("INSERT OR REPLACE INTO touches VALUES (?, ?, ?)", marks)

    def at_rest(self, run_id: str, cursor: str, limit: int) -> tuple[dict[date, DateFacts], str]:
        """See the port. Version 0.1 gave the dates that it marked together one number."""
        since = (run_id, int(cursor or 0))
        rows = self._database.execute(
            "SELECT day, sequence FROM touches WHERE run_id = ? AND sequence > ? AND sequence <= (SELECT MAX(sequence)"
            " FROM (SELECT sequence FROM touches WHERE run_id = ? AND sequence > ? ORDER BY sequence LIMIT ?))"
            " ORDER BY sequence",
            (*since, *since, limit),
        ).fetchall()
        facts = self.dates(run_id, [date.fromisoformat(row[0]) for row in rows])
        return facts, str(rows[-1][1]) if rows else cursor

    def record(self, run_id: str, facts: Sequence[tuple[AttemptKey, Fact]]) -> None:
        """See the port."""
        with self._database.transaction():
            self._add(run_id, facts)

    def _add(self, run_id: str, facts: Sequence[tuple[AttemptKey, Fact]]) -> None:
        known = self.dates(run_id, {key.day for key, _ in facts})
        added = [(key, fact) for key, fact in facts if record(known[key.day], key, fact) == "added"]
        # Attempts that are told of together share facts, and each of these is encoded once.
        unlike = {id(fact): fact for _, fact in added}
        texts = {number: fact_to_json(fact) for number, fact in unlike.items()}
        days = {day: day.isoformat() for day in known}
        self._database.executemany(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (run_id, days[day], phase, processor, attempt, FACT_NAMES[type(fact)], texts[id(fact)])
                for (day, phase, processor, attempt), fact in added
            ],
        )
        if opened := self._open.get(run_id):
            for key, fact in added:
                if not isinstance(fact, _GO_ON):
                    opened.pop(key, None)

    # Claims

    def claim(self, run_id: str, requests: Sequence[ClaimRequest], now: datetime) -> list[Claim | None]:
        """See the port."""
        incarnation, at = self._database.incarnation, now.isoformat()
        with self._database.transaction():
            opened = self._opened(run_id)
            first_fence = next_fence(self._database, now)
            created = {
                r.key: Claim(r.key, fence, r.epoch, r.generation, r.inputs, r.lease_until, now, incarnation)
                for fence, r in enumerate(first_requests(requests).values(), first_fence)
            }
            written = self._database.executemany(
                "INSERT OR IGNORE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        c.fence,
                        run_id,
                        day.isoformat(),
                        phase,
                        processor,
                        attempt,
                        c.epoch,
                        c.generation,
                        to_json(dict(c.inputs)).decode() if c.inputs else "{}",
                        c.lease_until.isoformat(),
                        at,
                        incarnation,
                    )
                    for (day, phase, processor, attempt), c in created.items()
                ],
            )
            if written.rowcount < len(created):
                stored = self._stored_claims(run_id, created)
                created = {key: c for key, c in created.items() if stored[key].fence == c.fence}
            opened.update(created)
        return [created.pop(r.key, None) for r in requests]

    def claims(self, run_id: str, keys: Iterable[AttemptKey]) -> dict[AttemptKey, Claim]:
        """See the port."""
        opened = self._opened(run_id) if self._keeps_dates else {}
        asked = list(keys)
        found = {key: opened[key] for key in asked if key in opened}
        return found | self._stored_claims(run_id, [key for key in asked if key not in found])

    def _stored_claims(self, run_id: str, keys: Iterable[AttemptKey]) -> dict[AttemptKey, Claim]:
        found: dict[AttemptKey, Claim] = {}
        for key in keys:
            row = self._database.execute(
                f"SELECT {_CLAIM} FROM claims WHERE run_id = ? AND day = ? AND phase = ? AND processor = ?"
                " AND attempt = ?",
                (run_id, key.day.isoformat(), key.phase, key.processor, key.attempt),
            ).fetchone()
            if row:
                found[key] = readable(f"claim of {key}", run_id, partial(_read_claim, row))
        return found

    def open_claims(self, run_id: str, days: Iterable[date] | None = None) -> list[Claim]:
        """See the port."""
        chosen = None if days is None else set(days)
        return [c for c in self._opened(run_id).values() if chosen is None or c.key.day in chosen]

    def extend(self, run_id: str, claim: Claim, lease_until: datetime) -> None:
        """See the port."""
        self._database.execute(
            "UPDATE claims SET lease_until = ? WHERE fence = ?", (lease_until.isoformat(), claim.fence)
        )
        if run_id in self._open and claim.key in self._open[run_id]:
            self._open[run_id][claim.key] = claim._replace(lease_until=lease_until)

    def _opened(self, run_id: str) -> dict[AttemptKey, Claim]:
        if run_id in self._open:
            return self._open[run_id]
        rows = self._database.execute(
            f"SELECT {_CLAIM} FROM claims AS c WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM facts AS f"
            " WHERE f.run_id = c.run_id AND f.day = c.day AND f.phase = c.phase AND f.processor = c.processor"
            " AND f.attempt = c.attempt AND f.name IN ('reported', 'healed', 'abandoned')) ORDER BY fence",
            (run_id,),
        )
        claims = [readable("claims", run_id, partial(_read_claim, row)) for row in rows]
        opened = {claim.key: claim for claim in claims}
        if self._keeps_dates:
            self._open[run_id] = opened
        return opened

    # Quarantine, heals and reports

    def quarantine(self, records: Sequence[QuarantineRecord]) -> None:
        """See the port."""
        with self._database.transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, ?)",
                [(r.id, r.run_id, r.reason, r.event, r.at.isoformat()) for r in records],
            )

    def note_heal(self, run_id: str, heal: Heal) -> None:
        """See the port."""
        row = (run_id, heal.kind, heal.subject, heal.detail, heal.at.isoformat())
        self._database.execute("INSERT OR IGNORE INTO heals VALUES (?, ?, ?, ?, ?)", row)

    def heals(self, run_id: str) -> list[Heal]:
        """See the port."""
        rows = self._database.execute(
            "SELECT kind, subject, detail, at FROM heals WHERE run_id = ? ORDER BY at, kind, subject", (run_id,)
        )
        return [Heal(kind, subject, detail, datetime.fromisoformat(at)) for kind, subject, detail, at in rows]

    def note_report(self, run_id: str, note: ReportNote) -> None:
        """See the port."""
        row = (run_id, note.id, note.at.isoformat(), to_json(note).decode())
        self._database.execute("INSERT OR IGNORE INTO reports VALUES (?, ?, ?, ?)", row)

    def reports(self, run_id: str) -> list[ReportNote]:
        """See the port."""
        rows = self._database.execute("SELECT doc FROM reports WHERE run_id = ? ORDER BY at, id", (run_id,))
        report = TypeAdapter(ReportNote)
        return [report.validate_json(doc) for (doc,) in rows]

    def add_reads(self, run_id: str, reads: Reads) -> None:
        """See the port: DuckDB does not tell."""

    def reads(self, run_id: str) -> Reads:  # noqa: ARG002 - of none is anything known
        """See the port."""
        return Reads()

    def add_time(self, run_id: str, spent: TimeSpent) -> None:
        """See the port."""
        add_time(self._database, run_id, spent)

    def time_spent(self, run_id: str) -> TimeSpent | None:
        """See the port."""
        return time_spent(self._database, run_id)

    def quarantined(self, run_id: str | None) -> list[QuarantineRecord]:
        """See the port."""
        rows = self._database.execute(
            "SELECT id, run_id, reason, event, at FROM quarantine WHERE run_id IS ? ORDER BY at, id", (run_id,)
        )
        return [QuarantineRecord(i, r, reason, event, datetime.fromisoformat(at)) for i, r, reason, event, at in rows]

    def count_quarantined(self, run_id: str | None) -> int:
        """See the port."""
        row = self._database.execute("SELECT COUNT(*) FROM quarantine WHERE run_id IS ?", (run_id,)).fetchone()
        return int(row[0])


def open_state(home: Home) -> SqliteState:
    """Open the state of a home for commands beside a driving process. Raises InputError when there is none yet."""
    return SqliteState(database_of(home), keeps_dates=False)


def clock_of(home: Home) -> SteadyClock:
    """Make the clock by which a home is kept: the system's, which never goes back behind what is recorded there."""
    if not home.state.exists():
        return SteadyClock()
    with closing(Database(home.state)) as database:
        return SteadyClock(database.latest_moment())


_CLAIM = "day, phase, processor, attempt, fence, epoch, generation, inputs, lease_until, claimed_at, incarnation"


def _read_claim(row: Sequence[Any]) -> Claim:
    day, phase, processor, attempt, fence, epoch, generation, inputs, lease_until, claimed_at, incarnation = row
    return Claim(
        AttemptKey(date.fromisoformat(day), phase, processor, attempt),
        fence,
        epoch,
        generation,
        tuple(json.loads(inputs).items()),
        datetime.fromisoformat(lease_until),
        datetime.fromisoformat(claimed_at),
        incarnation,
    )
