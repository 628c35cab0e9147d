"""The page's pictures are shapes: where the cells of a heat map and the points of a curve lie. Pure geometry.

Colours are told apart by people of every colour vision (after Okabe and Ito), and every bad letter has its own form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from phasegate.domain.state.time_spent import CALLS, NOTHING, THREADS
from phasegate.report.time_spent import waiting_for
from phasegate.report.verify.document.found import HeatMap
from phasegate.report.verify.document.history import Pace, TimeOfRun
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
"""Width of the months' names; height of the days' numbers; in pixels."""

DAYS = tuple((LABEL + (day - 1) * CELL, day) for day in (1, 8, 15, 22, 29))
"""The columns of the heat map that are numbered: (x in pixels, day of the month)."""

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

_WAITS = {THREADS: "#0072b2", CALLS: "#56b4e9"}
"""Colours of the bar of time, of what is waited for that is no limit."""

_LIMITS = ("#e69f00", "#b23c00")
"""Colours of the bar of time, of limits that hold back, in turn; beside each other they differ in brightness too."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape draws all cells of one letter in a panel."""

    letter: str
    """The letter, one of those of the heat map's legend."""

    colour: str
    """Its colour, as ``#rrggbb``."""

    path: str
    """The outline of all cells, as the ``d`` of an SVG path, in pixels."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel is one phase in one season of the heat map: a row per month, a column per day."""

    title: str
    """Season and phase."""

    width: int
    """How wide it is, in pixels."""

    height: int
    """How high it is, in pixels."""

    months: tuple[tuple[int, str], ...]
    """The labels of the rows: (y in pixels, name of the month)."""

    shapes: tuple[Shape, ...]
    """The cells, a shape per letter."""


def panels(heat: HeatMap, seasons: Mapping[str, Sequence[date]]) -> list[Panel]:
    """Draw a panel per season and phase."""
    position = {day: n for n, day in enumerate(heat.dates)}
    drawn: list[Panel] = []
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
            drawn.append(Panel(f"{season} · {phase}", LABEL + 31 * CELL, HEAD + len(months) * CELL, labels, shapes))
    return drawn


def mark(letter: str, x: int, y: int) -> str:
    """Draw the form of a letter as a path: a filled square is as it should be, everything else looks otherwise."""
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
    """A bar is a stretch of time in which calls of a phase were under way."""

    x: float
    """Where it begins, in the picture's units."""

    width: float
    """How wide it is, in the picture's units."""

    opacity: float
    """How many calls were under way, against the busiest stretch of all phases: 0.25 to 1."""


def gantt(pace: Pace, width: int) -> dict[str, list[Bar]]:
    """Draw the busy stretches of each phase, over the run's time."""
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


@dataclass(frozen=True, slots=True)
class TimePart:
    """A part of a run's time is one stretch of the bar that says where it went."""

    words: str
    """What the time was spent on."""

    seconds: float
    """How long that took."""

    share: float
    """Which part of the whole bar it is, 0 to 1."""

    colour: str
    """Its colour, as ``#rrggbb``."""

    x: float
    """Where it begins, in the picture's units."""

    width: float
    """How wide it is, in the picture's units."""


def time_bar(time: TimeOfRun, width: int) -> list[TimePart]:
    """Draw where the time of a run went, side by side: waiting for calls and limits, what Phasegate itself took, and
    last the time in which nothing was due. What took no time is left out; nothing is measured: no part."""
    waiting = dict(time.waiting or {})
    nothing = waiting.pop(NOTHING, 0.0)
    told = [(waiting_for(what), waiting.pop(what, 0.0), colour) for what, colour in _WAITS.items()]
    limits = sorted(waiting.items(), key=lambda each: -each[1])
    told += [(waiting_for(what), seconds, _LIMITS[n % len(_LIMITS)]) for n, (what, seconds) in enumerate(limits)]
    told += [
        ("proofs and checks", time.proofs or 0.0, "#a3447c"),
        ("orchestration", time.orchestration or 0.0, "#5f666c"),
    ]
    told.append((waiting_for(NOTHING), nothing, "#b9c4cc"))
    whole = sum(seconds for _, seconds, _ in told)
    parts: list[TimePart] = []
    x = 0.0
    for words, seconds, colour in told:
        if seconds:
            share = seconds / whole
            parts.append(TimePart(words, seconds, share, colour, round(x, 2), round(share * width, 2)))
            x += share * width
    return parts


def curve(values: Sequence[float], width: int, height: int) -> str:
    """Draw the area under a series as a path."""
    most = max(values, default=0) or 1
    step = width / max(len(values), 1)
    points = []
    for n, value in enumerate(values):
        y = round(height - height * value / most, 1)
        points.append(f"L{round(n * step, 1)} {y}L{round((n + 1) * step, 1)} {y}")
    return f"M0 {height}{''.join(points)}L{width} {height}z"
