"""The runner executes a task: it claims its attempts, calls the worker or runs the SELECT, and reports the ends."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from phasegate import telemetry
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, rows_due
from phasegate.domain.decisions.answers import failed, understand, understand_batch
from phasegate.domain.decisions.reconcile import may_be_claimed
from phasegate.domain.decisions.retry import accepts_empty
from phasegate.domain.errors import HaltError, InputError, NoAnswer, PhasegateError, TransientError, WouldEmpty
from phasegate.domain.foreign_text import is_interruption, kept, said, told
from phasegate.domain.messages.completion import CallEnd, Completion, CompletionBatch
from phasegate.domain.messages.tasks import BatchPayload, QueuedAttempt, TaskPayload, write_payload
from phasegate.domain.plan import FIRST, PlanIndex, TaskSpec
from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.domain.protocol.worker import (
    ErrorClass,
    ProcessorResult,
)
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import Abandoned, AttemptKey, Cell, DateFacts
from phasegate.domain.state.lease import Held, Lease
from phasegate.domain.state.run import Run
from phasegate.ports import Claim, ClaimRequest
from phasegate.ports.claims import LEASE_MARGIN
from phasegate.services.backend import Backend
from phasegate.services.reading.plans_of_dates import indexes_of
from phasegate.services.running.calls import (
    Call,
    ClaimedAttempt,
    attempt_id,
    body_of,
    completion,
    correlation_id,
    in_words,
    request_of,
)
from phasegate.services.running.dispatcher import Dispatcher
from phasegate.services.running.quarantine import set_aside
from phasegate.services.running.select_batches import run_selects
from phasegate.services.running.sql_processors import planned_select
from phasegate.single_flight import SingleFlight

_log = logging.getLogger(__name__)


class Runner:
    """The runner claims first and reads the run afterwards, so that after a cancel nothing is started.

    Where another system writes the output's table, a lease on the table's date is taken before the call, until the end
    of the claim's. It is given back when the worker has ended. A worker that will report by event, or of which no
    answer came, may be writing still: its lease runs out.
    """

    def __init__(self, backend: Backend, dispatcher: Dispatcher) -> None:
        self._backend, self._dispatcher = backend, dispatcher
        self._leases: dict[str, Lease] = {}
        self._reads: SingleFlight[Mapping[date, DateFacts]] = SingleFlight()

    def run(self, task: TaskPayload | BatchPayload) -> str:
        """Claim, execute and report one task; what became of it in words: ``nothing``, or those of ``in_words``, such
        as ``success`` of one date, and ``3 success, 17 accepted`` or ``20 failed together`` of several.

        Raises InputError, and nothing is written, for a task that was never dispatched; TransientError when the report
        could not be published: the sweeper finds the end of the attempt then.
        """
        (call,) = self._claim([task])
        if isinstance(call, InputError):
            raise call
        if call is None:
            return "nothing"
        end = self.execute(call)
        self.finish([(call, end)])
        return in_words(call, end)

    def claim(self, tasks: Sequence[TaskPayload | BatchPayload]) -> list[Call | None]:
        """Claim the attempts of these tasks; returns one entry for each.

        An entry is the call to make, or None: somebody else has its attempts, or the run is not running. A task that
        was never dispatched is set aside.
        """
        calls: list[Call | None] = []
        for task, found in zip(tasks, self._claim(tasks), strict=True):
            if isinstance(found, InputError):
                set_aside(self._backend, task.model_dump_json(), task.run_id, str(found))
            calls.append(None if isinstance(found, InputError) else found)
        return calls

    def _claim(self, tasks: Sequence[TaskPayload | BatchPayload]) -> list[Call | InputError | None]:
        """As ``claim``; an error in place of a call says why there is no such task.

        A batch goes without the attempts that somebody else has. One that was never dispatched is set aside by itself.
        """
        calls: list[Call | InputError | None] = [None] * len(tasks)
        for run_id in {task.run_id for task in tasks}:
            found = self._claim_of_run(run_id, {n: task for n, task in enumerate(tasks) if task.run_id == run_id})
            for number, call in found.items():
                calls[number] = call
        return calls

    def _claim_of_run(
        self, run_id: str, tasks: Mapping[int, TaskPayload | BatchPayload]
    ) -> Mapping[int, Call | InputError]:
        state, now = self._backend.state, self._backend.clock.now()
        first = state.index(run_id, FIRST)
        queued = {number: task.queued for number, task in tasks.items()}
        days = {attempt.key.day for attempts in queued.values() for attempt in attempts}
        dates = self._dates(run_id, sorted(days.intersection(first.position)))
        indexes = indexes_of(state, run_id, dates)
        refused: dict[int, InputError] = {}
        planned: list[_Planned] = []
        for number, attempts in queued.items():
            epoch = tasks[number].epoch
            unknown: list[tuple[QueuedAttempt, InputError]] = []
            for attempt in attempts:
                key, generation, inputs = attempt
                index = indexes.get(key.day, first)
                try:
                    task = _dispatched_task(attempt, index, dates)
                except InputError as error:
                    unknown.append((attempt, error))
                    continue
                allowed = timedelta(seconds=task.dispatch.timeout_seconds * len(attempts))
                request = ClaimRequest(key, epoch, generation, inputs, now + allowed + LEASE_MARGIN)
                planned.append(_Planned(number, index, task, request))
            if len(unknown) == len(attempts):
                refused[number] = unknown[0][1]
                continue
            for attempt, why in unknown:
                set_aside(self._backend, write_payload(run_id, [attempt], epoch), run_id, str(why))
        return {**self._calls(run_id, planned, now), **refused}

    def _calls(self, run_id: str, planned: Sequence["_Planned"], now: datetime) -> dict[int, Call]:
        """Claim attempts; the calls to make of those that were got and are still wanted, by their tasks' numbers."""
        claims = self._backend.state.claim(run_id, [each.request for each in planned], now)
        claimed = [(each, claim) for each, claim in zip(planned, claims, strict=True) if claim is not None]
        try:
            return self._wanted(run_id, claimed, now)
        except PhasegateError:
            self._give_up(run_id, [claim for _, claim in claimed])
            raise

    def _wanted(self, run_id: str, claimed: Sequence[tuple["_Planned", Claim]], now: datetime) -> dict[int, Call]:
        """The calls of those claims that are still wanted; the others are abandoned."""
        state = self._backend.state
        run = state.run(run_id)
        # Only a retry or a later generation of the plan takes a release group back: in a run without one nobody need
        # read the date for that.
        facts = state.dates(run_id, {claim.key.day for _, claim in claimed} if run.takes_back else ())
        attempts: dict[int, list[ClaimedAttempt]] = {}
        unwanted: list[tuple[AttemptKey, Abandoned]] = []
        for each, claim in claimed:
            if why := _why_unwanted(run, each, claim, facts.get(claim.key.day)):
                unwanted.append((claim.key, Abandoned(why, now)))
            else:
                attempt = self._with_lease(run, each.task, _attempt(run, each, claim))
                attempts.setdefault(each.number, []).append(attempt)
        if unwanted:
            state.record(run_id, unwanted)
        by_number = {each.number: each for each, _ in claimed}
        return {number: _call(run, by_number[number], found) for number, found in attempts.items()}

    def _dates(self, run_id: str, days: Sequence[date]) -> Mapping[date, DateFacts]:
        """The facts of these dates; tasks of a date that are delivered in a crowd share the reading."""
        return self._reads.get((run_id, tuple(days)), lambda: self._backend.state.dates(run_id, days))

    def _give_up(self, run_id: str, claims: Sequence[Claim]) -> None:
        """Give up claims that nobody will call a worker for, and their leases, where the state still answers; else they
        run out."""
        with suppress(PhasegateError):
            given_up = Abandoned("the state did not answer after the claim", self._backend.clock.now())
            self._backend.state.record(run_id, [(claim.key, given_up) for claim in claims])
        for claim in claims:
            with suppress(PhasegateError):
                self.give_back([attempt_id(run_id, claim)])

    def _with_lease(self, run: Run, task: TaskSpec, attempt: ClaimedAttempt) -> ClaimedAttempt:
        """The attempt, when nobody else writes its partition now; else refused, which costs no attempt."""
        output, claim = task.spec.output, attempt.claim
        if not isinstance(output, TableOutput) or output.other_writer is None:
            return attempt
        now = self._backend.clock.now()
        try:
            found = self._backend.state.leases.take(
                output.table, claim.key.day, correlation_id(run.run_id, claim.key), claim.lease_until, now
            )
        except TransientError as error:
            return attempt._replace(refused=failed(ErrorClass.TRANSIENT, said(error)))
        if isinstance(found, Held):
            return attempt._replace(refused=failed(ErrorClass.THROTTLE, f"{found}; tried again later"))
        self._leases[attempt_id(run.run_id, claim)] = found
        return attempt

    def give_back(self, attempt_ids: Iterable[str]) -> None:
        """Give back the leases of attempts that have ended, or will not be made: they write no more."""
        for each in attempt_ids:
            if (lease := self._leases.pop(each, None)) is not None:
                self._backend.state.leases.give_back(lease)

    def abandon(self, calls: Iterable[Call]) -> None:
        """Give up claimed calls that will not be made."""
        now = self._backend.clock.now()
        for call in calls:
            stopped = Abandoned("the run was stopped", now)
            self._backend.state.record(call.run.run_id, [(key, stopped) for key in call.keys])
            self.give_back(attempt_id(call.run.run_id, attempt.claim) for attempt in call.attempts)

    def execute(self, call: Call) -> CallEnd:
        """Call the worker. An attempt without an end in what is returned will be reported by event (202), or did not
        answer and may go on. Thread-safe.

        What a worker does becomes a result, never an exception; only HaltError (a full disk) passes through.
        """
        started, first = self._backend.clock.now(), call.claim.key
        with telemetry.bind(
            run_id=call.run.run_id, date=call.days, phase=first.phase, processor=first.processor, attempt=first.attempt
        ):
            found, failed_together = self._results(call), ""
            if isinstance(found, ProcessorResult):
                failed_together = f"a call for {len(call.asked)} dates failed as a whole: {found.message}"
                _log.warning("%s", failed_together)
                found = {}
            finished = self._backend.clock.now()
            completions: list[Completion] = []
            for attempt in call.attempts:
                key = attempt.claim.key
                result = attempt.refused or found.get(key.day)
                with telemetry.bind(date=key.day, attempt=key.attempt):
                    if result is not None:
                        # A metric counts those that failed (infra/terraform/alerts.tf).
                        _log.info("the worker ended: %s %s", result.status, result.message[:500])
                        completions.append(completion(call, attempt.claim, result, started, finished))
                    elif not failed_together:
                        self._leases.pop(attempt_id(call.run.run_id, attempt.claim), None)
                        _log.info("its end is not known yet: an event will tell, or the sweep after its lease")
            return CallEnd(completions, failed_together, len(call.asked), (finished - started).total_seconds())

    def _results(self, call: Call) -> Mapping[date, ProcessorResult] | ProcessorResult:
        """What became of the attempts that the worker is asked for, by date; a date is absent whose end is not known.

        One result for all of several: the call failed as a whole.
        """
        asked = call.asked
        found = self._answered(call, asked) if asked else {}
        if isinstance(found, ProcessorResult) and len(asked) == 1:
            return {asked[0].claim.key.day: found}
        return found

    def _answered(
        self, call: Call, asked: Sequence[ClaimedAttempt]
    ) -> Mapping[date, ProcessorResult] | ProcessorResult:
        """The same of these attempts, where one may have one result too."""
        task, days = call.task, [attempt.claim.key.day for attempt in asked]
        try:
            if asked[0].select is not None:
                selects = [attempt.select for attempt in asked if attempt.select is not None]
                requests = [request_of(call, attempt) for attempt in asked]
                answers = run_selects(selects, requests, self._backend.warehouse)
                return {day: understand(*answer, task) for day, answer in zip(days, answers, strict=True)}
            status, body = self._backend.workers[task.call.worker].handle(task.call.path, body_of(call, asked))
        except HaltError:
            raise
        except NoAnswer as error:
            # The worker may still write: no further attempt before the lease has run out.
            _log.warning("%s", said(error))
            return {}
        except TransientError as error:
            return failed(ErrorClass.TRANSIENT, said(error))
        except WouldEmpty as error:
            return failed(ErrorClass.NOT_YET, said(error))
        except Exception as error:
            return failed(ErrorClass.TRANSIENT, f"the worker raised {told(error)}")
        if status == 202:
            return {}
        try:
            return understand(status, body, task) if len(asked) == 1 else understand_batch(status, body, task, days)
        except BaseException as error:  # Nested too deep, or objects of a worker in this process that only look right.
            if is_interruption(error):
                raise
            return failed(ErrorClass.BUG, f"the worker's answer is not understood: {told(error)}")

    def finish(self, ended: Sequence[tuple[Call, CallEnd]]) -> None:
        """Report what became of calls. Attempts of one that failed as a whole are given up, and their dates
        reconciled: they are tried again with fewer others."""
        for call, end in ended:
            if end.failed_together:
                self._give_up_together(call, end.failed_together)
        self.give_back(completion.event_id for _, end in ended for completion in end.completions)
        self.publish([message for _, end in ended if (message := end.message) is not None])

    def _give_up_together(self, call: Call, why: str) -> None:
        run_id, keys = call.run.run_id, [attempt.claim.key for attempt in call.asked]
        given_up = Abandoned(kept(why), self._backend.clock.now(), failed_together=True)
        self._backend.state.record(run_id, [(key, given_up) for key in keys])
        self.give_back(attempt_id(run_id, attempt.claim) for attempt in call.asked)
        self._dispatcher.put_pages(run_id, [key.day for key in keys], attempt_id(run_id, call.asked[0].claim))

    def publish(self, messages: Sequence[Completion | CompletionBatch]) -> None:
        """Report on Phasegate's own topic, whatever the live pipeline's cascade does."""
        self._backend.events.publish(COMPLETIONS, messages)


