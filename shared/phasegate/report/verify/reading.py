"""Every output of a plan is read over its whole calendar, and judged by the plan's own checks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from phasegate.domain.calendar.dates import stretches
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks import registry
from phasegate.domain.checks.proof import Found, count_rows
from phasegate.domain.checks.question import Question
from phasegate.domain.decisions.needed import unwanted
from phasegate.domain.decisions.stale import Ages, inputs_outside
from phasegate.domain.errors import PhasegateError, ReadsTooMuch
from phasegate.domain.operations.audit import (
    NOTHING_HELD,
    REPEATS,
    ROWS,
    Own,
    Recorded,
    TableContent,
    is_let_pass,
    is_sound,
)
from phasegate.domain.plan import PlanIndex, ScheduleChanges
from phasegate.domain.spec.checks import Check, DuplicatesCheck, RowsCheck, name_of
from phasegate.domain.spec.pipeline import NoOutput, ObjectOutput, TableOutput
from phasegate.domain.spec.report import Measure
from phasegate.domain.state.facts import UNKNOWN, Verdict
from phasegate.ports import ObjectStore, Row, RunReader, Warehouse
from phasegate.report.verify.questions import (
    SCHEDULE_QUERY,
    Compared,
    NamedQuery,
    Table,
    compared_of,
    compared_query,
    fences_query,
    figures_query,
    keys_query,
    measure_query,
    measures_of,
    rows_query,
    stretches_of,
    tables_of,
)
from phasegate.services.reading.ages import find_ages
from phasegate.services.reading.asking import GAP_DAYS, Answered, ask, ask_by_date, asked_about
from phasegate.services.reading.cross_check import CalendarReader, CrossChecked, cross_check
from phasegate.services.reading.prover import Prover, checks_of
from phasegate.services.reading.schedule_changes import schedule_news


@dataclass(slots=True)
class Output:
    """An output is what one processor left behind, by date."""

    ref: str
    """``phase/processor`` of the processor that writes it."""

    expects: Mapping[date, str]
    """What is expected of it, as an ExpectationLetter for every date: what the calendar says, and of an object that is
    gone and that nobody needs, nothing."""

    table: str | None
    """``dataset.table``; None: it is an object."""

    held: dict[date, TableContent] = field(default_factory=dict)
    """What it holds, on the calendar's dates that have anything."""

    verdicts: dict[date, list[Verdict]] = field(default_factory=dict)
    """What the plan's checks say of it."""

    looks_at: dict[str, str] = field(default_factory=dict)
    """By check: ROWS or REPEATS, as ``audit.differences`` takes it."""

    off_calendar: dict[date, int] = field(default_factory=dict)
    """Rows on dates that the calendar does not have."""

    undated: int = 0
    """Rows whose date is NULL."""

    error: str | None = None
    """Why it could not be asked, and nothing else is known; None: it was answered."""

    queries: dict[Own | str, str] = field(default_factory=dict)
    """Names of the queries that were asked of it: by check, and the verifier's own."""

    @property
    def phase(self) -> str:
        """The phase that its processor is in."""
        return self.ref.partition("/")[0]

    @property
    def processor(self) -> str:
        """The processor that writes it."""
        return self.ref.partition("/")[2]

    def query(self, shown_by: Own | str) -> str:
        """The name of the query that shows what was found; a check that asks nothing looks at the rows."""
        return self.queries.get(shown_by) or self.queries.get(Own.ROWS, "")


