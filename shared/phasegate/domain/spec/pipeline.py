"""The pipeline file is given as types here: phases, processors, edges, checks, limits.

``phasegate.adapters.pipeline_file`` reads the YAML; ``phasegate.domain.spec.problems`` finds what types alone cannot.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, ConfigDict, Field, JsonValue, model_validator
from pydantic.config import JsonDict

from phasegate.domain.protocol.worker import FORMER_CONSTANTS, Batches
from phasegate.domain.protocol.written_dates import WrittenDay
from phasegate.domain.spec.checks import Check, RowsCheck
from phasegate.domain.spec.cross_check import CrossCheckSpec
from phasegate.domain.spec.dispatch import Batch, Dispatch, Observed, PhaseDispatch
from phasegate.domain.spec.gates import EdgeGate
from phasegate.domain.spec.known import KnownException
from phasegate.domain.spec.report import ReportSpec
from phasegate.domain.spec.strict import Column, Dialect, Name, SqlPath, Strict, TableName, with_former_names

FactoryName = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]

DATE_COLUMN = "date_column"
"""The key of the pipeline file that names the column of a table's dates."""

FENCE_COLUMN = "_fence"
"""The column in which whatever writes through the ``Warehouse`` port leaves its fence."""

NamedColumns = Mapping[str, Sequence[str]]
"""The columns of one table that the pipeline file names, by the key that names them."""


class SourceSpec(Strict):
    """A source holds only some dates: it is a table (or view) with at least one row for each of them."""

    table: TableName = Field(description="where its dates are read")
    date_column: Column = Field(description="the table's column for the date")
    file: str = Field(
        pattern=r"^[A-Za-z0-9_-]+\.parquet$",
        examples=["prices.parquet"],
        description="what stands for the table in the source folder of embedded mode; without it no date is held",
    )
    otherwise: str = Field(
        min_length=1,
        examples=["no prices were kept for this date"],
        description="why a date that it does not hold is rightly empty, in words for people",
    )


class CalendarSpec(Strict):
    """The calendar says where the dates come from, and the numbers that each of them carries."""

    model_config = ConfigDict(json_schema_extra=with_former_names)

    table: TableName = Field(description="the schedule; in embedded mode `schedule.parquet` of the source folder")
    date_column: Column = Field(description="the schedule's column for the date")
    season_column: Column = Field(description="the schedule's column for the season")
    dialect: Dialect = Field(
        default="bigquery",
        exclude_if=lambda dialect: dialect == "bigquery",
        description="`duckdb`: its SQL is DuckDB's own, which is not translated; embedded mode alone takes it",
    )
    condition: str = Field(default="TRUE", description="SQL: which rows of the schedule count")
    left_out: str = Field(
        default="no row of the schedule counts",
        min_length=1,
        examples=["everything was postponed"],
        description="why a date whose rows all fail the condition has no work, in words for people",
    )
    numbers: dict[Name, str] = Field(
        min_length=1,
        examples=[{"orders": "COUNT(*)"}],
        description="name -> SQL aggregate over the date's rows; expectations refer to them",
    )
    entities: dict[Name, list[Column]] = Field(
        default={},
        examples=[{"shops": ["seller", "buyer"]}],
        description="name -> columns whose distinct values are the date's keys",
    )
    canary_number: Name | None = Field(
        default=None,
        validation_alias=AliasChoices("canary_number", "playoffs"),
        serialization_alias="playoffs",
        description="the one of `numbers` that is above 0 on the special dates, of which a canary takes one",
    )
    sources: dict[Name, SourceSpec] = Field(default={}, description="sources that hold only some dates")
    cross_check: CrossCheckSpec | None = Field(
        default=None,
        exclude_if=lambda check: check is None,
        description="by what else the calendar is told right or wrong: preflight and the verifier compare it",
    )
    bootstrap_days: int = Field(
        default=0,
        ge=0,
        le=60,
        description="calendar days at the start of a season on which `bootstrap` processors are rightly empty",
    )

    @property
    def tables(self) -> dict[str, NamedColumns]:
        """Map the tables that the calendar is read from to the columns that are named of them."""
        dates = {self.table: self.date_column} | {s.table: s.date_column for s in self.sources.values()}
        return {table: {DATE_COLUMN: (column,)} for table, column in dates.items()}


