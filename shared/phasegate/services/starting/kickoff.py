"""Kick-off on a cloud: a request over HTTP or in a message becomes a run, once."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.operations.preflight import PreflightLine, require_passed
from phasegate.domain.plan import Plan
from phasegate.domain.spec.pipeline import Pipeline, did_you_mean
from phasegate.domain.state.run import RUN_ID, Run
from phasegate.ports import Installation
from phasegate.services.backend import Backend
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.planner import Reprocess
from phasegate.services.starting.preflight import check_everything, subject_of
from phasegate.services.starting.starter import (
    RunRequest,
    begin_run,
    existing_run,
    ids_of,
    is_answered_by,
    plan_of,
    settled,
)


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


def kick_off(
    backend: Backend,
    installation: Installation,
    pipeline: Pipeline,
    run_request: RunRequest,
    run_id: str | None,
    sent_at: datetime | None = None,
) -> Run:
    """The run that answers a request: the one of that id, the unfinished one of the same request, or a new one.

    sent_at: when the message was published; the same message again finds the run it began, also after its end.
    A crash before the conductor is woken leaves an unfinished run, which the next sweep begins.
    Raises InputError for a bad request and for what preflight fails, before anything is written.
    """
    state = backend.state
    asked = run_request.identity(pipeline)
    there = existing_run(state, asked, run_id)
    if there is not None:
        return there
    calendar, now = calendar_of(backend, pipeline), backend.clock.now()
    run_request = settled(run_request, pipeline, calendar, now)
    subject = subject_of(pipeline, calendar, run_request)
    require_passed(check_everything(subject, run_request.overrides, now, backend.warehouse, installation))
    plan = _plan(backend, pipeline, calendar, run_request)
    for name in (run_id,) if run_id is not None else ids_of(pipeline.pipeline, asked):
        run, is_new = begin_run(state, backend.clock, name, run_request, asked, plan)
        if is_new or run_id is not None or is_answered_by(state, run, sent_at):
            backend.wake_conductor(name)
            return run
    raise AssertionError("names of runs never end")


def preflight_for(
    backend: Backend, installation: Installation, pipeline: Pipeline, run_request: RunRequest
) -> list[PreflightLine]:
    """What ``kick_off`` would check for a request. Raises InputError for a bad one."""
    calendar, now = calendar_of(backend, pipeline), backend.clock.now()
    subject = subject_of(pipeline, calendar, settled(run_request, pipeline, calendar, now))
    return check_everything(subject, run_request.overrides, now, backend.warehouse, installation)


def calendar_of(backend: Backend, pipeline: Pipeline) -> Calendar:
    """The calendar of the warehouse's schedule table."""
    return read_calendar(pipeline.calendar, lambda sql: list(backend.warehouse.query(sql)))


def plan_for(backend: Backend, pipeline: Pipeline, run_request: RunRequest) -> Plan:
    """The plan of a request, with the calendar of the warehouse's schedule table."""
    return _plan(backend, pipeline, calendar_of(backend, pipeline), run_request)


def _plan(backend: Backend, pipeline: Pipeline, calendar: Calendar, run_request: RunRequest) -> Plan:
    return plan_of(run_request, pipeline, calendar, Prover(backend.warehouse, backend.objects), backend.state)


def require_deployed(pipeline: Pipeline, named: str | None) -> None:
    """Raises InputError when a kick-off names a pipeline that this deployment does not run."""
    if named is not None and named != pipeline.pipeline:
        raise InputError(f"pipeline: '{named}' is not deployed here{did_you_mean(named, [pipeline.pipeline])}")
