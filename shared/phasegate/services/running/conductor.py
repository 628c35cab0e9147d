"""The conductor turns release groups at rest into proofs, verdicts and releases. Once a run is begun nobody else writes
its board and cells."""

import logging
from collections.abc import Iterable
from datetime import date, datetime
from functools import partial

from cachetools import LRUCache

from phasegate import telemetry
from phasegate.domain.decisions.advance import Decisions, GroupOutcome, advance
from phasegate.domain.decisions.outcome import judge_again
from phasegate.domain.decisions.refreshing import refreshed
from phasegate.domain.decisions.retry import Changes, reach, reopen, retry_targets
from phasegate.domain.decisions.standing import standing
from phasegate.domain.decisions.waiving import follow_waivers, in_force
from phasegate.domain.errors import CommitTooLarge, PhasegateError, ReadsTooMuch, TransientError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.board import ENDED, Board, BoardLetter, Retrying, Unasked
from phasegate.domain.state.run import DesiredState, Refresh, RetryIntent, Run, RunStatus
from phasegate.services.backend import Backend
from phasegate.services.reading.earlier_runs import ran_empty
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.reads import reads_kept
from phasegate.services.running.conductor_pass import MOST_DATES, RELEASES_A_DATE, ConductorPass, Reached
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.historian import RUNS_KEPT, Historian
from phasegate.services.running.judge import Judge
from phasegate.services.running.recorder import Recorder
from phasegate.services.running.wave import left_alone

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
        self._recorder = Recorder(backend)
        self._reached: Reached | None = None
        self._undriven = backend.undriven
        self._ended: LRUCache[str, datetime | None] = LRUCache(RUNS_KEPT)

    def conduct(self, run_id: str) -> Board:
        """Make one pass: prove, judge, release. Returns the board as it stands afterwards.

        Where so much is found wrong that one commit does not take it, the pass is made again over fewer dates.
        """
        most_dates = MOST_DATES
        with reads_kept(self._backend.state, run_id):
            while True:
                try:
                    return self._conduct(run_id, most_dates)
                except CommitTooLarge as error:
                    if most_dates == 1:
                        raise
                    most_dates = max(1, most_dates // 4)
                    _log.warning("%s; the pass is made again over %d", error, most_dates)

    def _conduct(self, run_id: str, most_dates: int) -> Board:
        """One pass over so many dates. What settled while a retry is entered is judged afterwards, as far as the retry
        leaves it."""
        state = self._backend.state
        pass_ = self._begin(run_id, most_dates)
        board, run = pass_.board, pass_.run
        is_over, open_before, halted = board.is_over(run), set(board.breakers), board.halted_because
        intent = _next_to_enter(board, run)
        refused, outcomes = "", list[GroupOutcome]()
        if intent is None:
            try:
                outcomes = self._prove_and_judge(pass_)
            except ReadsTooMuch as error:
                # What settled stays marked. It is asked again when the run is woken, and the answer ends the halt.
                refused, pass_.cursor = str(error), board.cursor
        elif not self._enter(pass_, intent):
            return self._commit_page(pass_)
        if not is_over:
            # A run that is over stays as it ended, until somebody asks for more.
            outcomes += self._heed_decisions(pass_)
        try:
            self._judge_outside(pass_)
        except ReadsTooMuch as error:
            refused = str(error)
        decisions = advance(pass_.index, board, run, outcomes, pass_.now, refused, RELEASES_A_DATE * most_dates)
        self._write_cells(pass_, outcomes, decisions)
        if not pass_.has_news:
            if board.status.is_final and self._ended.get(run_id) != board.finished_at:
                self._end(run_id, pass_.index, board)
            return board
        board.cursor = pass_.cursor
        if not state.commit(run_id, board, pass_.version, pass_.cells, pass_.proofs):
            self._backend.wake_conductor(run_id)
            return state.board(run_id)[0]
        self._undriven = None
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

    def _begin(self, run_id: str, most_dates: int) -> ConductorPass:
        """Read the run and its board."""
        state, now = self._backend.state, self._backend.clock.now()
        run, (board, version) = state.run(run_id), state.board(run_id)
        index = state.index(run_id, board.plan)
        if self._undriven is not None:
            board.note_rest(*self._undriven)
        return ConductorPass(
            run,
            index,
            board,
            version,
            now,
            board.cursor,
            in_force(run, now),
            status_before=board.status,
            plan=board.plan,
            most_dates=most_dates,
        )

    # Proofs and verdicts

    def _prove_and_judge(self, pass_: ConductorPass) -> list[GroupOutcome]:
        """Have dates that settled proved and judged; those that could not be asked are asked again."""
        board, is_more = pass_.board, self._read_settled(pass_)
        settled = frozenset(pass_.facts)
        with telemetry.proving():
            found = self._judge.judge(pass_.index, pass_.facts, pass_.waivers, pass_.now)
        pass_.facts.update(found.facts)
        pass_.proofs.extend(found.proofs)
        for day, why in found.unasked.items():
            board.unjudged[day] = Unasked.again(board.unjudged.get(day), why, pass_.now)
        answered = [day for day in settled - found.unasked.keys() if board.unjudged.pop(day, None) is not None]
        pass_.changed = bool(found.unasked or answered or is_more)
        return found.outcomes

    def _read_settled(self, pass_: ConductorPass) -> bool:
        """Read dates that settled, or are to be asked again, ``most_dates`` at most; whether more may be marked.

        Those that are asked again take half of the places at most, so that neither kind waits for the other.
        """
        state, run_id, unjudged = self._backend.state, pass_.run.run_id, pass_.board.unjudged
        due = sorted((unasked.at, day) for day, unasked in unjudged.items() if unasked.at <= pass_.now)
        again = [day for _, day in due[: pass_.most_dates // 2]]
        room = pass_.most_dates - len(again)
        marked, pass_.cursor = state.at_rest(run_id, pass_.board.cursor, room)
        # A date that could not be asked is asked again at its moment, however often it is marked until then.
        pass_.facts.update((day, facts) for day, facts in marked.items() if day not in unjudged or day in again)
        self._read(pass_, again)
        return len(marked) >= room

    def _judge_outside(self, pass_: ConductorPass) -> None:
        """Judge from the tables what the run's edges read and the run does not make; asked again if that fails."""
        board, now = pass_.board, pass_.now
        if board.outside is not None or (board.outside_unasked is not None and board.outside_unasked.at > now):
            return
        wrong: dict[str, dict[date, str]] = {}
        pipeline = pass_.index.plan.pipeline
        with telemetry.proving():
            answers = self._prover.soundness(
                pass_.index,
                pass_.index.outside,
                partial(ran_empty, self._backend.state, pipeline.pipeline),
                standing(pipeline, now),
            )
        pass_.changed = True
        for ref, found in answers.items():
            if isinstance(found, TransientError):
                board.outside_unasked = Unasked.again(board.outside_unasked, str(found), now)
                return
            wrong[ref] = found
        board.outside, board.outside_unasked = {ref: days for ref, days in wrong.items() if days}, None

    # What people decided

    def _heed_decisions(self, pass_: ConductorPass) -> list[GroupOutcome]:
        """Judge release groups again whose waiver is new or has ended; note that waivers and approvals were seen."""
        index, board, run = pass_.index, pass_.board, pass_.run
        step = follow_waivers(board, run, pass_.now, pass_.most_dates)
        self._read(pass_, step.days)
        outcomes: list[GroupOutcome] = []
        for day in step.days:
            for group in index.groups:
                state = pass_.cell(day, group.phase).groups.get(group.name)
                outcome = state and judge_again(index, group, state, pass_.facts[day], pass_.waivers)
                outcomes += [outcome] if outcome else []
        waiting = {intent.id for intent in _to_enter(board, run)}
        seen = tuple(intent for intent in run.intents if intent not in board.applied and intent not in waiting)
        pass_.changed |= bool(seen) or step.waivers != board.waivers
        board.waivers, board.applied = step.waivers, (*board.applied, *seen)
        return outcomes

    def _enter(self, pass_: ConductorPass, intent: RetryIntent | Refresh) -> bool:
        """Enter a retry that a person asked for, or a later generation of the plan, as far as one commit takes it;
        whether it is entered whole.

        The pages are cells of ``most_dates`` dates each. The letters on the board change with the last one, and all
        its dates are started: until then the board stands still, so that every page, whoever makes it, follows from
        the same letters; and what a crash leaves unstarted lies on dates that the sweeper looks at.
        """
        index, board = pass_.index, pass_.board
        changes = self._reach(pass_, intent)
        through = board.retrying.through if board.retrying and board.retrying.intent == intent.id else date.min
        left = [day for day in sorted({index.days[position] for position, _ in changes}) if day > through]
        page = left[: pass_.most_dates]
        self._read(pass_, page)
        there = set(page)
        if isinstance(intent, Refresh):
            pass_.plan = intent.plan
        pass_.reopen({cell: each for cell, each in changes.items() if index.days[cell[0]] in there})
        pass_.changed = True
        if len(page) < len(left):
            board.retrying = Retrying(intent.id, page[-1])
            return False
        if isinstance(intent, Refresh):
            # From here on the run goes by it. What it reads from outside itself may be something else.
            board.plan, pass_.index = intent.plan, self._backend.state.index(pass_.run.run_id, intent.plan)
            board.outside = board.outside_unasked = None
        reopen(pass_.index, board, changes)
        pass_.started.update(index.days[position] for position, _ in changes)
        board.retrying, board.applied, self._reached = None, (*board.applied, intent.id), None
        return True

    def _reach(self, pass_: ConductorPass, intent: RetryIntent | Refresh) -> Changes:
        """How far it reaches; looked up where this process found it out for the page before."""
        board, known = pass_.board, self._reached
        if known is None or known.intent != intent.id or (known.groups, known.bad) != (board.groups, board.bad):
            if isinstance(intent, Refresh):
                after = self._backend.state.index(pass_.run.run_id, intent.plan)
                changes = refreshed(pass_.index, after, board)
            else:
                changes = reach(pass_.index, board, retry_targets(board, pass_.index.plan, intent))
            known = self._reached = Reached(intent.id, board.groups, board.bad, changes)
        return known.changes

    def _commit_page(self, pass_: ConductorPass) -> Board:
        """Write a page of what is entered. The run goes on: should its next wake-up be lost, the sweeper finds it."""
        run_id, board = pass_.run.run_id, pass_.board
        board.come_to(RunStatus(pass_.run.desired_state.value), pass_.now)
        if not self._backend.state.commit(run_id, board, pass_.version, pass_.cells):
            self._backend.wake_conductor(run_id)
            return self._backend.state.board(run_id)[0]
        self._undriven = None
        self._backend.wake_conductor(run_id)
        return board

    # What is written, and what follows

    def _read(self, pass_: ConductorPass, days: Iterable[date]) -> None:
        """Have the facts of these dates in the pass."""
        missing = [day for day in days if day not in pass_.facts]
        pass_.facts.update(self._backend.state.dates(pass_.run.run_id, missing))

    def _write_cells(self, pass_: ConductorPass, outcomes: Iterable[GroupOutcome], decisions: Decisions) -> None:
        """Release groups that ended and groups that are released."""
        self._read(pass_, [pass_.index.days[position] for position, _ in decisions.releases])
        for outcome in outcomes:
            if outcome.letter != BoardLetter.UNJUDGED:
                pass_.conclude(outcome)
        with telemetry.proving():
            same = left_alone(pass_.index, decisions.releases, pass_.cell, self._backend.warehouse)
        for position, number in decisions.releases:
            pass_.release(position, number, same.get((position, number), ()))

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
        """The run is over: complete its history, record what its outputs were made from, then have it reported on. A
        report that cannot be asked for holds nothing up."""
        self._historian.finish(run_id, index.days)
        with telemetry.proving():
            self._recorder.record(run_id, index)
        try:
            self._backend.ask_for_report(run_id, board.finished_at or board.started_at)
        except PhasegateError as error:
            _log.warning("no report on run %s: %s; make it with `phasegate verify %s`", run_id, error, run_id)
        if board.status in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES):
            # No attempt is under way: whoever wakes it once more, every date is read for its history only once.
            self._ended[run_id] = board.finished_at


def _to_enter(board: Board, run: Run) -> list[RetryIntent | Refresh]:
    """The retries and generations of the plan that are not entered yet, in the order in which they were asked for; of a
    cancelled run none will be.

    A retry that takes a mended file over is entered before the generation: what had failed is done again, and the rest
    is only judged again.
    """
    if run.desired_state is DesiredState.CANCELLED:
        return []
    asked: list[RetryIntent | Refresh] = sorted((*run.retries, *run.refreshes), key=lambda intent: intent.at)
    return [intent for intent in asked if intent.id not in board.applied]


def _next_to_enter(board: Board, run: Run) -> RetryIntent | Refresh | None:
    """What is entered next: what is half entered comes to its end first. None: there is nothing."""
    left = _to_enter(board, run)
    if board.retrying is not None:
        left.sort(key=lambda intent: board.retrying is None or intent.id != board.retrying.intent)
    return left[0] if left else None
