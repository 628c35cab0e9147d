"""A pass of the conductor holds what it has read of a run, and what it is going to write in one commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from phasegate.domain.decisions.advance import GroupOutcome
from phasegate.domain.decisions.retry import Changes
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Cell, DateFacts, GroupState, Proved
from phasegate.domain.state.run import Run, RunStatus, Waiver
from phasegate.domain.state.unsound import Unsound

MOST_DATES = 200
"""Dates that one pass reads to prove and judge them, or of which it enters a retry: what becomes of them goes into one
commit (10 MiB, Firestore quotas), and what is read stays in memory until then."""

RELEASES_A_DATE = 2
"""Release groups that one pass releases, for each of the dates that it may read."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a retry, or a refresh, reaches is found out once for all its pages, on a board that stands still
    meanwhile."""

    intent: str
    """The id of the retry or refresh."""
    groups: Mapping[str, bytearray]
    """The letters that it follows from."""
    bad: Mapping[date, Mapping[str, Unsound]]
    """What was known against processors."""
    changes: Changes
    """The cells that it changes."""


@dataclass(slots=True)
class ConductorPass:
    """A pass goes over one run. The board is changed in place; cells and proofs are collected."""

    run: Run
    """The run, as people want it."""
    index: PlanIndex
    """Its compiled plan."""
    board: Board
    """Its board, as the pass leaves it."""
    version: int
    """The board's version, when it was read."""
    now: datetime
    """When it began: all that it decides and writes carries this time."""
    cursor: str
    """How far the dates' changes are read when the pass has been committed."""
    waivers: tuple[Waiver, ...]
    """The waivers in force."""
    status_before: RunStatus
    """The status on the board, when it was read."""
    plan: str
    """Names the generation of the plan by which the cells are written."""
    most_dates: int
    """Dates that it reads to prove and judge them, to enter a retry, or to follow waivers."""
    facts: dict[date, DateFacts] = field(default_factory=dict)
    """The dates that the pass concerns."""
    cells: dict[tuple[date, str], Cell] = field(default_factory=dict)
    """The cells to write, by date and phase."""
    proofs: list[tuple[AttemptKey, Proved]] = field(default_factory=list)
    """The proofs to write."""
    started: set[date] = field(default_factory=set)
    """Dates with a release group that was released or starts again."""
    changed: bool = False
    """Whether the board carries news besides cells, proofs, cursor and status."""

    @property
    def has_news(self) -> bool:
        """Tell whether there is something to commit."""
        moved = self.cursor != self.board.cursor or self.board.status is not self.status_before
        return bool(self.cells or self.proofs or self.changed or moved)

    def cell(self, day: date, phase: str) -> Cell:
        """Return the cell as this pass leaves it."""
        return self.cells.get((day, phase)) or self.facts[day].cells.get(phase, Cell())

    def conclude(self, outcome: GroupOutcome) -> None:
        """Write down how a release group ended."""
        group, day = self.index.groups[outcome.group], self.index.days[outcome.position]
        there = self.cell(day, group.phase).groups[group.name]
        concluded = replace(there, concluded=outcome.letter, concluded_at=self.now, verdicts=outcome.verdicts)
        self._write_group(day, group.phase, group.name, concluded)

    def release(self, position: int, number: int, same: tuple[str, ...]) -> None:
        """Let a release group of a date go. same: its processors that are left alone."""
        group, day = self.index.groups[number], self.index.days[position]
        self.started.add(day)
        released = GroupState(self.cell(day, group.phase).generation, self.now, same=same)
        self._write_group(day, group.phase, group.name, released)

    def reopen(self, changes: Changes) -> None:
        """Raise the generation of the cells that a retry or refresh reaches: release groups start again, or lose their
        release."""
        for (position, phase), change in changes.items():
            day = self.index.days[position]
            cell = self.cell(day, phase)
            generation = cell.generation + 1
            withdrawn = {self.index.groups[number].name for number in change.withdrawn}
            groups = {name: state for name, state in cell.groups.items() if name not in withdrawn}
            for name in (self.index.groups[number].name for number in change.reopened):
                same = cell.groups[name].same if name in cell.groups else ()
                groups[name] = GroupState(generation, self.now, same=same)
            redo = {**cell.redo, **dict.fromkeys(change.redo, generation)}
            self.cells[day, phase] = Cell(generation, groups, redo, self.plan)
            self.started.add(day)

    def _write_group(self, day: date, phase: str, group: str, state: GroupState) -> None:
        cell = self.cell(day, phase)
        self.cells[day, phase] = replace(cell, groups={**cell.groups, group: state}, plan=self.plan)
