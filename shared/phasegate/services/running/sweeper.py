"""The sweeper reconciles runs that no message is about: it ends what never reported, finds what is due and was not
started."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.decisions.reconcile import DueTask, overdue_dispatches, patience, silent_attempts
from phasegate.domain.errors import PhasegateError, TransientError, UnknownRun, UnreadableRun
from phasegate.domain.messages.requests import SweepRequest
from phasegate.domain.plan import PlanIndex
from phasegate.domain.protocol.names import SWEEP_QUEUE, task_name
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import AttemptKey, DateFacts, Healed, HealedAs
from phasegate.domain.state.run import Run
from phasegate.ports import Claim, Heal, QueueTask
from phasegate.services.backend import Backend
from phasegate.services.reading.prover import Counted, Prover
from phasegate.services.reading.reads import reads_kept
from phasegate.services.running.dispatcher import PAGE_DATES, PAGE_TASKS, Dispatcher
from phasegate.services.running.reconciler import Reconciler
from phasegate.services.running.sweeps_made import SweepsMade

DISPATCH_GRACE = timedelta(minutes=10)
"""A dispatched attempt that nobody claimed for so long is dispatched anew, unless its queue starts others meanwhile;
a third time after twice as long, and so on."""

QUIET = timedelta(seconds=20)
"""What is due on a date that changed this recently may be in somebody's hands: starting it is no heal worth noting."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep over runs has this result."""

    swept: list[str] = field(default_factory=list)
    """The runs that were swept."""

    failed: dict[str, str] = field(default_factory=dict)
    """Why others were not, by run: the next sweep tries again."""

    unreadable: dict[str, str] = field(default_factory=dict)
    """Runs that this version cannot read, with the remedy: no sweep mends that."""


