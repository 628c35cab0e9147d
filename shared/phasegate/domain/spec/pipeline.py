"""The pipeline file as types: phases, processors, edges, checks, limits.

``phasegate.adapters.pipeline_file`` reads the YAML; ``phasegate.domain.spec.problems`` finds what types alone cannot.
"""

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from phasegate.domain.spec.checks import Check
from phasegate.domain.spec.dispatch import Dispatch, Observed, PhaseDispatch
from phasegate.domain.spec.gates import EdgeGate
from phasegate.domain.spec.report import ReportSpec
from phasegate.domain.spec.strict import Column, Name, Strict, TableName


class SourceSpec(Strict):
    """A source that is known to hold only some dates: a table (or view) with at least one row for each of them.

    file: what stands for it in the source folder of embedded mode; without that file it holds no date at all.
    otherwise: why a date that it does not hold is rightly empty, in words for people.
    """

    table: TableName
    date_column: Column
    file: str = Field(pattern=r"^[A-Za-z0-9_-]+\.parquet$", examples=["props.parquet"])
    otherwise: str = Field(min_length=1, examples=["no odds were kept for this date"])


class CalendarSpec(Strict):
    """Where the game dates come from, and the numbers that each date carries.

    numbers: name -> SQL aggregate over the date's rows (``games: COUNT(*)``); expectations refer to them.
    entities: name -> columns whose distinct values are the date's keys (``teams: [home_team, away_team]``).
    playoffs: the one of the numbers that is above 0 on a date with playoff games.
    left_out: why a date whose rows all fail the condition has no work, in words for people.
    """

    table: TableName
    date_column: Column
    season_column: Column
    condition: str = Field(default="TRUE", description="SQL: which rows of the schedule count")
    left_out: str = Field(default="no row of the schedule counts", min_length=1, examples=["all games were postponed"])
    numbers: dict[Name, str] = Field(min_length=1)
    entities: dict[Name, list[Column]] = Field(default={})
    playoffs: Name | None = None
    sources: dict[Name, SourceSpec] = Field(default={}, description="sources that hold only some dates")
    bootstrap_days: int = Field(default=0, ge=0, le=60, description="calendar days at the start of a season")

    @property
    def tables(self) -> dict[str, str]:
        """Tables that the calendar is read from -> the column of their dates."""
        return {self.table: self.date_column} | {s.table: s.date_column for s in self.sources.values()}


class TableOutput(Strict):
    """Rows of one date in one table; ``keys`` identify a row within the date.

    fence_column: where the worker writes its fence; lets a lost completion be recognised from the rows themselves.
    other_writer: who else writes the table, in words for people; a task then takes a lease on its date first.
    """

    kind: Literal["table"] = "table"
    table: TableName
    date_column: Column
    keys: list[Column] = Field(min_length=1)
    fence_column: Column | None = None
    other_writer: str | None = Field(default=None, min_length=1, examples=["the live pipeline, every evening"])


class ObjectOutput(Strict):
    """One object a date; ``{date}`` in the path stands for it."""

    kind: Literal["object"] = "object"
    path: str = Field(pattern=r"^[A-Za-z0-9_./{}=-]*\{date\}[A-Za-z0-9_./{}=-]*$")

    def name_on(self, day: date) -> str:
        """The object's name on a date."""
        return self.path.replace("{date}", day.isoformat())


class NoOutput(Strict):
    """Nothing that could be looked at: the worker's word is all there is."""

    kind: Literal["none"] = "none"


Output = Annotated[TableOutput | ObjectOutput | NoOutput, Field(discriminator="kind")]


