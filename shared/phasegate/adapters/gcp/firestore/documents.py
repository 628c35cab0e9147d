"""Firestore's documents are made of the domain's values here, and read back. Pure.

Times are Firestore timestamps (UTC, microseconds), dates are texts (``2024-01-15``), everything else is plain, so that
a person who opens the console can read it. ``docs/firestore.md`` shows each document with its fields.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from phasegate.adapters.fact_codec import cell_of, cell_to_document, fact_of
from phasegate.adapters.state_codec import (
    Document,
    board_of,
    changed_run,
    json_object,
    plan_from_json,
    readable,
    require_plan_version,
    run_of,
)
from phasegate.domain.plan import PLAN_VERSION, Plan
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import (
    Abandoned,
    AttemptKey,
    Cell,
    DateFacts,
    Fact,
    Healed,
    HealedAs,
    Reported,
    fact_name,
    record,
)
from phasegate.domain.state.reads import Reads
from phasegate.domain.state.run import Run
from phasegate.ports import Claim, ClaimRequest, Heal, QuarantineRecord, ReportNote

PART_BYTES = 900_000
"""Bytes of a plan's content in one document: a document holds at most 1 MiB (Firestore quotas)."""

READABLE_BYTES = 300_000
"""What is known against processors stays a readable map up to this size; a run in which everything fails is packed."""

TEXT_BYTES = {
    "message": 250,
    "detail": 250,
    "reason": 160,
    "code_version": 60,
    "throttle": 40,
    "void": 100,
    "missing": 60,
}
"""Bytes of a text, kept in a date's document; of a throttle's message, of the reason why an attempt is void, and of
each key that is missing, too. All that can happen on one date has to fit into 1 MiB: ``largest_date.py`` adds it up."""

_EMPTY: Mapping[str, Document] = {
    "dispatched": {"inputs": (), "not_before": None},
    "abandoned": {},
    "reported": {"rows": None, "error_class": None, "message": "", "inputs": (), "event_id": ""},
    "healed": {},
    "proved": {"rows": None, "detail": "", "error_class": None},
}
"""Values of the fields that a document leaves out."""


def run_document(run: Run) -> Document:
    """Return ``runs/{run}``."""
    return {**run.model_dump(mode="json"), "created_at": run.created_at}


def read_run(run_id: str, document: Document) -> Run:
    """Return the run of its document. Raises UnreadableRun for another version, and for what cannot be read."""
    return run_of(run_id, plain(document))


def changed_run_document(document: Document, run: Run) -> Document:
    """Return ``runs/{run}`` of a run that was changed, with what a newer version has put there."""
    return {**changed_run(document, run), "created_at": run.created_at}


def plan_documents(plan: Plan) -> list[Document]:
    """Return ``runs/{run}/plan/{n}``: a summary for people, and the compressed plan in as many parts as it takes."""
    content = gzip.compress(plan.model_dump_json(by_alias=True).encode(), mtime=0)
    parts = [content[i : i + PART_BYTES] for i in range(0, len(content), PART_BYTES)]
    summary = {
        "schema_version": PLAN_VERSION,
        "hash": plan.hash,
        "pipeline": plan.pipeline.pipeline,
        "phases": list(plan.phases),
        "dates": len(plan.days),
        "first": plan.days[0].isoformat(),
        "last": plan.days[-1].isoformat(),
        "reprocess": plan.reprocess,
        "code_version": plan.code_version,
        "parts": len(parts),
    }
    return [{**summary, "content": part} for part in parts]


def read_plan(run_id: str, documents: Iterable[Document]) -> Plan:
    """Return the plan of its parts, in order. Raises UnreadableRun for another version, and for what cannot be
    read."""
    parts = list(documents)
    for part in parts:
        require_plan_version(run_id, part)
    text = readable("plan", run_id, lambda: gzip.decompress(b"".join(part["content"] for part in parts)))
    return plan_from_json(run_id, text)