class Sweeper:
    """The sweeper heals or names. It ends by itself: every heal writes a fact, and attempts are counted."""

    def __init__(self, backend: Backend, reconciler: Reconciler, dispatcher: Dispatcher) -> None:
        self._backend, self._reconciler, self._dispatcher = backend, reconciler, dispatcher
        self._prover = Prover(backend.warehouse, backend.objects)
        self._made = SweepsMade()

    def queue_sweeps(self, moment: str = "") -> list[str]:
        """Put a sweep of each unfinished run on the queue; returns these runs. Asked twice for a moment, each is there
        once.

        moment: names the minute that the sweeps are for; empty: the present one.
        """
        run_ids = self._backend.state.unfinished()
        named = moment or f"{self._backend.clock.now():%Y-%m-%dT%H:%M}"
        tasks = [
            QueueTask(
                run_id,
                SWEEP_QUEUE,
                task_name(run_id, "sweep", named),
                SweepRequest(run_id=run_id).model_dump_json(),
            )
            for run_id in run_ids
        ]
        for first in range(0, len(tasks), PAGE_TASKS):
            self._backend.tasks.create(tasks[first : first + PAGE_TASKS])
        return run_ids

    def sweep_once(self, run_id: str, asked_at: datetime) -> Swept:
        """Sweep a run that a task of the queue asks for; nothing is swept where another sweep stands for it.

        asked_at: when the task was to be delivered, UTC.
        """
        made, now = Swept(), self._backend.clock.now()
        if not self._made.begin(run_id, asked_at, now):
            _log.info("run %s: a sweep goes on, or was made since this one was asked for", run_id)
            return made
        try:
            made = self.sweep_all([run_id])
        finally:
            self._made.end(run_id, now, is_well=bool(made.swept))
        return made

    def sweep_all(self, run_ids: Iterable[str]) -> Swept:
        """Sweep runs, each by itself: what goes wrong with one does not stop the rest."""
        made = Swept()
        for name in run_ids:
            try:
                self.sweep(name)
            except UnknownRun:
                raise
            except UnreadableRun as error:
                # A metric counts this line, and an alert goes by it (infra/terraform/alerts.tf).
                _log.error("run %s cannot be read: %s", name, error)
                made.unreadable[name] = str(error)
            except PhasegateError as error:
                _log.warning("run %s was not swept: %s", name, error)
                made.failed[name] = str(error)
            except Exception as error:
                _log.exception("run %s was not swept", name)
                made.failed[name] = f"{type(error).__name__}: {error}"
            else:
                made.swept.append(name)
        return made

    def sweep(self, run_id: str) -> None:
        """Sweep a run once: claims and dates with an open release group, page by page; then the conductor.

        Each date is read once, and again where something of it was ended.
        """
        state = self._backend.state
        board, _ = state.board(run_id)
        index, run = state.index(run_id, board.plan), state.run(run_id)
        try:
            with reads_kept(state, run_id):
                self._sweep_dates(run, index, board)
        finally:
            self._backend.wake_conductor(run_id)

    def _sweep_dates(self, run: Run, index: PlanIndex, board: Board) -> None:
        """End what is dead, reconcile as after a completion; and dispatch anew what is overdue.

        A queue that starts tasks is slow and has lost none: asked again for all that wait in it, it would only grow.
        """
        run_id, days = run.run_id, board.open_days(index)
        is_going_on = run.admits and not board.status.is_final
        now = self._backend.clock.now()
        since = now - DISPATCH_GRACE
        started: set[str | None] = set()
        late: list[DueTask] = []
        # Claims that die with a process may lie on any date; leases matter on dates that wait for them.
        of_process = self._backend.state.open_claims(run_id) if self._backend.incarnation else None
        if of_process is not None:
            self._end_dead_claims(run_id, index, of_process, {})
        for first in range(0, len(days), PAGE_DATES):
            dates = self._backend.state.dates(run_id, days[first : first + PAGE_DATES])
            claims = self._claims(run_id, dates) if of_process is None else of_process
            ended = self._end_dead_claims(run_id, index, claims, dates) if of_process is None else []
            if index.observed:
                ended += self._end_silent_attempts(run_id, index, dates)
            if ended:
                dates = {**dates, **self._backend.state.dates(run_id, sorted({key.day for key in ended}))}
            started |= {index.by_ref[claim.key.ref].queue for claim in claims if claim.claimed_at > since}
            if not is_going_on:
                continue
            self._reconcile(run, dates, board.unjudged.keys())
            for facts in dates.values():
                late += overdue_dispatches(facts, index, {claim.key for claim in claims}, now, DISPATCH_GRACE)
                started |= _queues_that_started(facts, index, since)
        lost = [due for due in late if due.task.queue not in started]
        if lost and self._backend.state.run(run_id).admits:
            self._dispatch_anew(run, lost)

    def _claims(self, run_id: str, dates: Mapping[date, DateFacts]) -> list[Claim]:
        """The claims of attempts on these dates that have not ended."""
        going = [
            AttemptKey(facts.day, phase, processor, attempt.number)
            for facts in dates.values()
            for (phase, processor), attempts in facts.tasks.items()
            for attempt in attempts
            if attempt.is_open
        ]
        return list(self._backend.state.claims(run_id, going).values())

    def _dispatch_anew(self, run: Run, lost: list[DueTask]) -> None:
        for first in range(0, len(lost), PAGE_TASKS):
            page = lost[first : first + PAGE_TASKS]
            self._dispatcher.dispatch(run, page)
            for due in page:
                within = patience(due.dispatch - 1, DISPATCH_GRACE)
                detail = f"dispatched, and not claimed within {within}: dispatched anew, number {due.dispatch}"
                self._note(run.run_id, "delivery", f"{due.key} dispatch {due.dispatch}", detail)

    def _reconcile(self, run: Run, dates: Mapping[date, DateFacts], unjudged: Collection[date]) -> None:
        """Start what is due. unjudged: dates that rest as their tables could not be asked: the conductor knows that."""
        now = self._backend.clock.now()
        quiet = {day for day, facts in dates.items() if (at := facts.changed_at) is None or at + QUIET < now}
        found = self._reconciler.reconcile(run.run_id, dates)
        for due in found.due:
            if due.key.day in quiet and due.not_before is None:
                self._note(run.run_id, "dispatch", str(due.key), "it was due, and nobody had started it")
        for day in quiet.intersection(found.at_rest).difference(unjudged):
            self._note(
                run.run_id, "at_rest", str(day), "a release group was at rest, and the conductor had not judged it"
            )

    def _note(self, run_id: str, kind: str, subject: str, detail: str) -> None:
        self._backend.state.note_heal(run_id, Heal(kind, subject, detail, self._backend.clock.now()))

    def _end_dead_claims(
        self, run_id: str, index: PlanIndex, claims: list[Claim], dates: Mapping[date, DateFacts]
    ) -> list[AttemptKey]:
        """End the claims that nobody will end any more; returns their attempts. dates: what was read before."""
        now = self._backend.clock.now()
        incarnation = self._backend.incarnation
        void = [c for c in claims if incarnation is not None and c.incarnation != incarnation]
        healed = [(c.key, Healed(HealedAs.VOID, "the process that had claimed it is gone", now)) for c in void]
        expired: dict[str, list[Claim]] = {}
        for claim in claims:
            if claim.lease_until < now and (incarnation is None or claim.incarnation == incarnation):
                expired.setdefault(claim.key.ref, []).append(claim)
        # The table knows better than the silence: one query for all of them.
        outputs = {ref: (index.by_ref[ref].spec.output, [c.key.day for c in of_ref]) for ref, of_ref in expired.items()}
        keeping = {ref: of for ref, of in outputs.items() if isinstance(of[0], TableOutput) and of[0].fence_column}
        counted = self._prover.count(keeping)
        unread = {claim.key.day for of_ref in expired.values() for claim in of_ref} - dates.keys()
        dates = {**dates, **self._backend.state.dates(run_id, sorted(unread))}
        for ref, of_ref in expired.items():
            heals = [(c.key, _expired(c, counted.get(ref), _is_batched(dates[c.key.day], c), now)) for c in of_ref]
            healed += [(key, heal) for key, heal in heals if heal is not None]
        return self._heal(run_id, healed)

    def _end_silent_attempts(self, run_id: str, index: PlanIndex, dates: Mapping[date, DateFacts]) -> list[AttemptKey]:
        """End observed attempts of which no message came in time, as their outputs tell: one query per table."""
        silent: dict[str, list[AttemptKey]] = {}
        for facts in dates.values():
            for key in silent_attempts(facts, index, self._backend.clock.now()):
                silent.setdefault(key.ref, []).append(key)
        outputs = {ref: (index.by_ref[ref].spec.output, [key.day for key in keys]) for ref, keys in silent.items()}
        healed: list[tuple[AttemptKey, Healed]] = []
        for ref, counts in self._prover.count(outputs).items():
            task = index.by_ref[ref]
            for key in silent[ref]:
                expects = task.expects[index.position[key.day]]
                if (heal := self._silent(index.observed[task.number], expects, key.day, counts)) is not None:
                    healed.append((key, heal))
        return self._heal(run_id, healed)

    def _silent(self, observed: Observed, expects: str, day: date, counts: Counted) -> Healed | None:
        """What an output says of an attempt of which no message came. None when it cannot be asked now."""
        now = self._backend.clock.now()
        silence = f"topic {observed.topic} was silent for {observed.timeout_seconds} s"
        if isinstance(counts, TransientError):
            return None
        if isinstance(counts, PhasegateError):
            return Healed(HealedAs.LOST, f"{silence}, and the output cannot be asked: {counts}", now)
        if counts is None:
            return Healed(HealedAs.LOST, f"{silence}, and there is no output to look at", now)
        if day in counts:
            return Healed(HealedAs.SUCCESS, f"{silence}, but the output is there", now)
        if expects == ExpectationLetter.EMPTY:
            return Healed(HealedAs.SUCCESS, f"{silence}, and rightly there is no output", now)
        return Healed(HealedAs.LOST, f"{silence}, and there is no output", now)

    def _heal(self, run_id: str, healed: list[tuple[AttemptKey, Healed]]) -> list[AttemptKey]:
        if healed:
            self._backend.state.record(run_id, healed)
        for key, heal in healed:
            kind = "event" if heal.outcome is HealedAs.SUCCESS else "lease"
            self._note(run_id, kind, str(key), heal.reason)
        return [key for key, _ in healed]


