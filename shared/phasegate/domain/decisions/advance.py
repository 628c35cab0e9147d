"""The conductor decides what passed, which release groups are released, and when a run has come to its end."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from phasegate.domain.decisions.circuit_breaker import breakers
from phasegate.domain.decisions.edges import Blockage, awaited_approvals, canary_left, held_back, obstacles
from phasegate.domain.plan import PlanIndex, ReleaseGroup, SameDateEdge
from phasegate.domain.spec.pipeline import FailurePolicy
from phasegate.domain.state.board import ENDED, GOOD, OPEN, Board, BoardLetter, bytes_of
from phasegate.domain.state.facts import Verdict
from phasegate.domain.state.run import DesiredState, Run, RunStatus
from phasegate.domain.state.unsound import Failure, Unsound


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """An outcome says how a release group came to rest on a date."""

    position: int
    """The position of the date."""
    group: int
    """The number of the release group."""
    letter: BoardLetter
    """The letter that it gets on the board."""
    bad: dict[str, Unsound] = field(default_factory=dict)
    """``phase/processor`` -> why it is not sound."""
    verdicts: tuple[Verdict, ...] = ()
    """What the checks say."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions follow from a board, the outcomes and what people want."""

    board: Board
    """The board as it should be."""
    releases: list[tuple[int, int]]
    """The groups to release: (position of the date, number of the release group)."""


def advance(
    index: PlanIndex,
    board: Board,
    run: Run,
    outcomes: Sequence[GroupOutcome],
    now: datetime,
    refused: str = "",
    most_releases: int = 400,
) -> Decisions:
    """Enter the outcomes on the board and release every group whose edges pass, under the limits.

    refused: why tables cannot be asked until a person acts, which halts the run. most_releases: release groups whose
    cells go into one commit; the next pass goes on. ``board`` is changed in place and
    returned. Called again with no outcomes and no other change it decides nothing.
    """
    board.approved = tuple(sorted({approved.phase for approved in run.approvals}))
    for outcome in outcomes:
        _enter(index, board, outcome)
    _halt_if_intolerable(index, board)
    board.halted_because = refused or board.halted_because
    board.breakers = breakers(index, board, {ref for outcome in outcomes for ref in outcome.bad}, now)
    releases: list[tuple[int, int]] = []
    if run.admits and not board.halted_because:
        releases = _release(index, board, run, most_releases)
    board.come_to(_status(index, board, run, is_refused=bool(refused)), now)
    return Decisions(board, releases)


def _enter(index: PlanIndex, board: Board, outcome: GroupOutcome) -> None:
    group, day = index.groups[outcome.group], index.days[outcome.position]
    board.set_letter(group.name, outcome.position, outcome.letter)
    board.forget(day, [index.tasks[t].ref for t in group.tasks])
    if outcome.bad:
        board.bad.setdefault(day, {}).update(outcome.bad)


def _halt_if_intolerable(index: PlanIndex, board: Board) -> None:
    """Judged anew each time: a retry or a waiver may leave few enough."""
    board.halted_because = _needs_a_person(board)
    for phase in index.plan.phases:
        allowed = _tolerated(index.plan.pipeline.phase(phase).failure, len(index.days))
        if allowed is None:
            continue
        failed = {
            i for n in index.groups_of(phase) for i, c in enumerate(board.groups[index.groups[n].name]) if c == _FAILED
        }
        if len(failed) > allowed:
            board.halted_because = (
                f"{phase}: {len(failed)} date(s) ended badly, {allowed} tolerated (first: {index.days[min(failed)]})"
            )


def _needs_a_person(board: Board) -> str:
    """What a worker was refused that only a person can allow, of the earliest date; empty: nothing."""
    for day, bad in sorted(board.bad.items()):
        for ref, why in bad.items():
            if isinstance(why, Failure) and why.needs_a_person:
                return f"{ref} on {day}: {why.message}"
    return ""


def _tolerated(policy: FailurePolicy, dates: int) -> int | None:
    """How many of so many dates may end badly; None: all of them."""
    if policy.then == "halt_run":
        return 0
    share = None if policy.tolerated_percent is None else int(Fraction(str(policy.tolerated_percent)) * dates / 100)
    return min((n for n in (policy.tolerated_dates, share) if n is not None), default=None)


def _release(index: PlanIndex, board: Board, run: Run, most_releases: int) -> list[tuple[int, int]]:
    """Release groups whose edges pass, earliest date first, as far as the limits admit."""
    admission = _Admission(index, board, run)
    is_canary, held = bool(canary_left(index, board)), held_back(index, board)
    releases: list[tuple[int, int]] = []
    for group in index.groups:
        candidates = _candidates(index, board, group, held, is_canary=is_canary)
        position = candidates.find(1)
        while position != -1 and not admission.is_full(group) and len(releases) < most_releases:
            if admission.admits(group, position) and next(obstacles(index, board, group, position), None) is None:
                admission.enter(group, position)
                releases.append((position, group.number))
                board.set_letter(group.name, position, BoardLetter.RELEASED)
            position = candidates.find(1, position + 1)
    return releases


def limit_reached(index: PlanIndex, board: Board, run: Run) -> str | None:
    """Name the limit by which a release group is held back on a date on which nothing else is
    against it; None: there is no such group."""
    admission = _Admission(index, board, run)
    is_canary, held = bool(canary_left(index, board)), held_back(index, board)
    for group in index.groups:
        if board.breakers.keys() & {index.tasks[number].ref for number in group.tasks}:
            continue
        candidates = _candidates(index, board, group, held, is_canary=is_canary)
        position = candidates.find(1)
        while position != -1:
            if not admission.admits(group, position) and next(obstacles(index, board, group, position), None) is None:
                return admission.limit_of(group)
            position = candidates.find(1, position + 1)
    return None