@dataclass(frozen=True, slots=True)
class _Planned:
    """An attempt that a task asks for, and the plan knows."""

    number: int
    """The number of the task among those that are claimed."""
    index: PlanIndex
    """The plan that decides about its date."""
    task: TaskSpec
    """What that says of it."""
    request: ClaimRequest
    """What is asked of the state."""


def _why_unwanted(run: Run, planned: _Planned, claim: Claim, facts: DateFacts | None) -> str:
    """Why a claimed attempt is not run after all; empty: it is. facts: those of its date, where they matter."""
    if claim.epoch != run.epoch or not run.admits:
        return f"the run is {run.desired_state.value}"
    if facts is None:
        return ""
    task, cell = planned.task, facts.cells.get(planned.task.phase, Cell())
    is_released = planned.index.groups[task.group].name in cell.groups
    is_current = claim.generation >= cell.redo.get(task.processor, 1)
    return "" if is_released and is_current else "it was asked for anew, or its release was taken back"


def _attempt(run: Run, planned: _Planned, claim: Claim) -> ClaimedAttempt:
    """What a worker is told of a claimed attempt."""
    index, task, day = planned.index, planned.task, claim.key.day
    pipeline = index.plan.pipeline
    is_expected = task.expects[index.position[day]] == ExpectationLetter.EXPECTED
    writes_table = isinstance(task.spec.output, TableOutput)
    return ClaimedAttempt(
        claim,
        may_be_empty=not is_expected or accepts_empty(run.retries, pipeline, day, task.ref),
        rows_due=rows_due(pipeline, index.calendar, task.phase, task.spec, day) if writes_table else None,
        select=planned_select(pipeline, index.calendar, task.phase, task.spec, day),
    )


