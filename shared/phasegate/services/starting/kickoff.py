"""A kick-off: what a person, a schedule or another service asks the starter for, over HTTP or in a message."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.state.run import RUN_ID
from phasegate.services.starting.request import Reprocess, RunRequest


def _several(value: Any) -> Any:
    """One text stands for a list of one, and ``"a, b"`` for two."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Days = Annotated[tuple[date, ...], BeforeValidator(_several)]
Seasons = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Kickoff(BaseModel):
    """The body of a kick-off; keys are those of the command line's options. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$")
    pipeline: str | None = Field(default=None, description="must be the deployed one, when given")
    season: Seasons = ()
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")
    dates: Days = ()
    exclude: Days = ()
    phases: str | None = None
    reprocess: Reprocess = "missing"
    profile: str | None = None
    why: str = Field(default="", max_length=500)
    include_live: Days = ()
    exclude_live: bool = False
    allow_destructive: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()

    def run_request(self, pipeline_file: str) -> RunRequest:
        """What it asks for."""
        selection = Selection(self.season, self.first, self.last, self.dates, self.exclude, self.exclude_live)
        overrides = Overrides(self.include_live, self.allow_destructive)
        return RunRequest(
            selection, pipeline_file, None, self.phases, self.profile, self.reprocess, self.why, overrides
        )
