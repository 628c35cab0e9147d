"""Edges are judged on the board: what stands in the way of a release group, and down to which root.

One function answers both questions, "may it start?" and "why does it wait?", so that the release decision and its
explanation cannot disagree.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from phasegate.domain.plan import ApprovalEdge, BarrierEdge, Edge, PlanIndex, ReleaseGroup, SameDateEdge, WindowEdge
from phasegate.domain.state.board import BADLY_ENDED, ENDED, GOOD, Board, BoardLetter, bytes_of
from phasegate.domain.state.unsound import Blocked, NotRun, Unsound

_GOOD = bytes_of(GOOD)
_IS_NOT_GOOD = bytes(letter not in _GOOD for letter in range(256))
_IS_PENDING = bytes(letter == ord(BoardLetter.PENDING) for letter in range(256))


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An obstacle is one thing that an edge still lacks."""

    check: str
    """The kind of edge."""
    day: date
    """The date on which it is lacking."""
    ref: str
    """The processor as ``phase/processor``, or the phase when it is not about one."""
    group: int | None
    """The number of the release group on the board; None when the tables outside the run were judged."""
    position: int | None
    """The position of the date on the board; None as for ``group``."""
    letter: BoardLetter
    """The release group's letter there."""
    detail: str = ""
    """Why, when it is known."""

    @property
    def is_bad(self) -> bool:
        """Tell whether it will not go away by waiting."""
        return self.letter in BADLY_ENDED

    @property
    def needs_a_person(self) -> bool:
        """Tell whether it is an approval that nobody has given yet."""
        return self.check == "approval"


def obstacles(index: PlanIndex, board: Board, group: ReleaseGroup, position: int) -> Iterator[Obstacle]:
    """Find everything that keeps a release group from being released at a date; nothing when it may start."""
    for task in group.tasks:
        ref = index.tasks[task].ref
        if (breaker := board.breakers.get(ref)) is not None:
            at = index.position[breaker.first]
            letter = BoardLetter.BLOCKED if breaker.is_of_a_check else BoardLetter.FAILED
            yield Obstacle("brake", breaker.first, ref, group.number, at, letter, str(breaker))
    if index.canary and not (group.number in index.canary and index.canary[group.number][position]):
        yield from _canary(index, board)
    if index.plan.stops_at_bad_date:
        yield from _in_order(index, board, position)
    for number in group.released_with:
        companion = index.groups[number]
        if board.is_pending(companion.name, position):
            yield Obstacle(
                "released_with", index.days[position], companion.phase, number, position, BoardLetter.PENDING
            )
    for edge in group.edges:
        yield from _edge(index, board, edge, position)


def canary_left(index: PlanIndex, board: Board) -> dict[int, bytes]:
    """Find what of the canary dates has not passed: for each release group, 1 at each such date."""
    left: dict[int, bytes] = {}
    for number, strip in index.canary.items():
        letters = int.from_bytes(board.groups[index.groups[number].name].translate(_IS_NOT_GOOD))
        if left_of_group := letters & int.from_bytes(strip):
            left[number] = left_of_group.to_bytes(len(strip))
    return left


def _canary(index: PlanIndex, board: Board) -> Iterator[Obstacle]:
    """What a date that is no canary waits for: all that ended badly on canary dates, else the first that goes on."""
    going: Obstacle | None = None
    is_bad = False
    for number, strip in sorted(canary_left(index, board).items()):
        group = index.groups[number]
        position = strip.find(1)
        while position != -1:
            letter, day = board.letter(group.name, position), index.days[position]
            if letter in ENDED:
                for ref, why in board.bad.get(day, {}).items():
                    if ref in index.by_ref and index.by_ref[ref].group == number and not isinstance(why, NotRun):
                        is_bad = True
                        yield Obstacle("canary", day, ref, number, position, _letter(why), str(why))
            elif going is None:
                going = Obstacle("canary", day, group.phase, number, position, letter, "canary dates go first")
            position = strip.find(1, position + 1)
    if going is not None and not is_bad:
        yield going


def stopped_at(index: PlanIndex, board: Board) -> int | None:
    """Find the position of the earliest date that lets no later one into the run; None: no date does, or the plan does
    not stop at bad dates."""
    if not index.plan.stops_at_bad_date:
        return None
    return next((stop.at for stop in _stops(index, board, len(index.days))), None)


