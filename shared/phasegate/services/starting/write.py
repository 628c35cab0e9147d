"""A run is written with its plan and a blank board: once, whoever asks and how often."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from phasegate.domain.decisions.standing import standing
from phasegate.domain.errors import NameIsTaken, UnreadableRun
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run, Waiver
from phasegate.ports import Clock, RunWriter
from phasegate.services.starting.earlier_run import is_answer
from phasegate.services.starting.identity import RequestIdentity


@dataclass(frozen=True, slots=True)
class NewRun:
    """A new run is about to be written, and lacks only its name."""

    request: RunRequest
    """What was asked for."""

    identity: RequestIdentity
    """What the run is found again by."""

    plan: Plan
    """What the run does."""

    kept: tuple[Waiver, ...] = ()
    """What people let pass in the run before, and that passes in this one too."""


def write_run(
    state: RunWriter, clock: Clock, new: NewRun, run_ids: Iterable[str], sent_at: datetime | None = None
) -> tuple[Run, bool]:
    """Write a run under the first of these names that is free; the run, and whether it is new.

    A run that has one of the names already, and is the answer to the request, is taken in its place; the run of the
    last name is so in any case. The name of one that cannot be read, or was forgotten not long ago, is passed by.
    Raises InputError when a name belongs to a run of another request, and for a plan that could not be read back;
    UnreadableRun or NameIsTaken when there is no other name than such a one.
    """
    new.plan.require_readable()
    found: tuple[Run, bool] | None = None
    passed_by: UnreadableRun | NameIsTaken | None = None
    for run_id in run_ids:
        try:
            found = run, is_new = _write_once(state, clock, new, run_id)
            if is_new or is_answer(state, run, sent_at):
                break
        except (UnreadableRun, NameIsTaken) as error:
            passed_by = error
    if found is None:
        raise passed_by or ValueError("a run has at least one name")
    return found


def _write_once(state: RunWriter, clock: Clock, new: NewRun, run_id: str) -> tuple[Run, bool]:
    now = clock.now()
    run = Run(
        run_id=run_id,
        pipeline=new.plan.pipeline.pipeline,
        pipeline_file=new.request.pipeline_file,
        plan_hash=new.plan.hash,
        request_hash=new.identity.digest,
        source=new.request.source,
        why=new.request.why,
        waivers=(*standing(new.plan.pipeline, now, frozenset(new.plan.days)), *new.kept),
        created_at=now,
    )
    if state.create_run(run, new.plan, Board.blank(run_id, compile_plan(new.plan), run.created_at)):
        return run, True
    there = state.run(run_id)
    new.identity.require_same(there)
    return there, False
