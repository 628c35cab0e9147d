"""A start finds its environment around it: the one thing in which a home folder and a cloud differ on the way to a
run."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from phasegate.domain.decisions.standing import known_to_lack_units, standing
from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import PreflightLine
from phasegate.domain.protocol.worker import Said
from phasegate.domain.spec.pipeline import Pipeline, did_you_mean
from phasegate.ports import Clock, Installation, State
from phasegate.services.backend import Backend
from phasegate.services.reading.cross_check import CalendarReader, cross_check, outputs_of
from phasegate.services.reading.made_with import said_by
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.schedule import Query
from phasegate.services.starting.dry_run import Binder, WarehouseBinder
from phasegate.services.starting.identity import RequestIdentity
from phasegate.services.starting.own_tables import made_here, make_own_tables
from phasegate.services.starting.preflight import calendar_lines, check_tables
from phasegate.services.starting.scope import RunScope


class PlanEnvironment(Protocol):
    """The environment in which a request is planned belongs to one backend. Nothing is written."""

    @property
    def clock(self) -> Clock:
        """Tell where the live window begins, and when a run does."""

    @property
    def state(self) -> State | None:
        """Return where runs are kept; None: no run was ever written here."""

    @property
    def prover(self) -> Prover | None:
        """Return what asks the tables; None: there are no tables yet."""

    def read_pipeline(self, request: RunRequest) -> Pipeline:
        """Read the pipeline of a request; the first step. Raises InputError for a file that is wrong, and for a
        pipeline that is not run here."""

    def schedule(self, request: RunRequest, pipeline: Pipeline) -> Query:
        """Return what answers the queries of the pipeline's calendar. Raises InputError when there is no schedule."""

    def binder(self, request: RunRequest, pipeline: Pipeline) -> Binder:
        """Return what binds the statements of a pipeline against the tables that a run of it would find."""

    def place(self, request: RunRequest, at: str, line: int | None, column: int | None) -> str:
        """Say where a part of the pipeline's file stands: its path, and line and column in the text there."""

    def inspect(self, scope: RunScope) -> list[PreflightLine]:
        """Inspect what a run of this scope stands on: tables, services, queues, rights.

        Raises InputError for what makes every start impossible.
        """

    def compare_calendar(self, scope: RunScope) -> list[PreflightLine]:
        """Compare the calendar with what it can be told right or wrong by; none of the lines forbids a start, and a
        start does not ask."""

    def ask_workers(self, names: Collection[str]) -> Mapping[str, Said]:
        """Ask workers of the pipeline that was read what they would make rows with now; one that cannot be asked is
        absent, and warned of."""


class StartEnvironment(PlanEnvironment, Protocol):
    """The environment in which a run is begun can also write it. Nothing is written before ``prepare``."""

    def prepare(self, scope: RunScope) -> State:
        """Make ready to plan and write a run: from here on ``state`` and ``prover`` are there.

        Raises InputError, and no run is written, when that is not possible.
        """

    def run_ids(self, pipeline: Pipeline, identity: RequestIdentity) -> Iterable[str]:
        """Name a run that nobody has named: names to be tried in order; they do not end before one is free."""

    def wake(self, run_id: str) -> None:
        """Have the conductor woken for a run that was written."""


@dataclass(frozen=True, slots=True)
class CloudEnvironment:
    """The environment of a start on a cloud has shared ports: Google Cloud, or the local stack.

    A run that nobody has named is named after its request, so that a message that is delivered to two processes at
    once begins one run.
    """

    backend: Backend
    """The ports."""

    installation: Installation
    """What a run stands on beside the ports."""

    load: Callable[[RunRequest], Pipeline]
    """Gives the pipeline of a request."""

    find: Callable[[RunRequest, str, int | None, int | None], str] = lambda request, at, *_: (
        f"{request.pipeline_file}: {at}"
    )
    """Says where a part of its file stands, as ``place`` does."""

    @property
    def clock(self) -> Clock:
        """See the protocol."""
        return self.backend.clock

    @property
    def state(self) -> State:
        """See the protocol."""
        return self.backend.state

    @property
    def prover(self) -> Prover:
        """See the protocol."""
        return Prover(self.backend.warehouse, self.backend.objects)

    def read_pipeline(self, request: RunRequest) -> Pipeline:
        """See the protocol."""
        return self.load(request)

    def schedule(self, request: RunRequest, pipeline: Pipeline) -> Query:  # noqa: ARG002 - one warehouse for all
        """See the protocol. The schedule is a table of the warehouse."""
        return lambda sql: list(self.backend.warehouse.query(sql))

    def binder(self, request: RunRequest, pipeline: Pipeline) -> Binder:  # noqa: ARG002 - one warehouse for all
        """See the protocol: BigQuery's own dry run."""
        return WarehouseBinder(self.backend.warehouse)

    def place(self, request: RunRequest, at: str, line: int | None, column: int | None) -> str:
        """See the protocol."""
        return self.find(request, at, line, column)

    def inspect(self, scope: RunScope) -> list[PreflightLine]:
        """See the protocol."""
        tables = {**scope.pipeline.calendar.tables, **scope.tables}
        return [
            *check_tables(tables, self.backend.warehouse, made_here(scope.pipeline, scope.phases)),
            *self.installation.inspect(scope.pipeline, scope.phases),
        ]

    def compare_calendar(self, scope: RunScope) -> list[PreflightLine]:
        """See the protocol."""
        tables = self.schedule(scope.request, scope.pipeline)
        reader = CalendarReader(tables, tables)
        filled = outputs_of(scope.pipeline).values()
        now = self.clock.now()
        known = known_to_lack_units(scope.pipeline, standing(scope.pipeline, now))
        checked = cross_check(scope.pipeline, scope.calendar, scope.days, reader, now, filled, known)
        return calendar_lines(scope.pipeline.calendar, checked)

    def ask_workers(self, names: Collection[str]) -> Mapping[str, Said]:
        """See the protocol."""
        return said_by({name: worker for name, worker in self.backend.workers.items() if name in names})

    def prepare(self, scope: RunScope) -> State:
        """See the protocol: what the deployment has not made of Phasegate's own tables is made."""
        make_own_tables(scope.pipeline, scope.phases, self.backend.warehouse)
        return self.backend.state

    def run_ids(self, pipeline: Pipeline, identity: RequestIdentity) -> Iterable[str]:
        """See the protocol. Each later name is for when the earlier runs are over."""
        first = f"{pipeline.pipeline}-{identity.digest}"
        yield first
        yield from (f"{first}-{number}" for number in count(2))

    def wake(self, run_id: str) -> None:
        """See the protocol. After a crash before this call the next sweep wakes the run."""
        self.backend.wake_conductor(run_id)


def require_deployed(pipeline: Pipeline, named: str | None) -> None:
    """Refuse a request that names a pipeline which this deployment does not run: raises InputError."""
    if named is not None and named != pipeline.pipeline:
        raise InputError(f"pipeline: '{named}' is not deployed here{did_you_mean(named, [pipeline.pipeline])}")
