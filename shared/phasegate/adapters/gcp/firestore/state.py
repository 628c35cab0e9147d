"""State lies in Firestore: the documents of ``documents.py``, written blindly, by ``create()``, or under a
precondition.

Nothing that several write is read, changed and written back, and no transaction reads a document that others write.
"""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition, RetryError
from google.api_core.retry import Retry, if_exception_type
from google.cloud.firestore import SERVER_TIMESTAMP, ArrayUnion, FieldFilter, Increment

from phasegate.adapters.gcp.firestore import documents
from phasegate.adapters.gcp.firestore.calls import CALL, errors_explained, timestamp
from phasegate.adapters.gcp.firestore.leases import FirestoreLeases
from phasegate.adapters.state_base import StateBase, first_requests
from phasegate.adapters.state_codec import REMEDY, Document, run_or_reason
from phasegate.domain.errors import CommitTooLarge, NameIsTaken, TransientError, UnreadableRun
from phasegate.domain.plan import FIRST, Plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Cell, DateFacts, Fact, Proved
from phasegate.domain.state.reads import Reads
from phasegate.domain.state.run import Run, RunStatus, UnreadableDocument
from phasegate.domain.state.time_spent import TimeSpent
from phasegate.ports import Claim, ClaimRequest, Heal, QuarantineRecord, ReportNote
from phasegate.single_flight import SingleFlight

if TYPE_CHECKING:
    from google.cloud.firestore import Client, CollectionReference, DocumentReference, DocumentSnapshot, Query

GLANCE = timedelta(seconds=2)
"""How old a run's document may be for who only glances at it."""

GLANCES_KEPT = 256
"""Runs of which a document is kept so long."""

MARGIN = timedelta(seconds=2)
"""A server timestamp is taken before its commit: marks this much older than the youngest are asked for again."""

DATES_IN_A_BATCH = 100
"""Dates written in one batch, where nothing has to be written at once: a request takes 10 MiB (Firestore quotas)."""

COMMIT_BYTES = 8_000_000
"""Bytes of the dates in one commit; a request takes 10 MiB with the board and the names (Firestore quotas)."""

DELETED_AT_ONCE = 400
"""Documents that are deleted in one batch."""

MET_ANOTHER = (FailedPrecondition, Aborted)
"""What is answered to a change of a document that somebody else changes."""

UNTIL_ALONE = Retry(predicate=if_exception_type(*MET_ANOTHER), initial=0.02, maximum=1.0, multiplier=2.0, timeout=15.0)
"""How a change is repeated: after waits, with jitter, that double from 20 ms to a second; no try begins after 15 s."""


