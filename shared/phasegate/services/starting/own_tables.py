"""Phasegate makes the tables that nobody else makes: its history, and those of processors that are a SELECT."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from phasegate.domain.calendar.sql_parameters import SQL_PARAMETERS, WINDOW_START, lookbacks_of, set_parameters
from phasegate.domain.errors import InputError, StatementRefused
from phasegate.domain.spec.pipeline import FENCE_COLUMN, Pipeline, TableOutput, did_you_mean
from phasegate.ports import Parameter, Warehouse

HISTORY_COLUMNS = (
    "run_id STRING, data_date DATE, phase STRING, processor_name STRING, attempt INT64, status STRING, "
    "error_class STRING, message STRING, rows_written INT64, fence INT64, code_version STRING, started_at TIMESTAMP, "
    "finished_at TIMESTAMP, proved BOOL"
)
"""The columns of the history table: one row per attempt (docs/pipeline.md says what stands in each)."""

_TAKES: Mapping[str, Collection[str]] = {
    "NUMERIC": ("INT64",),
    "BIGNUMERIC": ("INT64", "NUMERIC"),
    "FLOAT64": ("INT64", "NUMERIC", "BIGNUMERIC"),
}
"""Types of a column, and those of values that it takes besides its own
(https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules, "Supertypes", 2026)."""


def made_here(pipeline: Pipeline, phases: Sequence[str]) -> frozenset[str]:
    """Name the tables of these phases that need not be there before a start: ``make_own_tables`` makes them."""
    return frozenset({pipeline.history_table, *(each.output.table for each in selects_of(pipeline, phases))})


def make_own_tables(pipeline: Pipeline, phases: Sequence[str], warehouse: Warehouse) -> None:
    """Make those that are absent: the history, and those of SELECTs by the schema scripts, or else from the columns of
    the SELECT.

    Nothing is changed in what is there. Raises InputError that names the file for a SELECT that cannot be bound, or
    whose columns make no such table.
    """
    selects = list(selects_of(pipeline, phases))
    tables = [pipeline.history_table, *(each.output.table for each in selects)]
    absent = set(tables) - warehouse.columns(tables).keys()
    if absent - {pipeline.history_table} and pipeline.schema_texts:
        for script in pipeline.schema_texts.values():
            warehouse.apply_schema(script)
        absent -= warehouse.columns(tables).keys()
    if pipeline.history_table in absent:
        warehouse.apply_schema(history_script(pipeline))
    waiting = [each for each in selects if each.output.table in absent]
    while waiting:
        found = warehouse.dry_run([(each.select, each.parameters) for each in waiting])
        bound = [(each, columns) for each, columns in zip(waiting, found, strict=True) if isinstance(columns, Mapping)]
        if not bound:
            raise InputError("\n".join(each.said(error) for each, error in zip(waiting, found, strict=True)))
        for each, columns in bound:
            if problems := list(each.problems(columns, None)):
                raise InputError("\n".join(problems))
            listed = ", ".join(f"`{name}` {kind}" for name, kind in (*columns.items(), (FENCE_COLUMN, "INT64")))
            warehouse.apply_schema(_creation(each.output.table, listed, f"`{each.output.date_column}`"))
        # What one SELECT reads another one's table may be, and is made in the next round.
        waiting = [each for each in waiting if each not in [made for made, _ in bound]]


def history_script(pipeline: Pipeline) -> str:
    """Return the statement that makes a pipeline's history table."""
    return _creation(pipeline.history_table, HISTORY_COLUMNS, "data_date")


def _creation(table: str, columns: str, date_column: str) -> str:
    return f"CREATE TABLE IF NOT EXISTS `{table}` ({columns}) PARTITION BY {date_column}"


@dataclass(frozen=True, slots=True)
class PlacedSelect:
    """A SELECT of the pipeline file is a processor's, and makes the rows of its table."""

    at: str
    """The path of its key in the pipeline file."""

    ref: str
    """``phase/processor``."""

    file: str
    """The file of its text, as the pipeline file names it."""

    select: str
    """The statement."""

    output: TableOutput
    """The table that its rows go into."""

    has_window: bool
    """Whether a lookback gate leads to the processor."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Return what it is bound with: its columns are the same on each date."""
        of_date = {name: date(2024, 1, 1) for name in SQL_PARAMETERS if self.has_window or name != WINDOW_START}
        return {**of_date, **set_parameters([of_date])}

    @property
    def rows_held(self) -> str:
        """Return a SELECT of the rows of its table, by which the table's columns are known as a SELECT's are."""
        return f"SELECT * FROM `{self.output.table}` WHERE `{self.output.date_column}` = @d"

    def said(self, error: object) -> str:
        """Return what is wrong with it, with the place in its file where there is one."""
        if isinstance(error, StatementRefused):
            where = "" if error.line is None else f":{error.line}:{error.column}"
            return f"{self.file}{where}: {error.sentence}"
        return f"{self.file}: {error}"

    def problems(self, selected: Mapping[str, str], held: Mapping[str, str] | None) -> Iterator[str]:
        """Find why its rows do not fit its table: a sentence for each reason.

        selected, held: BigQuery's SQL types by column, of the SELECT and of the table; None: the table is made of it.
        """
        day, table = self.output.date_column, self.output.table
        for name in dict.fromkeys((day, *self.output.keys)):
            if name not in selected:
                yield f"{self.file}: the SELECT has no column '{name}'{did_you_mean(name, selected)}"
        if selected.get(day, "DATE") != "DATE":
            yield f"{self.file}: column '{day}' is of type {selected[day]}; dates are a DATE"
        if FENCE_COLUMN in selected:
            yield (
                f"{self.file}: the column {FENCE_COLUMN} is written by Phasegate; take it out (SELECT * EXCEPT "
                f"({FENCE_COLUMN}))"
            )
        if held is None:
            return
        types = {name.casefold(): kind for name, kind in held.items()}
        if FENCE_COLUMN not in types:
            yield (
                f"{self.file}: {table} has no column {FENCE_COLUMN} INT64, in which each row carries its fence; add it"
            )
        for name, kind in selected.items():
            if (of_table := types.get(name.casefold())) is None:
                yield f"{self.file}: {table} has no column '{name}'{did_you_mean(name, held)}"
            elif kind != of_table and kind not in _TAKES.get(of_table, ()):
                yield (
                    f"{self.file}: column '{name}' of the SELECT is of type {kind}, and that of {table} of type "
                    f"{of_table}; cast it, or change the table"
                )


def selects_of(pipeline: Pipeline, phases: Sequence[str]) -> Iterator[PlacedSelect]:
    """Yield the SELECTs of these phases, in the order of the file."""
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors if phase.name in phases else ()):
            if processor.sql is not None and isinstance(processor.output, TableOutput):
                yield PlacedSelect(
                    f"phases[{p}].processors[{i}].sql",
                    f"{phase.name}/{processor.name}",
                    processor.sql,
                    pipeline.select_of(processor),
                    processor.output,
                    any(lookbacks_of(pipeline, phase.name, processor.name)),
                )
