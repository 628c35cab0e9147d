"""The report for people is one HTML page that needs no network, and Markdown. Everything that it says is escaped."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from phasegate.domain.foreign_text import escaped, escaped_lines
from phasegate.report.verify.document.found import Coverage
from phasegate.report.verify.document.part import Query
from phasegate.report.verify.document.report import Report
from phasegate.report.verify.pictures import COLOURS, DAYS, curve, gantt, mark, panels, time_bar

TEMPLATES = Path(__file__).parent / "templates"

SHOWN = 200
"""Rows of a table that may grow without bound; the JSON has all of them."""

WIDTH, HEIGHT = 960, 120
"""Size of the pictures over time, in units of their own: they fill the width that there is."""

TICKS = 4
"""Parts of the axis of time."""

_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def html_of(report: Report) -> str:
    """Render the HTML page."""
    pace = report.pace
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            r=report,
            shown=SHOWN,
            colours=COLOURS,
            marks={letter: mark(letter, 0, 0) for letter in COLOURS},
            width=WIDTH,
            height=HEIGHT,
            days=DAYS,
            panels=panels(report.heat_map, _seasons(report)),
            phases=_phase_counts(report),
            gantt=gantt(pace, WIDTH) if pace else {},
            throughput=curve(pace.ended, WIDTH, HEIGHT) if pace else "",
            parallelism=curve(pace.at_once, WIDTH, HEIGHT) if pace else "",
            **_time(report),
            ticks=_ticks(pace.wall_seconds) if pace else [],
            whole=_whole(report.coverage),
            unasked=_unasked(report),
        )
    )


def markdown_of(report: Report) -> str:
    """Render the report in Markdown, without pictures."""
    template = _templates().get_template("report.md.j2")
    return template.render(
        r=report, shown=SHOWN, **_time(report), whole=_whole(report.coverage), unasked=_unasked(report)
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        moment=_moment, number=_number, percent=_percent, cell=_cell, name=_name, seconds=_seconds, measured=_measured
    )
    return made


def _shown(value: object) -> object:
    """What stands on a page: texts of others can neither move a reader's cursor nor turn the direction of writing."""
    return escaped_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _seasons(report: Report) -> dict[str, list[date]]:
    """Dates of the heat map by season, told from the order of the calendar."""
    bounds: dict[str, list[date]] = {}
    for day in report.heat_map.dates:
        bounds.setdefault(_season_of(report, day), []).append(day)
    return bounds


def _season_of(report: Report, day: date) -> str:
    return next(name for name, span in report.seasons.items() if span[0] <= day <= span[1])


def _phase_counts(report: Report) -> list[tuple[str, dict[str, int]]]:
    """Dates by letter for each phase: the heat map in numbers."""
    return [
        (phase, {letter: letters.count(letter) for letter in report.heat_map.legend})
        for phase, letters in report.heat_map.phases.items()
    ]


def _whole(coverage: list[Coverage]) -> Mapping[str, str]:
    """By season: how many of the demanded (output, date) are sound."""
    sums: dict[str, tuple[int, int]] = {}
    for line in coverage:
        whole, expected = sums.get(line.season, (0, 0))
        sums[line.season] = (whole + line.whole, expected + line.expected)
    return {season: f"{whole:,} of {expected:,}" for season, (whole, expected) in sums.items()}


def _time(report: Report) -> dict[str, Any]:
    """Where the run's time went: the bar, a sentence or two, and how its calls are told apart."""
    time, pace = report.time, report.pace
    is_estimate = report.cost is not None and report.cost.is_estimate
    call_words = " (which attempts share a call is an estimate, from their start and end)" if is_estimate else ""
    if time is None:
        return {"time_bar": [], "time_words": "", "call_words": call_words}
    words = (
        f"{_counted(time.calls, 'call')} for {_counted(time.attempts, 'attempt')} took {_seconds(time.work)} from start"
        " to end, all threads together"
    )
    if time.seconds is None:
        words += (
            f"{call_words}. Where the rest of the time went is measured only in embedded mode, where a process drives"
            " the run."
        )
    else:
        words += f"; the run was driven for {_seconds(time.seconds)}."
        if pace is not None and time.attempts < pace.attempts:
            lost = pace.attempts - time.attempts
            words += f" No times are kept of {_counted(lost, 'attempt')} more: their process was killed or is older."
    return {"time_bar": time_bar(time, WIDTH), "time_words": words, "call_words": call_words}


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _unasked(report: Report) -> list[Query]:
    """Queries that met an error: their numbers are not known."""
    return [query for query in report.queries if query.error]


def _ticks(seconds: float) -> list[str]:
    """The labels of the axis of time, with no more decimals than tell them apart."""
    decimals = 0 if seconds >= 10 * TICKS else 2
    return [f"{seconds * n / TICKS:,.{decimals}f}" for n in range(TICKS)] + [f"{seconds:,.{decimals}f} s"]


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _number(value: float | None) -> str:
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _measured(value: float | None, unit: str) -> str:
    """A value of a measure with its unit; what is no number shows as a dash."""
    return f"{value:,.6g} {unit}".rstrip() if value is not None else "–"


def _seconds(value: float) -> str:
    return f"{value:,.2f} s" if value < 100 else f"{value:,.0f} s"


def _name(value: object) -> Markup:
    """The name of a table, phase or query, which may be broken where it has a joint."""
    return Markup(re.sub(r"([_./])(?=\w)", r"\1<wbr>", str(escape(escaped(str(value))))))  # noqa: S704 - escaped here


def _cell(value: object) -> str:
    """Text for a cell of a Markdown table: on one line, nothing in it ends the cell or is read as markup."""
    text = re.sub(r"([\\|`*\[\]])", r"\\\1", escaped(" ".join(str(value).split())))
    for character, entity in _ENTITIES:
        text = text.replace(character, entity)
    return text
