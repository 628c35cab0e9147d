"""A pipeline's report looks beside rows and keys at fields, scores and keys that only the pipeline knows of."""

from pydantic import Field

from phasegate.domain.spec.strict import Column, Name, Strict, TableName


class FieldsOf(Strict):
    """These fields are columns of one processor's table."""

    processor: str = Field(description="a processor that writes a table, named as in `needs`")
    columns: list[Column] = Field(min_length=1, description="columns of its table")


class QualityOf(Strict):
    """A score of a processor's table, between 0 and 100, stands in one column."""

    processor: str = Field(description="a processor that writes a table, named as in `needs`")
    column: Column = Field(description="the column of its table that holds the score")


class KeysToCompare(Strict):
    """Distinct values of a column are compared on each date: how many the one table has, how many the other one has of
    them."""

    key: Column = Field(description="a column of both tables")
    processor: str = Field(description="the processor whose table has the values, named as in `needs`")
    against: str = Field(description="the processor in whose table they are looked for, named as in `needs`")


class Measure(Strict):
    """A measure is a SELECT of the pipeline file whose rows the report shows: what is told of the dates as a whole."""

    name: Name = Field(description="what the report calls it; unique among the measures")
    processor: str = Field(
        description="a processor that writes a table, named as in `needs`; without its phase the measure is not asked"
    )
    description: str = Field(min_length=1, max_length=500, description="what its numbers say, for people")
    query: str = Field(
        min_length=1,
        max_length=10_000,
        description="one SELECT in the BigQuery dialect, bounded by `@days`, `@first` and `@last`: the columns `label` "
        "(STRING) and `value` (a number), and where they help `beside` (a number), `unit` (STRING) and `n` (INT64)",
    )


class ReportSpec(Strict):
    """The ``report`` section of a pipeline file says what the report looks at; processors are named as in ``needs``."""

    table: TableName | None = Field(
        default=None, description="where one row per report is kept; made when it is not there"
    )
    critical: list[FieldsOf] = Field(default=[], description="fields whose NULLs are counted, by season")
    averages: list[FieldsOf] = Field(default=[], description="fields whose mean is given, by season")
    quality: list[QualityOf] = Field(default=[], description="scores that are put into buckets, by year")
    compared: list[KeysToCompare] = Field(default=[], description="keys of one table that are looked for in another")
    measures: list[Measure] = Field(
        default=[],
        exclude_if=lambda measures: not measures,
        description="numbers that a SELECT gives, shown as they are",
    )

    @property
    def processors(self) -> tuple[tuple[str, str], ...]:
        """List (place in the section, processor) of everything that it names."""
        return tuple(
            (f"{section}[{n}].{field}", getattr(each, field))
            for section in ("critical", "averages", "quality", "compared", "measures")
            for n, each in enumerate(getattr(self, section))
            for field in ("processor", "against")
            if field in type(each).model_fields
        )
