"""Dates of the live pipeline, and processors that destroy, run only when they are named."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.operations.preflight import PreflightLine, failed, passed
from phasegate.domain.spec.pipeline import Pipeline

SHOWN = 12
"""Dates that a line lists by name."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Overrides are what somebody named on purpose, so that it is not refused."""

    live_dates: tuple[date, ...] = ()
    """Dates of the live window that are worked on all the same."""

    destructive: tuple[str, ...] = ()
    """Destructive processors that may run, named as in ``needs``."""

    alongside: bool = False
    """Whether it may work on what another unfinished run works on."""


NO_OVERRIDES = Overrides()


def check_overrides(
    pipeline: Pipeline, phases: Sequence[str], days: Collection[date], overrides: Overrides, now: datetime
) -> list[PreflightLine]:
    """Make a line for the live window and one for each processor of the phases that always destroys; what destroys only
    where something is present is told when a plan is made (``published``).

    days: the selected dates. now: aware; the window is counted from its date in the pipeline's time zone.
    Raises InputError for a named date that is not selected, and for a named processor that is not destructive.
    """
    for day in overrides.live_dates:
        if day not in days:
            raise InputError(f"--include-live: {day} is not a date of the selection")
    return [
        _live_window(pipeline, days, overrides.live_dates, now),
        *_destructive(pipeline, phases, overrides.destructive),
    ]


def without_live(
    selection: Selection, pipeline: Pipeline, days: Collection[date], overrides: Overrides, now: datetime
) -> Selection:
    """Take the dates of the live window that nobody named out of the selection, if that is asked for. days: every date.

    now: as above. What comes of it holds plain dates: that today is today is kept nowhere.
    """
    begins = window_begins(pipeline, now)
    if not selection.exclude_live or begins is None:
        return replace(selection, exclude_live=False)
    live = (day for day in days if day >= begins and day not in (*overrides.live_dates, *selection.exclude))
    return replace(selection, exclude=(*selection.exclude, *live), exclude_live=False)


def window_begins(pipeline: Pipeline, now: datetime) -> date | None:
    """Return the first date of the live window, which is counted from an aware moment; None where there is none."""
    if pipeline.live_window is None:
        return None
    return pipeline.date_at(now) - timedelta(days=pipeline.live_window)


def _live_window(pipeline: Pipeline, days: Collection[date], named: Sequence[date], now: datetime) -> PreflightLine:
    begins = window_begins(pipeline, now)
    if begins is None:
        return passed("live-window", pipeline.pipeline, "the pipeline file says that there is none")
    live = sorted(day for day in days if day >= begins)
    unnamed = [str(day) for day in live if day not in named]
    if unnamed:
        more = f" and {len(unnamed) - SHOWN} more" if len(unnamed) > SHOWN else ""
        listed = ",".join(unnamed[:SHOWN])
        return failed(
            "live-window",
            f"from {begins}",
            f"{listed}{more}: the live pipeline writes these dates (live_window: {pipeline.live_window})",
            f"leave them out with --exclude-live, or name each: --include-live {listed}",
        )
    if live:
        return passed("live-window", f"from {begins}", f"{', '.join(map(str, live))}: named with --include-live")
    return passed("live-window", f"from {begins}", "no selected date lies in it")


def allowed_to_destroy(pipeline: Pipeline, phases: Sequence[str], named: Sequence[str]) -> set[str]:
    """Return the refs of the processors that somebody named. Raises InputError for one that does not destroy."""
    allowed: set[str] = set()
    for name in named:
        try:
            ref = "/".join(pipeline.resolve(name, phases))
        except LookupError as error:
            raise InputError(f"--allow-destructive: {error}") from error
        if not pipeline.processor(ref).destructive:
            raise InputError(f"--allow-destructive: '{name}' is not destructive in the pipeline file; leave it out")
        allowed.add(ref)
    return allowed


def _destructive(pipeline: Pipeline, phases: Sequence[str], named: Sequence[str]) -> list[PreflightLine]:
    allowed = allowed_to_destroy(pipeline, phases, named)
    found = {f"{name}/{x.name}" for name in phases for x in pipeline.phase(name).processors if x.destructive is True}
    return [
        passed("destructive", ref, "named with --allow-destructive")
        if ref in allowed
        else failed(
            "destructive",
            ref,
            "it deletes or overwrites what cannot be made again",
            f"leave its phase out with --phases, or name it: --allow-destructive {ref}",
        )
        for ref in sorted(found)
    ]