def board_document(board: Board) -> Document:
    """Return ``runs/{run}/board/0``: as ``Board.to_document``, with counts for people; large reasons are packed."""
    document = board.to_document()
    document["counts"] = {
        name: {letter.name.lower(): found[letter] for letter in BoardLetter if found[letter]}
        for name, strip in board.groups.items()
        for found in (Counter(strip.decode("ascii")),)
    }
    reasons = {name: document[name] for name in ("bad", "outside", "unjudged")}
    text = json.dumps(reasons, separators=(",", ":")).encode()
    if len(text) > READABLE_BYTES:
        return {**document, "bad": {}, "outside": {}, "unjudged": {}, "packed": gzip.compress(text, mtime=0)}
    return {**document, "packed": None}


def read_board(run_id: str, document: Document) -> Board:
    """Return the board of its document. Raises UnreadableRun for another version, and for what cannot be read."""
    packed = document.get("packed")
    reasons = readable("board", run_id, lambda: json_object(gzip.decompress(packed))) if packed else {}
    return board_of(run_id, {**document, **reasons})


def fact_document(fact: Fact) -> Document:
    """Return a fact as a map without fields that are empty or as ever; inputs are a map of attempts by processor."""
    if isinstance(fact, Reported) and fact.error_class is ErrorClass.THROTTLE:
        # There may be many of them, and nothing follows from one but when it was: the fence names its claim.
        fact = replace(fact, message=cut(fact.message, TEXT_BYTES["throttle"]), rows=None, event_id="", code_version="")
    if isinstance(fact, Abandoned) or (isinstance(fact, Healed) and fact.outcome is HealedAs.VOID):
        # There may be several: a call of several dates that fails as a whole is made again with half of them.
        fact = replace(fact, reason=cut(fact.reason, TEXT_BYTES["void"]))
    found: Document = {}
    for field in fields(fact):
        value = getattr(fact, field.name)
        if value is None or value == "" or value == () or value == field.default:
            continue
        found[field.name] = value.value if isinstance(value, Enum) else value
    if "inputs" in found:
        found["inputs"] = dict(found["inputs"])
    for name, most in TEXT_BYTES.items():
        if name in found:
            found[name] = cut(found[name], most)
    return found


def cut(text: str, most: int) -> str:
    """Return a text that takes so many bytes at most."""
    return text if len(text) * 4 <= most else text.encode()[:most].decode(errors="ignore")


def bytes_of(value: Any) -> int:
    """Return what a value takes in a document (firebase.google.com/docs/firestore/storage-size)."""
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int | float | datetime):
        return 8
    if isinstance(value, str):
        return len(value.encode()) + 1
    if isinstance(value, dict):
        return sum(bytes_of(str(name)) + bytes_of(each) for name, each in value.items())
    return sum(map(bytes_of, value))


def _read_fact(name: str, document: Document) -> Fact:
    inputs = tuple(document.get("inputs", {}).items())
    return fact_of(name, {**_EMPTY[name], **document, **({"inputs": inputs} if inputs else {})})


def task_path(key: AttemptKey) -> tuple[str, ...]:
    """Say where an attempt's facts lie in its date's document."""
    return ("tasks", key.phase, key.processor, str(key.attempt))


def fact_path(key: AttemptKey, fact: Fact) -> tuple[str, ...]:
    """Say where a fact lies in its date's document."""
    return (*task_path(key), fact_name(fact))


def cell_document(cell: Cell) -> Document:
    """Return ``cells.{phase}`` of a date's document."""
    document = cell_to_document(cell)
    for group in document["lanes"].values():
        group["verdicts"] = [
            {
                **verdict,
                "detail": cut(verdict["detail"], TEXT_BYTES["detail"]),
                "missing": [cut(key, TEXT_BYTES["missing"]) for key in verdict["missing"]],
            }
            for verdict in group["verdicts"]
        ]
    return document


def read_date(run_id: str, day: date, document: Document | None) -> DateFacts:
    """Return the facts of ``runs/{run}/dates/{date}``; a date without a document has none.

    Facts that several may write are lists that only grow: the first value stands, the highest number of a dispatch.
    Raises UnreadableRun for what cannot be read.
    """
    if document is None:
        return DateFacts(day)
    return readable(f"record of {day}", run_id, lambda: _facts_of(day, plain(document)))


