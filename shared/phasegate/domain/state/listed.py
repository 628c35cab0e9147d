"""A list of runs says a little of each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasegate.domain.state.board import Board
from phasegate.domain.state.run import Run

if TYPE_CHECKING:
    from phasegate.domain.plan import PlanScope


@dataclass(frozen=True, slots=True)
class ListedRun:
    """This is what a list of runs says of one."""

    run: Run
    """The run, as people want it."""

    board: Board
    """How it stands."""

    scope: "PlanScope"
    """The phases and dates that it is about."""
