"""A pipeline file may be wrong where types alone cannot tell: unknown names, cycles, edges that point forward or lead
nowhere."""

from collections.abc import Iterable, Iterator
from datetime import date
from zoneinfo import ZoneInfo

from phasegate.domain.protocol.names import (
    COMPLETIONS,
    CONDUCTOR_QUEUE,
    DISPATCH_QUEUE,
    KICKOFF,
    SWEEP_QUEUE,
    VERIFY_QUEUE,
)
from phasegate.domain.protocol.object_names import output_name_problem
from phasegate.domain.protocol.worker import BATCH_FIELDS, OWN_FIELDS
from phasegate.domain.spec.check_problems import check_problems, known_problems
from phasegate.domain.spec.dispatch import LONGEST_ANSWER_SECONDS, Dispatch, ObservedDispatch
from phasegate.domain.spec.gates import AllSucceeded, ApprovalGate, Lookback
from phasegate.domain.spec.ordering import gates_of, phases_before
from phasegate.domain.spec.pipeline import (
    FENCE_COLUMN,
    FailurePolicy,
    ObjectOutput,
    Phase,
    Pipeline,
    Processor,
    TableOutput,
    WorkerSpec,
    did_you_mean,
    select_phases,
)

RESERVED_QUEUES = (CONDUCTOR_QUEUE, DISPATCH_QUEUE, SWEEP_QUEUE, VERIFY_QUEUE)
"""Queues that Phasegate uses for itself."""

RESERVED_TOPICS = (COMPLETIONS, KICKOFF)
"""Topics that Phasegate uses for itself."""


RESERVED_TABLES = ("phasegate.identity",)
"""Tables that Phasegate keeps for itself, in the warehouse of a home."""

_SOME_DAY = date(2024, 1, 1)
"""The names of one date stand for those of all: dates differ, and are as long as each other."""

LONGEST_BACKOFF_SECONDS = 86_400
"""Between two deliveries of a task. Not a bound of the type: a stored plan with a longer one is still read."""


