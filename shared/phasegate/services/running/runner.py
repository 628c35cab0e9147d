"""The runner executes one task: it claims the attempt, calls the worker or runs the SELECT, and reports the end."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import NamedTuple

from pydantic import JsonValue

from phasegate import __version__, telemetry
from phasegate.domain.calendar.expectation import ExpectationLetter, RowsDue, rows_due
from phasegate.domain.decisions.answers import Refused, failed, understand
from phasegate.domain.decisions.reconcile import may_be_claimed
from phasegate.domain.decisions.retry import accepts_empty
from phasegate.domain.errors import HaltError, InputError, NoAnswer, PhasegateError, TransientError, WouldEmpty
from phasegate.domain.foreign_text import is_interruption, kept, said, told
from phasegate.domain.messages.completion import BLANK, Completion
from phasegate.domain.messages.tasks import TaskPayload
from phasegate.domain.plan import FIRST, PlanIndex, TaskSpec
from phasegate.domain.protocol.names import COMPLETIONS
from phasegate.domain.protocol.worker import ErrorClass, OwnFields, ProcessorResult, WorkerRequest, request_body
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.domain.state.facts import Abandoned, AttemptKey, Cell, DateFacts
from phasegate.domain.state.lease import Held, Lease
from phasegate.domain.state.run import Run
from phasegate.ports import Claim, ClaimRequest
from phasegate.ports.claims import LEASE_MARGIN
from phasegate.services.backend import Backend
from phasegate.services.reading.plans_of_dates import indexes_of
from phasegate.services.running.quarantine import set_aside
from phasegate.services.running.sql_processors import PlannedSelect, planned_select, run_select
from phasegate.single_flight import SingleFlight

_log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A call is a claimed attempt, ready to be sent to its worker."""

    run: Run
    """The run, as it was read after the claim."""
    task: TaskSpec
    """What the plan says of the task."""
    claim: Claim
    """The claim, which nobody else can have."""
    constants: Mapping[str, JsonValue]
    """What the worker is sent beside the protocol's own fields."""
    may_be_empty: bool = False
    """Whether rows that stand there may be deleted where the worker has none."""
    rows_due: RowsDue | None = None
    """How many rows its table should hold on the date; None: it writes none."""
    select: PlannedSelect | None = None
    """What is run in place of a call; None: the worker is called."""
    refused: ProcessorResult | None = None
    """Given: the worker is not called, and this is how the attempt ends."""

    @property
    def id(self) -> str:
        """Name the attempt and its claim, in every run."""
        return f"{self.correlation_id}/{self.claim.fence}"

    @property
    def correlation_id(self) -> str:
        """Name the attempt, in every run."""
        return correlation_id(self.run.run_id, self.claim.key)


def correlation_id(run_id: str, key: AttemptKey) -> str:
    """Name an attempt, in every run; and the holder of its lease."""
    return f"{run_id}/{key.day}/{key.phase}/{key.processor}/{key.attempt}"