@dataclass(slots=True)
class Reading:
    """A reading holds everything that was read of tables and objects."""

    outputs: dict[str, Output] = field(default_factory=dict)
    """By ``phase/processor``: what each one that leaves an output left behind, in the order of the plan."""

    figures: list[tuple[Table, str, list[Row]]] = field(default_factory=list)
    """(table, name of the query, its rows) of the figures that were answered."""

    compared: list[tuple[Compared, str, list[Row]]] = field(default_factory=list)
    """(comparison, name of the query, its rows) of the comparisons that were answered."""

    measures: list[tuple[Measure, str, list[Row]]] = field(default_factory=list)
    """(measure, name of the query, its rows) of the measures that were answered."""

    queries: dict[str, NamedQuery] = field(default_factory=dict)
    """By name: everything that was asked."""

    unread: dict[str, str] = field(default_factory=dict)
    """By the name of a query that was not answered: the error that met it."""

    calendar: CrossChecked = field(default_factory=CrossChecked)
    """In what the calendar differs from its sources, and what was asked for that."""

    rescheduled: ScheduleChanges = field(default_factory=ScheduleChanges)
    """In what the schedule differs from the calendar that a run goes by."""

    ages: Ages = field(default_factory=lambda: Ages({}, {}, {}))
    """What is stale by what it was made from, and of what nobody knows."""

    let_pass: dict[tuple[date, str], Verdict] = field(default_factory=dict)
    """By (date, ``phase/processor``): the waived verdict of a task that leaves no output."""

    def note(self, query: NamedQuery) -> NamedQuery:
        """Keep a query for the report."""
        self.queries[query.name] = query
        return query

    def cross_check(
        self, index: PlanIndex, reader: CalendarReader, now: datetime, let_pass: Collection[tuple[str, date]]
    ) -> None:
        """Compare the calendar with its sources and with the tables that were read. let_pass: as ``cross_check`` takes
        it."""
        checked = cross_check(index.plan.pipeline, index.calendar, index.days, reader, now, self.outputs, let_pass)
        for asked in checked.asked:
            query = self.note(NamedQuery(f"calendar.{asked.place}", f"units in {asked.place} by date", asked.sql))
            if asked.error is not None:
                self.unread[query.name] = asked.error
        self.calendar = checked

    def compare_schedule(self, state: RunReader, run_id: str, reader: CalendarReader, now: datetime) -> None:
        """Compare the calendar that a run goes by with the schedule, as ``status`` does.

        A schedule that is there and cannot be read is a finding, once; of one that is gone the cross-check says so,
        where the calendar is to be compared.
        """
        asked: list[str] = []

        def query(sql: str) -> Sequence[Mapping[str, Any]]:
            asked.append(sql)
            return reader.schedule(sql)

        news = schedule_news(state, run_id, lambda _run, _plan: query, now)
        self.rescheduled = news.changes
        is_told = any(each.error for each in self.calendar.asked if each.place == news.plan.pipeline.calendar.table)
        if news.unread and (is_told or not news.is_there):
            return
        for sql in asked:
            self.note(NamedQuery(SCHEDULE_QUERY, "the calendar as the schedule gives it now", sql))
        if news.unread:
            self.unread[SCHEDULE_QUERY] = news.unread


def read_outputs(warehouse: Warehouse, objects: ObjectStore, index: PlanIndex) -> Reading:
    """Ask every table and look for every object of the plan's phases, on every date of its calendar."""
    reading, plan = Reading(), index.plan
    over = stretches_of([d.day for d in index.calendar.dates])
    tables = tables_of(plan.pipeline, plan.phases)
    by_ref = {table.ref: table for table in tables}
    for phase in plan.phases:
        for processor in plan.pipeline.phase(phase).processors:
            if not isinstance(processor.output, NoOutput):
                ref = f"{phase}/{processor.name}"
                expects = {d.day: index.expectation(ref, d.day) for d in index.calendar.dates}
                reading.outputs[ref] = Output(ref, expects, by_ref[ref].name if ref in by_ref else None)
    asked: list[tuple[tuple[Own, Table] | Compared | Measure, NamedQuery]] = []
    for table in tables:
        asked.append(((Own.ROWS, table), rows_query(table, over)))
        asked.append(((Own.KEYS, table), keys_query(table, over)))
        if table.output.fence_column:
            asked.append(((Own.FENCES, table), fences_query(table, over)))
        if figures := figures_query(table, over):
            asked.append(((Own.FIGURES, table), figures))
    asked += [(pair, compared_query(pair, over)) for pair in compared_of(plan.pipeline, plan.phases)]
    asked += [(each, measure_query(each, index.days)) for each in measures_of(plan.pipeline, plan.phases)]
    answers = warehouse.ask([(query.sql or "", query.parameters) for _, query in asked])
    rows: dict[str, dict[Own, list[Row]]] = {}
    for (about, query), answer in zip(asked, answers, strict=True):
        reading.note(query)
        if isinstance(answer, PhasegateError):
            reading.unread[query.name] = str(answer)
        if isinstance(about, Compared):
            if not isinstance(answer, PhasegateError):
                reading.compared.append((about, query.name, answer))
            continue
        if isinstance(about, Measure):
            if not isinstance(answer, PhasegateError):
                reading.measures.append((about, query.name, answer))
            continue
        own, table = about
        output = reading.outputs[table.ref]
        output.queries[own] = query.name
        if isinstance(answer, PhasegateError):
            output.error = str(answer) if own is Own.ROWS else output.error
        elif own is Own.FIGURES:
            reading.figures.append((table, query.name, answer))
        else:
            rows.setdefault(table.ref, {})[own] = answer
    for ref, answered in rows.items():
        _fill(reading.outputs[ref], answered)
    _look_for_objects(reading, objects, warehouse, index)
    _judge(reading, warehouse, index)
    reading.ages = find_ages(index, {**_inputs_outside(reading, warehouse, index), **_held(reading)}, warehouse)
    return reading


