"""A processor that is a SELECT is run by Phasegate itself: its rows become the date's partition of its table.

It is answered as a worker of the library answers, so that the runner, the fence, the proof and the record of what rows
were made with make no difference between the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.calendar.sql_parameters import DATES, set_parameters, sql_parameters
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus, WorkerRequest
from phasegate.domain.spec.pipeline import Pipeline, Processor, TableOutput
from phasegate.ports import Partition, Warehouse
from phasegate.services.reading.made_with import made_with_of
from phasegate.worker.service import Answer, answer
from phasegate.worker.statement import parameters_of_statement


@dataclass(frozen=True, slots=True)
class PlannedSelect:
    """A planned SELECT is what the plan says of such a processor on one date."""

    select: str
    """The statement, as it was when the run was planned."""
    partition: Partition
    """Where its rows go."""
    parameters: Mapping[str, date]
    """What it is given for the date, by name."""
    made_with: str
    """The hash of the statement."""
    is_expected: bool
    """Whether rows are due."""
    why_empty: str
    """Why none are, where none are."""

    @property
    def is_for_sets(self) -> bool:
        """Tell whether the statement makes many dates together."""
        return DATES in _parameters_of(self.select)

    def result(self, request: WorkerRequest, rows: int) -> ProcessorResult:
        """Return what is answered to a request where so many rows were written."""
        if rows:
            return ProcessorResult(status=ResultStatus.SUCCESS, rows=rows, made_with=self.made_with)
        if self.is_expected:
            return ProcessorResult(
                status=ResultStatus.FAILED,
                rows=0,
                message=f"the SELECT of {request.processor} yields no row for {request.date}, and rows are expected: "
                "what it reads is not there yet",
                error_class=ErrorClass.NOT_YET,
            )
        return ProcessorResult(
            status=ResultStatus.EMPTY,
            rows=0,
            message=self.why_empty,
            error_class=ErrorClass.EXPECTED_EMPTY,
            made_with=self.made_with,
        )


_parameters_of = lru_cache(maxsize=512)(parameters_of_statement)


def planned_select(
    pipeline: Pipeline, calendar: Calendar, phase: str, processor: Processor, day: date
) -> PlannedSelect | None:
    """Return what is run for a phase's processor on a date; None: its worker is called."""
    output = processor.output
    if processor.sql is None or not isinstance(output, TableOutput):
        return None
    letter, reason = expectation(pipeline, calendar, phase, processor, day)
    return PlannedSelect(
        select=pipeline.select_of(processor),
        partition=Partition(output.table, output.date_column, day),
        parameters=sql_parameters(pipeline, calendar, phase, processor.name, day),
        made_with=made_with_of(pipeline, processor),
        is_expected=letter == ExpectationLetter.EXPECTED,
        why_empty=reason,
    )


def run_select(planned: PlannedSelect, request: WorkerRequest, warehouse: Warehouse) -> Answer:
    """Answer one request by running the SELECT. Raises HaltError when the disk is full."""
    return answer(lambda request: replace_alone(planned, request, warehouse), request)


def replace_alone(planned: PlannedSelect, request: WorkerRequest, warehouse: Warehouse) -> ProcessorResult:
    """Run the SELECT for one date, and write its rows. Raises StaleFence, WouldEmpty, and what the warehouse raises."""
    given = set_parameters([planned.parameters]) if planned.is_for_sets else planned.parameters
    rows = warehouse.replace_partition(planned.partition, planned.select, given, request.fence)
    return planned.result(request, rows)
