"""The checks of the pipeline file are types here, with the threshold of each in words."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from phasegate.domain.spec.strict import Column, Dialect, JsonPath, Name, Strict


class TableCheck(Strict):
    """A check asks a question about one processor's table."""

    name: Name | None = Field(default=None, description="what verdicts and waivers call it; default: the check's kind")
    severity: Literal["block", "warn"] = Field(
        default="block", description="warn: stored and shown, and holds nothing back"
    )


def _number_as_text(value: Any) -> Any:
    """A whole number, which YAML reads where no quotes stand, as the expression that it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Expression = Annotated[str, BeforeValidator(_number_as_text, json_schema_input_type=str | int)]
"""Arithmetic over whole numbers and the calendar's."""


class RowsCheck(TableCheck):
    """This check asks whether the table holds the rows that this date should have. Arithmetic over the calendar's
    numbers."""

    check: Literal["rows"] = Field(default="rows", description="the kind of check")
    exactly: Expression | None = Field(
        default=None, examples=["2 * orders"], description="so many rows: integers, the calendar's numbers, + - * ()"
    )
    at_least: Expression | None = Field(
        default=None, examples=["16 * orders"], description="so many rows or more: integers, numbers, + - * ()"
    )

    @property
    def expression(self) -> str:
        """Return the demanded number, whichever way it was given."""
        return self.exactly if self.exactly is not None else self.at_least or ""

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return f"{'exactly' if self.exactly is not None else 'at least'} {self.expression}"


class EntitiesCheck(TableCheck):
    """This check asks whether the expected keys are present: an entity list of the calendar, or the keys of another
    processor's table."""

    check: Literal["entities"] = Field(default="entities", description="the kind of check")
    key: Column = Field(description="the table's column that holds the keys")
    calendar: Name | None = Field(default=None, description="an entity list of the calendar: the expected keys")
    processor: str | None = Field(default=None, description="whose table's keys are expected, named as in `needs`")
    at_least: float = Field(default=1.0, gt=0, le=1, description="share of the expected keys")

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return f"at least {self.at_least:g} of the expected keys"


class CoverageCheck(TableCheck):
    """This check asks how many of the keys of another processor's table are in this one. Only numbers travel, and a few
    keys."""

    check: Literal["coverage"] = Field(default="coverage", description="the kind of check")
    processor: str = Field(description="whose keys are to be covered")
    keys: list[Column] = Field(min_length=1, description="columns of both tables that make a key together")
    at_least: float = Field(default=1.0, gt=0, le=1, description="share of the other table's keys")

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return f"at least {self.at_least:g} of the keys of {self.processor}"


class NullsCheck(TableCheck):
    """This check asks what share of a column is NULL."""

    check: Literal["nulls"] = Field(default="nulls", description="the kind of check")
    column: Column = Field(description="the column whose NULLs are counted")
    at_most: float = Field(default=0.0, ge=0, lt=1, description="share of the date's rows")

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return f"at most {self.at_most:g} of the rows"


class RangeCheck(TableCheck):
    """This check asks what share of a column's values lies outside a sane range. Both ends are inside, NaN is not; NULL
    is no value."""

    check: Literal["range"] = Field(default="range", description="the kind of check")
    column: Column = Field(description="the column whose values are looked at")
    min: float | None = Field(default=None, allow_inf_nan=False, description="the smallest sane value; default: any")
    max: float | None = Field(default=None, allow_inf_nan=False, description="the largest sane value; default: any")
    at_most: float = Field(default=0.0, ge=0, lt=1, description="share of the date's values")

    @property
    def bounds(self) -> str:
        """Put the range into words."""
        if self.min is None:
            return f"up to {self.max:g}"
        return f"{self.min:g} to {self.max:g}" if self.max is not None else f"from {self.min:g}"

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return f"at most {self.at_most:g} of the values outside {self.bounds}"


class DuplicatesCheck(TableCheck):
    """This check asks that no key is there twice."""

    check: Literal["duplicates"] = Field(default="duplicates", description="the kind of check")
    keys: list[Column] | None = Field(default=None, min_length=1, description="default: the output's keys")

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return "no key twice"


class SqlCheck(TableCheck):
    """This check is any SELECT, for many dates at once: the output's date column, ``ok`` and ``detail``, bounded by
    ``@days``.

    It may return the whole numbers ``expected`` and ``found`` too. A date that it does not name is blocked.
    """

    check: Literal["sql"] = Field(default="sql", description="the kind of check")
    query: str = Field(min_length=1, max_length=10_000, description="one SELECT in the BigQuery dialect")
    dialect: Dialect = Field(
        default="bigquery",
        exclude_if=lambda dialect: dialect == "bigquery",
        description="`duckdb`: the query is DuckDB's own SQL, which is not translated; embedded mode alone takes it",
    )

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return "ok on every row of the date"


class JsonSchemaCheck(TableCheck):
    """This check asks whether an object is JSON that a schema allows. It is the one check of objects, and of no
    table."""

    check: Literal["json_schema"] = Field(default="json_schema", description="the kind of check")
    schema_file: JsonPath = Field(
        alias="schema",
        examples=["exports/results.schema.json"],
        description="file of a JSON Schema (draft 2020-12, or what its `$schema` names), below the folder of this file",
    )

    @property
    def threshold(self) -> str:
        """Put the demand into words."""
        return f"as {self.schema_file} has it"


Check = Annotated[
    RowsCheck | EntitiesCheck | CoverageCheck | NullsCheck | RangeCheck | DuplicatesCheck | SqlCheck | JsonSchemaCheck,
    Field(discriminator="check"),
]

KINDS = ("rows", "entities", "coverage", "nulls", "range", "duplicates", "sql", "json_schema")


def says_how_much(check: Check) -> bool:
    """Tell whether a check holds back a table that lacks rows; sound values and single keys say nothing of that."""
    return check.severity == "block" and isinstance(check, RowsCheck | EntitiesCheck | CoverageCheck | SqlCheck)


def name_of(check: Check) -> str:
    """Return what verdicts and waivers call a check."""
    return check.name or check.check


ADOPTED, PROOF, UNRECOVERABLE, NOTHING_DUE = "adopted", "proof", "unrecoverable", "nothing_due"
"""Verdicts of no check of the pipeline file: an output that was adopted when the run was planned is gone; one that was
found sound cannot be asked any more; there is none, as the source is gone, and a person goes on without it; there are
rows where none are right, and nobody was called who would take them away."""

OWN_CHECKS = (ADOPTED, PROOF, UNRECOVERABLE, NOTHING_DUE)
"""Names that no check of a pipeline file may have."""


def tell_of_units(checks: Iterable[Check]) -> frozenset[str]:
    """Name what tells by itself that a table lacks units or has others than are due: of its checks those that say how
    much it holds, and that its source is gone."""
    return frozenset({UNRECOVERABLE, *(name_of(check) for check in checks if says_how_much(check))})