def _queues_that_started(facts: DateFacts, index: PlanIndex, since: datetime) -> set[str | None]:
    """The queues of the tasks of a date that began after ``since``, as far as their ends are known."""
    return {
        index.by_ref[f"{phase}/{processor}"].queue
        for (phase, processor), attempts in facts.tasks.items()
        for attempt in attempts
        if attempt.reported and attempt.reported.started_at > since
    }


def _is_batched(facts: DateFacts, claim: Claim) -> bool:
    """Whether a claimed attempt was dispatched together with others."""
    dispatched = facts.attempt(claim.key.phase, claim.key.processor, claim.key.attempt).dispatched
    return dispatched is not None and dispatched.batch > 1


def _expired(claim: Claim, counts: Counted, is_batched: bool, now: datetime) -> Healed | None:
    """What the table says of a claim whose lease ran out. None when it could not be asked now.

    counts: None where rows keep no fence, so that nothing tells whose they are. is_batched: any date of its call may
    have kept the others from ending, so that it costs none of them a retry.
    """
    if isinstance(counts, PhasegateError):
        return None
    found = (counts or {}).get(claim.key.day)
    if found is not None and found.highest_fence == claim.fence:
        return Healed(HealedAs.SUCCESS, f"the event was lost; {found.rows} rows carry its fence", now)
    outcome = HealedAs.VOID if is_batched else HealedAs.LOST
    return Healed(outcome, f"no completion by {claim.lease_until:%Y-%m-%d %H:%M:%S} UTC", now)
