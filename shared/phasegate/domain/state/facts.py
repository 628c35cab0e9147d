"""Facts say what happened on one date of a run. Facts only grow; everything else is derived from them.

Each field has one kind of writer: ``dispatched`` whoever reconciles, ``abandoned`` the runner, or the process
that stops with calls not made, ``reported`` the listeners, ``healed`` the sweeper, ``proved`` and the cells the
conductor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field

from phasegate.domain.protocol.worker import ErrorClass, ResultStatus

Inputs = tuple[tuple[str, int], ...]
"""The attempts of its needs that an attempt was made from: ((ref, attempt), …). Other inputs: it is stale."""


class AttemptKey(NamedTuple):
    """A key identifies an attempt inside a run."""

    day: date
    """The date."""
    phase: str
    """The phase."""
    processor: str
    """The processor's canonical name."""
    attempt: int
    """Counts the attempts of the task, from 1."""

    @property
    def ref(self) -> str:
        """Return ``phase/processor``."""
        return f"{self.phase}/{self.processor}"

    def __str__(self) -> str:
        return f"{self.day} {self.phase}/{self.processor} attempt {self.attempt}"


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A Cloud Task was created; or, for an observed task, its end is awaited."""

    dispatch: int
    """Counts the Cloud Tasks created for this attempt, from 1."""
    generation: int
    """The generation of the cell that it was dispatched for."""
    inputs: Inputs
    """The attempts of its needs that it is made from."""
    at: datetime
    """When it was created, UTC."""
    not_before: datetime | None = None
    """The end of a backoff, UTC: the task cannot start earlier; None: at once."""
    batch: Annotated[int, Field(exclude_if=lambda dates: dates == 1)] = 1
    """How many dates the Cloud Task carries."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The runner claimed the attempt, and gave it up: it found the run not running and called nobody, or the call of a
    batch failed as a whole. It costs no retry."""

    reason: str
    """Why it was given up, as a sentence."""
    at: datetime
    """When it was given up, UTC."""
    failed_together: Annotated[bool, Field(exclude_if=lambda failed: not failed)] = False
    """Whether a worker was called for it and others together, and the call failed as a whole."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The attempt's completion event came, and says how it ended."""

    status: ResultStatus
    """How it ended, as the worker says."""
    rows: int | None
    """Rows written, as the worker says; None when it writes no table."""
    error_class: ErrorClass | None
    """Of a failure: whether to try again; None otherwise."""
    message: str
    """What the worker says about it."""
    fence: int
    """The fence of the claim that it ran under."""
    generation: int
    """The generation of the cell that it was claimed for."""
    inputs: Inputs
    """The attempts of its needs that it was made from."""
    started_at: datetime
    """When the worker was called, UTC."""
    finished_at: datetime
    """When it ended, UTC."""
    event_id: str
    """The event's id: the same event again is no contradiction. Empty: of a throttle, whose claim says as much."""
    code_version: str = ""
    """The version of the worker's program, as it says; empty: it does not."""
    http_status: int | None = None
    """The status with which the worker was refused to the runner; None: it was not."""
    made_with: str = ""
    """What the worker says that it made the rows with; empty: it does not say, or it failed."""

    def is_told_by(self, other: "Reported") -> bool:
        """Tell whether another report is about the same event: of a throttle only its claim may be known."""
        if self.event_id and other.event_id:
            return self.event_id == other.event_id
        return (self.fence, self.error_class) == (other.fence, other.error_class)


class HealedAs(StrEnum):
    """In place of a completion the sweeper found this."""

    SUCCESS = "success"
    """The output is there; the event was lost."""
    LOST = "lost"
    """The lease ran out and the output is not there: costs an attempt."""
    VOID = "void"
    """The process that held the claim is gone, or the lease of a batch ran out: costs nothing. Of a batch it counts as
    a call that failed as a whole, also where the process was killed: a date may be what killed it."""


