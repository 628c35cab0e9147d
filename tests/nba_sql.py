"""The SELECTs of the reference pipeline, and how Phasegate runs one of them for a date, without a run around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.calendar.sql_parameters import set_parameters, sql_parameters
from phasegate.domain.protocol.worker import WorkerRequest
from phasegate.domain.spec.pipeline import Processor, TableOutput
from phasegate.ports import Parameter, Warehouse
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.running.select_batches import run_selects
from phasegate.services.running.sql_processors import PlannedSelect, planned_select
from tests.conftest import NBA_PIPELINE

NBA = load_pipeline(NBA_PIPELINE)
PIPELINE = NBA_PIPELINE.parent
"""The pipeline's folder."""

WINDOW_DATES = 15
"""League game dates that the pipeline's lookback gates wait for."""


@dataclass(frozen=True, slots=True)
class SqlProcessor:
    """A processor of the reference pipeline that is a SELECT."""

    phase: str
    """Its phase."""
    spec: Processor
    """What the pipeline file says of it."""

    @property
    def name(self) -> str:
        """Its name, and that of its table."""
        return self.spec.name

    @property
    def output(self) -> TableOutput:
        """Where its rows go."""
        assert isinstance(self.spec.output, TableOutput)
        return self.spec.output

    @property
    def table(self) -> str:
        """Its table."""
        return self.output.table

    @property
    def date_column(self) -> str:
        """The column of its dates."""
        return self.output.date_column


def _of_phase(phase: str) -> Mapping[str, SqlProcessor]:
    return {each.name: SqlProcessor(phase, each) for each in NBA.phase(phase).processors}


ANALYTICS, PRECOMPUTE = _of_phase("phase_3_analytics"), _of_phase("phase_4_precompute")
PREDICTIONS = {name: each for name, each in _of_phase("phase_5_predictions").items() if each.spec.sql}


def select_of(processor: SqlProcessor) -> str:
    """The statement of a processor."""
    return NBA.select_of(processor.spec)


def calendar_of(warehouse: Warehouse) -> Calendar:
    """The calendar, as the warehouse's schedule gives it now."""
    return read_calendar(NBA.calendar, warehouse.query)


def bounds_of(processor: SqlProcessor, calendar: Calendar, day: date) -> dict[str, date]:
    """The bounds of what it may read for a date, and the date."""
    return sql_parameters(NBA, calendar, processor.phase, processor.name, day)


def given_to(processor: SqlProcessor, calendar: Calendar, days: Sequence[date]) -> dict[str, Parameter]:
    """What its SELECT is given for some dates together."""
    return dict(set_parameters([bounds_of(processor, calendar, day) for day in days]))


def run_sql(
    warehouse: Warehouse, calendar: Calendar, name: str, day: date, fence: int = 1
) -> tuple[int, dict[str, Any]]:
    """What the runner gets for a processor on a date. Where nothing is expected nobody runs it: empty, and why."""
    return run_sql_batch(warehouse, calendar, name, {day: fence})[day]


def run_sql_batch(
    warehouse: Warehouse, calendar: Calendar, name: str, fences: Mapping[date, int]
) -> dict[date, tuple[int, dict[str, Any]]]:
    """The same for some dates together, in calendar order, each under its fence."""
    processor = {**ANALYTICS, **PRECOMPUTE, **PREDICTIONS}[name]
    answers: dict[date, tuple[int, dict[str, Any]]] = {}
    due: list[tuple[PlannedSelect, WorkerRequest]] = []
    for day, fence in fences.items():
        letter, why = expectation(NBA, calendar, processor.phase, processor.spec, day)
        planned = planned_select(NBA, calendar, processor.phase, processor.spec, day)
        assert planned is not None
        if letter == ExpectationLetter.EMPTY:
            result = {"status": "empty", "rows": 0, "message": why, "error_class": None}
            answers[day] = 200, {"results": {name: result}}
        else:
            due.append((planned, request_for(processor.phase, name, day, fence)))
    if due:
        given = run_selects([planned for planned, _ in due], [request for _, request in due], warehouse)
        answers |= dict(zip((request.date for _, request in due), given, strict=True))
    return answers


def request_for(phase: str, processor: str, day: date, fence: int) -> WorkerRequest:
    """What a worker is sent for a date."""
    deadline = datetime(2090, 1, 1, tzinfo=UTC)
    return WorkerRequest(
        run_id="test", date=day, phase=phase, processor=processor, attempt=1, fence=fence, deadline=deadline
    )
