"""The schedule may change after a plan was made of it: the plan's frozen calendar is compared with the calendar as it
reads now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.plan.document import Plan
from phasegate.domain.spec.gates import Lookback

KEYS_NAMED = 5
"""Keys of one entity list that are named of one date."""


@dataclass(frozen=True, slots=True)
class ScheduleChanges:
    """These are the dates on which a plan's calendar is not the one that the schedule gives now; none: nothing
    changed for the run."""

    changed: Mapping[date, str] = field(default_factory=dict)
    """Dates of the run that the schedule still has, with what is different, in words."""

    lost: tuple[date, ...] = ()
    """Dates of the run that the schedule does not have any more."""

    gained: tuple[date, ...] = ()
    """Dates that lie in the run's selection, and that the schedule did not have when the run was planned."""

    looked_back_on: tuple[date, ...] = ()
    """Dates outside the run that its windows lose or gain; where a processor of it reads the calendar of its season,
    also those before its last date that are others in any way."""

    @property
    def days(self) -> frozenset[date]:
        """Return all these dates."""
        return frozenset((*self.changed, *self.lost, *self.gained, *self.looked_back_on))

    def __bool__(self) -> bool:
        """Tell whether anything changed."""
        return bool(self.days)


def compare(plan: Plan, now: Calendar, live_from: date | None = None) -> ScheduleChanges:
    """Compare a plan's calendar with the one that the schedule gives now.

    live_from: the first date of the live window, which the live pipeline works on; None: there is none.
    """
    before = Calendar(plan.calendar, plan.by_numbers, frozenset(plan.lost))
    gained = tuple(
        each.day
        for each in now.dates
        if each.day not in before.by_day
        and plan.selects(each.day, each.season)
        and (live_from is None or each.day < live_from)
    )
    lost = tuple(day for day in plan.days if day not in now.by_day and day not in before.lost)
    looked_back_on = _looked_back_on(plan, before).symmetric_difference(_looked_back_on(plan, now))
    looked_back_on |= _others_of_its_seasons(plan, before, now)
    return ScheduleChanges(
        changed={
            day: "; ".join(said)
            for day in plan.days
            if day in now.by_day and (said := list(_differences(before, day, now.by_day[day])))
        },
        lost=lost,
        gained=gained,
        looked_back_on=tuple(sorted(looked_back_on.difference(plan.days, gained))),
    )


def _looked_back_on(plan: Plan, calendar: Calendar) -> set[date]:
    """The dates in the windows of the run, by this calendar."""
    gates = [gate for name in plan.phases for gate in plan.pipeline.phase(name).gates if isinstance(gate, Lookback)]
    windows = {(gate.dates, gate.days) for gate in gates}
    return {
        each
        for day in plan.days
        if day in calendar.by_day
        for dates, days in windows
        for each in calendar.window(day, dates=dates, days=days)
    }


def _others_of_its_seasons(plan: Plan, before: Calendar, now: Calendar) -> set[date]:
    """The dates that are others, of those that the run reads the calendar of: from a season's start to the last date
    that the run has in it."""
    processors = [each for name in plan.phases for each in plan.pipeline.phase(name).processors]
    if all(each.reads_calendar is None for each in processors):
        return set()
    last_of = {before.by_day[day].season: day for day in plan.days}
    one, other = (
        {
            day: replace(calendar.by_day[day], not_held_by=())
            for season, last in last_of.items()
            for day in calendar.seasons.get(season, ())
            if day <= last
        }
        for calendar in (before, now)
    )
    return {day for day in one.keys() | other.keys() if one.get(day) != other.get(day)}


def _differences(calendar: Calendar, day: date, now: CalendarDate) -> Iterator[str]:
    """What is different on one date, a phrase each."""
    before = calendar.by_day[day]
    if day in calendar.lost:
        yield "it is there again"
    if before.season != now.season:
        yield f"season {before.season}, now {now.season}"
    for name, count in now.numbers.items():
        if (known := before.numbers.get(name)) != count:
            yield f"{name} {known}, now {count}"
    for name in sorted({*before.entities, *now.entities}):
        known_keys, keys = set(before.entities.get(name, ())), set(now.entities.get(name, ()))
        for found, word in ((keys - known_keys, "new"), (known_keys - keys, "gone")):
            if found:
                named = ", ".join(sorted(found)[:KEYS_NAMED])
                more = f" and {len(found) - KEYS_NAMED} more" if len(found) > KEYS_NAMED else ""
                yield f"{name}: {named}{more} {word}"
    for name in sorted({*before.not_held_by, *now.not_held_by}):
        if (name in before.not_held_by) != (name in now.not_held_by):
            yield f"{name} {'holds nothing of it any more' if name in now.not_held_by else 'holds it now'}"
