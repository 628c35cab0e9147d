"""The outside world as the services see it: what a backend must provide, and nothing more.

Each backend under ``shared/phasegate/adapters`` implements all of them; the services know no other way out.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from phasegate.domain.errors import PhasegateError
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.plan import Plan, PlanIndex
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Cell, DateFacts, Fact, Inputs, Proved
from phasegate.domain.state.lease import Held, Lease
from phasegate.domain.state.run import Run

Row = dict[str, Any]
Parameter = str | int | float | bool | date | Sequence[str] | Sequence[date] | None


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of one table that belong to one date.

    table: ``dataset.table``; date_column: the DATE column that the table is partitioned by.
    """

    table: str
    date_column: str
    day: date


class Warehouse(Protocol):
    """Tables with date partitions. SQL is written in the BigQuery dialect, with ``@name`` parameters."""

    def apply_schema(self, ddl: str) -> None:
        """Create the datasets and tables of a script of ``CREATE TABLE IF NOT EXISTS`` statements."""

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Row]:
        """Rows of one SELECT. Raises TransientError for what a retry may mend."""

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        """The rows of many SELECTs with their parameters, in order; in place of rows, the error that met one."""

    def columns(self, tables: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """SQL types by column of those tables (``dataset.table``) that are there. Raises TransientError."""

    def replace_partition(
        self, partition: Partition, select: str, parameters: Mapping[str, Parameter], fence: int
    ) -> int:
        """Replace the partition by the rows of ``select`` in one transaction; returns the rows written.

        The select names its columns as the table does; the column ``_fence`` is added here.
        Raises StaleFence when a row of the partition carries a higher fence: nothing is changed then.
        """

    def load_partition(self, partition: Partition, lines: bytes, fence: int) -> int:
        """The same from JSON lines (UTF-8, one object a row, keys are column names)."""

    def replace_table(self, table: str, lines: bytes) -> int:
        """Replace a whole reference table by JSON lines, in one transaction; returns the rows written."""

    def append_missing(self, table: str, rows: Sequence[Row], keys: Sequence[str]) -> int:
        """Append, in one statement, the rows whose keys the table does not hold yet; returns how many."""

    def delete_dates(self, table: str, date_column: str, days: Collection[date]) -> int:
        """Delete the rows of these dates in one statement, whatever fence they carry; returns how many there were.

        What is gone already is no error. Raises InputError for a name that is none, and for a table that is not there.
        """

    def close(self) -> None:
        """Release the files or connections."""


class ObjectStore(Protocol):
    """Named blobs. A write is all or nothing."""

    def write(self, name: str, content: bytes) -> None:
        """Create or replace the object ``name`` (a relative path with forward slashes)."""

    def read(self, name: str) -> bytes:
        """The object's content. Raises FileNotFoundError when there is none."""

    def held(self, names: Iterable[str]) -> set[str]:
        """Those of the names under which there is an object."""

    def delete(self, names: Iterable[str]) -> set[str]:
        """Delete the objects of these names; returns those that there were. What is gone already is no error."""


class Worker(Protocol):
    """A processing service. In-process here, behind HTTP elsewhere: the bodies are the same. Thread-safe."""

    def prepare(self) -> None:
        """Set up what every request relies on: tables, reference data. Repeatable.

        Embedded mode calls it before a run is driven, ``stack up`` when the service has started; on Google Cloud it
        belongs to the deployment of the service.
        """

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request: HTTP status and JSON body (a ``WorkerAnswer`` when 200).

        In process it may raise HaltError (a full disk); anything else that it raises counts as transient.
        """


@dataclass(frozen=True, slots=True)
class QueueTask:
    """One Cloud Task. A name is used once: creating it again within the name's memory changes nothing.

    run_id: whose work it is. payload: JSON text. not_before: the earliest start, UTC; None: at once.
    """

    run_id: str
    queue: str
    name: str
    payload: str
    not_before: datetime | None = None


class Tasks(Protocol):
    """Task queues with Cloud Tasks' semantics: rate, concurrency, schedule time, names, at-least-once delivery."""

    def create(self, tasks: Sequence[QueueTask]) -> None:
        """Put tasks on their queues. A name that is known is left as it is."""


class Events(Protocol):
    """Topics with Pub/Sub's semantics: at-least-once, in no order."""

    def publish(self, topic: str, messages: Sequence[str]) -> None:
        """Publish JSON messages; returns when they are durable."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """An attempt that somebody wants to run, and what it was dispatched from."""

    key: AttemptKey
    epoch: int
    generation: int
    inputs: Inputs
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Who runs an attempt. ``fence`` rises with every claim; ``incarnation`` names the process."""

    key: AttemptKey
    fence: int
    epoch: int
    generation: int
    inputs: Inputs
    lease_until: datetime
    claimed_at: datetime
    incarnation: str


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """An event that matched nothing or contradicts: why, and the event as it came."""

    id: str
    run_id: str | None
    reason: str
    event: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Heal:
    """Something that no message brought about, and that a sweep found and mended.

    kind: ``dispatch`` (due work that was not started), ``delivery`` (a task that never arrived), ``lease`` (an attempt
    that ended without a word), ``event`` (the table has the rows, the completion never came), ``at_rest`` (a settled
    release group that nobody told the conductor of). subject: what it is about; detail: why it was healed.
    """

    kind: str
    subject: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReportNote:
    """The summary of a report on a run.

    agrees: nothing is missing, and state, tables and calendar say the same. is_final: the run had ended.
    kinds: findings by kind, for those that there are. place: where its files lie in the object store.
    """

    id: str
    at: datetime
    agrees: bool
    is_final: bool
    findings: int
    kinds: Mapping[str, int]
    verdict: str
    place: str


class Leases(Protocol):
    """Who may write a date of a table that has more than one writer. For the runner, and for the other writer."""

    def take(self, table: str, day: date, holder: str, until: datetime, now: datetime) -> Lease | Held:
        """Take the lease on one date of a table (``dataset.table``), or learn who has it.

        It is free when nobody took it, when it was given back, and from the end of its time on. A holder who has it
        and asks again is told so like anybody else: two processes may go by one name.
        Raises InputError without a holder or a time, TransientError when others take it and give it back all the time.
        """

    def give_back(self, lease: Lease) -> None:
        """The writer has ended. Changes nothing when the lease ran out and somebody else has it.

        One that cannot be given back now is left to run out; nothing is raised for that.
        """


class State(Protocol):
    """Facts, claims, cells and boards. Writers never read, change and write back what others write."""

    @property
    def leases(self) -> Leases:
        """Leases on tables' dates, which lie beside the runs and belong to none."""

    def create_run(self, run: Run, plan: Plan, board: Board) -> bool:
        """Write a run, its plan and its board; False when the run id is there already."""

    def run(self, run_id: str) -> Run:
        """The run's document, uncached. Raises InputError for an unknown run."""

    def glance(self, run_id: str) -> Run:
        """The run's document as it was at most a moment ago, for whoever starts nothing by itself.

        A run that does not admit is never older than now, so that nobody waits for one that was resumed.
        """

    def unfinished(self) -> list[str]:
        """Ids of the runs whose board has not come to a final status."""

    def runs(self) -> list[Run]:
        """All runs, newest first."""

    def change_run(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """Apply a pure change to the run's document, repeated until it met no other writer."""

    def plan(self, run_id: str) -> Plan:
        """The frozen plan."""

    def index(self, run_id: str) -> PlanIndex:
        """The compiled plan; it is kept, so that asking again costs nothing."""

    def board(self, run_id: str) -> tuple[Board, int]:
        """A copy of the board, and its version."""

    def commit(
        self,
        run_id: str,
        board: Board,
        version: int,
        cells: Mapping[tuple[date, str], Cell],
        proofs: Sequence[tuple[AttemptKey, Proved]] = (),
    ) -> bool:
        """Write board, cells and proofs in one batch; False, and nothing written, when the board is not ``version``."""

    def dates(self, run_id: str, days: Iterable[date]) -> dict[date, DateFacts]:
        """Facts of these dates; a date without any is empty. Not to be changed by the reader."""

    def mark_at_rest(self, run_id: str, days: Iterable[date]) -> None:
        """Somebody saw a release group of these dates at rest: the conductor should look at them."""

    def at_rest(self, run_id: str, cursor: str) -> tuple[dict[date, DateFacts], str]:
        """Dates marked since the cursor (empty: ever) with their facts, and the cursor for the next call.

        Some of them may be given again at the next call; none is ever left out.
        """

    def record(self, run_id: str, facts: Sequence[tuple[AttemptKey, Fact]]) -> None:
        """Add facts, without reading what is there. The first value of a fact stands; a later dispatch counts."""

    def claim(self, run_id: str, requests: Sequence[ClaimRequest], now: datetime) -> list[Claim | None]:
        """Create claims; None for an attempt that is claimed already."""

    def claims(self, run_id: str, keys: Iterable[AttemptKey]) -> dict[AttemptKey, Claim]:
        """The claims of these attempts, where there are any."""

    def open_claims(self, run_id: str, days: Iterable[date] | None = None) -> list[Claim]:
        """Claims of attempts on these dates (None: all) that were neither reported nor healed nor abandoned."""

    def extend(self, run_id: str, claim: Claim, lease_until: datetime) -> None:
        """The worker is alive: the claim holds until then."""

    def quarantine(self, records: Sequence[QuarantineRecord]) -> None:
        """Keep events that could not be applied. A known id changes nothing."""

    def note_heal(self, run_id: str, heal: Heal) -> None:
        """Keep what a sweep mended. A known one changes nothing."""

    def heals(self, run_id: str) -> list[Heal]:
        """What sweeps mended in a run, oldest first."""

    def note_report(self, run_id: str, note: ReportNote) -> None:
        """Keep the summary of a report. A known one changes nothing."""

    def reports(self, run_id: str) -> list[ReportNote]:
        """Summaries of the reports on a run, oldest first."""

    def quarantined(self, run_id: str | None) -> list[QuarantineRecord]:
        """What was set aside for a run, or (None) for no known run, oldest first."""


class Installation(Protocol):
    """What a run stands on beside the ports: services, queues, topics, rights."""

    def inspect(self, pipeline: Pipeline, phases: Sequence[str]) -> list[PreflightLine]:
        """Look at all that a run of these phases needs. What could not be looked at is never a PASS; nothing is raised
        for it.
        """


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """UTC now, aware."""
