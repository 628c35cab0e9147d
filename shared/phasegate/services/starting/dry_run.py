"""Every statement of a pipeline file is bound before anything is written: what it names is there, and none is run."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from phasegate.domain.checks.question import DuckDbSql, in_dialect, together
from phasegate.domain.errors import InputError, StatementRefused, TableNotThere
from phasegate.domain.operations.preflight import PreflightLine, warned
from phasegate.domain.spec.checks import Check, SqlCheck
from phasegate.domain.spec.pipeline import FENCE_COLUMN, CalendarSpec, Pipeline, TableOutput, did_you_mean
from phasegate.ports import Bound, Parameter, Warehouse
from phasegate.services.starting.file_statements import (
    FileStatement,
    calendar_statements,
    check_statements,
    report_statements,
)
from phasegate.services.starting.own_tables import PlacedSelect, selects_of

SHOWN = 20
"""Statements that one error names."""

Place = Callable[[str, int | None, int | None], str]
"""Says where a part of the pipeline file stands: its path, and line and column in the text there (None: the key)."""

Columns = Mapping[str, Mapping[str, str]]
"""Types by column, by table."""


class Binder(Protocol):
    """A binder binds statements against the tables that a run would find, and runs none."""

    @property
    def is_complete(self) -> bool:
        """Tell whether a table that it does not know will not be there."""

    def columns(self, tables: Iterable[str]) -> Columns:
        """Return the types by column of those tables that it knows."""

    def bind(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Bound]:
        """Bind SELECTs over the tables; in order, what each would yield, or what is wrong with it."""

    def assume(self, table: str, columns: Mapping[str, str]) -> bool:
        """Bind from now on as if there were an empty table of these columns, with BigQuery's types; tell whether it
        can."""

    def bind_calendar(self, sql: str) -> StatementRefused | None:
        """Bind a SELECT over the schedule; return what is wrong with it."""

    def binds_by_types(self, check: Check, kinds: Sequence[str]) -> bool:
        """Tell whether the statement of a check is known to be right for columns of these types."""


@dataclass(frozen=True, slots=True)
class WarehouseBinder:
    """This binder asks a warehouse in which all tables are."""

    warehouse: Warehouse
    """Where the tables are, and the schedule."""

    is_complete: bool = True
    """See the protocol."""

    def columns(self, tables: Iterable[str]) -> Columns:
        """See the protocol."""
        return self.warehouse.columns(tables)

    def bind(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Bound]:
        """See the protocol."""
        return self.warehouse.dry_run(questions)

    def assume(self, table: str, columns: Mapping[str, str]) -> bool:  # noqa: ARG002 - nothing is made there
        """See the protocol: it cannot."""
        return False

    def bind_calendar(self, sql: str) -> StatementRefused | None:
        """See the protocol."""
        bound = self.warehouse.dry_run([(sql, {})])[0]
        return bound if isinstance(bound, StatementRefused) else None

    def binds_by_types(self, check: Check, kinds: Sequence[str]) -> bool:  # noqa: ARG002 - the engine is asked
        """See the protocol: it asks of each."""
        return False


def dry_run(pipeline: Pipeline, binder: Binder, place: Place) -> list[PreflightLine]:
    """Bind every statement of the checks and the report of a pipeline file, and look for each column that they name.

    Returns a warning where some could not be bound, as a table is not there yet. Raises InputError that
    names each that is wrong, with its place; TransientError where that cannot be told just now.
    """
    statements = [*check_statements(pipeline), *report_statements(pipeline)]
    written = {
        x.output.table for phase in pipeline.phases for x in phase.processors if isinstance(x.output, TableOutput)
    }
    # First: what they make, checks and other SELECTs read.
    selects = list(_bound_selects(list(selects_of(pipeline, pipeline.phase_names)), binder))
    columns = binder.columns(sorted({each.table for s in statements for each in s.columns}))
    wrong: list[str] = []
    unbound: dict[str, str] = {}
    to_bind: list[FileStatement] = []
    for statement in statements:
        absent = next((each.table for each in statement.columns if each.table not in columns), None)
        if absent is not None:
            unbound.setdefault(statement.owner, absent)
        elif problems := list(_unknown_columns(statement, columns, place)):
            wrong += problems
        elif not _binds_by_types(statement, columns, binder):
            to_bind.append(statement)
    for select, table, sentence in selects:
        owner = f"the SELECT of {select.ref}"
        if table is not None and (not binder.is_complete or table in written):
            unbound.setdefault(owner, table)
        else:
            wrong.append(f"{place(select.at, None, None)}: {owner}: {sentence}")
    for statement, error in _bound(to_bind, binder):
        if isinstance(error, TableNotThere) and (not binder.is_complete or error.table in written):
            unbound.setdefault(statement.owner, error.table)
        else:
            wrong.append(_said(statement, error, place))
    _require_none(wrong)
    own = [s.owner for s in statements if isinstance(s.question.sql, DuckDbSql)]
    own += ["calendar"] if pipeline.calendar.dialect == "duckdb" else []
    return [*([_not_bound(unbound)] if unbound else []), *([_taken_as_it_is(own)] if own else [])]


def _taken_as_it_is(owners: Sequence[str]) -> PreflightLine:
    named = ", ".join(dict.fromkeys(owners))
    detail = "is taken as it is, and judged on this machine alone"
    return warned("dialect: duckdb", named, detail, "nothing here; --backend gcp refuses it until it is BigQuery's SQL")


def _not_bound(unbound: Mapping[str, str]) -> PreflightLine:
    """unbound: the table that is not there, by what asks it."""
    tables = sorted(set(unbound.values()))
    named = ", ".join(tables[:SHOWN]) + (", …" if len(tables) > SHOWN else "")
    return warned(
        "statements",
        f"{len(unbound)} of checks and SELECTs",
        f"not bound yet, as there is no {named}",
        "nothing now: a start binds them when its workers have made their tables, and so does a plan before that where "
        "`schema_files` names the scripts that make them",
    )


def require_calendar(spec: CalendarSpec, binder: Binder, place: Place) -> None:
    """Require that each expression of the calendar can be bound: raises InputError that names those that cannot be."""
    wrong = [
        _said(statement, error, place)
        for statement in calendar_statements(spec)
        if (error := binder.bind_calendar(in_dialect(spec.dialect, statement.question.sql))) is not None
    ]
    _require_none(list(dict.fromkeys(wrong)))


def _require_none(wrong: Sequence[str]) -> None:
    if wrong:
        more = [f"… and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise InputError("\n".join([*wrong[:SHOWN], *more]))


def _unknown_columns(statement: FileStatement, columns: Columns, place: Place) -> Iterator[str]:
    for each in statement.columns:
        if each.column.casefold() not in {name.casefold() for name in columns[each.table]}:
            near = did_you_mean(each.column, (name for name in columns[each.table] if not name.startswith("_")))
            yield f"{place(each.at, None, None)}: {statement.owner}: {each.table} has no column {each.column}{near}"


def _binds_by_types(statement: FileStatement, columns: Columns, binder: Binder) -> bool:
    if statement.check is None or isinstance(statement.check, SqlCheck):
        return False
    kinds = [
        next(kind for name, kind in columns[each.table].items() if name.casefold() == each.column.casefold())
        for each in statement.columns
    ]
    return binder.binds_by_types(statement.check, kinds)


def _bound(statements: Sequence[FileStatement], binder: Binder) -> Iterator[tuple[FileStatement, StatementRefused]]:
    """What cannot be bound: those of one shape are bound as one, as they are asked; where that fails, each alone."""
    alike: dict[str, list[FileStatement]] = {}
    for statement in statements:
        alike.setdefault(statement.question.shape, []).append(statement)
    groups = list(alike.values())
    asked = [group[0].question if len(group) == 1 else together([each.question for each in group]) for group in groups]
    alone: list[FileStatement] = []
    for group, error in zip(groups, binder.bind([(each.sql, each.parameters) for each in asked]), strict=True):
        if isinstance(error, StatementRefused) and len(group) == 1:
            yield group[0], error
        elif isinstance(error, StatementRefused):
            alone += group
    if alone:
        for statement, error in zip(
            alone, binder.bind([(s.question.sql, s.question.parameters) for s in alone]), strict=True
        ):
            if isinstance(error, StatementRefused):
                yield statement, error


def _bound_selects(selects: Sequence[PlacedSelect], binder: Binder) -> Iterator[tuple[PlacedSelect, str | None, str]]:
    """What is wrong with the SELECTs of processors, by themselves and beside their tables; where it is that a table is
    not there, which one. What one SELECT makes another one may read, which is bound in the next round."""
    waiting = list(selects)
    while waiting:
        known = binder.columns([each.output.table for each in waiting])
        of_tables = [(each.rows_held, each.parameters) for each in waiting if each.output.table in known]
        bound = binder.bind([*((each.select, each.parameters) for each in waiting), *of_tables])
        held = iter(bound[len(waiting) :])
        absent: list[tuple[PlacedSelect, TableNotThere]] = []
        assumed: set[str] = set()
        for select, columns in zip(waiting, bound, strict=False):
            table = select.output.table
            of_table = next(held) if table in known else None
            if isinstance(columns, TableNotThere):
                absent.append((select, columns))
            elif isinstance(columns, StatementRefused):
                yield select, None, select.said(columns)
            elif problems := list(select.problems(columns, of_table if isinstance(of_table, Mapping) else None)):
                yield from ((select, None, sentence) for sentence in problems)
            elif table not in known and binder.assume(table, {**columns, FENCE_COLUMN: "INT64"}):
                assumed.add(table)
        waiting = [select for select, error in absent if error.table in assumed]
        yield from ((each, error.table, each.said(error)) for each, error in absent if error.table not in assumed)


def _said(statement: FileStatement, error: StatementRefused, place: Place) -> str:
    before = statement.lines_before
    if before is None or error.line is None or error.line <= before:
        return f"{place(statement.at, None, None)}: {statement.owner}: {error.sentence}"
    line = error.line - before
    return (
        f"{place(statement.at, line, error.column)}: {statement.owner}: line {line}, column {error.column}: "
        f"{error.sentence}"
    )