class FirestoreState(StateBase):
    """This is the ``State`` port over Firestore. Thread-safe; one for a process."""

    def __init__(self, client: "Client") -> None:
        super().__init__()
        self._client = client
        self.leases = FirestoreLeases(client)
        self._glances: TTLCache[str, Run] = TTLCache(GLANCES_KEPT, GLANCE.total_seconds())
        self._glancing = threading.Lock()
        self._run_reads: SingleFlight[Any] = SingleFlight()

    # Runs, plans, boards

    def create_run(self, run: Run, plan: Plan, board: Board) -> bool:
        """See the port. One batch: a run that is there has its plan and its board."""
        batch = self._client.batch()
        batch.create(self._run(run.run_id), documents.run_document(run))
        board_document = {**documents.board_document(board), "topics": list(plan.observed_topics)}
        batch.create(self._board(run.run_id), board_document)
        for number, part in enumerate(documents.plan_documents(plan)):
            batch.create(self._run(run.run_id).collection("plan").document(str(number)), part)
        with errors_explained():
            if self._forgotten(run.run_id).get(**CALL).exists:
                raise NameIsTaken(f"run '{run.run_id}' was forgotten not long ago; give another --run-id")
            try:
                batch.commit(**CALL)
            except AlreadyExists:
                return False
        return True

    def forget_run(self, run_id: str, now: datetime) -> None:
        """See the port. Functions keep compiled plans, and Cloud Tasks the names of tasks, under the run's id."""
        for name in ("attempts", "dates", "heals", "reads", "reports"):
            self._delete_all(self._run(run_id).collection(name))
        for generation in _read(self._run(run_id).collection("plans").select([])):
            self._delete_all(generation.reference.collection("plan"))
        self._delete_all(self._run(run_id).collection("plans"))
        self._delete_all(self._client.collection("quarantine").where(filter=FieldFilter("run_id", "==", run_id)))
        parts = _read(self._run(run_id).collection("plan").select([]))
        batch = self._client.batch()
        for reference in (*(part.reference for part in parts), self._board(run_id), self._run(run_id)):
            batch.delete(reference)
        batch.set(self._forgotten(run_id), {"at": now})
        with errors_explained():
            batch.commit(**CALL)
        with self._glancing:
            self._glances.pop(run_id, None)

    def sources_of_forgotten(self, pipeline: str) -> Mapping[date, tuple[datetime, str]]:  # noqa: ARG002 - none has one
        """See the port: on a cloud the workers know their source, and runs have none."""
        return {}

    def _delete_all(self, of: "CollectionReference | Query") -> None:
        """Delete documents, a page at a time."""
        while page := _read(of.select([]).limit(DELETED_AT_ONCE)):
            batch = self._client.batch()
            for found in page:
                batch.delete(found.reference)
            with errors_explained():
                batch.commit(**CALL)

    def run(self, run_id: str) -> Run:
        """See the port; threads that ask at the same moment share a read that begins after they asked."""
        with errors_explained():
            found = self._run_reads.get(run_id, lambda: self._run(run_id).get(**CALL))
        run = documents.read_run(run_id, self._there(run_id, found))
        with self._glancing:
            if run.admits:
                self._glances[run_id] = run
            else:
                self._glances.pop(run_id, None)
        return run

    def written(self, run_id: str) -> int:
        """See the port: the commit time of the run's document, in nanoseconds."""
        with errors_explained():
            found = self._run(run_id).get([], **CALL)
        self._there(run_id, found)
        return _nanoseconds(found.create_time)

    def glance(self, run_id: str) -> Run:
        """See the port."""
        with self._glancing:
            known = self._glances.get(run_id)
        return known or self.run(run_id)

    def unfinished(self) -> list[str]:
        """See the port."""
        with errors_explained():
            return sorted(_run_of_board(found) for found in self._unfinished_boards().select([]).stream(**CALL))

    def halted_at_work(self) -> list[str]:
        """See the port."""
        halted = FieldFilter("status", "==", RunStatus.HALTED.value)
        boards = _read(self._client.collection_group("board").where(filter=halted).select([]))
        return sorted(map(_run_of_board, boards))

    def listening(self, topic: str) -> list[str]:
        """See the port. A board that an earlier version made has no ``topics``: its run may listen."""
        with errors_explained():
            boards = list(self._unfinished_boards().select(["topics"]).stream(**CALL))
        topics_by_run = {_run_of_board(found): (found.to_dict() or {}).get("topics") for found in boards}
        return sorted(run_id for run_id, topics in topics_by_run.items() if topics is None or topic in topics)

    def _unfinished_boards(self) -> "Query":
        going = [status.value for status in RunStatus if not status.is_final]
        query: Query = self._client.collection_group("board").where(filter=FieldFilter("status", "in", going))
        return query

    def every_run(self) -> list[Run | UnreadableDocument]:
        """See the port. Firestore is not asked for an order: it would leave out what has no ``created_at``, which
        stands first here: nobody knows that it is older."""
        with errors_explained():
            found = [(one.id, one.to_dict() or {}) for one in self._client.collection("runs").stream(**CALL)]
        found.sort(key=lambda one: one[0])
        found.sort(key=lambda one: str(documents.plain(one[1].get("created_at"))), reverse=True)
        return [run_or_reason(run_id, partial(documents.plain, document)) for run_id, document in found]

    def change_run(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """See the port. Raises TransientError when others change it all the time."""
        reference = self._run(run_id)
        changed: Run | None = None

        def attempt() -> Run:
            nonlocal changed
            found = reference.get(**CALL)
            document = self._there(run_id, found)
            there = documents.read_run(run_id, document)
            if there == changed:
                return there  # by this very call, whose first answer was lost
            changed = change(there)
            unchanged = self._client.write_option(last_update_time=found.update_time)
            reference.update(documents.changed_run_document(document, changed), option=unchanged)
            return changed

        with errors_explained():
            try:
                made = UNTIL_ALONE(attempt)()
            except RetryError as error:
                if isinstance(error.cause, MET_ANOTHER):
                    why = f"run '{run_id}' is being changed by others all the time; try again"
                    raise TransientError(why) from error
                raise
        with self._glancing:
            self._glances.pop(run_id, None)
        return made

    def keep_plan(self, run_id: str, name: str, plan: Plan) -> None:
        """See the port. One batch: what is kept is whole."""
        generation, batch = self._later_plan(run_id, name), self._client.batch()
        parts = documents.plan_documents(plan)
        batch.set(generation, {"hash": plan.hash, "parts": len(parts)})
        for number, part in enumerate(parts):
            batch.set(generation.collection("plan").document(str(number)), part)
        with errors_explained():
            batch.commit(**CALL)

    def _standing(self, run_id: str) -> str:
        with errors_explained():
            found = self._board(run_id).get(["plan"], **CALL)
        return str((found.to_dict() or {}).get("plan") or FIRST)

    def _read_plan(self, run_id: str, name: str) -> Plan:
        of = self._run(run_id) if name == FIRST else self._later_plan(run_id, name)
        with errors_explained():
            parts = {p.id: p.to_dict() or {} for p in of.collection("plan").stream(**CALL)}
        if not parts and name != FIRST:
            raise UnreadableRun(f"the plan '{name}' of run '{run_id}' is not kept here; {REMEDY}")
        if not parts:
            raise self._unknown(run_id)
        return documents.read_plan(run_id, [parts[number] for number in sorted(parts, key=int)])

    def board(self, run_id: str) -> tuple[Board, int]:
        """See the port. The version is the document's update time, in nanoseconds."""
        with errors_explained():
            found = self._board(run_id).get(**CALL)
        document = self._there(run_id, found)
        return documents.read_board(run_id, document), _nanoseconds(found.update_time)

    def commit(
        self,
        run_id: str,
        board: Board,
        version: int,
        cells: Mapping[tuple[date, str], Cell],
        proofs: Sequence[tuple[AttemptKey, Proved]] = (),
    ) -> bool:
        """See the port. One write per date, one for the board."""
        index = self.index(run_id, board.plan)
        writes: dict[date, _DateWrite] = {}
        for (day, phase), cell in cells.items():
            writes.setdefault(day, _DateWrite()).put(("cells", phase), documents.cell_document(cell))
        for key, proof in proofs:
            path = documents.fact_path(key, proof)
            writes.setdefault(key.day, _DateWrite()).put(path, documents.fact_document(proof))
        size = sum(documents.bytes_of(write.document) for write in writes.values())
        if size > COMMIT_BYTES:
            raise CommitTooLarge(f"{len(writes)} dates of run '{run_id}' take {size:,} bytes in one commit")
        # Makes every commit a change (one that changes nothing would leave the update time as it is), and tells this
        # commit from another's when its first answer was lost and it was sent again.
        name = uuid.uuid4().hex
        batch = self._client.batch()
        batch.update(
            self._board(run_id),
            {**documents.board_document(board), "commit": name},
            option=self._client.write_option(last_update_time=timestamp(version)),
        )
        for day, write in writes.items():
            write.put(("season",), index.season_of[index.position[day]])
            batch.set(self._date(run_id, day), write.document, merge=write.paths(self._client))
        with errors_explained():
            try:
                batch.commit(**CALL)
            except FailedPrecondition:
                there = self._board(run_id).get(**CALL)
                return bool(there.exists and there.get("commit") == name)
        return True

    # Dates and their facts

    def dates(self, run_id: str, days: Iterable[date]) -> dict[date, DateFacts]:
        """See the port."""
        asked = list(days)
        if not asked:
            return {}
        with errors_explained():
            references = [self._date(run_id, day) for day in asked]
            found = {one.id: _content(one) for one in self._client.get_all(references, **CALL)}
        return {day: documents.read_date(run_id, day, found.get(day.isoformat())) for day in asked}

    def mark_at_rest(self, run_id: str, days: Iterable[date]) -> None:
        """See the port."""
        for page in _pages(days):
            batch = self._client.batch()
            for day in page:
                batch.set(self._date(run_id, day), {"at_rest": SERVER_TIMESTAMP}, merge=True)
            with errors_explained():
                batch.commit(**CALL)

    def at_rest(self, run_id: str, cursor: str, limit: int) -> tuple[dict[date, DateFacts], str]:
        """See the port. The cursor is the moment to ask from.

        A mark becomes visible at most ``MARGIN`` after its own time: the cursor stays so far behind the youngest mark.
        Behind a full page there is more: the cursor goes on to its last moment, as far as that lies so long ago, and
        stops before it, as some marks of that moment may stand on the next page.
        """
        query = self._dates(run_id).order_by("at_rest")
        if cursor:
            query = query.where(filter=FieldFilter("at_rest", ">", datetime.fromisoformat(cursor)))
        page = _read(query.limit(limit))
        if not page:
            return {}, cursor
        moments: list[datetime] = [documents.plain(one.get("at_rest")) for one in page]
        following = moments[-1] - MARGIN
        if len(page) >= limit:
            last = max((moment for moment in moments if moment < moments[-1]), default=moments[-1])
            following = min(last, documents.plain(page[-1].read_time) - MARGIN)
            if last == moments[-1]:
                page = _read(self._dates(run_id).where(filter=FieldFilter("at_rest", "==", page[-1].get("at_rest"))))
        facts = {
            day: documents.read_date(run_id, day, _content(one))
            for one in page
            for day in (date.fromisoformat(one.id),)
        }
        return facts, max(cursor, following.isoformat(timespec="microseconds"))

    def record(self, run_id: str, facts: Sequence[tuple[AttemptKey, Fact]]) -> None:
        """See the port. Blind: a fact joins the list of what was said, and only a list's first value counts.

        Facts of many dates are written in pages: they stand by themselves, and whoever dies between two writes them
        again.
        """
        writes: dict[date, dict[str, Any]] = {}
        for key, fact in facts:
            place = writes.setdefault(key.day, {})
            for step in documents.task_path(key):
                place = place.setdefault(step, {})
            name = documents.fact_path(key, fact)[-1]
            place[name] = ArrayUnion([documents.fact_document(fact)])
        for page in _pages(writes):
            batch = self._client.batch()
            for day in page:
                batch.set(self._date(run_id, day), writes[day], merge=True)
            with errors_explained():
                batch.commit(**CALL)

    # Claims

    def claim(self, run_id: str, requests: Sequence[ClaimRequest], now: datetime) -> list[Claim | None]:
        """See the port. Who creates the document has the attempt; the commit time is the fence.

        All are created in one commit. Where some are there already, who has which is read, and the others are created.
        """
        incarnation = uuid.uuid4().hex
        asked = {documents.claim_id(key): request for key, request in first_requests(requests).items()}
        written = {name: documents.claim_document(request, now, incarnation) for name, request in asked.items()}
        found: dict[str, Claim | None] = {}
        while wanted := [name for name in asked if name not in found]:
            batch = self._client.batch()
            for name in wanted:
                batch.create(self._attempts(run_id).document(name), written[name])
            with errors_explained():
                try:
                    results = batch.commit(**CALL)
                except AlreadyExists:
                    found |= self._claims_there(run_id, {name: written[name] for name in wanted})
                    continue
            times = {name: result.update_time for name, result in zip(wanted, results, strict=True)}
            found |= {name: documents.read_claim(run_id, written[name], time) for name, time in times.items()}
        return [found.pop(documents.claim_id(request.key), None) for request in requests]

    def _claims_there(self, run_id: str, written: Mapping[str, Document]) -> dict[str, Claim | None]:
        """Of claims that were to be created: those that are there. They are somebody else's, None, or were made by this
        very call, whose first answer was lost on the way."""
        references = [self._attempts(run_id).document(name) for name in written]
        return {
            one.id: documents.read_claim(run_id, written[one.id], one.create_time)
            if one.get("incarnation") == written[one.id]["incarnation"]
            else None
            for one in self._client.get_all(references, **CALL)
            if one.exists
        }

    def claims(self, run_id: str, keys: Iterable[AttemptKey]) -> dict[AttemptKey, Claim]:
        """See the port."""
        attempts = self._attempts(run_id)
        references = [attempts.document(name) for name in dict.fromkeys(map(documents.claim_id, keys))]
        if not references:
            return {}
        with errors_explained():
            found = [one for one in self._client.get_all(references, **CALL) if one.exists]
        claims = [documents.read_claim(run_id, one.to_dict() or {}, one.create_time) for one in found]
        return {claim.key: claim for claim in claims}

    def open_claims(self, run_id: str, days: Iterable[date] | None = None) -> list[Claim]:
        """See the port: the claims of attempts that were dispatched on these dates and have not ended."""
        if days is None:
            stream = self._dates(run_id).stream(**CALL)
            known = (documents.read_date(run_id, date.fromisoformat(one.id), _content(one)) for one in stream)
        else:
            known = (facts for page in _pages(days) for facts in self.dates(run_id, page).values())
        with errors_explained():
            going = [
                AttemptKey(facts.day, phase, processor, attempt.number)
                for facts in known
                for (phase, processor), attempts in facts.tasks.items()
                for attempt in attempts
                if attempt.is_open
            ]
        return sorted(self.claims(run_id, going).values(), key=lambda claim: claim.fence)

    def extend(self, run_id: str, claim: Claim, lease_until: datetime) -> None:
        """See the port."""
        reference = self._attempts(run_id).document(documents.claim_id(claim.key))
        with errors_explained():
            reference.update({"lease_until": lease_until}, **CALL)

    # Quarantine, heals and reports

    def quarantine(self, records: Sequence[QuarantineRecord]) -> None:
        """See the port."""
        for record in records:
            self._create_once(
                self._client.collection("quarantine").document(record.id), documents.quarantine_document(record)
            )

    def quarantined(self, run_id: str | None) -> list[QuarantineRecord]:
        """See the port."""
        query = self._client.collection("quarantine").where(filter=FieldFilter("run_id", "==", run_id))
        with errors_explained():
            found = [documents.read_quarantine(one.id, one.to_dict() or {}) for one in query.stream(**CALL)]
        return sorted(found, key=lambda record: (record.at, record.id))

    def count_quarantined(self, run_id: str | None) -> int:
        """See the port: one read for each thousand of them."""
        query = self._client.collection("quarantine").where(filter=FieldFilter("run_id", "==", run_id))
        with errors_explained():
            counted: Any = query.count().get(**CALL)
        return sum(int(found.value) for found in counted[0])

    def note_heal(self, run_id: str, heal: Heal) -> None:
        """See the port."""
        name = hashlib.sha256(f"{heal.kind}\x1f{heal.subject}".encode()).hexdigest()[:32]
        self._create_once(self._run(run_id).collection("heals").document(name), documents.heal_document(heal))

    def heals(self, run_id: str) -> list[Heal]:
        """See the port."""
        query = self._run(run_id).collection("heals").order_by("at")
        with errors_explained():
            found = [documents.read_heal(one.to_dict() or {}) for one in query.stream(**CALL)]
        return sorted(found, key=lambda heal: (heal.at, heal.kind, heal.subject))

    def note_report(self, run_id: str, note: ReportNote) -> None:
        """See the port."""
        reference = self._run(run_id).collection("reports").document(note.id)
        self._create_once(reference, documents.report_document(note))

    def reports(self, run_id: str) -> list[ReportNote]:
        """See the port."""
        query = self._run(run_id).collection("reports").order_by("at")
        with errors_explained():
            found = [documents.read_report(one.id, one.to_dict() or {}) for one in query.stream(**CALL)]
        return sorted(found, key=lambda note: (note.at, note.id))

    def add_reads(self, run_id: str, reads: Reads) -> None:
        """See the port. One blind write: Firestore adds."""
        more = {name: Increment(number) for name, number in documents.reads_document(reads).items()}
        with errors_explained():
            self._reads(run_id).set(more, merge=True, **CALL)

    def reads(self, run_id: str) -> Reads:
        """See the port."""
        with errors_explained():
            found = self._reads(run_id).get(**CALL)
        return documents.read_reads(found.to_dict() or {})

    def add_time(self, run_id: str, spent: TimeSpent) -> None:
        """See the port: no process drives a run here."""

    def time_spent(self, run_id: str) -> TimeSpent | None:  # noqa: ARG002 - of none is anything known
        """See the port."""
        return None

    def _create_once(self, reference: "DocumentReference", document: Document) -> None:
        with errors_explained():
            try:
                reference.create(document, **CALL)
            except AlreadyExists:
                return

    # Where things are

    def _run(self, run_id: str) -> "DocumentReference":
        found: DocumentReference = self._client.collection("runs").document(run_id)
        return found

    def _forgotten(self, run_id: str) -> "DocumentReference":
        found: DocumentReference = self._client.collection("forgotten").document(run_id)
        return found

    def _board(self, run_id: str) -> "DocumentReference":
        found: DocumentReference = self._run(run_id).collection("board").document("0")
        return found

    def _reads(self, run_id: str) -> "DocumentReference":
        found: DocumentReference = self._run(run_id).collection("reads").document("0")
        return found

    def _later_plan(self, run_id: str, name: str) -> "DocumentReference":
        found: DocumentReference = self._run(run_id).collection("plans").document(name)
        return found

    def _dates(self, run_id: str) -> "CollectionReference":
        found: CollectionReference = self._run(run_id).collection("dates")
        return found

    def _date(self, run_id: str, day: date) -> "DocumentReference":
        return self._dates(run_id).document(day.isoformat())

    def _attempts(self, run_id: str) -> "CollectionReference":
        found: CollectionReference = self._run(run_id).collection("attempts")
        return found

    def _there(self, run_id: str, found: "DocumentSnapshot[Any]") -> Document:
        document = found.to_dict()
        if document is None:
            raise self._unknown(run_id)
        return document

    def _newest_runs(self) -> list[str]:
        query = self._client.collection("runs").order_by("created_at", direction="DESCENDING").limit(50)
        with errors_explained():
            return [one.id for one in query.select([]).stream(**CALL)]


def _read(query: "Query") -> "list[DocumentSnapshot[Any]]":
    with errors_explained():
        return list(query.stream(**CALL))


def _pages(days: Iterable[date]) -> Iterator[Sequence[date]]:
    """The dates, as many at a time as one batch writes."""
    waiting = iter(days)
    while page := list(islice(waiting, DATES_IN_A_BATCH)):
        yield page


class _DateWrite:
    """Fields to replace in a date's document, each as a whole."""

    def __init__(self) -> None:
        self.document: Document = {}
        self._paths: list[tuple[str, ...]] = []

    def put(self, path: tuple[str, ...], value: Any) -> None:
        """Set one field."""
        place = self.document
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = value
        self._paths.append(path)

    def paths(self, client: "Client") -> list[str]:
        """The fields' paths, as Firestore writes them."""
        return [client.field_path(*path) for path in self._paths]


def _run_of_board(found: "DocumentSnapshot[Any]") -> str:
    """The run whose board it is, by its place: a board that cannot be read has one too."""
    run_id: str = found.reference.parent.parent.id
    return run_id


def _content(found: "DocumentSnapshot[Any]") -> Document | None:
    """A date's document, not to be changed. ``to_dict`` would copy it once more: 3 ms for 52 tasks."""
    content: Document | None = found._data
    return content


def _nanoseconds(moment: DatetimeWithNanoseconds) -> int:
    stamp = moment.timestamp_pb()
    return int(stamp.seconds) * 1_000_000_000 + int(stamp.nanos)
