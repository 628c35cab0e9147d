"""Puts a report together: reads tables and state, compares, and says the verdict in one sentence."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared.domain.audit import MEANINGS, NOTHING_HELD, STATE_AND_TABLES, Kind
from shared.domain.calendar import Calendar
from shared.domain.errors import PhasegateError
from shared.domain.facts import Verdict
from shared.domain.pipeline import Pipeline
from shared.domain.plan import RUN, Plan, PlanIndex
from shared.domain.run import RunStatus, Waiver
from shared.domain.waiving import is_in_force, waived
from shared.ports import ObjectStore, Parameter, Row, State, Warehouse
from shared.report.verify import figures, history
from shared.report.verify.document.found import Blocked, FindingLine, MissingDates
from shared.report.verify.document.part import Query
from shared.report.verify.document.report import Report
from shared.report.verify.findings import DETAIL_KEPT, count_kinds, find, heat_map, is_waived, missing_dates
from shared.report.verify.questions import STATE_QUERY, NamedQuery, history_query
from shared.report.verify.reading import Reading, read_outputs
from shared.report.verify.recorded import RunRecord, read_run

NAMED = 4
"""Kinds of findings that the verdict names."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a verification looks. state: None where there is none, as for a backfill made by hand.

    is_cloud: whether what a run cost was really paid.
    """

    state: State | None
    warehouse: Warehouse
    objects: ObjectStore
    is_cloud: bool = False


def audit_plan(pipeline: Pipeline, calendar: Calendar, phases: Sequence[str], days: Sequence[date], code: str) -> Plan:
    """What is verified where there is no run: these dates, against the whole calendar. code: the program's version."""
    return Plan(
        pipeline=pipeline,
        phases=tuple(phases),
        days=tuple(days),
        calendar=calendar.dates,
        work={f"{n}/{x.name}": RUN * len(days) for n in phases for x in pipeline.phase(n).processors},
        reprocess="all",
        code_version=code,
    )


def report_on_run(ground: Ground, run_id: str, now: datetime) -> Report:
    """The report of a run, also of one that is still going. Raises InputError for an unknown run."""
    if ground.state is None:
        raise ValueError("a run cannot be verified without state")
    record = read_run(ground.state, run_id, now)
    return _compose(ground, ground.state.plan(run_id).index, record, now)


def report_on_dates(ground: Ground, plan: Plan, now: datetime) -> Report:
    """The report of dates without a run."""
    return _compose(ground, plan.index, None, now)


def _compose(ground: Ground, index: PlanIndex, record: RunRecord | None, now: datetime) -> Report:
    waivers = record.run.waivers if record else ()
    reading = read_outputs(ground.warehouse, ground.objects, index)
    _waive(reading, [waiver for waiver in waivers if is_in_force(waiver, now)])
    _go_on_without(reading, record.let_pass if record else {})
    rows, history_name = _read_history(ground.warehouse, index, record, reading)
    ended = rows or []
    if record is not None:
        reading.note(NamedQuery(STATE_QUERY, f"runs/{record.run.run_id}: board, and the facts and cells of every date"))
    tasks = record.tasks if record else None
    findings = find(reading, index, tasks)
    gaps = missing_dates(reading, index)
    is_final = record is None or record.status.is_final
    agrees = not findings and is_final
    queries, date_sets = _queries(reading)
    return Report(
        report_id=f"{record.run.run_id if record else index.plan.pipeline.pipeline}-{now:%Y%m%dT%H%M%S%f}",
        run_id=record.run.run_id if record else None,
        pipeline=index.plan.pipeline.pipeline,
        made_at=now,
        status=record.status.value if record else None,
        is_final=is_final,
        agrees=agrees,
        verdict=_verdict(index, record, reading, findings, gaps),
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
        failures=history.failures(ended, history_name),
        blocked=[
            Blocked(date=b.date, phase=b.phase, reasons=[f"{r.check}: {r.detail[:DETAIL_KEPT]}" for r in b.reasons])
            for b in (record.blocked if record else ())
        ],
        warnings=figures.warnings(reading, index),
        emptiness=figures.emptiness(reading, index),
        quality=figures.quality(reading, index),
        nulls=figures.nulls(reading, index),
        averages=figures.averages(reading, index),
        compared=figures.compared(reading),
        duplicates=figures.duplicates(reading),
        run_times=history.run_times(ended, history_name),
        pace=history.pace(ended, index.plan.phases, history_name),
        gate_waits=history.gate_waits(record.waits, STATE_QUERY) if record else [],
        waivers=figures.waived(waivers, reading, now),
        cost=history.cost(rows, ground.is_cloud, history_name) if rows is not None else None,
        queries=queries,
        date_sets=date_sets,
    )


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
    warehouse: Warehouse, index: PlanIndex, record: RunRecord | None, reading: Reading
) -> tuple[list[Row] | None, str]:
    """The run's rows in the history table, and the query's name; None without a run, or when it cannot be asked."""
    if record is None:
        return None, ""
    table = index.plan.pipeline.history_table
    query = reading.note(history_query(table, record.run.run_id, index.days[0], index.days[-1]))
    (answer,) = warehouse.ask([(query.sql or "", query.parameters)])
    if isinstance(answer, PhasegateError):
        reading.unread[query.name] = str(answer)
        return None, query.name
    return answer, query.name


