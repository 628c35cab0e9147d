"""What a run says of its tasks, for the comparison with the tables; and how long its release groups waited at their
gates."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from phasegate.domain.decisions.outcome import passes_without
from phasegate.domain.decisions.reconcile import DONE, TaskStatus, TaskView
from phasegate.domain.decisions.waiving import in_force
from phasegate.domain.errors import UnreadableRun
from phasegate.domain.operations.audit import Recorded, Word
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.board import GOOD, Board
from phasegate.domain.state.facts import DateFacts, Verdict
from phasegate.domain.state.run import Run, RunStatus
from phasegate.domain.state.time_spent import TimeSpent
from phasegate.domain.state.unsound import Blocked, Unsound
from phasegate.ports import RunReader, State
from phasegate.services.reading.listing import current_status
from phasegate.services.reading.progress import DATES_AT_ONCE, BlockedCell, RunReport, report


@dataclass(slots=True)
class RunRecord:
    """A record is what a run itself says of its tasks."""

    run: Run
    """The run's document: what people want of it."""

    board: Board
    """How far each release group of each date has come."""

    progress: RunReport
    """Where the run stands, in counts."""

    tasks: dict[tuple[date, str], Recorded] = field(default_factory=dict)
    """By (date, ``phase/processor``): what the run says of every task."""

    waits: dict[str, list[timedelta]] = field(default_factory=dict)
    """By phase: how long each released group waited since the phase before had ended on its date."""

    spent: TimeSpent | None = None
    """Where the time of the processes went that drove the run; None: nobody has measured it."""

    let_pass: dict[tuple[date, str], Verdict] = field(default_factory=dict)
    """By (date, ``phase/processor``): what has no output, as its source is gone, and passes by a waiver in force."""

    @property
    def status(self) -> RunStatus:
        """The status that the run is in."""
        return self.progress.status

    @property
    def blocked(self) -> tuple[BlockedCell, ...]:
        """The cells that cannot go on until somebody acts."""
        return self.progress.blocked


def read_run(state: State, run_id: str, now: datetime) -> RunRecord:
    """Read everything that state says of a run, every date of it. Raises InputError for an unknown run."""
    run, (board, _) = state.run(run_id), state.board(run_id)
    index = state.index(run_id, board.plan)
    later = _worked_on_later(state, run, index)
    is_over = current_status(run, board).is_final
    waivers = in_force(run, now)
    tasks: dict[tuple[date, str], Recorded] = {}
    waits: dict[str, list[timedelta]] = {}
    let_pass: dict[tuple[date, str], Verdict] = {}

    def note(facts: DateFacts, views: Sequence[TaskView]) -> None:
        bad = board.bad.get(facts.day, {})
        for task, view in zip(index.tasks, views, strict=True):
            letter = board.letter(index.groups[task.group].name, index.position[facts.day])
            undone = Word.OPEN if not is_over else Word.NOTHING if letter in GOOD else Word.HELD
            word = _word(view, bad.get(task.ref), undone, (facts.day, task.ref) in later)
            # An object's rows are what its worker said of it; nobody counted them.
            is_counted = isinstance(task.spec.output, TableOutput)
            tasks[facts.day, task.ref] = word if is_counted else replace(word, rows=None)
        for ref, verdict in passes_without(index, facts, views, waivers).items():
            let_pass[facts.day, ref] = verdict
        _note_waits(waits, facts, index)

    progress = report(state, run_id, now, note)
    return RunRecord(run, board, progress, tasks, waits, state.time_spent(run_id), let_pass)


def _word(view: TaskView, why: Unsound | None, undone: Word, is_superseded: bool) -> Recorded:
    """undone: what is said of a task that has not come to an end."""
    if view.status in DONE and not isinstance(why, Blocked):
        facts = view.facts
        proved = facts.proved if facts else None
        reported = facts.reported if facts else None
        return Recorded(
            Word.PASSED,
            proved.rows if proved else None,
            reported.fence if reported else None,
            is_superseded=is_superseded,
            is_not_needed=view.status is TaskStatus.NOT_NEEDED,
        )
    if isinstance(why, Blocked):
        return Recorded(Word.BAD, why=why.verdict)
    if view.status in (TaskStatus.FAILED, TaskStatus.UNRECOVERABLE):
        return Recorded(Word.BAD, why=view.message)
    if is_superseded:
        return Recorded(Word.BAD, why="never ran in this run, but in a later one", is_superseded=True)
    return Recorded(undone)


def _worked_on_later(state: RunReader, run: Run, index: PlanIndex) -> set[tuple[date, str]]:
    """(date, ref) of the attempts of the same pipeline's runs that began after this one.

    A later run that took over what it found has written nothing, and explains nothing; neither does one that cannot be
    read.
    """
    worked_on: set[tuple[date, str]] = set()
    for other in state.runs():
        if other.pipeline == run.pipeline and other.created_at > run.created_at:
            with suppress(UnreadableRun):
                worked_on |= _worked_on(state, other.run_id, index)
    return worked_on


def _worked_on(state: RunReader, run_id: str, index: PlanIndex) -> set[tuple[date, str]]:
    """(date, ref) of a run's attempts, on the dates of the index."""
    worked_on: set[tuple[date, str]] = set()
    days = [day for day in state.scope(run_id).days if day in index.position]
    for first in range(0, len(days), DATES_AT_ONCE):
        for facts in state.dates(run_id, days[first : first + DATES_AT_ONCE]).values():
            worked_on |= {(facts.day, "/".join(task)) for task, attempts in facts.tasks.items() if attempts}
    return worked_on


def _note_waits(waits: dict[str, list[timedelta]], facts: DateFacts, index: PlanIndex) -> None:
    """A release group waits from the end of the phase before it, on its date, until its release."""
    ended = None
    for phase in index.plan.phases:
        cell = facts.cells.get(phase)
        if cell is None:
            return
        is_led = index.plan.pipeline.phase(phase).released_with in index.plan.phases
        if ended is not None and not is_led:
            waits.setdefault(phase, []).extend(
                max(group.released_at - ended, timedelta()) for group in cell.groups.values()
            )
        ends = [group.concluded_at for group in cell.groups.values() if group.concluded_at]
        if len(ends) < len(cell.groups) or not ends:
            return
        ended = max(ends) if ended is None else max(ended, *ends)
