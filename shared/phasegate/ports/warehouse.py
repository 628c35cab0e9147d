"""A warehouse has tables with date partitions, as workers write them and the services read them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from phasegate.domain.errors import PhasegateError, StatementRefused

Row = dict[str, Any]
Bound = Mapping[str, str] | StatementRefused
"""What binding a SELECT says: BigQuery's SQL types by column of its rows, or what is wrong with it."""

Struct = Mapping[str, date | int]
"""The fields of a STRUCT, by their names."""

Parameter = str | int | float | bool | date | Sequence[str] | Sequence[date] | Sequence[Struct] | None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition is the rows of one table that belong to one date."""

    table: str
    """``dataset.table``."""
    date_column: str
    """The DATE column that the table is partitioned by."""
    day: date
    """The date that the rows belong to."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """Partitions are those of one table that are written together, each under a fence of its own."""

    table: str
    """``dataset.table``."""
    date_column: str
    """The DATE column that the table is partitioned by."""
    fences: Mapping[date, int]
    """The fence under which each date is written, by date."""

    @classmethod
    def one(cls, partition: Partition, fence: int) -> "Partitions":
        """Return one partition as the only one that is written."""
        return cls(partition.table, partition.date_column, {partition.day: fence})

    def of(self, day: date) -> Partition:
        """Return the partition of one date."""
        return Partition(self.table, self.date_column, day)

    def only(self, days: Collection[date]) -> "Partitions":
        """Return those of some of the dates."""
        fences = {day: fence for day, fence in self.fences.items() if day in days}
        return Partitions(self.table, self.date_column, fences)


Replaced = int | PhasegateError
"""What became of one date among several: the rows written, or why nothing of it was changed."""


class Warehouse(Protocol):
    """A warehouse keeps tables with date partitions. SQL is in the BigQuery dialect, with ``@name`` parameters."""

    def apply_schema(self, ddl: str) -> None:
        """Create the datasets and tables of a script of ``CREATE TABLE IF NOT EXISTS`` statements."""

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Row]:
        """Return the rows of one SELECT. Raises TransientError for what a retry may mend."""

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        """Return the rows of many SELECTs with their parameters, in order; in place of rows, the error that met one: an
        EvaluationError where the SELECT is sound and a value makes it fail."""

    def dry_run(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Bound]:
        """Bind many SELECTs with their parameters and run none; in order, what each would yield, or what is wrong with
        it. Raises TransientError where that cannot be told just now.
        """

    def columns(self, tables: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """Return the SQL types by column of those tables (``dataset.table``) that are there. Raises TransientError."""

    def replace_partition(
        self, partition: Partition, select: str, parameters: Mapping[str, Parameter], fence: int
    ) -> int:
        """Replace the partition by the rows of ``select`` in one transaction; returns the rows written.

        The select names its columns as the table does; the column ``_fence`` is added here.
        Raises StaleFence when a row of the partition carries a higher fence, and WouldEmpty when the select yields no
        row and rows stand there: nothing is changed then.
        """

    def replace_partitions(
        self, partitions: Partitions, select: str, parameters: Mapping[str, Parameter]
    ) -> dict[date, Replaced]:
        """Replace many dates by the rows of one ``select``, in one transaction; returns what became of each date.

        A date's rows are replaced as a whole. A date of which a row carries a higher fence (StaleFence), or for which
        the select yields none over rows that stand there (WouldEmpty), is left as it is, and the others are written.
        Raises InputError for a row of a date that was not asked for, and EvaluationError for a value that makes the
        select fail: nothing is changed on any date then.
        """

    def load_partition(self, partition: Partition, lines: bytes, fence: int) -> int:
        """Do the same as ``replace_partition`` with JSON lines (UTF-8, one object per row, keys are column names)."""

    def load_partitions(self, partitions: Partitions, lines: Mapping[date, bytes]) -> dict[date, Replaced]:
        """Do the same as ``replace_partitions`` with the JSON lines of each date. Lines that do not fit (InputError)
        keep their own date from being written, and no other."""

    def empty_partition(self, partition: Partition, fence: int) -> int:
        """Delete the rows of a partition in one transaction; returns how many there were. Raises StaleFence so."""

    def replace_table(self, table: str, lines: bytes) -> int:
        """Replace a whole reference table by JSON lines, in one transaction; returns the rows written."""

    def append_missing(self, table: str, rows: Sequence[Row], keys: Sequence[str]) -> int:
        """Append, in one statement, the rows whose keys the table does not hold yet; returns how many."""

    def delete_dates(self, table: str, date_column: str, days: Collection[date]) -> int:
        """Delete the rows of these dates in one statement, whatever fence they carry; returns how many there were.

        What is gone already is no error. Raises InputError for a name that is none, and for a table that is not there.
        """

    def close(self) -> None:
        """Release the files or connections."""
