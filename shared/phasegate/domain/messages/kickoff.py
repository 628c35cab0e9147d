"""A kick-off is what a person, a schedule or another service asks the starter for, over HTTP or in a message."""

from pydantic import BaseModel, ConfigDict, Field

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.messages.requests import Days, Names
from phasegate.domain.messages.run_request import Reprocess, RunRequest
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.protocol.written_dates import WrittenDay
from phasegate.domain.state.run import RUN_ID


class Kickoff(BaseModel):
    """A kick-off asks for a run; keys are those of the command line's options. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$", description="the same id is the same run")
    pipeline: str | None = Field(default=None, description="must be the deployed one, when given")
    season: Names = Field(default=(), description="all dates of these seasons")
    first: WrittenDay | None = Field(default=None, alias="from", description="the first date")
    last: WrittenDay | None = Field(default=None, alias="to", description="the last date")
    dates: Days = Field(default=(), description="these dates alone")
    exclude: Days = Field(default=(), description="dates to leave out")
    phases: str | None = Field(default=None, description="the phases, for example 1..3; null: the profile's, or all")
    reprocess: Reprocess = Field(default="missing", description="what runs of the selected work")
    profile: str | None = Field(default=None, description="a profile of the pipeline file")
    why: str = Field(default="", max_length=500, description="the reason, kept with the run")
    include_live: Days = Field(default=(), description="dates of the live window to work on all the same")
    exclude_live: bool = Field(default=False, description="leave out the dates of the live window")
    allow_destructive: Names = Field(default=(), description="destructive processors that may run")
    alongside: bool = Field(default=False, description="run also what another unfinished run works on")

    def run_request(self, pipeline_file: str) -> RunRequest:
        """Return what the kick-off asks for. pipeline_file: the deployed one."""
        selection = Selection(self.season, self.first, self.last, self.dates, self.exclude, self.exclude_live)
        overrides = Overrides(self.include_live, self.allow_destructive, self.alongside)
        return RunRequest(
            selection, pipeline_file, None, self.phases, self.profile, self.reprocess, self.why, overrides
        )