class TableOutput(Strict):
    """The output is rows of one date in one table."""

    kind: Literal["table"] = Field(default="table", description="the kind of output")
    table: TableName = Field(description="the table; only one processor of the file writes it")
    date_column: Column = Field(description="its column for the date")
    keys: list[Column] = Field(min_length=1, description="columns that tell the rows of one date apart")
    fence_column: Column | None = Field(
        default=None,
        description="where the worker writes its fence; lets a lost completion be recognised from the rows themselves",
    )
    bookkeeping: list[Column] = Field(
        default=[],
        exclude_if=lambda columns: not columns,
        examples=[["processed_at", "job_id"]],
        description="columns that say how a row came about and not what it holds: the content of a date is the same "
        "without them",
    )
    other_writer: str | None = Field(
        default=None,
        min_length=1,
        examples=["the live pipeline, every evening"],
        description="who else writes the table, in words for people; a task then takes a lease on its date first",
    )

    @property
    def named_columns(self) -> NamedColumns:
        """List the columns that the output names, by key."""
        fence = () if self.fence_column is None else (self.fence_column,)
        return {
            DATE_COLUMN: (self.date_column,),
            "keys": tuple(self.keys),
            "fence_column": fence,
            "bookkeeping": tuple(self.bookkeeping),
        }


class ObjectOutput(Strict):
    """The output is one object per date."""

    kind: Literal["object"] = Field(default="object", description="the kind of output")
    path: str = Field(
        pattern=r"^[A-Za-z0-9_./{}=-]*\{date\}[A-Za-z0-9_./{}=-]*$",
        description="the object's name; `{date}` in it stands for the date",
    )

    def name_on(self, day: date) -> str:
        """Return the object's name on a date."""
        return self.path.replace("{date}", day.isoformat())


class NoOutput(Strict):
    """The output is nothing that could be looked at: the worker's word is all there is."""

    kind: Literal["none"] = Field(default="none", description="the kind of output")


Output = Annotated[TableOutput | ObjectOutput | NoOutput, Field(discriminator="kind")]


def _is_none(value: object) -> bool:
    return value is None


class ProcessorFailure(Strict):
    """A processor may override these keys of its phase's ``failure``; what is not given is the phase's."""

    retries: int | None = Field(
        default=None, ge=0, le=20, exclude_if=_is_none, description="further attempts, as those of the phase"
    )
    not_yet_retries: int | None = Field(
        default=None,
        ge=0,
        le=20,
        exclude_if=_is_none,
        description="further attempts while the source has not published",
    )
    first_backoff_seconds: float | None = Field(
        default=None, gt=0, le=3600, exclude_if=_is_none, description="wait before the first further attempt"
    )
    max_backoff_seconds: float | None = Field(
        default=None, gt=0, le=86400, exclude_if=_is_none, description="the longest wait"
    )