def _mask(letters: Iterable[BoardLetter]) -> bytes:
    """1 for each of the letters, 0 for every other byte."""
    return bytes(byte in bytes_of(letters) for byte in range(256))


_IS_PENDING, _IS_ENDED = _mask([BoardLetter.PENDING]), _mask(ENDED)
_GOOD, _OPEN, _FAILED = bytes_of(GOOD), bytes_of(OPEN), ord(BoardLetter.FAILED)


def _candidates(index: PlanIndex, board: Board, group: ReleaseGroup, held: bytes, *, is_canary: bool) -> bytes:
    """1 for each date on which a release group is pending and all that it needs of the same date has ended; else 0.

    held: as ``held_back`` marks the dates that may not enter. is_canary: canary dates have not passed yet: no other is
    a candidate.

    Only what surely has an obstacle is left out, a thousand dates at a time; ``obstacles`` decides on the rest.
    """
    found = int.from_bytes(board.groups[group.name].translate(_IS_PENDING)) & ~int.from_bytes(held)
    if is_canary:
        found &= int.from_bytes(index.canary.get(group.number, b""))
    for edge in group.edges:
        if isinstance(edge, SameDateEdge):
            for number in edge.groups:
                found &= int.from_bytes(board.groups[index.groups[number].name].translate(_IS_ENDED))
    return found.to_bytes(len(index.days))


class _Admission:
    """How many more dates may be active: in each phase, and in the run while it ramps up.

    Phases that are released together have one limit, that of the first of them.
    """

    def __init__(self, index: PlanIndex, board: Board, run: Run) -> None:
        self._index, self._board = index, board
        self._first: dict[str, str] = {}
        self._limit: dict[str, int | None] = {}
        self._active: dict[str, set[int]] = {}
        for group in index.groups:
            leader = index.groups[group.released_with[0]].phase if group.released_with else group.phase
            first = self._first[group.phase] = self._first.get(leader, leader)
            self._limit[first] = run.active_dates.get(first, index.plan.pipeline.phase(first).limits.active_dates)
            self._active.setdefault(first, set()).update(_open_positions(board.groups[group.name]))
        self._entries = _ramp_room(index, board)

    def is_full(self, group: ReleaseGroup) -> bool:
        """No further date may become active in the release group's phase, and no active one has this group
        left."""
        first = self._first[group.phase]
        limit, active = self._limit[first], self._active[first]
        if limit is None or len(active) < limit:
            return False
        return all(not self._board.is_pending(group.name, position) for position in active)

    def admits(self, group: ReleaseGroup, position: int) -> bool:
        """Whether the limits allow this release group at this date."""
        first = self._first[group.phase]
        limit, active = self._limit[first], self._active[first]
        if limit is not None and position not in active and len(active) >= limit:
            return False
        return self._entries is None or self._entries > 0 or not self._is_untouched(position)

    def limit_of(self, group: ReleaseGroup) -> str:
        """Name the limit by which the release group is not admitted on a date."""
        first = self._first[group.phase]
        limit = self._limit[first]
        is_full = limit is not None and len(self._active[first]) >= limit
        return f"limits.active_dates of {first}" if is_full else "the ramp"

    def enter(self, group: ReleaseGroup, position: int) -> None:
        """Count a release (before it stands on the board)."""
        if self._entries is not None and self._is_untouched(position):
            self._entries -= 1
        self._active[self._first[group.phase]].add(position)

    def _is_untouched(self, position: int) -> bool:
        return all(self._board.is_pending(group.name, position) for group in self._index.groups)


def _open_positions(strip: bytearray) -> Iterator[int]:
    """Dates of a release group that were released and are not judged."""
    for letter in _OPEN:
        position = strip.find(letter)
        while position != -1:
            yield position
            position = strip.find(letter, position + 1)


def _ramp_room(index: PlanIndex, board: Board) -> int | None:
    """How many more dates may enter the run; None without a ramp."""
    if not index.plan.ramp:
        return None
    finished = active = 0
    blockage = Blockage(index, board)
    for position in range(len(index.days)):
        letters = {board.letter(group.name, position) for group in index.groups}
        if letters == {BoardLetter.PENDING}:
            continue
        if letters <= ENDED or (not letters & OPEN and blockage.is_stuck(position)):
            finished += 1
        else:
            active += 1
    for step in index.plan.ramp:
        if step.until_finished is None or finished < step.until_finished:
            return step.active_dates - active
    return None


def _status(index: PlanIndex, board: Board, run: Run, *, is_refused: bool) -> RunStatus:
    if run.desired_state is DesiredState.CANCELLED:
        return RunStatus.CANCELLED
    if all(not strip.translate(None, _GOOD) for strip in board.groups.values()):
        return RunStatus.COMPLETED
    if is_refused and run.admits:
        return RunStatus.HALTED
    is_open = any(strip.find(letter) != -1 for strip in board.groups.values() for letter in _OPEN)
    if is_open or not run.admits:
        return {
            DesiredState.RUNNING: RunStatus.RUNNING,
            DesiredState.PAUSED: RunStatus.PAUSED,
            DesiredState.DRAINING: RunStatus.DRAINING,
        }[run.desired_state]
    if board.halted_because:
        return RunStatus.HALTED
    if board.outside is None and index.outside:
        return RunStatus.RUNNING
    return RunStatus.WAITING if awaited_approvals(index, board) else RunStatus.COMPLETED_WITH_FAILURES
