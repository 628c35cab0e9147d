"""Facts about one date of a run. Facts only grow; everything else is derived from them.

Each field has one kind of writer: ``dispatched`` whoever looks, ``abandoned`` the runner, ``reported`` the listener,
``healed`` the sweeper, ``proved`` and the cells the conductor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field

from phasegate.domain.messages.worker_protocol import ErrorClass, ResultStatus

Inputs = tuple[tuple[str, int], ...]
"""The attempts of its needs that an attempt was made from: ((ref, attempt), …). Other inputs: it is stale."""


class AttemptKey(NamedTuple):
    """Identity of an attempt inside a run."""

    day: date
    phase: str
    processor: str
    attempt: int

    @property
    def ref(self) -> str:
        """``phase/processor``."""
        return f"{self.phase}/{self.processor}"

    def __str__(self) -> str:
        return f"{self.day} {self.phase}/{self.processor} attempt {self.attempt}"


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A Cloud Task was created; or, for an observed task, its end is awaited.

    dispatch: counts the Cloud Tasks created for this attempt, from 1.
    not_before: the end of a backoff; the task cannot start earlier.
    """

    dispatch: int
    generation: int
    inputs: Inputs
    at: datetime
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The runner claimed the attempt, found the run not running, and called nobody."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reported:
    """The attempt's completion event. ``rows``: as the worker says; None when it writes no table."""

    status: ResultStatus
    rows: int | None
    error_class: ErrorClass | None
    message: str
    fence: int
    generation: int
    inputs: Inputs
    started_at: datetime
    finished_at: datetime
    event_id: str
    code_version: str = ""


class HealedAs(StrEnum):
    """What the sweeper found in place of a completion."""

    SUCCESS = "success"
    """The output is there; the event was lost."""
    LOST = "lost"
    """The lease ran out and the output is not there: costs an attempt."""
    VOID = "void"
    """The process that held the claim is gone: costs nothing."""


@dataclass(frozen=True, slots=True)
class Healed:
    """The sweeper ended an attempt that never reported."""

    outcome: HealedAs
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Proved:
    """The output was looked at. ``rows``: found in the table; ``detail`` says what was wrong when not ok."""

    ok: bool
    rows: int | None
    detail: str
    error_class: ErrorClass | None
    at: datetime


Fact = Dispatched | Abandoned | Reported | Healed | Proved


@dataclass(slots=True)
class AttemptFacts:
    """Everything known of one attempt."""

    number: int
    dispatched: Dispatched | None = None
    abandoned: Abandoned | None = None
    reported: Reported | None = None
    healed: Healed | None = None
    proved: Proved | None = None

    @property
    def origin(self) -> Dispatched | Reported | None:
        """Where generation and inputs stand: what ran, as its claim says, else what was dispatched."""
        return self.reported or self.dispatched

    @property
    def moments(self) -> list[datetime]:
        """When each of its facts came to be."""
        facts = (self.dispatched, self.abandoned, self.healed, self.proved)
        return [f.at for f in facts if f] + ([self.reported.finished_at] if self.reported else [])

    @property
    def is_open(self) -> bool:
        """Neither reported nor given up."""
        return self.reported is None and self.healed is None and self.abandoned is None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of one check for one date, with the numbers that decided it.

    expected, found: rows, keys or values for the date, as the check counts them. missing: the keys that it is about
    (missing, or there twice), at most 20, sorted. threshold: what was demanded. fingerprint: names the query that was
    asked. waived_by: the waiver that lets a BLOCK pass; empty: none.
    """

    outcome: str
    check: str
    subject: str
    expected: int
    found: int
    detail: str
    missing: tuple[str, ...] = ()
    threshold: str = ""
    fingerprint: str = ""
    waived_by: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


PASS, WARN, BLOCK, UNKNOWN = "PASS", "WARN", "BLOCK", "UNKNOWN"
"""Right; wrong, and the check only warns; wrong; could not be asked, and is asked again."""

ADOPTED, PROOF, UNRECOVERABLE = "adopted", "proof", "unrecoverable"
"""Verdicts of no check of the pipeline file: an output that was adopted when the run was planned is gone; one that was
found sound cannot be asked any more; there is none, as the source is gone, and a person goes on without it."""

OWN_CHECKS = (ADOPTED, PROOF, UNRECOVERABLE)
"""Names that no check of a pipeline file may have."""


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the conductor wrote about a release group of one date: released for a generation, concluded with a
    letter."""

    generation: int
    released_at: datetime
    concluded: str | None = None
    concluded_at: datetime | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """(date, phase). ``redo``: processor -> the generation from which on its attempts count."""

    generation: int = 1
    groups: Annotated[dict[str, GroupState], Field(alias="lanes")] = field(default_factory=dict)
    redo: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class DateFacts:
    """All facts of one date of a run: attempts by (phase, processor) in order of number, and cells by phase."""

    day: date
    tasks: dict[tuple[str, str], list[AttemptFacts]] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)

    def with_proofs(self, proofs: Iterable[tuple[AttemptKey, Proved]]) -> "DateFacts":
        """These facts and proofs of attempts that have none; nothing of these is changed."""
        tasks = dict(self.tasks)
        for key, proof in proofs:
            name = key.phase, key.processor
            tasks[name] = [replace(a, proved=proof) if a.number == key.attempt else a for a in tasks[name]]
        return DateFacts(self.day, tasks, dict(self.cells))

    @property
    def changed_at(self) -> datetime | None:
        """The moment of the youngest fact or cell; None when there is none."""
        moments = [at for attempts in self.tasks.values() for a in attempts for at in a.moments]
        for cell in self.cells.values():
            moments += [at for group in cell.groups.values() for at in (group.released_at, group.concluded_at) if at]
        return max(moments, default=None)

    def attempt(self, phase: str, processor: str, number: int) -> AttemptFacts:
        """The attempt's facts, made empty when there are none yet."""
        attempts = self.tasks.setdefault((phase, processor), [])
        for facts in attempts:
            if facts.number == number:
                return facts
        attempts.append(AttemptFacts(number))
        attempts.sort(key=lambda a: a.number)
        return next(a for a in attempts if a.number == number)


FACT_NAMES: Mapping[type[Fact], str] = {
    Dispatched: "dispatched",
    Abandoned: "abandoned",
    Reported: "reported",
    Healed: "healed",
    Proved: "proved",
}
"""The field of ``AttemptFacts`` that a fact stands in, and the name that it is stored under."""


def record(facts: DateFacts, key: AttemptKey, fact: Fact) -> str:
    """Add a fact. Returns ``added``, ``known`` (an equal one was there) or ``conflict`` (another one was there).

    The first value stands, with one exception: a later dispatch of the same attempt replaces an earlier number.
    """
    attempt = facts.attempt(key.phase, key.processor, key.attempt)
    name = FACT_NAMES[type(fact)]
    there = getattr(attempt, name)
    if there is None:
        setattr(attempt, name, fact)
        return "added"
    if isinstance(fact, Dispatched) and isinstance(there, Dispatched) and fact.dispatch > there.dispatch:
        attempt.dispatched = fact
        return "added"
    if isinstance(fact, Dispatched) or there == fact:
        return "known"
    if isinstance(fact, Reported) and isinstance(there, Reported) and there.event_id == fact.event_id:
        return "known"
    return "conflict"


def fact_name(fact: Fact) -> str:
    """The field that a fact is stored under."""
    return FACT_NAMES[type(fact)]