class Processor(Strict):
    """A processor is a unit of work that runs for one date and writes one output."""

    name: Name = Field(description="unique in its phase")
    aliases: list[str] = Field(default=[], description="names under which workers or events call it")
    needs: list[str] = Field(
        default=[], description="processors of this phase, or of the phase it is released with, that must have reported"
    )
    reads: list[str] = Field(
        default=[],
        description="same-date processors of earlier phases it reads: what a retry mends, and what it is made from; "
        "where none is named it may read all that its gates wait for",
    )
    reads_same_date: bool = Field(
        default=True,
        exclude_if=bool,
        description="false: it reads no processor of an earlier phase on its own date, whatever its gates wait for",
    )
    reads_calendar: Literal["season_to_date"] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="`season_to_date`: it is made from the schedule of its whole season too, up to its own date; where "
        "the calendar of these dates is another one since, it is stale",
    )
    sql: SqlPath | None = Field(
        default=None,
        exclude_if=_is_none,
        examples=["sql/totals.sql"],
        description="file of one SELECT, below the folder of this file, whose rows become the date's partition of its "
        "table; Phasegate runs it, and no worker is called",
    )
    output: Output = Field(description="what it leaves behind")
    checks: list[Check] = Field(default=[], description="what its table must hold, beside the checks of the phase")
    may_be_empty: str | None = Field(default=None, description="why a date without rows is right")
    bootstrap: bool = Field(default=False, description="rightly empty on the bootstrap days of a season")
    available_from: WrittenDay | None = Field(default=None, description="the source begins here; empty before")
    source_dates: Name | None = Field(
        default=None, description="a source of the calendar; empty where it holds nothing"
    )
    run_when_empty: bool = Field(
        default=False,
        exclude_if=lambda is_run: not is_run,
        description="its worker is called on dates too on which nothing is expected of it",
    )
    destructive: bool | Literal["when_present"] = Field(
        default=False,
        description="deletes or overwrites what cannot be made again; refused unless named at the start. "
        "`when_present`: its objects are published once; refused where a start would replace one of another run",
    )
    queue: Name | None = Field(default=None, description="in place of the phase's queue")
    timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86400,
        exclude_if=_is_none,
        description="in place of that of the phase's dispatch; as many seconds at most as may stand there",
    )
    batch: Batch | None = Field(
        default=None, exclude_if=_is_none, description="in place of that of the phase's dispatch"
    )
    failure: ProcessorFailure | None = Field(
        default=None, exclude_if=_is_none, description="keys of the phase's `failure` that are others for this one"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_the_fence(cls, given: Any) -> Any:
        """The rows of a SELECT carry their fence in ``_fence``, whether or not the file says so."""
        output = given.get("output") if isinstance(given, dict) and given.get("sql") is not None else None
        if isinstance(output, dict) and output.get("kind") == "table" and output.get("fence_column") is None:
            return {**given, "output": {**output, "fence_column": FENCE_COLUMN}}
        return given


class FailurePolicy(Strict):
    """The policy says what happens after a failure."""

    model_config = ConfigDict(json_schema_extra=with_former_names)

    retries: int = Field(
        default=3, ge=0, le=20, description="further attempts after a transient failure or a disproved success"
    )
    not_yet_retries: int = Field(
        default=2, ge=0, le=20, description="further attempts while the source has not published"
    )
    first_backoff_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="wait before the first further attempt; it doubles with each one"
    )
    max_backoff_seconds: float = Field(default=600.0, gt=0, le=86400, description="the longest wait")
    then: Literal["continue", "block_date", "halt_run"] = Field(
        default="block_date",
        description="after the last attempt: `block_date` holds back every later phase of the date, `continue` only "
        "what names the failed processor, `halt_run` stops admission",
    )
    tolerated_dates: int | None = Field(
        default=None, ge=0, description="dates that may end badly in this phase before admission stops; null: any"
    )
    tolerated_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="the same as a share of the run's dates; of both, whichever is reached first",
    )
    circuit_breaker: int | None = Field(
        default=10,
        ge=2,
        validation_alias=AliasChoices("circuit_breaker", "brake"),
        serialization_alias="brake",
        description="so many distinct dates that failed alike stop the processor; null: nothing does, it is tried on "
        "every date, whatever the next two keys say",
    )
    circuit_breaker_any: int | None = Field(
        default=30,
        ge=2,
        exclude_if=lambda dates: dates == 30,
        description="so many distinct dates that failed in any way stop the processor; as many as `circuit_breaker` at "
        "least; null: only those that failed alike do",
    )
    circuit_breaker_blocked: int | None = Field(
        default=10,
        ge=2,
        exclude_if=lambda dates: dates == 10,
        description="so many distinct dates that one check of its own blocks stop the processor; null: none do",
    )


class PhaseLimits(Strict):
    """The limits say how much of a phase may be under way."""

    active_dates: int | None = Field(
        default=None, ge=1, description="dates of the phase that may be released and not yet settled; null: no limit"
    )