@dataclass(frozen=True, slots=True)
class Healed:
    """The sweeper ended an attempt that never reported."""

    outcome: HealedAs
    """What was found in place of the completion."""
    reason: str
    """Why it was ended, as a sentence."""
    at: datetime
    """When it was ended, UTC."""


@dataclass(frozen=True, slots=True)
class Proved:
    """The output was compared with what was reported."""

    ok: bool
    """It is what the completion said, and what the date should hold."""
    rows: int | None
    """Rows found in the table; None when there is no table."""
    detail: str
    """What was wrong when not ok; else empty."""
    error_class: ErrorClass | None
    """Whether to try again when not ok; else None."""
    at: datetime
    """When it was compared, UTC."""


Fact = Dispatched | Abandoned | Reported | Healed | Proved


@dataclass(slots=True)
class AttemptFacts:
    """These facts are everything known of one attempt."""

    number: int
    """Counts the attempts of the task, from 1."""
    dispatched: Dispatched | None = None
    """Its youngest dispatch."""
    abandoned: Abandoned | None = None
    """That it was given up before it ran."""
    reported: Reported | None = None
    """Its completion."""
    healed: Healed | None = None
    """That the sweeper ended it."""
    proved: Proved | None = None
    """Whether its output bears out the report."""

    def with_proof(self, proof: Proved) -> "AttemptFacts":
        """Return these facts with a proof; they stay unchanged themselves."""
        return AttemptFacts(self.number, self.dispatched, self.abandoned, self.reported, self.healed, proof)

    @property
    def origin(self) -> Dispatched | Reported | None:
        """Return where generation and inputs stand: what ran, as its claim says, else what was dispatched."""
        return self.reported or self.dispatched

    @property
    def moments(self) -> list[datetime]:
        """List when each of its facts came to be."""
        facts = (self.dispatched, self.abandoned, self.healed, self.proved)
        return [f.at for f in facts if f] + ([self.reported.finished_at] if self.reported else [])

    @property
    def failed_in_batch_of(self) -> int:
        """Return with how many dates its call was to be made that failed as a whole; 0: it had an end of its own, or
        nobody was called.

        What is void counts as failed: the call was under way, and whether one of its dates killed the process nobody
        knows. So after a ``kill -9`` its dates are tried again in halves.
        """
        is_void = self.healed is not None and self.healed.outcome is HealedAs.VOID
        failed = is_void or (self.abandoned is not None and self.abandoned.failed_together)
        return self.dispatched.batch if failed and self.dispatched is not None else 0

    @property
    def is_open(self) -> bool:
        """Tell whether it was neither reported nor given up."""
        return self.reported is None and self.healed is None and self.abandoned is None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict is the outcome of one check for one date, with the numbers that decided it."""

    outcome: str
    """PASS, WARN, BLOCK or UNKNOWN."""
    check: str
    """The check's name."""
    subject: str
    """The processor whose output was checked."""
    expected: int
    """Rows, keys or values that the date should have, as the check counts them."""
    found: int
    """The same, as they were found."""
    detail: str
    """The numbers as a sentence."""
    missing: tuple[str, ...] = ()
    """The keys that it is about (missing, or there twice), at most 20, sorted."""
    threshold: str = ""
    """What was demanded."""
    fingerprint: str = ""
    """Names the query that was asked."""
    waived_by: str = ""
    """The waiver that lets a BLOCK, or an UNKNOWN that stands, pass; empty: none."""
    is_asked_again: Annotated[bool, Field(exclude_if=lambda again: not again)] = False
    """Whether an UNKNOWN is none for good: the warehouse could not be asked just now. Such a one concludes nothing, and
    is never stored."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


PASS, WARN, BLOCK, UNKNOWN = "PASS", "WARN", "BLOCK", "UNKNOWN"
"""Right; wrong, and the check only warns; wrong; cannot be told: the warehouse could not be asked, and is asked again
(``is_asked_again``), or a value of the date makes the check's query fail, which holds it back as BLOCK does."""


