"""The calendar is judged by what else holds its units: a list of expected work may be wrong as well."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.spec.pipeline import CalendarSpec

EDGE_DAYS = 31
"""Days before the first and after the last date of the calendar that are looked at: the first or the last date of the
schedule may be what is missing."""


class GapKind(StrEnum):
    """The calendar and what it is compared with differ in these ways."""

    OFF_THE_CALENDAR = "units_off_the_calendar"
    ONLY_IN_THE_CALENDAR = "units_only_in_the_calendar"
    UNDECIDED = "undecided_in_the_schedule"
    DOUBLED = "doubled_in_the_schedule"
    UNNAMED = "unnamed_in_the_schedule"


@dataclass(frozen=True, slots=True)
class ScheduleUnit:
    """The rows of the schedule that one unit has on one date."""

    day: date | None
    """Their date; None: they have none."""

    key: str
    """The unit."""

    season: str
    """The season that they name."""

    rows: int
    """How many rows there are."""

    counts: int
    """Those that meet the calendar's condition."""

    unknown: int
    """Those for which the condition is NULL."""

    postponed: int
    """Those that fail it, and plainly do not count."""

    unnamed: int = 0
    """Those in which a column of the key is NULL."""


@dataclass(frozen=True, slots=True)
class TableUnit:
    """The rows of a compared table that one unit has on one date."""

    day: date | None
    """Their date; None: they have none."""

    key: str
    """The unit."""

    rows: int
    """How many rows there are."""


@dataclass(frozen=True, slots=True)
class CalendarGap:
    """A gap is one way in which the calendar differs on one date from what it is compared with."""

    kind: GapKind
    """The way."""

    place: str
    """Where it shows: the schedule, or the table or file that is compared with it."""

    day: date | None
    """The date; None: the rows have none."""

    units: int
    """Units that it is about."""

    rows: int
    """Rows of these units in the place; 0 where rows are what is missing."""

    said: str
    """What is wrong with them, as the end of a sentence that begins with units and rows."""


def seasons_of(schedule: Iterable[ScheduleUnit], calendar: Calendar) -> Mapping[date, str]:
    """Map every date that is known to its season, in order: those of the schedule that count, and those of a plan's
    frozen calendar, which holds a part of them."""
    seasons = {unit.day: unit.season for unit in schedule if unit.day and unit.counts}
    return dict(sorted((seasons | {each.day: each.season for each in calendar.dates}).items()))


def covered_days(seasons: Mapping[date, str], days: Collection[date]) -> Callable[[date], bool]:
    """Tell which dates a selection answers for: its own, and those that the calendar lacks between two of them.

    At the ends of a season one neighbour is enough, within ``EDGE_DAYS`` where there is no other season beyond.
    seasons: as ``seasons_of`` gives them. days: the selected dates.
    """
    every, chosen = list(seasons), frozenset(days)
    first, last = bounds_of(seasons, days)

    def is_covered(day: date) -> bool:
        if day in seasons or not first <= day <= last:
            return day in chosen
        place = bisect_left(every, day)
        around = every[max(0, place - 1) : place + 1]
        if len(around) == 2 and seasons[around[0]] == seasons[around[1]]:
            return chosen.issuperset(around)
        return not chosen.isdisjoint(around)

    return is_covered


def bounds_of(seasons: Mapping[date, str], days: Collection[date]) -> tuple[date, date]:
    """Return the first and the last date at which a gap of the selection may lie. Arguments as above."""
    every, first, last = list(seasons), min(days), max(days)
    before, after = bisect_left(every, first) - 1, bisect_left(every, last) + 1
    edge = timedelta(days=EDGE_DAYS)
    return every[before] if before >= 0 else first - edge, every[after] if after < len(every) else last + edge


def schedule_gaps(
    spec: CalendarSpec, schedule: Collection[ScheduleUnit], is_covered: Callable[[date], bool], today: date
) -> Iterator[CalendarGap]:
    """Find past rows of the schedule that neither count nor plainly do not, and units that count more than once.

    today: in the pipeline's time zone; dates before it are past.
    """
    check = spec.cross_check
    played = _played(schedule)
    unknown, undecided, doubled, unnamed = Counter[date](), Counter[date](), Counter[date](), Counter[date]()
    key = ", ".join(check.key) if check else ""
    for unit in schedule:
        if unit.day is None or not is_covered(unit.day):
            continue
        if unit.unnamed:
            unnamed[unit.day] += unit.unnamed
            continue
        if unit.counts and played[unit.key] > 1:
            doubled[unit.day] += 1
        if unit.day >= today:
            continue
        if unit.unknown:
            unknown[unit.day] += 1
        elif check and check.postponed and not played[unit.key] and unit.rows > unit.postponed:
            undecided[unit.day] += 1
    for kind, found, said in (
        (GapKind.UNDECIDED, unknown, f"for which calendar.condition ({spec.condition}) is NULL"),
        (
            GapKind.UNDECIDED,
            undecided,
            f"neither meeting calendar.condition ({spec.condition}) nor plainly postponed "
            f"({check.postponed if check else ''})",
        ),
        (GapKind.DOUBLED, doubled, "counted more than once"),
        (GapKind.UNNAMED, unnamed, f"whose key ({key}) is NULL in the schedule: nothing else is compared there"),
    ):
        yield from (CalendarGap(kind, spec.table, day, n, 0, said) for day, n in sorted(found.items()))


