"""A run that stops at bad dates speaks for the next request over the same dates: what nobody has freed is not called
again, and what a person has let pass still passes.

See decision 40.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from phasegate.domain.decisions.edges import stopped_at
from phasegate.domain.decisions.waiving import in_force
from phasegate.domain.errors import UnreadableRun
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.plan import Plan, WorkLetter
from phasegate.domain.plan.mended import mended
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import DesiredState, Run, UnreadableDocument, Waiver
from phasegate.domain.state.unsound import NotRun
from phasegate.ports import RunReader


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop is a run that rests at a bad date."""

    run: Run
    """The run."""

    days: tuple[date, ...]
    """The dates of it that ended badly and that nobody has freed, in order."""


def find_stop(state: RunReader, pipeline: Pipeline, plan: Plan) -> Stop | None:
    """Find the run that keeps a plan from being begun: it rests at a date which the plan would call again, by the same
    pipeline file, and nobody has freed that date.

    A date is free when a retry or a waiver has the run go on, when the tables hold since what they should, and when
    the pipeline file says something else since, as somebody has changed it. Who names what is made again (`stale`,
    `failed`, `all`) has decided, too. None: there is no such run.
    """
    if not plan.stops_at_bad_date or plan.reprocess != "missing":
        return None
    for run, own in _runs_by_day(state, pipeline.pipeline, plan.days):
        if any(mended(state.plan(run.run_id).pipeline, pipeline)):
            continue
        board, _ = state.board(run.run_id)
        index = state.index(run.run_id, board.plan)
        if not board.is_over(run) or stopped_at(index, board) is None:
            continue
        days = tuple(
            day
            for position, day in enumerate(plan.days)
            if day in own
            and any(
                not isinstance(why, NotRun) and ref in plan.letters and plan.letters[ref][position] == WorkLetter.RUN
                for ref, why in board.bad.get(day, {}).items()
            )
        )
        if days:
            return Stop(run, days)
    return None


def kept_waivers(
    state: RunReader | None, request: RunRequest, pipeline: Pipeline, days: Collection[date], now: datetime
) -> tuple[Waiver, ...]:
    """Find what people let pass on these dates, each in the last run that stops at bad
    dates and has it, and has not ended.

    Its next run would stop at a date that somebody freed with a waiver else. state: None where there is no run yet.
    now: UTC. Empty for a profile that does not stop.
    """
    profile = pipeline.profiles.get(request.profile or "")
    if state is None or profile is None or not profile.stops_at_bad_date:
        return ()
    kept: dict[str, Waiver] = {}
    for run, own in _runs_by_day(state, pipeline.pipeline, days):
        for waiver in in_force(run, now):
            of_both = tuple(day for day in waiver.dates if day in own)
            if of_both and not waiver.is_of_the_file:
                before = kept[waiver.id].dates if waiver.id in kept else ()
                kept[waiver.id] = waiver.model_copy(update={"dates": tuple(sorted({*before, *of_both}))})
    return tuple(kept.values())


def _runs_by_day(state: RunReader, pipeline: str, days: Collection[date]) -> Iterator[tuple[Run, frozenset[date]]]:
    """Find the runs of a pipeline that stop at bad dates, newest first, each with those of the dates for which it
    speaks: the newest run that has a date does. A cancelled one, which nothing can free, and one that cannot be read
    say nothing."""
    left = frozenset(days)
    for run in state.every_run():
        if not left:
            return
        if isinstance(run, UnreadableDocument) or run.pipeline != pipeline:
            continue
        if run.desired_state is DesiredState.CANCELLED:
            continue
        try:
            own = left.intersection(state.scope(run.run_id).days)
            if own and state.plan(run.run_id).stops_at_bad_date:
                left -= own
                yield run, own
        except UnreadableRun:
            continue
