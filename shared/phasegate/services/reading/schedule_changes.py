"""A run goes on by the calendar that its plan froze: here it is told in what the schedule differs from that by now."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.errors import NoSchedule, PhasegateError, UnreadableRun
from phasegate.domain.operations.overrides import window_begins
from phasegate.domain.plan import Plan, ScheduleChanges, compare
from phasegate.domain.spec.pipeline import CalendarSpec
from phasegate.domain.state.run import DesiredState, Run
from phasegate.ports import RunReader
from phasegate.services.reading.schedule import Query, read_calendar_at_once


@dataclass(frozen=True, slots=True)
class ScheduleNews:
    """The schedule of one run was read again."""

    run: Run
    """The run."""

    plan: Plan
    """Its plan: the generation that people want it to go by."""

    changes: ScheduleChanges
    """In what the schedule differs from the plan's calendar; nothing, where it could not be read."""

    unread: str = ""
    """Why it could not be read; empty: it was."""

    is_there: bool = True
    """Whether there is a schedule, be it one that cannot be read."""

    def is_about(self, day: date | None) -> bool:
        """Tell whether it is about a date; None: about any."""
        return bool(self.unread) or day is None or day in self.changes.days


def schedule_news(state: RunReader, run_id: str, query_of: Callable[[Run, Plan], Query], now: datetime) -> ScheduleNews:
    """Read the schedule of a run again, in one query, and compare it. A cancelled run goes by none any more.

    query_of: gives what answers the queries of the run's calendar. What is wrong with a source is told, not raised;
    what is wrong with the run is raised.
    """
    run = state.run(run_id)
    plan = state.plan(run_id, run.newest_plan)
    if run.desired_state is DesiredState.CANCELLED:
        return ScheduleNews(run, plan, ScheduleChanges())
    first, last = plan.calendar[0].day, plan.calendar[-1].day
    try:
        calendar = read_calendar_at_once(plan.pipeline.calendar, query_of(run, plan), first, last)
    except (PhasegateError, OSError) as error:
        said = " ".join(str(error).split())
        return ScheduleNews(run, plan, ScheduleChanges(), said, is_there=not isinstance(error, NoSchedule))
    return ScheduleNews(run, plan, compare(plan, calendar, window_begins(plan.pipeline, now)))


def with_lost_dates(calendar: Calendar, state: RunReader, pipeline: str) -> Calendar:
    """Add to a calendar the dates that refreshes of a pipeline's runs noted as lost, and that the schedule does not
    have: rows may stand there that a person takes away."""
    lost: dict[date, CalendarDate] = {}
    for run in state.runs():
        if run.refreshes and run.pipeline == pipeline:
            plan = state.plan(run.run_id, run.newest_plan)
            lost |= {each.day: each for each in plan.calendar if each.day in plan.lost}
    gone = {day: each for day, each in lost.items() if day not in calendar.by_day}
    return replace(Calendar.of((*calendar.dates, *gone.values())), lost=frozenset(gone))


def is_read_alike(one: CalendarSpec, other: CalendarSpec) -> bool:
    """Tell whether two calendars ask a schedule the same: only then what they say of it can be compared."""
    return _asked(one) == _asked(other)


def _asked(spec: CalendarSpec) -> tuple[object, ...]:
    return spec.table, spec.date_column, spec.season_column, spec.condition, spec.numbers, spec.entities, spec.sources


def runs_with_another_schedule(
    state: RunReader, pipeline: str, days: frozenset[date], compared: Callable[[Run, Plan], ScheduleChanges | None]
) -> Iterator[tuple[Run, Plan, ScheduleChanges]]:
    """Find the runs of a pipeline that go by another calendar than the schedule gives now, on some of these dates: the
    unfinished ones, and of those that are over the newest that has one of the dates.

    compared: gives the changes of a run; None: it reads another schedule.
    """
    unfinished = frozenset(state.unfinished())
    has_ended = False
    for run in state.runs():
        is_over = run.run_id not in unfinished
        if run.pipeline != pipeline or run.desired_state is DesiredState.CANCELLED or (is_over and has_ended):
            continue
        try:
            plan = state.plan(run.run_id, run.newest_plan)
        except UnreadableRun:
            continue
        if days.isdisjoint(plan.days):
            continue
        has_ended |= is_over
        changes = compared(run, plan)
        if changes and not days.isdisjoint(changes.days):
            yield run, plan, changes