class Processor(Strict):
    """A unit of work that runs for one date and writes one output."""

    name: Name
    aliases: list[str] = Field(default=[], description="names under which workers or events call it")
    needs: list[str] = Field(
        default=[], description="processors of this phase, or of the phase it is released with, that must have reported"
    )
    reads: list[str] = Field(
        default=[], description="same-date processors of earlier phases it reads: what a retry mends"
    )
    output: Output
    checks: list[Check] = Field(default=[])
    may_be_empty: str | None = Field(default=None, description="why a date without rows is right")
    bootstrap: bool = Field(default=False, description="rightly empty on the bootstrap days of a season")
    available_from: date | None = Field(default=None, description="the source begins here; empty before")
    source_dates: Name | None = Field(
        default=None, description="a source of the calendar; empty where it holds nothing"
    )
    destructive: bool = Field(
        default=False, description="deletes or overwrites what cannot be made again; refused unless named at the start"
    )
    queue: Name | None = Field(default=None, description="in place of the phase's queue")


class FailurePolicy(Strict):
    """What happens after a failure.

    retries: further attempts after a transient failure or a disproved success.
    not_yet_retries: further attempts while the source has not published.
    then: ``block_date`` holds back every later phase of the date; ``continue`` only what names the failed
    processor; ``halt_run`` stops admission.
    tolerated_dates, tolerated_percent: distinct dates, or their share of the run's, that may end badly in this phase
    before admission stops; None: any number. Both: whichever is reached first.
    circuit_breaker: so many distinct dates that failed alike stop the processor; None: it is tried on every date.
    """

    retries: int = Field(default=3, ge=0, le=20)
    not_yet_retries: int = Field(default=2, ge=0, le=20)
    first_backoff_seconds: float = Field(default=5.0, gt=0, le=3600)
    max_backoff_seconds: float = Field(default=600.0, gt=0, le=86400)
    then: Literal["continue", "block_date", "halt_run"] = "block_date"
    tolerated_dates: int | None = Field(default=None, ge=0)
    tolerated_percent: float | None = Field(default=None, ge=0, le=100)
    circuit_breaker: int | None = Field(
        default=10,
        ge=2,
        validation_alias=AliasChoices("circuit_breaker", "brake"),
        serialization_alias="brake",
    )


class PhaseLimits(Strict):
    """active_dates: dates of the phase that may be released and not yet settled; None: no limit."""

    active_dates: int | None = Field(default=None, ge=1)


class Phase(Strict):
    """One step of the pipeline for every date."""

    name: Name
    dispatch: PhaseDispatch
    released_with: Name | None = Field(default=None, description="released together with this earlier phase")
    gates: list[EdgeGate] = Field(default=[])
    failure: FailurePolicy = FailurePolicy()
    limits: PhaseLimits = PhaseLimits()
    checks: list[Check] = Field(default=[], description="for each of its processors that writes a table")
    processors: list[Processor] = Field(min_length=1)

    def checks_of(self, processor: Processor) -> tuple[Check, ...]:
        """What a processor's table must hold: the checks of the whole phase, and its own."""
        return (*self.checks, *processor.checks) if isinstance(processor.output, TableOutput) else ()

    @property
    def how(self) -> Dispatch | Observed:
        """How its tasks come to be done."""
        return self.dispatch if isinstance(self.dispatch, Dispatch) else self.dispatch.observed


class WorkerSpec(Strict):
    """A processing service: ``factory`` in embedded mode (``module:callable``), ``url`` elsewhere.

    version: the code version that ``url`` has to answer for; None: any.
    """

    factory: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    url: str | None = None
    version: str | None = Field(default=None, min_length=1)


class QueueSpec(Strict):
    """A Cloud Tasks queue: rate, concurrency and the retry of a *delivery* (attempts of a task are ours).

    Sources of the bounds: at most 500 dispatches/s and 5,000 concurrent a queue (Cloud Tasks quotas).
    """

    max_per_second: float = Field(default=500, gt=0, le=500)
    max_concurrent: int = Field(default=100, ge=1, le=5000)
    min_backoff_seconds: float = Field(default=0.1, gt=0)
    max_backoff_seconds: float = Field(default=60, gt=0)


class RampStep(Strict):
    """``active_dates`` at once until so many dates have finished the run (None: to the end)."""

    active_dates: int = Field(ge=1)
    until_finished: int | None = Field(default=None, ge=1)


class Profile(Strict):
    """A named way of running: which phases, and how carefully to begin.

    canary: first, middle and last date, a bootstrap and a playoff date go through all phases before the rest may start.
    """

    phases: str = Field(description="A..B, both included")
    ramp: list[RampStep] = Field(default=[])
    canary: bool = False