def _played(schedule: Iterable[ScheduleUnit]) -> Counter[str]:
    """How often each unit counts, over all dates."""
    played = Counter[str]()
    for unit in schedule:
        played[unit.key] += unit.counts
    return played


def table_gaps(
    spec: CalendarSpec,
    place: str,
    schedule: Collection[ScheduleUnit],
    found: Collection[TableUnit],
    is_covered: Callable[[date], bool],
    due: Callable[[date], bool],
    today: date,
) -> Iterator[CalendarGap]:
    """Find units that a table holds and the calendar lacks, and the reverse, by date.

    Dates on which the schedule does not name a unit are left out, as what is missing there may be just that one.

    due: whether every unit of a date of the calendar has to have rows in the table. today: as for ``schedule_gaps``.
    """
    unnamed = {unit.day for unit in schedule if unit.unnamed and unit.day}
    played = _played(schedule)
    counted: dict[tuple[date | None, str], ScheduleUnit] = {(unit.day, unit.key): unit for unit in schedule}
    off: dict[tuple[date | None, str], list[int]] = {}
    for each in found:
        unit = counted.get((each.day, each.key))
        if each.day in unnamed or (each.day and not is_covered(each.day)):
            continue
        said = _off_the_calendar(spec, unit, bool(played[each.key]), today)
        if said is None:
            continue
        units_and_rows = off.setdefault((each.day, said), [0, 0])
        units_and_rows[0] += 1
        units_and_rows[1] += each.rows
    for (day, said), (units, rows) in sorted(off.items(), key=lambda item: (item[0][0] or date.min, item[0][1])):
        kind = GapKind.OFF_THE_CALENDAR
        yield CalendarGap(kind, place, day, units, rows, "without a date" if day is None else said)
    held = {(each.day, each.key) for each in found}
    lacking = Counter(
        day
        for (day, key), unit in counted.items()
        if day and day not in unnamed and unit.counts and (day, key) not in held and is_covered(day) and due(day)
    )
    for day, n in sorted(lacking.items()):
        yield CalendarGap(GapKind.ONLY_IN_THE_CALENDAR, place, day, n, 0, f"of which {place} has no rows")


def _off_the_calendar(spec: CalendarSpec, unit: ScheduleUnit | None, is_played: bool, today: date) -> str | None:
    """Why a unit of which a table has rows is none of the calendar's there; None: it is one, or that is found in the
    schedule itself, or may still come. unit: the schedule's rows of it on that date. is_played: it counts on some date.
    """
    if unit is None:
        return "that the schedule does not have"
    if unit.counts or unit.unknown:
        return None
    if unit.rows == unit.postponed:
        return "that the schedule has as postponed"
    is_undecided = spec.cross_check is not None and spec.cross_check.postponed and not is_played
    if is_undecided or (unit.day and unit.day >= today):
        return None
    return f"that the schedule has, where they do not meet calendar.condition ({spec.condition})"


def in_words(gaps: Collection[CalendarGap], units: str, rows: str) -> str:
    """Say gaps of one kind and place in one sentence, over all their dates: ``4 games and 87 player rows of 1 date that
    the schedule does not have``."""
    counted = [_counted(sum(gap.units for gap in gaps), units)]
    if lines := sum(gap.rows for gap in gaps):
        counted.append(_counted(lines, rows))
    dates = len({gap.day for gap in gaps if gap.day})
    of = f" of {_counted(dates, 'dates')}" if dates else ""
    said = next(iter(gaps)).said
    return f"{' and '.join(counted)}{of} {said}"


def _counted(n: int, words: str) -> str:
    return f"{n:,} {words.removesuffix('s') if n == 1 else words}"


def by_what_is_said(gaps: Iterable[CalendarGap]) -> Mapping[tuple[GapKind, str, str], list[CalendarGap]]:
    """Group gaps of one kind, place and sentence, in order."""
    grouped: dict[tuple[GapKind, str, str], list[CalendarGap]] = {}
    for gap in gaps:
        grouped.setdefault((gap.kind, gap.place, gap.said), []).append(gap)
    return grouped
