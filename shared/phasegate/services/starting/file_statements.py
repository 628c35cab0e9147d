"""The statements of a pipeline file are its own SQL, and what is asked by names that stand in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.checks import registry
from phasegate.domain.checks.question import Question, in_dialect, question, quoted
from phasegate.domain.checks.subject import CheckSubject
from phasegate.domain.spec.checks import (
    Check,
    CoverageCheck,
    DuplicatesCheck,
    EntitiesCheck,
    NullsCheck,
    RangeCheck,
    SqlCheck,
    name_of,
)
from phasegate.domain.spec.pipeline import CalendarSpec, Pipeline, TableOutput

_DAY = date(2024, 1, 1)
"""A date to bind with: which one does not matter."""


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """A check names a column of a table."""

    at: str
    """The path of the name in the pipeline file."""

    table: str
    """Whose column it is."""

    column: str
    """Which one."""


@dataclass(frozen=True, slots=True)
class FileStatement:
    """A statement is the text of a pipeline file, or made of names that stand there."""

    at: str
    """The path of the text, or of the check."""

    owner: str
    """What it belongs to, for a person."""

    question: Question
    """What is asked."""

    lines_before: int | None = 0
    """Lines of the statement before the text of the file; None: no part of it stands in the file."""

    columns: tuple[NamedColumn, ...] = ()
    """The columns that the file names of it."""

    check: Check | None = None
    """The check that it is of."""


def calendar_statements(spec: CalendarSpec) -> Iterator[FileStatement]:
    """Yield a SELECT for each expression and column of the calendar."""
    table, day, season = f"`{spec.table}`", quoted(spec.date_column), quoted(spec.season_column)
    named = {"date_column": spec.date_column, "season_column": spec.season_column}
    named |= {f"entities.{name}[{n}]": x for name, columns in spec.entities.items() for n, x in enumerate(columns)}
    check = spec.cross_check
    if check is not None:
        named |= {f"cross_check.key[{n}]": column for n, column in enumerate(check.key)}
    for at, column in named.items():
        yield _of_calendar(at, f"SELECT {quoted(column)} FROM {table}", None)
    yield _of_calendar("condition", f"SELECT 1 FROM {table} WHERE (\n{spec.condition}\n)", 1)
    for name, sql in spec.numbers.items():
        select = f"SELECT {day} AS day, {season} AS season, (\n{sql}\n) AS {quoted(name)} FROM {table} GROUP BY 1, 2"
        yield _of_calendar(f"numbers.{name}", select, 1)
    if check is not None and check.postponed is not None:
        yield _of_calendar("cross_check.postponed", f"SELECT 1 FROM {table} WHERE (\n{check.postponed}\n)", 1)


def _of_calendar(at: str, sql: str, lines_before: int | None) -> FileStatement:
    return FileStatement(f"calendar.{at}", f"calendar.{at}", Question(sql, {}, ""), lines_before)


def check_statements(pipeline: Pipeline) -> Iterator[FileStatement]:
    """Yield a statement for each check of each table that asks the tables, and for each condition of the calendar's
    cross-check."""
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            of_all = [(f"phases[{p}].checks[{c}]", check) for c, check in enumerate(phase.checks)]
            own = [(f"phases[{p}].processors[{i}].checks[{c}]", x) for c, x in enumerate(processor.checks)]
            if isinstance(output := processor.output, TableOutput):
                for at, check in (*of_all, *own):
                    subject = CheckSubject(pipeline, Calendar.of([]), phase.name, processor, output, (_DAY,))
                    if (asked := registry.ask(check, subject)) is not None:
                        yield _of_check(at, check, subject, asked, f"phases[{p}].processors[{i}].output")
    for n, table in enumerate(pipeline.calendar.cross_check.tables if pipeline.calendar.cross_check else ()):
        sql = f"SELECT {quoted(table.date_column)} FROM `{table.table}` WHERE (\n{table.condition}\n)"
        at = f"calendar.cross_check.tables[{n}]"
        columns = [("date_column", table.date_column), *((f"key[{k}]", x) for k, x in enumerate(table.key or ()))]
        named = tuple(NamedColumn(f"{at}.{key}", table.table, column) for key, column in columns)
        asked = Question(in_dialect(pipeline.calendar.dialect, sql), {}, f"{at} {sql}")
        yield FileStatement(f"{at}.condition", at, asked, 1, named)


def report_statements(pipeline: Pipeline) -> Iterator[FileStatement]:
    """Yield a statement for each entry of the report section that names columns or is a SELECT."""

    def of(at: str, sql: str, *named: NamedColumn) -> FileStatement:
        return FileStatement(at, at, Question(sql, {}, f"report {sql}"), None, named)

    def table_of(reference: str) -> str:
        phase, name = pipeline.resolve(reference, pipeline.phase_names)
        output = next(x.output for x in pipeline.phase(phase).processors if x.name == name)
        assert isinstance(output, TableOutput)  # noqa: S101 - asserted when the pipeline file was loaded
        return output.table

    report = pipeline.report
    for section, aggregate, entries in (("critical", "COUNT", report.critical), ("averages", "SUM", report.averages)):
        for n, fields in enumerate(entries):
            at, table = f"report.{section}[{n}]", table_of(fields.processor)
            named = [NamedColumn(f"{at}.columns[{i}]", table, column) for i, column in enumerate(fields.columns)]
            asked = ", ".join(f"{aggregate}({quoted(column)})" for column in fields.columns)
            yield of(at, f"SELECT {asked} FROM `{table}`", *named)
    for n, score in enumerate(report.quality):
        at, table = f"report.quality[{n}]", table_of(score.processor)
        column = NamedColumn(f"{at}.column", table, score.column)
        yield of(at, f"SELECT SUM({quoted(score.column)}) FROM `{table}`", column)
    for n, pair in enumerate(report.compared):
        at, tables = f"report.compared[{n}]", (table_of(pair.processor), table_of(pair.against))
        keys = " UNION ALL ".join(f"SELECT {quoted(pair.key)} FROM `{table}`" for table in tables)
        yield of(at, keys, *(NamedColumn(f"{at}.key", table, pair.key) for table in tables))
    for n, measure in enumerate(report.measures):
        of_a_day = question(measure.query, (_DAY,), f"measure {measure.query}")
        yield FileStatement(f"report.measures[{n}].query", f"measure '{measure.name}'", of_a_day)


def _of_check(at: str, check: Check, subject: CheckSubject, asked: Question, output: str) -> FileStatement:
    owner = f"check '{name_of(check)}' of {subject.phase}/{subject.processor.name}"
    if isinstance(check, SqlCheck):
        return FileStatement(f"{at}.query", owner, asked, 0, check=check)
    named = [
        *_columns_of(at, check, subject),
        NamedColumn(f"{output}.date_column", subject.output.table, subject.output.date_column),
    ]
    return FileStatement(at, owner, asked, None, tuple(named), check)


def _columns_of(at: str, check: Check, subject: CheckSubject) -> Iterator[NamedColumn]:
    """The columns that a check names, each with its table."""
    table = subject.output.table
    if isinstance(check, NullsCheck | RangeCheck):
        yield NamedColumn(f"{at}.column", table, check.column)
    elif isinstance(check, EntitiesCheck):
        tables = [table] if check.processor is None else [table, subject.other(check.processor)[1].table]
        yield from (NamedColumn(f"{at}.key", each, check.key) for each in tables)
    elif isinstance(check, CoverageCheck):
        for each in (table, subject.other(check.processor)[1].table):
            yield from (NamedColumn(f"{at}.keys[{n}]", each, key) for n, key in enumerate(check.keys))
    elif isinstance(check, DuplicatesCheck):
        yield from (NamedColumn(f"{at}.keys[{n}]", table, key) for n, key in enumerate(check.keys or ()))