class Pipeline(Strict):
    """The single source of truth: what runs, in which order, and what must hold in between."""

    schema_version: Literal[1]
    pipeline: Name
    description: str = ""
    timezone: str
    calendar: CalendarSpec
    live_window: int | None = Field(
        default=1, ge=0, le=30, description="days before today from which on dates are the live pipeline's; null: none"
    )
    history_table: TableName = Field(description="where one row an attempt is kept, written in batches")
    workers: dict[Name, WorkerSpec] = Field(min_length=1)
    queues: dict[Name, QueueSpec] = Field(min_length=1)
    profiles: dict[Name, Profile] = Field(default={})
    phases: list[Phase] = Field(min_length=1)
    report: ReportSpec = ReportSpec()

    @cached_property
    def phase_names(self) -> tuple[str, ...]:
        """Phases in order."""
        return tuple(phase.name for phase in self.phases)

    @cached_property
    def observed_topics(self) -> tuple[str, ...]:
        """Topics of an existing system that starts phases by itself."""
        return tuple(phase.how.topic for phase in self.phases if isinstance(phase.how, Observed))

    def tables(self, phases: Iterable[str]) -> dict[str, str | None]:
        """Tables that a run of these phases writes -> the column of their dates; None for the history."""
        found: dict[str, str | None] = {self.history_table: None}
        for name in phases:
            outputs = (processor.output for processor in self.phase(name).processors)
            found |= {output.table: output.date_column for output in outputs if isinstance(output, TableOutput)}
        return found

    def phase(self, name: str) -> Phase:
        """The phase of that name. Raises KeyError."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

    def processor(self, ref: str) -> Processor:
        """The processor of ``phase/processor``. Raises KeyError."""
        phase, _, name = ref.partition("/")
        for processor in self.phase(phase).processors:
            if processor.name == name:
                return processor
        raise KeyError(ref)

    @cached_property
    def registry(self) -> Mapping[tuple[str, str], str]:
        """(phase, canonical name or alias) -> canonical name: the one place where names are known."""
        names: dict[tuple[str, str], str] = {}
        for phase in self.phases:
            for processor in phase.processors:
                for spelling in (processor.name, *processor.aliases):
                    names[phase.name, spelling] = processor.name
        return names

    def resolve(self, reference: str, phases: Iterable[str]) -> tuple[str, str]:
        """(phase, processor) for ``processor`` or ``phase/processor``, looked for in ``phases``.

        Raises LookupError with a sentence that says what is wrong and what was perhaps meant.
        """
        phases = list(phases)
        phase, _, name = reference.rpartition("/")
        found = [
            (p, name)
            for p in phases
            if (not phase or p == phase) and any(x.name == name for x in self.phase(p).processors)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise LookupError(
                f"'{reference}' is a processor of several phases; write {' or '.join('/'.join(f) for f in found)}"
            )
        known = [x.name for p in phases for x in self.phase(p).processors]
        raise LookupError(f"unknown processor '{reference}'{did_you_mean(name, known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or, when nothing is near, ``; known: a, b, c`` (at most 12)."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.7)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}" if names else ""


def select_phases(pipeline: Pipeline, span: str) -> tuple[str, ...]:
    """Phases of ``A..B`` (names, or numbers from 1). Raises LookupError."""
    first, dots, last = span.partition("..")
    ends = [_phase_index(pipeline, word) for word in ((first, last) if dots else (first, first))]
    if ends[0] > ends[1]:
        raise LookupError(f"phases '{span}': {first} comes after {last}")
    return pipeline.phase_names[ends[0] : ends[1] + 1]


def _phase_index(pipeline: Pipeline, word: str) -> int:
    if word.isdigit() and 1 <= int(word) <= len(pipeline.phases):
        return int(word) - 1
    if word in pipeline.phase_names:
        return pipeline.phase_names.index(word)
    raise LookupError(f"unknown phase '{word}'{did_you_mean(word, pipeline.phase_names)}")
