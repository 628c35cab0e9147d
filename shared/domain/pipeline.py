"""The pipeline file as types: phases, processors, edges, checks, limits.

``shared.adapters.pipeline_file`` reads the YAML; ``problems`` below finds what types alone cannot:
unknown names, cycles, edges that point forward, a lookback on itself.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.arithmetic import ArithmeticProblem, names_in

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
TableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", description="dataset.table")]
Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Strict(BaseModel):
    """Unknown keys are errors, values never change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CalendarSpec(Strict):
    """Where the game dates come from, and the numbers that each date carries.

    numbers: name -> SQL aggregate over the date's rows (``games: COUNT(*)``); expectations refer to them.
    entities: name -> columns whose distinct values are the date's keys (``teams: [home_team, away_team]``).
    """

    table: TableName
    date_column: Column
    season_column: Column
    condition: str = Field(default="TRUE", description="SQL: which rows of the schedule count")
    numbers: dict[Name, str] = Field(min_length=1)
    entities: dict[Name, list[Column]] = {}
    bootstrap_days: int = Field(default=0, ge=0, le=60, description="calendar days at the start of a season")


class TableOutput(Strict):
    """Rows of one date in one table; ``keys`` identify a row within the date.

    fence_column: where the worker writes its fence; lets a lost completion be recognised from the rows themselves.
    """

    kind: Literal["table"] = "table"
    table: TableName
    date_column: Column
    keys: list[Column] = Field(min_length=1)
    fence_column: Column | None = None


class ObjectOutput(Strict):
    """One object a date; ``{date}`` in the path stands for it."""

    kind: Literal["object"] = "object"
    path: str = Field(pattern=r"^[A-Za-z0-9_./{}=-]*\{date\}[A-Za-z0-9_./{}=-]*$")


class NoOutput(Strict):
    """Nothing that could be looked at: the worker's word is all there is."""

    kind: Literal["none"] = "none"


Output = Annotated[TableOutput | ObjectOutput | NoOutput, Field(discriminator="kind")]


class RowsCheck(Strict):
    """Does the table hold the rows that this date should have? Arithmetic over the calendar's numbers."""

    check: Literal["rows"] = "rows"
    exactly: str | None = Field(default=None, examples=["2 * games"])
    at_least: str | None = Field(default=None, examples=["16 * games"])

    @property
    def expression(self) -> str:
        """The demanded number, whichever way it was given."""
        return self.exactly if self.exactly is not None else self.at_least or ""


class EntitiesCheck(Strict):
    """Are the expected keys present: an entity list of the calendar, or the keys of another processor's table?"""

    check: Literal["entities"] = "entities"
    key: Column
    calendar: Name | None = None
    processor: str | None = None
    at_least: float = Field(default=1.0, gt=0, le=1, description="share of the expected keys")


Check = Annotated[RowsCheck | EntitiesCheck, Field(discriminator="check")]


class Gate(Strict):
    """A check on an edge into a phase. ``for`` narrows it to some processors of the phase: they form a lane."""

    only_for: list[Name] | None = Field(default=None, alias="for", min_length=1)


class AllSucceeded(Gate):
    """Has every named processor (default: all) of an earlier phase succeeded for this date?"""

    check: Literal["all_succeeded"] = "all_succeeded"
    phase: Name
    processors: list[Name] | None = Field(default=None, min_length=1)


class Lookback(Gate):
    """Are the named processors proved and sound on the dates before this one, inside the season?

    dates: so many game dates; days: so many calendar days. Fewer at the season's start.
    """

    check: Literal["lookback"] = "lookback"
    processors: list[str] = Field(min_length=1)
    dates: int | None = Field(default=None, ge=1, le=400)
    days: int | None = Field(default=None, ge=1, le=400)


class Barrier(Gate):
    """Have all dates of the run, or of the season, passed an earlier phase?"""

    check: Literal["barrier"] = "barrier"
    phase: Name
    scope: Literal["run", "season"] = "run"


EdgeGate = Annotated[AllSucceeded | Lookback | Barrier, Field(discriminator="check")]


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
    checks: list[Check] = []
    may_be_empty: str | None = Field(default=None, description="why a date without rows is right")
    bootstrap: bool = Field(default=False, description="rightly empty on the bootstrap days of a season")
    available_from: date | None = Field(default=None, description="the source begins here; empty before")
    queue: Name | None = Field(default=None, description="in place of the phase's queue")


class Dispatch(Strict):
    """How a task of the phase reaches its worker."""

    worker: Name
    path: str = Field(pattern=r"^/[A-Za-z0-9/_-]*$")
    date_field: Name = "date"
    processor_field: Name = "processor"
    results: str = Field(default="results", description="dotted path to the per-processor results in the answer")
    timeout_seconds: int = Field(default=540, ge=1, le=1800, description="Cloud Tasks allows up to 30 minutes")
    queue: Name