class Phase(Strict):
    """A phase is one step of the pipeline for every date."""

    name: Name = Field(description="unique in the file")
    dispatch: PhaseDispatch = Field(description="how its tasks come to be done")
    released_with: Name | None = Field(default=None, description="released together with this earlier phase")
    gates: list[EdgeGate] = Field(default=[], description="the edges into the phase: what must hold before it")
    failure: FailurePolicy = Field(default=FailurePolicy(), description="what happens after a failure")
    limits: PhaseLimits = Field(default=PhaseLimits(), description="how much of it may be under way")
    checks: list[Check] = Field(default=[], description="for each of its processors that writes a table")
    processors: list[Processor] = Field(min_length=1, description="its units of work")

    def how_of(self, processor: Processor) -> Dispatch | Observed:
        """Return how the tasks of a processor come to be done."""
        how = self.how
        if processor.sql is not None and isinstance(how, Dispatch):
            how = how.without_worker()
        own = {name: value for name in ("timeout_seconds", "batch") if (value := getattr(processor, name)) is not None}
        return how.model_copy(update=own) if own else how

    def failure_of(self, processor: Processor) -> FailurePolicy:
        """Return what happens after a failure of a processor: what the phase says, and what it says of itself."""
        own = processor.failure
        return self.failure if own is None else self.failure.model_copy(update=own.model_dump())

    def checks_of(self, processor: Processor) -> tuple[Check, ...]:
        """Return what a processor's output must hold: of a table the checks of the whole phase and its own, of an
        object its own."""
        of_phase = self.checks if isinstance(processor.output, TableOutput) else ()
        return (*of_phase, *processor.checks)

    @property
    def how(self) -> Dispatch | Observed:
        """Return how its tasks come to be done."""
        return self.dispatch if isinstance(self.dispatch, Dispatch) else self.dispatch.observed


class WorkerSpec(Strict):
    """A worker is a processing service: ``factory`` in embedded mode, ``url`` elsewhere."""

    factory: FactoryName | None = Field(
        default=None,
        description="`module:callable`, looked up in the folder of this file first; called with source folder, "
        "warehouse and object store",
    )
    url: str | None = Field(default=None, description="address of the service, where it is called over HTTP")
    version: str | None = Field(
        default=None, min_length=1, description="the code version that `url` has to answer for; default: any"
    )
    request: dict[str, JsonValue] | None = Field(
        default=None,
        exclude_if=lambda request: request is None,
        examples=[{"skip_downstream_trigger": True}],
        description="constants that each request to it carries beside the protocol's own fields; `{why}` in a text "
        "stands for the run's reason; default: skip_downstream_trigger, backfill_mode and backfill_reason",
    )

    batches: Batches = Field(
        default="none",
        exclude_if=lambda batches: batches == "none",
        description="how it takes several dates in one request: as a `list` of them, as a `range` from the first to "
        "the last, or not at all",
    )

    isolation: Literal["thread", "process"] = Field(
        default="thread",
        exclude_if=lambda isolation: isolation == "thread",
        description="where embedded mode calls the factory's worker: in a thread of its own process, or in processes "
        "beside it, each with a worker of its own, which a deadline kills",
    )

    @property
    def constants(self) -> Mapping[str, JsonValue]:
        """Return what each request carries beside the protocol's own fields."""
        return FORMER_CONSTANTS if self.request is None else self.request


class QueueSpec(Strict):
    """A queue of Cloud Tasks has a rate, a concurrency and the retry of a *delivery* (attempts of a task are ours).

    Sources of the bounds: at most 500 dispatches/s and 5,000 concurrent a queue (Cloud Tasks quotas).
    """

    max_per_second: float = Field(default=500, gt=0, le=500, description="deliveries per second")
    max_concurrent: int = Field(default=100, ge=1, le=5000, description="deliveries under way")
    min_backoff_seconds: float = Field(default=0.1, gt=0, description="wait after the first failed delivery")
    max_backoff_seconds: float = Field(default=60, gt=0, description="the longest wait; it doubles up to this")


class RampStep(Strict):
    """A step of the ramp says how many dates go at once for a while."""

    active_dates: int = Field(ge=1, description="dates of the run at once")
    until_finished: int | None = Field(
        default=None, ge=1, description="until so many dates have finished the run; null: to the end"
    )