def _verdict(
    index: PlanIndex,
    record: RunRecord | None,
    reading: Reading,
    findings: Sequence[FindingLine],
    gaps: Iterable[MissingDates],
) -> str:
    """One sentence."""
    span = f"{counted(len(index.days), 'date')} from {index.days[0]} to {index.days[-1]}"
    if len(index.days) == 1:
        span = f"the date {index.days[0]}"
    let_pass = _let_pass_in_words(reading, index)
    if findings:
        said = _findings_in_words(findings, span, record is not None)
        said += f"; waivers let {let_pass} pass" if let_pass else ""
        word = "Not complete"
    else:
        said = _agreement_in_words(len(reading.outputs), span, record is not None)
        said += f", but for {let_pass} that waivers let pass" if let_pass else ""
        word = "Complete but for waivers" if let_pass else "Complete"
    beyond = sum(gap.dates for gap in gaps if gap.beyond)
    said += f"; beyond them the calendar misses {counted(beyond, 'output')} of other dates" if beyond else ""
    said += f"; {counted(len(reading.unread), 'query')} of this report could not be asked" if reading.unread else ""
    if record is None:
        return f"{word}: {index.plan.pipeline.pipeline} without a run: {said}."
    status, tasks = record.status, record.progress.tasks
    if status.is_final:
        ended = "" if status is RunStatus.COMPLETED else f" ({status.value.replace('_', ' ')})"
        return f"{word}: run {record.run.run_id}{ended}: {said}."
    done = f"{tasks['succeeded'] + tasks['empty_ok']:,} of {tasks['expected']:,} tasks done"
    return f"Not final: run {record.run.run_id} has not ended ({status.value}, {done}); so far {said}."


def _let_pass_in_words(reading: Reading, index: PlanIndex) -> str:
    """How much passes by waivers alone; empty: nothing does."""
    outputs = sum(is_waived(output, day) for output in reading.outputs.values() for day in index.days)
    silent = len(reading.let_pass)
    said = [counted(outputs, "output")] if outputs else []
    said += [f"{counted(silent, 'task')} without an output"] if silent else []
    return " and ".join(said)


def _agreement_in_words(outputs: int, span: str, is_run: bool) -> str:
    if not outputs:
        return f"state says that all is done on {span}, and no output is left behind that could be looked at"
    said = f"all {outputs} outputs of {span} are" if outputs > 1 else f"the one output of {span} is"
    return f"{said} as the calendar demands{' and as state says' if is_run else ''}"


def _findings_in_words(findings: Sequence[FindingLine], span: str, is_run: bool) -> str:
    most = Counter(line.kind for line in findings).most_common()
    named = ", ".join(f"{kind.replace('_', ' ')}: {n:,}" for kind, n in most[:NAMED])
    rest = f", {counted(len(most) - NAMED, 'more kind')}" if len(most) > NAMED else ""
    said = f"{counted(len(findings), 'finding')} on {span} ({named}{rest})"
    if not is_run:
        return said
    state = sum(n for kind, n in most if MEANINGS[Kind(kind)][0] == STATE_AND_TABLES)
    return f"{said}, {state:,} of them between state and tables"


def counted(n: int, word: str) -> str:
    """A number and its noun."""
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{n:,} {word if n == 1 else many}"


def _queries(reading: Reading) -> tuple[list[Query], dict[str, list[date]]]:
    """Queries as the JSON names them; a list of dates that several of them use stands there once."""
    sets: dict[tuple[date, ...], str] = {}

    def plain(value: Parameter) -> Any:
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, list | tuple) and value and isinstance(value[0], date):
            return {"set": sets.setdefault(tuple(value), f"dates_{len(sets) + 1}")}
        return value

    found = [
        Query(
            name=query.name,
            reads=query.reads,
            sql=query.sql,
            parameters={name: plain(value) for name, value in query.parameters.items()},
            error=reading.unread.get(query.name),
        )
        for query in reading.queries.values()
    ]
    return found, {name: list(days) for days, name in sets.items()}
