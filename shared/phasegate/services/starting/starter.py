"""Begins a run: from what somebody asks for to a run that is written once, whoever asks and how often."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.operations.overrides import NO_OVERRIDES, Overrides, without_live
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import DesiredState, Run
from phasegate.ports import Clock, State
from phasegate.services.reading.earlier_runs import finished_in, made_from_another_source
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.planner import Reprocess, make_plan


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asks for, by flags or by a message.

    source: the source folder of embedded mode; None where the workers know their own. pipeline_file: where the
    pipeline was read from, for people. permits: what was named on purpose; it changes nothing of what is done, so the
    same request with more of them finds the same run.
    """

    selection: Selection
    pipeline_file: str
    source: str | None = None
    phases: str | None = None
    profile: str | None = None
    reprocess: Reprocess = "missing"
    why: str = ""
    overrides: Overrides = NO_OVERRIDES

    def identity(self, pipeline: Pipeline) -> str:
        """A short name for what is asked: the same request finds its unfinished run again by it."""
        request: dict[str, Any] = {
            "source": str(self.source),
            "selection": [str(self.selection)],
            "phases": self.phases,
            "profile": self.profile,
            "reprocess": self.reprocess,
            "pipeline": pipeline.model_dump(mode="json", by_alias=True),
        }
        text = json.dumps(request, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def settled(run_request: RunRequest, pipeline: Pipeline, calendar: Calendar, now: datetime) -> RunRequest:
    """The request as it is planned: with dates in place of what depends on the day on which it is asked."""
    selection = without_live(run_request.selection, pipeline, calendar.by_day, run_request.overrides, now)
    return replace(run_request, selection=selection)


def plan_of(
    run_request: RunRequest,
    pipeline: Pipeline,
    calendar: Calendar,
    prover: Prover | None,
    state: State | None,
    remade: Callable[[int], None] = lambda _: None,
) -> Plan:
    """The plan of a request, judged by what earlier runs left behind.

    prover, state: None where there is no warehouse or no earlier run yet. remade: told how many dates hold rows of
    another source, which are made again. Raises InputError as ``make_plan`` does.
    """

    def finished(days: Sequence[date]) -> dict[date, frozenset[str]]:
        return finished_in(state, pipeline.pipeline, days) if state else {}

    def foreign(days: Sequence[date]) -> frozenset[date]:
        if state is None or run_request.source is None:
            return frozenset()
        found = made_from_another_source(state, pipeline.pipeline, run_request.source, days)
        if found:
            remade(len(found))
        return found

    return make_plan(
        pipeline,
        calendar,
        run_request.selection,
        phases=run_request.phases,
        profile=run_request.profile,
        reprocess=run_request.reprocess,
        prover=prover,
        finished=finished,
        foreign=foreign,
    )


def existing_run(state: State, asked: str, run_id: str | None) -> Run | None:
    """The run of that id, or else the newest unfinished one of the same request.

    Raises InputError when the id belongs to a run of another request.
    """
    for run in state.runs():
        if run_id is not None:
            if run.run_id == run_id:
                _refuse_another_request(run, asked)
                return run
        elif run.request_hash == asked and run.desired_state is not DesiredState.CANCELLED:
            board, _ = state.board(run.run_id)
            if not board.is_over(run):
                return run
    return None


def begin_run(
    state: State, clock: Clock, run_id: str, run_request: RunRequest, asked: str, plan: Plan
) -> tuple[Run, bool]:
    """Write a run, its plan and a blank board; whether it is new. The same run id twice is the same run.

    Raises InputError when the id belongs to a run of another request.
    """
    run = Run(
        run_id=run_id,
        pipeline=plan.pipeline.pipeline,
        pipeline_file=run_request.pipeline_file,
        plan_hash=plan.hash,
        request_hash=asked,
        source=run_request.source,
        why=run_request.why,
        created_at=clock.now(),
    )
    if state.create_run(run, plan, Board.blank(run_id, compile_plan(plan), run.created_at)):
        return run, True
    there = state.run(run_id)
    _refuse_another_request(there, asked)
    return there, False


def ids_of(pipeline: str, asked: str) -> Iterator[str]:
    """Names for the runs of a request: each later one is for when the earlier ones are over."""
    yield f"{pipeline}-{asked}"
    number = 2
    while True:
        yield f"{pipeline}-{asked}-{number}"
        number += 1


def is_answered_by(state: State, run: Run, sent_at: datetime | None) -> bool:
    """Whether a run is the answer to a request: it goes on, or it began after the request was sent (a message
    twice)."""
    if sent_at is not None and run.created_at >= sent_at:
        return True
    board, _ = state.board(run.run_id)
    return run.desired_state is not DesiredState.CANCELLED and not board.is_over(run)


def _refuse_another_request(run: Run, asked: str) -> None:
    if run.request_hash != asked:
        raise InputError(
            f"run '{run.run_id}' exists and was asked for differently (other dates, phases or pipeline file); "
            "give another run id, or leave it out"
        )