def held_back(index: PlanIndex, board: Board) -> bytes:
    """Mark the dates that have not entered the run and may not, as an earlier one stops it: 1, else 0."""
    first = stopped_at(index, board)
    if first is None:
        return bytes(len(index.days))
    return bytes(first + 1) + _not_entered(index, board)[first + 1 :]


def _not_entered(index: PlanIndex, board: Board) -> bytes:
    """1 for each date of which nothing was released, else 0."""
    found = int.from_bytes(b"\1" * len(index.days))
    for strip in board.groups.values():
        found &= int.from_bytes(strip.translate(_IS_PENDING))
    return found.to_bytes(len(index.days))


class _Stop(NamedTuple):
    """A date stops those after it."""

    at: int
    """The position of the date."""
    obstacle: Obstacle
    """What is bad on it."""


def _stops(index: PlanIndex, board: Board, before: int) -> Iterator[_Stop]:
    """What is bad on the dates before a position, in order: what ended badly there, and what of the tables outside the
    run holds back a date that has entered."""
    is_missing_outside = any((board.outside or {}).values())
    waiting = _not_entered(index, board)
    for day in index.days if is_missing_outside else sorted(board.bad):
        if (at := index.position.get(day, before)) >= before:
            break
        for ref, why in board.bad.get(day, {}).items():
            if ref in index.by_ref and not isinstance(why, NotRun):
                yield _Stop(at, Obstacle("in_order", day, ref, index.by_ref[ref].group, at, _letter(why), str(why)))
        if not is_missing_outside or waiting[at]:
            continue
        for group in index.groups:
            if board.is_pending(group.name, at):
                missing = (o for edge in group.edges for o in _edge(index, board, edge, at) if o.group is None)
                yield from (_Stop(at, replace(o, check="in_order")) for o in missing if o.is_bad)


def _in_order(index: PlanIndex, board: Board, position: int) -> Iterator[Obstacle]:
    """What a date that has not entered the run waits for: all that is bad on earlier dates, else the first of them that
    has not entered either."""
    waiting = _not_entered(index, board)
    if not waiting[position]:
        return
    is_bad = False
    for stop in _stops(index, board, position):
        is_bad = True
        yield stop.obstacle
    first = waiting.find(1)
    if first < position and not is_bad:
        group = index.groups[0]
        detail = "dates enter in the order of the calendar"
        yield Obstacle("in_order", index.days[first], group.phase, 0, first, BoardLetter.PENDING, detail)


def _edge(index: PlanIndex, board: Board, edge: Edge, position: int) -> Iterator[Obstacle]:
    if isinstance(edge, SameDateEdge):
        day = index.days[position]
        for number in edge.groups:
            yield from _at(index, board, edge.check, number, position, edge.refs)
        for ref in edge.outside:
            yield from _outside(board, edge.check, ref, (day,))
    elif isinstance(edge, WindowEdge):
        first, last = edge.inside[position]
        for ref, at in edge.refs:
            if at is None:
                yield from _outside(board, edge.check, ref, edge.whole[position])
                continue
            if board.groups[index.groups[at].name][first:last].translate(None, _GOOD):
                for p in range(first, last):
                    yield from _at(index, board, edge.check, at, p, frozenset((ref,)), other_date=True)
            yield from _outside(board, edge.check, ref, edge.outside[position])
    elif isinstance(edge, ApprovalEdge):
        if edge.phase not in board.approved:
            remedy = f"a person says go: phasegate approve {board.run_id} {edge.phase}"
            yield Obstacle(edge.check, index.days[position], edge.phase, None, None, BoardLetter.PENDING, remedy)
    else:
        yield from _all_dates(index, board, edge, position)


def _at(
    index: PlanIndex,
    board: Board,
    check: str,
    number: int,
    position: int,
    refs: frozenset[str],
    *,
    other_date: bool = False,
) -> Iterator[Obstacle]:
    group = index.groups[number]
    letter = board.letter(group.name, position)
    if letter in GOOD:
        return
    day = index.days[position]
    if letter not in ENDED:
        yield Obstacle(check, day, min(refs) if other_date else group.phase, number, position, letter)
        return
    bad = board.bad.get(day, {})
    policy = index.tasks[group.tasks[0]].failure.then
    whole = not other_date and letter == BoardLetter.FAILED and policy != "continue"
    for ref, why in bad.items():
        in_group = ref in index.by_ref and index.by_ref[ref].group == number
        if in_group and (whole or ref in refs):
            yield Obstacle(check, day, ref, number, position, _letter(why), str(why))


