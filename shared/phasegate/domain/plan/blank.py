"""In the blank plan every task runs on every date: a run's plan is made from it, an audit and a rollback need no
other."""

from collections.abc import Sequence
from datetime import date

from phasegate import __version__
from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan.document import PLAN_MINOR, Plan, WorkLetter
from phasegate.domain.spec.pipeline import Pipeline, RampStep


def blank_plan(
    pipeline: Pipeline,
    phases: Sequence[str],
    days: Sequence[date],
    calendar: Sequence[CalendarDate],
    *,
    ramp: Sequence[RampStep] = (),
    canary: Sequence[date] = (),
    stops_at_bad_date: bool = False,
    reprocess: str = "all",
    selection: Selection | None = None,
    lost: Sequence[date] = (),
) -> Plan:
    """Make the plan in which every processor of the phases runs on each of the days.

    phases: in the pipeline's order. days: in order. calendar: the dates among which windows are drawn. selection: what
    was asked for; None: nobody asked. lost: those of the days that the schedule does not have any more.
    """
    return Plan(
        schema_minor=PLAN_MINOR,
        by_numbers=True,
        selection=selection,
        pipeline=pipeline,
        phases=tuple(phases),
        days=tuple(days),
        calendar=tuple(calendar),
        lost=tuple(lost),
        work={f"{n}/{x.name}": WorkLetter.RUN * len(days) for n in phases for x in pipeline.phase(n).processors},
        ramp=tuple(ramp),
        canary=tuple(canary),
        stops_at_bad_date=stops_at_bad_date,
        reprocess=reprocess,
        code_version=__version__,
    )


def seasons_around(calendar: Calendar, days: Sequence[date]) -> tuple[CalendarDate, ...]:
    """Return every date of the seasons that some days lie in: windows reach beyond the days, not beyond a season."""
    seasons = {calendar.by_day[day].season for day in days}
    return tuple(d for d in calendar.dates if d.season in seasons)