def _facts_of(day: date, document: Document) -> DateFacts:
    facts = DateFacts(day)
    for phase, processors in document.get("tasks", {}).items():
        for processor, attempts in processors.items():
            for number, found in attempts.items():
                key = AttemptKey(day, phase, processor, int(number))
                for name, values in found.items():
                    for value in values if isinstance(values, list) else [values]:
                        record(facts, key, _read_fact(name, value))
    facts.cells = {phase: cell_of(cell) for phase, cell in document.get("cells", {}).items()}
    return facts


def claim_id(key: AttemptKey) -> str:
    """Return the id of ``runs/{run}/attempts/{id}``."""
    return f"{key.day}~{key.phase}~{key.processor}~{key.attempt}"


def claim_document(request: ClaimRequest, now: datetime, incarnation: str) -> Document:
    """Return the document of a claim. Its fence is not in it: that is the moment of the document's creation."""
    return {
        "date": request.key.day.isoformat(),
        "phase": request.key.phase,
        "processor": request.key.processor,
        "attempt": request.key.attempt,
        "epoch": request.epoch,
        "generation": request.generation,
        "inputs": dict(request.inputs),
        "lease_until": request.lease_until,
        "claimed_at": now,
        "incarnation": incarnation,
    }


def read_claim(run_id: str, document: Document, created: datetime) -> Claim:
    """Return the claim of a document; the moment of the document's creation is its fence. Raises UnreadableRun for
    what cannot be read."""
    return readable("claims", run_id, lambda: _claim_of(plain(document), created))


def _claim_of(found: Document, created: datetime) -> Claim:
    return Claim(
        AttemptKey(date.fromisoformat(found["date"]), found["phase"], found["processor"], found["attempt"]),
        fence_of(created),
        found["epoch"],
        found["generation"],
        tuple(found["inputs"].items()),
        found["lease_until"],
        found["claimed_at"],
        found["incarnation"],
    )


def fence_of(created: datetime) -> int:
    """Return the microseconds since 1970 at which Firestore committed a claim: later claims have higher fences, in
    every run.
    """
    since = created - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def quarantine_document(record_: QuarantineRecord) -> Document:
    """Return ``quarantine/{id}``."""
    return {"run_id": record_.run_id, "reason": record_.reason, "event": record_.event, "at": record_.at}


def read_quarantine(record_id: str, document: Document) -> QuarantineRecord:
    """Return what was set aside."""
    return QuarantineRecord(record_id, **plain(document))


def heal_document(heal: Heal) -> Document:
    """Return ``runs/{run}/heals/{id}``."""
    return {"kind": heal.kind, "subject": heal.subject, "detail": heal.detail, "at": heal.at}


def read_heal(document: Document) -> Heal:
    """Return what a sweep mended."""
    return Heal(**plain(document))


def report_document(note: ReportNote) -> Document:
    """Return ``runs/{run}/reports/{id}``."""
    return {
        "at": note.at,
        "agrees": note.agrees,
        "is_final": note.is_final,
        "findings": note.findings,
        "kinds": dict(note.kinds),
        "verdict": note.verdict,
        "place": note.place,
    }


def read_report(report_id: str, document: Document) -> ReportNote:
    """Return the summary of a report."""
    return ReportNote(report_id, **plain(document))


def reads_document(reads: Reads) -> Document:
    """Return ``runs/{run}/reads/0``."""
    return {"statements": reads.statements, "bytes": reads.bytes}


def read_reads(document: Document) -> Reads:
    """Return what was read for a run; nothing where no document is."""
    return Reads(document.get("statements", 0), document.get("bytes", 0))


def plain(value: Any) -> Any:
    """Return Firestore's timestamps as plain ``datetime``, however deep they lie."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return datetime(*value.utctimetuple()[:6], value.microsecond, tzinfo=UTC)
    return value
