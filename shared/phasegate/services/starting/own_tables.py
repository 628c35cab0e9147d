"""Phasegate makes the tables that nobody else makes: its history, and those of processors that are a SELECT."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

from phasegate.domain.calendar.sql_parameters import SQL_PARAMETERS
from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import FENCE_COLUMN, Pipeline, Processor, TableOutput, did_you_mean
from phasegate.ports import Warehouse

HISTORY_COLUMNS = (
    "run_id STRING, data_date DATE, phase STRING, processor_name STRING, attempt INT64, status STRING, "
    "error_class STRING, message STRING, rows_written INT64, fence INT64, code_version STRING, started_at TIMESTAMP, "
    "finished_at TIMESTAMP, proved BOOL"
)
"""The columns of the history table: one row per attempt (docs/pipeline.md says what stands in each)."""

_PARAMETERS = dict.fromkeys(SQL_PARAMETERS, date(2024, 1, 1))
"""A SELECT is bound for some date: its columns are the same on each."""

_TAKES: Mapping[str, Collection[str]] = {
    "NUMERIC": ("INT64",),
    "BIGNUMERIC": ("INT64", "NUMERIC"),
    "FLOAT64": ("INT64", "NUMERIC", "BIGNUMERIC"),
}
"""Types of a column, and those of values that it takes besides its own
(https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules, "Supertypes", 2026)."""


def made_here(pipeline: Pipeline, phases: Sequence[str]) -> frozenset[str]:
    """Name the tables of these phases that need not be there before a start: ``make_own_tables`` makes them."""
    return frozenset({pipeline.history_table, *(output.table for _, _, output in _selects(pipeline, phases))})


def make_own_tables(pipeline: Pipeline, phases: Sequence[str], warehouse: Warehouse) -> None:
    """Make those that are absent, and judge whether each SELECT of these phases fits its table.

    Nothing is made anew, and nothing is changed in what is there. Raises InputError that names the file for a SELECT
    that cannot be bound, or has columns that its table does not take.
    """
    selects = list(_selects(pipeline, phases))
    there = warehouse.columns([pipeline.history_table, *(output.table for *_, output in selects)])
    if pipeline.history_table not in there:
        warehouse.apply_schema(
            f"CREATE TABLE IF NOT EXISTS `{pipeline.history_table}` ({HISTORY_COLUMNS}) PARTITION BY data_date"
        )
    for file in dict.fromkeys(x.schema_file for _, x, output in selects if output.table not in there):
        if file is not None:
            warehouse.apply_schema(pipeline.sql_files[file])
    waiting = selects
    while waiting:
        errors: list[InputError] = []
        left: list[tuple[str, Processor, TableOutput]] = []
        for one in waiting:
            try:
                _make_and_judge(pipeline, one[1], one[2], warehouse)
            except _CannotBeBound as error:
                errors.append(error)
                left.append(one)
        # What one SELECT reads another one's table may be, and is made in the next round.
        if len(left) == len(waiting):
            raise InputError("\n".join(map(str, errors)))
        waiting = left


class _CannotBeBound(InputError):
    """A SELECT names what is not there."""


def _selects(pipeline: Pipeline, phases: Sequence[str]) -> Iterator[tuple[str, Processor, TableOutput]]:
    for name in phases:
        for processor in pipeline.phase(name).processors:
            if processor.sql is not None and isinstance(processor.output, TableOutput):
                yield name, processor, processor.output


def _make_and_judge(pipeline: Pipeline, processor: Processor, output: TableOutput, warehouse: Warehouse) -> None:
    try:
        selected = warehouse.select_columns(pipeline.select_of(processor), _PARAMETERS)
    except InputError as error:
        raise _CannotBeBound(f"{processor.sql}: {error}") from error
    for name in (output.date_column, *output.keys):
        if name not in selected:
            raise InputError(f"{processor.sql}: the SELECT has no column '{name}'{did_you_mean(name, selected)}")
    if selected[output.date_column] != "DATE":
        kind = selected[output.date_column]
        raise InputError(f"{processor.sql}: column '{output.date_column}' is of type {kind}; dates are a DATE")
    if FENCE_COLUMN in selected:
        raise InputError(f"{processor.sql}: the column {FENCE_COLUMN} is written by Phasegate; take it out")
    if output.table not in warehouse.columns([output.table]):
        columns = ", ".join(f"`{name}` {kind}" for name, kind in (*selected.items(), (FENCE_COLUMN, "INT64")))
        warehouse.apply_schema(
            f"CREATE TABLE IF NOT EXISTS `{output.table}` ({columns}) PARTITION BY `{output.date_column}`"
        )
        return
    rows = f"SELECT * FROM `{output.table}` WHERE `{output.date_column}` = @d"
    held = {name.casefold(): kind for name, kind in warehouse.select_columns(rows, _PARAMETERS).items()}
    if FENCE_COLUMN not in held:
        raise InputError(
            f"{processor.sql}: {output.table} has no column {FENCE_COLUMN} INT64, in which each row carries its fence; "
            "add it"
        )
    for name, kind in selected.items():
        if (of_table := held.get(name.casefold())) is None:
            raise InputError(f"{processor.sql}: {output.table} has no column '{name}'{did_you_mean(name, held)}")
        if kind != of_table and kind not in _TAKES.get(of_table, ()):
            raise InputError(
                f"{processor.sql}: column '{name}' of the SELECT is of type {kind}, and that of {output.table} of type "
                f"{of_table}; cast it, or change the table"
            )