class Runner:
    """The runner claims first and reads the run afterwards, so that after a cancel nothing is started.

    Where another system writes the output's table, a lease on the table's date is taken before the call, until the end
    of the claim's. It is given back when the worker has ended. A worker that will report by event, or of which no
    answer came, may be writing still: its lease runs out.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._leases: dict[str, Lease] = {}
        self._reads: SingleFlight[Mapping[date, DateFacts]] = SingleFlight()

    def run(self, task: TaskPayload) -> str:
        """Claim, execute and report one task; what became of it, in a word: ``nothing``, ``accepted`` or its result.

        Raises InputError, and nothing is written, for a task that was never dispatched; TransientError when the report
        could not be published: the sweeper finds the end of the attempt then.
        """
        (call,) = self._claim([task])
        if isinstance(call, InputError):
            raise call
        if call is None:
            return "nothing"
        end = self.execute(call)
        if end is None or end.status is None:
            return "accepted"
        self.publish([end])
        return end.status.value

    def claim(self, tasks: Sequence[TaskPayload]) -> list[Call | None]:
        """Claim the attempts of these tasks; returns one entry for each.

        An entry is the call to make, or None: somebody else has the attempt, or the run is not running. A task that was
        never dispatched is set aside.
        """
        calls: list[Call | None] = []
        for task, found in zip(tasks, self._claim(tasks), strict=True):
            if isinstance(found, InputError):
                set_aside(self._backend, task.model_dump_json(), task.run_id, str(found))
            calls.append(None if isinstance(found, InputError) else found)
        return calls

    def _claim(self, tasks: Sequence[TaskPayload]) -> list[Call | InputError | None]:
        """As ``claim``; an error in place of a call says why there is no such task."""
        state, now = self._backend.state, self._backend.clock.now()
        calls: list[Call | InputError | None] = [None] * len(tasks)
        for run_id in {p.run_id for p in tasks}:
            first = state.index(run_id, FIRST)
            asked = {i: p for i, p in enumerate(tasks) if p.run_id == run_id}
            dates = self._dates(run_id, sorted({p.date for p in asked.values() if p.date in first.position}))
            indexes = indexes_of(state, run_id, dates)
            mine: list[int] = []
            requests: list[ClaimRequest] = []
            specs: list[tuple[PlanIndex, TaskSpec]] = []
            for i, p in asked.items():
                key = AttemptKey(p.date, p.phase, p.processor, p.attempt)
                try:
                    index = indexes.get(p.date, first)
                    task = _dispatched_task(p, key, index, dates)
                except InputError as error:
                    calls[i] = error
                    continue
                mine.append(i)
                lease = now + timedelta(seconds=task.dispatch.timeout_seconds) + LEASE_MARGIN
                requests.append(ClaimRequest(key, p.epoch, p.generation, tuple(p.inputs.items()), lease))
                specs.append((index, task))
            claims = state.claim(run_id, requests, now)
            try:
                run = state.run(run_id)
                # Only a retry or a later generation of the plan takes a release group back: in a run without one nobody
                # need read the date for that.
                facts = state.dates(run_id, {c.key.day for c in claims if c} if run.takes_back else ())
            except PhasegateError:
                self._give_up(run_id, [c.key for c in claims if c])
                raise
            refused: list[tuple[AttemptKey, Abandoned]] = []
            for i, (index, task), claim in zip(mine, specs, claims, strict=True):
                if claim is None:
                    continue
                cell = facts[claim.key.day].cells.get(task.phase, Cell()) if claim.key.day in facts else None
                if claim.epoch != run.epoch or not run.admits:
                    refused.append((claim.key, Abandoned(f"the run is {run.desired_state.value}", now)))
                elif cell is not None and (
                    claim.generation < cell.redo.get(task.processor, 1)
                    or index.groups[task.group].name not in cell.groups
                ):
                    refused.append((claim.key, Abandoned("it was asked for anew, or its release was taken back", now)))
                else:
                    pipeline, day = index.plan.pipeline, claim.key.day
                    is_expected = task.expects[index.position[day]] == ExpectationLetter.EXPECTED
                    may_be_empty = not is_expected or accepts_empty(run.retries, pipeline, day, task.ref)
                    select = planned_select(pipeline, index.calendar, task.phase, task.spec, day)
                    constants = pipeline.workers[task.call.worker].constants if select is None else {}
                    due = None
                    if isinstance(task.spec.output, TableOutput):
                        due = rows_due(pipeline, index.calendar, task.phase, task.spec, day)
                    calls[i] = self._with_lease(Call(run, task, claim, constants, may_be_empty, due, select))
            if refused:
                state.record(run_id, refused)
        return calls

    def _dates(self, run_id: str, days: Sequence[date]) -> Mapping[date, DateFacts]:
        """The facts of these dates; tasks of a date that are delivered in a crowd share the reading."""
        return self._reads.get((run_id, tuple(days)), lambda: self._backend.state.dates(run_id, days))

    def _give_up(self, run_id: str, keys: Sequence[AttemptKey]) -> None:
        """Claims that nobody will call a worker for, where the state still answers; else their leases run out."""
        with suppress(PhasegateError):
            given_up = Abandoned("the state did not answer after the claim", self._backend.clock.now())
            self._backend.state.record(run_id, [(key, given_up) for key in keys])

    def _with_lease(self, call: Call) -> Call:
        """The call, when nobody else writes its partition now; else the call refused, which costs no attempt."""
        output, claim = call.task.spec.output, call.claim
        if not isinstance(output, TableOutput) or output.other_writer is None:
            return call
        now = self._backend.clock.now()
        try:
            found = self._backend.state.leases.take(
                output.table, claim.key.day, call.correlation_id, claim.lease_until, now
            )
        except TransientError as error:
            return call._replace(refused=failed(ErrorClass.TRANSIENT, said(error)))
        if isinstance(found, Held):
            return call._replace(refused=failed(ErrorClass.THROTTLE, f"{found}; tried again later"))
        self._leases[call.id] = found
        return call

    def give_back(self, call_ids: Iterable[str]) -> None:
        """Give back the leases of calls that have ended, or will not be made: they write no more."""
        for call_id in call_ids:
            if (lease := self._leases.pop(call_id, None)) is not None:
                self._backend.state.leases.give_back(lease)

    def execute(self, call: Call) -> Completion | None:
        """Call the worker. None: it will report by event (202), or did not answer and may go on. Thread-safe.

        What a worker does becomes a result, never an exception; only HaltError (a full disk) passes through.
        """
        started, key = self._backend.clock.now(), call.claim.key
        with telemetry.bind(
            run_id=call.run.run_id, date=key.day, phase=key.phase, processor=key.processor, attempt=key.attempt
        ):
            result = self._result(call)
            if result is None:
                self._leases.pop(call.id, None)
                _log.info("its end is not known yet: an event will tell, or the sweep after its lease")
                return None
            _log.info("the worker ended: %s %s", result.status, result.message[:500])
            return completion(call, result, started, self._backend.clock.now())

    def _result(self, call: Call) -> ProcessorResult | None:
        task = call.task
        if call.refused is not None:
            return call.refused
        try:
            if call.select is not None:
                status, body = run_select(call.select, _request(call), self._backend.warehouse)
            else:
                status, body = self._backend.workers[task.call.worker].handle(task.call.path, _request_body(call))
        except HaltError:
            raise
        except NoAnswer as error:
            # The worker may still write: no further attempt before the lease has run out.
            _log.warning("%s", said(error))
            return None
        except TransientError as error:
            return failed(ErrorClass.TRANSIENT, said(error))
        except WouldEmpty as error:
            return failed(ErrorClass.NOT_YET, said(error))
        except Exception as error:
            return failed(ErrorClass.TRANSIENT, f"the worker raised {told(error)}")
        if status == 202:
            return None
        try:
            return understand(status, body, task)
        except BaseException as error:  # Nested too deep, or objects of a worker in this process that only look right.
            if is_interruption(error):
                raise
            return failed(ErrorClass.BUG, f"the worker's answer is not understood: {told(error)}")

    def publish(self, completions: Sequence[Completion]) -> None:
        """Report on Phasegate's own topic, whatever the live pipeline's cascade does."""
        self.give_back(c.event_id for c in completions)
        self._backend.events.publish(COMPLETIONS, completions)


def _dispatched_task(
    payload: TaskPayload, key: AttemptKey, index: PlanIndex, dates: Mapping[date, DateFacts]
) -> TaskSpec:
    """The task that a payload is about. Raises InputError for one that nobody dispatched, and for unknown names."""
    index.require_dates([payload.date])
    task = index.task(key.ref)
    if payload.inputs.keys() != set(task.need_refs):
        raise InputError(f"{key}: is made from {', '.join(task.need_refs) or 'nothing'}, and its inputs are others")
    if not may_be_claimed(dates[payload.date], index, key, payload.generation):
        raise InputError(
            f"{key}, generation {payload.generation}: was never dispatched; only the dispatcher makes tasks"
        )
    return task


def completion(call: Call, result: ProcessorResult, started: datetime, finished: datetime) -> Completion:
    """Make the event for a result. Its values are our own, or were checked when the answer was understood."""
    key, output = call.claim.key, call.task.spec.output
    said = {
        "event_id": call.id,
        "run_id": call.run.run_id,
        "date": key.day,
        "phase": key.phase,
        "processor": key.processor,
        "attempt": key.attempt,
        "fence": call.claim.fence,
        "status": result.status,
        "error_class": result.error_class,
        "http_status": result.http_status if isinstance(result, Refused) else None,
        "message": kept(result.message),
        "rows": result.rows,
        "output_table": output.table if isinstance(output, TableOutput) else None,
        "code_version": __version__,
        "started_at": started,
        "finished_at": finished,
        "trace": telemetry.current_trace(),
    }
    return BLANK.model_copy(update=said).with_made_with(result.made_with)


def _request_body(call: Call) -> dict[str, JsonValue]:
    dispatch = call.task.call
    return request_body(_own_fields(call), call.constants, call.run.why, dispatch.date_field, dispatch.processor_field)


def _request(call: Call) -> WorkerRequest:
    return WorkerRequest(**_own_fields(call)._asdict())


def _own_fields(call: Call) -> OwnFields:
    key = call.claim.key
    return OwnFields(
        run_id=call.run.run_id,
        date=key.day,
        phase=key.phase,
        processor=key.processor,
        attempt=key.attempt,
        fence=call.claim.fence,
        deadline=call.claim.deadline,
        correlation_id=call.correlation_id,
        may_be_empty=call.may_be_empty,
        rows_at_least=call.rows_due.at_least if call.rows_due else None,
        rows_at_most=call.rows_due.at_most if call.rows_due else None,
    )