def _letter(why: Unsound) -> BoardLetter:
    return BoardLetter.BLOCKED if isinstance(why, Blocked) else BoardLetter.FAILED


def _outside(board: Board, check: str, ref: str, days: tuple[date, ...]) -> Iterator[Obstacle]:
    if not days:
        return
    if board.outside is None:
        yield Obstacle(check, days[0], ref, None, None, BoardLetter.PENDING, "not judged yet")
        return
    bad = board.outside.get(ref, {})
    for day in days:
        if day in bad:
            yield Obstacle(check, day, ref, None, None, BoardLetter.BLOCKED, bad[day])


def _all_dates(index: PlanIndex, board: Board, edge: BarrierEdge, position: int) -> Iterator[Obstacle]:
    first, last = edge.ranges[position]
    for ref in edge.outside:
        yield from _outside(board, edge.check, ref, index.days[first:last])
    for number in edge.groups:
        group = index.groups[number]
        strip = board.groups[group.name]
        if not strip[first:last].translate(None, _GOOD):
            continue
        for p in range(first, last):
            letter = board.letter(group.name, p)
            if letter in GOOD:
                continue
            reasons = [
                str(why) for ref, why in board.bad.get(index.days[p], {}).items() if ref.startswith(f"{group.phase}/")
            ]
            yield Obstacle(edge.check, index.days[p], group.phase, number, p, letter, "; ".join(reasons[:3]))


def awaited_approvals(index: PlanIndex, board: Board) -> tuple[str, ...]:
    """Find the phases whose approval, and nothing else, keeps some release group from being released."""
    awaited: dict[str, None] = {}
    for group in index.groups:
        missing = {edge.phase for edge in group.edges if isinstance(edge, ApprovalEdge)}.difference(
            board.approved, awaited
        )
        position = board.groups[group.name].find(ord(BoardLetter.PENDING)) if missing else -1
        while position != -1:
            if all(obstacle.needs_a_person for obstacle in obstacles(index, board, group, position)):
                awaited.update(dict.fromkeys(sorted(missing)))
                break
            position = board.groups[group.name].find(ord(BoardLetter.PENDING), position + 1)
    return tuple(awaited)


class Blockage:
    """A blockage knows which pending release groups cannot move until somebody acts, and the roots of it. Made for one
    state of the board."""

    def __init__(self, index: PlanIndex, board: Board) -> None:
        self._index, self._board = index, board
        self._obstacles: dict[tuple[int, int], list[Obstacle]] = {}
        self._roots: dict[tuple[int, int], tuple[Obstacle, ...]] = {}

    def roots(self, group: int, position: int) -> tuple[Obstacle, ...]:
        """Find the bad obstacles behind a pending release group, its own or those of what it waits for; empty: it just
        waits."""
        stack = [(group, position)]
        while stack:
            key = stack[-1]
            if key not in self._obstacles:
                self._obstacles[key] = list(obstacles(self._index, self._board, self._index.groups[key[0]], key[1]))
                stack.extend(k for k in self._upstream(key) if k not in self._obstacles)
                continue
            stack.pop()
            if key not in self._roots:
                found = {o: None for o in self._obstacles[key] if o.is_bad}
                for behind in self._upstream(key):
                    found.update(dict.fromkeys(self._roots.get(behind, ())))
                self._roots[key] = tuple(found)
        return self._roots[group, position]

    def _upstream(self, key: tuple[int, int]) -> list[tuple[int, int]]:
        """The pending release groups that a pending group waits for."""
        return [
            (o.group, o.position)
            for o in self._obstacles[key]
            if o.letter == BoardLetter.PENDING and o.group is not None and o.position is not None
        ]

    def is_stuck(self, position: int) -> bool:
        """Tell whether none of the date's pending release groups can move until somebody acts."""
        pending = [group for group in self._index.groups if self._board.is_pending(group.name, position)]
        return all(self.roots(group.number, position) for group in pending)
