"""The page's pictures as shapes: where the cells of a heat map and the points of a curve lie. Pure geometry.

Colours are told apart by people of every colour vision (after Okabe and Ito), and every bad letter has its own form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from phasegate.report.verify.document.found import HeatMap
from phasegate.report.verify.document.history import Pace
from phasegate.report.verify.findings import (
    DIFFERS,
    GAP,
    MISSING,
    OUTSIDE,
    RIGHTLY_EMPTY,
    SHORT,
    UNKNOWN,
    WAIVED,
    WHOLE,
)

CELL = 8
"""Side of a day in the heat map, with its margin, in pixels."""

LABEL, HEAD = 24, 9
"""Width of the months' names; height of the days' numbers."""

DAYS = tuple((LABEL + (day - 1) * CELL, day) for day in (1, 8, 15, 22, 29))
"""Where a column of the heat map has its number."""

COLOURS: Mapping[str, str] = {
    WHOLE: "#0072b2",
    RIGHTLY_EMPTY: "#b9c4cc",
    SHORT: "#e69f00",
    MISSING: "#b23c00",
    DIFFERS: "#a3447c",
    UNKNOWN: "#000000",
    WAIVED: "#0072b2",
    OUTSIDE: "#d3dbe0",
    GAP: "#5f666c",
}

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Shape:
    """All cells of one letter, as one path."""

    letter: str
    colour: str
    path: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One phase in one year of the heat map: a row a month, a column a day."""

    title: str
    width: int
    height: int
    months: tuple[tuple[int, str], ...]
    shapes: tuple[Shape, ...]


def panels(heat: HeatMap, seasons: Mapping[str, Sequence[date]]) -> list[Panel]:
    """A panel a season and phase."""
    position = {day: n for n, day in enumerate(heat.dates)}
    found: list[Panel] = []
    for season, days in seasons.items():
        months = list(dict.fromkeys((day.year, day.month) for day in days))
        for phase, letters in heat.phases.items():
            paths: dict[str, list[str]] = {}
            for day in days:
                letter = letters[position[day]]
                x, y = LABEL + (day.day - 1) * CELL, HEAD + months.index((day.year, day.month)) * CELL
                paths.setdefault(letter, []).append(mark(letter, x, y))
            shapes = tuple(Shape(letter, COLOURS[letter], "".join(cells)) for letter, cells in sorted(paths.items()))
            labels = tuple((HEAD + n * CELL + CELL - 1, _MONTHS[month - 1]) for n, (_, month) in enumerate(months))
            found.append(Panel(f"{season} · {phase}", LABEL + 31 * CELL, HEAD + len(months) * CELL, labels, shapes))
    return found


def mark(letter: str, x: int, y: int) -> str:
    """The form of a letter, as a path: a filled square is as it should be, everything else looks otherwise."""
    side = CELL - 1
    if letter == SHORT:
        return f"M{x} {y}v{side}h{side}z"
    if letter == MISSING:
        return f"M{x} {y}h2l1.5 2.5 1.5-2.5h2l-2.5 3.5 2.5 3.5h-2l-1.5-2.5-1.5 2.5h-2l2.5-3.5z"
    if letter == DIFFERS:
        return f"M{x + 3.5} {y}l3.5 3.5-3.5 3.5-3.5-3.5z"
    if letter == UNKNOWN:
        return f"M{x} {y + 2.5}h{side}v2h-{side}z"
    if letter == WAIVED:
        return f"M{x} {y}h{side}v{side}h-{side}zM{x + 1.5} {y + 1.5}v4h4v-4z"
    if letter == GAP:
        return f"M{x} {y}h{side}l-{side} {side}z"
    if letter == OUTSIDE:
        return f"M{x + 2} {y + 2}h3v3h-3z"
    return f"M{x} {y}h{side}v{side}h-{side}z"


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a phase in which attempts were under way. opacity: how many, against the busiest."""

    x: float
    width: float
    opacity: float


def gantt(pace: Pace, width: int) -> dict[str, list[Bar]]:
    """For each phase its busy stretches, over the run's time."""
    most = max((max(values, default=0.0) for values in pace.busy.values()), default=0.0) or 1.0
    bars: dict[str, list[Bar]] = {}
    for phase, values in pace.busy.items():
        step = width / max(len(values), 1)
        bars[phase] = [
            Bar(round(n * step, 2), round(step + 0.05, 2), round(0.25 + 0.75 * value / most, 2))
            for n, value in enumerate(values)
            if value
        ]
    return bars


def curve(values: Sequence[float], width: int, height: int) -> str:
    """The area under a series, as a path."""
    most = max(values, default=0) or 1
    step = width / max(len(values), 1)
    points = []
    for n, value in enumerate(values):
        y = round(height - height * value / most, 1)
        points.append(f"L{round(n * step, 1)} {y}L{round((n + 1) * step, 1)} {y}")
    return f"M0 {height}{''.join(points)}L{width} {height}z"
