"""A retry reaches back to the sources and forward to all that was built on them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from phasegate.domain.errors import YIELDS_NOTHING
from phasegate.domain.plan import (
    ApprovalEdge,
    Edge,
    Plan,
    PlanIndex,
    ReleaseGroup,
    SameDateEdge,
    WindowEdge,
    WorkLetter,
)
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.board import GOOD, Board, BoardLetter
from phasegate.domain.state.run import RetryIntent
from phasegate.domain.state.unsound import Blocked, Failure, NotRun, Unsound


def retry_targets(board: Board, plan: Plan, intent: RetryIntent) -> list[tuple[date, str]]:
    """Find the (date, ``phase/processor``) pairs that failed or are blocked and that a retry is about.

    What did not run because something else failed is no target: it follows by itself.
    """
    targets: list[tuple[date, str]] = []
    for day, bad in sorted(board.bad.items()):
        if intent.dates and day not in intent.dates:
            continue
        for ref in sorted(bad):
            why, (phase, _, processor) = bad[ref], ref.partition("/")
            if (
                not isinstance(why, NotRun)
                and (intent.phase is None or intent.phase == phase)
                and (intent.processor is None or plan.pipeline.registry.get((phase, intent.processor)) == processor)
                and (intent.signature is None or why.answers_to(intent.signature, processor))
            ):
                targets.append((day, ref))
    return targets


def accepts_empty(retries: Sequence[RetryIntent], pipeline: Pipeline, day: date, ref: str) -> bool:
    """Tell whether a person accepted, with the newest of these retries that may be about this task, that it leaves
    nothing where rows stand."""
    phase, _, name = ref.partition("/")
    for intent in reversed(retries):
        is_named = intent.processor is None or pipeline.registry.get((phase, intent.processor)) == name
        if is_named and (not intent.dates or day in intent.dates) and intent.phase in (None, phase):
            return intent.accept_empty
    return False


@dataclass(slots=True)
class Reopening:
    """A reopening says what a retry changes in one cell."""

    redo: set[str] = field(default_factory=set)
    """The processors to run again."""
    reopened: set[int] = field(default_factory=set)
    """The release groups that start again where they stand."""
    withdrawn: set[int] = field(default_factory=set)
    """The release groups that lose their release."""


_LEFT_ALONE = (WorkLetter.ADOPT, WorkLetter.ADOPT_EMPTY, WorkLetter.NOT_NEEDED)

Changes = Mapping[tuple[int, str], Reopening]
"""What a retry changes, by (position of the date, phase)."""


def reach(index: PlanIndex, board: Board, targets: Iterable[tuple[date, str]]) -> Changes:
    """Find how far a retry of (date, ref) pairs reaches: back to the source, and forward to all that was built on it.

    A blocked processor is mended from its sources, so what it needs and reads on that date runs again too. So is one
    that found nothing yet where something is due, or nothing in place of rows that stand there: what it was made from
    holds nothing, whoever has it since. And so is an observed one, which nothing but the events of its sources starts.
    Any other that failed runs again by itself, and so does one that is blocked where nothing is expected of it: it is
    counted again, and nobody is called. Where these are all the blocked dates that hold a circuit breaker open, what
    waits behind it is mended likewise.
    Release groups that were already released on top of them are taken back and will be released anew. The board stays
    as it is. Returns the cells that change, by (position, phase).
    """
    again: dict[int, set[int]] = {}
    targets = [*targets]
    for position, tasks in _behind_breakers(index, board, frozenset(targets)):
        again.setdefault(position, set()).update(tasks)
    for day, ref in targets:
        is_of_sources, number = _is_mended_from_sources(board.bad.get(day, {}).get(ref)), index.by_ref[ref].number
        is_made = index.tasks[number].work[index.position[day]] != WorkLetter.NOTHING_DUE
        tasks = _sources(index, ref) if (is_of_sources and is_made) or number in index.observed else {number}
        again.setdefault(index.position[day], set()).update(tasks)
    spread = Spread(index, board)
    for position, tasks in sorted(again.items()):
        spread.run_again(position, tasks)
    return spread.cells


def _is_mended_from_sources(why: Unsound | None) -> bool:
    if not isinstance(why, Failure):
        return isinstance(why, Blocked)
    return why.error_class is ErrorClass.NOT_YET or YIELDS_NOTHING in why.message


def _behind_breakers(
    index: PlanIndex, board: Board, targets: frozenset[tuple[date, str]]
) -> Iterator[tuple[int, set[int]]]:
    """Find what dates that wait behind a circuit breaker were going to be made from, and has to be made again: the
    outputs that a check blocks were made from the same sources, at the same time. By position: numbers of tasks.

    A breaker that some other date holds open says nothing yet: those who wait go on waiting.
    """
    for ref, breaker in board.breakers.items():
        if not breaker.is_of_a_check:
            continue
        task = index.by_ref[ref]
        counted = {
            (day, ref)
            for day, bad in board.bad.items()
            if isinstance(why := bad.get(ref), Blocked) and why.answers_to(breaker.signature, task.processor)
        }
        if not counted <= targets:
            continue
        sources = _sources(index, ref) - {task.number}
        for position, work in enumerate(task.work):
            if work != WorkLetter.RUN or not board.is_pending(index.groups[task.group].name, position):
                continue
            yield position, {n for n in sources if _is_made(board, index.groups[index.tasks[n].group], position)}


def _is_made(board: Board, group: ReleaseGroup, position: int) -> bool:
    """Whether a release group came to a good end, or is under way."""
    letter = board.letter(group.name, position)
    return letter in GOOD or letter == BoardLetter.RELEASED


def reopen(index: PlanIndex, board: Board, changes: Changes) -> None:
    """Enter on the board what a retry reaches."""
    for (position, _), cell in changes.items():
        for number in cell.reopened | cell.withdrawn:
            group = index.groups[number]
            board.set_letter(
                group.name, position, BoardLetter.PENDING if number in cell.withdrawn else BoardLetter.RELEASED
            )
            board.forget(index.days[position], [index.tasks[t].ref for t in group.tasks])
        board.unjudged.pop(index.days[position], None)
    if index.outside:
        board.outside = board.outside_unasked = None


class Spread:
    """A spread is how far a retry reaches: release groups that start again where they stand, and groups that lose their
    release.

    A group that was never released is left alone: it waits for its edges as before. A barrier says when, not
    what is read: behind it only the same date is taken back.
    """

    def __init__(self, index: PlanIndex, board: Board) -> None:
        self._index, self._board = index, board
        self.cells: dict[tuple[int, str], Reopening] = {}
        self._waiting: list[tuple[int, set[int]]] = []
        self._seen: set[tuple[int, int]] = set()

    def run_again(self, position: int, tasks: Iterable[int]) -> None:
        """These tasks of a date get a further attempt, and so does what was made from them."""
        self._redo(position, tasks)
        while self._waiting:
            self._follow(*self._waiting.pop())

    def take_back(self, position: int, group: ReleaseGroup) -> None:
        """A release group of a date loses its release, as far as it has one, and is made again, with what was made from
        it."""
        self._withdraw(position, group)
        self.run_again(position, ())

    def look_again(self, position: int, group: ReleaseGroup, void: Iterable[int] = ()) -> None:
        """A release group is judged again where it stands, without being made again. void: tasks of which no attempt
        that was made so far counts."""
        if called_off := [self._index.tasks[number].processor for number in void]:
            self._cell(position, group.phase).redo.update(called_off)
        if self._is_out(position, group):
            self._cell(position, group.phase).reopened.add(group.number)

    def _withdraw(self, position: int, group: ReleaseGroup) -> None:
        if self._is_out(position, group):
            cell = self._cell(position, group.phase)
            cell.withdrawn.add(group.number)
            cell.reopened.discard(group.number)
            self._redo(position, group.tasks)
        else:
            tasks = self._index.tasks
            self._redo(position, [t for t in group.tasks if tasks[t].work[position] in _LEFT_ALONE])

    def _cell(self, position: int, phase: str) -> Reopening:
        return self.cells.setdefault((position, phase), Reopening())

    def _redo(self, position: int, tasks: Iterable[int]) -> None:
        """Raise the generation of these tasks, of what needs them, and of what they read and nobody needed so far.

        Their outputs will change.
        """
        fresh: set[int] = set()
        for number in _with_dependants(self._index, position, set(tasks)):
            task = self._index.tasks[number]
            self._cell(position, task.phase).redo.add(task.processor)
            if (position, number) not in self._seen:
                self._seen.add((position, number))
                fresh.add(number)
        if fresh:
            self._waiting.append((position, fresh))

    def _is_out(self, position: int, group: ReleaseGroup) -> bool:
        """Whether a release group is released, as far as this retry leaves it so."""
        cell = self.cells.get((position, group.phase), Reopening())
        return not self._board.is_pending(group.name, position) and group.number not in cell.withdrawn

    def _follow(self, position: int, tasks: set[int]) -> None:
        """Reopen the release groups of tasks that run again, and take back what an edge releases on top of them."""
        index = self._index
        for group_number in {index.tasks[number].group for number in tasks}:
            group = index.groups[group_number]
            if self._is_out(position, group):
                self._cell(position, group.phase).reopened.add(group_number)
        refs = {index.tasks[number].ref for number in tasks}
        for group in index.groups:
            for p in {p for edge in group.edges for p in self._reached(edge, position, refs)}:
                self._withdraw(p, group)

    @staticmethod
    def _reached(edge: Edge, position: int, refs: set[str]) -> list[int]:
        """The dates at which an edge reads one of these outputs of the date at ``position``."""
        if isinstance(edge, SameDateEdge):
            return [position] if edge.refs & refs else []
        if isinstance(edge, WindowEdge):
            if not any(ref in refs for ref, _ in edge.refs):
                return []
            return [p for p, (first, last) in enumerate(edge.inside) if first <= position < last]
        if isinstance(edge, ApprovalEdge):
            return []
        return [position] if any(ref.startswith(f"{edge.phase}/") for ref in refs) else []


def _sources(index: PlanIndex, ref: str) -> set[int]:
    """The task and everything of its date that it was made from, as far as the run makes it."""
    found, queue = set[int](), [ref]
    while queue:
        task = index.by_ref.get(queue.pop())
        if task is None or task.number in found:
            continue
        found.add(task.number)
        queue.extend(index.tasks[n].ref for n in task.needs)
        queue.extend(index.tasks[n].ref for n in task.reads)
    return found


def _with_dependants(index: PlanIndex, position: int, tasks: set[int]) -> set[int]:
    """The tasks, what needs them on the date, and what any of these reads that was not needed when it was planned."""
    reached, queue = set(tasks), list(tasks)
    while queue:
        task = index.tasks[queue.pop()]
        unneeded = (n for n in index.sources[task.number] if index.tasks[n].work[position] == WorkLetter.NOT_NEEDED)
        for number in (*index.dependants[task.number], *unneeded):
            if number not in reached:
                reached.add(number)
                queue.append(number)
    return reached
