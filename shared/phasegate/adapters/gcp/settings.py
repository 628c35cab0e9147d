"""Where a deployment lives: read from the environment, which Terraform, the local stack and the tests all set alike."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasegate.domain.errors import InputError

PREFIX = "PHASEGATE_"


class CloudSettings(BaseModel):
    """One deployment on Google Cloud, or the local stack that stands in for it.

    pipeline: the deployed pipeline file; None: not said, as in a worker's service, which needs none. bucket: the
    object store. database: Firestore's.
    dispatcher_url, runner_url, conductor_url, verifier_url: where Cloud Tasks delivers. sweeper_url: where Cloud
    Scheduler calls, for preflight. invoker: the service account whose identity token Cloud Tasks sends (functions send
    their own); empty: none (the local stack).
    callers: the accounts that may call this function, separated by commas; empty: whoever reaches it.
    max_bytes_billed: a query that would read more fails free of charge (BigQuery pricing); default 20 GiB.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field(pattern=r"^[a-z][a-z0-9:.-]{2,62}$")
    region: str = Field(default="us-central1", pattern=r"^[a-z][a-z0-9-]+$")
    database: str = "(default)"
    location: str = Field(default="US", description="BigQuery's location of all datasets")
    bucket: str = Field(default="phasegate-objects", pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")
    pipeline: Path | None = None
    dispatcher_url: str = ""
    runner_url: str = ""
    conductor_url: str = ""
    verifier_url: str = ""
    sweeper_url: str = ""
    invoker: str = ""
    callers: str = ""
    max_bytes_billed: int = Field(default=20 * 1024**3, ge=10 * 1024**2)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "CloudSettings":
        """Settings of ``PHASEGATE_PROJECT``, ``PHASEGATE_REGION``, …. Raises InputError that names the variable."""
        given = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if PREFIX + name.upper() in environment
        }
        given.setdefault("project", environment.get("GOOGLE_CLOUD_PROJECT", ""))
        try:
            return cls.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            first = error.errors()[0]
            variable = PREFIX + str(first["loc"][0]).upper()
            problem = "is not set" if first["type"] == "missing" else first["msg"]
            raise InputError(f"{variable}: {problem}; see docs/stack.md for the environment of a deployment") from error