def _call(run: Run, planned: _Planned, attempts: Sequence[ClaimedAttempt]) -> Call:
    """The call for attempts of one task of a queue."""
    task, workers = planned.task, planned.index.plan.pipeline.workers
    call = Call(
        run,
        task,
        attempts=tuple(attempts),
        constants=workers[task.call.worker].constants if attempts[0].select is None else {},
    )
    return _without_gaps(call, planned.index.calendar) if task.batches == "range" else call


def _without_gaps(call: Call, calendar: Calendar) -> Call:
    """A call that asks for a range: up to the first date that lies between two of it and is somebody else's. What comes
    after is tried again later, at no cost."""
    asked = call.asked
    gaps = (n for n, (a, b) in enumerate(pairwise(asked), 1) if not calendar.follows(a.claim.key.day, b.claim.key.day))
    if (first := next(gaps, None)) is None:
        return call
    later = failed(ErrorClass.THROTTLE, "a date before it is run by another call, and a range has no holes")
    after = {attempt.claim.key for attempt in asked[first:]}
    return call._replace(
        attempts=tuple(a._replace(refused=later) if a.claim.key in after else a for a in call.attempts)
    )


def _dispatched_task(attempt: QueuedAttempt, index: PlanIndex, dates: Mapping[date, DateFacts]) -> TaskSpec:
    """The task of a queued attempt. Raises InputError for one that nobody dispatched, and for unknown names."""
    key, generation, inputs = attempt
    index.require_dates([key.day])
    task = index.task(key.ref)
    if {ref for ref, _ in inputs} != set(task.need_refs):
        raise InputError(f"{key}: is made from {', '.join(task.need_refs) or 'nothing'}, and its inputs are others")
    if not may_be_claimed(dates[key.day], index, key, generation):
        raise InputError(f"{key}, generation {generation}: was never dispatched; only the dispatcher makes tasks")
    return task
