"""What a pipeline's report looks at beside rows and keys: fields, scores and keys that only the pipeline knows of."""

from pydantic import Field

from phasegate.domain.spec.strict import Column, Strict, TableName


class FieldsOf(Strict):
    """Columns of one processor's table."""

    processor: str
    columns: list[Column] = Field(min_length=1)


class QualityOf(Strict):
    """A score of a processor's table, between 0 and 100, in one column."""

    processor: str
    column: Column


class KeysCompared(Strict):
    """Distinct values of a column on each date: how many the one table has, how many the other one has of them."""

    key: Column
    processor: str
    against: str


class ReportSpec(Strict):
    """The ``report`` section of a pipeline file; processors are named as in ``needs``.

    table: where one row a report is kept; made when it is not there. critical: fields whose NULLs are counted.
    averages: fields whose mean is given by season. quality: scores put into buckets by year.
    """

    table: TableName | None = None
    critical: list[FieldsOf] = Field(default=[])
    averages: list[FieldsOf] = Field(default=[])
    quality: list[QualityOf] = Field(default=[])
    compared: list[KeysCompared] = Field(default=[])

    @property
    def processors(self) -> tuple[tuple[str, str], ...]:
        """(place in the section, processor) of everything that it names."""
        return tuple(
            (f"{section}[{n}].{field}", getattr(each, field))
            for section in ("critical", "averages", "quality", "compared")
            for n, each in enumerate(getattr(self, section))
            for field in ("processor", "against")
            if field in type(each).model_fields
        )
