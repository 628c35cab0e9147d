"""The cross-check says in the pipeline file by what else the calendar can be told right or wrong."""

from pydantic import Field

from phasegate.domain.spec.strict import Column, Strict, TableName


class CrossCheckTable(Strict):
    """A table that holds rows of the calendar's units: a source, or one that the pipeline itself fills."""

    table: TableName = Field(description="where the rows are read")
    date_column: Column = Field(description="the table's column for the date")
    file: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]+\.parquet$",
        examples=["orders.parquet"],
        description="the file of the source folder that the rows come from in embedded mode; there it is read as well, "
        "also before the table is made",
    )
    key: list[Column] | None = Field(
        default=None, min_length=1, description="its columns that name the unit, in the order of the calendar's `key`"
    )
    condition: str = Field(default="TRUE", description="SQL: which of its rows are looked at")
    rows: str = Field(default="rows", min_length=1, examples=["order lines"], description="what its rows are called")
    holds_all: bool = Field(
        default=True, description="every unit of the calendar must have rows; false: those without are right too"
    )


class CrossCheckSpec(Strict):
    """The cross-check compares the schedule with tables that hold its units: what one has and another lacks."""

    units: str = Field(min_length=1, examples=["orders"], description="what rows of the schedule are called, plural")
    key: list[Column] = Field(min_length=1, description="columns of the schedule that tell its units apart")
    postponed: str | None = Field(
        default=None,
        min_length=1,
        examples=["status = 'cancelled'"],
        description="SQL: rows of the schedule that plainly do not count; any other of a past date that fails "
        "`condition` is a finding; without it none is, unless `condition` is NULL",
    )
    tables: list[CrossCheckTable] = Field(default=[], description="what the schedule is compared with")