def _is_empty(names: tuple[str, ...]) -> bool:
    return not names


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of a release group on one date is what the conductor wrote about it."""

    generation: int
    """The generation of the cell that it was released for."""
    released_at: datetime
    """When it was released, UTC."""
    concluded: str | None = None
    """The ``BoardLetter`` that it came to; None: it is not judged yet."""
    concluded_at: datetime | None = None
    """When it was judged, UTC; None: not yet."""
    verdicts: tuple[Verdict, ...] = ()
    """What its checks said when it was judged."""
    same: Annotated[tuple[str, ...], Field(exclude_if=_is_empty)] = ()
    """Its processors that were left alone when it was released: their inputs hold what their tables were made from."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell is what the conductor wrote about one date of one phase."""

    generation: int = 1
    """Raised by a retry, for what must be made again."""
    groups: Annotated[dict[str, GroupState], Field(alias="lanes")] = field(default_factory=dict)
    """Its release groups that were released, by name."""
    redo: dict[str, int] = field(default_factory=dict)
    """By processor: the generation from which on its attempts count."""
    plan: Annotated[str, Field(exclude_if=lambda plan: not plan)] = ""
    """Names the generation of the plan by which the conductor wrote it; empty: the first."""


@dataclass(slots=True)
class DateFacts:
    """These facts are all that is known of one date of a run."""

    day: date
    """The date."""
    tasks: dict[tuple[str, str], list[AttemptFacts]] = field(default_factory=dict)
    """By (phase, processor): the attempts, in order of number."""
    cells: dict[str, Cell] = field(default_factory=dict)
    """By phase: what the conductor wrote."""

    def with_proofs(self, proofs: Iterable[tuple[AttemptKey, Proved]]) -> "DateFacts":
        """Add proofs to attempts that have none; the facts themselves stay unchanged, the result is new."""
        tasks = dict(self.tasks)
        for key, proof in proofs:
            name = key.phase, key.processor
            tasks[name] = [a.with_proof(proof) if a.number == key.attempt else a for a in tasks[name]]
        return DateFacts(self.day, tasks, dict(self.cells))

    @property
    def plan(self) -> str:
        """Name the generation of the plan that decides about the date: that of its youngest cell; empty: the first.

        What a later generation changes is written into cells of the date when it is entered; a date without such a
        cell is the same in both.
        """
        return max((cell.plan for cell in self.cells.values()), default="")

    @property
    def changed_at(self) -> datetime | None:
        """Return the moment of the youngest fact or cell; None when there is none."""
        moments = [at for attempts in self.tasks.values() for a in attempts for at in a.moments]
        for cell in self.cells.values():
            moments += [at for group in cell.groups.values() for at in (group.released_at, group.concluded_at) if at]
        return max(moments, default=None)

    def attempt(self, phase: str, processor: str, number: int) -> AttemptFacts:
        """Return the attempt's facts; empty ones, which belong to nothing, when there are none yet.

        Reading changes nothing: several threads may share these facts. ``record`` adds to them.
        """
        for facts in self.tasks.get((phase, processor), ()):
            if facts.number == number:
                return facts
        return AttemptFacts(number)


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
    _, phase, processor, number = key
    attempts = facts.tasks.setdefault((phase, processor), [])
    for attempt in attempts:
        if attempt.number == number:
            break
    else:
        attempt = AttemptFacts(number)
        attempts.append(attempt)
        if len(attempts) > 1:
            attempts.sort(key=lambda each: each.number)
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
    if isinstance(fact, Reported) and isinstance(there, Reported) and there.is_told_by(fact):
        return "known"
    return "conflict"


def fact_name(fact: Fact) -> str:
    """Return the field that a fact is stored under."""
    return FACT_NAMES[type(fact)]