def _inputs_outside(reading: Reading, warehouse: Warehouse, index: PlanIndex) -> dict[str, dict[date, Found]]:
    """What the tables hold that the plan's outputs are made from, and that are of none of its phases: their age counts,
    and nothing else of them."""
    asked = {
        ref: count_rows(output, sorted(days))
        for ref, days in inputs_outside(index).items()
        if ref not in reading.outputs and isinstance(output := index.processor(ref).output, TableOutput)
    }
    found: dict[str, dict[date, Found]] = {}
    for (ref, question), answer in zip(asked.items(), _answers(warehouse, list(asked.values())), strict=True):
        words = f"rows and fences of {ref}, which is read and not verified, by date"
        query = reading.note(NamedQuery(f"inputs.{ref}", words, question.sql, dict(question.parameters)))
        if isinstance(answer, PhasegateError):
            reading.unread[query.name] = str(answer)
        else:
            found[ref] = {row["d"]: Found(row["n"], row.get("lowest"), row.get("highest")) for row in answer}
    return found


def _held(reading: Reading) -> dict[str, dict[date, Found]]:
    """What the tables that were read hold, with the fences of dates on which every row keeps one."""
    return {
        ref: {
            day: Found(held.rows) if held.unfenced else Found(held.rows, held.lowest_fence, held.highest_fence)
            for day, held in output.held.items()
        }
        for ref, output in reading.outputs.items()
        if output.table and output.error is None
    }


def _fill(output: Output, answered: Mapping[Own, list[Row]]) -> None:
    fences = {row["d"]: row for row in answered.get(Own.FENCES, ())}
    doubled = {row["d"]: int(row["doubled"]) for row in answered.get(Own.KEYS, ())}
    for row in answered.get(Own.ROWS, ()):
        day, rows = row["d"], int(row["n"])
        if day is None:
            output.undated = rows
            continue
        if day not in output.expects:
            output.off_calendar[day] = rows
            continue
        fence = fences.get(day, {})
        output.held[day] = TableContent(
            rows, fence.get("lowest"), fence.get("highest"), int(fence.get("unfenced", 0)), doubled.get(day, 0)
        )


def _look_for_objects(reading: Reading, objects: ObjectStore, warehouse: Warehouse, index: PlanIndex) -> None:
    outputs = {ref: index.processor(ref).output for ref in reading.outputs}
    paths = {ref: output for ref, output in outputs.items() if isinstance(output, ObjectOutput)}
    prover = Prover(warehouse, objects)
    counted = prover.count({ref: (out, reading.outputs[ref].expects) for ref, out in paths.items()})
    for ref, answer in counted.items():
        output = reading.outputs[ref]
        query = reading.note(NamedQuery(f"objects.{ref}", f"whether {paths[ref].path} is there, for each date"))
        output.queries[Own.ROWS] = query.name
        if isinstance(answer, PhasegateError):
            output.error = reading.unread[query.name] = str(answer)
        else:
            output.held.update({day: TableContent(each.rows) for day, each in (answer or {}).items()})
    _judge_objects(reading, prover, index)


def _judge_objects(reading: Reading, prover: Prover, index: PlanIndex) -> None:
    """Judge the objects that are there by the checks that read them: each of them once."""
    subjects = {
        ref: (
            {day: letter for day, letter in output.expects.items() if day in output.held},
            {day: Found(held.rows) for day, held in output.held.items()},
        )
        for ref, output in reading.outputs.items()
        if output.table is None and output.error is None and index.checks(ref)
    }
    for ref, verdicts in prover.judge(index, subjects).items():
        output = reading.outputs[ref]
        for check in index.checks(ref):
            words = f"the objects of {ref}, {check.threshold}, for each date"
            output.queries[name_of(check)] = reading.note(NamedQuery(f"{name_of(check)}.{ref}", words)).name
        for day, verdict in verdicts:
            output.verdicts.setdefault(day, []).append(verdict)


