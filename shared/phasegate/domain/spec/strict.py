"""Every model of the pipeline file has this in common."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
TableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", description="dataset.table")]
Dialect = Literal["bigquery", "duckdb"]
SQL_PATH = r"^([A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*\.sql$"
SqlPath = Annotated[str, Field(pattern=SQL_PATH)]
"""A file in the folder of the pipeline file, or below it."""

JSON_PATH = r"^([A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*\.json$"
JsonPath = Annotated[str, Field(pattern=JSON_PATH)]
"""The same, of a JSON file."""

Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


FORMER_NAMES = {"brake": "circuit_breaker", "playoffs": "canary_number"}
"""Keys that had another name before: former name -> name. Both are read; the former is what is stored and hashed."""


class Strict(BaseModel):
    """Unknown keys are errors, values never change after load, and numbers are finite: no other is read back."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def with_former_names(schema: JsonDict) -> None:
    """Add the former names of keys to the JSON Schema of a model, as deprecated: an editor accepts what is read."""
    properties = schema["properties"]
    if isinstance(properties, dict):
        for former, name in FORMER_NAMES.items():
            if isinstance(rule := properties.get(name), dict):
                properties[former] = {**rule, "deprecated": True, "description": f"former name of `{name}`"}
