"""The frozen plan of a run: a document that is shown, confirmed, stored, hashed and never changed."""

import hashlib
import json
from datetime import date
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from phasegate.domain.calendar.dates import GameDate
from phasegate.domain.plan.index import PlanIndex
from phasegate.domain.spec.pipeline import Pipeline, RampStep

RUN, ADOPT = "r", "a"
"""Letters of ``Plan.work``: the task is run, or its output was found sound in the table and is adopted."""

PLAN_VERSION = 1


class Plan(BaseModel):
    """What one run does: frozen when the run starts.

    phases: the selected ones, in order. days: the selected dates, in order. calendar: every date of the
    seasons concerned (windows reach beyond the selection). work: ``phase/processor`` -> one letter a selected date.
    canary: the dates that go first, each with those of its windows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = PLAN_VERSION
    pipeline: Pipeline
    phases: tuple[str, ...]
    days: tuple[date, ...]
    calendar: tuple[GameDate, ...]
    work: dict[str, str]
    ramp: tuple[RampStep, ...] = ()
    canary: tuple[date, ...] = ()
    reprocess: str
    code_version: str

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 over the plan's content."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def with_work(self, work: dict[str, str]) -> "Plan":
        """The same plan with other letters."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Plan(**{**fields, "work": work})

    @cached_property
    def index(self) -> PlanIndex:
        """The compiled form."""
        return PlanIndex(self)
