"""The decision of the conductor: what passed, which lanes are released, and when a run has come to its end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from phasegate.domain.decisions.circuit_breaker import brakes
from phasegate.domain.decisions.edges import Blockage, canary_left, obstacles, wanted_approvals
from phasegate.domain.plan import Lane, PlanIndex, SameDate
from phasegate.domain.spec.pipeline import FailurePolicy
from phasegate.domain.state.board import ENDED, FAILED, GOOD, PENDING, RELEASED, UNJUDGED, Board
from phasegate.domain.state.facts import Verdict
from phasegate.domain.state.run import Run, RunStatus, Wanted

_OPEN = (RELEASED, UNJUDGED)

MOST_RELEASES = 400
"""Lanes released in one round: their cells go into one commit (10 MiB, Firestore quotas); the next round goes on."""


@dataclass(frozen=True, slots=True)
class LaneOutcome:
    """A lane of a date that came to rest. ``bad``: ref -> (BLOCKED, FAILED or UPSTREAM, a sentence)."""

    position: int
    lane: int
    letter: str
    bad: dict[str, tuple[str, str]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Decisions:
    """The board as it should be, and the lanes to release: (position of the date, lane)."""

    board: Board
    releases: list[tuple[int, int]]


def advance(index: PlanIndex, board: Board, run: Run, outcomes: Sequence[LaneOutcome], now: datetime) -> Decisions:
    """Enter the outcomes on the board and release every lane whose edges pass, under the limits.

    ``board`` is changed in place and returned. Called again with no outcomes and no other change it decides nothing.
    """
    board.approved = tuple(sorted({approved.phase for approved in run.approvals}))
    for outcome in outcomes:
        _enter(index, board, outcome)
    _halt_if_intolerable(index, board)
    board.brakes = brakes(index, board, {ref for outcome in outcomes for ref in outcome.bad}, now)
    releases: list[tuple[int, int]] = []
    if run.admits and not board.halted_because:
        releases = _release(index, board, run)
    status = _status(index, board, run)
    if status.is_final and not board.status.is_final:
        board.finished_at = now
    elif not status.is_final:
        board.finished_at = None
    board.status = status
    return Decisions(board, releases)


def _enter(index: PlanIndex, board: Board, outcome: LaneOutcome) -> None:
    lane, day = index.lanes[outcome.lane], index.days[outcome.position]
    board.set_letter(lane.name, outcome.position, outcome.letter)
    board.forget(day, [index.tasks[t].ref for t in lane.tasks])
    if outcome.bad:
        board.bad.setdefault(day, {}).update(outcome.bad)


def _halt_if_intolerable(index: PlanIndex, board: Board) -> None:
    """Judged anew each time: a retry or a waiver may leave few enough."""
    board.halted_because = ""
    for phase in index.plan.phases:
        allowed = _tolerated(index.plan.pipeline.phase(phase).failure, len(index.days))
        if allowed is None:
            continue
        failed = {
            i for n in index.lanes_of(phase) for i, c in enumerate(board.lanes[index.lanes[n].name]) if chr(c) == FAILED
        }
        if len(failed) > allowed:
            board.halted_because = (
                f"{phase}: {len(failed)} date(s) ended badly, {allowed} tolerated (first: {index.days[min(failed)]})"
            )


def _tolerated(policy: FailurePolicy, dates: int) -> int | None:
    """How many of so many dates may end badly; None: all of them."""
    if policy.then == "halt_run":
        return 0
    share = None if policy.tolerated_percent is None else int(Fraction(str(policy.tolerated_percent)) * dates / 100)
    return min((n for n in (policy.tolerated_dates, share) if n is not None), default=None)


def _release(index: PlanIndex, board: Board, run: Run) -> list[tuple[int, int]]:
    """Lanes whose edges pass, earliest date first, as far as the limits admit."""
    admission = _Admission(index, board, run)
    is_canary = bool(canary_left(index, board))
    releases: list[tuple[int, int]] = []
    for lane in index.lanes:
        candidates = _candidates(index, board, lane, is_canary=is_canary)
        position = candidates.find(1)
        while position != -1 and not admission.is_full(lane) and len(releases) < MOST_RELEASES:
            if admission.admits(lane, position) and next(obstacles(index, board, lane, position), None) is None:
                admission.enter(lane, position)
                releases.append((position, lane.number))
                board.set_letter(lane.name, position, RELEASED)
            position = candidates.find(1, position + 1)
    return releases


def _mask(letters: str) -> bytes:
    return bytes(letter in letters.encode() for letter in range(256))


_IS_PENDING, _IS_ENDED = _mask(PENDING), _mask(ENDED)


def _candidates(index: PlanIndex, board: Board, lane: Lane, *, is_canary: bool) -> bytes:
    """1 for each date on which a lane is pending and all that it needs of the same date has ended; else 0.

    is_canary: canary dates have not passed yet: no other is a candidate.

    Only what surely has an obstacle is left out, a thousand dates at a time; ``obstacles`` decides on the rest.
    """
    found = int.from_bytes(board.lanes[lane.name].translate(_IS_PENDING))
    if is_canary:
        found &= int.from_bytes(index.canary.get(lane.number, b""))
    for edge in lane.edges:
        if isinstance(edge, SameDate):
            for number in edge.lanes:
                found &= int.from_bytes(board.lanes[index.lanes[number].name].translate(_IS_ENDED))
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
        for lane in index.lanes:
            leader = index.lanes[lane.released_with[0]].phase if lane.released_with else lane.phase
            first = self._first[lane.phase] = self._first.get(leader, leader)
            self._limit[first] = run.active_dates.get(first, index.plan.pipeline.phase(first).limits.active_dates)
            self._active.setdefault(first, set()).update(_open_positions(board.lanes[lane.name]))
        self._entries = _ramp_room(index, board)

    def is_full(self, lane: Lane) -> bool:
        """No further date may become active in the lane's phase, and no active one has this lane left."""
        first = self._first[lane.phase]
        limit, active = self._limit[first], self._active[first]
        if limit is None or len(active) < limit:
            return False
        return all(self._board.letter(lane.name, position) != PENDING for position in active)

    def admits(self, lane: Lane, position: int) -> bool:
        """Whether the limits allow this lane at this date."""
        first = self._first[lane.phase]
        limit, active = self._limit[first], self._active[first]
        if limit is not None and position not in active and len(active) >= limit:
            return False
        return self._entries is None or self._entries > 0 or not self._is_untouched(position)

    def enter(self, lane: Lane, position: int) -> None:
        """Count a release (before it stands on the board)."""
        if self._entries is not None and self._is_untouched(position):
            self._entries -= 1
        self._active[self._first[lane.phase]].add(position)

    def _is_untouched(self, position: int) -> bool:
        return all(self._board.letter(lane.name, position) == PENDING for lane in self._index.lanes)


