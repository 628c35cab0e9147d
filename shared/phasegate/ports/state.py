"""The state of runs is split by who needs what; a backend provides the sum.

Writers never read, change and write back what others write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from phasegate.domain.plan import Plan, PlanIndex, PlanScope
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, Cell, DateFacts, Fact, Proved
from phasegate.domain.state.listed import ListedRun
from phasegate.domain.state.run import Run, UnreadableDocument
from phasegate.ports.claims import ClaimStore, Leases
from phasegate.ports.records import RecordStore


class RunReader(Protocol):
    """A reader gives what is known of runs to whoever plans after them, explains them or reports on them.

    What is stored of a run and cannot be read by this version raises UnreadableRun, from every method that reads it;
    nothing that is about another run, or about all of them, does.
    """

    def run(self, run_id: str) -> Run:
        """Return the run's document, uncached. Raises InputError for an unknown run."""

    def written(self, run_id: str) -> int:
        """Return a number that is the higher the later a run was written, in the order in which the store took them:
        the clocks of those who wrote may differ. Raises InputError for an unknown run."""

    def glance(self, run_id: str) -> Run:
        """Return the run's document as it was at most a moment ago, for whoever starts nothing by itself.

        A run that does not admit is never older than now, so that nobody waits for one that was resumed.
        """

    def runs(self) -> list[Run]:
        """Return all runs whose document can be read, newest first."""

    def every_run(self) -> list[Run | UnreadableDocument]:
        """Return all runs, newest first, and of a document that cannot be read why not: each is read by itself."""

    def listed_runs(self) -> list[ListedRun | UnreadableDocument]:
        """Return what a list of runs says of all of them, newest first; of one of which some part cannot be read, why
        not: each is read by itself."""

    def unfinished(self) -> list[str]:
        """Return the ids of the runs whose board has not come to a final status, readable or not."""

    def halted_at_work(self) -> list[str]:
        """Return the ids of the runs that halted, and for which workers and queues may go on: they are over, and who
        works on their dates asks what is under way. None where claims die with the process that drives a run."""

    def listening(self, topic: str) -> list[str]:
        """Return the ids of the unfinished runs that observe a topic, and of those of which it is not known: found by
        a query, without reading their plans."""

    def sources_of_forgotten(self, pipeline: str) -> Mapping[date, tuple[datetime, str]]:
        """Return, for the dates of runs that were forgotten, when the youngest of these was created, and the source
        folder that it read: its rows are still there. A run without such a folder is not among them."""

    def plan(self, run_id: str, name: str | None = None) -> Plan:
        """Return a generation of the frozen plan. name: None: the one that the board stands by, which is looked up
        each time; whoever knows it says so, and nothing is read that is kept."""

    def scope(self, run_id: str) -> PlanScope:
        """Return the phases and dates of the frozen plan, for whoever looks at many runs: where the store can tell
        them by itself, the rest of the plan is neither read nor kept."""

    def index(self, run_id: str, name: str | None = None) -> PlanIndex:
        """Return a generation of the plan, compiled; it is kept, so that asking again costs nothing. name: as for
        ``plan``. Phases, tasks, release groups and dates are the same in all of them."""

    def board(self, run_id: str) -> tuple[Board, int]:
        """Return a copy of the board, and its version."""

    def dates(self, run_id: str, days: Iterable[date]) -> dict[date, DateFacts]:
        """Return the facts of these dates; a date without any is empty. Not to be changed by the reader."""


class RunWriter(RunReader, Protocol):
    """A writer keeps what people want of runs, for the starter and the commands of operators."""

    def create_run(self, run: Run, plan: Plan, board: Board) -> bool:
        """Write a run, its plan and its board; False when the run id is there already. Raises NameIsTaken, and nothing
        is written, for the id of a run that was forgotten, while others may still know that run."""

    def forget_run(self, run_id: str, now: datetime) -> None:
        """Delete all that is kept of a run, itself last: begun and not ended, it is done again by the same call.

        Its id may not be used again while others may still know the run: see ``create_run``.
        """

    def keep_plan(self, run_id: str, name: str, plan: Plan) -> None:
        """Keep a later generation of a run's plan under its name, for ``change_run`` to refer to. What has the name
        already is the same, as the name says."""

    def change_run(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """Apply a pure change to the run's document, repeated until it met no other writer."""


class FactStore(Protocol):
    """The store keeps what happened on a run's dates and what the conductor made of it, for handlers of messages."""

    def record(self, run_id: str, facts: Sequence[tuple[AttemptKey, Fact]]) -> None:
        """Add facts, without reading what is there. The first value of a fact stands; a later dispatch counts."""

    def mark_at_rest(self, run_id: str, days: Iterable[date]) -> None:
        """Mark dates of which a release group was seen at rest: the conductor reads marked ones."""

    def at_rest(self, run_id: str, cursor: str, limit: int) -> tuple[dict[date, DateFacts], str]:
        """Return dates marked since the cursor (empty: ever) with their facts, and the cursor for the next call.

        The oldest marks come first. So many as ``limit``: there may be more, and the next call goes on there. Dates
        that were marked in one breath come together, be they more than that. Some dates may be given again at the
        next call; none is ever left out.
        """

    def commit(
        self,
        run_id: str,
        board: Board,
        version: int,
        cells: Mapping[tuple[date, str], Cell],
        proofs: Sequence[tuple[AttemptKey, Proved]] = (),
    ) -> bool:
        """Write board, cells and proofs in one batch; False, and nothing written, when the board is not ``version``.

        Raises CommitTooLarge, and nothing is written, for more than the store takes at once.
        """


class State(RunWriter, FactStore, ClaimStore, RecordStore, Protocol):
    """The state holds facts, claims, cells and boards, and the records beside them."""

    @property
    def leases(self) -> Leases:
        """Return the leases on tables' dates, which lie beside the runs and belong to none."""
