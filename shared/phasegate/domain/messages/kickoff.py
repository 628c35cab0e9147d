"""A kick-off is what a person, a schedule or another service asks the starter for, over HTTP or in a message."""

from dataclasses import replace
from datetime import date

from pydantic import Field

from phasegate.domain.messages.requests import DatesRequest, Days, Names
from phasegate.domain.messages.run_request import Reprocess, RunRequest
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.state.run import RUN_ID


class Kickoff(DatesRequest):
    """A kick-off asks for a run; keys are those of the command line's options. Unknown keys are errors."""

    run_id: str | None = Field(default=None, pattern=f"^{RUN_ID}$", description="the same id is the same run")
    pipeline: str | None = Field(default=None, description="must be the deployed one, when given")
    phases: str | None = Field(default=None, description="the phases, for example 1..3; null: the profile's, or all")
    reprocess: Reprocess = Field(default="missing", description="what runs of the selected work")
    profile: str | None = Field(default=None, description="a profile of the pipeline file")
    why: str = Field(default="", max_length=500, description="the reason, kept with the run")
    include_live: Days = Field(default=(), description="dates of the live window to work on all the same")
    exclude_live: bool = Field(default=False, description="leave out the dates of the live window")
    allow_destructive: Names = Field(default=(), description="destructive processors that may run")
    alongside: bool = Field(default=False, description="run also what another unfinished run works on")

    def run_request(self, pipeline_file: str, today: date) -> RunRequest:
        """Return what the kick-off asks for, in plain dates.

        pipeline_file: the deployed one. today: the date on which the kick-off was sent, in the pipeline's time zone.
        Raises InputError where a range is named in two ways.
        """
        selection = replace(self.selection_on(today), exclude_live=self.exclude_live)
        overrides = Overrides(self.include_live, self.allow_destructive, self.alongside)
        return RunRequest(
            selection, pipeline_file, None, self.phases, self.profile, self.reprocess, self.why, overrides
        )
