"""A report is composed from what tables, objects, history and state hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from phasegate.domain.decisions.standing import known_to_be_gone, known_to_lack_units, standing
from phasegate.domain.decisions.waiving import is_in_force, waived
from phasegate.domain.errors import PhasegateError
from phasegate.domain.operations.audit import NOTHING_HELD
from phasegate.domain.plan import Plan, PlanIndex, compile_plan
from phasegate.domain.spec.checks import UNRECOVERABLE
from phasegate.domain.state.facts import BLOCK, Verdict
from phasegate.domain.state.reads import Reads
from phasegate.domain.state.run import Waiver
from phasegate.ports import ObjectStore, Parameter, Row, State, Warehouse
from phasegate.report.verify import figures, history
from phasegate.report.verify.document.found import Blocked
from phasegate.report.verify.document.history import WarehouseReads
from phasegate.report.verify.document.part import Query
from phasegate.report.verify.document.report import Report
from phasegate.report.verify.findings import DETAIL_KEPT, count_kinds, find, heat_map, missing_dates
from phasegate.report.verify.questions import STATE_QUERY, NamedQuery, history_query, stretches_of
from phasegate.report.verify.reading import Reading, leave_out_unneeded, read_outputs
from phasegate.report.verify.recorded import RunRecord, read_run
from phasegate.report.verify.verdict import verdict_of
from phasegate.services.reading.cross_check import CalendarReader
from phasegate.telemetry import counting_reads


@dataclass(frozen=True, slots=True)
class VerifierInputs:
    """The inputs of a verifier are where it reads."""

    state: State | None
    """What runs did; None where there is no state, as for a backfill made by hand."""

    warehouse: Warehouse
    """Where the output tables are."""

    objects: ObjectStore
    """Where the output objects are."""

    is_cloud: bool = False
    """Runs were on Google Cloud: what they cost was really paid."""

    calendar: CalendarReader | None = None
    """Where the calendar is told right or wrong; None: by the warehouse's tables alone."""


def report_on_run(inputs: VerifierInputs, state: State, run_id: str, now: datetime) -> Report:
    """Report on a run, also on one that is still going. state: where it is kept. Raises InputError for an unknown
    run."""
    record = read_run(state, run_id, now)
    # It tells of the end that was read, also where this clock is behind the one that took down the end, or the run
    # ended only now.
    now = max(now, record.board.finished_at or now)
    with counting_reads() as counter:
        evidence = _gather(inputs, state.index(run_id), record, now)
    return _compose(evidence, now, inputs.is_cloud, state.reads(run_id).plus(counter.reads))


def report_on_dates(inputs: VerifierInputs, plan: Plan, now: datetime) -> Report:
    """Report on the dates of a plan without a run."""
    with counting_reads() as counter:
        evidence = _gather(inputs, compile_plan(plan), None, now)
    return _compose(evidence, now, inputs.is_cloud, counter.reads)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The evidence is everything that a report is made from."""

    index: PlanIndex
    """The plan that is verified."""

    reading: Reading
    """What the tables and objects hold."""

    record: RunRecord | None
    """What the run says of its tasks; None without a run."""

    waivers: tuple[Waiver, ...]
    """The run's waivers, in force or ended, and those that stand in the pipeline file."""

    attempts: list[Row] | None
    """The run's rows in the history table; None without a run, or when the table could not be asked."""

    history_query: str
    """The name of the query of these rows; empty: there is no run."""


def _gather(inputs: VerifierInputs, index: PlanIndex, record: RunRecord | None, now: datetime) -> _Evidence:
    """Read tables, objects and history, and mark what waivers let pass."""
    reading = read_outputs(inputs.warehouse, inputs.objects, index)
    known = standing(index.plan.pipeline, now)
    names = {waiver.id for waiver in known}
    waivers = (*(w for w in (record.run.waivers if record else ()) if w.id not in names), *known)
    going = [waiver for waiver in waivers if is_in_force(waiver, now)]
    _waive(reading, going)
    gone = known_to_be_gone(index.plan.pipeline, known)
    without = {
        (day, ref): Verdict(BLOCK, UNRECOVERABLE, ref.partition("/")[2], 0, 0, "its source is gone", waived_by=by.id)
        for (day, ref), by in gone.items()
        if day in index.calendar.by_day
    }
    _go_on_without(reading, {**without, **(record.let_pass if record else {})})
    tables = inputs.warehouse.query
    lacking = known_to_lack_units(index.plan.pipeline, going)
    reader = inputs.calendar or CalendarReader(tables, tables)
    reading.cross_check(index, reader, now, lacking)
    if record is None:
        leave_out_unneeded(reading, index)
        return _Evidence(index, reading, None, waivers, None, "")
    if inputs.state is not None:
        reading.compare_schedule(inputs.state, record.run.run_id, reader, now)
    leave_out_unneeded(reading, index, record.tasks)
    attempts, query = _read_history(inputs.warehouse, index, record, reading)
    reading.note(NamedQuery(STATE_QUERY, f"runs/{record.run.run_id}: board, and the facts and cells of every date"))
    return _Evidence(index, reading, record, waivers, attempts, query)