class FailurePolicy(Strict):
    """What happens after a failure.

    retries: further attempts after a transient failure or a disproved success.
    not_yet_retries: further attempts while the source has not published.
    then: ``block_date`` holds back every later phase of the date; ``continue`` only what names the failed
    processor; ``halt_run`` stops admission.
    tolerated_dates: distinct dates that may end badly in this phase before admission stops; None: any number.
    """

    retries: int = Field(default=3, ge=0, le=20)
    not_yet_retries: int = Field(default=2, ge=0, le=20)
    first_backoff_seconds: float = Field(default=5.0, gt=0, le=3600)
    max_backoff_seconds: float = Field(default=600.0, gt=0, le=86400)
    then: Literal["continue", "block_date", "halt_run"] = "block_date"
    tolerated_dates: int | None = Field(default=None, ge=0)


class PhaseLimits(Strict):
    """active_dates: dates of the phase that may be released and not yet settled; None: no limit."""

    active_dates: int | None = Field(default=None, ge=1)


class Phase(Strict):
    """One step of the pipeline for every date."""

    name: Name
    dispatch: Dispatch
    released_with: Name | None = Field(default=None, description="released together with this earlier phase")
    gates: list[EdgeGate] = []
    failure: FailurePolicy = FailurePolicy()
    limits: PhaseLimits = PhaseLimits()
    processors: list[Processor] = Field(min_length=1)


class WorkerSpec(Strict):
    """A processing service: ``factory`` in embedded mode (``module:callable``), ``url`` elsewhere."""

    factory: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    url: str | None = None


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
    """A named way of running: which phases, and how carefully to begin."""

    phases: str = Field(description="A..B, both included")
    ramp: list[RampStep] = []


