"""A SELECT that is written for sets makes many dates with one statement; each date has an answer of its own.

Any other SELECT is run date by date. What becomes of one date never speaks for another: a higher fence, no rows where
some stand, and a value that makes the statement fail keep back their own date.
"""

from collections.abc import Sequence
from datetime import date

from phasegate.domain.calendar.dates import stretches
from phasegate.domain.calendar.sql_parameters import set_parameters
from phasegate.domain.errors import ReadsTooMuch
from phasegate.domain.halves import by_halves
from phasegate.domain.protocol.worker import ProcessorResult, WorkerRequest
from phasegate.ports import Partitions, Replaced, Warehouse
from phasegate.services.reading.asking import GAP_DAYS
from phasegate.services.running.sql_processors import PlannedSelect, replace_alone, run_select
from phasegate.worker.service import Answer, answer_in_time, has_passed, void


def run_selects(
    selects: Sequence[PlannedSelect], requests: Sequence[WorkerRequest], warehouse: Warehouse
) -> list[Answer]:
    """Answer the requests of one processor by running its SELECT; an answer for each, in their order.

    selects: what the plan says of each request's date, in calendar order. Raises what is no date's own: the warehouse
    that does not answer, a statement that does not fit; the dates are asked for again in halves then. HaltError when
    the disk is full.
    """
    if len(selects) == 1 or not selects[0].is_for_sets:
        return [run_select(planned, request, warehouse) for planned, request in zip(selects, requests, strict=True)]
    due = {r.date: (planned, r) for planned, r in zip(selects, requests, strict=True) if not has_passed(r.deadline)}
    outcomes: dict[date, Replaced | Exception] = {}
    for days in stretches(list(due), GAP_DAYS) if due else ():
        try:
            outcomes |= by_halves(days, lambda half: _replace([due[day] for day in half], warehouse))
        except ReadsTooMuch as error:  # for each of them a person has to allow it
            outcomes |= dict.fromkeys(days, error)

    def handle(request: WorkerRequest) -> ProcessorResult:
        planned, _ = due[request.date]
        outcome = outcomes.pop(request.date, None)
        if outcome is None:  # asked again: what stood there is deleted
            return replace_alone(planned, request, warehouse)
        if isinstance(outcome, Exception):
            raise outcome
        return planned.result(request, outcome)

    # What was written in time counts, also where the statement has outlasted the deadline, as it does for one date.
    return [answer_in_time(handle, request) if request.date in due else void(request) for request in requests]


def _replace(due: Sequence[tuple[PlannedSelect, WorkerRequest]], warehouse: Warehouse) -> dict[date, Replaced]:
    """Run the statement once for all these dates."""
    first = due[0][0]
    fences = {request.date: request.fence for _, request in due}
    given = set_parameters([planned.parameters for planned, _ in due])
    return warehouse.replace_partitions(
        Partitions(first.partition.table, first.partition.date_column, fences), first.select, given
    )