class Profile(Strict):
    """A profile is a named way of running: which phases, and how carefully to begin."""

    phases: str = Field(description="A..B, both included")
    ramp: list[RampStep] = Field(default=[], description="steps of dates at once, in order; default: no ramp")
    canary: bool = Field(
        default=False,
        description="first, middle and last date, a bootstrap date and one on which `canary_number` is above 0 go "
        "through all phases before the rest may start",
    )
    stops_at_bad_date: bool = Field(
        default=False,
        exclude_if=lambda stops: not stops,
        description="the dates enter the run in the order of the calendar, and one that ended badly lets no later date "
        "in until somebody has freed it",
    )


class Demand(NamedTuple):
    """A demand is a number of rows that a table must have on a date."""

    is_exact: bool
    """Whether neither more nor fewer are right; False: at least so many are."""

    expression: str
    """The number: arithmetic over the calendar's numbers."""


SQL_FILES, SCHEMA_TEXTS, JSON_SCHEMAS = "sql_files", "schema_texts", "json_schemas"
"""Keys of a pipeline that was read, which a file must not have."""


def _without_texts(schema: JsonDict) -> None:
    """Take out of the JSON Schema what the file does not say: the loader adds it."""
    if isinstance(properties := schema["properties"], dict):
        properties.pop(SQL_FILES)
        properties.pop(SCHEMA_TEXTS)
        properties.pop(JSON_SCHEMAS)


