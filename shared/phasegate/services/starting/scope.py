"""A request's scope is settled: its phases, and plain dates in place of what depends on calendar and day."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.overrides import without_live
from phasegate.domain.spec.pipeline import NamedColumns, Pipeline, Profile, did_you_mean, select_phases


@dataclass(frozen=True, slots=True)
class RunScope:
    """A scope is what a run would be about: phases of a pipeline over dates."""

    request: RunRequest
    """What was asked for, its selection free of the day on which it was asked."""

    pipeline: Pipeline
    """The pipeline of the request."""

    phases: tuple[str, ...]
    """The chosen phases, in the pipeline's order."""

    calendar: Calendar
    """Every date that the schedule knows."""

    days: tuple[date, ...]
    """The selected dates, in order."""

    @property
    def tables(self) -> Mapping[str, NamedColumns]:
        """Map the tables that the run writes to the columns that the pipeline file names of them."""
        return self.pipeline.tables(self.phases)


def settle_dates(request: RunRequest, pipeline: Pipeline, calendar: Calendar, now: datetime) -> RunScope:
    """Settle the scope of a request.

    now: aware; dates of the live window, which is counted from it, are left out where that is asked for.
    Raises InputError for a selection without dates, and for an unknown phase or profile.
    """
    phases, _ = choose_phases(pipeline, request.phases, request.profile)
    selection = without_live(request.selection, pipeline, calendar.by_day, request.overrides, now)
    settled = replace(request, selection=selection)
    return RunScope(settled, pipeline, phases, calendar, selection.resolve(calendar))


def choose_phases(
    pipeline: Pipeline, phases: str | None, profile: str | None
) -> tuple[tuple[str, ...], Profile | None]:
    """Choose the phases to run, and the profile. Raises InputError for an unknown profile or phase."""
    if profile is not None and profile not in pipeline.profiles:
        raise InputError(f"unknown profile '{profile}'{did_you_mean(profile, pipeline.profiles)}")
    chosen = pipeline.profiles[profile] if profile else None
    span = phases or (chosen.phases if chosen else f"1..{len(pipeline.phases)}")
    try:
        return select_phases(pipeline, span), chosen
    except LookupError as error:
        raise InputError(f"--phases: {error}") from error
