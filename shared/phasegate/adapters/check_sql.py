"""The SQL of the pipeline file is judged when it is loaded: that of ``sql`` checks, and of measures of the report, must
be one SELECT for many dates, that of the calendar an expression, and nothing else.
"""

from collections.abc import Callable, Generator, Iterator, Sequence

from sqlglot import exp

from phasegate.adapters.bigquery_sql import parameters_of, read_duckdb, read_statement
from phasegate.domain.errors import InputError, StatementRefused
from phasegate.domain.spec.checks import SqlCheck
from phasegate.domain.spec.pipeline import CalendarSpec, Pipeline, TableOutput

PARAMETERS = frozenset({"days", "first", "last"})
"""What the prover binds: the dates as a list, the first and the last of them."""

_DIVISIONS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Div: ("'/'", "SAFE_DIVIDE(a, b)"),
    exp.IntDiv: ("DIV", "DIV(a, NULLIF(b, 0))"),
    exp.Mod: ("MOD", "MOD(a, NULLIF(b, 0))"),
}
"""What fails by 0 -> its name, and what does not."""


def sql_problems(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for everything that is wrong with the SQL of a pipeline's calendar, checks and
    measures."""
    for at, sql in _expressions(pipeline.calendar):
        yield from _expression(sql, at, _READERS[pipeline.calendar.dialect])
    for p, phase in enumerate(pipeline.phases):
        columns = {x.output.date_column for x in phase.processors if isinstance(x.output, TableOutput)}
        for c, check in enumerate(phase.checks):
            if isinstance(check, SqlCheck):
                for column in sorted(columns):
                    yield from _query(check, column, f"phases[{p}].checks[{c}].query")
        for i, processor in enumerate(phase.processors):
            for c, check in enumerate(processor.checks):
                if isinstance(check, SqlCheck) and isinstance(processor.output, TableOutput):
                    at = f"phases[{p}].processors[{i}].checks[{c}].query"
                    yield from _query(check, processor.output.date_column, at)
    for n, measure in enumerate(pipeline.report.measures):
        yield from _bounded_select(measure.query, "measure", ("label", "value"), f"report.measures[{n}].query")


def _expressions(calendar: CalendarSpec) -> Iterator[tuple[str, str]]:
    """(path, text) of each expression that is written into the calendar's queries."""
    yield "calendar.condition", calendar.condition
    for name, sql in calendar.numbers.items():
        yield f"calendar.numbers.{name}", sql
    if (check := calendar.cross_check) is not None:
        if check.postponed is not None:
            yield "calendar.cross_check.postponed", check.postponed
        for n, table in enumerate(check.tables):
            yield f"calendar.cross_check.tables[{n}].condition", table.condition


def _expression(sql: str, at: str, read: Callable[[str], exp.Expr]) -> Iterator[tuple[str, str]]:
    try:
        tree = read(f"SELECT\n{sql}")
    except InputError as error:
        yield at, _without_line(error)
        return
    is_one = isinstance(tree, exp.Select) and len(tree.expressions) == 1 and not isinstance(tree.selects[0], exp.Alias)
    if not is_one or any(value for key, value in tree.args.items() if key not in ("expressions", "kind")):
        yield at, "write one expression, without what follows it in a statement (an alias, FROM, WHERE, a comma)"
        return
    try:
        read(f"SELECT ({sql})")
    except InputError:
        yield at, "a comment hides the end: write it behind a # of YAML, outside of the text"
        return
    if names := parameters_of(tree):
        yield at, f"unknown parameter @{min(names)}; the calendar has none"


def _without_line(error: InputError) -> str:
    """The line before the text, which is ours, is not counted."""
    if isinstance(error, StatementRefused) and error.line is not None and error.line > 1:
        return str(StatementRefused(error.sentence, error.line - 1, error.column))
    return error.sentence if isinstance(error, StatementRefused) else str(error)


_READERS: dict[str, Callable[[str], exp.Expr]] = {"bigquery": read_statement, "duckdb": read_duckdb}
"""What reads the SQL of a dialect."""


def _query(check: SqlCheck, date_column: str, at: str) -> Iterator[tuple[str, str]]:
    tree = yield from _bounded_select(check.query, "check", (date_column, "ok", "detail"), at, check.dialect)
    for division in tree.find_all(*_DIVISIONS) if tree is not None and check.dialect == "bigquery" else ():
        if _may_be_zero(division.expression.unnest()):
            name, instead = _DIVISIONS[type(division)]
            yield at, f"{name} leaves a date that divides by 0 without a verdict; write {instead}"
            break


def _bounded_select(
    query: str, kind: str, columns: Sequence[str], at: str, dialect: str = "bigquery"
) -> Generator[tuple[str, str], None, exp.Expr | None]:
    """What keeps a query from being one SELECT of these columns that is bounded by dates; returns what it means, or
    None where it can be read no further."""
    read, sign = _READERS[dialect], "$" if dialect == "duckdb" else "@"
    try:
        tree = read(query)
    except InputError as error:
        yield at, str(error)
        return None
    if not isinstance(tree, exp.Query) or tree.find(exp.DML, exp.DDL, exp.Command, exp.Into):
        yield at, f"a {kind} reads: write one SELECT, and nothing that changes a table"
        return None
    try:
        read(f"SELECT * FROM ({query}\n) AS asked")
    except InputError as error:
        yield at, f"{error} (write one SELECT, without a semicolon)"
        return None
    selected = set(tree.named_selects)
    for name in columns:
        if name not in selected:
            yield at, f"the SELECT must name the column '{name}' (with * nobody can tell what it returns)"
    names = parameters_of(tree)
    if unknown := sorted(names - PARAMETERS):
        yield at, f"unknown parameter {sign}{unknown[0]}; known: {sign}days (a list of dates), {sign}first, {sign}last"
    if not names & PARAMETERS:
        day = columns[0] if kind == "check" else "its column of dates"
        bound = f"{day} IN UNNEST(@days)" if sign == "@" else f"{day} IN (SELECT unnest($days))"
        yield at, f"bound it by date, so that it reads no more than it must: {bound}"
    return tree


def _may_be_zero(divisor: exp.Expr) -> bool:
    if isinstance(divisor, exp.Nullif):
        return not (isinstance(divisor.expression, exp.Literal) and divisor.expression.name == "0")
    return not isinstance(divisor, exp.Literal) or divisor.name.strip("0.") == ""