def _open_positions(strip: bytearray) -> Iterator[int]:
    """Dates of a lane that were released and have not come to rest."""
    for letter in _OPEN:
        position = strip.find(ord(letter))
        while position != -1:
            yield position
            position = strip.find(ord(letter), position + 1)


def _ramp_room(index: PlanIndex, board: Board) -> int | None:
    """How many more dates may enter the run; None without a ramp."""
    if not index.plan.ramp:
        return None
    finished = active = 0
    blockage = Blockage(index, board)
    for position in range(len(index.days)):
        letters = {board.letter(lane.name, position) for lane in index.lanes}
        if letters == {PENDING}:
            continue
        if letters <= set(ENDED) or (not letters & set(_OPEN) and blockage.is_stuck(position)):
            finished += 1
        else:
            active += 1
    for step in index.plan.ramp:
        if step.until_finished is None or finished < step.until_finished:
            return step.active_dates - active
    return None


def _status(index: PlanIndex, board: Board, run: Run) -> RunStatus:
    if run.wanted is Wanted.CANCELLED:
        return RunStatus.CANCELLED
    good = GOOD.encode()
    if all(not strip.translate(None, good) for strip in board.lanes.values()):
        return RunStatus.COMPLETED
    is_open = any(strip.find(ord(letter)) != -1 for strip in board.lanes.values() for letter in _OPEN)
    if is_open or not run.admits:
        return {
            Wanted.RUNNING: RunStatus.RUNNING,
            Wanted.PAUSED: RunStatus.PAUSED,
            Wanted.DRAINING: RunStatus.DRAINING,
        }[run.wanted]
    if board.halted_because:
        return RunStatus.HALTED
    if board.outside is None and index.outside:
        return RunStatus.RUNNING
    return RunStatus.WAITING if wanted_approvals(index, board) else RunStatus.COMPLETED_WITH_FAILURES
