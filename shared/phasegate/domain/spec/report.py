"""A pipeline's report looks beside rows and keys at fields, scores and keys that only the pipeline knows of."""

from pydantic import Field

from phasegate.domain.spec.strict import Column, Strict, TableName


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


class ReportSpec(Strict):
    """The ``report`` section of a pipeline file says what the report looks at; processors are named as in ``needs``."""

    table: TableName | None = Field(
        default=None, description="where one row per report is kept; made when it is not there"
    )
    critical: list[FieldsOf] = Field(default=[], description="fields whose NULLs are counted, by season")
    averages: list[FieldsOf] = Field(default=[], description="fields whose mean is given, by season")
    quality: list[QualityOf] = Field(default=[], description="scores that are put into buckets, by year")
    compared: list[KeysToCompare] = Field(default=[], description="keys of one table that are looked for in another")

    @property
    def processors(self) -> tuple[tuple[str, str], ...]:
        """List (place in the section, processor) of everything that it names."""
        return tuple(
            (f"{section}[{n}].{field}", getattr(each, field))
            for section in ("critical", "averages", "quality", "compared")
            for n, each in enumerate(getattr(self, section))
            for field in ("processor", "against")
            if field in type(each).model_fields
        )