def problems(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Find (path, sentence) for everything that is wrong with a pipeline whose types are right."""
    yield from _duplicates("phases", pipeline.phase_names)
    try:
        ZoneInfo(pipeline.timezone)
    except (ValueError, OSError, LookupError):
        yield "timezone", f"unknown time zone '{pipeline.timezone}'; write one like America/New_York"
    numbers = pipeline.calendar.numbers
    if (number := pipeline.calendar.canary_number) is not None and number not in numbers:
        yield "calendar.canary_number", f"unknown number '{number}'{did_you_mean(number, numbers)}"
    for name, worker in pipeline.workers.items():
        yield from _constants(pipeline, name, worker)
        if worker.isolation == "process" and worker.factory is None:
            yield (
                f"workers.{name}.isolation",
                "this says how a factory's worker is called; give `factory`, or leave it out",
            )
    calendars = {pipeline.calendar.table: "calendar.table"}
    for name, source in pipeline.calendar.sources.items():
        if (other := calendars.setdefault(source.table, f"calendar.sources.{name}")) != f"calendar.sources.{name}":
            yield f"calendar.sources.{name}.table", f"{source.table} stands already in {other}"
    yield from _cross_check(pipeline)
    for name in RESERVED_QUEUES:
        if name in pipeline.queues:
            yield f"queues.{name}", "this name is reserved for Phasegate's own queue; choose another"
    for name, queue in pipeline.queues.items():
        for key in ("min_backoff_seconds", "max_backoff_seconds"):
            if (wait := getattr(queue, key)) > LONGEST_BACKOFF_SECONDS:
                yield f"queues.{name}.{key}", f"{wait:g} is more than a day ({LONGEST_BACKOFF_SECONDS:,}); wait less"
    yield from _objects(pipeline)
    seen_tables = {pipeline.history_table: "Phasegate: it is the history table"} | dict.fromkeys(
        RESERVED_TABLES, "Phasegate itself"
    )
    seen_tables[pipeline.contents_table] = "Phasegate: it is the table of what outputs were made from"
    if pipeline.report.table is not None:
        seen_tables[pipeline.report.table] = "Phasegate: it is the table of reports"
    seen_topics: dict[str, str] = {}
    for p, phase in enumerate(pipeline.phases):
        at = f"phases[{p}]"
        earlier = pipeline.phase_names[:p]
        if isinstance(phase.dispatch, Dispatch):
            yield from _dispatch(pipeline, phase, phase.dispatch, at)
        else:
            yield from _observed(phase, phase.dispatch, at, earlier, seen_topics)
        yield from _phase_edges(pipeline, phase, at, earlier)
        yield from check_problems(pipeline, phase, at, (*earlier, phase.name))
        spellings = [s for x in phase.processors for s in (x.name, *x.aliases)]
        yield from _duplicates(f"{at}.processors", spellings)
        for i, processor in enumerate(phase.processors):
            where = f"{at}.processors[{i}]"
            yield from _processor(pipeline, phase, processor, where, earlier)
            if isinstance(processor.output, TableOutput):
                other = seen_tables.setdefault(processor.output.table, f"{phase.name}/{processor.name}")
                if other != f"{phase.name}/{processor.name}":
                    yield f"{where}.output.table", f"{processor.output.table} is already written by {other}"
        yield from _circuit_breakers(phase.failure, f"{at}.failure")
        if cycle := _cycle(phase):
            yield f"{at}.processors", f"needs form a cycle: {' -> '.join(cycle)}"
    yield from known_problems(pipeline)
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            if processor.destructive == "when_present" and not isinstance(processor.output, ObjectOutput):
                at = f"phases[{p}].processors[{i}].destructive"
                yield at, "'when_present' is about objects, and this processor writes none; write true or false"
    names = [measure.name for measure in pipeline.report.measures]
    for n, name in enumerate(names):
        if name in names[:n]:
            yield f"report.measures[{n}].name", f"there is another measure '{name}'; give each a name of its own"
    for where, reference in pipeline.report.processors:
        yield from _reported(pipeline, f"report.{where}", reference)
    for name, profile in pipeline.profiles.items():
        try:
            select_phases(pipeline, profile.phases)
        except LookupError as error:
            yield f"profiles.{name}.phases", str(error)
        if profile.canary and profile.stops_at_bad_date:
            yield (
                f"profiles.{name}.stops_at_bad_date",
                "its dates go in the order of the calendar, and those of a `canary` before all others; leave one out",
            )


def _cross_check(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Each table is compared once, under a key as long as the calendar's, and is not the schedule itself."""
    check = pipeline.calendar.cross_check
    if check is None:
        return
    files = {source.table: source.file for source in pipeline.calendar.sources.values()}
    seen: set[str] = set()
    for n, table in enumerate(check.tables):
        at = f"calendar.cross_check.tables[{n}]"
        if table.table == pipeline.calendar.table:
            yield f"{at}.table", f"{table.table} is the schedule; name what it is to be compared with"
        if table.table in seen:
            yield f"{at}.table", f"{table.table} stands there twice"
        seen.add(table.table)
        if table.file is not None and files.setdefault(table.table, table.file) != table.file:
            yield f"{at}.file", f"calendar.sources has {files[table.table]} for {table.table}; one file stands for it"
        if table.key is not None and len(table.key) != len(check.key):
            yield f"{at}.key", f"{len(table.key)} columns, and calendar.cross_check.key has {len(check.key)}"


def _circuit_breakers(failure: FailurePolicy, at: str) -> Iterator[tuple[str, str]]:
    """A limit that was given below the one for failures that are alike would make that one idle."""
    alike, of_any_kind = failure.circuit_breaker, failure.circuit_breaker_any
    if "circuit_breaker_any" in failure.model_fields_set and alike and of_any_kind and of_any_kind < alike:
        yield (
            f"{at}.circuit_breaker_any",
            f"{of_any_kind} is below circuit_breaker ({alike}), which counts fewer failures; raise it, or lower that",
        )


def _objects(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Each object has one writer, lies below the store's root, and is none of Phasegate's own."""
    writers: dict[str, str] = {}
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            if not isinstance(processor.output, ObjectOutput):
                continue
            at, ref = f"phases[{p}].processors[{i}].output.path", f"{phase.name}/{processor.name}"
            name = processor.output.name_on(_SOME_DAY)
            if problem := output_name_problem(name):
                yield at, problem
            for other, writer in writers.items():
                if other == name:
                    yield at, f"{processor.output.path} is already written by {writer}"
                elif name.startswith(f"{other}/") or other.startswith(f"{name}/"):
                    yield at, f"{processor.output.path} and the object of {writer} cannot both be: one is a folder"
            writers.setdefault(name, ref)


def _constants(pipeline: Pipeline, name: str, worker: WorkerSpec) -> Iterator[tuple[str, str]]:
    """A constant must not stand where a request says what is to be done."""
    taken: dict[str, str] = {}
    for phase in pipeline.phases:
        if isinstance(phase.dispatch, Dispatch) and phase.dispatch.worker == name:
            taken |= {phase.dispatch.date_field: f"the date's name in {phase.name}"}
            taken |= {phase.dispatch.processor_field: f"the processor's name in {phase.name}"}
    taken |= dict.fromkeys(OWN_FIELDS, "a field of every request")
    if worker.batches != "none":
        taken |= dict.fromkeys(BATCH_FIELDS, "a field of requests for several dates")
    for key in worker.request or ():
        if key in taken:
            yield f"workers.{name}.request.{key}", f"'{key}' is {taken[key]}; choose another"


def _reported(pipeline: Pipeline, at: str, reference: str) -> Iterator[tuple[str, str]]:
    """A report looks into tables only."""
    try:
        phase, name = pipeline.resolve(reference, pipeline.phase_names)
    except LookupError as error:
        yield at, str(error)
        return
    if not isinstance(next(x for x in pipeline.phase(phase).processors if x.name == name).output, TableOutput):
        yield at, f"{phase}/{name} writes no table; name a processor that does"


def _duplicates(at: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield at, f"the name '{name}' is used twice"
        seen.add(name)


_HOW_A_WORKER_IS_CALLED = ("worker", "path", "date_field", "processor_field", "results")
"""Keys of a dispatch that say nothing where nobody is called."""


def _dispatch(pipeline: Pipeline, phase: Phase, dispatch: Dispatch, at: str) -> Iterator[tuple[str, str]]:
    called = [x.name for x in phase.processors if x.sql is None]
    for key in _HOW_A_WORKER_IS_CALLED:
        if not called and key in dispatch.model_fields_set:
            yield (
                f"{at}.dispatch.{key}",
                "says how a worker is called, and each processor of the phase is `sql`: nobody is; remove this",
            )
    for key in ("worker", "path"):
        if called and not getattr(dispatch, key):
            yield (
                f"{at}.dispatch.{key}",
                f"is required and not there: '{called[0]}' has no `sql`, a worker is called",
            )
    if called and dispatch.worker and dispatch.worker not in pipeline.workers:
        yield (
            f"{at}.dispatch.worker",
            f"unknown worker '{dispatch.worker}'{did_you_mean(dispatch.worker, pipeline.workers)}",
        )
    for where, queue in [(f"{at}.dispatch.queue", dispatch.queue)] + [
        (f"{at}.processors[{i}].queue", x.queue) for i, x in enumerate(phase.processors) if x.queue
    ]:
        if queue not in pipeline.queues:
            yield where, f"unknown queue '{queue}'{did_you_mean(queue, pipeline.queues)}"


def _observed(
    phase: Phase, dispatch: ObservedDispatch, at: str, earlier: tuple[str, ...], topics: dict[str, str]
) -> Iterator[tuple[str, str]]:
    topic, where = dispatch.observed.topic, f"{at}.dispatch.observed.topic"
    if topic in RESERVED_TOPICS:
        yield where, f"'{topic}' is Phasegate's own topic; name the one on which the existing system reports"
    elif (other := topics.setdefault(topic, phase.name)) != phase.name:
        yield where, f"'{topic}' is already observed by {other}; a message must be about one phase"
    if phase.gates:
        yield f"{at}.gates", "the existing system starts this phase, no gate can hold it back; remove these"
    if earlier and not phase.released_with:
        yield f"{at}.released_with", "is needed: the phase whose events start this one, released together with it"
    for i, processor in enumerate(phase.processors):
        if processor.queue:
            yield f"{at}.processors[{i}].queue", "nobody dispatches it: the existing system starts it; remove this"
        if processor.batch:
            yield f"{at}.processors[{i}].batch", "nobody dispatches it: the existing system starts it; remove this"
        if isinstance(processor.output, TableOutput) and processor.output.fence_column:
            yield f"{at}.processors[{i}].output.fence_column", "the existing system writes no fence; remove this"


def _phase_edges(pipeline: Pipeline, phase: Phase, at: str, earlier: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if phase.released_with:
        yield from _earlier_phase(pipeline, f"{at}.released_with", phase.released_with, earlier)
        if phase.gates:
            yield f"{at}.gates", "a phase that is released with another takes that one's gates; remove these"
    elif earlier and isinstance(phase.dispatch, Dispatch):
        for processor in phase.processors:
            edges = (pipeline.phase(p).gates[g] for p, g in gates_of(pipeline, phase.name, processor.name))
            if all(isinstance(edge, ApprovalGate) for edge in edges):
                yield f"{at}.gates", f"no edge leads to '{processor.name}'; add a gate (for example all_succeeded)"
    names = [x.name for x in phase.processors]
    for g, gate in enumerate(phase.gates):
        where = f"{at}.gates[{g}]"
        for name in gate.only_for or []:
            if name not in names:
                yield f"{where}.for", f"unknown processor '{name}' of this phase{did_you_mean(name, names)}"
        if isinstance(gate, Lookback):
            yield from _lookback(pipeline, phase, gate, where, earlier)
        elif not isinstance(gate, ApprovalGate):
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
        yield at, "give either dates (of the calendar) or days (calendar days)"
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
    seconds = processor.timeout_seconds
    if seconds is not None and seconds > LONGEST_ANSWER_SECONDS and isinstance(phase.dispatch, Dispatch):
        yield f"{at}.timeout_seconds", f"{seconds} s is too long for an answer: at most {LONGEST_ANSWER_SECONDS}"
    yield from _sql(phase, processor, at)
    companions = [phase.name] + ([phase.released_with] if phase.released_with in earlier else [])
    for need in processor.needs:
        try:
            found = pipeline.resolve(need, companions)
        except LookupError as error:
            yield f"{at}.needs", f"{error} (needs name processors of this phase or of the one it is released with)"
        else:
            if found == (phase.name, processor.name):
                yield f"{at}.needs", f"'{need}' needs itself"
    if processor.reads and not processor.reads_same_date:
        yield f"{at}.reads_same_date", "'false' contradicts 'reads', which names what it reads on its date; drop one"
    for name in processor.reads:
        try:
            owner, _ = pipeline.resolve(name, earlier)
        except LookupError as error:
            yield f"{at}.reads", str(error)
        else:
            if owner not in phases_before(pipeline, phase.name, processor.name):
                yield f"{at}.reads", f"'{name}' is read, and no gate waits for {owner} on the same date; add one"
    if processor.reads_calendar is not None and not isinstance(processor.output, TableOutput):
        yield f"{at}.reads_calendar", "what an output was made from is kept of tables, and it writes none; remove this"
    if processor.source_dates is not None and processor.source_dates not in (known := pipeline.calendar.sources):
        hint = did_you_mean(processor.source_dates, known) or "; the calendar has no sources"
        yield f"{at}.source_dates", f"unknown source '{processor.source_dates}'{hint}"


def _sql(phase: Phase, processor: Processor, at: str) -> Iterator[tuple[str, str]]:
    """Phasegate runs a SELECT by itself, into a table whose rows carry its fence."""
    if processor.sql is None:
        return
    if not isinstance(phase.dispatch, Dispatch):
        yield f"{at}.sql", "the existing system starts this phase, and nobody runs a SELECT in it; remove this"
    if not isinstance(processor.output, TableOutput):
        yield (
            f"{at}.output.kind",
            f"'{processor.output.kind}': the rows of a SELECT go into a table; write `kind: table`",
        )
    elif processor.output.fence_column != FENCE_COLUMN and isinstance(phase.dispatch, Dispatch):
        yield (
            f"{at}.output.fence_column",
            f"the rows of a SELECT carry their fence in {FENCE_COLUMN}; write that, or leave it out",
        )


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
