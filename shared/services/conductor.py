"""Turns settled lanes into proofs, verdicts and releases. The only writer of the board and the cells."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from shared.domain.advance import LaneOutcome, advance
from shared.domain.board import ENDED, UNJUDGED, Board
from shared.domain.checks.proof import Found, judge_proof
from shared.domain.errors import PhasegateError, TransientError
from shared.domain.facts import (
    ADOPTED,
    BLOCK,
    PROOF,
    UNKNOWN,
    AttemptKey,
    Cell,
    DateFacts,
    LaneState,
    Proved,
    Verdict,
)
from shared.domain.look import BAD, PROVED, Look, TaskStatus, derive, look
from shared.domain.outcome import judge_again, judge_lane
from shared.domain.plan import EXPECTED, Lane, PlanIndex
from shared.domain.retry import reopen, retry_targets
from shared.domain.run import Run, Waiver
from shared.domain.waiving import dates_to_judge_again, in_force
from shared.domain.worker_protocol import ErrorClass
from shared.services.backend import Backend
from shared.services.dispatcher import Dispatcher
from shared.services.historian import Historian
from shared.services.prover import Counted, Counts, Prover

_log = logging.getLogger(__name__)

ASK_AGAIN = timedelta(seconds=2)
"""First wait after a check could not be asked; doubles to at most 5 minutes."""

MOST_DATES = 200
"""Dates proved and judged in one round: their proofs and cells go into one commit (10 MiB, Firestore quotas)."""

_MAX_ASK_AGAIN = timedelta(minutes=5)


@dataclass(slots=True)
class _Round:
    """One round of the conductor over a run. ``left``: dates at rest that are for the next round."""

    run: Run
    index: PlanIndex
    board: Board
    version: int
    facts: dict[date, DateFacts]
    cells: dict[tuple[date, str], Cell] = field(default_factory=dict)
    proofs: list[tuple[AttemptKey, Proved]] = field(default_factory=list)
    postponed: dict[date, str] = field(default_factory=dict)
    uncounted: set[tuple[date, str]] = field(default_factory=set)
    left: set[date] = field(default_factory=set)
    changed: bool = False
    waivers: tuple[Waiver, ...] = ()

    def cell(self, day: date, phase: str) -> Cell:
        """The cell as this round leaves it."""
        return self.cells.get((day, phase)) or self.facts[day].cells.get(phase, Cell())


class Conductor:
    """Called for a run; finds by itself what changed. Twice at once: the second to commit loses and looks again."""

    def __init__(self, backend: Backend, dispatcher: Dispatcher, historian: Historian) -> None:
        self._backend, self._dispatcher, self._historian = backend, dispatcher, historian
        self._prover = Prover(backend.warehouse, backend.objects)

    def conduct(self, run_id: str) -> Board:
        """One round: prove, judge, release. Returns the board as it stands afterwards."""
        state, now = self._backend.state, self._backend.clock.now()
        run, index = state.run(run_id), self._backend.index(run_id)
        board, version = state.board(run_id)
        marked, cursor = state.at_rest(run_id, board.cursor)
        # A date that could not be asked is asked again at its moment, however often it is marked until then.
        waiting = {day for day, (_, at, _) in board.unjudged.items() if at > now}
        facts = {day: each for day, each in marked.items() if day not in waiting}
        facts.update(state.dates(run_id, sorted(board.unjudged.keys() - waiting - facts.keys())))
        days = set(facts)
        round_ = _Round(run, index, board, version, facts, waivers=in_force(run, now))
        is_over = board.is_over(run)
        if self._retry(round_):
            outcomes, cursor = self._heed_decisions(round_), board.cursor
        else:
            # A run that is over stays as it ended, until somebody asks for more.
            outcomes = [*self._outcomes(round_), *([] if is_over else self._heed_decisions(round_))]
            for day in days - round_.postponed.keys() - round_.left:
                round_.changed |= board.unjudged.pop(day, None) is not None
            if round_.left:
                round_.changed, cursor = True, board.cursor
        if board.outside is None:
            self._judge_outside(round_)
        was, braked, halted = board.status, set(board.brakes), board.halted_because
        decisions = advance(index, board, run, outcomes, now)
        released = [index.days[position] for position, _ in decisions.releases]
        round_.facts.update(state.dates(run_id, [day for day in released if day not in round_.facts]))
        for outcome in outcomes:
            if outcome.letter != UNJUDGED:
                self._conclude(round_, outcome)
        for position, lane in decisions.releases:
            self._release(round_, index.days[position], lane)
        if not (round_.cells or round_.proofs or round_.changed or cursor != board.cursor or was is not board.status):
            if board.status.is_final:
                self._end(run_id, index, board)
            return board
        board.cursor = cursor
        if not state.commit(run_id, board, version, round_.cells, round_.proofs):
            self._backend.wake_conductor(run_id)
            return state.board(run_id)[0]
        for ref in board.brakes.keys() - braked:
            _log.error("%s is started no more: %s", ref, board.brakes[ref])
        if board.halted_because and not halted:
            _log.error("the run is halted: %s", board.halted_because)
        _log.info(
            "round: %d proofs (%d not borne out), %d lanes judged, %d released, %s",
            len(round_.proofs),
            sum(not proof.ok for _, proof in round_.proofs),
            len(outcomes),
            len(decisions.releases),
            board.status,
        )
        self._after(round_, bool(outcomes or decisions.releases))
        return board

    def _after(self, round_: _Round, went_on: bool) -> None:
        """What follows a commit. A crash here: the sweeper's look finds the same due work."""
        run_id, board = round_.run.run_id, round_.board
        days = sorted({day for day, _ in round_.cells})
        disproved = {key.day for key, proof in round_.proofs if not proof.ok}
        if due := sorted(disproved.union(days)):
            self._dispatcher.put_pages(run_id, due, f"board {round_.version}")
        if went_on or round_.changed:
            self._backend.wake_conductor(run_id)
        if board.unjudged:
            self._backend.wake_conductor(run_id, min(at for _, at, _ in board.unjudged.values()))
        for day in days:
            position = round_.index.position[day]
            if all(board.letter(lane.name, position) in ENDED for lane in round_.index.lanes):
                self._historian.note(run_id, round_.facts[day])
        if board.status.is_final:
            self._end(run_id, round_.index, board)

    def _end(self, run_id: str, index: PlanIndex, board: Board) -> None:
        """The run is over: complete its history, then have it reported on. A report that cannot be asked for holds
        nothing up."""
        self._historian.reconcile(run_id, index.days)
        try:
            self._backend.ask_for_report(run_id, board.finished_at or board.started_at)
        except PhasegateError as error:
            _log.warning("no report on run %s: %s; make it with `phasegate verify %s`", run_id, error, run_id)

    # Proof and verdicts

    def _outcomes(self, round_: _Round) -> list[LaneOutcome]:
        """Prove what settled lanes reported; then judge the lanes in which everything is final."""
        index = round_.index
        looks = {day: look(facts, index) for day, facts in round_.facts.items()}
        resting = [day for day, each in looks.items() if each.settled]
        round_.left = set(resting[MOST_DATES:])
        settled = {day: looks[day] for day in resting[:MOST_DATES]}
        counts = self._prove(round_, settled)
        final = {day: look(round_.facts[day], index) for day in settled}
        return self._judge(round_, {day: each for day, each in final.items() if each.settled}, counts)

    def _prove(self, round_: _Round, looks: dict[date, Look]) -> dict[str, Counted]:
        """Look at the output of every reported task in a settled lane; what was found goes into the round's facts."""
        index, now = round_.index, self._backend.clock.now()
        wanted: dict[int, list[date]] = {}
        for day, each in looks.items():
            for lane in each.settled:
                for number in index.lanes[lane].tasks:
                    if each.views[number].status in (TaskStatus.REPORTED, *PROVED):
                        wanted.setdefault(number, []).append(day)
        counted = self._prover.count(
            {index.tasks[n].ref: (index.tasks[n].spec.output, days) for n, days in wanted.items()}
        )
        self._postpone_uncounted(round_, wanted, counted)
        for number, days in wanted.items():
            task = index.tasks[number]
            found = counted[task.ref]
            if isinstance(found, TransientError):
                continue
            for day in days:
                view = looks[day].views[number]
                if view.status is not TaskStatus.REPORTED or view.facts is None:
                    continue
                if isinstance(found, PhasegateError):
                    proof = Proved(False, None, f"the output cannot be asked: {found}", ErrorClass.BUG, now)
                else:
                    expects = task.expects[index.position[day]]
                    held = None if found is None else found.get(day, Found(0))
                    proof = judge_proof(view.facts, task.spec.output, index.checks(task.ref), expects, held, now)
                round_.proofs.append((AttemptKey(day, task.phase, task.processor, view.attempt), proof))
        of_day: dict[date, list[tuple[AttemptKey, Proved]]] = {}
        for key, proof in round_.proofs:
            of_day.setdefault(key.day, []).append((key, proof))
        for day, proofs in of_day.items():
            round_.facts[day] = round_.facts[day].with_proofs(proofs)
        return counted

    def _postpone_uncounted(
        self, round_: _Round, wanted: Mapping[int, list[date]], counted: Mapping[str, Counted]
    ) -> None:
        """What could not be counted now is asked again; the tables of a date that failed alike are named together."""
        reasons: dict[date, dict[str, list[str]]] = {}
        for number, days in wanted.items():
            task = round_.index.tasks[number]
            error = counted[task.ref]
            if isinstance(error, TransientError):
                round_.uncounted.update((day, task.ref) for day in days)
                for day in days:
                    reasons.setdefault(day, {}).setdefault(str(error), []).append(task.processor)
        for day, alike in reasons.items():
            texts = (f"{_named(names)} could not be asked: {error}" for error, names in alike.items())
            self._postpone(round_, [day], "; ".join(texts))

    def _judge(self, round_: _Round, looks: dict[date, Look], counts: dict[str, Counted]) -> list[LaneOutcome]:
        """Outcome of every settled lane in which no proof is owed."""
        index = round_.index
        ended = [
            (day, lane)
            for day, each in looks.items()
            for lane in each.settled
            if not self._owes_proof(round_, day, each, index.lanes[lane])
        ]
        asked: dict[int, list[date]] = {}
        for day, lane in ended:
            for number in index.lanes[lane].tasks:
                if looks[day].views[number].status in PROVED and index.checks(index.tasks[number].ref):
                    asked.setdefault(number, []).append(day)
        subjects: dict[str, tuple[dict[date, str], Counts]] = {}
        for number, days in asked.items():
            task = index.tasks[number]
            expects = {day: task.expects[index.position[day]] for day in days}
            if not isinstance(held := counts[task.ref], PhasegateError):
                subjects[task.ref] = (expects, held or {})
        verdicts: dict[date, dict[int, list[Verdict]]] = {}
        for ref, judged in self._prover.judge(index, subjects).items():
            for day, verdict in judged:
                verdicts.setdefault(day, {}).setdefault(index.by_ref[ref].number, []).append(verdict)
        for day, lane in ended:
            for number in index.lanes[lane].tasks:
                if (lost := self._not_there(index, number, day, looks[day], counts)) is not None:
                    verdicts.setdefault(day, {}).setdefault(number, []).append(lost)
        return [self._outcome(round_, day, lane, looks[day], verdicts.get(day, {})) for day, lane in ended]

    @staticmethod
    def _not_there(index: PlanIndex, number: int, day: date, each: Look, counts: dict[str, Counted]) -> Verdict | None:
        """What was sound before and is not to be found now: an output that cannot be asked any more, whoever made it;
        an adopted one that is gone. Attempts of the run itself are proved, and that stands.
        """
        task, view = index.tasks[number], each.views[number]
        if view.status not in PROVED:
            return None
        held = counts[task.ref]
        if isinstance(held, PhasegateError):
            return Verdict(BLOCK, PROOF, task.processor, 0, 0, f"the output cannot be asked: {held}")
        if view.attempt or held is None or day in held or task.expects[index.position[day]] != EXPECTED:
            return None
        return Verdict(BLOCK, ADOPTED, task.processor, 1, 0, "adopted when planned, and not there any more")

    @staticmethod
    def _owes_proof(round_: _Round, day: date, each: Look, lane: Lane) -> bool:
        """Whether a task of the lane, or one that it needs in another lane, is reported and not yet proved."""
        tasks = round_.index.tasks
        needed = {n for number in lane.tasks for n in (number, *tasks[number].needs) if n in each.views}
        return any(each.views[n].status is TaskStatus.REPORTED for n in needed) or any(
            (day, tasks[number].ref) in round_.uncounted for number in lane.tasks
        )

    def _outcome(
        self, round_: _Round, day: date, number: int, each: Look, verdicts: dict[int, list[Verdict]]
    ) -> LaneOutcome:
        index, lane = round_.index, round_.index.lanes[number]
        views = each.views
        if any(views[n].status in BAD for n in lane.tasks):
            views = dict(enumerate(derive(round_.facts[day], index)))
        given = [verdict for n in lane.tasks for verdict in verdicts.get(n, [])]
        outcome = judge_lane(index, lane, index.position[day], views, given, round_.waivers)
        for verdict in outcome.verdicts:
            if verdict.outcome == UNKNOWN:
                self._postpone(round_, [day], str(verdict))
        return outcome

    def _postpone(self, round_: _Round, days: Iterable[date], why: str) -> None:
        """A table could not be asked: ask again, later each time."""
        now = self._backend.clock.now()
        for day in days:
            round_.postponed[day] = why
            tries, at, _ = round_.board.unjudged.get(day, (0, now, ""))
            if at <= now:
                wait = min(_MAX_ASK_AGAIN, ASK_AGAIN * 2 ** min(tries, 16))
                round_.board.unjudged[day] = (tries + 1, now + wait, why)
                round_.changed = True

    def _judge_outside(self, round_: _Round) -> None:
        """Judge from the tables what the run's edges read and the run does not make; asked again if that fails."""
        wrong: dict[str, dict[date, str]] = {}
        for ref, found in self._prover.soundness(round_.index, round_.index.outside).items():
            if isinstance(found, TransientError):
                self._backend.wake_conductor(round_.run.run_id, self._backend.clock.now() + ASK_AGAIN)
                return
            wrong[ref] = found
        round_.board.outside = {ref: days for ref, days in wrong.items() if days}
        round_.changed = True

    # Cells

    def _conclude(self, round_: _Round, outcome: LaneOutcome) -> None:
        lane, day = round_.index.lanes[outcome.lane], round_.index.days[outcome.position]
        now = self._backend.clock.now()
        there = round_.cell(day, lane.phase).lanes[lane.name]
        concluded = replace(there, concluded=outcome.letter, concluded_at=now, verdicts=outcome.verdicts)
        self._write_lane(round_, day, lane, concluded)

    def _release(self, round_: _Round, day: date, number: int) -> None:
        lane = round_.index.lanes[number]
        generation = round_.cell(day, lane.phase).generation
        self._write_lane(round_, day, lane, LaneState(generation, self._backend.clock.now()))

    @staticmethod
    def _write_lane(round_: _Round, day: date, lane: Lane, state: LaneState) -> None:
        cell = round_.cell(day, lane.phase)
        round_.cells[day, lane.phase] = replace(cell, lanes={**cell.lanes, lane.name: state})

    # What people decided

    def _heed_decisions(self, round_: _Round) -> list[LaneOutcome]:
        """Judge lanes again whose waiver is new or has ended; note that waivers and approvals were seen."""
        index, board, run = round_.index, round_.board, round_.run
        days = dates_to_judge_again(index, board, run, self._backend.clock.now())
        round_.facts.update(self._backend.state.dates(run.run_id, [day for day in days if day not in round_.facts]))
        outcomes: list[LaneOutcome] = []
        for day in days:
            for lane in index.lanes:
                state = round_.cell(day, lane.phase).lanes.get(lane.name)
                outcome = state and judge_again(index, lane, state, round_.facts[day], round_.waivers)
                outcomes += [outcome] if outcome else []
        waivers = tuple(waiver.id for waiver in round_.waivers)
        seen = tuple(wish for wish in run.wishes if wish not in board.applied)
        round_.changed |= bool(seen) or waivers != board.waivers
        board.waivers, board.applied = waivers, (*board.applied, *seen)
        return outcomes

    # Retries

    def _retry(self, round_: _Round) -> bool:
        """Do the retries that operators asked for and that were not done yet; whether there were any."""
        index, board, now = round_.index, round_.board, self._backend.clock.now()
        wanted = [intent for intent in round_.run.retries if intent.id not in board.applied]
        for intent in wanted:
            changes = reopen(index, board, retry_targets(board, index.plan, intent))
            days = sorted({index.days[position] for position, _ in changes})
            round_.facts.update(self._backend.state.dates(round_.run.run_id, days))
            for (position, phase), change in changes.items():
                day = index.days[position]
                cell = round_.cell(day, phase)
                generation = cell.generation + 1
                lanes = dict(cell.lanes)
                for number in change.withdrawn:
                    lanes.pop(index.lanes[number].name, None)
                for number in change.reopened:
                    lanes[index.lanes[number].name] = LaneState(generation, now)
                redo = {**cell.redo, **dict.fromkeys(change.redo, generation)}
                round_.cells[day, phase] = Cell(generation, lanes, redo)
            board.applied = (*board.applied, intent.id)
            round_.changed = True
        return bool(wanted)


def _named(names: Sequence[str]) -> str:
    """Some of many names."""
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 3 else ", ".join(names)
