"""A request walks one line of steps, from the command, or the message, to the first wake-up.

    read the pipeline -> find an earlier run -> settle the dates -> bind its statements -> preflight -> plan -> write
    -> wake

The steps stand in modules of their own beside this one. Commands that only show stop earlier on the same line.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from phasegate.domain.errors import InputError
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.operations.preflight import PreflightLine, require_passed
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.run import Run
from phasegate.services.reading.cross_check import require_comparable
from phasegate.services.reading.reads import keep_reads
from phasegate.services.reading.schedule import read_calendar
from phasegate.services.starting.alongside import require_alone, withdraw_if_later
from phasegate.services.starting.dry_run import Place, dry_run, require_calendar
from phasegate.services.starting.earlier_run import find_earlier_run
from phasegate.services.starting.environment import PlanEnvironment, StartEnvironment
from phasegate.services.starting.identity import identify
from phasegate.services.starting.planner import PlanMade, plan_scope, require_earlier_run
from phasegate.services.starting.preflight import check_earlier_plans, check_known, check_request
from phasegate.services.starting.published import check_published
from phasegate.services.starting.scope import RunScope, settle_dates
from phasegate.services.starting.stopped import find_stop
from phasegate.services.starting.write import NewRun, write_run
from phasegate.telemetry import counting_reads


@dataclass(frozen=True, slots=True)
class Started:
    """A request is answered by this run."""

    run: Run
    """As it is kept."""

    is_new: bool
    """Whether it was written now; else the same request began it before."""

    remade: tuple[date, ...] = ()
    """Dates whose rows were made from another source folder, and are made again."""

    stopped_by: tuple[date, ...] = ()
    """Dates that ended badly in the run, which rests there, and that nobody has freed: nothing was begun."""


def start(
    request: RunRequest, environment: StartEnvironment, run_id: str | None = None, sent_at: datetime | None = None
) -> Started:
    """Find or begin the run that answers a request: the one of that id, the unfinished one of the same request, the one
    that stopped at a bad date which nobody has freed (``find_stop``), or a new one.

    sent_at: when the message was published that asks; the same message again finds the run that it began, also after
    its end. Raises InputError for a bad request and for what preflight fails, before anything is written;
    TransientError when preflight could not ask.
    """
    with counting_reads() as counter:
        started = _start(request, environment, run_id, sent_at)
    if started.is_new and environment.state is not None:
        keep_reads(environment.state, started.run.run_id, counter.reads)
    return started


def _start(request: RunRequest, environment: StartEnvironment, run_id: str | None, sent_at: datetime | None) -> Started:
    pipeline = environment.read_pipeline(request)
    identity = identify(request, pipeline)
    earlier = find_earlier_run(environment.state, identity, run_id, sent_at)
    if earlier is not None:
        return Started(earlier, is_new=False)
    scope = settle(request, pipeline, environment)
    bind(scope, environment)
    require_passed(preflight(scope, environment))
    state = environment.prepare(scope)
    bind(scope, environment)
    made = plan_scope(scope, environment.prover, state, environment.clock.now(), environment.ask_workers)
    if (stop := find_stop(state, pipeline, made.plan)) is not None:
        return Started(stop.run, is_new=False, stopped_by=stop.days)
    may_be_alongside = request.overrides.alongside
    if not may_be_alongside:
        require_alone(state, made.plan, environment.clock.now())
    # Afterwards: what a run that has ended by now has published is there.
    require_passed(check_published(made.plan, request.overrides, environment.prover))
    run_ids = (run_id,) if run_id is not None else environment.run_ids(pipeline, identity)
    run, is_new = write_run(state, environment.clock, NewRun(request, identity, made.plan, made.kept), run_ids, sent_at)
    if is_new and not may_be_alongside:
        withdraw_if_later(state, run, made.plan)
    environment.wake(run.run_id)
    return Started(run, is_new, made.remade)


def settle(request: RunRequest, pipeline: Pipeline, environment: PlanEnvironment) -> RunScope:
    """Settle what a request is about, by the calendar and the clock of its environment. Raises InputError for a bad
    one."""
    schedule = environment.schedule(request, pipeline)
    try:
        calendar = read_calendar(pipeline.calendar, schedule)
        require_comparable(pipeline.calendar, schedule)
    except InputError:
        # Which of its expressions it was, and where that stands.
        require_calendar(pipeline.calendar, environment.binder(request, pipeline), _places(request, environment))
        raise
    scope = settle_dates(request, pipeline, calendar, environment.clock.now())
    if request.reprocess == "failed" and environment.state is None:
        require_earlier_run(scope.days, {})
    return scope


def bind(scope: RunScope, environment: PlanEnvironment) -> list[PreflightLine]:
    """Bind every statement of the pipeline file, and run none: a warning where some cannot be bound yet.

    Raises InputError for what will never be answered, and TransientError when that cannot be told just now.
    """
    binder = environment.binder(scope.request, scope.pipeline)
    return dry_run(scope.pipeline, binder, _places(scope.request, environment))


def _places(request: RunRequest, environment: PlanEnvironment) -> Place:
    return lambda at, line, column: environment.place(request, at, line, column)


def preflight(scope: RunScope, environment: PlanEnvironment) -> list[PreflightLine]:
    """Check everything that must be true before a start, a line for each."""
    return [*check_request(scope, environment.clock.now()), *environment.inspect(scope)]


def check_only(request: RunRequest, environment: PlanEnvironment) -> tuple[Pipeline, list[PreflightLine]]:
    """Read the pipeline file of a request and bind every statement of it, whatever dates there are; returns a warning
    where some could not be bound. Raises InputError that names what is wrong, and where."""
    pipeline = environment.read_pipeline(request)
    binder, places = environment.binder(request, pipeline), _places(request, environment)
    require_calendar(pipeline.calendar, binder, places)
    return pipeline, dry_run(pipeline, binder, places)


def preflight_only(request: RunRequest, environment: PlanEnvironment) -> list[PreflightLine]:
    """Check of a request what ``start`` would, whether the calendar is whole, and which runs go by another one. Raises
    InputError for a bad request."""
    scope = settle(request, environment.read_pipeline(request), environment)
    unbound = bind(scope, environment)
    return [
        *preflight(scope, environment),
        *unbound,
        *environment.compare_calendar(scope),
        *check_earlier_plans(scope, environment.state, environment.clock.now()),
    ]


def plan_only(request: RunRequest, environment: PlanEnvironment) -> PlanMade:
    """Plan what ``start`` would do for a request, whatever preflight says. Raises InputError for a bad one."""
    scope = settle(request, environment.read_pipeline(request), environment)
    now, prover = environment.clock.now(), environment.prover
    unbound = bind(scope, environment)
    made = plan_scope(scope, prover, environment.state, now, environment.ask_workers)
    published = check_published(made.plan, request.overrides, prover)
    return replace(made, known=(*check_known(scope, now), *unbound, *published))
