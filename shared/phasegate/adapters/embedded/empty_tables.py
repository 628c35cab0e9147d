"""Tables without rows stand for those of a home while nothing may be written: statements are bound against them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from phasegate.adapters.bigquery_sql import created_table, read_script, tables_of
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import InputError, StatementRefused
from phasegate.domain.spec.checks import Check, RangeCheck
from phasegate.ports import Bound, Parameter

_NUMBERS = frozenset({"BIGINT", "INTEGER", "DOUBLE", "FLOAT", "INT64", "FLOAT64", "NUMERIC"})
_PLAIN = frozenset(
    {*_NUMBERS, "VARCHAR", "STRING", "BOOLEAN", "BOOL", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATETIME"}
)
"""Types, in DuckDB's words and BigQuery's, for which the statements of checks are known to be right (``binds_by_types``
in ``tests/contract/test_dry_run.py``)."""


class EmptyTables:
    """The tables that a home has, and those that its pipeline's schema scripts will make, are bound against here.

    there: DuckDB's types by column, by table, of those that the home has. scripts: texts of ``CREATE TABLE`` statements
    by their file. is_complete: whether these, and what SELECTs make, are all that there will be. bind_calendar: binds a
    SELECT over the schedule.
    """

    def __init__(
        self,
        there: Mapping[str, Mapping[str, str]],
        scripts: Mapping[str, str],
        bind_calendar: Callable[[str], StatementRefused | None],
        *,
        is_complete: bool,
    ) -> None:
        self._there, self._scripts, self.bind_calendar = there, scripts, bind_calendar
        self._is_complete = is_complete

    @property
    def is_complete(self) -> bool:
        """See the protocol."""
        return self._is_complete

    def columns(self, tables: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """See the protocol."""
        known = {**self._laid_out, **self._there}
        return {table: known[table] for table in tables if table in known}

    def bind(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Bound]:
        """See the protocol. A warehouse in memory is made for it."""
        if not questions:
            return []
        warehouse = DuckDbWarehouse(Path(":memory:"))
        try:
            # Only what is asked about: to make every table of a large schema would take as long as the rest of a plan.
            named = {table for sql, _ in questions for table in tables_of(sql)}
            for table in sorted(named & self._creations.keys()):
                warehouse.apply_schema(self._creations[table].sql(dialect=BigQuery))
            warehouse.lay_out({table: self._there[table] for table in sorted(named & self._there.keys())})
            return warehouse.dry_run(questions)
        finally:
            warehouse.close()

    def assume(self, table: str, columns: Mapping[str, str]) -> bool:
        """See the protocol. It cannot where a type is none of BigQuery's."""
        listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
        try:
            (tree,) = read_script(f"CREATE TABLE `{table}` ({listed})")
            self._laid_out[table] = _columns_of(tree)
        except (InputError, ValueError):
            return False
        self._creations[table] = tree
        return True

    def binds_by_types(self, check: Check, kinds: Sequence[str]) -> bool:
        """See the protocol: the statements of checks are ours, and what they do with plain columns is known."""
        if isinstance(check, RangeCheck) and kinds[0].partition("(")[0].replace("DECIMAL", "NUMERIC") not in _NUMBERS:
            return False
        return all(kind.partition("(")[0].replace("DECIMAL", "NUMERIC") in _PLAIN for kind in kinds)

    @cached_property
    def _creations(self) -> dict[str, exp.Expr]:
        """The statement of the scripts that makes each table, or what is assumed of it."""
        found: dict[str, exp.Expr] = {}
        for file, text in self._scripts.items():
            try:
                for tree in read_script(text):
                    table = created_table(tree)
                    found.setdefault(f"{table.db}.{table.name}", tree)
            except InputError as error:
                raise InputError(f"schema_files: {file}: {error}") from error
        return found

    @cached_property
    def _laid_out(self) -> dict[str, dict[str, str]]:
        """BigQuery's types by column, by table, of the scripts and of what is assumed."""
        return {table: _columns_of(tree) for table, tree in self._creations.items()}


def _columns_of(creation: exp.Expr) -> dict[str, str]:
    """BigQuery's types by column of a CREATE TABLE."""
    return {
        each.name: each.kind.sql(dialect=BigQuery)
        for each in creation.this.expressions
        if isinstance(each, exp.ColumnDef) and each.kind is not None
    }
