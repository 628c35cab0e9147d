"""The conductor turns settled release groups into proofs, verdicts and releases. The only writer of the board and the
cells."""

import logging
from collections.abc import Iterable
from datetime import date, datetime

from phasegate.domain.decisions.advance import Decisions, GroupOutcome, advance
from phasegate.domain.decisions.outcome import judge_again
from phasegate.domain.decisions.retry import reopen, retry_targets
from phasegate.domain.decisions.waiving import dates_to_judge_again, in_force
from phasegate.domain.errors import PhasegateError, TransientError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.board import ENDED, Board, BoardLetter, Unasked
from phasegate.services.backend import Backend
from phasegate.services.reading.prover import Prover
from phasegate.services.running.conductor_pass import ConductorPass
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.historian import Historian
from phasegate.services.running.judge import Judge

_log = logging.getLogger(__name__)


class Conductor:
    """The conductor is called for a run and finds by itself what changed. Called twice at once, the second to commit
    loses and begins anew.

    A pass: the dates that settled, their proofs and verdicts, what people decided, ``advance``, one commit, and then
    the dates with something new to start are queued for the reconciler.
    """

    def __init__(self, backend: Backend, dispatcher: Dispatcher, historian: Historian) -> None:
        self._backend, self._dispatcher, self._historian = backend, dispatcher, historian
        self._prover = Prover(backend.warehouse, backend.objects)
        self._judge = Judge(self._prover)

    def conduct(self, run_id: str) -> Board:
        """Make one pass: prove, judge, release. Returns the board as it stands afterwards."""
        state, now = self._backend.state, self._backend.clock.now()
        pass_ = self._begin(run_id, now)
        index, board, run = pass_.index, pass_.board, pass_.run
        is_over, open_before, halted = board.is_over(run), set(board.breakers), board.halted_because
        if self._retry(pass_):
            # What settled is judged in the next pass, as far as the retry leaves it.
            outcomes, pass_.cursor = self._heed_decisions(pass_), board.cursor
        else:
            # A run that is over stays as it ended, until somebody asks for more.
            outcomes = [*self._prove_and_judge(pass_, now), *([] if is_over else self._heed_decisions(pass_))]
        self._judge_outside(pass_, now)
        decisions = advance(index, board, run, outcomes, now)
        self._write_cells(pass_, outcomes, decisions)
        if not pass_.has_news:
            if board.status.is_final:
                self._end(run_id, index, board)
            return board
        board.cursor = pass_.cursor
        if not state.commit(run_id, board, pass_.version, pass_.cells, pass_.proofs):
            self._backend.wake_conductor(run_id)
            return state.board(run_id)[0]
        for ref in board.breakers.keys() - open_before:
            _log.error("%s is started no more: %s", ref, board.breakers[ref])
        if board.halted_because and not halted:
            _log.error("the run is halted: %s", board.halted_because)
        _log.info(
            "pass: %d proofs (%d not borne out), %d release groups judged, %d released, %s",
            len(pass_.proofs),
            sum(not proof.ok for _, proof in pass_.proofs),
            len(outcomes),
            len(decisions.releases),
            board.status,
        )
        self._after(pass_, bool(outcomes or decisions.releases))
        return board

    def _begin(self, run_id: str, now: datetime) -> ConductorPass:
        """Read the run, its board and the dates that settled."""
        state = self._backend.state
        run, index = state.run(run_id), self._backend.state.index(run_id)
        board, version = state.board(run_id)
        marked, cursor = state.at_rest(run_id, board.cursor)
        # A date that could not be asked is asked again at its moment, however often it is marked until then.
        waiting = {day for day, unasked in board.unjudged.items() if unasked.at > now}
        facts = {day: each for day, each in marked.items() if day not in waiting}
        facts.update(state.dates(run_id, sorted(board.unjudged.keys() - waiting - facts.keys())))
        return ConductorPass(
            run, index, board, version, facts, frozenset(facts), cursor, in_force(run, now), status_before=board.status
        )

    # Proofs and verdicts

    def _prove_and_judge(self, pass_: ConductorPass, now: datetime) -> list[GroupOutcome]:
        """Have the settled dates proved and judged; those that could not be asked are asked again."""
        board = pass_.board
        found = self._judge.judge(pass_.index, pass_.facts, pass_.waivers, now)
        pass_.facts.update(found.facts)
        pass_.proofs.extend(found.proofs)
        asked_until = self._backend.clock.now()
        for day, why in found.unasked.items():
            board.unjudged[day] = Unasked.again(board.unjudged.get(day), why, asked_until)
        asked = pass_.settled - found.unasked.keys() - found.left
        answered = [day for day in asked if board.unjudged.pop(day, None) is not None]
        if found.left:
            pass_.cursor = board.cursor
        pass_.changed = bool(found.unasked or answered or found.left)
        return found.outcomes

    def _judge_outside(self, pass_: ConductorPass, now: datetime) -> None:
        """Judge from the tables what the run's edges read and the run does not make; asked again if that fails."""
        board = pass_.board
        if board.outside is not None or (board.outside_unasked is not None and board.outside_unasked.at > now):
            return
        pass_.changed = True
        wrong: dict[str, dict[date, str]] = {}
        for ref, found in self._prover.soundness(pass_.index, pass_.index.outside).items():
            if isinstance(found, TransientError):
                board.outside_unasked = Unasked.again(board.outside_unasked, str(found), self._backend.clock.now())
                return
            wrong[ref] = found
        board.outside, board.outside_unasked = {ref: days for ref, days in wrong.items() if days}, None

    # What people decided

    def _heed_decisions(self, pass_: ConductorPass) -> list[GroupOutcome]:
        """Judge release groups again whose waiver is new or has ended; note that waivers and approvals were seen."""
        index, board, run = pass_.index, pass_.board, pass_.run
        days = dates_to_judge_again(index, board, run, self._backend.clock.now())
        self._read(pass_, days)
        outcomes: list[GroupOutcome] = []
        for day in days:
            for group in index.groups:
                state = pass_.cell(day, group.phase).groups.get(group.name)
                outcome = state and judge_again(index, group, state, pass_.facts[day], pass_.waivers)
                outcomes += [outcome] if outcome else []
        waivers = tuple(waiver.id for waiver in pass_.waivers)
        seen = tuple(intent for intent in run.intents if intent not in board.applied)
        pass_.changed |= bool(seen) or waivers != board.waivers
        board.waivers, board.applied = waivers, (*board.applied, *seen)
        return outcomes

    def _retry(self, pass_: ConductorPass) -> bool:
        """Do the retries that operators asked for and that were not done yet; whether there were any."""
        index, board, now = pass_.index, pass_.board, self._backend.clock.now()
        retries = [intent for intent in pass_.run.retries if intent.id not in board.applied]
        for intent in retries:
            changes = reopen(index, board, retry_targets(board, index.plan, intent))
            self._read(pass_, sorted({index.days[position] for position, _ in changes}))
            pass_.reopen(changes, now)
            board.applied = (*board.applied, intent.id)
            pass_.changed = True
        return bool(retries)

    # What is written, and what follows

    def _read(self, pass_: ConductorPass, days: Iterable[date]) -> None:
        """Have the facts of these dates in the pass."""
        missing = [day for day in days if day not in pass_.facts]
        pass_.facts.update(self._backend.state.dates(pass_.run.run_id, missing))

    def _write_cells(self, pass_: ConductorPass, outcomes: Iterable[GroupOutcome], decisions: Decisions) -> None:
        """Release groups that ended and groups that are released."""
        self._read(pass_, [pass_.index.days[position] for position, _ in decisions.releases])
        now = self._backend.clock.now()
        for outcome in outcomes:
            if outcome.letter != BoardLetter.UNJUDGED:
                pass_.conclude(outcome, now)
        for position, number in decisions.releases:
            pass_.release(position, number, now)

    def _after(self, pass_: ConductorPass, went_on: bool) -> None:
        """What follows a commit. A crash here: the sweeper finds the same due work."""
        run_id, board = pass_.run.run_id, pass_.board
        disproved = {key.day for key, proof in pass_.proofs if not proof.ok}
        # Where release groups only ended, nothing became due: a date without work need not be read for it.
        if due := sorted(disproved | pass_.started):
            self._dispatcher.put_pages(run_id, due, f"board {pass_.version}")
        if went_on or pass_.changed:
            self._backend.wake_conductor(run_id)
        if (at := board.next_question()) is not None:
            self._backend.wake_conductor(run_id, at)
        for day in sorted({day for day, _ in pass_.cells}):
            position = pass_.index.position[day]
            if all(board.letter(group.name, position) in ENDED for group in pass_.index.groups):
                self._historian.note(run_id, pass_.facts[day])
        if board.status.is_final:
            self._end(run_id, pass_.index, board)

    def _end(self, run_id: str, index: PlanIndex, board: Board) -> None:
        """The run is over: complete its history, then have it reported on. A report that cannot be asked for holds
        nothing up."""
        self._historian.complete(run_id, index.days)
        try:
            self._backend.ask_for_report(run_id, board.finished_at or board.started_at)
        except PhasegateError as error:
            _log.warning("no report on run %s: %s; make it with `phasegate verify %s`", run_id, error, run_id)
