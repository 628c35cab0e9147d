"""A deployment is found by the environment, which Terraform, the local stack and the tests all set alike."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasegate.domain.errors import InputError

PREFIX = "PHASEGATE_"


class CloudSettings(BaseModel):
    """Settings describe one deployment on Google Cloud, or the local stack that stands in for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field(pattern=r"^[a-z][a-z0-9:.-]{2,62}$", description="the Google Cloud project's id")
    region: str = Field(
        default="us-central1", pattern=r"^[a-z][a-z0-9-]+$", description="the region of functions, queues and jobs"
    )
    database: str = Field(default="(default)", description="the id of the Firestore database")
    location: str = Field(default="US", description="BigQuery's location of all datasets")
    bucket: str = Field(
        default="phasegate-objects",
        pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$",
        description="the Cloud Storage bucket of the object store",
    )
    pipeline: Path | None = Field(
        default=None,
        description="the deployed pipeline file; none: not said, as in a worker's service, which needs none",
    )
    dispatcher_url: str = Field(default="", description="where Cloud Tasks delivers pages of dates to dispatch")
    runner_url: str = Field(default="", description="where Cloud Tasks delivers the tasks of processors")
    conductor_url: str = Field(default="", description="where Cloud Tasks delivers wake-ups of the conductor")
    verifier_url: str = Field(default="", description="where Cloud Tasks delivers requests for a report")
    sweeper_url: str = Field(
        default="",
        description="where Cloud Tasks delivers sweeps, and Cloud Scheduler asks for them; read by preflight",
    )
    invoker: str = Field(
        default="",
        description="the service account whose identity token Cloud Tasks sends (functions send their own); empty: no "
        "token is sent, as on the local stack",
    )
    callers: str = Field(
        default="",
        description="the accounts that may call this function, separated by commas; empty: whoever reaches it",
    )
    audiences: str = Field(
        default="",
        description="the addresses of this function that a caller's identity token may be made for, separated by "
        "commas; needed where `callers` is set",
    )
    max_bytes_billed: int = Field(
        default=20 * 1024**3,
        ge=10 * 1024**2,
        description="bytes that one query may read; one that would read more fails free of charge (BigQuery pricing)",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "CloudSettings":
        """Read the settings of ``PHASEGATE_PROJECT``, ``PHASEGATE_REGION``, …. Raises InputError that names the
        variable.
        """
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