def _judge(reading: Reading, warehouse: Warehouse, index: PlanIndex) -> None:
    """Judge what was read by the plan's own checks. Where rows are due and none are, there is nothing to check.

    Dates far apart are asked about apart in any case; they are judged apart as well, so that the keys of one season are
    in memory, and not those of eleven.
    """
    subjects = {
        ref: (
            {d: e for d, e in output.expects.items() if e != ExpectationLetter.EMPTY and output.held.get(d)},
            {day: Found(held.rows, held.lowest_fence, held.highest_fence) for day, held in output.held.items()},
        )
        for ref, output in reading.outputs.items()
        if output.table and output.error is None
    }
    checks = [(ref, c, subject, registry.ask(c, subject)) for ref, c, subject in checks_of(index, subjects)]
    for ref, check, _, question in checks:
        output, name = reading.outputs[ref], name_of(check)
        _note_what_it_looks_at(output, check)
        if question is not None:
            words = f"what the check '{name}' of {ref} looks at, by date"
            query = reading.note(NamedQuery(f"{name}.{ref}", words, question.sql, dict(question.parameters)))
            output.queries[name] = query.name
    unread: dict[str, str] = {}
    answered: set[str] = set()
    for stretch in map(frozenset, stretches([d.day for d in index.calendar.dates], GAP_DAYS)):
        asked = [
            (ref, check, replace(subject, days=days), question and asked_about(question, days))
            for ref, check, subject, question in checks
            if (days := tuple(day for day in subject.days if day in stretch))
        ]
        answers = iter(_answers_by_date(warehouse, [question for *_, question in asked if question]))
        for ref, check, subject, question in asked:
            output, found = reading.outputs[ref], next(answers) if question is not None else Answered([])
            verdicts: dict[date, Verdict] = {}
            if days := tuple(day for day in subject.days if day not in found.failed):
                verdicts = registry.judge(check, replace(subject, days=days), found.rows)
                answered.add(output.query(name_of(check)))
            for day, error in found.failed.items():
                unread.setdefault(output.query(name_of(check)), str(error))
                said = f"the check could not be asked: {error}"
                failed = replace(subject, days=(day,))
                verdicts |= registry.unasked(check, failed, UNKNOWN, said, is_asked_again=True)
            for day in subject.days:
                output.verdicts.setdefault(day, []).append(verdicts[day])
    for query_name in unread.keys() - answered:
        reading.unread.setdefault(query_name, unread[query_name])


def _answers(warehouse: Warehouse, questions: list[Question]) -> list[list[Row] | PhasegateError]:
    """As ``ask``; where one of them would read too much, all are left unread, and the report says so."""
    try:
        return ask(warehouse, questions)
    except ReadsTooMuch as error:
        return [error] * len(questions)


def _answers_by_date(warehouse: Warehouse, questions: list[Question]) -> list[Answered]:
    """As ``ask_by_date``; where one of them would read too much, all are left unread, and the report says so."""
    try:
        return ask_by_date(warehouse, questions)
    except ReadsTooMuch as error:
        return [Answered([], dict.fromkeys(question.parameters["days"], error)) for question in questions]


def _note_what_it_looks_at(output: Output, check: Check) -> None:
    if isinstance(check, RowsCheck):
        output.looks_at[name_of(check)] = ROWS
    elif isinstance(check, DuplicatesCheck) and check.keys is None:
        output.looks_at[name_of(check)] = REPEATS


def leave_out_unneeded(
    reading: Reading, index: PlanIndex, tasks: Mapping[tuple[date, str], Recorded] | None = None
) -> None:
    """Expect no object any more that nobody needs: all that reads it is whole, or its date is lost.

    tasks: a run's word on each; what the run itself said that it made or found is missed none the less.
    """
    stands = {
        ref: frozenset(day for day in index.days if _stands(output, day))
        for ref, output in reading.outputs.items()
        if output.error is None
    }
    for output in reading.outputs.values():
        if output.table is None:
            lost = index.calendar.lost & output.expects.keys()
            output.expects = {**output.expects, **dict.fromkeys(lost, ExpectationLetter.OPTIONAL)}
    for ref, days in unwanted(index, stands).items():
        output = reading.outputs[ref]
        spared = {day for day in days if tasks is None or tasks[day, ref].is_not_needed}
        gone = {day for day in spared - output.held.keys() if output.expects[day] == ExpectationLetter.EXPECTED}
        output.expects = {**output.expects, **dict.fromkeys(gone, ExpectationLetter.OPTIONAL)}


def _stands(output: Output, day: date) -> bool:
    """Whether nobody makes an output anew: it is whole, or a person lets it pass."""
    expects, held = output.expects[day], output.held.get(day, NOTHING_HELD)
    verdicts = output.verdicts.get(day, [])
    return is_sound(expects, held, verdicts) or is_let_pass(expects, held, verdicts, output.looks_at)
