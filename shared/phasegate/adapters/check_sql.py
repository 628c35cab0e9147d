"""The SQL of ``sql`` checks is judged when the pipeline file is loaded: it must be one SELECT for many dates, and
nothing else.
"""

from collections.abc import Iterator

from sqlglot import exp

from phasegate.adapters.bigquery_sql import parameters_of, read_statement
from phasegate.domain.errors import InputError
from phasegate.domain.spec.checks import SqlCheck
from phasegate.domain.spec.pipeline import Pipeline, TableOutput

PARAMETERS = frozenset({"days", "first", "last"})
"""What the prover binds: the dates as a list, the first and the last of them."""

_DIVISIONS: dict[type[exp.Expression], tuple[str, str]] = {
    exp.Div: ("'/'", "SAFE_DIVIDE(a, b)"),
    exp.IntDiv: ("DIV", "DIV(a, NULLIF(b, 0))"),
    exp.Mod: ("MOD", "MOD(a, NULLIF(b, 0))"),
}
"""What fails by 0 -> its name, and what does not."""


def sql_problems(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for everything that is wrong with the queries of a pipeline's checks."""
    for p, phase in enumerate(pipeline.phases):
        columns = {x.output.date_column for x in phase.processors if isinstance(x.output, TableOutput)}
        for c, check in enumerate(phase.checks):
            if isinstance(check, SqlCheck):
                for column in sorted(columns):
                    yield from _query(check.query, column, f"phases[{p}].checks[{c}].query")
        for i, processor in enumerate(phase.processors):
            for c, check in enumerate(processor.checks):
                if isinstance(check, SqlCheck) and isinstance(processor.output, TableOutput):
                    at = f"phases[{p}].processors[{i}].checks[{c}].query"
                    yield from _query(check.query, processor.output.date_column, at)


def _query(query: str, date_column: str, at: str) -> Iterator[tuple[str, str]]:
    try:
        tree = read_statement(query)
    except InputError as error:
        yield at, str(error)
        return
    if not isinstance(tree, exp.Query) or tree.find(exp.DML, exp.DDL, exp.Command, exp.Into):
        yield at, "a check reads: write one SELECT, and nothing that changes a table"
        return
    try:
        read_statement(f"SELECT * FROM ({query}\n) AS asked")
    except InputError as error:
        yield at, f"{error} (write one SELECT, without a semicolon)"
        return
    selected = set(tree.named_selects)
    for name in (date_column, "ok", "detail"):
        if name not in selected:
            yield at, f"the SELECT must name the column '{name}' (with * nobody can tell what it returns)"
    names = parameters_of(tree)
    if unknown := sorted(names - PARAMETERS):
        yield at, f"unknown parameter @{unknown[0]}; known: @days (a list of dates), @first, @last"
    if not names & PARAMETERS:
        yield at, f"bound it by date, so that it reads no more than it must: {date_column} IN UNNEST(@days)"
    for division in tree.find_all(*_DIVISIONS):
        if _may_be_zero(division.expression.unnest()):
            name, instead = _DIVISIONS[type(division)]
            yield at, f"{name} fails for all dates when one of them divides by 0; write {instead}"
            break


def _may_be_zero(divisor: exp.Expression) -> bool:
    if isinstance(divisor, exp.Nullif):
        return not (isinstance(divisor.expression, exp.Literal) and divisor.expression.name == "0")
    return not isinstance(divisor, exp.Literal) or divisor.name.strip("0.") == ""