class Pipeline(Strict):
    """The pipeline is the single source of truth: what runs, in which order, and what must hold in between."""

    model_config = ConfigDict(json_schema_extra=_without_texts)

    schema_version: Literal[1] = Field(description="version of this format")
    pipeline: Name = Field(description="name of the pipeline")
    description: str = Field(default="", description="for people")
    timezone: str = Field(examples=["America/New_York"], description="the zone in which dates are meant")
    calendar: CalendarSpec = Field(description="where the dates come from")
    live_window: int | None = Field(
        default=1, ge=0, le=30, description="days before today from which on dates are the live pipeline's; null: none"
    )
    history_table: TableName = Field(description="where one row per attempt is kept, written in batches")
    schema_files: list[SqlPath] = Field(
        default=[],
        exclude_if=lambda files: not files,
        examples=[["schema/shop.sql"]],
        description="scripts of CREATE TABLE IF NOT EXISTS statements, below the folder of this file, that make the "
        "tables of its statements: statements are bound against them before there are tables, and a start makes those "
        "tables of `sql` processors that are not there",
    )
    sample: FactoryName | None = Field(
        default=None,
        exclude_if=lambda sample: sample is None,
        description="`module:callable` that makes up a source folder, for `phasegate sample`; looked up as a "
        "worker's factory",
    )
    workers: dict[Name, WorkerSpec] = Field(
        default={}, description="name -> processing service; none are needed where each processor is `sql`"
    )
    queues: dict[Name, QueueSpec] = Field(min_length=1, description="name -> queue of a constrained resource")
    profiles: dict[Name, Profile] = Field(default={}, description="name -> a way of running")
    phases: list[Phase] = Field(min_length=1, description="the steps, in order")
    known: list[KnownException] = Field(
        default=[],
        exclude_if=lambda known: not known,
        description="what is known to be wrong on some dates, and may pass in every run",
    )
    report: ReportSpec = Field(
        default=ReportSpec(), description="what the verifier's report looks at beside rows and keys"
    )
    sql_files: dict[str, str] = Field(
        default={},
        exclude_if=lambda files: not files,
        description="file -> its text, of each `sql`, as it was when the pipeline was read: a plan keeps the "
        "statements that it was made with",
    )
    json_schemas: dict[str, str] = Field(
        default={},
        exclude_if=lambda files: not files,
        description="file -> its text, of each `schema` of a `json_schema` check, as it was when the pipeline was read",
    )
    schema_texts: dict[str, str] = Field(
        default={},
        exclude=True,
        description="file -> its text, of each of `schema_files`; no plan keeps them, as the tables are there by then",
    )

    def date_at(self, moment: datetime) -> date:
        """Return the date of an aware moment in the pipeline's time zone."""
        return moment.astimezone(ZoneInfo(self.timezone)).date()

    def select_of(self, processor: Processor) -> str:
        """Return the SELECT of a processor that has one. Raises KeyError for another."""
        return self.sql_files[str(processor.sql)]

    @cached_property
    def phase_names(self) -> tuple[str, ...]:
        """List the phases in order."""
        return tuple(phase.name for phase in self.phases)

    @cached_property
    def observed_topics(self) -> tuple[str, ...]:
        """List the topics of an existing system that starts phases by itself."""
        return tuple(phase.how.topic for phase in self.phases if isinstance(phase.how, Observed))

    @property
    def contents_table(self) -> str:
        """Name the table that says what each output was made from: it stands beside the history's."""
        return f"{self.history_table.partition('.')[0]}.backfill_contents"

    def tables(self, phases: Iterable[str]) -> dict[str, NamedColumns]:
        """Map the tables that a run of these phases writes to the columns that are named of them; none are named of the
        history."""
        named: dict[str, NamedColumns] = {self.history_table: {}}
        for name in phases:
            outputs = (processor.output for processor in self.phase(name).processors)
            named |= {output.table: output.named_columns for output in outputs if isinstance(output, TableOutput)}
        return named

    def paths(self, phases: Iterable[str]) -> dict[str, set[str]]:
        """Map each worker that these phases call to the paths at which they do."""
        paths: dict[str, set[str]] = {}
        for how in (self.phase(name).how for name in phases):
            if isinstance(how, Dispatch) and how.worker:
                paths.setdefault(how.worker, set()).add(how.path)
        return paths

    def phase(self, name: str) -> Phase:
        """Return the phase of that name. Raises KeyError."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

    def processor(self, ref: str) -> Processor:
        """Return the processor of ``phase/processor``. Raises KeyError."""
        phase, _, name = ref.partition("/")
        for processor in self.phase(phase).processors:
            if processor.name == name:
                return processor
        raise KeyError(ref)

    def batches_of(self, phase: Phase, processor: Processor) -> Batches:
        """Return how several dates of a processor are asked for in one request."""
        if not isinstance(phase.dispatch, Dispatch):
            return "none"
        return "list" if processor.sql is not None else self.workers[phase.dispatch.worker].batches

    def dates_at_once(self, phase: Phase, processor: Processor) -> int:
        """Return how many dates of a processor one call carries at most."""
        how = phase.how_of(processor)
        if isinstance(how, Observed) or self.batches_of(phase, processor) == "none":
            return 1
        return how.dates_in_time

    @cached_property
    def demands(self) -> Mapping[tuple[str, str], tuple[Demand, ...]]:
        """Map (phase, processor) to what the checks demand that hold back a table with another number of rows."""
        return {
            (phase.name, processor.name): tuple(
                Demand(check.exactly is not None, check.expression)
                for check in phase.checks_of(processor)
                if isinstance(check, RowsCheck) and check.severity == "block"
            )
            for phase in self.phases
            for processor in phase.processors
        }

    @cached_property
    def registry(self) -> Mapping[tuple[str, str], str]:
        """Map (phase, canonical name or alias) to the canonical name: the one place where names are known."""
        names: dict[tuple[str, str], str] = {}
        for phase in self.phases:
            for processor in phase.processors:
                for spelling in (processor.name, *processor.aliases):
                    names[phase.name, spelling] = processor.name
        return names

    def resolve(self, reference: str, phases: Iterable[str]) -> tuple[str, str]:
        """Find (phase, processor) for ``processor`` or ``phase/processor``, looked for in ``phases``.

        Raises LookupError with a sentence that says what is wrong and what was perhaps meant.
        """
        phases = list(phases)
        phase, _, name = reference.rpartition("/")
        matches = [
            (p, name)
            for p in phases
            if (not phase or p == phase) and any(x.name == name for x in self.phase(p).processors)
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise LookupError(
                f"'{reference}' is a processor of several phases; write {' or '.join('/'.join(f) for f in matches)}"
            )
        known = [x.name for p in phases for x in self.phase(p).processors]
        raise LookupError(f"unknown processor '{reference}'{did_you_mean(name, known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest ``; did you mean 'x'?`` or, when nothing is near, ``; known: a, b, c`` (at most 12)."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.7)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}" if names else ""


def select_phases(pipeline: Pipeline, span: str) -> tuple[str, ...]:
    """Return the phases of ``A..B`` (names, or numbers from 1). Raises LookupError."""
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