def _compose(evidence: _Evidence, now: datetime, is_cloud: bool, reads: Reads) -> Report:
    index, reading, record, query = evidence.index, evidence.reading, evidence.record, evidence.history_query
    attempts = evidence.attempts or []
    called = history.called(attempts, index)
    calls = history.calls_of(called, is_cloud)
    tasks = record.tasks if record else None
    findings = find(reading, index, tasks)
    gaps = missing_dates(reading, index)
    is_final = record is None or record.status.is_final
    queries, date_sets = _queries(reading)
    return Report(
        report_id=f"{record.run.run_id if record else index.plan.pipeline.pipeline}-{now:%Y%m%dT%H%M%S%f}",
        run_id=record.run.run_id if record else None,
        pipeline=index.plan.pipeline.pipeline,
        made_at=now,
        status=record.status.value if record else None,
        is_final=is_final,
        agrees=not findings and is_final,
        verdict=verdict_of(index, record, reading, findings, gaps),
        first=index.days[0],
        last=index.days[-1],
        dates=len(index.days),
        calendar_dates=len(index.calendar.dates),
        seasons={name: (days[0], days[-1]) for name, days in index.calendar.seasons.items()},
        phases=list(index.plan.phases),
        outputs=len(reading.outputs),
        findings_total=len(findings),
        kinds=count_kinds(findings),
        findings=findings,
        coverage=figures.coverage(reading, index),
        missing=gaps,
        heat_map=heat_map(reading, index, findings, tasks),
        failures=history.failures(attempts, query),
        blocked=_blocked(record),
        warnings=figures.warnings(reading, index),
        ages_unknown=figures.ages_unknown(reading),
        emptiness=figures.emptiness(reading, index),
        quality=figures.quality(reading, index),
        nulls=figures.nulls(reading, index),
        averages=figures.averages(reading, index),
        compared=figures.compared(reading),
        measures=figures.measures(reading),
        duplicates=figures.duplicates(reading),
        run_times=history.run_times(calls, query),
        time=history.time_of_run(calls, query, record.spent if record else None, STATE_QUERY),
        pace=history.pace(attempts, calls, index.plan.phases, record.board.rested_seconds if record else 0.0, query),
        gate_waits=history.gate_waits(record.waits, STATE_QUERY) if record else [],
        waivers=figures.waived(evidence.waivers, reading, now),
        reads=WarehouseReads(statements=reads.statements, bytes=reads.bytes) if reads.statements else None,
        cost=None
        if evidence.attempts is None
        else history.cost(called, calls, len(attempts) - len(called), is_cloud, query),
        queries=queries,
        date_sets=date_sets,
    )


def _blocked(record: RunRecord | None) -> list[Blocked]:
    return [
        Blocked(date=b.date, phase=b.phase, reasons=[f"{r.check}: {r.detail[:DETAIL_KEPT]}" for r in b.reasons])
        for b in (record.blocked if record else ())
    ]


def _waive(reading: Reading, waivers: Sequence[Waiver]) -> None:
    """What a person lets pass is no finding; it stands under the waiver."""
    for output in reading.outputs.values():
        for day, verdicts in output.verdicts.items():
            output.verdicts[day] = list(waived(verdicts, day, output.phase, waivers))


def _go_on_without(reading: Reading, let_pass: Mapping[tuple[date, str], Verdict]) -> None:
    """What has no output, as its source is gone and a person signed for that, is not missing."""
    for (day, ref), verdict in let_pass.items():
        output = reading.outputs.get(ref)
        if output is None:
            reading.let_pass[day, ref] = verdict
        elif output.error is None and not output.held.get(day, NOTHING_HELD).rows:
            output.verdicts.setdefault(day, []).append(verdict)


def _read_history(
    warehouse: Warehouse, index: PlanIndex, record: RunRecord, reading: Reading
) -> tuple[list[Row] | None, str]:
    """The run's rows in the history table (None when it cannot be asked), and the query's name."""
    table = index.plan.pipeline.history_table
    query = reading.note(history_query(table, record.run.run_id, stretches_of(index.days)))
    (answer,) = warehouse.ask([(query.sql or "", query.parameters)])
    if isinstance(answer, PhasegateError):
        reading.unread[query.name] = str(answer)
        return None, query.name
    return answer, query.name


def _queries(reading: Reading) -> tuple[list[Query], dict[str, list[date]]]:
    """Queries as the JSON names them; a list of dates that several of them use stands there once."""
    sets: dict[tuple[date, ...], str] = {}

    def plain(value: Parameter) -> Any:
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, list | tuple) and value and isinstance(value[0], date):
            return {"set": sets.setdefault(tuple(value), f"dates_{len(sets) + 1}")}
        return value

    queries = [
        Query(
            name=query.name,
            reads=query.reads,
            sql=query.sql,
            parameters={name: plain(value) for name, value in query.parameters.items()},
            error=reading.unread.get(query.name),
        )
        for query in reading.queries.values()
    ]
    return queries, {name: list(days) for days, name in sets.items()}