class Pipeline(Strict):
    """The single source of truth: what runs, in which order, and what must hold in between."""

    schema_version: Literal[1]
    pipeline: Name
    description: str = ""
    timezone: str
    calendar: CalendarSpec
    history_table: TableName = Field(description="where one row an attempt is kept, written in batches")
    workers: dict[Name, WorkerSpec] = Field(min_length=1)
    queues: dict[Name, QueueSpec] = Field(min_length=1)
    profiles: dict[Name, Profile] = {}
    phases: list[Phase] = Field(min_length=1)

    @cached_property
    def phase_names(self) -> tuple[str, ...]:
        """Phases in order."""
        return tuple(phase.name for phase in self.phases)

    def phase(self, name: str) -> Phase:
        """The phase of that name. Raises KeyError."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

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


def problems(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """(path, sentence) for everything that is wrong with a pipeline whose types are right."""
    yield from _duplicates("phases", pipeline.phase_names)
    seen_tables: dict[str, str] = {}
    for p, phase in enumerate(pipeline.phases):
        at = f"phases[{p}]"
        earlier = pipeline.phase_names[:p]
        yield from _phase_edges(pipeline, phase, at, earlier)
        spellings = [s for x in phase.processors for s in (x.name, *x.aliases)]
        yield from _duplicates(f"{at}.processors", spellings)
        for i, processor in enumerate(phase.processors):
            where = f"{at}.processors[{i}]"
            yield from _processor(pipeline, phase, processor, where, earlier)
            if isinstance(processor.output, TableOutput):
                other = seen_tables.setdefault(processor.output.table, f"{phase.name}/{processor.name}")
                if other != f"{phase.name}/{processor.name}":
                    yield f"{where}.output.table", f"{processor.output.table} is already written by {other}"
        if cycle := _cycle(phase):
            yield f"{at}.processors", f"needs form a cycle: {' -> '.join(cycle)}"
    for name, profile in pipeline.profiles.items():
        try:
            select_phases(pipeline, profile.phases)
        except LookupError as error:
            yield f"profiles.{name}.phases", str(error)


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


def _duplicates(at: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield at, f"the name '{name}' is used twice"
        seen.add(name)


def _phase_edges(pipeline: Pipeline, phase: Phase, at: str, earlier: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if phase.dispatch.worker not in pipeline.workers:
        yield (
            f"{at}.dispatch.worker",
            f"unknown worker '{phase.dispatch.worker}'{did_you_mean(phase.dispatch.worker, pipeline.workers)}",
        )
    for where, queue in [(f"{at}.dispatch.queue", phase.dispatch.queue)] + [
        (f"{at}.processors[{i}].queue", x.queue) for i, x in enumerate(phase.processors) if x.queue
    ]:
        if queue not in pipeline.queues:
            yield where, f"unknown queue '{queue}'{did_you_mean(queue, pipeline.queues)}"
    if phase.released_with:
        yield from _earlier_phase(pipeline, f"{at}.released_with", phase.released_with, earlier)
        if phase.gates:
            yield f"{at}.gates", "a phase that is released with another takes that one's gates; remove these"
    elif earlier and not phase.gates:
        yield f"{at}.gates", "no edge leads here; add a gate (for example all_succeeded) or released_with"
    names = [x.name for x in phase.processors]
    for g, gate in enumerate(phase.gates):
        where = f"{at}.gates[{g}]"
        for name in gate.only_for or []:
            if name not in names:
                yield f"{where}.for", f"unknown processor '{name}' of this phase{did_you_mean(name, names)}"
        if isinstance(gate, Lookback):
            yield from _lookback(pipeline, phase, gate, where, earlier)
        else:
            yield from _earlier_phase(pipeline, f"{where}.phase", gate.phase, earlier)
            if isinstance(gate, AllSucceeded) and gate.phase in earlier:
                known = [x.name for x in pipeline.phase(gate.phase).processors]
                for name in gate.processors or []:
                    if name not in known:
                        yield f"{where}.processors", f"unknown processor '{name}'{did_you_mean(name, known)}"


def _earlier_phase(pipeline: Pipeline, at: str, name: str, earlier: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if name not in pipeline.phase_names:
        yield at, f"unknown phase '{name}'{did_you_mean(name, pipeline.phase_names)}"
    elif name not in earlier:
        yield at, f"'{name}' is not an earlier phase; an edge points backwards only"


def _lookback(
    pipeline: Pipeline, phase: Phase, gate: Lookback, at: str, earlier: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    if (gate.dates is None) == (gate.days is None):
        yield at, "give either dates (game dates) or days (calendar days)"
    looking = set(gate.only_for or [x.name for x in phase.processors])
    for name in gate.processors:
        try:
            found = pipeline.resolve(name, (*earlier, phase.name))
        except LookupError as error:
            later = [p for p in pipeline.phase_names if p not in earlier and p != phase.name]
            if any(x.name == name.rpartition("/")[2] for p in later for x in pipeline.phase(p).processors):
                yield f"{at}.processors", f"'{name}' is of a later phase; a lookback reads earlier ones"
            else:
                yield f"{at}.processors", str(error)
            continue
        if found[0] == phase.name and found[1] in looking:
            yield f"{at}.processors", f"'{name}' would look back on itself; narrow the gate with `for`"
        elif not isinstance(
            next(x for x in pipeline.phase(found[0]).processors if x.name == found[1]).output, TableOutput
        ):
            yield f"{at}.processors", f"'{name}' writes no table; a lookback judges tables"


def _processor(
    pipeline: Pipeline, phase: Phase, processor: Processor, at: str, earlier: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    companions = [phase.name] + ([phase.released_with] if phase.released_with in earlier else [])
    for need in processor.needs:
        try:
            found = pipeline.resolve(need, companions)
        except LookupError as error:
            yield f"{at}.needs", f"{error} (needs name processors of this phase or of the one it is released with)"
        else:
            if found == (phase.name, processor.name):
                yield f"{at}.needs", f"'{need}' needs itself"
    for name in processor.reads:
        try:
            pipeline.resolve(name, earlier)
        except LookupError as error:
            yield f"{at}.reads", str(error)
    for c, check in enumerate(processor.checks):
        yield from _check(pipeline, processor, check, f"{at}.checks[{c}]", (*earlier, phase.name))


def _check(
    pipeline: Pipeline, processor: Processor, check: Check, at: str, phases: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    if not isinstance(processor.output, TableOutput):
        yield at, f"'{check.check}' reads a table, and this processor writes none"
    elif isinstance(check, RowsCheck):
        if (check.exactly is None) == (check.at_least is None):
            yield at, "give either `exactly` or `at_least`"
            return
        try:
            unknown = names_in(check.expression) - set(pipeline.calendar.numbers)
        except ArithmeticProblem as error:
            yield at, str(error)
        else:
            for name in sorted(unknown):
                yield at, f"unknown number '{name}'{did_you_mean(name, pipeline.calendar.numbers)}"
    elif (check.calendar is None) == (check.processor is None):
        yield at, "give either `calendar` (an entity list) or `processor` (whose keys are expected)"
    elif check.calendar is not None:
        if check.calendar not in pipeline.calendar.entities:
            known = pipeline.calendar.entities
            yield f"{at}.calendar", f"unknown entity list '{check.calendar}'{did_you_mean(check.calendar, known)}"
    else:
        try:
            found = pipeline.resolve(str(check.processor), phases)
        except LookupError as error:
            yield f"{at}.processor", str(error)
        else:
            other = next(x for x in pipeline.phase(found[0]).processors if x.name == found[1])
            if not isinstance(other.output, TableOutput):
                yield f"{at}.processor", f"'{check.processor}' writes no table"


def _cycle(phase: Phase) -> list[str] | None:
    inside = {
        x.name: [n.rpartition("/")[2] for n in x.needs if n.rpartition("/")[0] in ("", phase.name)]
        for x in phase.processors
    }
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in inside:
            return None
        for need in inside[name]:
            if need != name and (found := walk(need, [*path, name])):
                return found
        done.add(name)
        return None

    return next((found for name in inside if (found := walk(name, []))), None)
