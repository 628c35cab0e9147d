"""Counts say how far a run is. They follow from its board alone, however many dates the run has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from phasegate.domain.decisions.edges import Blockage
from phasegate.domain.state.board import ENDED, GOOD, bytes_of
from phasegate.domain.state.run import RunStatus
from phasegate.domain.state.unsound import Failure
from phasegate.ports import RunReader
from phasegate.services.reading.listing import current_status
from phasegate.services.reading.progress import count_phase, eta_seconds

FAILURES_NAMED = 10
"""Failures that are named; of the others there is the number."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts are what may be told of a run again and again while it goes on."""

    run_id: str
    """The run."""
    pipeline: str
    """The name of its pipeline."""
    status: RunStatus
    """Its status; what people asked for and the conductor has not seen yet counts already."""
    is_at_rest: bool
    """The conductor has seen all that people asked for, and the run is final or waits for a person."""
    dates: int
    """How many dates it has."""
    eta_seconds: float | None
    """Seconds to go at the pace so far; None when nothing moves."""
    phases: Mapping[str, Mapping[str, int]]
    """Phase -> state -> how many dates."""
    failed: int
    """How many (date, processor) ended badly by themselves."""
    failures: tuple[tuple[date, str, Failure], ...]
    """The first of them: date, ``phase/processor`` and why."""


def count_run(state: RunReader, run_id: str, now: datetime) -> Counts:
    """Count what stands on the board. Reads the run and its board: two documents, whatever the number of dates."""
    run, (board, _) = state.run(run_id), state.board(run_id)
    index = state.index(run_id, board.plan)
    blockage, status = Blockage(index, board), current_status(run, board)
    ended, good = (
        sum(len(strip) - len(strip.translate(None, bytes_of(letters))) for strip in board.groups.values())
        for letters in (ENDED, GOOD)
    )
    failures = [
        (day, ref, why)
        for day, bad in sorted(board.bad.items())
        for ref, why in bad.items()
        if isinstance(why, Failure)
    ]
    return Counts(
        run_id=run_id,
        pipeline=run.pipeline,
        status=status,
        is_at_rest=board.is_at_rest(run),
        dates=len(index.days),
        eta_seconds=eta_seconds(board, status, good, len(index.days) * len(index.groups) - ended, now),
        phases={phase: count_phase(index, board, blockage, phase) for phase in index.plan.phases},
        failed=len(failures),
        failures=tuple(failures[:FAILURES_NAMED]),
    )
